"""Customer payments: posted in a payment journal, settled against invoices, and reversed when they bounce.

A settlement may leave a difference. What a cash discount covers is taken as discount while its date has not passed;
a penny difference, or an over- or underpayment within the company's tolerance, is posted as such. Each is a transaction
of its own, so that invoice and payment are closed.
Sources: Microsoft Learn, "Configure settlement", "Customer payment settlement scenarios".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from sandbox.finance import receivables
from sandbox.finance.amounts import round_money
from sandbox.finance.books import SETTLEMENTS, Books, Company, positive, total
from sandbox.finance.errors import PostingRefused
from sandbox.finance.events import CUST_PAYMENT_POSTED, CUST_PAYMENT_REVERSED
from sandbox.finance.masterdata import blocks, stopped_text
from sandbox.finance.model import day_stamp
from sandbox.store import Row

JOURNALS: Final = "CustomerPaymentJournalHeaders"
JOURNAL_LINES: Final = "CustomerPaymentJournalLines"
SETTLED_INVOICES: Final = "PaymentJournalLineSettledInvoices"


@dataclass(frozen=True, slots=True)
class PostedPayment:
    """A posted payment, reversal or refund: its journal, and its transaction in the sub-ledger."""

    journal: str
    transaction: Row


@dataclass(frozen=True, slots=True)
class Money:
    """Money that comes in: who pays how much, under which reference, and for which order where it is a prepayment.

    An amount below zero goes back to the customer.

    A prepayment's reference is its order's number unless said otherwise: by it the "Settle transactions" page of the
    order proposes the payment.
    """

    account: str
    amount: Decimal
    currency: str
    reference: str
    day: date | None = None
    prepayment_of: str = ""


def pay(books: Books, company: Company, money: Money, settlements: Sequence[Mapping[str, Any]]) -> PostedPayment:
    """Post a payment and settle it.

    Args:
        books: Where to book.
        company: The company paid.
        money: What comes in; its amount is positive, its currency that of the invoices.
        settlements: `{InvoiceId, Amount}`: what to settle. At most what is open of each invoice is settled; what is
            left of the payment stays open as the customer's credit.

    Raises:
        PostingRefused: Unknown customer, currency, order or invoice, amounts that are not positive or exceed the
            payment, or a customer whose payments are on hold.
    """
    customer = books.customer(company, money.account)
    if blocks(customer, "payment"):
        raise PostingRefused(stopped_text(customer))
    if money.amount <= 0 or money.amount != round_money(money.amount, money.currency):
        raise PostingRefused(f"Amount {money.amount} is not a payable amount in {money.currency}.")
    currency = books.get("Currencies", money.currency)
    if currency is None:
        raise PostingRefused(f"Currency {money.currency} does not exist.")
    if money.prepayment_of:
        books.order(company, money.prepayment_of)
    reference = money.reference or money.prepayment_of
    amount, code = round_money(money.amount, money.currency), currency["CurrencyCode"]
    posted_on = money.day or books.today(company)
    paid = Money(customer["CustomerAccount"], amount, code, reference, posted_on, money.prepayment_of)
    with books.db.transaction():
        payment_id = books.next_number(company, "payment", "PAY-{:06d}")
        more: Row = {"Txt": f"Payment {payment_id}"}
        if money.prepayment_of:
            more |= {"Prepayment": "Yes", "_prepaid": money.prepayment_of}
        posted = _post(books, company, paid, payment_id, f"Payment {reference}".strip(), more)
        made = _settle_all(books, company, posted.transaction, settlements, posted_on, posted.journal)
        fields = _event_fields(company, customer, payment_id, amount, code, made)
        books.events.emit(CUST_PAYMENT_POSTED, company.id, fields)
    return posted


def _post(books: Books, company: Company, money: Money, payment_id: str, journal_name: str, more: Row) -> PostedPayment:
    """Post money that comes in or goes back, in a journal of its own and in the sub-ledger."""
    journal = _journal(books, company, journal_name)
    voucher = books.next_number(company, "payment voucher", "ARP-{:06d}")
    customer, day = books.customer(company, money.account), money.day or books.today(company)
    row = _JournalLine(journal, voucher, payment_id, customer, money.amount, money.currency, money.reference, day)
    _journal_line(books, company, row, prepayment=bool(money.prepayment_of))
    columns = {"PaymId": payment_id, "PaymReference": money.reference, **more}
    return PostedPayment(
        journal, transaction(books, company, money.account, -money.amount, money.currency, voucher, day, columns)
    )


def settle_credit(
    books: Books, company: Company, credit: Row, settlements: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Settle an open payment or credit note against invoices later on; the settlements made.

    Raises:
        PostingRefused: Nothing is named, an invoice does not fit, or more is settled than is open.
    """
    if not settlements:
        raise PostingRefused("At least one invoice must be named to settle against.")
    with books.db.transaction():
        made = _settle_all(books, company, credit, settlements, books.today(company), "")
        customer = books.customer(company, credit["AccountNum"])
        fields = _event_fields(company, customer, credit["PaymId"], -credit["AmountCur"], credit["CurrencyCode"], made)
        books.events.emit(CUST_PAYMENT_POSTED, company.id, fields)
    return made


