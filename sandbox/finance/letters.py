"""Collection letters: telling a customer what is overdue, one level after the other.

A letter goes to the invoice account, over all its overdue transactions; each of them carries the last letter it was in.
The event's name is Microsoft's; what it carries is not documented, so its fields here are a likely choice.
Source: Microsoft Learn, "Collection letters"; business events developer documentation (event name).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sandbox.finance.books import Books, Company, total
from sandbox.finance.errors import PostingRefused
from sandbox.finance.events import COLLECTION_LETTER_SENT, json_day
from sandbox.finance.model import day_stamp
from sandbox.finance.receivables import OPEN, TRANSACTIONS

LEVELS: Final = (
    "None",
    "CollectionLetter1",
    "CollectionLetter2",
    "CollectionLetter3",
    "CollectionLetter4",
    "Collection",
)
"""Members of CustCollectionLetterCode by level."""


def send_letter(books: Books, company: Company, account: str, level: int) -> tuple[str, Decimal]:
    """Send a collection letter of a level (1 is the first).

    Returns:
        The letter's number, and the amount overdue in the company's currency.

    Raises:
        PostingRefused: No such customer or level, or nothing is overdue.
    """
    customer = books.customer(company, account)
    if not 1 <= level < len(LEVELS):
        raise PostingRefused(f"Level {level} is not between 1 and {len(LEVELS) - 1}.")
    today = day_stamp(books.today(company))
    late = [
        row
        for row in books.find(OPEN, AccountNum=customer["CustomerAccount"], dataAreaId=company.id)
        if row["AmountCur"] > 0 and row["DueDate"] < today
    ]
    if not late:
        raise PostingRefused(f"Customer {customer['CustomerAccount']} has no overdue transactions.")
    number = books.next_number(company, "collection letter", "CL-{:06d}")
    amount = total(row["AmountMST"] for row in late)
    with books.db.transaction():
        for row in late:
            marked = {"CollectionLetterCode": LEVELS[level]}
            books.update(OPEN, row, marked)
            transaction = books.get(TRANSACTIONS, company.id, row["RefRecId"])
            if transaction is not None:
                books.update(TRANSACTIONS, transaction, marked)
        fields = {
            "CustAccount": customer["CustomerAccount"],
            "CollectionLetterNumber": number,
            "CollectionLetterCode": LEVELS[level],
            "CollectionLetterDate": json_day(books.today(company)),
            "AmountInAccountingCurrency": amount,
            "LegalEntity": company.id,
        }
        books.events.emit(COLLECTION_LETTER_SENT, company.id, fields)
    return number, amount
