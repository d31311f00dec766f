"""What happens to the credit of an order that is confirmed: looked at again, held, released, and shown so in Sales."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from domain.credit_facts import CreditDecision
from domain.order_stop import OrderStop
from domain.record import Record


class CreditRechecked(Record):
    """Credit of a confirmed order was decided again."""

    decision: CreditDecision | None = Field(None, description="None: nothing of the order is left to be invoiced")
    covers: int = Field(description="How often a look had been asked for when Finance was read")
    at: datetime = Field(description="UTC")


class OrderStopped(Record):
    """The order is kept from the warehouse in Finance from now on, or not any more."""

    stop: OrderStop


class HoldReleased(Record):
    """Finance was told that its own hold on the order is released."""


class HoldShown(Record):
    """Sales shows why the confirmed order is held; or that it is not any more."""

    text: str = Field("", description="As ``domain.credit_lifting`` says it; empty: it is not held")


RecheckFact = CreditRechecked | OrderStopped | HoldReleased | HoldShown
