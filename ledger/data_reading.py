"""Comparisons and differences for who may only read them: the database refuses a change through this opening."""

from __future__ import annotations

import asyncio
from datetime import datetime

from ledger.comparison_runs import DifferenceFilter, DifferencePage
from ledger.opening import PAGE_SECONDS, LedgerAway, Opening, answered


class DataReading(Opening):
    """What both systems hold, read only."""

    _read_only = True

    async def differences(self, wanted: DifferenceFilter, *, now: datetime, rows: int) -> DifferencePage:
        """As `ledger.difference_pages.page`.

        Raises:
            LedgerAway: the database does not answer, or not in time.
        """
        try:
            async with asyncio.timeout(PAGE_SECONDS):
                database = await self._opened()
                from ledger.difference_pages import page

                return await answered(page(database, wanted, now=now, rows=rows))
        except TimeoutError as error:
            raise LedgerAway(f"the ledger does not answer within {PAGE_SECONDS:.0f} s") from error
