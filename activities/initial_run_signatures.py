"""What the activities of a real initial sync, and of its undo, are called, take and answer.

They stand in ``initial_writing`` and ``initial_undoing``.

Records never pass through a workflow: the plan lies in pages, and what became of each record does too.
"""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.entities.initial_run import PageWritten
from domain.record import Record
from domain.refusals import Refusal


class OfInitialRun(Record):
    """Which run something is done for."""

    entity: str
    company: str
    writer: str = Field(max_length=200, description="Workflow id")


class OpenedRun(Record):
    """What is to be done, or why nothing is."""

    code: Refusal | None = None
    why: str = ""
    map_hash: str = ""
    plan_hash: str = ""
    dry_run: str = ""
    records: int = 0
    first: int = 0
    pages: int = 0
    left_alone: int = 0


class OfPlan(OfInitialRun):
    """A run whose plan was cut into pages."""

    dry_run: str = Field(max_length=100)
    map_hash: str


class WritePage(OfPlan):
    """A page of the plan."""

    page: int = Field(ge=0)


class OfUndo(OfInitialRun):
    """Which run is undone."""

    dry_run: str = Field(max_length=100, description="Whose plan was carried out")


class SeedSome(OfPlan):
    """Some records that agreed."""

    after: int = Field(0, ge=0, description="Records of the plan before them")


class Seeded(Record):
    """How many a sync knows of now."""

    known: int
    after: int = 0
    more: bool = False


class LeftWriting(Record):
    """Somebody else may write now."""


@declares_activities
class InitialRunActivities(Protocol):
    """What a real initial sync does (task queue q2c-finance-bulk)."""

    async def open_initial_run(self, ask: OfInitialRun) -> OpenedRun:
        """Hold what the gate allowed against what is in force, and cut its plan into pages."""

    async def write_initial_page(self, ask: WritePage) -> PageWritten:
        """Write the records of a page that are as the dry run saw them, and read them back."""

    async def seed_agreed(self, ask: SeedSome) -> Seeded:
        """Have the sync know what agreed; no request."""

    async def leave_writing(self, ask: OfInitialRun) -> LeftWriting:
        """Let the sync write again."""


@declares_activities
class InitialUndoActivities(Protocol):
    """What undoes one (task queue q2c-finance-bulk)."""

    async def open_initial_undo(self, ask: OfUndo) -> OpenedRun:
        """Look whether what a run kept is there, and by the map in force; no request to write."""

    async def look_at_undo(self, ask: WritePage) -> PageWritten:
        """Read the records of a page, and keep what would become of them; nothing is written."""

    async def undo_initial_page(self, ask: WritePage) -> PageWritten:
        """Undo the records of a page that are as the run left them, and read them back."""
