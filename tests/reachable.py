"""Every state a deal can reach, by breadth-first search over all that can happen to it.

What happens comes from outside (the two systems, people, time, Temporal) or is the result of what the deal itself does
next. States that differ only in what no decision looks at (versions, texts, moments) count as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from functools import cache
from itertools import chain

from domain import credit_recheck_facts, customer_setup_facts, facts, moves, order_change_facts
from domain.approvals import ApprovalPlan, ApprovalState, ApprovalStatus
from domain.assessment import DealPolicy, Problem, QuoteAssessment, QuoteInSales
from domain.changing import ChangeStep, OrderChange
from domain.credit import ReleaseToken
from domain.credit_following import held, hold_to_show, hold_unshown, recheck_due
from domain.credit_rule import RELEASED
from domain.deal import apply
from domain.deal_state import DealState, OrderStatus
from domain.facts import Event, Fact
from domain.frozen import replace
from domain.growing import RaisedLine
from domain.line_change import LineChange
from domain.marks import mark_due, wanted_mark
from domain.moves import ClosingMove, CreditMove, DeliveryMove, QuoteMove
from domain.order_stop import OrderStop
from domain.payments import Payment
from domain.price_look import AskedAnew, PinnedPrices, PriceLook, Verdict
from domain.views import ParkedStep, Resolution
from tests.deals import (
    CARL,
    CREATED,
    MONA,
    STEP,
    SYSTEM,
    T0,
    TO_ORDER,
    approval,
    asked_terms,
    assessment,
    decision,
    invoice,
    larger_order,
    new_deal,
    put,
    read,
    readiness,
)
from tests.workflows.scripted_customers import TWIN, assessed, unknown

LATE = T0 + timedelta(days=8)
"""After the quote's validity."""
QUOTE_IDS = ("q", "q1")
"""The quote's row in Sales, by revision: more revisions add nothing new."""

_PARKED = ParkedStep(step="s", activity="a", cause="Refused", message="m", suggestion="", since=T0, failures=0)
_RELEASE = ReleaseToken(deal_id="d", ceiling=Decimal(1045), valid_until=LATE, reasons=("OVER_LIMIT",), released_by=CARL)


_OVER = Payment(record=1, number="P1", amount=Decimal(1100), applied=Decimal(1045), unapplied=Decimal(55))
_SMALLER = (LineChange(line_no=1, quantity=Decimal(8)),)
_LARGER = (LineChange(line_no=1, quantity=Decimal(14)),)
_ALWAYS: tuple[Fact, ...] = (
    *(facts.Submitted(revision=revision, quote_id=quote_id) for revision, quote_id in enumerate(QUOTE_IDS)),
    *(facts.Activated(revision=revision) for revision in range(len(QUOTE_IDS))),
    *(facts.Accepted(revision=revision, at=at) for revision in range(len(QUOTE_IDS)) for at in (T0, LATE)),
    *(facts.Revised(revision=revision) for revision in range(len(QUOTE_IDS))),
    *(facts.Withdrawn(revision=1, reason="", in_sales=in_sales) for in_sales in (True, False)),
    facts.QuoteLost(reason=""),
    facts.QuoteCancelled(reason="", in_sales=True),
    facts.QuoteCancelled(reason=""),
    facts.ExpiryDue(),
    facts.AssessmentDue(reason=""),
    facts.RunCancelled(),
    facts.CreditRecheckDue(reason=""),
    facts.CreditReleased(release=_RELEASE),
    facts.CreditRejected(reason=""),
    facts.BillingChanged(text=""),
    facts.SalesOrderCancelled(),
    facts.OtherSalesOrders(numbers=("ORD-2",)),
    facts.OpportunityReopened(),
    order_change_facts.OrderChangeAsked(reason="", by=CARL, at=T0),
    order_change_facts.OrderChangeAsked(lines=_SMALLER, reason="", by=CARL, at=T0),
    order_change_facts.OrderChangeDue(reason=""),
)
_OF_CREDIT: tuple[Fact, ...] = (
    facts.CreditRecheckDue(reason=""),
    facts.CreditReleased(release=_RELEASE),
    facts.CreditRejected(reason=""),
    facts.BillingChanged(text="", order=True),
    facts.RunCancelled(),
    order_change_facts.OrderChangeAsked(reason="", by=CARL, at=T0),
    order_change_facts.OrderChangeDue(reason=""),
)
"""What can happen to a confirmed order whose credit is looked at again; all else adds nothing to that."""
_PARKS = facts.StepParked(parked=_PARKED)
_ABORTS = facts.StepResumed(action=Resolution.ABORT, reason="")


