"""`$apply`: filter, groupby and aggregate over a collection.

`groupby((a,b),aggregate(c with sum as d,$count as n))`, `aggregate(…)` alone, and `filter(…)/` before either. (OASIS
OData Extension for Data Aggregation 4.0; Microsoft Learn: "Aggregate data using OData".)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sandbox.odata.filters import Dialect, compile_filter
from sandbox.odata.tokens import FilterError
from sandbox.store import Row, fold

METHODS: Final = frozenset({"sum", "min", "max", "average", "countdistinct", "count"})
_AGGREGATE: Final = re.compile(r"\s*(?P<path>[\w/$]+)(?:\s+with\s+(?P<method>\w+))?\s+as\s+(?P<alias>\w+)\s*")
_STEP: Final = re.compile(r"\s*(filter|groupby|aggregate)\s*\(")

Aggregator = Callable[[str, Iterable[Any]], Any]
"""(method, values) -> the aggregate."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate: `path` None counts rows."""

    path: tuple[str, ...] | None
    method: str
    alias: str


def apply(text: str, rows: list[Row], dialect: Dialect, aggregator: Aggregator) -> list[Row]:
    """The rows a `$apply` makes of the rows of a collection.

    Args:
        text: The value of the option.
        rows: The rows.
        dialect: How their columns are read.
        aggregator: Computes an aggregate.

    Raises:
        FilterError: It cannot be parsed, or names a column or method that is not there.
    """
    found = rows
    for step, inner in _steps(text):
        if step == "filter":
            condition = compile_filter(inner, dialect)
            found = [row for row in found if condition.matches(row)]
        elif step == "aggregate":
            return [_aggregated(_aggregates(inner), found, dialect, aggregator)]
        else:
            return _grouped(inner, found, dialect, aggregator)
    raise FilterError("Syntax error in $apply: groupby or aggregate expected.")


def _steps(text: str) -> list[tuple[str, str]]:
    """The transformations of the text, each with what is inside its brackets."""
    steps: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise FilterError(f"Syntax error in $apply at '{text[at : at + 20]}'.")
        end = _closing(text, match.end() - 1)
        steps.append((match[1], text[match.end() : end]))
        rest = text[end + 1 :].lstrip()
        if rest and not rest.startswith("/"):
            raise FilterError(f"Syntax error in $apply at '{rest[:20]}'.")
        at = len(text) - len(rest) + 1 if rest else len(text)
    return steps


def _closing(text: str, start: int) -> int:
    """Where the bracket that opens at `start` closes."""
    depth, quoted = 0, False
    for at in range(start, len(text)):
        char = text[at]
        if char == "'":
            quoted = not quoted
        elif not quoted:
            depth += (char == "(") - (char == ")")
            if depth == 0:
                return at
    raise FilterError("Syntax error in $apply: a bracket is not closed.")


def _aggregates(text: str) -> list[Aggregate]:
    found = []
    for part in text.split(","):
        match = _AGGREGATE.fullmatch(part)
        if match is None:
            raise FilterError(f"Syntax error in aggregate: '{part.strip()}'.")
        if match["path"] == "$count":
            found.append(Aggregate(None, "count", match["alias"]))
        elif match["method"] in METHODS:
            found.append(Aggregate(tuple(match["path"].split("/")), match["method"], match["alias"]))
        else:
            raise FilterError(f"The aggregation method '{match['method']}' is not supported.")
    return found


def _aggregated(wanted: list[Aggregate], rows: list[Row], dialect: Dialect, aggregator: Aggregator) -> Row:
    answer: Row = {}
    for item in wanted:
        if item.path is None:
            answer[item.alias] = len(rows)
        else:
            read = dialect.column(item.path).read
            answer[item.alias] = aggregator(item.method, [read(row) for row in rows])
    return answer


def _grouped(text: str, rows: list[Row], dialect: Dialect, aggregator: Aggregator) -> list[Row]:
    stripped = text.strip()
    if not stripped.startswith("("):
        raise FilterError("Syntax error in groupby: the columns must stand in brackets.")
    end = _closing(stripped, 0)
    names = [name.strip() for name in stripped[1:end].split(",") if name.strip()]
    rest = stripped[end + 1 :].lstrip().removeprefix(",").strip()
    wanted: list[Aggregate] = []
    if rest:
        inner = _steps(rest)
        if len(inner) != 1 or inner[0][0] != "aggregate":
            raise FilterError("Syntax error in groupby: aggregate expected.")
        wanted = _aggregates(inner[0][1])
    columns = [dialect.column(tuple(name.split("/"))) for name in names]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(fold(column.read(row)) for column in columns), []).append(row)
    answers = []
    for members in groups.values():
        answer: Row = {}
        for name, column in zip(names, columns, strict=True):
            _put(answer, name.split("/"), column.read(members[0]))
        answers.append(answer | _aggregated(wanted, members, dialect, aggregator))
    return answers


def _put(answer: Row, path: list[str], value: Any) -> None:
    """A value under its path: what is grouped by a related row's column is shown below that row's name."""
    for name in path[:-1]:
        answer = answer.setdefault(name, {})
    answer[path[-1]] = value
