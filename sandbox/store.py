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
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.shelf import Key, Row
from sandbox.table import Change, DuplicateKey, Kind, NoSuchRow, StoreError, Table, fold

__all__ = [
    "Change",
    "Clock",
    "Database",
    "DuplicateKey",
    "Key",
    "Kind",
    "NoSuchRow",
    "Row",
    "StoreError",
    "Table",
    "fold",
]


class Clock:
    """The sandbox's own time, so that a test can let days pass.

    `now` is always time-zone aware, in UTC.
    """

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        self.offset = offset

    def now(self) -> datetime:
        """The present moment of the simulated world, in UTC."""
        return datetime.now(UTC) + self.offset


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
        self.era = 0
        """Rises whenever everything is forgotten."""
        self.keep: Callable[[list[Change]], None] | None = None
        """Told of every outermost transaction once all listeners are through with it (`sandbox.journal`)."""

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
        self.era += 1
        for table in self.tables.values():
            table.clear()

    def kept(self) -> dict[str, Any]:
        """All tables and the version, as plain objects for `take_back`; the rows are not copied."""
        return {"version": self.version, "tables": {name: table.kept() for name, table in self.tables.items()}}

    def take_back(self, kept: Mapping[str, Any]) -> None:
        """Hold what `kept` gave and nothing else; no listener is told."""
        self.clear()
        self.version = kept["version"]
        for name, (key, *rest) in kept["tables"].items():
            self.table(name, key).take_back(*rest)

    def repeat(self, changes: Iterable[tuple[str, tuple[str, ...], Kind, Key, Row | None, int]]) -> None:
        """Make changes once more, each a table with its key columns, what was done to which row, and the version then.

        Of an update the row is what was laid over. No listener is told.
        """
        for name, columns, kind, key, row, version in changes:
            table = self.table(name, columns)
            if kind == "update" and row is not None:
                row = {**(table.get(key) or {}), **row}
            table.restore(key, row)
            self.version = version

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
        told: list[Change] = []
        try:
            while self._committed:
                committed, callbacks = self._committed.popleft()
                told += committed
                if committed:
                    for listener in list(self._listeners):
                        listener(committed)
                for callback in callbacks:
                    callback()
        finally:
            self._notifying = False
            if self.keep is not None:
                self.keep(told)
