"""What an auditor is handed proves itself: each kind of damage is found, and the first bad record named."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from domain.audit import AuditKind, RetentionPolicy
from ledger.audit import AuditStore
from ledger.database import Database
from ledger.export import ExportRefused, Format, export, verify_file
from ledger.reads import AuditReader
from ledger.retention import PruneRefused, prune
from ledger.signing import AuditSigner, AuditVerifier, SignatureWrong
from runs import names
from tests.unit.ledger.ledger_makers import MONA, RITA, record, tamper
from workers.keys import ensure_decision_keys

SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[AuditSigner, AuditVerifier]:
    ensure_decision_keys(tmp_path / "audit.json", tmp_path / "audit-jwks.json")
    return AuditSigner.from_file(tmp_path / "audit.json"), AuditVerifier.from_file(tmp_path / "audit-jwks.json")


@pytest.fixture(params=["jsonl", "csv"])
async def exported(
    request: pytest.FixtureRequest,
    store: AuditStore,
    reader: AuditReader,
    keys: tuple[AuditSigner, AuditVerifier],
    tmp_path: Path,
) -> Path:
    await store.append([record(n, actor=(MONA, RITA)[n % 2], why='"too low", she said\nand left') for n in range(1, 6)])
    path = tmp_path / f"audit.{request.param}"
    done = await export(reader, keys[0], path, company="usmf", since=SINCE, until=UNTIL, form=request.param)
    assert (done.records, done.first_seq, done.last_seq) == (5, 1, 5)
    return path


async def test_an_export_holds(exported: Path, keys: tuple[AuditSigner, AuditVerifier]) -> None:
    verdict = verify_file(exported, keys[1])
    assert (verdict.holds, verdict.records, verdict.problem) == (True, 5, "")


ODD = (
    "AN/2026/15",
    "=1+1",
    "@SUM(A1)",
    "-2",
    "+x",
    "\tQ",
    "'quoted",
    "''",
    "50% off?",
    "..",
    " Q ",
    "a,b;c",
    "Z\u00fc\u202eX",
    "9" * 100,
)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_every_quote_number_and_every_text_comes_out_as_it_was(
    form: Format, store: AuditStore, reader: AuditReader, keys: tuple[AuditSigner, AuditVerifier], tmp_path: Path
) -> None:
    """And nothing that somebody typed is a formula in the auditor's spreadsheet."""
    await store.append(
        [record(n, deal_id=names.deal_id("usmf", odd), why=odd, what=odd) for n, odd in enumerate(ODD, 1)]
    )
    path = tmp_path / f"audit.{form}"
    await export(reader, keys[0], path, company="usmf", since=SINCE, until=UNTIL, form=form)
    assert verify_file(path, keys[1]).holds
    if form == "jsonl":
        assert [json.loads(line)["why"] for line in lines_of(path)] == list(ODD)
        return
    with path.open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["why"][1:] if row["why"].startswith("'") else row["why"] for row in cells] == list(ODD)
    assert not [cell for row in cells for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def lines_of(path: Path) -> list[str]:
    """Rows as they stand, with the lines of a quoted text kept together."""
    content = path.read_text()
    if path.suffix == ".jsonl":
        return content.splitlines(keepends=True)
    import io

    rows = list(csv.reader(io.StringIO(content, newline="")))
    written = []
    for row in rows:
        out = io.StringIO(newline="")
        csv.writer(out).writerow(row)
        written.append(out.getvalue())
    return written


def flip(rows: list[str]) -> list[str]:
    return [rows[0], rows[1], rows[2].replace("revision 3", "revision 8"), *rows[3:]]


Damage = Callable[[list[str]], list[str]]
KINDS: dict[str, tuple[Damage, str]] = {
    "one byte": (flip, "record 3 "),
    "one row gone": (lambda rows: [*rows[:2], *rows[3:]], "record 3:"),
    "two swapped": (lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], "record 2:"),
    "one inserted": (lambda rows: [*rows[:3], rows[2], *rows[3:]], "record 3 "),
    "tail cut": (lambda rows: rows[:-1], "record 5: is missing: the chain ends at 5"),
    "all cut": (lambda rows: [], "record 1: is missing"),
    "row cut in half": (lambda rows: [*rows[:4], rows[4][: len(rows[4]) // 2]], "record 5"),
    "name changed": (
        lambda rows: [rows[0].replace("Rita Reyes", "Rita Royes"), *rows[1:]],
        "not the one that was signed",
    ),
    "person changed": (lambda rows: [rows[0].replace("456fe869", "556fe869"), *rows[1:]], "record 1 "),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_damage_is_found(exported: Path, keys: tuple[AuditSigner, AuditVerifier], kind: str) -> None:
    damage, said = KINDS[kind]
    rows = lines_of(exported)
    header = rows[:1] if exported.suffix == ".csv" else []
    exported.write_text("".join([*header, *damage(rows[len(header) :])]), newline="")
    verdict = verify_file(exported, keys[1])
    assert not verdict.holds
    assert said in verdict.problem


def test_every_single_flipped_byte_is_found(exported: Path, keys: tuple[AuditSigner, AuditVerifier]) -> None:
    content = exported.read_bytes()
    for position in range(0, len(content), 97):
        changed = bytearray(content)
        changed[position] ^= 0x04
        exported.write_bytes(bytes(changed))
        assert not verify_file(exported, keys[1]).holds, position
    exported.write_bytes(content)
    assert verify_file(exported, keys[1]).holds


async def test_a_file_without_its_signature_or_with_anothers_proves_nothing(
    exported: Path, keys: tuple[AuditSigner, AuditVerifier], tmp_path: Path
) -> None:
    signature = exported.with_name(f"{exported.name}.sig")
    ensure_decision_keys(tmp_path / "other.json", tmp_path / "other-jwks.json")
    assert not verify_file(exported, AuditVerifier.from_file(tmp_path / "other-jwks.json")).holds
    forged = AuditSigner.from_file(tmp_path / "other.json").sign({"kind": "q2c audit export"})
    signature.write_text(forged)
    assert "signature does not hold" in verify_file(exported, keys[1]).problem
    signature.write_text(keys[0].sign({"kind": "something else"}))
    assert "something else" in verify_file(exported, keys[1]).problem
    signature.unlink()
    assert signature.name in verify_file(exported, keys[1]).problem


async def test_a_damaged_chain_is_not_signed(
    url: str, store: AuditStore, reader: AuditReader, keys: tuple[AuditSigner, AuditVerifier], tmp_path: Path
) -> None:
    await store.append([record(1), record(2)])
    await tamper(url, "UPDATE audit_records SET event = 'Approved' WHERE seq = 2")
    with pytest.raises(ExportRefused, match="usmf record 2.*was changed"):
        await export(reader, keys[0], tmp_path / "a", company="usmf", since=SINCE, until=UNTIL, form="csv")
    assert not (tmp_path / "a").exists()
    with pytest.raises(ExportRefused, match="companies with records: usmf"):
        await export(reader, keys[0], tmp_path / "a", company="demf", since=SINCE, until=UNTIL, form="csv")


async def test_a_period_without_records_is_an_empty_signed_file(
    store: AuditStore, reader: AuditReader, keys: tuple[AuditSigner, AuditVerifier], tmp_path: Path
) -> None:
    await store.append([record(1)])
    early = SINCE - timedelta(days=2)
    done = await export(reader, keys[0], tmp_path / "a.csv", company="usmf", since=early, until=SINCE, form="csv")
    assert done.records == 0 and verify_file(tmp_path / "a.csv", keys[1]).holds


async def test_a_key_that_cannot_sign_is_named(tmp_path: Path) -> None:
    with pytest.raises(SignatureWrong, match="Q2C_AUDIT_PRIVATE_KEY_FILE.*q2c keys"):
        AuditSigner.from_file(tmp_path / "none")
    ensure_decision_keys(tmp_path / "a.json", tmp_path / "b.json")
    public = json.loads((tmp_path / "b.json").read_text())["keys"][0]
    (tmp_path / "public.json").write_text(json.dumps(public))
    with pytest.raises(SignatureWrong, match="no private key"):
        AuditSigner.from_file(tmp_path / "public.json")


# Retention

POLICY = RetentionPolicy(version="2026-11-01#1", default_years=7, years={"demf": 10})


async def month(database: Database, year: int, number: int, *records: int, company: str = "usmf") -> None:
    """Records stored in a month."""
    store = AuditStore(database, now=lambda: datetime(year, number, 15, tzinfo=UTC))
    await store.append([record(n, company=company, record_id=f"{company}/{n}") for n in records])


async def test_whole_months_are_removed_and_the_rest_still_proves_itself(
    database: Database, reader: AuditReader, keys: tuple[AuditSigner, AuditVerifier], tmp_path: Path
) -> None:
    await month(database, 2019, 9, 1, 2)
    await month(database, 2019, 11, 3)
    await month(database, 2026, 11, 4)
    now = datetime(2026, 11, 26, tzinfo=UTC)
    done = await prune(database, POLICY, keys[0], "usmf", now=now)
    assert (done.records, done.through_seq) == (2, 2), "November 2019 is not over by seven years"
    rows = await reader.page("usmf")
    assert [row.seq for row in rows] == [3, 4, 5]
    assert (rows[-1].kind, rows[-1].facts["through"]) == (AuditKind.RETENTION, "2")
    assert (await reader.verify("usmf"))[1] is None
    (mark,) = await reader.checkpoints("usmf")
    assert keys[1].read(mark["signature"])["last_hash"] == mark["last_hash"] == rows[-1].facts["last_hash"]
    assert (await prune(database, POLICY, keys[0], "usmf", now=now)).records == 0
    await export(reader, keys[0], tmp_path / "a", company="usmf", since=SINCE, until=UNTIL, form="jsonl")
    assert verify_file(tmp_path / "a", keys[1]).records == 2

    later = datetime(2026, 12, 1, tzinfo=UTC)
    assert (await prune(database, POLICY, keys[0], "usmf", now=later)).records == 1
    assert (await reader.verify("usmf"))[1] is None
    assert len(await reader.checkpoints("usmf")) == 2


async def test_a_company_whose_law_asks_for_more_keeps_more(
    database: Database, keys: tuple[AuditSigner, AuditVerifier]
) -> None:
    await month(database, 2018, 1, 1, company="demf")
    now = datetime(2026, 11, 26, tzinfo=UTC)
    assert (await prune(database, POLICY, keys[0], "demf", now=now)).records == 0


async def test_damaged_records_are_never_removed(
    url: str, database: Database, reader: AuditReader, keys: tuple[AuditSigner, AuditVerifier]
) -> None:
    await month(database, 2018, 1, 1, 2)
    await tamper(url, "UPDATE audit_records SET event = 'Approved' WHERE seq = 1")
    with pytest.raises(PruneRefused, match="record 1"):
        await prune(database, POLICY, keys[0], "usmf", now=datetime(2026, 11, 26, tzinfo=UTC))
    assert len(await reader.page("usmf")) == 2


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM audit_checkpoints", "UPDATE audit_checkpoints SET from_seq = 2"],
    ids=["gone", "changed"],
)
async def test_a_removal_without_its_checkpoint_is_found(
    url: str, database: Database, reader: AuditReader, keys: tuple[AuditSigner, AuditVerifier], statement: str
) -> None:
    await month(database, 2018, 1, 1)
    await month(database, 2026, 11, 2)
    await prune(database, POLICY, keys[0], "usmf", now=datetime(2026, 11, 26, tzinfo=UTC))
    await tamper(url, statement)
    _, finding = await reader.verify("usmf")
    assert finding is not None and "checkpoint" in finding.problem


async def test_nobody_is_kept_who_is_in_no_record(database: Database, keys: tuple[AuditSigner, AuditVerifier]) -> None:
    await month(database, 2018, 1, 1)
    await prune(database, POLICY, keys[0], "usmf", now=datetime(2026, 11, 26, tzinfo=UTC))
    async with database.reading() as connection:
        people = (await connection.execute(text("SELECT name FROM audit_people"))).scalars().all()
    assert people == ["Quote to Cash"]
