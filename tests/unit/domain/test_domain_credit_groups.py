"""A limit that customers share: group first, then customer, and both must pass."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.credit import CreditBook, ReleaseToken, reserve
from domain.credit_facts import CreditDecision, CreditFacts
from domain.credit_groups import GroupCredit, Member, both, group_terms
from tests.unit.domain.makers import POLICY, T0, facts, person

D = Decimal
TERMS = POLICY.credit_terms("usmf", "US-001")


def shared(limit: str = "1500.00", **changes: Any) -> CreditFacts:
    """What the customers of the group TWINS owe together."""
    fields: dict[str, Any] = {"open_ar": D(0), **changes}
    return facts(company="group", group="TWINS", credit_limit=D(limit), open_orders={}, **fields)


def decided(of: CreditFacts, order: str, terms: Any = TERMS, released: ReleaseToken | None = None) -> CreditDecision:
    return reserve(CreditBook(), "q2c/usmf/Q-1", "Q2C-1", D(order), of, terms, T0, released)[1]


@pytest.mark.parametrize(("order", "codes"), [("1500.00", ["WITHIN_LIMIT"]), ("1500.01", ["GROUP_OVER_LIMIT"])])
def test_the_group_is_over_when_all_of_it_is_used(order: str, codes: list[str]) -> None:
    decision = decided(shared(), order, group_terms(TERMS))
    assert [reason.code for reason in decision.reasons] == codes
    if not decision.passed:
        text = "credit group TWINS is over by 0.01 USD (limit 1,500.00 USD, shared by its customers)"
        assert decision.text.replace(" USD", "") == text.replace(" USD", "")
        assert decision.over_by == D("0.01")


def test_a_shared_limit_of_zero_leaves_no_credit_and_one_that_has_expired_neither() -> None:
    none = decided(shared("0.00"), "1.00", group_terms(TERMS))
    assert [reason.code for reason in none.reasons] == ["GROUP_OVER_LIMIT"]
    ended = decided(shared(limit_expires_on=date(2026, 11, 1)), "1.00", group_terms(TERMS))
    assert [reason.code for reason in ended.reasons] == ["GROUP_LIMIT_EXPIRED"]
    assert ended.text == "the limit of credit group TWINS expired on 2026-11-01"


def test_what_the_policy_says_of_a_customer_is_not_asked_of_the_group() -> None:
    """Its overdue days, thresholds and holds are judged once, in the customer's own ledger."""
    late = shared(oldest_overdue_days=400, overdue_amount=D(5000))
    assert decided(late, "1500.00", group_terms(TERMS)).passed


def test_both_must_pass_and_each_that_refuses_says_why() -> None:
    yes, no = decided(facts("US-002", credit_limit=D(5000), open_ar=D(0)), "2000.00"), decided(shared(), "2000.00")
    mine = decided(facts("US-002", credit_limit=D(1000), open_ar=D(0)), "2000.00")
    open_to_all = decided(shared("9000.00"), "2000.00")

    assert both(open_to_all, yes).passed and both(open_to_all, yes).reasons == yes.reasons
    assert [r.code for r in both(no, yes).reasons] == ["GROUP_OVER_LIMIT"]
    assert [r.code for r in both(no, mine).reasons] == ["GROUP_OVER_LIMIT", "OVER_LIMIT"]
    refused = both(no, yes)
    assert (refused.passed, refused.limit, refused.exposure) == (False, yes.limit, yes.exposure)


def test_a_release_reaches_as_far_in_the_groups_currency() -> None:
    group = GroupCredit(facts=shared(), rate=D("0.9"), members=(Member(company="usmf", account="US-001"),))
    token = ReleaseToken(
        deal_id="q2c/usmf/Q-1",
        ceiling=D("2000.00"),
        valid_until=T0 + timedelta(days=5),
        reasons=("GROUP_OVER_LIMIT",),
        released_by=person("carl"),
    )
    passed = decided(group.facts, str(group.amount(D("2000.00"))), group_terms(TERMS), group.release(token))
    assert passed.passed and passed.reasons[0].code == "RELEASED"
    assert (
        both(passed, decided(facts("US-002", credit_limit=D(5000), open_ar=D(0)), "2000.00")).reasons[0].code
        == "RELEASED"
    )
    assert not decided(group.facts, str(group.amount(D("2000.01"))), group_terms(TERMS), group.release(token)).passed
