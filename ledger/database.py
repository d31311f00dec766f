"""The ledger's database: SQLite in a file by default, PostgreSQL by setting.

SQLite brings its tables up to date when it is opened; PostgreSQL is migrated by `q2c ledger migrate` alone, so that a
process needs no right to change tables there.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ledger.opening import PAGE_SECONDS

if TYPE_CHECKING:
    from alembic.config import Config

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}

BUSY_SECONDS = 10
"""How long a writer waits for another one's transaction in SQLite."""
_READ_ONLY = f"-c default_transaction_read_only=on -c statement_timeout={PAGE_SECONDS:.0f}s"
"""PostgreSQL itself ends what takes too long, whether somebody still waits for it or not."""


class LedgerError(Exception):
    """The ledger's database cannot be used; the text says what to do and holds no password."""


class LedgerAbsent(LedgerError):
    """There is no file yet."""


DATABASE_ERRORS: tuple[type[Exception], ...] = (LedgerError, SQLAlchemyError, OSError)
"""What the database raises where it does not answer or refuses."""


class Database:
    """An open ledger."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use an engine; `open_database` makes one that is set up."""
        self._engine = engine

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file of SQLite."""
        return self._engine.dialect.name == "sqlite"

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes; in SQLite it is the only one while it lasts."""
        async with self._engine.connect() as connection:
            await connection.execution_options(q2c_begin="BEGIN IMMEDIATE")
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that reads one state of everything."""
        async with self._engine.connect() as connection:
            if not self.is_sqlite:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            async with connection.begin():
                yield connection

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


async def open_database(url: str, *, read_only: bool = False) -> Database:
    """Open the ledger.

    Args:
        url: `sqlite:///path/to/file` or `postgresql://user:password@host/database`.
        read_only: the database itself refuses every change through this opening, and nothing is made or migrated.

    Raises:
        LedgerError: no such kind of database, it does not answer, or its tables are not up to date.
    """
    parsed = _parsed(url)
    is_postgresql = parsed.get_backend_name() == "postgresql"
    if not is_postgresql and read_only and not await asyncio.to_thread(Path(str(parsed.database)).exists):
        raise LedgerAbsent(f"{_shown(parsed)} is not there yet: the first record makes it")
    if not is_postgresql and not read_only:
        await asyncio.to_thread(migrate, url)
    # Every transaction is ended by a context: nothing is left to undo when a connection goes back to the pool.
    engine = create_async_engine(
        _with_driver(parsed),
        pool_pre_ping=is_postgresql,
        pool_reset_on_return=None,
        connect_args={"options": _READ_ONLY} if is_postgresql and read_only else {},
    )
    if not is_postgresql:
        _set_up_sqlite(engine.sync_engine, read_only=read_only)
    database = Database(engine)
    try:
        async with database.reading() as connection:
            behind = await connection.run_sync(_behind)
    except OperationalError as error:
        await database.close()
        raise LedgerError(f"Q2C_LEDGER_URL: {_shown(parsed)} does not answer: {error.orig}") from error
    if behind:
        await database.close()
        raise LedgerError(f"Q2C_LEDGER_URL: {_shown(parsed)} {behind}: run `q2c ledger migrate`")
    return database


def migrate(url: str) -> str:
    """Bring the tables up to date; returns the version they have now.

    Raises:
        LedgerError: no such kind of database, or it does not answer.
    """
    from alembic import command
    from alembic.migration import MigrationContext

    parsed = _parsed(url)
    if _is_file(parsed):
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
    driver = "sqlite" if parsed.get_backend_name() == "sqlite" else _DRIVERS["postgresql"]
    engine = create_engine(parsed.set(drivername=driver), poolclass=NullPool)
    if parsed.get_backend_name() == "sqlite":
        _set_up_sqlite(engine)
    try:
        with engine.connect() as connection:
            connection.execution_options(q2c_begin="BEGIN IMMEDIATE")
            with connection.begin():
                if parsed.get_backend_name() == "postgresql":
                    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7061202611)")
                config = _alembic()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                return str(MigrationContext.configure(connection).get_current_revision())
    except OperationalError as error:
        raise LedgerError(f"Q2C_LEDGER_URL: {_shown(parsed)} does not answer: {error.orig}") from error
    finally:
        engine.dispose()


def _alembic() -> Config:
    from alembic.config import Config  # slow to import, and not needed by every process that could write

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _behind(connection: Connection) -> str:
    """What is wrong with the version of the tables; empty where it is the newest."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    found = MigrationContext.configure(connection).get_current_revision()
    wanted = ScriptDirectory.from_config(_alembic()).get_current_head()
    return "" if found == wanted else f"has tables of version {found or 'none'}, not {wanted}"


def _set_up_sqlite(engine: Any, *, read_only: bool = False) -> None:
    """Leave transactions to SQLAlchemy, with a writer's lock taken at the beginning; wait for another writer."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
        else:
            _write_ahead(cursor)
            cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("q2c_begin", "BEGIN"))


def _write_ahead(cursor: Any) -> None:
    """Have the file keep a write-ahead log; it does so from then on.

    SQLite does not wait for another process that changes the same, whatever its patience: it says that it is locked.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone()[0].lower() == "wal":
            return
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # a port that is no number is the latter
        raise LedgerError("Q2C_LEDGER_URL: not a URL of a database, e.g. sqlite:///.q2c/ledger.db") from error
    if parsed.get_backend_name() not in _DRIVERS:
        raise LedgerError(f"Q2C_LEDGER_URL: {parsed.get_backend_name()} is not supported: use sqlite or postgresql")
    if parsed.get_backend_name() == "sqlite" and not _is_file(parsed):
        raise LedgerError("Q2C_LEDGER_URL: SQLite needs a file, e.g. sqlite:///.q2c/ledger.db")
    return parsed


def _with_driver(url: URL) -> URL:
    return url.set(drivername=_DRIVERS[url.get_backend_name()])


def _is_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and bool(url.database) and url.database != ":memory:"


def _shown(url: URL) -> str:
    return url.render_as_string(hide_password=True)
