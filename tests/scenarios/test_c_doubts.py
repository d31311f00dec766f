"""Two orders at once, a write without an answer, a storm of refusals: S20, S26 and S23, from outside."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.stack import Deal, Json, Stack, assert_sound, eventually, line

ROUNDS = 3
"""Of S20; its many races with chosen timing are in tests/workflows/test_credit_ledger.py."""
HEADER = "SalesOrderHeadersV4"
STORM = 10
"""Seconds; in the scenario fifteen minutes."""
IN_THE_STORM = 12


def activated(stack: Stack, customer: str, quantity: int) -> Deal:
    """A quote that the customer has."""
    deal = stack.deal(line("P100", quantity), customer=customer)
    deal.submitted()
    deal.rep("activate")
    deal.waits_for("customer")
    return deal


def test_s20_of_two_orders_accepted_at_once_one_passes_and_the_other_when_the_first_is_cancelled(stack: Stack) -> None:
    """45,000.00 are there, each order takes 29,700.00: never both, and never neither."""
    for _ in range(ROUNDS):
        customer = stack.customer(credit_limit="45000.00")
        deals = [activated(stack, customer, 270) for _ in range(2)]
        with ThreadPoolExecutor(len(deals)) as people:
            list(people.map(lambda deal: deal.rep("accept"), deals))
        cases = [deal.until(_judged, "judged") for deal in deals]
        assert sorted(case["credit_status"] for case in cases) == ["held", "passed"]
        passed, held = sorted(deals, key=lambda deal: deal.case()["credit_status"] == "held")

        assert stack.person("otto").command(passed, "cancel_order", reason="The customer withdrew").accepted
        passed.ends("cancelled")
        assert held.waits_for("shipment")["credit_status"] == "passed"
        assert_sound(held)


def _judged(case: Json) -> bool:
    return case["explanation"]["waiting_for"] in ("shipment", "credit")


@pytest.mark.parametrize("drop", ["after", "before"])
def test_s26_a_write_whose_answer_is_lost_is_looked_for_and_never_sent_blindly_again(stack: Stack, drop: str) -> None:
    """Whether Finance made the order before the connection broke, or never heard of it: there is one in the end."""
    deal = activated(stack, "", 10)
    began = datetime.now(UTC).isoformat()
    lost = {"system": "finance", "method": "POST", "path": HEADER, "effect": {"drop": drop}, "times": 1}
    stack.desk.put("/faults", lost)
    deal.rep("accept")
    deal.waits_for("shipment")

    made = [row for row in stack.desk.requests(began) if _makes_an_order(row)]
    assert len(deal.orders()) == 1
    assert len(made) == (1 if drop == "after" else 2), made
    assert_sound(deal)


def _makes_an_order(row: Json) -> bool:
    asked = [f"{row['method']} {row['path']}", *row.get("operations", ())]
    return row["system"] == "finance" and any(each.startswith("POST ") and HEADER in each for each in asked)


def test_s23_a_storm_of_refusals_is_ridden_out_and_nothing_is_parked(automatic_stack: Stack) -> None:
    stack = automatic_stack
    deals = [stack.deal(line("P100", 1 + n)) for n in range(IN_THE_STORM)]
    storm = {"system": "finance", "effect": {"status": 429, "retry_after": 2}, "probability": 0.7, "seconds": STORM}
    stack.desk.put("/faults", storm)
    began = datetime.now(UTC).isoformat()
    for deal in deals:
        deal.rep("submit")
    time.sleep(STORM)
    for deal in deals:
        case = deal.waits_for("rep")
        assert not case["parked"] and not case["exceptions"], case
    refused = [row for row in stack.desk.requests(began) if row["system"] == "finance" and row["status"] == 429]
    assert 0 < len(refused) <= STORM * 2, len(refused)
    eventually(lambda: all(deal.sales()["approval"] == "approved" for deal in deals), "each rep reads the approval")
