"""One step of a deal: an activity, and what happens when its patience runs out.

A system that does not answer is waited for: the deal says so and goes on by itself. A step that fails for good is
parked: it says why and what would help, and waits for a person to retry it, go on without it, or abort the deal.
No step fails the workflow for a reason a person could fix, and none outlasts its purpose: it is given up where the deal
has ended, or where what happened meanwhile made it needless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityHandle

from activities.reaching_signatures import ReachActivities, WaitForSystem
from activities.signatures import MarkQuote, SalesActivities
from domain import facts
from domain.causes import Cause
from domain.views import ParkedStep, Resolution
from runs import names
from workflows.quote_to_cash.record import DealRecord
from workflows.quote_to_cash.waiting import Ended, Waiting
from workflows.steps import (
    LONGEST_MESSAGE,
    LOOK_AGAIN,
    NORMAL,
    ONCE,
    PROBES,
    UNKNOWN_LINES,
    UNTIL_IT_ANSWERS,
    URGENT,
    Argument,
    Result,
    begin,
    cause_of,
    evidence_of,
    or_cancelled,
)

_LEAVES_SOMETHING = frozenset({"prepare_order", "create_order", "confirm_order", "change_order", "look_at_larger"})
"""Activities whose effect outlives the deal: given up, their end is waited for, so that it is cleaned up after."""


@dataclass(frozen=True)
class Failure:
    """Why an activity did not succeed."""

    cause: Cause
    message: str


class Overtaken(Exception):
    """What happened meanwhile made the step needless."""


def _never() -> bool:
    return False


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
        overtaken: Callable[[], bool] = _never,
    ) -> Result:
        """Run an activity until it succeeds.

        Args:
            activity: what is to be done.
            argument: makes the activity's argument, anew for each try: what changed meanwhile counts.
            queue: task queue of the system it concerns.
            summary: what is attempted, in words.
            priority: its place in the queue.
            skipped: what it comes to where a person goes on without it; None: it must be done.
            overtaken: whether it is needless by now; asked while it waits, not while it is tried.

        Returns:
            The activity's result.

        Raises:
            Ended: the deal came to its end before the step succeeded.
            Overtaken: it is needless by now.
        """
        step = activity.__name__
        if self._record.state.parked is not None:  # this run goes on where the one before waited for a person
            resolution = await self._waiting.resumed(overtaken)
            if self._goes_on_without(resolution, summary) and skipped is not None:
                return skipped
        unknown = 0
        while True:
            await self._waiting.turn()
            try:
                result = await self._try(activity, argument(), queue=queue, summary=summary, priority=priority)
            except ActivityError as error:
                cause, message = cause_of(error)
                self._record.doubt(step)
                if cause.passes:
                    pause = LOOK_AGAIN
                    if cause is Cause.UNKNOWN_OUTCOME:
                        pause, unknown = PROBES[min(unknown, len(PROBES) - 1)], unknown + 1
                    await self._wait_for(queue, message, summary, overtaken, pause)
                    continue
                resolution = await self.park(
                    summary, step, cause, message, evidence_of(error), can_skip=skipped is not None, overtaken=overtaken
                )
                if resolution is Resolution.SKIP and skipped is not None:
                    return skipped
            else:
                self._record.certain(step)
                if self._record.state.outage is not None:
                    self._record.apply(facts.Reachable(system=self._record.state.outage.system))
                return result

    async def attempt(
        self,
        activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
        argument: Argument,
        *,
        queue: str,
        summary: str,
    ) -> Result | Failure:
        """Try an activity with the retries every step has; what comes after a failure is the caller's.

        Raises:
            Ended: the deal came to its end meanwhile.
        """
        step = activity.__name__
        try:
            result = await self._try(activity, argument, queue=queue, summary=summary, priority=URGENT)
        except ActivityError as error:
            self._record.doubt(step)
            return Failure(*cause_of(error))
        self._record.certain(step)
        return result

    async def try_once(
        self,
        activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
        argument: Argument,
        *,
        queue: str,
        summary: str,
        cancelled_with_deal: bool = False,
    ) -> str:
        """Try an activity a single time, for what nobody waits for; why it failed, empty where it succeeded.

        Where the run is cancelled meanwhile, that is a failure of the step for whoever is ending the deal anyway, and
        of the deal for all others (``cancelled_with_deal``).
        """
        handle = begin(activity, argument, queue=queue, summary=summary, patience=ONCE, wait_when_cancelled=False)
        try:
            if cancelled_with_deal:
                await workflow.wait_condition(handle.done)
            await or_cancelled(handle)
        except asyncio.CancelledError:
            await _given_up(handle)
            raise
        except ActivityError as error:
            return cause_of(error)[1]
        return ""

    async def show_in_sales(self, text: str, what: str) -> bool:
        """Have Sales show the rep why the order of an accepted quote waits; once: nobody waits for that.

        Args:
            text: the sentence the rep reads.
            what: what it says, in words: "why the order waits for credit".

        Returns:
            Whether Sales took it.
        """
        mark = MarkQuote(
            quote=self._record.quote,
            approval_status="approved",
            reason=text,
            deal_id=self._record.deal_id,
            credit_status=str(self._record.state.credit),
        )
        failure = await self.try_once(
            SalesActivities.mark_quote,
            mark,
            queue=names.DATAVERSE_QUEUE,
            summary=f"Show in Sales {what}",
            cancelled_with_deal=True,
        )
        if failure:
            workflow.logger.info("Sales does not show %s: %s", what, failure)
        return not failure

    @property
    def _lines(self) -> int:
        """How many lines the deal's documents have; a quote that was submitted again may have more than before."""
        state = self._record.state
        return state.header.line_count if state.accepted else UNKNOWN_LINES

    async def park(
        self,
        summary: str,
        step: str,
        cause: Cause,
        message: str,
        evidence: tuple[str, str] = ("", ""),
        *,
        can_skip: bool = False,
        overtaken: Callable[[], bool] = _never,
    ) -> Resolution | None:
        """Wait until a person says how to go on.

        Args:
            summary: what was attempted, in words.
            step: name of the activity.
            cause: why it does not go on.
            message: what the system said.
            evidence: what was asked of it and what it answered, for the person.
            can_skip: whether the deal may go on without it.
            overtaken: whether it is needless by now.

        Returns:
            Retry or skip.

        Raises:
            Ended: the person aborted the deal.
            Overtaken: it is needless by now.
        """
        if self._record.state.parked is not None:  # so it was when the run before continued as new
            resolution = await self._waiting.resumed(overtaken)
            self._goes_on_without(resolution, summary)
            return resolution
        parked = ParkedStep(
            step=summary,
            activity=step,
            cause=cause,
            message=message[:LONGEST_MESSAGE],
            suggestion=cause.suggestion,
            since=workflow.now(),
            failures=0,
            can_skip=can_skip,
            request=evidence[0],
            answer=evidence[1],
        )
        resolution = await self._waiting.park(parked, overtaken)
        self._goes_on_without(resolution, summary)
        return resolution

    def _goes_on_without(self, resolution: Resolution | None, summary: str) -> bool:
        """Whether a person goes on without the step; raises Overtaken where nobody said anything."""
        if resolution is None:
            self._record.apply(facts.StepOvertaken(step=summary))
            raise Overtaken
        return resolution is Resolution.SKIP

    async def _wait_for(
        self, queue: str, message: str, summary: str, overtaken: Callable[[], bool], pause: timedelta
    ) -> None:
        """Leave a system alone for a while, then wait until it answers; however long that takes, it is one activity.

        Raises:
            Ended: the deal came to its end meanwhile.
            Overtaken: the step is needless by now.
        """
        system = {names.FINANCE_QUEUE: "Finance", names.DATAVERSE_QUEUE: "Sales"}.get(queue, "Temporal")
        if self._record.state.outage is None:
            self._record.apply(facts.Unreachable(system=system, since=workflow.now(), message=message))
        again_at = workflow.now() + pause
        if await self._waiting.until(overtaken, deadline=again_at, summary=f"Waiting for {system}"):
            self._record.apply(facts.StepOvertaken(step=summary))
            raise Overtaken
        if system == "Temporal":
            return
        state = self._record.state
        handle = begin(
            ReachActivities.wait_for_finance if system == "Finance" else ReachActivities.wait_for_sales,
            WaitForSystem(deal_id=self._record.deal_id, accepted=state.accepted, promised=state.promised_at),
            queue=queue,
            summary=f"Wait until {system} answers",
            patience=UNTIL_IT_ANSWERS,
            wait_when_cancelled=False,
        )
        try:
            await self._waiting.until(lambda: handle.done() or overtaken())
        except (Ended, asyncio.CancelledError):
            await _given_up(handle)
            raise
        await _given_up(handle)
        if overtaken():
            self._record.apply(facts.StepOvertaken(step=summary))
            raise Overtaken

    async def _try(
        self,
        activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
        argument: Argument,
        *,
        queue: str,
        summary: str,
        priority: Priority,
    ) -> Result:
        """One try; given up at once where it is over meanwhile.

        Raises:
            ActivityError: it failed, or was given up.
        """
        lasting = activity.__name__ in _LEAVES_SOMETHING
        handle = begin(
            activity,
            argument,
            queue=queue,
            summary=summary,
            priority=priority,
            lines=self._lines,
            wait_when_cancelled=lasting,
        )
        try:
            await workflow.wait_condition(lambda: handle.done() or self._waiting.is_over)
        except asyncio.CancelledError:
            await _given_up(handle)
            raise
        if not handle.done():
            await _given_up(handle)
            raise Ended
        return await or_cancelled(handle)


async def _given_up(handle: ActivityHandle[Any]) -> None:
    handle.cancel()
    try:
        await or_cancelled(handle)
    except ActivityError as error:
        workflow.logger.info("given up: %s", error.cause or error)
