"""What a deal asks of Finance to have its order changed, and of Sales to show it: names, inputs and results."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from activities.signatures import Nothing, QuoteRef
from domain.credit_facts import CreditDecision
from domain.growing import LargerOrder, RaisedLine
from domain.line_change import MOST_LINES, LineChange
from domain.people import Person
from domain.price_look import PinnedPrices
from domain.reapproval import PastRequest
from domain.record import Record


class ChangeOrder(Record):
    """Make lines of an order smaller or larger, or cancel all that is not shipped."""

    company: str
    order_number: str = Field(description="SalesOrderNumber, or our key where it is not known whether there is one")
    lines: tuple[LineChange, ...] = Field((), description="Empty: all that is not shipped")
    raised: tuple[RaisedLine, ...] = Field(
        (), max_length=MOST_LINES, description="Lines that may become larger, and how they are put to Finance"
    )
    probe: bool = Field(False, description="An order may have been made under our key: look for it, twice")


class ChangedOrder(Record):
    """What was done in Finance."""

    order_number: str
    absent: bool = Field(False, description="Finance has no such order")
    cancelled: Decimal = Field(Decimal(0), description="Of all lines; 0: nothing was left to do")
    raised: Decimal = Field(Decimal(0), description="Of all lines, likewise")
    confirmation_number: str = Field("", description="Of the larger order; empty: it was not confirmed again")
    refused: tuple[str, ...] = Field((), description="What could not be, each with its code, in words")


class LookAtLarger(Record):
    """Look at an order as it would be with other quantities: prices, approval, and credit where nobody has to approve.

    Credit is reserved for the difference, where nothing else is in its way.
    """

    quote: QuoteRef
    approved_hash: str
    order_number: str = Field(description="SalesOrderNumber")
    customer_account: str
    credit_account: str = Field(description="Who is billed, and whose credit the order takes")
    lines: tuple[LineChange, ...] = Field(max_length=MOST_LINES)
    asked_by: Person
    asked_at: datetime = Field(description="UTC")
    expires_at: datetime | None = Field(None, description="End of the quote's validity, UTC")
    pinned: PinnedPrices | None = Field(None, description="What the quote was approved at; None: not known any more")
    past: tuple[PastRequest, ...] = Field((), description="What was approved before")
    approved: str = Field("", description="What of this change was approved (``LargerOrder.asked_for``)")
    submitted_by: str = Field("", description="Dataverse's id of the user who submitted it; empty: not known")
    credit: str = Field(description="The entry in the ledger of the customer's credit to reserve it under")


class LargerLooked(Record):
    """What an order would come to, and what stands in its way."""

    refused: str = Field("", description="Why it cannot be, with its code, in words; empty: it can")
    larger: LargerOrder | None = Field(None, description="None: nothing of the order becomes larger")
    raised: tuple[RaisedLine, ...] = ()
    decision: CreditDecision | None = Field(None, description="None where it has to be approved first")


class ShowCancelling(Record):
    """Show in Sales that the order is being cancelled, and is not cancelled yet."""

    quote_id: str


class ShowOrdered(Record):
    """Show in Sales which quantities of the order are not those of its lines there."""

    quote_id: str
    changes: tuple[str, ...] = Field((), description="In words, line by line; none: they are the same again")


@declares_activities
class OrderChangeActivities(Protocol):
    """Changes of orders in Finance (task queue q2c-finance)."""

    async def change_order(self, ask: ChangeOrder) -> ChangedOrder:
        """Cancel what is left of an order's lines, or raise them; what was done before is not done again."""


@declares_activities
class LargerOrderActivities(Protocol):
    """Looks at an order with more of a line (task queue q2c-finance)."""

    async def look_at_larger(self, look: LookAtLarger) -> LargerLooked:
        """Look at an order as it would be; where nobody has to approve, reserve credit for the difference."""


@declares_activities
class SalesChangeActivities(Protocol):
    """What Sales shows of a change (task queue q2c-dataverse)."""

    async def show_cancelling(self, show: ShowCancelling) -> Nothing:
        """Say on the deal's own row what it waits for; the order itself is left as it is."""

    async def show_ordered(self, show: ShowOrdered) -> Nothing:
        """Say on the deal's own row what Finance has of the order; its lines in Sales are read-only."""
