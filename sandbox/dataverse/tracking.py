"""Change tracking: what changed in a table since a delta token, deletions included.

(Microsoft Learn: "Use change tracking to synchronize data with external systems".)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.dataverse.errors import DataverseError
from sandbox.dataverse.schema import Schema
from sandbox.store import Change, Database, Row, Table

_FORMAT: Final = "%m/%d/%Y %H:%M:%S"
_EXPIRED: Final = "Version stamp associated with the client has expired. Please perform a full sync."
"""ExpiredVersionStamp, 0x80044352, as RetrieveEntityChanges throws it; that its HTTP status is 410 is an assumption."""


@dataclass(frozen=True, slots=True)
class Token:
    """A point in the history: everything up to `version` has been told."""

    version: int
    issued: datetime

    def text(self) -> str:
        """The form in which it goes into a delta link."""
        return f"{self.version}!{self.issued.strftime(_FORMAT)}"


class ChangeLog:
    """Remembers deletions, and answers what changed since a token."""

    def __init__(self, db: Database, schema: Schema, lifetime: Callable[[], timedelta]) -> None:
        """Watch the tables.

        Args:
            db: The tables.
            schema: Their definitions.
            lifetime: How long a delta link can be used.
        """
        self._db = db
        self._schema = schema
        self._lifetime = lifetime
        self._oldest = 0
        self._deleted: dict[str, list[tuple[int, str]]] = {}
        db.on_commit(self._note)

    def _note(self, changes: list[Change]) -> None:
        for change in changes:
            if change.kind == "delete" and change.table in self._schema.by_name:
                self._deleted.setdefault(change.table, []).append((change.version, str(change.key[0])))

    def now(self) -> Token:
        """The present point in the history."""
        return Token(self._db.version, self._db.clock.now())

    def parse(self, text: str) -> Token:
        """A token from a delta link.

        Raises:
            DataverseError: It is not one of ours, or has expired.
        """
        version, _, moment = text.partition("!")
        try:
            issued = datetime.strptime(moment, _FORMAT).replace(tzinfo=self._db.clock.now().tzinfo)
            token = Token(int(version), issued)
        except ValueError as problem:
            raise DataverseError(400, "0x80060888", "The delta token is malformed.") from problem
        if self._db.clock.now() - issued > self._lifetime() or token.version < self._oldest:
            raise DataverseError(410, "0x80044352", _EXPIRED)
        return token

    def since(self, table: Table, token: Token) -> list[tuple[int, Row | str]]:
        """What changed in a table after the token, oldest first: the version, and the row or the id of a deleted one.

        Args:
            table: The table, as it is now.
            token: The point after which to begin.
        """
        deleted = self._deleted.get(table.name, [])
        first = len(deleted)
        while first > 0 and deleted[first - 1][0] > token.version:
            first -= 1
        changes: list[tuple[int, Row | str]] = list(deleted[first:])
        rows = table.candidates({}, {"versionnumber": token.version + 1})
        changes.extend((row["versionnumber"], row) for row in rows if row["versionnumber"] > token.version)
        return sorted(changes, key=_version)

    def expire(self) -> None:
        """End the life of every delta link that was given out until now."""
        self._db.version += 1
        self._oldest = self._db.version

    def kept(self) -> Any:
        """The deletions: what lasts beside the tables."""
        return self._oldest, self._deleted

    def take_back(self, kept: Any) -> None:
        """Go on from what `kept` gave."""
        self._oldest, self._deleted = kept

    def clear(self) -> None:
        """Forget the deletions, for a reset of the sandbox."""
        self._deleted.clear()
        self._oldest = 0


def _version(change: tuple[int, Row | str]) -> int:
    return change[0]
