"""What a deal asks of Finance to have its order changed, and of Sales to show it: names, inputs and results."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field
from temporalio import activity

from activities.signatures import Nothing
from domain.changing import LineChange
from domain.record import Record


class ChangeOrder(Record):
    """Make lines of an order smaller, or cancel all that is not shipped."""

    company: str
    order_number: str = Field(description="SalesOrderNumber, or our key where it is not known whether there is one")
    lines: tuple[LineChange, ...] = Field((), description="Empty: all that is not shipped")
    probe: bool = Field(False, description="An order may have been made under our key: look for it, twice")


class ChangedOrder(Record):
    """What was done in Finance."""

    order_number: str
    absent: bool = Field(False, description="Finance has no such order")
    cancelled: Decimal = Field(Decimal(0), description="Of all lines; 0: nothing was left to do")
    refused: tuple[str, ...] = Field((), description="What could not be, each with its code, in words")


class ShowCancelling(Record):
    """Show in Sales that the order is being cancelled, and is not cancelled yet."""

    quote_id: str


class OrderChangeActivities:
    """Changes of orders in Finance (task queue q2c-finance)."""

    @activity.defn(name="change_order")
    async def change_order(self, ask: ChangeOrder) -> ChangedOrder:
        """Cancel what is left of an order's lines; what was done before is not done again."""
        raise NotImplementedError


class SalesChangeActivities:
    """What Sales shows of a change (task queue q2c-dataverse)."""

    @activity.defn(name="show_cancelling")
    async def show_cancelling(self, show: ShowCancelling) -> Nothing:
        """Say on the deal's own row what it waits for; the order itself is left as it is."""
        raise NotImplementedError
