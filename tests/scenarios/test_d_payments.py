"""What customers pay: too much, a little less, in time for a discount; and what is paid back. S31, S32 and S34."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.stack import Deal, Stack, assert_sound, decimals, line, money

LONG = 90.0
"""Seconds that a deal is given."""


@pytest.fixture(autouse=True)
def without_tolerance(stack: Stack) -> Iterator[None]:
    """Finance posts no differences but where a test says so."""
    yield
    stack.desk.put("/companies/usmf", {"penny_difference": "0"})


def invoiced(stack: Stack, customer: str = "") -> tuple[Deal, str]:
    """A deal of ten P100 at 5 %, shipped and invoiced for 1,045.00, and its invoice."""
    deal = stack.deal(line("P100", 10, "5"), customer=customer)
    deal.accepted()
    deal.ship()
    deal.waits_for("invoice", LONG)
    number = str(deal.invoice()["InvoiceId"])
    deal.waits_for("payment", LONG)
    return deal, number


def amounts(case: dict[str, Any]) -> tuple[Decimal, ...]:
    """Paid, unapplied, refunded, received; the first three come to the last (I5)."""
    found = tuple(money(case[name]) for name in ("paid", "unapplied", "refunded", "received"))
    assert sum(found[:3]) == found[3], case
    return found


def paid_back(deal: Deal, of: str, amount: str) -> str:
    """Cleo proposes, she and the rep cannot approve, amy can; the journal in which the line stands."""
    people = deal.stack.person
    args = {"of": of, "amount": amount, "reason": "the customer asked for it"}
    assert people("rita").command(deal, "refund_propose", **args).code == "NO_AUTHORITY"
    assert people("cleo").command(deal, "refund_propose", **args).accepted
    assert people("cleo").command(deal, "refund_approve", refund="1").code == "NO_AUTHORITY"
    assert people("amy").command(deal, "refund_approve", refund="1").accepted
    case = deal.until(lambda case: case["refunds"][0]["status"] == "prepared", "prepared in Finance", LONG)
    assert people("amy").command(deal, "credit_keep", reason="no").code == "ILLEGAL_TRANSITION"
    return str(case["refunds"][0]["journal"])


def test_s31_what_was_paid_too_much_has_an_owner_and_is_paid_back_by_two(stack: Stack) -> None:
    deal, _ = invoiced(stack)
    deal.pay("400.00")
    case = deal.until(lambda case: money(case["received"]) == 400, "400.00 received", LONG)
    assert amounts(case) == decimals(400, 0, 0, 400)
    payment = deal.pay("700.00")
    case = deal.waits_for("unapplied", LONG)
    assert amounts(case) == decimals(1045, 55, 0, 1100)
    assert case["explanation"]["who"] == ["ar_manager"] and money(case["open_amount"]) == 0
    deal.until(lambda _: deal.sales()["orders"][0]["invoices"][0]["payment"] == "paid", "paid in Sales", LONG)
    assert_sound(deal, exceptions=["UNAPPLIED_CREDIT"])

    journal = paid_back(deal, payment, "55.00")
    posted = {"JournalBatchNumber": journal, "PaymentId": payment}
    stack.desk.post("/finance/usmf/postPaymentJournal", posted)
    case = deal.ends("closed", LONG)
    assert amounts(case) == decimals(1045, 0, 55, 1100)
    assert case["refunds"][0]["status"] == "paid"
    assert_sound(deal)


def test_s31_a_credit_that_is_left_on_the_account_closes_the_deal_with_it_named(stack: Stack) -> None:
    deal, number = invoiced(stack)
    deal.pay("1100.00", number)
    deal.waits_for("unapplied", LONG)
    assert stack.person("amy").command(deal, "credit_keep", reason="for the next order").accepted
    assert amounts(deal.ends("closed", LONG)) == decimals(1045, 55, 0, 1100)
    assert_sound(deal, exceptions=["UNAPPLIED_CREDIT"])


def test_s32_a_tolerance_is_finances_and_what_is_beyond_it_stays_open(stack: Stack) -> None:
    stack.desk.put("/companies/usmf", {"penny_difference": "0.05"})
    deal, number = invoiced(stack)
    deal.pay("1044.98", number)
    case = deal.ends("closed", LONG)
    assert (money(case["paid"]), money(case["difference"])) == (Decimal("1044.98"), Decimal("0.02"))
    deal, number = invoiced(stack)
    payment = deal.pay("1044.94", number)
    case = deal.until(lambda case: money(case["open_amount"]) == Decimal("0.06"), "0.06 open", LONG)
    assert (case["ending"], case["explanation"]["waiting_for"]) == ("", "payment")
    stack.desk.post(f"/payments/usmf/{payment}/reverse", {"reason": "bounced"})
    case = deal.until(lambda case: money(case["open_amount"]) == 1045, "open again", LONG)
    assert [d["status"] for d in case["documents"] if d["kind"] == "payment"] == ["reversed"]
    deal.pay("1045.00", number)
    assert amounts(deal.ends("closed", LONG)) == decimals(1045, 0, 0, 1045)


@pytest.mark.parametrize(("day", "left"), [(9, "0"), (11, "20.90")])
def test_s32_a_cash_discount_counts_until_its_day(stack: Stack, day: int, left: str) -> None:
    customer = "US-9600"  # whose orders promise two per cent within ten days
    deal, number = invoiced(stack, customer)
    (invoice,) = deal.order()["invoices"]
    paid_on = date.fromisoformat(invoice["InvoiceDate"][:10]) + timedelta(days=day)
    part = {"InvoiceId": number, "Amount": "1024.10"}
    payment = {"CustAccount": customer, "Amount": "1024.10", "TransDate": paid_on.isoformat(), "Settlements": [part]}
    stack.desk.post("/finance/usmf/payment", payment)
    if left == "0":
        case = deal.ends("closed", LONG)
        assert (money(case["paid"]), money(case["discount_taken"])) == (Decimal("1024.10"), Decimal("20.90"))
        assert_sound(deal)
    else:
        case = deal.until(lambda case: money(case["open_amount"]) == Decimal(left), f"{left} open", LONG)
        assert (money(case["paid"]), case["ending"]) == (Decimal("1024.10"), "")


def test_s34_a_credit_note_over_what_is_paid_is_paid_back_by_two(stack: Stack) -> None:
    deal, number = invoiced(stack)
    two = [{"LineNumber": 1, "Quantity": 2}]
    announced = stack.desk.post(
        "/finance/usmf/returnOrder", {"InvoiceId": number, "Lines": two, "ReasonCode": "DEFECT"}
    )["ReturnOrderNumber"]
    stack.desk.post("/finance/usmf/receiveReturn", {"ReturnOrderNumber": announced})
    deal.until(lambda case: money(case["lines"][0]["returned"]) == 2, "two returned", LONG)
    deal.pay("1045.00", number)
    deal.until(lambda case: money(case["open_amount"]) == 0, "paid", LONG)
    note = str(stack.desk.post("/finance/usmf/creditReturn", {"ReturnOrderNumber": announced})["InvoiceId"])
    assert amounts(deal.waits_for("unapplied", LONG)) == decimals(836, 209, 0, 1045)
    journal = paid_back(deal, note, "209.00")
    stack.desk.post("/finance/usmf/postPaymentJournal", {"JournalBatchNumber": journal})
    assert amounts(deal.ends("closed", LONG)) == decimals(836, 0, 209, 1045)
    assert_sound(deal)


def test_s31_one_payment_pays_the_second_invoice_of_an_order_later_on(stack: Stack) -> None:
    """What is left of a payment is settled when the rest is invoiced: the same payment, and another fact."""
    deal = stack.deal(line("P100", 10, "5"))
    deal.accepted()
    deal.ship(_1="6")
    first = str(deal.invoice()["InvoiceId"])
    payment = deal.pay("1045.00", first)
    deal.until(lambda case: money(case["paid"]) == 627, "627.00 paid", LONG)
    deal.ship(_1="4")
    second = str(deal.invoice()["InvoiceId"])
    deal.until(lambda case: money(case["open_amount"]) == 418, "418.00 open", LONG)
    part = {"InvoiceId": second, "Amount": "418.00"}
    stack.desk.post("/finance/usmf/settle", {"PaymentId": payment, "Settlements": [part]})
    assert amounts(deal.ends("closed", LONG)) == decimals(1045, 0, 0, 1045)
    assert_sound(deal)
