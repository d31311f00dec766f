"""Free text invoices: amounts billed without an order, and credits given without one (negative amounts).

A header and its lines are entered over OData (or with the posting itself) and posted by the service. A posted one is in
the invoice journal too, without an order number and with `RefNum` Cust; its event has its own name.
Source: Microsoft Learn, "Create free text invoices"; business events developer documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any, Final

from sandbox.finance import receivables
from sandbox.finance.amounts import WIDE, due_date, round_money
from sandbox.finance.books import Books, Company, total
from sandbox.finance.errors import InfologError, PostingRefused, must_be_filled, not_found_in
from sandbox.finance.events import FREE_TEXT_INVOICE_POSTED, json_day
from sandbox.finance.invoice_journal import PostedInvoice
from sandbox.finance.masterdata import blocks, stopped_text
from sandbox.finance.model import EntitySet, day_stamp
from sandbox.finance.taxes import FULL_ITEM_GROUP, Taxable, document_tax
from sandbox.finance.views import INVOICE_LINES, INVOICES
from sandbox.store import Row

HEADERS: Final = "FreeTextInvoiceHeaders"
LINES: Final = "FreeTextInvoiceLines"
_SOURCE: Final = "CustInvoiceTable (CustInvoiceTable)"


def create_header(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    """Insert a free text invoice that is not posted.

    Raises:
        InfologError: The customer is missing, unknown or stopped, or the currency is unknown.
    """
    account = sent.get("CustomerAccount", "")
    if not account:
        raise must_be_filled("Customer account", entity.entity, _SOURCE)
    customer = books.get("CustomersV3", company.id, account)
    if customer is None:
        raise not_found_in(account, "Customer account", "Customers", entity.entity, "CustomerAccount")
    if blocks(customer, "invoice"):
        raise InfologError(entity.entity, (f"Warning: {stopped_text(customer)}",))
    currency = sent.get("CurrencyCode") or customer["SalesCurrencyCode"]
    if books.get("Currencies", currency) is None:
        raise not_found_in(currency, "Currency", "Currency", entity.entity, "CurrencyCode")
    payer = customer.get("InvoiceAccount") or customer["CustomerAccount"]
    row: Row = {
        "InvoiceAccount": payer,
        "InvoiceName": customer["OrganizationName"],
        "CustomerGroup": customer["CustomerGroupId"],
        "TermsOfPayment": customer.get("PaymentTerms", ""),
        "SalesTaxGroupId": customer.get("SalesTaxGroup", ""),
        "LanguageId": customer.get("LanguageId", ""),
        "InvoiceDate": day_stamp(books.today(company)),
        "FreeTextNumber": "",
        "IsPosted": "No",
        **sent,
        "CustomerAccount": customer["CustomerAccount"],
        "CurrencyCode": currency,
        "dataAreaId": company.id,
    }
    return books.insert(HEADERS, row)


def create_line(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    """Insert a line of a free text invoice that is not posted.

    Raises:
        InfologError: The invoice does not exist or is posted, or the description is missing.
    """
    header = books.get(HEADERS, company.id, sent.get("ParentRecId", 0))
    if header is None:
        parent = str(sent.get("ParentRecId", ""))
        raise not_found_in(parent, "Invoice", "Free text invoices", entity.entity, "ParentRecId")
    if header["IsPosted"] == "Yes":
        raise InfologError(entity.entity, ("Warning: The free text invoice has been posted and cannot be changed.",))
    if not sent.get("Description"):
        raise must_be_filled("Description", entity.entity, "CustInvoiceLine (CustInvoiceLine)")
    used = [line["LineNumber"] for line in books.find(LINES, ParentRecId=header["_record"], dataAreaId=company.id)]
    row: Row = {
        "LineNumber": max(used, default=Decimal(0)) + 1,
        "Quantity": Decimal(1),
        "UnitPrice": Decimal(0),
        "SalesTaxGroupId": header.get("SalesTaxGroupId", ""),
        "SalesTaxItemGroupId": FULL_ITEM_GROUP,
        "CurrencyCode": header["CurrencyCode"],
        **sent,
        "dataAreaId": company.id,
        "ParentRecId": header["_record"],
    }
    with localcontext(WIDE):
        amount = round_money(row["Quantity"] * row["UnitPrice"], row["CurrencyCode"])
    row.setdefault("TransactionCurrencyAmount", amount)
    return books.insert(LINES, row)


def post(books: Books, company: Company, identifier: int) -> PostedInvoice:
    """Post a free text invoice.

    Raises:
        PostingRefused: It does not exist, is posted already, has no lines, or its customer is stopped.
    """
    header = books.get(HEADERS, company.id, identifier)
    if header is None:
        raise PostingRefused(f"Free text invoice {identifier} does not exist in company {company.id}.")
    if header["IsPosted"] == "Yes":
        raise PostingRefused(f"Free text invoice {identifier} has been posted as {header['FreeTextNumber']}.")
    lines = books.find(LINES, ParentRecId=header["_record"], dataAreaId=company.id)
    if not lines:
        raise PostingRefused(f"Free text invoice {identifier} has no lines.")
    customer = books.customer(company, header["InvoiceAccount"])
    if blocks(customer, "invoice"):
        raise PostingRefused(stopped_text(customer))
    with books.db.transaction():
        return _post(books, company, header, lines)


def _post(books: Books, company: Company, header: Row, lines: Sequence[Row]) -> PostedInvoice:
    currency, day = header["CurrencyCode"], books.today(company)
    parts = [
        Taxable(line["TransactionCurrencyAmount"], line["SalesTaxGroupId"], line["SalesTaxItemGroupId"])
        for line in lines
    ]
    net = total(part.amount for part in parts)
    tax, line_taxes = document_tax(books, company, parts, Decimal(0), currency, day)
    number = books.next_number(company, "free text invoice", "FTI-{:06d}")
    voucher = books.next_number(company, "voucher", "VCH{:08d}")
    term = books.get("PaymentTerms", company.id, header.get("TermsOfPayment", ""))
    due = day if term is None or net < 0 else due_date(day, term)
    transaction = receivables.book(
        books,
        company,
        account=header["InvoiceAccount"],
        amount=net + tax,
        currency=currency,
        kind="Cust",
        voucher=voucher,
        day=day,
        due=due,
        more={
            "Invoice": number,
            "OrderAccount": header["CustomerAccount"],
            "PaymTermId": header.get("TermsOfPayment", ""),
            "Txt": header.get("CustomerReference", ""),
        },
    )
    posted = PostedInvoice(number, voucher, net + tax, tax, due)
    changes = {"IsPosted": "Yes", "FreeTextNumber": number, "DueDate": day_stamp(due), "ExternalInvoiceId": number}
    books.update(HEADERS, header, changes)
    _write_journal(books, company, header, lines, line_taxes, posted, transaction)
    fields = {
        "InvoiceAccount": header["InvoiceAccount"],
        "InvoiceId": number,
        "InvoiceDate": json_day(day),
        "InvoiceDueDate": json_day(due),
        "InvoiceAmountInAccountingCurrency": transaction["AmountMST"],
        "InvoiceTaxAmount": tax,
        "LegalEntity": company.id,
    }
    books.events.emit(FREE_TEXT_INVOICE_POSTED, company.id, fields)
    return posted


def _write_journal(
    books: Books,
    company: Company,
    header: Row,
    lines: Sequence[Row],
    line_taxes: Sequence[Decimal],
    posted: PostedInvoice,
    transaction: Row,
) -> None:
    key = {
        "dataAreaId": company.id,
        "InvoiceNumber": posted.number,
        "InvoiceDate": day_stamp(books.today(company)),
        "LedgerVoucher": posted.voucher,
        "CurrencyCode": header["CurrencyCode"],
    }
    books.insert(
        INVOICES,
        {
            **key,
            "SalesOrderNumber": "",
            "InvoiceCustomerAccountNumber": header["InvoiceAccount"],
            "PaymentTermsName": header.get("TermsOfPayment", ""),
            "CustomersOrderReference": header.get("CustomerReference", ""),
            "TotalInvoiceAmount": posted.total,
            "TotalTaxAmount": posted.tax,
            "InvoiceHeaderTaxAmount": posted.tax,
            "EndDiscount": Decimal(0),
            "_OrderAccount": header["CustomerAccount"],
            "_AmountMST": transaction["AmountMST"],
            "_DueDate": day_stamp(posted.due),
            "_RefNum": "Cust",
            "_IsCorrection": "No",
            "_charges": (),
        },
    )
    for position, (line, tax) in enumerate(zip(lines, line_taxes, strict=True), start=1):
        books.insert(
            INVOICE_LINES,
            {
                **key,
                "LineCreationSequenceNumber": position,
                "ProductNumber": "",
                "ProductName": line["Description"],
                "ProductDescription": line.get("InvoiceText", ""),
                "InvoicedQuantity": line["Quantity"],
                "SalesPrice": line["UnitPrice"],
                "LineAmount": line["TransactionCurrencyAmount"],
                "LineTotalTaxAmount": tax,
                "_credited": line["Quantity"],
                "_lot": "",
                "_line": position,
                "_SalesId": "",
            },
        )
