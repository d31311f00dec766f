from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.approvals import ApprovalPlan
from domain.authority import NoApprover
from domain.discount import request_expires_at, required_rules
from domain.policy import PolicyError
from domain.pricing import PricedQuote
from tests.unit.domain.makers import (
    POLICY,
    PRICES,
    T0,
    asked,
    discounted,
    line,
    names,
    plan,
    priced,
    quote,
    working_time,
)

D = Decimal


def rules(found: PricedQuote) -> list[str]:
    return [match.rule.id for match in required_rules(found, POLICY)]


def texts(the_plan: ApprovalPlan, step: int) -> list[str]:
    return [reason.text for reason in the_plan.steps[step - 1].reasons]


def test_s01_five_per_cent_asks_nobody() -> None:
    found = plan(priced(discounted("P100", 10, 5)))
    assert not found.needed
    assert found.policy_version == POLICY.version


def test_s02_two_levels_with_both_reasons() -> None:
    found = plan(priced(discounted("P250", 100, 22)))
    assert asked(found) == [("sales", 1, "mona"), ("sales", 2, "dirk")]
    assert texts(found, 1) == ["22 % > 10 %"]
    assert texts(found, 2) == ["22 % > 20 %", "margin 23.08 % < 25 %"]
    assert [reason.rule for reason in found.steps[1].reasons] == ["D2", "D2"]


def test_s03_three_levels() -> None:
    found = plan(priced(discounted("P250", 1000, 36)))
    assert asked(found) == [("sales", 1, "mona"), ("sales", 2, "dirk"), ("sales", 3, "cora")]
    assert texts(found, 3) == ["36 % > 35 %", "margin 6.25 % < 15 %"]


@pytest.mark.parametrize(("off", "expected"), [("100.00", []), ("100.01", ["D1"])])
def test_s04a_exactly_ten_per_cent_is_free(off: str, expected: list[str]) -> None:
    assert rules(priced(quote(line(quantity=10, off=off)))) == expected


def test_s04a_a_reason_never_reads_as_if_it_were_equal() -> None:
    found = plan(priced(quote(line(quantity=10, off="100.01"))))
    assert texts(found, 1) == ["10.001 % > 10 %"]


def test_s05_who_asks_is_not_asked() -> None:
    found = plan(priced(discounted("P100", 10, 15)), requester="mona")
    assert asked(found) == [("sales", 1, "dirk")]
    assert "mona" not in names(found.steps[0].candidates)


def test_s09_the_revisions_need_one_and_two_levels() -> None:
    assert asked(plan(priced(discounted("P250", 100, 18)))) == [("sales", 1, "mona")]
    assert asked(plan(priced(discounted("P250", 100, "22.5")))) == [("sales", 1, "mona"), ("sales", 2, "dirk")]


def test_s13_chains_are_asked_side_by_side() -> None:
    found = plan(priced(discounted("P100", 10, 15), payment_days=90))
    assert asked(found) == [("sales", 1, "mona"), ("legal", 1, "leo")]
    assert [step.step for step in found.steps] == [1, 2]
    assert texts(found, 2) == ["payment 90 days > 60 days"]
    assert rules(priced(discounted("P100", 10, 5), payment_days=60)) == []


def test_a_higher_level_brings_the_lower_ones_without_a_reason_of_their_own() -> None:
    low_margin = PRICES["P100"].model_copy(update={"cost": D("80.00")})
    found = plan(priced(discounted("P100", 10, 5), P100=low_margin))
    assert asked(found) == [("sales", 1, "mona"), ("sales", 2, "dirk")]
    assert texts(found, 1) == []
    assert texts(found, 2) == ["margin 15.79 % < 25 %"]


@pytest.mark.parametrize(("quantity", "expected"), [(999, []), (1000, ["D3"])])
def test_a_large_deal_is_the_cfos_from_the_limit_on(quantity: int, expected: list[str]) -> None:
    found = priced(quote(line(item="P250", quantity=quantity)))
    assert rules(found) == expected
    if expected:
        assert texts(plan(found), 3) == ["net 250,000.00 USD >= 250,000.00 USD"]


@pytest.mark.parametrize(("currency", "net", "expected"), [("JPY", 34_999_999, []), ("JPY", 35_000_000, ["D3"])])
def test_a_large_deal_is_measured_in_its_own_currency(currency: str, net: int, expected: list[str]) -> None:
    yen = priced(quote(line(price=net), currency=currency))
    assert rules(yen) == expected


def test_a_currency_without_an_amount_asks_to_be_safe() -> None:
    found = priced(quote(line(), currency="CHF"))
    assert rules(found) == ["D3"]
    assert texts(plan(found), 3) == ["net 100.00 CHF, a currency without an amount in the policy"]


def test_below_the_floor_needs_the_cfo_and_a_comment() -> None:
    with_floor = PRICES["P100"].model_copy(update={"floor_price": D("95.00")})
    found = plan(priced(quote(line(1, quantity=2, off="12.00"), line(2)), P100=with_floor))
    assert asked(found) == [("sales", 1, "mona"), ("sales", 2, "dirk"), ("sales", 3, "cora")]
    assert [step.comment_required for step in found.steps] == [False, False, True]
    assert texts(found, 3) == ["below floor price: line 1 P100 at 94.00 < 95.00"]


