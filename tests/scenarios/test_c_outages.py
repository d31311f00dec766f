"""Finance is away while orders are being made: S22, from outside.

The two hours are half a minute here: what a deal does in an outage does not depend on how long it is
(tests/workflows/test_outages.py), what Finance sees of two hours is counted in tests/workflows/test_outage_of_many.py.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from tests.stack import Deal, Json, Stack, assert_sound, eventually, line

DEALS = 20
SEVENTH = 6
LINES = 460
"""Of order 7: three change sets and a part of a fourth."""
OUTAGE = 8.0
"""Seconds from when all deals wait."""
DRAINED = 150.0
"""Seconds within which all go on: a trial once a minute at the latest, and a step each."""
SLOW_WRITES: Json = {"system": "finance", "method": "POST", "path": "SalesOrderLines", "effect": {"delay_ms": 3000}}
AWAY: Json = {"system": "finance", "effect": {"status": 503}}


def activated(stack: Stack) -> list[Deal]:
    """Twenty quotes that the customers have; the seventh has many lines."""
    customer = stack.customer(credit_limit="50000000.00")
    lines = [line("P100" if n % 2 else "P250", 1) for n in range(LINES)]
    deals = [stack.deal(*(lines if n == SEVENTH else [line("P100", 1 + n)]), customer=customer) for n in range(DEALS)]
    for action, waits in (("submit", "rep"), ("activate", "customer")):
        for deal in deals:
            deal.rep(action)
        for deal in deals:
            deal.waits_for(waits)
    return deals


def lines_in_finance(deal: Deal) -> list[int]:
    """Which of the quote's lines its orders in Finance have."""
    held = [deal.stack.desk.get(f"/orders/usmf/{row['SalesOrderNumber']}")["lines"] for row in deal.orders()]
    return sorted(int(row["CustomersLineNumber"]) for lines in held for row in lines)


def asked_of_finance(stack: Stack, since: str) -> list[tuple[str, str]]:
    seen = [entry for entry in stack.desk.requests(since) if entry["system"] == "finance"]
    return [(entry["method"], entry["path"].partition("?")[0]) for entry in seen]


@pytest.mark.timeout(480)
def test_s22_finance_is_away_while_orders_are_made_and_each_is_made_once_afterwards(automatic_stack: Stack) -> None:
    stack = automatic_stack
    deals = activated(stack)
    seventh = deals[SEVENTH]
    try:
        stack.desk.put("/faults", SLOW_WRITES)
        seventh.rep("accept")
        eventually(lambda: lines_in_finance(seventh), "order 7 is being made")
        stack.desk.put("/faults", AWAY)
        for deal in deals:
            if deal is not seventh:
                deal.rep("accept")
        for deal in deals:
            case = deal.waits_for("finance")
            assert case["explanation"]["text"].startswith("Waiting for Finance since "), case["explanation"]
            assert not case["parked"] and not case["ending"]
        assert 0 < len(lines_in_finance(seventh)) < LINES
        since = datetime.now(UTC).isoformat()
        time.sleep(OUTAGE)
        trials = asked_of_finance(stack, since)
        assert set(trials) <= {("GET", "/data/LegalEntities")} and len(trials) <= 5, trials
    finally:
        stack.desk.delete("/faults")
    began = time.monotonic()
    for deal in deals:
        deal.waits_for("shipment", DRAINED)
    assert time.monotonic() - began <= DRAINED
    for deal in deals:
        if deal is not seventh:
            assert_sound(deal)
    case = seventh.case()
    assert (len(seventh.orders()), case["line_count"], case["exceptions"]) == (1, LINES, [])
    assert lines_in_finance(seventh) == list(range(1, LINES + 1))
