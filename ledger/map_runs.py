"""Changes of maps as those reach the ledger who carry them out; opened when it is first needed.

The database's libraries are imported then as well, as in ``ledger.opening``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ledger.opening import Opening, answered

if TYPE_CHECKING:
    from domain.entities.map_change import KeptRecords
    from domain.entities.map_change_rules import MapChangeRules
    from domain.entities.map_change_said import MapWord
    from domain.entities.map_run import BeforeImage, Candidate, Look, Looked, LookStep, MapChangeShown
    from domain.entities.merge import Both
    from domain.entities.model import DataMap
    from domain.entities.sync_records import Looked as Synced
    from domain.entities.sync_records import Of
    from domain.refusals import Refusal
    from ledger.map_changes import MapChangeKept
    from ledger.map_records import ProposalShown


class MapRunLedger(Opening):
    """Changes of maps in the ledger. Every method raises LedgerAway: asked again, it is tried again."""

    # The change

    async def in_force(self) -> dict[str, DataMap]:
        """The maps in force, by entity."""
        database = await self._opened()
        from ledger import map_versions

        return await answered(map_versions.in_force(database))

    async def shown(self, entity: str, number: int, rules: MapChangeRules) -> ProposalShown | None:
        """A proposal, with what its plan is held against; None: there is none."""
        database = await self._opened()
        from ledger import map_versions

        return await answered(map_versions.shown(database, entity, number, rules))

    async def records_of(self, entity: str) -> tuple[KeptRecords, ...]:
        """The records that comparisons kept of an entity."""
        database = await self._opened()
        from ledger import map_versions

        return await answered(map_versions.records_of(database, entity))

    async def begin(
        self, entity: str, number: int, word: MapWord, rules: MapChangeRules, moved: Sequence[str]
    ) -> Refusal | None:
        """Begin to put an approved map in force, as ``ledger.map_changes.begin`` does."""
        database = await self._opened()
        from ledger import map_changes

        return await answered(map_changes.begin(database, entity, number, word, rules, moved))

    async def change(self, change_id: str) -> MapChangeKept | None:
        """A change with the map it is about; None: it was not begun."""
        database = await self._opened()
        from ledger import map_changes

        return await answered(map_changes.change_of(database, change_id))

    async def newest(self, entity: str, number: int) -> MapChangeShown | None:
        """The newest change of a proposal, with what came of its records."""
        database = await self._opened()
        from ledger import map_changes

        return await answered(map_changes.newest_of(database, entity, number))

    async def activate(self, word: MapWord, rules: MapChangeRules, text: str, now: datetime) -> Refusal | None:
        """Put a map in force that was tried, as ``ledger.map_changes.activate`` does."""
        database = await self._opened()
        from ledger import map_changes

        return await answered(map_changes.activate(database, word, rules, text, now))

    async def stop(self, word: MapWord, text: str, now: datetime, *, is_stale: bool) -> None:
        """End a change that is not in force, and have what was tried taken back."""
        database = await self._opened()
        from ledger import map_changes

        await answered(map_changes.stop(database, word, text, now, is_stale=is_stale))

    # Its records

    async def queue(
        self, change_id: str, entity: str, step: LookStep, found: Iterable[Candidate], now: datetime
    ) -> int:
        """Have records looked at, each once in a change; how many are new."""
        database = await self._opened()
        from ledger import map_looks

        return await answered(map_looks.queue(database, change_id, entity, step, found, now))

    async def due(self, of: Of, now: datetime, most: int) -> list[Look]:
        """Records that a sync is to look at now."""
        database = await self._opened()
        from ledger import map_looks

        return await answered(map_looks.due(database, of, now, most))

    async def waiting(self, of: Of, now: datetime) -> int:
        """How many there are of them."""
        database = await self._opened()
        from ledger import map_looks

        return await answered(map_looks.waiting(database, of, now))

    async def reading(self, change_id: str, company: str, most: int) -> list[Look]:
        """Records that are read only, and were not yet."""
        database = await self._opened()
        from ledger import map_looks

        return await answered(map_looks.reading(database, change_id, company, most))

    async def images(self, change_id: str, company: str, keys: Collection[str]) -> dict[str, list[BeforeImage]]:
        """The values before that may still be restored, by key."""
        database = await self._opened()
        from ledger import map_looks

        return await answered(map_looks.images(database, change_id, company, keys))

    async def plan_images(
        self,
        look: Look,
        settled: Iterable[BeforeImage],
        wanted: Sequence[BeforeImage],
        map_hash: str,
        now: datetime,
    ) -> bool:
        """Keep values before they are written; False: nothing may be written for the change any more."""
        database = await self._opened()
        from ledger import map_looks

        return await answered(map_looks.plan_images(database, look, settled, wanted, map_hash, now))

    async def finish(self, look: Look, looked: Looked, settled: Iterable[BeforeImage], now: datetime) -> None:
        """Keep what came of a look, and what became of the values."""
        database = await self._opened()
        from ledger import map_looks

        await answered(map_looks.finish(database, look, looked, settled, now))

    async def drop(self, change_id: str) -> None:
        """Look no more at what waits for a change."""
        database = await self._opened()
        from ledger import map_looks

        await answered(map_looks.drop_waiting(database, change_id))

    async def expire_older(self, before: datetime) -> int:
        """Remove the values before of what was written before a moment; how many."""
        database = await self._opened()
        from ledger import map_looks

        return await answered(map_looks.expire_older(database, before))

    # What their sync knows of them

    async def known(self, of: Of, keys: Collection[str]) -> dict[str, dict[str, Both]]:
        """Values of records as the sync saw them last, by key and field."""
        database = await self._opened()
        from ledger import agreed

        return await answered(agreed.fields_of(database, of, keys))

    async def keep(self, of: Of, looked: Synced, now: datetime) -> tuple[int, int]:
        """Keep what the sync knows of a record now, with its letters; how many were written, and how many ended."""
        database = await self._opened()
        from ledger import agreed

        return await answered(agreed.keep(database, of, looked, now))
