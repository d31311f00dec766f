"""What the clients of both systems share: opening, closing, and reading several things in one request.

A client asks for what a stage needs by name, single rows and whole collections together, in one `$batch`. Collections
longer than a page are followed page by page. Finance pages by `$skip` without a snapshot, and Dataverse repeats rows of
expanded collections, so a row that comes twice is one row: every collection says which columns tell its rows apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

from dynamics.core.auth import ClientCredentials, Credentials, TokenSource
from dynamics.core.batch import BatchItem, Read
from dynamics.core.budget import Budget
from dynamics.core.circuit import Circuit
from dynamics.core.errors import NotFound, Refused, System
from dynamics.core.odata import BatchAnswer, ODataClient, Row
from dynamics.core.rows import ReadRow
from dynamics.core.transport import Endpoint

R = TypeVar("R", bound=ReadRow)

READS_PER_BATCH = 100
"""Reads sent together: a quote of 10,000 items asks for a thousand, and no system answers those in one breath."""

_HEADERS = {"Accept": "application/json", "OData-MaxVersion": "4.0", "OData-Version": "4.0"}


@dataclass(frozen=True, slots=True)
class Listing:
    """A collection to be read whole."""

    path: str
    """Relative to the service root, percent-encoded."""
    key: tuple[str, ...]
    """Columns that tell its rows apart; they are among those selected."""


class Reading:
    """The answers to one `Connection.read`, by name."""

    def __init__(self, system: System, rows: Mapping[str, Row | None], collections: Mapping[str, list[Row]]) -> None:
        self._system = system
        self._rows = rows
        self._collections = collections

    def one(self, kind: type[R], name: str) -> R | None:
        """The row of a name; None where there is none under its key."""
        row = self._rows[name]
        return None if row is None else kind.read(row, system=self._system, operation=kind.__name__)

    def value(self, name: str) -> Row:
        """The row of a name as it was decoded; empty where there is none."""
        return self._rows[name] or {}

    def all(self, kind: type[R], name: str) -> tuple[R, ...]:
        """All rows of a name's collections."""
        rows = self._collections.get(name, [])
        return tuple(kind.read(row, system=self._system, operation=kind.__name__) for row in rows)

    def readable(self, kind: type[R], name: str, unreadable: list[str]) -> tuple[R, ...]:
        """The rows of a name's collections that are as expected; why the others are not is added to `unreadable`."""
        read: list[R] = []
        for row in self.rows(name):
            try:
                read.append(kind.read(row, system=self._system, operation=kind.__name__))
            except Refused as refusal:
                unreadable.append(str(refusal))
        return tuple(read)

    def rows(self, name: str) -> list[Row]:
        """All rows of a name's collections as they were decoded."""
        return self._collections.get(name, [])


class Connection:
    """One system, as one application. Use as an async context manager, or call `aclose`."""

    system: ClassVar[System]
    service_path: ClassVar[str]
    max_batch: ClassVar[int]
    trial: ClassVar[str]
    """Path of a small read that shows whether a system that was away answers again."""

    def __init__(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        tokens: TokenSource | None = None,
        budget: Budget | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            endpoint: Where.
            credentials: As which application.
            tokens: Another source of tokens than the client's secret, e.g. a managed identity.
            budget: How many requests a second this process may send; None: without limit.
            circuit: The way to the system; None: one of its own.
        """
        self.odata = ODataClient(
            self.system,
            endpoint,
            tokens or ClientCredentials(credentials, endpoint.origin),
            service_path=self.service_path,
            headers=_HEADERS,
            max_batch=self.max_batch,
            trial=self.trial,
            budget=budget,
            circuit=circuit,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self.odata.aclose()

    async def read(
        self, rows: Mapping[str, str] | None = None, collections: Mapping[str, Sequence[Listing]] | None = None
    ) -> Reading:
        """Read single rows and whole collections, by name, in one batch; a further page is a request more.

        Args:
            rows: Path of a row by its name.
            collections: What makes up a collection by its name: one listing, or several where a filter has an end.

        Raises:
            DynamicsError: one of them could not be read, other than a row that does not exist.
        """
        wanted = [(name, path) for name, path in (rows or {}).items()]
        listings = [(name, listing) for name, several in (collections or {}).items() for listing in several]
        items: list[BatchItem] = [Read(path) for _, path in wanted]
        items += [Read(listing.path) for _, listing in listings]
        answers: list[BatchAnswer] = []
        for start in range(0, len(items), READS_PER_BATCH):
            answers += await self.odata.batch(items[start : start + READS_PER_BATCH])
        found: dict[str, Row | None] = {}
        for (name, _), answer in zip(wanted, answers[: len(wanted)], strict=True):
            found[name] = None if isinstance(answer.error, NotFound) else answer.value()
        whole: dict[str, list[Row]] = {name: [] for name in collections or {}}
        for (name, listing), answer in zip(listings, answers[len(wanted) :], strict=True):
            whole[name] += await self.rows_of(answer, listing.key)
        return Reading(self.system, found, whole)

    async def rows_of(self, answer: BatchAnswer, key: tuple[str, ...]) -> list[Row]:
        """All rows of a collection of a batch, each once; a further page is a request more."""
        rows = answer.rows()
        link = answer.value().get("@odata.nextLink")
        if isinstance(link, str):
            rows += await self.odata.all_rows(link)
        return distinct(rows, key)

    def row(self, kind: type[R], row: Any) -> R:
        """A decoded row of this system."""
        return kind.read(row, system=self.system, operation=kind.__name__)


def distinct(rows: Iterable[Row], key: tuple[str, ...]) -> list[Row]:
    """The rows, each once, where it came first and as it was read last: of two readings the later one is the system's
    word.
    """
    seen: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        seen[tuple(row.get(column) for column in key)] = row
    return list(seen.values())
