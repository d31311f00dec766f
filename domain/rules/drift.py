"""Prices that moved between approval and order: honoured, told, asked once more, or held (lifecycle 4.3)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from domain import facts
from domain.approvals import ApprovalState, ApprovalStatus
from domain.credit_facts import CreditStatus
from domain.deal_state import DealState, QuoteStatus
from domain.drift import asked_anew, in_words
from domain.frozen import replace
from domain.people import Person
from domain.price_look import DriftDecision, Verdict
from domain.refusals import Refusal
from domain.rules.change import Change, illegal, with_exception, without_exceptions
from domain.rules.following import Rules

RULES: Final = Rules()


@RULES.rule
def moved(state: DealState, fact: facts.PricesMoved) -> Change:
    """What a look at prices changes.

    Raises:
        Refused: the deal is not about to be ordered.
    """
    look = fact.look
    if state.credit is not CreditStatus.CHECKING or state.assessment is None:
        illegal(f"prices looked at: credit is {state.credit}")
    text = str(in_words(look))
    seen = replace(without_exceptions(state, Refusal.PRICE_FELL), drift=look.kept, drift_decision=None)
    if look.fell or look.verdict is Verdict.FELL:
        seen = with_exception(seen, f"{Refusal.PRICE_FELL}: {text}")
    if look.verdict is Verdict.ASK and look.anew is not None:
        asked = replace(
            seen,
            assessment=asked_anew(state.assessment, look.anew),
            quote=QuoteStatus.APPROVAL_DUE,
            approved_hash="",
            approval_text="",
            credit=CreditStatus.NOT_CHECKED,
            credit_decision=None,
            release_asked=None,
        )
        return Change(asked, text)
    return Change(seen, text)


def look_due(state: DealState, fact: facts.PricesMoved) -> bool:
    """Whether a look tells anything that the deal does not know: what was told once is not told at every check."""
    look, known = fact.look, state.drift
    if known is None:
        return look.verdict is not Verdict.SAME
    if look.price_hash != known.price_hash:
        return True
    return look.verdict is not known.verdict and look.verdict is not Verdict.SAME


def decided(state: DealState, decision: DriftDecision) -> DealState:
    """The state with what a person said about a move of prices that held the deal."""
    return state if state.drift is None else replace(state, drift_decision=decision)


def answered(state: DealState, result: ApprovalState) -> DealState:
    """The state with who decided about a move of prices that was asked once more."""
    if state.drift is None or state.drift.verdict is not Verdict.ASK:
        return state
    said = [(step.decided_at, step.decided_by) for step in result.steps if step.decided_at and step.decided_by]
    if not said:
        return state
    by = sorted(said, key=_moment)[-1][1]  # of two at the same moment, the later step's
    action = "approved" if result.status is ApprovalStatus.COMPLETED else str(result.status)
    return decided(state, DriftDecision(action=action, by=by, reason=result.reason))


def _moment(said: tuple[datetime, Person]) -> datetime:
    return said[0]