def told(state: DealState) -> Iterator[Fact]:
    """All that can happen to a deal from outside."""
    if state.policy.rechecks_credit:
        yield from _OF_CREDIT
        return
    yield from _ALWAYS
    if not (state.delivery.any_shipped or state.billing_unread or state.held_by_finance or state.release_due):
        # what else became of the order adds nothing to what is asked about more
        yield order_change_facts.OrderChangeAsked(lines=_LARGER, reason="", by=CARL, at=T0)
    if state.open_request is not None:
        n = state.open_request.n
        yield from (facts.ApprovalEnded(n=n, result=result) for result in _answers(state.open_request.revision))
        yield facts.ApprovalLost(n=n, at=T0, reason="terminated")
    if state.unknown_customer is not None:
        yield customer_setup_facts.CustomerApproved(by=CARL)
        yield customer_setup_facts.CustomerChosen(account=TWIN.account, by=CARL)
        yield customer_setup_facts.CustomerIsNew(by=CARL)
        yield customer_setup_facts.CustomerDenied(reason="", by=CARL)
    if state.delivery.credit_sources and not state.refunds:
        over = {"amount": _OVER.unapplied, "currency": "USD", "reason": "", "by": CARL}
        yield facts.RefundProposed(of=_OVER.number, **over)
        yield facts.CreditKept(reason="", by=CARL)
    for refund in state.refunds:
        yield facts.RefundApproved(n=refund.n, reason="", by=MONA, amount=refund.amount, currency="USD")


@cache
def _answers(revision: int) -> tuple[ApprovalState, ...]:
    answers = (ApprovalStatus.COMPLETED, ApprovalStatus.REJECTED, ApprovalStatus.WITHDRAWN)
    return tuple(approval(status, revision=revision) for status in answers)


def waiting(state: DealState) -> Iterator[DealState]:
    """The state while a step of it waits: for a person, or for a system. No decision looks at that."""
    for fact in (
        _PARKS,
        facts.StepParked(parked=_PARKED.model_copy(update={"can_skip": True})),
        facts.Unreachable(system="Sales", since=T0, message="503"),
        facts.Unreachable(system="Finance", since=T0, message="503"),
    ):
        yield apply(state, Event(at=T0, actor=SYSTEM, fact=fact)).state


def done(state: DealState) -> Iterator[Fact]:
    """All results that what the deal does next can have."""
    if not state.running:
        yield from _cleaned_up(state)
        return
    match moves.in_quote(state):
        case QuoteMove.ASSESS:
            yield from _assessed(state)
        case QuoteMove.ASK:
            yield facts.ApprovalAsked(n=len(state.approvals) + 1, at=T0, plan=_plan())
        case QuoteMove.MARK:
            wanted = wanted_mark(state)
            assert wanted is not None
            yield facts.QuoteMarked(status=wanted.status)
        case QuoteMove.LOOK_AT_EXPIRY:
            for found in ("draft", "active", "closed", "gone"):
                yield facts.ExpiryChecked(found=QuoteInSales(state=found))
            for at in (None, T0, LATE):
                yield facts.ExpiryChecked(found=QuoteInSales(state="won", accepted_at=at))
        case QuoteMove.CREATE_CUSTOMER:
            yield customer_setup_facts.CustomerCreated(account="US-1", found=False)
            yield customer_setup_facts.CustomerSeenMeanwhile(reason="")
            yield customer_setup_facts.CustomerNotSetUp(reason="")
        case QuoteMove.MAP_CUSTOMER:
            yield customer_setup_facts.CustomerMapped(account="US-1")
            yield customer_setup_facts.CustomerNotSetUp(reason="")
        case QuoteMove.GO_ON:
            yield from _ordered(state)


@cache
def _plan() -> ApprovalPlan:
    plan = assessment(steps=(STEP,)).plan
    assert plan is not None
    return plan


