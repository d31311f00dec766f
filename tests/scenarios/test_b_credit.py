"""Credit: S15 and S16, driven from outside through the whole product."""

from __future__ import annotations

from decimal import Decimal

from tests.reaching import deal_row
from tests.stack import Deal, Json, Stack, assert_sound, eventually, line, money


def held(deal: Deal) -> Json:
    """The deal, once the customer accepted and credit was refused."""
    case = deal.accepted("credit")
    assert (case["stage"], case["credit_status"], case["order_number"]) == ("credit", "held", "")
    return case


def in_the_deals_row(deal: Deal) -> str:
    """What Sales says the deal waits for, where the quote itself can only be read."""
    return str(deal_row(deal)["q2c_waitingfor"])


def test_s15_microsofts_example_holds_at_95_per_cent_and_passes_at_90(stack: Stack) -> None:
    """Limit 10,000.00, threshold 90 %, balance 5,000.00; totals include tax: 4,500.00 is held, 4,000.00 passes."""
    too_much = stack.deal(line("P100", 45, None, discount_amount="409.09"), customer="US-002")
    case = held(too_much)
    assert money(case["total"]) == Decimal("4500.00")
    assert money(case["credit"]["exposure"]) == Decimal("9500.00")
    assert "over by 500.00 (limit 10,000.00 × 90 %)" in case["explanation"]["text"]
    assert [reason["code"] for reason in case["credit"]["reasons"]] == ["OVER_LIMIT"]
    refusal = stack.person("carl").command(too_much, "credit_reject", reason="Too much for this customer")
    assert refusal.accepted, refusal
    assert too_much.ends("cancelled")["credit_status"] == "rejected"
    assert_sound(too_much, orders=0, exceptions=["WON_IN_SALES"])  # its order in Sales is a person's to cancel

    just_right = stack.deal(line("P100", 40, None, discount_amount="363.64"), customer="US-002")
    case = just_right.accepted()

    assert money(case["total"]) == Decimal("4000.00")
    assert (case["credit_status"], money(case["credit"]["exposure"])) == ("passed", Decimal("9000.00"))
    assert money(case["credit"]["limit"]) == Decimal("9000.00")
    assert_sound(just_right)


def test_s15_a_hold_is_released_by_the_credit_manager_and_by_nobody_less(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "5"), customer=stack.customer(credit_limit="1000.00"))
    held(deal)
    eventually(lambda: "On credit hold: over by 45.00" in in_the_deals_row(deal), "Sales says why, and what lifts it")
    assert in_the_deals_row(deal).endswith("paid, or by a credit manager's release.")
    terms = {"reason": "Good payer", "valid_until": "2099-12-31", "ceiling": "1045.00", "deviation_pct": "0"}

    by_clerk = stack.person("cleo").command(deal, "credit_release", **terms)
    assert (by_clerk.status, by_clerk.code) == (403, "NO_AUTHORITY")
    assert deal.case()["credit_status"] == "held"
    assert stack.person("carl").command(deal, "credit_release", **terms).accepted

    case = deal.waits_for("shipment")
    eventually(lambda: "hold" not in in_the_deals_row(deal), "what it waits for now")
    assert (case["credit_status"], case["credit_released_by"]["name"]) == ("released", "Carl Castro")
    assert_sound(deal)


def test_s16_a_limit_of_zero_is_no_credit(stack: Stack) -> None:
    deal = stack.deal(line("P099", 1), customer="US-003")

    case = held(deal)

    assert [reason["code"] for reason in case["credit"]["reasons"]] == ["NO_CREDIT"]
    assert_sound(deal, orders=0)


def test_s16_unlimited_is_a_flag_and_passes_whatever_is_open(stack: Stack) -> None:
    deal = stack.deal(line("P250", 910, None, discount_amount="227.27"), customer="US-004")

    case = deal.accepted()

    assert money(case["total"]) == Decimal("250000.00")
    assert money(case["credit"]["open_ar"]) == Decimal("900000.00")
    assert (case["credit_status"], [r["code"] for r in case["credit"]["reasons"]]) == ("passed", ["UNLIMITED"])
    assert_sound(deal)


def test_s17_an_invoice_overdue_for_too_long_holds_the_order_until_it_is_paid(stack: Stack) -> None:
    """US-005: 62 days overdue, 60 are allowed; 21,045.00 of 50,000.00 would do."""
    deal = stack.deal(line("P100", 10, "5"), customer="US-005")
    case = held(deal)
    assert [reason["code"] for reason in case["credit"]["reasons"]] == ["OVERDUE"]
    assert (money(case["credit"]["exposure"]), money(case["credit"]["ageing"]["overdue"])) == (
        Decimal("21045.00"),
        Decimal("12000.00"),
    )

    [late] = [row for row in stack.desk.get("/customers/usmf/US-005")["open"] if money(row["amount"]) == 12000]
    share = [{"invoice": late["invoice"], "amount": "12000.00"}]
    paid = {"company": "usmf", "customer": "US-005", "amount": "12000.00", "settlements": share}
    stack.desk.post("/payments", paid)

    assert deal.waits_for("shipment")["credit_status"] == "passed", "nobody released it"
    assert_sound(deal)


def test_two_branches_that_share_a_limit_get_credit_for_one_order_and_the_other_waits_for_its_end(
    stack: Stack,
) -> None:
    """TWIN: 5,000.00 for both, 50,000.00 for each. 3,300.00 fits once."""
    first = stack.deal(line("P100", 30, None), customer="US-9500")
    second = stack.deal(line("P100", 30, None), customer="US-9501")
    first.accepted()
    case = held(second)
    assert [reason["code"] for reason in case["credit"]["reasons"]] == ["GROUP_OVER_LIMIT"]
    assert "credit group TWIN is over by 1,600.00" in case["explanation"]["text"]
    assert money(case["credit"]["limit"]) == Decimal("50000.00"), "the figures are the customer's own"

    assert stack.person("rita").command(first, "cancel_order", reason="The customer wants less").accepted
    first.ends("cancelled")

    assert second.waits_for("shipment")["credit_status"] == "passed"
    assert_sound(second)
