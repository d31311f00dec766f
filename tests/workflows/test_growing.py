"""An order made larger while it runs (S36, issue 10): covered, approved, rejected, without credit, a worker that stops
inside each part, and what takes its place.
"""

from __future__ import annotations

import asyncio

import pytest

from domain.approvals import Reason
from domain.messages import FinanceEventKind, Outcome
from domain.views import DealView, Ending, WaitingFor
from tests.workflows.acting import asked_people, outcome, to_fulfilment, until, waits_for
from tests.workflows.conftest import Stage, World, step
from tests.workflows.test_changing import asked, cancel, ended
from tests.workflows.trusting import DIRK, RITA

MORE = '[{"line_no": 1, "quantity": "14"}]'
WHY = Reason(rule="D2", tested="disc_pct", text="22 % > 20 %")
DIRECTOR = (step(1, 2, "sales_director", DIRK).model_copy(update={"reasons": (WHY,)}),)


async def more(stage: Stage) -> Outcome:
    return await outcome(stage, await stage.say(RITA, "change_order", lines=MORE, reason="the customer wants more"))


async def settled(stage: Stage) -> DealView:
    return await until(stage, lambda view: view.order_change is None)


async def asks_director(stage: Stage, world: World) -> DealView:
    """More is wanted, and Dirk is asked about it."""
    world.order.steps = DIRECTOR
    await to_fulfilment(stage)
    assert (await more(stage)).accepted
    view = await until(stage, waits_for(WaitingFor.APPROVAL))
    await asked_people(stage)
    return view


@pytest.mark.parametrize("killed_in", ["look_at_larger", "change_order", "read_billing"])
async def test_s36_more_needs_no_approval_and_is_written_once_though_a_worker_dies_inside(
    stage: Stage, world: World, killed_in: str
) -> None:
    await to_fulfilment(stage)
    world.held[killed_in] = asyncio.Event()
    assert (await more(stage)).accepted
    await asked(world, killed_in)
    assert (await more(stage)).code == "CHANGE_OPEN"
    await stage.stop_work()
    world.held.clear()
    world.order.answers_lost = int(killed_in == "change_order")
    await stage.start_work()
    view = await settled(stage)
    assert (int(view.lines[0].ordered), view.exceptions, world.order.changes) == (14, (), 1)
    assert (view.explanation.text, view.approvals) == ("0 of 14 shipped", ())
    in_order = list(dict.fromkeys(n for n in world.names() if n in ("look_at_larger", "change_order", "read_billing")))
    assert in_order == ["look_at_larger", "change_order", "read_billing"]
    await asked(world, "show_ordered")
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "S1", (1, 14))
    await until(stage, waits_for(WaitingFor.INVOICE))


async def test_s36_what_has_to_be_approved_waits_for_it_and_goods_are_shipped_meanwhile(
    stage: Stage, world: World
) -> None:
    view = await asks_director(stage, world)
    assert view.order_change and view.order_change.waits_for_approval and view.order_change.more == 418
    state = await asked_people(stage)
    assert (int(state.request.net), state.request.snapshot_hash) == (1330, "h14")
    assert state.request.order_number == view.order_number != ""
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "S1", (1, 6))
    await asked(world, "record_shipment")
    assert world.order.grown == 0 and "change_order" not in world.names()
    await stage.stop_work()
    await stage.start_work()
    await stage.decide(1, DIRK, "approve", 1, seen="h14")
    view = await settled(stage)
    assert (int(view.lines[0].ordered), int(view.lines[0].shipped), view.exceptions) == (14, 6, ())
    assert [request.status for request in view.approvals] == ["completed"]
    assert world.names().count("look_at_larger") == 2


@pytest.mark.parametrize("how", ["reject", "withdraw", "cancel", "terminate"])
async def test_s36_what_is_not_approved_leaves_the_order_as_it_was(stage: Stage, world: World, how: str) -> None:
    view = await asks_director(stage, world)
    match how:
        case "reject":
            await stage.decide(1, DIRK, "reject", 1, seen="h14")
        case "withdraw":
            assert (await outcome(stage, await stage.say(RITA, "withdraw", reason="not needed"))).accepted
        case "cancel":
            await cancel(stage)
            view = await ended(stage)
            assert (view.ending, view.order_status, world.order.grown) == (Ending.CANCELLED, "cancelled", 0)
            assert [request.status for request in view.approvals] == ["withdrawn"]
            return
        case _:
            for n in range(1, 4):
                await until(stage, lambda view: len(view.approvals) == n)  # noqa: B023 - asked before n moves on
                await stage.request(n).terminate("by an operator")
    view = await settled(stage)
    assert (world.order.grown, "change_order" in world.names(), view.ending) == (0, False, Ending.RUNNING)
    told = [text for text in view.exceptions if text.startswith("CHANGE_REFUSED: LARGER_NOT_APPROVED")]
    assert len(told) == (0 if how == "withdraw" else 1)
    view = await until(stage, lambda view: all(request.status != "pending" for request in view.approvals))
    world.order.steps = ()
    assert (await more(stage)).accepted
    view = await settled(stage)
    assert (int(view.lines[0].ordered), view.exceptions) == (14, ())


async def test_s36_no_credit_and_a_refusal_of_finance_are_told_and_nothing_is_written(
    stage: Stage, world: World
) -> None:
    await to_fulfilment(stage)
    world.order.no_credit = "over by 418.00 (limit 1,000.00)"
    assert (await more(stage)).accepted
    view = await settled(stage)
    assert view.exceptions == ("CHANGE_REFUSED: LARGER_NO_CREDIT: over by 418.00 (limit 1,000.00)",)
    world.order.no_credit, world.order.raise_refused = "", "Item P is stopped"
    assert (await more(stage)).accepted
    view = await until(stage, lambda view: any("stopped" in text for text in view.exceptions))
    assert (view.order_change, world.order.grown) == (None, 0)


async def test_a_deal_that_ends_withdraws_the_request_about_more(stage: Stage, world: World) -> None:
    await asks_director(stage, world)
    world.order.cut = 10
    await stage.finance(FinanceEventKind.ORDER_CHANGED, "O")
    view = await ended(stage)
    assert (view.ending, [request.status for request in view.approvals]) == (Ending.CANCELLED, ["withdrawn"])
