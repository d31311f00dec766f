"""What a deal waits for, why, what would unblock it and who can act: sentences made from its state."""

from __future__ import annotations

from domain.assessment import QuoteAssessment
from domain.causes import Cause, failure_of, readable
from domain.changing import OrderChange
from domain.credit_facts import CreditStatus
from domain.customers import UnknownCustomer
from domain.deal_state import DealState, QuoteStatus
from domain.deposits import DepositDue
from domain.drift import in_words
from domain.growing import LargerOrder
from domain.payments import awaited
from domain.phrases import Arg, Phrase, clock, known, listed, money, percent, phrase
from domain.phrases import number as quantity
from domain.price_look import Verdict
from domain.sums import open_amount
from domain.views import (
    Stage,
    WaitingFor,
)

_REP_WAITS: dict[QuoteStatus, tuple[Phrase, Phrase]] = {
    QuoteStatus.INVALID: (
        phrase("The quote has problems"),
        phrase("Correct the quote in Sales and request approval again"),
    ),
    QuoteStatus.REJECTED: (
        phrase("The discount was not approved"),
        phrase("Change the quote in Sales and request approval again"),
    ),
    QuoteStatus.WITHDRAWN: (
        phrase("The request for approval was withdrawn"),
        phrase("Request approval again in Sales"),
    ),
    QuoteStatus.SUPERSEDED: (phrase("The quote is being revised"), phrase("Submit the new revision in Sales")),
    QuoteStatus.APPROVED: (
        phrase("The quote is approved"),
        phrase("Activate the quote in Sales and send it to the customer"),
    ),
}

Waiting = tuple[WaitingFor, Phrase | str, Phrase | str, tuple[str, ...]]
"""What for, why and what would unblock it (as a bare text where people or another system wrote it), who can act."""


def waiting(state: DealState) -> Waiting:
    """What a deal waits for now; in progress where that is nothing anybody has to know of."""
    if state.parked:
        parked = state.parked
        if state.held_by_finance:
            return _held_by_finance(state)
        failed = failure_of(parked.step, Cause.of(parked.cause), parked.message)
        return WaitingFor.OPERATOR, failed, phrase("{help}", help=known(parked.suggestion)), ("ops",)
    if state.outage:
        system = WaitingFor.FINANCE if state.outage.system == "Finance" else WaitingFor.SALES
        name, at, said = state.outage.system, clock(state.outage.since), readable(state.outage.message)
        text = phrase("Waiting for {system} since {at}", system=name, at=at)
        if said:
            text = phrase("Waiting for {system} since {at}: {message}", system=name, at=at, message=said)
        return system, text, phrase("Resumes automatically when {system} responds", system=name), ()
    if not state.running:
        return WaitingFor.NOTHING, phrase("The deal has ended: {ending}", ending=known(str(state.ending))), "", ()
    if state.stage in (Stage.OPPORTUNITY, Stage.QUOTE):
        return _waiting_in_quote(state)
    if state.changing:
        return _changing(state, state.changing)
    if state.delivery.cancelled and state.credit_undecided:
        return _waiting_for_credit(state)
    if state.deposit_holds and state.policy.deposit:
        return _waiting_for_deposit(state, state.policy.deposit)
    if state.held_by_finance:
        return _held_by_finance(state)
    if state.credit is CreditStatus.HELD:
        reasons = state.credit_decision.reasons if state.credit_decision else ()
        parts = tuple(reason.said or phrase("{text}", text=reason.text) for reason in reasons)
        unblock = phrase("A payment, a higher limit or a release by a credit manager")
        if state.release_asked:
            unblock = phrase(
                "A payment, a higher limit or a release by a credit manager: {who} asked for one, a second person has "
                "to as well",
                who=state.release_asked.released_by.label,
            )
        text = phrase("Credit held: {reasons}", reasons=listed(parts))
        if state.confirmation_number:
            text = phrase(
                "Credit held, the warehouse gets none of order {order}: {reasons}",
                order=state.order_number,
                reasons=listed(parts),
            )
        return WaitingFor.CREDIT, text, unblock, ("credit_manager",)
    return _waiting_after_order(state)


