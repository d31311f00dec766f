"""How a deal ends: nothing is asked again without rest, clean-up waits as every step does, nothing outlives it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from domain.assessment import QuoteInSales
from domain.credit import CreditBook, CreditEntry, EntryStatus
from domain.credit_ledger import LedgerStart
from domain.messages import FinanceEventKind, SalesEventKind
from domain.views import DealView, Ending, WaitingFor
from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.acting import outcome, until, waits_for
from tests.workflows.conftest import Stage, World, step
from tests.workflows.trusting import CARL, MONA, OTTO, RITA

REFUSED = ApplicationError("the quote is locked", type="Refused", non_retryable=True)
AWAY = ApplicationError("503", type="Transient", non_retryable=True)


async def ended(stage: Stage) -> DealView:
    return DealView.model_validate(await asyncio.wait_for(stage.case.result(), PATIENCE))


async def expired(stage: Stage, world: World) -> None:
    """Submitted, approved, and its validity passes."""
    world.expires_at = datetime.now(UTC) + timedelta(days=2)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await until(stage, lambda view: "mark_quote" in world.names())
    await stage.env.fast_forward(stage.case, timedelta(days=2, minutes=1))


# An assessment that comes back stale


async def test_a_request_taken_back_before_it_was_read_ends_the_deal_at_once(stage: Stage, world: World) -> None:
    world.assessed = {"stale": "the request for approval was taken back"}
    await stage.submit()
    assert (await ended(stage)).ending is Ending.STALE
    assert world.names() == ["assess_quote"]


async def test_a_repeated_submission_is_read_once_and_what_was_decided_stands(stage: Stage, world: World) -> None:
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await until(stage, waits_for(WaitingFor.CUSTOMER))
    world.assessed = {"stale": "the quote is closed"}
    await stage.sales(SalesEventKind.SUBMITTED, event_id="again")
    await until(stage, lambda view: world.names().count("assess_quote") == 2)
    await asyncio.sleep(2)
    assert world.names().count("assess_quote") == 2
    assert (await until(stage, waits_for(WaitingFor.CUSTOMER))).quote_status == "sent"


async def test_a_revision_submitted_while_the_older_is_read_is_read_as_well(stage: Stage, world: World) -> None:
    world.held["assess_quote"] = asyncio.Event()
    await stage.submit()
    await until(stage, lambda view: world.names() == ["assess_quote"])
    await stage.sales(SalesEventKind.SUBMITTED, revision=1)
    world.held.pop("assess_quote").set()
    view = await until(stage, waits_for(WaitingFor.REP))
    assert (view.revision, view.quote_id) == (1, "q-2")
    assert [argument.quote.quote_id for name, argument in world.asked if name == "assess_quote"] == ["q-1", "q-2"]


# Expiry


async def test_an_expired_quote_that_sales_will_not_close_waits_for_a_person(stage: Stage, world: World) -> None:
    world.fail["close_quote"] = [REFUSED]
    await expired(stage, world)
    view = await until(stage, waits_for(WaitingFor.OPERATOR))
    assert (view.ending, view.parked and view.parked.message) == (Ending.EXPIRED, "the quote is locked")
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    assert (await ended(stage)).ending is Ending.EXPIRED
    assert world.names().count("close_quote") == 2


async def test_a_clean_up_can_be_skipped_or_aborted(stage: Stage, world: World) -> None:
    world.fail["close_quote"] = [REFUSED, REFUSED]
    await expired(stage, world)
    await until(stage, waits_for(WaitingFor.OPERATOR))
    assert (await outcome(stage, await stage.say(OTTO, "abort", reason="no matter"))).accepted
    view = await ended(stage)
    assert (view.ending, view.parked) == (Ending.EXPIRED, None)
    assert world.names().count("close_quote") == 1


async def test_a_quote_deleted_before_its_expiry_needs_no_closing(stage: Stage, world: World) -> None:
    world.in_sales = QuoteInSales(state="gone")
    await expired(stage, world)
    assert (await ended(stage)).ending is Ending.EXPIRED
    assert "close_quote" not in world.names()


async def test_what_was_accepted_in_time_and_told_late_is_accepted(stage: Stage, world: World) -> None:
    world.in_sales = QuoteInSales(state="won", accepted_at=datetime.now(UTC) + timedelta(days=1))
    await expired(stage, world)
    view = await until(stage, waits_for(WaitingFor.SHIPMENT))
    assert (view.ending, view.exceptions) == (Ending.RUNNING, ())
    assert "close_quote" not in world.names()


async def test_what_was_accepted_too_late_is_not_ordered_and_is_left_to_a_person(stage: Stage, world: World) -> None:
    world.in_sales = QuoteInSales(state="won", accepted_at=datetime.now(UTC) + timedelta(days=3))
    await expired(stage, world)
    view = await ended(stage)
    assert view.ending is Ending.EXPIRED
    assert view.exceptions[0].startswith("ACCEPTED_AFTER_EXPIRY")
    assert not {"close_quote", "create_order"} & set(world.names())


async def test_expiry_waits_for_sales_to_say_whether_it_was_accepted(stage: Stage, world: World) -> None:
    world.fail["read_quote"] = [AWAY] * 100
    await expired(stage, world)
    await until(stage, waits_for(WaitingFor.SALES))
    world.fail.clear()
    await stage.env.fast_forward(stage.case, timedelta(minutes=1))
    assert (await ended(stage)).ending is Ending.EXPIRED


async def test_a_step_that_waits_for_a_person_does_not_outlast_the_quotes_validity(stage: Stage, world: World) -> None:
    world.fail["mark_quote"] = [REFUSED]
    world.expires_at = datetime.now(UTC) + timedelta(days=2)
    await stage.submit()
    await until(stage, waits_for(WaitingFor.OPERATOR))
    await stage.env.fast_forward(stage.case, timedelta(days=2, minutes=1))
    view = await ended(stage)
    assert (view.ending, view.parked) == (Ending.EXPIRED, None)


# Somebody ends it


async def test_cancelling_the_run_ends_its_request_and_tells_sales_before_it_ends(stage: Stage, world: World) -> None:
    world.plan = (step(1, 1, "sales_manager", MONA),)
    await stage.submit()
    await until(stage, lambda view: world.marks() == ["pending"])
    await stage.case.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(stage.case.result(), PATIENCE)
    assert isinstance(failed.value.cause, CancelledError)
    assert (await stage.case.describe()).status is WorkflowExecutionStatus.CANCELED
    assert (await stage.approval.result())["state"]["status"] == "withdrawn"
    (closed,) = [argument for name, argument in world.asked if name == "close_quote"]
    assert closed.reason == "cancelled"
    view = await stage.case.query(names.STATE, result_type=DealView)
    assert (view.ending, view.approvals[0].status) == (Ending.CANCELLED, "withdrawn")


async def test_a_run_cancelled_while_its_deal_cleans_up_ends_and_leaves_the_rest(stage: Stage, world: World) -> None:
    world.held["close_quote"] = asyncio.Event()
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.say(RITA, "cancel", reason="entered twice")
    await until(stage, lambda view: "close_quote" in world.names())
    await stage.case.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(stage.case.result(), PATIENCE)
    assert isinstance(failed.value.cause, CancelledError)
    timeline = await stage.case.query(names.TIMELINE)
    assert timeline[-1]["text"].endswith("what is left to clean up is left")
    world.held.pop("close_quote").set()


@pytest.mark.parametrize("by", ["cancel", "command", "abort"])
async def test_a_deal_that_is_called_off_gives_its_credit_back(stage: Stage, world: World, by: str) -> None:
    entry = CreditEntry(
        deal_id=stage.case.id, order_number="Q2C-1", amount=Decimal(1_045), status=EntryStatus.HELD, over_by=Decimal(1)
    )
    account = f"C-{world.quote}"
    ledger = await stage.client.start_workflow(
        names.CREDIT_LEDGER,
        LedgerStart(company="usmf", customer_account=account, book=CreditBook(entries=(entry,))),
        id=names.ledger_id("usmf", account),
        task_queue=names.DEAL_QUEUE,
    )
    world.assessed = {"customer_account": account}
    world.credit_passes = False
    if by == "abort":
        world.fail["prepare_order"] = [REFUSED]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.OPERATOR if by == "abort" else WaitingFor.CREDIT))

    if by == "cancel":
        await stage.case.cancel()
    elif by == "command":
        await stage.say(RITA, "cancel", reason="changed their mind")
    else:
        await stage.say(OTTO, "abort", reason="done by hand")
    with pytest.raises(WorkflowFailureError) if by == "cancel" else _nothing():
        await asyncio.wait_for(stage.case.result(), PATIENCE)

    book = CreditBook.model_validate(await ledger.query(names.STATE))
    assert book.entry(stage.case.id) is None
    view = await stage.case.query(names.STATE, result_type=DealView)
    assert view.exceptions and view.exceptions[0].startswith("WON_IN_SALES")
    await ledger.terminate()


class _nothing:
    """Nothing is raised."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *error: Any) -> None:
        """End."""


