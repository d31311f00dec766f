"""A comparison as people see it: how far it is, and what it came to."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domain.entities.comparing import DifferenceClass
from domain.record import Record

Stage = Literal["opening", "planning", "reading", "comparing", "confirming", "keeping", "done"]


class ComparisonFigures(Record):
    """What a comparison counted."""

    finance_records: int = 0
    sales_records: int = 0
    requests: int = Field(0, description="Requests to both systems that were answered, tries that failed left out")
    candidates: int = Field(0, description="Records that differed at first sight and were read again")
    found: dict[DifferenceClass, int] = Field({}, description="Differences by class; TIMING is no difference any more")
    open: int = Field(0, description="Differences that stand")
    new: int = Field(0, description="Of these, those that did not stand before")
    gone: int = Field(0, description="Differences that stood before and were not found any more")


class ComparisonView(Record):
    """A comparison that goes on or has ended."""

    entity: str
    company: str
    run_id: str = Field("", description="Under which its differences are kept")
    stage: Stage = "opening"
    finance_done: int = Field(0, description="Parts of Finance that were read")
    finance_parts: int = Field(0, description="Parts there are, as far as they are planned")
    finance_records: int = 0
    sales_pages: int = 0
    sales_records: int = 0
    confirmed: int = Field(0, description="Candidates that were read again on both sides")
    candidates: int = 0
    requests: int = 0
    figures: ComparisonFigures | None = None
