"""The copy of a posted Finance invoice as Dataverse wants it: a header, and lines that come to what was posted.

Dataverse computes every total itself: `baseamount = quantity x priceperunit`, rounded to the currency, then
`extendedamount = baseamount - manualdiscountamount + tax`. A price has the organisation's number of decimals
(PricingDecimalPrecision). So the lines are written such that this gives exactly what Finance posted, and tax that
Finance computed for the whole document is spread so that the lines add up to it.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID, uuid5

from domain.money import arithmetic, round_money
from dynamics.core.odata import Row
from dynamics.sales.options import InvoiceStatus
from dynamics.sales.records import InvoiceLineToWrite, InvoiceToWrite, OrderLine, SalesOrder


def copy_id(order_id: UUID, number: str) -> UUID:
    """The id under which Sales keeps the copy of an invoice: the same however often it is written.

    It is what makes the write idempotent. The number alone would not do: two legal entities number their invoices
    from sequences of their own, and both may have a CIV-000001.
    """
    return uuid5(order_id, number)


class InvoiceCopies:
    """Makes the bodies of the copies of one order's invoices."""

    def __init__(self, order: SalesOrder, price_decimals: int) -> None:
        """Copies of invoices of `order`, in an organisation whose prices have so many decimals.

        Args:
            order: The salesorder with its lines: customer, price list, currency and products are taken from it, so
                that the copy needs no further read.
            price_decimals: PricingDecimalPrecision of the organisation.
        """
        self.order = order
        self._price_unit = Decimal(1).scaleb(-price_decimals)
        self._lines = {line.quote_line_id: line for line in order.lines if line.quote_line_id}

    def header(self, invoice: InvoiceToWrite, *, qualified: bool = False) -> Row:
        """The body of `POST invoices` without lines; names, bindings and columns as Dataverse spells them.

        Args:
            invoice: What Finance posted, in the invoice's currency.
            qualified: Add the legal entity to the number, the alternate key: another one's invoice has taken it.
        """
        order = self.order
        share = f"/{order.finance_number}" if invoice.share else ""  # every order's part is a row of its own
        suffix = share + (f"/{order.business_unit.name}" if qualified and order.business_unit else "")
        bindings = {
            "salesorderid@odata.bind": _bind("salesorders", order.id),
            "customerid_account@odata.bind": _bind("accounts", order.account_id),
            "opportunityid@odata.bind": _bind("opportunities", order.opportunity_id),
            "pricelevelid@odata.bind": _bind("pricelevels", order.price_list_id),
            "transactioncurrencyid@odata.bind": _bind("transactioncurrencies", order.currency_id),
        }
        return {
            "invoiceid": str(copy_id(order.id, invoice.number)),
            "name": invoice.number,
            "q2c_financeinvoicenumber": invoice.number + suffix,
            "statuscode": int(InvoiceStatus.BILLED),
            "ispricelocked": False,
            "datedelivered": f"{invoice.invoiced_on.isoformat()}T12:00:00Z",
            **({"duedate": invoice.due_on.isoformat()} if invoice.due_on else {}),
            **{name: target for name, target in bindings.items() if target is not None},
        }

    def whole(self, invoice: InvoiceToWrite) -> Row:
        """The body of `POST invoices` with all its lines, as one deep insert."""
        return self.header(invoice) | {"invoice_details": [body for _, body in self._bodies(invoice)]}

    def lines(self, invoice: InvoiceToWrite) -> list[tuple[UUID, Row]]:
        """The bodies of `POST invoicedetails` with the ids of their rows, the same however often they are made."""
        invoice_id = copy_id(self.order.id, invoice.number)
        bind = {"invoiceid@odata.bind": _bind("invoices", invoice_id)}
        return [(line_id, body | bind) for line_id, body in self._bodies(invoice)]

    def _bodies(self, invoice: InvoiceToWrite) -> list[tuple[UUID, Row]]:
        invoice_id = copy_id(self.order.id, invoice.number)
        seen: dict[str, int] = {}
        bodies = []
        ordered = sorted(
            zip(invoice.lines, spread_tax(invoice), strict=True),
            key=lambda pair: (pair[0].line_no, pair[0].item, pair[0].quantity, pair[0].net),
        )
        for line, tax in ordered:
            name = str(line.quote_line_id or line.item)
            seen[name] = seen.get(name, 0) + 1
            line_id = uuid5(invoice_id, f"{name}/{seen[name]}")
            ordered_line = self._lines.get(line.quote_line_id) if line.quote_line_id else None
            body = self._line_body(line, ordered_line, tax, invoice.currency)
            bodies.append((line_id, {"invoicedetailid": str(line_id)} | body))
        return bodies

    def _line_body(self, line: InvoiceLineToWrite, ordered: OrderLine | None, tax: Decimal, currency: str) -> Row:
        price, discount = price_and_discount(
            line.quantity, line.price, line.net, price_unit=self._price_unit, currency=currency
        )
        body: dict[str, Any] = {
            **({"lineitemnumber": line.line_no} if line.line_no else {}),
            "quantity": line.quantity,
            "ispriceoverridden": True,
            "priceperunit": price,
            "manualdiscountamount": discount,
            "tax": tax,
        }
        if ordered is None or ordered.product_id is None:
            text = (ordered.write_in_text if ordered is not None else "") or line.item or f"Line {line.line_no}"
            return body | {"isproductoverridden": True, "productdescription": text}
        body["productid@odata.bind"] = _bind("products", ordered.product_id)
        body["SalesOrderDetailId@odata.bind"] = _bind("salesorderdetails", ordered.id)
        if ordered.unit_id is not None:
            body["uomid@odata.bind"] = _bind("uoms", ordered.unit_id)
        return body


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


def price_and_discount(
    quantity: Decimal, price: Decimal, net: Decimal, *, price_unit: Decimal, currency: str
) -> tuple[Decimal, Decimal]:
    """The unit price and the money off the line (never negative) of which Dataverse makes `net`.

    Dataverse rounds quantity x price to the currency before it takes the discount off, so the discount is what that
    rounded base is above the net. Where charges made the line dearer than its base, the price is raised to the next
    step that is enough. A credit's negative line keeps its price and may carry a negative discount.

    Args:
        quantity: Invoiced quantity.
        price: Price of one unit, as invoiced.
        net: What Finance posted for the line, before tax, at the currency's minor unit.
        price_unit: Smallest step of a price in the organisation, e.g. 0.01.
        currency: ISO code.
    """
    with arithmetic():
        price = price.quantize(price_unit, ROUND_HALF_UP)
        discount = round_money(quantity * price, currency) - net
        if discount < 0 < quantity:
            price = (net / quantity).quantize(price_unit, ROUND_CEILING)
            discount = round_money(quantity * price, currency) - net
    return price, discount


def _bind(entity_set: str, row_id: UUID | None) -> str | None:
    return f"/{entity_set}({row_id})" if row_id is not None else None
