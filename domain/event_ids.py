"""The ids of facts: the same fact has the same id, whoever tells it.

A fact of Sales or Finance may be told by a webhook, by a business event and by a sweep, late, twice and in any order.
A deal counts it once because every teller names it with the functions of this module, from what identifies the fact
itself and never from its delivery. All text is put in one form first: ids of Dataverse in lower case, document numbers
of Finance in upper case, since both systems compare them without regard to case.

Three facts have an id that only one teller can give, and one is told in full by its event only:

* A request for approval (and its withdrawal) may happen again and again on one revision. The row version tells one
  time from the next, so a webhook without an image, which carries no version, names a *hint* instead: the feed reads
  the quote, and its reading names the fact.
* An order changed in Finance has no document: each change is named by the event that told it. A sweep tells of orders
  that were cancelled, once each.
* A reversed payment is told in full by its event only. A sweep sees which invoices are open and were changed: each such
  change is a fact of its own, and whoever is told reads what it is.
* A changed credit limit or hold has no document: the event's own id names it. A sweep does not tell it; every credit
  check reads the customer anew.
"""

from __future__ import annotations

from uuid import UUID

from domain.messages import FinanceEventKind, SalesEventKind

_REPEATABLE = frozenset({SalesEventKind.SUBMITTED, SalesEventKind.WITHDRAWN})
_DOCUMENTS = {
    FinanceEventKind.SHIPMENT_POSTED: "slip",
    FinanceEventKind.INVOICE_POSTED: "invoice",
    FinanceEventKind.PAYMENT_POSTED: "payment",
    FinanceEventKind.PAYMENT_REVERSED: "payment-reversed",
    FinanceEventKind.CREDIT_HOLD: "credit-hold",
}
_CUSTOMER_FACTS = {
    FinanceEventKind.CREDIT_LIMIT_CHANGED: "limit",
    FinanceEventKind.CUSTOMER_BLOCKED: "blocked",
}


def quote_fact(quote_id: UUID | str, kind: SalesEventKind, version: int) -> str:
    """What happened to one revision of a quote; each revision is a row of its own, so its id names it.

    Args:
        quote_id: quoteid of the revision.
        kind: What happened.
        version: Row version (versionnumber) after it happened; counts only for what may happen again.
    """
    again = f"/{version}" if kind in _REPEATABLE else ""
    return f"dv/quote/{str(quote_id).lower()}/{kind}{again}"


def opportunity_lost(opportunity_id: UUID | str) -> str:
    """The opportunity of one or more quotes was lost."""
    return f"dv/opportunity/{str(opportunity_id).lower()}/{SalesEventKind.OPPORTUNITY_LOST}"


def orders_of_quote(quote_id: UUID | str, version: int) -> str:
    """What Sales has of orders made from a quote.

    Args:
        quote_id: quoteid of the revision.
        version: The highest row version among those orders: they may change again and again.
    """
    return f"dv/quote/{str(quote_id).lower()}/{SalesEventKind.ORDERS_MADE}/{version}"


def hint(entity: str, record_id: UUID | str, operation_id: str) -> str:
    """A record changed, and nobody knows how yet: an id of the telling, not of a fact.

    Args:
        entity: Logical name of the table, e.g. ``quote``.
        record_id: Primary key of the row.
        operation_id: Id of the operation in Dataverse, so that the next change of the same row is another hint.
    """
    return f"dv/{entity}/{str(record_id).lower()}/hint/{operation_id.lower()}"


def finance_document(kind: FinanceEventKind, document: str) -> str:
    """A document posted in Finance.

    Args:
        kind: What was posted.
        document: Its number: packing slip, invoice, entry of the hold list, payment that was reversed.
    """
    return f"finance/{_DOCUMENTS[kind]}/{document.upper()}"


def settlement(payment: str, invoice: str) -> str:
    """A payment settled an invoice: what is left of it may settle the next one later on, which is another fact.

    Args:
        payment: ``payment_number``.
        invoice: Number of the invoice; empty where the teller names none.
    """
    return finance_document(FinanceEventKind.PAYMENT_POSTED, f"{payment}/{invoice}" if invoice else payment)


def payment_number(payment_id: str, voucher: str) -> str:
    """What identifies a settlement: the payment id of its transaction (PaymId), or its voucher where it has none.

    Journals without payment ids are common, and so are settlements by a credit note, which is no payment at all.
    """
    return payment_id.strip() or voucher.strip()


def deposit(document: str) -> str:
    """A payment that names an order was posted.

    Args:
        document: ``payment_number``.
    """
    return f"finance/deposit/{document.upper()}"


def customer_fact(kind: FinanceEventKind, delivery_id: str) -> str:
    """Something about a customer's credit changed; named by the event that told it (its ``EventId``)."""
    return f"finance/{_CUSTOMER_FACTS[kind]}/{delivery_id.upper()}"


def order_changed(delivery_id: str) -> str:
    """An order, or a document of it, was changed in Finance; named by the event that told it (its ``EventId``)."""
    return f"finance/order-changed/{delivery_id.upper()}"


def order_cancelled(order_number: str) -> str:
    """Finance has cancelled an order."""
    return f"finance/order-cancelled/{order_number.upper()}"
