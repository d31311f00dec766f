"""Who counts: one worker of all, however many there are.

Deals open, parked and overdue are counted in Temporal's lists, which costs the same for one worker as for all. The run
holds one long activity; a worker that stops or dies hands it to another within seconds, and what it counted last is
exported no longer.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.gauge_signatures import GaugeActivities
    from activities.signatures import Nothing
    from runs import names
    from workflows.steps import LOOK_AGAIN, cause_of, execute

A_SHIFT = timedelta(hours=12)
"""How long one worker counts before the run goes on as a new one."""
SILENCE = timedelta(seconds=20)
"""How long after its last sign of life another worker counts."""
_AT_ONCE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))


@workflow.defn(name=names.GAUGES)
class Gauges:
    """Has one worker count, forever."""

    @workflow.run
    async def run(self, nothing: Nothing) -> None:
        """Hand out one shift after another; one that ended otherwise is followed by the next after a rest."""
        try:
            await execute(
                GaugeActivities.count_runs,
                nothing,
                task_queue=names.GAUGE_QUEUE,
                start_to_close_timeout=2 * A_SHIFT,
                heartbeat_timeout=SILENCE,
                retry_policy=_AT_ONCE,
                summary="Count deals, requests and failing runs for metrics",
            )
        except ActivityError as error:
            workflow.logger.error("nobody counts for a while: %s", ": ".join(cause_of(error)))
            await workflow.sleep(LOOK_AGAIN, summary="Until somebody counts again")
        workflow.continue_as_new(nothing)
