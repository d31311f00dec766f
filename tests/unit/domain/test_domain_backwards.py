"""What Finance takes back: cancelled and changed lines, returns, credit notes, corrections, in whatever order read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain import facts, moves, order_change_facts
from domain.credit_facts import CreditStatus
from domain.deal import apply
from domain.deal_state import DealState, OrderStatus, SalesDue
from domain.delivered import ShippedInSales
from domain.explain import details, explain, view
from domain.facts import Event, Fact
from domain.fulfilment import (
    Billing,
    Done,
    Invoice,
    OrderedLine,
    changes_of,
    digest_of,
    ledger_of,
    totals_of,
)
from domain.moves import ClosingMove, DeliveryMove
from domain.rules.delivery import MOST_NEWS, takes_less_credit
from domain.views import Ending, Stage, WaitingFor
from tests.deals import CARL, CREATED, PRICE, SYSTEM, T0, TO_ORDER, credit_note, held, holding, invoice, new_deal, put

D = Decimal
GROSS = D("104.50")


def found(*lines: OrderedLine, **more: Any) -> facts.BillingRead:
    """That an order of ten was read as Finance holds it."""
    return facts.BillingRead(billing=holding(*lines, **more), covers=1_000, at=T0)


def shown(state: DealState) -> DealState:
    """The deal after it has shown in Sales all that it has to."""
    while (move := moves.in_delivery(state)) is not DeliveryMove.WAIT and state.running:
        after = put(state, _showing(state, move))
        assert moves.in_delivery(after) is not move or after.version > state.version
        state = after
    return state


def _showing(state: DealState, move: DeliveryMove) -> Fact:
    match move:
        case DeliveryMove.SHOW_ORDERED:
            return order_change_facts.OrderedShown(changes=state.delivery.lines.changes)
        case DeliveryMove.SHOW_SHIPMENT:
            return facts.ShipmentRecorded(slips=state.unrecorded_slips)
        case DeliveryMove.SHOW_INVOICES:
            return facts.InvoicesRecorded(
                open_amounts={i.invoice_number: i.open_amount for i in state.unrecorded_invoices}
            )
        case DeliveryMove.SHOW_PAYMENTS:
            return facts.PaymentsRecorded(
                open_amounts={i.invoice_number: i.open_amount for i in state.unrecorded_payments}
            )
        case _:
            raise AssertionError(move)


def ledger(state: DealState) -> tuple[Decimal, ...]:
    """Ordered, cancelled, shipped, returned, invoiced, credited of the one line."""
    (line,) = view(state).lines
    return line.ordered, line.cancelled, line.shipped, line.returned, line.invoiced, line.credited


def quantities(*numbers: int) -> tuple[Decimal, ...]:
    return tuple(D(number) for number in numbers)


def last_text(state: DealState, fact: Fact) -> str:
    return apply(state, Event(at=T0, actor=SYSTEM, fact=fact)).audit.text


ORDERED = put(new_deal(), *TO_ORDER)


# Cancelled and changed


def test_the_whole_order_cancelled_in_finance_cancels_the_deal_and_sales_and_gives_credit_back() -> None:
    gone = found(held(10, 0, by="clara"), cancelled=True, changed_by="clara")
    assert "was cancelled in Finance (last changed there by clara)" in last_text(ORDERED, gone)
    state = put(ORDERED, gone)
    assert (state.ending, state.order, state.sales_due) == (
        Ending.CANCELLED,
        OrderStatus.CANCELLED,
        SalesDue.ORDER_CANCELLED,
    )
    assert (ledger(state), state.exceptions) == (quantities(10, 10, 0, 0, 0, 0), ())
    assert moves.in_closing(state) is ClosingMove.GIVE_CREDIT_BACK
    state = put(state, facts.CreditGivenBack())
    assert moves.in_closing(state) is ClosingMove.TELL_SALES
    assert moves.in_closing(put(state, facts.SalesTold())) is ClosingMove.DONE


def test_an_order_cancelled_in_finance_before_it_was_confirmed_is_shown_in_sales_and_then_read() -> None:
    """Nobody has to look: what Finance refuses to confirm, because it is cancelled there, is cancelled here as well."""
    beyond = facts.OrderConfirmed(confirmation_number="Q2C-1", beyond="cancelled")
    created = TO_ORDER[: TO_ORDER.index(CREATED) + 1]
    assert "was cancelled in Finance before it was confirmed" in last_text(put(new_deal(), *created), beyond)
    state = put(new_deal(), *created, beyond, facts.OrderRecorded(sales_order_id="so"))
    assert moves.in_delivery(state) is DeliveryMove.READ_BILLING
    state = put(state, found(held(10, 0), cancelled=True))
    assert (state.ending, state.sales_due) == (Ending.CANCELLED, SalesDue.ORDER_CANCELLED)


def test_an_order_cancelled_in_sales_and_then_in_finance_is_nobody_s_business_any_more() -> None:
    waits = put(ORDERED, facts.SalesOrderCancelled())
    assert waits.exceptions
    assert put(waits, found(held(10, 0), cancelled=True)).exceptions == ()


def test_every_line_cancelled_one_by_one_is_no_cancelled_order_until_finance_says_so() -> None:
    state = put(ORDERED, found(held(10, 0)))
    assert (state.ending, state.order, state.stage) == (Ending.RUNNING, OrderStatus.CONFIRMED, Stage.FULFILMENT)


def test_a_remainder_cancelled_in_finance_closes_the_deal_short_and_names_who_did_it() -> None:
    """S30: ship 6, cancel the remainder, invoice 627.00, pay."""
    state = shown(put(ORDERED, found(held(10, 4), slips={"S": 6})))
    short = found(held(10, 0, by="wanda"), slips={"S": 6})
    assert "line 1: 4 of 10 cancelled in Finance (last changed there by wanda)" in last_text(state, short)
    before, state = state, put(state, short)
    assert takes_less_credit(before.delivery, state.delivery)
    assert (state.stage, state.shipment_unrecorded) == (Stage.INVOICE, True)
    state = shown(state)
    assert (state.shown_shipped, state.exceptions) == (ShippedInSales.SHORT, ())
    state = shown(put(state, found(held(10, 0), slips={"S": 6}, documents=(invoice("I", 6, "627"),))))
    assert explain(state).waiting_for is WaitingFor.PAYMENT
    state = shown(put(state, found(held(10, 0), slips={"S": 6}, documents=(invoice("I", 6, "0"),))))
    assert (state.ending, state.order) == (Ending.CLOSED, OrderStatus.CLOSED_SHORT)
    assert (ledger(state), view(state).paid) == (quantities(10, 4, 6, 0, 6, 0), D("627.0"))


def test_a_remainder_cancelled_after_all_is_paid_closes_the_deal_and_sales_is_told() -> None:
    state = shown(put(ORDERED, found(held(10, 4), slips={"S": 6}, documents=(invoice("I", 6, "0"),))))
    assert state.running and explain(state).waiting_for is WaitingFor.SHIPMENT
    state = put(state, found(held(10, 0), slips={"S": 6}, documents=(invoice("I", 6, "0"),)))
    assert moves.in_delivery(state) is DeliveryMove.SHOW_ORDERED
    state = put(state, _showing(state, DeliveryMove.SHOW_ORDERED))
    assert moves.in_delivery(state) is DeliveryMove.SHOW_SHIPMENT
    assert shown(state).order is OrderStatus.CLOSED_SHORT


@pytest.mark.parametrize(("quantity", "smaller"), [(8, True), (12, False)])
def test_a_line_lowered_or_raised_in_finance_is_taken_over(quantity: int, smaller: bool) -> None:
    changed = found(held(quantity, quantity, by="clara"))
    told = f"line 1: {quantity} ordered in Finance, 10 in the quote (last changed there by clara)"
    assert told in last_text(ORDERED, changed)
    state = put(ORDERED, changed)
    assert told not in last_text(state, changed), "told once"
    assert (ledger(state), state.exceptions) == (quantities(quantity, 0, 0, 0, 0, 0), ())
    assert takes_less_credit(ORDERED.delivery, state.delivery) is smaller
    assert "as in the quote again" in last_text(state, found(held(10, 10)))
    documents = (invoice("I", quantity, "0"),)
    assert shown(put(state, found(held(quantity, 0), slips={"S": quantity}, documents=documents))).order == "closed"


def test_a_line_raised_after_everything_was_invoiced_is_shipped_and_invoiced_as_well() -> None:
    first = invoice("I", 10, "1045")
    state = shown(put(ORDERED, found(held(10, 0), slips={"S": 10}, documents=(first,))))
    assert state.stage is Stage.PAYMENT
    state = shown(put(state, found(held(12, 2), slips={"S": 10}, documents=(invoice("I", 10, "0"),))))
    assert (state.stage, state.ending, state.shown_shipped) == (Stage.FULFILMENT, "", ShippedInSales.PARTIAL)
    both = (invoice("I", 10, "0"), invoice("J", 2, "209"))
    state = put(state, found(held(12, 0), slips={"S": 10, "T": 2}, documents=both))
    assert [i.invoice_number for i in state.unrecorded_invoices] == ["J"]
    both = (invoice("I", 10, "0"), invoice("J", 2, "0"))
    assert shown(put(shown(state), found(held(12, 0), slips={"S": 10, "T": 2}, documents=both))).order == "closed"


def test_a_line_that_is_gone_or_of_another_item_or_unknown() -> None:
    gone = put(ORDERED, found())
    assert (ledger(gone), gone.exceptions) == (quantities(10, 10, 0, 0, 0, 0), ())
    other = put(ORDERED, found(held(10, 10, item="P999"), held(3, 3, line_no=7)))
    assert other.exceptions == (
        "LINE_CHANGED: line 1: item P999 in Finance, P in the quote",
        "UNKNOWN_LINE: 3 of P ordered in Finance on a line that is not in the quote",
    )


def test_what_is_posted_while_finance_is_read_is_never_taken_for_a_cancellation() -> None:
    """The lines were read before the packing slip was posted: what they say is left is old."""
    state = put(ORDERED, found(held(10, 10), slips={"S": 6}))
    assert ledger(state) == quantities(10, 0, 6, 0, 0, 0)


# Returned, credited, corrected


@pytest.mark.parametrize(("quantity", "net_paid"), [(10, "0"), (2, "836")])
def test_a_credit_note_settles_the_invoice_and_the_deal_closes_with_what_is_paid(quantity: int, net_paid: str) -> None:
    """A credit without a return: over all, or over 2 of 10."""
    left = D(1045) - GROSS * quantity
    state = shown(put(ORDERED, found(held(10, 0), slips={"S": 10}, documents=(invoice("I", 10, "1045"),))))
    noted = found(held(10, 0), slips={"S": 10}, documents=(invoice("I", 10, str(left)), credit_note("C", quantity)))
    assert "1 credit note of" in last_text(state, noted)
    before, state = state, shown(put(state, noted))
    assert takes_less_credit(before.delivery, state.delivery)
    if left:
        assert explain(state).waiting_for is WaitingFor.PAYMENT and view(state).open_amount == left
        state = shown(
            put(
                state,
                found(held(10, 0), slips={"S": 10}, documents=(invoice("I", 10, "0"), credit_note("C", quantity))),
            )
        )
    assert (state.order, ledger(state)) == (OrderStatus.CLOSED, quantities(10, 0, 10, 0, 10, quantity))
    told = view(state)
    assert (told.invoiced, told.credited, told.paid) == (D(1045), GROSS * quantity, D(net_paid))
    assert [(d.kind, d.status) for d in told.documents][-2:] == [("invoice", "paid"), ("credit note", "settled")]


def test_goods_that_come_back_are_waited_for_until_they_are_credited() -> None:
    """S34 while the deal runs: 2 of 10 come back, the credit note of 209.00 stands open as the customer's credit."""
    paid = (invoice("I", 10, "0"),)
    before = shown(put(ORDERED, found(held(10, 0), slips={"S": 10}, documents=(invoice("I", 10, "1045"),))))
    back = put(before, found(held(10, 0), slips={"S": 10, "R": -2}, documents=paid))
    assert "2 returned" in last_text(before, found(held(10, 0), slips={"S": 10, "R": -2}, documents=paid))
    back = shown(back)
    said = explain(back)
    assert back.running and (said.waiting_for, said.who) == (WaitingFor.INVOICE, ("accounts receivable",))
    assert said.text == "2 came back and not all of it is credited"
    state = shown(
        put(back, found(held(10, 0), slips={"S": 10, "R": -2}, documents=(*paid, credit_note("C", 2, "-209"))))
    )
    assert (explain(state).waiting_for, ledger(state)) == (WaitingFor.UNAPPLIED, quantities(10, 0, 10, 2, 10, 2))
    told = view(state)
    assert (told.open_amount, told.paid, told.unapplied) == (D(-209), D(836), D(209))
    state = put(state, facts.CreditKept(reason="for the next order", by=CARL))
    assert state.order is OrderStatus.CLOSED, "with the credit left to the customer"
    assert [(d.kind, d.status) for d in told.documents if d.number in "RC"] == [
        ("packing slip", "2 returned"),
        ("credit note", "open"),
    ]


