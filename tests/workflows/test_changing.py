"""Changing and cancelling an order at every stage (lifecycle 7, S30, S35, S36): a worker that dies inside each
compensation, Finance that refuses, and nothing called cancelled before Finance was read to say so.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from domain.messages import FinanceEventKind, SalesEventKind
from domain.views import DealView, Ending, WaitingFor
from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.acting import outcome, to_fulfilment, until, waits_for
from tests.workflows.conftest import Stage, World
from tests.workflows.trusting import OTTO, RITA

PICKED = ApplicationError("4 has been picked", type="Refused", non_retryable=True)
AWAY = ApplicationError("503", type="Transient", non_retryable=True)
UNDONE = ("change_order", "read_billing", "cancel_sales_order")
"""What undoes a confirmed order, in its order: Finance, the look at Finance, Sales."""


async def ended(stage: Stage) -> DealView:
    return DealView.model_validate(await asyncio.wait_for(stage.case.result(), PATIENCE))


async def cancel(stage: Stage) -> None:
    said = await outcome(stage, await stage.say(RITA, "cancel_order", reason="the customer withdrew"))
    assert said.accepted, said


async def asked(world: World, name: str, times: int = 1) -> None:
    for _ in range(900):
        if world.names().count(name) >= times:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{name} was not asked {times} times: {world.names()}")


@pytest.mark.parametrize("killed_in", UNDONE)
async def test_s35_a_confirmed_order_is_undone_backwards_though_a_worker_dies_inside(
    stage: Stage, world: World, killed_in: str
) -> None:
    await to_fulfilment(stage)
    world.held[killed_in] = asyncio.Event()
    await cancel(stage)
    await asked(world, killed_in)
    if killed_in != "cancel_sales_order":
        view = await until(stage, lambda view: view.order_status == "cancelling")
        assert view.ending is Ending.RUNNING
    await stage.stop_work()
    world.held.clear()
    await stage.start_work()
    view = await ended(stage)
    assert (view.ending, view.order_status, view.exceptions) == (Ending.CANCELLED, "cancelled", ())
    assert world.order.changes == 1
    in_order = list(dict.fromkeys(name for name in world.names() if name in UNDONE))
    assert in_order == list(UNDONE)
    texts = [entry["text"] for entry in await stage.case.query(names.TIMELINE)]
    assert any("undoes order" in text for text in texts)
    gone = [place for place, text in enumerate(texts) if "credit given back" in text]
    told = [place for place, text in enumerate(texts) if "Sales shows how the deal ended" in text]
    assert len(gone) == len(told) == 1 and gone < told


async def test_s35_a_change_whose_answer_was_lost_is_made_once(stage: Stage, world: World) -> None:
    await to_fulfilment(stage)
    world.order.answers_lost = 1
    await cancel(stage)
    assert (await ended(stage)).ending is Ending.CANCELLED
    assert (world.order.changes, world.names().count("change_order")) == (1, 2)


async def test_s35_what_finance_refuses_is_an_exception_and_is_tried_until_finance_takes_it(
    stage: Stage, world: World
) -> None:
    await to_fulfilment(stage)
    world.fail["change_order"] = [PICKED, PICKED]
    world.fail["show_cancelling"] = [AWAY]
    await cancel(stage)
    view = await until(stage, lambda view: view.order_status == "compensating")
    assert (view.ending, view.explanation.waiting_for) == (Ending.RUNNING, WaitingFor.OPERATOR)
    assert [text.partition(":")[0] for text in view.exceptions] == ["CHANGE_FAILING"]
    assert view.order_change and view.order_change.failure == "4 has been picked"
    again = await outcome(stage, await stage.say(RITA, "cancel_order", reason="again"))
    assert again.code == "CHANGE_OPEN"
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    await asked(world, "change_order", 2)
    await until(stage, lambda view: view.order_status == "compensating")
    assert "cancel_sales_order" not in world.names() and world.names().count("show_cancelling") == 1
    await stage.env.fast_forward(stage.case, timedelta(minutes=3))
    view = await ended(stage)
    assert (view.ending, view.exceptions) == (Ending.CANCELLED, ())


async def test_s35_a_yes_of_finance_that_it_does_not_show_is_not_believed(stage: Stage, world: World) -> None:
    await to_fulfilment(stage)
    world.order.takes_nothing = True
    await cancel(stage)
    view = await until(stage, lambda view: view.order_status == "compensating")
    assert (view.ending, "still shows" in view.exceptions[0]) == (Ending.RUNNING, True)
    world.order.takes_nothing = False
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    assert (await ended(stage)).order_status == "cancelled"


@pytest.mark.parametrize("absent", [True, False])
async def test_s35_an_order_that_is_being_made_is_looked_for_before_it_is_undone(
    stage: Stage, world: World, absent: bool
) -> None:
    world.fail["create_order"] = [AWAY] * 9
    world.order.absent = absent
    world.fail["change_order"] = [AWAY]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.FINANCE))
    await cancel(stage)
    await until(stage, lambda view: view.order_status == "compensating")
    await stage.env.fast_forward(stage.case, timedelta(minutes=2))
    view = await ended(stage)
    assert view.ending is Ending.CANCELLED
    assert view.order_status == ("none" if absent else "cancelled")
    assert [text.partition(":")[0] for text in view.exceptions] == ["WON_IN_SALES"]
    assert all(ask.probe for name, ask in world.asked if name == "change_order")
    assert not {"confirm_order", "record_order"} & set(world.names())


async def test_s35_a_parked_confirmation_does_not_hold_up_the_cancellation(stage: Stage, world: World) -> None:
    world.fail["confirm_order"] = [PICKED]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, lambda view: view.parked is not None)
    await cancel(stage)
    view = await ended(stage)
    assert (view.ending, view.order_status, world.names().count("confirm_order")) == (
        Ending.CANCELLED,
        "cancelled",
        1,
    )


async def test_s30_ship_six_cancel_the_remainder_invoice_what_is_shipped_and_close_short(
    stage: Stage, world: World
) -> None:
    await to_fulfilment(stage)
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "S1", (1, 6))
    await asked(world, "record_shipment")
    world.fail["record_shipment"] = [PICKED]  # another step that waits for a person does not hold it up either
    await cancel(stage)
    view = await until(stage, waits_for(WaitingFor.OPERATOR))
    assert (int(view.lines[0].cancelled), int(view.lines[0].shipped)) == (4, 6)
    assert view.order_change is None
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    await until(stage, waits_for(WaitingFor.INVOICE))
    late = await outcome(stage, await stage.say(RITA, "cancel_order", reason="all of it"))
    assert (late.code, "return order" in late.detail) == ("NOTHING_TO_CANCEL", True)
    world.invoice("I1", 6, "0")
    await stage.finance(FinanceEventKind.INVOICE_POSTED, "I1")
    view = await ended(stage)
    assert (view.ending, view.order_status) == (Ending.CLOSED, "closed_short")
    assert "cancel_sales_order" not in world.names()


async def test_s36_a_line_is_made_smaller_but_never_below_what_is_shipped(stage: Stage, world: World) -> None:
    await to_fulfilment(stage)
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "S1", (1, 6))
    await asked(world, "record_shipment")

    async def change(quantity: str) -> tuple[bool, str]:
        lines = f'[{{"line_no": 1, "quantity": "{quantity}"}}]'
        said = await outcome(stage, await stage.say(RITA, "change_order", lines=lines, reason="less"))
        return said.accepted, said.code

    assert await change("5") == (False, "BELOW_SHIPPED")
    assert await change("NaN") == (False, "BAD_ARGUMENT")
    world.order.answers_lost = 1
    assert await change("8") == (True, "")
    view = await until(stage, lambda view: view.lines[0].cancelled == 2 and view.order_change is None)
    assert (view.explanation.text, view.ending, world.order.changes) == ("6 of 8 shipped", Ending.RUNNING, 1)
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "S2", (1, 2))
    await until(stage, waits_for(WaitingFor.INVOICE))


async def test_the_rep_who_cancels_in_sales_is_offered_finance_as_one_command(stage: Stage, world: World) -> None:
    await to_fulfilment(stage)
    await stage.sales(SalesEventKind.ORDER_CANCELLED)
    view = await until(stage, lambda view: bool(view.exceptions))
    assert view.exceptions[0].startswith("SALES_ORDER_CANCELLED")
    await cancel(stage)
    view = await ended(stage)
    assert (view.ending, view.exceptions) == (Ending.CANCELLED, ())


async def test_an_order_shipped_before_it_could_be_cancelled_is_shown_in_sales_after_all(
    stage: Stage, world: World
) -> None:
    world.fail["record_order"] = [AWAY]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.SALES))
    world.slips["S1"] = {1: 6}
    await cancel(stage)
    view = await until(stage, lambda view: view.sales_order_id != "" and "record_shipment" in world.names())
    assert (view.ending, view.order_change, int(view.lines[0].cancelled)) == (Ending.RUNNING, None, 4)
    done = [name for name in world.names() if name in ("change_order", "record_order", "record_shipment")]
    assert done == ["record_order", "change_order", "record_order", "record_shipment"]
