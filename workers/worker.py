"""The worker: one process that polls the task queues.

Workflows and the activities that touch no other system live on `q2c`; each Dynamics system has a queue of its own, rate
limited there, because the budget of requests belongs to the system and not to whoever calls it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from opentelemetry import metrics
from temporalio.client import Client
from temporalio.worker import Interceptor, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.heartbeat import MOST_OFTEN, KeptAlive
from runs.credit_review import CreditReviews
from runs.feeds import Feeds
from runs.names import DATAVERSE_QUEUE, DEAL_QUEUE, FINANCE_QUEUE, GAUGE_QUEUE, NOTICE_QUEUE
from workers.gauges import RunGauges, keep_counting
from workers.health import health_app
from workers.serving import leave_within, serve, stop_signals, unready_once
from workers.settings import Settings
from workers.telemetry import Telemetry
from workers.temporal_client import connect, require_attributes
from workers.versions import deployment, keeping

log = structlog.get_logger(__name__)

# Deterministic, and expensive to import again for every run: the rules, the signatures of activities, the processes.
# That they are deterministic is checked by a test of their source (tests/workflows/test_determinism.py).
PASSED_THROUGH = (
    "domain",
    "workflows",
    "runs",
    "activities",
    "policies",
    "msgspec",
    "structlog",
    "opentelemetry",
    "yaml",
    "moneyed",
    "babel",
)

Activity = Callable[..., Any]


MESSAGES_AT_ONCE = 5
"""Messages one worker sends at a time."""
STICKY = timedelta(seconds=3)
"""How long a run's next task waits for the worker that has it in memory, before any worker may take it: one that was
killed does not come back for it. After a shorter wait a worker that is only behind loses what it has in memory, and
replays those runs whole, which puts it further behind.
"""
LOWEST_PRIORITY = 19
"""How much what is read in bulk gives way to other processes of its machine, where it has a process of its own."""
LATEST_SECONDS = 20.0
"""After the grace for activities, the process has this long to end by itself."""


@dataclass(frozen=True)
class Work:
    """What a worker can do, by task queue, and the connections it does it with."""

    workflows: Sequence[type]
    deal_activities: Sequence[Activity]
    dataverse_activities: Sequence[Activity]
    finance_activities: Sequence[Activity]
    companies: Mapping[str, str]
    """Time zones by legal entity."""
    begin: Callable[[], Coroutine[Any, Any, None]]
    """What is done once beside everything else, from the start of the worker."""
    notice_activities: Sequence[Activity] = ()
    """Where none, the queue of messages is not polled."""
    bulk_activities: dict[str, Sequence[Activity]] = field(default_factory=dict)
    """By queue; where none, nothing is read in bulk."""
    shadow_activities: list[Activity] = field(default_factory=list)
    """On Finance's queue; where none, no company can be in shadow mode."""
    interceptors: Sequence[Interceptor] = ()
    """Of the worker of deals."""
    connections: AsyncExitStack = field(default_factory=AsyncExitStack)


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox workflows run in, here and wherever a recorded run is replayed."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


def build_workers(client: Client, settings: Settings, work: Work) -> list[Worker]:
    """One Temporal worker per task queue of this process's part of the work.

    Args:
        client: connected with the product's data converter.
        settings: ceilings of the queues and of this process, and its part.
        work: workflows and activities.

    Returns:
        Workers that have not started yet.

    Raises:
        SettingsError: versioning is on, and this build has no name.
    """
    common: dict[str, Any] = {
        "graceful_shutdown_timeout": timedelta(seconds=settings.worker.graceful_shutdown_seconds),
        "deployment_config": deployment(settings),
    }
    watched = common | {"interceptors": [KeptAlive()], "max_heartbeat_throttle_interval": MOST_OFTEN}
    bulk = _of_bulk(client, settings, work, watched)
    if settings.worker.work == "bulk":
        return bulk
    deals = Worker(
        client,
        task_queue=DEAL_QUEUE,
        workflows=work.workflows,
        activities=work.deal_activities,
        workflow_runner=keeping(workflow_runner(), settings),
        max_cached_workflows=settings.worker.max_cached_workflows,
        max_concurrent_workflow_tasks=settings.worker.concurrent_workflow_tasks,
        max_concurrent_activities=settings.worker.concurrent_activities,
        sticky_queue_schedule_to_start_timeout=STICKY,
        **watched | {"interceptors": [KeptAlive(), *work.interceptors]},
    )
    systems = [
        Worker(
            client,
            task_queue=queue,
            activities=activities,
            max_task_queue_activities_per_second=limits.activities_per_second,
            max_concurrent_activities=limits.concurrent_activities,
            disable_eager_activity_execution=True,
            **watched,
        )
        for queue, activities, limits in (
            (DATAVERSE_QUEUE, work.dataverse_activities, settings.dataverse),
            (FINANCE_QUEUE, [*work.finance_activities, *work.shadow_activities], settings.finance),
        )
    ]
    return [deals, *systems, *_of_notices(client, settings, work, common), *bulk]


