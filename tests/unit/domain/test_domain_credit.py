from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.credit import ReleaseToken
from domain.credit_facts import CreditDecision
from domain.credit_rule import StaleFacts, decide_credit
from domain.policy import CreditLimits
from tests.unit.domain.makers import POLICY, T0, facts, person

D = Decimal


def decide(
    account: str = "US-001",
    order: object = "1045.00",
    reservations: object = 0,
    number: str = "Q2C-1",
    now: datetime = T0,
    limits: Mapping[str, object] | None = None,
    grace: int = 0,
    **of_facts: Any,
) -> CreditDecision:
    terms = POLICY.credit_terms("usmf", account)
    tighter = CreditLimits.model_validate(limits or {}).over(terms.limits)
    return decide_credit(
        facts(account, **of_facts),
        this_order=D(str(order)),
        this_order_number=number,
        reservations=D(str(reservations)),
        policy=terms.model_copy(update={"limits": tighter, "limit_grace_days": grace}),
        now=now,
    )


def codes(decision: CreditDecision) -> list[str]:
    return [reason.code for reason in decision.reasons]


def test_s01_exposure_within_the_limit() -> None:
    found = decide()
    assert found.passed
    assert found.exposure == D("56045.00")
    assert found.text == "exposure 56,045.00 within 100,000.00"
    assert (found.open_ar, found.open_orders, found.this_order) == (D(40000), D(15000), D("1045.00"))


def test_s15_microsofts_example() -> None:
    passes, holds = decide("US-002", "4000.00"), decide("US-002", "4500.00")
    assert passes.passed
    assert (passes.exposure, passes.limit) == (D(9000), D(9000))
    assert not holds.passed
    assert codes(holds) == ["OVER_LIMIT"]
    assert holds.text == "over by 500.00 (limit 10,000.00 × 90 %)"
    assert holds.over_by == 500


def test_a_cent_over_is_over_and_no_excess_reads_as_nothing() -> None:
    assert decide(order="45000.00").passed
    found = decide(order="45000.01")
    assert found.text == "over by 0.01 (limit 100,000.00)"
    assert decide(order="45000.001").text == "over by 0.01 (limit 100,000.00)"


def test_a_threshold_from_finance_and_one_from_the_policy_the_stricter_holds() -> None:
    assert decide("US-002", "4000.00", threshold_pct=D(80)).text == "over by 1,000.00 (limit 10,000.00 × 80 %)"
    assert decide("US-002", "4000.00", threshold_pct=D(95)).passed


def test_s16_no_credit_and_unlimited() -> None:
    none = decide("US-003", "0.01")
    assert codes(none) == ["NO_CREDIT"]
    assert none.text == "no credit: the limit is 0.00 and not unlimited"
    assert none.over_by == 0
    unlimited = decide("US-004", "250000.00")
    assert unlimited.passed
    assert codes(unlimited) == ["UNLIMITED"]
    assert unlimited.exposure == D("1150000.00")


def test_s16_without_credit_management_zero_means_unlimited_and_says_so() -> None:
    found = decide("US-003", "250000.00", credit_management=False)
    assert found.passed
    assert codes(found) == ["UNLIMITED"]
    assert "credit management is off" in found.text
    still_limited = decide("US-002", "4500.00", credit_management=False)
    assert codes(still_limited) == ["OVER_LIMIT"]


def test_s17_overdue_holds_although_the_limit_would_do() -> None:
    found = decide("US-005")
    assert found.exposure == D("21045.00") < found.limit
    assert codes(found) == ["OVERDUE"]
    assert found.text == "an invoice is 62 days overdue, 60 are allowed"
    assert found.over_by == 0
    paid = decide("US-005", open_ar="8000.00", oldest_overdue_days=0, overdue_amount="0.00")
    assert paid.passed


def test_s17_sixty_days_are_allowed() -> None:
    assert decide("US-005", oldest_overdue_days=60).passed


