"""A client that reads and cannot write: it has no method for it, and what it sends is looked at before it leaves.

Nothing of ``dynamics.sales`` and ``dynamics.finance`` is imported here (a contract of the build): whoever reads in bulk
holds no client that could write.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from dynamics.core.auth import ClientCredentials, Credentials
from dynamics.core.batch import Read
from dynamics.core.budget import Budget
from dynamics.core.errors import System
from dynamics.core.odata import BatchAnswer, ODataClient, Page, Row
from dynamics.core.transport import Endpoint

_SERVICE: Final = {System.DATAVERSE: "api/data/v9.2", System.FINANCE: "data"}
_TRIAL: Final = {System.DATAVERSE: "WhoAmI", System.FINANCE: "LegalEntities?$select=LegalEntityId&$top=1"}
READS_PER_BATCH: Final = 1_000
"""Reads of one `$batch`: what Dataverse takes (Microsoft Learn: "Execute batch operations using the Web API"); Finance
takes five times as many.
"""
_HEADERS: Final = {"Accept": "application/json", "OData-MaxVersion": "4.0", "OData-Version": "4.0"}


class _ReadingClient(ODataClient):
    """The client of all, in which every request is looked at just before it is sent."""

    def __init__(self, system: System, endpoint: Endpoint, credentials: Credentials, budget: Budget | None) -> None:
        super().__init__(
            system,
            endpoint,
            ClientCredentials(credentials, endpoint.origin),
            service_path=_SERVICE[system],
            headers=_HEADERS,
            max_batch=READS_PER_BATCH,
            trial=_TRIAL[system],
            budget=budget,
        )
        self.only_read()


class Reader:
    """One system, to be read in bulk. Use as an async context manager, or call `aclose`."""

    def __init__(
        self, system: System, endpoint: Endpoint, credentials: Credentials, *, budget: Budget | None = None
    ) -> None:
        """Nothing is connected yet.

        Args:
            system: Dataverse or Finance.
            endpoint: Where.
            credentials: As which application: one that may only read.
            budget: How many requests a second this process may send; None: without limit.
        """
        self.system = system
        self._odata = _ReadingClient(system, endpoint, credentials, budget)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._odata.aclose()

    async def row(self, path: str) -> Row:
        """One row, or any other single object; one request.

        Raises:
            DynamicsError: as the error table says; NotFound where there is none.
        """
        return await self._odata.get(path)

    async def page(self, path_or_link: str, *, rows: int | None = None, track: bool = False) -> Page:
        """One page of a collection; one request.

        Args:
            path_or_link: a path with options, or a next link as it came.
            rows: rows a page has at most, the same for every page of a query; None: as the system likes.
            track: ask Dataverse for a link to what changes from now on.

        Raises:
            DynamicsError: as the error table says.
        """
        wanted = ["odata.track-changes"] if track else []
        wanted += [] if rows is None else [f"odata.maxpagesize={rows}"]
        return await self._odata.page(path_or_link, prefer=",".join(wanted) or None)

    async def together(self, paths: Sequence[str]) -> list[BatchAnswer]:
        """Several reads in one request, answered in their order, errors inside the answers.

        Raises:
            DynamicsError: the request as a whole failed.
        """
        return await self._odata.batch([Read(path) for path in paths])
