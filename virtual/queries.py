"""The query options of a request, and what they make of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from virtual.filters import Condition, comparable, holds, parse
from virtual.refused import bad
from virtual.tables import Table

PAGE: Final = 1_000
"""Rows of an answer: Dataverse shows no more of a virtual table (Microsoft Learn, "Known limitations and
troubleshooting with virtual tables")."""
LONGEST: Final = 4_096
_TAKEN: Final = ("$filter", "$orderby", "$top", "$skip", "$count", "$select", "$format")
_MOST_SORTS: Final = 5


@dataclass(frozen=True)
class Asked:
    """What a request wants of a table."""

    condition: Condition | None
    orderby: tuple[tuple[str, bool], ...]
    """Column, and whether the greatest comes first."""
    top: int | None
    skip: int
    count: bool
    select: tuple[str, ...]
    """In the table's order."""


def asked(text: str, table: Table) -> Asked:
    """Read a query string.

    Raises:
        Refused: it holds what this service does not take, or cannot be read.
    """
    if len(text) > LONGEST:
        raise bad(f"The query is longer than {LONGEST} characters")
    options: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name in options:
            raise bad(f"{name} is given twice")
        # What does not begin with $ is a custom option, which a service leaves alone.
        if name.startswith("$") and name not in _TAKEN:
            raise bad(f"{name} is not supported; {', '.join(_TAKEN)} are")
        options[name] = value
    if options.get("$format", "json").partition(";")[0] not in ("json", "application/json"):
        raise bad("$format: only json is supported")
    columns = {column.name: column for column in table.all_columns}
    return Asked(
        parse(options["$filter"], columns) if options.get("$filter") else None,
        tuple(_sort(part, columns) for part in _parts(options.get("$orderby", ""), _MOST_SORTS, "$orderby")),
        _number(options, "$top"),
        _number(options, "$skip") or 0,
        _switch(options.get("$count", "false")),
        _selected(options.get("$select", ""), columns),
    )


def _parts(text: str, most: int, name: str) -> list[str]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > most:
        raise bad(f"{name} names more than {most} columns")
    return parts


def _sort(part: str, columns: Mapping[str, Any]) -> tuple[str, bool]:
    name, _, way = part.partition(" ")
    if name not in columns or way.strip() not in ("", "asc", "desc"):
        raise bad(f"$orderby cannot be read at {part!r}")
    return name, way.strip() == "desc"


def _number(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise bad(f"{name} must be a whole number")
    return int(text)


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise bad("$count must be true or false")
    return text == "true"


def _selected(text: str, columns: Mapping[str, Any]) -> tuple[str, ...]:
    wanted = _parts(text, len(columns), "$select")
    for name in wanted:
        if name not in (*columns, "*"):
            raise bad(f"$select names {name!r}, which the table does not have")
    return tuple(name for name in columns if not wanted or "*" in wanted or name in wanted)


def chosen(rows: Iterable[dict[str, Any]], wanted: Asked, table: Table) -> list[dict[str, Any]]:
    """The rows that are asked for, in order, whole and without pages."""
    condition = wanted.condition
    found = [row for row in rows if condition is None or holds(condition, row)]
    found.sort(key=lambda row: str(row[table.id]))
    for name, greatest_first in reversed(wanted.orderby):
        known = [row for row in found if row.get(name) is not None]
        known.sort(key=lambda row: comparable(row[name]), reverse=greatest_first)
        missing = [row for row in found if row.get(name) is None]
        found = [*known, *missing] if greatest_first else [*missing, *known]
    return found
