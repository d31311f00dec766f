"""Whatever somebody can be told by an alert, a parked step or an exception has a line in the runbook."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from domain.causes import Cause
from domain.severity import SEVERITIES

ROOT = Path(__file__).parents[3]


def lines(heading: str) -> dict[str, list[str]]:
    """The rows of a section's table by their first cell, with the other cells."""
    page = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+) \|$", section)
    assert len(rows) == len(dict(rows)), "each has one line"
    return {name: rest.split(" | ") for name, rest in rows}


def test_every_alert_has_a_line() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    found = lines("Alerts")
    assert [alert for alert in alerts if alert not in found] == []
    assert all(len(cells) == 3 and all(cells) for cells in found.values())


def test_every_cause_that_needs_a_person_has_a_line_and_no_other() -> None:
    found = lines("Parked steps")
    assert set(found) == {str(cause.value) for cause in Cause if not cause.passes}
    assert all(len(cells) == 2 and all(cells) for cells in found.values())


def test_every_exception_has_a_line_and_no_other() -> None:
    found = lines("Exceptions")
    assert set(found) == {str(code.value) for code in SEVERITIES}
    assert all(len(cells) == 3 and all(cells) for cells in found.values())
