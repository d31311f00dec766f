"""The confirmation journal: what a customer was told an order is, each time it was confirmed."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sandbox.finance.books import Books, Company, total
from sandbox.finance.model import day_stamp
from sandbox.finance.totals import charges_of, document_totals
from sandbox.store import Row

HEADERS: Final = "SalesOrderConfirmationHeaders"
LINES: Final = "SalesOrderConfirmationLines"


def write_confirmation(books: Books, company: Company, order: Row, number: str) -> None:
    """Write the journal of a confirmation of the order as it stands."""
    lines = books.lines(company, order["SalesOrderNumber"])
    totals = document_totals(
        books, company, order, [(line, line["LineAmount"]) for line in lines], charges_of(books, order)
    )
    key = {
        "dataAreaId": company.id,
        "SalesOrderNumber": order["SalesOrderNumber"],
        "ConfirmationDate": day_stamp(books.today(company)),
        "ConfirmationNumber": number,
    }
    books.insert(
        HEADERS,
        {
            **key,
            "OrderingCustomerAccountNumber": order["OrderingCustomerAccountNumber"],
            "InvoiceCustomerAccountNumber": order["InvoiceCustomerAccountNumber"],
            "CurrencyCode": order["CurrencyCode"],
            "CustomersOrderReference": order.get("CustomersOrderReference", ""),
            "CustomerRequisitionNumber": order.get("CustomerRequisitionNumber", ""),
            "PaymentTermsName": order.get("PaymentTermsName", ""),
            "CashDiscountCode": order.get("CashDiscountCode", ""),
            "DeliveryModeCode": order.get("DeliveryModeCode", ""),
            "DeliveryTermsCode": order.get("DeliveryTermsCode", ""),
            "LanguageId": order.get("LanguageId", ""),
            "SubTotalAmount": totals.net,
            "TotalDiscountAmount": totals.discount,
            "TotalChargeAmount": totals.charges,
            "TotalSalesTaxAmount": totals.tax,
            "TotalConfirmedAmount": totals.amount,
            "TotalQuantity": total(line["OrderedSalesQuantity"] for line in lines),
        },
    )
    for line in lines:
        books.insert(
            LINES,
            {
                **key,
                "LineNumber": Decimal(line["LineCreationSequenceNumber"]),
                "ItemNumber": line["ItemNumber"],
                "LineDescription": line.get("LineDescription", ""),
                "ConfirmedSalesQuantity": line["OrderedSalesQuantity"],
                "SalesUnitSymbol": line["SalesUnitSymbol"],
                "SalesPrice": line["SalesPrice"],
                "LineAmount": line["LineAmount"],
            },
        )
