"""What a rep reads in Sales of a hold: its numbers and what would lift it, in 200 characters."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from domain.credit_facts import CreditDecision, CreditReason
from domain.credit_lifting import hold_in_words
from domain.credit_rule import decide_credit
from domain.refusals import Refusal
from tests.unit.domain.makers import POLICY, T0, facts

D = Decimal


def held(account: str, order: str, **changes: Any) -> CreditDecision:
    decision = decide_credit(
        facts(account, **changes),
        this_order=D(order),
        this_order_number="Q2C-1",
        reservations=D(0),
        policy=POLICY,
        now=T0,
    )
    assert not decision.passed
    return decision


def test_a_hold_is_one_sentence_with_its_numbers_and_what_lifts_it() -> None:
    assert hold_in_words(held("US-002", "4500.00")) == (
        "On credit hold: over by 500.00 (limit 10,000.00 × 90 %). "
        "Lifted by 500.00 USD paid, or by a credit manager's release."
    )
    overdue = hold_in_words(held("US-005", "1045.00"))
    assert overdue == (
        "On credit hold: an invoice is 62 days overdue, 60 are allowed. "
        "Lifted by payment of what is overdue, or by a credit manager's release."
    )


def test_several_reasons_are_all_named() -> None:
    text = hold_in_words(held("US-005", "90000.00"))
    assert "paid and payment of what is overdue" in text and len(text) <= 200


@pytest.mark.parametrize("many", [1, 3, 9])
def test_it_always_fits_and_always_says_how_it_ends(many: int) -> None:
    reasons = tuple(CreditReason(code=Refusal.CUSTOMER_BLOCKED, text="x" * 150) for _ in range(many))
    text = hold_in_words(held("US-002", "4500.00").model_copy(update={"reasons": reasons}))
    assert len(text) <= 200 and text.endswith("or by a credit manager's release.")
