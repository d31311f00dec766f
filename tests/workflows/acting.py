"""What tests of the processes do and wait for, in the words of the trade."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from domain.approvals import ApprovalState
from domain.messages import Outcome, SalesEventKind
from domain.views import DealView, WaitingFor
from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.conftest import Stage, World


async def until(stage: Stage, ready: Callable[[DealView], bool], seconds: float = PATIENCE) -> DealView:
    """The deal's view as soon as it is as wanted."""
    view: DealView | None = None
    for _ in range(int(seconds / 0.1)):
        view = await stage.case.query(names.STATE, result_type=DealView)
        if ready(view):
            return view
        await asyncio.sleep(0.1)
    raise AssertionError(f"the deal is not as expected: {view}")


async def asked_people(stage: Stage, step: int = 0) -> ApprovalState:
    """The first request as soon as people are asked for that step, or any: before, it reads who stands in for whom."""
    for _ in range(int(PATIENCE / 0.1)):
        state = ApprovalState.model_validate(await stage.approval.query(names.STATE))
        if any(step in (0, pending.plan.step) for pending in state.pending):
            return state
        await asyncio.sleep(0.1)
    raise AssertionError("nobody is asked")


async def outcome(stage: Stage, message_id: str) -> Outcome:
    for _ in range(int(PATIENCE / 0.1)):
        known: Outcome | None = await stage.case.query(names.OUTCOME, message_id, result_type=Outcome)
        if known:
            return known
        await asyncio.sleep(0.1)
    raise AssertionError("no outcome")


async def marked(world: World, *statuses: str) -> None:
    """Sales was told these statuses, in this order, and nothing else."""
    for _ in range(int(PATIENCE / 0.1)):
        if len(world.marks()) >= len(statuses):
            break
        await asyncio.sleep(0.1)
    assert world.marks() == list(statuses)


def waits_for(waiting_for: WaitingFor) -> Callable[[DealView], bool]:
    return lambda view: view.explanation.waiting_for is waiting_for


async def to_fulfilment(stage: Stage) -> DealView:
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await stage.sales(SalesEventKind.ACCEPTED)
    return await until(stage, waits_for(WaitingFor.SHIPMENT))
