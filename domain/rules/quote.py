"""The quote: submitted, assessed, approved, sent, accepted, revised, lost (lifecycle 2.2 and 2.3).

Facts of the quote carry their revision; an older one is stale and changes nothing (I12).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from domain import facts
from domain.approvals import ApprovalStatus
from domain.assessment import QuoteAssessment
from domain.credit_facts import CreditStatus
from domain.deal_state import OPEN_QUOTE, DealState, OrderStatus, QuoteStatus, SalesDue
from domain.frozen import replace
from domain.marks import REQUESTED
from domain.reapproval import PastRequest, answered, in_words, remembered
from domain.refusals import Refusal
from domain.rules import drift, growing
from domain.rules.change import Change, Refused, illegal, stale, with_exception, without_exceptions
from domain.rules.closing import ended_here
from domain.rules.following import Rules
from domain.views import ApprovalSummary, Ending, OpenQuestion

_DECIDED = frozenset({QuoteStatus.APPROVAL_DUE, QuoteStatus.PENDING_APPROVAL, QuoteStatus.APPROVED, QuoteStatus.SENT})

_READ_AGAIN = _DECIDED | {QuoteStatus.INVALID, QuoteStatus.REJECTED, QuoteStatus.WITHDRAWN}
"""Where a quote that waits is read again on a person's word."""


RULES: Final = Rules()


@RULES.rule
def _quote_marked(state: DealState, fact: facts.QuoteMarked) -> Change:
    over = fact.status if state.resubmitted or state.quote is QuoteStatus.SUBMITTED else ""
    shown = replace(state, marked=fact.status, marked_over=over, marked_question=fact.question)
    return Change(shown, f"Sales shows approval: {fact.status}")


@RULES.rule
def _quote_lost(state: DealState, fact: facts.QuoteLost) -> Change:
    _before_order(state)
    return Change(replace(state, quote=QuoteStatus.LOST, ending=Ending.LOST), f"lost: {fact.reason}")


def _current(state: DealState, revision: int) -> None:
    if revision < state.revision:
        stale(f"revision {revision} is older than {state.revision}")


def _open(state: DealState, what: str) -> None:
    if state.won:
        illegal(f"{what}: the quote is accepted already")
    if state.quote not in OPEN_QUOTE:
        illegal(f"{what}: the quote is {state.quote}")


def _before_order(state: DealState) -> None:
    if state.order is not OrderStatus.NONE:
        illegal("there is an order in Finance: cancel the order instead")


@RULES.rule
def _submitted(state: DealState, fact: facts.Submitted) -> Change:
    _current(state, fact.revision)
    _open(state, "submitted")
    if fact.revision == state.revision and state.quote in _DECIDED:
        again = replace(state, resubmitted=True, marked=REQUESTED, marked_over="", submitted_by=fact.by)
        return Change(again, f"revision {fact.revision} submitted again")
    fresh = replace(
        state,
        revision=fact.revision,
        quote_id=fact.quote_id,
        quote=QuoteStatus.SUBMITTED,
        assessment=None,
        approved_hash="",
        active=False,
        accepted=False,
        resubmitted=False,
        submitted_by=fact.by,
        expiry_due=False,
        approval_text="",
        marked=REQUESTED,
        marked_over="",
        drift=None,
        drift_decision=None,
        credit=CreditStatus.NOT_CHECKED,
        credit_decision=None,
        release_asked=None,
    )
    return Change(fresh, f"revision {fact.revision} submitted for approval")


@RULES.rule
def _assessed(state: DealState, fact: facts.Assessed) -> Change:
    found = fact.assessment
    if fact.asked != state.quote_id:
        stale(f"revision {found.revision} was read, revision {state.revision} is asked for by now")
    if state.resubmitted and state.quote is not QuoteStatus.SUBMITTED:
        if found.stale or (state.assessment and found.snapshot_hash == state.assessment.snapshot_hash):
            text = "submitted again with the same content: what was decided stands"
            return Change(_caught_up(replace(state, resubmitted=False, marked_over=""), found), text)
    elif state.quote is not QuoteStatus.SUBMITTED:
        illegal(f"assessed: the quote is {state.quote}")
    elif found.stale:
        return Change(replace(state, ending=Ending.STALE), found.stale)
    # What Sales shows is the truth, also of the number of the revision; the event that told it was a hint.
    fresh = replace(
        state,
        revision=found.revision,
        assessment=found,
        resubmitted=False,
        marked_over="",
        approved_hash="",
        approval_text="",
        drift=None,
        drift_decision=None,
        customer_note="",
    )
    if found.problems:
        codes = ", ".join(sorted({problem.code for problem in found.problems}))
        return Change(_caught_up(replace(fresh, quote=QuoteStatus.INVALID), found), f"returned to the rep: {codes}")
    if found.plan is not None and found.plan.needed:
        level = max(step.level for step in found.plan.steps)
        due = replace(fresh, quote=QuoteStatus.APPROVAL_DUE)
        return Change(_caught_up(due, found), f"needs approval up to level {level}{_told(found)}")
    text = f"no approval needed{_told(found)}"
    return Change(_caught_up(_approved(fresh, found.snapshot_hash), found), text)


