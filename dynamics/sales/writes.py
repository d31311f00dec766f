"""What is written to Sales on an order and its invoices: the bodies, without the sending.

Each is a `Write` of a change set, so that all a stage changed goes together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from dynamics.core.batch import ChangeSet, Write
from dynamics.core.errors import Refused, System
from dynamics.core.literals import key
from dynamics.core.odata import Row
from dynamics.sales.invoice_copy import copy_id, invoice_body
from dynamics.sales.options import FulfilmentChoice, InvoiceState, InvoiceStatus, OrderState, OrderStatus, PaymentChoice
from dynamics.sales.records import InvoiceToWrite, SalesOrder


def invoice_key(order_id: UUID, number: str) -> str:
    """Path of the copy of an order's invoice."""
    return key("invoices", copy_id(order_id, number))


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


def shipped_lines(order: SalesOrder, shipped: Mapping[int, Decimal]) -> list[Write]:
    """PATCHes of an order's lines with what was shipped and what is on back order.

    Raises:
        Refused: a line number the order does not have.
    """
    lines = {line.number: line for line in order.lines}
    if unknown := sorted(set(shipped) - set(lines)):
        raise Refused(
            f"salesorder {order.number} has no line {', '.join(map(str, unknown))}",
            system=System.DATAVERSE,
            code="UNKNOWN_LINE",
            operation="PATCH salesorderdetails",
        )
    return [
        Write(
            "PATCH",
            key("salesorderdetails", lines[number].id),
            {
                "quantityshipped": quantity,
                "quantitybackordered": max(lines[number].quantity - quantity, Decimal(0)),
            },
            {"If-Match": "*"},
        )
        for number, quantity in shipped.items()
    ]


def copies(
    order: SalesOrder, invoices: Sequence[InvoiceToWrite], order_invoiced: bool, *, qualified: bool = False
) -> ChangeSet:
    """POSTs of invoices' copies, and the order's state Invoiced where nothing is left to invoice.

    Args:
        order: With its lines.
        invoices: Posted in Finance.
        order_invoiced: Nothing is left to invoice.
        qualified: Add the legal entity to the numbers: another one's invoices have taken them.
    """
    suffix = f"/{order.business_unit.name}" if qualified and order.business_unit else ""
    writes = [
        Write("POST", "invoices", invoice_body(invoice, order, number=invoice.number + suffix)) for invoice in invoices
    ]
    if order_invoiced:
        body = {
            "statecode": int(OrderState.INVOICED),
            "statuscode": int(OrderStatus.INVOICED),
            "q2c_fulfilmentstatus": int(FulfilmentChoice.INVOICED),
        }
        writes.append(Write("PATCH", key("salesorders", order.id), body, {"If-Match": "*"}))
    return ChangeSet(tuple(writes))


def payment_body(invoice: InvoiceToWrite) -> Row:
    """What is open on an invoice, and the state that goes with it."""
    paid = invoice.payment is PaymentChoice.PAID
    return {
        "q2c_openamount": invoice.open_amount,
        "q2c_paymentstatus": int(invoice.payment),
        "statecode": int(InvoiceState.PAID if paid else InvoiceState.ACTIVE),
        "statuscode": int(InvoiceStatus.COMPLETE if paid else InvoiceStatus.BILLED),
    }
