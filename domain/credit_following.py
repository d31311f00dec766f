"""Credit of an order that is confirmed and not shipped: when it is looked at again, and what follows from a refusal.

A deal whose order is refused credit is held: Finance is told not to process the order, so that the warehouse gets none
of it, and Sales shows why. What is shipped already is invoiced and paid all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from domain.credit_facts import CreditStatus
from domain.credit_lifting import hold_in_words
from domain.deal_state import DealState
from domain.frozen import replace

LOOK_AGAIN: Final = timedelta(hours=24)
"""How often credit of such an order is looked at though nothing was heard: due dates pass, limits and releases end."""


def follows(state: DealState) -> bool:
    """Whether credit of the order is looked at again: it is confirmed, and something of it is left to ship."""
    if not (state.running and state.policy.rechecks_credit and state.confirmation_number):
        return False
    over = state.cancelling or state.delivery.cancelled or state.credit is CreditStatus.REJECTED
    return bool(state.delivery.lines.to_ship) and not over


def recheck_due(state: DealState) -> bool:
    """Whether credit of the confirmed order is to be looked at now."""
    return follows(state) and state.recheck_due


def held(state: DealState) -> bool:
    """Whether the confirmed order was refused credit, and nobody gave it since."""
    return follows(state) and state.credit is CreditStatus.HELD


def _refused(state: DealState) -> bool:
    """Whether a person refused credit for good for what is left to ship."""
    return state.credit is CreditStatus.REJECTED and state.policy.rechecks_credit and bool(state.delivery.lines.to_ship)


def _stop_wanted(state: DealState) -> bool:
    """Whether the warehouse is to have none of the order."""
    return held(state) or (_refused(state) and not state.cancelling)


def let_go(state: DealState) -> DealState:
    """The state without a hold of which nothing is left: all of the order is shipped or cancelled. As it was before."""
    if state.credit is not CreditStatus.HELD or not state.confirmation_number or state.delivery.lines.to_ship:
        return state
    return replace(state, credit=CreditStatus.RELEASED if state.release else CreditStatus.PASSED)


def stop_due(state: DealState) -> bool:
    """Whether Finance is to be told that the order may be processed no more, or again."""
    return state.running and _stop_wanted(state) is not bool(state.stop)


def hold_to_show(state: DealState) -> str:
    """Why the confirmed order is held, as Sales is to show it; empty: it is not."""
    if _refused(state):
        return state.shown_hold
    return hold_in_words(state.credit_decision) if held(state) and state.credit_decision else ""


def hold_unshown(state: DealState) -> bool:
    """Whether Sales shows otherwise."""
    return state.running and hold_to_show(state) != state.shown_hold


def next_look(state: DealState, looked_at: datetime) -> datetime:
    """When credit is looked at again though nothing is heard.

    Args:
        state: the deal.
        looked_at: when it was looked at last, or told to be; UTC.

    Returns:
        A day later; earlier where the release that gives it ends before.
    """
    due = looked_at + LOOK_AGAIN
    release = state.release
    if state.credit is CreditStatus.RELEASED and release is not None and looked_at <= release.valid_until < due:
        return release.valid_until + timedelta(seconds=1)
    return due
