from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain.lines import LineLedger, LineViolation

D = Decimal


def ten(**more: object) -> LineLedger:
    return LineLedger.model_validate({"line_no": 1, "item": "P100", "ordered": 10} | more)


def quantities(ledger: LineLedger) -> str:
    """Ordered/cancelled/shipped/returned/invoiced/credited."""
    fields = ("ordered", "cancelled", "shipped", "returned", "invoiced", "credited")
    return "/".join(str(getattr(ledger, field)) for field in fields)


def test_s29_partial_shipments_and_their_invoices():
    after_six = ten().ship(D(6)).invoice(D(6))
    assert (after_six.open_to_ship, after_six.open_to_invoice, after_six.done) == (4, 0, False)
    finished = after_six.ship(D(4)).invoice(D(4))
    assert quantities(finished) == "10/0/10/0/10/0"
    assert finished.done


def test_s30_ship_six_cancel_the_remainder():
    ledger = ten().ship(D(6)).cancel_remainder()
    assert ledger.cancelled == 4
    assert not ledger.done
    assert ledger.invoice(D(6)).done
    with pytest.raises(LineViolation) as late:
        ledger.ship(D(4))
    assert late.value.code == "OVER_DELIVERY"
    assert str(late.value) == "line 1: 10 shipped, but only 6 may be delivered"


def test_cancelling_twice_cancels_once():
    ledger = ten().ship(D(6)).cancel_remainder()
    assert ledger.cancel_remainder() == ledger


def test_s34_a_return_and_its_credit_note():
    ledger = ten().ship(D(10)).invoice(D(10)).take_back(D(2)).credit(D(2))
    assert quantities(ledger) == "10/0/10/2/10/2"
    assert ledger.net_delivered == 8
    assert ledger.done


def test_s36_an_order_change_stops_at_what_was_shipped():
    shipped = ten().ship(D(6))
    assert ten().change_order(D(14)).open_to_ship == 14
    assert shipped.change_order(D(8)).open_to_ship == 2
    with pytest.raises(LineViolation) as below:
        shipped.change_order(D(5))
    assert below.value.code == "BELOW_SHIPPED"


@pytest.mark.parametrize(
    ("attempt", "code"),
    [
        (lambda: ten().ship(D(11)), "OVER_DELIVERY"),
        (lambda: ten().cancel(D(4)).ship(D(7)), "OVER_DELIVERY"),
        (lambda: ten().invoice(D(1)), "OVER_INVOICED"),
        (lambda: ten().ship(D(6)).invoice(D(7)), "OVER_INVOICED"),
        (lambda: ten().ship(D(6)).cancel(D(5)), "BELOW_SHIPPED"),
        (lambda: ten().take_back(D(1)), "OVER_RETURN"),
        (lambda: ten().ship(D(2)).take_back(D(1)).take_back(D(2)), "OVER_RETURN"),
        (lambda: ten().ship(D(2)).credit(D(1)), "OVER_CREDITED"),
        (lambda: ten().ship(D(0)), "BAD_QTY"),
        (lambda: ten().ship(D(-1)), "BAD_QTY"),
        (lambda: ten().invoice(D("NaN")), "BAD_QTY"),
        (lambda: ten().change_order(D("Infinity")), "BAD_QTY"),
        (lambda: ten().observe(shipped=D(-1), invoiced=D(0)), "BAD_QTY"),
        (lambda: ten().observe(shipped=D(11), invoiced=D(0)), "OVER_DELIVERY"),
        (lambda: ten().observe(shipped=D(5), invoiced=D(6)), "OVER_INVOICED"),
    ],
)
def test_what_cannot_be_is_refused_by_name(attempt: object, code: str):
    with pytest.raises(LineViolation) as refused:
        attempt()  # type: ignore[operator]
    assert refused.value.code == code
    assert str(refused.value).startswith("line 1: ")


def test_over_delivery_is_allowed_up_to_its_per_cent():
    ledger = ten(over_delivery_pct=5).ship(D("10.5"))
    assert ledger.open_to_ship == 0
    assert ledger.invoice(D("10.5")).done
    with pytest.raises(LineViolation):
        ten(over_delivery_pct=5).ship(D("10.51"))


def test_s24_reports_out_of_order_and_twice_end_where_reports_in_order_do():
    in_order = ten().observe(shipped=D(4), invoiced=D(0)).observe(shipped=D(6), invoiced=D(4))
    shuffled = ten()
    for shipped, invoiced in ((6, 4), (4, 0), (6, 4), (0, 0), (4, 4)):
        shuffled = shuffled.observe(shipped=D(shipped), invoiced=D(invoiced))
    assert shuffled == in_order


def test_what_finance_reports_is_kept_and_what_cannot_be_is_named():
    reported = ten(shipped=12, invoiced=13, returned=0, credited=14)
    assert [(violation.code, str(violation)) for violation in reported.violations] == [
        ("OVER_DELIVERY", "line 1: 12 shipped, but only 10 may be delivered"),
        ("OVER_INVOICED", "line 1: 13 invoiced, but only 12 shipped"),
        ("OVER_CREDITED", "line 1: 14 credited, but only 13 invoiced"),
    ]
    assert (reported.open_to_ship, reported.open_to_invoice, reported.done) == (0, 0, True)
    assert ten(shipped=10, invoiced=10).violations == ()


class AnyLife(RuleBasedStateMachine):
    """I1 to I3: whatever is attempted in whatever order, the arithmetic of the line holds."""

    quantity = st.decimals("0.5", 20, places=1)

    @initialize(ordered=st.decimals(1, 20, places=1), over=st.sampled_from([D(0), D(0), D(10)]))
    def order(self, ordered: Decimal, over: Decimal) -> None:
        self.line = LineLedger(line_no=1, ordered=ordered, over_delivery_pct=over)
        self.done = 0

    @rule(
        operation=st.sampled_from(["ship", "cancel", "take_back", "invoice", "credit", "change_order"]),
        quantity=quantity,
    )
    def attempt(self, operation: str, quantity: Decimal) -> None:
        before = self.line
        try:
            self.line = getattr(self.line, operation)(quantity)
            self.done += 1
        except LineViolation:
            assert self.line is before

    @rule()
    def cancel_remainder(self) -> None:
        self.line = self.line.cancel_remainder()
        assert not self.line.violations
        assert self.line.open_to_ship == 0

    @precondition(lambda self: self.done > 0)
    @rule()
    def hear_it_again(self) -> None:
        assert self.line.observe(shipped=self.line.shipped, invoiced=self.line.invoiced) == self.line

    @invariant()
    def the_arithmetic_holds(self) -> None:
        line = self.line
        most = line.ordered * (100 + line.over_delivery_pct) / 100 - line.cancelled
        assert 0 <= line.shipped <= most  # I1
        assert 0 <= line.invoiced <= line.shipped  # I2
        assert line.invoiced <= most
        assert 0 <= line.returned <= line.shipped  # I3
        assert 0 <= line.credited <= line.invoiced
        assert line.cancelled >= 0
        assert line.open_to_ship >= 0
        assert line.open_to_invoice >= 0
        assert line.net_delivered >= 0


AnyLife.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestAnyLife = AnyLife.TestCase
