"""Customer payments: posted in a payment journal, settled against invoices, and reversed when they bounce."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sandbox.finance import receivables
from sandbox.finance.amounts import round_money
from sandbox.finance.books import Books, Company, positive, total
from sandbox.finance.errors import PostingRefused
from sandbox.finance.events import CUST_PAYMENT_POSTED, CUST_PAYMENT_REVERSED
from sandbox.finance.masterdata import blocks
from sandbox.finance.model import day_stamp
from sandbox.store import Row

JOURNALS: Final = "CustomerPaymentJournalHeaders"
JOURNAL_LINES: Final = "CustomerPaymentJournalLines"


@dataclass(frozen=True, slots=True)
class PostedPayment:
    """A posted payment (or its reversal): journal, ledger voucher and payment id."""

    journal: str
    voucher: str
    payment_id: str


def pay(
    books: Books,
    company: Company,
    *,
    account: str,
    amount: Decimal,
    currency: str,
    reference: str,
    day: date | None,
    settlements: Sequence[Mapping[str, Any]],
) -> PostedPayment:
    """Post a payment and settle it.

    Args:
        books: Where to book.
        company: The company paid.
        account: The customer who pays.
        amount: Positive, in `currency`.
        currency: Currency of the payment; its invoices must have the same.
        reference: The customer's payment reference.
        day: Posting date; None is today in the company.
        settlements: `{InvoiceId, Amount}`: what to settle. At most what is open of each invoice is settled; what is
            left of the payment stays open as the customer's credit.

    Raises:
        PostingRefused: Unknown customer, currency or invoice, amounts that are not positive or exceed the payment, or
            a customer whose payments are on hold.
    """
    customer = books.customer(company, account)
    if blocks(customer, "payment"):
        raise PostingRefused(f"Customer account {account} is on hold with code {customer['OnHoldStatus']}.")
    if amount <= 0 or amount != round_money(amount, currency):
        raise PostingRefused(f"Amount {amount} is not a payable amount in {currency}.")
    if books.get("Currencies", currency) is None:
        raise PostingRefused(f"Currency {currency} does not exist.")
    amount = round_money(amount, currency)
    date_posted = day or books.today(company)
    with books.db.transaction():
        journal = _journal(books, company, f"Payment {reference}".strip())
        payment_id = books.next_number(company, "payment", "PAY-{:06d}")
        voucher = books.next_number(company, "payment voucher", "ARP-{:06d}")
        _journal_line(books, company, journal, voucher, payment_id, customer, amount, currency, reference, date_posted)
        transaction = receivables.book(
            books,
            company,
            account=customer["CustomerAccount"],
            amount=-amount,
            currency=currency,
            kind="Payment",
            voucher=voucher,
            day=date_posted,
            due=date_posted,
            more={"PaymReference": reference, "PaymId": payment_id, "Txt": f"Payment {payment_id}"},
        )
        settled = _settle_all(books, company, transaction, settlements, date_posted)
        fields = _event_fields(company, customer, payment_id, amount, currency, settled)
        books.events.emit(CUST_PAYMENT_POSTED, company.id, fields)
    return PostedPayment(journal, voucher, payment_id)


def _settle_all(
    books: Books, company: Company, payment: Row, settlements: Sequence[Mapping[str, Any]], day: date
) -> list[dict[str, Any]]:
    """Settle what is asked, capped at what is open; the settlements made, for the event."""
    made: list[dict[str, Any]] = []
    for item in settlements:
        invoice, amount = str(item.get("InvoiceId", "")), positive(item.get("Amount"))
        if amount is None:
            raise PostingRefused(f"The settlement amount of invoice {invoice} must be greater than zero.")
        target = _invoice_transaction(books, company, invoice, payment)
        part = min(round_money(amount, payment["CurrencyCode"]), receivables.open_amount(books, target))
        if part > -receivables.open_amount(books, payment):
            raise PostingRefused(f"Settlements exceed the payment amount of {-payment['AmountCur']}.")
        if part <= 0:
            continue
        receivables.settle(books, company, payment, target, part, day)
        made.append({"InvoiceId": target["Invoice"], "SalesOrderId": target.get("_order", ""), "Amount": part})
    return made


def _invoice_transaction(books: Books, company: Company, invoice: str, payment: Row) -> Row:
    rows = [
        row
        for row in books.find(receivables.TRANSACTIONS, Invoice=invoice, dataAreaId=company.id)
        if row["AmountCur"] > 0
    ]
    if not invoice or not rows:
        raise PostingRefused(f"Invoice {invoice} does not exist in company {company.id}.")
    target = rows[0]
    if target["AccountNum"] != payment["AccountNum"]:
        raise PostingRefused(f"Invoice {invoice} belongs to customer {target['AccountNum']}.")
    if target["CurrencyCode"] != payment["CurrencyCode"]:
        raise PostingRefused(f"Invoice {invoice} is in {target['CurrencyCode']}, not {payment['CurrencyCode']}.")
    return target


def reverse(books: Books, company: Company, payment_id: str, reason: str) -> PostedPayment:
    """Reverse a payment (it bounced): what it settled is open again, and payment and reversal cancel out.

    Raises:
        PostingRefused: No such payment, or it has been reversed already.
    """
    rows = [
        row
        for row in books.find(receivables.TRANSACTIONS, PaymId=payment_id, dataAreaId=company.id)
        if row["AmountCur"] < 0
    ]
    if not payment_id or not rows:
        raise PostingRefused(f"Payment {payment_id} does not exist in company {company.id}.")
    payment = rows[0]
    if payment.get("CancelledPayment") == "Yes":
        raise PostingRefused(f"Payment {payment_id} has been reversed already.")
    customer = books.customer(company, payment["AccountNum"])
    today = books.today(company)
    with books.db.transaction():
        undone = _unsettle_all(books, company, payment)
        journal = _journal(books, company, f"Reversal of payment {payment_id}")
        voucher = books.next_number(company, "payment voucher", "ARP-{:06d}")
        currency, amount = payment["CurrencyCode"], -payment["AmountCur"]
        _journal_line(books, company, journal, voucher, payment_id, customer, -amount, currency, reason, today)
        reversal = receivables.book(
            books,
            company,
            account=payment["AccountNum"],
            amount=amount,
            currency=currency,
            kind="Payment",
            voucher=voucher,
            day=today,
            due=today,
            more={"PaymId": payment_id, "PaymReference": reason, "CancelledPayment": "Yes", "Txt": reason},
        )
        current = books.get(receivables.TRANSACTIONS, company.id, payment["_record"]) or payment
        books.update(receivables.TRANSACTIONS, current, {"CancelledPayment": "Yes"})
        receivables.settle(books, company, payment, reversal, amount, today)
        fields = _event_fields(company, customer, payment_id, amount, currency, undone)
        books.events.emit(CUST_PAYMENT_REVERSED, company.id, fields)
    return PostedPayment(journal, voucher, payment_id)


def _unsettle_all(books: Books, company: Company, payment: Row) -> list[dict[str, Any]]:
    undone: list[dict[str, Any]] = []
    for settlement in books.find(receivables.SETTLEMENTS, payment=payment["_record"], company=company.id):
        invoice = books.get(receivables.TRANSACTIONS, company.id, settlement["invoice"])
        receivables.unsettle(books, company, settlement)
        if invoice is not None:
            undone.append(
                {
                    "InvoiceId": invoice["Invoice"],
                    "SalesOrderId": invoice.get("_order", ""),
                    "Amount": settlement["amount"],
                }
            )
    return undone


def _event_fields(
    company: Company,
    customer: Row,
    payment_id: str,
    amount: Decimal,
    currency: str,
    settlements: list[dict[str, Any]],
) -> dict[str, Any]:
    return {
        "CustAccount": customer["CustomerAccount"],
        "PaymentId": payment_id,
        "Amount": amount,
        "CurrencyCode": currency,
        "Settlements": settlements,
        "LegalEntity": company.id,
    }


def unapplied(books: Books, company: Company, account: str) -> Decimal:
    """What of a customer's payments and credit notes is not settled, as a positive amount in transaction currency."""
    rows = books.find(receivables.OPEN, AccountNum=account, dataAreaId=company.id)
    return -total(row["AmountCur"] for row in rows if row["AmountCur"] < 0)


