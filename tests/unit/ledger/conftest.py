"""The audit store on both databases: a file of SQLite, and a real PostgreSQL that lives as long as the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from demo.ports import free_ports
from ledger.audit import AuditStore
from ledger.database import Database, migrate, open_database
from ledger.reads import AuditReader


def postgresql_binaries() -> Path | None:
    """Where Debian installs PostgreSQL's programs; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL server of its own, on a free port of the loopback address, run by a user without rights."""
    binaries = postgresql_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="q2c-pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid}
    (port,) = free_ports(1)
    data = folder / "data"
    settings = f"listen_addresses=127.0.0.1 unix_socket_directories={folder} fsync=off shared_buffers=16MB"
    options = f"-p {port} " + " ".join(f"-c {setting}" for setting in settings.split())

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=folder, **user)

    try:
        run(str(binaries / "initdb"), "-D", str(data), "-U", "q2c", "--auth=trust", "--no-sync")
        run(str(binaries / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
        yield f"postgresql://q2c@127.0.0.1:{port}"
    finally:
        if data.exists():
            stop = [str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "-t", "30", "stop"]
            subprocess.run(stop, check=False, capture_output=True, timeout=60, cwd=folder, **user)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty ledger with its tables."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path}/ledger.db"
    else:
        server = request.getfixturevalue("postgresql")
        name = f"ledger_{uuid.uuid4().hex[:8]}"
        engine = create_engine(server.replace("postgresql://", "postgresql+psycopg://") + "/postgres")
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        made = f"{server}/{name}"
    migrate(made)
    return made


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    opened = await open_database(url)
    yield opened
    await opened.close()


@pytest.fixture
def store(database: Database) -> AuditStore:
    return AuditStore(database)


@pytest.fixture
def reader(database: Database) -> AuditReader:
    return AuditReader(database)
