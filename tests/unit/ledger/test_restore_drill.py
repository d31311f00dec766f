"""The drill: a backup is taken while records come, the database is lost, and what is restored proves itself."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from ledger.audit import AuditStore
from ledger.database import open_database
from ledger.reads import AuditReader
from tests.unit.ledger.conftest import postgresql_binaries
from tests.unit.ledger.ledger_makers import record

SCRIPTS = Path(__file__).parents[3] / "deploy" / "backup"
BEFORE, DURING = 300, 200


@dataclass
class Place:
    """Where a ledger is, and what an operator does with it."""

    url: str
    folder: Path

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    @property
    def file(self) -> Path:
        return self.folder / "backup"

    def script(self, name: str, database: str, file: Path) -> subprocess.CompletedProcess[str]:
        """Run a script of deploy/backup as `docs/operations.md` says."""
        at, binaries = urlsplit(self.url), postgresql_binaries()
        where = {"PGHOST": str(at.hostname), "PGPORT": str(at.port), "PGUSER": str(at.username)}
        environment = os.environ | where | {"PATH": f"{binaries}:{os.environ['PATH']}"}
        command = ["sh", str(SCRIPTS / name), database, str(file)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def back_up(self) -> None:
        if self.is_sqlite:
            with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=30)) as open_file:
                open_file.execute("VACUUM INTO ?", (str(self.file),))
        else:
            done = self.script("backup.sh", self.url.rpartition("/")[2], self.file)
            assert done.returncode == 0, done.stderr

    def lose(self) -> None:
        if self.is_sqlite:
            Path(self.url.removeprefix("sqlite:///")).write_bytes(b"no database")
            return
        server, _, database = self.url.rpartition("/")
        engine = create_engine(server.replace("postgresql:", "postgresql+psycopg:") + "/postgres")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"DROP DATABASE {database} WITH (FORCE)"))
        engine.dispose()

    def restore(self) -> str:
        """The URL of the ledger after it."""
        if self.is_sqlite:
            return f"sqlite:///{self.file}"
        server, _, database = self.url.rpartition("/")
        done = self.script("restore.sh", f"{database}_restored", self.file)
        assert done.returncode == 0, done.stderr
        return f"{server}/{database}_restored"


async def test_a_ledger_that_is_lost_comes_back_as_it_was_and_goes_on(url: str, tmp_path: Path) -> None:
    place = Place(url, tmp_path)
    database = await open_database(url)
    store = AuditStore(database)
    await store.append([record(n) for n in range(1, BEFORE + 1)])

    async def keep_writing() -> None:
        for n in range(BEFORE + 1, BEFORE + DURING + 1):
            await store.append([record(n)])

    writing = asyncio.create_task(keep_writing())
    await asyncio.to_thread(place.back_up)
    await writing
    await database.close()
    place.lose()

    restored = await open_database(place.restore())
    try:
        reader, store = AuditReader(restored), AuditStore(restored)
        check, finding = await reader.verify("usmf")
        assert finding is None and BEFORE <= check.seq <= BEFORE + DURING
        with pytest.raises(DBAPIError):
            async with restored.writing() as connection:
                await connection.execute(text("UPDATE audit_records SET what = 'something else'"))
        sent_again = await store.append([record(n) for n in range(1, BEFORE + DURING + 1)])
        assert (sent_again.known, sent_again.conflicts) == (check.seq, 0)
        check, finding = await reader.verify("usmf")
        assert finding is None and check.seq == BEFORE + DURING
    finally:
        await restored.close()


def test_a_damaged_backup_makes_no_database_and_none_in_use_is_written_over(postgresql: str, tmp_path: Path) -> None:
    place = Place(f"{postgresql}/postgres", tmp_path)
    place.back_up()
    taken = place.script("restore.sh", "postgres", place.file)
    assert taken.returncode != 0 and "already exists" in taken.stderr
    place.file.write_bytes(place.file.read_bytes()[:-40] + b"\0" * 20)
    assert place.script("restore.sh", "damaged", place.file).returncode != 0
    assert place.script("restore.sh", "damaged", tmp_path / "nothing").returncode != 0
    missing = place.script("backup.sh", "damaged", tmp_path / "none")
    assert missing.returncode != 0 and "does not exist" in missing.stderr and not (tmp_path / "none").exists()
