"""What the activities about deals that ended are called, take and answer, and those about what no deal takes.

They are implemented in ``after_end`` and ``unclaimed``.
"""

from __future__ import annotations

from temporalio import activity

from domain.after_end import FoundAfterEnd, LookAfterEnd
from domain.unclaimed import Offer, Taken


class AfterEndActivities:
    """Deals that ended (task queue q2c-finance)."""

    @activity.defn(name="look_after_end")
    async def look_after_end(self, look: LookAfterEnd) -> FoundAfterEnd:
        """Compare a deal that ended with Finance and Sales, and show in Sales what Finance holds now."""
        raise NotImplementedError

    @activity.defn(name="offer_again")
    async def offer_again(self, offer: Offer) -> Taken:
        """Offer the deals again what none took."""
        raise NotImplementedError