def _told(found: QuoteAssessment) -> str:
    """What else the record says of an assessment."""
    return _submitted_by(found) + (f". {found.total_differs}" if found.total_differs else "")


def _submitted_by(found: QuoteAssessment) -> str:
    """Who submitted it, for the record: the owner where Sales shows nobody else."""
    submitter = found.submitted_by or found.owner
    return f"; submitted by {submitter.label}" if submitter.oid else ""


def _caught_up(state: DealState, found: QuoteAssessment) -> DealState:
    """The state with what Sales shows of the quote already, should its reports be on the way still, or be lost."""
    if found.state in ("active", "won") and not state.active:
        state = _active(state)
    if found.state == "won" and not state.accepted:
        state = _won(state, found.accepted_at).state
    return state


def _approved(state: DealState, content: str) -> DealState:
    """Approved; further on at once where Sales was ahead of us (its events may come in any order)."""
    ahead = QuoteStatus.ACCEPTED if state.accepted else QuoteStatus.SENT if state.active else QuoteStatus.APPROVED
    settled = without_exceptions(state, Refusal.ACTIVATED_WITHOUT_APPROVAL, Refusal.ACCEPTED_WITHOUT_APPROVAL)
    return replace(settled, quote=ahead, approved_hash=content)


@RULES.rule
def _approval_asked(state: DealState, fact: facts.ApprovalAsked) -> Change:
    if state.quote is not QuoteStatus.APPROVAL_DUE:
        illegal(f"approval asked: the quote is {state.quote}")
    asked = fact.plan.asked
    summary = ApprovalSummary.asked_by(fact.plan, n=fact.n, revision=state.revision, at=fact.at)
    past = state.past_requests
    if state.assessment and state.assessment.terms:
        terms = state.assessment.terms
        past = remembered(past, PastRequest(n=fact.n, revision=state.revision, terms=terms))
    after = replace(
        state, quote=QuoteStatus.PENDING_APPROVAL, approvals=(*state.approvals, summary), past_requests=past
    )
    steps = ", ".join(f"{step.role} ({step.candidates[0].name})" for step in asked)
    covered = in_words(fact.plan)
    return Change(after, f"approval asked of {steps}" + (f"; {covered}" if covered else ""))


@RULES.rule
def _approval_reused(state: DealState, fact: facts.ApprovalReused) -> Change:
    if state.quote is not QuoteStatus.APPROVAL_DUE or state.assessment is None:
        illegal(f"approval covered: the quote is {state.quote}")
    if fact.plan.asked:
        illegal("approval covered: a step is not")
    text = f"approved without asking again: {in_words(fact.plan)}"
    return Change(_approved(replace(state, approval_text=text), state.assessment.snapshot_hash), text)


@RULES.rule
def _approval_ended(state: DealState, fact: facts.ApprovalEnded) -> Change:
    result = fact.result
    text = f"approval {result.status}: {result.reason}" if result.reason else f"approval {result.status}"
    approvals = tuple(
        summary.model_copy(update={"status": result.status, "ended_at": result.ended_at, "text": text})
        if summary.n == fact.n
        else summary
        for summary in state.approvals
    )
    past = answered(state.past_requests, fact.n, result.status, fact.given)
    after = replace(state, approvals=approvals, past_requests=past)
    if (change := growing.waits_on(state, fact.n)) is not None:
        return growing.answered(after, change, result, text)
    if state.quote is not QuoteStatus.PENDING_APPROVAL or result.request.revision != state.revision:
        return Change(after, text)
    after = drift.answered(replace(after, approval_text=text), result)
    if result.status is ApprovalStatus.COMPLETED:
        return Change(_approved(after, result.request.snapshot_hash), text)
    rejected = result.status in (ApprovalStatus.REJECTED, ApprovalStatus.EXPIRED)
    return Change(replace(after, quote=QuoteStatus.REJECTED if rejected else QuoteStatus.WITHDRAWN), text)


