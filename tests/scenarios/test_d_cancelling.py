"""Orders changed and cancelled at every stage: S30, S35, S36, driven from outside through the whole product.

What each compensation leaves in Finance and Sales is looked at there; the worker is killed once inside each.
"""

from __future__ import annotations

import os
import signal
from decimal import Decimal

import pytest

from tests.stack import Answer, Deal, Json, Stack, assert_sound, decimals, eventually, ledger, line, money, texts

SLOW = 90.0
"""Seconds for a worker to be started anew and to go on where the killed one was."""


SLOWLY: Json = {
    "system": "finance",
    "method": "POST",
    "path": "cancelRemainder",
    "effect": {"delay_ms": 4_000},
    "times": 1,
}
"""Finance takes it, late enough for the worker to be killed meanwhile."""
CONFIRMED_UNHEARD: Json = SLOWLY | {"path": "Q2CPostingService/confirm", "effect": {"drop": "after"}}
"""Finance has the larger line and confirms it, and nobody hears the answer."""
UNHEARD: Json = {
    "system": "dataverse",
    "method": "POST",
    "path": r"\$batch",
    "effect": {"drop": "after"},
    "times": 1,
}
"""Sales does it, and nobody hears the answer."""


def cancel(deal: Deal, reason: str = "the customer withdrew") -> Answer:
    return deal.stack.person("otto").command(deal, "cancel_order", reason=reason)


def change(deal: Deal, *lines: tuple[int, str]) -> Answer:
    wanted = [{"line_no": number, "quantity": quantity} for number, quantity in lines]
    args = {"lines": wanted, "reason": "less is needed"}
    return deal.stack.person("rita").post(f"/cases/{deal.company}/{deal.quote}/commands/change_order", {"args": args})


def kill_worker(stack: Stack) -> None:
    """kill -9, as soon as Finance's part is under way."""
    eventually(lambda: SLOWLY["path"] not in stack.desk.http.get("/faults").text, "it is under way")
    os.kill(stack.worker_pid, signal.SIGKILL)


@pytest.mark.timeout(300)
def test_s35_a_picked_order_is_cancelled_once_unpicked_though_a_worker_dies(automatic_stack: Stack) -> None:
    stack = automatic_stack
    deal = stack.deal(line("P100", 10, "5"), line("P100", 2))
    case = deal.accepted()
    number = case["order_number"]
    stack.desk.post(f"/orders/usmf/{number}/pick", {"lines": [{"line": 1, "quantity": "4"}]})

    assert cancel(deal).accepted
    case = deal.until(lambda case: case["order_status"] == "compensating", "Finance refuses")
    assert (case["ending"], "4 has been picked" in case["order_change"]["failure"]) == ("", True)
    assert [text.partition(":")[0] for text in case["exceptions"]] == ["CHANGE_FAILING"]
    assert cancel(deal).code == "CHANGE_OPEN"
    assert deal.order()["header"]["SalesOrderStatus"] == "Backorder"

    stack.desk.post(f"/orders/usmf/{number}/unpick")
    stack.desk.put("/faults", [SLOWLY, UNHEARD])
    assert stack.person("otto").command(deal, "retry").accepted
    kill_worker(stack)
    deal.ends("cancelled", SLOW)
    deal.until(lambda case: "Sales shows how the deal ended" in texts(case), "Sales is told", SLOW)
    assert stack.desk.http.get("/faults").json() == []
    assert deal.order()["header"]["SalesOrderStatus"] == "Canceled"
    case = assert_sound(deal)
    assert case["order_status"] == "cancelled"
    assert ledger(case) == [decimals(10, 10, 0, 0, 0, 0), decimals(2, 2, 0, 0, 0, 0)]
    (shown,) = [row for row in deal.sales()["orders"] if row["finance_order"]]
    assert shown["state"] == "canceled"
    told = texts(case)
    assert told.index("credit given back") < told.index("Sales shows how the deal ended")
    assert any("undoes order" in text for text in told)


