"""The customer sub-ledger: transactions, what of them is open, and settling one against another.

A posted invoice is a positive transaction, a payment or credit note a negative one. Each open part is a row of
`CustTransOpens`, which disappears when the transaction is settled in full; `Closed` is then the date it happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sandbox.finance.amounts import round_money
from sandbox.finance.books import Books, Company
from sandbox.finance.model import EMPTY_DATE, day_stamp
from sandbox.store import Row

TRANSACTIONS: Final = "CustTransactions"
OPEN: Final = "CustTransOpens"
SETTLEMENTS: Final = "Settlements"


def book(
    books: Books,
    company: Company,
    *,
    account: str,
    amount: Decimal,
    currency: str,
    kind: str,
    voucher: str,
    day: date,
    due: date,
    more: Mapping[str, Any],
) -> Row:
    """Post a customer transaction, open in full (one of zero is settled at once).

    Args:
        books: Where to book.
        company: The company.
        account: The invoice customer.
        amount: In `currency`; positive is what the customer owes.
        currency: Transaction currency.
        kind: TransType: Sales or Payment.
        voucher: Ledger voucher.
        day: Posting date.
        due: Due date.
        more: Further columns of the transaction (Invoice, PaymReference, …).

    Returns:
        The transaction row.
    """
    in_company = round_money(books.in_accounting_currency(amount, currency, company), company.currency)
    row = books.insert(
        TRANSACTIONS,
        {
            "dataAreaId": company.id,
            "AccountNum": account,
            "OrderAccount": account,
            "AmountCur": amount,
            "AmountMST": in_company,
            "CurrencyCode": currency,
            "TransType": kind,
            "Voucher": voucher,
            "TransDate": day_stamp(day),
            "DocumentDate": day_stamp(day),
            "DueDate": day_stamp(due),
            "Closed": EMPTY_DATE if amount else day_stamp(day),
            "Approved": "Yes",
            "SettleAmountCur": Decimal(0),
            "SettleAmountMST": Decimal(0),
            "ExchRate": Decimal(100),
            "Invoice": "",
            "PaymId": "",
            **more,
        },
    )
    if amount:
        _write_open(books, row, amount, in_company)
    return row


def _write_open(books: Books, transaction: Row, amount: Decimal, in_company: Decimal) -> None:
    books.insert(
        OPEN,
        {
            "dataAreaId": transaction["dataAreaId"],
            "AccountNum": transaction["AccountNum"],
            "AmountCur": amount,
            "AmountMST": in_company,
            "TransDate": transaction["TransDate"],
            "DueDate": transaction["DueDate"],
            "RefRecId": transaction["_record"],
        },
    )


def open_part(books: Books, transaction: Row) -> Row | None:
    """The open part of a transaction, None when it is settled in full."""
    rows = books.find(OPEN, RefRecId=transaction["_record"], dataAreaId=transaction["dataAreaId"])
    return rows[0] if rows else None


def open_amount(books: Books, transaction: Row) -> Decimal:
    """What of a transaction is open, in its currency; zero when it is settled."""
    row = open_part(books, transaction)
    return Decimal(0) if row is None else row["AmountCur"]


def settle(books: Books, company: Company, credit: Row, debit: Row, amount: Decimal, day: date) -> None:
    """Settle `amount` (positive) of a payment or credit note against an invoice, in both their currency."""
    for transaction, part in ((debit, amount), (credit, -amount)):
        _lower_open(books, company, transaction, part, day, voucher=credit["Voucher"])
    books.insert(
        SETTLEMENTS,
        {
            "company": company.id,
            "payment": credit["_record"],
            "invoice": debit["_record"],
            "amount": amount,
        },
    )


def _lower_open(books: Books, company: Company, transaction: Row, part: Decimal, day: date, *, voucher: str) -> None:
    opened = open_part(books, transaction)
    if opened is None:
        raise AssertionError(f"transaction {transaction['_record']} has no open part")
    left = opened["AmountCur"] - part
    current = books.get(TRANSACTIONS, transaction["dataAreaId"], transaction["_record"]) or transaction
    in_company = _proportion(current, part, company)
    if left == 0:
        books.delete(OPEN, opened)
    else:
        books.update(OPEN, opened, {"AmountCur": left, "AmountMST": opened["AmountMST"] - in_company})
    books.update(
        TRANSACTIONS,
        current,
        {
            "SettleAmountCur": current["SettleAmountCur"] + part,
            "SettleAmountMST": current["SettleAmountMST"] + in_company,
            "Closed": day_stamp(day) if left == 0 else EMPTY_DATE,
            "LastSettleDate": day_stamp(day),
            "LastSettleVoucher": voucher,
            "LastSettleAccountNum": current["AccountNum"],
            "LastSettleCompany": company.id,
        },
    )


def unsettle(books: Books, company: Company, settlement: Row) -> None:
    """Undo a settlement: both transactions are open again by its amount."""
    for record, part in ((settlement["invoice"], settlement["amount"]), (settlement["payment"], -settlement["amount"])):
        transaction = books.get(TRANSACTIONS, company.id, record)
        if transaction is None:
            raise AssertionError(f"settlement of a transaction {record} that does not exist")
        _raise_open(books, company, transaction, part)
    books.delete(SETTLEMENTS, settlement)


def _raise_open(books: Books, company: Company, transaction: Row, part: Decimal) -> None:
    opened = open_part(books, transaction)
    in_company = _proportion(transaction, part, company)
    if opened is None:
        _write_open(books, transaction, part, in_company)
    else:
        changes = {"AmountCur": opened["AmountCur"] + part, "AmountMST": opened["AmountMST"] + in_company}
        books.update(OPEN, opened, changes)
    books.update(
        TRANSACTIONS,
        transaction,
        {
            "SettleAmountCur": transaction["SettleAmountCur"] - part,
            "SettleAmountMST": transaction["SettleAmountMST"] - in_company,
            "Closed": EMPTY_DATE,
        },
    )


def _proportion(transaction: Row, part: Decimal, company: Company) -> Decimal:
    """A part of a transaction's amount in accounting currency, at the transaction's own rate."""
    return round_money(transaction["AmountMST"] * part / transaction["AmountCur"], company.currency)
