"""Workflow code is passed through the workflow sandbox, so what the sandbox would have caught is caught here.

A run that is replayed must take the same way: no clock but the workflow's, no chance, no thread, no file, no network,
no order that differs from one process to the next.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import workflows

SOURCES = sorted(Path(workflows.__file__).parent.rglob("*.py"))
FORBIDDEN_MODULES = {
    "concurrent",
    "httpx",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "requests",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "uuid",
}
FORBIDDEN_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "sleep", "open", "input", "print", "hash", "id"}
OF_THE_WORKFLOW = {"workflow.now", "workflow.uuid4", "workflow.sleep"}
UNORDERED = {"as_completed", "wait"}


def problems(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"import {a.name}" for a in node.names if a.name.partition(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FORBIDDEN_MODULES:
            found.append(f"from {node.module} import …")
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if "local_activity" in name:  # replayed under another task than it was recorded under: see workflows.proof
                found.append(f"{name}()")
            last = name.rpartition(".")[2]
            if last in FORBIDDEN_CALLS and name not in OF_THE_WORKFLOW:
                found.append(f"{name}()")
            if last in UNORDERED and name.startswith("asyncio."):
                found.append(f"{name}()")
        elif isinstance(node, ast.For | ast.comprehension) and isinstance(node.iter, ast.Set | ast.SetComp):
            found.append(f"for … in {ast.unparse(node.iter)}")
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(SOURCES[0].parent)))
def test_a_workflow_takes_the_same_way_whenever_it_is_replayed(source: Path) -> None:
    assert problems(source.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import random",
        "from time import sleep",
        "from datetime import datetime\nx = datetime.now()",
        "import uuid",
        "x = open('f')",
        "for a in {1, 2}: pass",
        "x = [a for a in {1, 2}]",
        "import asyncio\nasyncio.as_completed([])",
        "workflow.start_local_activity_method(verify)",
    ],
)
def test_the_test_above_finds_what_it_looks_for(source: str) -> None:
    assert problems(source)
