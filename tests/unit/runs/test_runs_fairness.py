"""Whoever begins a run says for which company: Temporal shares the queues out among companies by that."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import runs
from runs.calls import BACKGROUND, background

BEGINS = {
    "start_workflow",
    "execute_workflow",
    "begin_or_tell",
    "said",
    "ScheduleActionStartWorkflow",
    "WithStartWorkflowOperation",
}
"""Calls that begin a run."""
OF_NO_COMPANY = {
    ("initial.py", "names.WRITERS"),
    ("map_changes.py", "names.MAP_CHANGE"),
    ("notices.py", "names.NOTICES"),
}
"""Runs of a system's maps, and of a person."""


def begun() -> Iterator[tuple[str, str, str]]:
    """Each call that begins a run: its file, what begins, and its priority."""
    for path in sorted(Path(runs.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] not in BEGINS:
                continue
            priority = next((ast.unparse(each.value) for each in node.keywords if each.arg == "priority"), "")
            of = next((text for each in node.args if (text := ast.unparse(each)).startswith("names.")), "")
            if ast.unparse(node.func) != "super().start_workflow":
                yield path.name, of, priority


def test_every_run_of_a_company_shares_the_queues_by_company() -> None:
    """Before: what only reads, compares or keeps in step had no key, so that one company could starve the others."""
    without = {
        (file, of)
        for file, of, priority in begun()
        if not ("fairness_key=" in priority or priority.startswith("background(") or priority == "priority")
    }
    assert without == OF_NO_COMPANY
    assert len(list(begun())) > 20


def test_what_no_deal_waits_for_comes_last_and_counts_for_its_company() -> None:
    assert background("usmf").fairness_key == "usmf"
    assert background("usmf").priority_key == BACKGROUND.priority_key == 5