def _changing(state: DealState, change: OrderChange) -> Waiting:
    what = {"order": state.order_number, "change": change.words, "who": change.by.label}
    if state.asks_for_more and change.larger is not None:
        return _more_to_approve(state, change.larger, what)
    if not change.failure:
        text = phrase("Order {order} is being changed: {change}, asked by {who}", **what)
        return WaitingFor.FINANCE, text, phrase("Finance takes it and shows it; nobody has to do anything"), ()
    text = phrase("Order {order} is being changed: {change}, asked by {who}. Finance does not take it", **what)
    if said := readable(change.failure):
        text = phrase(
            "Order {order} is being changed: {change}, asked by {who}. Finance does not take it: {failure}",
            failure=said,
            **what,
        )
    unblock = phrase("Correct what Finance says, e.g. have a picking list reversed; it is tried again by itself")
    if change.retry_at:
        unblock = phrase(
            "Correct what Finance says, e.g. have a picking list reversed; it is tried again by itself, at {at}",
            at=clock(change.retry_at),
        )
    return WaitingFor.OPERATOR, text, unblock, ("ops", "warehouse")


def _held_by_finance(state: DealState) -> Waiting:
    help_ = known(Cause.CREDIT_HOLD.suggestion)
    unblock = phrase("{help}", help=help_)
    if state.release_asked:
        unblock = phrase(
            "{help}. {who} asked for a release, a second person has to as well",
            help=help_,
            who=state.release_asked.released_by.label,
        )
    text = phrase("Finance's credit management holds the order: {text}", text=state.hold_text)
    return WaitingFor.CREDIT, text, unblock, ("credit_manager",)


def _waiting_in_quote(state: DealState) -> Waiting:
    owner = (state.assessment.owner.name,) if state.assessment else ()
    if state.quote is QuoteStatus.PENDING_APPROVAL and state.assessment and state.open_request:
        asked = state.open_request.asked
        if state.questions:
            asks = tuple(phrase("{who} asks: {question}", who=q.by.label, question=q.question) for q in state.questions)
            unblock = phrase("The rep answers on the page of the deal; until then the approval waits")
            return WaitingFor.REP, phrase("{questions}", questions=listed(asks)), unblock, owner
        return WaitingFor.APPROVAL, _asked(state, state.assessment), phrase("The approvers decide in the inbox"), asked
    if state.quote is QuoteStatus.SENT:
        unblock = phrase("The rep accepts or revises it in Sales")
        return WaitingFor.CUSTOMER, phrase("The quote is with the customer"), unblock, owner
    if state.unknown_customer is not None and state.unknown_customer.decidable:
        return _waiting_for_customer(state, state.unknown_customer)
    if state.customer is not None:
        return WaitingFor.NOTHING, phrase("The customer is being set up in Finance and Sales"), "", ()
    if state.quote in _REP_WAITS:
        text: Phrase | str
        text, unblock = _REP_WAITS[state.quote]
        if state.quote is QuoteStatus.INVALID and state.assessment:
            text = _problems(state.assessment)
        elif state.approval_text and state.quote is QuoteStatus.REJECTED:
            text = state.approval_text
        return WaitingFor.REP, text, unblock, owner
    return WaitingFor.NOTHING, phrase("In progress"), "", ()


def _asked(state: DealState, found: QuoteAssessment) -> Phrase:
    """What approvers are asked."""
    discount = percent(found.discount_pct)
    if state.drift is not None and state.drift.verdict is Verdict.ASK:
        return phrase("{drift}. Nothing is ordered until it is approved", drift=listed((in_words(state.drift),)))
    if state.accepted:
        return phrase(
            "Won in Sales before it was approved, nothing is ordered. Waiting for approval of {discount} discount",
            discount=discount,
        )
    return phrase("Waiting for approval of {discount} discount", discount=discount)


