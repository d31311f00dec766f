"""The audit store: append-only, idempotent, chained for each company, readable, and honest about damage."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.audit import AuditKind
from domain.people import Person
from ledger.audit import AuditStore
from ledger.database import Database, LedgerError, open_database
from ledger.reads import AuditReader
from tests.unit.ledger.ledger_makers import AT, MONA, RITA, record, tamper


async def test_what_is_stored_is_read_back_in_its_order(store: AuditStore, reader: AuditReader) -> None:
    receipt = await store.append([record(1), record(2, actor=RITA, why="too low")])
    assert (receipt.stored, receipt.known, receipt.conflicts, receipt.through) == (2, 0, 0, 2)
    one, two = await reader.page("usmf")
    assert (one.seq, one.actor.name, one.at, one.facts) == (1, "Mona Meyer", AT, {"revision": "1"})
    assert (two.seq, two.actor, two.why) == (2, Person(oid=RITA.oid, name=RITA.name, upn=RITA.upn), "too low")
    assert one.recorded_at <= two.recorded_at


async def test_the_same_record_again_changes_nothing(store: AuditStore, reader: AuditReader) -> None:
    batch = [record(1), record(2)]
    await store.append(batch)
    again = await store.append([*batch, record(3)])
    assert (again.stored, again.known, again.through) == (1, 2, 3)
    assert [row.seq for row in await reader.page("usmf")] == [1, 2, 3]
    assert (await store.append([])).through == 0


async def test_one_record_twice_in_a_batch_is_stored_once(store: AuditStore, reader: AuditReader) -> None:
    receipt = await store.append([record(1), record(1)])
    assert (receipt.stored, receipt.known) == (1, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"event": "Accepted"},
        {"at": AT + timedelta(seconds=1)},
        {"actor": RITA},
        {"what": "something else"},
        {"why": "because"},
        {"facts": {"revision": "9"}},
        {"envelope_hash": "ab" * 32},
        {"after": "credit"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_another_record_under_the_same_id_is_written_down_as_an_error(
    store: AuditStore, reader: AuditReader, changes: dict[str, object]
) -> None:
    await store.append([record(1)])
    receipt = await store.append([record(1, **changes)])
    assert (receipt.stored, receipt.conflicts, receipt.through) == (0, 1, 1)
    await store.append([record(1, **changes)])
    kept, conflict = await reader.page("usmf")
    assert kept.what == "revision 1 submitted by Mona Meyer"
    assert (conflict.kind, conflict.event, conflict.facts["seq"]) == (AuditKind.INTEGRITY, "RecordConflict", "1")
    _, finding = await reader.verify("usmf")
    assert finding is None


async def test_companies_have_chains_of_their_own(store: AuditStore, reader: AuditReader) -> None:
    await store.append([record(1), record(2, company="demf", record_id="d/1"), record(3)])
    assert [row.seq for row in await reader.page("usmf")] == [1, 2]
    assert [row.seq for row in await reader.page("demf")] == [1]
    assert await reader.companies() == ["demf", "usmf"]


async def test_readers_by_deal_kind_period_and_page(store: AuditStore, reader: AuditReader) -> None:
    await store.append([record(n) for n in range(1, 6)])
    await store.append([record(1, record_id="x", deal_id="q2c/usmf/Q-2", kind=AuditKind.REFUSAL)])
    assert len(await reader.page("usmf", deal_id="q2c/usmf/Q-2")) == 1
    assert len(await reader.page("usmf", kinds=[AuditKind.REFUSAL])) == 1
    assert [row.seq for row in await reader.page("usmf", after_seq=2, limit=2)] == [3, 4]
    now = datetime.now(UTC)
    assert await reader.page("usmf", since=now + timedelta(minutes=1)) == []
    assert len(await reader.page("usmf", since=now - timedelta(minutes=5), until=now + timedelta(minutes=5))) == 6
    assert await reader.page("nwnd") == []


async def test_two_workers_at_once_make_one_chain(url: str, reader: AuditReader) -> None:
    """Two processes' stores, the same companies, records that overlap: no gap, no fork, nothing twice."""
    databases = [await open_database(url) for _ in range(2)]
    stores = [AuditStore(database) for database in databases]
    try:
        batches = [
            [record(n, actor=(MONA, RITA)[n % 2]), record(n, company="demf", record_id=f"d{n}")] for n in range(30)
        ]
        results = await asyncio.gather(*(one.append(batch) for batch in batches for one in stores))
    finally:
        for database in databases:
            await database.close()
    assert sum(result.stored for result in results) == 60
    assert sum(result.known for result in results) == 60
    for company in ("usmf", "demf"):
        rows = await reader.page(company)
        assert [row.seq for row in rows] == list(range(1, 31))
        assert (await reader.verify(company))[1] is None


async def test_a_clock_that_runs_behind_does_not_turn_time_back(database: Database, reader: AuditReader) -> None:
    await AuditStore(database, now=lambda: AT).append([record(1)])
    await AuditStore(database, now=lambda: AT - timedelta(hours=1)).append([record(2)])
    one, two = await reader.page("usmf")
    assert one.recorded_at == two.recorded_at == AT


async def test_a_batch_that_fails_leaves_nothing_by_half(store: AuditStore, reader: AuditReader) -> None:
    broken = record(2).model_copy(update={"event": None})
    with pytest.raises(DBAPIError):
        await store.append([record(1), broken])
    assert await reader.page("usmf") == []
    await store.append([record(1)])
    assert (await reader.verify("usmf"))[1] is None


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_records SET event = 'Approved'", "DELETE FROM audit_records WHERE seq = 2"]
)
async def test_a_mistake_in_the_database_changes_no_record(
    database: Database, store: AuditStore, statement: str
) -> None:
    await store.append([record(1), record(2)])
    with pytest.raises(DBAPIError):
        async with database.writing() as connection:
            await connection.execute(text(statement))


