"""Credit of a confirmed order: decided again, and what of it Finance and Sales are told."""

from __future__ import annotations

from typing import Final

from domain import credit_recheck_facts as facts
from domain.credit_facts import CreditStatus
from domain.credit_following import follows
from domain.credit_rule import RELEASED
from domain.deal_state import DealState
from domain.frozen import replace
from domain.order_stop import OrderStop
from domain.rules.change import Change, illegal
from domain.rules.following import Rules

RULES: Final = Rules()


@RULES.rule
def _rechecked(state: DealState, fact: facts.CreditRechecked) -> Change:
    if not follows(state):
        illegal("nothing of the order is left to hold")
    looked = replace(state, recheck_covered=max(state.recheck_covered, fact.covers), credit_looked_at=fact.at)
    decision = fact.decision
    if decision is None:
        passed = CreditStatus.PASSED if state.credit is CreditStatus.HELD else state.credit
        return Change(replace(looked, credit=passed), "Finance has nothing of the order left to invoice")
    looked = replace(looked, credit_decision=decision)
    if not decision.passed:
        return Change(replace(looked, credit=CreditStatus.HELD), f"credit held: {decision.text}")
    by_release = any(reason.code == RELEASED for reason in decision.reasons)
    status = CreditStatus.RELEASED if by_release else CreditStatus.PASSED
    # Finance looks at credit when it posts as well: what a person released here is released there.
    tells = by_release and state.credit is CreditStatus.HELD
    given = replace(looked, credit=status, release_asked=None, release_due=state.release_due or tells)
    return Change(given, f"credit {status}: {decision.text}")


_STOPPED: Final = {
    OrderStop.OURS: "Finance keeps order {} from the warehouse",
    OrderStop.FOUND: "Finance keeps order {} from the warehouse, as somebody there wanted before",
    OrderStop.NONE: "order {} is not kept from the warehouse any more on behalf of this deal",
}


@RULES.rule
def _stopped(state: DealState, fact: facts.OrderStopped) -> Change:
    return Change(replace(state, stop=fact.stop), _STOPPED[fact.stop].format(state.order_number))


@RULES.rule
def _hold_released(state: DealState, _fact: facts.HoldReleased) -> Change:
    if not state.release_due:
        illegal("no hold is to be released")
    told = replace(
        state,
        release_due=False,
        delivery=replace(state.delivery, hold=""),
        billing_told=state.billing_told + 1,
    )
    return Change(told, "Finance was told that the hold is released")


@RULES.rule
def _hold_shown(state: DealState, fact: facts.HoldShown) -> Change:
    text = "Sales shows why the order is held" if fact.text else "Sales shows that the order is not held"
    return Change(replace(state, shown_hold=fact.text), text)
