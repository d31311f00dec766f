"""The operators of FetchXML conditions, as predicates over a stored value.

(Microsoft Learn: "Filter rows using FetchXml", "Condition operators".)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.schema import Column
from sandbox.dataverse.values import from_text, to_moment
from sandbox.store import Row, fold

Test = Callable[[Any], bool]

_ORDERED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "lt": lambda one, two: bool(one < two),
    "le": lambda one, two: bool(one <= two),
    "gt": lambda one, two: bool(one > two),
    "ge": lambda one, two: bool(one >= two),
}
_NEGATED: Final = {
    "ne": "eq",
    "neq": "eq",
    "not-like": "like",
    "not-in": "in",
    "not-between": "between",
    "not-begin-with": "begins-with",
    "not-end-with": "ends-with",
    "not-null": "null",
    "ne-userid": "eq-userid",
    "ne-businessunitid": "eq-businessunitid",
}
_WITHOUT_NULL: Final = frozenset({"not-between"})
"""Negations that do not hold for null; the others do, as `ne` does."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What operators without a value refer to: the caller and the time."""

    user: Row
    now: datetime


def test_of(column: Column, operator: str, values: list[str], given: Circumstances) -> Test:
    """The predicate of a condition.

    Args:
        column: The column compared.
        operator: As FetchXML writes it.
        values: The condition's values, as text.
        given: The caller and the time.

    Raises:
        DataverseError: The operator is unknown, or its values do not fit.
    """
    positive = _NEGATED.get(operator)
    if positive is not None:
        inner = test_of(column, positive, values, given)
        if operator in _WITHOUT_NULL:
            return lambda value: value is not None and not inner(value)
        return lambda value: not inner(value)
    if operator == "null":
        return lambda value: value is None
    span = _span_of(operator, values, given.now)
    if span is not None:
        first, end = (_as_stored(column, moment) for moment in span)
        return lambda value: value is not None and first <= value < end
    if operator in ("eq-userid", "eq-businessunitid"):
        wanted = given.user["systemuserid" if operator == "eq-userid" else "_businessunitid_value"]
        return lambda value: bool(value == wanted)
    return _comparison(column, operator, values)


def _comparison(column: Column, operator: str, values: list[str]) -> Test:
    if operator in ("like", "begins-with", "ends-with"):
        text = _one(operator, values)
        pattern = {"like": text, "begins-with": f"{text}%", "ends-with": f"%{text}"}[operator]
        matches = like(pattern)
        return lambda value: value is not None and matches(str(value))
    typed = [fold(from_text(column, value)) for value in values]
    if operator == "in":
        wanted = frozenset(typed)
        return lambda value: fold(value) in wanted
    if operator == "between":
        if len(typed) != 2:
            raise errors.bad_query("The operator 'between' needs two values.")
        low, high = typed
        return lambda value: value is not None and low <= fold(value) <= high
    single = fold(from_text(column, _one(operator, values)))
    if operator == "eq":
        return lambda value: bool(fold(value) == single)
    if operator in _ORDERED:
        compare = _ORDERED[operator]
        return lambda value: value is not None and compare(fold(value), single)
    raise errors.bad_query(f"The condition operator '{operator}' is not supported.")


def like(pattern: str) -> Callable[[str], bool]:
    """SQL's LIKE: `%` is any text, `_` any character, `[abc]` one of them; case is ignored."""
    parts = []
    for piece in re.findall(r"\[[^\]]*\]|.", pattern, re.DOTALL):
        if piece == "%":
            parts.append(".*")
        elif piece == "_":
            parts.append(".")
        elif len(piece) > 1:
            parts.append(f"[{re.escape(piece[1:-1])}]" if piece[1:2] != "^" else f"[^{re.escape(piece[2:-1])}]")
        else:
            parts.append(re.escape(piece))
    compiled = re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def _one(operator: str, values: list[str]) -> str:
    if len(values) != 1:
        raise errors.bad_query(f"The condition operator '{operator}' needs one value.")
    return values[0]


def _span_of(operator: str, values: list[str], now: datetime) -> tuple[datetime, datetime] | None:
    """The span of time an operator names, from its first moment up to its end; None where it names none."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day = timedelta(days=1)
    far = datetime(9999, 1, 1, tzinfo=UTC)
    if operator in ("on", "on-or-after", "on-or-before"):
        start = _day(_one(operator, values))
        return {
            "on": (start, start + day),
            "on-or-after": (start, far),
            "on-or-before": (datetime(1, 1, 1, tzinfo=UTC), start + day),
        }[operator]
    fixed = {
        "today": (today, today + day),
        "yesterday": (today - day, today),
        "tomorrow": (today + day, today + 2 * day),
        "last-seven-days": (today - 7 * day, now + timedelta(seconds=1)),
        "next-seven-days": (now, today + 8 * day),
        "this-month": (_month(today, 0), _month(today, 1)),
        "last-month": (_month(today, -1), _month(today, 0)),
        "next-month": (_month(today, 1), _month(today, 2)),
        "this-year": (today.replace(month=1, day=1), today.replace(year=today.year + 1, month=1, day=1)),
        "last-year": (today.replace(year=today.year - 1, month=1, day=1), today.replace(month=1, day=1)),
    }
    if operator in fixed:
        return fixed[operator]
    counted = re.fullmatch(r"(last|next|older-than)-x-(minutes|hours|days|weeks)", operator)
    if counted is None:
        return None
    text = _one(operator, values)
    if not text.isdigit():
        raise errors.bad_query(f"The condition operator '{operator}' needs a whole number.")
    span = timedelta(**{counted[2]: int(text)})
    if counted[1] == "older-than":
        return datetime(1, 1, 1, tzinfo=UTC), now - span
    present = now + timedelta(seconds=1)  # moments are stored in whole seconds: this one counts
    return (now - span, present) if counted[1] == "last" else (now, now + span)


def _month(day: datetime, distance: int) -> datetime:
    number = day.year * 12 + day.month - 1 + distance
    return day.replace(year=number // 12, month=number % 12 + 1, day=1)


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text[:10]), datetime.min.time(), UTC)
    except ValueError as problem:
        raise errors.bad_query(f"'{text}' is not a date.") from problem


def _as_stored(column: Column, moment: datetime) -> str:
    if column.type == "DateOnly":
        return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
    return to_moment(moment) if moment.year >= 1000 else f"{moment.year:04d}-01-01T00:00:00Z"
