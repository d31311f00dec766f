"""What a workflow awaits of Temporal, it awaits where a cancellation that comes meanwhile counts: ``or_cancelled``."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

WORKFLOWS = Path(__file__).parents[3] / "workflows"
OPERATIONS = ("workflow.execute_", "workflow.start_", "begin")
"""Beginnings of calls whose outcome would take the place of a cancellation."""


def awaited(text: str) -> list[str]:
    """Operations of Temporal that are awaited just like that, each with its line."""
    calls = [
        (node.lineno, ast.unparse(node.value.func))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call)
    ]
    return [f"{line}: {name}" for line, name in calls if name.startswith(OPERATIONS) or name.endswith(".signal")]


@pytest.mark.parametrize(
    "wrong",
    [
        "await workflow.execute_activity_method(A.do, ask)",
        "await workflow.execute_local_activity(do)",
        "found = await workflow.start_child_workflow(Run.run, start)",
        "await begin(A.do, ask, queue=queue)",
        "await self._handle.signal(name, note)",
        "await workflow.get_external_workflow_handle(other).signal(name, note)",
    ],
)
def test_what_is_awaited_just_like_that_is_found(wrong: str) -> None:
    assert len(awaited(f"async def run(self):\n    {wrong}")) == 1


def test_no_workflow_awaits_an_operation_just_like_that() -> None:
    found = {str(path.relative_to(WORKFLOWS)): awaited(path.read_text()) for path in sorted(WORKFLOWS.rglob("*.py"))}
    assert len(found) > 40
    assert {path: calls for path, calls in found.items() if calls} == {}, "take workflows.steps"
