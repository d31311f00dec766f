"""How long Sales is behind Finance: from what Finance posted to the write that shows it, measured for each entity.

Where a sweep found it in place of a business event, Finance says the day alone: it counts from when the deal heard of
it. What a run heard and has not shown when it continues as a new one is not measured.
"""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

from runs import names


class WriteBackLag:
    """Of one deal: since when Finance has what Sales does not show."""

    def __init__(self) -> None:
        """Sales shows everything."""
        self._since: datetime | None = None

    def heard(self, since: datetime | None = None) -> None:
        """Finance has something that Sales does not show yet.

        Args:
            since: when it came to be, UTC; None: now.
        """
        now = workflow.now()
        self._since = min(self._since or now, since or now, now)

    def shows(self, entity: str) -> None:
        """Sales shows an order, a shipment, an invoice or what is paid."""
        if self._since is None:
            return
        seconds = (workflow.now() - self._since).total_seconds()
        meter = workflow.metric_meter()
        lag = meter.create_histogram_float("q2c_write_back_lag_seconds", "Time until Sales shows what Finance has", "s")
        lag.record(seconds, {"entity": entity})
        count = workflow.extern_functions().get(names.LAG)
        if count is not None and not workflow.unsafe.is_replaying():
            count(workflow.info().workflow_id, entity, seconds)

    def caught_up(self) -> None:
        """Sales shows everything."""
        self._since = None
