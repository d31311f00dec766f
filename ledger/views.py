"""Views that people keep of the web application's lists: one row per person and list, replaced as a whole."""

from __future__ import annotations

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.database import Database
from ledger.tables import VIEWS


async def read(database: Database, owner: str, of: str) -> str:
    """A person's views of a list as they were kept; empty where there are none."""
    wanted = select(VIEWS.c.content).where(VIEWS.c.owner == owner, VIEWS.c.list == of)
    async with database.reading() as connection:
        return (await connection.execute(wanted)).scalar_one_or_none() or ""


async def change(database: Database, owner: str, of: str, before: str, after: str) -> bool:
    """Replace a person's views of a list; False where they are no longer as they were ``before``."""
    try:
        async with database.writing() as connection:
            if not before:
                await connection.execute(insert(VIEWS).values(owner=owner, list=of, content=after))
                return True
            row = update(VIEWS).where(VIEWS.c.owner == owner, VIEWS.c.list == of, VIEWS.c.content == before)
            return (await connection.execute(row.values(content=after))).rowcount > 0
    except IntegrityError:  # somebody made the row meanwhile
        return False


async def forget(connection: AsyncConnection, owner: str) -> None:
    """Remove all views of a person."""
    await connection.execute(delete(VIEWS).where(VIEWS.c.owner == owner))