@RULES.rule
def _approval_lost(state: DealState, fact: facts.ApprovalLost) -> Change:
    text = f"approval {fact.n} ended without an answer: {fact.reason}"
    approvals = tuple(
        summary.model_copy(update={"status": ApprovalStatus.LOST, "ended_at": fact.at, "text": text})
        if summary.n == fact.n
        else summary
        for summary in state.approvals
    )
    after = replace(state, approvals=approvals)
    if (change := growing.waits_on(state, fact.n)) is not None:
        return growing.lost(after, change, text)
    asked = any(summary.n == fact.n and summary.revision == state.revision for summary in state.approvals)
    if state.quote is QuoteStatus.PENDING_APPROVAL and asked:
        after = replace(after, quote=QuoteStatus.APPROVAL_DUE)
    return Change(after, text)


def _of_open_request(state: DealState, n: int) -> None:
    if state.open_request is None or state.open_request.n != n:
        stale(f"request {n} is not open any more")


@RULES.rule
def _told_by_request(state: DealState, fact: facts.ApproverReminded | facts.StepReassigned) -> Change:
    """What an open request did that changes nothing here, and is on record."""
    _of_open_request(state, fact.n)
    if isinstance(fact, facts.StepReassigned):
        how = "asked as well" if fact.added else "asked instead"
        return Change(state, f"approval {fact.n}, step {fact.step}: {fact.to.label} {how}: {fact.reason}")
    told = fact.reminding
    who = ", ".join(person.label for person in told.who)
    due = f", due {told.due:%Y-%m-%d %H:%M} UTC" if told.due else ""
    return Change(
        state, f"approval {fact.n}: {who} reminded of level {told.level}, {told.pct} % of the time is over{due}"
    )


@RULES.rule
def _others_asked(state: DealState, fact: facts.ApproversAsked) -> Change:
    """The request asks others than before, or more."""
    _of_open_request(state, fact.n)
    before, who, overdue = state.approvals[-1].asked, fact.asked.who, fact.asked.overdue
    approvals = (*state.approvals[:-1], state.approvals[-1].model_copy(update={"asked": who}))
    why = f"nobody decided level {' and '.join(map(str, overdue))} in time: " if overdue else ""
    more = [name for name in who if name not in before] or who
    how = "asked as well" if set(before) <= set(who) else "asked now"
    return Change(replace(state, approvals=approvals), f"approval {fact.n}: {why}{', '.join(more)} {how}")


@RULES.rule
def _question(state: DealState, fact: facts.QuestionAsked | facts.QuestionAnswered | facts.QuestionClosed) -> Change:
    _of_open_request(state, fact.n)
    others = tuple(question for question in state.questions if question.step != fact.step)
    if isinstance(fact, facts.QuestionAsked):
        asked = OpenQuestion(n=fact.n, step=fact.step, by=fact.by, question=fact.question, at=fact.at)
        return Change(replace(state, asked=(*others, asked)), asked.text)
    if len(others) == len(state.questions):
        stale(f"no question of step {fact.step} is open")
    closed = replace(state, asked=others)
    if isinstance(fact, facts.QuestionAnswered):
        return Change(closed, f"answered: {fact.answer}")
    return Change(closed, f"step {fact.step} was decided before the question was answered")


@RULES.rule
def _assessment_due(state: DealState, fact: facts.AssessmentDue) -> Change:
    text = f"looked at again: {fact.reason}" if fact.reason else "looked at again"
    if state.quote in _READ_AGAIN and not (state.won or state.stuck_without_approval):
        return Change(replace(state, resubmitted=True), text)  # what was decided stands, unless Sales shows more
    if not state.stuck_without_approval:
        illegal(f"looked at again: the quote is {state.quote}")
    return Change(replace(state, quote=QuoteStatus.SUBMITTED, resubmitted=False), text)


def _unsubmitted(state: DealState, revision: int, what: str) -> Change:
    text = f"{Refusal.NOT_SUBMITTED}: revision {revision} was {what} without having been submitted for approval"
    return Change(with_exception(state, text), f"revision {revision} {what} without approval: nothing is ordered")


@RULES.rule
def _activated(state: DealState, fact: facts.Activated) -> Change:
    _current(state, fact.revision)
    _open(state, "activated")
    if fact.revision > state.revision:
        return _unsubmitted(state, fact.revision, "activated")
    if state.quote is QuoteStatus.SUPERSEDED:
        illegal(f"activated: revision {fact.revision} is being revised")
    if state.active:
        stale("the quote is active already")
    approved = state.quote is QuoteStatus.APPROVED
    text = "quote activated: it is with the customer" if approved else "quote activated before it was approved"
    return Change(_active(state), text)


