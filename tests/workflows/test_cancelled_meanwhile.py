"""A run is cancelled once: whatever it waits for at that moment, and whatever that comes to, the run hears it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.deadlines import PATIENCE
from tests.workflows.cancelled_probe import Asks, Note, Slow, Tells, gates
from workers.worker import workflow_runner

STATUS = WorkflowExecutionStatus


class ReallySlow(Slow):
    """Is done when its test says so."""

    @activity.defn(name="be_slow")
    async def be_slow(self, note: Note) -> Note:
        await gates[note.text].wait()
        if not note.succeeds:
            raise ApplicationError("it failed", type="Refused", non_retryable=True)
        return note


async def has_event(run: WorkflowHandle[Any, Any], kind: EventType.ValueType) -> None:
    async with asyncio.timeout(PATIENCE):
        while kind not in [event.event_type async for event in run.fetch_history_events()]:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("succeeds", [True, False], ids=["that succeeds", "that fails"])
async def test_a_run_cancelled_while_it_asks_hears_it_after_an_answer(
    environment: WorkflowEnvironment, succeeds: bool
) -> None:
    """Before: an activity that had begun and did not hear of it made the cancellation vanish with its answer."""
    queue = f"cancelled-{uuid.uuid4().hex[:8]}"
    gates[queue] = asyncio.Event()
    async with Worker(
        environment.client,
        task_queue=queue,
        workflows=[Asks],
        activities=[ReallySlow().be_slow],
        workflow_runner=workflow_runner(),
    ):
        run = await environment.client.start_workflow(
            Asks.run, Note(text=queue, succeeds=succeeds), id=queue, task_queue=queue
        )
        await has_event(run, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
        await run.cancel()
        await has_event(run, EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED)
        gates[queue].set()
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(run.result(), PATIENCE)
    assert (await run.describe()).status is STATUS.CANCELED


async def test_a_run_cancelled_while_it_tells_another_hears_it(environment: WorkflowEnvironment) -> None:
    """Before: the signal was taken back, which looked as if the other run had ended, and the run went on."""
    queue = f"cancelled-{uuid.uuid4().hex[:8]}"
    run = await environment.client.start_workflow(Tells.run, Note(text="nobody"), id=queue, task_queue=queue)
    await run.cancel()  # it reaches the run in its first task: no worker is there yet
    async with Worker(environment.client, task_queue=queue, workflows=[Tells], workflow_runner=workflow_runner()):
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(run.result(), PATIENCE)
    assert (await run.describe()).status is STATUS.CANCELED
