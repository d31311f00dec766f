"""What the activity about deals that ended is called, takes and answers: it is implemented in ``after_end``."""

from __future__ import annotations

from temporalio import activity

from domain.after_end import FoundAfterEnd, LookAfterEnd


class AfterEndActivities:
    """Deals that ended (task queue q2c-finance)."""

    @activity.defn(name="look_after_end")
    async def look_after_end(self, look: LookAfterEnd) -> FoundAfterEnd:
        """Compare a deal that ended with Finance and Sales, and show in Sales what Finance holds now."""
        raise NotImplementedError