def test_goods_that_come_back_before_they_are_invoiced_are_not_waited_for() -> None:
    state = shown(put(ORDERED, found(held(10, 0), slips={"S": 10, "R": -10})))
    assert state.order is OrderStatus.CLOSED


def test_a_corrected_slip_and_a_cancelled_invoice_correct_the_deal() -> None:
    state = shown(put(ORDERED, found(held(10, 0), slips={"S": 10}, documents=(invoice("I", 10, "1045"),))))
    taken = found(
        held(10, 0), slips={"S": 10}, documents=(invoice("I", 10, "0"), credit_note("C", 10, correction=True))
    )
    assert "an invoice was taken back by C" in last_text(state, taken)
    state = shown(put(state, taken))
    assert (state.stage, state.exceptions) == (Stage.INVOICE, ())
    documents = (invoice("I", 10, "0"), credit_note("C", 10, correction=True))
    corrected = found(held(10, 4), slips={"S": 6}, documents=documents)
    assert "packing slip S was corrected from 10 to 6" in last_text(state, corrected)
    state = shown(put(state, corrected))
    assert (state.stage, state.shown_shipped) == (Stage.FULFILMENT, ShippedInSales.PARTIAL)
    again = (*documents, invoice("J", 10, "0"))
    state = shown(put(state, found(held(10, 0), slips={"S": 6, "T": 4}, documents=again)))
    assert (state.order, ledger(state), state.exceptions) == (OrderStatus.CLOSED, quantities(10, 0, 10, 0, 10, 0), ())


