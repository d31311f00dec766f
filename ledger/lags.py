"""How long changes took from one system to the other: counts by day and bucket, for as many days as are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import cast

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from domain.entities.lags import Direction, Lag, LagBucket, kept_since, lags_of, shown_since
from ledger.database import Database
from ledger.tables import LAGS


async def add(database: Database, counted: Mapping[LagBucket, int], today: date) -> None:
    """Add counts, and remove days that are kept no longer."""
    rows = [{**bucket._asdict(), "changes": number} for bucket, number in sorted(counted.items())]
    async with database.writing() as connection:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        inserting = dialect.insert(LAGS)
        more = {"changes": LAGS.c.changes + inserting.excluded.changes}
        keys = [column.name for column in LAGS.primary_key]
        await connection.execute(inserting.on_conflict_do_update(index_elements=keys, set_=more), rows)
        await connection.execute(delete(LAGS).where(LAGS.c.day < kept_since(today)))


async def read(database: Database, companies: Collection[str] | None, today: date) -> tuple[Lag, ...]:
    """The figures of the days that are shown; ``companies`` None: of all."""
    of = LAGS.c
    query = select(of.day, of.company, of.entity, of.direction, of.bucket, of.changes).where(
        of.day >= shown_since(today)
    )
    if companies is not None:
        query = query.where(of.company.in_(companies))
    async with database.reading() as connection:
        found = [
            (LagBucket(row[0], row[1], row[2], cast(Direction, row[3]), row[4]), row[5])
            for row in await connection.execute(query)
        ]
    return lags_of(found)


async def days(database: Database, company: str) -> list[tuple[LagBucket, int]]:
    """All counts of a company that are kept, by day."""
    of = LAGS.c
    query = select(of.day, of.company, of.entity, of.direction, of.bucket, of.changes).where(of.company == company)
    async with database.reading() as connection:
        return [
            (LagBucket(row[0], row[1], row[2], cast(Direction, row[3]), row[4]), row[5])
            for row in await connection.execute(query.order_by(*LAGS.primary_key))
        ]
