"""What a look of shadow mode may ask of the outside world: names, inputs, results."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.messages import SalesEvent
from domain.record import Record


class LookInShadow(Record):
    """Decide about a quote as it is now, because of what people did with it."""

    event: SalesEvent


class LookedInShadow(Record):
    """What was decided and kept, in a few words; the rest stands in the ledger."""

    decision: str
    order: str = Field("", description="Number of the order that people entered; empty: none was found")


@declares_activities
class ShadowActivities(Protocol):
    """Looks at a quote of a company in shadow mode (task queue q2c-finance). They read, and keep what they found."""

    async def look_in_shadow(self, ask: LookInShadow) -> LookedInShadow:
        """Decide about a quote as its deal would, and keep it."""

    async def find_order_in_shadow(self, ask: LookInShadow) -> LookedInShadow:
        """Look for the order that people entered in Finance for a quote, compare it, and keep it."""