def _active(state: DealState) -> DealState:
    active = replace(state, active=True)
    if state.quote is QuoteStatus.APPROVED:
        return replace(active, quote=QuoteStatus.SENT)
    if state.approved_hash:
        return active
    text = f"{Refusal.ACTIVATED_WITHOUT_APPROVAL}: the quote was activated before it was approved"
    return with_exception(active, text)


@RULES.rule
def _accepted(state: DealState, fact: facts.Accepted) -> Change:
    _current(state, fact.revision)
    if state.quote is QuoteStatus.EXPIRED:
        raise Refused(Refusal.EXPIRED, "accepted after expiry: revise the quote")
    _open(state, "accepted")
    if fact.revision > state.revision:
        return _unsubmitted(state, fact.revision, "accepted")
    if state.quote is QuoteStatus.SUPERSEDED:
        illegal(f"accepted: revision {fact.revision} is being revised")
    if state.accepted:
        stale("the quote is accepted already")
    return _won(state, fact.at)


def _won(state: DealState, at: datetime | None) -> Change:
    """The quote is won in Sales since ``at``: it counts where that was in time, once it is approved."""
    expires_at = state.assessment.expires_at if state.assessment else None
    if expires_at and at and at > expires_at:
        late = f"{Refusal.ACCEPTED_AFTER_EXPIRY}: accepted {at:%Y-%m-%d %H:%M} UTC, after the quote's expiry; revise it"
        return Change(with_exception(state, late), "accepted after expiry: nothing is ordered")
    accepted = replace(state, accepted=True, expiry_due=False)
    if state.approved_hash:
        # Submitted again or not: before the order is made, the content is compared with what was approved.
        ordered = replace(accepted, quote=QuoteStatus.ACCEPTED, resubmitted=False)
        return Change(ordered, "the customer accepted the quote")
    text = f"{Refusal.ACCEPTED_WITHOUT_APPROVAL}: won in Sales before it was approved; nothing is ordered"
    return Change(with_exception(accepted, text), "won in Sales before it was approved")


@RULES.rule
def _revised(state: DealState, fact: facts.Revised) -> Change:
    _current(state, fact.revision)
    _open(state, "revised")
    after = replace(
        state, quote=QuoteStatus.SUPERSEDED, approved_hash="", active=False, accepted=False, resubmitted=False
    )
    return Change(after, f"revision {fact.revision} is being revised")


@RULES.rule
def _withdrawn(state: DealState, fact: facts.Withdrawn) -> Change:
    _current(state, fact.revision)
    if not fact.in_sales and (taken_back := growing.withdrawn(state, fact.reason)) is not None:
        return taken_back
    if state.quote not in (QuoteStatus.PENDING_APPROVAL, QuoteStatus.APPROVAL_DUE):
        raise Refused(Refusal.ALREADY_DECIDED, f"nothing to withdraw: the quote is {state.quote}")
    text = f"request for approval withdrawn: {fact.reason}"
    marked = "none" if fact.in_sales else state.marked
    after = replace(state, quote=QuoteStatus.WITHDRAWN, marked=marked, approval_text=text, resubmitted=False)
    return Change(after, text)


@RULES.rule
def _cancelled(state: DealState, fact: facts.QuoteCancelled) -> Change:
    _before_order(state)
    text = f"cancelled: {fact.reason}"
    if fact.in_sales:
        return Change(replace(state, quote=QuoteStatus.CANCELLED, ending=Ending.CANCELLED), text)
    return Change(ended_here(state, Ending.CANCELLED, SalesDue.CANCELLED), text)


@RULES.rule
def _expiry_due(state: DealState, _fact: facts.ExpiryDue) -> Change:
    _open(state, "expired")
    if state.accepted:
        illegal("expired: the quote was accepted in time")
    text = "the quote's validity has passed: Sales is asked whether it was accepted in time"
    return Change(replace(state, expiry_due=True), text)


@RULES.rule
def _expiry_checked(state: DealState, fact: facts.ExpiryChecked) -> Change:
    if not state.expiry_due:
        illegal("nothing has expired")
    found = fact.found
    if found.state == "won":
        won = _won(state, found.accepted_at)
        if won.state.accepted:
            return won
        state = won.state
    told = SalesDue.EXPIRED if found.state in ("draft", "active") else SalesDue.NOTHING
    ended = replace(state, quote=QuoteStatus.EXPIRED, ending=Ending.EXPIRED, expiry_due=False, sales_due=told)
    return Change(ended, "the quote expired: revise it to go on")
