"""The customer sub-ledger: transactions, what of them is open, and settling one against another.

A posted invoice is a positive transaction, a payment or credit note a negative one. Each open part is a row of
`CustTransOpens` (one for each instalment), which disappears when it is settled; `Closed` of the transaction is then the
date the last part was. A transaction belongs to the invoice account; who ordered is in `OrderAccount`.
Source: Microsoft Learn, "Customer payment settlement scenarios".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sandbox.finance.amounts import part_of, round_money
from sandbox.finance.books import SETTLEMENTS, Books, Company, total
from sandbox.finance.model import EMPTY_DATE, day_stamp, stamp
from sandbox.store import Row

TRANSACTIONS: Final = "CustTransactions"
OPEN: Final = "CustTransOpens"
BI_SETTLEMENTS: Final = "CustSettlementBiEntities"


@dataclass(frozen=True, slots=True)
class CashDiscount:
    """A discount for early payment: its code, the last day it may be taken, and its amount."""

    code: str
    until: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Instalment:
    """A part of a transaction with a due date of its own."""

    due: date
    amount: Decimal


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
    instalments: Sequence[Instalment] = (),
    discount: CashDiscount | None = None,
) -> Row:
    """Post a customer transaction, open in full (one of zero is settled at once).

    Args:
        books: Where to book.
        company: The company.
        account: The invoice customer.
        amount: In `currency`; positive is what the customer owes.
        currency: Transaction currency.
        kind: TransType: Sales, Cust, Payment, CashDiscount …
        voucher: Ledger voucher.
        day: Posting date.
        due: Due date.
        more: Further columns of the transaction (Invoice, PaymReference, …).
        instalments: Its parts, which add up to `amount`; none when it falls due at once.
        discount: What may be taken off for early payment.

    Returns:
        The transaction row.
    """
    rate = books.rate_or_refuse(currency, company.currency, company, day=day)
    row: Row = {
        "dataAreaId": company.id,
        **dict.fromkeys(("AccountNum", "OrderAccount"), account),
        "AmountCur": amount,
        "AmountMST": round_money(amount * rate, company.currency),
        "CurrencyCode": currency,
        "TransType": kind,
        "Voucher": voucher,
        **dict.fromkeys(("TransDate", "DocumentDate"), day_stamp(day)),
        "DueDate": day_stamp(due),
        "Closed": EMPTY_DATE if amount else day_stamp(day),
        "Approved": "Yes",
        **dict.fromkeys(("SettleAmountCur", "SettleAmountMST"), Decimal(0)),
        "ExchRate": rate * 100,
        "Invoice": "",
        "PaymId": "",
        "_created": stamp(books.now()),
        **more,
    }
    if discount is not None:
        row |= {"CashDiscCode": discount.code, "CashDiscBaseDate": day_stamp(day), "_discount": discount}
    transaction = books.insert(TRANSACTIONS, row)
    if amount:
        _open_parts(books, company, transaction, instalments or (Instalment(due, amount),))
    return transaction


def _open_parts(books: Books, company: Company, transaction: Row, parts: Sequence[Instalment]) -> None:
    done = Decimal(0)
    whole, in_company = transaction["AmountCur"], transaction["AmountMST"]
    discount: CashDiscount | None = transaction.get("_discount")
    for part in parts:
        converted = part_of(in_company, whole, done, part.amount, company.currency)
        possible = Decimal(0)
        if discount is not None:
            possible = part_of(discount.amount, whole, done, part.amount, transaction["CurrencyCode"])
        done += part.amount
        _write_open(books, transaction, part.amount, converted, day_stamp(part.due), possible)


def _write_open(
    books: Books, transaction: Row, amount: Decimal, in_company: Decimal, due: str, possible: Decimal
) -> None:
    discount: CashDiscount | None = transaction.get("_discount")
    books.insert(
        OPEN,
        {
            "dataAreaId": transaction["dataAreaId"],
            "AccountNum": transaction["AccountNum"],
            "AmountCur": amount,
            "AmountMST": in_company,
            "TransDate": transaction["TransDate"],
            "DueDate": due,
            "CashDiscDate": EMPTY_DATE if discount is None else day_stamp(discount.until),
            "PossibleCashDisc": possible,
            "UseCashDisc": "Normal",
            "RefRecId": transaction["_record"],
        },
    )


def open_parts(books: Books, transaction: Row) -> list[Row]:
    """The open parts of a transaction, the one due first at the front; none when it is settled in full."""
    rows = books.find(OPEN, RefRecId=transaction["_record"], dataAreaId=transaction["dataAreaId"])
    return sorted(rows, key=lambda row: (row["DueDate"], row["_record"]))


def open_amount(books: Books, transaction: Row) -> Decimal:
    """What of a transaction is open, in its currency; zero when it is settled."""
    return total(row["AmountCur"] for row in open_parts(books, transaction))


def possible_discount(books: Books, transaction: Row, day: date) -> Decimal:
    """The cash discount that may still be taken of a transaction on a day, in its currency."""
    stamp = day_stamp(day)
    return total(
        row["PossibleCashDisc"]
        for row in open_parts(books, transaction)
        if row["CashDiscDate"] != EMPTY_DATE and stamp <= row["CashDiscDate"]
    )


def settle(
    books: Books,
    company: Company,
    credit: Row,
    debit: Row,
    amount: Decimal,
    day: date,
    *,
    discount: Decimal = Decimal(0),
    penny: Decimal = Decimal(0),
) -> None:
    """Settle `amount` (positive) of a payment or credit note against an invoice, in both their currency.

    `discount` and `penny` are the cash discount and the difference taken with it, for the settlement's own columns.
    """
    in_company = {
        side["_record"]: _lower_open(books, company, side, part, day, voucher=credit["Voucher"])
        for side, part in ((debit, amount), (credit, -amount))
    }
    books.insert(
        SETTLEMENTS,
        {"company": company.id, "payment": credit["_record"], "invoice": debit["_record"], "amount": amount},
    )
    for side, other, part in ((debit, credit, amount), (credit, debit, -amount)):
        books.insert(
            BI_SETTLEMENTS,
            _settlement_row(company, side, other, part, in_company[side["_record"]], day)
            | {"SettlementVoucher": credit["Voucher"], "UtilizedCashDisc": discount, "PennyDiff": penny},
        )


def _settlement_row(company: Company, side: Row, other: Row, part: Decimal, in_company: Decimal, day: date) -> Row:
    return {
        "dataAreaId": company.id,
        "AccountNum": side["AccountNum"],
        "OffsetAccountNum": other["AccountNum"],
        "OffsetCompany": company.id,
        "TransCompany": company.id,
        "TransRecId": side["_record"],
        "OffsetRecid": other["_record"],
        "OffsetTransVoucher": other["Voucher"],
        "TransType": side["TransType"],
        "TransDate": day_stamp(day),
        "DueDate": side["DueDate"],
        "SettleAmountCur": part,
        "SettleAmountMST": in_company,
        "CanBeReversed": "Yes",
    }


def _lower_open(books: Books, company: Company, transaction: Row, part: Decimal, day: date, *, voucher: str) -> Decimal:
    """Take `part` off a transaction's open parts, due first first; its value in accounting currency."""
    opened = open_parts(books, transaction)
    left = part
    settled = Decimal(0)
    for row in opened:
        if left == 0:
            break
        taken = left if abs(left) < abs(row["AmountCur"]) else row["AmountCur"]
        settled += _lower_part(books, company, row, taken)
        left -= taken
    if left != 0:
        raise AssertionError(f"transaction {transaction['_record']} has not {part} open")
    current = books.get(TRANSACTIONS, transaction["dataAreaId"], transaction["_record"]) or transaction
    books.update(
        TRANSACTIONS,
        current,
        {
            "SettleAmountCur": current["SettleAmountCur"] + part,
            "SettleAmountMST": current["SettleAmountMST"] + settled,
            "Closed": EMPTY_DATE if open_parts(books, transaction) else day_stamp(day),
            "LastSettleDate": day_stamp(day),
            "LastSettleVoucher": voucher,
            "LastSettleAccountNum": current["AccountNum"],
            "LastSettleCompany": company.id,
        },
    )
    return settled


