"""The worker is killed without warning, again and again: no deal is lost, and none is ordered twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = int(os.environ.get("Q2C_CHAOS_KILLS", "5"))
CASES = int(os.environ.get("Q2C_CHAOS_DEALS", "8"))
"""A kill costs some fifteen seconds: 20 of them on 24 deals take six minutes and stay out of the suite."""
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


@pytest.mark.timeout(300 + 30 * KILLS)
def test_deals_end_as_they_must_though_the_worker_is_killed_again_and_again(tmp_path: Path) -> None:
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
            code = demo.wait(timeout=240 + 20 * KILLS)
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
