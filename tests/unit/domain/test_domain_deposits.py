"""Deposits: which order needs one, what holds it, and what is named to a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain import deposit_facts, explain, facts
from domain.deal_state import DealState, OrderStatus
from domain.deposits import DepositFacts, DepositPolicy, DepositRule, misfits
from domain.fulfilment import Billing, LineTotals
from domain.moves import DepositMove, for_deposit
from domain.payments import Payment
from domain.views import Ending, Stage, WaitingFor
from tests.deals import T0, TO_ORDER, invoice, new_deal, put

D = Decimal
CREATED = tuple(fact for fact in TO_ORDER if not isinstance(fact, facts.OrderConfirmed | facts.OrderRecorded))


def order(**changes: Any) -> DepositFacts:
    found = {"account": "US-001", "group": "10", "terms": "Net 45", "currency": "USD", "total": D("1045.00")}
    return DepositFacts(**(found | changes))


def rule(**fields: Any) -> DepositRule:
    return DepositRule(**({"id": "r", "percent": D(30)} | fields))


@pytest.mark.parametrize(
    ("fields", "amount"),
    [
        ({}, "313.50"),
        ({"percent": D("33.333")}, "348.33"),
        ({"percent": None, "amount": D(500), "currency": "USD"}, "500"),
        ({"percent": None, "amount": D(5000), "currency": "USD"}, "1045.00"),
        ({"terms": ("NET 45",)}, "313.50"),
        ({"terms": ("Net 30",)}, None),
        ({"groups": ("20",)}, None),
        ({"customers": ("us-001",)}, "313.50"),
        ({"currency": "EUR"}, None),
        ({"currency": "USD", "from_total": D("1045.00")}, "313.50"),
        ({"currency": "USD", "from_total": D("1045.01")}, None),
    ],
)
def test_a_rule_says_which_order_needs_how_much(fields: dict[str, Any], amount: str | None) -> None:
    policy = DepositPolicy(version="v", companies={"usmf": (rule(**fields),)})
    due = policy.due("usmf", order(), tolerance_units=1)
    assert (due.amount if due else None) == (D(amount) if amount else None)
    assert policy.due("demf", order(), tolerance_units=1) is None


def test_the_first_rule_that_fits_decides() -> None:
    policy = DepositPolicy(version="v", companies={"usmf": (rule(id="a", terms=("x",)), rule(id="b"), rule(id="c"))})
    due = policy.due("usmf", order(), tolerance_units=1)
    assert due is not None and (due.rule, due.policy, due.words) == ("b", "v", "313.50 USD (30 %)")
    assert [due.missing(D(received)) for received in ("0", "313.48", "313.49", "400")] == [D("313.50"), D("0.02"), 0, 0]


@pytest.mark.parametrize(
    "fields", [{"percent": None}, {"amount": D(1), "currency": "USD"}, {"from_total": D(1)}, {"percent": D(101)}]
)
def test_a_rule_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(**fields)


def test_rules_of_companies_that_no_quote_comes_from_are_named() -> None:
    policy = DepositPolicy(version="v", companies={"usmf": (rule(),), "frmf": (rule(),)})
    assert [field for field, _ in misfits(policy, {"usmf"})] == ["companies.frmf"]
    with pytest.raises(ValidationError, match="two rules are called r"):
        DepositPolicy(version="v", companies={"usmf": (rule(), rule())})


# The deal


def held() -> DealState:
    """A deal whose order is created and waits for 30 % of 1,000.00."""
    state = put(new_deal(), *CREATED)
    assert state.assessment is not None
    facts_of = order(total=D("1000.00"))
    due = DepositPolicy(version="v", companies={"usmf": (rule(),)}).due("usmf", facts_of, tolerance_units=1)
    pinned = state.assessment.model_copy(
        update={"deal_policy": state.assessment.deal_policy.model_copy(update={"deposit": due})}
    )
    return put(replace(state, assessment=pinned), deposit_facts.DepositAwaited(at=T0))


def paid(amount: str, *, applied: str = "0", **changes: Any) -> Payment:
    left = D(amount) - D(applied)
    found = {"record": 1, "number": f"PAY-{amount}", "amount": D(amount), "applied": D(applied), "unapplied": left}
    return Payment(**({"deposit": True, **found} | changes))


def read(state: DealState, *payments: Payment, lines: LineTotals | None = None, **changes: Any) -> DealState:
    found = {"status": "Active", "slips": (), "invoices": (), "lines": lines or state.delivery.lines}
    billing = Billing(**(found | {"payments": payments} | changes))
    return put(state, facts.BillingRead(billing=billing, covers=state.billing_told, at=T0))


def test_an_order_waits_for_its_deposit_and_parts_add_up() -> None:
    state = held()
    assert (state.stage, state.order, for_deposit(state)) == (Stage.ORDER, OrderStatus.CREATED, DepositMove.WAIT)
    told = explain.explain(state)
    assert (told.waiting_for, told.deadline) == (WaitingFor.DEPOSIT, T0 + timedelta(days=14))
    assert "300.00 USD (30 %): 300.00 USD missing" in told.text
    state = read(state, paid("100"), paid("50", deposit=False), paid("120", reversed=True, unapplied=D(0)))
    assert (state.deposit_missing, for_deposit(state)) == (D(200), DepositMove.WAIT)
    state = put(state, facts.BillingChanged(text="paid"))
    assert for_deposit(state) is DepositMove.READ_BILLING
    enough = read(state, paid("100"), paid("199.99"))
    assert (enough.deposit_missing, for_deposit(enough)) == (D(0), DepositMove.GO_ON)
    bounced = read(enough, paid("100"), paid("199.99", reversed=True, unapplied=D(0)))
    assert for_deposit(bounced) is DepositMove.WAIT, "it bounced before the order was released"


def test_what_goes_wrong_is_named_until_the_deposit_is_there() -> None:
    late = put(held(), deposit_facts.DepositOverdue())
    assert codes(late) == ["DEPOSIT_OVERDUE"]
    shipped = late.delivery.lines.model_copy(update={"shipped": D(4), "some_shipped": 1})
    sent = read(late, lines=shipped)
    assert codes(sent) == ["SHIPPED_WHILE_HELD", "DEPOSIT_OVERDUE"] and sent.deposit_holds
    assert codes(read(sent, paid("300"), lines=shipped)) == []
    whole = shipped.model_copy(update={"to_ship": 0})
    assert not read(sent, lines=whole).deposit_holds, "nothing is left to hold"


def test_a_deposit_that_comes_back_after_the_release_is_named_while_there_is_something_to_ship() -> None:
    state = read(held(), paid("300"))
    state = put(state, deposit_facts.DepositEnough(), facts.OrderConfirmed(confirmation_number="C-1"))
    bounced = read(state, paid("300", reversed=True, unapplied=D(0)))
    assert (codes(bounced), bounced.order) == (["DEPOSIT_REVERSED"], OrderStatus.CONFIRMED)
    assert codes(read(bounced, paid("300"))) == []


def test_a_cancelled_order_ends_when_its_deposit_is_decided_about() -> None:
    state = read(held(), paid("100"), cancelled=True)
    assert (state.ending, codes(state)) == (Ending.RUNNING, ["UNAPPLIED_CREDIT"])
    assert explain.explain(state).waiting_for is WaitingFor.UNAPPLIED and not state.deposit_holds
    paid_back = read(state, paid("100", unapplied=D(0), refunded=D(100)), cancelled=True)
    assert paid_back.ending is Ending.CANCELLED
    assert read(held(), cancelled=True).ending is Ending.CANCELLED, "without money there is nothing to decide"


def test_the_page_shows_what_of_the_deposit_settled_each_invoice() -> None:
    bills = tuple(
        invoice(number, 5, "0").model_copy(update={"from_deposit": D(part)})
        for number, part in (("I1", 165), ("I2", 100), ("I3", 0))
    )
    shown = explain.view(read(held(), paid("300", applied="265"), invoices=bills)).deposit
    assert shown is not None and (shown.received, shown.missing, shown.left, shown.holds) == (
        D(300),
        D(0),
        D(35),
        False,
    )
    assert shown.settled == {"I1": 165, "I2": 100}


def test_a_deal_without_a_rule_waits_for_nothing() -> None:
    state = put(new_deal(), *CREATED)
    assert (state.deposit_missing, state.deposit_holds, for_deposit(state)) == (D(0), False, DepositMove.GO_ON)
    assert explain.view(state).deposit is None


def codes(state: DealState) -> list[str]:
    return [text.partition(":")[0] for text in state.exceptions]
