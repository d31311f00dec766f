"""One OData client for both systems: connections, tokens, errors, ETags, pages and batches.

Every method makes exactly one HTTP request, because the number of requests is a budget. Two exceptions, both rare: a
401 is answered once with a fresh token, and `all_rows` follows pages while there are any.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import certifi
import httpx
import msgspec

from dynamics.core import exact_json, telemetry
from dynamics.core.auth import TokenSource
from dynamics.core.batch import BatchItem, ChangeSet, MalformedBatch, RawPart, Read, Write, format_batch, parse_batch
from dynamics.core.budget import Budget
from dynamics.core.errors import Answer, DynamicsError, Failure, System, Throttled, answer_of, request_id_of
from dynamics.core.network import is_loopback

SECONDS_PER_OPERATION = 0.1
"""How much longer a batch may be silent for each operation in it: a system that writes 150 lines is not dead."""

Row = dict[str, Any]
"""One row as decoded from JSON: numbers are `int` or `Decimal`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a system is and how long to wait for it. Times in seconds."""

    base_url: str
    """Origin, e.g. `https://contoso.crm.dynamics.com`; a trailing slash is ignored."""
    ca_file: str | None = None
    """PEM file of the authority that signed the server's certificate; None means the public authorities."""
    connect_timeout: float = 5.0
    read_timeout: float = 40.0
    """Longest silence while waiting for an answer. For a write, silence beyond it is an unknown outcome."""
    pool_timeout: float = 10.0
    max_connections: int = 40
    """Below Dataverse's 52 concurrent requests of one user."""
    keepalive_expiry: float = 30.0
    http2: bool = True
    """Offer HTTP/2; the server decides."""

    @property
    def origin(self) -> str:
        """The base URL without trailing slash: what a token's audience is compared with."""
        return self.base_url.rstrip("/")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer and where the next ones are."""

    rows: list[Row]
    next_link: str | None
    delta_link: str | None


@dataclass(frozen=True, slots=True)
class Written:
    """What a write answered."""

    row: Row | None
    """The row, when a representation came back."""
    entity_id: str
    """URL of the row (`OData-EntityId`); empty when a representation came back."""
    created: bool
    """True for 201, and for a POST's 204."""


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one request inside a batch."""

    row: Row | None
    error: DynamicsError | None

    def value(self) -> Row:
        """The decoded body; raises the part's error."""
        if self.error is not None:
            raise self.error
        return self.row or {}


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The answer to one item of a batch: a read's single part, or a change set's parts."""

    parts: tuple[Part, ...]
    error: DynamicsError | None
    """Why the read failed, or why the whole change set was undone."""

    def check(self) -> tuple[Part, ...]:
        """The parts; raises the item's error."""
        if self.error is not None:
            raise self.error
        return self.parts

    def value(self) -> Row:
        """The decoded body of a read; raises its error."""
        return self.check()[0].value()

    def rows(self) -> list[Row]:
        """The rows of a read collection; raises its error."""
        return list(self.value().get("value", []))


