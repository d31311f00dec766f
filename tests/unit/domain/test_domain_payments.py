"""What a customer paid beyond its invoices: named, decided about by people, paid back by two of them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import facts
from domain.audit import facts_of
from domain.deal import apply
from domain.deal_state import DealState
from domain.explain import explain, view
from domain.facts import Event, Fact
from domain.moves import DeliveryMove, in_delivery
from domain.payments import MOST_REFUNDS, Payment, RefundStatus
from domain.people import Person
from domain.rules.refunds import CREDIT_LEFT_AFTER
from domain.views import Ending, WaitingFor
from tests.deals import MONA, RITA, SYSTEM, T0, TO_ORDER, billed, credit_note, invoice, new_deal, put

D = Decimal
CLEO = Person(oid="cleo", name="cleo")
AMY = Person(oid="amy", name="amy")


def payment(number: str, amount: str, applied: str, unapplied: str = "0", refunded: str = "0", **more: Any) -> Payment:
    return Payment(
        record=int(number[1:]),
        number=number,
        amount=D(amount),
        applied=D(applied),
        unapplied=D(unapplied),
        refunded=D(refunded),
        **more,
    )


def read(*payments: Payment, open_amount: str = "0", at: Any = T0, covers: int = 0, **more: Any) -> facts.BillingRead:
    """That an order of ten, shipped and invoiced for 1,045.00, was read with these payments."""
    billing = billed({"S": 10}, invoice("I", 10, open_amount)).model_copy(update={"payments": payments, **more})
    return facts.BillingRead(billing=billing, covers=covers, at=at)


def shown(state: DealState) -> DealState:
    """The deal after Sales was shown all of it."""
    opens = {i.invoice_number: i.open_amount for i in state.delivery.invoices.values()}
    for fact in (
        facts.ShipmentRecorded(slips=state.unrecorded_slips),
        facts.InvoicesRecorded(open_amounts=opens),
        facts.PaymentsRecorded(open_amounts=opens),
    ):
        state = put(state, fact)
    return state


OVERPAID = (payment("P1", "400", "400"), payment("P2", "700", "645", "55"))
OVER = shown(put(new_deal(), *TO_ORDER, read(*OVERPAID)))
"""S31: 400.00 and 700.00 for an invoice of 1,045.00."""


def proposed(amount: str = "55", of: str = "P2", by: Person = CLEO) -> facts.RefundProposed:
    return facts.RefundProposed(of=of, amount=D(amount), currency="USD", reason="paid twice", by=by)


def approved(by: Person = AMY, n: int = 1) -> facts.RefundApproved:
    return facts.RefundApproved(n=n, reason="", by=by, amount=D(55), currency="USD")


def code(state: DealState, fact: Fact) -> str:
    return apply(state, Event(at=T0, actor=SYSTEM, fact=fact)).code


def money(state: DealState) -> tuple[Decimal, ...]:
    told = view(state)
    return told.paid, told.unapplied, told.refunded, told.received


def test_s31_what_was_paid_too_much_is_named_and_owned_until_two_persons_have_it_paid_back() -> None:
    assert OVER.running and money(OVER) == (D(1045), D(55), D(0), D(1100))
    assert OVER.exceptions == ("UNAPPLIED_CREDIT: 55.00 USD settle nothing (payment P2: 55.00 USD)",)
    said = explain(OVER)
    assert (said.waiting_for, said.who) == (WaitingFor.UNAPPLIED, ("ar_manager",))
    assert in_delivery(OVER) is DeliveryMove.WAIT
    state = put(OVER, proposed())
    assert "cleo proposed refund 1 of 55.00 USD" in explain(state).unblock
    assert in_delivery(state) is DeliveryMove.WAIT, "one person alone moves nothing"
    state = put(state, approved())
    assert in_delivery(state) is DeliveryMove.PREPARE_REFUND
    state = put(state, facts.RefundPrepared(n=1, journal="000012"))
    assert (in_delivery(state), state.running) == (DeliveryMove.WAIT, True)
    assert "payment journal 000012" in explain(state).unblock
    state = put(state, read(OVERPAID[0], payment("P2", "700", "645", "0", "55")))
    assert (state.ending, state.exceptions, state.refunds[0].status) == (Ending.CLOSED, (), RefundStatus.PAID)
    assert money(state) == (D(1045), D(0), D(55), D(1100))
    assert [(d.number, d.status) for d in view(state).documents[-2:]] == [("P1", "settled"), ("P2", "refunded")]


@pytest.mark.parametrize(
    ("before", "fact", "refusal"),
    [
        ((), proposed("55.01"), "REFUND_ABOVE_CREDIT"),
        ((proposed("50"),), proposed("6"), "REFUND_ABOVE_CREDIT"),
        ((), proposed("1.001"), "BAD_AMOUNT"),
        ((), proposed(of="P1"), "NOTHING_TO_REFUND"),
        ((), proposed(of="X"), "NOTHING_TO_REFUND"),
        ((), proposed(by=RITA), "REP_CANNOT_REFUND"),
        ((proposed(),), approved(CLEO), "NEEDS_SECOND_PERSON"),
        ((proposed(),), approved(RITA), "REP_CANNOT_REFUND"),
        ((proposed(),), approved(n=2), "NOTHING_TO_REFUND"),
        ((proposed(), approved()), approved(MONA), "ALREADY_DECIDED"),
        ((proposed(), approved()), facts.CreditKept(reason="r", by=AMY), "ILLEGAL_TRANSITION"),
        ((), facts.CreditKept(reason="r", by=RITA), "REP_CANNOT_REFUND"),
        ((proposed(),), facts.RefundPrepared(n=1), "ILLEGAL_TRANSITION"),
    ],
)
def test_what_may_not_be_said_of_a_credit(before: tuple[Fact, ...], fact: Fact, refusal: str) -> None:
    assert code(put(OVER, *before), fact) == refusal


def test_a_credit_that_is_kept_closes_the_deal_with_the_credit_named() -> None:
    state = put(OVER, proposed(), facts.CreditKept(reason="for the next order", by=AMY))
    assert (state.ending, state.refunds[0].status) == (Ending.CLOSED, RefundStatus.WITHDRAWN)
    assert state.exceptions[0].startswith("UNAPPLIED_CREDIT: 55.00 USD")
    assert money(state) == (D(1045), D(55), D(0), D(1100))


def test_a_credit_nobody_decides_about_is_left_after_a_month_and_named() -> None:
    early = put(OVER, read(*OVERPAID, at=T0 + CREDIT_LEFT_AFTER - timedelta(days=1)))
    assert early.running
    on_its_way = put(OVER, proposed(), approved(), read(*OVERPAID, at=T0 + CREDIT_LEFT_AFTER))
    assert on_its_way.running
    state = put(early, read(*OVERPAID, at=T0 + CREDIT_LEFT_AFTER))
    assert (state.ending, len(state.exceptions)) == (Ending.CLOSED, 1)


def test_a_refund_whose_credit_was_applied_otherwise_is_named_and_not_to_be_posted() -> None:
    state = put(OVER, proposed(), approved(), facts.RefundPrepared(n=1, journal="000012"))
    state = put(state, read(OVERPAID[0], payment("P2", "700", "645")))
    assert state.ending is Ending.CLOSED
    assert state.exceptions == (
        "REFUND_ABOVE_CREDIT: refund 1 of 55.00 USD in payment journal 000012: its credit is not there any more",
    )
    refused = put(OVER, proposed(), approved(), facts.RefundPrepared(n=1, refused="0.00 USD are left"))
    assert (refused.refunds[0].status, in_delivery(refused)) == (RefundStatus.REFUSED, DeliveryMove.WAIT)
    assert code(refused, proposed()) == "", "it may be proposed again"


def test_a_credit_note_is_paid_back_like_a_payment() -> None:
    """S34: two of ten are credited after all was paid, 209.00."""
    note = credit_note("C", 2, "-209")
    paid = read(payment("P1", "1045", "1045"))
    billing = paid.billing.model_copy(update={"invoices": (*paid.billing.invoices, note)})
    state = shown(put(new_deal(), *TO_ORDER, paid.model_copy(update={"billing": billing})))
    assert money(state) == (D(836), D(209), D(0), D(1045))
    state = put(state, proposed("209", of="C"), approved(), facts.RefundPrepared(n=1))
    assert state.refunds[0].note == "enter it in a payment journal in Finance"
    back = note.model_copy(update={"open_amount": D(0), "refunded": D(209)})
    billing = billing.model_copy(update={"invoices": (*paid.billing.invoices, back)})
    state = shown(put(state, paid.model_copy(update={"billing": billing})))
    assert (state.ending, state.exceptions, money(state)) == (Ending.CLOSED, (), (D(836), D(0), D(209), D(1045)))


def test_s32_discount_and_tolerance_are_told_apart_from_what_was_paid() -> None:
    state = shown(put(new_deal(), *TO_ORDER, read(payment("P1", "1024.10", "1024.10"), discount=D("20.90"))))
    assert (state.ending, view(state).paid, view(state).discount_taken) == (Ending.CLOSED, D("1024.10"), D("20.90"))
    late = put(new_deal(), *TO_ORDER, read(payment("P1", "1024.10", "1024.10"), open_amount="20.90"))
    assert (late.running, view(late).paid, view(late).open_amount) == (True, D("1024.10"), D("20.90"))
    penny = shown(put(new_deal(), *TO_ORDER, read(payment("P1", "1044.98", "1044.98"), difference=D("0.02"))))
    assert (penny.ending, view(penny).paid, view(penny).difference) == (Ending.CLOSED, D("1044.98"), D("0.02"))


def test_an_unapplied_payment_is_no_exception_while_an_invoice_is_open() -> None:
    state = put(new_deal(), *TO_ORDER, read(payment("P1", "300", "0", "300"), open_amount="1045"))
    assert (state.exceptions, view(state).unapplied) == ((), D(300))
    assert explain(shown(state)).waiting_for is WaitingFor.PAYMENT


def test_a_deal_takes_so_many_refunds_and_the_audit_holds_what_each_is_about() -> None:
    state = OVER
    for _ in range(MOST_REFUNDS):
        state = put(state, proposed("0.01"))
    assert len(state.refunds) == MOST_REFUNDS
    assert code(state, proposed("0.01")) == "TOO_MANY_REQUESTS"
    assert facts_of(proposed()) == {"of": "P2", "role": "", "amount": "55.00", "currency": "USD"}
    assert facts_of(approved())["refund"] == "1"


def test_a_bounced_payment_was_not_received() -> None:
    bounced = payment("P1", "1045", "0", reversed=True)
    state = put(new_deal(), *TO_ORDER, read(bounced, open_amount="1045"))
    assert money(state) == (D(0), D(0), D(0), D(0))
    assert view(state).documents[-1].status == "reversed"


@given(
    total=st.integers(1, 10_000),
    parts=st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 3_000), st.integers(0, 3_000)), max_size=6),
)
def test_i5_paid_unapplied_and_refunded_come_to_what_was_received(
    total: int, parts: list[tuple[int, int, int]]
) -> None:
    """Cents, with what is applied never more than is invoiced; what settled others' documents is not received here."""
    left, payments = 104_500, []
    for number, (wanted, unapplied, refunded) in enumerate(parts, start=1):
        applied = min(wanted, left)
        left -= applied
        whole = applied + unapplied + refunded + total
        cents = [D(n).scaleb(-2) for n in (whole, applied, unapplied, refunded)]
        payments.append(
            Payment(
                record=number,
                number=f"P{number}",
                amount=cents[0],
                applied=cents[1],
                unapplied=cents[2],
                refunded=cents[3],
            )
        )
    state = put(new_deal(), *TO_ORDER, read(*payments, open_amount=str(D(left).scaleb(-2))))
    paid, unapplied_, refunded_, received = money(state)
    assert paid + unapplied_ + refunded_ == received
