"""Why a deal waits, what would unblock it, and how it looks to people: text made from the state, nothing more."""

from __future__ import annotations

from decimal import Decimal

from domain.assessment import QuoteAssessment
from domain.causes import Cause, failure_of, readable
from domain.changing import OrderChange
from domain.credit_facts import CreditStatus
from domain.customers import UnknownCustomer
from domain.deal_state import DealState, OrderStatus, QuoteStatus
from domain.drift import in_words
from domain.fulfilment import Invoice
from domain.money import format_money
from domain.payments import Payment, awaited
from domain.people import Person
from domain.phrases import Phrase, clock, known, listed, money, percent, phrase
from domain.phrases import number as quantity
from domain.price_look import DriftView, Verdict
from domain.views import (
    STAGES,
    DealView,
    DocumentView,
    Explanation,
    OrderChangeView,
    ReleaseAsked,
    ReleaseDefaults,
    Stage,
    WaitingFor,
)

LONGEST_TEXT = 2_000
"""Characters of one text for a person: why a deal waits, or one exception."""
EXCEPTIONS_SHOWN = 20

_NOBODY = Person(oid="")

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

_Waiting = tuple[WaitingFor, Phrase | str, Phrase | str, tuple[str, ...]]
"""What for, why and what would unblock it (as a bare text where people or another system wrote it), who can act."""


def explain(state: DealState) -> Explanation:
    """Why the deal waits, who can act and what would unblock it."""
    waiting_for, text, unblock, who = _waiting(state)
    deadline = None
    if waiting_for in (WaitingFor.REP, WaitingFor.CUSTOMER) and state.assessment:
        deadline = state.assessment.expires_at
    if waiting_for is WaitingFor.PAYMENT:
        open_invoices = (invoice for invoice in state.delivery.invoices.values() if invoice.open_amount > 0)
        deadline = min((invoice.due_on for invoice in open_invoices if invoice.due_on), default=None)
    said = str(text)
    short = len(said) <= LONGEST_TEXT
    return Explanation(
        waiting_for=waiting_for,
        since=state.waiting_since,
        text=said if short else f"{said[:LONGEST_TEXT]} …",
        unblock=str(unblock),
        said=text if isinstance(text, Phrase) and short else None,
        unblock_said=unblock if isinstance(unblock, Phrase) else None,
        who=who,
        deadline=deadline,
        details=_raw(state)[:LONGEST_TEXT],
    )


def _raw(state: DealState) -> str:
    """The raw answer of a system behind the text."""
    if state.parked:
        return state.parked.message
    if state.outage:
        return state.outage.message
    return state.changing.failure if state.changing and state.running else ""


def _waiting(state: DealState) -> _Waiting:
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
        return WaitingFor.CREDIT, phrase("Credit held: {reasons}", reasons=listed(parts)), unblock, ("credit_manager",)
    return _waiting_after_order(state)


def _changing(state: DealState, change: OrderChange) -> _Waiting:
    what = {"order": state.order_number, "change": change.words, "who": change.by.label}
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


def _held_by_finance(state: DealState) -> _Waiting:
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


def _waiting_in_quote(state: DealState) -> _Waiting:
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
        return phrase("{drift}. Nothing is ordered until it is approved", drift=in_words(state.drift))
    if state.accepted:
        return phrase(
            "Won in Sales before it was approved, nothing is ordered. Waiting for approval of {discount} discount",
            discount=discount,
        )
    return phrase("Waiting for approval of {discount} discount", discount=discount)


def _problems(found: QuoteAssessment) -> Phrase:
    parts = tuple(problem.said or phrase("{text}", text=problem.message) for problem in found.problems)
    return phrase("{problems}", problems=listed(parts))


def _waiting_for_customer(state: DealState, unknown: UnknownCustomer) -> _Waiting:
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


def _waiting_after_order(state: DealState) -> _Waiting:
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


def _waiting_for_credit(state: DealState) -> _Waiting:
    amount = money(state.delivery.unapplied, state.header.currency)
    text = phrase("{amount} of the customer's money settle nothing", amount=amount)
    unblock = phrase("Settle it with another invoice in Finance, have it paid back, or leave it on the account")
    for refund in state.refunds:
        unblock = awaited(refund, state.header.currency) or unblock
    return WaitingFor.UNAPPLIED, text, unblock, ("ar_manager",)


