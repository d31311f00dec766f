"""Changing and cancelling an order, as rules: what may be asked, what it leads to, and when it is believed."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from domain import facts, moves, order_change_facts
from domain.changing import PAUSES, cuts, to_cancel
from domain.credit_facts import CreditStatus
from domain.deal import Transition, apply
from domain.deal_start import Checkpoint
from domain.deal_state import DealState, OrderStatus, SalesDue
from domain.explain import explain, view
from domain.facts import Event
from domain.fulfilment import OrderedLine
from domain.line_change import LineChange
from domain.lines import LineLedger, LineViolation
from domain.moves import DeliveryMove
from domain.views import Ending, Resolution, WaitingFor
from tests.deals import CARL, CREATED, RITA, T0, TO_ORDER, billed, invoice, new_deal, put, read, totals

D = Decimal


def ten(**quantities: int) -> LineLedger:
    return LineLedger(line_no=1, item="P", ordered=D(10), **{name: D(q) for name, q in quantities.items()})


def of_line(quantity: str) -> tuple[LineChange, ...]:
    return (LineChange(line_no=1, quantity=D(quantity)),)


def ask(state: DealState, *lines: LineChange) -> Transition:
    fact = order_change_facts.OrderChangeAsked(lines=lines, reason="not wanted", by=RITA, at=T0)
    return apply(state, Event(at=T0, actor=RITA, fact=fact))


def made(cancelled: int, lines: tuple[LineChange, ...] = (), *refused: str) -> order_change_facts.OrderChangeMade:
    return order_change_facts.OrderChangeMade(
        lines=lines, order_number="Q2C-1", cancelled=D(cancelled), refused=refused
    )


FAILED = order_change_facts.OrderChangeFailed(cause="Refused", message="4 has been picked", at=T0)


def cancelled(state: DealState, cut: int, slips: dict[str, int] | None = None) -> facts.BillingRead:
    """Finance shows so much of the order of ten cancelled."""
    shipped = sum((slips or {}).values())
    line = OrderedLine(line_no=1, item="P", quantity=D(10), remaining=D(10 - shipped - cut))
    billing = billed(slips or {}).model_copy(
        update={"lines": totals(10, shipped={1: shipped}, found=[line]), "cancelled": cut == 10}
    )
    return facts.BillingRead(billing=billing, covers=state.billing_told, at=T0)


@pytest.mark.parametrize(
    ("line", "quantity", "cut"),
    [
        (ten(), "0", 10),
        (ten(), "10", 0),
        (ten(cancelled=2), "8", 0),
        (ten(cancelled=2, shipped=6), "7", 1),
        (ten(shipped=6, invoiced=6), "6", 4),
    ],
)
def test_a_line_comes_to_a_quantity_by_cancelling_the_difference(line: LineLedger, quantity: str, cut: int) -> None:
    assert to_cancel(line, D(quantity)) == cut


@pytest.mark.parametrize(
    ("line", "quantity", "code"),
    [
        (ten(), "14", "LARGER_ORDER"),
        (ten(cancelled=2), "9", "LARGER_ORDER"),
        (ten(shipped=6), "5", "BELOW_SHIPPED"),
        (ten(shipped=6, invoiced=6), "0", "BELOW_SHIPPED"),
    ],
)
def test_never_above_what_is_ordered_nor_below_what_is_gone(line: LineLedger, quantity: str, code: str) -> None:
    with pytest.raises(LineViolation) as refused:
        to_cancel(line, D(quantity))
    assert refused.value.code == code


def test_one_line_that_cannot_be_changed_does_not_hold_up_the_others() -> None:
    ledger = [ten(), ten(shipped=6).model_copy(update={"line_no": 2})]
    wanted = [LineChange(line_no=n, quantity=D(q)) for n, q in ((1, 4), (2, 3), (7, 1))]
    found, refused = cuts(ledger, wanted)
    assert found == {1: D(6)}
    assert [violation.code for violation in refused] == ["BELOW_SHIPPED", "UNKNOWN_LINE"]
    assert cuts(ledger, ()) == ({1: D(10), 2: D(4)}, ())


def test_a_confirmed_order_is_cancelling_until_finance_is_read_as_cancelled() -> None:
    asked = ask(put(new_deal(), *TO_ORDER))
    state = asked.state
    assert "undoes order Q2C-1" in asked.audit.text
    assert (state.order, state.shown_order) == (OrderStatus.CONFIRMED, OrderStatus.CANCELLING)
    assert (moves.in_delivery(state), explain(state).waiting_for) == (DeliveryMove.CHANGE_ORDER, WaitingFor.FINANCE)
    state = put(state, made(10))
    assert (state.running, moves.in_delivery(state)) == (True, DeliveryMove.READ_BILLING)
    assert put(state, read(covers=0)).changing == state.changing, "a look that began before shows nothing of it"
    state = put(state, cancelled(state, 10))
    assert (state.ending, state.order, state.sales_due) == (
        Ending.CANCELLED,
        OrderStatus.CANCELLED,
        SalesDue.ORDER_CANCELLED,
    )


def test_what_fails_is_an_exception_tried_again_and_a_second_request_is_refused() -> None:
    state = put(ask(put(new_deal(), *TO_ORDER)).state, FAILED)
    assert (state.shown_order, moves.in_delivery(state)) == (OrderStatus.COMPENSATING, DeliveryMove.WAIT)
    assert state.changing is not None and state.changing.retry_at == T0 + PAUSES.first
    assert [text.partition(":")[0] for text in state.exceptions] == ["CHANGE_FAILING"]
    shown = view(state)
    assert (shown.order_status, shown.order_change and shown.order_change.failure) == (
        "compensating",
        "4 has been picked",
    )
    assert (explain(state).waiting_for, state.error) == (WaitingFor.OPERATOR, "Refused")
    assert ask(state).code == "CHANGE_OPEN"
    for again in (
        order_change_facts.OrderChangeDue(reason="time has passed"),
        facts.StepResumed(action=Resolution.RETRY, reason=""),
        read(covers=state.billing_told),
    ):
        assert moves.in_delivery(put(state, again)) is DeliveryMove.CHANGE_ORDER
    twice = put(state, order_change_facts.OrderChangeDue(reason=""), FAILED)
    assert len(twice.exceptions) == 1 and twice.changing is not None
    assert twice.changing.retry_at == T0 + timedelta(minutes=2)
    taken = put(put(twice, order_change_facts.OrderChangeDue(reason="")), made(10))
    assert (taken.exceptions, taken.error) == ((), "")


def test_a_yes_that_finance_does_not_show_is_a_failure() -> None:
    state = put(ask(put(new_deal(), *TO_ORDER)).state, made(10))
    state = put(state, read(covers=state.billing_told))
    assert (state.running, state.shown_order) == (True, OrderStatus.COMPENSATING)
    assert "still shows 1 line" in state.exceptions[0]


def test_s30_a_partly_shipped_order_keeps_what_is_shipped() -> None:
    state = put(new_deal(), *TO_ORDER, facts.BillingChanged(text=""))
    state = put(state, read({"S": 6}, covers=1))
    state = put(ask(state).state, made(4))
    state = put(state, cancelled(state, 4, {"S": 6}))
    assert (state.changing, state.running, state.delivery.all_shipped) == (None, True, True)
    assert state.exceptions == ()


def test_what_is_shipped_invoiced_or_paid_is_refused_with_the_way_that_is_left() -> None:
    ordered = put(new_deal(), *TO_ORDER, facts.BillingChanged(text=""))
    shipped = put(ordered, read({"S": 10}, covers=1))
    owed = put(ordered, read({"S": 10}, invoice("I", 10, "1045"), covers=1))
    paid = put(ordered, read({"S": 10}, invoice("I", 10, "0"), covers=1))
    words = []
    for state in (shipped, owed, paid):
        for lines in ((), of_line("8")):
            refused = ask(state, *lines)
            assert (refused.code, refused.state) == ("NOTHING_TO_CANCEL", state)
        words.append(refused.audit.text)
    assert "return order" in words[0] and "dispute" in words[1] and "refunded" in words[2]


def test_before_there_is_an_order_the_deal_is_cancelled_instead() -> None:
    assert ask(put(new_deal(), *TO_ORDER[:3])).code == "ILLEGAL_TRANSITION"


def test_an_order_that_is_being_made_is_undone_or_proved_absent() -> None:
    creating = ask(put(new_deal(), *TO_ORDER[:6])).state
    assert creating.shown_order is OrderStatus.CANCELLING
    gone = put(creating, order_change_facts.OrderAbsent(order_number="Q2C-1"))
    assert (gone.ending, gone.order, gone.order_number) == (Ending.CANCELLED, OrderStatus.NONE, "")
    assert gone.exceptions == ("WON_IN_SALES: the quote is won in Sales",)
    put_off = put(creating, facts.OrderPutOff(why="the facts are old"))
    assert (put_off.ending, put_off.credit) == (Ending.CANCELLED, CreditStatus.PASSED)
    found = put(creating, made(10))
    assert (found.order, moves.in_delivery(found)) == (OrderStatus.CREATED, DeliveryMove.READ_BILLING)
    late = put(creating, CREATED)
    assert (late.order, moves.in_delivery(late)) == (OrderStatus.CREATED, DeliveryMove.CHANGE_ORDER)
    ended = put(found, cancelled(found, 10))
    assert (ended.ending, ended.order, ended.sales_due) == (Ending.CANCELLED, OrderStatus.CANCELLED, SalesDue.NOTHING)


def test_s36_lines_are_made_smaller_and_checked_against_what_finance_showed() -> None:
    ordered = put(new_deal(), *TO_ORDER)
    assert ask(ordered, *of_line("10")).code == "ILLEGAL_TRANSITION"
    assert ask(ordered, *of_line("8"), *of_line("7")).code == "DUPLICATE_LINE"
    assert ask(ordered, LineChange(line_no=9, quantity=D(1))).code == "UNKNOWN_LINE"
    assert ask(put(new_deal(), *TO_ORDER[:7]), *of_line("8")).code == "ILLEGAL_TRANSITION"
    state = ask(ordered, *of_line("8")).state
    assert (state.cancelling, state.shown_order) == (False, OrderStatus.CONFIRMED)
    assert ask(state, *of_line("7")).code == "CHANGE_OPEN"
    done = put(state, made(2, of_line("8")))
    assert put(done, read(covers=done.billing_told)).changing is not None, "Finance does not show it"
    done = put(done, cancelled(done, 2))
    assert (done.changing, done.exceptions, done.delivery.lines.cancelled) == (None, (), D(2))


def test_a_cancellation_takes_the_place_of_a_smaller_change_whose_result_counts_no_more() -> None:
    state = ask(ask(put(new_deal(), *TO_ORDER), *of_line("8")).state).state
    assert state.cancelling
    late = apply(state, Event(at=T0, actor=CARL, fact=made(2, of_line("8"))))
    assert (late.code, late.state) == ("STALE", state)


def test_a_part_that_finance_shows_to_be_impossible_is_an_exception() -> None:
    state = ask(put(new_deal(), *TO_ORDER), *of_line("5")).state
    state = put(state, made(0, of_line("5"), "BELOW_SHIPPED: line 1: 6 is shipped"))
    state = put(state, read({"S": 6}, covers=state.billing_told))
    assert (state.changing, state.exceptions) == (None, ("CHANGE_REFUSED: BELOW_SHIPPED: line 1: 6 is shipped",))


def test_a_change_under_way_goes_with_the_deal_into_its_next_run() -> None:
    state = put(ask(put(new_deal(), *TO_ORDER)).state, FAILED)
    checkpoint = Checkpoint(state=state)
    assert Checkpoint.model_validate_json(checkpoint.model_dump_json()).state == state
