"""Which deals of a book to ask about: a reservation whose deal is gone must not stand in another one's way."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from domain import credit
from domain.credit import CreditBook, CreditEntry, EntryStatus

OLD: Final = timedelta(minutes=10)
"""How long a reservation may go unheard of before the ledger asks whether its deal still runs."""
ASKED_AGAIN: Final = timedelta(hours=1)
"""How long until it asks again about a deal that does."""
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def next_check(book: CreditBook) -> datetime | None:
    """When to ask whether deals of the book still run; None: it would help nobody.

    It helps where a deal is held while another one's reservation is not to be seen in Finance, and where the book is
    full. Otherwise a reservation whose deal is gone harms nobody.
    """
    return min((_check_at(entry) for entry in _unproved(book)), default=None)


def due_for_check(book: CreditBook, now: datetime, most: int) -> tuple[str, ...]:
    """The deals to ask about now, at most so many, the one not heard of longest in front."""
    due = sorted((entry for entry in _unproved(book) if _check_at(entry) <= now), key=_check_at)
    return tuple(entry.deal_id for entry in due[:most])


def checked(book: CreditBook, deal_ids: Collection[str], now: datetime) -> CreditBook:
    """The book with these deals noted as seen to run."""
    asked = set(deal_ids)
    return CreditBook(
        entries=tuple(
            entry.model_copy(update={"checked_at": now}) if entry.deal_id in asked else entry for entry in book.entries
        )
    )


def _unproved(book: CreditBook) -> tuple[CreditEntry, ...]:
    entries = tuple(entry for entry in book.entries if entry.visible_at is None)
    if len(book.entries) >= credit.MOST_DEALS:
        return entries
    reserved = tuple(entry for entry in entries if entry.status is EntryStatus.RESERVED)
    return reserved if book.held else ()


def _check_at(entry: CreditEntry) -> datetime:
    since = [moment for moment in (entry.asked_at, entry.checked_at) if moment is not None]
    wait = OLD if entry.checked_at is None else ASKED_AGAIN
    return max(since, default=_LONG_AGO) + wait
