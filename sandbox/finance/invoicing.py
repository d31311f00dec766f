"""Posting sales invoices and credit notes of orders.

An invoice bills what has been delivered and not yet invoiced, in whole or in part, of one order or of several orders of
one invoice account. A credit note takes back the whole of an invoice or some quantities of it, by lines with negative
quantities that are added to the order; it settles what is open of the invoice, and the rest is the customer's credit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sandbox.finance import receivables
from sandbox.finance.amounts import part_of
from sandbox.finance.books import Books, Company
from sandbox.finance.errors import PostingRefused
from sandbox.finance.invoice_journal import CREDIT_NOTE_NUMBERS, Billed, Document, PostedInvoice, Returned, post
from sandbox.finance.lines import save_line, with_quantities
from sandbox.finance.masterdata import blocks, stopped_text
from sandbox.finance.model import SALES_LINES, SALES_ORDERS
from sandbox.finance.payments import settle_credit
from sandbox.finance.shipping import match_lines, refuse_without_credit
from sandbox.finance.statuses import refresh_status
from sandbox.finance.totals import CHARGES, charges_of
from sandbox.finance.views import INVOICE_LINES, INVOICES
from sandbox.store import Row

Wanted = Sequence[Mapping[str, Any]] | None
"""`{LineNumber, Quantity}` of what is wanted; None for everything."""


def invoice(books: Books, company: Company, number: str, wanted: Wanted) -> PostedInvoice:
    """Post an invoice for delivered quantities: those asked for, or everything delivered and not yet invoiced.

    Raises:
        PostingRefused: The customer is on hold, nothing is to be invoiced, or a quantity has not been delivered.
    """
    return _invoice(books, company, [(books.order(company, number), wanted)])


def summary_invoice(books: Books, company: Company, numbers: Sequence[str]) -> PostedInvoice:
    """Post one invoice over several orders, for everything delivered and not yet invoiced of each.

    Raises:
        PostingRefused: As for `invoice`; or the orders have not the same invoice account, currency and terms.
    """
    orders = [books.order(company, number) for number in dict.fromkeys(numbers)]
    if len(orders) < 2:
        raise PostingRefused("A summary invoice needs at least two sales orders.")
    for column in ("InvoiceCustomerAccountNumber", "CurrencyCode", "PaymentTermsName", "CashDiscountCode"):
        if len({order.get(column, "") for order in orders}) > 1:
            raise PostingRefused(f"The sales orders cannot be invoiced together: {column} is not the same on all.")
    return _invoice(books, company, [(order, None) for order in orders])


def _invoice(books: Books, company: Company, asked: Sequence[tuple[Row, Wanted]]) -> PostedInvoice:
    customer = books.customer(company, asked[0][0]["InvoiceCustomerAccountNumber"])
    if blocks(customer, "invoice"):
        raise PostingRefused(stopped_text(customer))
    for order, _ in asked:
        refuse_without_credit(books, company, order["SalesOrderNumber"], "invoice")
    asked = [(books.order(company, order["SalesOrderNumber"]), wanted) for order, wanted in asked]
    with books.db.transaction():
        billed = [item for order, wanted in asked for item in _to_invoice(books, company, order, wanted)]
        charges = [charge for order, _ in asked for charge in charges_of(books, order, posted=False)]
        for item in billed:
            save_line(books, item.line, {"_invoiced": item.line["_invoiced"] + item.quantity})
        orders = tuple(order for order, _ in asked)
        posted, transaction = post(books, company, Document(orders, billed, charges))
        for charge in charges:
            books.update(CHARGES, charge, {"Posted": charge["Value"], "Voucher": posted.voucher})
        for order in orders:
            books.update(SALES_ORDERS, order, {"_DocumentStatus": "Invoice"})
            refresh_status(books, company, order["SalesOrderNumber"])
        _settle_prepayments(books, company, orders, transaction)
    return posted


def _to_invoice(books: Books, company: Company, order: Row, wanted: Wanted) -> list[Billed]:
    number = order["SalesOrderNumber"]
    lines = books.lines(company, number)
    if wanted is None:
        chosen = [(line, line["_delivered"] - line["_invoiced"]) for line in lines]
        chosen = [(line, quantity) for line, quantity in chosen if quantity > 0]
    else:
        chosen = match_lines(lines, wanted)
    if not chosen:
        raise PostingRefused(f"There is nothing to invoice on sales order {number}.")
    billed: list[Billed] = []
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
        billed.append(Billed(order, line, quantity, amount))
    return billed


def _settle_prepayments(books: Books, company: Company, orders: Sequence[Row], invoiced: Row) -> None:
    """Where the company settles automatically, an order's prepayments pay its invoice."""
    if books.parameters(company).get("SettlementAutoSettleEnabled") != "Yes":
        return
    numbers = {order["SalesOrderNumber"] for order in orders}
    rows = books.find(receivables.TRANSACTIONS, AccountNum=invoiced["AccountNum"], dataAreaId=company.id)
    for row in rows:
        left = -receivables.open_amount(books, row) if row.get("_prepaid") in numbers else Decimal(0)
        owed = receivables.open_amount(books, invoiced)
        if left > 0 and owed > 0:
            settle_credit(books, company, row, [{"InvoiceId": invoiced["Invoice"], "Amount": min(left, owed)}])


