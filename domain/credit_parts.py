"""What a deal takes of a customer's credit beside its order: an order that is to become larger asks for the difference.

Each such question has an entry of its own in the customer's book, named after the deal, because the order itself is
counted by Finance already. It waits in no queue: what is refused leaves no entry. When the deal ends, all its entries
go.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from domain.credit import CreditBook

_BETWEEN: Final = "\u2009+\u2009"
"""Between a deal's workflow id and the number of its change: thin spaces, which no number of a quote has."""


def part_of(deal_id: str, number: int) -> str:
    """The entry of a deal's change: by how much its order is to become larger."""
    return f"{deal_id}{_BETWEEN}{number}"


def run_of(entry_id: str) -> str:
    """The workflow id of the deal that an entry belongs to."""
    return entry_id.partition(_BETWEEN)[0]


def with_parts(book: CreditBook, deals: Collection[str]) -> set[str]:
    """The entries of deals: those named, and those of their changes."""
    return {*deals, *(entry.deal_id for entry in book.entries if run_of(entry.deal_id) in deals)}


def without(book: CreditBook, entry_id: str) -> CreditBook:
    """The book without an entry."""
    return CreditBook(entries=tuple(entry for entry in book.entries if entry.deal_id != entry_id))
