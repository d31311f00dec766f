"""What syncs know of records and letters, as the processes that keep them reach it; opened when it is first needed.

The database's libraries are imported then as well, as in ``ledger.opening``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ledger.opening import Opening, answered

if TYPE_CHECKING:
    from domain.entities.letters import Letter, LetterStatus
    from domain.entities.merge import LetterCause
    from domain.entities.sync_records import Due, FinanceChange, Looked, Noted, Of, SalesChange, SweptRecord
    from domain.entities.sync_run import ReplayStart
    from domain.entities.sync_said import Taken, Word
    from ledger.letters import Kept, LetterFilter


class SyncLedger(Opening):
    """The syncs' part of the ledger. Every method raises LedgerAway: asked again, it is tried again."""

    async def place(self, of: Of, source: str) -> dict[str, Any]:
        """Where the next look begins; empty: nobody has looked yet."""
        database = await self._opened()
        from ledger import agreed

        return await answered(agreed.place(database, of, source))

    async def move(self, of: Of, source: str, place: Mapping[str, Any]) -> None:
        """Keep where the next look begins."""
        database = await self._opened()
        from ledger import agreed

        await answered(agreed.move(database, of, source, place))

    async def note_sales(
        self,
        of: Of,
        rows: Sequence[SalesChange],
        deleted: Sequence[str],
        place: Mapping[str, Any],
        *,
        reading: int,
        all_read: bool,
    ) -> Noted:
        """Note a page of what changed in Sales, as ``ledger.agreed.note_sales`` does."""
        database = await self._opened()
        from ledger import agreed

        return await answered(agreed.note_sales(database, of, rows, deleted, place, reading=reading, all_read=all_read))

    async def note_finance(self, of: Of, rows: Sequence[FinanceChange], place: Mapping[str, Any]) -> Noted:
        """Note a page of what changed in Finance."""
        database = await self._opened()
        from ledger import agreed

        return await answered(agreed.note_finance(database, of, rows, place))

    async def note_swept(
        self, of: Of, rows: Sequence[SweptRecord], place: Mapping[str, Any], *, sweep: int, all_read: bool, since: str
    ) -> Noted:
        """Note a part of Finance that was read whole, as ``ledger.agreed.note_swept`` does."""
        database = await self._opened()
        from ledger import agreed

        return await answered(agreed.note_swept(database, of, rows, place, sweep=sweep, all_read=all_read, since=since))

    async def due(self, of: Of, now: datetime, most: int) -> list[Due]:
        """Records that are to be looked at now."""
        database = await self._opened()
        from ledger import agreed

        return await answered(agreed.due(database, of, now, most))

    async def waiting(self, of: Of, now: datetime) -> tuple[int, int]:
        """How many records are to be looked at now, and how many at all."""
        database = await self._opened()
        from ledger import agreed

        return await answered(agreed.waiting(database, of, now))

    async def other_writer(self, of: Of, now: datetime) -> str:
        """Workflow id of what writes these records in place of the sync; empty: nothing does."""
        database = await self._opened()
        from ledger import writers

        return await answered(writers.writer(database, of, now))

    async def keep(self, of: Of, looked: Looked, now: datetime) -> Kept:
        """Keep what a look at a record came to."""
        database = await self._opened()
        from ledger import agreed

        return await answered(agreed.keep(database, of, looked, now))

    # Letters

    async def standing(self, of: Of) -> dict[LetterCause, int]:
        """How many letters stand, by cause."""
        database = await self._opened()
        from ledger import letters

        return await answered(letters.count(database, letters.LetterFilter(entity=of.entity, company=of.company)))

    async def settle(self, of: Of, word: Word, now: datetime) -> Taken:
        """Carry out what a person says of a letter."""
        database = await self._opened()
        from ledger import letter_words

        return await answered(letter_words.settle(database, of, word, now))

    async def listed(self, start: ReplayStart, *, most: int, after: str) -> list[Letter]:
        """Some of the letters that are to be tried again."""
        database = await self._opened()
        from ledger import letters

        return await answered(letters.listed(database, _wanted(start), most=most, after=after))

    async def queue(self, start: ReplayStart, now: datetime, *, most: int, after: str) -> list[str]:
        """Have some of the letters tried again; their ids."""
        database = await self._opened()
        from ledger import letter_words

        work = letter_words.queue(database, _wanted(start), start.replay, now, most=most, after=after)
        return await answered(work)

    async def results(self, replay: str) -> dict[LetterStatus, int]:
        """How many letters of a replay stand how."""
        database = await self._opened()
        from ledger import letter_words

        return await answered(letter_words.results(database, replay))


def _wanted(start: ReplayStart) -> LetterFilter:
    from ledger.letters import LetterFilter

    return LetterFilter(
        entity=start.entity,
        company=start.company,
        ids=start.letters,
        reason=start.of_reason,
        cause=start.of_cause,
        key=start.of_key,
    )
