"""How a sync stands: what it begins with, what a round of it came to, and what people see."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import AwareDatetime, Field

from domain.entities.merge import LetterCause
from domain.entities.model import EntityName, Frequency
from domain.entities.sync_records import Source
from domain.heard import HeardMessage
from domain.messages import Outcome, SignedMessage
from domain.record import Record
from domain.values import Company

ROUND_SECONDS: Final[Mapping[Frequency, int]] = {
    Frequency.NEAR_REAL_TIME: 20,
    Frequency.FIVE_MINUTES: 300,
    Frequency.HOURLY: 3_600,
}
"""Seconds between two looks, by how often a map says that its records agree."""


class SyncFigures(Record):
    """What was done, since the sync began."""

    looked: int = Field(0, description="Looks at a record")
    to_sales: int = Field(0, description="Writes to rows of Sales")
    to_finance: int = Field(0, description="Writes to records of Finance")
    created: int = Field(0, description="Rows that were made in Sales")
    undone: int = Field(0, description="Values that somebody had changed on the side that does not own them")
    letters: int = Field(0, description="Letters that were written")
    ended: int = Field(0, description="Letters that a success has ended")

    def plus(self, other: SyncFigures) -> SyncFigures:
        """Both together."""
        return SyncFigures(**{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields})


class SyncView(Record):
    """A sync as people see it."""

    entity: str
    company: str
    running: bool = Field(False, description="It was started, and not stopped")
    resting: str = Field("", description="Why it writes nothing although it was started")
    failing: str = Field("", description="Why the last round did not come to its end")
    round_at: AwareDatetime | None = Field(None, description="When a round came to its end last")
    swept_at: AwareDatetime | None = Field(None, description="When all of Finance was read last")
    map_hash: str = ""
    waiting: int = Field(0, description="Records that have changed and were not looked at yet")
    lag_seconds: dict[Source, float] = Field(
        {}, description="How old the last change was when it was applied, at most, by who found it"
    )
    letters: dict[LetterCause, int] = Field({}, description="Letters that stand")
    figures: SyncFigures = SyncFigures()
    replays: int = Field(0, description="Runs that tried letters again")


class SyncStart(Record):
    """Which records are kept in step; the rest is what the run before it held (set when it continues as new)."""

    entity: EntityName
    company: Company
    every_seconds: int = Field(0, ge=0, le=86_400, description="Between two looks; 0: as the map says")
    sweep_seconds: int = Field(3_600, ge=1, le=86_400 * 7, description="Between two readings of all of Finance")
    view: SyncView | None = None
    sweep_at: datetime | None = None
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    unheard: tuple[SignedMessage, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)


class ReplayView(Record):
    """Letters that are tried again together."""

    replay: str
    dry_run: bool = False
    tried: int = Field(0, description="Letters that were taken up")
    done: int = Field(0, description="Letters that ended by it, or would")
    failed: int = Field(0, description="Letters that stand again, or would")
    waiting: int = 0
    ended: bool = False
    items: dict[str, str] = Field({}, description="Dry run: what would become of each letter; the first 500")


class ReplayStart(Record):
    """Which letters are tried again."""

    entity: EntityName
    company: Company
    replay: str = Field(max_length=200)
    letters: tuple[str, ...] = ()
    of_reason: str = ""
    of_cause: LetterCause | None = None
    of_key: str = ""
    dry_run: bool = False
    view: ReplayView | None = None
    after: str = ""
    queued: bool = False


def in_place_of_sync(writer: str) -> str:
    """Why a sync rests while something else writes its records; empty where nothing does."""
    return f"{writer} writes these records; the sync goes on when it has ended" if writer else ""
