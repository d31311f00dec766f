"""An order made larger, as rules: what it comes to, who has to approve it, and that nothing moves before (S36)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain import drift, facts, moves, order_change_facts
from domain.approvals import ApprovalStatus
from domain.changing import ChangeStep
from domain.credit import CreditBook, CreditEntry, EntryStatus
from domain.credit_ledger import News
from domain.credit_parts import part_of, run_of, without
from domain.deal import Transition, apply
from domain.deal_state import DealState
from domain.explain import explain, view
from domain.facts import Event
from domain.fulfilment import OrderedLine
from domain.growing import (
    Judged,
    Judging,
    LargerOrder,
    RaisedLine,
    beside_quote,
    check_units,
    judge,
    resized,
    sizes_of,
    too_late,
)
from domain.line_change import LineChange
from domain.lines import LineLedger, LineViolation
from domain.money import round_money
from domain.moves import DeliveryMove
from domain.quote import QuoteSnapshot
from domain.reapproval import PastRequest, with_coverage
from domain.tax import ordered_nets
from domain.views import Ending, WaitingFor
from tests.deals import (
    CARL,
    RITA,
    STEP,
    T0,
    TO_ORDER,
    approval,
    decision,
    larger_order,
    new_deal,
    put,
    read,
    totals,
)
from tests.unit.domain.makers import POLICY, PRICES, line, person, priced, quote, working_time
from tests.unit.domain.test_domain_reapproval import EVERYBODY

D = Decimal
AT_5 = quote(line(quantity=10, off=50))
FOURTEEN = (LineChange(line_no=1, quantity=D(14)),)
RAISED = (RaisedLine(line_no=1, quantity=D(14), discount_per_unit=D(5)),)


def judged(snapshot: QuoteSnapshot, sizes: dict[int, Decimal], *, cost: str = "60", by: str = "rita") -> Judged:
    """A larger order at the prices the quote was approved at, and today's cost."""
    then = priced(snapshot)
    question = Judging(
        pinned=drift.pin(then, {each.item or "": PRICES[each.item or ""] for each in snapshot.lines}),
        prices=PRICES | {"P100": PRICES["P100"].model_copy(update={"list_price": D(200), "cost": D(cost)})},
        payment_days=30,
        customer_account="US-001",
        today=T0.date(),
        asked_by=person(by),
    )
    return judge(snapshot, resized(snapshot, sizes), question, POLICY, calendar=working_time("usmf"))


def test_s36_fourteen_at_five_per_cent_come_to_1463_and_need_nobody() -> None:
    larger = resized(AT_5, {1: D(14)})
    assert (larger.net, larger.total, larger.total - AT_5.total) == (D("1330.00"), D("1463.00"), D("418.00"))
    found = judged(AT_5, {1: D(14)})
    assert (found.priced.disc_pct, found.plan.steps) == (D(5), ())
    assert "P100: quantity 10 → 14" in [change.text for change in found.changes]
    assert larger.content_hash() != AT_5.content_hash() == resized(AT_5, {1: D(10)}).content_hash()
    assert beside_quote(AT_5, {1: D(14)}) == FOURTEEN


def test_header_discount_freight_and_division_grow_with_the_line() -> None:
    snapshot = quote(line(quantity=3, off=10), line(2, "P250", 2), header_discount_pct=10, freight=30)
    larger = resized(snapshot, {1: D(6)})
    before, after = ({each.line_no: net for each, net in ordered_nets(found)} for found in (snapshot, larger))
    assert after[1] == 2 * before[1] and after[2] == before[2]
    assert sum(after.values()) == larger.net
    assert resized(snapshot, {1: D(0)}).lines == snapshot.lines[1:]


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 900), st.integers(1, 80)), min_size=1, max_size=5))
@example([(24, 405, 5)])
def test_any_order_comes_to_its_lines_and_each_line_keeps_its_net_price(found: list[tuple[int, int, int]]) -> None:
    lines = tuple(
        line(n, quantity=quantity, off=min(off, quantity * 90)) for n, (quantity, off, _) in enumerate(found, 1)
    )
    snapshot = quote(*lines)
    larger = resized(snapshot, {n: D(wanted) for n, (_, _, wanted) in enumerate(found, 1)})
    assert sum((net for _, net in ordered_nets(larger)), D(0)) == larger.net
    for before, now in zip(snapshot.lines, larger.lines, strict=True):
        assert now.net == round_money(before.net * now.quantity / before.quantity, "USD")
    assert resized(snapshot, {each.line_no: each.quantity for each in lines}).content_hash() == snapshot.content_hash()


