"""What the two systems report, as facts for the deal. A report is a hint to look; amounts are never taken from it."""

from __future__ import annotations

from typing import assert_never

from domain import facts
from domain.facts import Fact
from domain.messages import FinanceEvent, FinanceEventKind, SalesEvent, SalesEventKind

_BILLING: dict[FinanceEventKind, str] = {
    FinanceEventKind.SHIPMENT_POSTED: "packing slip {} posted in Finance",
    FinanceEventKind.INVOICE_POSTED: "invoice {} posted in Finance",
    FinanceEventKind.PAYMENT_POSTED: "payment {} posted in Finance",
    FinanceEventKind.PAYMENT_REVERSED: "payment {} reversed in Finance",
    FinanceEventKind.CREDIT_HOLD: "credit hold {} placed in Finance",
    FinanceEventKind.ORDER_CHANGED: "order changed in Finance: {}",
}
_PAYMENTS = (FinanceEventKind.PAYMENT_POSTED, FinanceEventKind.PAYMENT_REVERSED)


def fact_of_sales(event: SalesEvent) -> Fact:
    """What an event of Dynamics 365 Sales means for its deal."""
    match event.kind:
        case SalesEventKind.SUBMITTED:
            return facts.Submitted(revision=event.revision, quote_id=event.quote_id, by=event.actor)
        case SalesEventKind.ACTIVATED:
            return facts.Activated(revision=event.revision)
        case SalesEventKind.ACCEPTED:
            return facts.Accepted(revision=event.revision, at=event.occurred_at)
        case SalesEventKind.REVISED:
            return facts.Revised(revision=event.revision)
        case SalesEventKind.LOST:
            return facts.QuoteLost(reason="the quote was closed as lost in Sales")
        case SalesEventKind.CANCELLED:
            return facts.QuoteCancelled(reason="the quote was closed as cancelled in Sales", in_sales=True)
        case SalesEventKind.WITHDRAWN:
            return facts.Withdrawn(revision=event.revision, reason="in Sales", in_sales=True)
        case SalesEventKind.OPPORTUNITY_LOST:
            return facts.QuoteLost(reason="the opportunity was lost")
        case SalesEventKind.OPPORTUNITY_REOPENED:
            return facts.OpportunityReopened()
        case SalesEventKind.DELETED:
            return facts.QuoteCancelled(reason="the quote was deleted in Sales", in_sales=True)
        case SalesEventKind.ORDER_CANCELLED:
            return facts.SalesOrderCancelled()
        case SalesEventKind.ORDERS_MADE:
            return facts.OtherSalesOrders(numbers=event.orders)
        case _:
            assert_never(event.kind)


def fact_of_finance(event: FinanceEvent) -> Fact | None:
    """What an event of Dynamics 365 Finance means for its deal; None where it means nothing to it."""
    text = _BILLING.get(event.kind)
    if text is None:
        return None
    invoice = event.document if event.kind is FinanceEventKind.INVOICE_POSTED else ""
    payment = event.document if event.kind in _PAYMENTS else ""
    changed = event.kind is FinanceEventKind.ORDER_CHANGED
    return facts.BillingChanged(text=text.format(event.document), invoice=invoice, payment=payment, order=changed)
