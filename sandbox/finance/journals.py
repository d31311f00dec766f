"""Posting a customer payment journal that somebody entered: what its lines bring in, and what they pay back.

A line's credit on a customer's account is money that comes in, its debit money that goes back. Whoever posts it marks
what it settles: an invoice or credit note on the line (`MarkedInvoice`), or the payment that is paid back.
Source: Microsoft Learn, "Create a customer payment", "Refund payment processing in Customer payment journal".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sandbox.finance import payments, receivables
from sandbox.finance.books import Books, Company
from sandbox.finance.errors import PostingRefused
from sandbox.finance.masterdata import blocks, stopped_text
from sandbox.finance.payments import JOURNAL_LINES, JOURNALS
from sandbox.store import Row


def post(books: Books, company: Company, number: str, marked: Sequence[Mapping[str, Any]]) -> list[str]:
    """Post a journal; the vouchers of its lines.

    Args:
        books: Where to book.
        company: The company.
        number: JournalBatchNumber.
        marked: `{LineNumber, PaymentId}`: payments that lines pay back, as somebody marked them.

    Raises:
        PostingRefused: No such journal, posted already, empty, or a line that cannot be posted.
    """
    journal = books.get(JOURNALS, company.id, number)
    if journal is None:
        raise PostingRefused(f"Journal {number} does not exist in company {company.id}.")
    if journal["IsPosted"] == "Yes":
        raise PostingRefused(f"Journal {number} has been posted already.")
    lines = books.find(JOURNAL_LINES, JournalBatchNumber=number, dataAreaId=company.id)
    if not lines:
        raise PostingRefused(f"Journal {number} has no lines.")
    payment_of = {int(mark.get("LineNumber", 1)): str(mark.get("PaymentId", "")) for mark in marked}
    with books.db.transaction():
        vouchers = [
            _post_line(books, company, line, payment_of.get(int(line["LineNumber"]), ""))
            for line in sorted(lines, key=lambda row: Decimal(row["LineNumber"]))
        ]
        books.update(JOURNALS, journal, {"IsPosted": "Yes"})
    return vouchers


def _post_line(books: Books, company: Company, line: Row, payment: str) -> str:
    amount = line.get("DebitAmount", Decimal(0)) - line.get("CreditAmount", Decimal(0))
    if not amount:
        raise PostingRefused(f"Line {line['LineNumber']} has no amount.")
    customer = books.customer(company, line["AccountDisplayValue"])
    if blocks(customer, "payment"):
        raise PostingRefused(stopped_text(customer))
    settles = _marked(books, company, line, payment, credit=amount > 0)
    identifier = line.get("PaymentId") or books.next_number(company, "payment", "PAY-{:06d}")
    voucher = books.next_number(company, "payment voucher", "ARP-{:06d}")
    currency, today = line["CurrencyCode"], books.today(company)
    more: Row = {
        "PaymReference": line.get("PaymentReference", ""),
        "PaymId": identifier,
        "Txt": line.get("TransactionText", ""),
    }
    row = payments.transaction(books, company, customer["CustomerAccount"], amount, currency, voucher, today, more)
    touched: list[dict[str, Any]] = []
    if settles is not None:
        credit, debit = (settles, row) if amount > 0 else (row, settles)
        part = min(abs(amount), abs(receivables.open_amount(books, settles)))
        if amount > 0 and part < amount:
            raise PostingRefused(f"Line {line['LineNumber']} pays back more than the {part} {currency} that are open.")
        receivables.settle(books, company, credit, debit, part, today)
        touched = payments.documents_of(books, company, settles, part if amount < 0 else Decimal(0))
    books.update(JOURNAL_LINES, line, {"PaymentId": identifier, "Voucher": voucher})
    payments.tell(books, company, customer, identifier, -amount, currency, touched)
    return voucher


def _marked(books: Books, company: Company, line: Row, payment: str, *, credit: bool) -> Row | None:
    """What a line settles, as it is marked; None where nothing is."""
    invoice = line.get("MarkedInvoice", "")
    if not payment and not invoice:
        return None
    equal = {"PaymId": payment} if payment else {"Invoice": invoice}
    found = receivables.find_transaction(books, company, debit=not credit, **equal)
    if found is None or found["AccountNum"] != line["AccountDisplayValue"]:
        raise PostingRefused(f"There is no {payment or invoice} to settle in company {company.id}.")
    return found
