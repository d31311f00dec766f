"""Why a deal waits, what would unblock it, and how it looks to people: text made from the state, nothing more."""

from __future__ import annotations

from decimal import Decimal

from domain.credit_facts import CreditStatus
from domain.deal_state import DealState, OrderStatus
from domain.drift import in_words
from domain.fulfilment import Invoice
from domain.money import format_money
from domain.payments import Payment
from domain.people import Person
from domain.phrases import Phrase, phrase
from domain.phrases import number as quantity
from domain.price_look import DriftView
from domain.sums import credited_amount, invoiced_amount, open_amount, paid_amount
from domain.views import (
    STAGES,
    DealView,
    DepositView,
    DocumentView,
    Explanation,
    OrderChangeView,
    ReleaseAsked,
    ReleaseDefaults,
    Stage,
    WaitingFor,
)
from domain.waiting import waiting

LONGEST_TEXT = 2_000
"""Characters of one text for a person: why a deal waits, or one exception."""
EXCEPTIONS_SHOWN = 20

_NOBODY = Person(oid="")


def explain(state: DealState) -> Explanation:
    """Why the deal waits, who can act and what would unblock it."""
    waiting_for, text, unblock, who = waiting(state)
    deadline = None
    if waiting_for in (WaitingFor.REP, WaitingFor.CUSTOMER) and state.assessment:
        deadline = state.assessment.expires_at
    if waiting_for is WaitingFor.PAYMENT:
        open_invoices = (invoice for invoice in state.delivery.invoices.values() if invoice.open_amount > 0)
        deadline = min((invoice.due_on for invoice in open_invoices if invoice.due_on), default=None)
    if waiting_for is WaitingFor.DEPOSIT:
        deadline = state.deposit_due_at
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
        deposit=_deposit(state),
        open_amount=still_open,
        price_drift=_price_drift(state),
        rounding=state.rounding,
        exceptions=state.exceptions,
        started_at=state.started_at,
        updated_at=state.updated_at,
    )


def _deposit(state: DealState) -> DepositView | None:
    due = state.policy.deposit
    if due is None:
        return None
    settled = {number: i.from_deposit for number, i in state.delivery.invoices.items() if i.from_deposit}
    received = state.delivery.deposits
    return DepositView(
        amount=due.amount,
        share=due.share,
        rule=due.rule,
        policy_version=due.policy,
        received=received,
        missing=state.deposit_missing,
        settled=settled,
        left=received - sum(settled.values(), Decimal(0)),
        due_at=state.deposit_due_at,
        holds=state.deposit_holds,
    )


def _price_drift(state: DealState) -> DriftView | None:
    if state.drift is None:
        return None
    said = in_words(state.drift)
    return DriftView(look=state.drift, words=str(said), said=said, decision=state.drift_decision)


def _change_view(state: DealState) -> OrderChangeView | None:
    change = state.changing
    if change is None or not state.running:
        return None
    return OrderChangeView(
        whole=change.is_whole,
        text=change.words,
        waits_for_approval=state.asks_for_more,
        total=change.larger.total if change.larger else None,
        more=change.larger.more if change.larger else None,
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
