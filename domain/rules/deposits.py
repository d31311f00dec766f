"""An order that needs a deposit: held until it is there, whose it is to look, and what happens in spite of it.

Holding is done by not confirming: Finance has no confirmed hold of its own for it. What is shipped all the same is a
fact: it is recorded, and named to a person (lifecycle 2.6).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, assert_never

from domain import deposit_facts
from domain.deal_state import DealState
from domain.deposit_facts import DepositFact
from domain.frozen import replace
from domain.money import format_money, plain
from domain.refusals import Refusal
from domain.rules.change import Change, illegal, with_exception, without_exceptions
from domain.rules.following import Rules

_NAMED = (Refusal.DEPOSIT_OVERDUE, Refusal.DEPOSIT_REVERSED, Refusal.SHIPPED_WHILE_HELD)


RULES: Final = Rules()


@RULES.rule
def follow(state: DealState, fact: DepositFact) -> Change:
    """What a fact about the deposit changes.

    Raises:
        Refused: it changes nothing.
    """
    due = state.policy.deposit
    if due is None:
        illegal("the order needs no deposit")
    match fact:
        case deposit_facts.DepositAwaited():
            after = replace(state, deposit_since=state.deposit_since or fact.at)
            by = f"{after.deposit_due_at:%Y-%m-%d}" if after.deposit_due_at else ""
            return Change(after, f"a deposit of {due.words} is due by {by}; the order is confirmed when it is there")
        case deposit_facts.DepositOverdue():
            after = with_exception(replace(state, deposit_late=True), _overdue(state))
            return Change(after, f"{_money(state, state.deposit_missing)} of the deposit are overdue")
        case deposit_facts.DepositEnough():
            received = _money(state, state.delivery.deposits)
            return Change(looked_at(state), f"deposit of {received} received: the order is released")
        case _:
            assert_never(fact)


def looked_at(state: DealState) -> DealState:
    """The state after Finance was read: what is wrong about the deposit as open exceptions."""
    due = state.policy.deposit
    if due is None:
        return state
    after = without_exceptions(state, *_NAMED)
    if state.deposit_holds:
        if state.delivery.any_shipped:
            shipped = f"{plain(state.delivery.lines.shipped)} of order {state.order_number} shipped"
            missing = _money(state, state.deposit_missing)
            after = with_exception(after, f"{Refusal.SHIPPED_WHILE_HELD}: {shipped}, {missing} of its deposit missing")
        return with_exception(after, _overdue(state)) if state.deposit_late else after
    if state.confirmation_number and state.deposit_missing and state.delivery.lines.to_ship and not state.cancelling:
        text = f"{_money(state, state.deposit_missing)} of the deposit of order {state.order_number} came back"
        after = with_exception(after, f"{Refusal.DEPOSIT_REVERSED}: {text}")
    return after


def _overdue(state: DealState) -> str:
    return f"{Refusal.DEPOSIT_OVERDUE}: {_money(state, state.deposit_missing)} of order {state.order_number} missing"


def _money(state: DealState, amount: Decimal) -> str:
    return format_money(amount, state.header.currency)
