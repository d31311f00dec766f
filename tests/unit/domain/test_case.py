"""The deal as a state machine: what a fact changes, what it never changes, in whatever order facts come."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain import facts
from domain.approvals import (
    ApprovalPlan,
    ApprovalRequest,
    ApprovalState,
    ApprovalStatus,
    BusinessHours,
    StepPlan,
)
from domain.assessment import DealPolicy, OrderReadiness, QuoteAssessment
from domain.credit import ReleaseToken
from domain.credit_facts import CreditDecision, CreditFacts, CreditReason
from domain.deal import _RULES, apply
from domain.deal_state import DealState, OrderStatus, QuoteStatus
from domain.explain import details, explain, view
from domain.facts import Event, Fact
from domain.fulfilment import Billing, Invoice, InvoicedLine, OrderedLine, PackingSlip, ShippedTotal
from domain.messages import ShippedLine
from domain.people import Person
from domain.views import Ending, ParkedStep, Stage

T0 = datetime(2026, 11, 23, 14, tzinfo=UTC)
RITA, MONA, CARL, SYSTEM = (Person(oid=name, name=name) for name in ("rita", "mona", "carl", "system"))
HOURS = BusinessHours(timezone="UTC", workdays=(0, 1, 2, 3, 4), opens="09:00", closes="17:00")
STEP = StepPlan(
    step=1,
    chain="sales",
    level=1,
    role="sales_manager",
    sla_business_hours=Decimal(8),
    on_timeout="expire",
    candidates=(MONA,),
)
POLICY = DealPolicy(version="1")


def new_case() -> DealState:
    return DealState(
        company="usmf",
        quote_number="Q-1",
        quote_id="q",
        revision=0,
        started_at=T0,
        updated_at=T0,
        waiting_since=T0,
    )


def assessment(*, steps: tuple[StepPlan, ...] = (), content: str = "h0", revision: int = 0) -> QuoteAssessment:
    return QuoteAssessment(
        company="usmf",
        quote_number="Q-1",
        quote_id="q",
        revision=revision,
        customer_account="US-001",
        currency="USD",
        owner=RITA,
        net=Decimal(950),
        tax=Decimal(95),
        total=Decimal(1045),
        snapshot_hash=content,
        expires_at=T0 + timedelta(days=7),
        plan=ApprovalPlan(policy_version="1", steps=steps, calendar=HOURS),
        deal_policy=POLICY,
    )


def readiness(content: str = "h0") -> OrderReadiness:
    credit = CreditFacts(
        company="usmf",
        customer_account="US-001",
        currency="USD",
        as_of=T0,
        credit_limit=Decimal(100_000),
        unlimited=False,
        credit_management=True,
        open_ar=Decimal(0),
    )
    return OrderReadiness(
        snapshot_hash=content,
        state="won",
        total=Decimal(1045),
        credit=credit,
        credit_amount=Decimal(1045),
        price_hash="p",
    )


def decision(passed: bool, code: str = "") -> CreditDecision:
    return CreditDecision(
        passed=passed,
        reasons=(CreditReason(code=code or ("WITHIN_LIMIT" if passed else "OVER_LIMIT"), text="…"),),
        exposure=Decimal(1045),
        limit=Decimal(100_000),
        open_ar=Decimal(0),
        open_orders=Decimal(0),
        reservations=Decimal(0),
        this_order=Decimal(1045),
        as_of=T0,
        policy_version="1",
    )


def approval(status: ApprovalStatus, content: str = "h0", revision: int = 0) -> ApprovalState:
    request = ApprovalRequest(
        company="usmf",
        quote_number="Q-1",
        quote_id="q",
        n=1,
        revision=revision,
        customer_account="US-001",
        requester=RITA,
        currency="USD",
        net=Decimal(950),
        tax=Decimal(95),
        total=Decimal(1045),
        list_net=Decimal(1000),
        discount_pct=Decimal(5),
        margin_pct=Decimal(30),
        line_count=1,
        snapshot_hash=content,
        expires_at=T0 + timedelta(days=7),
        plan=ApprovalPlan(policy_version="1", steps=(STEP,), calendar=HOURS),
    )
    return ApprovalState(request=request, status=status, steps=(), reason="mona")


def invoice(number: str, quantity: int, open_amount: str) -> Invoice:
    net = Decimal(95) * quantity
    line = InvoicedLine(line_no=1, item="P", quantity=Decimal(quantity), price=Decimal(95), net=net, tax=net / 10)
    return Invoice(
        invoice_number=number,
        invoiced_on=T0,
        due_on=None,
        currency="USD",
        net=net,
        tax=net / 10,
        total=net * Decimal("1.1"),
        open_amount=Decimal(open_amount),
        lines=(line,),
    )


def put(state: DealState, *told: Fact, event_id: str = "") -> DealState:
    for fact in told:
        state = apply(state, Event(event_id=event_id, at=T0, actor=SYSTEM, fact=fact), POLICY).state
    return state


LINES = (OrderedLine(line_no=1, item="P", quantity=Decimal(10), amount=Decimal(950)),)
CREATED = facts.OrderCreated(order_number="Q2C-1", lines=LINES, net=Decimal(950), rounding_difference=Decimal(0))
TO_ORDER: tuple[Fact, ...] = (
    facts.Assessed(assessment=assessment()),
    facts.Activated(revision=0),
    facts.Accepted(revision=0, at=T0),
    facts.Prepared(readiness=readiness()),
    facts.CreditDecided(decision=decision(True)),
    facts.OrderStarted(order_number="Q2C-1"),
    CREATED,
    facts.OrderConfirmed(confirmation_number="C"),
    facts.OrderRecorded(sales_order_id="so"),
)


def test_every_fact_has_a_rule() -> None:
    kinds = {kind for kind in vars(facts).values() if isinstance(kind, type) and issubclass(kind, Fact)}
    assert kinds - {Fact, facts.Refused} == set(_RULES)


def test_the_happy_path_reaches_fulfilment_and_closes_when_all_is_paid_and_shown() -> None:
    state = put(new_case(), *TO_ORDER)
    assert (state.stage, state.order) == (Stage.FULFILMENT, OrderStatus.CONFIRMED)
    state = put(state, facts.ShipmentPosted(slip="S", lines=(ShippedLine(line_no=1, quantity=Decimal(10)),)))
    assert state.stage is Stage.INVOICE
    state = put(
        state,
        facts.ShipmentRecorded(slips=("S",)),
        facts.BillingRead(
            billing=Billing(status="Invoiced", slips=(), invoices=(invoice("I", 10, "1045"),)), covers=()
        ),
        facts.InvoicesRecorded(numbers=("I",), open_amounts={"I": Decimal(1045)}),
    )
    assert state.stage is Stage.PAYMENT
    state = put(
        state,
        facts.BillingRead(billing=Billing(status="Invoiced", slips=(), invoices=(invoice("I", 10, "0"),)), covers=()),
    )
    assert state.ending is Ending.RUNNING
    state = put(state, facts.PaymentsRecorded(open_amounts={"I": Decimal(0)}))
    assert (state.ending, state.stage) == (Ending.CLOSED, Stage.CLOSED)


def test_an_invoice_posted_while_finance_is_read_is_read_again() -> None:
    state = put(new_case(), *TO_ORDER, facts.BillingChanged(document="I1", text="…"))
    unread = state.billing_unread
    state = put(state, facts.BillingChanged(document="P1", text="…"))
    state = put(state, facts.BillingRead(billing=Billing(status="x", slips=(), invoices=()), covers=unread))
    assert state.billing_unread == ("P1",)


def test_a_changed_quote_never_passes_to_credit() -> None:
    state = put(new_case(), *TO_ORDER[:3])
    transition = apply(state, Event(at=T0, actor=SYSTEM, fact=facts.Prepared(readiness=readiness("other"))), POLICY)
    assert transition.code == "HASH_MISMATCH"
    assert transition.state.credit == "not_checked"


def test_acceptance_after_expiry_is_an_exception_and_no_acceptance() -> None:
    late = facts.Accepted(revision=0, at=T0 + timedelta(days=8))
    state = put(new_case(), *TO_ORDER[:2], late)
    assert not state.accepted
    assert state.exceptions[0].startswith("ACCEPTED_AFTER_EXPIRY")


def test_acceptance_that_overtakes_approval_waits_for_it() -> None:
    state = put(new_case(), facts.Assessed(assessment=assessment(steps=(STEP,))))
    state = put(state, facts.ApprovalAsked(n=1, plan=assessment(steps=(STEP,)).plan or _never()))
    state = put(state, facts.Activated(revision=0), facts.Accepted(revision=0, at=T0))
    assert not state.may_order and state.stage is Stage.QUOTE and state.exceptions
    state = put(state, facts.ApprovalEnded(n=1, result=approval(ApprovalStatus.COMPLETED)))
    assert (state.quote, state.stage, state.exceptions) == (QuoteStatus.ACCEPTED, Stage.CREDIT, ())


def _never() -> Any:
    raise AssertionError


def test_an_older_revision_is_stale_and_changes_nothing() -> None:
    state = put(new_case(), facts.Submitted(revision=2, quote_id="q2"))
    transition = apply(state, Event(event_id="e", at=T0, actor=RITA, fact=facts.Activated(revision=1)), POLICY)
    assert transition.code == "STALE"
    assert transition.state.version == state.version


def test_the_rep_of_a_deal_cannot_release_its_hold() -> None:
    held = put(new_case(), *TO_ORDER[:4], facts.CreditDecided(decision=decision(False)))
    token = ReleaseToken(
        deal_id="c",
        ceiling=Decimal(1045),
        valid_until=T0 + timedelta(days=5),
        reasons=("OVER_LIMIT",),
        released_by=RITA,
    )
    refused = apply(held, Event(at=T0, actor=RITA, fact=facts.CreditReleased(release=token)), POLICY)
    taken = apply(
        held,
        Event(
            at=T0,
            actor=CARL,
            fact=facts.CreditReleased(release=token.model_copy(update={"released_by": CARL})),
        ),
        POLICY,
    )
    assert refused.code == "REQUESTER_CANNOT_RELEASE"
    assert taken.accepted


def test_resubmitting_the_same_content_leaves_the_approval_as_it_is() -> None:
    state = put(new_case(), facts.Assessed(assessment=assessment()), facts.Submitted(revision=0, quote_id="q"))
    assert state.resubmitted
    state = put(state, facts.Assessed(assessment=assessment()))
    assert (state.quote, state.approved_hash, state.resubmitted) == (QuoteStatus.APPROVED, "h0", False)


def test_resubmitting_other_content_needs_approval_anew() -> None:
    state = put(new_case(), facts.Assessed(assessment=assessment()), facts.Submitted(revision=0, quote_id="q"))
    state = put(state, facts.Assessed(assessment=assessment(steps=(STEP,), content="h1")))
    assert (state.quote, state.approved_hash) == (QuoteStatus.APPROVAL_DUE, "")


def test_more_shipped_than_ordered_is_an_exception_not_a_loss() -> None:
    state = put(new_case(), *TO_ORDER)
    over = facts.ShipmentPosted(slip="S", lines=(ShippedLine(line_no=1, quantity=Decimal(11)),))
    assert put(state, over).exceptions == ("OVER_DELIVERY: line 1: 11 shipped, but only 10 may be delivered",)


DOCUMENTS: tuple[tuple[str, Fact], ...] = (
    ("s1", facts.ShipmentPosted(slip="S1", lines=(ShippedLine(line_no=1, quantity=Decimal(6)),))),
    ("s2", facts.ShipmentPosted(slip="S2", lines=(ShippedLine(line_no=1, quantity=Decimal(4)),))),
    ("i1", facts.BillingChanged(document="i1", text="…")),
    ("p1", facts.BillingChanged(document="p1", text="…")),
)


@given(st.lists(st.sampled_from(DOCUMENTS), min_size=4, max_size=20).filter(lambda told: len(set(told)) == 4))
def test_documents_told_twice_and_in_any_order_leave_the_same_state(told: list[tuple[str, Fact]]) -> None:
    state = put(new_case(), *TO_ORDER)
    for event_id, fact in told:
        state = put(state, fact, event_id=event_id)
    assert [line.shipped for line in state.ledger] == [Decimal(10)]
    assert set(state.billing_unread) == {"i1", "p1"}
    assert state.version == len(TO_ORDER) + 4


class CaseMachine(RuleBasedStateMachine):
    """Any fact at any time: the invariants hold whatever is told."""

    def __init__(self) -> None:
        super().__init__()
        self.state = new_case()
        self.audits = 0
        self.orders_started = 0
        self.told = 0

    def tell(self, fact: Fact, actor: Person = SYSTEM) -> bool:
        before = self.state
        self.told += 1
        transition = apply(before, Event(event_id=f"e{self.told}", at=T0, actor=actor, fact=fact), POLICY)
        after = transition.state
        assert transition.audit is not None  # I11: every transition and every refusal has one record
        if transition.accepted:
            assert after.version == before.version + 1  # I12
            if isinstance(fact, facts.OrderStarted):
                self.orders_started += 1
                assert before.may_order  # I7, I10
                assert before.approved_hash
        else:
            assert after.model_copy(update={"seen": before.seen}) == before
        if before.ending is not Ending.RUNNING and not isinstance(fact, facts.ApprovalEnded):
            assert not transition.accepted  # I16, I17
        self.state = after
        again = apply(after, Event(event_id=f"e{self.told}", at=T0, actor=actor, fact=fact), POLICY)
        assert again.state == after and again.code == "DUPLICATE"  # I13
        return transition.accepted

    @rule(revision=st.integers(0, 3))
    def submit(self, revision: int) -> None:
        self.tell(facts.Submitted(revision=revision, quote_id="q"))

    @rule(steps=st.booleans(), content=st.sampled_from(["h0", "h1"]), revision=st.integers(0, 3))
    def assess(self, steps: bool, content: str, revision: int) -> None:
        found = assessment(steps=(STEP,) if steps else (), content=content, revision=revision)
        self.tell(facts.Assessed(assessment=found))

    @rule()
    def ask(self) -> None:
        plan = ApprovalPlan(policy_version="1", steps=(STEP,), calendar=HOURS)
        self.tell(facts.ApprovalAsked(n=len(self.state.approvals) + 1, plan=plan))

    @rule(status=st.sampled_from(list(ApprovalStatus)), content=st.sampled_from(["h0", "h1"]), n=st.integers(1, 3))
    def answer(self, status: ApprovalStatus, content: str, n: int) -> None:
        self.tell(facts.ApprovalEnded(n=n, result=approval(status, content, self.state.revision)))

    @rule(
        fact=st.sampled_from(
            (
                facts.Activated(revision=0),
                facts.Accepted(revision=0, at=T0),
                facts.Accepted(revision=1, at=T0),
                facts.Activated(revision=2),
                facts.Revised(revision=0),
                facts.Withdrawn(revision=0, reason="…"),
                facts.QuoteLost(reason="…"),
                facts.QuoteCancelled(reason="…"),
                facts.ExpiryReached(),
            )
        )
    )
    def sales(self, fact: Fact) -> None:
        self.tell(fact)

    @rule(content=st.sampled_from(["h0", "h1"]))
    def prepare(self, content: str) -> None:
        if self.tell(facts.Prepared(readiness=readiness(content))):
            assert content == self.state.approved_hash  # I10: other content never gets as far as credit

    @rule(passed=st.booleans())
    def credit(self, passed: bool) -> None:
        self.tell(facts.CreditDecided(decision=decision(passed)))

    @rule()
    def start_order(self) -> None:
        self.tell(facts.OrderStarted(order_number="Q2C-1"))

    @rule(fact=st.sampled_from((CREATED, *TO_ORDER[7:], facts.CreditRejected(reason="…"))))
    def finance(self, fact: Fact) -> None:
        self.tell(fact)

    @rule(document=st.sampled_from(DOCUMENTS))
    def document(self, document: tuple[str, Fact]) -> None:
        self.tell(document[1])

    @rule()
    def park(self) -> None:
        parked = ParkedStep(step="s", activity="a", cause="Refused", message="m", suggestion="", since=T0, failures=0)
        self.tell(facts.StepParked(parked=parked))

    @precondition(lambda self: self.state.parked is not None)
    @rule()
    def resume(self) -> None:
        self.tell(facts.StepResumed(action="retry", reason=""))

    @invariant()
    def at_most_one_order(self) -> None:
        assert self.orders_started <= 1  # I6

    @invariant()
    def no_order_without_approved_content(self) -> None:
        if self.state.order is not OrderStatus.NONE:
            assert self.state.approved_hash and self.state.accepted  # I10

    @invariant()
    def people_can_always_read_it(self) -> None:
        assert view(self.state).version == self.state.version
        assert explain(self.state).text
        assert details(self.state)


CaseMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCaseMachine = CaseMachine.TestCase


def _shuffled(items: Iterable[Fact], seed: int) -> list[Fact]:
    order = list(items)
    random.Random(seed).shuffle(order)
    return order


@pytest.mark.parametrize("seed", range(20))
def test_slips_read_from_finance_and_told_by_events_are_counted_once(seed: int) -> None:
    read = facts.BillingRead(
        billing=Billing(
            status="x",
            slips=(PackingSlip(slip="S1", shipped=(ShippedTotal(line_no=1, shipped=Decimal(6)),)),),
            invoices=(),
        ),
        covers=(),
    )
    told = _shuffled((read, DOCUMENTS[0][1], DOCUMENTS[1][1], read), seed)
    assert [line.shipped for line in put(put(new_case(), *TO_ORDER), *told).ledger] == [Decimal(10)]
