"""How many deals are open, parked and overdue, and which runs stand still, as metrics of one worker.

Counted on the server every half minute, a query or two per value: nothing is kept per deal, so the cost does not grow
with them. One worker of all counts (``workflows.gauges``); what it counted is shown while it counts, and no longer:
gauges of a worker that stopped, or whose last count failed, are absent, not old.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Final

import structlog
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from temporalio import activity
from temporalio.client import Client, WorkflowExecution
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.gauge_signatures import GaugeActivities
from activities.signatures import Nothing
from domain.causes import Cause
from domain.views import STAGES, WaitingFor
from runs import attributes, names
from runs.calls import NoAnswer, answer, listed, rejected
from runs.search import count, failing_runs, open_deals, open_deals_in, overdue_approvals
from workflows.gauges import A_SHIFT

EVERY_SECONDS: Final = 30.0
MOST_READ: Final = 1_000
"""Parked deals, and failing runs, whose cause or type is looked at; more are counted in the total alone."""
MOST_NAMED: Final = 20
"""Failing runs that are named in the log."""

UNKNOWN: Final = "unknown"
_CAUSES: Final = frozenset(map(str, Cause))
OURS: Final = (
    names.QUOTE_TO_CASH,
    names.APPROVAL,
    names.CREDIT_LEDGER,
    names.SALES_FEED,
    names.FINANCE_FEED,
    names.AFTER_END,
    names.COLLECTIONS,
    names.DELEGATIONS,
    names.NOTICES,
    names.AUDIT_DELIVERY,
)
"""Types of runs that are told apart; others are one."""

log = structlog.get_logger(__name__)

Counts = Mapping[str, Mapping[str, int]]
"""By metric, then by the value of its label."""


def deal_queries(now: datetime) -> dict[str, str]:
    """Visibility queries by the value of the attribute `state` of the metric `q2c_deals`.

    Args:
        now: aware; deadlines before it are overdue. Only requests for approval have one.
    """
    return {"open": open_deals(), "parked": open_deals(WaitingFor.OPERATOR), "overdue": overdue_approvals(now)}


async def keep_counting(client: Client) -> None:
    """Make sure that somebody counts; a run that does so already is left alone.

    Raises:
        NoAnswer: Temporal does not answer.
    """
    start = client.start_workflow(
        names.GAUGES,
        Nothing(),
        id=names.GAUGES_ID,
        task_queue=names.DEAL_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary="Counts deals, requests and failing runs for metrics",
    )
    try:
        await answer(start)
    except RPCError as error:
        raise rejected(error) from error


class RunGauges(GaugeActivities):
    """Counts, and shows what it counted last."""

    def __init__(self, client: Client, meter: Meter) -> None:
        """Count by ``client``; nothing is shown before the first count."""
        self._client = client
        self._counts: Counts = {}
        self._named: frozenset[str] = frozenset()
        meter.create_observable_gauge(
            "q2c_deals", [partial(self._shown, "state")], description="Deals open and parked, approvals overdue"
        )
        meter.create_observable_gauge(
            "q2c_deals_waiting", [partial(self._shown, "waiting_for")], description="Open deals by what they wait for"
        )
        meter.create_observable_gauge(
            "q2c_deals_in_stage", [partial(self._shown, "stage")], description="Open deals by stage"
        )
        meter.create_observable_gauge(
            "q2c_deals_parked", [partial(self._shown, "cause")], description="Parked deals by cause"
        )
        meter.create_observable_gauge(
            "q2c_runs_failing", [partial(self._shown, "workflow_type")], description="Runs that stand still, by type"
        )

    @activity.defn(name="count_runs")
    async def count_runs(self, nothing: Nothing) -> Nothing:
        """See base class."""
        ends = time.monotonic() + A_SHIFT.total_seconds()
        try:
            while time.monotonic() < ends:
                self._counts = await self._counted()
                try:
                    await asyncio.wait_for(activity.wait_for_worker_shutdown(), EVERY_SECONDS)
                except TimeoutError:
                    continue
                raise ApplicationError("this worker stops; another one counts", type="WorkerStops")
        finally:
            self._counts = {}
        return nothing

    async def _counted(self) -> Counts:
        """What there is now; nothing where Temporal does not say."""
        try:
            return await self._count(datetime.now(UTC))
        except (NoAnswer, RPCError) as error:
            log.warning("deals could not be counted", reason=str(error))
            return {}

    async def _count(self, now: datetime) -> Counts:
        states = {state: await count(self._client, query) for state, query in deal_queries(now).items()}
        parked = await self._read(open_deals(WaitingFor.OPERATOR)) if states["parked"] else []
        failing = await self._read(failing_runs())
        self._name(failing)
        return {
            "state": states,
            "waiting_for": {wait.value: await count(self._client, open_deals(wait)) for wait in WaitingFor},
            "stage": {stage.value: await count(self._client, open_deals_in(stage)) for stage in STAGES},
            "cause": Counter(_cause_of(run) for run in parked),
            "workflow_type": dict.fromkeys(OURS, 0) | Counter(_type_of(run) for run in failing),
        }

    async def _read(self, query: str) -> list[WorkflowExecution]:
        runs: list[WorkflowExecution] = []
        async for run in listed(self._client, query):
            runs.append(run)
            if len(runs) == MOST_READ:
                break
        return runs

    def _name(self, failing: Iterable[WorkflowExecution]) -> None:
        """Say once of each run that it stands still, so that the alert leads to it."""
        ids = frozenset(run.id for run in failing)
        for workflow_id in islice(sorted(ids - self._named), MOST_NAMED):
            log.error("a run stands still: its workflow task fails again and again", workflow_id=workflow_id)
        self._named = ids

    def _shown(self, label: str, _: CallbackOptions) -> list[Observation]:
        return [Observation(number, {label: value}) for value, number in self._counts.get(label, {}).items()]


def _cause_of(run: WorkflowExecution) -> str:
    """The cause a parked deal shows; of one that shows none of ours, that it is unknown."""
    try:
        shown = attributes.ERROR.of(run) or ""
    except ValueError:
        return UNKNOWN
    return shown if shown in _CAUSES else UNKNOWN


def _type_of(run: WorkflowExecution) -> str:
    return run.workflow_type if run.workflow_type in OURS else "other"