def test_what_cannot_be_stays_an_exception() -> None:
    over = found(held(10, 0), slips={"S": 10}, done=Done(shipped=D(10), returned=D(11), invoiced=D(12), credited=D(13)))
    assert [text.partition(":")[0] for text in put(ORDERED, over).exceptions] == [
        "OVER_INVOICED",
        "OVER_RETURN",
        "OVER_CREDITED",
    ]


def test_what_is_told_of_many_changes_is_bounded() -> None:
    quoted = [OrderedLine(line_no=n, item="P", quantity=D(10)) for n in range(1, 2_001)]
    now = [held(8, 8, line_no=n) for n in range(1, 2_001)]
    ledger_ = ledger_of(quoted, now)
    totals = totals_of(ledger_, digest=digest_of(now), changes=changes_of(quoted, now, ledger_))
    assert len(totals.changes) == 51 and totals.changes[-1] == "1950 more lines"
    many = facts.BillingRead(billing=Billing(status="x", lines=totals, slips=(), invoices=()), covers=0, at=T0)
    text = last_text(ORDERED, many)
    assert text.count("ordered in Finance") == MOST_NEWS and text.endswith("more changes")
    assert len(details(put(ORDERED, many))) < 10_000


# Anything, in any order


@dataclass
class Books:
    """Finance as it might be: one order of ten, and what people post on it."""

    ordered: int = 10
    cancelled: int = 0
    order_cancelled: bool = False
    slips: dict[str, int] = field(default_factory=dict)
    documents: dict[str, Invoice] = field(default_factory=dict)
    numbered: int = 0

    def number(self, kind: str) -> str:
        self.numbered += 1
        return f"{kind}{self.numbered}"

    @property
    def shipped(self) -> int:
        return sum(q for q in self.slips.values() if q > 0)

    @property
    def returned(self) -> int:
        return -sum(q for q in self.slips.values() if q < 0)

    @property
    def invoiced(self) -> int:
        return int(sum(i.net / PRICE for i in self.documents.values() if not i.is_credit or i.correction))

    @property
    def credited(self) -> int:
        return int(-sum(i.net / PRICE for i in self.documents.values() if i.is_credit and not i.correction))

    @property
    def left(self) -> int:
        return self.ordered - self.cancelled - self.shipped

    def read(self) -> facts.BillingRead:
        documents = tuple(self.documents.values())
        line = held(self.ordered, self.left)
        return found(line, slips=self.slips, documents=documents, cancelled=self.order_cancelled)


