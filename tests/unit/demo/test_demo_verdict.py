"""The demo's verdict finds what does not agree, and its summary has the keys that others read."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from demo.actions import HistoryCost
from demo.samples import End
from demo.summary import summarise
from demo.verdict import Expectation, Outcome, mismatches
from domain.approvals import ApprovalStatus
from domain.credit_facts import CreditDecision, CreditStatus
from domain.people import Person
from domain.views import ApprovalSummary, Ending, Stage
from tests.unit.demo.closed_deal import T0, deal

CARL = Person(oid="carl", name="Carl Castro")
LINE = {"LineAmount": "950.00", "OrderedSalesQuantity": "10", "CustomersLineNumber": "1"}


def over_limit() -> CreditDecision:
    return CreditDecision(
        passed=False,
        exposure=Decimal("9500.00"),
        limit=Decimal("9000.00"),
        over_by=Decimal("500.00"),
        open_ar=Decimal("5000.00"),
        open_orders=Decimal(0),
        reservations=Decimal(0),
        this_order=Decimal("4500.00"),
        as_of=T0,
        policy_version="1",
    )


def sales(**changes: Any) -> dict[str, Any]:
    invoice = {"finance_invoice": "INV-1", "total": "1045.00", "open": "0.00", "payment": "paid"}
    order = {"finance_order": "Q2C-AAAA", "fulfilment": "invoiced", "invoices": [invoice]}
    return {"state": "won", "approval": "approved", "opportunity": None, "orders": [order]} | changes


def finance(**changes: Any) -> dict[str, Any]:
    return {
        "lines": [LINE],
        "slips": [{"slip": "PS-1"}],
        "invoices": [{"InvoiceNumber": "INV-1", "TotalInvoiceAmount": "1045.00", "open": "0.00"}],
    } | changes


CLOSED = Outcome(
    quote="Q-1",
    expected=Expectation(End.CLOSED, net=Decimal("950.00"), level=0),
    deal=deal(),
    waited_for=frozenset({"rep", "customer", "shipment", "payment"}),
    cost=HistoryCost(28, 120),
    sales=sales(),
    order=finance(),
)


def test_a_deal_that_agrees_everywhere_has_no_mismatch() -> None:
    assert mismatches(CLOSED) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"deal": None}, "no run"),
        ({"deal": deal(ending=Ending.EXPIRED)}, "ended expired"),
        ({"order": None}, "no order"),
        ({"order": finance(lines=[LINE | {"LineAmount": "949.99"}])}, "949.99 in Finance"),
        ({"order": finance(lines=finance()["lines"] * 2)}, "lines"),
        ({"order": finance(invoices=[])}, "0 in Finance"),
        (
            {"order": finance(invoices=[{**finance()["invoices"][0], "open": "0.01"}])},
            "0.01 open on invoice INV-1",
        ),
        ({"sales": sales(orders=[])}, "0 orders in Sales"),
        ({"sales": sales(orders=[{**sales()["orders"][0], "finance_order": None}])}, "order number None"),
        (
            {"sales": sales(orders=[{**sales()["orders"][0], "fulfilment": "shipped"}])},
            "fulfilment in Sales is shipped",
        ),
        ({"sales": sales(orders=[{**sales()["orders"][0], "invoices": []}])}, "missing in Sales"),
        ({"sales": sales(opportunity={"state": "open", "actual_value": None})}, "opportunity open"),
        ({"expected": Expectation(End.CLOSED, level=2)}, "level 0 instead of 2"),
        ({"expected": Expectation(End.CLOSED, held=True)}, "not held"),
        ({"expected": Expectation(End.CLOSED, parked=True)}, "no step was parked"),
        ({"expected": Expectation(End.CLOSED, net=Decimal("951.00"))}, "951.00 in the input"),
        ({"expected": Expectation(End.REJECTED)}, "not rejected"),
        ({"deal": deal(credit=over_limit())}, "500.00 above the credit limit without a release"),
        ({"expected": Expectation(End.FULFILMENT)}, "not waiting for a shipment"),
    ],
)
def test_whatever_does_not_agree_is_said(changes: dict[str, Any], said: str) -> None:
    found = mismatches(replace(CLOSED, **changes))
    assert any(said in text for text in found), found


def rejection() -> ApprovalSummary:
    return ApprovalSummary(
        n=1, revision=0, status=ApprovalStatus.REJECTED, highest_level=2, steps=1, requested_at=T0, text="too low"
    )


def test_a_person_may_release_what_is_above_the_limit() -> None:
    assert mismatches(replace(CLOSED, deal=deal(credit=over_limit(), credit_released_by=CARL))) == []


def test_a_rejected_quote_must_not_be_ordered() -> None:
    waiting = deal(stage=Stage.QUOTE, ending=Ending.RUNNING, approvals=(rejection(),), order_number="")
    outcome = replace(
        CLOSED,
        expected=Expectation(End.REJECTED, level=2),
        deal=waiting,
        sales=sales(state="draft", approval="rejected", orders=[]),
        order=None,
    )
    assert mismatches(outcome) == []
    assert mismatches(replace(outcome, order=finance())) == ["Q-1: was ordered"]


def test_amounts_of_two_currencies_are_never_summed() -> None:
    yen = replace(CLOSED, deal=deal(currency="JPY"))
    state = {"orders": {"total": 3, "duplicates": 0, "without_quote": 0}}
    nothing = {"total": 0, "throttled": 0}
    summary = summarise([CLOSED, yen, CLOSED], state, {"dataverse": nothing, "finance": nothing}, 1)
    assert summary["money"]["net"] == "1900.00"
    assert summary["money_in"] == {
        "JPY": {"net": "950", "tax": "95", "total": "1045", "invoiced": "1045", "paid": "1045"}
    }


def test_the_summary_has_the_keys_that_others_read_and_money_as_text() -> None:
    held = replace(
        CLOSED,
        deal=deal(credit_released_by=CARL, credit_status=CreditStatus.RELEASED),
        waited_for=frozenset({"credit", "operator"}),
        cost=HistoryCost(40, 180),
    )
    state = {"orders": {"total": 2, "duplicates": 0, "without_quote": 0}}
    requests = {"dataverse": {"total": 9, "throttled": 1}, "finance": {"total": 11, "throttled": 2}}
    summary = summarise([CLOSED, held], state, requests, 12.34)
    assert summary == {
        "deals": 2,
        "closed": 2,
        "waiting": {},
        "rejected": 0,
        "expired": 0,
        "parked": 1,
        "orders_in_finance": 2,
        "duplicate_orders": 0,
        "approvals": {"none": 2, "level1": 0, "level2": 0, "level3": 0, "steps": 0},
        "credit": {"held": 1, "released_by_person": 1},
        "stories": {},
        "money": {"net": "1900.00", "tax": "190.00", "total": "2090.00", "invoiced": "2090.00", "paid": "2090.00"},
        "requests": {"dataverse": 9, "finance": 11, "throttled": 3},
        "temporal": {"actions_per_case_p50": 28, "events_per_case_p50": 120},
        "mismatches": [],
        "seconds": 12.3,
    }


def test_an_order_without_a_quote_is_a_duplicate_and_a_mismatch() -> None:
    state = {"orders": {"total": 2, "duplicates": 0, "without_quote": 1}}
    none = {"total": 0, "throttled": 0}
    summary = summarise([CLOSED], state, {"dataverse": none, "finance": none}, 1)
    assert summary["duplicate_orders"] == 1
    assert summary["mismatches"] == ["1 orders in Finance beyond one per deal"]
