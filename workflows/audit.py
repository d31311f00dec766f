"""How a deal hands its records to the audit store: a batch at a time, never waiting longer than a bound.

``flush`` is called whenever a deal starts to wait or ends. It is one local activity, bounded in time; where the store
does not answer, the records stay in the deal's outbox and the store is left alone for a while. What is left when a
deal ends is handed to `AuditDelivery`, which outlives the deal and tries for as long as it takes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.signatures import AuditActivities
    from domain.audit import AuditReceipt, Outbox
    from runs import names

LONGEST_WAIT = timedelta(seconds=5)
"""How long a deal waits for the store each time."""
DELIVERY_ATTEMPT = timedelta(seconds=30)
DELIVERY_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=5), backoff_coefficient=2, maximum_interval=timedelta(minutes=10)
)


class Keeper(Protocol):
    """Who keeps an outbox. More may be added to it while a batch is on its way."""

    outbox: Outbox


async def flush(keeper: Keeper, *, company: str) -> None:
    """Send what is due of an outbox. It raises nothing but a cancellation.

    Args:
        keeper: keeps the deal's outbox, which is changed in place.
        company: legal entity, lower case.
    """
    info = workflow.info()
    keeper.outbox = keeper.outbox.counted(
        company=company, deal_id=info.workflow_id, at=workflow.now(), run_id=info.run_id
    )
    while keeper.outbox.due(workflow.now()):
        try:
            receipt: AuditReceipt = await workflow.execute_local_activity_method(
                AuditActivities.record_audit,
                keeper.outbox.batch(),
                schedule_to_close_timeout=LONGEST_WAIT,
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
        except FailureError as error:  # a local activity fails with its own error, or an ActivityError around it
            if is_cancelled_exception(error):
                raise
            keeper.outbox = keeper.outbox.unanswered(workflow.now())
            return
        keeper.outbox = keeper.outbox.acknowledged(receipt)


async def hand_over(outbox: Outbox) -> None:
    """Give what is left to a process of its own, at the end of a deal; where nothing is left, nothing starts."""
    if not outbox.pending:
        return
    await workflow.start_child_workflow(
        AuditDelivery.run,
        outbox,
        id=names.audit_delivery_id(workflow.info().workflow_id, workflow.info().run_id),
        task_queue=names.DEAL_QUEUE,
        parent_close_policy=ParentClosePolicy.ABANDON,
        static_summary=f"{len(outbox.pending)} audit records of a deal that has ended",
    )


@workflow.defn(name=names.AUDIT_DELIVERY)
class AuditDelivery:
    """Delivers the last records of a deal that ended while the audit store was away."""

    @workflow.run
    async def run(self, outbox: Outbox) -> AuditReceipt:
        """Try until the store has everything; the last receipt."""
        receipt = AuditReceipt(through=0)
        while outbox.pending:
            receipt = await workflow.execute_activity_method(
                AuditActivities.record_audit,
                outbox.batch(),
                start_to_close_timeout=DELIVERY_ATTEMPT,
                retry_policy=DELIVERY_RETRY,
                summary=f"Store {len(outbox.batch().records)} audit records",
            )
            outbox = outbox.acknowledged(receipt)
        return receipt
