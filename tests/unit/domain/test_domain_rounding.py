"""Differences of rounding: within the tolerance they are recorded and summed, outside it somebody has to look."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import facts
from domain.audit import ROUNDING, facts_of
from domain.money import DocumentTolerance, minor_unit
from domain.rounding import Compared, compared, line_net, summed
from tests.deals import CREATED, TO_ORDER, new_deal, put

D = Decimal
TOLERANCE = DocumentTolerance()


def order(*amounts: str, net: str = "", currency: str = "USD", approved: str = "10.00") -> Compared:
    """Lines of ten each as approved, and what Finance makes of them."""
    held = [(number, D(amount)) for number, amount in enumerate(amounts, start=1)]
    wanted = {number: D(approved) for number, _ in held}
    total = D(net) if net else sum((amount for _, amount in held), D(0))
    whole = sum(wanted.values(), D(0))
    return compared(wanted, whole, held, total, currency=currency, tolerance=TOLERANCE)


def test_lifecycle_8_a_line_is_rounded_once_and_ties_go_away_from_zero() -> None:
    assert line_net(D(1000), D("99.99"), "USD", discount_pct=D("33.33")) == D("66663.33")
    assert line_net(D(8), D("99.99"), "USD", discount_pct=D(20)) == D("639.94")
    assert line_net(D(1), D("2.345"), "USD") == D("2.35")
    assert line_net(D(3), D("100"), "USD", discount_amount=D("10.00")) == D("290.00")
    assert line_net(D(7), D("8807.32"), "USD", price_unit=D(1000)) == D("61.65")
    assert line_net(D(1), D("2.5"), "JPY") == 3 and line_net(D(1), D("1.0005"), "KWD") == D("1.001")


def test_the_same_amounts_leave_no_record() -> None:
    found = order("10.00", "10.00")
    assert (found.rounding, found.problem) == (None, "")


def test_a_minor_unit_on_a_line_is_rounding_and_two_are_not() -> None:
    within = compared({1: D(10)}, D(10), [(1, D("10.01"))], D("10.01"), currency="USD", tolerance=TOLERANCE)
    assert within.problem == "" and within.rounding is not None
    assert (within.rounding.net, within.rounding.units, within.rounding.lines_off) == (D("0.01"), 1, 1)
    outside = compared({1: D(10)}, D(10), [(1, D("10.02"))], D("10.02"), currency="USD", tolerance=TOLERANCE)
    assert outside.rounding is None
    assert outside.problem == "line 1: 10.02 in Finance, 10.00 approved; net 10.02 in Finance, 10.00 approved"


@pytest.mark.parametrize(("currency", "unit"), [("JPY", "1"), ("USD", "0.01"), ("KWD", "0.001"), ("CLF", "0.0001")])
@pytest.mark.parametrize(("lines", "units"), [(1, 1), (2, 2), (9, 3), (10, 4), (10_000, 100), (20_000, 100)])
def test_a_document_may_be_off_by_the_root_of_its_lines_in_units_of_its_currency(
    lines: int, units: int, currency: str, unit: str
) -> None:
    assert TOLERANCE.document_units(lines) == units and minor_unit(currency) == D(unit)
    approved = dict.fromkeys(range(1, lines + 1), D(10))
    net = D(10) * lines
    held = list(approved.items())
    for off, within in ((units, True), (units + 1, False)):
        found = compared(approved, net, held, net + off * D(unit), currency=currency, tolerance=TOLERANCE)
        assert (found.problem == "") is within


def test_of_many_lines_outside_ten_are_named_and_the_rest_counted() -> None:
    approved = dict.fromkeys(range(1, 31), D(10))
    held = [(number, D(11)) for number in approved] + [(99, D(1))]
    found = compared(approved, D(300), held, D(331), currency="USD", tolerance=TOLERANCE)
    assert (len(found.outside), found.outside_count) == (10, 32)
    assert found.problem.endswith("; and 22 more")


@given(st.lists(st.integers(-1, 1), min_size=1, max_size=40))
def test_what_lines_are_off_adds_up_to_what_is_recorded(units: list[int]) -> None:
    approved = dict.fromkeys(range(1, len(units) + 1), D("10.00"))
    held = [(number, D(10) + D("0.01") * off) for number, off in zip(approved, units, strict=True)]
    net = sum((amount for _, amount in held), D(0))
    found = compared(approved, D(10) * len(units), held, net, currency="USD", tolerance=TOLERANCE)
    if found.rounding is not None:
        assert found.rounding.more - found.rounding.less == found.rounding.net
        assert found.rounding.lines_off == sum(map(abs, units))
    else:
        assert not any(units) or abs(sum(units)) > TOLERANCE.document_units(len(units))


def test_a_deal_keeps_the_difference_of_its_order_and_the_audit_has_its_figure() -> None:
    found = compared(
        {1: D(475), 2: D(475)},
        D(950),
        [(1, D("475.01")), (2, D("475.00"))],
        D("950.01"),
        currency="USD",
        tolerance=TOLERANCE,
    )
    created = CREATED.model_copy(update={"rounding": found.rounding, "rounding_difference": D("0.01")})
    state = put(new_deal(), *TO_ORDER[:6], created)
    assert state.rounding == found.rounding and state.rounding is not None
    told = facts_of(created)
    assert (told[ROUNDING], told["lines off"], told["currency"]) == ("0.01", "1", "USD")
    assert ROUNDING not in facts_of(CREATED) and isinstance(created, facts.OrderCreated)


def test_differences_are_summed_by_company_day_and_currency_and_what_cancels_out_still_counts() -> None:
    monday, tuesday = date(2026, 11, 23), date(2026, 11, 24)
    found = summed(
        [
            ("usmf", monday, "USD", D("0.02")),
            ("usmf", monday, "USD", D("-0.02")),
            ("usmf", tuesday, "USD", D("0.01")),
            ("jpmf", monday, "JPY", D(1)),
        ]
    )
    assert [(each.company, each.day, each.documents, each.net, each.absolute) for each in found] == [
        ("usmf", tuesday, 1, D("0.01"), D("0.01")),
        ("jpmf", monday, 1, D(1), D(1)),
        ("usmf", monday, 2, D(0), D("0.04")),
    ]
