"""`$filter`: read within bounds, judged row by row, and looked through for what Finance can be asked for less by.

What Dataverse's provider makes of views, quick find and lookups: comparisons, `contains`, `startswith`, `endswith`,
`and`, `or`, `not` (OASIS OData 4.0 part 2, section 5.1.1). Texts are compared without regard to case, as Dataverse and
Finance compare them; nothing is less or more than null, and nothing but null equals it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

from virtual.refused import bad
from virtual.tables import Column, Edm

LONGEST: Final = 2_000
MOST_WORDS: Final = 300
DEEPEST: Final = 20

_WORD: Final = re.compile(
    r"""\s*(?:
      (?P<guid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})
    | (?P<moment>\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,12})?)?(?:Z|[+-]\d\d:\d\d)?)?)(?!\w)
    | (?P<number>-?\d{1,28}(?:\.\d{1,28})?)(?![\w.])
    | '(?P<text>(?:[^']|'')*)'
    | (?P<name>[A-Za-z_]\w*)
    | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)
_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gt": lambda one, other: bool(one > other),
    "ge": lambda one, other: bool(one >= other),
    "lt": lambda one, other: bool(one < other),
    "le": lambda one, other: bool(one <= other),
}
_FUNCTIONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "contains": lambda one, other: other in one,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


@dataclass(frozen=True)
class Comparison:
    """A column against a constant; `verb` is an operator or a function."""

    column: str
    verb: str
    value: Any


@dataclass(frozen=True)
class Both:
    """Two conditions that hold together, or either of which is enough."""

    one: Condition
    other: Condition
    either: bool


@dataclass(frozen=True)
class Not:
    """A condition that does not hold."""

    of: Condition


Condition: TypeAlias = Comparison | Both | Not


def comparable(value: Any) -> Any:
    """A value as it is compared: texts without case."""
    return value.casefold() if isinstance(value, str) else value


def holds(condition: Condition, row: Mapping[str, Any]) -> bool:
    """Whether a row satisfies a condition."""
    if isinstance(condition, Both):
        one = holds(condition.one, row)
        return (one or holds(condition.other, row)) if condition.either else (one and holds(condition.other, row))
    if isinstance(condition, Not):
        return not holds(condition.of, row)
    has, wanted = comparable(row.get(condition.column)), condition.value
    if condition.verb in ("eq", "ne"):
        return bool((has == wanted) is (condition.verb == "eq"))
    if has is None or wanted is None:
        return False
    if condition.verb in _FUNCTIONS:
        return _FUNCTIONS[condition.verb](has, wanted)
    return _COMPARED[condition.verb](has, wanted)


def only(condition: Condition | None, column: str) -> frozenset[Any] | None:
    """The values a column has in every row that satisfies a condition; None: it may have any."""
    if isinstance(condition, Comparison) and condition.column == column and condition.verb == "eq":
        return frozenset({condition.value})
    if not isinstance(condition, Both):
        return None
    one, other = only(condition.one, column), only(condition.other, column)
    if condition.either:
        return None if one is None or other is None else one | other
    if one is None or other is None:
        return other if one is None else one
    return one & other


def parse(text: str, columns: Mapping[str, Column]) -> Condition:
    """The condition of a `$filter`.

    Raises:
        Refused: it is too long, cannot be read, or names what the table does not have.
    """
    if len(text) > LONGEST:
        raise bad(f"$filter is longer than {LONGEST} characters")
    reading = _Reading(_words(text), columns)
    found = reading.either(0)
    reading.need_end()
    return found


Word = tuple[str, str]


def _words(text: str) -> list[Word]:
    found: list[Word] = []
    at, stripped = 0, text.rstrip()
    while at < len(stripped):
        match = _WORD.match(stripped, at)
        if match is None or len(found) == MOST_WORDS:
            raise bad(f"$filter cannot be read at position {at}")
        kind = match.lastgroup or "text"
        found.append((kind, match[kind]))
        at = match.end()
    return found