class FinanceMachine(RuleBasedStateMachine):
    """People ship, invoice, credit, take back, change and cancel in Finance; the deal reads now and then.

    It reads late, twice and out of order: what it knows is always one moment of Finance's, and it never ends before
    Finance and Sales agree that nothing is left (I1 to I3, I12, I13, I16; lifecycle 2.9).
    """

    def __init__(self) -> None:
        super().__init__()
        self.state = ORDERED
        self.books = Books()
        self.readings: list[facts.BillingRead] = []

    @initialize()
    def begin(self) -> None:
        self.state = put(ORDERED, self.books.read())

    # What people do in Finance; it refuses what cannot be

    @precondition(lambda self: self.books.left > 0)
    @rule(data=st.data())
    def ship(self, data: st.DataObject) -> None:
        self.books.slips[self.books.number("S")] = data.draw(st.integers(1, self.books.left))

    @precondition(lambda self: self.books.invoiced < self.books.shipped)
    @rule(data=st.data(), paid=st.booleans())
    def invoice(self, data: st.DataObject, paid: bool) -> None:
        quantity = data.draw(st.integers(1, self.books.shipped - self.books.invoiced))
        number = self.books.number("I")
        self.books.documents[number] = invoice(number, quantity, "0" if paid else str(GROSS * quantity))

    @rule()
    def pay(self) -> None:
        for number, document in self.books.documents.items():
            if not document.is_credit:
                self.books.documents[number] = document.model_copy(update={"open_amount": D(0)})

    @precondition(lambda self: self.books.credited < self.books.invoiced)
    @rule(data=st.data())
    def credit(self, data: st.DataObject) -> None:
        quantity = data.draw(st.integers(1, self.books.invoiced - self.books.credited))
        number = self.books.number("C")
        self.books.documents[number] = credit_note(number, quantity)

    @precondition(lambda self: self.books.returned < self.books.shipped)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        quantity = data.draw(st.integers(1, self.books.shipped - self.books.returned))
        self.books.slips[self.books.number("R")] = -quantity

    @precondition(lambda self: self.books.left > 0)
    @rule(data=st.data())
    def cancel_some(self, data: st.DataObject) -> None:
        self.books.cancelled += data.draw(st.integers(1, self.books.left))
        self.books.order_cancelled = self.books.cancelled == self.books.ordered

    @precondition(lambda self: not self.books.order_cancelled)
    @rule(data=st.data())
    def change(self, data: st.DataObject) -> None:
        least = max(1, self.books.shipped + self.books.cancelled)
        self.books.ordered = data.draw(st.integers(least, max(least, 20)))
        self.books.order_cancelled = self.books.cancelled == self.books.ordered

    @precondition(lambda self: not self.books.credited and not self.books.returned and self.books.invoiced)
    @rule()
    def cancel_invoices(self) -> None:
        for document in [i for i in self.books.documents.values() if not i.is_credit]:
            if any(i.correction and i.total == -document.total for i in self.books.documents.values()):
                continue
            number = self.books.number("X")
            quantity = int(document.net / PRICE)
            if quantity <= self.books.invoiced:
                self.books.documents[number] = credit_note(number, quantity, correction=True)
                self.books.documents[document.invoice_number] = document.model_copy(update={"open_amount": D(0)})
            return

    # What the deal does

    @rule()
    def read(self) -> None:
        reading = self.books.read()
        self.readings.append(reading)
        self.tell(reading)

    @precondition(lambda self: self.readings)
    @rule(data=st.data())
    def read_again_and_late(self, data: st.DataObject) -> None:
        """An older reading, then the present one: as if only the present one had been told (I13)."""
        self.tell(data.draw(st.sampled_from(self.readings)))
        self.tell(self.books.read())
        if self.state.running:
            assert self.state.delivery == put(ORDERED, self.books.read()).delivery

    @rule()
    def show(self) -> None:
        if self.state.running:
            self.state = shown(self.state)

    def tell(self, fact: Fact) -> None:
        before = self.state
        done = apply(before, Event(at=T0, actor=SYSTEM, fact=fact))
        assert done.audit.text
        if done.accepted:
            assert done.state.version == before.version + 1  # I12
        else:
            assert done.state == before and not before.running  # I16
        self.state = done.state

    # What always holds

    @invariant()
    def what_the_deal_knows_can_be(self) -> None:
        lines = self.state.delivery.lines
        for line in lines.shown:
            assert 0 <= line.shipped <= line.ordered - line.cancelled  # I1
            assert 0 <= line.invoiced <= line.shipped  # I2
            assert 0 <= line.returned <= line.shipped and 0 <= line.credited <= line.invoiced  # I3
            assert 0 <= line.cancelled <= line.ordered
        assert self.state.exceptions == ()
        assert self.state.credit is CreditStatus.PASSED

    @invariant()
    def it_ends_only_when_nothing_is_left(self) -> None:
        state, lines = self.state, self.state.delivery.lines
        if state.ending is Ending.CANCELLED:
            assert state.order is OrderStatus.CANCELLED and not lines.shipped and not lines.invoiced
        elif state.ending is Ending.CLOSED:
            assert lines.ordered == lines.cancelled + lines.shipped
            assert lines.shipped - lines.returned <= lines.invoiced - lines.credited + max(
                lines.credited - lines.returned, D(0)
            )
            assert all(i.open_amount <= 0 for i in state.delivery.invoices.values())
            assert set(state.delivery.invoices) <= set(state.shown_invoices)

    @invariant()
    def whoever_waits_says_for_what(self) -> None:
        if self.state.running and moves.in_delivery(self.state) is DeliveryMove.WAIT:
            assert explain(self.state).waiting_for is not WaitingFor.NOTHING


FinanceMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestFinanceMachine = FinanceMachine.TestCase


def test_documents_of_independent_lines_come_to_the_same_in_any_order() -> None:
    """I13: rows may come in any order and twice; the ledger is the same."""
    rows = [held(10, 4), held(5, 0, line_no=2), held(7, 7, line_no=3)]
    done = {1: Done(shipped=D(6), invoiced=D(6)), 2: Done(shipped=D(5), returned=D(1), invoiced=D(5), credited=D(1))}
    quoted = [OrderedLine(line_no=n, item="P", quantity=q.quantity) for n, q in enumerate(rows, start=1)]
    first = ledger_of(quoted, rows, done)
    assert {ledger_of(quoted, order, dict(reversed(done.items()))) for order in permutations(rows)} == {first}


def test_a_deal_of_before_goes_on() -> None:
    """A state kept by an older version says nothing of what Sales shows: it is shown once more, and the deal ends."""
    state = put(ORDERED, found(held(10, 0), slips={"S": 10}, documents=(invoice("I", 10, "0"),)))
    kept = replace(shown(put(state)), ending=Ending.RUNNING, shown_paid=False, shown_shipped=ShippedInSales.NOTHING)
    assert shown(kept).ending is Ending.CLOSED
