"""What the activities of a sync are called, take and answer; their implementations stand in ``syncing``.

Records never pass through a workflow: what changed lies in the ledger until it was looked at.
"""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.entities.letters import LetterStatus
from domain.entities.merge import LetterCause
from domain.entities.sync_records import Source
from domain.entities.sync_run import ReplayStart, SyncFigures
from domain.entities.sync_said import Taken, Word
from domain.record import Record


class OfSync(Record):
    """Which sync something is done for."""

    entity: str
    company: str


class OpenedSync(Record):
    """What it follows now."""

    map_hash: str = ""
    every_seconds: int = Field(20, description="Between two looks, as the map says")
    resting: str = Field("", description="Why nothing is written; empty: it is")


class ChangesRead(Record):
    """What a page of changes held."""

    found: int = Field(0, description="Records that are to be looked at")
    known: int = Field(0, description="Our own writes, and what was looked at before")
    more: bool = Field(False, description="Another page follows")
    expired: str = Field("", description="Why Sales does not take the link to its changes any more; all is read anew")


class ApplyChanges(OfSync):
    """Look at records that have changed."""

    most: int = Field(50, ge=1, le=200)


class Applied(Record):
    """What looks at some records came to."""

    figures: SyncFigures = SyncFigures()
    due: int = Field(0, description="Records that are still to be looked at now")
    waiting: int = Field(0, description="Those that are to be looked at at all")
    lag_seconds: dict[Source, float] = Field({}, description="Of the oldest change that was applied, by who found it")
    letters: dict[LetterCause, int] = Field({}, description="Letters that stand")
    resting: str = Field("", description="Why nothing was written")


class SettleLetter(OfSync):
    """What a person says of a letter."""

    word: Word


class SomeLetters(Record):
    """The next letters of a replay."""

    start: ReplayStart
    after: str = ""


class Tried(Record):
    """What would become of some letters, or how many were taken up."""

    letters: int
    last: str = ""
    done: int = Field(0, description="Dry run: would end")
    items: dict[str, str] = Field({}, description="Dry run: in words, by letter")


class LookAtReplay(Record):
    """How the letters of a replay stand."""

    replay: str


class ReplayResults(Record):
    """Letters of a replay by how they stand."""

    letters: dict[LetterStatus, int]


@declares_activities
class SalesSyncActivities(Protocol):
    """What a sync reads of Sales (task queue q2c-dataverse-bulk)."""

    async def open_sync(self, ask: OfSync) -> OpenedSync:
        """Say what is kept in step by which map, and whether it may be."""

    async def read_sales_changes(self, ask: OfSync) -> ChangesRead:
        """Read the next page of what changed in Sales: one request."""


@declares_activities
class FinanceSyncActivities(Protocol):
    """What a sync reads of Finance, and what it does (task queue q2c-finance-bulk)."""

    async def read_finance_changes(self, ask: OfSync) -> ChangesRead:
        """Read the next page of what Finance's own time of change says: one request."""

    async def sweep_finance_records(self, ask: OfSync) -> ChangesRead:
        """Read the next part of all records of Finance: one request."""

    async def apply_changes(self, ask: ApplyChanges) -> Applied:
        """Look at records that have changed on both sides, and write what is to be."""

    async def settle_letter(self, ask: SettleLetter) -> Taken:
        """Carry out what a person says of a letter; no request."""

    async def try_letters(self, ask: SomeLetters) -> Tried:
        """Say what would become of some letters; nothing is written."""

    async def queue_letters(self, ask: SomeLetters) -> Tried:
        """Have some letters tried again by their sync; no request."""

    async def look_at_replay(self, ask: LookAtReplay) -> ReplayResults:
        """Say how the letters of a replay stand; no request."""
