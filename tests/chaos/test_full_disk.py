"""The disk under the audit is full: nothing is lost or stored by half, the reason is said, and with room it goes on."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from resource import RLIMIT_FSIZE, getrlimit, setrlimit

from psycopg.errors import DiskFull, OperationalError

from domain.audit import AuditKind, AuditRecord
from domain.people import Person
from ledger.database import open_database
from ledger.opening import Ledger, LedgerAway
from ledger.reads import AuditReader

BATCHES, BATCH = 3, 50
SAID = "said: "
RITA = Person(oid="r1", name="Rita", upn="rita@contoso.example")


def records(batch: int) -> list[AuditRecord]:
    """Fifty records of one deal."""
    first = batch * BATCH + 1
    return [
        AuditRecord(
            record_id=f"run/{n}",
            n=n,
            company="usmf",
            deal_id="q2c/usmf/Q-1",
            kind=AuditKind.TRANSITION,
            event="shipped",
            at=datetime.now(UTC),
            actor=RITA,
            what=f"{n} shipped",
        )
        for n in range(first, first + BATCH)
    ]


async def write_on_a_full_disk(url: str) -> None:
    """What the process below does: the second batch finds no room, is refused, and is sent again when there is some."""
    ledger = Ledger(url)
    await ledger.append(records(0))
    room = getrlimit(RLIMIT_FSIZE)
    setrlimit(RLIMIT_FSIZE, (0, room[1]))
    for batch in (1, 2):
        try:
            await ledger.append(records(batch))
        except LedgerAway as away:
            sys.stdout.write(f"{SAID}{away}\n")
    setrlimit(RLIMIT_FSIZE, room)
    for batch in (1, 2):
        receipt = await ledger.append(records(batch))
        sys.stdout.write(f"{SAID}{receipt.stored} {receipt.known} {receipt.conflicts}\n")
    await ledger.close()


async def test_a_full_disk_loses_no_record_and_what_had_no_room_is_stored_once_there_is_some(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.chaos.test_full_disk", url),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()

    assert process.returncode == 0
    lines = [line.removeprefix(SAID) for line in said.decode().splitlines() if line.startswith(SAID)]
    refused, refused_again, *receipts = lines
    assert "disk" in refused and "disk" in refused_again, "a person reads why"
    assert receipts == ["50 0 0", "50 0 0"], "nothing of it was stored before"
    database = await open_database(url, read_only=True)
    reader = AuditReader(database)
    kept = await reader.page("usmf", limit=1_000)
    _, finding = await reader.verify("usmf")
    await database.close()
    assert sorted(row.record_id for row in kept) == sorted(f"run/{n}" for n in range(1, BATCHES * BATCH + 1))
    assert finding is None, "the chain holds over what was refused"


def test_postgresql_says_that_its_disk_is_full_as_it_says_that_it_is_away() -> None:
    assert issubclass(DiskFull, OperationalError), "so it is waited for, as with any other database that is away"


if __name__ == "__main__":
    asyncio.run(write_on_a_full_disk(sys.argv[1]))
