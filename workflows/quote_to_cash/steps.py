"""One step of a deal: an activity, and what happens when its patience runs out.

A system that does not answer is waited for: the deal says so and goes on by itself. A step that fails for good is
parked: it says why and what would help, and waits for a person to retry it, go on without it, or abort the deal.
No step fails the workflow for a reason a person could fix.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError, is_cancelled_exception

from domain import facts
from domain.causes import Cause
from domain.views import ParkedStep, Resolution
from runs import names
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.waiting import Waiting
from workflows.steps import NORMAL, UNKNOWN_LINES, Argument, Result, attempt, cause_of

LOOK_AGAIN = timedelta(seconds=30)
"""How long a deal waits before it tries a system again that did not answer six times in a row."""


class Steps:
    """Runs the steps of one deal, one at a time."""

    def __init__(self, record: DealRecord, waiting: Waiting) -> None:
        """Run steps for the deal of ``record``."""
        self._record = record
        self._waiting = waiting

    async def run(
        self,
        activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
        argument: Callable[[], Argument],
        *,
        queue: str,
        summary: str,
        priority: Priority = NORMAL,
        skipped: Result | None = None,
    ) -> Result:
        """Run an activity until it succeeds.

        Args:
            activity: what is to be done.
            argument: makes the activity's argument, anew for each try: what a person changed meanwhile counts.
            queue: task queue of the system it concerns.
            summary: what is attempted, in words.
            priority: its place in the queue.
            skipped: what it comes to where a person goes on without it; None: it must be done.

        Returns:
            The activity's result.

        Raises:
            Ended: the deal came to its end before the step succeeded.
        """
        step = activity.__name__
        while True:
            self._waiting.turn()
            try:
                result = await attempt(
                    activity, argument(), queue=queue, summary=summary, priority=priority, lines=self._lines
                )
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                cause, message = cause_of(error)
                self._record.doubt(step)
                if cause.passes:
                    await self._wait_for(queue, message)
                else:
                    resolution = await self.park(summary, step, cause, message, can_skip=skipped is not None)
                    if resolution is Resolution.SKIP and skipped is not None:
                        return skipped
            else:
                self._record.certain(step)
                if self._record.state.outage is not None:
                    self._record.apply(facts.Reachable(system=self._record.state.outage.system))
                return result

    @property
    def _lines(self) -> int:
        """How many lines the deal's documents have; a quote that was submitted again may have more than before."""
        state = self._record.state
        return state.header.line_count if state.accepted else UNKNOWN_LINES

    async def _wait_for(self, queue: str, message: str) -> None:
        system = {names.FINANCE_QUEUE: "Finance", names.DATAVERSE_QUEUE: "Sales"}.get(queue, "Temporal")
        if self._record.state.outage is None:
            self._record.apply(facts.Unreachable(system=system, since=workflow.now(), message=message))
        await self._waiting.until(lambda: False, patience=LOOK_AGAIN, summary=f"Waiting for {system}")

    async def park(
        self, summary: str, step: str, cause: Cause, message: str, *, can_skip: bool = False
    ) -> Resolution | None:
        """Wait until a person says how to go on.

        Args:
            summary: what was attempted, in words.
            step: name of the activity.
            cause: why it does not go on.
            message: what the system said.
            can_skip: whether the deal may go on without it.

        Returns:
            Retry or skip.

        Raises:
            Ended: the person aborted the deal.
        """
        parked = ParkedStep(
            step=summary,
            activity=step,
            cause=cause,
            message=message,
            suggestion=cause.suggestion,
            since=workflow.now(),
            failures=0,
            can_skip=can_skip,
        )
        self._record.apply(facts.StepParked(parked=parked))
        workflow.metric_meter().create_counter("q2c_parked", "Steps that wait for a person").add(1, {"cause": cause})
        await self._waiting.until(lambda: self._record.state.parked is None)
        return self._record.state.resolution
