"""What people take back in Finance by hand: S30, S34, and S35 and S36 as far as Finance does it, driven from outside.

Nobody tells the product but Finance itself, by its business events; the sweeps rest.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.stack import Deal, Stack, assert_sound, decimals, eventually, ledger, line, money, texts


def ordered(stack: Stack, quantity: int = 10, customer: str = "") -> Deal:
    """A deal of so many P100 at 5 %, whose order is confirmed."""
    deal = stack.deal(line("P100", quantity, "5"), customer=customer)
    deal.accepted()
    return deal


def invoiced(stack: Stack) -> tuple[Deal, str]:
    """A deal of ten, shipped and invoiced, and its invoice."""
    deal = ordered(stack)
    deal.ship()
    deal.waits_for("invoice")
    number = str(deal.invoice()["InvoiceId"])
    deal.waits_for("payment")
    return deal, number


def post(deal: Deal, operation: str, **members: Any) -> Any:
    """Somebody posts in Finance."""
    return deal.stack.desk.post(f"/finance/{deal.company}/{operation}", members)


def cancel_rest(deal: Deal) -> None:
    deal.stack.desk.post(f"/orders/{deal.company}/{deal.case()['order_number']}/cancel-remainder")


def change_line(deal: Deal, quantity: int) -> None:
    path = f"/orders/{deal.company}/{deal.case()['order_number']}/lines/1"
    deal.stack.desk.put(path, {"quantity": quantity})


def two() -> list[dict[str, int]]:
    return [{"LineNumber": 1, "Quantity": 2}]


def in_sales(deal: Deal) -> Any:
    """The order of the deal in Sales."""
    (order,) = deal.sales()["orders"]
    return order


def copies(deal: Deal) -> dict[str, tuple[Decimal, str]]:
    """Total and payment of each invoice and credit note in Sales."""
    return {i["finance_invoice"]: (money(i["total"]), i["payment"]) for i in in_sales(deal)["invoices"]}


def test_s30_the_rest_cancelled_in_finance_closes_the_deal_short(stack: Stack) -> None:
    deal = ordered(stack)
    deal.ship(_1="6")
    deal.until(lambda _: in_sales(deal)["fulfilment"] == "partial", "Partial in Sales")
    cancel_rest(deal)
    case = deal.waits_for("invoice")
    assert ledger(case) == [decimals(10, 4, 6, 0, 0, 0)]
    assert money(deal.invoice()["InvoiceAmount"]) == Decimal("627.00")
    deal.waits_for("payment")
    deal.pay("627.00")
    assert deal.ends("closed")["order_status"] == "closed_short"
    assert_sound(deal)
    assert any("4 of 10 cancelled in Finance (last changed there by desk)" in text for text in texts(deal.case()))
    eventually(lambda: in_sales(deal)["fulfilment"] == "closed", "Closed in Sales")


def test_s35_the_whole_order_cancelled_in_finance_cancels_the_deal_in_both_systems(stack: Stack) -> None:
    """Its credit is free at once: a deal of the same customer that is held for it goes on by itself."""
    customer = stack.customer(credit_limit="1100.00")
    deal = ordered(stack, customer=customer)
    held = stack.deal(line("P100", 10, "5"), customer=customer)
    held.accepted(waits_for="credit")
    cancel_rest(deal)
    case = deal.ends("cancelled")
    assert (case["order_status"], case["exceptions"]) == ("cancelled", [])
    assert ledger(case) == [decimals(10, 10, 0, 0, 0, 0)]
    eventually(lambda: in_sales(deal)["state"] == "canceled", "Sales shows it as well")
    assert "was cancelled in Finance" in " ".join(texts(case))
    held.waits_for("shipment")


def test_a_line_lowered_and_raised_in_finance_is_shipped_invoiced_and_paid_as_it_is_there(stack: Stack) -> None:
    deal = ordered(stack)
    change_line(deal, 8)
    deal.until(lambda case: ledger(case) == [decimals(8, 0, 0, 0, 0, 0)], "eight ordered")
    deal.ship()
    deal.waits_for("invoice")
    first = deal.invoice()
    assert money(first["InvoiceAmount"]) == Decimal("836.00")
    deal.waits_for("payment")
    change_line(deal, 12)
    case = deal.waits_for("shipment")
    assert (ledger(case), case["exceptions"]) == ([decimals(12, 0, 8, 0, 8, 0)], [])
    deal.pay("836.00")
    deal.until(lambda case: money(case["open_amount"]) == 0, "paid so far")
    deal.ship()
    deal.waits_for("invoice")
    second = deal.invoice()
    deal.waits_for("payment")
    deal.pay("418.00", second["InvoiceId"])
    case = deal.ends("closed")
    assert (case["order_status"], ledger(case)) == ("closed", [decimals(12, 0, 12, 0, 12, 0)])
    assert copies(deal) == {
        first["InvoiceId"]: (Decimal("836.00"), "paid"),
        second["InvoiceId"]: (Decimal("418.00"), "paid"),
    }
    told = " ".join(texts(case))
    assert "8 ordered in Finance, 10 in the quote" in told and "12 ordered in Finance, 10 in the quote" in told


@pytest.mark.parametrize("quantity", [10, 2])
def test_a_credit_note_over_all_or_over_two_of_ten_is_taken_off_what_is_paid(stack: Stack, quantity: int) -> None:
    deal, number = invoiced(stack)
    lines = {} if quantity == 10 else {"Lines": two()}
    order = deal.case()["order_number"]
    note = str(
        post(deal, "creditNote", SalesOrderId=order, InvoiceId=number, ReasonCode="DEFECT", **lines)["InvoiceId"]
    )
    if quantity == 2:
        case = deal.until(lambda case: money(case["open_amount"]) == 836, "836.00 open")
        assert (money(case["invoiced"]), money(case["credited"])) == decimals(1045, 209)
        deal.pay("836.00", number)
    case = deal.ends("closed")
    assert_sound(deal)
    credited = Decimal("104.50") * quantity
    assert (money(case["credited"]), money(case["paid"])) == (credited, 1045 - credited)
    assert ledger(case) == [decimals(10, 0, 10, 0, 10, quantity)]
    assert copies(deal) == {number: (Decimal("1045.00"), "paid"), note: (-credited, "paid")}


def test_s34_goods_that_come_back_are_credited_and_both_systems_show_it(stack: Stack) -> None:
    deal, number = invoiced(stack)
    announced = post(deal, "returnOrder", InvoiceId=number, Lines=two(), ReasonCode="DEFECT")["ReturnOrderNumber"]
    post(deal, "receiveReturn", ReturnOrderNumber=announced)
    case = deal.until(lambda case: ledger(case) == [decimals(10, 0, 10, 2, 10, 0)], "two returned")
    assert case["explanation"]["waiting_for"] == "invoice"
    note = str(post(deal, "creditReturn", ReturnOrderNumber=announced)["InvoiceId"])
    deal.until(lambda case: money(case["open_amount"]) == 836, "836.00 open")
    deal.pay("836.00", number)
    case = deal.ends("closed")
    assert_sound(deal)
    assert ledger(case) == [decimals(10, 0, 10, 2, 10, 2)]
    assert copies(deal) == {number: (Decimal("1045.00"), "paid"), note: (Decimal("-209.00"), "paid")}


def test_an_invoice_and_a_slip_taken_back_in_finance_are_taken_back_here(stack: Stack) -> None:
    deal, number = invoiced(stack)
    (slip,) = {row["slip"] for row in deal.order()["slips"]}
    post(deal, "cancelInvoice", InvoiceId=number, ReasonCode="DEFECT")
    case = deal.waits_for("invoice")
    assert ledger(case) == [decimals(10, 0, 10, 0, 0, 0)]
    post(deal, "cancelPackingSlip", PackingSlipId=slip, Lines=[{"LineNumber": 1, "Quantity": 6}])
    assert ledger(deal.waits_for("shipment")) == [decimals(10, 0, 6, 0, 0, 0)]
    deal.ship()
    deal.waits_for("invoice")
    again = deal.invoice()["InvoiceId"]
    deal.waits_for("payment")
    deal.pay("1045.00", again)
    case = deal.ends("closed")
    assert_sound(deal)
    assert ledger(case) == [decimals(10, 0, 10, 0, 10, 0)]


def test_s29_one_invoice_over_two_orders_is_paid_by_both_deals_to_the_cent(stack: Stack) -> None:
    customer = stack.customer()
    deals = [ordered(stack, quantity, customer) for quantity in (3, 7)]
    for deal in deals:
        deal.ship()
        deal.waits_for("invoice")
    orders = [deal.case()["order_number"] for deal in deals]
    billed = post(deals[0], "invoice", SalesOrderIds=orders)
    cases = [deal.waits_for("payment") for deal in deals]
    whole = money(billed["InvoiceAmount"])
    assert sum(money(case["invoiced"]) for case in cases) == whole == Decimal("1045.00")
    shares = [[f"{billed['InvoiceId']}/{order}"] for order in orders]
    eventually(lambda: [list(copies(deal)) for deal in deals] == shares, "Sales shows the share of each")
    payment = {"company": "usmf", "customer": customer, "amount": str(whole)}
    settle = [{"invoice": billed["InvoiceId"], "amount": str(whole)}]
    stack.desk.post("/payments", payment | {"settlements": settle})
    assert sum(money(deal.ends("closed")["paid"]) for deal in deals) == whole
