"""A history: records that do not change any more, taken over into Sales every night. How one stands, and what is said.

A night reads what Finance has changed since the last one; once in a while it reads everything, so that what could not
be taken over before, and what somebody changed in Sales, comes right.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from domain.heard import HeardMessage
from domain.messages import Outcome, SignedMessage, VerifiedMessage
from domain.record import Record
from domain.said import Said, judged
from domain.values import Company

RUN_HISTORY: Final = "run_history"
"""Name of a message: a person has a history kept, or not any more."""
ENTITIES: Final[Mapping[str, str]] = {"invoice": "past_invoice"}
"""What a history is kept of, and the map that says how."""
WHOLE_AFTER: Final = timedelta(days=7)
"""How long what changed is enough: a night after it reads everything."""
OVERLAP: Final = timedelta(seconds=300)
"""How far a night goes back: a transaction that took long is written with the time of its beginning."""
FIRST_NIGHT: Final = "02:00"
REFUSED: Final = "refused"
"""Records that Sales did not take."""

HistoryKind = Literal["invoice"]
NightAt = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="By the company's clock")]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


class Place(Record):
    """How far reading is: behind this time of change, and this record of it. Empty: at the beginning."""

    at: str = ""
    after: int | None = None


class HistoryFigures(Record):
    """What a reading came to."""

    read: int = Field(0, description="Records of Finance")
    created: int = Field(0, description="Rows that Sales did not have")
    corrected: int = Field(0, description="Rows that had other values")
    same: int = Field(0, description="Rows that were right")
    left_out: dict[str, int] = Field({}, description="Records not taken over, by the field that could not be filled")
    requests: int = 0

    def plus(self, other: HistoryFigures) -> HistoryFigures:
        """Both together."""
        causes = sorted({*self.left_out, *other.left_out})
        counted = {name: self.left_out.get(name, 0) + other.left_out.get(name, 0) for name in causes}
        numbers = {
            name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields if name != "left_out"
        }
        return HistoryFigures(**numbers, left_out=counted)


class HistoryView(Record):
    """A history as people see it."""

    kind: HistoryKind = "invoice"
    company: str
    running: bool = Field(False, description="It was started, and not stopped")
    reading: bool = Field(False, description="A reading is under way")
    whole: bool = Field(True, description="The reading is of everything, not of what changed")
    failing: str = Field("", description="Why the last reading did not come to its end")
    problem: str = Field("", description="What Sales said last when it did not take a record")
    map_hash: str = ""
    at: str = Field(FIRST_NIGHT, description="When a night begins, by the company's clock")
    began_at: AwareDatetime | None = Field(None, description="When the last reading began")
    ended_at: AwareDatetime | None = Field(None, description="When one came to its end last")
    whole_at: AwareDatetime | None = Field(None, description="When one of everything came to its end last")
    next_at: AwareDatetime | None = Field(None, description="When the next one begins")
    finance_records: int = Field(0, description="Records that Finance counted at the end of the last reading")
    figures: HistoryFigures = Field(HistoryFigures(), description="Of the last reading")


class HistoryStart(Record):
    """Of which company; the rest is what the run before it held (set when it continues as new)."""

    kind: HistoryKind = "invoice"
    company: Company
    view: HistoryView | None = None
    timezone: str = "UTC"
    place: Place = Place()
    since: Place = Field(Place(), description="Where the next night begins: what the last reading saw newest")
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    unheard: tuple[SignedMessage, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)


class HistoryArgs(Record):
    """What a person says of a history."""

    do: Literal["start", "stop"]
    at: NightAt = FIRST_NIGHT
    whole: bool = Field(False, description="start: read everything anew, not only what changed")
    reason: Reason


def said_to_history(said: VerifiedMessage) -> Said[HistoryArgs]:
    """What a person's message comes to; its proof was checked and the person's rights looked up."""
    return judged(said, RUN_HISTORY, HistoryArgs)


def started(view: HistoryView, now: datetime, args: HistoryArgs) -> HistoryView:
    """A history that somebody starts: it reads at once, or goes on with what it was reading."""
    update = {"running": True, "at": args.at, "next_at": now}
    if args.whole:
        update |= {"reading": False, "whole_at": None}
    return view.model_copy(update=update)


def begun(view: HistoryView, now: datetime, map_hash: str) -> HistoryView:
    """A history whose next reading begins: of everything the first time, once a week, and by another map."""
    whole = view.whole_at is None or now - view.whole_at >= WHOLE_AFTER or map_hash != view.map_hash
    fresh = {"figures": HistoryFigures(), "failing": "", "problem": "", "map_hash": map_hash}
    return view.model_copy(update={"reading": True, "whole": whole, "began_at": now, **fresh})


def overlapping(place: Place) -> Place:
    """Where a night begins so that it misses nothing that was written late."""
    if not place.at:
        return Place()
    return Place(at=(datetime.fromisoformat(place.at).astimezone(UTC) - OVERLAP).isoformat())


def ended(view: HistoryView, now: datetime, finance_records: int) -> HistoryView:
    """A history whose reading has come to its end."""
    whole_at = now if view.whole else view.whole_at
    done = {"reading": False, "ended_at": now, "whole_at": whole_at, "finance_records": finance_records}
    return view.model_copy(update=done)
