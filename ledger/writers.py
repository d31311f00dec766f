"""Who writes the records of an entity in a company in place of their sync: one at a time, and only for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from domain.entities.sync_records import Of
from ledger.database import Database
from ledger.tables import SYNC_WRITERS

HOLDS: Final = timedelta(minutes=30)
"""How long it holds; whoever writes says again that it does, and who was ended by force stands in nobody's way."""


async def take(database: Database, of: Of, writer: str, now: datetime) -> str:
    """Be the writer of records from now on; workflow id of who is it already, and stays it. Empty: nobody else is."""
    c = SYNC_WRITERS.c
    mine = and_(c.entity == of.entity, c.company == of.company)
    row = {"writer": writer, "until": _text(now + HOLDS)}
    async with database.writing() as connection:
        found = (await connection.execute(select(SYNC_WRITERS).where(mine))).one_or_none()
        if found is not None and found.writer != writer and found.until > _text(now):
            return str(found.writer)
        if found is not None:
            await connection.execute(update(SYNC_WRITERS).where(mine).values(row))
            return ""
        try:
            await connection.execute(insert(SYNC_WRITERS).values(row | {"entity": of.entity, "company": of.company}))
        except IntegrityError:
            return "somebody else"  # within the same moment; asked again, it is told who
    return ""


async def leave(database: Database, of: Of, writer: str) -> None:
    """Be it no more."""
    c = SYNC_WRITERS.c
    async with database.writing() as connection:
        await connection.execute(
            delete(SYNC_WRITERS).where(c.entity == of.entity, c.company == of.company, c.writer == writer)
        )


async def writer(database: Database, of: Of, now: datetime) -> str:
    """Workflow id of who is it; empty: nobody."""
    c = SYNC_WRITERS.c
    wanted = select(c.writer).where(c.entity == of.entity, c.company == of.company, c.until > _text(now))
    async with database.reading() as connection:
        return str((await connection.execute(wanted)).scalar_one_or_none() or "")


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
