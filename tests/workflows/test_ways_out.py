"""A way out of everything: whatever a deal waits for, an authorised person can end it with a reason, or have it read.

The states are all that can be reached (``tests.reachable``), never a list. What a person says goes the way of every
command: the shipped table of rights, then the rules. From each state the words of people, and what the deal and the two
systems then do by themselves, lead to an end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain

import pytest

from domain import facts
from domain.approvals import ApprovalStatus
from domain.commands import fact_of
from domain.deal import apply
from domain.deal_state import DealState, OrderStatus
from domain.explain import explain
from domain.facts import Event, Fact
from domain.given import TAKES
from domain.given_facts import ValueGiven
from domain.messages import CommandName
from domain.people import Person
from domain.refusals import Refusal
from domain.rules import step
from domain.rules.change import Refused
from domain.views import Ending, WaitingFor
from tests.deals import CREATED, SYSTEM, T0, TO_ORDER, approval, invoice, new_deal, put, read
from tests.reachable import done, essence, next_states, states, waiting
from tests.rights import ARGS, naming, said

OTTO = Person(oid="oid-otto", name="otto", roles=("ops",))
CARL = Person(oid="oid-carl", name="carl", roles=("credit_manager.usmf",))
WHO = {
    CommandName.CANCEL: OTTO,
    CommandName.CREDIT_REJECT: CARL,
    CommandName.CANCEL_ORDER: OTTO,
    CommandName.ABORT: OTTO,
}
"""Who ends a deal, with which word."""
POLICY = naming(("credit_manager", CARL))


def meaning(name: CommandName, who: Person, state: DealState) -> Fact:
    """What a command of a person means, its right looked up in the shipped table."""
    return fact_of(said(who, name, ARGS[name], policy=POLICY, at=T0), state, deal_id="q2c/usmf/Q-1", at=T0)


@cache
def ending(name: CommandName) -> Fact:
    """What a word that ends a deal means; it is the same whatever the deal waits for."""
    return meaning(name, WHO[name], new_deal())


def ended_by(state: DealState) -> Iterator[tuple[CommandName, DealState]]:
    """What each word that ends a deal makes of it, where it is taken."""
    for name, who in WHO.items():
        after = apply(state, Event(at=T0, actor=who, fact=ending(name)))
        if after.accepted:
            yield name, after.state


def over(state: DealState) -> bool:
    """Whether the deal has ended, and nothing of its clean-up waits for anybody any more."""
    return not state.running or state.given_up


def _request_ended(state: DealState) -> Iterator[Fact]:
    """That a request which nobody waits for any more is taken back."""
    if state.request_over and state.open_request is not None:
        yield facts.ApprovalEnded(n=state.open_request.n, result=approval(ApprovalStatus.WITHDRAWN))


@pytest.mark.timeout(600)
def test_from_every_state_a_deal_can_reach_a_person_can_end_it() -> None:
    before = defaultdict[tuple[object, ...], set[tuple[object, ...]]](set)
    ends = set[tuple[object, ...]]()
    for state in states():
        key = essence(state)
        if over(state):
            ends.add(key)
            continue
        for _, after in next_states(state, map(ending, WHO)):
            before[essence(after)].add(key)
        for _, after in next_states(state, chain(done(state), _request_ended(state))):
            before[essence(after)].add(key)
    found, frontier = set(ends), list(ends)
    while frontier:
        for key in before[frontier.pop()] - found:
            found.add(key)
            frontier.append(key)
    lost = [essence(state) for state in states() if essence(state) not in found]
    assert lost == []


@pytest.mark.timeout(600)
def test_a_deal_that_waits_is_ended_by_one_word_and_the_words_are_those_of_the_operators_page() -> None:
    """What it waits for, and which words end it: docs/operations.md, "A way out"."""
    words = defaultdict[WaitingFor, set[CommandName]](set)
    stuck = set[tuple[WaitingFor, tuple[object, ...]]]()
    for state in states():
        waiting_for = explain(state).waiting_for
        if state.running and waiting_for is not WaitingFor.NOTHING:
            taken = {name for name, _ in ended_by(state)}
            words[waiting_for] |= taken
            if not taken and not _has_just_begun(state):
                stuck.add((waiting_for, essence(state)))
        for blocked in waiting(state):  # a step waits for a person, or for a system that is away
            after = apply(blocked, Event(at=T0, actor=OTTO, fact=ending(CommandName.ABORT)))
            assert after.accepted and over(after.state), essence(state)
    assert stuck == set()
    before_the_order = {CommandName.CANCEL}
    for quote in (WaitingFor.REP, WaitingFor.CUSTOMER, WaitingFor.CUSTOMER_SETUP):
        assert words[quote] >= before_the_order, quote
    assert words[WaitingFor.CREDIT] >= {CommandName.CANCEL, CommandName.CREDIT_REJECT}
    assert words[WaitingFor.SHIPMENT] >= {CommandName.CANCEL_ORDER}
    for money in (WaitingFor.INVOICE, WaitingFor.PAYMENT, WaitingFor.UNAPPLIED):
        assert words[money] >= {CommandName.ABORT}, money


def _has_just_begun(state: DealState) -> bool:
    """Whether an order is being cancelled and nothing has refused it yet: that it is asked is the way out."""
    return state.cancelling and state.changing is not None and not state.changing.failure


@pytest.mark.timeout(600)
def test_whatever_waits_can_be_read_again() -> None:
    """A report that was lost keeps nobody waiting: a person has the systems read, and what is found counts."""
    refused = set[tuple[str, object, object]]()
    for state in states():
        waiting_for = explain(state).waiting_for
        if not state.running or waiting_for in (WaitingFor.NOTHING, WaitingFor.APPROVAL):
            continue
        after = apply(state, Event(at=T0, actor=OTTO, fact=meaning(CommandName.REREAD, OTTO, state)))
        if not after.accepted:
            refused.add((str(waiting_for), state.quote, after.code))
    assert refused <= {("rep", "superseded", Refusal.ILLEGAL_TRANSITION)}, "a new revision is read when it is submitted"


@pytest.mark.timeout(600)
def test_a_step_of_which_people_know_the_outcome_is_ended_with_it_wherever_it_waits() -> None:
    """In every state in which the order is being made, two of them give its number, and the step is tried with it."""
    olga = Person(oid="oid-olga", name="olga", roles=("ops",))
    tried = 0
    making = (state for state in states() if state.order is OrderStatus.CREATING)
    for blocked in chain.from_iterable(map(waiting, making)):
        if blocked.parked is None:
            continue
        for activity in TAKES:
            state = replace(blocked, parked=blocked.parked.model_copy(update={"activity": activity}))
            for who in (OTTO, olga):
                given = ValueGiven(value="SO-1", reason="by hand", by=who, at=T0)
                after = apply(state, Event(at=T0, actor=who, fact=given))
                assert after.accepted, essence(state)
                state = after.state
            assert (state.parked, state.given) == (None, "SO-1"), essence(blocked)
            tried += 1
    assert tried > 10


SHIPPED = read({"S": 10})


def test_a_shipped_order_that_nobody_invoices_is_ended_by_operations_and_left_to_receivables() -> None:
    state = put(new_deal(), *TO_ORDER, facts.BillingChanged(text=""), SHIPPED.model_copy(update={"covers": 1}))
    assert explain(state).waiting_for is WaitingFor.INVOICE
    (way,) = ended_by(state)
    name, after = way
    assert (name, after.ending) == (CommandName.ABORT, Ending.ABORTED)
    assert after.exceptions == ("LEFT_OPEN: order Q2C-1 is no longer followed",)


def test_an_unpaid_invoice_keeps_no_deal_for_ever() -> None:
    billed = read({"S": 10}, invoice("I", 10, "1045")).model_copy(update={"covers": 1})
    state = put(new_deal(), *TO_ORDER, facts.BillingChanged(text=""), billed)
    state = put(state, facts.ShipmentRecorded(slips=("S",)))
    state = put(state, facts.InvoicesRecorded(open_amounts={"I": billed.billing.invoices[0].open_amount}))
    assert explain(state).waiting_for is WaitingFor.PAYMENT
    assert [name for name, _ in ended_by(state)] == [CommandName.ABORT]


@pytest.mark.parametrize(
    ("told", "instead"), [((), "cancel the deal"), (TO_ORDER[:7], "cancel the order"), (TO_ORDER, "cancel the order")]
)
def test_what_can_still_be_undone_is_undone_and_not_left(told: tuple[Fact, ...], instead: str) -> None:
    """An order that Finance can still cancel is never merely forgotten."""
    assert CREATED in TO_ORDER[:7]
    state = put(new_deal(), *told)
    assert state.order in (OrderStatus.NONE, OrderStatus.CREATED, OrderStatus.CONFIRMED)
    with pytest.raises(Refused, match=instead):
        step.follow(state, facts.StepResumed(action="abort", reason="r"))


def test_a_customer_who_won_unheard_is_seen_when_the_quote_is_read_again() -> None:
    """The webhook of Win was lost: reading again catches up, and what was approved stands."""
    state = put(new_deal(), TO_ORDER[0], facts.Activated(revision=0))
    assert explain(state).waiting_for is WaitingFor.CUSTOMER
    again = put(state, meaning(CommandName.REREAD, OTTO, state))
    assessed = TO_ORDER[0]
    assert isinstance(assessed, facts.Assessed)
    seen = assessed.assessment.model_copy(update={"state": "won", "accepted_at": T0})
    after = put(again, facts.Assessed(assessment=seen, asked="q"))
    assert (after.won, after.approved_hash, again.resubmitted) == (True, state.approved_hash, True)
    assert apply(after, Event(at=T0, actor=SYSTEM, fact=facts.AssessmentDue(reason=""))).code