def _lower_part(books: Books, company: Company, row: Row, taken: Decimal) -> Decimal:
    if taken == row["AmountCur"]:
        books.delete(OPEN, row)
        whole: Decimal = row["AmountMST"]
        return whole
    in_company = round_money(row["AmountMST"] * taken / row["AmountCur"], company.currency)
    changes = {"AmountCur": row["AmountCur"] - taken, "AmountMST": row["AmountMST"] - in_company}
    books.update(OPEN, row, changes)
    return in_company


def unsettle(books: Books, company: Company, settlement: Row) -> None:
    """Undo a settlement: both transactions are open again by its amount.

    Their last settlement is cleared with it (X++ `CustVendTrans.clearLastSettlement`): nothing dates it but the change
    of the row, which `CustTransBiEntities` shows.
    """
    for record, part in ((settlement["invoice"], settlement["amount"]), (settlement["payment"], -settlement["amount"])):
        transaction = books.get(TRANSACTIONS, company.id, record)
        if transaction is None:
            raise AssertionError(f"settlement of a transaction {record} that does not exist")
        _raise_open(books, company, transaction, part)
    books.delete(SETTLEMENTS, settlement)
    _reverse_bi_rows(books, company, settlement)


def _reverse_bi_rows(books: Books, company: Company, settlement: Row) -> None:
    pair = {settlement["invoice"], settlement["payment"]}
    for record in pair:
        for row in books.find(BI_SETTLEMENTS, TransRecId=record, dataAreaId=company.id, CanBeReversed="Yes"):
            if row["OffsetRecid"] in pair and abs(row["SettleAmountCur"]) == settlement["amount"]:
                books.update(BI_SETTLEMENTS, row, {"CanBeReversed": "No"})
                kept = {name: value for name, value in row.items() if not name.startswith("_")}
                opposite = {name: -row[name] for name in ("SettleAmountCur", "SettleAmountMST", "UtilizedCashDisc")}
                day = day_stamp(books.today(company))
                books.insert(BI_SETTLEMENTS, kept | opposite | {"CanBeReversed": "No", "TransDate": day})
                break


