"""Rows that lie in a file and are read when somebody asks for them: what a table of a million rows is made of.

A dict of twenty columns costs two kilobytes; a million customers on either side would be gigabytes, most of which
nobody ever looks at. A shelf keeps the file mapped and the place of each line (eight bytes a row), and makes a row when
it is asked for. Its rows never change: a table that changes one takes it off the shelf (`sandbox.store.Table`).

The file is CSV in UTF-8: a header line, then one line a row, ordered by the table's key without regard to case.
"""

from __future__ import annotations

import csv
import mmap
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any, Final, overload

Row = dict[str, Any]
Key = tuple[Any, ...]

_MAX_PROBES: Final = 1000
_HASH_BITS: Final = 0xFFFFFFFF
_BEYOND: Final = "\U0010ffff"


class ShelfError(ValueError):
    """The file is not what a shelf is made of; the text says why."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the lines of a file become rows.

    Attributes:
        key: Stored columns of the primary key.
        columns: Name in the header -> stored column.
        convert: Stored column -> how its text is read, where it is not kept as text. An empty cell is no column.
        constants: Columns that are the same in every row.
        counters: Stored column -> its value in the first row; it rises by one with every row.
        complete: Lets columns follow from others, on the new row itself.
        looked_up: Stored columns by whose value rows are found; an index is made when it is first needed.
        moments: Stored columns of moments, by which rows from a moment on are found.
    """

    key: tuple[str, ...]
    columns: Mapping[str, str]
    convert: Mapping[str, Callable[[str], Any]] = field(default_factory=dict)
    constants: Row = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    complete: Callable[[Row], None] | None = None
    looked_up: frozenset[str] = frozenset()
    moments: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ask:
    """What a filter asks of columns, as far as it helps to find rows.

    Attributes:
        choices: Column -> the values it may have.
        floors: Column -> its least value.
        prefixes: Column -> how its text begins.
    """

    choices: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    floors: Mapping[str, Any] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)


class Shelf:
    """The rows of one file."""

    def __init__(self, path: Path, layout: Layout) -> None:
        """Map the file and note where its lines begin.

        Raises:
            ShelfError: A column is missing or unknown, or the rows are not in the order of their keys.
        """
        self.path = path
        self.key = layout.key
        self._layout = layout
        with path.open("rb") as file:
            try:
                self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as problem:
                raise ShelfError(f"{path}: the file is empty") from problem
        header = self._bytes.readline().decode("utf-8-sig").strip().split(",")
        unknown = [name for name in header if name not in layout.columns]
        self._columns = tuple(layout.columns.get(name, name) for name in header)
        missing = [column for column in layout.key if column not in self._columns]
        if unknown or missing:
            raise ShelfError(f"{path}: unknown columns {unknown}, missing columns {missing}")
        self._convert = [(column, layout.convert[column]) for column in self._columns if column in layout.convert]
        self._key_at = tuple(self._columns.index(column) for column in layout.key)
        self._places = self._find_places()
        self._indexes: dict[str, array[int]] = {}

    def _find_places(self) -> array[int]:
        places: array[int] = array("Q")
        place = self._bytes.tell()
        before: Key = ()
        for line in iter(self._bytes.readline, b""):
            places.append(place)
            place += len(line)
            key = self._key_in(_cells(line.decode().rstrip("\r\n")))
            if key <= before:
                raise ShelfError(f"{self.path}: {key} does not follow {before}: rows must be ordered by their key")
            before = key
        places.append(place)
        return places

    def __len__(self) -> int:
        return len(self._places) - 1

    def row(self, position: int) -> Row:
        """The row at a position, a fresh one each time."""
        layout = self._layout
        row: Row = {name: cell for name, cell in zip(self._columns, self._read(position), strict=True) if cell}
        for column, convert in self._convert:
            if column in row:
                row[column] = convert(row[column])
        row |= layout.constants
        for column, first in layout.counters.items():
            row[column] = first + position
        if layout.complete is not None:
            layout.complete(row)
        return row

    def _read(self, position: int) -> list[str]:
        return _cells(self._bytes[self._places[position] : self._places[position + 1]].decode().rstrip("\r\n"))

    def _cell(self, position: int, at: int) -> str:
        """One cell of a row, without reading what follows it."""
        line = self._bytes[self._places[position] : self._places[position + 1]]
        if b'"' in line:
            return self._read(position)[at]
        return line.split(b",", at + 1)[at].decode().rstrip("\r\n")

    def _key_in(self, cells: list[str]) -> Key:
        return tuple(cells[at].casefold() for at in self._key_at)

    def key_at(self, position: int) -> Key:
        """The case-folded key at a position."""
        return tuple(self._cell(position, at).casefold() for at in self._key_at)

    def place_of(self, key: Key) -> int:
        """The first position whose key is not before this one (case-folded; a shorter key is before longer ones)."""
        return bisect_left(range(len(self)), key, key=self.key_at)

    def position(self, key: Key) -> int | None:
        """The position of a row by its whole case-folded key, None where it is not here."""
        place = self.place_of(key)
        return place if place < len(self) and self.key_at(place) == key else None

    def positions(self, ask: Ask) -> tuple[Sequence[int], bool]:
        """A superset of the rows that can be meant, in order, and whether it is exactly what is asked for."""
        best, exact = self._by_key(ask.choices, ask.prefixes)
        if exact and not ask.floors:
            return best, True
        for column, values in ask.choices.items():
            if column in self._layout.looked_up and len(values) <= _MAX_PROBES and len(best) > len(values):
                found = self._looked_up(column, values)
                best = found if len(found) < len(best) else best
        for column, floor in ask.floors.items():
            at_least = self._from(column, floor)
            if at_least is not None and len(at_least) < len(best):
                best = at_least
        return best, False

    def _by_key(
        self, choices: Mapping[str, tuple[Any, ...]], prefixes: Mapping[str, str]
    ) -> tuple[Sequence[int], bool]:
        """The ranges that leading columns of the key choose, and whether nothing else was asked."""
        asked = set(choices) | set(prefixes)
        starts: list[Key] = [()]
        used: set[str] = set()
        for number, column in enumerate(self.key):
            if column in choices and len(choices[column]) * len(starts) <= _MAX_PROBES:
                values = sorted({value.casefold() for value in choices[column] if isinstance(value, str)})
                starts = [(*start, value) for start, value in product(starts, values)]
                used.add(column)
                continue
            if column in prefixes:
                text = prefixes[column].casefold()
                return self._spans([(*start, text) for start in starts], open_end=True), asked == used | {column}
            if number == 0 and any(later in asked for later in self.key[1:]):
                starts = [(value,) for value in self._leading()]
                continue
            break
        return self._spans(starts, open_end=False), asked == used

    def _spans(self, starts: list[Key], *, open_end: bool) -> Sequence[int]:
        """The positions whose keys begin with one of these; with `open_end`, whose last part does."""
        spans: list[range] = []
        for start in starts:
            end = (*start[:-1], start[-1] + _BEYOND) if open_end else (*start, _BEYOND)
            spans.append(range(self.place_of(start), self.place_of(end)))
        spans = [span for span in spans if span]
        if len(spans) == 1:
            return spans[0]
        found: array[int] = array("q")
        for span in spans:
            found.extend(span)
        return found

    def _leading(self) -> Iterator[str]:
        """The distinct values of the key's first column."""
        place = 0
        while place < len(self):
            value = self.key_at(place)[0]
            yield value
            place = self.place_of((value, _BEYOND))

    def _looked_up(self, column: str, values: tuple[Any, ...]) -> Sequence[int]:
        if column not in self._columns:
            constant = _hashed(self._layout.constants.get(column))
            return range(len(self)) if constant in map(_hashed, values) else ()
        index = self._indexes.get(column)
        if index is None:
            at = self._columns.index(column)
            entries = (_hashed(self._cell(p, at)) << 32 | p for p in range(len(self)))
            index = self._indexes[column] = array("Q", sorted(entries))
        found: set[int] = set()
        for value in values:
            begin = _hashed(value) << 32
            for place in range(bisect_left(index, begin), bisect_left(index, begin + _HASH_BITS + 1)):
                found.add(index[place] & _HASH_BITS)
        return sorted(found)

    def _from(self, column: str, floor: Any) -> Sequence[int] | None:
        """The rows whose counter or moment is not below a value; None where the column is neither."""
        first = self._layout.counters.get(column)
        if first is not None:
            return range(min(max(int(floor) - first, 0), len(self)), len(self))
        if column not in self._layout.moments or column not in self._columns:
            return None
        index = self._indexes.get(column)
        if index is None:
            at = self._columns.index(column)
            entries = (_seconds(self._cell(p, at)) << 31 | p for p in range(len(self)))
            index = self._indexes[column] = array("Q", sorted(entries))
        return sorted(entry & 0x7FFFFFFF for entry in index[bisect_left(index, _seconds(str(floor)) << 31) :])


