"""The deal as a state machine: what a fact changes, what it never changes, in whatever order facts come."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from domain import credit_recheck_facts, customer_setup_facts, deposit_facts, facts, given_facts, order_change_facts
from domain.approvals import ApprovalPlan, ApprovalStatus
from domain.audit import facts_of
from domain.credit import ReleaseToken
from domain.credit_facts import CreditStatus
from domain.deal import apply
from domain.deal_start import Checkpoint
from domain.deal_state import OrderStatus, QuoteStatus
from domain.explain import details, explain, view
from domain.facts import Event, Fact, StepFact
from domain.fulfilment import MOST_LINES_SHOWN, Billing
from domain.people import Person
from domain.price_look import PriceDrift
from domain.rules.delivery import MOST_INVOICES_TOLD
from domain.views import Ending, ParkedStep, Resolution, Stage
from tests.deals import (
    CARL,
    CREATED,
    DOCUMENTS,
    HOURS,
    READINGS,
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
    read,
    readiness,
    totals,
)


def test_every_fact_belongs_to_a_part_whose_rules_say_what_follows() -> None:
    """mypy checks that each part has a rule for each of its facts; here, that no fact is left out of the parts."""
    modules = (facts, credit_recheck_facts, customer_setup_facts, deposit_facts, given_facts, order_change_facts)
    kinds = {
        kind
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    }
    assert kinds - {facts.Event} == set(get_args(Fact))


def test_the_happy_path_reaches_fulfilment_and_closes_when_all_is_paid_and_shown() -> None:
    state = put(new_deal(), *TO_ORDER)
    assert (state.stage, state.order) == (Stage.FULFILMENT, OrderStatus.CONFIRMED)
    state = put(state, read({"S": 10}))
    assert state.stage is Stage.INVOICE
    state = put(
        state,
        facts.ShipmentRecorded(slips=("S",)),
        read({"S": 10}, invoice("I", 10, "1045")),
        facts.InvoicesRecorded(open_amounts={"I": Decimal(1045)}),
    )
    assert state.stage is Stage.PAYMENT
    state = put(state, read({"S": 10}, invoice("I", 10, "0")))
    assert state.ending is Ending.RUNNING
    state = put(state, facts.PaymentsRecorded(open_amounts={"I": Decimal(0)}))
    assert (state.ending, state.stage) == (Ending.CLOSED, Stage.CLOSED)


def test_an_invoice_posted_while_finance_is_read_is_read_again() -> None:
    state = put(new_deal(), *TO_ORDER, facts.BillingChanged(text="…"))
    told = state.billing_told
    state = put(state, facts.BillingChanged(text="…"))
    state = put(state, read(covers=told))
    assert state.billing_unread
    state = put(state, read(covers=state.billing_told))
    assert not state.billing_unread


def test_a_second_order_in_sales_is_somebodys_business_until_it_is_cancelled() -> None:
    twice = readiness().model_copy(update={"more_sales_orders": ("ORD-2",)})
    state = put(new_deal(), *TO_ORDER[:4], facts.Prepared(readiness=twice, covers=0))
    assert state.exceptions == ("SECOND_SALES_ORDER: Sales has order ORD-2 of the quote as well",)
    again = put(state, facts.CreditDecided(decision=decision(False)), facts.Prepared(readiness=readiness(), covers=0))
    assert again.exceptions == ()


@pytest.mark.parametrize("made_after", [4, len(TO_ORDER)])
def test_a_quote_converted_once_more_is_somebodys_business_whenever_it_happens(made_after: int) -> None:
    """Before the order as after it: one exception per surplus order, gone when those are cancelled."""
    state = put(new_deal(), *TO_ORDER[:made_after], facts.OtherSalesOrders(numbers=("ORD-2", "ORD-3")))
    assert [text.partition(":")[0] for text in state.exceptions] == ["SECOND_SALES_ORDER"] * 2
    assert "Sales has order ORD-3" in details(state)
    again = apply(state, Event(at=T0, actor=SYSTEM, fact=facts.OtherSalesOrders(numbers=("ORD-2", "ORD-3"))))
    assert again.code == "STALE"
    one = put(state, facts.OtherSalesOrders(numbers=("ORD-3",)))
    assert one.exceptions == ("SECOND_SALES_ORDER: Sales has order ORD-3 of the quote as well",)
    assert put(one, facts.OtherSalesOrders(numbers=())).exceptions == ()


def test_an_order_cancelled_in_sales_stops_what_is_not_ordered_and_is_an_exception_afterwards() -> None:
    before = put(new_deal(), *TO_ORDER[:3], facts.SalesOrderCancelled())
    assert (before.ending, before.quote) == (Ending.CANCELLED, QuoteStatus.CANCELLED)
    after = put(new_deal(), *TO_ORDER, facts.SalesOrderCancelled())
    assert after.running and after.exceptions == (
        "SALES_ORDER_CANCELLED: order Q2C-1 is in Finance, its order in Sales was cancelled",
    )


def test_a_reopened_opportunity_is_somebodys_business() -> None:
    state = put(new_deal(), *TO_ORDER, facts.OpportunityReopened())
    assert state.exceptions == ("OPPORTUNITY_REOPENED: the opportunity was reopened in Sales",)


def test_what_is_told_of_invoices_grows_no_deal_and_is_forgotten_once_finance_was_read() -> None:
    told = [facts.BillingChanged(text="…", invoice=f"I-{n}") for n in range(10 * MOST_INVOICES_TOLD)]
    state = put(new_deal(), *TO_ORDER, *told)
    assert len(state.invoices_told) == MOST_INVOICES_TOLD and state.billing_told == len(told)
    assert put(state, read(covers=len(told) - 1)).invoices_told == state.invoices_told
    assert put(state, read(covers=len(told))).invoices_told == frozenset()


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


def test_a_reading_nobody_asks_for_any_more_leaves_what_was_decided_whatever_it_shows() -> None:
    state = put(
        new_deal(), facts.Assessed(assessment=assessment(), asked="q"), facts.Submitted(revision=0, quote_id="q")
    )
    found = assessment(steps=(STEP,), content="h1").model_copy(update={"stale": "the quote is closed"})
    after = put(state, facts.Assessed(assessment=found, asked="q"))
    assert (after.quote, after.approved_hash, after.resubmitted) == (QuoteStatus.APPROVED, "h0", False)
    assert after.assessment == state.assessment


def test_resubmitting_other_content_needs_approval_anew() -> None:
    state = put(
        new_deal(), facts.Assessed(assessment=assessment(), asked="q"), facts.Submitted(revision=0, quote_id="q")
    )
    state = put(state, facts.Assessed(assessment=assessment(steps=(STEP,), content="h1"), asked="q"))
    assert (state.quote, state.approved_hash) == (QuoteStatus.APPROVAL_DUE, "")


def test_more_shipped_than_ordered_is_an_exception_not_a_loss() -> None:
    state = put(new_deal(), *TO_ORDER, read({"S": 11}))
    assert state.exceptions == ("OVER_DELIVERY: line 1: 11 shipped, but only 10 may be delivered",)
    assert put(state, read({"S": 10})).exceptions == ()


def test_what_people_read_is_bounded_however_many_lines_are_wrong() -> None:
    ordered = put(new_deal(), *TO_ORDER)
    lines = totals(*[1] * 5_000, shipped=dict.fromkeys(range(1, 5_001), 2))
    over = facts.BillingRead(billing=Billing(status="x", lines=lines, slips=(), invoices=()), covers=0, at=T0)
    state = put(ordered, over)
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
    assert put(state, over).exceptions[0].startswith("OVER_DELIVERY: line 1")


def test_a_parked_step_is_a_sentence_on_the_timeline_and_its_raw_answer_a_fact_of_the_audit() -> None:
    raw = "finance POST api/services/Q2CPostingService/confirm 400 AxException: Write failed. Infolog: Error: Closed."
    parked = ParkedStep(
        step="Confirm order 1", activity="a", cause="Refused", message=raw, suggestion="", since=T0, failures=0
    )
    fact = facts.StepParked(parked=parked)
    told = apply(new_deal(), Event(at=T0, actor=SYSTEM, fact=fact))
    assert told.audit.text == "waits for a person: Confirm order 1: Finance refused it: Closed"
    assert facts_of(fact) == {"cause": "Refused", "answer": raw}


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

    @rule()
    def put_order_off(self) -> None:
        if self.tell(facts.OrderPutOff(why="the facts are old")):
            self.orders_started -= 1
            assert self.state.awaits_credit or not self.state.won
            assert (self.state.credit, self.state.order_number) == (CreditStatus.NOT_CHECKED, "")

    @rule(fact=st.sampled_from((CREATED, *TO_ORDER[7:], facts.CreditRejected(reason="…"))))
    def finance(self, fact: Fact) -> None:
        self.tell(fact)

    @rule(fact=st.sampled_from((*(fact for _, fact in DOCUMENTS), *READINGS)))
    def document(self, fact: Fact) -> None:
        self.tell(fact)

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


@pytest.mark.parametrize("seed", range(20))
def test_what_was_read_last_holds_in_whatever_order_documents_were_told(seed: int) -> None:
    told = [fact for _, fact in DOCUMENTS] + list(READINGS)
    random.Random(seed).shuffle(told)
    state = put(put(new_deal(), *TO_ORDER), *told, read({"S1": 6, "S2": 4}))
    assert (state.delivery.lines.shipped, state.delivery.slips) == (Decimal(10), {"S1": Decimal(6), "S2": Decimal(4)})
    assert state.exceptions == ()


def test_what_a_deal_keeps_of_its_lines_has_the_same_size_however_many_there_are() -> None:
    sizes = []
    for count in (MOST_LINES_SHOWN, 20_000):
        lines = totals(*[7] * count, shipped=dict.fromkeys(range(1, count + 1), 3))
        created = CREATED.model_copy(update={"lines": lines})
        state = put(new_deal(), *TO_ORDER[:6], created, *TO_ORDER[7:])
        reading = facts.BillingRead(billing=Billing(status="x", lines=lines, slips=(), invoices=()), covers=0, at=T0)
        checkpoint = Checkpoint(state=put(state, reading))
        sizes.append((len(checkpoint.model_dump_json()), len(view(checkpoint.state).model_dump_json())))
    (small, small_view), (large, large_view) = sizes
    assert large < small + 500 and large_view < small_view + 500


def test_products_that_cannot_be_sold_are_named_up_to_a_bound() -> None:
    blocked = tuple(
        PriceDrift(line_no=n, item=f"P{n}", pinned=Decimal(1), current=Decimal(0), blocked=n < 3) for n in range(1, 5)
    )
    assert readiness().model_copy(update={"drift": blocked, "blocked_lines": 2}).blocked == "P1, P2"
    many = readiness().model_copy(update={"drift": blocked, "blocked_lines": 9_000})
    assert many.blocked == "P1, P2 and 8998 more lines"
    assert readiness().blocked == ""


def test_of_too_many_lines_those_are_shown_that_need_somebody() -> None:
    """Given 500 lines, 3 shipped too often and 200 not shipped, then they are shown before the rest."""
    shipped = dict.fromkeys(range(1, 301), 1) | dict.fromkeys((17, 170, 270), 2)
    shown = totals(*[1] * 500, shipped=shipped, invoiced=shipped).shown
    assert len(shown) == MOST_LINES_SHOWN
    assert [line.line_no for line in shown] == [17, 170, 270, *range(301, 398)]
