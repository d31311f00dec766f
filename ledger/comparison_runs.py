"""Comparisons and differences as the ledger keeps them; whoever names them needs no database."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from domain.entities.comparing import Difference
from domain.entities.comparison_view import ComparisonFigures
from domain.record import Record


class ComparisonRun(Record):
    """A comparison, as it is kept."""

    run_id: str
    entity: str
    company: str
    map_hash: str
    began_at: datetime
    ended_at: datetime
    whole: bool
    figures: ComparisonFigures


class KeptDifference(Difference):
    """A difference as it is kept."""

    difference_id: str
    entity: str
    company: str
    first_seen_at: datetime
    last_seen_at: datetime
    resolution: str = Field("", description="Empty: open")
    resolved_at: datetime | None = None
    resolved_name: str = Field("", description="Who settled it; empty: a comparison closed it")
    reason: str = ""

    def age_days(self, now: datetime) -> int:
        """Whole days since it was first seen."""
        return max(0, (now - self.first_seen_at).days)
