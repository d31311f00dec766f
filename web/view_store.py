"""Where people's views of lists are kept: in the ledger, else in the memory of this process.

A row holds all views of one person and one list and is replaced as a whole, so that what bounds them is decided in one
place and two tabs of a browser lose nothing of each other.
"""

from __future__ import annotations

from typing import Protocol

from cachetools import LRUCache

from ledger.opening import Ledger

MOST = 10_000
"""Rows that one process keeps in memory; of more, the ones used longest ago go."""


class ViewStore(Protocol):
    """Keeps views of lists, each of one person."""

    async def read(self, owner: str, of: str) -> str:
        """The views of a list as they were kept; empty where there are none. Raises LedgerAway."""

    async def change(self, owner: str, of: str, before: str, after: str) -> bool:
        """Replace them; False where they are no longer as they were ``before``. Raises LedgerAway."""


class MemoryViews:
    """Views that end with this process."""

    def __init__(self) -> None:
        """Keep none yet."""
        self._kept: LRUCache[tuple[str, str], str] = LRUCache(MOST)

    async def read(self, owner: str, of: str) -> str:
        """See ``ViewStore``."""
        return self._kept.get((owner, of), "")

    async def change(self, owner: str, of: str, before: str, after: str) -> bool:
        """See ``ViewStore``."""
        if self._kept.get((owner, of), "") != before:
            return False
        self._kept[owner, of] = after
        return True


class LedgerViews:
    """Views that all web processes share, and that outlive them."""

    def __init__(self, ledger: Ledger) -> None:
        """Keep them in ``ledger``."""
        self._ledger = ledger

    async def read(self, owner: str, of: str) -> str:
        """See ``ViewStore``."""
        return await self._ledger.views(owner, of)

    async def change(self, owner: str, of: str, before: str, after: str) -> bool:
        """See ``ViewStore``."""
        return await self._ledger.change_views(owner, of, before, after)
