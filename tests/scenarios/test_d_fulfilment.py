"""Fulfilment, invoice, payment in parts: S29, driven from outside through the whole product."""

from __future__ import annotations

from decimal import Decimal

from tests.stack import Deal, Stack, assert_sound, decimals, ledger, line, money


def shown_in_sales(deal: Deal) -> str:
    (order,) = deal.sales()["orders"]
    return str(order["fulfilment"])


def test_s29_two_shipments_two_invoices_and_the_ledger_balances(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "5"))
    deal.accepted()

    deal.ship(_1="6")
    deal.until(lambda _: shown_in_sales(deal) == "partial", "Partial in Sales")
    first = deal.invoice()
    assert money(first["InvoiceAmount"]) == Decimal("627.00")
    case = deal.until(lambda case: money(case["invoiced"]) == 627, "invoiced 627.00")
    assert ledger(case) == [decimals(10, 0, 6, 0, 6, 0)]
    assert case["explanation"]["waiting_for"] == "shipment"
    deal.ship(_1="4")
    deal.waits_for("invoice")
    second = deal.invoice()
    assert money(second["InvoiceAmount"]) == Decimal("418.00")
    case = deal.waits_for("payment")

    assert ledger(case) == [decimals(10, 0, 10, 0, 10, 0)]
    assert money(case["invoiced"]) == Decimal("1045.00")
    deal.until(lambda _: shown_in_sales(deal) == "invoiced", "Invoiced in Sales")
    deal.pay("1045.00")
    deal.ends("closed")
    case = assert_sound(deal)
    assert [money(d["amount"]) for d in case["documents"] if d["kind"] == "invoice"] == [627, 418]
    assert [i["payment"] for i in deal.sales()["orders"][0]["invoices"]] == ["paid", "paid"]


def test_s29_a_payment_in_parts_shows_what_is_open_until_nothing_is(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "5"))
    deal.accepted()
    deal.ship()
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")

    deal.pay("400.00")
    case = deal.until(lambda case: money(case["open_amount"]) == 645, "645.00 open")
    assert "645.00" in case["explanation"]["text"]
    deal.until(lambda _: deal.sales()["orders"][0]["invoices"][0]["payment"] == "partial", "partial in Sales")
    deal.pay("645.00")

    assert money(deal.ends("closed")["paid"]) == Decimal("1045.00")
    assert_sound(deal)