# Damage


INSERTED = (
    "INSERT INTO audit_records SELECT company, 4, 'forged', kind, event, at, recorded_at, deal_id, actor_id, "
    "actor_seal, words_seal, before, after, code, policy_version, envelope_id, envelope_hash, facts, {prev}, hash "
    "FROM audit_records WHERE seq = 3",
    "INSERT INTO audit_words SELECT company, 4, salt, what, why FROM audit_words WHERE seq = 3",
)


@pytest.mark.parametrize(
    ("statements", "seq", "said"),
    [
        (["UPDATE audit_records SET event = 'submitted' WHERE seq = 2"], 2, "was changed"),
        (['UPDATE audit_records SET facts = \'{"revision":"3"}\' WHERE seq = 2'], 2, "was changed"),
        (["UPDATE audit_words SET what = 'revision 2 submitted by Nona Meyer' WHERE seq = 2"], 2, "other words"),
        (["UPDATE audit_people SET oid = 'somebody-else' WHERE name = 'Mona Meyer'"], 1, "another person"),
        (["DELETE FROM audit_records WHERE seq = 2"], 2, "is missing"),
        (["DELETE FROM audit_words WHERE seq = 2"], 2, "is missing"),
        (["DELETE FROM audit_records WHERE seq = 3"], 3, "is missing: the chain ends at 3"),
        (["DELETE FROM audit_records"], 1, "is missing: the chain ends at 3"),
        (
            [
                "UPDATE audit_records SET seq = 9 WHERE seq = 1",
                "UPDATE audit_records SET seq = 1 WHERE seq = 2",
                "UPDATE audit_records SET seq = 2 WHERE seq = 9",
            ],
            1,
            "does not follow",
        ),
        ([s.format(prev="hash") for s in INSERTED], 4, "was changed"),
    ],
    ids=["byte", "fact", "words", "person", "gone", "words gone", "tail", "all", "swapped", "inserted"],
)
async def test_damage_is_found_and_the_first_bad_record_named(
    url: str, store: AuditStore, reader: AuditReader, statements: list[str], seq: int, said: str
) -> None:
    await store.append([record(n) for n in (1, 2, 3)])
    assert (await reader.verify("usmf"))[1] is None
    await tamper(url, *statements)
    _, finding = await reader.verify("usmf")
    assert finding is not None
    assert (finding.company, finding.seq) == ("usmf", seq)
    assert said in finding.problem


# People


async def test_an_erased_person_is_nowhere_and_the_chain_stays_valid(
    url: str, store: AuditStore, reader: AuditReader, database: Database
) -> None:
    await store.append(
        [
            record(1),
            record(
                2, actor=RITA, what="approval asked of sales_manager (MONA MEYER)", why="mona@contoso.example knows"
            ),
            record(3, actor=RITA, what="nothing of hers"),
        ]
    )
    assert await store.erase(MONA.oid) == 2
    check, finding = await reader.verify("usmf")
    assert (finding, check.erased) == (None, 2)
    rows = await reader.page("usmf")
    assert rows[0].actor.name == "(erased)"
    assert rows[1].what == "approval asked of sales_manager ((erased))" and rows[1].why == "(erased) knows"
    assert (rows[3].kind, rows[3].event) == (AuditKind.PEOPLE, "PersonErased")
    async with database.reading() as connection:
        for table in ("audit_people", "audit_records", "audit_words"):
            held = str((await connection.execute(text(f"SELECT * FROM {table}"))).all()).lower()
            assert "mona" not in held and "meyer" not in held and MONA.oid.lower() not in held
    assert await store.erase(MONA.oid) == 0
    assert (await store.append([record(1), record(2, actor=RITA)])).known == 2, "sent again, it brings nobody back"
    async with database.reading() as connection:
        assert "mona" not in str((await connection.execute(text("SELECT * FROM audit_people"))).all()).lower()


async def test_a_person_who_comes_back_is_a_new_one(store: AuditStore, reader: AuditReader) -> None:
    await store.append([record(1)])
    await store.erase(MONA.oid)
    await store.append([record(5)])
    rows = await reader.page("usmf")
    assert (rows[0].actor.name, rows[-1].actor.name) == ("(erased)", "Mona Meyer")


async def test_a_new_name_is_shown_and_the_old_records_still_hold(store: AuditStore, reader: AuditReader) -> None:
    await store.append([record(1)])
    await store.append([record(2, actor=MONA.model_copy(update={"name": "Mona Maier"}))])
    assert {row.actor.name for row in await reader.page("usmf")} == {"Mona Maier"}
    assert (await reader.verify("usmf"))[1] is None


# The database


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("", "not a URL"),
        ("mysql://x/y", "use sqlite or postgresql"),
        ("sqlite://", "needs a file"),
        ("postgresql://q2c:geheim@127.0.0.1:1/none", "does not answer"),
    ],
)
async def test_a_database_that_cannot_be_used_says_why_without_its_password(bad: str, said: str) -> None:
    with pytest.raises(LedgerError, match=said) as caught:
        await open_database(bad)
    assert "geheim" not in str(caught.value)


async def test_postgresql_is_migrated_by_the_command_only(postgresql: str) -> None:
    with pytest.raises(LedgerError, match="q2c ledger migrate"):
        await open_database(f"{postgresql}/postgres")


async def test_sqlite_brings_itself_up_to_date_whoever_comes_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/ledger.db"
    opened = await asyncio.gather(*(open_database(url) for _ in range(3)))
    for database in opened:
        await database.close()
