"""The deal as a state machine: what a fact changes, what it never changes, in whatever order facts come."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain import deal_state, facts
from domain.approvals import ApprovalPlan, ApprovalStatus
from domain.credit import ReleaseToken
from domain.deal import apply
from domain.deal_state import OrderStatus, QuoteStatus
from domain.explain import details, explain, view
from domain.facts import Event, Fact, StepFact
from domain.fulfilment import Billing, OrderedLine, PackingSlip, ShippedTotal
from domain.lines import LineLedger
from domain.messages import ShippedLine
from domain.people import Person
from domain.views import Ending, ParkedStep, Resolution, Stage
from tests.deals import (
    CARL,
    CREATED,
    DOCUMENTS,
    HOURS,
    RITA,
    STEP,
    SYSTEM,
    T0,
    TO_ORDER,
    approval,
    assessment,
    decision,
    invoice,
    new_deal,
    put,
    readiness,
)


def test_every_fact_belongs_to_a_part_whose_rules_say_what_follows() -> None:
    """mypy checks that each part has a rule for each of its facts; here, that no fact is left out of the parts."""
    kinds = {kind for kind in vars(facts).values() if isinstance(kind, type) and kind.__module__ == facts.__name__}
    assert kinds - {facts.Event} == set(get_args(Fact))


def test_the_happy_path_reaches_fulfilment_and_closes_when_all_is_paid_and_shown() -> None:
    state = put(new_deal(), *TO_ORDER)
    assert (state.stage, state.order) == (Stage.FULFILMENT, OrderStatus.CONFIRMED)
    state = put(state, facts.ShipmentPosted(slip="S", lines=(ShippedLine(line_no=1, quantity=Decimal(10)),)))
    assert state.stage is Stage.INVOICE
    state = put(
        state,
        facts.ShipmentRecorded(slips=("S",)),
        facts.BillingRead(
            billing=Billing(status="Invoiced", slips=(), invoices=(invoice("I", 10, "1045"),)), covers=0, at=T0
        ),
        facts.InvoicesRecorded(open_amounts={"I": Decimal(1045)}),
    )
    assert state.stage is Stage.PAYMENT
    state = put(
        state,
        facts.BillingRead(
            billing=Billing(status="Invoiced", slips=(), invoices=(invoice("I", 10, "0"),)), covers=0, at=T0
        ),
    )
    assert state.ending is Ending.RUNNING
    state = put(state, facts.PaymentsRecorded(open_amounts={"I": Decimal(0)}))
    assert (state.ending, state.stage) == (Ending.CLOSED, Stage.CLOSED)


def test_an_invoice_posted_while_finance_is_read_is_read_again() -> None:
    state = put(new_deal(), *TO_ORDER, facts.BillingChanged(text="…"))
    told = state.billing_told
    state = put(state, facts.BillingChanged(text="…"))
    reading = Billing(status="x", slips=(), invoices=())
    state = put(state, facts.BillingRead(billing=reading, covers=told, at=T0))
    assert state.billing_unread
    state = put(state, facts.BillingRead(billing=reading, covers=state.billing_told, at=T0))
    assert not state.billing_unread


def test_a_changed_quote_never_passes_to_credit() -> None:
    state = put(new_deal(), *TO_ORDER[:3])
    transition = apply(state, Event(at=T0, actor=SYSTEM, fact=facts.Prepared(readiness=readiness("other"), covers=0)))
    assert transition.code == "HASH_MISMATCH"
    assert transition.state.credit == "not_checked"


def test_acceptance_after_expiry_is_an_exception_and_no_acceptance() -> None:
    late = facts.Accepted(revision=0, at=T0 + timedelta(days=8))
    state = put(new_deal(), *TO_ORDER[:2], late)
    assert not state.accepted
    assert state.exceptions[0].startswith("ACCEPTED_AFTER_EXPIRY")


def test_acceptance_that_overtakes_approval_waits_for_it() -> None:
    state = put(new_deal(), facts.Assessed(assessment=assessment(steps=(STEP,)), asked="q"))
    state = put(state, facts.ApprovalAsked(n=1, at=T0, plan=assessment(steps=(STEP,)).plan or _never()))
    state = put(state, facts.Activated(revision=0), facts.Accepted(revision=0, at=T0))
    assert not state.may_order and state.stage is Stage.QUOTE and state.exceptions
    state = put(state, facts.ApprovalEnded(n=1, result=approval(ApprovalStatus.COMPLETED)))
    assert (state.quote, state.stage, state.exceptions) == (QuoteStatus.ACCEPTED, Stage.CREDIT, ())


def _never() -> Any:
    raise AssertionError


def test_an_older_revision_is_stale_and_changes_nothing() -> None:
    state = put(new_deal(), facts.Submitted(revision=2, quote_id="q2"))
    transition = apply(state, Event(at=T0, actor=RITA, fact=facts.Activated(revision=1)))
    assert transition.code == "STALE"
    assert transition.state.version == state.version


def test_the_rep_of_a_deal_cannot_release_its_hold() -> None:
    held = put(new_deal(), *TO_ORDER[:4], facts.CreditDecided(decision=decision(False)))
    token = ReleaseToken(
        deal_id="c",
        ceiling=Decimal(1045),
        valid_until=T0 + timedelta(days=5),
        reasons=("OVER_LIMIT",),
        released_by=RITA,
    )
    refused = apply(held, Event(at=T0, actor=RITA, fact=facts.CreditReleased(release=token)))
    taken = apply(
        held,
        Event(
            at=T0,
            actor=CARL,
            fact=facts.CreditReleased(release=token.model_copy(update={"released_by": CARL})),
        ),
    )
    assert refused.code == "REQUESTER_CANNOT_RELEASE"
    assert taken.accepted


def test_resubmitting_the_same_content_leaves_the_approval_as_it_is() -> None:
    state = put(
        new_deal(), facts.Assessed(assessment=assessment(), asked="q"), facts.Submitted(revision=0, quote_id="q")
    )
    assert state.resubmitted
    state = put(state, facts.Assessed(assessment=assessment(), asked="q"))
    assert (state.quote, state.approved_hash, state.resubmitted) == (QuoteStatus.APPROVED, "h0", False)


def test_resubmitting_other_content_needs_approval_anew() -> None:
    state = put(
        new_deal(), facts.Assessed(assessment=assessment(), asked="q"), facts.Submitted(revision=0, quote_id="q")
    )
    state = put(state, facts.Assessed(assessment=assessment(steps=(STEP,), content="h1"), asked="q"))
    assert (state.quote, state.approved_hash) == (QuoteStatus.APPROVAL_DUE, "")


def test_more_shipped_than_ordered_is_an_exception_not_a_loss() -> None:
    state = put(new_deal(), *TO_ORDER)
    over = facts.ShipmentPosted(slip="S", lines=(ShippedLine(line_no=1, quantity=Decimal(11)),))
    assert put(state, over).exceptions == ("OVER_DELIVERY: line 1: 11 shipped, but only 10 may be delivered",)


def test_what_people_read_is_bounded_however_many_lines_are_wrong() -> None:
    ordered = put(new_deal(), *TO_ORDER)
    lines = tuple(OrderedLine(line_no=n, item="P100", quantity=Decimal(1), amount=Decimal(1)) for n in range(1, 5_001))
    large = replace(ordered, delivery=replace(ordered.delivery, lines=lines))
    over = tuple(ShippedLine(line_no=n, quantity=Decimal(2)) for n in range(1, 5_001))
    state = put(large, facts.ShipmentPosted(slip="S", lines=over))
    assert len(state.exceptions) == 51
    assert state.exceptions[-1] == "OVER_DELIVERY: 4950 more of the order's lines differ from what Finance posted"
    assert len(details(state)) < 10_000
    parked = ParkedStep(
        step="s", activity="a", cause="Refused", message="x" * 100_000, suggestion="", since=T0, failures=0
    )
    state = put(state, facts.StepParked(parked=parked))
    assert len(explain(state).text) <= 2_100 and len(details(state)) < 10_000
    said = apply(state, Event(at=T0, actor=SYSTEM, fact=facts.StepResumed(action=Resolution.RETRY, reason="y" * 9_000)))
    assert len(said.audit.text) == 1_000
    assert put(state, facts.ShipmentPosted(slip="S2", lines=over)).exceptions[0].startswith("OVER_DELIVERY: line 1")


class DealMachine(RuleBasedStateMachine):
    """Any fact at any time: the invariants hold whatever is told."""

    def __init__(self) -> None:
        super().__init__()
        self.state = new_deal()
        self.orders_started = 0

    def tell(self, fact: Fact, actor: Person = SYSTEM) -> bool:
        before = self.state
        transition = apply(before, Event(at=T0, actor=actor, fact=fact))
        after = transition.state
        assert transition.audit.text  # I11: every transition and every refusal has one record
        if transition.accepted:
            assert after.version == before.version + 1  # I12
            if isinstance(fact, facts.OrderStarted):
                self.orders_started += 1
                assert before.may_order  # I7, I10
                assert before.approved_hash
        else:
            assert after == before
        if not before.running and not isinstance(fact, facts.ApprovalEnded | StepFact):
            assert not transition.accepted  # I16, I17
        self.state = after
        return transition.accepted

    @rule(revision=st.integers(0, 3))
    def submit(self, revision: int) -> None:
        self.tell(facts.Submitted(revision=revision, quote_id="q"))

    @rule(steps=st.booleans(), content=st.sampled_from(["h0", "h1"]), revision=st.integers(0, 3))
    def assess(self, steps: bool, content: str, revision: int) -> None:
        found = assessment(steps=(STEP,) if steps else (), content=content, revision=revision)
        self.tell(facts.Assessed(assessment=found, asked="q"))

    @rule()
    def ask(self) -> None:
        plan = ApprovalPlan(policy_version="1", steps=(STEP,), calendar=HOURS)
        self.tell(facts.ApprovalAsked(n=len(self.state.approvals) + 1, at=T0, plan=plan))

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
                facts.ExpiryDue(),
            )
        )
    )
    def sales(self, fact: Fact) -> None:
        self.tell(fact)

    @rule(content=st.sampled_from(["h0", "h1"]))
    def prepare(self, content: str) -> None:
        if self.tell(facts.Prepared(readiness=readiness(content), covers=self.state.recheck_told)):
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
        self.tell(facts.StepResumed(action=Resolution.RETRY, reason=""))

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


DealMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDealMachine = DealMachine.TestCase


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
        covers=0,
        at=T0,
    )
    told = _shuffled((read, DOCUMENTS[0][1], DOCUMENTS[1][1], read), seed)
    assert [line.shipped for line in put(put(new_deal(), *TO_ORDER), *told).delivery.ledger] == [Decimal(10)]


def test_the_line_ledger_is_computed_once_for_each_change_of_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lines there are and however often they are asked for; it was nine times for each fact before."""
    lines = tuple(OrderedLine(line_no=n, item="P", quantity=Decimal(1), amount=Decimal(1)) for n in range(1, 101))
    created = CREATED.model_copy(update={"lines": lines})
    computed = Counter[str]()

    def counting(**quantities: Any) -> LineLedger:
        computed["lines"] += 1
        return LineLedger(**quantities)

    monkeypatch.setattr(deal_state, "LineLedger", counting)
    state = put(new_deal(), *TO_ORDER[:6], created, *TO_ORDER[7:])
    slip = tuple(ShippedLine(line_no=line.line_no, quantity=Decimal(1)) for line in lines)
    computed.clear()

    state = put(state, facts.ShipmentPosted(slip="S", lines=slip))
    view(state), explain(state), details(state)
    assert state.stage is Stage.INVOICE
    assert computed["lines"] == len(lines)

    state = put(state, facts.BillingChanged(text="…"), facts.ShipmentRecorded(slips=("S",)))
    view(state), explain(state), details(state)
    assert computed["lines"] == len(lines)
