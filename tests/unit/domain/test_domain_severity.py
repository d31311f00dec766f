"""Every exception says how much harm it does to wait; the worst one comes first, wherever exceptions are listed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.notices import Kind, Notice
from domain.refusals import Refusal
from domain.severity import SEVERITIES, Severity, severity_of, worst, worst_first

ROOT = Path(__file__).parents[3]


def listed() -> Iterator[str]:
    """The codes that the table of codes lists as exceptions."""
    heading = ""
    for line in (ROOT / "domain" / "refusals.py").read_text().splitlines():
        heading = line if line.startswith("    # ") else heading
        name, equals, _ = line.strip().partition(" = ")
        if equals and name.isupper() and any(words in heading for words in ("Exceptions", "after a deal", "no deal")):
            yield name


def said_by_the_rules() -> Iterator[str]:
    """The codes of exceptions in words, ``f"{Refusal.X}: …"``, as the rules make them."""
    for path in sorted((ROOT / "domain" / "rules").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.JoinedStr) or len(node.values) < 2:
                continue
            first, then = node.values[:2]
            code = first.value if isinstance(first, ast.FormattedValue) else None
            follows = isinstance(then, ast.Constant) and str(then.value).startswith(":")
            if isinstance(code, ast.Attribute) and ast.unparse(code.value) == "Refusal" and follows:
                yield code.attr


def test_every_code_of_an_exception_has_a_severity() -> None:
    rows = set(listed())
    said = set(said_by_the_rules())
    assert len(rows) > 30 and said & rows, "the search finds codes"
    codes = {Refusal[name] for name in rows | said}
    assert codes - set(SEVERITIES) == set(), "add it to domain/severity.py"


@pytest.mark.parametrize("severity", Severity)
def test_every_severity_is_that_of_some_exception_and_in_the_documentation(severity: Severity) -> None:
    of_it = [code for code, its in SEVERITIES.items() if its is severity]
    lines = (ROOT / "docs" / "operations.md").read_text().splitlines()
    row = next(line for line in lines if line.startswith(f"| {severity} |"))
    assert of_it and all(f"`{code}`" in row for code in of_it)


def test_the_worst_code_counts_and_an_unknown_one_is_normal() -> None:
    assert worst([Refusal.PRICE_FELL, Refusal.SHIPPED_WHILE_HELD]) is Severity.CRITICAL
    assert worst(["OF_A_LATER_VERSION"]) is worst([]) is Severity.NORMAL
    found = ("PRICE_FELL: 2 %", "UNKNOWN_LINE: line 9", "SHIPPED_WHILE_HELD: 5 pieces", "UNKNOWN_LINE: line 8")
    assert severity_of("\n".join(found)) is Severity.CRITICAL
    assert worst_first(found) == (found[2], found[1], found[3], found[0])


def test_people_are_told_what_is_critical_before_anything_else() -> None:
    notice = Notice(
        kind=Kind.EXCEPTION_OPENED, company="usmf", quote_number="Q-1", at=datetime(2026, 11, 27, tzinfo=UTC)
    )
    urgent = notice.model_copy(update={"severity": Severity.CRITICAL})
    assert urgent.heading == "Critical: Something needs an operator"
    assert (
        notice.heading == notice.model_copy(update={"severity": Severity.LOW}).heading == Kind.EXCEPTION_OPENED.heading
    )
