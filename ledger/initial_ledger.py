"""What carrying out a plan needs of the ledger: what the gate said, who writes, letters, and what a sync knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ledger.opening import answered
from ledger.syncs import SyncLedger

if TYPE_CHECKING:
    from domain.entities.gate import Verdict
    from domain.entities.initial import DryRun
    from domain.entities.sync_records import Of
    from ledger.seeding import Agreed


class InitialLedger(SyncLedger):
    """The syncs' part of the ledger, and what comes before the first one."""

    async def verdict(self, of: Of) -> tuple[Verdict | None, DryRun | None]:
        """What the gate said last, and the dry run that it was about."""
        database = await self._opened()
        from ledger import initial_runs

        said = await answered(initial_runs.last_verdict(database, of.entity, of.company))
        run = None if said is None else await answered(initial_runs.dry_run(database, said.run_id))
        return said, run

    async def dry_run(self, run_id: str) -> DryRun | None:
        """A dry run; None: it is not known."""
        database = await self._opened()
        from ledger import initial_runs

        return await answered(initial_runs.dry_run(database, run_id))

    async def take(self, of: Of, writer: str, now: datetime) -> str:
        """Be the one that writes; who is it already, if somebody else is."""
        database = await self._opened()
        from ledger import writers

        return await answered(writers.take(database, of, writer, now))

    async def leave(self, of: Of, writer: str) -> None:
        """Be it no more."""
        database = await self._opened()
        from ledger import writers

        await answered(writers.leave(database, of, writer))

    async def seed(self, of: Of, records: Sequence[Agreed]) -> int:
        """Keep what both sides agreed on, for the sync."""
        database = await self._opened()
        from ledger import seeding

        return await answered(seeding.seed(database, of, records))
