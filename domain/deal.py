"""The deal as a pure state machine: ``apply(state, event, policy)`` says what a fact changes, and what it does not.

No clock, no I/O, no Temporal: the workflow feeds it and does what is due; property tests run it alone.

Facts of the quote carry their revision; an older one is recorded as stale and changes nothing (I12). Documents of
Finance are kept under their numbers (``domain.deal_state``), so their order does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from domain import facts
from domain.approvals import ApprovalStatus
from domain.assessment import DealPolicy
from domain.credit import RELEASED
from domain.credit_facts import CreditStatus
from domain.deal_state import OPEN_QUOTE, DealState, OrderStatus, Outage, QuoteStatus, ledger_of
from domain.facts import Event, Fact
from domain.messages import ShippedLine
from domain.money import format_money
from domain.record import Record
from domain.views import ApprovalSummary, Ending, Stage, TimelineEntry

_DECIDED = frozenset({QuoteStatus.APPROVAL_DUE, QuoteStatus.PENDING_APPROVAL, QuoteStatus.APPROVED, QuoteStatus.SENT})


class Transition(Record):
    """What an event did."""

    state: DealState
    audit: TimelineEntry | None
    code: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the state moved on."""
        return not self.code


DUPLICATE = "DUPLICATE"
STALE = "STALE"
ILLEGAL = "ILLEGAL_TRANSITION"
SEEN_WINDOW = 2_000


