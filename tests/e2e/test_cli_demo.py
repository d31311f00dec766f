"""`q2c demo --auto` on a machine of its own ports: every kind of decision, and a verdict another program can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

CASES = 17
STORIES = (
    ("Q-1013", "reduced", "10 ordered, 8 shipped, 2 cancelled in Finance"),
    ("Q-1014", "refunded", "209.00 USD paid back, proposed by Cleo Clark, approved by Amy Ames"),
    ("Q-1015", "repriced", "margin 34.78 % → 21.74 %, approved by Dirk Dorn before the order"),
    ("Q-1016", "bounced", "418.00 USD open again after the end, in Finance and in Sales"),
    ("Q-1017", "dunned", "reminder, contested and found to stand, notice with a fee of 25.00 USD, paid"),
)
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
    assert (summary["deals"], summary["closed"], summary["rejected"], summary["expired"]) == (CASES, 15, 1, 1)
    assert summary["orders_in_finance"] == 15
    assert summary["approvals"] == {"none": 12, "level1": 1, "level2": 3, "level3": 1, "steps": 10}
    assert summary["credit"] == {"held": 1, "released_by_person": 1}
    assert summary["parked"] == 1
    assert summary["requests"]["throttled"] > 0
    not_ordered, credited = Decimal("209.00"), Decimal("209.00")  # two of ten pieces each, of Q-1013 and Q-1014
    total, invoiced, paid = (Decimal(summary["money"][name]) for name in ("total", "invoiced", "paid"))
    assert (invoiced, paid) == (total - not_ordered, total - not_ordered - credited)
    assert summary["money_in"].keys() == {"JPY"}
    assert summary["money_in"]["JPY"]["paid"] == summary["money_in"]["JPY"]["total"]
    assert "both systems agree" in result.stdout
    for number, story, came_to in STORIES:
        assert summary["stories"][number] == {"story": story, "came_to": came_to}
        assert came_to in result.stdout
