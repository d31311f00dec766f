"""Thirty days of a parallel run over many records: seven defects, each found within a day, none false.

The engine and the ledger are the product's; what both systems hold is made here, and how it is read is left out.
Repeat with `python -m bench.parallel_days [records]`.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from temporalio.testing import ActivityEnvironment

from activities.parallel_signatures import CompareEntity
from tests.workflows import test_parallel as world

DAYS = 30


async def main() -> int:
    """Measure; 1 where a day does not come to what was injected."""
    world.CUSTOMERS = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    wrong, slowest, began = 0, 0.0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        work = world.ScriptedDays(Path(folder))
        for n in range(1, DAYS + 1):
            at = datetime(2026, 11, 1, 8, tzinfo=UTC) + timedelta(days=n)
            ask = CompareEntity(
                company="usmf",
                entity="customer",
                day=date(2026, 11, 1) + timedelta(days=n),
                since=at,
                rules=world.RULES,
            )
            before = time.perf_counter()
            found = await ActivityEnvironment().run(work.compare_entity, ask)
            slowest = max(slowest, time.perf_counter() - before)
            expected = {kind: 1 for day, (kind, _) in world.DEFECTS.items() if day <= n < day + 2}
            if dict(found.standing.open) != expected and n != world.FAILED_ON:
                wrong += 1
                print(f"day {n}: {dict(found.standing.open)} in place of {expected}")
        await work.ledger.close()
    seconds, memory = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{world.CUSTOMERS:,} records a side, {DAYS} days: {wrong} wrong, {seconds:.0f} s, "
        f"the slowest day {slowest:.1f} s, {memory:,} MB"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
