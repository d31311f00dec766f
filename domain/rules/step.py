"""Steps that wait: for a person, or for a system that does not answer."""

from __future__ import annotations

from typing import Final, assert_never

from domain import facts
from domain.causes import Cause, failure_of
from domain.deal_state import DealState, OrderStatus, Outage, SalesDue
from domain.facts import StepFact
from domain.frozen import replace
from domain.given import TAKES, GivenValue
from domain.given_facts import ValueGiven
from domain.price_look import DriftDecision
from domain.refusals import Refusal
from domain.rules import drift
from domain.rules.change import Change, Refused
from domain.rules.changing import retried
from domain.rules.closing import ended_here
from domain.rules.following import Rules
from domain.views import Ending, Resolution

RULES: Final = Rules()
LONGEST_REASON: Final = 500
"""Characters of a first person's reason that the deal keeps; the audit keeps it whole."""


@RULES.rule
def follow(state: DealState, fact: StepFact) -> Change:
    """What a step that waits, or goes on, changes.

    Raises:
        Refused: it changes nothing.
    """
    match fact:
        case facts.StepParked():
            return _parked(state, fact)
        case facts.StepResumed():
            return _resumed(state, fact)
        case facts.StepOvertaken():
            return Change(replace(state, parked=None, outage=None, given=""), f"{fact.step}: not needed any more")
        case facts.Unreachable():
            outage = Outage(system=fact.system, since=fact.since, message=fact.message)
            waits = replace(state, outage=outage, waiting_since=fact.since)
            return Change(waits, f"waiting for {fact.system}: {fact.message}")
        case facts.Reachable():
            return Change(replace(state, outage=None), f"{fact.system} answers again")
        case ValueGiven():
            return _given(state, fact)
        case _:
            assert_never(fact)


def _parked(state: DealState, fact: facts.StepParked) -> Change:
    activity = fact.parked.activity
    count = state.park_count.get(activity, 0) + 1
    parked = fact.parked.model_copy(update={"failures": count, "takes_value": activity in TAKES})
    waits = replace(
        state, parked=parked, park_count={**state.park_count, activity: count}, resolution=None, outage=None, given=""
    )
    return Change(waits, f"waits for a person: {failure_of(parked.step, Cause.of(parked.cause), parked.message)}")


def _resumed(state: DealState, fact: facts.StepResumed) -> Change:
    text = f"{fact.action}: {fact.reason}" if fact.reason else str(fact.action)
    if fact.by is not None and state.parked is not None and state.parked.cause == Cause.PRICE_DRIFT:
        state = drift.decided(state, DriftDecision(action=fact.action, by=fact.by, reason=fact.reason))
    if fact.action is Resolution.ABORT:
        return Change(_aborted(state), text)
    if state.parked is None and fact.action is Resolution.RETRY and state.changing and state.changing.retry_at:
        return retried(state, fact.reason or "a person asked for it")
    if state.parked is None:
        raise Refused(Refusal.NOT_PARKED, "no step waits for a person")
    if fact.action is Resolution.SKIP and not state.parked.can_skip:
        raise Refused(Refusal.CANNOT_SKIP, "this step must be done")
    return Change(replace(state, parked=None, resolution=fact.action, given=""), text)


def _given(state: DealState, fact: ValueGiven) -> Change:
    """A person knows what came of the step: it is tried again with that, and reads it before it counts."""
    parked = state.parked
    if parked is None:
        raise Refused(Refusal.NOT_PARKED, "no step waits for a person")
    takes = TAKES.get(parked.activity)
    if takes is None:
        raise Refused(Refusal.CANNOT_SKIP, "this step takes no value")
    if len(fact.value) > takes.longest:
        raise Refused(Refusal.BAD_ARGUMENT, f"value: {takes.longest} characters at most")
    found = state.assessment
    if found is not None and any(fact.by.is_same(maker) for maker in (found.owner, found.submitted_by, *found.makers)):
        raise Refused(Refusal.MAKER_CANNOT_GIVE, "the rep of a deal says nothing about its order")
    said, first = f"{takes.what.lower()} {fact.value}: {fact.reason}", parked.given
    if takes.by_two and (first is None or first.value != fact.value):
        given = GivenValue(value=fact.value, by=fact.by, at=fact.at, reason=fact.reason[:LONGEST_REASON])
        asks = parked.model_copy(update={"given": given})
        return Change(replace(state, parked=asks), f"{said}; a second person has to give the same")
    if takes.by_two and first is not None and fact.by.is_same(first.by):
        raise Refused(Refusal.NEEDS_SECOND_PERSON, f"{first.by.label} gave {first.value}")
    tried = replace(state, parked=None, resolution=Resolution.RETRY, given=fact.value)
    return Change(tried, f"{said}; it is read in the other system")


def _aborted(state: DealState) -> DealState:
    """A person does not want to wait any longer: for another person, for a system, or for the clean-up."""
    if state.parked is None and state.outage is None and not state.beyond_recall:
        left = "cancel the deal" if state.order is OrderStatus.NONE else "cancel the order"
        raise Refused(Refusal.NOT_PARKED, f"nothing waits that could be aborted: {left} instead")
    freed = replace(state, parked=None, resolution=Resolution.ABORT)
    return ended_here(freed, Ending.ABORTED, SalesDue.LET_GO) if state.running else replace(freed, given_up=True)
