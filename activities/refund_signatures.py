"""What a deal asks of Finance about money that is paid back: its implementation stands in ``refunds``."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.record import Record


class PrepareRefund(Record):
    """Put a refund that two persons agreed on into a payment journal of Finance, once, without posting it."""

    company: str
    mark: str = Field(description="The client's key of the refund: Q2C-…; it stands in the line's payment reference")
    of: str = Field(description="Number of the payment or credit note that it pays back")
    is_note: bool = Field(description="It is a credit note, which the line can mark to be settled")
    record: int = Field(description="SysRecId of its customer transaction")
    amount: Decimal
    currency: str


class PreparedRefund(Record):
    """The line of a refund."""

    journal: str = Field("", description="Number of its journal; empty: it has to be entered by hand, or is refused")
    refused: str = Field("", description="Why nothing was prepared, in words; empty: nothing stands against it")


@declares_activities
class RefundActivities(Protocol):
    """Refunds (task queue q2c-finance)."""

    async def prepare_refund(self, ask: PrepareRefund) -> PreparedRefund:
        """Find the line, or make it where what it pays back is still unapplied. Nothing is posted."""
