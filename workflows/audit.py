"""How a deal hands its records to the audit store: beside its stages, a batch at a time, whenever it rests.

A deal never waits for the store. Where the store does not answer, the records stay in the deal's outbox and the store
is left alone for a while. What grows too much meanwhile, and what is left when the deal ends, is handed to
`AuditDelivery`, which outlives the deal and tries for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.signatures import AuditActivities
    from domain.audit import AuditBatch, AuditReceipt, Outbox
    from runs import names
    from workflows.steps import execute, or_cancelled

LONGEST_WAIT = timedelta(seconds=5)
"""How long the store has to answer a deal."""
LONGEST_LINE = timedelta(seconds=30)
"""How long a batch may wait for its turn and be stored; so long a deal waits at most, at its end. A busy worker takes
stages first, and what it gets to later is no store that does not answer."""
DELIVERY_ATTEMPT = timedelta(seconds=30)
DELIVERY_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=5), backoff_coefficient=2, maximum_interval=timedelta(minutes=10)
)
DELIVERY_REST = timedelta(minutes=10)
"""How long delivery rests where the store's answer was not one to try again at once."""
LAST = Priority(priority_key=5)


class Keeper(Protocol):
    """Who keeps an outbox. More may be added to it while a batch is on its way."""

    outbox: Outbox


class Trail:
    """The way of one deal's records to the store."""

    def __init__(self, keeper: Keeper) -> None:
        """Send what ``keeper`` has in its outbox, which is changed in place."""
        self._keeper = keeper
        self._goes_on: Callable[[], bool] | None = None

    @contextmanager
    def at_rest(self, goes_on: Callable[[], bool]) -> Iterator[None]:
        """While a deal waits for others, what happened so far is sent: together, not one by one.

        Args:
            goes_on: whether what the deal waits for has come, so that more will happen at once.
        """
        self._goes_on = goes_on
        try:
            yield
        finally:
            self._goes_on = None

    @property
    def _rests(self) -> bool:
        return self._goes_on is not None and not self._goes_on()

    async def deliver(self) -> None:
        """Send what is due whenever the deal rests. It goes on until it is cancelled."""
        while True:
            await workflow.wait_condition(lambda: self._keeper.outbox.has_news and self._rests)
            outbox, now = self._keeper.outbox, workflow.now()
            if outbox.due(now):
                await self._send()
            elif outbox.is_full:
                await self._hand_over()
            else:
                await self._leave_alone()

    async def lighten(self) -> None:
        """Hand over as much that the rest is little enough for the deal's next run to carry."""
        while self._keeper.outbox.is_full:
            await self._hand_over()

    async def finish(self) -> None:
        """Send the last records, at the end of a deal; what the store does not take is handed over."""
        while self._keeper.outbox.has_news and self._keeper.outbox.due(workflow.now()):
            if not await self._send():
                break
        while self._keeper.outbox.pending:
            await self._hand_over()

    async def _send(self) -> bool:
        """Send a batch; whether the store has it."""
        info, keeper = workflow.info(), self._keeper
        company, _ = names.parse_deal_id(info.workflow_id)
        keeper.outbox = keeper.outbox.counted(
            company=company, deal_id=info.workflow_id, at=workflow.now(), run_id=info.run_id
        )
        batch = keeper.outbox.batch()
        try:
            receipt = await execute(
                AuditActivities.record_audit,
                batch,
                task_queue=names.DEAL_QUEUE,
                start_to_close_timeout=LONGEST_WAIT,
                schedule_to_close_timeout=LONGEST_LINE,
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary=_stored(batch),
                priority=LAST,
            )
        except ActivityError:
            keeper.outbox = keeper.outbox.unanswered(workflow.now())
            return False
        keeper.outbox = keeper.outbox.acknowledged(receipt)
        return True

    async def _leave_alone(self) -> None:
        until = self._keeper.outbox.resting_until
        if until is None:
            return
        try:
            await workflow.wait_condition(
                lambda: self._keeper.outbox.is_full,
                timeout=until - workflow.now(),
                timeout_summary="Try the audit store again",
            )
        except TimeoutError:
            return

    async def _hand_over(self) -> None:
        """Give the oldest records to a process of their own."""
        given = self._keeper.outbox.oldest()
        info = workflow.info()
        delivery_id = names.audit_delivery_id(info.workflow_id, info.run_id, given.pending[0].n)
        summary = f"{len(given.pending)} audit records the store did not take from their deal"
        await deliver_apart(given, delivery_id, summary)
        self._keeper.outbox = self._keeper.outbox.without(given)


async def deliver_apart(given: Outbox, delivery_id: str, summary: str) -> None:
    """Have records stored by a process of their own, which outlives this run and tries for as long as it takes.

    Args:
        given: the records.
        delivery_id: of that process, the same for the same records: handed over again, they are delivered once.
        summary: what Temporal Web shows.
    """
    try:
        await or_cancelled(
            workflow.start_child_workflow(
                AuditDelivery.run,
                given,
                id=delivery_id,
                task_queue=names.DEAL_QUEUE,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=summary,
            )
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("these records were handed over before")


def _stored(batch: AuditBatch) -> str:
    count = len(batch.records)
    return f"Store {count} audit record{'' if count == 1 else 's'}"


@workflow.defn(name=names.AUDIT_DELIVERY)
class AuditDelivery:
    """Delivers the last records of a deal that ended while the audit store was away."""

    @workflow.run
    async def run(self, outbox: Outbox) -> AuditReceipt:
        """Try until the store has everything, whatever it answers meanwhile; the last receipt."""
        receipt = AuditReceipt(through=0)
        while outbox.pending:
            try:
                receipt = await execute(
                    AuditActivities.record_audit,
                    outbox.batch(),
                    start_to_close_timeout=DELIVERY_ATTEMPT,
                    retry_policy=DELIVERY_RETRY,
                    summary=_stored(outbox.batch()),
                )
            except ActivityError as error:
                workflow.logger.error("audit records are not stored yet: %s", error.cause)
                await workflow.sleep(DELIVERY_REST, summary="Try the audit store again")
            else:
                outbox = outbox.acknowledged(receipt)
            if outbox.pending and workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(outbox)
        return receipt