class ODataClient:
    """A connection pool to one system, as one application.

    Use as an async context manager, or call `aclose`. Safe for use by many tasks of one event loop.
    """

    def __init__(
        self,
        system: System,
        endpoint: Endpoint,
        tokens: TokenSource,
        *,
        service_path: str,
        headers: Mapping[str, str],
        max_batch: int,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is connected yet.

        Args:
            system: Which system this is; decides the rows of the error table.
            endpoint: Where, and how long to wait.
            tokens: Source of bearer tokens for the endpoint's origin.
            service_path: Path of the OData service, e.g. `api/data/v9.2`.
            headers: Sent with every request.
            max_batch: Most operations the system takes in one `$batch`.
            budget: How many requests a second may go; None: as many as are asked for.
            clock: Monotonic seconds.
        """
        self.system = system
        self.origin = endpoint.origin
        self.root = f"{endpoint.origin}/{service_path.strip('/')}/"
        self.max_batch = max_batch
        self._tokens = tokens
        self._budget = budget
        self._patience = endpoint.read_timeout
        self._clock = clock
        self._not_before = 0.0
        host = urlsplit(endpoint.origin).hostname or ""
        self._host = host
        self._http = httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=endpoint.ca_file or certifi.where()),
            http2=endpoint.http2,
            headers=dict(headers),
            # A proxy of the environment must not be asked for a server on this machine.
            trust_env=not is_loopback(host),
            timeout=httpx.Timeout(endpoint.read_timeout, connect=endpoint.connect_timeout, pool=endpoint.pool_timeout),
            limits=httpx.Limits(
                max_connections=endpoint.max_connections,
                max_keepalive_connections=endpoint.max_connections,
                keepalive_expiry=endpoint.keepalive_expiry,
            ),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    # --- reads -----------------------------------------------------------------------------------------------------

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Row:
        """One row, or any other single JSON object.

        Raises:
            NotFound: no row under this key.
            DynamicsError: as the error table says.
        """
        response = await self._send("GET", self.root + path, headers=headers)
        return self._object(response, operation_of(path), write=False)

    async def text(self, path: str, *, patience: float | None = None) -> str:
        """A document that is not JSON: `$metadata`. `patience`: longest silence in seconds; None: the endpoint's."""
        response = await self._send("GET", self.root + path, headers={"Accept": "application/xml"}, patience=patience)
        return response.text

    async def page(self, path_or_link: str, *, prefer: str | None = None) -> Page:
        """One page of a collection.

        Args:
            path_or_link: A path with options, or a `nextLink`/`deltaLink` exactly as it came.
            prefer: The `Prefer` header, the same for every page of one query.

        Raises:
            ValueError: a link to another origin: our token must not go there.
        """
        url = path_or_link if path_or_link.startswith(("https://", "http://")) else self.root + path_or_link
        if not url.startswith(self.origin + "/"):
            raise ValueError(f"a link that leaves {self.origin}")
        response = await self._send("GET", url, headers={"Prefer": prefer} if prefer else None)
        body = self._object(response, operation_of(url.removeprefix(self.root)), write=False)
        return Page(list(body.get("value", [])), body.get("@odata.nextLink"), body.get("@odata.deltaLink"))

    async def all_rows(self, path: str, *, prefer: str | None = None) -> list[Row]:
        """All rows of a collection, page after page; one request per page.

        Raises:
            Transient: the server gave the same link twice, which would never end.
        """
        rows: list[Row] = []
        seen: set[str] = set()
        link: str | None = path
        while link is not None:
            if link in seen:
                answer = Answer(self.system, write=False, message="the same page was offered twice", operation=path)
                raise answer.error()
            seen.add(link)
            page = await self.page(link, prefer=prefer)
            rows += page.rows
            link = page.next_link
        return rows

    # --- writes ----------------------------------------------------------------------------------------------------

    async def post(
        self, path: str, body: Row, *, representation: bool = False, headers: Mapping[str, str] | None = None
    ) -> Written:
        """Create a row, or a definition; `headers` stand beside those of every request.

        Raises:
            Conflict: its key exists.
            UnknownOutcome: the request left and no answer came.
            DynamicsError: as the error table says.
        """
        return await self._write("POST", path, body, dict(headers or {}), representation)

    async def put(self, path: str, body: Row, *, headers: Mapping[str, str] | None = None) -> None:
        """Put a definition in place of the old one: Dataverse's metadata knows no PATCH. Raises as `post`."""
        await self._write("PUT", path, body, dict(headers or {}), representation=False)

    async def patch(
        self,
        path: str,
        body: Row,
        *,
        if_match: str | None = "*",
        if_none_match: str | None = None,
        representation: bool = False,
    ) -> Written:
        """Change a row; by default only one that exists.

        Dataverse's PATCH creates a row where none is, unless told otherwise (Microsoft Learn: "Use Upsert to create or
        update a record").

        Args:
            path: The row's path.
            body: The columns to change.
            if_match: `*` (must exist), an ETag (must be unchanged), or None (create it where it is missing).
            if_none_match: `*` to create only.
            representation: Ask for the row in the answer.

        Raises:
            Conflict: the ETag is stale, or with `if_none_match` the row exists.
            NotFound: with `if_match`, the row does not exist.
            UnknownOutcome: the request left and no answer came.
        """
        conditions = {"If-Match": if_match, "If-None-Match": if_none_match}
        headers = {name: value for name, value in conditions.items() if value is not None}
        return await self._write("PATCH", path, body, headers, representation)

    async def delete(self, path: str, *, if_match: str | None = None) -> None:
        """Delete a row.

        Raises:
            NotFound: it is gone already.
            Conflict: the ETag is stale.
        """
        await self._send("DELETE", self.root + path, headers={"If-Match": if_match} if if_match else None)

    async def action(self, path: str, body: Row, *, base: str | None = None) -> Row:
        """Call an action or a custom service; its answer, `{}` where it has none.

        Args:
            path: Action name, or path below `base`.
            body: Parameters by their exact names.
            base: Another root on the same origin, e.g. for Finance's `/api/services/`.
        """
        response = await self._send("POST", (base or self.root) + path, content=exact_json.dumps(body))
        return self._object(response, operation_of(path), write=True)

    async def batch(self, items: Sequence[BatchItem]) -> list[BatchAnswer]:
        """Several requests in one. The answers are in the order of `items`, errors inside them.

        A failing item does not stop the others (`Prefer: odata.continue-on-error`).

        Raises:
            ValueError: more operations than the system takes at once.
            UnknownOutcome: it held a change set, left us, and no readable answer came.
            DynamicsError: the batch as a whole was refused or could not be sent.
        """
        count = sum(1 if isinstance(i, Read) else len(i.writes) for i in items)
        if not items or count > self.max_batch:
            raise ValueError(f"a batch of {count} operations: {self.system.value} takes 1 to {self.max_batch}")
        writes = any(isinstance(i, ChangeSet) for i in items)
        content_type, content = format_batch(items, self.root)
        response = await self._send(
            "POST",
            self.root + "$batch",
            content=content,
            headers={
                "Content-Type": content_type,
                "Accept": "multipart/mixed",
                "Prefer": "odata.continue-on-error",
            },
            write=writes,
            multipart=True,
            patience=self._patience + SECONDS_PER_OPERATION * count,
        )
        try:
            answers = parse_batch(response.headers.get("content-type", ""), response.content)
        except MalformedBatch as e:
            raise self._unreadable(str(e), "$batch", writes) from e
        return [self._item(item, answers[n] if n < len(answers) else []) for n, item in enumerate(items)]

    # --- inside ----------------------------------------------------------------------------------------------------

    async def _write(self, method: str, path: str, body: Row, headers: dict[str, str], representation: bool) -> Written:
        if representation:
            headers["Prefer"] = "return=representation"
        response = await self._send(method, self.root + path, content=exact_json.dumps(body), headers=headers)
        row = self._object(response, operation_of(path), write=True) if response.content else None
        created = response.status_code == httpx.codes.CREATED or (
            method == "POST" and response.status_code == httpx.codes.NO_CONTENT
        )
        return Written(row, response.headers.get("odata-entityid", ""), created)

    async def _send(
        self,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        write: bool | None = None,
        multipart: bool = False,
        patience: float | None = None,
    ) -> httpx.Response:
        """One request with a token, once more with a fresh one where the token was refused.

        Args:
            method: HTTP method.
            url: Absolute.
            content: Body, JSON unless the headers say otherwise.
            headers: Beside those of every request.
            write: Whether it may change something; None: by its method.
            multipart: An error whose body is multipart is an answer, with errors inside.
            patience: Longest silence while waiting for the answer, in seconds; None: the endpoint's.
        """
        write = method != "GET" if write is None else write
        operation = operation_of(url.removeprefix(self.root).removeprefix(self.origin + "/"))
        self._respect_cool_down(f"{method} {operation}")
        sent = dict(headers or {})
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        for attempt in (1, 2):
            token = await self._tokens.token()
            sent["Authorization"] = f"Bearer {token}"
            if self._budget is not None:
                asked = time.perf_counter()
                await self._budget.take()
                telemetry.waited(self.system, time.perf_counter() - asked)
            response = await self._send_once(method, url, content, sent, write, operation, patience)
            if response.status_code != httpx.codes.UNAUTHORIZED or attempt == 2:
                break
            self._tokens.drop(token)
        if response.is_success or (multipart and _is_multipart(response)):
            return response
        error = answer_of(
            system=self.system,
            write=write,
            status=response.status_code,
            headers=response.headers,
            body=response.content,
            operation=f"{method} {operation}",
        ).error()
        if isinstance(error, Throttled) and error.retry_after is not None:
            self._not_before = max(self._not_before, self._clock() + error.retry_after)
        raise error

    async def _send_once(
        self,
        method: str,
        url: str,
        content: bytes | None,
        headers: dict[str, str],
        write: bool,
        operation: str,
        patience: float | None,
    ) -> httpx.Response:
        timeout = self._http.timeout
        if patience is not None:
            timeout = httpx.Timeout(patience, connect=timeout.connect, pool=timeout.pool)
        with telemetry.observed(self.system, method, operation, self._host) as observation:
            observation.inject(headers)
            try:
                response = await self._http.request(method, url, content=content, headers=headers, timeout=timeout)
            except httpx.RequestError as e:
                unsent = isinstance(e, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                error = Answer(
                    self.system,
                    write,
                    failure=Failure.NOT_SENT if unsent else Failure.SENT,
                    message=f"{type(e).__name__}: {e}" if str(e) else type(e).__name__,
                    operation=f"{method} {operation}",
                ).error()
                observation.failed(error)
                raise error from e
            observation.answered(response.status_code, request_id_of(response.headers), response.headers)
            return response

    def _respect_cool_down(self, operation: str) -> None:
        """Refuse to send while the system asked to be left alone: hammering on makes it ask for longer."""
        wait = self._not_before - self._clock()
        if wait > 0:
            raise Throttled(
                "not sent: the system asked for a pause that is not over",
                system=self.system,
                status=429,
                operation=operation,
                retry_after=max(1.0, wait),
            )

    def _item(self, item: BatchItem, raw: list[RawPart]) -> BatchAnswer:
        write = isinstance(item, ChangeSet)
        first = item.writes[0] if isinstance(item, ChangeSet) else item
        method = first.method if isinstance(first, Write) else "GET"
        operation = f"{method} {operation_of(first.path)}"
        if not raw:
            return BatchAnswer((), self._unreadable("the batch gave no answer to this request", operation, write))
        parts = tuple(self._part(p, operation, write=write) for p in raw)
        error = next((p.error for p in parts if p.error is not None), None)
        expected = len(item.writes) if isinstance(item, ChangeSet) else 1
        if error is None and len(parts) != expected:
            error = self._unreadable(f"{len(parts)} answers to {expected} requests", operation, write)
        return BatchAnswer(parts, error)

    def _part(self, raw: RawPart, operation: str, *, write: bool) -> Part:
        if not 200 <= raw.status < 300:
            answer = answer_of(
                system=self.system,
                write=write,
                status=raw.status,
                headers=raw.headers,
                body=raw.body,
                operation=operation,
            )
            return Part(None, answer.error())
        try:
            row = exact_json.loads(raw.body) if raw.body.strip() else None
        except msgspec.DecodeError as e:
            return Part(None, self._unreadable(str(e), operation, write))
        return Part(row, None)

    def _object(self, response: httpx.Response, operation: str, *, write: bool) -> Row:
        if not response.content:
            return {}
        try:
            decoded = exact_json.loads(response.content)
        except msgspec.DecodeError as e:
            raise self._unreadable(str(e), operation, write) from e
        return decoded if isinstance(decoded, dict) else {"value": decoded}

    def _unreadable(self, why: str, operation: str, write: bool) -> DynamicsError:
        return Answer(self.system, write, message=f"unreadable answer: {why}", operation=operation).error()


def operation_of(path: str) -> str:
    """The entity set or action of a path, without key and options: `quotes(…)?$select=…` gives `quotes`."""
    for stop in ("(", "?"):
        path = path.partition(stop)[0]
    return path.strip("/") or "service document"


def _is_multipart(response: httpx.Response) -> bool:
    return bool(response.headers.get("content-type", "").lower().startswith("multipart/mixed"))
