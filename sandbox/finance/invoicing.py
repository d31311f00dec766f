"""Posting sales invoices and credit notes: real totals, tax by document, due date, and the customer transaction.

An invoice bills what has been delivered and not yet invoiced, in whole or in part. Its amounts are final: unlike the
order's header, an invoice's totals are always real.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sandbox.finance import receivables
from sandbox.finance.amounts import document_totals, due_date, part_of
from sandbox.finance.books import Books, Company, total
from sandbox.finance.errors import PostingRefused
from sandbox.finance.events import SALES_INVOICE_POSTED, json_day
from sandbox.finance.masterdata import blocks
from sandbox.finance.model import SALES_LINES, SALES_ORDERS, day_stamp
from sandbox.finance.shipping import match_lines, refresh_status
from sandbox.store import Row

INVOICES: Final = "SalesInvoiceHeadersV4"
INVOICE_LINES: Final = "SalesInvoiceV4Lines"


@dataclass(frozen=True, slots=True)
class PostedInvoice:
    """A posted invoice or credit note.

    Amounts are in its currency; `total` includes `tax`; both are negative on a credit note.
    """

    number: str
    voucher: str
    total: Decimal
    tax: Decimal
    due: date


@dataclass(frozen=True, slots=True)
class _Billed:
    line: Row
    quantity: Decimal
    amount: Decimal


def invoice(books: Books, company: Company, number: str, wanted: Sequence[Mapping[str, Any]] | None) -> PostedInvoice:
    """Post an invoice for delivered quantities: those asked for, or everything delivered and not yet invoiced.

    Raises:
        PostingRefused: The customer is on hold, nothing is to be invoiced, or a quantity has not been delivered.
    """
    order = books.order(company, number)
    customer = books.customer(company, order["InvoiceCustomerAccountNumber"])
    if blocks(customer, "invoice"):
        raise PostingRefused(
            f"Customer account {customer['CustomerAccount']} is on hold with code {customer['OnHoldStatus']}."
        )
    with books.db.transaction():
        billed = _to_invoice(books, company, order, wanted)
        for item in billed:
            books.update(SALES_LINES, item.line, {"_invoiced": item.line["_invoiced"] + item.quantity})
        posted, _ = _post(books, company, order, billed, "CIV-{:06d}", "invoice")
        books.update(SALES_ORDERS, order, {"_DocumentStatus": "Invoice"})
        refresh_status(books, company, number)
    return posted


def _to_invoice(
    books: Books, company: Company, order: Row, wanted: Sequence[Mapping[str, Any]] | None
) -> list[_Billed]:
    number = order["SalesOrderNumber"]
    lines = books.lines(company, number)
    if wanted is None:
        chosen = [(line, line["_delivered"] - line["_invoiced"]) for line in lines]
        chosen = [(line, quantity) for line, quantity in chosen if quantity > 0]
    else:
        chosen = match_lines(lines, wanted)
    if not chosen:
        raise PostingRefused(f"There is nothing to invoice on sales order {number}.")
    billed: list[_Billed] = []
    for line, quantity in chosen:
        left = line["_delivered"] - line["_invoiced"]
        if quantity > left:
            raise PostingRefused(
                f"Line {line['LineCreationSequenceNumber']}: quantity {quantity} cannot be invoiced, {left} has been "
                "delivered and not invoiced."
            )
        amount = part_of(
            line["LineAmount"], line["OrderedSalesQuantity"], line["_invoiced"], quantity, order["CurrencyCode"]
        )
        billed.append(_Billed(line, quantity, amount))
    return billed


def credit_note(
    books: Books, company: Company, number: str, invoice_number: str, wanted: Sequence[Mapping[str, Any]] | None
) -> PostedInvoice:
    """Credit an invoice of an order, in whole or the given lines and quantities.

    The credit note settles what is open of the invoice; the rest stays as the customer's credit.

    Raises:
        PostingRefused: No such invoice, or more than was invoiced would be credited.
    """
    order = books.order(company, number)
    header = _invoice_of(books, company, number, invoice_number)
    original = _transaction_of(books, company, invoice_number)
    with books.db.transaction():
        billed = _to_credit(books, company, header, wanted)
        posted, transaction = _post(books, company, order, billed, "CCN-{:06d}", "credit note")
        owed = receivables.open_amount(books, original)
        settled = min(owed, -posted.total)
        if settled > 0:
            receivables.settle(books, company, transaction, original, settled, books.today(company))
    return posted


def _invoice_of(books: Books, company: Company, number: str, invoice_number: str) -> Row:
    rows = books.find(INVOICES, InvoiceNumber=invoice_number, dataAreaId=company.id, SalesOrderNumber=number)
    if not rows or rows[0]["TotalInvoiceAmount"] < 0:
        raise PostingRefused(f"Invoice {invoice_number} of sales order {number} does not exist.")
    return rows[0]


def _transaction_of(books: Books, company: Company, invoice_number: str) -> Row:
    rows = books.find(receivables.TRANSACTIONS, Invoice=invoice_number, dataAreaId=company.id)
    if not rows:
        raise PostingRefused(f"Invoice {invoice_number} has no customer transaction.")
    return rows[0]


def _to_credit(
    books: Books, company: Company, header: Row, wanted: Sequence[Mapping[str, Any]] | None
) -> list[_Billed]:
    rows = books.find(INVOICE_LINES, InvoiceNumber=header["InvoiceNumber"], dataAreaId=company.id)
    rows.sort(key=lambda row: int(row["LineCreationSequenceNumber"]))
    if wanted is None:
        chosen = [(row, row["InvoicedQuantity"] - row["_credited"]) for row in rows]
        chosen = [(row, quantity) for row, quantity in chosen if quantity > 0]
    else:
        chosen = match_lines(rows, wanted)
    if not chosen:
        raise PostingRefused(f"There is nothing left to credit on invoice {header['InvoiceNumber']}.")
    billed: list[_Billed] = []
    for row, quantity in chosen:
        if quantity > row["InvoicedQuantity"] - row["_credited"]:
            raise PostingRefused(
                f"Line {row['LineCreationSequenceNumber']}: quantity {quantity} exceeds what is left of the invoice."
            )
        part = part_of(row["LineAmount"], row["InvoicedQuantity"], row["_credited"], quantity, header["CurrencyCode"])
        books.update(INVOICE_LINES, row, {"_credited": row["_credited"] + quantity})
        billed.append(_Billed(_order_line(books, company, row), -quantity, -part))
    return billed


def _order_line(books: Books, company: Company, invoice_line: Row) -> Row:
    found = books.get(SALES_LINES, company.id, invoice_line["_lot"])
    if found is None:
        raise PostingRefused(f"Order line {invoice_line['_lot']} no longer exists.")
    return found


def _post(
    books: Books, company: Company, order: Row, billed: Sequence[_Billed], pattern: str, sequence: str
) -> tuple[PostedInvoice, Row]:
    """Write journal, customer transaction and business event; (what was posted, its transaction)."""
    currency = order["CurrencyCode"]
    number = books.next_number(company, sequence, pattern)
    voucher = books.next_number(company, "voucher", "VCH{:08d}")
    net = total(item.amount for item in billed)
    discount, tax, whole = document_totals(net, order["TotalDiscountPercentage"], company.tax_pct, currency)
    day = books.today(company)
    term = books.get("PaymentTerms", company.id, order.get("PaymentTermsName", ""))
    due = day if term is None or whole < 0 else due_date(day, term)
    posted = PostedInvoice(number, voucher, whole, tax, due)
    _write_journal(books, company, order, billed, posted, discount)
    account = order["InvoiceCustomerAccountNumber"]
    transaction = receivables.book(
        books,
        company,
        account=account,
        amount=whole,
        currency=currency,
        kind="Sales",
        voucher=voucher,
        day=day,
        due=due,
        more={
            "Invoice": number,
            "OrderAccount": order["OrderingCustomerAccountNumber"],
            "PaymTermId": order.get("PaymentTermsName", ""),
            "_order": order["SalesOrderNumber"],
        },
    )
    fields = {
        "InvoiceAccount": account,
        "InvoiceId": number,
        "SalesOrderId": order["SalesOrderNumber"],
        "InvoiceDate": json_day(day),
        "InvoiceDueDate": json_day(due),
        "InvoiceAmountInAccountingCurrency": transaction["AmountMST"],
        "InvoiceTaxAmount": tax,
        "LegalEntity": company.id,
    }
    books.events.emit(SALES_INVOICE_POSTED, company.id, fields)
    return posted, transaction


def _write_journal(
    books: Books, company: Company, order: Row, billed: Sequence[_Billed], posted: PostedInvoice, discount: Decimal
) -> None:
    day = day_stamp(books.today(company))
    key = {
        "dataAreaId": company.id,
        "InvoiceNumber": posted.number,
        "InvoiceDate": day,
        "LedgerVoucher": posted.voucher,
        "CurrencyCode": order["CurrencyCode"],
    }
    books.insert(
        INVOICES,
        {
            **key,
            "SalesOrderNumber": order["SalesOrderNumber"],
            "InvoiceCustomerAccountNumber": order["InvoiceCustomerAccountNumber"],
            "CustomersOrderReference": order.get("CustomersOrderReference", ""),
            "PaymentTermsName": order.get("PaymentTermsName", ""),
            "DeliveryModeCode": order.get("DeliveryModeCode", ""),
            "DeliveryTermsCode": order.get("DeliveryTermsCode", ""),
            "TotalInvoiceAmount": posted.total,
            "TotalTaxAmount": posted.tax,
            "InvoiceHeaderTaxAmount": posted.tax,
            "EndDiscount": discount,
        },
    )
    net, done = total(item.amount for item in billed), Decimal(0)
    for item in billed:
        line = item.line
        tax = part_of(posted.tax, net, done, item.amount, order["CurrencyCode"])
        done += item.amount
        books.insert(
            INVOICE_LINES,
            {
                **key,
                "LineCreationSequenceNumber": line["LineCreationSequenceNumber"],
                "ProductNumber": line["ItemNumber"],
                "ProductName": line.get("LineDescription", ""),
                "ProductDescription": line.get("LineDescription", ""),
                "InvoicedQuantity": item.quantity,
                "SalesUnitSymbol": line["SalesUnitSymbol"],
                "SalesPrice": line["SalesPrice"],
                "LineAmount": item.amount,
                "LineTotalTaxAmount": tax,
                "InventorySiteId": line["ShippingSiteId"],
                "InventoryWarehouseId": line["ShippingWarehouseId"],
                "_credited": Decimal(0),
                "_lot": line["InventoryLotId"],
            },
        )