def _waiting_for_deposit(state: DealState, due: DepositDue) -> Waiting:
    what: dict[str, Arg | str | int] = {
        "order": state.order_number,
        "amount": money(due.amount, due.currency),
        "missing": money(state.deposit_missing, due.currency),
    }
    text = phrase("Order {order} waits for its deposit of {amount}: {missing} missing", **what)
    if due.share:
        text = phrase(
            "Order {order} waits for its deposit of {amount} ({share}): {missing} missing", share=due.share, **what
        )
    unblock = phrase(
        "The customer pays, and the payment in Finance names {order} as its payment reference", order=state.order_number
    )
    return WaitingFor.DEPOSIT, text, unblock, ("ar_manager", "customer")


def _more_to_approve(state: DealState, larger: LargerOrder, what: dict[str, str]) -> Waiting:
    """The larger order waits for its approvers, or one of them for the rep; goods are shipped as ordered meanwhile."""
    if state.questions:
        asked = "; ".join(question.text for question in state.questions)
        owner = (state.assessment.owner.name,) if state.assessment else ()
        unblock = phrase("The rep answers on the page of the deal; until then the approval waits")
        return WaitingFor.REP, asked, unblock, owner
    text = phrase(
        "Order {order} is being changed: {change}, asked by {who}. It would come to {total}, {more} more, and waits "
        "for approval",
        total=money(larger.total, state.header.currency),
        more=money(larger.more, state.header.currency),
        **what,
    )
    asked_of = state.open_request.asked if state.open_request else ()
    return WaitingFor.APPROVAL, text, phrase("The approvers decide in the inbox"), asked_of


def _problems(found: QuoteAssessment) -> Phrase:
    parts = tuple(problem.said or phrase("{text}", text=problem.message) for problem in found.problems)
    return phrase("{problems}", problems=listed(parts))


def _waiting_for_customer(state: DealState, unknown: UnknownCustomer) -> Waiting:
    problems = _problems(state.assessment) if state.assessment else ""
    unblock = phrase(
        "Accounts receivable has the customer created in Finance, on the page of the deal; then the quote goes on by "
        "itself"
    )
    if unknown.candidates:
        unblock = phrase(
            "Accounts receivable says whether it is the same customer, on the page of the deal; then the quote goes on "
            "by itself"
        )
    return WaitingFor.CUSTOMER_SETUP, state.customer_note or problems, unblock, ("ar_manager", "credit_manager")


def _waiting_after_order(state: DealState) -> Waiting:
    if state.stage is Stage.FULFILMENT:
        lines = state.delivery.lines
        ordered = quantity(lines.ordered - lines.cancelled)
        text = phrase("{shipped} of {ordered} shipped", shipped=quantity(lines.shipped), ordered=ordered)
        return WaitingFor.SHIPMENT, text, phrase("The warehouse posts the packing slip in Finance"), ("warehouse",)
    if state.stage is Stage.INVOICE:
        unblock = phrase("The invoice is posted in Finance")
        return WaitingFor.INVOICE, phrase("Shipped, not invoiced"), unblock, ("accounts receivable",)
    if state.stage is Stage.PAYMENT and not state.delivery.all_credited:
        returned = quantity(state.delivery.lines.returned)
        text = phrase("{returned} came back and not all of it is credited", returned=returned)
        return WaitingFor.INVOICE, text, phrase("The credit note is posted in Finance"), ("accounts receivable",)
    if state.stage is Stage.PAYMENT and not state.delivery.all_paid:
        text = phrase("{amount} open", amount=money(open_amount(state), state.header.currency))
        return WaitingFor.PAYMENT, text, phrase("The customer pays and Finance settles the invoice"), ("customer",)
    if state.stage is Stage.PAYMENT and state.credit_undecided:
        return _waiting_for_credit(state)
    return WaitingFor.NOTHING, phrase("In progress"), "", ()


def _waiting_for_credit(state: DealState) -> Waiting:
    amount = money(state.delivery.unapplied, state.header.currency)
    text = phrase("{amount} of the customer's money settle nothing", amount=amount)
    unblock = phrase("Settle it with another invoice in Finance, have it paid back, or leave it on the account")
    for refund in state.refunds:
        unblock = awaited(refund, state.header.currency) or unblock
    return WaitingFor.UNAPPLIED, text, unblock, ("ar_manager",)