def test_s18_a_lower_limit_holds_what_passed_before() -> None:
    order = {"Q2C-1": "1045.00", "SO-1": "15000.00"}
    assert decide(open_orders=order).passed
    found = decide(open_orders=order, credit_limit="50000.00")
    assert found.text == "over by 6,045.00 (limit 50,000.00)"


def test_s21_an_order_is_counted_once_at_every_checkpoint() -> None:
    before = decide(order=60, credit_limit="100.00", open_ar="0.00", open_orders={})
    after = decide(order=60, credit_limit="100.00", open_ar="0.00", open_orders={"Q2C-1": "60.00"})
    assert before.exposure == after.exposure == 60
    assert before.passed and after.passed
    other = decide(order=60, credit_limit="100.00", open_ar="0.00", open_orders={"Q2C-2": "60.00"})
    assert other.exposure == 120
    assert not other.passed


def test_reservations_of_other_deals_count() -> None:
    found = decide(order="45000.00", reservations="0.01")
    assert codes(found) == ["OVER_LIMIT"]
    assert found.reservations == D("0.01")


@pytest.mark.parametrize("status", ["All", "Invoice"])
def test_a_customer_on_hold_has_no_credit(status: str) -> None:
    found = decide(on_hold=status)
    assert codes(found) == ["CUSTOMER_BLOCKED"]
    assert status in found.text
    assert codes(decide("US-004", on_hold=status)) == ["CUSTOMER_BLOCKED"]


@pytest.mark.parametrize("status", ["No", "Payment", "Requisition", "Never"])
def test_a_hold_of_something_else_stops_no_order(status: str) -> None:
    assert decide(on_hold=status).passed


@pytest.mark.parametrize(
    ("expires", "grace", "passed"),
    [
        (date(2026, 11, 23), 0, True),  # its last day
        (date(2026, 11, 22), 0, False),
        (date(2026, 11, 20), 3, True),
        (date(2026, 11, 19), 3, False),
    ],
)
def test_an_expired_limit_counts_for_its_grace_days(expires: date, grace: int, passed: bool) -> None:
    found = decide(limit_expires_on=expires, grace=grace)
    assert found.passed is passed
    if not passed:
        assert codes(found) == ["LIMIT_EXPIRED"]
        assert expires.isoformat() in found.text


def test_a_limit_expires_at_the_end_of_the_companys_day() -> None:
    late_evening_in_new_york = datetime(2026, 11, 24, 4, 30, tzinfo=UTC)
    found = decide(now=late_evening_in_new_york, limit_expires_on=date(2026, 11, 23), as_of=late_evening_in_new_york)
    assert found.passed


def test_an_overdue_amount_holds_only_with_enough_exposure() -> None:
    limits = {"overdue_amount": 10000, "overdue_amount_threshold_pct": 50, "overdue_days": 90}
    assert decide("US-005", "5000.00", limits=limits).passed  # 25,000 is 50 % of the limit, not more
    found = decide("US-005", "5000.01", limits=limits)
    assert codes(found) == ["OVERDUE_AMOUNT"]
    assert found.text == "12,000.00 overdue, 10,000.00 are allowed"
    assert decide("US-005", "5000.01", limits=limits | {"overdue_amount": 12000}).passed


def test_a_single_order_may_be_too_large() -> None:
    limits = {"single_order": 1045}
    assert decide(limits=limits).passed
    assert codes(decide(order="1045.01", limits=limits)) == ["ORDER_TOO_LARGE"]


def test_every_reason_is_given_not_only_the_first() -> None:
    found = decide("US-005", "40000.00", on_hold="All", limit_expires_on=date(2026, 1, 1), limits={"single_order": 1})
    assert codes(found) == ["OVER_LIMIT", "LIMIT_EXPIRED", "OVERDUE", "CUSTOMER_BLOCKED", "ORDER_TOO_LARGE"]
    assert found.text.count("; ") == 4


def test_facts_decide_for_a_minute() -> None:
    assert decide(now=T0 + timedelta(seconds=60)).passed
    with pytest.raises(StaleFacts, match="61 s old, at most 60 s are allowed"):
        decide(now=T0 + timedelta(seconds=61))


