"""What the activities of a map's change are called, take and answer; ``map_changing`` carries them out."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.entities.map_run import MapChangeStart
from domain.record import Record
from domain.refusals import Refusal


class StepDone(Record):
    """What became of a step: a code where it was refused, and the words."""

    code: Refusal | None = None
    text: str = ""


class Rehearsed(Record):
    """What a dry run after the approvals found."""

    moved: tuple[str, ...] = Field((), description="What is no more as it was approved; empty: it is")
    reading: tuple[str, ...] = Field((), description="Companies where records are read only: no sync runs there")
    writing: tuple[str, ...] = Field((), description="Companies whose sync tries the map")
    text: str = Field("", description="What is not tried, and why")


class ReadRecords(Record):
    """Records of one company that are read by the proposed map."""

    start: MapChangeStart
    company: str


class RecordsRead(Record):
    """How many were read now; none: there are no more."""

    records: int


class TriedSoFar(Record):
    """What came of the records on which a map is tried."""

    waiting: int
    failed: str = Field("", description="Why the change ends; empty: nothing is wrong so far")
    looked: int = 0


class EndChange(Record):
    """The end of a change, or that it comes into force."""

    start: MapChangeStart
    text: str = ""
    is_stale: bool = False


class Queued(Record):
    """Records that their sync looks at once the map is in force."""

    records: int


@declares_activities
class MapChangeActivities(Protocol):
    """What is done for the change of a map (task queue q2c-finance-bulk)."""

    async def begin_map_change(self, ask: MapChangeStart) -> StepDone:
        """Begin to put an approved map in force; no request."""

    async def rehearse_map_change(self, ask: MapChangeStart) -> Rehearsed:
        """Make the plan again, hold it against the approved one, and choose records to try the map on; no request."""

    async def read_map_records(self, ask: ReadRecords) -> RecordsRead:
        """Look at chosen records of a company by the proposed map; nothing is written."""

    async def see_map_tried(self, ask: MapChangeStart) -> TriedSoFar:
        """Say what came of the records so far; no request."""

    async def end_map_change(self, ask: EndChange) -> StepDone:
        """End a change that is not in force; what was tried is taken back."""

    async def activate_map(self, ask: EndChange) -> StepDone:
        """Put the map in force, unless something has moved; no request."""

    async def queue_map_records(self, ask: MapChangeStart) -> Queued:
        """Note every record whose values the change moves: they are looked at once the map is in force; no request."""