# --- credit notes ----------------------------------------------------------------------------------------------------


def credit_note(
    books: Books,
    company: Company,
    number: str,
    invoice_number: str,
    wanted: Wanted,
    reason: str = "",
    *,
    returned: Returned | None = None,
) -> PostedInvoice:
    """Credit an invoice, in whole or the given lines and quantities; `number` may be empty for a summary invoice.

    Raises:
        PostingRefused: No such invoice, an unknown or missing reason, or more than was invoiced would be credited.
    """
    header = _invoice_of(books, company, invoice_number, number or None)
    check_reason(books, company, reason, "ReasonRequirementForCreditNotes")
    with books.db.transaction():
        return _credit(books, company, header, wanted, reason=reason, returned=returned)


def cancel_invoice(books: Books, company: Company, invoice_number: str, reason: str = "") -> PostedInvoice:
    """Take an invoice back: a correction over all of it, after which its quantities can be invoiced anew.

    Raises:
        PostingRefused: No such invoice, part of it has been credited or settled, or an unknown reason.
    """
    header = _invoice_of(books, company, invoice_number, None)
    check_reason(books, company, reason, None)
    original = _transaction_of(books, company, invoice_number)
    if original["SettleAmountCur"]:
        raise PostingRefused(f"Invoice {invoice_number} has been settled: reverse its settlements first.")
    rows = _invoice_lines(books, company, header)
    if any(row["_credited"] for row in rows):
        raise PostingRefused(f"Invoice {invoice_number} has been credited in part and cannot be cancelled.")
    with books.db.transaction():
        posted = _credit(books, company, header, None, reason=reason, correction=True)
        for charge in books.find(CHARGES, dataAreaId=company.id, Voucher=header["LedgerVoucher"]):
            books.update(CHARGES, charge, {"Posted": Decimal(0), "Voucher": ""})
        for row in rows:
            line = _order_line(books, company, row)
            save_line(books, line, {"_invoiced": line["_invoiced"] - row["InvoicedQuantity"]})
        for number in dict.fromkeys(row["_SalesId"] for row in rows):
            refresh_status(books, company, number)
    return posted


def _credit(
    books: Books,
    company: Company,
    header: Row,
    wanted: Wanted,
    *,
    reason: str,
    correction: bool = False,
    returned: Returned | None = None,
) -> PostedInvoice:
    original = _transaction_of(books, company, header["InvoiceNumber"])
    untouched = not any(row["_credited"] for row in _invoice_lines(books, company, header))
    billed = _to_credit(books, company, header, wanted)
    if returned is None and not correction:
        billed = [_on_a_line_of_its_own(books, company, item) for item in billed]
    orders = {number: books.order(company, number) for number in dict.fromkeys(map(_number_of, billed))}
    billed = [replace(item, order=orders[_number_of(item)]) for item in billed]
    taken_back = header["_charges"] if wanted is None and untouched else ()
    charges = [row | {"Value": -row["Value"]} for row in taken_back]
    document = Document(
        tuple(orders.values()),
        billed,
        charges,
        CREDIT_NOTE_NUMBERS,
        reason=reason,
        correction=correction,
        returned=returned,
    )
    posted, transaction = post(books, company, document)
    owed = receivables.open_amount(books, original)
    settled = min(owed, -posted.total)
    if settled > 0:
        receivables.settle(books, company, transaction, original, settled, books.today(company))
    return posted


