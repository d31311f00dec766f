"""Facts about values that people give for steps of which they know what came of them (``domain.given``)."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from domain.given import LONGEST
from domain.people import Person
from domain.record import Record


class ValueGiven(Record):
    """A person says with which value a parked step has ended."""

    value: str = Field(min_length=1, max_length=LONGEST)
    reason: str
    by: Person
    at: datetime = Field(description="UTC")
