"""Money of a customer that settles nothing: it is named, given an owner, and paid back by two persons or left.

The product pays nothing: after the second person it prepares a line in a payment journal of Finance, which people post
there. What became of it is read in Finance, as everything is (lifecycle 2.8, 7; invariant I5).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from domain import facts
from domain.deal_state import DealState
from domain.frozen import replace
from domain.money import format_money, round_money
from domain.payments import HOLDS_CREDIT, MOST_REFUNDS, ON_ITS_WAY, Refund, RefundStatus
from domain.people import Person
from domain.refusals import Refusal
from domain.rules.change import Change, Refused, illegal, with_exception, without_exceptions
from domain.rules.following import Rules

CREDIT_LEFT_AFTER: Final = timedelta(days=30)
"""How long a deal stays open for a credit that nobody decides about; then it closes with the credit named."""
MOST_NAMED: Final = 5
"""Payments and credit notes that an exception names."""


RULES: Final = Rules()


@RULES.rule
def _proposed(state: DealState, fact: facts.RefundProposed) -> Change:
    _not_the_makers(state, fact.by)
    if len(state.refunds) >= MOST_REFUNDS:
        raise Refused(Refusal.TOO_MANY_REQUESTS, f"a deal takes {MOST_REFUNDS} refunds")
    source = next((s for s in state.delivery.credit_sources if s.number.casefold() == fact.of.casefold()), None)
    if source is None or not source.unapplied:
        raise Refused(Refusal.NOTHING_TO_REFUND, f"nothing of {fact.of} is unapplied in Finance")
    if fact.amount != round_money(fact.amount, fact.currency):
        raise Refused(Refusal.BAD_AMOUNT, f"{fact.amount} is no amount in {fact.currency}")
    held = sum((r.amount for r in state.refunds if r.of == source.number and r.status in HOLDS_CREDIT), Decimal(0))
    left = source.unapplied - held
    if fact.amount > left:
        text = f"{_money(state, left)} of {source.name} can be paid back"
        raise Refused(Refusal.REFUND_ABOVE_CREDIT, text)
    n = len(state.refunds) + 1
    refund = Refund(n=n, of=source.number, amount=fact.amount, reason=fact.reason, proposed_by=fact.by)
    what = f"refund {n} proposed: {_money(state, fact.amount)} of {source.name}; a second person has to approve it"
    return Change(replace(state, refunds=(*state.refunds, refund)), f"{what}: {fact.reason}")


@RULES.rule
def _approved(state: DealState, fact: facts.RefundApproved) -> Change:
    refund = _refund(state, fact.n)
    if refund.status is not RefundStatus.PROPOSED:
        raise Refused(Refusal.ALREADY_DECIDED, f"refund {refund.n} is {refund.status}")
    _not_the_makers(state, fact.by)
    if fact.by.is_same(refund.proposed_by):
        raise Refused(Refusal.NEEDS_SECOND_PERSON, f"{refund.proposed_by.label} proposed refund {refund.n}")
    approved = refund.model_copy(update={"status": RefundStatus.APPROVED, "approved_by": fact.by})
    what = f"refund {refund.n} of {_money(state, refund.amount)} approved"
    return Change(_with(state, approved), f"{what}: {fact.reason}" if fact.reason else what)


@RULES.rule
def _prepared(state: DealState, fact: facts.RefundPrepared) -> Change:
    refund = _refund(state, fact.n)
    if refund.status is not RefundStatus.APPROVED:
        illegal(f"refund {refund.n} is {refund.status}")
    what = f"refund {refund.n} of {_money(state, refund.amount)}"
    if fact.refused:
        after = refund.model_copy(update={"status": RefundStatus.REFUSED, "note": fact.refused})
        return Change(_with(state, after), f"{what} is not paid back: {fact.refused}")
    note = "" if fact.journal else "enter it in a payment journal in Finance"
    after = refund.model_copy(update={"status": RefundStatus.PREPARED, "journal": fact.journal, "note": note})
    text = f"is prepared in payment journal {fact.journal}, to be posted in Finance" if fact.journal else "is agreed"
    return Change(_with(state, after), f"{what} {text}; {note}" if note else f"{what} {text}")


@RULES.rule
def _kept(state: DealState, fact: facts.CreditKept) -> Change:
    _not_the_makers(state, fact.by)
    if not state.credit_undecided:
        raise Refused(Refusal.NOTHING_TO_REFUND, "there is no credit to decide about")
    if any(refund.status in ON_ITS_WAY for refund in state.refunds):
        illegal("a refund is on its way")
    text = f"{_money(state, state.delivery.unapplied)} left on the customer's account: {fact.reason}"
    after = _left(state)
    if state.delivery.cancelled:  # its order is read once more, and the deal ends with it
        after = replace(after, billing_told=after.billing_told + 1)
    return Change(after, text)


def looked_at(state: DealState, at: datetime) -> tuple[DealState, str]:
    """The state after Finance was read: which refunds it shows, and what is to be decided; and that in words.

    Args:
        state: with what Finance holds now.
        at: when it was read, UTC.
    """
    after, paid = _paid_back(state)
    after = without_exceptions(after, Refusal.UNAPPLIED_CREDIT)
    if (after.delivery.paid_up or after.delivery.cancelled) and after.delivery.unapplied:
        after = with_exception(after, _named(after))
    since = (after.credit_since or at) if after.credit_undecided else None
    after = _without_their_credit(replace(after, credit_since=since))
    words = "".join(f"; refund {n} is paid" for n in paid)
    on_its_way = any(refund.status in ON_ITS_WAY for refund in after.refunds)
    if since is not None and at - since >= CREDIT_LEFT_AFTER and not on_its_way:
        days = CREDIT_LEFT_AFTER.days
        return _left(after), f"{words}; nobody decided about the credit in {days} days: it is left on the account"
    return after, words


def _paid_back(state: DealState) -> tuple[DealState, list[int]]:
    """Which of the refunds on their way Finance shows: those that what was paid back of their document comes to."""
    left = {source.number: source.refunded for source in state.delivery.credit_sources}
    refunds, paid = [], []
    for refund in state.refunds:
        if refund.status is RefundStatus.PAID:
            left[refund.of] = left.get(refund.of, Decimal(0)) - refund.amount
    for refund in state.refunds:
        if refund.status in ON_ITS_WAY and left.get(refund.of, Decimal(0)) >= refund.amount:
            left[refund.of] -= refund.amount
            paid.append(refund.n)
            refund = refund.model_copy(update={"status": RefundStatus.PAID, "note": ""})
        refunds.append(refund)
    return (replace(state, refunds=tuple(refunds)) if paid else state), paid


def _without_their_credit(state: DealState) -> DealState:
    """Refunds that stand in a journal and whose credit was applied otherwise are named: nobody is to post them."""
    after, left = without_exceptions(state, Refusal.REFUND_ABOVE_CREDIT), _unapplied(state)
    for refund in state.refunds:
        if refund.status is RefundStatus.PREPARED and left.get(refund.of, Decimal(0)) < refund.amount:
            where = f" in payment journal {refund.journal}" if refund.journal else ""
            text = f"refund {refund.n} of {_money(state, refund.amount)}{where}: its credit is not there any more"
            after = with_exception(after, f"{Refusal.REFUND_ABOVE_CREDIT}: {text}")
    return after


def _unapplied(state: DealState) -> dict[str, Decimal]:
    return {source.number: source.unapplied for source in state.delivery.credit_sources}


def _left(state: DealState) -> DealState:
    """The credit as it stands is left on the account, and nobody pays back what was only proposed."""
    refunds = tuple(
        refund.model_copy(update={"status": RefundStatus.WITHDRAWN})
        if refund.status is RefundStatus.PROPOSED
        else refund
        for refund in state.refunds
    )
    return replace(state, credit_kept=state.delivery.unapplied, credit_since=None, refunds=refunds)


def _named(state: DealState) -> str:
    sources = [source for source in state.delivery.credit_sources if source.unapplied]
    named = [f"{source.name}: {_money(state, source.unapplied)}" for source in sources[:MOST_NAMED]]
    more = len(sources) - MOST_NAMED
    where = ", ".join(named) + (f" and {more} more" if more > 0 else "")
    return f"{Refusal.UNAPPLIED_CREDIT}: {_money(state, state.delivery.unapplied)} settle nothing ({where})"


def _not_the_makers(state: DealState, by: Person) -> None:
    """Refuse who has a share in the deal.

    Raises:
        Refused: they made or own its quote.
    """
    found = state.assessment
    makers = (found.owner, *found.makers) if found else ()
    if any(by.is_same(maker) for maker in makers):
        raise Refused(Refusal.REP_CANNOT_REFUND, "the rep of a deal decides nothing about its money")


def _refund(state: DealState, n: int) -> Refund:
    if not 1 <= n <= len(state.refunds):
        raise Refused(Refusal.NOTHING_TO_REFUND, f"there is no refund {n}")
    return state.refunds[n - 1]


def _with(state: DealState, refund: Refund) -> DealState:
    refunds = (*state.refunds[: refund.n - 1], refund, *state.refunds[refund.n :])
    return replace(state, refunds=refunds)


def _money(state: DealState, amount: Decimal) -> str:
    return format_money(amount, state.header.currency)
