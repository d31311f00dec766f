"""How both systems stand to each other, in numbers: for the page, the API and other programs. Pure."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from domain.entities.lags import SHOWN_DAYS, Lag
from domain.record import Record


class LetterCount(Record):
    """Changes that a sync could not apply."""

    company: str
    entity: str
    cause: str
    letters: int


class ParkedCount(Record):
    """Deals that wait for an operator."""

    cause: str = Field(description="Of the step that failed; empty: the deal shows none")
    deals: int


class SidesCount(Record):
    """Records of both sides, as the last comparison of all of them counted."""

    company: str
    entity: str
    compared_at: AwareDatetime
    finance_records: int
    sales_records: int


class AgeCount(Record):
    """Differences that stand, by how long they have."""

    company: str
    entity: str
    kind: str = Field(description="Class of difference")
    ages: tuple[int, int, int, int] = Field(description="Up to a day, a week, a month; older")


class DataOverview(Record):
    """How both systems stand to each other, in the companies that the reader may see."""

    days: int = Field(SHOWN_DAYS, description="What lags are about: so many days, today among them")
    lags: tuple[Lag, ...] = ()
    letters: tuple[LetterCount, ...] = ()
    parked: tuple[ParkedCount, ...] = ()
    parked_known: bool = Field(True, description="Temporal answered")
    parked_more: bool = Field(False, description="More deals are parked than were looked at")
    sides: tuple[SidesCount, ...] = ()
    ages: tuple[AgeCount, ...] = ()
