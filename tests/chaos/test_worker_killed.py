"""The worker is killed without warning, again and again: no deal is lost, and none is ordered twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from ledger.database import open_database
from ledger.reads import AuditReader

KILLS = 20
CASES = 24
SEED = int(os.environ.get("Q2C_CHAOS_SEED", "20261123"))


def worker_pid(state_dir: Path) -> int | None:
    """Process id of the worker that runs now; None while none does."""
    for file in state_dir.glob("*/pids.json"):
        try:
            pid = json.loads(file.read_text())["worker"]
            os.kill(pid, 0)
        except (OSError, ValueError, KeyError):
            return None
        return int(pid)
    return None


@pytest.mark.timeout(900)
def test_24_deals_end_as_they_must_though_the_worker_is_killed_20_times(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    verdict = tmp_path / "out.json"
    settings = {"Q2C_STATE_DIR": str(tmp_path / "state")}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
    command = ["demo", "--auto", "--cases", str(CASES), "--ports", "auto", "--json", str(verdict)]
    with (tmp_path / "demo.log").open("w") as log:
        demo = subprocess.Popen(
            [sys.executable, "-m", "cli", *command], env=inherited | settings, stdout=log, stderr=log
        )
        try:
            kills = 0
            last = None
            while demo.poll() is None and kills < KILLS:
                time.sleep(chance.uniform(0.2, 3.0))
                pid = worker_pid(tmp_path / "state")
                if pid is None or pid == last:
                    continue  # not restarted yet: what is dead cannot be killed
                os.kill(pid, signal.SIGKILL)
                kills, last = kills + 1, pid
            code = demo.wait(timeout=600)
        finally:
            if demo.poll() is None:
                demo.terminate()
                demo.wait(timeout=60)

    shown = (tmp_path / "demo.log").read_text()[-4_000:]
    assert verdict.exists(), shown
    result = json.loads(verdict.read_text())
    assert kills == KILLS, f"seed {SEED}: the run ended after {kills} kills"
    assert result["mismatches"] == [], f"seed {SEED}: {shown}"
    assert (code, result["deals"], result["duplicate_orders"]) == (0, CASES, 0), shown
    (ledger,) = (tmp_path / "state").glob("**/ledger.db")
    deals = asyncio.run(told_of(f"sqlite:///{ledger}"))
    assert len(deals) >= CASES, f"seed {SEED}: {sorted(deals)}"
    gaps = {run: told for run, told in deals.items() if told != list(range(1, len(told) + 1))}
    assert gaps == {}, f"seed {SEED}: no record of a deal is lost or told twice"


async def told_of(url: str) -> dict[str, list[int]]:
    """The numbers of the records of each run of a deal, in chains that hold."""
    database = await open_database(url)
    reader, found = AuditReader(database), defaultdict[str, list[int]](list)
    for company in await reader.companies():
        _, finding = await reader.verify(company)
        assert finding is None, finding
        async for row in reader.rows(company):
            run, _, number = str(row["record_id"]).rpartition("/")
            if row["deal_id"]:
                found[run].append(int(number))
    await database.close()
    return {run: sorted(numbers) for run, numbers in found.items()}
