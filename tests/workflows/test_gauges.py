"""One worker of all counts, and runs that stand still are seen."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.signatures import Nothing
from runs import names
from tests.sealing import SEALING
from tests.workflows.conftest import dev_server
from tests.workflows.feed_world import eventually
from workers import gauges
from workers.gauges import RunGauges, keep_counting
from workers.worker import workflow_runner
from workflows.gauges import Gauges


class Counting:
    """A worker that counts and exports to a reader of its own."""

    def __init__(self, client: Client) -> None:
        self._reader = InMemoryMetricReader()
        meter = MeterProvider([self._reader]).get_meter("q2c")
        work = RunGauges(client, meter)
        self.worker = Worker(client, task_queue=names.GAUGE_QUEUE, activities=[work.count_runs])

    def shown(self, name: str) -> dict[str, int | float]:
        """The gauge as it is exported now: by the value of its label."""
        data = self._reader.get_metrics_data()
        found: dict[str, int | float] = {}
        for resource in data.resource_metrics if data else ():
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                if metric.name == name:
                    found |= {
                        str(next(iter(point.attributes.values()))): point.value for point in metric.data.data_points
                    }
        return found


@workflow.defn(name=names.QUOTE_TO_CASH)
class Broken:
    @workflow.run
    async def run(self, nothing: Nothing) -> None:
        raise RuntimeError("a defect of the deployed code")


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """Of a server that reports a failing run at its second failure and not at its fifth, a minute later."""
    monkeypatch.setattr(gauges, "EVERY_SECONDS", 0.3)
    async with dev_server(**{"system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": "2"}) as server:
        yield server.client


async def test_one_worker_counts_and_where_it_stops_another_goes_on(client: Client) -> None:
    """Given a run whose task fails and two workers, when the one that counts stops, the other one shows the run."""
    target = client.service_client.config.target_host
    one, other = Counting(client), Counting(await Client.connect(target, plugins=[SEALING]))
    await client.start_workflow(names.QUOTE_TO_CASH, Nothing(), id="q2c/usmf/stands-still", task_queue="q2c-broken")
    runs = Worker(client, task_queue=names.DEAL_QUEUE, workflows=[Gauges], workflow_runner=workflow_runner())
    broken = Worker(client, task_queue="q2c-broken", workflows=[Broken], workflow_runner=UnsandboxedWorkflowRunner())
    async with runs, broken, other.worker:
        async with one.worker:
            await keep_counting(client)
            await keep_counting(client)
            await eventually(lambda: one.shown("q2c_deals") or other.shown("q2c_deals"))
            assert not (one.shown("q2c_deals") and other.shown("q2c_deals")), "both count"
        await eventually(lambda: other.shown("q2c_runs_failing").get(names.QUOTE_TO_CASH, 0) == 1)
        assert one.shown("q2c_deals") == {}, "what a worker counted that stopped is shown"
        assert other.shown("q2c_deals").keys() == {"open", "parked", "overdue"}
