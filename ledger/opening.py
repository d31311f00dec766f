"""Opens the ledger when it is first needed: a worker whose ledger is away starts, and its deals go on."""

from __future__ import annotations

import asyncio

from ledger.audit import AuditStore
from ledger.database import Database, open_database


class Ledger:
    """The ledger of one process, opened once."""

    def __init__(self, url: str) -> None:
        """Use a database; nothing is opened yet."""
        self._url = url
        self._lock = asyncio.Lock()
        self._database: Database | None = None

    async def audit(self) -> AuditStore:
        """The audit store.

        Raises:
            LedgerError: the database cannot be used; asked again it is tried again.
        """
        async with self._lock:
            if self._database is None:
                self._database = await open_database(self._url)
        return AuditStore(self._database)

    async def close(self) -> None:
        """Close what was opened."""
        if self._database is not None:
            await self._database.close()
