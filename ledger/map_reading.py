"""The maps in force, as a command reads them: it makes no ledger where there is none yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.opening import LedgerAway, Opening, answered

if TYPE_CHECKING:
    from domain.entities.model import DataMap


class MapReading(Opening):
    """The ledger, read only."""

    _read_only = True

    async def in_force(self) -> dict[str, DataMap]:
        """By entity, as `ledger.map_versions.in_force`; none where there is no ledger yet.

        Raises:
            LedgerAway: it does not answer.
        """
        from ledger.database import LedgerAbsent

        try:
            database = await self._opened()
        except LedgerAway as error:
            if isinstance(error.__cause__, LedgerAbsent):
                return {}
            raise
        from ledger.map_versions import in_force

        return await answered(in_force(database))
