"""What the activities of a history are called, take and answer; their implementations stand in ``history``.

Records never pass through a workflow: it keeps how far reading is, and numbers.
"""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.entities.history_run import HistoryFigures, HistoryKind, Place
from domain.record import Record


class OfHistory(Record):
    """Which history something is done for."""

    kind: HistoryKind
    company: str


class OpenedHistory(Record):
    """What it follows."""

    map_hash: str
    timezone: str = Field(description="The company's")


class CopyPage(OfHistory):
    """Take over the next records: those behind a place."""

    place: Place


class PageCopied(Record):
    """What a page came to."""

    figures: HistoryFigures
    place: Place = Field(description="Behind its last record")
    more: bool = Field(description="Another page may follow")
    problem: str = Field("", max_length=500, description="What Sales said where it did not take a record")


class HistoryCounted(Record):
    """Records that Finance has."""

    records: int


@declares_activities
class HistoryActivities(Protocol):
    """What a history does (task queue q2c-finance-bulk)."""

    async def open_history(self, ask: OfHistory) -> OpenedHistory:
        """Say what is taken over by which map; one look at the definitions of Sales."""

    async def copy_page(self, ask: CopyPage) -> PageCopied:
        """Read a page of Finance, and write what Sales has not: one request, one look, one batch of writes."""

    async def count_history(self, ask: OfHistory) -> HistoryCounted:
        """Count the records of Finance; one request."""
