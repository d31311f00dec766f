"""Credit: decided on what Finance says, held, released or refused by a person (lifecycle 2.4)."""

from __future__ import annotations

from typing import Final

from domain import facts
from domain.credit import ReleaseToken
from domain.credit_facts import CreditStatus
from domain.credit_following import follows, held
from domain.credit_rule import RELEASED
from domain.deal_state import DealState, OrderStatus, QuoteStatus, SalesDue
from domain.frozen import replace
from domain.refusals import Refusal
from domain.rules.change import Change, Refused, illegal, with_exception
from domain.rules.closing import ended_here
from domain.rules.following import Rules
from domain.rules.order import with_second_orders
from domain.views import Ending, Resolution

RULES: Final = Rules()


@RULES.rule
def _prepared(state: DealState, fact: facts.Prepared) -> Change:
    ready = fact.readiness
    if not state.won:
        illegal("nothing to prepare: the quote is not accepted")
    if ready.state != "won":
        # The report of the acceptance was a hint; what Sales shows is the truth, and the deal waits for it again.
        quote = QuoteStatus.APPROVED if ready.state == "draft" else QuoteStatus.SENT
        again = replace(
            state,
            accepted=False,
            active=ready.state != "draft",
            quote=quote,
            credit=CreditStatus.NOT_CHECKED,
            credit_decision=None,
            recheck_covered=fact.covers,
        )
        return Change(again, f"Sales shows the quote as {ready.state}, not as won: waiting for the acceptance")
    if ready.snapshot_hash != state.approved_hash:
        what = "; ".join(ready.differences) or "the content is not what was approved"
        raise Refused(Refusal.HASH_MISMATCH, what)
    checking = replace(
        with_second_orders(state, ready.more_sales_orders),
        credit=CreditStatus.CHECKING,
        credit_checks=state.credit_checks + 1,
        recheck_covered=fact.covers,
        order_absent_at=None if ready.existing_order else ready.credit.as_of,
    )
    return Change(checking, f"credit is being checked on Finance data of {ready.credit.as_of:%H:%M:%S} UTC")


@RULES.rule
def _decided(state: DealState, fact: facts.CreditDecided) -> Change:
    if state.credit is not CreditStatus.CHECKING:
        illegal(f"credit decided: it is {state.credit}")
    decision = fact.decision
    if not decision.passed:
        held = replace(state, credit=CreditStatus.HELD, credit_decision=decision)
        return Change(held, f"credit held: {decision.text}")
    by_release = any(reason.code == RELEASED for reason in decision.reasons)
    status = CreditStatus.RELEASED if by_release else CreditStatus.PASSED
    return Change(replace(state, credit=status, credit_decision=decision), f"credit {status}: {decision.text}")


@RULES.rule
def _recheck_due(state: DealState, fact: facts.CreditRecheckDue) -> Change:
    """Taken as soon as credit is asked for, held or not: what comes free while Finance is read must not be missed.

    Where Finance itself holds the order, its confirmation is tried again, or the order is read again.
    """
    if state.held_by_finance:
        text = f"whether Finance still holds the order is looked at again: {fact.reason}"
        state = replace(state, recheck_told=state.recheck_told + follows(state))
        if state.parked is not None:
            return Change(replace(state, parked=None, resolution=Resolution.RETRY), text)
        return Change(replace(state, billing_told=state.billing_told + 1), text)
    if not (state.awaits_credit or follows(state)):
        raise Refused(Refusal.NOT_HELD, f"credit is {state.credit}")
    due = replace(state, recheck_told=state.recheck_told + 1, order_put_off=False)
    return Change(due, f"credit is looked at again: {fact.reason}")


def _releasable(state: DealState, release: ReleaseToken) -> None:
    """Refuse a release where nothing is held, or by who has a share in the deal.

    Raises:
        Refused: it changes nothing.
    """
    unconfirmed = state.order in (OrderStatus.NONE, OrderStatus.CREATING, OrderStatus.CREATED)
    ours = unconfirmed and state.credit in (CreditStatus.HELD, CreditStatus.PASSED)
    if not (ours or held(state) or state.held_by_finance):
        raise Refused(Refusal.NOT_HELD, f"credit is {state.credit}")
    found = state.assessment
    makers = (found.owner, *found.makers) if found else ()
    by = (release.released_by, *((release.also_by,) if release.also_by else ()))
    if any(person.is_same(maker) for person in by for maker in makers):
        raise Refused(Refusal.REQUESTER_CANNOT_RELEASE, "the rep of a deal cannot release its credit hold")


@RULES.rule
def _release_asked(state: DealState, fact: facts.ReleaseAsked) -> Change:
    _releasable(state, fact.release)
    text = f"release of the credit hold asked by {fact.release.released_by.label}; a second person has to release it"
    return Change(replace(state, release_asked=fact.release), f"{text}: {fact.release.comment}")


@RULES.rule
def _released(state: DealState, fact: facts.CreditReleased) -> Change:
    _releasable(state, fact.release)
    released = replace(state, release=fact.release, release_asked=None, recheck_told=state.recheck_told + 1)
    if state.held_by_finance:
        # What the credit manager decided is told to Finance with the next confirmation, which is due at once.
        unparked = state.parked is not None
        released = replace(released, parked=None, resolution=Resolution.RETRY if unparked else state.resolution)
        released = replace(released, release_due=not unparked)
    by = [person.label for person in (fact.release.released_by, fact.release.also_by) if person]
    return Change(released, f"credit hold released by {' and '.join(by)}: {fact.release.comment}")


@RULES.rule
def _rejected(state: DealState, fact: facts.CreditRejected) -> Change:
    """Credit is refused: the deal ends, unless goods have left the house, which are invoiced and paid all the same."""
    if state.credit is not CreditStatus.HELD and not state.held_by_finance:
        raise Refused(Refusal.NOT_HELD, f"credit is {state.credit}")
    refused = replace(state, credit=CreditStatus.REJECTED, parked=None, release_asked=None)
    if state.delivery.any_shipped:
        what = f"credit for the rest of order {state.order_number} was refused: {fact.reason}"
        return Change(with_exception(refused, f"{Refusal.CREDIT_REFUSED}: {what}"), what)
    ended = ended_here(refused, Ending.CANCELLED, SalesDue.CANCELLED)
    return Change(ended, f"credit refused: {fact.reason}")
