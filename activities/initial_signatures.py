"""What a dry run asks for beside what a comparison does; the implementation stands in ``planning``."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from activities.comparison_signatures import OfRun
from activities.declaring import declares_activities
from domain.entities.comparison_view import ComparisonFigures
from domain.entities.initial import DryRun, Writers, WritersStart


class MakePlan(OfRun):
    """The plan of a dry run whose candidates were read again."""

    run_id: str
    entity: str
    company: str
    map_hash: str
    began_at: datetime
    ended_at: datetime
    figures: ComparisonFigures


@declares_activities
class PlanBulkActivities(Protocol):
    """What is made of a dry run (task queue q2c-finance-bulk)."""

    async def make_plan(self, ask: MakePlan) -> DryRun:
        """Write down what would be done with each record, and keep the run in the ledger; no request."""


@declares_activities
class WriterBulkActivities(Protocol):
    """What is asked before a first sync may begin (task queue q2c-dataverse-bulk)."""

    async def read_running_maps(self, ask: WritersStart) -> Writers:
        """Read which maps Dual-Write runs: two requests."""
