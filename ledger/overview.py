"""What a page about data shows of the ledger at one glance."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select

from domain.entities.data_overview import LetterCount
from domain.entities.letters import STANDING
from ledger.database import Database
from ledger.tables import LETTERS


async def letters_by_cause(database: Database, companies: Collection[str] | None) -> tuple[LetterCount, ...]:
    """Letters that stand, by company, entity and cause; ``companies`` None: of all."""
    of = LETTERS.c
    query = select(of.company, of.entity, of.cause, func.count()).where(
        of.status.in_([status.value for status in STANDING])
    )
    if companies is not None:
        query = query.where(of.company.in_(companies))
    grouped = query.group_by(of.company, of.entity, of.cause).order_by(of.company, of.entity, of.cause)
    async with database.reading() as connection:
        found = await connection.execute(grouped)
        return tuple(LetterCount(company=row[0], entity=row[1], cause=row[2], letters=row[3]) for row in found)
