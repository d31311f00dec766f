"""What a person says to a bulk run, and what a deal would say to its command. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import Field, ValidationError

from domain.bulk import (
    CANCEL,
    CHECK,
    ENDED,
    LONGEST_DETAIL,
    PAUSE,
    RESUME,
    RUN,
    Bulk,
    BulkItem,
    BulkPhase,
    ItemStatus,
    signed,
)
from domain.messages import CommandName, Outcome, SignedMessage, VerifiedMessage
from domain.people import Person
from domain.record import Record
from domain.refusals import Refusal
from domain.rights import Granted, Subject, judge, weak_sign_in
from domain.views import DealView, Ending, WaitingFor


class _Words(Record):
    """Arguments of what is said to a run."""

    do: str = Field(max_length=20)
    part: int = Field(0, ge=0, le=10_000)
    reason: str = Field("", max_length=4_000)


class BulkVerdict(Record):
    """A run after a message, and why it changed nothing, where it did not."""

    after: Bulk
    code: Refusal | None = None
    text: str


def said_to_bulk(bulk: Bulk, message: SignedMessage, said: VerifiedMessage, now: datetime) -> BulkVerdict:
    """What a message of a person makes of a run.

    Args:
        bulk: the run as it stands.
        message: as it was signed; one that signs a part is what the deals are told.
        said: what it says, once it was checked.
        now: UTC.
    """

    def refused(code: Refusal, text: str) -> BulkVerdict:
        return BulkVerdict(after=bulk, code=code, text=text)

    if said.refused:
        return refused(Refusal.UNAUTHENTICATED, said.refused)
    try:
        words = _Words.model_validate(said.args)
    except ValidationError:
        return refused(Refusal.BAD_ARGUMENT, "its arguments cannot be read")
    if said.name != bulk.command:
        return refused(Refusal.UNKNOWN_COMMAND, f"this run is about {bulk.command}")
    if not said.granted.grants:
        return refused(Refusal.NO_AUTHORITY, "no role of this person allows it for this company")
    if bulk.phase in ENDED:
        return refused(Refusal.NOT_OPEN_ANY_MORE, f"the run is {bulk.phase}")
    if words.do == RUN:
        if weak := weak_sign_in(said.granted, Subject(), sign_in=said.sign_in, said_at=said.signed_at):
            return refused(Refusal.SIGN_IN_TOO_OLD, weak)
        if words.part not in bulk.unsigned:
            return refused(Refusal.ILLEGAL_TRANSITION, f"part {words.part} is not waiting for a signature")
        return BulkVerdict(after=signed(bulk, words.part, message, now), text=f"part {words.part + 1} signed")
    if words.do == CHECK and bulk.asked_by is None:
        asked = {"asked_by": said.person.named, "granted": said.granted, "moved_at": now}
        return BulkVerdict(after=bulk.model_copy(update=asked), text=f"{bulk.command} for {len(bulk.items)} deals")
    phase = _MOVES.get((words.do, bulk.phase))
    if phase is None:
        return refused(Refusal.ILLEGAL_TRANSITION, f"the run is {bulk.phase}")
    moved = bulk.model_copy(update={"phase": phase, "moved_at": now})
    return BulkVerdict(after=moved, text=f"{words.do}: {words.reason}" if words.reason else words.do)


_MOVES: Final[dict[tuple[str, BulkPhase], BulkPhase]] = {
    (PAUSE, BulkPhase.RUNNING): BulkPhase.PAUSED,
    (RESUME, BulkPhase.PAUSED): BulkPhase.RUNNING,
    **{
        (CANCEL, phase): BulkPhase.CANCELLED
        for phase in (BulkPhase.CHECKING, BulkPhase.READY, BulkPhase.RUNNING, BulkPhase.PAUSED)
    },
}
"""What a word makes of a run in a phase."""


def args_of(do: str, bulk_id: str, *, part: int = 0, reason: str = "") -> dict[str, Any]:
    """The arguments of what is said to a run; those of a signed part reach the deals as well."""
    return {"do": do, "bulk": bulk_id, "part": part, "reason": reason}


def would_take(view: DealView, command: CommandName, person: Person, granted: Granted, error: str) -> BulkItem:
    """Whether a deal as it stands would take a command from a person, and what it would do.

    Args:
        view: the deal.
        command: one of ``domain.bulk.COMMANDS``.
        person: who would say it.
        granted: what the table of rights gives them for it.
        error: the cause the run is about; empty: any.
    """

    def left_out(code: Refusal, detail: str = "") -> BulkItem:
        return item(view.quote_number, ItemStatus.LEFT_OUT, code, detail)

    own = person.is_same(view.owner) or person.is_same(view.submitted_by)
    verdict = judge(granted, Subject(own=own, amount=view.total, currency=view.currency))
    if view.ending is not Ending.RUNNING:
        return left_out(Refusal.TERMINAL)
    if verdict.code is not None:
        return left_out(verdict.code, verdict.detail)
    if command is CommandName.CREDIT_RECHECK and view.explanation.waiting_for is not WaitingFor.CREDIT:
        return left_out(Refusal.NOT_HELD)
    parked = view.parked
    if command in (CommandName.RETRY, CommandName.SKIP) and parked is None:
        return left_out(Refusal.NOT_PARKED)
    if parked is not None and error and parked.cause != error:
        return left_out(Refusal.NOT_PARKED, f"it is parked for {parked.cause} now")
    if command is CommandName.SKIP and parked is not None and not parked.can_skip:
        return left_out(Refusal.CANNOT_SKIP, parked.step)
    about = parked.step if parked else view.explanation.text
    return item(view.quote_number, ItemStatus.READY, "", about)


def after_telling(quote: str, outcome: Outcome | None) -> BulkItem:
    """A deal that was told, by what it answered."""
    if outcome is None:
        return item(quote, ItemStatus.TOLD)
    if outcome.accepted:
        return item(quote, ItemStatus.ACCEPTED)
    return item(quote, ItemStatus.REFUSED, outcome.code, outcome.detail)


def after_look(view: DealView, command: CommandName) -> BulkItem:
    """A deal that took the command, by how it stands a while later."""
    if view.ending is not Ending.RUNNING:
        return item(view.quote_number, ItemStatus.WENT_ON, "", f"ended: {view.ending}")
    if view.parked is not None and command is not CommandName.CREDIT_RECHECK:
        return item(view.quote_number, ItemStatus.PARKED_AGAIN, view.parked.cause, view.parked.step)
    return item(view.quote_number, ItemStatus.WENT_ON, "", view.explanation.text)


def item(quote: str, status: ItemStatus, code: str = "", detail: str = "") -> BulkItem:
    """A deal of a run; a long detail is cut."""
    return BulkItem(quote=quote, status=status, code=code, detail=detail[:LONGEST_DETAIL])