def paid_amount(state: DealState) -> Decimal:
    """What was paid of the invoices, without what was credited: with what is unapplied or was paid back it comes to
    what was received. What is known of no payment is what is neither credited nor open.
    """
    delivery = state.delivery
    still_open = sum((i.open_amount for i in delivery.invoices.values() if not i.is_credit), Decimal(0))
    taken = delivery.discount + delivery.difference
    return invoiced_amount(state) - credited_amount(state) - still_open - taken


def open_amount(state: DealState) -> Decimal:
    """What Finance holds open on all invoices, in the deal's currency."""
    return sum((invoice.open_amount for invoice in state.delivery.invoices.values()), Decimal(0))


def invoiced_amount(state: DealState) -> Decimal:
    """Total of all invoices incl. tax, in the deal's currency; credit notes are not taken off."""
    return sum((i.total for i in state.delivery.invoices.values() if not i.is_credit), Decimal(0))


def credited_amount(state: DealState) -> Decimal:
    """Total of all credit notes incl. tax, in the deal's currency."""
    return -sum((i.total for i in state.delivery.invoices.values() if i.is_credit), Decimal(0))


def view(state: DealState) -> DealView:
    """The deal as people and programs see it."""
    found = state.assessment
    invoiced, credited, still_open = invoiced_amount(state), credited_amount(state), open_amount(state)
    return DealView(
        **state.header.header_fields,
        owner=found.owner if found else _NOBODY,
        submitted_by=found.submitted_by if found else None,
        policy_version=state.policy.version,
        version=state.version,
        stage=state.stage,
        ending=state.ending,
        quote_status=state.quote,
        credit_status=state.credit,
        order_status=state.shown_order,
        problems=found.problems if found else (),
        unknown_customer=state.unknown_customer,
        customer_note=state.customer_note,
        explanation=explain(state),
        credit=state.credit_decision or (found.soft_credit if found else None),
        credit_released_by=state.release.released_by if state.release else None,
        release_asked=_release_asked(state),
        release_defaults=_release_defaults(state),
        approvals=state.approvals,
        questions=state.questions,
        parked=state.parked,
        order_change=_change_view(state),
        order_number=state.order_number,
        sales_order_id=state.sales_order_id,
        opportunity_id=(found.opportunity_id or "") if found else "",
        expires_at=found.expires_at if found else None,
        lines=state.delivery.lines.shown,
        documents=_documents(state),
        invoiced=invoiced,
        credited=credited,
        paid=paid_amount(state),
        received=state.delivery.received,
        unapplied=state.delivery.unapplied,
        refunded=state.delivery.refunded,
        discount_taken=state.delivery.discount,
        difference=state.delivery.difference,
        refunds=state.refunds,
        open_amount=still_open,
        price_drift=_price_drift(state),
        rounding=state.rounding,
        exceptions=state.exceptions,
        started_at=state.started_at,
        updated_at=state.updated_at,
    )


def _price_drift(state: DealState) -> DriftView | None:
    if state.drift is None:
        return None
    return DriftView(look=state.drift, words=in_words(state.drift), decision=state.drift_decision)


def _change_view(state: DealState) -> OrderChangeView | None:
    change = state.changing
    if change is None or not state.running:
        return None
    return OrderChangeView(
        whole=change.is_whole,
        text=change.words,
        reason=change.reason,
        by=change.by,
        asked_at=change.asked_at,
        failure=change.failure,
        retry_at=change.retry_at,
    )


def _release_asked(state: DealState) -> ReleaseAsked | None:
    asked, held = state.release_asked, state.credit_decision
    if asked is None or held is None or not (state.credit is CreditStatus.HELD or state.held_by_finance):
        return None
    return ReleaseAsked(
        by=asked.released_by,
        most=asked.most,
        currency=held.currency,
        valid_until=asked.valid_until,
        comment=asked.comment,
    )


def _release_defaults(state: DealState) -> ReleaseDefaults | None:
    if not (state.credit is CreditStatus.HELD or state.held_by_finance) or state.credit_decision is None:
        return None
    return ReleaseDefaults(
        valid_days=state.policy.release_valid_days,
        deviation_pct=state.policy.release_deviation_pct,
        ceiling=state.credit_decision.this_order,
    )


