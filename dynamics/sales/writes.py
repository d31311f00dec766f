"""What is written to Sales on an order and its invoices: the bodies, without the sending.

Each is a `Write` of a change set, so that all a stage changed goes together.
"""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from dynamics.core.batch import Write
from dynamics.core.literals import key
from dynamics.core.odata import Row
from dynamics.sales.options import (
    OPPORTUNITY_WON_STATUS,
    FulfilmentChoice,
    InvoiceState,
    InvoiceStatus,
    OrderState,
    OrderStatus,
    PaymentChoice,
)
from dynamics.sales.records import InvoiceToWrite, OrderLine, SalesOrder


def recorded(order_id: UUID, finance_number: str) -> Write:
    """PATCH of an order with its number in Finance; it is submitted and In Progress from then on."""
    body = {
        "q2c_financeordernumber": finance_number,
        "q2c_fulfilmentstatus": int(FulfilmentChoice.CONFIRMED),
        "statecode": int(OrderState.SUBMITTED),
        "statuscode": int(OrderStatus.IN_PROGRESS),
    }
    return Write("PATCH", key("salesorders", order_id), body, {"If-Match": "*"})


def win_opportunity(opportunity_id: UUID, quote_number: str, revenue: Decimal) -> Write:
    """WinOpportunity, with the order's net as actual revenue."""
    close = {
        "subject": f"Won: {quote_number}"[:200],
        "actualrevenue": revenue,
        "opportunityid@odata.bind": f"/opportunities({opportunity_id})",
    }
    return Write("POST", "WinOpportunity", {"Status": OPPORTUNITY_WON_STATUS, "OpportunityClose": close})


def fulfilment(order_id: UUID, choice: FulfilmentChoice) -> Write:
    """PATCH of an order's fulfilment status."""
    return Write("PATCH", key("salesorders", order_id), {"q2c_fulfilmentstatus": int(choice)}, {"If-Match": "*"})


def fulfil(order: SalesOrder, status: OrderStatus) -> Write:
    """FulfillSalesOrder: the only way into the state Fulfilled, complete or in part."""
    close = {
        "@odata.type": "Microsoft.Dynamics.CRM.orderclose",
        "subject": f"Shipped: {order.number}"[:200],
        "salesorderid@odata.bind": f"/salesorders({order.id})",
    }
    return Write("POST", "FulfillSalesOrder", {"Status": int(status), "OrderClose": close})


def shipped_line(line: OrderLine, quantity: Decimal) -> Write:
    """PATCH of an order's line with what was shipped in all and what is on back order."""
    body = {"quantityshipped": quantity, "quantitybackordered": max(line.quantity - quantity, Decimal(0))}
    return Write("PATCH", key("salesorderdetails", line.id), body, {"If-Match": "*"})


def order_invoiced(order_id: UUID) -> Write:
    """PATCH of an order of which nothing is left to invoice."""
    body = {
        "statecode": int(OrderState.INVOICED),
        "statuscode": int(OrderStatus.INVOICED),
        "q2c_fulfilmentstatus": int(FulfilmentChoice.INVOICED),
    }
    return Write("PATCH", key("salesorders", order_id), body, {"If-Match": "*"})


def payment_body(invoice: InvoiceToWrite) -> Row:
    """What is open on an invoice, and the state that goes with it."""
    paid = invoice.payment is PaymentChoice.PAID
    return {
        "q2c_openamount": invoice.open_amount,
        "q2c_paymentstatus": int(invoice.payment),
        "statecode": int(InvoiceState.PAID if paid else InvoiceState.ACTIVE),
        "statuscode": int(InvoiceStatus.COMPLETE if paid else InvoiceStatus.BILLED),
    }