def test_what_a_larger_order_reaches_is_asked_and_who_wants_it_does_not_decide() -> None:
    at_8 = quote(line(quantity=10, off=80))
    assert judged(at_8, {1: D(14)}).plan.steps == (), "a list price that rose is no discount"
    dearer = judged(at_8, {1: D(14)}, cost="72", by="mona")
    assert [step.level for step in dearer.plan.steps] == [1, 2]
    assert dearer.makers == (person("mona").named,)
    assert not any(person("mona").is_same(who) for step in dearer.plan.steps for who in step.candidates)
    big = judged(quote(line(quantity=10, off=50)), {1: D(2_700)})
    assert max(step.level for step in big.plan.steps) == 3


def test_an_approval_covers_up_to_the_size_it_was_given_for() -> None:
    snapshot = quote(line(quantity=10, off=120))
    past = (PastRequest(n=1, revision=0, terms=judged(snapshot, {1: D(14)}).terms, given=EVERYBODY),)

    def asked(quantity: int) -> int:
        now = judged(snapshot, {1: D(quantity)})
        return len(with_coverage(now.plan, now.terms, past, total=D(1_500), now=T0).asked)

    assert [asked(quantity) for quantity in (11, 14, 15)] == [0, 0, 1]


def test_quantities_are_compared_with_what_is_kept_and_must_fit_their_unit() -> None:
    ledger = [
        LineLedger(line_no=1, ordered=D(10), cancelled=D(2)),
        LineLedger(line_no=2, ordered=D(10), shipped=D(11)),
    ]
    wanted = [LineChange(line_no=n, quantity=D(q)) for n, q in ((1, "9"), (2, "11"), (7, "1"))]
    sizes = sizes_of(ledger, wanted)
    assert (sizes.standing, sizes.larger) == ({1: D(8), 2: D(11)}, frozenset({1}))
    with pytest.raises(LineViolation, match="more decimals"):
        check_units(AT_5, sizes_of(ledger, [LineChange(line_no=1, quantity=D("9.5"))]))
    assert too_late(None, T0) == too_late(T0, T0) == ""
    assert "quote of its own" in too_late(T0, T0 + timedelta(seconds=1))


# --- the deal ----------------------------------------------------------------------------------------------------


def ask(state: DealState, *, days: int = 0) -> Transition:
    at = T0 + timedelta(days=days)
    fact = order_change_facts.OrderChangeAsked(lines=FOURTEEN, reason="more", by=RITA, at=at)
    return apply(state, Event(at=at, actor=RITA, fact=fact))


def seen(state: DealState, larger: LargerOrder | None = None, **more: object) -> DealState:
    assert state.changing is not None
    values = {"number": state.changing.number, "larger": larger, "raised": RAISED} | more
    return put(state, order_change_facts.LargerOrderSeen.model_validate(values))


def may_write(state: DealState) -> DealState:
    return seen(state, larger_order(), decision=decision(True), credit="d + 1")


def in_finance(state: DealState, quantity: int) -> facts.BillingRead:
    found = [OrderedLine(line_no=1, item="P", quantity=D(quantity), remaining=D(quantity))]
    billing = read().billing.model_copy(update={"lines": totals(10, found=found)})
    return facts.BillingRead(billing=billing, covers=state.billing_told, at=T0)


def made(raised: int = 4) -> order_change_facts.OrderChangeMade:
    return order_change_facts.OrderChangeMade(
        lines=FOURTEEN, order_number="Q2C-1", cancelled=D(0), raised=D(raised), confirmation_number="C-2"
    )


ORDERED = put(new_deal(), *TO_ORDER)


def step(state: DealState) -> ChangeStep | None:
    return state.changing.step if state.changing else None


def test_s36_more_is_looked_at_written_and_believed_when_finance_shows_it() -> None:
    state = ask(ORDERED).state
    assert (step(state), moves.in_delivery(state)) == (ChangeStep.LOOK, DeliveryMove.CHANGE_ORDER)
    state = may_write(state)
    assert (step(state), state.changing and state.changing.credit) == (ChangeStep.WRITE, "d + 1")
    shown = view(state).order_change
    assert shown and (shown.total, shown.more) == (D(1463), D(418))
    state = put(state, made())
    assert (state.confirmation_number, moves.in_delivery(state)) == ("C-2", DeliveryMove.READ_BILLING)
    early = put(state, in_finance(state, 10))
    assert early.changing is not None and "not show line 1 as raised" in early.changing.failure
    done = put(state, in_finance(state, 14))
    assert (done.changing, done.exceptions, done.delivery.lines.ordered) == (None, (), D(14))


