"""What is written to Sales on an order and its invoices: the bodies, without the sending.

Each is a `Write` of a change set, so that all a stage changed goes together. An order that was submitted and an invoice
that was paid take a change of their state, and no column beside it; what they show then stands in rows of their own
(`dynamics.sales.deal_rows`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from uuid import UUID

from dynamics.core.batch import Write
from dynamics.core.literals import key
from dynamics.core.odata import Row
from dynamics.sales.options import (
    OPPORTUNITY_WON_STATUS,
    InvoiceState,
    InvoiceStatus,
    OrderState,
    OrderStatus,
    PaymentChoice,
)

OURS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "quotes": frozenset({"q2c_approvalstatus", "q2c_approvalreason", "q2c_caseid", "q2c_creditstatus"}),
        "salesorders": frozenset({"q2c_financeordernumber", "statecode", "statuscode"}),
        "invoices": frozenset({"statecode", "statuscode"}),
        "accounts": frozenset({"accountnumber"}),
    }
)
"""Columns that may be changed of records that people edit as well, by entity set: docs/quote-to-order.md."""


def ours(entity_set: str, body: Row) -> Row:
    """A change of a record that people edit as well, which may name nothing but our columns.

    Raises:
        ValueError: it names another one, so that it could undo what somebody saved there.
    """
    if others := body.keys() - OURS[entity_set]:
        raise ValueError(f"{', '.join(sorted(others))} of {entity_set} may be changed in Sales only")
    return body


def _changed(entity_set: str, record: UUID, body: Row) -> Write:
    return Write("PATCH", key(entity_set, record), ours(entity_set, body), {"If-Match": "*"})


def recorded(order_id: UUID, finance_number: str) -> Write:
    """PATCH of an order with its number in Finance; it is submitted and In Progress from then on."""
    body = {
        "q2c_financeordernumber": finance_number,
        "statecode": int(OrderState.SUBMITTED),
        "statuscode": int(OrderStatus.IN_PROGRESS),
    }
    return _changed("salesorders", order_id, body)


def win_opportunity(opportunity_id: UUID, quote_number: str, revenue: Decimal) -> Write:
    """WinOpportunity, with the order's net as actual revenue."""
    close = {
        "subject": f"Won: {quote_number}"[:200],
        "actualrevenue": revenue,
        "opportunityid@odata.bind": f"/opportunities({opportunity_id})",
    }
    return Write("POST", "WinOpportunity", {"Status": OPPORTUNITY_WON_STATUS, "OpportunityClose": close})


def reopened(order_id: UUID) -> Write:
    """PATCH of an order that somebody submitted without its number: it can be written again."""
    body = {"statecode": int(OrderState.ACTIVE), "statuscode": int(OrderStatus.NEW)}
    return _changed("salesorders", order_id, body)


def fulfil(order_id: UUID, subject: str, *, complete: bool) -> Write:
    """FulfillSalesOrder: the only way into the state Fulfilled, complete or in part."""
    close = {
        "@odata.type": "Microsoft.Dynamics.CRM.orderclose",
        "subject": subject[:200],
        "salesorderid@odata.bind": f"/salesorders({order_id})",
    }
    status = OrderStatus.COMPLETE if complete else OrderStatus.PARTIAL
    return Write("POST", "FulfillSalesOrder", {"Status": int(status), "OrderClose": close})


def cancelled(order_id: UUID, subject: str) -> Write:
    """CancelSalesOrder, with the one status there is for it (No Money)."""
    close = {
        "@odata.type": "Microsoft.Dynamics.CRM.orderclose",
        "subject": subject[:200],
        "salesorderid@odata.bind": f"/salesorders({order_id})",
    }
    return Write("POST", "CancelSalesOrder", {"Status": int(OrderStatus.NO_MONEY), "OrderClose": close})


def order_invoiced(order_id: UUID) -> Write:
    """PATCH of an order of which nothing is left to invoice."""
    body = {
        "statecode": int(OrderState.INVOICED),
        "statuscode": int(OrderStatus.INVOICED),
    }
    return _changed("salesorders", order_id, body)


def invoice_state(copy_id: UUID, payment: PaymentChoice) -> Write:
    """PATCH of an invoice's copy with the state its payment gives it: Paid, or Active again."""
    paid = payment is PaymentChoice.PAID
    body = {
        "statecode": int(InvoiceState.PAID if paid else InvoiceState.ACTIVE),
        "statuscode": int(InvoiceStatus.COMPLETE if paid else InvoiceStatus.BILLED),
    }
    return _changed("invoices", copy_id, body)
