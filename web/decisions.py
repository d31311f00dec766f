"""What people decide and command: checked, limited, signed, sent, and answered with what became of it.

A decision is a signal, stored even while no worker runs; what became of it is asked afterwards by its message id. What
can be known to be refused is refused here and goes to the audit, so that nobody's history grows with what others send.
Only of who may decide in the company, the first attempt of a kind is sent as well: the deal refuses it too, and shows
it to those who follow the deal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import structlog
from cachetools import TTLCache
from opentelemetry import metrics
from pydantic import BaseModel

from domain.approval_people import ANSWER, ASK, candidate, step_of
from domain.approvals import LATE, ApprovalState, ApprovalStatus, Decision
from domain.authority import (
    Check,
    check_answer,
    check_decision,
    check_question,
    check_reassignment,
    subject_of,
)
from domain.commands import OF_CUSTOMER
from domain.credit import most_released
from domain.heard import content_digest
from domain.messages import CommandName, Outcome, SignedMessage
from domain.money import format_money, plain
from domain.people import Person
from domain.refusals import Refusal
from domain.views import DealView
from runs import names
from runs.approvals import Approvals
from runs.calls import NoAnswer, NotFound
from runs.deals import Deals
from web import security_log
from web.access import Access, is_made_by
from web.addresses import Approval, Deal
from web.attempts import Attempts
from web.commands import CreditReleaseArgs, said
from web.identity import SignedIn
from web.limits import Limits
from web.problems import Problem, of_outcome, sign_in_too_old
from web.signing import CannotSign, DecisionSigner

log = structlog.get_logger(__name__)
_refusals = metrics.get_meter(__name__).create_counter(
    "q2c_web_refusals", description="Decisions and commands the web application refused, by code"
)

_LOOK_SECONDS = 2.0
"""How long a decision waits for what is known of its request before it is sent without."""
_ATTEMPTS_KEPT = 10_000
_ATTEMPT_KEPT_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Decisions:
    """Passes on to ``deals`` and ``approvals`` what ``access`` allows and ``signer`` signed, within ``limits``."""

    access: Access
    deals: Deals
    approvals: Approvals
    signer: DecisionSigner
    limits: Limits
    attempts: Attempts
    _noted: TTLCache[tuple[str, str, Refusal], bool] = field(
        default_factory=lambda: TTLCache(_ATTEMPTS_KEPT, _ATTEMPT_KEPT_SECONDS), init=False
    )

    async def decide(self, asked: Approval, who: SignedIn, message_id: str, args: Mapping[str, Any]) -> Outcome | None:
        """Tell a request for approval what a person decides.

        Args:
            asked: which request.
            who: who decides.
            message_id: the same id said again changes nothing and gets the same outcome.
            args: decision, comment, step and seen_hash.

        Returns:
            That it was accepted; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the request.
            NotFound: there is no such request.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        person, deal = who.person, asked.deal
        place = (deal.company, deal.quote, asked.n)
        workflow_id = names.approval_id(*place)
        self.limits.attempt(person, workflow_id)
        may_decide = bool(self.access.deciding(person, deal.company).grants)
        state = await self._state(asked) if person.roles else None
        if state is None and not may_decide:
            raise self._refused(Refusal.NO_AUTHORITY, person, deal, names.DECIDE, message_id)
        check = self._check(state, who, args) if state else Check()
        message = await self.signed(workflow_id, who, message_id, names.DECIDE, args) if may_decide else None
        if state and check.code:
            before = await self.approvals.outcome(*place, message_id)
            if before is not None:
                return accepted(before, person, names.DECIDE, args)
            if message is not None:
                await self._note(asked, person, check.code, message)
            detail = _explained(check.code, state, args)
            raise self._refused(check.code, person, deal, names.DECIDE, message_id, detail)
        if message is None:
            raise self._refused(Refusal.NO_AUTHORITY, person, deal, names.DECIDE, message_id)
        self.limits.send(person, workflow_id)
        try:
            return accepted(await self.approvals.decide(*place, message), person, names.DECIDE, args)
        except NotFound:
            return await self._too_late(asked, person, message, args)

    def _check(self, state: ApprovalState, who: SignedIn, args: Mapping[str, Any]) -> Check:
        """Why the request would not take the decision."""
        step = next((step for step in state.steps if step.plan.step == args["step"]), None)
        if step is None:
            return Check(Refusal.NOT_ASSIGNED)
        granted = self.access.deciding(who.person, state.request.company)
        decision, seen_hash = Decision(str(args["decision"])), str(args["seen_hash"])
        check = check_decision(step, who.person, granted, state, decision, seen_hash, str(args["comment"]))
        if check.code is None and self.access.too_old_to_decide(who, state, datetime.now(UTC)):
            return Check(Refusal.SIGN_IN_TOO_OLD)
        return check

    async def command(
        self, deal: Deal, who: SignedIn, message_id: str, name: CommandName, args: BaseModel
    ) -> Outcome | None:
        """Give a deal a command, with the arguments its model of ``web.commands`` holds.

        Returns and raises as ``decide``.
        """
        person, workflow_id = who.person, names.deal_id(deal.company, deal.quote)
        self.limits.attempt(person, workflow_id)
        if not self.access.commanding(person, name, deal.company).grants:
            raise self._refused(Refusal.NO_AUTHORITY, person, deal, name, message_id)
        view = await self._view(deal)
        if view and isinstance(args, CreditReleaseArgs):
            would_help(view, args, datetime.now(UTC).date())
        if view and (refusal := self._command_refusal(view, who, name, args)):
            raise self._refused(refusal, person, deal, name, message_id)
        self.limits.send(person, workflow_id)
        content = said(args)
        message = await self.signed(workflow_id, who, message_id, name, content)
        return accepted(await self.deals.command(deal.company, deal.quote, message), person, name, content)

    async def tell(
        self, asked: Approval, who: SignedIn, message_id: str, name: str, args: Mapping[str, Any]
    ) -> Outcome | None:
        """Tell a request what decides nothing: that somebody else is asked, a question to the rep, or its answer.

        Returns and raises as ``decide``.
        """
        person, deal = who.person, asked.deal
        place = (deal.company, deal.quote, asked.n)
        workflow_id = names.approval_id(*place)
        self.limits.attempt(person, workflow_id)
        if not self.access.saying(person, name, deal.company).grants:
            raise self.refused(Refusal.NO_AUTHORITY, person, deal.company, name, message_id, deal=deal)
        state = await self._state(asked)
        check = self._tell_check(state, who, name, args) if state else Check()
        if state and check.code:
            before = await self.approvals.outcome(*place, message_id)
            if before is not None:
                return accepted(before, person, name, args)
            detail = _explained(check.code, state, args) or in_words(check.detail)
            raise self.refused(check.code, person, deal.company, name, message_id, detail, deal=deal)
        self.limits.send(person, workflow_id)
        message = await self.signed(workflow_id, who, message_id, name, args)
        try:
            return accepted(await self.approvals.tell(*place, message), person, name, args)
        except NotFound:
            before = await self.approvals.outcome(*place, message_id)
            if before is not None:
                return accepted(before, person, name, args)
            ended = await self.approvals.state(*place)
            late = LATE.get(ended.status, Refusal.ALREADY_DECIDED)
            raise self.refused(late, person, deal.company, name, message_id, _ended(ended), deal=deal) from None

    def _tell_check(self, state: ApprovalState, who: SignedIn, name: str, args: Mapping[str, Any]) -> Check:
        """Why the request would not take what is told."""
        step, person = step_of(state, args["step"]), who.person
        if step is None:
            return Check(Refusal.NOT_ASSIGNED)
        granted = self.access.saying(person, name, state.request.company)
        if name == ASK:
            check = check_question(step, person, granted, state)
        elif name == ANSWER:
            check = check_answer(step, person, granted, state)
        else:
            to = candidate(step, args["to"])
            check = check_reassignment(step, person, granted, state, to, add=bool(args["add"]))
        if check.code is None and self.access.too_old_to_say(
            who, name, state.request.company, subject_of(state.request)
        ):
            return Check(Refusal.SIGN_IN_TOO_OLD)
        return check

    async def signed(
        self, audience: str | Sequence[str], who: SignedIn, message_id: str, action: str, args: Mapping[str, Any]
    ) -> SignedMessage:
        """What a person says, signed for them and for one run, or for each of several.

        Raises:
            Problem: 503, the key does not sign.
        """
        try:
            return await asyncio.to_thread(
                self.signer.sign, audience=audience, message_id=message_id, who=who, action=action, args=args
            )
        except CannotSign as error:
            log.error("the signing key does not sign", reason=str(error))
            raise Problem(Refusal.SIGNING_UNAVAILABLE) from error

    def _command_refusal(self, view: DealView, who: SignedIn, name: CommandName, args: BaseModel) -> Refusal | None:
        """Why the deal would not take the command from this person."""
        release = args if isinstance(args, CreditReleaseArgs) else None
        verdict = self.access.verdict(who.person, name, view, release)
        if verdict.code:
            return verdict.code
        if name is CommandName.CREDIT_RELEASE and is_made_by(who.person, view):
            return Refusal.REQUESTER_CANNOT_RELEASE
        if name in OF_CUSTOMER and is_made_by(who.person, view):
            return Refusal.MAKER_CANNOT_SET_UP
        if self.access.too_old(who, name, view, datetime.now(UTC), release):
            return Refusal.SIGN_IN_TOO_OLD
        return None

    async def _view(self, deal: Deal) -> DealView | None:
        """The deal as it stands; None where no worker tells: then the deal itself decides alone."""
        try:
            return await self.deals.state(deal.company, deal.quote, patience=_LOOK_SECONDS)
        except NoAnswer:
            return None

    async def _state(self, asked: Approval) -> ApprovalState | None:
        """The request as it stands; None where no worker tells."""
        try:
            return await self.approvals.state(asked.deal.company, asked.deal.quote, asked.n, patience=_LOOK_SECONDS)
        except NoAnswer:
            return None

    async def _too_late(
        self, asked: Approval, person: Person, message: SignedMessage, args: Mapping[str, Any]
    ) -> Outcome | None:
        """The answer of a request that ended meanwhile: what it made of this message before, or how it ended."""
        place = (asked.deal.company, asked.deal.quote, asked.n)
        before = await self.approvals.outcome(*place, message.message_id)
        if before is not None:
            return accepted(before, person, names.DECIDE, args)
        state = await self.approvals.state(*place)
        refusal = LATE.get(state.status, Refusal.ALREADY_DECIDED)
        await self._note(asked, person, refusal, message)
        raise self._refused(refusal, person, asked.deal, names.DECIDE, message.message_id, _ended(state))

    async def _note(self, asked: Approval, person: Person, refusal: Refusal, message: SignedMessage) -> None:
        """Have the deal write down whose decision was refused."""
        place = (asked.deal.company, asked.deal.quote, asked.n)

        async def send() -> None:
            if not await self.approvals.note(*place, message):
                await self.deals.note_late(asked.deal.company, asked.deal.quote, message)

        await self._once(person, names.approval_id(*place), refusal, send)

    async def _once(
        self, person: Person, workflow_id: str, refusal: Refusal, send: Callable[[], Awaitable[None]]
    ) -> None:
        """Send what will be refused only if it is the person's first of its kind."""
        key = (workflow_id, person.oid.lower(), refusal)
        if key not in self._noted:
            await send()
            self._noted[key] = True

    def _refused(
        self, refusal: Refusal, person: Person, deal: Deal, event: str, message_id: str, detail: str = ""
    ) -> Problem:
        return self.refused(refusal, person, deal.company, event, message_id, detail, deal=deal)

    def refused(
        self,
        refusal: Refusal,
        person: Person,
        company: str,
        event: str,
        message_id: str,
        detail: str = "",
        *,
        deal: Deal | None = None,
    ) -> Problem:
        """The answer to what was refused here, after it was written down; ``deal``: what it is about, if one."""
        about = names.deal_id(deal.company, deal.quote) if deal else ""
        security_log.refused(person, refusal, about, message_id)
        self.attempts.note(
            person,
            refusal,
            company=company,
            deal_id=about,
            event=event,
            message_id=message_id,
            policy=self.access.version,
        )
        _refusals.add(1, {"code": refusal.value})
        if refusal is Refusal.SIGN_IN_TOO_OLD:
            return sign_in_too_old(self.access.fresh_seconds, self.access.fresh_context, message_id=message_id)
        return Problem(refusal, detail, message_id=message_id)


