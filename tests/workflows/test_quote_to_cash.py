"""The deal as a process: order of events, time, failures and people."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from temporalio.exceptions import ApplicationError

from domain.messages import FinanceEventKind, SalesEventKind
from domain.tally import RECEIVED
from domain.views import DealView, Ending, WaitingFor
from domain.views import Stage as CaseStage
from runs import names
from runs.search import overdue_approvals
from tests.deadlines import PATIENCE
from tests.workflows.acting import asked_people, marked, outcome, to_fulfilment, until, waits_for
from tests.workflows.conftest import Stage, World, step
from tests.workflows.scripted_changes import billed_now
from tests.workflows.trusting import CARL, DIRK, MONA, OTTO, RITA


async def test_an_undisturbed_deal_goes_from_submission_to_paid(stage: Stage, world: World) -> None:
    view = await to_fulfilment(stage)
    assert view.order_number.startswith("Q2C-")
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-1", (1, 10))
    await until(stage, waits_for(WaitingFor.INVOICE))
    world.invoice("INV-1", 10, "1045")
    await stage.finance(FinanceEventKind.INVOICE_POSTED, "INV-1")
    await until(stage, waits_for(WaitingFor.PAYMENT))
    world.invoice("INV-1", 10, "0")
    await stage.finance(FinanceEventKind.PAYMENT_POSTED, "PAY-1")

    ended: DealView = await stage.case.result()

    assert DealView.model_validate(ended).ending is Ending.CLOSED
    assert world.names() == [
        "assess_quote",
        "mark_quote",
        "prepare_order",
        "create_order",
        "confirm_order",
        "record_order",
        "read_billing",
        "record_shipment",
        "read_billing",
        "record_invoice",
        "read_billing",
        "record_payment",
    ]


@pytest.mark.parametrize(("lines", "seconds", "heartbeat"), [(1, 45, 4), (150, 45, 4), (4_000, 45 + 2_000, 45)])
async def test_a_large_order_has_the_time_its_lines_need_as_long_as_it_is_heard_of(
    stage: Stage, world: World, lines: int, seconds: int, heartbeat: int
) -> None:
    world.lines = lines
    await to_fulfilment(stage)

    history = await stage.case.fetch_history()

    asked = [event.activity_task_scheduled_event_attributes for event in history.events]
    given = {
        a.activity_type.name: (a.start_to_close_timeout.seconds, a.heartbeat_timeout.seconds)
        for a in asked
        if a.activity_type.name
    }
    assert given["create_order"] == given["record_order"] == (seconds, heartbeat)
    assert given["assess_quote"] == (45 + 5_000, 45)  # nobody knows yet how large it is


async def test_events_told_twice_late_and_out_of_order_change_nothing_more(stage: Stage, world: World) -> None:
    await to_fulfilment(stage)
    world.invoice("INV-1", 10, "1045")
    for _ in range(5):
        await stage.finance(FinanceEventKind.INVOICE_POSTED, "INV-1")
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-2", (1, 4))
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-1", (1, 6))
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-1", (1, 6))
    await stage.sales(SalesEventKind.ACCEPTED)

    view = await until(stage, lambda v: v.explanation.waiting_for is WaitingFor.PAYMENT)

    line = view.lines[0]
    assert (line.ordered, line.shipped, line.invoiced) == (Decimal(10), Decimal(10), Decimal(10))
    tally = await stage.case.query("tally")
    assert (
        tally[RECEIVED] == 2 + 1 + 1 + 5 + 3 + 1
    )  # begun with and told of the submission, activated, accepted, then what came here
    assert world.names().count("create_order") == 1


async def test_what_is_posted_while_finance_is_read_is_read_as_well(stage: Stage, world: World) -> None:
    """What is told meanwhile is not in what is being read: it must not count as read."""
    await to_fulfilment(stage)
    reading = world.held["read_billing"] = asyncio.Event()
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-1", (1, 4))
    reads = world.names().count("read_billing") + 1
    await until(stage, lambda _: world.names().count("read_billing") == reads)
    world.billing = billed_now(world)
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-2", (1, 6))
    await stage.case.query(names.STATE)  # answered when the deal has heard what was said before
    again = world.held["read_billing"] = asyncio.Event()
    reading.set()
    await until(stage, lambda view: view.lines[0].shipped == 4)
    world.billing = None
    world.held.pop("read_billing")
    again.set()
    await until(stage, lambda view: view.lines[0].shipped == 10)


async def test_what_is_posted_one_after_another_is_read_together(stage: Stage, world: World) -> None:
    """Where more than one thing was told, what is on its way is given two seconds to come: one reading for all."""
    await to_fulfilment(stage)
    reading = world.held["read_billing"] = asyncio.Event()
    reads = world.names().count("read_billing") + 1
    await stage.finance(FinanceEventKind.PAYMENT_POSTED, "P-0")
    await until(stage, lambda _: world.names().count("read_billing") == reads)
    for n in (1, 2):
        await stage.finance(FinanceEventKind.PAYMENT_POSTED, f"P-{n}")
    await stage.case.query(names.STATE)  # answered when the deal has heard what was said before
    world.held.pop("read_billing")
    reading.set()
    for n in range(3, 9):
        await stage.finance(FinanceEventKind.PAYMENT_POSTED, f"P-{n}")
        await asyncio.sleep(0.15)
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-1", (1, 10))
    await until(stage, lambda view: view.lines[0].shipped == 10)
    assert world.names().count("read_billing") <= reads + 2


async def test_two_levels_are_asked_in_turn_and_the_quote_is_approved(stage: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA, DIRK), step(2, 2, "sales_director", DIRK))
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await stage.decide(1, DIRK, "approve", 2)  # not his turn
    await stage.decide(1, MONA, "approve", 1)
    await asked_people(stage, step=2)
    await stage.decide(1, DIRK, "approve", 2)

    view = await until(stage, waits_for(WaitingFor.REP))

    assert view.quote_status == "approved"
    assert [a.status for a in view.approvals] == ["completed"]
    await marked(world, "pending", "approved")


async def test_a_rejection_returns_the_quote_to_the_rep_with_the_comment(stage: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA), step(2, 2, "sales_director", DIRK))
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await stage.decide(1, MONA, "reject", 1)

    view = await until(stage, waits_for(WaitingFor.REP))

    assert view.quote_status == "rejected"
    assert "rejected by mona: ok" in view.explanation.text
    await marked(world, "pending", "rejected")


async def test_nothing_is_approved_by_time_a_request_dies_with_the_quote(stage: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA),)
    world.expires_at = datetime.now(UTC) + timedelta(seconds=3)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    approval = stage.client.get_workflow_handle(names.approval_id("usmf", world.quote, 1))

    ended = DealView.model_validate(await stage.case.result())

    assert ended.ending is Ending.EXPIRED
    assert (await approval.result())["state"]["status"] == "expired"
    assert "close_quote" in world.names()
    assert "create_order" not in world.names()


async def test_a_step_not_decided_in_working_hours_is_asked_of_the_next(stage: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA, DIRK),)
    world.expires_at = datetime.now(UTC) + timedelta(days=60)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    approval = stage.client.get_workflow_handle(names.approval_id("usmf", world.quote, 1))
    assert [person.name for person in (await asked_people(stage)).steps[0].assignees] == ["mona"]

    await stage.env.fast_forward(approval, timedelta(hours=10))

    for _ in range(int(PATIENCE / 0.1)):
        state = await approval.query(names.STATE)
        if state["steps"][0]["escalations"]:
            break
        await asyncio.sleep(0.1)
    assert [p["name"] for p in state["steps"][0]["assignees"]] == ["mona", "dirk"]
    assert state["status"] == "pending"
    overdue = f"{overdue_approvals(datetime.now(UTC))} AND Q2CQuote = '{world.quote}'"
    for _ in range(int(PATIENCE / 0.1)):
        if (found := await stage.client.count_workflows(overdue)).count:
            break
        await asyncio.sleep(0.1)
    assert found.count == 1, "it is overdue until somebody decides, though a new deadline runs"


async def test_held_credit_waits_for_a_release_by_somebody_else_than_the_rep(stage: Stage, world: World) -> None:
    world.credit_passes = False
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.CREDIT))

    refused = await outcome(stage, await stage.say(RITA, "credit_release", reason="mine"))
    accepted = await outcome(stage, await stage.say(CARL, "credit_release", reason="good customer"))

    assert (refused.accepted, refused.code) == (False, "NO_AUTHORITY")
    assert accepted.accepted
    view = await until(stage, waits_for(WaitingFor.SHIPMENT))
    assert view.credit_status == "released"
    confirm = next(argument for name, argument in world.asked if name == "confirm_order")
    assert confirm.release_reason == "good customer"


async def test_a_refused_step_is_parked_until_a_person_retries_it(stage: Stage, world: World) -> None:
    world.fail["create_order"] = [ApplicationError("no warehouse", type="Refused", non_retryable=True)]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    view = await until(stage, waits_for(WaitingFor.OPERATOR))
    assert view.parked is not None
    assert (view.parked.cause, view.parked.message) == ("Refused", "no warehouse")

    await stage.say(OTTO, "retry", reason="warehouse added")

    await until(stage, waits_for(WaitingFor.SHIPMENT))
    asked = [argument for name, argument in world.asked if name == "create_order"]
    assert [ask.probe for ask in asked] == [False, True]
    assert len({ask.order_number for ask in asked}) == 1


async def test_an_order_that_waited_out_an_outage_is_made_on_credit_checked_again(stage: Stage, world: World) -> None:
    """Before: the order was made on the facts of before the outage, however long that was."""
    world.too_old = ["credit was given on facts of an hour ago"]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    steps = [name for name in world.names() if name in ("prepare_order", "create_order", "confirm_order")]
    assert steps == ["prepare_order", "create_order", "prepare_order", "create_order", "confirm_order"]
    first, second = (argument for name, argument in world.asked if name == "create_order")
    assert first.order_number == second.order_number and first.facts_as_of is not None


async def test_facts_that_are_too_old_however_soon_they_are_used_turn_no_circle_without_rest(
    stage: Stage, world: World
) -> None:
    """As where a clock is an hour off: the deal rests between two looks, from now on and not from the facts' moment."""
    world.credit_age = timedelta(hours=1)
    world.too_old = ["credit was given on facts of an hour ago"] * 50
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    while "create_order" not in world.names():
        await asyncio.sleep(0.05)
    await asyncio.sleep(4)
    assert world.names().count("create_order") == 1