def _journal(books: Books, company: Company, description: str) -> str:
    number = books.next_number(company, "journal", "{:06d}")
    while books.get(JOURNALS, company.id, number) is not None:
        number = books.next_number(company, "journal", "{:06d}")
    books.insert(
        JOURNALS,
        {
            "dataAreaId": company.id,
            "JournalBatchNumber": number,
            "JournalName": "CustPay",
            "Description": description,
            "IsPosted": "Yes",
        },
    )
    return number


def _journal_line(
    books: Books,
    company: Company,
    journal: str,
    voucher: str,
    payment_id: str,
    customer: Row,
    amount: Decimal,
    currency: str,
    reference: str,
    day: date,
) -> None:
    books.insert(
        JOURNAL_LINES,
        {
            "dataAreaId": company.id,
            "JournalBatchNumber": journal,
            "LineNumber": Decimal(1),
            "AccountType": "Cust",
            "AccountDisplayValue": customer["CustomerAccount"],
            "CustomerName": customer.get("OrganizationName", ""),
            "Company": company.id,
            "CreditAmount": max(amount, Decimal(0)),
            "DebitAmount": max(-amount, Decimal(0)),
            "CurrencyCode": currency,
            "TransactionDate": day_stamp(day),
            "PaymentId": payment_id,
            "PaymentReference": reference,
            "OffsetAccountType": "Bank",
            "OffsetAccountDisplayValue": f"{company.id.upper()} OPER",
            "OffsetCompany": company.id,
            "Voucher": voucher,
        },
    )
