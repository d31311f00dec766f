"""The copy of a posted Finance invoice as Dataverse wants it: a header with its lines in one deep insert.

Dataverse computes every total itself: `extendedamount = quantity x priceperunit - manualdiscountamount + tax`. So the
lines are written such that this sum gives exactly what Finance posted, and tax that Finance computed for the whole
document is spread so that the lines add up to it.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any
from uuid import UUID, uuid5

from dynamics.sales.options import InvoiceStatus
from dynamics.sales.records import InvoiceLineToWrite, InvoiceToWrite, OrderLine, SalesOrder

PRICE_DECIMALS = Decimal("0.0001")
"""Precision of priceperunit in Dataverse as it ships."""


def copy_id(order_id: UUID, number: str) -> UUID:
    """The id under which Sales keeps the copy of an invoice: the same however often it is written.

    It is what makes the write idempotent. The number alone would not do: two legal entities number their invoices
    from sequences of their own, and both may have a CIV-000001.
    """
    return uuid5(order_id, number)


def invoice_body(invoice: InvoiceToWrite, order: SalesOrder, *, number: str) -> dict[str, Any]:
    """The body of `POST invoices` with its lines; names, bindings and columns as Dataverse spells them.

    Args:
        invoice: What Finance posted, in the invoice's currency.
        order: The salesorder it belongs to, with its lines: customer, price list, currency and products are taken
            from it, so that the copy needs no further read.
        number: Value of the alternate key: the invoice's number, or that with its legal entity where another legal
            entity's invoice has taken it.
    """
    bindings = {
        "salesorderid@odata.bind": _bind("salesorders", order.id),
        "customerid_account@odata.bind": _bind("accounts", order.account_id),
        "opportunityid@odata.bind": _bind("opportunities", order.opportunity_id),
        "pricelevelid@odata.bind": _bind("pricelevels", order.price_list_id),
        "transactioncurrencyid@odata.bind": _bind("transactioncurrencies", order.currency_id),
    }
    by_number = {line.number: line for line in order.lines}
    taxes = spread_tax(invoice)
    return {
        "invoiceid": str(copy_id(order.id, invoice.number)),
        "name": invoice.number,
        "q2c_financeinvoicenumber": number,
        "q2c_openamount": invoice.open_amount,
        "q2c_paymentstatus": int(invoice.payment),
        "statuscode": int(InvoiceStatus.BILLED),
        "ispricelocked": False,
        "datedelivered": f"{invoice.invoiced_on.isoformat()}T12:00:00Z",
        **({"duedate": invoice.due_on.isoformat()} if invoice.due_on else {}),
        **{name: target for name, target in bindings.items() if target is not None},
        "invoice_details": [
            _line_body(line, by_number.get(line.line_no), tax) for line, tax in zip(invoice.lines, taxes, strict=True)
        ],
    }


def spread_tax(invoice: InvoiceToWrite) -> list[Decimal]:
    """The tax of each line, such that the lines add up to the document's: the difference goes to the largest line.

    Finance rounds tax by document, so the sum of the lines' taxes may miss it by a few minor units.
    """
    taxes = [line.tax for line in invoice.lines]
    difference = invoice.tax - sum(taxes, Decimal(0))
    if difference and taxes:
        largest = max(range(len(taxes)), key=lambda n: abs(invoice.lines[n].net))
        taxes[largest] += difference
    return taxes


def price_and_discount(quantity: Decimal, price: Decimal, net: Decimal) -> tuple[Decimal, Decimal]:
    """The unit price and the money off the line (never negative) that give `net` = quantity x price - discount.

    Where charges made the line dearer than quantity x price, the price is raised to the next 0.0001 and the rest
    becomes the discount. A credit's negative line keeps its price and may carry a negative discount.
    """
    discount = quantity * price - net
    if discount < 0 < quantity:
        price = (net / quantity).quantize(PRICE_DECIMALS, rounding=ROUND_CEILING)
        discount = quantity * price - net
    return price, discount


def _line_body(line: InvoiceLineToWrite, ordered: OrderLine | None, tax: Decimal) -> dict[str, Any]:
    price, discount = price_and_discount(line.quantity, line.price, line.net)
    body: dict[str, Any] = {
        "lineitemnumber": line.line_no,
        "quantity": line.quantity,
        "ispriceoverridden": True,
        "priceperunit": price,
        "manualdiscountamount": discount,
        "tax": tax,
    }
    if ordered is None or ordered.product_id is None:
        text = ordered.write_in_text if ordered is not None else ""
        return body | {"isproductoverridden": True, "productdescription": text or f"Invoice line {line.line_no}"}
    body["productid@odata.bind"] = _bind("products", ordered.product_id)
    body["SalesOrderDetailId@odata.bind"] = _bind("salesorderdetails", ordered.id)
    if ordered.unit_id is not None:
        body["uomid@odata.bind"] = _bind("uoms", ordered.unit_id)
    return body


def _bind(entity_set: str, row_id: UUID | None) -> str | None:
    return f"/{entity_set}({row_id})" if row_id is not None else None
