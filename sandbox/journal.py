"""A file that lets a sandbox be killed at any moment and started again as it was.

Everything is kept in memory; the journal beside it holds what was committed. It begins with all that was there, and
each commit is appended before anybody hears of it: an answer leaves, a webhook or a business event is sent, only
afterwards. So what a killed sandbox has said is true again once it is started with the same file, and what it owed to
others is sent (again: at least once, as by the real systems). A record that was being written when the process died is
left out: nobody had heard of it.

It is written for the death of the process, not of the machine: nothing waits for the disk.
"""

from __future__ import annotations

import io
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.store import Change, Database, Row

_HEAD: Final = struct.Struct(">II")
"""Of each record: its length and its checksum."""
_VERSIONS_LEFT_OUT: Final = 1_000_000
"""Versions that may have been given out by what was rolled back: after a restart they count on from beyond."""


class Lasting(Protocol):
    """Something that lasts beside the tables."""

    def kept(self) -> Any:
        """What lasts, as plain objects that can be pickled: a new object, or the same one where nothing has changed."""

    def take_back(self, kept: Any) -> None:
        """Go on from what `kept` gave."""


class Journal:
    """The journal of one sandbox."""

    def __init__(self, path: Path, databases: Mapping[str, Database], parts: Mapping[str, Lasting]) -> None:
        """Nothing is read or written yet.

        Args:
            path: the file.
            databases: by name, all tables that last.
            parts: by name, whatever else lasts.
        """
        self._path = path
        self._databases = databases
        self._parts = parts
        self._file: io.FileIO | None = None
        self._eras: dict[str, int] = {}
        self._told: dict[str, tuple[Any, bytes]] = {}

    def recover(self) -> bool:
        """Make everything as it was when the process ended; False where there is no journal."""
        if not self._path.exists():
            return False
        records = _read(self._path)
        first = next(records, None)
        if first is None:
            return False
        for name, database in self._databases.items():
            database.take_back(first["tables"][name])
        latest = dict(first["parts"])
        for record in records:
            for name, changes in record["rows"]:
                self._databases[name].repeat(changes)
            latest |= record["parts"]
        for database in self._databases.values():
            database.version += _VERSIONS_LEFT_OUT
        for name, state in latest.items():
            self._parts[name].take_back(pickle.loads(state))  # noqa: S301  # its own file
        return True

    def begin(self) -> None:
        """Write down all there is in place of what was, and from now on what changes."""
        if self._file is not None:
            self._file.close()
        self._told.clear()
        self._eras = {name: database.era for name, database in self._databases.items()}
        tables = {name: database.kept() for name, database in self._databases.items()}
        fresh = self._path.with_suffix(".new")
        self._file = io.FileIO(fresh, "w")
        self._write({"tables": tables, "parts": self._changed()})
        fresh.replace(self._path)
        for name, database in self._databases.items():
            database.keep = self._keeper(name)

    def note(self) -> None:
        """Write down what changed without a commit. After a reset everything is written anew."""
        if self._file is None:
            return
        if self._reset:
            self.begin()
        elif parts := self._changed():
            self._write({"rows": [], "parts": parts})

    def close(self) -> None:
        """Write nothing any more."""
        for database in self._databases.values():
            database.keep = None
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _reset(self) -> bool:
        """Whether the tables were emptied: until all is there again, what was there before is what would come back."""
        return any(database.era != self._eras[name] for name, database in self._databases.items())

    def _keeper(self, name: str) -> Callable[[list[Change]], None]:
        def keep(changes: list[Change]) -> None:
            if self._reset:
                return
            rows = [_delta(self._databases[name], change) for change in changes]
            parts = self._changed()
            if rows or parts:
                self._write({"rows": [(name, rows)], "parts": parts})

        return keep

    def _changed(self) -> dict[str, bytes]:
        """The parts that are not as they were last told."""
        changed: dict[str, bytes] = {}
        for name, part in self._parts.items():
            state = part.kept()
            last = self._told.get(name)
            if last is not None and last[0] is state:
                continue
            written = pickle.dumps(state, pickle.HIGHEST_PROTOCOL)
            if last is None or last[1] != written:
                changed[name] = written
            self._told[name] = (state, written)
        return changed

    def _write(self, record: Mapping[str, Any]) -> None:
        """Append a record whole, or leave the file as it was.

        Raises:
            OSError: there is no room for it.
        """
        if self._file is None:
            raise ValueError("the journal has not begun")
        body = pickle.dumps(record, pickle.HIGHEST_PROTOCOL)
        written = _HEAD.pack(len(body), zlib.crc32(body)) + body
        begin = self._file.tell()
        try:
            if self._file.write(written) != len(written):
                raise OSError(f"{self._path}: no room for a record of {len(written)} bytes")
        except OSError:
            self._file.truncate(begin)
            self._file.seek(begin)
            raise


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """The whole records of a file: one that was cut off is the last."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            body = file.read(length)
            if len(body) < length or zlib.crc32(body) != checksum:
                return
            yield pickle.loads(body)  # noqa: S301  # its own file


def _delta(database: Database, change: Change) -> tuple[Any, ...]:
    """A change as `Database.repeat` takes it: of an update only what is new."""
    row: Row | None = change.after
    if change.before is not None and row is not None:
        before = change.before
        row = {name: value for name, value in row.items() if name not in before or before[name] is not value}
    return change.table, database.tables[change.table].key, change.kind, change.key, row, change.version


class Keeping:
    """The middleware of one origin: what a request changed is in the journal before its answer leaves."""

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""

        async def kept(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._journal.note()
            await send(message)

        await self._app(scope, receive, send if scope.get("method") == "GET" else kept)
