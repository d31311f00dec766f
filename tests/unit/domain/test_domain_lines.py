"""The arithmetic of one order line: what Finance reports is kept and judged, what a person asks for is refused."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.lines import LineLedger, LineViolation

D = Decimal


def ten(**more: object) -> LineLedger:
    return LineLedger.model_validate({"line_no": 1, "item": "P100", "ordered": 10} | more)


def test_s30_of_ten_with_six_shipped_the_remainder_of_four_is_cancelled() -> None:
    ledger = ten(shipped=6).cancel_remainder()
    assert (ledger.cancelled, ledger.open_to_ship, ledger.deliverable) == (D(4), D(0), D(6))


def test_after_the_remainder_was_cancelled_a_later_slip_is_an_exception() -> None:
    late = ten(shipped=10, cancelled=4).violations
    assert [(violation.code, str(violation)) for violation in late] == [
        ("OVER_DELIVERY", "line 1: 10 shipped, but only 6 may be delivered")
    ]


def test_cancelling_twice_cancels_once() -> None:
    ledger = ten(shipped=6).cancel_remainder()
    assert ledger.cancel_remainder() == ledger


def test_s36_an_order_change_stops_at_what_was_shipped() -> None:
    assert ten().change_order(D(14)).open_to_ship == 14
    assert ten(shipped=6).change_order(D(8)).open_to_ship == 2
    with pytest.raises(LineViolation) as below:
        ten(shipped=6).change_order(D(5))
    assert below.value.code == "BELOW_SHIPPED"


@pytest.mark.parametrize(
    ("attempt", "code"),
    [
        (lambda: ten(shipped=6).cancel(D(5)), "BELOW_SHIPPED"),
        (lambda: ten(shipped=6).change_order(D(5)), "BELOW_SHIPPED"),
        (lambda: ten().cancel(D(0)), "BAD_QTY"),
        (lambda: ten().cancel(D(-1)), "BAD_QTY"),
        (lambda: ten().cancel(D("NaN")), "BAD_QTY"),
        (lambda: ten().change_order(D("Infinity")), "BAD_QTY"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(attempt: Callable[[], LineLedger], code: str) -> None:
    with pytest.raises(LineViolation) as refused:
        attempt()
    assert refused.value.code == code
    assert str(refused.value).startswith("line 1: ")


def test_over_delivery_is_allowed_up_to_its_per_cent() -> None:
    assert ten(over_delivery_pct=5, shipped=D("10.5"), invoiced=D("10.5")).violations == ()
    assert ten(over_delivery_pct=5, shipped=D("10.5")).open_to_ship == 0
    assert [v.code for v in ten(over_delivery_pct=5, shipped=D("10.51")).violations] == ["OVER_DELIVERY"]


def test_what_finance_reports_is_kept_and_what_cannot_be_is_named() -> None:
    reported = ten(shipped=12, invoiced=13, returned=0, credited=14)
    assert [(violation.code, str(violation)) for violation in reported.violations] == [
        ("OVER_DELIVERY", "line 1: 12 shipped, but only 10 may be delivered"),
        ("OVER_INVOICED", "line 1: 13 invoiced, but only 12 shipped"),
        ("OVER_CREDITED", "line 1: 14 credited, but only 13 invoiced"),
    ]
    assert reported.open_to_ship == 0
    assert ten(shipped=10, invoiced=10).violations == ()


QUANTITIES = st.decimals(0, 20, places=1)


@given(QUANTITIES, QUANTITIES, QUANTITIES, QUANTITIES, st.sampled_from([D(0), D(10)]))
def test_i1_to_i3_a_ledger_without_a_violation_is_one_whose_arithmetic_holds(
    shipped: Decimal, returned: Decimal, invoiced: Decimal, credited: Decimal, over: Decimal
) -> None:
    line = ten(shipped=shipped, returned=returned, invoiced=invoiced, credited=credited, over_delivery_pct=over)
    holds = shipped <= 10 * (100 + over) / 100 and invoiced <= shipped and returned <= shipped and credited <= invoiced
    assert (line.violations == ()) is holds


class AnyWish(RuleBasedStateMachine):
    """Whatever a person asks in whatever order, a line that was sound stays sound."""

    quantity = st.decimals("0.5", 20, places=1)

    @initialize(ordered=st.decimals(1, 20, places=1), share=st.integers(0, 10), over=st.sampled_from([D(0), D(10)]))
    def order(self, ordered: Decimal, share: int, over: Decimal) -> None:
        shipped = ordered * share / 10
        self.line = LineLedger(line_no=1, ordered=ordered, shipped=shipped, invoiced=shipped, over_delivery_pct=over)

    @rule(quantity=quantity)
    def cancel(self, quantity: Decimal) -> None:
        self._asked(lambda: self.line.cancel(quantity))

    @rule(quantity=quantity)
    def change_order(self, quantity: Decimal) -> None:
        self._asked(lambda: self.line.change_order(quantity))

    @rule()
    def cancel_remainder(self) -> None:
        self.line = self.line.cancel_remainder()
        assert self.line.open_to_ship == 0

    def _asked(self, wish: Callable[[], LineLedger]) -> None:
        before = self.line
        try:
            self.line = wish()
        except LineViolation:
            assert self.line is before

    @invariant()
    def the_arithmetic_holds(self) -> None:
        assert not self.line.violations
        assert self.line.cancelled >= 0
        assert self.line.open_to_ship >= 0


AnyWish.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestAnyWish = AnyWish.TestCase
