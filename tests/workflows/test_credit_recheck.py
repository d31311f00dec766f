"""Credit of an order that is confirmed (S18, S19): looked at again, held, released, and over when it is shipped."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest

from domain.assessment import DealPolicy
from domain.messages import FinanceEventKind, SalesEventKind
from domain.views import DealView, Ending, WaitingFor
from runs import names
from tests.workflows.acting import outcome, until, waits_for
from tests.workflows.conftest import Stage, World
from tests.workflows.trusting import CARL

TERMS = {"reason": "good payer", "ceiling": "1045.00", "deviation_pct": "10"}


async def confirmed(stage: Stage, world: World) -> None:
    """A confirmed order whose credit is looked at again."""
    world.assessed = {"deal_policy": DealPolicy(rechecks_credit=True, release_deviation_pct=Decimal(10))}
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.SHIPMENT))


async def woken(stage: Stage, why: str) -> None:
    await stage.case.signal(names.CREDIT_RECHECK, {"message_id": str(uuid.uuid4()), "reason": why})


async def held(stage: Stage, world: World) -> DealView:
    """The order, once there is no credit for it any more."""
    world.credit_passes = False
    await woken(stage, "the limit was lowered")
    await until(stage, lambda view: view.credit_status == "held" and world.order.stopped)
    return await until(stage, waits_for(WaitingFor.CREDIT))


def shown(world: World) -> list[str]:
    return [mark.reason for name, mark in world.asked if name == "mark_quote" and mark.ordered]


async def test_a_confirmed_order_without_credit_is_held_in_finance_and_released_by_a_person(
    stage: Stage, world: World
) -> None:
    await confirmed(stage, world)
    await woken(stage, "a payment bounced")
    await until(stage, lambda view: world.names().count("recheck_credit") == 1)
    view = await held(stage, world)
    assert "the warehouse gets none of order" in view.explanation.text
    assert view.explanation.who == ("credit_manager",) and view.release_defaults is not None
    await until(stage, lambda view: len(shown(world)) == 1 and shown(world)[0].startswith("On credit hold: over by"))

    assert (await outcome(stage, await stage.say(CARL, "credit_release", **TERMS))).accepted
    await until(stage, lambda view: view.credit_status == "released" and not world.order.stopped)
    await until(stage, lambda view: shown(world)[-1] == "Shipment")
    told = ["", "good payer"]
    await until(stage, lambda view: [a.release_reason for name, a in world.asked if name == "confirm_order"] == told)

    await stage.finance(FinanceEventKind.ORDER_CHANGED, "larger")
    await until(stage, lambda view: world.names().count("recheck_credit") == 4)
    assert not world.order.stopped, "within what was released"

    asked = world.names().count("recheck_credit")
    for day in range(1, 7):  # a worker that is behind would make one look of several days that pass at once
        world.order.later = timedelta(days=day)
        await stage.env.fast_forward(stage.case, timedelta(days=1))
        await until(stage, partial(_looked, world, asked + day - 1))
    await until(stage, lambda view: view.credit_status == "held" and world.order.stopped)
    assert asked + 5 <= world.names().count("recheck_credit") <= asked + 8, "once a day, and when the release ended"


async def test_what_is_told_while_credit_is_looked_at_is_looked_at_as_well(stage: Stage, world: World) -> None:
    await confirmed(stage, world)
    looking = world.held["recheck_credit"] = asyncio.Event()
    await woken(stage, "a payment bounced")
    await until(stage, lambda view: world.names().count("recheck_credit") == 1)
    await woken(stage, "the limit was lowered")
    await stage.case.query(names.STATE)  # answered when the deal has heard what was said before
    world.held.pop("recheck_credit")
    looking.set()
    await until(stage, lambda view: world.names().count("recheck_credit") == 2)


def _looked(world: World, times: int, _view: DealView) -> bool:
    return world.names().count("recheck_credit") >= times


@pytest.mark.parametrize("by", ["somebody in Finance", "its deal"])
async def test_a_hold_ends_by_itself_when_credit_is_there_and_leaves_somebody_elses_stop(
    stage: Stage, world: World, by: str
) -> None:
    await confirmed(stage, world)
    world.order.stopped = by != "its deal"
    await held(stage, world)
    world.credit_passes = True
    await woken(stage, "a payment came")
    await until(stage, lambda view: view.credit_status == "passed" and world.order.stopped is (by != "its deal"))
    await until(stage, waits_for(WaitingFor.SHIPMENT))

    await held(stage, world)
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-1", (1, 10))
    await until(stage, waits_for(WaitingFor.INVOICE))  # nothing is left to hold, and an invoice is to be posted
    await until(stage, lambda view: world.order.stopped is (by != "its deal"))
    asked = world.names().count("recheck_credit")
    await woken(stage, "too late")
    await stage.env.fast_forward(stage.case, timedelta(days=2))
    await until(stage, lambda view: world.names().count("read_billing") >= 2)
    assert world.names().count("recheck_credit") == asked


@pytest.mark.parametrize("shipped", [0, 6])
async def test_a_held_order_can_be_refused_and_stays_away_from_the_warehouse(
    stage: Stage, world: World, shipped: int
) -> None:
    await confirmed(stage, world)
    if shipped:
        await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-1", (1, shipped))
        await until(stage, lambda view: view.order_status == "partially_shipped")
    await held(stage, world)
    assert (await outcome(stage, await stage.say(CARL, "credit_reject", reason="bankrupt"))).accepted
    if not shipped:
        view = await until(stage, lambda view: view.ending is Ending.CANCELLED)
        assert [text.partition(":")[0] for text in view.exceptions] == ["ORDER_IN_FINANCE"]
    else:
        view = await until(stage, lambda view: view.credit_status == "rejected")
        assert [text.partition(":")[0] for text in view.exceptions] == ["CREDIT_REFUSED"]
    assert world.order.stopped