@pytest.mark.parametrize(("who", "command", "ending"), [(MONA, "cancel", "cancelled"), (OTTO, "abort", "aborted")])
async def test_while_a_system_is_away_a_deal_can_be_called_off_at_once(
    stage: Stage, world: World, who: Any, command: str, ending: str
) -> None:
    world.fail["assess_quote"] = [AWAY] * 50
    await stage.submit()
    await until(stage, waits_for(WaitingFor.FINANCE))
    assert (await outcome(stage, await stage.say(who, command, reason="…"))).accepted
    assert (await ended(stage)).ending == ending
    assert world.names().count("assess_quote") == 1


async def test_a_try_that_is_under_way_is_given_up_when_the_deal_is_called_off(stage: Stage, world: World) -> None:
    world.held["assess_quote"] = asyncio.Event()
    await stage.submit()
    await until(stage, lambda view: world.names() == ["assess_quote"])
    await stage.say(MONA, "cancel", reason="…")
    assert (await ended(stage)).ending is Ending.CANCELLED
    world.held["assess_quote"].set()


async def test_a_deal_called_off_while_sales_is_away_does_not_wait_for_sales(stage: Stage, world: World) -> None:
    world.fail |= {"mark_quote": [AWAY] * 50, "close_quote": [AWAY] * 50}
    await stage.submit()
    await until(stage, waits_for(WaitingFor.SALES))
    await stage.say(RITA, "cancel", reason="…")
    view = await ended(stage)
    assert view.ending is Ending.CANCELLED
    assert view.exceptions[0].startswith("SALES_NOT_TOLD")
    assert world.names().count("close_quote") == 1


