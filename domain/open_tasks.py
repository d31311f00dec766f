"""What of a deal waits for a person who is neither its rep nor an approver: since when, seen from the state alone.

Each says what waits, and by what it is known to be the same still: whoever can act is told when it begins, and again
only where it has become something else (``domain.notices``).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from domain.causes import Cause, what_failed
from domain.credit_facts import CreditStatus
from domain.deal_state import DealState
from domain.explain import explain
from domain.money import format_money
from domain.payments import RefundStatus
from domain.people import Person
from domain.views import WaitingFor


class Wait(NamedTuple):
    """Something that waits for a person."""

    of: Hashable
    """The same as long as it is the same."""
    text: str
    """In words, without what only some may see."""
    but: Person | None = None
    """Who is not told: they asked for it, and may not be the second person."""


Waits = Callable[[DealState], Wait | None]


def held(state: DealState) -> Wait | None:
    """Credit that is not given, by our rule or by Finance's."""
    if not state.running or not (state.credit is CreditStatus.HELD or state.held_by_finance):
        return None
    decision = state.credit_decision
    return Wait("held", state.hold_text or (decision.text if decision else "") or "Credit is not given.")


def second_release(state: DealState) -> Wait | None:
    """A release of credit that takes a second person."""
    asked = state.release_asked
    if asked is None or held(state) is None:
        return None
    most = format_money(asked.most, state.credit_decision.currency) if state.credit_decision else str(asked.most)
    text = f"{asked.released_by.label} wants to let pass up to {most}. It counts when a second person releases it too."
    return Wait(asked, text, asked.released_by)


def parked(state: DealState) -> Wait | None:
    """A step that failed for good."""
    step = state.parked
    if step is None or step.cause == Cause.CREDIT_HOLD:
        return None
    failed = what_failed(step.step, Cause.of(step.cause), step.message, quotes=False)
    return Wait(step, f"{failed}. To do: {step.suggestion}")


def unknown_customer(state: DealState) -> Wait | None:
    """A customer that Finance does not know, or may have already."""
    unknown = state.unknown_customer
    if unknown is None or not unknown.decidable or explain(state).waiting_for is not WaitingFor.CUSTOMER_SETUP:
        return None
    shown = explain(state)
    return Wait((unknown.account_id, unknown.candidates, unknown.dismissed), f"{shown.text}\nTo do: {shown.unblock}")


def unapplied(state: DealState) -> Wait | None:
    """Money of the customer that settles nothing, while nobody has said what becomes of it."""
    if explain(state).waiting_for is not WaitingFor.UNAPPLIED:
        return None
    amount = format_money(state.delivery.unapplied, state.header.currency)
    text = f"{amount} of the customer's money settle nothing. Settle it in Finance, have it paid back, or leave it."
    return Wait("unapplied", text)


def refund(state: DealState) -> Wait | None:
    """A refund that takes a second person."""
    open_ = [refund for refund in state.refunds if refund.status is RefundStatus.PROPOSED] if state.running else []
    if not open_:
        return None
    amounts = (format_money(each.amount, state.header.currency) for each in open_)
    texts = (
        f"{each.proposed_by.label} proposes to pay back {amount} of {each.of}: {each.reason}"
        for each, amount in zip(open_, amounts, strict=True)
    )
    text = "\n".join((*texts, "It is prepared when a second person approves it."))
    return Wait(tuple(each.n for each in open_), text, open_[-1].proposed_by)
