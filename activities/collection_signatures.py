"""What the activities about collections are called, take and answer; their implementations stand in ``collecting``."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from activities.signatures import Nothing
from domain.collections import OpenItems, OrdersHeld
from domain.record import Record


class OpenItemsOf(Record):
    """Whose open transactions to read, and the invoices that are known already."""

    company: str
    account: str = Field(description="The account that is billed")
    known: tuple[str, ...] = ()


class HoldOrders(Record):
    """What a customer's credit ledger is told."""

    company: str
    account: str
    held: OrdersHeld


class ShowCollected(Record):
    """What the rep reads in Sales of what is collected for a deal."""

    deal_id: str = Field(description="Id of the deal, which may have ended")
    text: str = Field(max_length=2_000, description="Empty: nothing any more")


@declares_activities
class CollectedInSales(Protocol):
    """What Sales shows of what is collected (task queue q2c-dataverse)."""

    async def show_collected(self, show: ShowCollected) -> Nothing:
        """Say on a deal's own row what is collected for it: one write, whether the deal still runs or not."""


@declares_activities
class CollectionActivities(Protocol):
    """What is collected from an account (task queues q2c-finance and q2c)."""

    async def read_open_items(self, ask: OpenItemsOf) -> OpenItems:
        """Read all that is open of an account in Finance, to whom letters go, and the rules in force."""

    async def hold_orders(self, ask: HoldOrders) -> Nothing:
        """Tell a customer's credit ledger that orders are held, or not any more."""
