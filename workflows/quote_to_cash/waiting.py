"""How a deal waits: it shows what it waits for, ends where its end has come, and goes on as a new run in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import workflow

from domain import explain, facts
from domain.causes import Cause
from domain.deal_state import DealState
from domain.views import ParkedStep, Resolution
from runs import attributes
from runs.labels import DealLabels
from workflows.audit import Trail
from workflows.published import Published
from workflows.quote_to_cash.background import Background
from workflows.quote_to_cash.record import DealRecord
from workflows.steps import LONGEST_MESSAGE

HOLD_RESTS = timedelta(hours=4)
"""How long a hold of Finance's own rests before the step is tried again though nobody says so (lifecycle: timers)."""


class Ended(Exception):
    """There is nothing left to wait for: the deal has come to its end, or a person gave up cleaning up after it."""


class Waiting:
    """The only way a stage waits. Every wait can end the run and go on in the next one."""

    def __init__(
        self,
        record: DealRecord,
        published: Published,
        background: Background,
        trail: Trail,
        *,
        over: Callable[[], bool],
        continue_as_new: Callable[[], Awaitable[None]],
    ) -> None:
        """Wait on behalf of a deal.

        Args:
            record: the deal.
            published: the search attributes as they were last written.
            background: what goes on beside the stages; a failure of it is a reason to wait for a person.
            trail: sends the deal's audit records while it waits.
            over: whether there is nothing left to wait for.
            continue_as_new: ends the run, so that the next one goes on.
        """
        self._record = record
        self._published = published
        self._shown: DealState | None = None
        self._background = background
        self._trail = trail
        self._over = over
        self._continue_as_new = continue_as_new

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._over()

    async def turn(self) -> None:
        """Begin another turn of a loop; here the run ends where its history is long enough.

        Raises:
            Ended: it is over.
        """
        if self._over():
            raise Ended
        if self._background.failure:
            await self._report_failure()
        if _long_enough():
            await self._continue_as_new()

    async def until(
        self, condition: Callable[[], bool], *, deadline: datetime | None = None, summary: str = ""
    ) -> bool:
        """Wait for a condition.

        Args:
            condition: what is waited for.
            deadline: until when at most, UTC; None: forever.
            summary: what the wait is for, for Temporal Web; only a wait with a deadline shows it.

        Returns:
            Whether the condition holds; False where its time is over.

        Raises:
            Ended: it is over.
        """
        time = _Time(deadline, summary)

        def goes_on() -> bool:
            return condition() or self._has_news or time.is_over

        try:
            while not (self._over() or condition() or time.is_over):
                time.start()
                self.publish()
                await self.turn()
                with self._trail.at_rest(goes_on):
                    await workflow.wait_condition(goes_on)
        finally:
            time.stop()
        if self._over():
            raise Ended
        return condition()

    @property
    def _has_news(self) -> bool:
        """Whether there is something to do though what is waited for may not have come."""
        changed = self._record.state is not self._shown
        return changed or self._over() or bool(self._background.failure) or _long_enough()

    async def park(self, parked: ParkedStep, unless: Callable[[], bool] = lambda: False) -> Resolution | None:
        """Wait until a person says how to go on.

        Args:
            parked: what waits for them, and why.
            unless: ends the wait without them.

        Returns:
            Retry or skip; None where nobody said anything and ``unless`` holds.

        Raises:
            Ended: it is over.
        """
        self._record.apply(facts.StepParked(parked=parked))
        workflow.metric_meter().create_counter("q2c_parked", "Steps that wait for a person").add(
            1, {"cause": parked.cause}
        )
        return await self.resumed(unless)

    async def resumed(self, unless: Callable[[], bool] = lambda: False) -> Resolution | None:
        """Wait on while a step is parked. Returns and raises as ``park``.

        A hold of Finance's own may be lifted there, which nobody reports: after a while the step is tried again.
        """
        parked = self._record.state.parked
        held = parked is not None and parked.cause == Cause.CREDIT_HOLD
        ended = await self.until(
            lambda: self._record.state.parked is None or unless(),
            deadline=parked.since + HOLD_RESTS if parked and held else None,
            summary="Look whether Finance still holds the order",
        )
        if not ended:
            self._record.apply(facts.CreditRecheckDue(reason="four hours have passed"))
        return self._record.state.resolution if self._record.state.parked is None else None

    def publish(self) -> None:
        """Write what lists are made of, where it changed."""
        state = self._shown = self._record.state
        header, assessed = state.header, state.assessment
        entered = self._published.differs(attributes.STAGE, str(state.stage))
        people = [person.oid for person in (assessed.owner, assessed.submitted_by) if person] if assessed else []
        self._published.publish(
            {
                **({attributes.SINCE: workflow.now()} if entered else {}),
                attributes.PEOPLE: sorted({oid.lower() for oid in people if oid}) or None,
                attributes.STAGE: str(state.stage),
                attributes.WAITING_FOR: str(explain.explain(state).waiting_for),
                attributes.CUSTOMER: header.customer_account or None,
                attributes.AMOUNT: header.total if state.assessment else None,
                attributes.CURRENCY: header.currency or None,
                attributes.QUOTE_ID: state.quote_id,
                attributes.ORDER: state.order_number or None,
                attributes.ERROR: state.error or None,
            }
        )
        if assessed:
            owner, reference = assessed.owner.name, header.customer_reference
            self._published.label(DealLabels.of(header.name, header.customer_name, owner, reference))

    async def _report_failure(self) -> None:
        """A part that stopped is a person's business: the deal says so, and does not go on half deaf."""
        failure = self._background.failure
        self._background.report()
        parked = ParkedStep(
            step="Keep every part of the deal going",
            activity="background",
            cause=Cause.BACKGROUND,
            message=failure[:LONGEST_MESSAGE],
            suggestion=Cause.BACKGROUND.suggestion,
            since=workflow.now(),
            failures=0,
        )
        await self.park(parked)
        self._background.revive_all()


class _Time:
    """How long a wait may last: one timer for all of it, however often the deal changes meanwhile."""

    def __init__(self, deadline: datetime | None, summary: str) -> None:
        self._deadline = deadline
        self._summary = summary
        self._timer: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        if self._deadline is None:
            return False
        return self._deadline <= workflow.now() or (self._timer is not None and self._timer.done())

    def start(self) -> None:
        if self._deadline is not None and self._timer is None:
            sleep = workflow.sleep(self._deadline - workflow.now(), summary=self._summary or None)
            self._timer = asyncio.create_task(sleep)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _long_enough() -> bool:
    return workflow.info().is_continue_as_new_suggested()
