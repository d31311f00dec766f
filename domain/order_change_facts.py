"""What happens to an order that is changed or cancelled from here: what people ask, and what Finance makes of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from domain.changing import MOST_LINES, LineChange
from domain.people import Person
from domain.record import Record


class OrderChangeAsked(Record):
    """A person wants the order cancelled as far as it is not shipped, or lines of it made smaller."""

    lines: tuple[LineChange, ...] = Field((), max_length=MOST_LINES, description="Empty: all that is not shipped")
    reason: str
    by: Person
    at: datetime = Field(description="UTC")


class OrderChangeMade(Record):
    """Finance took a change of the order; what it made of it is to be read."""

    lines: tuple[LineChange, ...] = Field((), description="What was asked: which change it belongs to")
    order_number: str
    cancelled: Decimal = Field(description="Of all lines; 0: it was done before")
    refused: tuple[str, ...] = Field((), description="What of it could not be, each with its code, in words")


class OrderChangeFailed(Record):
    """Finance did not take a change of the order; it is tried again."""

    lines: tuple[LineChange, ...] = Field((), description="What was asked: which change it belongs to")
    cause: str = Field(description="A value of ``domain.causes.Cause``")
    message: str
    at: datetime = Field(description="UTC")


class OrderChangeDue(Record):
    """A change of the order that rested is tried again."""

    reason: str


class OrderAbsent(Record):
    """Finance was proved to have no such order, when it was to be cancelled."""

    order_number: str


ChangeFact = OrderChangeAsked | OrderChangeMade | OrderChangeFailed | OrderChangeDue | OrderAbsent
