"""`q2c demo --auto` on a machine of its own ports: every kind of decision, and a verdict another program can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = 12
DEMO = (sys.executable, "-m", "cli", "demo", "--auto", "--ports", "auto")


@pytest.mark.timeout(360)
def test_every_deal_of_the_demo_ends_as_its_input_says(tmp_path: Path) -> None:
    summary_file = tmp_path / "out.json"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
    result = subprocess.run(
        [*DEMO, "--cases", str(CASES), "--json", str(summary_file)],
        env=inherited | {"Q2C_STATE_DIR": str(tmp_path / "state"), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    summary = json.loads(summary_file.read_text())
    assert summary["mismatches"] == []
    assert summary["duplicate_orders"] == 0
    assert (summary["deals"], summary["closed"], summary["rejected"], summary["expired"]) == (CASES, 10, 1, 1)
    assert summary["orders_in_finance"] == 10
    assert summary["approvals"] == {"none": 8, "level1": 1, "level2": 2, "level3": 1, "steps": 8}
    assert summary["credit"] == {"held": 1, "released_by_person": 1}
    assert summary["parked"] == 1
    assert summary["requests"]["throttled"] > 0
    assert summary["money"]["invoiced"] == summary["money"]["paid"] == summary["money"]["total"]
    assert summary["money_in"].keys() == {"JPY"}
    assert summary["money_in"]["JPY"]["paid"] == summary["money_in"]["JPY"]["total"]
    assert "both systems agree" in result.stdout