def would_help(view: DealView, args: CreditReleaseArgs, today: date) -> None:
    """Refuse a release that leaves the deal on hold; ``today`` is in UTC, as the last day of a release is.

    Raises:
        Problem: 400, it is over already, or reaches less than the order; what would do is named.
    """
    if args.valid_until is not None and args.valid_until < today:
        raise Problem(
            Refusal.BAD_ARGUMENT,
            f"valid_until: {args.valid_until} is over, so the deal would stay on hold. Enter {today} or a later day.",
            field="valid_until",
        )
    usual, held = view.release_defaults, view.credit
    if usual is None or held is None or args.ceiling is None:
        return
    tolerance = usual.deviation_pct if args.deviation_pct is None else args.deviation_pct
    most = most_released(args.ceiling, tolerance)
    if most >= usual.ceiling:
        return
    currency = held.currency or view.currency
    raise Problem(
        Refusal.BAD_ARGUMENT,
        f"ceiling: a release up to {format_money(args.ceiling, currency)} with {plain(tolerance)} % tolerance does not "
        f"cover this order of {format_money(usual.ceiling, currency)}. Enter {format_money(usual.ceiling, currency)} "
        "or more, or leave it empty.",
        field="ceiling",
    )


def accepted(outcome: Outcome | None, person: Person, action: str, args: Mapping[str, Any]) -> Outcome | None:
    """The outcome of what a person said, if it is not a refusal.

    Raises:
        Problem: it is one, or it is the outcome of something else that was said under the same id.
    """
    if outcome is None:
        return None
    if outcome.digest and outcome.digest != content_digest(person.oid, action, args):
        raise Problem(Refusal.MESSAGE_ID_REUSED, message_id=outcome.message_id)
    if not outcome.accepted:
        raise of_outcome(outcome)
    return outcome


def in_words(detail: str) -> str:
    """A detail as a sentence of its own; empty where there is none."""
    return f"{detail[:1].upper()}{detail[1:].rstrip('.')}." if detail else ""


def _explained(refusal: Refusal, state: ApprovalState, args: Mapping[str, Any]) -> str:
    """What the page or program is told where the request itself knows more than the refusal's sentence."""
    if refusal in LATE.values():
        return _ended(state)
    if args["step"] not in {step.plan.step for step in state.steps}:
        return f"This request has no step {args['step']}."
    return ""


def _ended(state: ApprovalState) -> str:
    """How a request ended, for whoever decides too late; empty while it is open."""
    match state.status:
        case ApprovalStatus.PENDING:
            return ""
        case ApprovalStatus.COMPLETED | ApprovalStatus.REJECTED:
            word = "approved" if state.status is ApprovalStatus.COMPLETED else "rejected"
            return f"This request was already {word}; nothing changed."
        case ApprovalStatus.SUPERSEDED if (successor := state.superseded_by or 0) > state.request.revision:
            return f"The quote was revised: decide on revision {successor} instead."
        case _:
            return LATE[state.status].sentence
