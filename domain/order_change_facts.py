"""What happens to an order that is changed or cancelled from here: what people ask, and what Finance makes of it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import Field

from domain.approvals import ApprovalPlan
from domain.credit_facts import CreditDecision
from domain.growing import LargerOrder, RaisedLine
from domain.line_change import MOST_LINES, LineChange
from domain.people import Person
from domain.record import Record


class OrderChangeAsked(Record):
    """A person wants the order cancelled as far as it is not shipped, or lines of it made smaller or
    larger.
    """

    lines: tuple[LineChange, ...] = Field((), max_length=MOST_LINES, description="Empty: all that is not shipped")
    reason: str
    by: Person
    at: datetime = Field(description="UTC")


class OrderChangeMade(Record):
    """Finance took a change of the order; what it made of it is to be read."""

    lines: tuple[LineChange, ...] = Field((), description="What was asked: which change it belongs to")
    order_number: str
    cancelled: Decimal = Field(description="Of all lines; 0: it was done before")
    raised: Decimal = Field(Decimal(0), description="Of all lines that became larger, likewise")
    confirmation_number: str = Field("", description="Of the larger order; empty: it was not confirmed again")
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


class LargerOrderSeen(Record):
    """What a larger order comes to was looked at: prices, approval, and credit where nobody has to approve."""

    number: int = Field(description="Which change it belongs to")
    refused: str = Field("", description="Why it cannot be, with its code, in words; empty: it can")
    larger: LargerOrder | None = Field(None, description="None: nothing of the order becomes larger")
    raised: tuple[RaisedLine, ...] = Field((), max_length=MOST_LINES)
    decision: CreditDecision | None = Field(None, description="Credit for the difference; None: approval comes first")
    credit: str = Field("", description="Its entry in the ledger of the customer's credit")


class LargerOrderAsked(Record):
    """Approvers are asked about the order as it would be."""

    number: int = Field(description="Which change it belongs to")
    n: int = Field(description="Number of the request")
    plan: ApprovalPlan
    at: datetime = Field(description="UTC")


class LargerOrderNotAsked(Record):
    """Nobody could be asked about the order as it would be."""

    number: int = Field(description="Which change it belongs to")
    reason: str


class OrderAbsent(Record):
    """Finance was proved to have no such order, when it was to be cancelled."""

    order_number: str


class OrderedShown(Record):
    """Sales shows in which quantities Finance has the order."""

    changes: tuple[str, ...] = Field((), max_length=60, description="In words; none: as it was sold")


ChangeFact = (
    OrderChangeAsked
    | LargerOrderSeen
    | LargerOrderAsked
    | LargerOrderNotAsked
    | OrderChangeMade
    | OrderChangeFailed
    | OrderChangeDue
    | OrderAbsent
    | OrderedShown
)
