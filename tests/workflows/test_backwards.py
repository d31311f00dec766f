"""What Finance takes back, told to a deal that runs: it looks, goes on with what Finance holds, and Sales is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

from temporalio.exceptions import ApplicationError

from domain.credit import CreditBook, CreditEntry, EntryStatus
from domain.credit_ledger import LedgerStart
from domain.messages import FinanceEventKind
from domain.views import DealView, Ending, TimelineEntry, WaitingFor
from runs import names
from tests.deadlines import PATIENCE
from tests.deals import credit_note, held, holding, invoice
from tests.workflows.acting import outcome, to_fulfilment, until, waits_for
from tests.workflows.conftest import Stage, World
from tests.workflows.trusting import AMY, CFO, CLEO, OTTO, RITA

D = Decimal
CHANGED = FinanceEventKind.ORDER_CHANGED


async def ended(stage: Stage) -> DealView:
    return DealView.model_validate(await asyncio.wait_for(stage.case.result(), PATIENCE))


async def texts(stage: Stage) -> list[str]:
    timeline = await stage.case.query(names.TIMELINE, result_type=list[TimelineEntry])
    return [entry.text for entry in timeline]


def last(world: World, name: str) -> Any:
    return [argument for asked, argument in world.asked if asked == name][-1]


async def test_an_order_cancelled_in_finance_is_cancelled_in_sales_and_frees_its_credit(
    stage: Stage, world: World
) -> None:
    """Sales refuses at first: the deal waits for a person, and is not over before Sales shows it."""
    account = f"C-{world.quote}"
    world.assessed = {"customer_account": account}
    deal = CreditEntry(deal_id=stage.case.id, order_number="Q2C-1", amount=D(1_045), status=EntryStatus.RESERVED)
    other = CreditEntry(
        deal_id="q2c/usmf/other", order_number="Q2C-2", amount=D(1_045), status=EntryStatus.HELD, over_by=D(1)
    )
    ledger = await stage.client.start_workflow(
        names.CREDIT_LEDGER,
        LedgerStart(company="usmf", customer_account=account, book=CreditBook(entries=(deal, other))),
        id=names.ledger_id("usmf", account),
        task_queue=names.DEAL_QUEUE,
    )
    await to_fulfilment(stage)
    world.fail["cancel_sales_order"] = [ApplicationError("fulfilled there", type="Refused", non_retryable=True)]
    world.billing = holding(held(10, 0, by="clara"), cancelled=True, changed_by="clara")
    await stage.finance(CHANGED, "a remainder was cancelled")

    view = await until(stage, waits_for(WaitingFor.OPERATOR))
    assert (view.ending, view.order_status) == (Ending.CANCELLED, "cancelled")
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    view = await ended(stage)

    assert (view.ending, view.exceptions) == (Ending.CANCELLED, ())
    assert world.names().count("cancel_sales_order") == 2
    assert any("was cancelled in Finance (last changed there by clara)" in text for text in await texts(stage))
    book = CreditBook.model_validate(await ledger.query(names.STATE))
    entry = book.entry(stage.case.id)
    assert entry is None or entry.status is not EntryStatus.HELD
    await ledger.terminate()


async def test_a_cancelled_order_does_not_wait_for_a_sales_that_is_away(stage: Stage, world: World) -> None:
    await to_fulfilment(stage)
    world.fail["cancel_sales_order"] = [ApplicationError("503", type="Transient", non_retryable=True)] * 5
    world.billing = holding(held(10, 0), cancelled=True)
    await stage.finance(CHANGED, "a remainder was cancelled")
    await until(stage, waits_for(WaitingFor.SALES))
    assert (await outcome(stage, await stage.say(OTTO, "abort", reason="done by hand"))).accepted
    assert (await ended(stage)).ending is Ending.CANCELLED


async def test_a_remainder_cancelled_in_finance_is_told_to_sales_and_closes_the_deal_short(
    stage: Stage, world: World
) -> None:
    await to_fulfilment(stage)
    world.billing = holding(held(10, 4), slips={"S": 6})
    await stage.finance(FinanceEventKind.SHIPMENT_POSTED, "S")
    await until(stage, lambda view: world.names().count("record_shipment") == 1)
    world.billing = holding(held(10, 0, by="wanda"), slips={"S": 6})
    await stage.finance(CHANGED, "a remainder was cancelled")
    await until(stage, lambda view: world.names().count("record_shipment") == 2)
    told = last(world, "record_shipment")
    assert (told.short, told.complete, told.slips) == (True, False, ())
    world.billing = holding(held(10, 0), slips={"S": 6}, documents=(invoice("I", 6, "0"),))
    await stage.finance(FinanceEventKind.INVOICE_POSTED, "I")
    view = await ended(stage)
    assert (view.ending, view.order_status, view.exceptions) == (Ending.CLOSED, "closed_short", ())
    assert last(world, "record_invoice").order_paid, "paid by the time it was shown"
    assert "closed short: 4 cancelled" in " ".join(await texts(stage))


async def _paid_back_by_two(stage: Stage, world: World) -> None:
    """Who proposed it cannot approve it; a step that fails waits for a person, and the line is asked for once."""
    wanted = {"of": "C", "amount": "209", "reason": "the customer chose it"}
    assert (await outcome(stage, await stage.say(RITA, "refund_propose", **wanted))).code == "NO_AUTHORITY"
    assert (await outcome(stage, await stage.say(AMY, "refund_propose", **wanted))).accepted
    assert (await outcome(stage, await stage.say(AMY, "refund_approve", refund="1"))).code == "NEEDS_SECOND_PERSON"
    assert (await outcome(stage, await stage.say(AMY, "refund_approve", refund="x"))).code == "BAD_ARGUMENT"
    assert (await outcome(stage, await stage.say(AMY, "refund_propose", amount="9" * 30))).code == "BAD_ARGUMENT"
    assert (await outcome(stage, await stage.say(CLEO, "refund_approve", refund="1"))).code == "NO_AUTHORITY"
    world.fail["prepare_refund"] = [ApplicationError("no such journal name", type="Refused", non_retryable=True)]
    assert (await outcome(stage, await stage.say(CFO, "refund_approve", refund="1"))).accepted
    await until(stage, waits_for(WaitingFor.OPERATOR))
    assert (await outcome(stage, await stage.say(OTTO, "retry"))).accepted
    view = await until(stage, lambda view: view.refunds[0].status == "prepared")
    asked = last(world, "prepare_refund")
    assert (asked.of, asked.is_note, asked.amount, len(asked.mark)) == ("C", True, D(209), 16)
    assert (view.refunds[0].journal, view.explanation.waiting_for) == ("000012", WaitingFor.UNAPPLIED)


async def test_a_return_and_its_credit_note_are_waited_for_and_shown(stage: Stage, world: World) -> None:
    """S34 while the deal runs; the events come late and twice, and the daily look finds what none of them told."""
    await to_fulfilment(stage)
    slips = {"S": 10}
    world.billing = holding(held(10, 0), slips=slips, documents=(invoice("I", 10, "1045"),))
    await stage.finance(FinanceEventKind.INVOICE_POSTED, "I")
    await until(stage, waits_for(WaitingFor.PAYMENT))
    slips = {"S": 10, "R": -2}
    world.billing = holding(held(10, 0), slips=slips, documents=(invoice("I", 10, "0"),))
    for _ in range(2):
        await stage.finance(CHANGED, "goods came back (RO-1)")
    view = await until(stage, waits_for(WaitingFor.INVOICE))
    assert "came back" in view.explanation.text
    assert last(world, "record_invoice").shipment.slips == ("S",), "shown with the invoice that came with it"
    await until(stage, lambda view: world.names().count("record_shipment") == 1)
    assert last(world, "record_shipment").returned == ("R",)
    note = credit_note("C", 2, "-209")
    world.billing = holding(held(10, 0), slips=slips, documents=(invoice("I", 10, "0"), note))
    await stage.env.fast_forward(stage.case, timedelta(hours=25))
    view = await until(stage, waits_for(WaitingFor.UNAPPLIED))
    assert (view.credited, view.unapplied, view.paid) == (D(209), D(209), D(836))
    assert view.exceptions == ("UNAPPLIED_CREDIT: 209.00 USD settle nothing (credit note C: 209.00 USD)",)
    await _paid_back_by_two(stage, world)
    back = note.model_copy(update={"open_amount": D(0), "refunded": D(209)})
    world.billing = holding(held(10, 0), slips=slips, documents=(invoice("I", 10, "0"), back))
    await stage.finance(FinanceEventKind.PAYMENT_POSTED, "PAY-9")
    view = await ended(stage)
    assert (view.ending, view.unapplied, view.refunded, view.paid) == (Ending.CLOSED, D(0), D(209), D(836))
    assert last(world, "read_billing").payments_told == ("PAY-9",)
    assert [i.invoice_number for i in last(world, "record_invoice").invoices] == ["C"]


async def test_a_line_raised_while_its_payment_is_waited_for_is_shipped_and_invoiced_as_well(
    stage: Stage, world: World
) -> None:
    await to_fulfilment(stage)
    first = invoice("I", 10, "1045")
    world.billing = holding(held(10, 0), slips={"S": 10}, documents=(first,))
    await stage.finance(FinanceEventKind.INVOICE_POSTED, "I")
    await until(stage, waits_for(WaitingFor.PAYMENT))
    world.billing = holding(held(12, 2, by="clara"), slips={"S": 10}, documents=(first,))
    await stage.finance(CHANGED, "lines were changed")
    view = await until(stage, waits_for(WaitingFor.SHIPMENT))
    assert (view.explanation.text, view.exceptions) == ("10 of 12 shipped", ())
    both = (invoice("I", 10, "0"), invoice("J", 2, "0"))
    world.billing = holding(held(12, 0), slips={"S": 10, "T": 2}, documents=both)
    await stage.finance(FinanceEventKind.INVOICE_POSTED, "J")
    assert (await ended(stage)).order_status == "closed"
    shown = [i.invoice_number for _, a in world.asked if _ == "record_invoice" for i in a.invoices]
    assert shown == ["I", "J"]
