"""What people decide and command: checked, limited, signed, sent, and answered with what became of it.

A decision is a signal, stored even while no worker runs; what became of it is asked afterwards by its message id. What
can be known to be refused is refused here, so that nobody's history grows with what others send: the first such
attempt of a person is still sent, because the deal is where every attempt is written down, and the deal refuses it too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from cachetools import TTLCache
from opentelemetry import metrics

from domain.approvals import ApprovalState, ApprovalStatus
from domain.authority import check_decision
from domain.messages import CommandName, Outcome, SignedMessage, may_give
from domain.people import Person
from domain.refusals import LATE, Refusal
from runs import names
from runs.approvals import Approvals
from runs.calls import NoAnswer, NotFound
from runs.deals import Deals
from web.addresses import Approval, Deal
from web.limits import Limits
from web.problems import Problem, of_outcome
from web.signing import DecisionSigner

log = structlog.get_logger(__name__)
_refusals = metrics.get_meter(__name__).create_counter(
    "q2c_web_refusals", description="Decisions and commands the web application refused, by code"
)

_LOOK_SECONDS = 2.0
"""How long a decision waits for what is known of its request before it is sent without."""
_ATTEMPTS_KEPT = 10_000
_ATTEMPT_KEPT_SECONDS = 24 * 3600.0


class Decisions:
    """Passes on what people decide."""

    def __init__(self, deals: Deals, approvals: Approvals, signer: DecisionSigner, limits: Limits) -> None:
        """Pass on to ``deals`` and ``approvals`` what ``signer`` has signed, within ``limits``."""
        self._deals = deals
        self._approvals = approvals
        self._signer = signer
        self._limits = limits
        self._noted: TTLCache[tuple[str, str, Refusal], bool] = TTLCache(_ATTEMPTS_KEPT, _ATTEMPT_KEPT_SECONDS)

    async def decide(self, asked: Approval, person: Person, message_id: str, args: Mapping[str, Any]) -> Outcome | None:
        """Tell a request for approval what a person decides.

        Args:
            asked: which request.
            person: who decides.
            message_id: the same id said again changes nothing and gets the same outcome.
            args: decision, comment, step and seen_hash.

        Returns:
            That it was accepted; None where it is recorded but not known within five seconds.

        Raises:
            Problem: it was refused, here or by the request.
            NotFound: there is no such request.
            NoAnswer: Temporal is down and nothing was recorded.
        """
        if not person.roles:
            raise self._refused(Refusal.NO_AUTHORITY, person, message_id)
        place = (asked.deal.company, asked.deal.quote, asked.n)
        workflow_id = names.approval_id(*place)
        message = self._signer.sign(
            audience=workflow_id, message_id=message_id, person=person, action=names.DECIDE, args=args
        )
        state = await self._state(asked)
        if state is None and not person.may_read(asked.deal.company):
            raise self._refused(Refusal.NO_AUTHORITY, person, message_id)
        refusal = _refusal(state, person, args) if state else None
        if state and refusal:
            before = await self._approvals.outcome(*place, message_id)
            if before is not None:
                return _accepted(before)
            await self._note(asked, person, refusal, message)
            raise self._refused(refusal, person, message_id, _explained(refusal, state, args))
        self._limits.check(person, workflow_id)
        try:
            return _accepted(await self._approvals.decide(*place, message))
        except NotFound:
            return await self._too_late(asked, person, message)

    async def command(
        self, deal: Deal, person: Person, message_id: str, name: CommandName, args: Mapping[str, Any]
    ) -> Outcome | None:
        """Give a deal a command. Returns and raises as ``decide``."""
        if not may_give(person, name, deal.company):
            raise self._refused(Refusal.NO_AUTHORITY, person, message_id)
        workflow_id = names.deal_id(deal.company, deal.quote)
        message = self._signer.sign(audience=workflow_id, message_id=message_id, person=person, action=name, args=args)
        if name is CommandName.CREDIT_RELEASE and await self._owns(person, deal):
            refusal = Refusal.REQUESTER_CANNOT_RELEASE
            await self._once(person, workflow_id, refusal, lambda: self._deals.note(deal.company, deal.quote, message))
            raise self._refused(refusal, person, message_id)
        self._limits.check(person, workflow_id)
        return _accepted(await self._deals.command(deal.company, deal.quote, message))

    async def _owns(self, person: Person, deal: Deal) -> bool:
        """Whether a deal is the person's own; where no worker tells, the deal itself will."""
        try:
            view = await self._deals.state(deal.company, deal.quote, patience=_LOOK_SECONDS)
        except NoAnswer:
            return False
        return person.is_same(view.owner)

    async def _state(self, asked: Approval) -> ApprovalState | None:
        """The request as it stands; None where no worker tells."""
        try:
            return await self._approvals.state(asked.deal.company, asked.deal.quote, asked.n, patience=_LOOK_SECONDS)
        except NoAnswer:
            return None

    async def _too_late(self, asked: Approval, person: Person, message: SignedMessage) -> Outcome | None:
        """The answer of a request that ended meanwhile: what it made of this message before, or how it ended."""
        place = (asked.deal.company, asked.deal.quote, asked.n)
        before = await self._approvals.outcome(*place, message.message_id)
        if before is not None:
            return _accepted(before)
        state = await self._approvals.state(*place)
        refusal = LATE.get(state.status, Refusal.ALREADY_DECIDED)
        await self._note(asked, person, refusal, message)
        raise self._refused(refusal, person, message.message_id, _ended(state))

    async def _note(self, asked: Approval, person: Person, refusal: Refusal, message: SignedMessage) -> None:
        """Have the deal write down whose decision was refused."""
        place = (asked.deal.company, asked.deal.quote, asked.n)

        async def send() -> None:
            if not await self._approvals.note(*place, message):
                await self._deals.note_late(asked.deal.company, asked.deal.quote, message)

        await self._once(person, names.approval_id(*place), refusal, send)

    async def _once(
        self, person: Person, workflow_id: str, refusal: Refusal, send: Callable[[], Awaitable[None]]
    ) -> None:
        """Send what will be refused only if it is the person's first of its kind, and within the limits."""
        key = (workflow_id, person.oid.lower(), refusal)
        if key not in self._noted and self._limits.allow(person, workflow_id):
            await send()
            self._noted[key] = True

    def _refused(self, refusal: Refusal, person: Person, message_id: str, detail: str = "") -> Problem:
        log.info("refused", code=refusal.value, actor=person.oid, message_id=message_id)
        _refusals.add(1, {"code": refusal.value})
        return Problem(refusal, detail, message_id=message_id)


def _refusal(state: ApprovalState, person: Person, args: Mapping[str, Any]) -> Refusal | None:
    """Why the request would not take the decision; None where it would."""
    step = next((step for step in state.steps if step.plan.step == args["step"]), None)
    if step is None:
        return Refusal.NOT_ASSIGNED
    code = check_decision(step, person, state.request, state, str(args["seen_hash"]), str(args["comment"]))
    return Refusal.of(code)


def _accepted(outcome: Outcome | None) -> Outcome | None:
    """The outcome, if it is not a refusal.

    Raises:
        Problem: it is.
    """
    if outcome is not None and not outcome.accepted:
        raise of_outcome(outcome)
    return outcome


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
