"""Sessions of the web application, as rows: sealed by the web process, kept and forgotten here."""

from __future__ import annotations

import time

from sqlalchemy import delete, insert, select, update

from ledger.database import Database
from ledger.tables import SESSIONS


async def read(database: Database, key: str, now: float) -> str | None:
    """The content of a session; None where there is none that has not expired (``now``: seconds since the epoch)."""
    wanted = select(SESSIONS.c.content).where(SESSIONS.c.key == key, SESSIONS.c.expires_at > now)
    async with database.reading() as connection:
        content: str | None = (await connection.execute(wanted)).scalar_one_or_none()
    return content


async def begin(database: Database, key: str, owner: str, content: str, expires_at: float) -> None:
    """Keep a new session; what has expired is removed on the way."""
    async with database.writing() as connection:
        await connection.execute(delete(SESSIONS).where(SESSIONS.c.expires_at <= time.time()))
        await connection.execute(insert(SESSIONS).values(key=key, owner=owner, content=content, expires_at=expires_at))


async def renew(database: Database, key: str, content: str) -> bool:
    """Change the content of a session; False where it has ended meanwhile."""
    async with database.writing() as connection:
        changed = await connection.execute(update(SESSIONS).where(SESSIONS.c.key == key).values(content=content))
    return changed.rowcount > 0


async def end(database: Database, key: str) -> None:
    """Remove a session."""
    async with database.writing() as connection:
        await connection.execute(delete(SESSIONS).where(SESSIONS.c.key == key))


async def end_all(database: Database, owner: str) -> int:
    """Remove all sessions of an owner; how many there were."""
    async with database.writing() as connection:
        return (await connection.execute(delete(SESSIONS).where(SESSIONS.c.owner == owner))).rowcount
