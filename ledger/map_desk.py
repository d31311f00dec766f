"""Maps as the site shows them and people change them. The database's libraries are imported when they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.opening import Ledger

if TYPE_CHECKING:
    from domain.entities.map_change_rules import MapChangeRules
    from domain.entities.map_change_said import MapWord, ProposalStatus
    from domain.entities.model import DataMap
    from domain.refusals import Refusal
    from ledger.database import Database
    from ledger.map_records import KeptMap, MapHistory, ProposalShown


class MapDesk:
    """Asks and tells the ledger, as `ledger.map_versions` does. Each method raises LedgerAway where it is silent."""

    def __init__(self, ledger: Ledger, rules: MapChangeRules) -> None:
        """Use a ledger; ``rules``: whose approvals plans take."""
        self._ledger = ledger
        self._rules = rules

    async def overview(self) -> tuple[KeptMap, ...]:
        """The maps in force."""

        async def asked(database: Database) -> tuple[KeptMap, ...]:
            from ledger.map_versions import overview

            return await overview(database)

        return await self._ledger.ask(asked)

    async def history(self, entity: str) -> MapHistory:
        """Versions and proposals of a map."""

        async def asked(database: Database) -> MapHistory:
            from ledger.map_versions import history

            return await history(database, entity)

        return await self._ledger.ask(asked)

    async def shown(self, entity: str, number: int) -> ProposalShown | None:
        """A proposal; None: there is none."""

        async def asked(database: Database) -> ProposalShown | None:
            from ledger.map_versions import shown

            return await shown(database, entity, number, self._rules)

        return await self._ledger.ask(asked)

    async def propose(self, data: DataMap, word: MapWord) -> int | Refusal:
        """Keep a proposed map; its number."""

        async def told(database: Database) -> int | Refusal:
            from ledger.map_versions import propose

            return await propose(database, data, word)

        return await self._ledger.ask(told)

    async def approve(self, entity: str, number: int, word: MapWord) -> Refusal | None:
        """Take an approval."""

        async def told(database: Database) -> Refusal | None:
            from ledger.map_versions import approve

            return await approve(database, entity, number, word, self._rules)

        return await self._ledger.ask(told)

    async def would_begin(self, entity: str, number: int, word: MapWord) -> Refusal | None:
        """Why an approved map would not come into force, as far as it is known before it is tried; None: it would."""

        async def asked(database: Database) -> Refusal | None:
            from ledger.map_changes import would_begin

            return await would_begin(database, entity, number, word, self._rules)

        return await self._ledger.ask(asked)

    async def end(self, entity: str, number: int, word: MapWord, status: ProposalStatus) -> Refusal | None:
        """Refuse or withdraw a proposal."""

        async def told(database: Database) -> Refusal | None:
            from ledger.map_versions import end

            return await end(database, entity, number, word, status)

        return await self._ledger.ask(told)

    async def roll_back(self, entity: str, word: MapWord) -> Refusal | None:
        """Put the former version in force again, and have restored what the change wrote."""

        async def told(database: Database) -> Refusal | None:
            from ledger.map_versions import roll_back

            return await roll_back(database, entity, word)

        return await self._ledger.ask(told)
