"""The totals of a sales order, which only a batch job calculates.

Until the job Calculate sales totals has run for an order, its total columns are 0 and `AreTotalsCalculated` is No; a
change of the order makes them so again. A reader must never take that 0 for a total.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sandbox.finance.amounts import document_totals
from sandbox.finance.books import Books, Company, total
from sandbox.finance.model import SALES_ORDERS
from sandbox.store import Row

NOT_CALCULATED: Final[Row] = {
    "AreTotalsCalculated": "No",
    "OrderTotalAmount": Decimal(0),
    "OrderTotalTaxAmount": Decimal(0),
    "OrderTotalChargesAmount": Decimal(0),
    "OrderTotalDiscountAmount": Decimal(0),
    "TotalDiscountAmount": Decimal(0),
}


def order_totals(books: Books, company: Company, header: Row) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """(net of lines, document discount, tax, total including tax) of an order, in its currency."""
    lines = books.lines(company, header["SalesOrderNumber"])
    net = total(line["LineAmount"] for line in lines)
    return (net, *document_totals(net, header["TotalDiscountPercentage"], company.tax_pct, header["CurrencyCode"]))


def calculate_totals(books: Books, company: Company, header: Row) -> Row:
    """Store an order's totals, as the batch job Calculate sales totals does."""
    _, discount, tax, whole = order_totals(books, company, header)
    return books.update(
        SALES_ORDERS,
        header,
        {
            "AreTotalsCalculated": "Yes",
            "OrderTotalAmount": whole,
            "OrderTotalTaxAmount": tax,
            "OrderTotalDiscountAmount": discount,
            "TotalDiscountAmount": discount,
        },
    )
