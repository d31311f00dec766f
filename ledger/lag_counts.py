"""How long changes took, counted in this process and added to the ledger once in a while.

What was counted and not added yet when a process is killed is lost: it is a figure, and nothing waits for it. The
database's libraries are imported when they are first needed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Final

import structlog

from domain.entities.lags import Direction, LagBucket, bucket_of
from ledger.opening import Ledger, LedgerAway

if TYPE_CHECKING:
    from ledger.database import Database

log = structlog.get_logger(__name__)
EVERY_SECONDS: Final = 10.0


class LagCounts:
    """Counts of one process. ``note`` may be called by any thread."""

    def __init__(self, ledger: Ledger) -> None:
        """Add to a ledger; nothing is opened yet."""
        self._ledger = ledger
        self._counts: Counter[LagBucket] = Counter()
        self._lock = Lock()
        self._adding: asyncio.Task[None] | None = None

    def note(self, company: str, entity: str, direction: Direction, seconds: float) -> None:
        """Count a change that the other system has now."""
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        bucket = LagBucket(day, company[:10], entity[:40], direction, bucket_of(max(0.0, seconds)))
        with self._lock:
            self._counts[bucket] += 1

    def start(self) -> None:
        """Add what was counted, again and again."""
        self._adding = asyncio.create_task(self._keep_adding(), name="add lags to the ledger")

    async def close(self) -> None:
        """Add what is left, and stop."""
        if self._adding is not None:
            self._adding.cancel()
            with suppress(asyncio.CancelledError):
                await self._adding
        await self.add()

    async def _keep_adding(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.add()

    async def add(self) -> None:
        """Add what was counted; where the ledger does not answer, it stays counted."""
        with self._lock:
            counted, self._counts = self._counts, Counter()
        if not counted:
            return

        async def added(database: Database) -> None:
            from ledger.lags import add

            await add(database, counted, datetime.now(UTC).date())

        try:
            await self._ledger.ask(added)
        except LedgerAway as error:
            log.info("lags stay uncounted in the ledger", reason=str(error))
            with self._lock:
                self._counts.update(counted)