@pytest.mark.timeout(240)
def test_s30_s36_less_is_ordered_some_is_shipped_and_the_remainder_cancelled(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "5"), line("P100", 5, "5"))
    deal.accepted()
    assert change(deal, (2, "0")).accepted
    deal.until(lambda case: money(case["lines"][1]["cancelled"]) == 5 and not case["order_change"], "line 2 cancelled")
    deal.ship(_1="6")
    deal.until(lambda case: money(case["lines"][0]["shipped"]) == 6, "6 shipped")
    assert change(deal, (1, "5")).code == "BELOW_SHIPPED"
    assert change(deal, (1, "8")).accepted
    case = deal.until(lambda case: money(case["lines"][0]["cancelled"]) == 2, "8 of line 1")
    assert ledger(case) == [decimals(10, 2, 6, 0, 0, 0), decimals(5, 5, 0, 0, 0, 0)]

    assert cancel(deal, "the rest is not wanted").accepted
    case = deal.waits_for("invoice")
    assert ledger(case)[0] == decimals(10, 4, 6, 0, 0, 0)
    assert case["order_change"] is None
    deal.invoice()
    deal.waits_for("payment")
    assert cancel(deal).code == "NOTHING_TO_CANCEL"
    deal.pay("627.00")
    case = deal.ends("closed")
    assert (case["order_status"], money(case["invoiced"])) == ("closed_short", Decimal("627.00"))
    assert deal.sales()["orders"][0]["invoices"][0]["payment"] == "paid"


@pytest.mark.timeout(240)
def test_s36_ten_become_fourteen_and_only_the_difference_is_credited(stack: Stack) -> None:
    account = stack.customer(credit_limit="1463.00")
    deal = stack.deal(line("P100", 10, "5"), customer=account)
    number = deal.accepted()["order_number"]

    def larger(case: Json) -> bool:
        return money(case["lines"][0]["ordered"]) == 14 and not case["order_change"]

    stack.desk.put("/faults", [CONFIRMED_UNHEARD])
    assert change(deal, (1, "14")).accepted
    case = deal.until(larger, "14 ordered", SLOW)
    assert stack.desk.http.get("/faults").json() == []
    assert (case["approvals"], case["exceptions"], ledger(case)) == ([], [], [decimals(14, 0, 0, 0, 0, 0)])
    (shown,) = deal.order()["lines"]
    assert [money(shown[column]) for column in ("OrderedSalesQuantity", "LineAmount")] == [14, Decimal("1330.00")]
    told = [text for text in texts(case) if "credit for the difference" in text]
    assert len(told) == 1 and "1,463.00 USD, 418.00 USD more" in told[0]

    assert change(deal, (1, "15")).accepted
    case = deal.until(lambda case: case["exceptions"], "no credit for more")
    assert case["exceptions"][0].startswith("CHANGE_REFUSED: LARGER_NO_CREDIT: 1,567.50 USD, 104.50 USD more: over by")
    deal.ship(_1="6")
    deal.until(lambda case: money(case["lines"][0]["shipped"]) == 6, "6 shipped")
    assert change(deal, (1, "8")).accepted
    case = deal.until(lambda case: money(case["lines"][0]["cancelled"]) == 6, "8 are left")
    assert change(deal, (1, "5")).code == "BELOW_SHIPPED"
    deal.ship(_1="2")
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")
    assert money(deal.case()["invoiced"]) == Decimal("836.00")
    deal.pay("836.00")
    case = deal.ends("closed")
    assert (case["order_status"], case["order_number"]) == ("closed_short", number)
    assert_sound(deal, larger=True)


@pytest.mark.timeout(240)
def test_s36_more_that_reaches_a_level_waits_for_it_and_is_rejected_then_approved(stack: Stack) -> None:
    deal = stack.deal(line("P100", 10, "12"))
    deal.submitted("approval")
    stack.person("mona").decide(deal.asks("mona"), "approve")
    deal.waits_for("rep")
    deal.rep("activate")
    deal.waits_for("customer")
    deal.rep("accept")
    deal.waits_for("shipment")
    for decision in ("reject", "approve"):
        assert change(deal, (1, "14")).accepted
        case = deal.waits_for("approval")
        asked = deal.asks("mona")
        assert money(asked["net"]) == Decimal("1232.00")
        assert case["order_change"]["waits_for_approval"] and money(case["lines"][0]["ordered"]) == 10
        assert stack.person("mona").decide(asked, decision, comment="seen").accepted
        case = deal.until(lambda case: not case["order_change"], decision)
        refused = [text for text in case["exceptions"] if "LARGER_NOT_APPROVED" in text]
        assert len(refused) == int(decision == "reject")
        deal.waits_for("shipment")
    assert money(deal.case()["lines"][0]["ordered"]) == 14
    assert money(deal.order()["lines"][0]["LineAmount"]) == Decimal("1232.00")
