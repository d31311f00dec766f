"""What people say to a deal: signed commands, each heard once, checked, and answered with an outcome.

A message never harms a run: it is applied, or refused with a code and written down.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from decimal import Decimal

    from domain import facts
    from domain.assessment import CreditStatus
    from domain.credit import ReleaseToken
    from domain.facts import Fact
    from domain.messages import (
        COMMAND_ROLES,
        CommandName,
        DealStart,
        DecisionRefused,
        Outcome,
        SignedMessage,
        VerifiedMessage,
    )
    from domain.people import Person
    from domain.refusals import LATE, Refusal
    from runs import names
    from workflows.deal import KEPT, Deal
    from workflows.proof import verify


class Hearing(Deal):
    """A deal that listens to people."""

    def __init__(self, start: DealStart) -> None:
        """Make the state before the first message is heard."""
        super().__init__(start)
        self._messages: list[SignedMessage] = []

    @workflow.signal(name=names.COMMAND, description="A signed command of a person: retry, skip, abort, cancel, …")
    def command(self, message: SignedMessage) -> None:
        """Take a signed command; its outcome is read back by the query ``outcome``."""
        self._messages.append(message)

    @workflow.signal(name=names.DECIDE, description="A decision that came after its request had ended")
    def decide(self, message: SignedMessage) -> None:
        """Write down a decision that came too late; it changes nothing."""
        self._messages.append(message)

    @workflow.signal(name=names.DECISION_REFUSED, description="An approval request: whose decision it did not take")
    def decision_refused(self, note: DecisionRefused) -> None:
        """Write down who tried to decide a request and why it did not count; it changes nothing."""
        self._apply(
            facts.Refused(message_id=note.message_id, what=names.DECIDE, code=note.code, detail=note.detail),
            event_id=note.message_id,
            actor=note.person.named,
            at=note.at,
        )

    async def _serve_people(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._messages))
            message = self._messages[0]
            if message.message_id not in self._outcomes:
                self._settle(await self._hear(message))
            self._messages.pop(0)

    def _settle(self, outcome: Outcome) -> None:
        self._outcomes[outcome.message_id] = outcome
        while len(self._outcomes) > KEPT:
            self._outcomes.pop(next(iter(self._outcomes)))

    async def _hear(self, message: SignedMessage) -> Outcome:
        said = await verify(message, audiences=self._audiences())
        person = said.person.named
        if said.refused:
            return self._refuse(said, person, "UNAUTHENTICATED", said.refused)
        if said.name == names.DECIDE:
            ended = self._state.approvals[-1] if self._state.approvals else None
            code: str = LATE.get(ended.status, Refusal.ALREADY_DECIDED) if ended else Refusal.NOT_ASSIGNED
            return self._refuse(said, person, code, ended.text if ended else "no approval was asked")
        try:
            name = CommandName(said.name)
        except ValueError:
            return self._refuse(said, person, "UNKNOWN_COMMAND", said.name)
        if not any(said.person.has_role(role, self._state.company) for role in COMMAND_ROLES[name]):
            return self._refuse(said, person, "NO_AUTHORITY", f"needs one of {', '.join(COMMAND_ROLES[name])}")
        code = self._command(name, said, person)
        if code:
            return Outcome(message_id=said.message_id, accepted=False, code=code, detail=self._timeline[-1].text)
        return Outcome(message_id=said.message_id, accepted=True)

    def _audiences(self) -> tuple[str, ...]:
        state = self._state
        requests = (names.approval_id(state.company, state.quote_number, a.n) for a in state.approvals)
        return (workflow.info().workflow_id, *requests)

    def _refuse(self, said: VerifiedMessage, person: Person, code: str, detail: str) -> Outcome:
        what = said.name or "message"
        self._apply(
            facts.Refused(message_id=said.message_id, what=what, code=code, detail=detail),
            event_id=said.message_id,
            actor=person,
        )
        return Outcome(message_id=said.message_id, accepted=False, code=code, detail=detail)

    def _command(self, name: CommandName, said: VerifiedMessage, person: Person) -> str:
        reason = str(said.args.get("reason", ""))
        put = _Command(self, said.message_id, person)
        match name:
            case CommandName.RETRY | CommandName.SKIP | CommandName.ABORT:
                if name is CommandName.SKIP and self._state.parked and not self._state.parked.can_skip:
                    refusal = facts.Refused(
                        message_id=said.message_id, what="skip", code="CANNOT_SKIP", detail="this step must be done"
                    )
                    return put(refusal)
                code = put(facts.StepResumed(action=name, reason=reason))
                self._resolution = said if not code else None
                return code
            case CommandName.WITHDRAW:
                return put(facts.Withdrawn(revision=self._state.revision, reason=reason))
            case CommandName.CANCEL:
                return put(facts.QuoteCancelled(reason=reason))
            case CommandName.CREDIT_REJECT:
                return put(facts.CreditRejected(reason=reason))
            case CommandName.CREDIT_RELEASE:
                code = self._release(said, person, put)
                self._recheck = self._recheck or not code
                return code
            case CommandName.CREDIT_RECHECK:
                self._recheck = self._state.credit is CreditStatus.HELD
                return (
                    ""
                    if self._recheck
                    else put(
                        facts.Refused(
                            message_id=said.message_id, what=name, code="NOT_HELD", detail="credit is not held"
                        )
                    )
                )

    def _release(self, said: VerifiedMessage, person: Person, put: _Command) -> str:
        state, policy = self._state, self._state.policy
        held = state.credit_decision
        try:
            until = said.args.get("valid_until")
            default_end = workflow.now() + timedelta(days=policy.release_valid_days)
            release = ReleaseToken(
                deal_id=workflow.info().workflow_id,
                ceiling=Decimal(str(said.args.get("ceiling") or (held.this_order if held else 0))),
                deviation_pct=Decimal(str(said.args.get("deviation_pct") or policy.release_deviation_pct)),
                valid_until=_moment(str(until)) if until else default_end,
                reasons=tuple(reason.code for reason in held.reasons) if held else (),
                released_by=person,
                comment=str(said.args.get("reason") or ""),
            )
        except (ValueError, ArithmeticError) as error:
            return put(
                facts.Refused(
                    message_id=said.message_id, what="credit_release", code=Refusal.BAD_ARGUMENT, detail=str(error)
                )
            )
        return put(facts.CreditReleased(release=release))


class _Command:
    """Puts a person's fact to the deal under the message's id."""

    def __init__(self, case: Hearing, message_id: str, person: Person) -> None:
        self._case, self._message_id, self._person = case, message_id, person

    def __call__(self, fact: Fact) -> str:
        return self._case._apply(fact, event_id=self._message_id, actor=self._person)


def _moment(text: str) -> datetime:
    """An ISO moment, or the end of an ISO date, in UTC."""
    moment = datetime.fromisoformat(text if "T" in text else f"{text}T23:59:59")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
