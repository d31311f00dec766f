"""The end of a deal, and what is left to do then: tell Sales, give credit back."""

from __future__ import annotations

from typing import Final, assert_never

from domain import facts
from domain.deal_state import DealState, OrderStatus, QuoteStatus, SalesDue
from domain.facts import ClosingFact
from domain.frozen import replace
from domain.refusals import Refusal
from domain.rules.change import Change, with_exception
from domain.rules.following import Rules
from domain.views import Ending

RULES: Final = Rules()


@RULES.rule
def follow(state: DealState, fact: ClosingFact) -> Change:
    """What a fact of the end changes.

    Raises:
        Refused: it changes nothing.
    """
    match fact:
        case facts.RunCancelled():
            return _run_cancelled(state)
        case facts.SalesTold():
            return Change(replace(state, sales_due=SalesDue.NOTHING), "Sales shows how the deal ended")
        case facts.SalesNotTold():
            text = f"{Refusal.SALES_NOT_TOLD}: {fact.reason}"
            after = with_exception(replace(state, sales_due=SalesDue.NOTHING), text)
            return Change(after, f"Sales was not told how the deal ended: {fact.reason}")
        case facts.CreditGivenBack():
            return Change(replace(state, credit_given_back=True), "credit given back")
        case _:
            assert_never(fact)


def ended_here(state: DealState, ending: Ending, tell: SalesDue) -> DealState:
    """The deal ended by somebody's word here, and not by what happened in Sales.

    What has gone too far for Sales to be told becomes an exception for a person: a quote that is won can only be read,
    and an order in Finance is no longer ours alone.

    Args:
        state: the deal as it stands.
        ending: how it ends.
        tell: what Sales is told, where its quote can still be written.
    """
    ended = replace(state, ending=ending)
    if state.beyond_recall and state.changing is None:
        text = f"{Refusal.LEFT_OPEN}: order {state.order_number} is no longer followed"
        return with_exception(ended, text)
    if state.order is not OrderStatus.NONE:
        text = f"{Refusal.ORDER_IN_FINANCE}: order {state.order_number} may be in Finance"
        return with_exception(ended, text)
    if tell is SalesDue.CANCELLED:
        ended = replace(ended, quote=QuoteStatus.CANCELLED)
    if state.accepted:
        return with_exception(ended, f"{Refusal.WON_IN_SALES}: the quote is won in Sales")
    return replace(ended, sales_due=tell)


def _run_cancelled(state: DealState) -> Change:
    text = "the run was cancelled in Temporal"
    if not state.running:
        return Change(replace(state, given_up=True), f"{text}: what is left to clean up is left")
    return Change(ended_here(state, Ending.CANCELLED, SalesDue.CANCELLED), text)
