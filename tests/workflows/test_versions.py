"""A new build beside the one before: deals go on with the newest, or keep to theirs, as the setting says."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.versions_probe import DealOne, DealTwo, FeedOne, FeedTwo, nothing
from workers.settings import Settings, SettingsError, WorkerSettings
from workers.versions import deployment
from workers.worker import Activity, Work, build_workers

How = Literal["off", "auto_upgrade", "pinned"]


async def nothing_to_begin() -> None:
    """A worker of this test has no rules to note."""


def settings(how: How, name: str, build: str) -> Settings:
    worker = WorkerSettings(versioning=how, deployment=name, build=build, graceful_shutdown_seconds=0)
    return Settings(_env_file=None, worker=worker)


@asynccontextmanager
async def build(client: Client, of: Settings, *workflows: type) -> AsyncIterator[None]:
    """Workers of one build, while the block runs."""
    work = Work(workflows, [nothing], [nothing], [nothing], companies={}, begin=nothing_to_begin)
    async with AsyncExitStack() as running:
        for worker in build_workers(client, of, work):
            await running.enter_async_context(worker)
        yield


async def make_current(client: Client, of: Settings) -> None:
    """What an operator does once the workers of a build run."""
    wanted = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=of.worker.deployment, build_id=of.worker.build, identity="operator"
    )
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await client.workflow_service.set_worker_deployment_current_version(wanted)
            except RPCError:  # it is not known yet, or not with all of its queues
                await asyncio.sleep(0.2)
            else:
                return


async def begun(client: Client, kind: str) -> WorkflowHandle[Any, str]:
    """A run that its build has taken up."""
    handle = await client.start_workflow(kind, "", id=uuid.uuid4().hex, task_queue=names.DEAL_QUEUE, result_type=str)
    async with asyncio.timeout(PATIENCE):
        while not any(
            event.HasField("workflow_task_completed_event_attributes")
            for event in (await handle.fetch_history()).events
        ):
            await asyncio.sleep(0.1)
    return handle


@pytest.mark.parametrize(("how", "deals_end_on"), [("pinned", "one"), ("auto_upgrade", "two")])
async def test_what_runs_goes_on_with_the_build_that_the_setting_says(
    how: How, deals_end_on: str, environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, suffix = environment.client, uuid.uuid4().hex[:8]
    for queue in ("DEAL_QUEUE", "DATAVERSE_QUEUE", "FINANCE_QUEUE"):
        own = f"{getattr(names, queue)}-{suffix}"
        monkeypatch.setattr(names, queue, own)
        monkeypatch.setattr(f"workers.worker.{queue}", own)
    one, two = (settings(how, f"q2c-{suffix}", of) for of in ("1.0", "2.0"))
    async with build(client, one, DealOne, FeedOne):
        await make_current(client, one)
        deal, feed = await begun(client, names.QUOTE_TO_CASH), await begun(client, names.SALES_FEED)
        async with build(client, two, DealTwo, FeedTwo):
            await make_current(client, two)
            later = await begun(client, names.QUOTE_TO_CASH)
            for run in (deal, feed, later):
                await run.signal("go", "")
            ended = [await asyncio.wait_for(run.result(), PATIENCE) for run in (deal, feed, later)]
    assert ended == [deals_end_on, "two", "two"], "a feed never ends, so it never keeps to a build"


def test_a_build_without_a_name_is_refused_and_without_versioning_none_is_needed() -> None:
    with pytest.raises(SettingsError, match="Q2C_WORKER_BUILD"):
        deployment(settings("pinned", "q2c", ""))
    assert deployment(settings("off", "q2c", "")) is None


@pytest.mark.parametrize("part", ["all", "deals", "bulk"])
async def test_a_process_polls_the_queues_of_its_part_alone(
    environment: WorkflowEnvironment, part: Literal["all", "deals", "bulk"]
) -> None:
    of = Settings(_env_file=None, worker=WorkerSettings(work=part))
    bulk: dict[str, Sequence[Activity]] = {
        queue: [nothing] for queue in (names.DATAVERSE_BULK_QUEUE, names.FINANCE_BULK_QUEUE)
    }
    read = {} if part == "deals" else bulk
    work = Work([FeedOne], [nothing], [nothing], [nothing], {}, nothing_to_begin, bulk_activities=read)

    async with AsyncExitStack() as running:
        workers = build_workers(environment.client, of, work)
        for worker in workers:
            await running.enter_async_context(worker)
    polled = {worker.task_queue for worker in workers}

    assert polled >= bulk.keys() if part != "deals" else not polled & bulk.keys()
    assert (polled == bulk.keys()) is (part == "bulk")
    assert (names.DEAL_QUEUE in polled) is (part != "bulk")
