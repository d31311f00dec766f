"""What posting an invoice or credit note leaves: the journal, the customer transaction, and the business event.

An invoice's amounts are final: unlike the order's header, its totals are always real. An invoice over several orders
(a summary invoice) carries no order number, neither in its header nor in its event: the orders are on its lines
(`CustInvoiceTransBiEntities.SalesId`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from typing import Any, Final

from sandbox.finance import receivables
from sandbox.finance.amounts import WIDE, cash_discount_date, due_date, round_money
from sandbox.finance.books import Books, Company
from sandbox.finance.events import SALES_INVOICE_POSTED, json_day
from sandbox.finance.instalments import instalments
from sandbox.finance.model import EMPTY_DATE, day_stamp
from sandbox.finance.totals import document_totals, includes_tax
from sandbox.finance.views import INVOICE_LINES, INVOICES
from sandbox.store import Row

INVOICE_NUMBERS: Final = ("invoice", "CIV-{:06d}")
CREDIT_NOTE_NUMBERS: Final = ("credit note", "CCN-{:06d}")


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
class Billed:
    """A quantity of an order line on an invoice, and its net amount; negative on a credit note."""

    order: Row
    line: Row
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Returned:
    """The return order that a credit note is posted on.

    Attributes:
        number: Its number.
        rma: Its RMA number.
        lines: Lot that was sold -> the return order's own lot and line number.
    """

    number: str
    rma: str
    lines: Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Document:
    """What is to be posted.

    Attributes:
        orders: The orders billed; account, currency and terms are those of the first.
        billed: Lines and quantities.
        charges: Header charges: rows with Value, TaxGroup, TaxItemGroup and the order's TransRecId.
        numbers: Number sequence and its pattern.
        reason: Reason code of a credit note.
        correction: Whether it takes an invoice back as if it had not been.
        returned: The return order it credits.
    """

    orders: tuple[Row, ...]
    billed: Sequence[Billed]
    charges: Sequence[Mapping[str, Any]] = ()
    numbers: tuple[str, str] = INVOICE_NUMBERS
    reason: str = ""
    correction: bool = False
    returned: Returned | None = None

    @property
    def first(self) -> Row:
        """The order whose account, currency and terms hold."""
        return self.orders[0]

    @property
    def order_number(self) -> str:
        """The order's number, of a return the return order's; empty for a summary invoice."""
        if self.returned is not None:
            return self.returned.number
        return str(self.first["SalesOrderNumber"]) if len(self.orders) == 1 else ""


@dataclass(frozen=True, slots=True)
class _Amounts:
    net: Decimal
    discount: Decimal
    charges: Decimal
    tax: Decimal
    whole: Decimal
    line_taxes: tuple[Decimal, ...]


def post(books: Books, company: Company, document: Document) -> tuple[PostedInvoice, Row]:
    """Write journal, customer transaction and business event; (what was posted, its transaction)."""
    order, day = document.first, books.today(company)
    amounts = _amounts(books, company, document)
    number = books.next_number(company, *document.numbers)
    voucher = books.next_number(company, "voucher", "VCH{:08d}")
    parts, due = instalments(books, company, order, amounts.whole, _due(books, company, order, amounts.whole, day))
    posted = PostedInvoice(number, voucher, amounts.whole, amounts.tax, due)
    discount = _cash_discount(books, company, order, amounts, day)
    transaction = receivables.book(
        books,
        company,
        account=order["InvoiceCustomerAccountNumber"],
        amount=amounts.whole,
        currency=order["CurrencyCode"],
        kind="Sales",
        voucher=voucher,
        day=day,
        due=due,
        more={
            "Invoice": number,
            "OrderAccount": order["OrderingCustomerAccountNumber"],
            "PaymTermId": order.get("PaymentTermsName", ""),
            "PaymSchedId": order.get("PaymentScheduleName", ""),
            "_order": document.order_number,
        },
        instalments=parts,
        discount=discount,
    )
    _write_header(books, company, document, posted, amounts, transaction, discount)
    _write_lines(books, company, document, posted, amounts)
    fields = {
        "InvoiceAccount": order["InvoiceCustomerAccountNumber"],
        "InvoiceId": number,
        "SalesOrderId": document.order_number,
        "InvoiceDate": json_day(day),
        "InvoiceDueDate": json_day(due),
        "InvoiceAmountInAccountingCurrency": transaction["AmountMST"],
        "InvoiceTaxAmount": amounts.tax,
        "LegalEntity": company.id,
    }
    books.events.emit(SALES_INVOICE_POSTED, company.id, fields)
    return posted, transaction


def _amounts(books: Books, company: Company, document: Document) -> _Amounts:
    """The document's amounts: each order's by its own total discount, added up."""
    net, discount, charges, tax, whole = (Decimal(0),) * 5
    line_taxes = [Decimal(0)] * len(document.billed)
    for order in document.orders:
        mine = [position for position, item in enumerate(document.billed) if item.order is order]
        lines = [(document.billed[position].line, document.billed[position].amount) for position in mine]
        charged = [row for row in document.charges if row["TransRecId"] == order["_record"]]
        totals = document_totals(books, company, order, lines, charged)
        net, discount, charges = net + totals.net, discount + totals.discount, charges + totals.charges
        tax, whole = tax + totals.tax, whole + totals.amount
        for position, line_tax in zip(mine, totals.line_taxes, strict=True):
            line_taxes[position] = line_tax
    return _Amounts(net, discount, charges, tax, whole, tuple(line_taxes))


def _due(books: Books, company: Company, order: Row, whole: Decimal, day: date) -> date:
    term = books.get("PaymentTerms", company.id, order.get("PaymentTermsName", ""))
    return day if term is None or whole < 0 else due_date(day, term)


def _cash_discount(
    books: Books, company: Company, order: Row, amounts: _Amounts, day: date
) -> receivables.CashDiscount | None:
    code = books.get("CashDiscounts", company.id, order.get("CashDiscountCode", ""))
    if code is None or amounts.whole <= 0:
        return None
    with_tax = books.parameters(company)["CashDiscountIsCalculatedOnAmountInclSalesTax"] == "Yes"
    with localcontext(WIDE):
        base = amounts.whole if with_tax else amounts.whole - amounts.tax
        amount = round_money(base * code["Percent"] / 100, order["CurrencyCode"])
    return receivables.CashDiscount(code["CashDiscountCode"], cash_discount_date(day, code), amount)


def _key(books: Books, company: Company, document: Document, posted: PostedInvoice) -> Row:
    return {
        "dataAreaId": company.id,
        "InvoiceNumber": posted.number,
        "InvoiceDate": day_stamp(books.today(company)),
        "LedgerVoucher": posted.voucher,
        "CurrencyCode": document.first["CurrencyCode"],
    }


def _write_header(
    books: Books,
    company: Company,
    document: Document,
    posted: PostedInvoice,
    amounts: _Amounts,
    transaction: Row,
    discount: receivables.CashDiscount | None,
) -> None:
    order = document.first
    row: Row = {
        "SalesOrderNumber": document.order_number,
        "InvoiceCustomerAccountNumber": order["InvoiceCustomerAccountNumber"],
        "CustomersOrderReference": order.get("CustomersOrderReference", "") if document.order_number else "",
        "PaymentTermsName": order.get("PaymentTermsName", ""),
        "DeliveryModeCode": order.get("DeliveryModeCode", ""),
        "DeliveryTermsCode": order.get("DeliveryTermsCode", ""),
        "SalesOrderOriginCode": order.get("SalesOrderOriginCode", ""),
        "TotalInvoiceAmount": posted.total,
        "TotalTaxAmount": posted.tax,
        "InvoiceHeaderTaxAmount": posted.tax,
        "TotalChargeAmount": amounts.charges,
        "EndDiscount": amounts.discount,
        "CashDiscount": Decimal(0) if discount is None else discount.amount,
        "_Net": amounts.net,
        "_InclTax": "Yes" if includes_tax(order) else "No",
        "_AmountMST": transaction["AmountMST"],
        "_OrderAccount": order["OrderingCustomerAccountNumber"],
        "_DueDate": day_stamp(posted.due),
        "_PaymentSchedule": order.get("PaymentScheduleName", ""),
        "_RefNum": "SalesOrder",
        "_ReasonCode": document.reason,
        "_ReturnNumber": document.returned.rma if document.returned else "",
        "_SalesType": "ReturnItem" if document.returned else "Sales",
        "_IsCorrection": "Yes" if document.correction else "No",
        "_charges": tuple(dict(row) for row in document.charges),
    }
    if discount is not None:
        code = books.get("CashDiscounts", company.id, discount.code) or {}
        row |= {
            "_CashDiscountCode": discount.code,
            "_CashDiscountDate": day_stamp(discount.until),
            "_CashDiscountPercent": code.get("Percent", Decimal(0)),
        }
    else:
        row |= {"_CashDiscountDate": EMPTY_DATE}
    books.insert(INVOICES, _key(books, company, document, posted) | row)


def _write_lines(books: Books, company: Company, document: Document, posted: PostedInvoice, amounts: _Amounts) -> None:
    key = _key(books, company, document, posted)
    for position, (item, tax) in enumerate(zip(document.billed, amounts.line_taxes, strict=True), start=1):
        line = item.line
        sequence = line["LineCreationSequenceNumber"] if document.order_number else position
        lot = line["InventoryLotId"]
        if document.returned is not None:
            lot, sequence = document.returned.lines[lot]
        books.insert(
            INVOICE_LINES,
            {
                **key,
                "LineCreationSequenceNumber": sequence,
                "ProductNumber": line["ItemNumber"],
                "ProductName": line.get("LineDescription", ""),
                "ProductDescription": line.get("LineDescription", ""),
                "InvoicedQuantity": item.quantity,
                "SalesUnitSymbol": line["SalesUnitSymbol"],
                "SalesPrice": line["SalesPrice"],
                "LineAmount": item.amount - (tax if includes_tax(item.order) else 0),
                "_Amount": item.amount,
                "LineTotalTaxAmount": tax,
                "InventorySiteId": line["ShippingSiteId"],
                "InventoryWarehouseId": line["ShippingWarehouseId"],
                "_credited": Decimal(0),
                "_lot": lot,
                "_line": line["LineCreationSequenceNumber"],
                "_SalesId": document.returned.number if document.returned else item.order["SalesOrderNumber"],
                "_CustomersLineNumber": line.get("CustomersLineNumber", 0),
                "_LineNum": Decimal(position),
                "_LineDiscountAmount": line["LineDiscountAmount"],
                "_LineDiscountPercentage": line["LineDiscountPercentage"],
                "_PriceUnit": line["SalesPriceQuantity"],
                "_TaxGroup": line.get("SalesTaxGroupCode", ""),
                "_TaxItemGroup": line.get("SalesTaxItemGroupCode", ""),
            },
        )
