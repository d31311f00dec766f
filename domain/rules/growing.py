"""An order that is to become larger, before Finance is told: looked at, approved where it has to be, or given up.

Nothing is written until price, approval and credit say yes; whatever says no leaves the order as it was, and the reason
is told to the rep as an open exception.
"""

from __future__ import annotations

from typing import Final

from domain import order_change_facts
from domain.approvals import ApprovalState, ApprovalStatus
from domain.changing import ChangeStep, OrderChange
from domain.deal_state import DealState
from domain.frozen import replace
from domain.growing import SELL_ANEW, too_late
from domain.reapproval import PastRequest, in_words, remembered
from domain.refusals import Refusal
from domain.rules.change import Change, Refused, illegal, stale, with_exception, without_exceptions
from domain.rules.following import Rules
from domain.views import ApprovalSummary

MOST_LOST: Final = 3
"""Requests of one change that may end without an answer."""
MOST_REQUESTS: Final = 100
"""Requests of a deal, beyond which nobody is asked about a larger order any more: what a deal keeps is bounded."""


RULES: Final = Rules()


def may_be_asked(state: DealState, change: OrderChange) -> None:
    """Refuse at once an order that cannot become larger any more.

    Raises:
        Refused: the quoted prices hold no longer, nothing is left to ship, or too much was asked already.
    """
    found = state.assessment
    if found is None:
        illegal("nobody knows what the order was sold at")
    if late := too_late(found.expires_at, change.asked_at):
        raise Refused(Refusal.LARGER_ORDER, late)
    if len(state.approvals) >= MOST_REQUESTS:
        raise Refused(Refusal.LARGER_ORDER, f"{MOST_REQUESTS} requests for approval were made; {SELL_ANEW}")


def _of(state: DealState, number: int, step: ChangeStep) -> OrderChange:
    """The change that a result belongs to.

    Raises:
        Refused: it is over, another took its place, or it is further already.
    """
    change = state.changing
    if change is None or change.number != number or change.step is not step:
        stale("the change of the order is over, or further")
    return change


@RULES.rule
def seen(state: DealState, fact: order_change_facts.LargerOrderSeen) -> Change:
    """What a look at a larger order leads to.

    Raises:
        Refused: it belongs to a change that is over.
    """
    change = _of(state, fact.number, ChangeStep.LOOK)
    if fact.refused:
        return given_up(state, change, fact.refused)
    settled = without_exceptions(state, Refusal.CHANGE_FAILING)
    clear: dict[str, object] = {"failure": "", "failures": 0, "cause": "", "retry_at": None}
    if fact.larger is None:
        write = change.model_copy(update=clear | {"step": ChangeStep.WRITE})
        return Change(replace(settled, changing=write), "no line becomes larger")
    looked = change.model_copy(update=clear | {"larger": fact.larger, "raised": fact.raised, "credit": fact.credit})
    words = fact.larger.words(state.header.currency)
    if fact.decision is None and fact.larger.plan.asked:
        due = looked.model_copy(update={"step": ChangeStep.ASK, "raised": (), "credit": ""})
        return Change(replace(settled, changing=due), f"the larger order comes to {words}: it has to be approved")
    if fact.decision is None or not fact.decision.passed:
        return given_up(state, change, f"{Refusal.LARGER_NO_CREDIT}: credit was not given")
    covered = in_words(fact.larger.plan)
    needed = covered or ("it is approved" if change.approved else "no approval is needed")
    text = f"the larger order comes to {words}: {needed}; credit for the difference: {fact.decision.text}"
    return Change(replace(settled, changing=looked.model_copy(update={"step": ChangeStep.WRITE})), text)


@RULES.rule
def asked(state: DealState, fact: order_change_facts.LargerOrderAsked) -> Change:
    """Approvers are asked about the order as it would be; the change waits for them.

    Raises:
        Refused: the change is over.
    """
    change = _of(state, fact.number, ChangeStep.ASK)
    steps = fact.plan.asked
    summary = ApprovalSummary.asked_by(fact.plan, n=fact.n, revision=state.revision, at=fact.at)
    past = state.past_requests
    if change.larger is not None:
        past = remembered(past, PastRequest(n=fact.n, revision=state.revision, terms=change.larger.terms))
    waits = change.model_copy(update={"step": ChangeStep.APPROVAL, "request": fact.n})
    after = replace(state, changing=waits, approvals=(*state.approvals, summary), past_requests=past)
    people = ", ".join(f"{step.role} ({step.candidates[0].name})" for step in steps)
    covered = in_words(fact.plan)
    return Change(after, f"approval of the larger order asked of {people}" + (f"; {covered}" if covered else ""))


@RULES.rule
def not_asked(state: DealState, fact: order_change_facts.LargerOrderNotAsked) -> Change:
    """Nobody could be asked.

    Raises:
        Refused: the change is over.
    """
    change = _of(state, fact.number, ChangeStep.ASK)
    return given_up(state, change, f"{Refusal.LARGER_NOT_APPROVED}: {fact.reason}")


def waits_on(state: DealState, n: int) -> OrderChange | None:
    """The change of the order that waits for a request; None: none does."""
    change = state.changing if state.running else None
    return change if change is not None and change.request == n and change.step is ChangeStep.APPROVAL else None


def answered(state: DealState, change: OrderChange, result: ApprovalState, text: str) -> Change:
    """What the approvers said of a larger order: it is looked at again, with what they approved, or given up."""
    if result.status is ApprovalStatus.COMPLETED:
        approved = change.larger.asked_for if change.larger else ""
        again = change.model_copy(update={"step": ChangeStep.LOOK, "request": 0, "approved": approved})
        return Change(replace(state, changing=again), f"larger order: {text}")
    return given_up(state, change, f"{Refusal.LARGER_NOT_APPROVED}: {text}")


def lost(state: DealState, change: OrderChange, text: str) -> Change:
    """A request ended without an answer: it is asked once more, a few times."""
    times = change.lost + 1
    if times >= MOST_LOST:
        return given_up(state, change, f"{Refusal.LARGER_NOT_APPROVED}: {text}")
    again = change.model_copy(update={"step": ChangeStep.ASK, "request": 0, "lost": times})
    return Change(replace(state, changing=again), text)


def withdrawn(state: DealState, reason: str) -> Change | None:
    """The wish for more is taken back, as long as Finance was not told; None: there is none to take back."""
    change = state.changing
    if change is None or change.is_written or change.is_whole:
        return None
    text = f"the change of order {state.order_number} is taken back: {reason}"
    return Change(replace(without_exceptions(state, Refusal.CHANGE_FAILING), changing=None), text)


def given_up(state: DealState, change: OrderChange, reason: str) -> Change:
    """The change ends, and the order stays as it was; the reason is an open exception for the rep."""
    kept = without_exceptions(state, Refusal.CHANGE_FAILING)
    left = replace(kept, changing=None, billing_told=state.billing_told + (1 if change.is_written else 0))
    return Change(
        with_exception(left, f"{Refusal.CHANGE_REFUSED}: {reason}"), f"order {state.order_number} stays: {reason}"
    )
