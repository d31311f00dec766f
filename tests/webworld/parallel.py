"""A parallel run for the pages, as it stands after thirty days: the product's own run, which heard of nothing yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

import policies
from domain.calendar import local_date
from domain.entities.parallel import ComparedDay, EntityDay, Standing
from domain.entities.parallel_run import ParallelStart, ParallelState
from runs import names
from tests.webworld.world import until

ZONE = "America/New_York"
ANEW = WorkflowIDConflictPolicy.TERMINATE_EXISTING


def entity(name: str, **more: Any) -> EntityDay:
    """An entity on a day; clean where nothing else is said."""
    opened = more.pop("open", {})
    ages = more.pop("ages", (sum(opened.values()), 0, 0, 0))
    standing = Standing(
        open=opened, critical=more.pop("critical", 0), settled=more.pop("settled", 0), ages=ages, oldest_days=12
    )
    usual = {"finance": 10_000, "sales": 9_450, "status": "compared"}
    return EntityDay.model_validate(usual | {"entity": name, "standing": standing} | more)


def state(company: str, days: int, *, unclean: bool) -> ParallelState:
    """So many days up to today; customers were clean but for some early days, or are not clean now."""
    now = datetime.now(UTC)
    today, compared = local_date(now, ZONE), []
    for n in range(days):
        customer = entity("customer", settled=2)
        if n == 4:
            customer = entity("customer", status="failed", why="The comparison failed: Finance was away", finance=0)
        elif n < 12 or (unclean and n >= days - 3):
            found = {"DIFF": 3, "MISSING": 1, "ROUNDING": 5}
            customer = entity("customer", open=found, new=1, gone=2, critical=1, ages=(1, 3, 5, 0))
        row = (entity("contact", open={"ROUNDING": 2}, ages=(0, 2, 0, 0)), customer)
        day = today - timedelta(days=days - 1 - n)
        compared.append(ComparedDay(day=day, began_at=now - timedelta(days=days - n), entities=row))
    return ParallelState(
        company=company,
        timezone=ZONE,
        began_at=now - timedelta(days=days),
        rules=policies.parallel(),
        days=tuple(compared),
    )


async def put(client: Client, company: str, *, days: int = 30, unclean: bool = False) -> None:
    """Begin the run of a company, where it stands."""
    workflow_id = names.parallel_id(company)
    start = ParallelStart(
        company=company,
        state=state(company, days, unclean=unclean),
        next_at=datetime.now(UTC) + timedelta(days=2),
    )
    await client.start_workflow(
        names.PARALLEL, start, id=workflow_id, task_queue=names.DEAL_QUEUE, id_conflict_policy=ANEW
    )

    async def runs() -> bool:
        return (await client.count_workflows(f"WorkflowId = '{workflow_id}'")).count > 0

    await until(runs)
