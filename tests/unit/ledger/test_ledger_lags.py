"""How long changes took, kept in the ledger: added by several processes, for as many days as are kept."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from domain.entities.lags import LagBucket
from ledger import lags
from ledger.database import open_database
from ledger.lag_counts import LagCounts
from ledger.opening import Ledger


async def test_counts_add_up_and_old_days_go(tmp_path: Path) -> None:
    database = await open_database(f"sqlite:///{tmp_path}/ledger.db")
    old = LagBucket("2026-10-01", "usmf", "order", "to_sales", 3)
    one, other = (LagBucket("2026-11-27", company, "order", "to_sales", 3) for company in ("usmf", "demf"))
    await lags.add(database, {old: 1}, date(2026, 10, 1))
    for _ in range(2):
        await lags.add(database, {one: 2, other: 1}, date(2026, 11, 27))

    assert [(each.company, each.changes) for each in await lags.read(database, None, date(2026, 11, 27))] == [
        ("demf", 2),
        ("usmf", 4),
    ]
    assert await lags.read(database, ("demf",), date(2026, 12, 27)) == ()
    assert await lags.days(database, "usmf") == [(one, 4)]
    await database.close()


async def test_what_a_ledger_does_not_take_stays_counted(tmp_path: Path) -> None:
    away, there = Ledger("sqlite:////proc/nowhere/ledger.db"), Ledger(f"sqlite:///{tmp_path}/ledger.db")
    counts = LagCounts(away)
    counts.note("usmf", "order", "to_sales", 4)
    await counts.add()
    counts._ledger = there
    counts.note("usmf", "order", "to_sales", -1)
    counts.start()
    await counts.close()

    database = await open_database(f"sqlite:///{tmp_path}/ledger.db")
    (found,) = await lags.read(database, None, datetime.now(UTC).date())
    assert found.changes == 2
    for opened in (database, away, there):
        await opened.close()
