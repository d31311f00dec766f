"""Happy path and approvals: S01 to S08, driven from outside through the whole product."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from datetime import date, datetime, timedelta
from decimal import Decimal

from runs import names
from tests.stack import Answer, Deal, Json, Person, Stack, assert_sound, decimals, ledger, line, money, refusals, texts
from tests.time_travel import move_clock

FINANCE_TO_SALES = 120.0
"""Seconds within which Sales shows what Finance posted."""


def amounts(shown: Json, *columns: str) -> tuple[Decimal, ...]:
    return tuple(money(shown[column]) for column in columns)


def fulfilment(deal: Deal) -> str:
    (order,) = deal.sales()["orders"]
    return str(order["fulfilment"])


def test_s01_happy_path_goes_from_submission_to_paid_without_approval(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "5"), customer="US-001", opportunity=True, name="S01")

    submitted = deal.submitted()
    assert amounts(submitted, "net", "tax", "total") == decimals(950, 95, 1045)
    assert submitted["approvals"] == []
    deal.rep("activate")
    deal.waits_for("customer")
    deal.rep("accept")
    ordered = deal.waits_for("shipment")

    credit = ordered["credit"]
    assert (credit["passed"], money(credit["exposure"]), money(credit["limit"])) == (
        True,
        Decimal(56045),
        Decimal(100000),
    )
    assert "56,045.00 within 100,000.00" in " ".join(texts(ordered))
    assert len(deal.orders()) == 1
    deal.until(lambda _: fulfilment(deal) == "confirmed", "Confirmed in Sales", FINANCE_TO_SALES)
    deal.ship()
    deal.until(lambda _: fulfilment(deal) == "shipped", "Delivered in Sales", FINANCE_TO_SALES)
    deal.waits_for("invoice")
    posted = deal.invoice()
    assert amounts(posted, "InvoiceAmount", "TaxAmount") == decimals(1045, 95)
    deal.until(lambda _: fulfilment(deal) == "invoiced", "Invoiced in Sales", FINANCE_TO_SALES)
    deal.waits_for("payment")
    deal.pay("1045.00")
    deal.ends("closed", FINANCE_TO_SALES)

    case = assert_sound(deal)
    assert amounts(case, "invoiced", "paid", "open_amount") == decimals(1045, 1045, 0)
    assert (case["stage"], ledger(case)) == ("closed", [decimals(10, 0, 10, 0, 10, 0)])
    sales = deal.sales()
    assert sales["state"] == "won"
    assert (sales["opportunity"]["state"], money(sales["opportunity"]["actual_value"])) == ("won", Decimal("950.00"))
    (invoice,) = sales["orders"][0]["invoices"]
    assert (invoice["payment"], money(invoice["open"])) == ("paid", Decimal(0))
    for step in ("submitted", "activated", "accepted", "confirmed", "packing slip", "invoice", "payment", "closed"):
        assert any(step in text for text in ["submitted", *texts(case)]), step


def test_s01_a_deal_that_is_paid_holds_no_reservation_of_credit(stack: Stack) -> None:
    customer = stack.customer(credit_limit="1045.00")
    first = stack.deal(line("P100", 10, "5"), customer=customer)
    first.accepted()
    first.ship()
    first.waits_for("invoice")
    first.invoice()
    first.waits_for("payment")
    first.pay("1045.00")
    first.ends("closed")

    second = stack.deal(line("P100", 10, "5"), customer=customer)
    ordered = second.accepted()

    assert money(ordered["credit"]["exposure"]) == Decimal(1045)
    assert money(ordered["credit"]["reservations"]) == 0
    assert_sound(second)


def asked_for(stack: Stack, *lines: Json, **header: str) -> Deal:
    deal = stack.deal(*lines, **header)
    deal.submitted("approval")
    return deal


def test_s02_two_levels_are_asked_in_turn_and_both_reasons_are_said(stack: Stack) -> None:
    deal = asked_for(stack, line("P250", 100, "22"))
    case = deal.case()
    assert amounts(case, "net", "discount_pct") == decimals(19500, 22)
    assert money(case["margin_pct"]).quantize(Decimal("0.01")) == Decimal("23.08")
    (summary,) = case["approvals"]
    assert (summary["highest_level"], summary["steps"]) == (2, 2)
    assert {reason["rule"] for reason in summary["reasons"]} == {"D1", "D2"}
    said = " ".join(reason["text"] for reason in summary["reasons"])
    assert "22 % > 20 %" in said
    assert "23.08 % < 25 %" in said

    mona = deal.asks("mona")
    assert (mona["level"], mona["role"]) == (1, "sales_manager")
    assert stack.person("dirk").inbox(deal.quote) == []
    assert stack.person("mona").decide(mona, "approve").accepted
    dirk = deal.asks("dirk")
    assert (dirk["level"], dirk["role"], dirk["step"]) == (2, "sales_director", 2)
    assert stack.person("dirk").decide(dirk, "approve", comment="strategic").accepted

    approved = deal.waits_for("rep")
    assert approved["quote_status"] == "approved"
    assert stack.person("cora").inbox(deal.quote) == []
    assert approved["snapshot_hash"] == dirk["seen_hash"]
    assert approved["policy_version"].startswith("2026-11-01#3")
    assert "approved by Mona Meyer, Dirk Dorn" in approved["approvals"][0]["text"]
    deal.in_sales("approved")
    deal.rep("activate")
    deal.waits_for("customer")
    assert_sound(deal, orders=0)


def test_s03_the_cfo_is_asked_last_and_any_rejection_returns_the_quote(stack: Stack) -> None:
    deal = asked_for(stack, line("P250", 1000, "36"))
    case = deal.case()
    assert amounts(case, "net", "margin_pct") == decimals(160000, "6.25")
    assert stack.person("mona").decide(deal.asks("mona"), "approve").accepted
    assert stack.person("dirk").decide(deal.asks("dirk"), "approve").accepted
    cora = deal.asks("cora")
    assert (cora["level"], cora["role"]) == (3, "cfo")

    assert stack.person("cora").decide(cora, "reject", comment="Below what we can carry").accepted

    rejected = deal.waits_for("rep")
    assert rejected["quote_status"] == "rejected"
    assert "rejected by Cora Chen: Below what we can carry" in rejected["explanation"]["text"]
    sales = deal.in_sales("rejected")
    assert sales["state"] == "draft"
    assert "Below what we can carry" in sales["approval_reason"]
    assert_sound(deal, orders=0)


def test_s03_a_rejection_at_the_first_level_closes_the_siblings(stack: Stack) -> None:
    deal = asked_for(stack, line("P250", 1000, "36"))
    mona = deal.asks("mona")

    assert stack.person("mona").decide(mona, "reject", comment="No").accepted

    deal.waits_for("rep")
    for name in ("mona", "dirk", "cora"):
        assert stack.person(name).inbox(deal.quote) == []
    late = stack.person("dirk").decide(mona | {"step": 2}, "approve")
    assert (late.status, late.code) == (409, "ALREADY_DECIDED")
    assert ("Dirk Dorn", "ALREADY_DECIDED") in refusals(deal.until(lambda case: refusals(case), "refused"))
    assert_sound(deal, orders=0)


def test_s04_exactly_ten_per_cent_needs_nobody(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, None, discount_amount="100.00"))

    case = deal.submitted()

    assert (money(case["net"]), case["approvals"], case["quote_status"]) == (Decimal(900), [], "approved")
    assert_sound(deal, orders=0)


def test_s04_one_cent_below_ten_per_cent_needs_level_one(stack: Stack) -> None:
    deal = asked_for(stack, line("P100", 10, None, discount_amount="100.01"))

    case = deal.case()

    assert money(case["net"]) == Decimal("899.99")
    assert [(a["highest_level"], a["steps"]) for a in case["approvals"]] == [(1, 1)]
    assert_sound(deal, orders=0)


def test_s04_an_entered_percentage_cannot_hide_behind_rounding(stack: Stack) -> None:
    """The header's 20.01 % of 0.50 rounds to 0.40 net, effectively 20.00 %: what was entered counts."""
    deal = asked_for(stack, line("P001", 1), header_discount_pct="20.01")

    case = deal.case()

    assert money(case["net"]) == Decimal("0.40")
    assert money(case["discount_pct"]) == Decimal("20.01")
    assert case["approvals"][0]["highest_level"] == 2
    assert_sound(deal, orders=0)


