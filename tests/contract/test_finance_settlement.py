"""Money that comes in: discounts, tolerances, instalments, prepayments, refunds, several invoices, letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.store import Clock
from tests.contract.finance_world import World, open_world

D = Decimal


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def world(clock: Clock) -> AsyncIterator[World]:
    async with open_world(clock) as opened:
        yield opened


def _invoiced(world: World, number: str = "SO-1", **order: Any) -> str:
    world.order(number, **order)
    world.ok("packingSlip", SalesOrderId=number)
    return str(world.ok("invoice", SalesOrderId=number)["InvoiceId"])


def _pay(world: World, amount: str, *settlements: tuple[str, str], **more: Any) -> dict[str, Any]:
    parts = [{"InvoiceId": invoice, "Amount": D(part)} for invoice, part in settlements]
    return world.ok("payment", CustAccount="US-001", Amount=D(amount), Settlements=parts, **more)


def _open(world: World) -> list[Decimal]:
    return [row["AmountCur"] for row in world.finance.query("CustTransOpens", AccountNum="US-001")]


def _closed(world: World, invoice: str) -> bool:
    [row] = [row for row in world.finance.query("CustTransactions", Invoice=invoice) if row["AmountCur"] > 0]
    return bool(row["Closed"] != "1900-01-01T12:00:00Z")


def _kinds(world: World) -> list[tuple[str, Decimal]]:
    rows = world.finance.query("CustTransactions", AccountNum="US-001")
    return [(row["TransType"], row["AmountCur"]) for row in rows]


@pytest.mark.parametrize(("days", "left"), [(9, []), (10, []), (11, [D("20.90")])])
async def test_two_percent_within_ten_days(world: World, clock: Clock, days: int, left: list[Decimal]) -> None:
    invoice = _invoiced(world, CashDiscountCode="2%D10")
    [opened] = await world.rows("CustTransOpens?$filter=AccountNum eq 'US-001'")
    assert opened["PossibleCashDisc"] == D("20.90")
    [header] = world.finance.query("SalesInvoiceHeadersV4", InvoiceNumber=invoice)
    assert header["CashDiscount"] == D("20.90")
    clock.offset = timedelta(days=days)
    _pay(world, "1024.10", (invoice, "1024.10"))
    assert _open(world) == left
    assert _closed(world, invoice) == (left == [])
    assert (("CashDiscount", D("-20.90")) in _kinds(world)) == (left == [])


async def test_whoever_pays_in_full_takes_no_discount(world: World) -> None:
    invoice = _invoiced(world, CashDiscountCode="2%D10")
    _pay(world, "1045.00", (invoice, "1045.00"))
    assert (_open(world), _kinds(world)) == ([], [("Sales", D("1045.00")), ("Payment", D("-1045.00"))])


async def test_a_bounced_payment_takes_its_discount_along(world: World) -> None:
    invoice = _invoiced(world, CashDiscountCode="2%D10")
    payment = _pay(world, "1024.10", (invoice, "1024.10"))["PaymentId"]
    world.ok("reversePayment", PaymentId=payment, Reason="Bounced")
    assert (_open(world), _closed(world, invoice)) == ([D("1045.00")], False)
    assert sum(amount for _, amount in _kinds(world)) == D("1045.00")
    [opened] = world.finance.query("CustTransOpens", AccountNum="US-001")
    assert opened["PossibleCashDisc"] == D("20.90"), "and may be taken again while its date has not passed"


@pytest.mark.parametrize(
    ("paid", "left", "difference"),
    [
        ("1044.98", [], ("PennyDifference", D("-0.02"))),
        ("1044.94", [], ("OverUnder", D("-0.06"))),
        ("1044.85", [D("0.15")], None),
        ("1045.04", [], ("PennyDifference", D("0.04"))),
        ("1045.15", [D("-0.15")], None),
    ],
)
async def test_what_is_off_by_less_than_the_tolerance_is_paid(
    world: World, paid: str, left: list[Decimal], difference: tuple[str, Decimal] | None
) -> None:
    tolerances = {"SettlementMaximumPennyDifference": D("0.05"), "SettlementMaximumOverUnderPayment": D("0.10")}
    world.finance.set_parameters("usmf", "CustomerParameters", tolerances)
    invoice = _invoiced(world)
    _pay(world, paid, (invoice, min(paid, "1045.00")))
    assert _open(world) == left
    found = [entry for entry in _kinds(world) if entry[0] in ("PennyDifference", "OverUnder")]
    assert found == ([] if difference is None else [difference])


async def test_without_a_tolerance_a_cent_stays_open(world: World) -> None:
    invoice = _invoiced(world)
    _pay(world, "1044.99", (invoice, "1044.99"))
    assert _open(world) == [D("0.01")]


async def test_one_payment_over_several_invoices(world: World) -> None:
    invoices = [_invoiced(world, f"SO-{number}") for number in (1, 2, 3)]
    payment = _pay(world, "2500.00", (invoices[0], "1045.00"), (invoices[1], "1045.00"), (invoices[2], "410.00"))
    assert [_closed(world, invoice) for invoice in invoices] == [True, True, False]
    rows = await world.rows(
        f"PaymentJournalLineSettledInvoices?$filter=JournalBatchNumber eq '{payment['JournalBatchNumber']}'"
    )
    settled = {row["InvoiceNumber"]: row["SettlementAmountInInvoiceCurrency"] for row in rows}
    assert settled == {invoices[0]: D("1045.00"), invoices[1]: D("1045.00"), invoices[2]: D("410.00")}
    event = world.finance.events.history[-1]
    assert [part["SalesOrderId"] for part in event["Settlements"]] == ["SO-1", "SO-2", "SO-3"]


async def test_an_undone_settlement_opens_both_and_leaves_its_trace_in_the_change_of_the_rows(world: World) -> None:
    invoice = _invoiced(world)
    payment = _pay(world, "1045.00", (invoice, "1045.00"))["PaymentId"]
    told = len(world.finance.events.history)
    changed = f"CustTransBiEntities?$filter=Closed le 1900-01-02T00:00:00Z and Invoice eq '{invoice}'"
    assert await world.rows(changed) == []
    world.ok("undoSettlement", PaymentId=payment)
    assert (_open(world), _closed(world, invoice)) == ([D("1045.00"), D("-1045.00")], False)
    [row] = await world.rows(f"{changed} and SysModifiedDateTime ge 2000-01-01T00:00:00Z")
    assert row["LastSettleDate"][:10] == "1900-01-01", "the last settlement is cleared: nothing else dates it"
    assert row["SysModifiedDateTime"] >= row["CreatedOn"] > "2000"
    assert len(world.finance.events.history) == told, "no business event tells of it"
    assert "settles nothing" in world.refused("undoSettlement", PaymentId=payment)
    world.ok("settle", PaymentId=payment, Settlements=[{"InvoiceId": invoice, "Amount": 1045}])
    assert _open(world) == []


async def test_settlements_can_be_read_from_both_sides(world: World) -> None:
    invoice = _invoiced(world)
    payment = _pay(world, "400.00", (invoice, "400.00"))
    [debit] = world.finance.query("CustTransactions", Invoice=invoice)
    [credit] = world.finance.query("CustTransactions", PaymId=payment["PaymentId"])
    rows = await world.rows(f"CustSettlementBiEntities?$filter=TransRecId eq {debit['SysRecId']}")
    assert [(row["SettleAmountCur"], row["OffsetRecid"]) for row in rows] == [(D("400.00"), credit["SysRecId"])]
    world.ok("reversePayment", PaymentId=payment["PaymentId"], Reason="x")
    rows = await world.rows(f"CustSettlementBiEntities?$filter=TransRecId eq {debit['SysRecId']}")
    assert sum(row["SettleAmountCur"] for row in rows) == 0
    assert {row["CanBeReversed"] for row in rows} == {"No"}


async def test_instalments_fall_due_one_after_the_other(world: World) -> None:
    invoice = _invoiced(world, PaymentScheduleName="3 x monthly", PaymentTermsName="Net 30")
    rows = await world.rows("CustTransOpens?$filter=AccountNum eq 'US-001'&$orderby=DueDate")
    assert [row["AmountCur"] for row in rows] == [D("348.33"), D("348.33"), D("348.34")]
    months = [int(row["DueDate"][:4]) * 12 + int(row["DueDate"][5:7]) for row in rows]
    assert [month - months[0] for month in months] == [0, 1, 2]
    _pay(world, "400.00", (invoice, "400.00"))
    assert sorted(_open(world)) == [D("296.66"), D("348.34")], "the first part is paid, the second in part"
    _pay(world, "645.00", (invoice, "645.00"))
    assert (_open(world), _closed(world, invoice)) == ([], True)


async def test_specified_instalments_have_shares(world: World) -> None:
    _invoiced(world, PaymentScheduleName="30-70")
    assert _open(world) == [D("313.50"), D("731.50")]


async def test_a_prepayment_is_settled_when_it_is_invoiced(world: World) -> None:
    world.order("SO-1")
    assert "must name the sales order" in world.refused("payment", CustAccount="US-001", Amount=1, IsPrepayment="Yes")
    paid = _pay(world, "300.00", IsPrepayment="Yes", SalesOrderId="SO-1")
    [row] = world.finance.query("CustTransactions", PaymId=paid["PaymentId"])
    assert (row["Prepayment"], row["AmountCur"]) == ("Yes", D("-300.00"))
    world.ok("packingSlip", SalesOrderId="SO-1", Lines=[{"LineNumber": 1, "Quantity": 2}])
    first = world.ok("invoice", SalesOrderId="SO-1")["InvoiceId"]
    assert sorted(_open(world)) == [D("-300.00"), D("209.00")], "by default somebody settles it"
    world.ok("settle", PaymentId=paid["PaymentId"], Settlements=[{"InvoiceId": first, "Amount": D("209.00")}])
    assert _open(world) == [D("-91.00")]
    world.finance.set_parameters("usmf", "CustomerParameters", {"SettlementAutoSettleEnabled": "Yes"})
    world.ok("packingSlip", SalesOrderId="SO-1")
    world.ok("invoice", SalesOrderId="SO-1")
    assert _open(world) == [D("745.00")], "836.00 less the 91.00 that were left"


async def test_an_overpayment_can_be_settled_later_or_paid_back(world: World) -> None:
    first = _invoiced(world)
    paid = _pay(world, "1100.00", (first, "1045.00"))["PaymentId"]
    assert "exceeds the 55.00 USD" in world.refused("refund", PaymentId=paid, Amount=56)
    world.ok("refund", PaymentId=paid, Amount=D("15.00"), PaymentReference="Back")
    assert _open(world) == [D("-40.00")]
    second = _invoiced(world, "SO-2")
    world.ok("settle", PaymentId=paid, Settlements=[{"InvoiceId": second, "Amount": 40}])
    assert _open(world) == [D("1005.00")]
    assert "exceed" in world.refused("settle", PaymentId=paid, Settlements=[{"InvoiceId": second, "Amount": 1}])
    assert "no payment or credit note" in world.refused("settle", PaymentId="PAY-X")


async def test_a_credit_note_can_be_settled_against_another_invoice(world: World) -> None:
    first = _invoiced(world)
    _pay(world, "1045.00", (first, "1045.00"))
    note = world.ok("creditNote", InvoiceId=first, Lines=[{"LineNumber": 1, "Quantity": 1}])["InvoiceId"]
    second = _invoiced(world, "SO-2")
    world.ok("settle", CreditNoteId=note, Settlements=[{"InvoiceId": second, "Amount": D("104.50")}])
    assert _open(world) == [D("940.50")]


async def test_a_collection_letter_marks_what_is_overdue(world: World) -> None:
    late = world.finance.seed_open_invoice("usmf", "US-001", D("100.00"), due_in_days=-20)
    world.finance.seed_open_invoice("usmf", "US-001", D("50.00"), due_in_days=20)
    answer = world.ok("collectionLetter", CustAccount="US-001", Level=2)
    assert answer["Amount"] == D("100.00")
    [row] = world.finance.query("CustTransactions", Invoice=late)
    assert row["CollectionLetterCode"] == "CollectionLetter2"
    event = world.finance.events.history[-1]
    assert (event["BusinessEventId"], event["CollectionLetterCode"]) == (
        "CollectionLetterSentBusinessEvent",
        "CollectionLetter2",
    )
    assert "between 1 and 5" in world.refused("collectionLetter", CustAccount="US-001", Level=6)
    assert "no overdue transactions" in world.refused("collectionLetter", CustAccount="US-002", Level=1)


async def test_events_can_be_deactivated(world: World) -> None:
    delivery = world.finance.events.delivery
    delivery.custom = False
    delivery.inactive = frozenset({"CustFreeTextInvoicePostedBusinessEvent"})
    invoice = _invoiced(world)
    _pay(world, "1045.00", (invoice, "1045.00"))
    world.ok("freeTextInvoice", CustAccount="US-001", Lines=[{"Description": "x", "UnitPrice": 1}])
    assert [event["BusinessEventId"] for event in world.finance.events.history] == ["SalesInvoicePostedBusinessEvent"]
