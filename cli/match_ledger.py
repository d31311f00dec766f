"""What people decided about customers that may be one, and the clusters that are kept for them: read and told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from uuid import uuid4

from cleansing import plans
from cleansing.matching import Cluster, Matches
from ledger import cross_reference, matches
from ledger.database import DATABASE_ERRORS, LedgerAbsent, LedgerError, open_database
from ledger.match_records import MatchRun


def decided(url: str) -> Mapping[tuple[str, str], bool]:
    """What people said of two customers; nothing where there is no ledger yet.

    Raises:
        LedgerError: it does not answer.
    """

    async def read() -> Mapping[tuple[str, str], bool]:
        database = await open_database(url, read_only=True)
        try:
            return (await cross_reference.read(database)).verdicts
        finally:
            await database.close()

    try:
        return asyncio.run(read())
    except LedgerAbsent:
        return {}
    except DATABASE_ERRORS as error:
        raise LedgerError(f"the ledger does not answer: {error}") from error


def keep(url: str, found: Matches, clusters: Iterable[Cluster], standings: plans.Standings, model: str) -> MatchRun:
    """Keep clusters for people to decide.

    Raises:
        LedgerError: the ledger does not answer.
    """

    async def write() -> MatchRun:
        database = await open_database(url)
        run = MatchRun(run_id=f"match-{uuid4()}", model=model, ended_at=datetime.now(UTC), companies=found.companies)
        for_people = (plans.for_people(cluster, standings) for cluster in clusters)
        try:
            return await matches.keep(database, run, (each for each in for_people if each is not None))
        finally:
            await database.close()

    try:
        return asyncio.run(write())
    except DATABASE_ERRORS as error:
        raise LedgerError(f"the ledger does not answer: {error}") from error
