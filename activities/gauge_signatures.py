"""What the activity that counts runs may be asked for; it is implemented where metrics are exported."""

from __future__ import annotations

from typing import Protocol

from activities.declaring import declares_activities
from activities.signatures import Nothing


@declares_activities
class GaugeActivities(Protocol):
    """Counting for metrics (task queue q2c-gauges)."""

    async def count_runs(self, nothing: Nothing) -> Nothing:
        """Count again and again, for hours; another worker goes on where this one stops."""