def test_s05_nobody_is_asked_about_their_own_quote(stack: Stack) -> None:
    deal = asked_for(stack, line("P100", 10, "15"), rep="mona")

    asked = deal.asks("dirk")
    assert asked["level"] == 1
    assert stack.person("mona").inbox(deal.quote) == []
    own = stack.person("mona").decide(asked, "approve")
    assert (own.status, own.code) == (403, "REQUESTER_CANNOT_APPROVE")
    assert deal.case()["quote_status"] == "pending_approval"
    assert stack.person("dirk").decide(asked, "approve").accepted

    approved = deal.waits_for("rep")
    assert approved["quote_status"] == "approved"
    assert ("Mona Meyer", "REQUESTER_CANNOT_APPROVE") in refusals(approved)
    assert_sound(deal, orders=0)


def test_s06_a_double_click_decides_once(stack: Stack) -> None:
    deal = asked_for(stack, line("P250", 100, "22"))
    asked, mona, message_id = deal.asks("mona"), stack.person("mona"), str(uuid.uuid4())

    first, second = twice(mona, asked, message_id)
    third = mona.decide(asked, "approve")

    assert first.accepted and second.accepted
    assert first.body == second.body
    assert (third.status, third.code) == (409, "ALREADY_DECIDED")
    dirk = deal.asks("dirk")
    assert dirk["n"] == asked["n"] == 1
    assert len(deal.case()["approvals"]) == 1
    assert stack.person("dirk").decide(dirk, "approve").accepted
    approved = deal.waits_for("rep")
    assert ("Mona Meyer", "ALREADY_DECIDED") in refusals(approved)
    assert_sound(deal, orders=0)


