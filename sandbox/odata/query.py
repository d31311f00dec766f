"""The system query options of an address, and answering a collection with them.

Paging tokens are the sort values of the last row sent, so a page starts after that row whatever was written since.
(OASIS OData 4.0 part 1, section 11.2.)
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, unquote_plus

from sandbox.odata.filters import Filter
from sandbox.odata.jsonio import BadJson, decode, encode
from sandbox.shelf import Ask
from sandbox.store import Row, Table, fold


class QueryError(ValueError):
    """A query option that cannot be understood. The text is for the error body."""


@dataclass(frozen=True, slots=True)
class Expand:
    """One item of `$expand`: a navigation property and the options in its brackets."""

    name: str
    options: QueryOptions


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """The query options of one request or of one `$expand` item.

    Attributes:
        select: Column names in the order asked, None where everything is wanted.
        expand: Navigation properties to include.
        filter: The text of `$filter`, not compiled.
        orderby: (path text, descending) pairs.
        top: Greatest number of rows, None for all.
        skip: Rows to leave out first (systems that have no `$skip` refuse it themselves).
        count: Whether `@odata.count` is wanted.
        others: Every other option, as given (`$skiptoken`, `$deltatoken`, `cross-company`, `@p1` …).
    """

    select: tuple[str, ...] | None = None
    expand: tuple[Expand, ...] = ()
    filter: str | None = None
    orderby: tuple[tuple[str, bool], ...] = ()
    top: int | None = None
    skip: int = 0
    count: bool = False
    others: Mapping[str, str] = field(default_factory=dict)


NO_OPTIONS = QueryOptions()


@lru_cache(maxsize=4096)
def parse_query(text: str) -> QueryOptions:
    """The options of a raw query string (still percent-encoded, without the question mark).

    Raises:
        QueryError: An option is malformed.
    """
    if not text:
        return NO_OPTIONS
    pairs: dict[str, str] = {}
    for piece in text.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs[unquote(name)] = unquote_plus(value)
    return _options(pairs)


def _options(pairs: dict[str, str]) -> QueryOptions:
    known = {"$select", "$expand", "$filter", "$orderby", "$top", "$skip", "$count"}
    return QueryOptions(
        select=_names(pairs["$select"]) if pairs.get("$select") not in (None, "", "*") else None,
        expand=tuple(_expand_item(item) for item in _split(pairs.get("$expand", ""), ",")),
        filter=pairs.get("$filter") or None,
        orderby=tuple(_orderby_item(item) for item in _split(pairs.get("$orderby", ""), ",")),
        top=_whole_number("$top", pairs["$top"]) if "$top" in pairs else None,
        skip=_whole_number("$skip", pairs["$skip"]) if "$skip" in pairs else 0,
        count=pairs.get("$count", "false").lower() == "true",
        others={name: value for name, value in pairs.items() if name not in known},
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _whole_number(name: str, text: str) -> int:
    if not text.strip().isdigit():
        raise QueryError(f"Invalid value '{text}' for {name} query option found. It must be a non-negative integer.")
    return int(text)


def _orderby_item(item: str) -> tuple[str, bool]:
    words = item.split()
    if not 1 <= len(words) <= 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
        raise QueryError(f"Syntax error in the $orderby query option: '{item}'.")
    return words[0], len(words) == 2 and words[1].lower() == "desc"


def _expand_item(item: str) -> Expand:
    name, bracket, rest = item.strip().partition("(")
    if not bracket:
        return Expand(name, NO_OPTIONS)
    if not rest.endswith(")"):
        raise QueryError(f"Syntax error in the $expand query option: '{item}'.")
    pairs: dict[str, str] = {}
    for piece in _split(rest[:-1], ";"):
        option, _, value = piece.partition("=")
        pairs[option.strip()] = value
    return Expand(name.strip(), _options(pairs))


def _split(text: str, separator: str) -> list[str]:
    """Split at separators that are neither inside brackets nor inside quotes."""
    parts: list[str] = []
    depth = 0
    quoted = False
    start = 0
    for at, char in enumerate(text):
        if char == "'":
            quoted = not quoted
        elif not quoted and char == "(":
            depth += 1
        elif not quoted and char == ")":
            depth -= 1
        elif not quoted and depth == 0 and char == separator:
            parts.append(text[start:at])
            start = at + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


@dataclass(frozen=True, slots=True)
class SortKey:
    """One column to order by: how to read it from a row, its direction, and the stored column where it is one."""

    read: Callable[[Row], Any]
    descending: bool = False
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a collection.

    Attributes:
        rows: The rows, in order.
        total: How many rows match in all (before `$top` and paging).
        token: What `cut_page(after=…)` needs for the next page, None on the last.
    """

    rows: Sequence[Row]
    total: int
    token: str | None


