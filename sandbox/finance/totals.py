"""The totals of a document, and those of a sales order, which only a batch job stores.

Until the job Calculate sales totals has run for an order, its total columns are 0 and `AreTotalsCalculated` is No; a
change of the order makes them so again. A reader must never take that 0 for a total.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any, Final

from sandbox.finance.amounts import WIDE, round_money
from sandbox.finance.books import Books, Company, total
from sandbox.finance.model import SALES_ORDERS
from sandbox.finance.taxes import Taxable, document_tax
from sandbox.store import Row

CHARGES: Final = "MarkupTransBiEntities"

NOT_CALCULATED: Final[Row] = {
    "AreTotalsCalculated": "No",
    "OrderTotalAmount": Decimal(0),
    "OrderTotalTaxAmount": Decimal(0),
    "OrderTotalChargesAmount": Decimal(0),
    "OrderTotalDiscountAmount": Decimal(0),
    "TotalDiscountAmount": Decimal(0),
}


@dataclass(frozen=True, slots=True)
class Totals:
    """The amounts of a document in its currency.

    Attributes:
        net: Sum of the lines, net of their own discounts.
        discount: Total discount.
        charges: Header charges.
        tax: Of lines and charges.
        amount: What is to be paid: net - discount + charges, and the tax where the prices do not include it.
        line_taxes: The tax of each line, in the order given.
    """

    net: Decimal
    discount: Decimal
    charges: Decimal
    tax: Decimal
    amount: Decimal
    line_taxes: tuple[Decimal, ...]


def document_totals(
    books: Books,
    company: Company,
    order: Mapping[str, Any],
    lines: Sequence[tuple[Mapping[str, Any], Decimal]],
    charges: Sequence[Mapping[str, Any]],
) -> Totals:
    """The totals of a document over lines of an order.

    Args:
        books: Where the tax set-up is.
        company: The order's company.
        order: Its header: currency, total discount, and whether its prices include sales tax.
        lines: Order lines with the net amount of each on this document.
        charges: Header charges on this document.
    """
    currency: str = order["CurrencyCode"]
    percentage: Decimal = order["TotalDiscountPercentage"]
    parts = [
        Taxable(amount, line.get("SalesTaxGroupCode", ""), line.get("SalesTaxItemGroupCode", ""))
        for line, amount in lines
    ]
    extra = [Taxable(row["Value"], row.get("TaxGroup", ""), row.get("TaxItemGroup", "")) for row in charges]
    today = books.today(company)
    included = includes_tax(order)
    tax, line_taxes = document_tax(books, company, parts, percentage, currency, today, included=included)
    charge_tax, _ = document_tax(books, company, extra, Decimal(0), currency, today, included=included)
    with localcontext(WIDE):
        net = total(amount for _, amount in lines)
        discount = round_money(net * percentage / 100, currency)
        charged = total(row["Value"] for row in charges)
        amount = net - discount + charged + (Decimal(0) if included else tax + charge_tax)
    return Totals(net, discount, charged, tax + charge_tax, amount, line_taxes)


def includes_tax(order: Mapping[str, Any]) -> bool:
    """Whether the prices and amounts of an order include sales tax."""
    return bool(order.get("ArePricesIncludingSalesTax") == "Yes")


def charges_of(books: Books, order: Mapping[str, Any], *, posted: bool | None = None) -> list[Row]:
    """The header charges of an order: all, or those (not) invoiced yet."""
    rows = books.find(CHARGES, TransRecId=order["_record"], dataAreaId=order["dataAreaId"])
    return rows if posted is None else [row for row in rows if bool(row["Posted"]) == posted]


def order_totals(books: Books, company: Company, header: Row) -> Totals:
    """The totals of a whole order, in its currency."""
    lines = [(line, line["LineAmount"]) for line in books.lines(company, header["SalesOrderNumber"])]
    return document_totals(books, company, header, lines, charges_of(books, header))


def calculate_totals(books: Books, company: Company, header: Row) -> Row:
    """Store an order's totals, as the batch job Calculate sales totals does."""
    totals = order_totals(books, company, header)
    return books.update(
        SALES_ORDERS,
        header,
        {
            "AreTotalsCalculated": "Yes",
            "OrderTotalAmount": totals.amount,
            "OrderTotalTaxAmount": totals.tax,
            "OrderTotalChargesAmount": totals.charges,
            "OrderTotalDiscountAmount": totals.discount,
            "TotalDiscountAmount": totals.discount,
        },
    )