@cache
def _assessments(revision: int) -> tuple[QuoteAssessment, ...]:
    problem = Problem(code="NO_PRICE", field="lines", message="no price")
    found = []
    for in_sales, at in (("draft", None), ("active", None), ("won", T0), ("won", LATE)):
        seen = {"state": in_sales, "accepted_at": at, "quote_id": QUOTE_IDS[revision], "revision": revision}
        for content in ("h0", "h1"):
            found.append(assessment(content=content).model_copy(update=seen))
            found.append(assessment(content=content, steps=(STEP,)).model_copy(update=seen))
        found.append(assessment().model_copy(update=seen | {"problems": (problem,)}))
    found += [
        assessment().model_copy(
            update=assessed(nobody) | {"state": "draft", "quote_id": QUOTE_IDS[revision], "revision": revision}
        )
        for nobody in (unknown(), unknown(TWIN))
    ]
    found.append(assessment().model_copy(update={"stale": "taken back", "revision": revision}))
    return tuple(found)


def _assessed(state: DealState) -> Iterator[Fact]:
    for found in _assessments(state.revision):
        yield facts.Assessed(assessment=found, asked=state.quote_id)
    yield facts.Assessed(assessment=assessment(), asked="another revision's")


def _ordered(state: DealState) -> Iterator[Fact]:
    if moves.in_credit(state) is CreditMove.CHECK:
        for in_sales in ("won", "active", "draft", "closed"):
            ready = readiness(state.approved_hash).model_copy(update={"state": in_sales})
            yield facts.Prepared(readiness=ready, covers=state.recheck_told)
        yield facts.Prepared(readiness=readiness("other"), covers=state.recheck_told)
        yield from (facts.PricesMoved(look=look) for look in _looks())
        yield facts.CreditDecided(decision=decision(True))
        yield facts.CreditDecided(decision=decision(False))
        return
    if state.order is OrderStatus.NONE:
        yield facts.OrderStarted(order_number="Q2C-1")
    elif state.order is OrderStatus.CREATING:
        if state.change_due:
            yield from _changed(state)
        yield CREATED
        yield facts.OrderPutOff(why="the facts are old")
    elif state.cancelling:
        yield from _delivered(state)
    elif not state.confirmation_number:
        yield facts.OrderConfirmed(confirmation_number="C")
    elif not state.sales_order_id:
        yield facts.OrderRecorded(sales_order_id="so")
    else:
        yield from _delivered(state)


@cache
def _looks() -> tuple[PriceLook, ...]:
    """All that a second look at prices can lead to."""
    pinned = PinnedPrices(
        price_hash="p2", priced_on=T0.date(), list_net=Decimal(1000), margin_pct=Decimal(20), items=None
    )
    terms = asked_terms(list_net=Decimal(1000), net=Decimal(950), margin_pct=Decimal(20), price_hash="p2")
    anew = AskedAnew(plan=_plan(), terms=terms, pinned=pinned)
    return tuple(
        PriceLook(verdict=verdict, price_hash="p2", anew=anew if verdict is Verdict.ASK else None)
        for verdict in Verdict
    )