def test_many_lines_below_the_floor_are_summed_up() -> None:
    with_floor = PRICES["P100"].model_copy(update={"floor_price": D("95.00")})
    found = plan(priced(quote(*(line(no, off="6.00") for no in range(1, 9))), P100=with_floor))
    assert texts(found, 3)[0].endswith("line 5 P100 at 94.00 < 95.00 and 3 more")


def test_a_step_carries_what_the_request_needs_to_run_alone() -> None:
    found = plan(priced(discounted("P250", 1000, 36)))
    first, second, third = found.steps
    assert (first.role, first.accepted_roles) == ("sales_manager", ("sales_manager", "sales_director", "cfo"))
    assert (second.role, second.accepted_roles) == ("sales_director", ("sales_director", "cfo"))
    assert (third.role, third.accepted_roles) == ("cfo", ("cfo",))
    assert [step.sla_business_hours for step in found.steps] == [8, 16, 24]
    assert [step.on_timeout for step in found.steps] == ["escalate", "escalate", "expire"]
    assert names(first.candidates) == ["mona", "dirk", "dina", "drew", "cora"]
    assert found.calendar == working_time("usmf")


def test_a_company_without_approvers_says_whom_to_add() -> None:
    with pytest.raises(
        NoApprover, match=r"No eligible approver .* in jpmf .*: add .* sales_manager or sales_director or cfo"
    ):
        plan(priced(discounted("P100", 10, 15)), company="jpmf")


def test_a_company_without_a_calendar_is_refused() -> None:
    with pytest.raises(PolicyError, match="frmf"):
        plan(priced(discounted("P100", 10, 5)), company="frmf")


def test_s07_a_request_dies_with_its_quote_or_its_age() -> None:
    the_plan = plan(priced(discounted("P250", 100, 22)))
    assert request_expires_at(T0, T0 + timedelta(days=7), the_plan) == T0 + timedelta(days=7)
    assert request_expires_at(T0, T0 + timedelta(days=70), the_plan) == T0 + timedelta(days=14)
    assert request_expires_at(T0, None, the_plan) == T0 + timedelta(days=14)


# Properties of the matrix

PCT = st.decimals(0, 99, places=3)
PRICED = st.builds(
    PricedQuote,
    currency=st.sampled_from(["USD", "JPY", "CHF"]),
    lines=st.just(()),
    list_net=st.just(D(0)),
    disc_pct=PCT,
    margin_pct=st.decimals(-100, 99, places=3),
    net=st.decimals(0, 10**8, places=0),
    payment_days=st.integers(0, 180),
    below_floor=st.just(False),
    price_hash=st.just(""),
)
LEVELS = ("sales", "legal")


def height(the_plan: ApprovalPlan) -> dict[str, int]:
    return {chain: max((s.level for s in the_plan.steps if s.chain == chain), default=0) for chain in LEVELS}


@given(found=PRICED, more=st.decimals(0, 50, places=3), less=st.decimals(0, 50, places=3), days=st.integers(0, 60))
def test_a_worse_quote_never_needs_fewer_steps(found: PricedQuote, more: Decimal, less: Decimal, days: int) -> None:
    worse = found.model_copy(
        update={
            "disc_pct": found.disc_pct + more,
            "margin_pct": found.margin_pct - less,
            "payment_days": found.payment_days + days,
        }
    )
    before, after = height(plan(found)), height(plan(worse))
    assert all(after[chain] >= before[chain] for chain in LEVELS)


@given(found=PRICED, requester=st.sampled_from(["rita", "mona", "dirk", "dina"]))
def test_a_plan_is_closed_ordered_and_always_the_same(found: PricedQuote, requester: str) -> None:
    first, second = plan(found, requester), plan(found, requester)
    assert first == second
    assert [step.step for step in first.steps] == list(range(1, len(first.steps) + 1))
    for chain in LEVELS:
        levels = [step.level for step in first.steps if step.chain == chain]
        assert levels == list(range(1, len(levels) + 1))
    assert all(requester not in names(step.candidates) for step in first.steps)
    assert all(step.candidates for step in first.steps)


@given(found=PRICED)
def test_a_reason_always_shows_a_difference(found: PricedQuote) -> None:
    matches = required_rules(found, POLICY)
    assume(matches)
    for match in matches:
        for reason in match.reasons:
            for sign in (" > ", " < "):
                left, _, right = reason.text.partition(sign)
                assert left.removeprefix("margin ") != right


@given(found=PRICED)
def test_the_matrix_is_the_one_people_read(found: PricedQuote) -> None:
    """The rules once more, written down as the policy page says them."""
    large = {"USD": D(250_000), "JPY": D(35_000_000)}.get(found.currency)
    sales = 0
    if found.disc_pct > 10:
        sales = 1
    if found.disc_pct > 20 or found.margin_pct < 25:
        sales = 2
    if found.disc_pct > 35 or found.margin_pct < 15 or large is None or found.net >= large:
        sales = 3
    assert height(plan(found)) == {"sales": sales, "legal": 1 if found.payment_days > 60 else 0}