def test_facts_of_a_faster_clock_are_fresh() -> None:
    assert decide(now=T0 - timedelta(seconds=2)).passed


@pytest.mark.parametrize(("order", "reservations"), [(-1, 0), (1045, -1)])
def test_negative_amounts_are_refused(order: int, reservations: int) -> None:
    with pytest.raises(ValueError, match="negative"):
        decide(order=order, reservations=reservations)


def test_the_decision_names_its_policy_and_the_whole_policy_gives_the_same() -> None:
    alone = decide("US-002", "4500.00")
    whole = decide_credit(
        facts("US-002"),
        this_order=D("4500.00"),
        this_order_number="Q2C-1",
        reservations=D(0),
        policy=POLICY,
        now=T0,
    )
    assert alone == whole
    assert alone.policy_version == POLICY.version


MONEY = st.decimals(0, 10**7, places=2)


@given(limit=MONEY, ar=MONEY, other=MONEY, held=MONEY, order=MONEY, threshold=st.integers(1, 100))
def test_the_limit_is_kept_to_the_cent(
    limit: Decimal, ar: Decimal, other: Decimal, held: Decimal, order: Decimal, threshold: int
) -> None:
    found = decide(
        order=order,
        reservations=held,
        credit_limit=limit,
        open_ar=ar,
        open_orders={"SO-1": other},
        threshold_pct=D(threshold),
    )
    assert found.exposure == ar + other + held + order
    assert found.passed == (limit > 0 and found.exposure * 100 <= limit * threshold)
    assert (found.over_by > 0) == ("OVER_LIMIT" in codes(found))


@given(order=MONEY, more=MONEY)
def test_a_larger_order_never_passes_where_a_smaller_is_held(order: Decimal, more: Decimal) -> None:
    if not decide(order=order).passed:
        assert not decide(order=order + more).passed


# Releases


def token(**more: Any) -> ReleaseToken:
    given: dict[str, Any] = {
        "deal_id": "q2c/usmf/Q-1001",
        "ceiling": D("1045.00"),
        "deviation_pct": D(10),
        "valid_until": T0 + timedelta(days=5),
        "reasons": ("OVER_LIMIT",),
        "released_by": person("carl"),
    }
    return ReleaseToken(**given | more)


def lowered(order: str, **more: Any) -> CreditDecision:
    return decide(order=order, credit_limit="50000.00", **more)


@pytest.mark.parametrize(("order", "covered"), [("1045.00", True), ("1149.50", True), ("1149.51", False)])
def test_s19_a_release_reaches_to_its_ceiling_and_deviation(order: str, covered: bool) -> None:
    assert token().covers(lowered(order), T0) is covered


@pytest.mark.parametrize(("days", "covered"), [(5, True), (6, False)])
def test_s19_a_release_ends(days: int, covered: bool) -> None:
    assert token().covers(lowered("1045.00"), T0 + timedelta(days=days)) is covered


def test_a_release_covers_no_new_reason() -> None:
    assert not token().covers(lowered("1045.00", on_hold="All"), T0)
    assert not token().covers(lowered("1045.00", limit_expires_on=date(2026, 1, 1)), T0)
    assert token(reasons=("OVER_LIMIT", "CUSTOMER_BLOCKED")).covers(lowered("1045.00", on_hold="All"), T0)


def test_a_customer_whom_finance_excludes_passes_unless_it_is_blocked() -> None:
    late = facts("US-005", excluded=True)
    passed = decide_credit(
        late, this_order=D("90000"), this_order_number="Q2C-1", reservations=D(0), policy=POLICY, now=T0
    )
    assert (passed.passed, [r.code for r in passed.reasons], passed.over_by) == (True, ["EXCLUDED"], D(0))
    blocked = decide_credit(
        late.model_copy(update={"on_hold": "All", "collections_hold": "45 days overdue"}),
        this_order=D(1),
        this_order_number="Q2C-1",
        reservations=D(0),
        policy=POLICY,
        now=T0,
    )
    assert [r.code for r in blocked.reasons] == ["CUSTOMER_BLOCKED", "CUSTOMER_BLOCKED"]
