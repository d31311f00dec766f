"""What a person says, as a fact for the deal: a verified message and the state become a fact, or a refusal.

Pure: who said it was proved before (``activities.decisions``). Here it is decided whether they may, and what it means;
whether it fits the deal as it stands is decided by the rules, as for every fact.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field, ValidationError

from domain import facts
from domain.credit import ReleaseToken
from domain.deal_state import DealState
from domain.facts import Fact
from domain.messages import COMMAND_ROLES, CommandName, VerifiedMessage, may_give
from domain.people import Person
from domain.record import Record
from domain.refusals import LATE, Refusal
from domain.views import Resolution

DECIDE = "decide"
"""Name of a decision; it reaches the deal only when its request for approval has ended."""

Rights = Callable[[Person, CommandName, DealState], bool]
"""Whether a person, with the roles of the moment, may give a command to a deal."""


def by_role(person: Person, command: CommandName, state: DealState) -> bool:
    """The rights in force: one of the command's roles, for every company or for the deal's."""
    return may_give(person, command, state.company)


def fact_of(said: VerifiedMessage, state: DealState, *, deal_id: str, at: datetime, may: Rights = by_role) -> Fact:
    """What a message of a person means for a deal.

    Args:
        said: the message, its proof checked.
        state: the deal as it stands.
        deal_id: workflow id of the deal.
        at: UTC.
        may: the rights.

    Returns:
        The fact it states; ``facts.Refused`` with a code where it counts for nothing.
    """
    if said.refused:
        return _refused(said, Refusal.UNAUTHENTICATED, said.refused)
    if said.name == DECIDE:
        return _too_late(said, state)
    try:
        command = CommandName(said.name)
    except ValueError:
        return _refused(said, Refusal.UNKNOWN_COMMAND, said.name)
    if not may(said.person, command, state):
        return _refused(said, Refusal.NO_AUTHORITY, f"needs one of {', '.join(COMMAND_ROLES[command])}")
    reason = str(said.args.get("reason") or "")
    match command:
        case CommandName.RETRY:
            return facts.StepResumed(action=Resolution.RETRY, reason=reason)
        case CommandName.SKIP:
            return facts.StepResumed(action=Resolution.SKIP, reason=reason)
        case CommandName.ABORT:
            return facts.StepResumed(action=Resolution.ABORT, reason=reason)
        case CommandName.WITHDRAW:
            return facts.Withdrawn(revision=state.revision, reason=reason)
        case CommandName.CANCEL:
            return facts.QuoteCancelled(reason=reason)
        case CommandName.CREDIT_RECHECK:
            return facts.CreditRecheckDue(reason=reason or "asked by a person")
        case CommandName.CREDIT_REJECT:
            return facts.CreditRejected(reason=reason)
        case CommandName.CREDIT_RELEASE:
            return _released(said, state, deal_id=deal_id, at=at)


def _refused(said: VerifiedMessage, code: Refusal, detail: str) -> facts.Refused:
    return facts.Refused(message_id=said.message_id, what=said.name or "message", code=code, detail=detail)


def _too_late(said: VerifiedMessage, state: DealState) -> facts.Refused:
    """A decision on a request that has ended, or was never made."""
    if not state.approvals:
        return _refused(said, Refusal.NOT_ASSIGNED, "no approval was asked")
    ended = state.approvals[-1]
    return _refused(said, LATE.get(ended.status, Refusal.ALREADY_DECIDED), ended.text)


def _moment(value: object) -> object:
    """A moment as text with its zone, or a date: the end of that day, UTC."""
    if not isinstance(value, str):
        raise ValueError("give a date (2026-12-31) or a moment with its time zone, as text")
    if "T" in value:
        return value
    return datetime.combine(date.fromisoformat(value), time(23, 59, 59), UTC)


class _Release(Record):
    """Arguments of a release; what is not said is the policy's."""

    reason: str = Field("", max_length=4_000)
    ceiling: Decimal | None = Field(None, ge=0, max_digits=19, description="In the customer's currency, incl. tax")
    deviation_pct: Decimal | None = Field(None, ge=0, le=100, max_digits=9)
    valid_until: Annotated[AwareDatetime, BeforeValidator(_moment)] | None = None


def _released(said: VerifiedMessage, state: DealState, *, deal_id: str, at: datetime) -> Fact:
    try:
        asked = _Release.model_validate({name: value for name, value in said.args.items() if value not in (None, "")})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return _refused(said, Refusal.BAD_ARGUMENT, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    held, policy = state.credit_decision, state.policy
    release = ReleaseToken(
        deal_id=deal_id,
        ceiling=asked.ceiling if asked.ceiling is not None else held.this_order if held else Decimal(0),
        deviation_pct=policy.release_deviation_pct if asked.deviation_pct is None else asked.deviation_pct,
        valid_until=asked.valid_until or at + timedelta(days=policy.release_valid_days),
        reasons=tuple(reason.code for reason in held.reasons) if held else (),
        released_by=said.person.named,
        comment=asked.reason,
    )
    return facts.CreditReleased(release=release)
