"""What the two systems report, as facts for the deal. A report is a hint to look; amounts are never taken from it."""

from __future__ import annotations

from collections.abc import Callable

from domain import facts
from domain.facts import Fact
from domain.messages import FinanceEvent, FinanceEventKind, SalesEvent, SalesEventKind
from domain.refusals import Refusal


def _written_down(event: SalesEvent, what: str) -> Fact:
    """What changes nothing by itself: the deal's record says that it happened."""
    return facts.Refused(message_id=event.event_id, what=event.kind, code=Refusal.ILLEGAL_TRANSITION, detail=what)


_SALES: dict[SalesEventKind, Callable[[SalesEvent], Fact]] = {
    SalesEventKind.SUBMITTED: lambda e: facts.Submitted(revision=e.revision, quote_id=e.quote_id),
    SalesEventKind.ACTIVATED: lambda e: facts.Activated(revision=e.revision),
    SalesEventKind.ACCEPTED: lambda e: facts.Accepted(revision=e.revision, at=e.occurred_at),
    SalesEventKind.REVISED: lambda e: facts.Revised(revision=e.revision),
    SalesEventKind.LOST: lambda e: facts.QuoteLost(reason="the quote was closed as lost in Sales"),
    SalesEventKind.CANCELLED: lambda e: facts.QuoteCancelled(reason="the quote was closed as cancelled in Sales"),
    SalesEventKind.WITHDRAWN: lambda e: facts.Withdrawn(revision=e.revision, reason="in Sales", in_sales=True),
    SalesEventKind.OPPORTUNITY_LOST: lambda e: facts.QuoteLost(reason="the opportunity was lost"),
    SalesEventKind.OPPORTUNITY_REOPENED: lambda e: _written_down(e, "the opportunity was reopened in Sales"),
    SalesEventKind.DELETED: lambda e: facts.QuoteCancelled(reason="the quote was deleted in Sales"),
    SalesEventKind.ORDER_CANCELLED: lambda e: _written_down(e, "the order was cancelled in Sales"),
}

_BILLING: dict[FinanceEventKind, str] = {
    FinanceEventKind.SHIPMENT_POSTED: "packing slip {} posted in Finance",
    FinanceEventKind.INVOICE_POSTED: "invoice {} posted in Finance",
    FinanceEventKind.PAYMENT_POSTED: "payment {} posted in Finance",
    FinanceEventKind.PAYMENT_REVERSED: "payment {} reversed in Finance",
}


def fact_of_sales(event: SalesEvent) -> Fact:
    """What an event of Dynamics 365 Sales means for its deal."""
    return _SALES[event.kind](event)


def fact_of_finance(event: FinanceEvent) -> Fact | None:
    """What an event of Dynamics 365 Finance means for its deal; None where it means nothing to it."""
    text = _BILLING.get(event.kind)
    if text is None:
        return None
    invoice = event.document if event.kind is FinanceEventKind.INVOICE_POSTED else ""
    return facts.BillingChanged(text=text.format(event.document), invoice=invoice)