def _raise_open(books: Books, company: Company, transaction: Row, part: Decimal) -> None:
    opened = open_parts(books, transaction)
    in_company = round_money(transaction["AmountMST"] * part / transaction["AmountCur"], company.currency)
    if opened:
        row = opened[0]
        changes = {"AmountCur": row["AmountCur"] + part, "AmountMST": row["AmountMST"] + in_company}
        books.update(OPEN, row, changes)
    else:
        discount: CashDiscount | None = transaction.get("_discount")
        possible = Decimal(0) if discount is None else discount.amount
        _write_open(books, transaction, part, in_company, transaction["DueDate"], possible)
    books.update(
        TRANSACTIONS,
        transaction,
        {
            "SettleAmountCur": transaction["SettleAmountCur"] - part,
            "SettleAmountMST": transaction["SettleAmountMST"] - in_company,
            "Closed": EMPTY_DATE,
            "LastSettleDate": EMPTY_DATE,
            **dict.fromkeys(("LastSettleVoucher", "LastSettleAccountNum", "LastSettleCompany"), ""),
        },
    )


def find_transaction(books: Books, company: Company, *, debit: bool, **equal: Any) -> Row | None:
    """The oldest transaction equal in the named columns that the customer owes (or is owed, without `debit`)."""
    rows = books.find(TRANSACTIONS, dataAreaId=company.id, **equal)
    return next((row for row in rows if (row["AmountCur"] > 0) == debit), None)
