"""What settled an order's invoices and credit notes, read from Finance's customer transactions.

A settlement is two rows, one for each side; the row of the other side tells by its kind whether a payment, a discount,
a difference or another document settled a transaction. What a payment's amount went to besides is read only where what
is known does not come to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from dynamics.core.connection import Connection, Listing, Reading
from dynamics.finance import queries
from dynamics.finance.records import Transaction
from dynamics.finance.settlements import Known, Settlement

DISCOUNT = "CashDiscount"
"""TransType of a cash discount that was taken."""
DIFFERENCES = frozenset({"OverUnder", "PennyDifference", "WriteOff", "MCRUnderpayWriteOff", "ExchAdjustment"})
"""TransTypes of what Finance posted so that a difference closes a transaction."""
PAYMENT = "Payment"
MOST_READ = 200
"""Payments of one order read at once; those beyond are not told one by one."""
ROUNDS = 3
"""Requests at most besides the one in which what is known already is read: settlements, their payments, and theirs."""


def known_listings(company: str, known: Known) -> dict[str, list[Listing]]:
    """What is read together with the order: settlements of what is known of it, and payments known or told of."""
    return {
        "settlements": queries.settlements(company, {*known.records, *known.payments}),
        "payments": [
            *queries.transactions(company, known.payments),
            *queries.payments(company, known.told),
            *([queries.deposits(company, known.deposits_of)] if known.deposits_of else []),
        ],
    }


class Settling:
    """Collects the settlements of an order's documents until they come to what was settled of them."""

    def __init__(self, company: str, documents: Iterable[Transaction], reading: Reading, asked: Iterable[int]) -> None:
        """Begin with what was read together with the order.

        Args:
            company: Legal entity, lower case.
            documents: Transactions of the order's invoices and credit notes.
            reading: The answers to ``known_listings``.
            asked: Records whose settlements were asked for.
        """
        self._company = company
        self._documents = {transaction.record: transaction for transaction in documents}
        self._asked = set(asked)
        self._sought: set[int] = set()
        self._rows: tuple[Settlement, ...] = ()
        self._payments: dict[int, Transaction] = {}
        self._take(reading)

    def _take(self, reading: Reading) -> None:
        self._rows = (*self._rows, *reading.all(Settlement, "settlements"))
        for found in reading.all(Transaction, "payments"):
            if found.record not in self._documents and found.amount < 0:
                self._payments[found.record] = found

    def add(self, transactions: Iterable[Transaction]) -> None:
        """Payments that name an invoice of the order, whether they settle it or not."""
        for found in transactions:
            if found.kind == PAYMENT and found.amount < 0 and found.record not in self._documents:
                self._payments.setdefault(found.record, found)

    async def complete(self, connection: Connection) -> tuple[tuple[Settlement, ...], tuple[Transaction, ...]]:
        """The settlements, and the payments among what they name; no request where nothing is missing."""
        for _ in range(ROUNDS):
            unexplained, unknown = self._unexplained(), self._unknown()
            if not unexplained and not unknown:
                break
            self._asked |= unexplained
            self._sought |= unknown
            self._take(
                await connection.read(
                    collections={
                        "settlements": queries.settlements(self._company, unexplained),
                        "payments": queries.transactions(self._company, unknown),
                    }
                )
            )
        return self._rows, tuple(self._payments.values())

    def _unexplained(self) -> set[int]:
        """Transactions of which more is settled than the settlements that were read come to."""
        settled: dict[int, Decimal] = {}
        sides = {(row.record, row.other) for row in self._rows}
        for row in self._rows:
            settled[row.other] = settled.get(row.other, Decimal(0)) - row.amount
            if (row.other, row.record) not in sides:  # the side that was not asked for is the opposite of this one
                settled[row.record] = settled.get(row.record, Decimal(0)) + row.amount
        missing = {record for record, found in self._documents.items() if settled.get(record, 0) != found.settled}
        applied: dict[int, Decimal] = {}
        for row in self._rows:
            if row.other in self._documents:
                applied[row.record] = applied.get(row.record, Decimal(0)) + row.amount
        missing |= {record for record, found in self._payments.items() if applied.get(record, 0) != found.settled}
        return missing - self._asked

    def _unknown(self) -> set[int]:
        """Payments that settled the documents and were not read yet."""
        named = {
            row.record
            for row in self._rows
            if row.other in self._documents and row.kind != DISCOUNT and row.kind not in DIFFERENCES
        }
        wanted = named - self._documents.keys() - self._payments.keys() - self._sought
        return set(sorted(wanted)[: MOST_READ - len(self._sought)])
