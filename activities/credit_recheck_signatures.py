"""What a deal asks about the credit of its confirmed order, and has done about it: names, inputs and results."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.credit import ReleaseToken
from domain.credit_facts import CreditDecision
from domain.order_stop import OrderStop
from domain.record import Record


class RecheckCredit(Record):
    """Decide credit of a confirmed order again, on what Finance says now."""

    company: str
    customer_account: str
    credit_account: str = Field(description="Who is billed, and whose credit the order takes")
    deal_id: str
    order_key: str = Field(description="Our key of the order")
    currency: str = Field(description="Of the order")
    release: ReleaseToken | None = None


class RecheckedCredit(Record):
    """What was decided."""

    decision: CreditDecision | None = Field(None, description="None: nothing of the order is left to be invoiced")


class StopOrder(Record):
    """Keep a confirmed order from the warehouse, or let it go on."""

    company: str
    order_number: str = Field(description="SalesOrderNumber")
    stop: bool
    probe: bool = Field(False, description="An earlier try may have succeeded")


class StoppedOrder(Record):
    """Where the order stands."""

    stop: OrderStop


@declares_activities
class CreditRecheckActivities(Protocol):
    """Credit of confirmed orders (task queue q2c-finance)."""

    async def recheck_credit(self, ask: RecheckCredit) -> RecheckedCredit:
        """Read fresh credit facts, and ask the customer's ledger about what is left of the order."""

    async def stop_order(self, ask: StopOrder) -> StoppedOrder:
        """Mark the order in Finance as not to be processed, or take the mark back; one that is so already is left."""
