"""One command for many deals: which deals, whether each would take it, what became of each.

A bulk run is of one company and one command. First it is tried dry: each deal is read, and it is said whether it would
take the command from who asks. Nothing is sent before that person signs: a signature covers the command and the ids of
the deals of one part of the run, each deal checks it for itself as it checks any command, and none that is not named in
it takes it. What a deal then says is kept for each of them. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, StringConstraints

from domain.heard import HeardMessage
from domain.messages import CommandName, Count, Id, Outcome, SignedMessage
from domain.people import Person
from domain.record import Record
from domain.rights import Granted

COMMANDS: Final = (CommandName.RETRY, CommandName.REREAD, CommandName.SKIP, CommandName.CREDIT_RECHECK)
"""What may be said to many deals at once. What ends a deal, pays or releases is said to each by itself."""
MOST_ITEMS: Final = 2_000
"""Deals of one run; more are a second run."""
TOGETHER: Final = 25
"""Deals of one part at most: of one signature, and of one step of the run."""
LONGEST_PART: Final = 4_000
"""Characters of the ids of one part, so that its signed message stays small in the deals that keep it."""
PACE: Final = timedelta(seconds=5)
"""Pause after each part: 300 deals a minute at most. What they then ask of a system is limited by its queue."""
SETTLES: Final = timedelta(seconds=10)
"""How long after the last part the deals are looked at: what they went on with, or parked for again."""
MOST_LOOKS: Final = 8
"""How often a deal is looked at that does not answer."""
SIGNATURE_HOLDS: Final = timedelta(hours=20)
"""A signature that was not used by then is asked for again; the deals take it for a day."""
LAPSES: Final = timedelta(days=7)
"""A run that nobody signs, resumes or ends for so long ends by itself. The deals stay as they are."""
LONGEST_DETAIL: Final = 200

Words = Annotated[str, StringConstraints(max_length=1_000)]
Detail = Annotated[str, StringConstraints(max_length=LONGEST_DETAIL)]

CHECK: Final = "check"
RUN: Final = "run"
PAUSE: Final = "pause"
RESUME: Final = "resume"
CANCEL: Final = "cancel"
"""What a person may say to a bulk run: the argument ``do`` of its command."""


class ItemStatus(StrEnum):
    """How far one deal of a run is."""

    UNCHECKED = "unchecked"
    READY = "ready"
    LEFT_OUT = "left_out"
    TOLD = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    WENT_ON = "moved_on"
    PARKED_AGAIN = "parked_again"


OPEN_ITEMS: Final = frozenset({ItemStatus.TOLD, ItemStatus.ACCEPTED})
"""Of which it is not known yet what the command came to."""


class BulkPhase(StrEnum):
    """How far a run is."""

    CHECKING = "checking"
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"
    REFUSED = "refused"


ENDED: Final = frozenset({BulkPhase.DONE, BulkPhase.CANCELLED, BulkPhase.LAPSED, BulkPhase.REFUSED})


class BulkQuery(Record):
    """Which deals a run is about, as its page says it."""

    error: Id = Field("", description="Cause of parked deals")
    stage: Id = ""
    customer: Id = ""
    waiting_for: Id = ""
    days: Count = Field(0, description="In their stage for so many days at least")


class BulkItem(Record):
    """One deal of a run."""

    quote: Id
    status: ItemStatus = ItemStatus.UNCHECKED
    code: Id = Field("", description="Why it is left out, refused, or parked again")
    detail: Detail = Field("", description="The step it is about, or what it waits for now")


class Part(Record):
    """Deals that one signature covers, by their place in the run."""

    items: tuple[int, ...] = Field(max_length=TOGETHER)
    message: SignedMessage | None = Field(None, description="What the deals are told, until they are")
    signed_at: AwareDatetime | None = None
    told: bool = False


class Bulk(Record):
    """A run as it stands."""

    company: Id
    command: CommandName
    reason: Words = ""
    query: BulkQuery
    items: tuple[BulkItem, ...] = Field(max_length=MOST_ITEMS)
    beyond: bool = Field(False, description="More deals fit the query than one run takes")
    parts: tuple[Part, ...] = ()
    phase: BulkPhase = BulkPhase.CHECKING
    begun_at: AwareDatetime
    moved_at: AwareDatetime = Field(description="When a person or the run last moved it on")
    told_at: AwareDatetime | None = Field(None, description="When the last part was told")
    asked_by: Person | None = Field(None, description="Who asked for it, as proved")
    granted: Granted = Granted()
    looks: Count = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many deals are how far."""
        found: dict[str, int] = {}
        for item in self.items:
            found[item.status] = found.get(item.status, 0) + 1
        return found

    @property
    def has_ended(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.phase in ENDED and not self.open_items

    @property
    def open_items(self) -> tuple[int, ...]:
        """Deals that were told and of which it is not known yet what became of it."""
        if self.looks >= MOST_LOOKS:
            return ()
        return tuple(n for n, item in enumerate(self.items) if item.status in OPEN_ITEMS)

    @property
    def unsigned(self) -> tuple[int, ...]:
        """Parts that nobody has signed, by number."""
        return tuple(n for n, part in enumerate(self.parts) if part.message is None and not part.told)


class BulkView(Record):
    """A run as pages and programs see it; its deals are read page by page."""

    company: str
    command: CommandName
    reason: str
    query: BulkQuery
    phase: BulkPhase
    begun_at: datetime
    moved_at: datetime
    asked_by: Person | None
    total: int
    beyond: bool
    counts: dict[str, int]
    parts: int
    signed: int = Field(description="Parts that are signed or told")
    told: int

    @classmethod
    def of(cls, bulk: Bulk) -> BulkView:
        """The view of a run."""
        return cls(
            **{name: getattr(bulk, name) for name in ("company", "command", "reason", "query", "phase", "begun_at")},
            moved_at=bulk.moved_at,
            asked_by=bulk.asked_by,
            total=len(bulk.items),
            beyond=bulk.beyond,
            counts=bulk.counts,
            parts=len(bulk.parts),
            signed=len(bulk.parts) - len(bulk.unsigned),
            told=sum(part.told for part in bulk.parts),
        )


class BulkItems(Record):
    """Some of a run's deals."""

    items: tuple[BulkItem, ...]
    more: bool = False


class UnsignedPart(Record):
    """A part that waits for a signature: what it would be told to."""

    n: int
    quotes: tuple[str, ...]


class UnsignedParts(Record):
    """All parts that wait for a signature."""

    parts: tuple[UnsignedPart, ...] = ()


# What is to be done next


class Check(Record):
    """Read these deals and say whether each would take the command."""

    items: tuple[int, ...]


class Tell(Record):
    """Tell the deals of a part."""

    part: int


class LookAt(Record):
    """Look what these deals made of it."""

    items: tuple[int, ...]


class Wait(Record):
    """There is nothing to do before a moment, or until a person says something."""

    until: datetime


Next = Check | Tell | LookAt | Wait


def next_of(bulk: Bulk, now: datetime) -> Next:
    """What is to be done next; asked again after each step and each message."""
    if bulk.phase is BulkPhase.CHECKING:
        unchecked = tuple(n for n, item in enumerate(bulk.items) if item.status is ItemStatus.UNCHECKED)
        if unchecked and bulk.asked_by is not None:
            return Check(items=unchecked[:TOGETHER])
    if bulk.phase is BulkPhase.RUNNING:
        part = next((n for n, part in enumerate(bulk.parts) if part.message is not None), None)
        if part is not None:
            due = bulk.told_at + PACE if bulk.told_at else now
            return Tell(part=part) if due <= now else Wait(until=due)
    if bulk.open_items and bulk.told_at is not None:
        due = bulk.told_at + SETTLES * (bulk.looks + 1)
        return LookAt(items=bulk.open_items[:TOGETHER]) if due <= now else Wait(until=due)
    return Wait(until=bulk.moved_at + LAPSES)


# What changes a run


def checked(bulk: Bulk, found: dict[int, BulkItem], now: datetime) -> Bulk:
    """The run after some of its deals were read; after the last, its parts are made."""
    after = _with(bulk, found).model_copy(update={"moved_at": now})
    if any(item.status is ItemStatus.UNCHECKED for item in after.items):
        return after
    ready = [n for n, item in enumerate(after.items) if item.status is ItemStatus.READY]
    phase = BulkPhase.READY if ready else BulkPhase.DONE
    return after.model_copy(update={"phase": phase, "parts": _parts_of(after, ready)})


def told(bulk: Bulk, n: int, found: dict[int, BulkItem], now: datetime) -> Bulk:
    """The run after the deals of a part were told; its signature is of no more use."""
    part = bulk.parts[n].model_copy(update={"message": None, "told": True})
    parts = (*bulk.parts[:n], part, *bulk.parts[n + 1 :])
    return _settled(_with(bulk, found).model_copy(update={"parts": parts, "told_at": now, "moved_at": now, "looks": 0}))


def looked_at(bulk: Bulk, asked: tuple[int, ...], found: dict[int, BulkItem], now: datetime) -> Bulk:
    """The run after deals were looked at; a look counts when all that were open have been looked at."""
    after = _with(bulk, found)
    still_open = [n for n in after.open_items if n not in asked]
    if not still_open:
        after = after.model_copy(update={"looks": after.looks + 1})
    return _settled(after.model_copy(update={"moved_at": now}))


def on_time(bulk: Bulk, now: datetime) -> Bulk:
    """The run as time makes it: old signatures are dropped, and one that nobody moves on ends."""
    if bulk.phase in ENDED:
        return bulk
    parts = tuple(
        part.model_copy(update={"message": None, "signed_at": None})
        if part.message and part.signed_at and part.signed_at + SIGNATURE_HOLDS <= now
        else part
        for part in bulk.parts
    )
    after = bulk if parts == bulk.parts else bulk.model_copy(update={"parts": parts})
    lapsed = after.moved_at + LAPSES <= now
    return after.model_copy(update={"phase": BulkPhase.LAPSED}) if lapsed else after


def signed(bulk: Bulk, n: int, message: SignedMessage, now: datetime) -> Bulk:
    """The run with a part signed; it runs from then on, unless it is paused."""
    part = bulk.parts[n].model_copy(update={"message": message, "signed_at": now})
    phase = BulkPhase.RUNNING if bulk.phase is BulkPhase.READY else bulk.phase
    parts = (*bulk.parts[:n], part, *bulk.parts[n + 1 :])
    return bulk.model_copy(update={"parts": parts, "phase": phase, "moved_at": now})


def _settled(bulk: Bulk) -> Bulk:
    """The run, ended where every part was told and looked at."""
    running = bulk.phase in (BulkPhase.RUNNING, BulkPhase.PAUSED)
    if running and all(part.told for part in bulk.parts) and not bulk.open_items:
        return bulk.model_copy(update={"phase": BulkPhase.DONE})
    return bulk


def _with(bulk: Bulk, found: dict[int, BulkItem]) -> Bulk:
    items = tuple(found.get(n, item) for n, item in enumerate(bulk.items))
    return bulk.model_copy(update={"items": items})


def _parts_of(bulk: Bulk, ready: list[int]) -> tuple[Part, ...]:
    """Deals that go together, in their order: few enough, and short enough, for one signature."""
    parts: list[list[int]] = []
    room = 0
    for n in ready:
        length = len(bulk.company) + len(bulk.items[n].quote) + 10
        if not parts or len(parts[-1]) >= TOGETHER or room < length:
            parts.append([])
            room = LONGEST_PART
        parts[-1].append(n)
        room -= length
    return tuple(Part(items=tuple(part)) for part in parts)


class BulkStart(Record):
    """A run that begins, with who asks for it; the rest is what the run before it held (set as it continues as new)."""

    bulk: Bulk
    unheard: tuple[SignedMessage, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)