def twice(person: Person, asked: Json, message_id: str) -> tuple[Answer, ...]:
    """The same approval sent twice, 40 ms apart, both under way at once."""
    answers: dict[int, Answer] = {}

    def click(number: int) -> None:
        answers[number] = person.decide(asked, "approve", message_id=message_id)

    threads = [threading.Thread(target=click, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.04)
    for thread in threads:
        thread.join(30)
    return answers[0], answers[1]


def test_s07_a_decision_after_the_expiry_orders_nothing(stack: Stack) -> None:
    """The clock of this one deal is moved past its expiry, as the development server can; all else keeps its time."""
    tomorrow = (date.today() + timedelta(days=1)).isoformat()
    deal = asked_for(stack, line("P250", 100, "22"), expires_on=tomorrow)
    asked = deal.asks("mona")
    asyncio.run(let_expire(stack, deal))
    deal.ends("expired")

    late = stack.person("dirk").decide(asked | {"step": 2}, "approve")

    assert (late.status, late.code) == (409, "EXPIRED")
    assert "revise" in late.body["detail"]
    case = assert_sound(deal, orders=0)
    assert (case["ending"], case["quote_status"]) == ("expired", "expired")
    assert "revise" in " ".join(texts(case))
    assert [a["status"] for a in case["approvals"]] == ["expired"]
    sales = deal.sales()
    assert (sales["state"], sales["orders"]) == ("closed", [])


async def let_expire(stack: Stack, deal: Deal) -> None:
    """Their timers stand at the same moment; a run's clock moves only while none of its children runs."""
    expiry = datetime.fromisoformat(deal.case()["expires_at"])
    client = await stack.temporal()
    await move_clock(client, names.approval_id(deal.company, deal.quote, 1), expiry)
    await client.get_workflow_handle(names.approval_id(deal.company, deal.quote, 1)).result()
    await move_clock(client, names.deal_id(deal.company, deal.quote), expiry)


def test_s08_a_level_or_a_company_too_low_decides_nothing(stack: Stack) -> None:
    """Mona (level 1) on dirk's step; and a director whose authority was granted in DEMF only."""
    deal = asked_for(stack, line("P250", 100, "22"))
    assert stack.person("mona").decide(deal.asks("mona"), "approve").accepted
    asked = deal.asks("dirk")
    before = deal.case()["version"]

    by_mona = stack.person("mona").decide(asked, "approve")
    by_dora = stack.person("dora").decide(asked, "approve")

    assert (by_mona.status, by_mona.code) == (403, "NOT_ASSIGNED")
    assert by_dora.status == 403
    assert by_dora.code in ("NOT_ASSIGNED", "NO_AUTHORITY")
    case = deal.case()
    assert (case["quote_status"], case["version"]) == ("pending_approval", before)
    assert [item["step"] for item in stack.person("dirk").inbox(deal.quote)] == [2]
    assert stack.person("dirk").decide(asked, "approve").accepted
    approved = deal.waits_for("rep")
    assert ("Mona Meyer", "NOT_ASSIGNED") in refusals(approved)
    assert ("Dora Dietz", by_dora.code) not in refusals(approved), "who decides nothing here is in the audit alone"
    assert_sound(deal, orders=0)


def test_s09_s14_a_revision_that_is_no_worse_is_covered_and_what_was_not_seen_is_not_approved(stack: Stack) -> None:
    deal = asked_for(stack, line("P250", 100, "22"))
    first = deal.asks("mona")
    assert stack.person("mona").decide(first, "approve").accepted
    at_dirk = deal.asks("dirk")

    deal.rep("revise", lines=[line("P250", 100, "18")])
    deal.rep("submit")
    better = deal.until(lambda case: case["quote_status"] == "approved", "approved without a click")
    late = stack.person("dirk").decide(at_dirk, "approve")
    assert late.code == "SUPERSEDED"
    assert (len(better["approvals"]), money(better["discount_pct"])) == (1, Decimal(18))
    reused = "approved without asking again: level 1 of sales is covered by Mona Meyer's approval of revision 0"
    assert any(text.startswith(reused) for text in texts(better))
    deal.in_sales("approved")

    deal.rep("revise", lines=[line("P250", 100, "22.5")])
    deal.rep("submit")
    again = deal.asks("mona")
    assert [change["text"] for change in again["changes"]] == [
        "Discount 22 % → 22.5 %",
        "Margin 23.08 % → 22.58 %",
        "Net 19,500.00 USD → 19,375.00 USD",
        "P250: discount 22 % → 22.5 %",
    ]
    stale = stack.person("mona").decide(again, "approve", seen_hash=first["seen_hash"])
    assert stale.code == "SEEN_HASH_MISMATCH", "S14: she had the page of another revision open"
    assert stack.person("mona").decide(again, "approve").accepted
    asked = deal.asks("dirk")
    assert stack.person("dirk").decide(asked, "approve").accepted
    assert deal.waits_for("rep")["quote_status"] == "approved"
    assert_sound(deal, orders=0)


def test_s13_a_rejection_by_legal_closes_the_chain_beside_it(stack: Stack) -> None:
    deal = asked_for(stack, line("P100", 10, "15"), customer=stack.customer(payment_terms="Net 90"))
    deal.asks("mona")
    leo = deal.asks("leo")

    assert stack.person("leo").decide(leo, "reject", comment="Ninety days are not for this customer").accepted

    case = deal.waits_for("rep")
    assert stack.person("mona").inbox(deal.quote) == [] and stack.person("leo").inbox(deal.quote) == []
    assert case["explanation"]["text"].count("Ninety days are not for this customer") == 1
    deal.until(lambda _: "Ninety days are not for this customer" in str(deal.sales()), "in Sales")
    assert_sound(deal, orders=0)


def test_s10_what_was_changed_after_its_approval_is_not_ordered(stack: Stack) -> None:
    deal = asked_for(stack, line("P100", 10, "12"))
    assert stack.person("mona").decide(deal.asks("mona"), "approve").accepted
    deal.waits_for("rep")
    deal.rep("edit", lines=[line("P100", 10, "18")])
    deal.rep("activate")
    deal.rep("accept")

    case = deal.until(lambda case: case["parked"], "stopped")
    parked = case["parked"]
    assert (parked["cause"], case["explanation"]["waiting_for"]) == ("ContentChanged", "operator")
    for difference in ("net 880.00 → 820.00", "line 1 discount 120.00 → 180.00"):
        assert difference in parked["message"], parked["message"]
    assert deal.orders() == []


async def test_s12_who_does_not_decide_is_reminded_then_the_next_level_is_asked_and_time_approves_nothing(
    automatic_stack: Stack,
) -> None:
    """The hours of the step pass on the clock of its request alone."""
    stack = automatic_stack
    deal = asked_for(stack, line("P100", 10, "12"))
    asked = deal.asks("mona")
    client, run = await stack.temporal(), names.approval_id(deal.company, deal.quote, 1)

    await move_clock(client, run, datetime.fromisoformat(asked["deadline"]))

    case = deal.until(lambda case: len(case["explanation"]["who"]) == 2, "escalated")
    told = " ".join(texts(case))
    reminded = [told.index(f"Mona Meyer reminded of level 1, {pct} % of the time is over") for pct in (50, 80)]
    asked_as_well = told.index("nobody decided level 1 in time: Dirk Dorn asked as well")
    assert reminded == sorted(reminded) and reminded[1] < asked_as_well
    assert case["explanation"]["who"] == ["Mona Meyer", "Dirk Dorn"]
    assert (case["quote_status"], case["approvals"][0]["status"]) == ("pending_approval", "pending")
    assert deal.orders() == []
    assert stack.person("dirk").decide(deal.asks("dirk"), "approve").accepted
    assert "approved by Dirk Dorn" in " ".join(texts(deal.waits_for("rep")))
    assert_sound(deal, orders=0)
