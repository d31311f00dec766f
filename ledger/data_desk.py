"""What both systems hold, as the site shows it and people decide about it: differences, and customers that may be one.

The database's libraries are imported when they are first needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeVar

from ledger.opening import Ledger

if TYPE_CHECKING:
    from domain.entities.clusters import Status, Word
    from domain.entities.data_overview import LetterCount
    from domain.entities.data_words import DifferenceWord
    from domain.entities.gate import Verdict
    from domain.entities.initial import DryRun
    from domain.entities.lags import Lag
    from domain.refusals import Refusal
    from ledger.comparison_runs import DifferenceFilter, DifferencePage, KeptDifference
    from ledger.database import Database
    from ledger.match_records import ClusterPage, KeptCluster

T = TypeVar("T")


class DataDesk:
    """Asks and tells the ledger. Each method raises LedgerAway where it does not answer."""

    def __init__(self, ledger: Ledger) -> None:
        """Use a ledger."""
        self._ledger = ledger

    async def _ask(self, question: Callable[[Database], Awaitable[T]]) -> T:
        return await self._ledger.ask(question)

    async def differences(self, wanted: DifferenceFilter, *, now: datetime, rows: int) -> DifferencePage:
        """As `ledger.difference_pages.page`."""

        async def asked(database: Database) -> DifferencePage:
            from ledger.difference_pages import page

            return await page(database, wanted, now=now, rows=rows)

        return await self._ask(asked)

    async def lags_and_letters(
        self, companies: Collection[str] | None, today: date
    ) -> tuple[tuple[Lag, ...], tuple[LetterCount, ...]]:
        """How long changes took in the last days, and what could not be applied; ``companies`` None: of all."""

        async def asked(database: Database) -> tuple[tuple[Lag, ...], tuple[LetterCount, ...]]:
            from ledger import lags, overview

            return await lags.read(database, companies, today), await overview.letters_by_cause(database, companies)

        return await self._ask(asked)

    async def difference(self, difference_id: str) -> KeptDifference | None:
        """As `ledger.difference_pages.one`."""

        async def asked(database: Database) -> KeptDifference | None:
            from ledger.difference_pages import one

            return await one(database, difference_id)

        return await self._ask(asked)

    async def initial_syncs(
        self, companies: Collection[str] | None
    ) -> tuple[list[DryRun], dict[tuple[str, str], Verdict]]:
        """The last dry run of each entity and company, and what the gate said last of it."""

        async def asked(database: Database) -> tuple[list[DryRun], dict[tuple[str, str], Verdict]]:
            from ledger.initial_runs import last_dry_runs, last_verdicts

            runs = await last_dry_runs(database, companies)
            return runs, await last_verdicts(database, [(run.entity, run.company) for run in runs])

        return await self._ask(asked)

    async def say(self, difference_id: str, word: DifferenceWord) -> Refusal | None:
        """As `ledger.difference_pages.say`."""

        async def told(database: Database) -> Refusal | None:
            from ledger.difference_pages import say

            return await say(database, difference_id, word)

        return await self._ask(told)

    async def clusters(
        self, companies: Collection[str] | None, *, company: str = "", status: str = "", after: str = ""
    ) -> ClusterPage:
        """As `ledger.matches.page`."""

        async def asked(database: Database) -> ClusterPage:
            from ledger.matches import page

            return await page(database, companies=companies, company=company, status=status, after=after)

        return await self._ask(asked)

    async def cluster(self, cluster_id: str) -> KeptCluster | None:
        """As `ledger.matches.one`."""

        async def asked(database: Database) -> KeptCluster | None:
            from ledger.matches import one

            return await one(database, cluster_id)

        return await self._ask(asked)

    async def decide(self, cluster_id: str, word: Word) -> Status | Refusal:
        """As `ledger.matches.decide`."""

        async def told(database: Database) -> Status | Refusal:
            from ledger.matches import decide

            return await decide(database, cluster_id, word)

        return await self._ask(told)

    async def take_back(self, cluster_id: str, word: Word) -> Status | Refusal:
        """As `ledger.matches.end`."""

        async def told(database: Database) -> Status | Refusal:
            from ledger.matches import end

            return await end(database, cluster_id, word)

        return await self._ask(told)