async def test_an_aborted_deal_lets_the_quote_go_in_sales(stage: Stage, world: World) -> None:
    world.fail["assess_quote"] = [REFUSED]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.OPERATOR))
    await stage.say(OTTO, "abort", reason="…")
    assert (await ended(stage)).ending is Ending.ABORTED
    assert world.marks() == ["none"]


async def test_a_cancelled_run_whose_order_may_be_in_finance_says_so(stage: Stage, world: World) -> None:
    world.fail["create_order"] = [REFUSED]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.OPERATOR))
    await stage.case.cancel()
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(stage.case.result(), PATIENCE)
    view = await stage.case.query(names.STATE, result_type=DealView)
    assert view.exceptions == (f"ORDER_IN_FINANCE: order {view.order_number} may be in Finance",)


# What is said while it ends


async def test_a_revision_submitted_while_the_deal_ends_begins_it_anew(stage: Stage, world: World) -> None:
    world.fail["close_quote"] = [REFUSED]
    await expired(stage, world)
    await until(stage, waits_for(WaitingFor.OPERATOR))
    first = (await stage.case.describe()).run_id
    later = datetime.now(UTC) + timedelta(days=3)
    world.expires_at = later + timedelta(days=7)
    await stage.sales(SalesEventKind.SUBMITTED, revision=1, at=later)
    await stage.say(OTTO, "retry")

    view = await until(stage, lambda view: view.revision == 1 and view.quote_status == "approved")

    assert (await stage.case.describe()).run_id != first
    assert (view.quote_id, view.ending) == ("q-2", Ending.RUNNING)
    told: list[str] = []
    for _ in range(int(PATIENCE / 0.1)):  # Sales is told after the deal knows it
        told = [entry["text"] for entry in await stage.case.query(names.TIMELINE)]
        if told[-1] == "Sales shows approval: approved":
            break
        await asyncio.sleep(0.1)
    assert any("expired" in text for text in told) and told[-1] == "Sales shows approval: approved"


async def test_a_submission_delivered_again_while_the_deal_ends_begins_nothing(stage: Stage, world: World) -> None:
    world.fail["close_quote"] = [REFUSED]
    await expired(stage, world)
    await until(stage, waits_for(WaitingFor.OPERATOR))
    await stage.sales(SalesEventKind.SUBMITTED, event_id="again")
    await stage.say(OTTO, "retry")
    assert (await ended(stage)).ending is Ending.EXPIRED
    assert world.names().count("assess_quote") == 1


# Credit


async def test_a_recheck_told_while_credit_is_checked_counts(stage: Stage, world: World) -> None:
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    world.credit_passes = False
    checking = world.held["prepare_order"] = asyncio.Event()
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, lambda view: "prepare_order" in world.names())
    await stage.case.signal(names.CREDIT_RECHECK, {"message_id": "r-1", "reason": "a payment came"})
    await until(stage, lambda view: view.credit_status == "not_checked")
    world.held.pop("prepare_order")
    checking.set()
    await until(stage, lambda view: world.names().count("prepare_order") == 2)
    world.credit_passes = True
    await stage.case.signal(names.CREDIT_RECHECK, {"message_id": "r-2", "reason": "another"})
    await until(stage, waits_for(WaitingFor.SHIPMENT))


async def test_a_release_given_while_a_step_is_parked_counts_when_it_is_retried(stage: Stage, world: World) -> None:
    world.fail["confirm_order"] = [ApplicationError("on credit hold", type="Refused", non_retryable=True)]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.OPERATOR))
    assert (await outcome(stage, await stage.say(CARL, "credit_release", reason="known well"))).accepted
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    asked = [argument for name, argument in world.asked if name == "confirm_order"]
    assert [(ask.release_reason, ask.probe) for ask in asked] == [("", True), ("known well", True)], (
        "tried with the order before"
    )


