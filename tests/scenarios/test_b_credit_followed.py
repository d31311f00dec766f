"""Credit of confirmed orders: S18, S19 and S21, driven from outside through the whole product."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.reaching import deal_row
from tests.stack import Deal, Json, Refused, Stack, assert_sound, eventually, line, money


def limited(stack: Stack, customer: str, limit: str) -> None:
    stack.desk.put(f"/customers/usmf/{customer}", {"credit_limit": limit})


def ordered(deal: Deal, quantity: str, **price: str) -> None:
    """Somebody in Finance makes the order's line this large, and this dear."""
    number = deal.case()["order_number"]
    deal.stack.desk.put(f"/orders/usmf/{number}/lines/1", {"quantity": quantity, **price})


def decided(deal: Deal, status: str, this_order: str) -> Json:
    """The deal, once credit for so much was decided so."""
    amount = Decimal(this_order)
    return deal.until(
        lambda case: case["credit_status"] == status and money(case["credit"]["this_order"]) == amount,
        f"{status} for {this_order}",
    )


def kept_from_warehouse(deal: Deal) -> None:
    """The warehouse gets nothing of the order: Finance refuses each of its documents."""
    number = deal.case()["order_number"]

    def refused() -> bool:
        try:
            deal.stack.desk.post(f"/orders/usmf/{number}/pick", {"lines": [{"line": 1, "quantity": "1"}]})
        except Refused as refusal:
            return "marked as Do not process" in str(refusal)
        deal.stack.desk.post(f"/orders/usmf/{number}/unpick", {"lines": [{"line": 1, "quantity": "1"}]})
        return False

    eventually(refused, "a picking list is refused")
    with pytest.raises(Refused, match="marked as Do not process"):
        deal.ship()


def shipped(deal: Deal) -> None:
    """All that is left is shipped, as soon as Finance takes it."""

    def taken() -> bool:
        try:
            return bool(deal.ship())
        except Refused as refusal:
            assert "Do not process" in str(refusal), refusal
            return False

    eventually(taken, "the warehouse ships")


def test_s18_s19_a_limit_lowered_after_the_order_holds_it_and_a_release_carries_it_as_far_as_it_says(
    stack: Stack,
) -> None:
    customer = stack.customer(credit_limit="100000.00")
    owed = stack.deal(line("P100", 500, None), customer=customer)
    owed.accepted()
    owed.ship()
    owed.waits_for("invoice")
    owed.invoice()
    owed.waits_for("payment")
    deal = stack.deal(line("P100", 10, "5"), customer=customer)
    assert money(deal.accepted()["credit"]["exposure"]) == Decimal("56045.00")

    limited(stack, customer, "50000.00")
    lowered = time.monotonic()
    case = deal.waits_for("credit")
    assert time.monotonic() - lowered < 60
    assert (case["credit_status"], money(case["credit"]["exposure"])) == ("held", Decimal("56045.00"))
    assert "over by 6,045.00 (limit 50,000.00)" in case["explanation"]["text"]
    kept_from_warehouse(deal)
    eventually(lambda: "On credit hold: over by 6,045.00" in str(deal_row(deal)["q2c_waitingfor"]), "Sales says why")
    assert owed.case()["explanation"]["waiting_for"] == "payment", "what is shipped is left alone"

    until = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    terms = {"reason": "Good payer", "ceiling": "1045.00", "valid_until": until, "deviation_pct": "10"}
    assert stack.person("carl").command(deal, "credit_release", **terms).accepted
    assert decided(deal, "released", "1045.00")["explanation"]["waiting_for"] == "shipment"
    eventually(lambda: deal_row(deal)["q2c_waitingfor"] == "Shipment", "Sales says that it is not held")
    eventually(lambda: deal.order()["credit"]["released"], "Finance is told of the release")

    ordered(deal, "11", price="100.0009")
    decided(deal, "held", "1149.51")
    kept_from_warehouse(deal)
    ordered(deal, "11", price="100.00")
    decided(deal, "released", "1149.50")
    shipped(deal)
    assert deal.waits_for("invoice")["credit_status"] == "released"
    assert deal.order()["credit"] == {"on_hold": False, "released": True}
    assert_sound(deal, larger=True)


def test_s21_an_order_is_counted_once_at_every_checkpoint_and_one_that_is_reopened_needs_credit_again(
    automatic_stack: Stack,
) -> None:
    stack = automatic_stack
    customer = stack.customer(credit_limit="1100.00")
    first = stack.deal(line("P100", 6, None), customer=customer)
    assert money(first.accepted()["credit"]["exposure"]) == Decimal("660.00")

    def looked_at(this_order: str) -> Decimal:
        checks = len([entry for entry in first.case()["timeline"] if entry["event"] == "CreditRechecked"])
        assert stack.person("carl").command(first, "credit_recheck").accepted
        case = first.until(
            lambda case: len([e for e in case["timeline"] if e["event"] == "CreditRechecked"]) > checks, "looked at"
        )
        assert money(case["credit"]["this_order"]) == Decimal(this_order)
        return money(case["credit"]["exposure"])

    assert looked_at("660.00") == Decimal("660.00"), "confirmed"
    first.ship(_1="3")
    first.until(lambda case: case["order_status"] == "partially_shipped")
    assert looked_at("660.00") == Decimal("660.00"), "half of it shipped"
    first.invoice()
    first.until(lambda case: money(case["invoiced"]) > 0)
    assert looked_at("330.00") == Decimal("660.00"), "half of it invoiced"

    assert stack.person("rita").command(first, "cancel_order", reason="The customer takes no more").accepted
    first.waits_for("payment")
    second = stack.deal(line("P100", 6, None), customer=customer)
    assert money(second.accepted()["credit"]["exposure"]) == Decimal("990.00")

    ordered(first, "9")
    case = first.waits_for("credit")
    assert (money(case["credit"]["exposure"]), case["credit_status"]) == (Decimal("1320.00"), "held")
    kept_from_warehouse(first)
    assert second.case()["credit_status"] == "passed"


def readings(case: Json) -> int:
    """How often the order was read in Finance."""
    return len([entry for entry in case["timeline"] if entry["event"] == "BillingRead"])


def test_s17_a_hold_that_a_person_placed_in_finance_ends_by_a_person_alone(automatic_stack: Stack) -> None:
    stack = automatic_stack
    deal = stack.deal(line("P100", 2, None))
    number = deal.accepted()["order_number"]
    carl, otto = stack.person("carl"), stack.person("otto")
    stack.desk.post(f"/orders/usmf/{number}/hold")
    assert otto.command(deal, "reread", reason="The credit department called").accepted
    deal.waits_for("credit")

    limited(stack, deal.customer, "2000000.00")
    reads = readings(deal.case())
    assert carl.command(deal, "credit_recheck").accepted
    deal.until(lambda case: readings(case) > reads, "looked at again")
    assert deal.waits_for("credit")["credit_status"] == "passed", "our own rule has nothing against it"
    with pytest.raises(Refused, match="placed on credit hold by a person"):
        deal.ship()

    terms = {"reason": "References came", "ceiling": "220.00", "valid_until": "2099-12-31", "deviation_pct": "0"}
    assert carl.command(deal, "credit_release", **terms).accepted
    deal.waits_for("shipment")
    eventually(lambda: not deal.order()["credit"]["on_hold"], "Finance is told of the release")
    deal.ship()
    deal.waits_for("invoice")
    assert_sound(deal)