def _of_bulk(client: Client, settings: Settings, work: Work, watched: dict[str, Any]) -> list[Worker]:
    """What reads in bulk: queues, budget and application of its own, so that it cannot spend what deals need."""
    return [
        Worker(
            client,
            task_queue=queue,
            activities=activities,
            max_concurrent_activities=settings.reader.concurrent_activities,
            disable_eager_activity_execution=True,
            **watched,
        )
        for queue, activities in work.bulk_activities.items()
    ]


def _of_notices(client: Client, settings: Settings, work: Work, common: dict[str, Any]) -> list[Worker]:
    """What sends messages to people, where there is anything to send them to."""
    if not work.notice_activities:
        return []
    return [
        Worker(
            client,
            task_queue=NOTICE_QUEUE,
            activities=work.notice_activities,
            max_task_queue_activities_per_second=settings.notice.activities_per_second,
            max_concurrent_activities=MESSAGES_AT_ONCE,
            disable_eager_activity_execution=True,
            **common,
        )
    ]


def _counting(client: Client, settings: Settings) -> Worker:
    """What counts for the metrics, where anything is exported: one worker of all has the work at a time."""
    return Worker(
        client,
        task_queue=GAUGE_QUEUE,
        activities=[RunGauges(client, metrics.get_meter("q2c")).count_runs],
        max_concurrent_activities=1,
        max_concurrent_activity_task_polls=1,
        disable_eager_activity_execution=True,
        graceful_shutdown_timeout=timedelta(seconds=settings.worker.graceful_shutdown_seconds),
        deployment_config=deployment(settings),
        interceptors=[KeptAlive()],
        max_heartbeat_throttle_interval=MOST_OFTEN,
    )


async def _keep_going(client: Client, settings: Settings, work: Work, *, counted: bool) -> None:
    """Begin what runs for ever beside the deals, where it does not run yet."""
    if counted:
        await keep_counting(client)
    await Feeds(client, every_seconds=settings.worker.sweep_seconds).ensure(work.companies)
    await CreditReviews(client).ensure(work.companies)


def _not_polling(workers: Sequence[Worker]) -> str:
    stopped = [worker.task_queue for worker in workers if not worker.is_running]
    return f"not polling: {', '.join(stopped)}" if stopped else ""


async def run_worker(settings: Settings, telemetry: Telemetry, compose: Callable[[Settings, Client], Work]) -> int:
    """Poll until SIGTERM or SIGINT, then let running activities finish.

    Args:
        settings: the product's settings.
        telemetry: of this process; closed before returning.
        compose: builds the work from the settings (workers.composition).

    Returns:
        Exit code.

    Raises:
        SettingsError: the codec's keys cannot be used.
        TemporalUnusable: Temporal does not answer or lacks a search attribute.
        PolicyError, SettingsError: as `workers.composition.compose`.
        CannotListen: the health port is taken.
    """
    for_deals = settings.worker.work != "bulk"
    if not for_deals:
        os.nice(LOWEST_PRIORITY)
    with stop_signals() as stop:
        client = await connect(telemetry, settings.codec)
        await require_attributes(client)
        work = compose(settings, client)
        workers = build_workers(client, settings, work)
        if telemetry.exports and for_deals:
            workers.append(_counting(client, settings))
        async with AsyncExitStack() as running:
            running.push_async_exit(work.connections)
            await running.enter_async_context(
                serve(
                    unready_once(stop, health_app(client, lambda: _not_polling(workers))),
                    settings.worker.health_host,
                    settings.worker.health_port,
                    variables="Q2C_WORKER_HEALTH",
                )
            )
            for worker in workers:
                await running.enter_async_context(worker)
            beginning = asyncio.create_task(work.begin(), name="note the rules in force")
            running.callback(beginning.cancel)
            if for_deals:
                await _keep_going(client, settings, work, counted=telemetry.exports)
            log.info("worker ready", queues=[worker.task_queue for worker in workers])
            await stop.wait()
            grace = settings.worker.graceful_shutdown_seconds
            log.info("worker stopping", grace_seconds=grace)
            leave_within(grace + LATEST_SECONDS)
            await asyncio.gather(*(worker.shutdown() for worker in workers))  # one grace for all, not one after another
    log.info("worker stopped")
    telemetry.close()
    return 0
