"""A deal was paid and is closed, and money goes on: from outside, through the whole product."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from decimal import Decimal

import pytest

from tests.stack import Answer, Deal, Json, Stack, assert_sound, eventually, line, money

PATIENCE = 90.0


def of(deal: Deal, who: str = "amy", status: str = "open") -> list[Json]:
    """What stands open of a deal after its end, or what was closed, as the API shows it."""
    found: list[Json] = deal.stack.person(who).get("/late", company=deal.company, q=deal.quote, status=status)["items"]
    return found


def until_open(deal: Deal, *codes: str) -> Json:
    """The exception of a deal as soon as it says so."""
    eventually(lambda: [e for e in of(deal) if set(e["codes"]) == set(codes)], f"{codes} is open", PATIENCE)
    (entry,) = of(deal)
    return entry


def settled(deal: Deal) -> list[Json]:
    """Those of a deal that were settled by themselves, as soon as none is open."""
    eventually(lambda: not of(deal), "nothing is open", PATIENCE)
    return of(deal, status="settled")


def shown_in_sales(deal: Deal) -> list[tuple[Decimal, Decimal, str]]:
    (order,) = [row for row in deal.sales()["orders"] if row["finance_order"]]
    return [(money(i["total"]), money(i["open"]), i["payment"]) for i in order["invoices"]]


def finance(deal: Deal, operation: str, **request: object) -> Json:
    """Post something in Finance that the desk has no words for."""
    done: Json = deal.stack.desk.post(f"/finance/{deal.company}/{operation}", request)
    return done


def dismiss(deal: Deal, who: str, n: int, reason: str) -> Answer:
    body = {"reason": reason, "message_id": str(uuid.uuid4())}
    return deal.stack.person(who).post(f"/late/{deal.company}/{n}/dismiss", body)


def closed(stack: Stack) -> tuple[Deal, str]:
    """A deal that is paid and has ended, and its payment."""
    deal = stack.deal(line("P100", 10))
    deal.accepted()
    deal.ship()
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")
    payment = deal.pay("1100.00")
    deal.ends("closed")
    assert_sound(deal)
    return deal, payment


@pytest.mark.timeout(400)
def test_what_happens_after_the_end_is_shown_in_sales_and_stands_open_until_it_is_settled(
    automatic_stack: Stack,
) -> None:
    stack = automatic_stack
    deal, payment = closed(stack)
    assert of(deal) == []

    # A payment is reversed: Sales shows it, an exception is open; paid again, it is settled by itself.
    stack.desk.post(f"/payments/{deal.company}/{payment}/reverse", {"reason": "no funds"})
    entry = until_open(deal, "PAYMENT_REVERSED_AFTER_END")
    assert (money(entry["open_amount"]), entry["role"]) == (Decimal("1100.00"), "ar_manager")
    assert shown_in_sales(deal) == [(Decimal("1100.00"), Decimal("1100.00"), "open")]
    paid = deal.pay("1100.00")
    (done,) = settled(deal)
    assert (done["n"], done["status"], done["closed_by"]) == (entry["n"], "settled", None)
    assert shown_in_sales(deal) == [(Decimal("1100.00"), Decimal(0), "paid")]

    # An invoice is cancelled and posted anew: the late one has a copy in Sales, and has to be paid.
    (first,) = deal.order()["invoices"]
    stack.desk.post(f"/payments/{deal.company}/{paid}/reverse", {"reason": "invoice is wrong"})
    finance(deal, "cancelInvoice", InvoiceId=first["InvoiceNumber"])
    late = deal.invoice()["InvoiceId"]
    entry = until_open(deal, "INVOICE_AFTER_END")
    assert money(entry["open_amount"]) == Decimal("1100.00")
    again = deal.pay("1100.00", late)
    settled(deal)
    assert (Decimal("1100.00"), Decimal(0), "paid") in shown_in_sales(deal)

    # A credit note is posted late: its copy is in Sales, and somebody has to refund it, or says why not.
    number, lines = deal.case()["order_number"], [{"LineNumber": 1, "Quantity": "2"}]
    finance(deal, "creditNote", SalesOrderId=number, InvoiceId=late, Lines=lines)
    entry = until_open(deal, "CREDIT_NOTE_AFTER_END")
    assert money(entry["open_amount"]) == Decimal("-220.00")
    assert (Decimal("-220.00"), Decimal("-220.00"), "open") in shown_in_sales(deal)
    assert dismiss(deal, "rita", entry["n"], "no").code == "NO_AUTHORITY"
    assert dismiss(deal, "amy", entry["n"], "settled with the next order").accepted
    assert dismiss(deal, "amy", entry["n"], "again").code == "NOT_OPEN_ANY_MORE"
    (kept,) = of(deal, status="dismissed")
    assert (kept["reason"], kept["closed_by"]["name"]) == ("settled with the next order", "Amy Ames")

    # What was dismissed stays dismissed; something new opens anew, and what is there already is no news.
    stack.desk.post(f"/payments/{deal.company}/{again}/reverse", {"reason": "no funds, again"})
    entry = until_open(deal, "INVOICE_AFTER_END", "CREDIT_NOTE_AFTER_END")
    assert money(entry["open_amount"]) == Decimal("880.00")
    assert {d["number"]: d["was_open"] for d in entry["documents"]}[late] is None
    token = stack.token_of("amy", f"api://{stack.ready['web_client_id']}/.default openid")
    listed = subprocess.run(
        [sys.executable, "-m", "cli", "late", "list", "--token-file", "-", "--search", deal.quote, "--json"],
        input=token,
        env=os.environ | {"Q2C_WEB_URL": stack.ready["web"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (listed.returncode, len(json.loads(listed.stdout)["items"])) == (1, 1), listed.stderr
    tally = stack.person("amy").get("/late", company=deal.company)["tally"][deal.company]
    assert tally["received"] == sum(number for name, number in tally.items() if name != "received")


@pytest.mark.timeout(300)
def test_goods_that_come_back_after_the_end_are_credited_in_sales_and_stand_open_until_they_are_paid_back(
    automatic_stack: Stack,
) -> None:
    deal, _ = closed(automatic_stack)
    (invoice,) = deal.order()["invoices"]
    lines = [{"LineNumber": 1, "Quantity": "2"}]
    asked = finance(deal, "returnOrder", InvoiceId=invoice["InvoiceNumber"], Lines=lines, ReasonCode="DEFECT")
    number = asked["ReturnOrderNumber"]
    finance(deal, "receiveReturn", ReturnOrderNumber=number)
    finance(deal, "creditReturn", ReturnOrderNumber=number)
    entry = until_open(deal, "CREDIT_NOTE_AFTER_END")
    assert money(entry["open_amount"]) == Decimal("-220.00")
    assert (Decimal("-220.00"), Decimal("-220.00"), "open") in shown_in_sales(deal)
