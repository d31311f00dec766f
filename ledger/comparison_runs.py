"""Comparisons and differences as the ledger keeps them; whoever names them needs no database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

from pydantic import Field

from domain.entities.comparing import Difference
from domain.entities.comparison_view import ComparisonFigures
from domain.record import Record

AGES: Final = (1, 7, 30)
"""Days by which the age of differences is told apart."""
State = Literal["open", "settled", "agrees", "any"]


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
    settled_id: str = Field("", description="Of the message that settled it or opened it again")

    def age_days(self, now: datetime) -> int:
        """Whole days since it was first seen."""
        return max(0, (now - self.first_seen_at).days)


class DifferenceFilter(Record):
    """Which differences are shown; what is empty does not narrow."""

    companies: tuple[str, ...] | None = Field(None, description="That the reader may see; None: all")
    entity: str = ""
    company: str = ""
    kind: str = ""
    field: str = ""
    owner: str = ""
    key: str = Field("", description="Beginning of the record's key")
    state: State = "open"
    older_than: int = Field(0, description="Days since it was first seen, at least")
    sort: Literal["key", "oldest", "newest"] = "key"
    after: str = Field("", description="Id of the last one of the page before")


class OpenCount(Record):
    """How many differences of a class are open."""

    entity: str
    company: str
    kind: str
    ages: tuple[int, ...] = Field(description="Younger than each of AGES, and older: four numbers")

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.ages)


class Coverage(Record):
    """What was last compared of an entity in a company."""

    last: ComparisonRun
    whole: ComparisonRun | None = Field(None, description="The last one of all records; None: there was none")


class DifferencePage(Record):
    """A page of differences, with what stands of all."""

    rows: tuple[KeptDifference, ...] = ()
    next: str = Field("", description="Id of the last one, where there are more")
    counts: tuple[OpenCount, ...] = ()
    coverage: Mapping[str, Coverage] = Field({}, description="By entity and company, as `customer/usmf`")
    fields: tuple[str, ...] = Field((), description="That differ anywhere among what is open")