async def test_a_hold_of_finance_s_own_credit_management_is_the_credit_manager_s_and_a_release_confirms_the_order(
    stage: Stage, world: World
) -> None:
    world.fail["confirm_order"] = [ApplicationError("on credit hold", type="CreditHold", non_retryable=True)]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    held = await until(stage, waits_for(WaitingFor.CREDIT))
    assert held.explanation.who == ("credit_manager",) and "on credit hold" in held.explanation.text
    assert held.release_defaults is not None, "the page offers the release"
    assert (await outcome(stage, await stage.say(CARL, "credit_release", reason="known well"))).accepted
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    asked = [argument for name, argument in world.asked if name == "confirm_order"]
    assert [(ask.release_reason, ask.probe) for ask in asked] == [("", True), ("known well", True)], (
        "tried with the order before"
    )


@pytest.mark.parametrize("known", ["recheck", "time"])
async def test_an_order_that_was_released_in_finance_itself_is_confirmed_without_anybody_saying_so_here(
    stage: Stage, world: World, known: str
) -> None:
    world.fail["confirm_order"] = [ApplicationError("on credit hold", type="CreditHold", non_retryable=True)]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.CREDIT))
    if known == "recheck":
        assert (await outcome(stage, await stage.say(CARL, "credit_recheck"))).accepted
    else:
        await stage.env.fast_forward(stage.case, timedelta(hours=4, minutes=1))
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    asked = [argument for name, argument in world.asked if name == "confirm_order"]
    tried = [(ask.release_reason, ask.probe) for ask in asked]
    assert tried == [("", True), ("", True)], "it was tried with the order before"


async def test_an_order_that_finance_holds_at_its_confirmation_can_be_refused(stage: Stage, world: World) -> None:
    world.fail["confirm_order"] = [ApplicationError("on credit hold", type="CreditHold", non_retryable=True)]
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.CREDIT))
    assert (await outcome(stage, await stage.say(CARL, "credit_reject", reason="bankrupt"))).accepted
    view = await ended(stage)
    assert (view.ending, view.credit_status) == (Ending.CANCELLED, "rejected")
    assert [text.partition(":")[0] for text in view.exceptions] == ["ORDER_IN_FINANCE"]


@pytest.mark.parametrize("shipped", [0, 6])
@pytest.mark.parametrize("decision", ["release", "reject"])
async def test_a_hold_that_finance_places_after_the_confirmation_is_decided_here_as_well(
    stage: Stage, world: World, shipped: int, decision: str
) -> None:
    """Given a confirmed order, when Finance holds it, then a credit manager releases it, or refuses what is left."""
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    if shipped:
        await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "PS-1", (1, shipped))
        await until(stage, lambda view: view.order_status == "partially_shipped")
    world.hold = "CM-000001"
    await stage.finance(FinanceEventKind.CREDIT_HOLD, "CM-000001")
    held = await until(stage, waits_for(WaitingFor.CREDIT))
    assert held.explanation.who == ("credit_manager",) and "CM-000001" in held.explanation.text
    assert held.release_defaults is not None, "the page offers the release"
    if decision == "release":
        assert (await outcome(stage, await stage.say(CARL, "credit_release", reason="known well"))).accepted
        await until(stage, waits_for(WaitingFor.SHIPMENT))
        confirmed = [argument for name, argument in world.asked if name == "confirm_order"]
        assert [ask.release_reason for ask in confirmed] == ["", "known well"]
        assert (await outcome(stage, await stage.say(CARL, "credit_release", reason="twice"))).code == "NOT_HELD"
        return
    assert (await outcome(stage, await stage.say(CARL, "credit_reject", reason="bankrupt"))).accepted
    if not shipped:
        view = await ended(stage)
        assert view.ending is Ending.CANCELLED
        assert [text.partition(":")[0] for text in view.exceptions] == ["ORDER_IN_FINANCE"]
        return
    view = await until(stage, waits_for(WaitingFor.SHIPMENT))
    assert (view.credit_status, view.ending) == ("rejected", Ending.RUNNING)
    assert view.exceptions == (
        "CREDIT_REFUSED: credit for the rest of order " + view.order_number + " was refused: bankrupt",
    )


async def test_a_report_of_an_acceptance_that_sales_does_not_show_orders_nothing(stage: Stage, world: World) -> None:
    world.readiness = "active"
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await stage.sales(SalesEventKind.ACCEPTED, event_id="typed by hand")
    await until(stage, lambda view: "prepare_order" in world.names() and view.quote_status == "sent")
    world.readiness = "won"
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    assert world.names().count("create_order") == 1