def _delivered(state: DealState) -> Iterator[Fact]:
    match moves.in_delivery(state):
        case DeliveryMove.CHANGE_ORDER:
            yield from _changed(state)
        case DeliveryMove.END_REQUEST:
            assert state.open_request is not None
            yield facts.ApprovalEnded(n=state.open_request.n, result=approval(ApprovalStatus.WITHDRAWN))
        case DeliveryMove.SHOW_ORDER:
            yield facts.OrderRecorded(sales_order_id="so")
        case DeliveryMove.RELEASE_HOLD:
            yield credit_recheck_facts.HoldReleased()
        case DeliveryMove.RECHECK_CREDIT:
            for found in (decision(True), decision(True, RELEASED), decision(False), None):
                yield credit_recheck_facts.CreditRechecked(decision=found, covers=state.recheck_told, at=T0)
        case DeliveryMove.STOP_ORDER:
            ways = (OrderStop.NONE,) if state.stop else (OrderStop.OURS, OrderStop.FOUND)
            yield from (credit_recheck_facts.OrderStopped(stop=stop) for stop in ways)
        case DeliveryMove.SHOW_HOLD:
            yield credit_recheck_facts.HoldShown(text=hold_to_show(state))
        case DeliveryMove.READ_BILLING if state.policy.rechecks_credit:
            yield from (read(slips, covers=state.billing_told) for slips in ({}, {"S": 10}))
            yield _cancelled(state)
        case DeliveryMove.READ_BILLING:
            for slips in ({}, {"S": 6}, {"S": 10}):
                free = read(slips, covers=state.billing_told)
                yield free.model_copy(update={"billing": free.billing.model_copy(update={"hold": "CM-1"})})
            yield _cancelled(state)
            other = read(covers=state.billing_told)  # a line that somebody changed: once is enough
            lines = other.billing.lines.model_copy(
                update={"changes": ("line 1: 12 ordered in Finance, 10 in the quote",)}
            )
            if state.changing is None and not state.delivery.any_shipped:
                yield other.model_copy(update={"billing": other.billing.model_copy(update={"lines": lines})})
            for slips in ({}, {"S": 10}):
                for invoices in ((), (invoice("I", 10, "1045"),), (invoice("I", 10, "0"),)):
                    yield read(slips, *invoices, covers=state.billing_told)
            paid = read({"S": 10}, invoice("I", 10, "0"), covers=state.billing_told)
            yield paid.model_copy(update={"billing": paid.billing.model_copy(update={"payments": (_OVER,)})})
        case DeliveryMove.PREPARE_REFUND:
            yield from (
                facts.RefundPrepared(n=1, journal=journal, refused=refused)
                for journal, refused in (("000001", ""), ("", ""), ("", "it is gone"))
            )
        case DeliveryMove.SHOW_ORDERED:
            yield order_change_facts.OrderedShown(changes=state.delivery.lines.changes)
        case DeliveryMove.SHOW_SHIPMENT:
            yield facts.ShipmentRecorded(slips=state.unrecorded_slips)
        case DeliveryMove.SHOW_INVOICES:
            shown = {i.invoice_number: i.open_amount for i in state.unrecorded_invoices}
            yield facts.InvoicesRecorded(open_amounts=shown)
        case DeliveryMove.SHOW_PAYMENTS:
            shown = {i.invoice_number: i.open_amount for i in state.unrecorded_payments}
            yield facts.PaymentsRecorded(open_amounts=shown)


def _changed(state: DealState) -> Iterator[Fact]:
    """What may become of a change that is tried."""
    assert state.changing is not None
    lines, number = state.changing.lines, state.changing.number
    if state.changing.step is ChangeStep.LOOK:
        yield from _looked_at(number)
        yield order_change_facts.OrderChangeFailed(lines=lines, cause="Transient", message="503", at=T0)
        return
    if state.changing.step is ChangeStep.ASK:
        n = max((request.n for request in state.approvals), default=0) + 1
        yield order_change_facts.LargerOrderAsked(number=number, n=n, plan=_plan(), at=T0)
        yield order_change_facts.LargerOrderNotAsked(number=number, reason="")
        return
    yield order_change_facts.OrderChangeMade(lines=lines, order_number="Q2C-1", cancelled=Decimal(2))
    yield order_change_facts.OrderChangeFailed(lines=lines, cause="Refused", message="picked", at=T0)
    if not lines:
        yield order_change_facts.OrderAbsent(order_number="Q2C-1")


def _looked_at(number: int) -> Iterator[Fact]:
    """All that a look at a larger order can find."""
    raised = (RaisedLine(line_no=1, quantity=Decimal(14)),)
    yield order_change_facts.LargerOrderSeen(number=number, refused="LARGER_NO_CREDIT: over by 418")
    yield order_change_facts.LargerOrderSeen(number=number)
    yield order_change_facts.LargerOrderSeen(number=number, larger=larger_order(STEP), raised=raised)
    yield order_change_facts.LargerOrderSeen(
        number=number, larger=larger_order(), raised=raised, decision=decision(True), credit="d + 1"
    )


def _cancelled(state: DealState) -> Fact:
    """Finance cancelled the whole order."""
    reading = read(covers=state.billing_told)
    return reading.model_copy(update={"billing": reading.billing.model_copy(update={"cancelled": True})})


def _cleaned_up(state: DealState) -> Iterator[Fact]:
    match moves.in_closing(state):
        case ClosingMove.GIVE_CREDIT_BACK:
            yield facts.CreditGivenBack()
        case ClosingMove.TELL_SALES:
            yield facts.SalesTold()
            yield facts.SalesNotTold(reason="503")


def _lost(state: DealState) -> int:
    """Requests of the revision that ended without an answer, also while another is open."""
    ended = state.approvals[:-1] if state.open_request else state.approvals
    return replace(state, approvals=ended).requests_lost


