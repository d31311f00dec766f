"""What the waits for a system are called, take and answer: their implementation stands in ``reaching``."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from activities.signatures import Nothing
from domain.record import Record


class WaitForSystem(Record):
    """Who waits, and for how long the customer has."""

    deal_id: str
    accepted: bool = Field(description="The customer has accepted: such deals go before quotes")
    promised: datetime = Field(description="What the customer waits for is due then, UTC; the oldest goes first")


@declares_activities
class ReachActivities(Protocol):
    """Waits that end when a system answers again (task queue of that system). Each is tried without end: a wait of
    hours is a single activity in the deal's history.
    """

    async def wait_for_sales(self, wait: WaitForSystem) -> Nothing:
        """Return when requests may be sent to Sales."""

    async def wait_for_finance(self, wait: WaitForSystem) -> Nothing:
        """Return when requests may be sent to Finance."""