def test_a_larger_order_that_needs_approval_waits_and_is_looked_at_again_with_it() -> None:
    state = seen(ask(ORDERED).state, larger_order(STEP))
    assert (step(state), moves.in_delivery(state)) == (ChangeStep.ASK, DeliveryMove.CHANGE_ORDER)
    assert state.changing is not None and state.changing.raised == ()
    plan = larger_order(STEP).plan
    number = state.changing.number
    state = put(state, order_change_facts.LargerOrderAsked(number=number, n=1, plan=plan, at=T0))
    assert (step(state), moves.in_delivery(state)) == (ChangeStep.APPROVAL, DeliveryMove.WAIT)
    assert (explain(state).waiting_for, state.past_requests[0].terms.net) == (WaitingFor.APPROVAL, D(1330))
    approved = put(state, facts.ApprovalEnded(n=1, result=approval(ApprovalStatus.COMPLETED, "h14")))
    assert (step(approved), approved.open_request) == (ChangeStep.LOOK, None)
    for status in (ApprovalStatus.REJECTED, ApprovalStatus.EXPIRED):
        ended = put(state, facts.ApprovalEnded(n=1, result=approval(status, "h14")))
        assert (ended.changing, ended.running) == (None, True)
        assert ended.exceptions[0].startswith("CHANGE_REFUSED: LARGER_NOT_APPROVED: approval ")
        assert ended.quote == state.quote and ended.approved_hash == state.approved_hash
    back = put(state, facts.Withdrawn(revision=0, reason="not needed"))
    assert (back.changing, back.exceptions, moves.in_delivery(back)) == (None, (), DeliveryMove.END_REQUEST)
    whole = put(state, order_change_facts.OrderChangeAsked(reason="", by=CARL, at=T0))
    assert (whole.cancelling, moves.in_delivery(whole)) == (True, DeliveryMove.END_REQUEST)
    lost = put(state, facts.ApprovalLost(n=1, at=T0, reason="terminated"))
    assert step(lost) is ChangeStep.ASK
    gone = put(state, facts.RunCancelled())
    late = put(gone, facts.ApprovalEnded(n=1, result=approval(ApprovalStatus.REJECTED, "h14")))
    assert late.exceptions == gone.exceptions and late.ending is Ending.CANCELLED


def test_no_credit_no_price_and_a_refusal_of_finance_end_it_with_the_reason() -> None:
    state = ask(ORDERED).state
    refused = seen(state, refused="LARGER_NO_CREDIT: over by 418.00 (limit 1,000.00)")
    assert (refused.changing, refused.delivery) == (None, state.delivery)
    assert refused.exceptions == ("CHANGE_REFUSED: LARGER_NO_CREDIT: over by 418.00 (limit 1,000.00)",)
    again = ask(refused)
    assert (again.code, again.state.exceptions) == ("", ()), "the reason goes when it is asked anew"
    assert ask(ORDERED, days=8).code == "LARGER_ORDER"
    failed = order_change_facts.OrderChangeFailed(lines=FOURTEEN, cause="Refused", message="stopped", at=T0)
    over = put(may_write(state), failed)
    assert (over.changing, over.billing_unread) == (None, True)
    away = put(state, failed.model_copy(update={"cause": "Transient"}))
    assert away.changing is not None and away.changing.retry_at is not None
    assert put(seen(state), made(0)).changing is not None, "nothing became larger: written as less is"


def test_a_result_of_a_change_that_is_over_counts_for_nothing() -> None:
    state = ask(ORDERED).state
    assert state.changing is not None
    late = order_change_facts.LargerOrderSeen(number=state.changing.number + 1, larger=larger_order())
    for fact in (late, order_change_facts.LargerOrderNotAsked(number=state.changing.number, reason="")):
        assert apply(state, Event(at=T0, actor=CARL, fact=fact)).code == "STALE"


def test_an_entry_of_a_change_goes_with_its_deal_and_never_waits() -> None:
    entry = part_of("q2c/usmf/Q + 1", 7)
    assert run_of(entry) == run_of("q2c/usmf/Q + 1") == "q2c/usmf/Q + 1"
    book = CreditBook(
        entries=tuple(
            CreditEntry(deal_id=name, order_number=name, amount=D(1), status=EntryStatus.RESERVED)
            for name in (entry, "q2c/usmf/Q + 1", "other")
        )
    )
    left, _ = News(ended={"q2c/usmf/Q + 1"}).into(book)
    assert [each.deal_id for each in left.entries] == ["other"]
    left, _ = News(ended={entry}).into(book)
    assert len(left.entries) == 2 and without(book, entry) == left
