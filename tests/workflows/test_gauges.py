"""One worker of all counts, and runs that stand still are seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest, RespondWorkflowTaskFailedRequest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.worker import Worker

from activities.heartbeat import KeptAlive
from activities.signatures import Nothing
from runs import attributes, names
from tests.sealing import SEALING
from tests.workflows.conftest import dev_server
from tests.workflows.feed_world import eventually
from workers import gauges
from workers.gauges import RunGauges, keep_counting
from workers.worker import workflow_runner
from workflows.gauges import Gauges

FAILURES = 2
"""After so many in a row the server reports a run; in production five, within a minute."""


class Counting:
    """A worker that counts and exports to a reader of its own."""

    def __init__(self, client: Client) -> None:
        self._reader = InMemoryMetricReader()
        meter = MeterProvider([self._reader]).get_meter("q2c")
        work = RunGauges(client, meter)
        self.worker = Worker(
            client, task_queue=names.GAUGE_QUEUE, activities=[work.count_runs], interceptors=[KeptAlive()]
        )

    def shown(self, name: str) -> dict[str, int | float]:
        """The gauge as it is exported now: by the value of its label."""
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics]
        points = [
            point
            for scope in scopes
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]
        return {
            str(next(iter((point.attributes or {}).values()))): point.value
            for point in points
            if isinstance(point, NumberDataPoint)
        }


async def fail_its_tasks(client: Client, queue: str) -> None:
    """Fail what the server gives out on a queue, as a worker with a defect does, until it reports the run."""
    server, namespace = client.workflow_service, client.namespace
    poll = PollWorkflowTaskQueueRequest(namespace=namespace, task_queue=TaskQueue(name=queue), identity="defective")
    why = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
    for _ in range(FAILURES):
        token = b""
        while not token:
            token = (await server.poll_workflow_task_queue(poll)).task_token
        await server.respond_workflow_task_failed(
            RespondWorkflowTaskFailedRequest(task_token=token, namespace=namespace, cause=why)
        )


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """Of a server that reports a failing run at its second failure and not at its fifth, a minute later."""
    monkeypatch.setattr(gauges, "EVERY_SECONDS", 0.3)
    async with dev_server(
        **{"system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": str(FAILURES)}
    ) as server:
        yield server.client


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[Callable[[], None]]:
    """A worker that can be told to stop; how long its last poll then takes is not waited for."""
    tasks = [asyncio.create_task(worker.run())]
    try:
        yield lambda: tasks.append(asyncio.create_task(worker.shutdown()))
    finally:
        await asyncio.wait(tasks, timeout=5)
        for task in tasks:
            task.cancel()


async def left_alone(client: Client, workflow: str, workflow_id: str, **shown: str) -> None:
    """A run that nobody works on, found by what it shows."""
    of = {"stage": attributes.STAGE, "waiting_for": attributes.WAITING_FOR, "error": attributes.ERROR}
    pairs = [SearchAttributePair(of[name].key, value) for name, value in shown.items()]
    found_by = TypedSearchAttributes(pairs)
    await client.start_workflow(
        workflow, Nothing(), id=workflow_id, task_queue="q2c-nobody", search_attributes=found_by
    )


async def test_one_worker_counts_and_where_it_stops_another_goes_on(client: Client) -> None:
    """Given a run whose task fails and two workers, when the one that counts stops, the other one shows the run."""
    target = client.service_client.config.target_host
    one, other = Counting(client), Counting(await Client.connect(target, plugins=[SEALING]))
    await client.start_workflow(names.QUOTE_TO_CASH, Nothing(), id="q2c/usmf/stands-still", task_queue="q2c-broken")
    for number, cause in enumerate(("Refused", "Refused", "NotFound", "unheard of")):
        parked = {"stage": "order", "waiting_for": "operator", "error": cause}
        await left_alone(client, names.QUOTE_TO_CASH, f"q2c/usmf/parked-{number}", **parked)
    await left_alone(client, names.APPROVAL, "approval/usmf/overdue", stage=names.ESCALATED)
    await left_alone(client, names.APPROVAL, "approval/usmf/in-time")
    runs = Worker(client, task_queue=names.DEAL_QUEUE, workflows=[Gauges], workflow_runner=workflow_runner())
    async with runs, working(other.worker), working(one.worker) as stop:
        await keep_counting(client)
        await keep_counting(client)
        await fail_its_tasks(client, "q2c-broken")
        await eventually(lambda: one.shown("q2c_deals") or other.shown("q2c_deals"))
        assert not (one.shown("q2c_deals") and other.shown("q2c_deals")), "both count"
        stop()
        await eventually(lambda: other.shown("q2c_runs_failing").get(names.QUOTE_TO_CASH, 0) == 1)
        await eventually(lambda: one.shown("q2c_deals") == {})  # what a worker counted that stopped is not shown
        assert other.shown("q2c_deals") == {"open": 5, "parked": 4, "overdue": 1}
        assert other.shown("q2c_deals_parked") == {"Refused": 2, "NotFound": 1, "unknown": 1}
        assert other.shown("q2c_deals_in_stage")["order"] == other.shown("q2c_deals_waiting")["operator"] == 4