async def test_credit_that_is_gone_after_an_outage_holds_the_deal_and_nothing_is_ordered(
    stage: Stage, world: World
) -> None:
    world.too_old = ["credit was given on facts of an hour ago"]
    world.held["create_order"] = asyncio.Event()
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, lambda view: view.order_status == "creating")
    world.credit_passes = False
    world.held["create_order"].set()
    view = await until(stage, waits_for(WaitingFor.CREDIT))
    assert (view.order_status, view.credit_status) == ("none", "held")
    assert "confirm_order" not in world.names()


async def test_a_system_that_is_away_is_waited_for_and_nothing_is_parked(stage: Stage, world: World) -> None:
    world.fail["assess_quote"] = [ApplicationError("503", type="Transient", non_retryable=True)]
    await stage.submit()
    view = await until(stage, waits_for(WaitingFor.FINANCE))
    assert view.parked is None

    await stage.env.fast_forward(stage.case, timedelta(minutes=1))

    await until(stage, waits_for(WaitingFor.REP))


async def test_a_changed_quote_is_not_ordered(stage: Stage, world: World) -> None:
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    world.content = "hash-2"
    await stage.sales(SalesEventKind.ACCEPTED)

    view = await until(stage, waits_for(WaitingFor.OPERATOR))

    assert view.parked is not None and view.parked.cause == "ContentChanged"
    assert "create_order" not in world.names()


@pytest.mark.parametrize("kind", [SalesEventKind.LOST, SalesEventKind.CANCELLED, SalesEventKind.OPPORTUNITY_LOST])
async def test_a_deal_called_off_before_the_order_ends(stage: Stage, world: World, kind: SalesEventKind) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await stage.sales(kind)

    ended = DealView.model_validate(await stage.case.result())

    assert ended.ending in (Ending.LOST, Ending.CANCELLED)
    assert ended.approvals[0].status == "withdrawn"
    assert "create_order" not in world.names()


async def test_an_unsigned_command_changes_nothing_and_is_written_down(stage: Stage, world: World) -> None:
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await marked(world, "approved")
    view = await until(stage, lambda view: view.version == 2)
    await stage.case.signal(names.COMMAND, {"message_id": "m-1", "token": ""})

    assert (await outcome(stage, "m-1")).code == "UNAUTHENTICATED"
    after = await stage.case.query(names.STATE, result_type=DealView)
    assert (after.version, after.stage) == (view.version, CaseStage.QUOTE)
    timeline = await stage.case.query(names.TIMELINE)
    assert [entry["code"] for entry in timeline if entry["code"]] == ["UNAUTHENTICATED"]
