"""Faults strike deals in flight and processes are killed: no deal is lost, and none is ordered twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = int(os.environ.get("Q2C_CHAOS_FAULTS", "100"))
"""Ten of them kill a process: each of the four once, and the worker at six boundaries. 1,000 take half an hour."""
DEALS = int(os.environ.get("Q2C_CHAOS_DEALS", "12"))
SEED = int(os.environ.get("Q2C_CHAOS_SEED", "20261123"))


@pytest.mark.timeout(420 + 5 * FAULTS)
def test_deals_end_as_they_must_whatever_strikes_them(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
    asked = ("--faults", str(FAULTS), "--deals", str(DEALS), "--seed", str(SEED), "--report", str(report))
    run = subprocess.run(
        [sys.executable, "-m", "cli", "chaos", *asked],
        env=inherited | {"Q2C_STATE_DIR": str(tmp_path / "state"), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=400 + 5 * FAULTS,
        check=False,
    )
    shown = (run.stdout + run.stderr)[-4_000:]
    assert report.exists(), shown
    found = json.loads(report.read_text())
    assert (found["orders_twice"], found["lost"], found["credit_overrun"]) == (0, [], 0), shown
    assert found["mismatches"] == [], shown
    assert (found["faults"], found["sound"], run.returncode) == (FAULTS, True, 0), shown
    assert found["wrong_in_audit"] == 0
    killed = {name.removeprefix("kill -9 of the ") for name in found["struck"] if name.startswith("kill -9")}
    assert found["deals"] >= DEALS and killed > {"worker", "web", "sandbox", "temporal"}, shown
    assert found["activity_boundaries_killed_at"] > 0
