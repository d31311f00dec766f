"""Hands records to an auditor, and checks what was handed: a file of rows, and beside it a signature.

The rows are a stretch of one company's chain without a gap, so that the file proves itself record by record. The
signature says where the stretch begins and ends: without it a file cut short would look whole.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TextIO

from domain.record import Record
from ledger.chain import START, ChainCheck, moment
from ledger.reads import AuditReader
from ledger.signing import AuditSigner, AuditVerifier, SignatureWrong

Format = Literal["jsonl", "csv"]

COLUMNS: Final = (
    "company",
    "seq",
    "record_id",
    "deal_id",
    "kind",
    "event",
    "at",
    "recorded_at",
    "actor_id",
    "actor_oid",
    "actor_name",
    "actor_upn",
    "what",
    "why",
    "before",
    "after",
    "code",
    "policy_version",
    "envelope_id",
    "envelope_hash",
    "facts",
    "actor_salt",
    "actor_seal",
    "words_salt",
    "words_seal",
    "prev_hash",
    "hash",
)
"""Columns of an export, in their order."""
_NULLABLE: Final = ("actor_oid", "actor_salt", "words_salt")
_BEGINS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "'")
_KIND: Final = "q2c audit export"


class ExportRefused(Exception):
    """Nothing can be exported as asked; the text says why and what to do."""


class Exported(Record):
    """What was written."""

    records: int
    first_seq: int
    last_seq: int
    signature_file: Path


class Verdict(Record):
    """What a check of a file found."""

    records: int
    erased: int = 0
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


async def export(
    reader: AuditReader,
    signer: AuditSigner,
    path: Path,
    *,
    company: str,
    since: datetime,
    until: datetime,
    form: Format,
) -> Exported:
    """Write the records of a period and sign them.

    Args:
        reader: of the ledger.
        signer: signs the file.
        path: the file; the signature goes to the same name with ``.sig`` behind it.
        company: legal entity, lower case.
        since: recorded at or after, UTC.
        until: recorded before, UTC.
        form: JSON Lines or CSV (RFC 4180, with a header; an apostrophe before what could begin a formula).

    Raises:
        ExportRefused: the company has no records, or one of them is damaged: a damaged chain is not signed.
    """
    chain = await reader.chain(company)
    if chain is None:
        known = ", ".join(await reader.companies()) or "none"
        raise ExportRefused(f"There are no records of {company}; companies with records: {known}.")
    draft = path.with_name(f".{path.name}.new")
    check, first_seq, prev_hash = await _write_draft(
        reader.rows(company, since=since, until=until), draft, company, form
    )
    if check is not None and check.finding:
        draft.unlink()
        raise ExportRefused(f"Not exported: {check.finding}. Check the database with `q2c audit verify --database`.")
    last_seq, last_hash = (check.seq, check.hash) if check else (0, START)
    records = last_seq - first_seq + 1 if check else 0
    signed = {
        "kind": _KIND,
        "form": form,
        "company": company,
        "from": moment(since),
        "to": moment(until),
        "records": records,
        "first_seq": first_seq,
        "prev_hash": prev_hash,
        "last_seq": last_seq,
        "last_hash": last_hash,
        "chain_seq": chain["seq"],
        "chain_hash": chain["hash"],
        "sha256": _digest(draft),
        "made_at": moment(datetime.now(UTC)),
    }
    signature_file = path.with_name(f"{path.name}.sig")
    signature = await asyncio.to_thread(signer.sign, signed)  # its key may be in a vault
    signature_file.write_text(signature + "\n")
    draft.replace(path)
    return Exported(records=records, first_seq=first_seq, last_seq=last_seq, signature_file=signature_file)


async def _write_draft(
    rows: AsyncGenerator[dict[str, Any], None], draft: Path, company: str, form: Format
) -> tuple[ChainCheck | None, int, str]:
    """Write records as far as their chain holds: what was checked, and the number and the hash it began from."""
    check: ChainCheck | None = None
    first_seq, prev_hash = 0, START
    with draft.open("w", encoding="utf-8", newline="") as file:
        write = _writer(file, form)
        async with aclosing(rows) as found:
            async for row in found:
                if check is None:
                    first_seq, prev_hash = int(row["seq"]), str(row["prev_hash"])
                    check = ChainCheck(company, after_seq=row["seq"] - 1, after_hash=row["prev_hash"])
                check.check(row)
                if check.finding:
                    break
                write({name: row[name] for name in COLUMNS})
    return check, first_seq, prev_hash


def verify_file(path: Path, verifier: AuditVerifier) -> Verdict:
    """Check an exported file against itself and its signature; the first thing that is wrong is named.

    Raises:
        OSError: the file cannot be read.
    """
    signature_file = path.with_name(f"{path.name}.sig")
    try:
        signed = verifier.read(signature_file.read_text())
        if signed.get("kind") != _KIND:
            raise SignatureWrong("the signature is of something else")
    except OSError as error:
        return Verdict(records=0, problem=f"{signature_file.name}: cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return Verdict(records=0, problem=f"{signature_file.name}: is not UTF-8 text")
    except SignatureWrong as error:
        return Verdict(records=0, problem=f"{signature_file.name}: {error}")
    check = ChainCheck(str(signed["company"]), after_seq=signed["first_seq"] - 1, after_hash=signed["prev_hash"])
    if not signed["records"]:
        check = ChainCheck(str(signed["company"]))
    problem = ""
    with path.open(encoding="utf-8", newline="", errors="surrogateescape") as file:
        for row in _rows(file, signed["form"]):
            if isinstance(row, str):
                problem = f"record {check.seq + 1}: {row}"
            else:
                check.check(row)
            if problem or check.finding:
                break
    check.ends(signed["last_seq"], signed["last_hash"])
    problem = problem or (str(check.finding) if check.finding else "")
    if not problem and _digest(path) != signed["sha256"]:
        problem = "every record holds, but the file is not the one that was signed"
    held = check.seq - signed["first_seq"] + 1 if signed["records"] else 0
    return Verdict(records=held, erased=check.erased, problem=problem)


def _writer(file: TextIO, form: Format) -> Any:
    if form == "jsonl":
        return lambda row: file.write(json.dumps(row, ensure_ascii=False) + "\n")
    table = csv.DictWriter(file, COLUMNS)
    table.writeheader()
    return lambda row: table.writerow({name: _inert(value) for name, value in row.items()})


def _inert(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: what could begin one gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_BEGINS_FORMULA) else value


def _meant(cell: Any) -> Any:
    """What ``_inert`` was given."""
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") else cell


def _rows(file: TextIO, form: Format) -> Iterator[dict[str, Any] | str]:
    """Rows of a file; a text says why one cannot be read."""
    if form == "csv":
        try:
            for row in csv.DictReader(file):
                yield _from_csv(row)
        except csv.Error as error:
            yield f"cannot be read: {error}"
        return
    for line in file:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield f"cannot be read: {error}"
            return
        yield row if isinstance(row, dict) and set(row) == set(COLUMNS) else "has other columns"


def _from_csv(row: dict[str | Any, Any]) -> dict[str, Any] | str:
    if set(row) != set(COLUMNS) or any(value is None for value in row.values()):
        return "has other columns"
    if not str(row["seq"]).isdecimal():
        return f"has no number: {str(row['seq'])[:50]}"
    return {
        name: int(value) if name == "seq" else None if name in _NULLABLE and value == "" else _meant(value)
        for name, value in row.items()
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