def matching(table: Table, condition: Filter | None) -> list[Row]:
    """The rows of a table that satisfy a compiled filter, through an index where one fits."""
    if condition is None:
        return list(table)
    test = condition.matches
    found = table.candidates(condition.choices, condition.floors, condition.prefixes)
    return [row for row in found if test(row)]


def arrange(table: Table, condition: Filter | None, order: tuple[SortKey, ...], *, name: Hashable) -> Sequence[Row]:
    """The rows of a table that satisfy a compiled filter, in order.

    Of a table with a shelf they are made when a page shows them, and stay arranged until the table changes: the next
    page costs what its own rows cost.

    Args:
        table: The table.
        condition: The compiled filter.
        order: Sort keys; the last ones must make the order total.
        name: What the condition was compiled from: the same name is the same condition.
    """
    if table.shelf is None:
        return in_order(matching(table, condition), order)
    columns = tuple((key.column, key.descending) for key in order)
    natural = columns == tuple((column, False) for column in table.key)
    if any(column is None for column, _ in columns):
        return in_order(matching(table, condition), order)
    ask = Ask() if condition is None else Ask(condition.choices, condition.floors, condition.prefixes)
    test = None if condition is None else condition.matches
    keys = () if natural else tuple((_sortable(key.read), key.descending) for key in order)
    exact = condition is None or condition.exact
    return table.arranged((name, columns), ask, test, keys, exact=exact)


def in_order(rows: Iterable[Row], order: tuple[SortKey, ...]) -> list[Row]:
    """Rows by their sort keys, those equal in all of them as they came."""
    ordered = list(rows)
    for key in reversed(order):
        ordered.sort(key=_sortable(key.read), reverse=key.descending)
    return ordered


def cut_page(
    ordered: Sequence[Row],
    order: tuple[SortKey, ...],
    *,
    size: int,
    top: int | None = None,
    skip: int = 0,
    after: str | None = None,
) -> Page:
    """One page of rows that are in order.

    Args:
        ordered: All rows that match, in order.
        order: Sort keys; the last ones must make the order total (append the primary key).
        size: Most rows of a page.
        top: Most rows of the whole answer, over all its pages.
        skip: Rows left out at the start of the whole answer.
        after: A token of an earlier page, None for the first.

    Raises:
        QueryError: The token is not one of ours.
    """
    total = len(ordered)
    sent = 0
    start = skip
    if after is not None:
        sent, last = _read_token(after)
        start = _position_after(ordered, order, last)
    wanted = size if top is None else min(size, max(top - sent, 0))
    page = ordered[start : start + wanted]
    sent += len(page)
    more = start + wanted < total and (top is None or sent < top) and bool(page)
    token = _write_token(sent, [key.read(page[-1]) for key in order]) if more else None
    return Page(page, total, token)


def _sortable(read: Callable[[Row], Any]) -> Callable[[Row], tuple[bool, Any]]:
    def key(row: Row) -> tuple[bool, Any]:
        value = fold(read(row))
        return value is not None, 0 if value is None else value

    return key


def _position_after(ordered: Sequence[Row], order: tuple[SortKey, ...], last: list[Any]) -> int:
    if len(last) != len(order):
        raise QueryError("The paging token does not belong to this query.")
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if _is_after(ordered[middle], order, last):
            high = middle
        else:
            low = middle + 1
    return low


def _is_after(row: Row, order: tuple[SortKey, ...], last: list[Any]) -> bool:
    for key, mark in zip(order, last, strict=True):
        mine, other = _sortable(key.read)(row), (mark is not None, 0 if mark is None else fold(mark))
        if mine != other:
            return bool(mine > other) != key.descending
    return False


def _write_token(sent: int, values: list[Any]) -> str:
    marked = [{"d": str(value)} if isinstance(value, Decimal) else value for value in values]
    return base64.urlsafe_b64encode(encode([sent, marked])).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, list[Any]]:
    try:
        sent, values = decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(sent), [Decimal(value["d"]) if isinstance(value, dict) else value for value in values]
    except (BadJson, ValueError, TypeError, KeyError) as problem:
        raise QueryError("The paging token is malformed.") from problem
