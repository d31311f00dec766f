"""What lines of an order are to come to: what a person asks for, and what a request for approval is about."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from pydantic import Field

from domain.record import Record

MOST_LINES: Final = 100
"""Lines that one change may name; all of an order are cancelled without naming them."""


class LineChange(Record):
    """What one line is to come to."""

    line_no: int = Field(ge=1, le=2**31 - 1, description="The deal's number of the quote's line")
    quantity: Decimal = Field(
        ge=0,
        le=10**15,
        max_digits=28,
        decimal_places=10,
        description="In all, what is shipped included; 0 cancels the line",
    )
