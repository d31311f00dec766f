"""The audit as the web application reads it: on both databases it changes nothing, and no question takes forever."""

from __future__ import annotations

import asyncio
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError

from ledger import database as databases
from ledger.audit import AuditStore
from ledger.database import Database, LedgerError, open_database
from ledger.export import verify_file
from ledger.opening import LedgerAway
from ledger.reading import AuditReading
from ledger.review import Period
from ledger.signing import AuditSigner, AuditVerifier
from tests.deadlines import PATIENCE
from tests.unit.ledger.ledger_makers import record
from workers.keys import ensure_decision_keys

CHANGES = (
    "DELETE FROM audit_words",
    "UPDATE audit_records SET hash = 'x'",
    "UPDATE audit_chains SET seq = 0",
    "INSERT INTO audit_checkpoints (company) VALUES ('usmf')",
    "CREATE TABLE another (n INTEGER)",
    "DROP TABLE audit_people",
)


@pytest.fixture
async def filled(url: str, store: AuditStore) -> str:
    """The URL of a ledger with five records of USMF."""
    await store.append([record(n) for n in range(1, 6)])
    return url


def is_postgresql(url: str) -> bool:
    return url.startswith("postgresql")


@pytest.mark.parametrize("change", CHANGES)
async def test_nothing_can_be_changed_through_an_opening_for_reading(filled: str, change: str) -> None:
    opened = await open_database(filled, read_only=True)
    try:
        with pytest.raises(DatabaseError, match=r"readonly|read-only"):
            async with opened.writing() as connection:
                await connection.execute(text(change))
    finally:
        await opened.close()
    reading = AuditReading(filled)
    try:
        check = await reading.ask(lambda reader: reader.check("usmf", 1, None))
    finally:
        await reading.close()
    assert (check.finding, check.last_seq) == (None, 5)


async def test_a_user_who_may_only_select_shows_and_exports(filled: str, tmp_path: Path) -> None:
    """As docs/audit.md advises for PostgreSQL; for SQLite the file's own user."""
    url = _selecting_user(filled) if is_postgresql(filled) else filled
    ensure_decision_keys(tmp_path / "audit.json", tmp_path / "jwks.json")
    signer, verifier = AuditSigner.from_file(tmp_path / "audit.json"), AuditVerifier.from_file(tmp_path / "jwks.json")
    reading, now = AuditReading(url), datetime.now(UTC)
    try:
        assert await reading.ask(lambda reader: reader.companies()) == ["usmf"]
        rows = await reading.ask(lambda reader: reader.newest("usmf", person="MONA meyer"))
        assert [row.seq for row in rows] == [5, 4, 3, 2, 1]
        period = Period(company="usmf", since=now - timedelta(days=1), until=now + timedelta(days=1))
        made = await reading.export(period, "jsonl", signer)
    finally:
        await reading.close()
    with zipfile.ZipFile(made.archive) as archive:
        archive.extractall(tmp_path / "got")
    made.remove()
    [file] = (tmp_path / "got").glob("*.jsonl")
    verdict = verify_file(file, verifier)
    assert (verdict.holds, verdict.records) == (True, 5)


def _selecting_user(url: str) -> str:
    parsed = make_url(url)
    engine = create_engine(parsed.set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE reader_of_{parsed.database} LOGIN"))
        tables = "audit_records, audit_words, audit_people, audit_chains, audit_checkpoints, alembic_version"
        connection.execute(text(f"GRANT SELECT ON {tables} TO reader_of_{parsed.database}"))
    engine.dispose()
    return parsed.set(username=f"reader_of_{parsed.database}").render_as_string(hide_password=False)


async def test_who_reads_neither_makes_nor_migrates_tables(tmp_path: Path, postgresql: str) -> None:
    for url in (f"sqlite:///{tmp_path}/none.db", f"{postgresql}/postgres"):
        with pytest.raises(LedgerError, match=r"not there yet|q2c ledger migrate"):
            await open_database(url, read_only=True)
    assert not (tmp_path / "none.db").exists()


async def test_a_page_gives_up_where_the_database_does_not_answer_in_time(filled: str, database: Database) -> None:
    """Somebody holds a table, as a migration does: the page says so in time, and works again afterwards."""
    if not is_postgresql(filled):
        pytest.skip("a reader of SQLite waits for nobody")
    reading = AuditReading(filled)
    try:
        await reading.ask(lambda reader: reader.companies())
        async with database.writing() as connection:
            await connection.execute(text("LOCK TABLE audit_chains IN ACCESS EXCLUSIVE MODE"))
            began = time.monotonic()
            with pytest.raises(LedgerAway, match="within 1 s"):
                await reading.ask(lambda reader: reader.companies(), seconds=1)
            assert time.monotonic() - began < 20, "PostgreSQL itself would have ended it"
        assert await reading.ask(lambda reader: reader.companies()) == ["usmf"]
    finally:
        await reading.close()


async def test_postgresql_itself_ends_what_takes_too_long(filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody waits any more: nothing of a page goes on in the database."""
    if not is_postgresql(filled):
        pytest.skip("SQLite runs in the process")
    opened = await open_database(filled, read_only=True)
    try:
        async with opened.reading() as connection:
            assert (await connection.execute(text("SHOW statement_timeout"))).scalar_one() == "20s"
    finally:
        await opened.close()
    monkeypatch.setattr(databases, "_READ_ONLY", databases._READ_ONLY.replace("20s", "1s"))
    opened = await open_database(filled, read_only=True)
    try:
        with pytest.raises(DatabaseError, match="statement timeout"):
            async with opened.reading() as connection:
                await asyncio.wait_for(connection.execute(text("SELECT pg_sleep(300)")), PATIENCE)
    finally:
        await opened.close()
