"""One table of the in-memory database: rows by primary key, hash indexes, unique columns, and a shelf for many rows."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import product
from typing import Any, Final, Literal, Protocol

from sandbox.shelf import Arranged, Ask, Key, Row, Shelf, by_key

Kind = Literal["create", "update", "delete"]

_MAX_PROBES: Final = 1000
_KEPT_ORDERS: Final = 8


class StoreError(Exception):
    """A write the tables refuse."""


class DuplicateKey(StoreError):
    """A row with the same primary key or unique columns exists already.

    Attributes:
        columns: The columns of the key that is violated.
        values: The values that exist already.
        primary: True where the primary key is meant.
    """

    def __init__(self, table: str, columns: tuple[str, ...], values: Key, *, primary: bool) -> None:
        super().__init__(f"{table}: {columns} = {values} exists already")
        self.columns = columns
        self.values = values
        self.primary = primary


class NoSuchRow(StoreError):
    """An update or delete names a key that is not there."""


@dataclass(frozen=True, slots=True)
class Change:
    """One committed write: the row before (None for a create) and after (None for a delete).

    `version` is the database's version after this write; it rises by one with every write in any table.
    """

    table: str
    kind: Kind
    key: Key
    before: Row | None
    after: Row | None
    version: int


def fold(value: Any) -> Any:
    """The form in which values are compared: text without case, as SQL Server's default collation does."""
    return value.casefold() if isinstance(value, str) else value


class Journal(Protocol):
    """The database of a table: it opens transactions and remembers what is written in them."""

    def transaction(self) -> AbstractContextManager[None]:
        """All writes in the block are kept, or none."""

    def record(self, table: Table, kind: Kind, key: Key, before: Row | None, after: Row | None) -> None:
        """Note a write."""