def _settle_all(
    books: Books, company: Company, payment: Row, settlements: Sequence[Mapping[str, Any]], day: date, journal: str
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
        discount = min(receivables.possible_discount(books, target, day), receivables.open_amount(books, target) - part)
        takes = discount > 0 and part + discount == receivables.open_amount(books, target)
        taken = discount if takes else Decimal(0)
        receivables.settle(books, company, payment, target, part, day, discount=taken)
        if taken:
            _difference(books, company, payment, target, taken, "CashDiscount", day)
        left = _tolerated(books, company, receivables.open_amount(books, target))
        if left is not None:
            _difference(books, company, payment, target, *left, day)
        if journal:
            _settled_invoice(books, company, journal, target, part, taken)
        made.append({"InvoiceId": target["Invoice"], "SalesOrderId": target.get("_order", ""), "Amount": part})
    over = _tolerated(books, company, -receivables.open_amount(books, payment)) if made else None
    if over is not None:
        _difference(books, company, payment, payment, *over, day)
    return made


def _tolerated(books: Books, company: Company, left: Decimal) -> tuple[Decimal, str] | None:
    """A difference the company accepts, with the kind of transaction it is posted as; None where it stays open."""
    parameters = books.parameters(company)
    if left <= 0:
        return None
    if left <= parameters["SettlementMaximumPennyDifference"]:
        return left, "PennyDifference"
    return (left, "OverUnder") if left <= parameters["SettlementMaximumOverUnderPayment"] else None


def _difference(
    books: Books, company: Company, payment: Row, target: Row, amount: Decimal, kind: str, day: date
) -> None:
    """Post a discount or difference and settle it: off what an invoice leaves open, or what a payment is too much."""
    sign = -1 if target["AmountCur"] > 0 else 1
    row = receivables.book(
        books,
        company,
        account=target["AccountNum"],
        amount=amount * sign,
        currency=target["CurrencyCode"],
        kind=kind,
        voucher=books.next_number(company, "difference voucher", "DISC-{:06d}"),
        day=day,
        due=day,
        more={"Txt": kind, "_with_payment": payment["_record"], "OrderAccount": target["OrderAccount"]},
    )
    credit, debit = (row, target) if sign < 0 else (target, row)
    penny = Decimal(0) if kind == "CashDiscount" else amount
    receivables.settle(books, company, credit, debit, amount, day, penny=penny)


def _invoice_transaction(books: Books, company: Company, invoice: str, payment: Row) -> Row:
    target = receivables.find_transaction(books, company, debit=True, Invoice=invoice) if invoice else None
    if target is None:
        raise PostingRefused(f"Invoice {invoice} does not exist in company {company.id}.")
    if target["AccountNum"] != payment["AccountNum"]:
        raise PostingRefused(f"Invoice {invoice} belongs to customer {target['AccountNum']}.")
    if target["CurrencyCode"] != payment["CurrencyCode"]:
        raise PostingRefused(f"Invoice {invoice} is in {target['CurrencyCode']}, not {payment['CurrencyCode']}.")
    return target


def reverse(books: Books, company: Company, payment_id: str, reason: str) -> PostedPayment:
    """Reverse a payment (it bounced): what it settled is open again, and payment and reversal cancel out.

    Discounts and differences that were taken with it are taken back too.

    Raises:
        PostingRefused: No such payment, or it has been reversed already.
    """
    payment = receivables.find_transaction(books, company, debit=False, PaymId=payment_id) if payment_id else None
    if payment is None:
        raise PostingRefused(f"Payment {payment_id} does not exist in company {company.id}.")
    if payment.get("CancelledPayment") == "Yes":
        raise PostingRefused(f"Payment {payment_id} has been reversed already.")
    customer = books.customer(company, payment["AccountNum"])
    today = books.today(company)
    with books.db.transaction():
        _take_back_differences(books, company, payment, today)
        undone = _unsettle_all(books, company, payment)
        currency, amount = payment["CurrencyCode"], -payment["AmountCur"]
        back = Money(payment["AccountNum"], -amount, currency, reason, today)
        more: Row = {"CancelledPayment": "Yes", "Txt": reason}
        posted = _post(books, company, back, payment_id, f"Reversal of payment {payment_id}", more)
        current = books.get(receivables.TRANSACTIONS, company.id, payment["_record"]) or payment
        books.update(receivables.TRANSACTIONS, current, {"CancelledPayment": "Yes"})
        receivables.settle(books, company, payment, posted.transaction, amount, today)
        fields = _event_fields(company, customer, payment_id, amount, currency, undone)
        books.events.emit(CUST_PAYMENT_REVERSED, company.id, fields)
    return posted


def transaction(
    books: Books, company: Company, account: str, amount: Decimal, currency: str, voucher: str, day: date, more: Row
) -> Row:
    """A payment in the sub-ledger: negative what comes in, positive what goes back; due at once."""
    return receivables.book(
        books,
        company,
        account=account,
        amount=amount,
        currency=currency,
        kind="Payment",
        voucher=voucher,
        day=day,
        due=day,
        more=more,
    )


def refund(books: Books, company: Company, credit: Row, amount: Decimal, reference: str) -> PostedPayment:
    """Pay money back to a customer, out of what is open of a payment or credit note.

    Raises:
        PostingRefused: The amount is not payable, or more than is open.
    """
    currency = credit["CurrencyCode"]
    if amount != round_money(amount, currency):
        raise PostingRefused(f"Amount {amount} is not a payable amount in {currency}.")
    left = -receivables.open_amount(books, credit)
    if amount > left:
        raise PostingRefused(f"Amount {amount} exceeds the {left} {currency} that are open.")
    customer, today = books.customer(company, credit["AccountNum"]), books.today(company)
    with books.db.transaction():
        payment_id = books.next_number(company, "payment", "PAY-{:06d}")
        back = Money(credit["AccountNum"], -amount, currency, reference, today)
        more: Row = {"Txt": f"Refund {payment_id}"}
        posted = _post(books, company, back, payment_id, f"Refund {reference}".strip(), more)
        receivables.settle(books, company, credit, posted.transaction, amount, today)
        tell(books, company, customer, payment_id, -amount, currency, documents_of(books, company, credit, Decimal(0)))
    return posted


def undo_settlement(books: Books, company: Company, credit: Row) -> None:
    """Reverse what a payment or credit note settles ("Closed transaction editing", Reverse).

    It is open again, and so are the documents that it settled; discounts and differences that were posted with it are
    taken back. Nothing itself is reversed, and no business event tells of it.

    Raises:
        PostingRefused: It settles nothing.
    """
    if not books.find(SETTLEMENTS, payment=credit["_record"], company=company.id):
        raise PostingRefused(f"{credit['PaymId'] or credit['Invoice']} settles nothing.")
    with books.db.transaction():
        _take_back_differences(books, company, credit, books.today(company))
        _unsettle_all(books, company, credit)


def _take_back_differences(books: Books, company: Company, payment: Row, day: date) -> None:
    rows = books.find(receivables.TRANSACTIONS, AccountNum=payment["AccountNum"], dataAreaId=company.id)
    for row in rows:
        if row.get("_with_payment") != payment["_record"]:
            continue
        side = "payment" if row["AmountCur"] < 0 else "invoice"
        for settlement in books.find(SETTLEMENTS, **{side: row["_record"]}, company=company.id):
            receivables.unsettle(books, company, settlement)
        opposite = receivables.book(
            books,
            company,
            account=row["AccountNum"],
            amount=-row["AmountCur"],
            currency=row["CurrencyCode"],
            kind=row["TransType"],
            voucher=books.next_number(company, "difference voucher", "DISC-{:06d}"),
            day=day,
            due=day,
            more={"Txt": f"{row['TransType']} taken back"},
        )
        credit, debit = (row, opposite) if row["AmountCur"] < 0 else (opposite, row)
        receivables.settle(books, company, credit, debit, abs(row["AmountCur"]), day)


def _unsettle_all(books: Books, company: Company, payment: Row) -> list[dict[str, Any]]:
    undone: list[dict[str, Any]] = []
    for settlement in books.find(SETTLEMENTS, payment=payment["_record"], company=company.id):
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


def documents_of(books: Books, company: Company, row: Row, amount: Decimal) -> list[dict[str, Any]]:
    """The documents a payment event names: the invoice or credit note itself, or those that a payment settled.

    A refund names them with an amount of zero, so that their orders are looked at.
    """
    if row["Invoice"]:
        return [{"InvoiceId": row["Invoice"], "SalesOrderId": row.get("_order", ""), "Amount": amount}]
    settled = books.find(SETTLEMENTS, payment=row["_record"], company=company.id)
    rows = (books.get(receivables.TRANSACTIONS, company.id, settlement["invoice"]) for settlement in settled)
    return [
        {"InvoiceId": found["Invoice"], "SalesOrderId": found.get("_order", ""), "Amount": amount}
        for found in rows
        if found is not None and found["Invoice"]
    ]


def tell(
    books: Books,
    company: Company,
    customer: Row,
    payment_id: str,
    amount: Decimal,
    currency: str,
    settlements: list[dict[str, Any]],
) -> None:
    """Emit the event of a posted payment; a negative amount was paid back."""
    fields = _event_fields(company, customer, payment_id, amount, currency, settlements)
    books.events.emit(CUST_PAYMENT_POSTED, company.id, fields)


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


@dataclass(frozen=True, slots=True)
class _JournalLine:
    journal: str
    voucher: str
    payment_id: str
    customer: Row
    amount: Decimal
    currency: str
    reference: str
    day: date


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


def _journal_line(books: Books, company: Company, row: _JournalLine, *, prepayment: bool = False) -> None:
    books.insert(
        JOURNAL_LINES,
        {
            "dataAreaId": company.id,
            "JournalBatchNumber": row.journal,
            "LineNumber": Decimal(1),
            "AccountType": "Cust",
            "AccountDisplayValue": row.customer["CustomerAccount"],
            "CustomerName": row.customer.get("OrganizationName", ""),
            "Company": company.id,
            "CreditAmount": max(row.amount, Decimal(0)),
            "DebitAmount": max(-row.amount, Decimal(0)),
            "CurrencyCode": row.currency,
            "TransactionDate": day_stamp(row.day),
            "PaymentId": row.payment_id,
            "PaymentReference": row.reference,
            "IsPrepayment": "Yes" if prepayment else "No",
            "OffsetAccountType": "Bank",
            "OffsetAccountDisplayValue": f"{company.id.upper()} OPER",
            "OffsetCompany": company.id,
            "Voucher": row.voucher,
        },
    )


def _settled_invoice(
    books: Books, company: Company, journal: str, target: Row, part: Decimal, discount: Decimal
) -> None:
    key = {"JournalLineCompany": company.id, "JournalBatchNumber": journal, "JournalLineNumber": Decimal(1)}
    invoice = {"InvoiceNumber": target["Invoice"], "InvoiceCompany": company.id, "InvoiceDueDate": target["DueDate"]}
    known = books.get(SETTLED_INVOICES, *key.values(), *invoice.values())
    if known is not None:
        column = "SettlementAmountInInvoiceCurrency"
        books.update(SETTLED_INVOICES, known, {column: known[column] + part})
        return
    books.insert(
        SETTLED_INVOICES,
        {
            **key,
            **invoice,
            "AccountDisplayValue": target["AccountNum"],
            "invoiceAccount": target["AccountNum"],
            "SettlementAmountInInvoiceCurrency": part,
            "CashDiscountToTakeInInvoiceCurrency": discount,
            "InvoiceToPaymentCrossRate": Decimal(100),
        },
    )
