"""Header charges of an order (freight, handling): entered on the order, billed with its next invoice.

Source: Microsoft Learn, "Charges" (miscellaneous charges on sales orders).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from sandbox.finance.amounts import round_money
from sandbox.finance.books import Books, Company
from sandbox.finance.errors import PostingRefused
from sandbox.finance.model import SALES_ORDERS, day_stamp
from sandbox.finance.taxes import FULL_ITEM_GROUP
from sandbox.finance.totals import CHARGES, NOT_CALCULATED, charges_of

SALES_TABLE_ID: Final = 366
"""Table id of the sales table, which a charge's TransTableId names."""


def add(books: Books, company: Company, number: str, code: str, value: Any) -> None:
    """Add a charge to an order, in its currency; a negative one is a deduction.

    Raises:
        PostingRefused: No such order, it is closed, no code is given, or the value is not an amount.
    """
    order = books.order(company, number)
    if order["SalesOrderStatus"] in ("Invoiced", "Canceled"):
        raise PostingRefused(f"Sales order {number} has status {order['SalesOrderStatus']} and takes no charges.")
    if not code:
        raise PostingRefused("A charge code must be specified.")
    if type(value) not in (int, Decimal) or value == 0 or round_money(Decimal(value), order["CurrencyCode"]) != value:
        raise PostingRefused(f"Charge {value} is not an amount in {order['CurrencyCode']}.")
    with books.db.transaction():
        books.insert(
            CHARGES,
            {
                "dataAreaId": company.id,
                "TransRecId": order["_record"],
                "TransTableId": SALES_TABLE_ID,
                "LineNum": Decimal(len(charges_of(books, order)) + 1),
                "MarkupCode": code,
                "MarkupCategory": "Fixed",
                "Txt": code,
                "Value": Decimal(value),
                "CalculatedAmount": Decimal(value),
                "CurrencyCode": order["CurrencyCode"],
                "TransDate": day_stamp(books.today(company)),
                "TaxGroup": order.get("SalesTaxGroupCode", ""),
                "TaxItemGroup": FULL_ITEM_GROUP,
                "Posted": Decimal(0),
                "Voucher": "",
            },
        )
        books.update(SALES_ORDERS, order, NOT_CALCULATED)