def _cells(line: str) -> list[str]:
    return next(csv.reader((line,))) if '"' in line else line.split(",")


def _hashed(value: Any) -> int:
    """Under which number a value is noted; no value is noted as no text."""
    return hash("" if value is None else str(value).casefold()) & _HASH_BITS


def _seconds(text: str) -> int:
    return max(int(datetime.fromisoformat(text).timestamp()), 0) if text else 0


class Arranged(Sequence[Row]):
    """Rows of a shelf and rows that are kept otherwise, in one order; a row is read when it is asked for."""

    def __init__(self, shelf: Shelf, entries: Sequence[int], others: Sequence[Row]) -> None:
        """Show rows.

        Args:
            shelf: The shelf.
            entries: Positions on it, and -1, -2, … for the first, the second, … of the others.
            others: Rows that are not on the shelf.
        """
        self._shelf = shelf
        self._entries = entries
        self._others = others

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Arranged: ...
    def __getitem__(self, index: int | slice) -> Row | Arranged:
        if isinstance(index, slice):
            return Arranged(self._shelf, self._entries[index], self._others)
        return self._of(self._entries[index])

    def _of(self, entry: int) -> Row:
        return self._shelf.row(entry) if entry >= 0 else self._others[-entry - 1]

    def sorted(self, keys: Sequence[tuple[Callable[[Row], Any], bool]]) -> Arranged:
        """The same rows in the order of these keys, each with whether it descends."""
        marked = [(entry, [read(row) for read, _ in keys]) for entry, row in zip(self._entries, self, strict=True)]
        for number, (_, descending) in reversed(list(enumerate(keys))):
            marked.sort(key=lambda item: item[1][number], reverse=descending)  # used at once
        return Arranged(self._shelf, array("q", (entry for entry, _ in marked)), self._others)


def by_key(shelf: Shelf, positions: Sequence[int], others: Sequence[tuple[Key, Row]]) -> Arranged:
    """Positions of a shelf, and rows with their keys that are not on it, in the order of the key."""
    if not others:
        return Arranged(shelf, positions, ())
    placed = sorted(others, key=lambda item: item[0])
    entries: array[int] = array("q")
    done = 0
    for number, (key, _) in enumerate(placed, start=1):
        until = bisect_left(positions, shelf.place_of(key))
        entries.extend(positions[done:until])
        entries.append(-number)
        done = until
    entries.extend(positions[done:])
    return Arranged(shelf, entries, [row for _, row in placed])
