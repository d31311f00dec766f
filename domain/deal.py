"""The deal as a pure state machine: ``apply(state, event)`` says what a fact changes, and what it does not.

No clock, no I/O, no Temporal: the workflow feeds it and does what is due; property tests run it alone. What follows
from each fact is said in ``domain.rules``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from domain import facts
from domain.deal_state import DealState, OrderStatus
from domain.facts import (
    ClosingFact,
    Event,
    Fact,
    StepFact,
)
from domain.frozen import replace
from domain.money import plain
from domain.refusals import Refusal
from domain.rules import (
    changing,
    closing,
    credit,
    customer,
    delivery,
    deposits,
    drift,
    growing,
    order,
    quote,
    recheck,
    refunds,
    step,
)
from domain.rules.change import Change, Refused
from domain.rules.following import Rules, facts_of
from domain.views import Ending, Stage, TimelineEntry

LONGEST_TEXT = 1_000
"""Characters of an audit record's text: hundreds of records are answered together."""


@dataclass(frozen=True, kw_only=True)
class Transition:
    """What an event did: the state from now on, its audit record, and the code where it was refused."""

    state: DealState
    audit: TimelineEntry
    code: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the state moved on."""
        return not self.code


def apply(state: DealState, event: Event) -> Transition:
    """What ``event`` makes of ``state``.

    Args:
        state: the deal as it stands; never changed.
        event: a fact with its circumstances.

    Returns:
        The next state with one audit record. A refusal leaves the state as it is and writes a record with its code.
    """
    try:
        after, text = _follow(state, event.fact)
    except Refused as refusal:
        audit = _audit(state, event, refusal.text, code=refusal.code, after=state)
        return Transition(state=state, audit=audit, code=refusal.code)
    if after.running and after.settled:
        after = replace(after, ending=Ending.CLOSED)
        cancelled = after.delivery.lines.cancelled
        text += f"; the deal is closed short: {plain(cancelled)} cancelled" if cancelled else "; the deal is closed"
    stage = _stage(after)
    waits_anew = (stage, *_waits_for(after)) != (state.stage, *_waits_for(state))
    after = replace(
        after,
        version=state.version + 1,
        updated_at=event.at,
        stage=stage,
        order=_order_status(after),
        waiting_since=event.at if waits_anew else after.waiting_since,
    )
    return Transition(state=after, audit=_audit(state, event, text, code="", after=after))


RULES: Final = Rules(
    part.RULES
    for part in (
        quote,
        customer,
        credit,
        recheck,
        drift,
        order,
        changing,
        growing,
        delivery,
        deposits,
        refunds,
        closing,
        step,
    )
)
"""What follows from each fact, by the part of the deal that it belongs to."""
RULES.require(set(facts_of(Fact)) - {facts.Refused})
_AFTER_THE_END = facts.ApprovalEnded | facts.ApprovalLost | ClosingFact | StepFact
"""What may still happen when a deal has ended: its request ends, and it is cleaned up after."""


def _follow(state: DealState, fact: Fact) -> Change:
    if isinstance(fact, facts.Refused):
        raise Refused(fact.code, f"{fact.what}: {fact.detail}" if fact.detail else fact.what)
    if not state.running and not isinstance(fact, _AFTER_THE_END):
        raise Refused(Refusal.TERMINAL, f"the deal has ended ({state.ending})")
    return RULES.follow(state, fact)


def _audit(before: DealState, event: Event, text: str, *, code: str, after: DealState) -> TimelineEntry:
    name = event.fact.what if isinstance(event.fact, facts.Refused) else type(event.fact).__name__
    return TimelineEntry(
        version=after.version,
        at=event.at,
        actor=event.actor,
        event=name,
        text=text[:LONGEST_TEXT],
        stage=after.stage,
        accepted=not code,
        code=code,
        before=_vector(before),
        after=_vector(after),
        policy_version=after.policy.version,
    )


def _vector(state: DealState) -> str:
    return f"{state.stage}: quote {state.quote}, credit {state.credit}, order {state.shown_order}"


def _waits_for(state: DealState) -> tuple[object, ...]:
    started = state.customer is None, state.changing is None, state.asks_for_more
    return state.quote, state.credit, state.parked is None, bool(state.questions), state.deposit_holds, *started


def _stage(state: DealState) -> Stage:
    if state.ending is Ending.CLOSED:
        return Stage.CLOSED
    if state.order in (OrderStatus.NONE, OrderStatus.CREATING) or not state.sales_order_id:
        if state.order is not OrderStatus.NONE or state.may_order:
            return Stage.ORDER
        if state.won:
            return Stage.CREDIT
        return Stage.QUOTE if state.assessment else Stage.OPPORTUNITY
    if not state.delivery.all_shipped:
        return Stage.FULFILMENT
    return Stage.PAYMENT if state.delivery.all_invoiced else Stage.INVOICE


def _order_status(state: DealState) -> OrderStatus:
    delivery = state.delivery
    if delivery.cancelled:
        return OrderStatus.CANCELLED
    if not state.confirmation_number:
        return state.order
    if state.ending is Ending.CLOSED:
        return OrderStatus.CLOSED_SHORT if delivery.lines.cancelled else OrderStatus.CLOSED
    if delivery.all_invoiced:
        return OrderStatus.INVOICED
    if delivery.any_invoiced:
        return OrderStatus.PARTIALLY_INVOICED
    if delivery.all_shipped:
        return OrderStatus.SHIPPED
    return OrderStatus.PARTIALLY_SHIPPED if delivery.any_shipped else OrderStatus.CONFIRMED
