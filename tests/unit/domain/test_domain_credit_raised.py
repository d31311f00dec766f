"""Terms better than the customer's own are a reason of their own to refuse credit, where the policy minds."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.credit import CreditBook, ReleaseToken, reserve
from domain.credit_lifting import hold_in_words
from domain.credit_raised import Terms, raised
from domain.policy import RaisedTerms
from tests.unit.domain.makers import POLICY, T0, facts, person

DAYS = {"net30": 30, "net45": 45, "cod": 0}
OWN = Terms(payment="Net30", discount="1%D10")
BOTH = tuple(RaisedTerms)


@pytest.mark.parametrize(
    ("payment", "discount", "codes"),
    [
        ("", "", []),
        ("Net30", "1%D10", []),
        ("COD", "", []),
        ("Net45", "", ["TERMS_RAISED"]),
        ("", "3%D30", ["DISCOUNT_RAISED"]),
        ("NET45", "1%d10", ["TERMS_RAISED"]),
        ("Net45", "3%D30", ["TERMS_RAISED", "DISCOUNT_RAISED"]),
    ],
)
def test_longer_terms_and_another_cash_discount_are_named(payment: str, discount: str, codes: list[str]) -> None:
    asked = Terms(payment=payment, discount=discount)
    assert [reason.code for reason in raised(asked, OWN, DAYS, BOTH)] == codes
    assert raised(asked, OWN, DAYS, ()) == (), "as shipped the policy leaves them to the approvers"
    assert POLICY.credit.raised_terms == ()


def test_they_hold_an_order_that_is_within_the_limit_until_it_is_released() -> None:
    why = raised(Terms(payment="Net45"), OWN, DAYS, BOTH)

    def asked(release: ReleaseToken | None = None) -> tuple[bool, list[str], str]:
        terms = POLICY.credit_terms("usmf", "US-001").model_copy(update={"raised": why})
        book, order = CreditBook(), Decimal(100)
        decision = reserve(book, "q2c/usmf/Q-1", "Q2C-1", order, facts("US-001"), terms, T0, release)[1]
        return decision.passed, [reason.code for reason in decision.reasons], hold_in_words(decision)

    passed, codes, text = asked()
    assert (passed, codes) == (False, ["TERMS_RAISED"])
    why_held = "payment terms Net45 (45 days) are longer than the customer's own (30 days)"
    assert text.startswith(f"On credit hold: {why_held}. Lifted by")
    token = ReleaseToken(
        deal_id="q2c/usmf/Q-1",
        ceiling=Decimal(100),
        valid_until=T0 + timedelta(days=1),
        reasons=("TERMS_RAISED",),
        released_by=person("carl"),
    )
    assert asked(token)[0]
