"""The in-memory tables both simulated systems keep their rows in.

The sandbox stands in for two databases whose behaviour the product relies on: a write happens wholly or not at all,
reads by key or by an indexed column do not slow down as tables grow, and every committed change can be observed
afterwards (webhooks, business events, change tracking). This module gives just that, for one asyncio thread: there is
no locking, because a transaction never awaits.

Rows are plain dicts that are **never changed in place**: an update stores a new dict. So a `Change` can hold the row
before and after without copying, and a reader may keep a row it was given.

How to use it::

    db = Database()
    orders = db.table("SalesOrderHeaders", key=("dataAreaId", "SalesOrderNumber"))
    orders.index("dataAreaId", "OrderingCustomerAccountNumber")      # used by every equality look-up on both columns
    orders.unique("dataAreaId", "CustomerRequisitionNumber")         # refuses a second row (DuplicateKey); nulls exempt

    with db.transaction():                                           # all or nothing; nests like a savepoint
        orders.insert({"dataAreaId": "usmf", "SalesOrderNumber": "SO-1", ...})
        orders.update(("usmf", "SO-1"), {"SalesOrderStatus": "Delivered"})
        db.defer(lambda: queue.append(event))                        # runs after commit, never after a rollback

    orders.get(("usmf", "SO-1"))                                     # dict or None; text in keys ignores case
    orders.find(dataAreaId="usmf", OrderingCustomerAccountNumber="US-001")
    db.on_commit(lambda changes: ...)                                # list[Change], once per outermost transaction
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final, Literal

Row = dict[str, Any]
Key = tuple[Any, ...]
Kind = Literal["create", "update", "delete"]

_MAX_PROBES: Final = 1000


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


class Clock:
    """The sandbox's own time, so that a test can let days pass.

    `now` is always time-zone aware, in UTC.
    """

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        self.offset = offset

    def now(self) -> datetime:
        """The present moment of the simulated world, in UTC."""
        return datetime.now(UTC) + self.offset


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


class Table:
    """Rows by primary key, with hash indexes. Made by `Database.table`."""

    def __init__(self, db: Database, name: str, key: tuple[str, ...]) -> None:
        self.name = name
        self.key = key
        self._db = db
        self._rows: dict[Key, Row] = {}
        self._indexes: dict[tuple[str, ...], dict[Key, dict[Key, None]]] = {}
        self._unique: set[tuple[str, ...]] = set()
        self.revision = 0
        """Rises whenever a row changes, also when a change is undone: what was derived from the rows is stale then."""

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(list(self._rows.values()))

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
        entries = [self._entry(columns, row) for row in self._rows.values()]
        complete = [entry for entry in entries if None not in entry]
        return len(set(complete)) < len(complete)

    def get(self, key: Iterable[Any]) -> Row | None:
        """The row with this primary key, or None."""
        return self._rows.get(tuple(fold(part) for part in key))

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

    def candidates(self, choices: Mapping[str, tuple[Any, ...]], floors: Mapping[str, Any] | None = None) -> list[Row]:
        """A superset of the rows whose columns each hold one of the given values, and are not below the floors.

        Args:
            choices: Column -> the values it may have, as `sandbox.odata.filters.Filter.choices` gives them.
            floors: Column -> its least value. An index on the column alone helps where it holds few values, as with
                days.

        Returns:
            The rows of the narrowest index that fits, or every row where none does. The caller still has to filter.
        """
        best: list[Key] | None = None
        if choices:
            if all(column in choices for column in self.key):
                return self._by_primary_key(choices)
            for columns, entries in self._indexes.items():
                if all(column in choices for column in columns):
                    found = _probe(columns, entries, choices)
                    if found is not None and (best is None or len(found) < len(best)):
                        best = found
        for column, floor in (floors or {}).items():
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
        if key in self._rows:
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
        before = self._rows.get(folded)
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
        before = self._rows.get(folded)
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

    def restore(self, key: Key, row: Row | None) -> None:
        """Undo one write: put `row` back, or take the row away where there was none."""
        if row is None:
            self._remove(key)
        else:
            self._put(key, row)

    def _by_primary_key(self, choices: Mapping[str, tuple[Any, ...]]) -> list[Row]:
        keys = dict.fromkeys(product(*(tuple(fold(v) for v in choices[column]) for column in self.key)))
        return [self._rows[key] for key in keys if key in self._rows]

    def _put(self, key: Key, row: Row) -> None:
        self.revision += 1
        old = self._rows.get(key)
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
        row = self._rows.pop(key)
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
            if holders and any(holder != key for holder in holders):
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


class Database:
    """A set of tables with one version counter, transactions and after-commit listeners."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.version = 1_000_000
        self.tables: dict[str, Table] = {}
        self._depth = 0
        self._log: list[tuple[Table, Change]] = []
        self._deferred: list[Callable[[], None]] = []
        self._listeners: list[Callable[[list[Change]], None]] = []
        self._committed: deque[tuple[list[Change], list[Callable[[], None]]]] = deque()
        self._notifying = False

    def table(self, name: str, key: tuple[str, ...]) -> Table:
        """The table of this name, made on first use.

        Raises:
            StoreError: It exists with another key.
        """
        table = self.tables.get(name)
        if table is None:
            table = self.tables[name] = Table(self, name, key)
        elif table.key != key:
            raise StoreError(f"{name} has the key {table.key}, not {key}")
        return table

    def on_commit(self, listener: Callable[[list[Change]], None]) -> None:
        """Call `listener` with every outermost transaction's changes, after they are committed, in order.

        A listener may write: those writes are a transaction of their own, told to the listeners afterwards.
        """
        self._listeners.append(listener)

    def defer(self, callback: Callable[[], None]) -> None:
        """Run `callback` once the running transaction commits (at once where there is none), never after a rollback."""
        with self.transaction():
            self._deferred.append(callback)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._depth > 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes in the block are kept, or none: any exception undoes them and passes on.

        Inside another transaction it acts as a savepoint. The block must not await.
        """
        mark, deferred_mark = len(self._log), len(self._deferred)
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            self._undo_to(mark)
            del self._deferred[deferred_mark:]
            raise
        self._depth -= 1
        if self._depth == 0:
            self._commit()

    def record(self, table: Table, kind: Kind, key: Key, before: Row | None, after: Row | None) -> None:
        """Note a write in the open transaction's log (called by `Table`)."""
        self.version += 1
        self._log.append((table, Change(table.name, kind, key, before, after, self.version)))

    def copy_from(self, other: Database) -> None:
        """Hold the tables, rows and indexes of another database; rows are shared, as they never change in place."""
        for name, table in other.tables.items():
            self.table(name, table.key).copy_from(table)
        self.version = max(self.version, other.version)

    def clear(self) -> None:
        """Forget all rows of all tables; definitions, listeners and the version stay."""
        for table in self.tables.values():
            table.clear()

    def _undo_to(self, mark: int) -> None:
        while len(self._log) > mark:
            table, change = self._log.pop()
            table.restore(change.key, change.before)

    def _commit(self) -> None:
        changes = [change for _, change in self._log]
        deferred = self._deferred
        self._log, self._deferred = [], []
        if not changes and not deferred:
            return
        self._committed.append((changes, deferred))
        if self._notifying:
            return
        self._notifying = True
        try:
            while self._committed:
                committed, callbacks = self._committed.popleft()
                if committed:
                    for listener in list(self._listeners):
                        listener(committed)
                for callback in callbacks:
                    callback()
        finally:
            self._notifying = False
