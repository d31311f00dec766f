"""What the activity about deals that ended is called, takes and answers: it is implemented in ``after_end``."""

from __future__ import annotations

from typing import Protocol

from activities.declaring import declares_activities
from domain.after_end import FoundAfterEnd, LookAfterEnd


@declares_activities
class AfterEndActivities(Protocol):
    """Deals that ended (task queue q2c-finance)."""

    async def look_after_end(self, look: LookAfterEnd) -> FoundAfterEnd:
        """Compare a deal that ended with Finance and Sales, and show in Sales what Finance holds now."""