class _Refusal(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


Change = tuple[dict[str, Any], str]
"""The fields that change, and what happened in words."""


def apply(state: DealState, event: Event, policy: DealPolicy) -> Transition:
    """What ``event`` makes of ``state``.

    Args:
        state: the deal as it stands; never changed.
        event: a fact with its circumstances.
        policy: the pinned part of the policy (over-delivery allowance, version).

    Returns:
        The next state with one audit record. A duplicate leaves the state and writes nothing; a refusal leaves it and
        writes a record with its code.
    """
    if event.event_id and event.event_id in state.seen:
        return Transition(state=state, audit=None, code=DUPLICATE)
    fact = event.fact
    try:
        if isinstance(fact, facts.Refused):
            raise _Refusal(fact.code, f"{fact.what}: {fact.detail}" if fact.detail else fact.what)
        if state.ending is not Ending.RUNNING and not isinstance(fact, facts.ApprovalEnded):
            raise _Refusal("TERMINAL", f"the deal has ended ({state.ending})")
        changes, text = _RULES[type(fact)](state, fact, policy)
    except _Refusal as refusal:
        seen = _remember(state, event)
        return Transition(
            state=state.model_copy(update={"seen": seen}),
            audit=_audit(state, event, refusal.text, code=refusal.code, after=state),
            code=refusal.code,
        )
    changes |= {"version": state.version + 1, "seen": _remember(state, event), "updated_at": event.at}
    after = state.model_copy(update=changes)
    if after.settled and after.ending is Ending.RUNNING:
        after = after.model_copy(update={"ending": Ending.CLOSED})
        text += "; the deal is closed"
    after = after.model_copy(update={"stage": _stage(after), "order": _order_status(after)})
    if (after.stage, after.quote, after.credit, after.parked is None) != (
        state.stage,
        state.quote,
        state.credit,
        state.parked is None,
    ):
        after = after.model_copy(update={"waiting_since": event.at})
    return Transition(state=after, audit=_audit(state, event, text, code="", after=after))


def _remember(state: DealState, event: Event) -> tuple[str, ...]:
    return (*state.seen, event.event_id)[-SEEN_WINDOW:] if event.event_id else state.seen


def _audit(before: DealState, event: Event, text: str, *, code: str, after: DealState) -> TimelineEntry:
    name = event.fact.what if isinstance(event.fact, facts.Refused) else type(event.fact).__name__
    return TimelineEntry(
        version=after.version,
        at=event.at,
        actor=event.actor,
        event=name,
        text=text,
        stage=after.stage,
        accepted=not code,
        code=code,
        before=_vector(before),
        after=_vector(after),
        policy_version=after.policy.version,
    )


def _vector(state: DealState) -> str:
    return f"{state.stage}: quote {state.quote}, credit {state.credit}, order {state.order}"


def _stage(state: DealState) -> Stage:
    if state.ending is Ending.CLOSED:
        return Stage.CLOSED
    if state.order in (OrderStatus.NONE, OrderStatus.CREATING) or not state.sales_order_id:
        if state.order is not OrderStatus.NONE or state.may_order:
            return Stage.ORDER
        if state.accepted and state.approved_hash:
            return Stage.CREDIT
        return Stage.QUOTE if state.assessment else Stage.OPPORTUNITY
    if not state.all_shipped:
        return Stage.FULFILMENT
    return Stage.PAYMENT if state.all_invoiced else Stage.INVOICE


def _order_status(state: DealState) -> OrderStatus:
    if not state.confirmation_number:
        return state.order
    if state.ending is Ending.CLOSED:
        return OrderStatus.CLOSED
    if state.all_invoiced:
        return OrderStatus.INVOICED
    if any(line.invoiced for line in state.ledger):
        return OrderStatus.PARTIALLY_INVOICED
    if state.all_shipped:
        return OrderStatus.SHIPPED
    if any(line.shipped for line in state.ledger):
        return OrderStatus.PARTIALLY_SHIPPED
    return OrderStatus.CONFIRMED


# The quote


def _current(state: DealState, revision: int) -> None:
    if revision < state.revision:
        raise _Refusal(STALE, f"revision {revision} is older than {state.revision}")


def _open(state: DealState, what: str) -> None:
    if state.accepted and state.approved_hash:
        raise _Refusal(ILLEGAL, f"{what}: the quote is accepted already")
    if state.quote not in OPEN_QUOTE:
        raise _Refusal(ILLEGAL, f"{what}: the quote is {state.quote}")


def _submitted(state: DealState, fact: facts.Submitted, policy: DealPolicy) -> Change:
    _current(state, fact.revision)
    _open(state, "submitted")
    if fact.revision == state.revision and state.quote in _DECIDED:
        return {"resubmitted": True}, f"revision {fact.revision} submitted again"
    fresh = {
        "revision": fact.revision,
        "quote_id": fact.quote_id,
        "quote": QuoteStatus.SUBMITTED,
        "assessment": None,
        "approved_hash": "",
        "active": False,
        "accepted": False,
        "resubmitted": False,
        "approval_text": "",
        "credit": CreditStatus.NOT_CHECKED,
        "credit_decision": None,
    }
    return fresh, f"revision {fact.revision} submitted for approval"


def _assessed(state: DealState, fact: facts.Assessed, policy: DealPolicy) -> Change:
    found = fact.assessment
    _current(state, found.revision)
    if state.resubmitted:
        if found.stale or (state.assessment and found.snapshot_hash == state.assessment.snapshot_hash):
            return {"resubmitted": False}, "submitted again with the same content: what was decided stands"
    elif state.quote is not QuoteStatus.SUBMITTED:
        raise _Refusal(ILLEGAL, f"assessed: the quote is {state.quote}")
    elif found.stale:
        return {"ending": Ending.STALE}, found.stale
    fresh: dict[str, Any] = {"assessment": found, "resubmitted": False, "approved_hash": "", "approval_text": ""}
    if found.problems:
        codes = ", ".join(sorted({problem.code for problem in found.problems}))
        return {**fresh, "quote": QuoteStatus.INVALID}, f"returned to the rep: {codes}"
    if found.plan is not None and found.plan.needed:
        level = max(step.level for step in found.plan.steps)
        return {**fresh, "quote": QuoteStatus.APPROVAL_DUE}, f"needs approval up to level {level}"
    return {**fresh, **_approved(state, found.snapshot_hash)}, "no approval needed"


def _approved(state: DealState, content: str) -> dict[str, Any]:
    """Approved; further on at once where Sales was ahead of us (its events may come in any order)."""
    ahead = QuoteStatus.ACCEPTED if state.accepted else QuoteStatus.SENT if state.active else QuoteStatus.APPROVED
    early = ("ACTIVATED_WITHOUT_APPROVAL", "ACCEPTED_WITHOUT_APPROVAL")
    exceptions = tuple(text for text in state.exceptions if not text.startswith(early))
    return {"quote": ahead, "approved_hash": content, "exceptions": exceptions}


def _approval_asked(state: DealState, fact: facts.ApprovalAsked, policy: DealPolicy) -> Change:
    if state.quote is not QuoteStatus.APPROVAL_DUE:
        raise _Refusal(ILLEGAL, f"approval asked: the quote is {state.quote}")
    summary = ApprovalSummary(
        n=fact.n,
        revision=state.revision,
        status=ApprovalStatus.PENDING,
        highest_level=max(step.level for step in fact.plan.steps),
        steps=len(fact.plan.steps),
        reasons=tuple(reason for step in fact.plan.steps for reason in step.reasons),
        requested_at=state.updated_at,
    )
    steps = ", ".join(f"{step.role} ({step.candidates[0].name})" for step in fact.plan.steps)
    return {
        "quote": QuoteStatus.PENDING_APPROVAL,
        "approvals": (*state.approvals, summary),
    }, f"approval asked of {steps}"


def _approval_ended(state: DealState, fact: facts.ApprovalEnded, policy: DealPolicy) -> Change:
    result = fact.result
    text = _approval_words(result.status, result.reason)
    approvals = tuple(
        summary.model_copy(update={"status": result.status, "ended_at": result.ended_at, "text": text})
        if summary.n == fact.n
        else summary
        for summary in state.approvals
    )
    changes: dict[str, Any] = {"approvals": approvals}
    if state.quote is QuoteStatus.PENDING_APPROVAL and result.request.revision == state.revision:
        changes["approval_text"] = text
        if result.status is ApprovalStatus.COMPLETED:
            changes |= _approved(state, result.request.snapshot_hash)
        elif result.status is ApprovalStatus.REJECTED or result.status is ApprovalStatus.EXPIRED:
            changes["quote"] = QuoteStatus.REJECTED
        else:
            changes["quote"] = QuoteStatus.WITHDRAWN
    return changes, text


def _approval_words(status: ApprovalStatus, reason: str) -> str:
    return f"approval {status}: {reason}" if reason else f"approval {status}"


def _unsubmitted(state: DealState, revision: int, what: str) -> Change:
    text = f"NOT_SUBMITTED: revision {revision} was {what} without having been submitted for approval"
    return {"exceptions": _with(state, text)}, f"revision {revision} {what} without approval: nothing is ordered"


def _activated(state: DealState, fact: facts.Activated, policy: DealPolicy) -> Change:
    _current(state, fact.revision)
    _open(state, "activated")
    if fact.revision > state.revision:
        return _unsubmitted(state, fact.revision, "activated")
    if state.active:
        raise _Refusal(STALE, "the quote is active already")
    if state.quote is QuoteStatus.APPROVED:
        return {"active": True, "quote": QuoteStatus.SENT}, "quote activated: it is with the customer"
    return {
        "active": True,
        "exceptions": _with(state, "ACTIVATED_WITHOUT_APPROVAL: the quote was activated before it was approved"),
    }, "quote activated before it was approved"


def _accepted(state: DealState, fact: facts.Accepted, policy: DealPolicy) -> Change:
    _current(state, fact.revision)
    if state.quote is QuoteStatus.EXPIRED:
        raise _Refusal("EXPIRED", "accepted after expiry: revise the quote")
    _open(state, "accepted")
    if fact.revision > state.revision:
        return _unsubmitted(state, fact.revision, "accepted")
    if state.accepted:
        raise _Refusal(STALE, "the quote is accepted already")
    expires_at = state.assessment.expires_at if state.assessment else None
    if expires_at and fact.at > expires_at:
        late = f"ACCEPTED_AFTER_EXPIRY: accepted {fact.at:%Y-%m-%d %H:%M} UTC, after the quote's expiry; revise it"
        return {"exceptions": _with(state, late)}, "accepted after expiry: nothing is ordered"
    if state.quote in (QuoteStatus.APPROVED, QuoteStatus.SENT):
        return {"accepted": True, "quote": QuoteStatus.ACCEPTED}, "the customer accepted the quote"
    return {
        "accepted": True,
        "exceptions": _with(
            state, "ACCEPTED_WITHOUT_APPROVAL: won in Sales before it was approved; nothing is ordered"
        ),
    }, "won in Sales before it was approved"


def _revised(state: DealState, fact: facts.Revised, policy: DealPolicy) -> Change:
    _current(state, fact.revision)
    _open(state, "revised")
    return {"quote": QuoteStatus.SUPERSEDED, "approved_hash": "", "active": False, "accepted": False}, (
        f"revision {fact.revision} is being revised"
    )


def _withdrawn(state: DealState, fact: facts.Withdrawn, policy: DealPolicy) -> Change:
    _current(state, fact.revision)
    if state.quote not in (QuoteStatus.PENDING_APPROVAL, QuoteStatus.APPROVAL_DUE):
        raise _Refusal("ALREADY_DECIDED", f"nothing to withdraw: the quote is {state.quote}")
    return {"quote": QuoteStatus.WITHDRAWN}, f"request for approval withdrawn: {fact.reason}"


def _lost(state: DealState, fact: facts.QuoteLost, policy: DealPolicy) -> Change:
    _before_order(state)
    return {"quote": QuoteStatus.LOST, "ending": Ending.LOST}, f"lost: {fact.reason}"


def _cancelled(state: DealState, fact: facts.QuoteCancelled, policy: DealPolicy) -> Change:
    _before_order(state)
    return {"quote": QuoteStatus.CANCELLED, "ending": Ending.CANCELLED}, f"cancelled: {fact.reason}"


def _before_order(state: DealState) -> None:
    if state.order is not OrderStatus.NONE:
        raise _Refusal(ILLEGAL, "there is an order in Finance: cancel the order instead")


def _expired(state: DealState, fact: facts.ExpiryReached, policy: DealPolicy) -> Change:
    _open(state, "expired")
    return {"quote": QuoteStatus.EXPIRED, "ending": Ending.EXPIRED}, "the quote expired: revise it to go on"


# Credit


def _prepared(state: DealState, fact: facts.Prepared, policy: DealPolicy) -> Change:
    ready = fact.readiness
    if not (state.accepted and state.approved_hash):
        raise _Refusal(ILLEGAL, "nothing to prepare: the quote is not accepted")
    if ready.snapshot_hash != state.approved_hash:
        what = "; ".join(ready.differences) or "the content is not what was approved"
        raise _Refusal("HASH_MISMATCH", what)
    return {"credit": CreditStatus.CHECKING, "credit_checks": state.credit_checks + 1}, (
        f"credit is being checked on Finance data of {ready.credit.as_of:%H:%M:%S} UTC"
    )


def _credit_decided(state: DealState, fact: facts.CreditDecided, policy: DealPolicy) -> Change:
    if state.credit is not CreditStatus.CHECKING:
        raise _Refusal(ILLEGAL, f"credit decided: it is {state.credit}")
    decision = fact.decision
    if decision.passed:
        by_release = any(reason.code == RELEASED for reason in decision.reasons)
        status = CreditStatus.RELEASED if by_release else CreditStatus.PASSED
        return {"credit": status, "credit_decision": decision}, f"credit {status}: {decision.text}"
    return {"credit": CreditStatus.HELD, "credit_decision": decision}, f"credit held: {decision.text}"


def _credit_released(state: DealState, fact: facts.CreditReleased, policy: DealPolicy) -> Change:
    if state.credit not in (CreditStatus.HELD, CreditStatus.PASSED) or state.order is OrderStatus.CONFIRMED:
        raise _Refusal("NOT_HELD", f"credit is {state.credit}")
    assessment = state.assessment
    involved = {p.oid for p in (assessment.owner, assessment.submitted_by) if p} if assessment else set()
    if fact.release.released_by.oid in involved:
        raise _Refusal("REQUESTER_CANNOT_RELEASE", "the rep of a deal cannot release its credit hold")
    return {"release": fact.release}, f"credit hold released: {fact.release.comment}"


def _credit_rejected(state: DealState, fact: facts.CreditRejected, policy: DealPolicy) -> Change:
    if state.credit is not CreditStatus.HELD:
        raise _Refusal("NOT_HELD", f"credit is {state.credit}")
    return {
        "credit": CreditStatus.REJECTED,
        "quote": QuoteStatus.CANCELLED,
        "ending": Ending.CANCELLED,
    }, f"credit refused: {fact.reason}"


# The order


def _order_started(state: DealState, fact: facts.OrderStarted, policy: DealPolicy) -> Change:
    if not state.may_order:
        raise _Refusal(ILLEGAL, "an order needs approved content, acceptance and credit")
    return {"order": OrderStatus.CREATING, "order_number": fact.order_number}, (
        f"order {fact.order_number} is being created in Finance"
    )


def _order_created(state: DealState, fact: facts.OrderCreated, policy: DealPolicy) -> Change:
    if state.order is not OrderStatus.CREATING:
        raise _Refusal(ILLEGAL, f"order created: it is {state.order}")
    return {
        "order": OrderStatus.CREATED,
        "quote": QuoteStatus.ORDERED,
        "order_number": fact.order_number,
        "order_lines": fact.lines,
        "order_net": fact.net,
        "rounding_difference": fact.rounding_difference,
    }, f"order {fact.order_number} created with {len(fact.lines)} line{'s' if len(fact.lines) != 1 else ''}"


def _order_confirmed(state: DealState, fact: facts.OrderConfirmed, policy: DealPolicy) -> Change:
    if state.order is not OrderStatus.CREATED:
        raise _Refusal(ILLEGAL, f"order confirmed: it is {state.order}")
    return {"order": OrderStatus.CONFIRMED, "confirmation_number": fact.confirmation_number}, (
        f"order confirmed ({fact.confirmation_number})"
    )


def _order_recorded(state: DealState, fact: facts.OrderRecorded, policy: DealPolicy) -> Change:
    if not state.confirmation_number:
        raise _Refusal(ILLEGAL, f"order recorded in Sales: it is {state.order}")
    return {"sales_order_id": fact.sales_order_id}, "Sales shows the order; opportunity won"


# Fulfilment, invoice, payment


def _shipment_posted(state: DealState, fact: facts.ShipmentPosted, policy: DealPolicy) -> Change:
    if fact.slip in state.slips:
        raise _Refusal(STALE, f"packing slip {fact.slip} is known")
    slips = {**state.slips, fact.slip: fact.lines}
    after = state.model_copy(update={"slips": slips})
    quantities = ", ".join(f"line {line.line_no}: {line.quantity.normalize():f}" for line in fact.lines)
    return {"slips": slips, "exceptions": _violations(after, policy)}, f"packing slip {fact.slip} posted ({quantities})"


def _billing_changed(state: DealState, fact: facts.BillingChanged, policy: DealPolicy) -> Change:
    if fact.document in state.billing_unread:
        raise _Refusal(STALE, f"{fact.document} is waiting to be read")
    return {"billing_unread": (*state.billing_unread, fact.document)}, fact.text


def _billing_read(state: DealState, fact: facts.BillingRead, policy: DealPolicy) -> Change:
    slips = dict(state.slips)
    for slip in fact.billing.slips:
        told = tuple(ShippedLine(line_no=line.line_no, quantity=line.shipped) for line in slip.shipped)
        slips.setdefault(slip.slip, told)
    invoices = {invoice.invoice_number: invoice for invoice in fact.billing.invoices}
    after = state.model_copy(update={"slips": slips, "invoices": invoices})
    total = sum((invoice.total for invoice in invoices.values()), Decimal(0))
    open_amount = sum((invoice.open_amount for invoice in invoices.values()), Decimal(0))
    return {
        "slips": slips,
        "invoices": invoices,
        "billing_unread": tuple(document for document in state.billing_unread if document not in fact.covers),
        "exceptions": _violations(after, policy),
    }, (
        f"Finance: {len(invoices)} invoice{'s' if len(invoices) != 1 else ''} of {_money(state, total)}, "
        f"{_money(state, open_amount)} open"
    )


def _shipment_recorded(state: DealState, fact: facts.ShipmentRecorded, policy: DealPolicy) -> Change:
    slips = (*state.recorded_slips, *(slip for slip in fact.slips if slip not in state.recorded_slips))
    return {"recorded_slips": slips}, f"Sales shows packing slip {', '.join(fact.slips)}"


def _invoices_recorded(state: DealState, fact: facts.InvoicesRecorded, policy: DealPolicy) -> Change:
    numbers = (*state.recorded_invoices, *(n for n in fact.numbers if n not in state.recorded_invoices))
    return {"recorded_invoices": numbers, "recorded_open": {**state.recorded_open, **fact.open_amounts}}, (
        f"Sales shows invoice {', '.join(fact.numbers)}"
    )


def _payments_recorded(state: DealState, fact: facts.PaymentsRecorded, policy: DealPolicy) -> Change:
    words = ", ".join(f"{number}: {_money(state, amount)} open" for number, amount in fact.open_amounts.items())
    return {"recorded_open": {**state.recorded_open, **fact.open_amounts}}, f"Sales shows {words}"


def _money(state: DealState, amount: Decimal) -> str:
    return format_money(amount, state.assessment.currency) if state.assessment else f"{amount:,}"


def _violations(state: DealState, policy: DealPolicy) -> tuple[str, ...]:
    """The open exceptions, with what Finance shipped or invoiced beyond the order (I1, I2).

    Such a document is a fact we cannot undo, so it is never refused: it becomes an exception for a person. One that
    was only told too early (an invoice before its packing slip) goes away with the missing document.
    """
    found = [text for text in state.exceptions if not text.startswith(_OF_LINES)]
    for line in ledger_of(state, policy):
        found.extend(f"{violation.code}: {violation}" for violation in line.violations)
    return tuple(found)


_OF_LINES = ("OVER_DELIVERY", "OVER_INVOICED", "OVER_RETURN", "OVER_CREDITED")


# Waiting and mending


def _parked(state: DealState, fact: facts.StepParked, policy: DealPolicy) -> Change:
    activity = fact.parked.activity
    count = state.park_count.get(activity, 0) + 1
    parked = fact.parked.model_copy(update={"failures": count})
    return {"parked": parked, "park_count": {**state.park_count, activity: count}, "outage": None}, (
        f"waits for a person: {fact.parked.step} failed ({fact.parked.cause}): {fact.parked.message}"
    )


def _resumed(state: DealState, fact: facts.StepResumed, policy: DealPolicy) -> Change:
    if state.parked is None:
        raise _Refusal("NOT_PARKED", "no step waits for a person")
    changes: dict[str, Any] = {"parked": None}
    if fact.action == "abort":
        changes["ending"] = Ending.ABORTED
    return changes, f"{fact.action}: {fact.reason}" if fact.reason else fact.action


def _unreachable(state: DealState, fact: facts.Unreachable, policy: DealPolicy) -> Change:
    outage = Outage(system=fact.system, since=fact.since, message=fact.message)
    return {"outage": outage, "waiting_since": fact.since}, f"waiting for {fact.system}: {fact.message}"


def _reachable(state: DealState, fact: facts.Reachable, policy: DealPolicy) -> Change:
    return {"outage": None}, f"{fact.system} answers again"


def _with(state: DealState, exception: str) -> tuple[str, ...]:
    return state.exceptions if exception in state.exceptions else (*state.exceptions, exception)


_RULES: dict[type[Fact], Callable[[DealState, Any, DealPolicy], Change]] = {
    facts.Submitted: _submitted,
    facts.Assessed: _assessed,
    facts.ApprovalAsked: _approval_asked,
    facts.ApprovalEnded: _approval_ended,
    facts.Activated: _activated,
    facts.Accepted: _accepted,
    facts.Revised: _revised,
    facts.Withdrawn: _withdrawn,
    facts.QuoteLost: _lost,
    facts.QuoteCancelled: _cancelled,
    facts.ExpiryReached: _expired,
    facts.Prepared: _prepared,
    facts.CreditDecided: _credit_decided,
    facts.CreditReleased: _credit_released,
    facts.CreditRejected: _credit_rejected,
    facts.OrderStarted: _order_started,
    facts.OrderCreated: _order_created,
    facts.OrderConfirmed: _order_confirmed,
    facts.OrderRecorded: _order_recorded,
    facts.ShipmentPosted: _shipment_posted,
    facts.BillingChanged: _billing_changed,
    facts.BillingRead: _billing_read,
    facts.ShipmentRecorded: _shipment_recorded,
    facts.InvoicesRecorded: _invoices_recorded,
    facts.PaymentsRecorded: _payments_recorded,
    facts.StepParked: _parked,
    facts.StepResumed: _resumed,
    facts.Unreachable: _unreachable,
    facts.Reachable: _reachable,
}
"""Every fact and the rule that says what follows from it; a test holds that none is missing."""