class Table:
    """Rows by primary key, with hash indexes. Made by `Database.table`.

    A table may have a shelf: rows of a file, which are read when they are asked for (`sandbox.shelf`). A row that
    changes or goes is taken off it.
    """

    def __init__(self, db: Journal, name: str, key: tuple[str, ...]) -> None:
        self.name = name
        self.key = key
        self._db = db
        self._rows: dict[Key, Row] = {}
        self._indexes: dict[tuple[str, ...], dict[Key, dict[Key, None]]] = {}
        self._unique: set[tuple[str, ...]] = set()
        self.shelf: Shelf | None = None
        self._taken: set[int] = set()
        self._kept_orders: dict[Hashable, tuple[int, Arranged]] = {}
        self.revision = 0
        """Rises whenever a row changes, also when a change is undone: what was derived from the rows is stale then."""

    def __len__(self) -> int:
        return len(self._rows) + (0 if self.shelf is None else len(self.shelf) - len(self._taken))

    def __iter__(self) -> Iterator[Row]:
        return iter(self._and_shelved(list(self._rows.values()), Ask()))

    def put_on_shelf(self, shelf: Shelf) -> None:
        """Hold the rows of a file beside those that are here; none of them may have a key that is here."""
        self.shelf = shelf
        self.revision += 1

    def arranged(
        self,
        name: Hashable,
        ask: Ask,
        test: Callable[[Row], bool] | None,
        keys: Sequence[tuple[Callable[[Row], Any], bool]],
        *,
        exact: bool,
    ) -> Arranged:
        """The rows of a table with a shelf that pass a test, in order; kept until a row changes.

        Args:
            name: Of the question and the order: the same name is asked the same.
            ask: What the test asks of columns.
            test: None where every row is wanted.
            keys: What to order by, with whether it descends; empty for the order of the primary key.
            exact: Whether `ask` is all that the test asks.
        """
        if self.shelf is None:
            raise StoreError(f"{self.name} has no shelf")
        kept = self._kept_orders.pop(name, None)
        if kept is None or kept[0] != self.revision:
            positions, all_fit = self.shelf.positions(ask)
            taken = self._taken
            if test is not None and not (exact and all_fit):
                row_of = self.shelf.row
                positions = array("q", (p for p in positions if p not in taken and test(row_of(p))))
            elif taken:
                positions = array("q", (p for p in positions if p not in taken))
            others = [(key, row) for key, row in self._rows.items() if test is None or test(row)]
            found = by_key(self.shelf, positions, others)
            kept = (self.revision, found.sorted(keys) if keys else found)
        self._kept_orders[name] = kept
        while len(self._kept_orders) > _KEPT_ORDERS:
            del self._kept_orders[next(iter(self._kept_orders))]
        return kept[1]

    def key_of(self, row: Mapping[str, Any]) -> Key:
        """The (case-folded) primary key of a row."""
        return tuple(fold(row[column]) for column in self.key)

    def index(self, *columns: str) -> None:
        """Keep a hash index on `columns`; equality look-ups that name them all use it."""
        if columns in self._indexes:
            return
        entries: dict[Key, dict[Key, None]] = {}
        for key, row in self._rows.items():
            entries.setdefault(self._entry(columns, row), {})[key] = None
        self._indexes[columns] = entries

    def unique(self, *columns: str) -> None:
        """Refuse two rows equal in all `columns`; rows with a null among them are exempt (an alternate key)."""
        self.index(*columns)
        self._unique.add(columns)

    def not_unique(self, *columns: str) -> None:
        """Allow rows equal in all `columns` again; the index stays."""
        self._unique.discard(columns)

    def has_duplicates(self, *columns: str) -> bool:
        """Whether two rows are equal in all `columns`, rows with a null among them left aside."""
        entries = [self._entry(columns, row) for row in self]
        complete = [entry for entry in entries if None not in entry]
        return len(set(complete)) < len(complete)

    def get(self, key: Iterable[Any]) -> Row | None:
        """The row with this primary key, or None."""
        return self._at(tuple(fold(part) for part in key))

    def find(self, **equal: Any) -> list[Row]:
        """All rows equal in the named columns, oldest first; uses an index where one fits."""
        wanted = {column: (value,) for column, value in equal.items()}
        folded = {column: fold(value) for column, value in equal.items()}
        return [
            row
            for row in self.candidates(wanted)
            if all(fold(row.get(column)) == value for column, value in folded.items())
        ]

    def first(self, **equal: Any) -> Row | None:
        """The oldest row equal in the named columns, or None."""
        rows = self.find(**equal)
        return rows[0] if rows else None

    def candidates(
        self,
        choices: Mapping[str, tuple[Any, ...]],
        floors: Mapping[str, Any] | None = None,
        prefixes: Mapping[str, str] | None = None,
    ) -> Sequence[Row]:
        """A superset of the rows whose columns each hold one of the given values, and are not below the floors.

        Args:
            choices: Column -> the values it may have, as `sandbox.odata.filters.Filter.choices` gives them.
            floors: Column -> its least value. An index on the column alone helps where it holds few values, as with
                days.
            prefixes: Column -> how its text begins; helps on a shelf.

        Returns:
            The rows of the narrowest index that fits, or every row where none does. The caller still has to filter.
        """
        return self._and_shelved(self._candidates(choices, floors or {}), Ask(choices, floors or {}, prefixes or {}))

    def _candidates(self, choices: Mapping[str, tuple[Any, ...]], floors: Mapping[str, Any]) -> list[Row]:
        best: list[Key] | None = None
        if choices:
            if all(column in choices for column in self.key):
                return self._by_primary_key(choices)
            for columns, entries in self._indexes.items():
                if all(column in choices for column in columns):
                    found = _probe(columns, entries, choices)
                    if found is not None and (best is None or len(found) < len(best)):
                        best = found
        for column, floor in floors.items():
            if (column,) in self._indexes:
                high = [
                    keys for (value,), keys in self._indexes[column,].items() if value is None or value >= fold(floor)
                ]
                if best is None or sum(map(len, high)) < len(best):
                    best = [key for keys in high for key in keys]
        if best is None:
            return list(self._rows.values())
        return [self._rows[key] for key in best]

    def insert(self, row: Row) -> Row:
        """Add a row (stored as given: hand over a fresh dict).

        Raises:
            DuplicateKey: The primary key or a unique index is taken.
        """
        key = self.key_of(row)
        if self._at(key) is not None:
            raise DuplicateKey(self.name, self.key, key, primary=True)
        self._check_unique(key, row)
        with self._db.transaction():
            self._put(key, row)
            self._db.record(self, "create", key, None, row)
        return row

    def update(self, key: Iterable[Any], changes: Mapping[str, Any]) -> Row:
        """Store a new version of the row with `changes` laid over it; primary-key columns cannot change.

        Returns:
            The row as it is now.

        Raises:
            NoSuchRow: Nothing has this key.
            DuplicateKey: The change would violate a unique index.
        """
        folded = tuple(fold(part) for part in key)
        before = self._at(folded)
        if before is None:
            raise NoSuchRow(f"{self.name}: no row {folded}")
        after = {**before, **changes}
        if self.key_of(after) != folded:
            raise StoreError(f"{self.name}: the primary key of {folded} cannot change")
        self._check_unique(folded, after)
        with self._db.transaction():
            self._put(folded, after)
            self._db.record(self, "update", folded, before, after)
        return after

    def delete(self, key: Iterable[Any]) -> Row:
        """Remove a row and return it.

        Raises:
            NoSuchRow: Nothing has this key.
        """
        folded = tuple(fold(part) for part in key)
        before = self._at(folded)
        if before is None:
            raise NoSuchRow(f"{self.name}: no row {folded}")
        with self._db.transaction():
            self._remove(folded)
            self._db.record(self, "delete", folded, before, None)
        return before

    def clear(self) -> None:
        """Forget every row without recording changes: for a reset of the whole sandbox only."""
        self.revision += 1
        self._rows.clear()
        self.shelf = None
        self._taken.clear()
        self._kept_orders.clear()
        for entries in self._indexes.values():
            entries.clear()

    def copy_from(self, other: Table) -> None:
        """Hold the rows, indexes and unique keys of another table, and no others."""
        self.revision += 1
        self._rows = dict(other._rows)
        self._unique = set(other._unique)
        self._indexes = {
            columns: {entry: dict(keys) for entry, keys in entries.items()}
            for columns, entries in other._indexes.items()
        }

    def kept(self) -> tuple[tuple[str, ...], list[Row], list[tuple[str, ...]], set[tuple[str, ...]]]:
        """Key columns, rows, indexed and unique columns, as `Database.take_back` wants them; not those of a shelf."""
        return self.key, list(self._rows.values()), list(self._indexes), set(self._unique)

    def take_back(self, rows: Iterable[Row], indexes: Iterable[tuple[str, ...]], unique: set[tuple[str, ...]]) -> None:
        """Hold these rows, indexes and unique columns, and no others; the table is empty."""
        self._unique = set(unique)
        for columns in indexes:
            self.index(*columns)
        for row in rows:
            self._put(self.key_of(row), row)

    def restore(self, key: Key, row: Row | None) -> None:
        """Undo one write: put `row` back, or take the row away where there was none."""
        if row is None:
            self._remove(key)
        else:
            self._put(key, row)

    def _by_primary_key(self, choices: Mapping[str, tuple[Any, ...]]) -> list[Row]:
        keys = dict.fromkeys(product(*(tuple(fold(v) for v in choices[column]) for column in self.key)))
        return [self._rows[key] for key in keys if key in self._rows]

    def _at(self, key: Key) -> Row | None:
        """The row of a folded key, here or on the shelf."""
        row = self._rows.get(key)
        if row is not None or self.shelf is None:
            return row
        position = self._place(key)
        return None if position is None else self.shelf.row(position)

    def _place(self, key: Key) -> int | None:
        if self.shelf is None or not all(isinstance(part, str) for part in key):
            return None
        position = self.shelf.position(key)
        return None if position in self._taken else position

    def _take(self, key: Key) -> None:
        """Take a row off the shelf, if it is there: what it is from now on is kept here, or nowhere."""
        position = self._place(key)
        if position is not None:
            self._taken.add(position)

    def _and_shelved(self, rows: list[Row], ask: Ask) -> Sequence[Row]:
        """Rows of this table, then those of the shelf that can be meant, which are read as they are looked at."""
        if self.shelf is None:
            return rows
        positions, _ = self.shelf.positions(ask)
        taken = self._taken
        entries = array("q", range(-1, -len(rows) - 1, -1))
        entries.extend(p for p in positions if p not in taken)
        return Arranged(self.shelf, entries, rows)

    def _put(self, key: Key, row: Row) -> None:
        self.revision += 1
        old = self._rows.get(key)
        if old is None:
            self._take(key)
        self._rows[key] = row
        for columns, entries in self._indexes.items():
            new_entry = self._entry(columns, row)
            if old is not None:
                old_entry = self._entry(columns, old)
                if old_entry == new_entry:
                    continue
                self._drop_entry(entries, old_entry, key)
            entries.setdefault(new_entry, {})[key] = None

    def _remove(self, key: Key) -> None:
        self.revision += 1
        self._take(key)
        row = self._rows.pop(key, None)
        if row is None:
            return
        for columns, entries in self._indexes.items():
            self._drop_entry(entries, self._entry(columns, row), key)

    @staticmethod
    def _drop_entry(entries: dict[Key, dict[Key, None]], entry: Key, key: Key) -> None:
        keys = entries[entry]
        del keys[key]
        if not keys:
            del entries[entry]

    @staticmethod
    def _entry(columns: tuple[str, ...], row: Mapping[str, Any]) -> Key:
        return tuple(fold(row.get(column)) for column in columns)

    def _check_unique(self, key: Key, row: Mapping[str, Any]) -> None:
        for columns in self._unique:
            entry = self._entry(columns, row)
            if None in entry:
                continue
            holders = self._indexes[columns].get(entry)
            shelved: Iterable[Row] = ()
            if self.shelf is not None:
                shelved = self.candidates({column: (row[column],) for column in columns})
            others = [self.key_of(found) for found in shelved if self._entry(columns, found) == entry]
            if any(holder != key for holder in (*(holders or ()), *others)):
                raise DuplicateKey(self.name, columns, entry, primary=False)


def _probe(
    columns: tuple[str, ...], entries: dict[Key, dict[Key, None]], choices: Mapping[str, tuple[Any, ...]]
) -> list[Key] | None:
    """The keys an index holds for every combination of the chosen values; None where that would be too many."""
    size = 1
    for column in columns:
        size *= len(choices[column])
    if size > _MAX_PROBES:
        return None
    found: dict[Key, None] = {}
    for entry in product(*(tuple(fold(value) for value in choices[column]) for column in columns)):
        found.update(entries.get(entry, {}))
    return list(found)