class _Reading:
    """Words on their way to a condition."""

    def __init__(self, words: list[Word], columns: Mapping[str, Column]) -> None:
        self._words = words
        self._columns = columns
        self._at = 0

    def either(self, depth: int) -> Condition:
        found = self._both(depth)
        while self._took("name", "or"):
            found = Both(found, self._both(depth), either=True)
        return found

    def need_end(self) -> None:
        if self._at < len(self._words):
            raise bad(f"$filter has something left at {self._words[self._at][1]!r}")

    def _both(self, depth: int) -> Condition:
        found = self._one(depth)
        while self._took("name", "and"):
            found = Both(found, self._one(depth), either=False)
        return found

    def _one(self, depth: int) -> Condition:
        if depth > DEEPEST:
            raise bad(f"$filter is nested deeper than {DEEPEST}")
        if self._took("name", "not"):
            return Not(self._one(depth + 1))
        if self._took("mark", "("):
            found = self.either(depth + 1)
            self._need(")")
            return found
        kind, text = self._next()
        if kind == "name" and text in _FUNCTIONS:
            return self._function(text)
        column = self._column(kind, text)
        kind, verb = self._next()
        if kind != "name" or verb not in ("eq", "ne", *_COMPARED):
            raise bad(f"$filter has {verb!r} where eq, ne, gt, ge, lt or le is expected")
        return Comparison(column.name, verb, self._constant(column))

    def _function(self, name: str) -> Comparison:
        self._need("(")
        column = self._column(*self._next())
        if column.edm != "Edm.String":
            raise bad(f"{name} looks into texts, and {column.name} is none")
        self._need(",")
        value = self._constant(column)
        self._need(")")
        if value is None:
            raise bad(f"{name} needs a text")
        return Comparison(column.name, name, value)

    def _column(self, kind: str, text: str) -> Column:
        if kind != "name" or text not in self._columns:
            raise bad(f"$filter has {text!r} where a column of the table is expected")
        return self._columns[text]

    def _constant(self, column: Column) -> Any:
        kind, text = self._next()
        if (kind, text) == ("name", "null"):
            return None
        try:
            return _VALUES[column.edm](kind, text)
        except (KeyError, ValueError) as error:
            raise bad(f"{column.name} is {column.edm} and cannot be compared with {text!r}") from error

    def _took(self, kind: str, text: str) -> bool:
        there = self._at < len(self._words) and self._words[self._at] == (kind, text)
        self._at += there
        return there

    def _need(self, mark: str) -> None:
        if not self._took("mark", mark):
            raise bad(f"$filter lacks {mark!r}")

    def _next(self) -> Word:
        if self._at == len(self._words):
            raise bad("$filter ends too early")
        self._at += 1
        return self._words[self._at - 1]


def _of_kind(*kinds: str) -> Callable[[str, str], str]:
    def checked(kind: str, text: str) -> str:
        if kind not in kinds:
            raise ValueError(text)
        return text

    return checked


def _moment(kind: str, text: str) -> datetime:
    found = datetime.fromisoformat(_of_kind("moment")(kind, text))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


_VALUES: Final[Mapping[Edm, Callable[[str, str], Any]]] = {
    "Edm.String": lambda kind, text: _of_kind("text")(kind, text).replace("''", "'").casefold(),
    # Some clients put a key into quotes.
    "Edm.Guid": lambda kind, text: str(UUID(_of_kind("guid", "text")(kind, text))),
    "Edm.Decimal": lambda kind, text: Decimal(_of_kind("number")(kind, text)),
    "Edm.Int32": lambda kind, text: Decimal(_of_kind("number")(kind, text)),
    "Edm.Boolean": lambda kind, text: {"true": True, "false": False}[_of_kind("name")(kind, text)],
    "Edm.DateTimeOffset": _moment,
}