def essence(state: DealState) -> tuple[object, ...]:
    """What decisions look at."""
    if not state.running:
        return (
            state.ending,
            state.open_request is None,
            state.won,
            state.credit_checks > 0,
            state.credit_given_back,
            state.sales_due,
            state.given_up,
        )
    if state.changing is not None and not state.changing.is_written:  # what else became of the order adds nothing
        return *_change_of(state), state.billing_unread, moves.in_delivery(state)
    if state.order is not OrderStatus.NONE:
        return (
            state.order,
            state.confirmation_number,
            state.sales_order_id,
            state.billing_unread,
            state.ordered_unrecorded,
            bool(state.unrecorded_slips),
            bool(state.unrecorded_invoices),
            bool(state.unrecorded_payments),
            state.delivery.all_shipped,
            state.delivery.all_paid,
            state.held_by_finance,
            state.release_due,
            *_change_of(state),
            *_hold_of(state),
            state.credit_undecided,
            tuple(refund.status for refund in state.refunds),
        )
    return (
        state.revision,
        state.quote,
        state.credit,
        state.assessment is None,
        bool(state.approved_hash),
        state.active,
        state.accepted,
        state.resubmitted,
        state.expiry_due,
        mark_due(state),
        state.open_request.revision if state.open_request else None,
        min(_lost(state), 3),
        state.recheck_due,
        state.credit_checks > 0,
        state.order_put_off,
        None if state.unknown_customer is None else bool(state.unknown_customer.candidates),
        None if state.customer is None else bool(state.customer.account),
    )


def _hold_of(state: DealState) -> tuple[object, ...]:
    """What decisions look at of a confirmed order whose credit is looked at again."""
    if not state.policy.rechecks_credit:
        return ()
    return state.credit, held(state), state.stop, recheck_due(state), hold_unshown(state)


def _change_of(state: DealState) -> tuple[object, ...]:
    """What of a change that is under way decisions look at."""
    change = state.changing
    if change is None:
        return (state.request_over,)
    rests = change.retry_at is None
    asks = change.step, state.asks_for_more, state.request_over
    return change.is_whole, bool(change.sent), rests, state.delivery.any_shipped, *asks


def next_states(state: DealState, happens: Iterator[Fact]) -> Iterator[tuple[Fact, DealState]]:
    """What each of these makes of a state, where it changes anything."""
    for fact in happens:
        transition = apply(state, Event(at=T0, actor=SYSTEM, fact=fact))
        if transition.accepted:
            yield fact, _bounded(transition.state)


def _bounded(state: DealState) -> DealState:
    """The state with its counters and lists brought down to what decisions look at, so that the search ends."""
    told, covered = int(state.recheck_due), 0
    unread = int(state.billing_unread)
    return replace(
        state,
        version=0,
        approvals=tuple(a.model_copy(update={"n": n}) for n, a in enumerate(state.approvals[-4:], start=1)),
        recheck_told=told,
        recheck_covered=covered,
        billing_told=unread,
        billing_read=0,
        changing=_change_bounded(state, unread),
        credit_checks=min(state.credit_checks, 1),
        park_count={},
        exceptions=(),
    )


def _change_bounded(state: DealState, unread: int) -> OrderChange | None:
    """The change under way with its counters brought down as those of the state are."""
    change = state.changing
    if change is None:
        return None
    sent = unread if change.sent > state.billing_read else 0 if not change.sent else unread
    request = min(len(state.approvals), 4) if state.asks_for_more else 0
    bounded = {"failures": min(change.failures, 1), "sent": sent, "number": 0, "request": request}
    return change.model_copy(update=bounded)


def _followed() -> DealState:
    """A confirmed order whose credit is looked at again until it is shipped."""
    policy = DealPolicy(version="1", rechecks_credit=True)
    followed = assessment().model_copy(update={"deal_policy": policy})
    return put(new_deal(), facts.Assessed(assessment=followed, asked="q"), *TO_ORDER[1:])


@cache
def states() -> tuple[DealState, ...]:
    """One state for each essence that can be reached."""
    first = (new_deal(), _followed())
    found = {essence(state): state for state in first}
    frontier = list(first)
    while frontier:
        following: list[DealState] = []
        for state in frontier:
            aborted = next_states(next(waiting(state)), iter((_ABORTS,)))
            for _, after in chain(next_states(state, told(state)), next_states(state, done(state)), aborted):
                key = essence(after)
                if key not in found:
                    found[key] = after
                    following.append(after)
        frontier = following
    return tuple(found.values())