def _invoice_of(books: Books, company: Company, invoice_number: str, order: str | None) -> Row:
    rows = books.find(INVOICES, InvoiceNumber=invoice_number, dataAreaId=company.id)
    header = rows[0] if rows else None
    if header is None or header["TotalInvoiceAmount"] < 0:
        raise PostingRefused(f"Invoice {invoice_number} does not exist in company {company.id}.")
    if order is not None and header["SalesOrderNumber"].lower() != order.lower():
        raise PostingRefused(f"Invoice {invoice_number} of sales order {order} does not exist.")
    return header


def _transaction_of(books: Books, company: Company, invoice_number: str) -> Row:
    found = receivables.find_transaction(books, company, debit=True, Invoice=invoice_number)
    if found is None:
        raise PostingRefused(f"Invoice {invoice_number} has no customer transaction.")
    return found


def _invoice_lines(books: Books, company: Company, header: Row) -> list[Row]:
    rows = books.find(INVOICE_LINES, InvoiceNumber=header["InvoiceNumber"], dataAreaId=company.id)
    return sorted(rows, key=lambda row: int(row["LineCreationSequenceNumber"]))


def _to_credit(books: Books, company: Company, header: Row, wanted: Wanted) -> list[Billed]:
    rows = _invoice_lines(books, company, header)
    if wanted is None:
        chosen = [(row, row["InvoicedQuantity"] - row["_credited"]) for row in rows]
        chosen = [(row, quantity) for row, quantity in chosen if quantity > 0]
    else:
        chosen = match_lines(rows, wanted)
    if not chosen:
        raise PostingRefused(f"There is nothing left to credit on invoice {header['InvoiceNumber']}.")
    return [_credited(books, company, header, row, quantity) for row, quantity in chosen]


def _credited(books: Books, company: Company, header: Row, row: Row, quantity: Decimal) -> Billed:
    if quantity > row["InvoicedQuantity"] - row["_credited"]:
        raise PostingRefused(
            f"Line {row['LineCreationSequenceNumber']}: quantity {quantity} exceeds what is left of the invoice."
        )
    part = part_of(row["_Amount"], row["InvoicedQuantity"], row["_credited"], quantity, header["CurrencyCode"])
    books.update(INVOICE_LINES, row, {"_credited": row["_credited"] + quantity})
    order = books.order(company, row["_SalesId"])
    return Billed(order, _order_line(books, company, row), -quantity, -part)


def _number_of(item: Billed) -> str:
    return str(item.order["SalesOrderNumber"])


def _on_a_line_of_its_own(books: Books, company: Company, item: Billed) -> Billed:
    """What is credited, on a line that is added to the order with a negative quantity, as the button Credit note does.

    The line has a lot of its own and names the one that was sold (`SalesLine.InventTransIdReturn`). The line that was
    sold stays as it was: delivered and invoiced.
    """
    order = books.order(company, _number_of(item))
    place = order["_last_line"] + 1
    added = {
        "InventoryLotId": books.next_number(company, "lot", "{:06d}"),
        "LineCreationSequenceNumber": place,
        "LineNumber": Decimal(place),
        "CustomersLineNumber": 0,
        "OrderedSalesQuantity": item.quantity,
        "LineAmount": item.amount,
        "SalesOrderLineStatus": "Invoiced",
        "_cancelled": Decimal(0),
        "_delivered": item.quantity,
        "_invoiced": item.quantity,
        "_returned_lot": item.line["InventoryLotId"],
    }
    line = books.insert(SALES_LINES, with_quantities({**item.line, **added}))
    books.update(SALES_ORDERS, order, {"_last_line": place})
    return replace(item, line=line)


def _order_line(books: Books, company: Company, invoice_line: Row) -> Row:
    found = books.get(SALES_LINES, company.id, invoice_line["_lot"])
    if found is None:
        raise PostingRefused(f"Order line {invoice_line['_lot']} no longer exists.")
    return found


def check_reason(books: Books, company: Company, reason: str, parameter: str | None) -> None:
    """Refuse a reason code that is not set up, or a missing one where the company's parameter wants one.

    Raises:
        PostingRefused: Either.
    """
    if not reason:
        if parameter is not None and books.parameters(company).get(parameter) == "Yes":
            raise PostingRefused("A reason code must be specified.")
        return
    if books.get("ReturnReasonCodeBiEntities", company.id, reason) is None:
        raise PostingRefused(f"The value '{reason}' in field 'Reason code' is not found in the related table.")
