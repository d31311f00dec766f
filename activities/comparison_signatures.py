"""What the activities of a comparison are called, take and answer; their implementations stand in ``comparing``.

Records never pass through a workflow: they lie in pages, and what is told is how many there are.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.entities.comparison_view import ComparisonFigures
from domain.record import Record

FINANCE_CHUNK = 5_000
"""Candidates read again in Finance in one request: 500 reads."""
SALES_CHUNK = 1_000
"""Candidates read again in Sales in one request: a read each, and Dataverse takes no more."""


class OfRun(Record):
    """The comparison something is done for, by the place of its pages."""

    place: str = Field(max_length=300)


class OpenComparison(OfRun):
    """Which map is compared in which company."""

    entity: str
    company: str


class OpenedComparison(Record):
    """What it follows."""

    map_hash: str
    requests: int = 0


class CountParts(OfRun):
    """The next count of parts of Finance."""

    count: int = Field(ge=0, description="Counts before it")
    sample: int = Field(0, description="Records of a part at most, of which one is read; 0: all")
    outgrown: tuple[int, ...] = Field((), description="Parts that no longer fit into a page")


class CountedParts(Record):
    """How far Finance is cut into parts."""

    open: int
    parts: int
    requests: int = 0


class ReadPage(OfRun):
    """A part of Finance, or a page of Sales, by its number."""

    number: int = Field(ge=0)


class PageRead(Record):
    """What a page holds."""

    records: int = 0
    more: bool = Field(False, description="Another page follows")
    outgrown: bool = Field(False, description="It is no page: the part has to be cut further")
    requests: int = Field(0, description="None where the page was there already")


class Candidates(Record):
    """Records that differ at first sight."""

    records: int


class JudgeComparison(OfRun):
    """What is kept of a comparison whose candidates were read again."""

    run_id: str
    entity: str
    company: str
    map_hash: str
    began_at: datetime
    ended_at: datetime
    whole: bool
    figures: ComparisonFigures
    keep_records: bool = False


@declares_activities
class SalesBulkActivities(Protocol):
    """What is read of Sales in bulk (task queue q2c-dataverse-bulk)."""

    async def open_comparison(self, ask: OpenComparison) -> OpenedComparison:
        """Say what is read and how it is compared, from the map in force and what Dataverse calls its parts."""

    async def read_sales_page(self, ask: ReadPage) -> PageRead:
        """Read the next page of Sales: one request."""

    async def confirm_in_sales(self, ask: ReadPage) -> PageRead:
        """Read some candidates again in Sales: one request."""


@declares_activities
class FinanceBulkActivities(Protocol):
    """What is read of Finance in bulk, and what is made of both (task queue q2c-finance-bulk)."""

    async def count_parts(self, ask: CountParts) -> CountedParts:
        """Cut Finance's records further into parts that are one answer each: one request."""

    async def read_part(self, ask: ReadPage) -> PageRead:
        """Read a part of Finance whole: one request."""

    async def confirm_in_finance(self, ask: ReadPage) -> PageRead:
        """Read some candidates again in Finance: one request."""

    async def find_candidates(self, ask: OfRun) -> Candidates:
        """Join what was read of both sides; no request."""

    async def judge_comparison(self, ask: JudgeComparison) -> ComparisonFigures:
        """Keep in the ledger what differed both times, and records if asked to; remove the pages; no request."""
