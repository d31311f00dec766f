"""What a test waits for has as long as everything else: a limit of its own fails where a machine is busy."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
LIMITED = ("asyncio.timeout", "asyncio.wait_for", "page.set_default_timeout")
"""Calls whose last argument says how long something may take."""


def limits(tree: ast.AST) -> Iterator[ast.expr]:
    """What says how long a test waits: for a page, for a coroutine, for a condition looked at again and again."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            if ast.unparse(node.left) in ("time.monotonic()", "asyncio.get_running_loop().time()"):
                yield node.right
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in LIMITED:
                yield node.args[-1]
            of_a_page = called.startswith("expect(")
            yield from (
                word.value for word in node.keywords if word.arg == "patience" or (of_a_page and word.arg == "timeout")
            )


def own_limits(text: str) -> list[str]:
    """Limits of their own, each with its line."""
    own = [limit for limit in limits(ast.parse(text)) if isinstance(limit, ast.Constant)]
    return [f"{limit.lineno}: {limit.value!r} s" for limit in own]


@pytest.mark.parametrize(
    "wait",
    [
        "time.monotonic() + 20",
        "asyncio.timeout(5)",
        "asyncio.wait_for(task, 60)",
        "deal.waits_for('rep', patience=60)",
        "page.set_default_timeout(20_000)",
        "expect(shown).to_be_visible(timeout=20_000)",
    ],
)
def test_a_limit_of_its_own_is_found(wait: str) -> None:
    assert len(own_limits(wait)) == 1


def test_nothing_a_test_waits_for_has_a_limit_of_its_own() -> None:
    own = {str(path.relative_to(TESTS)): own_limits(path.read_text()) for path in sorted(TESTS.rglob("*.py"))}
    assert {path: limits for path, limits in own.items() if limits} == {}, "take tests.deadlines.PATIENCE"