def _documents(state: DealState) -> tuple[DocumentView, ...]:
    found = state.assessment
    documents = [
        DocumentView(
            kind="quote",
            system="Sales",
            number=f"{state.quote_number} rev {state.revision}",
            amount=found.total if found else None,
            status=state.quote,
        )
    ]
    if state.order is not OrderStatus.NONE:
        documents.append(
            DocumentView(
                kind="order",
                system="Finance",
                number=state.order_number,
                amount=found.total if found else None,
                status=state.shown_order,
            )
        )
    documents.extend(
        DocumentView(kind="packing slip", system="Finance", number=slip, status=str(_moved(moved)), said=_moved(moved))
        for slip, moved in state.delivery.slips.items()
    )
    documents.extend(
        DocumentView(
            kind="credit note" if invoice.is_credit else "invoice",
            system="Finance",
            number=invoice.invoice_number,
            amount=invoice.total,
            open_amount=invoice.open_amount,
            status=_settled(invoice),
            at=invoice.invoiced_on,
            due_on=invoice.due_on,
        )
        for invoice in state.delivery.invoices.values()
    )
    documents.extend(
        DocumentView(
            kind="payment",
            system="Finance",
            number=payment.number,
            amount=payment.amount,
            open_amount=payment.unapplied,
            status=_applied(payment),
            at=payment.paid_on,
        )
        for payment in state.delivery.payments
    )
    return tuple(documents)


def _applied(payment: Payment) -> str:
    if payment.reversed:
        return "reversed"
    if payment.unapplied:
        return "unapplied"
    return "refunded" if payment.refunded else "settled"


def _moved(moved: Decimal) -> Phrase:
    if moved < 0:
        return phrase("{quantity} returned", quantity=quantity(-moved))
    return phrase("{quantity} shipped", quantity=quantity(moved))


def _settled(document: Invoice) -> str:
    if document.is_credit:
        return "settled" if not document.open_amount else "open"
    return "paid" if document.open_amount <= 0 else "open"


def summary_line(state: DealState) -> str:
    """One line for a list: amount, customer account and lines."""
    found = state.assessment
    if found is None or not found.currency:
        return f"**{state.quote_number}**"
    plural = "s" if found.line_count != 1 else ""
    return (
        f"**{state.quote_number}** {found.line_count} line{plural} "
        f"{format_money(found.total, found.currency)} ({found.customer_account})"
    )


def details(state: DealState) -> str:
    """The deal as a page of Markdown: the stages, what it waits for, who can act and until when."""
    now = explain(state)
    rows = ["| | stage | |", "|---|---|---|"]
    reached = list(Stage).index(state.stage)
    for index, stage in enumerate(STAGES):
        now_here = index == reached and not state.ending
        mark = "✓" if index < reached else "▶" if now_here else "·"
        name = f"**{stage.capitalize()}**" if now_here else stage.capitalize()
        rows.append(f"| {mark} | {name} | {_stage_note(state, stage)} |")
    lines = [summary_line(state), "", *rows, ""]
    if state.ending:
        lines.append(f"**Ended**: {state.ending}")
    if now.waiting_for is not WaitingFor.NOTHING:
        who = f" ({', '.join(now.who)})" if now.who else ""
        until = f" until {now.deadline:%Y-%m-%d %H:%M} UTC" if now.deadline else ""
        lines.append(f"**Waiting for {now.waiting_for}**{who} since {now.since:%Y-%m-%d %H:%M} UTC{until}: {now.text}")
        if now.unblock:
            lines.append(f"\n**What would help**: {now.unblock}")
    lines.extend(f"\n**Exception**: {text[:LONGEST_TEXT]}" for text in state.exceptions[:EXCEPTIONS_SHOWN])
    if (more := len(state.exceptions) - EXCEPTIONS_SHOWN) > 0:
        lines.append(f"\nand {more} more exceptions")
    return "\n".join(lines)


def _stage_note(state: DealState, stage: Stage) -> str:
    delivery, currency = state.delivery, state.header.currency
    note = {
        Stage.QUOTE: f"rev {state.revision}, {_words(state.quote)}",
        Stage.CREDIT: _words(state.credit) if state.credit is not CreditStatus.NOT_CHECKED else "",
        Stage.ORDER: f"{state.order_number} {_words(state.shown_order)}" if state.order_number else "",
        Stage.FULFILMENT: f"packing slips: {len(delivery.slips)}" if delivery.slips else "",
        Stage.INVOICE: format_money(invoiced_amount(state), currency) if delivery.invoices else "",
        Stage.PAYMENT: f"{format_money(open_amount(state), currency)} open" if delivery.invoices else "",
    }.get(stage, "")
    return f" {note}" if note else ""


def _words(code: str) -> str:
    return code.replace("_", " ")
