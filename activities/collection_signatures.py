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


@declares_activities
class CollectionActivities(Protocol):
    """What is collected from an account (task queues q2c-finance and q2c)."""

    async def read_open_items(self, ask: OpenItemsOf) -> OpenItems:
        """Read all that is open of an account in Finance, to whom letters go, and the rules in force."""

    async def hold_orders(self, ask: HoldOrders) -> Nothing:
        """Tell a customer's credit ledger that orders are held, or not any more."""
