"""How one request reaches a system: a connection of the pool, a token, its turn in the budget, and the circuit.

Everything that is sent to Dynamics goes through `Transport`, whatever it asks for. While the system does not answer, or
asked for a pause, nothing is sent (`dynamics.core.circuit`).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import certifi
import httpx

from dynamics.core import telemetry
from dynamics.core.auth import TokenSource
from dynamics.core.budget import Budget
from dynamics.core.circuit import NO_ANSWER, TRIAL_PATIENCE, Circuit
from dynamics.core.errors import Answer, DynamicsError, Failure, System, Throttled, answer_of, request_id_of
from dynamics.core.evidence import answer_shown, no_answer, request_shown
from dynamics.core.network import is_loopback
from dynamics.core.reading import refuse_writes


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
class _Request:
    """What is asked."""

    method: str
    url: str
    operation: str
    write: bool
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    multipart: bool = False
    patience: float | None = None
    is_trial: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.operation}"


class Transport:
    """A connection pool to one system, as one application, and the way to it."""

    def __init__(
        self,
        system: System,
        endpoint: Endpoint,
        tokens: TokenSource,
        *,
        service_path: str,
        headers: Mapping[str, str],
        max_batch: int,
        trial: str,
        budget: Budget | None = None,
        circuit: Circuit | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            system: Which system this is; decides the rows of the error table.
            endpoint: Where, and how long to wait.
            tokens: Source of bearer tokens for the endpoint's origin.
            service_path: Path of the OData service, e.g. `api/data/v9.2`.
            headers: Sent with every request.
            max_batch: Most operations the system takes in one `$batch`.
            trial: Path of a small read that shows whether a system that was away answers again.
            budget: How many requests a second may go; None: as many as are asked for.
            circuit: The way to the system; None: one of its own.
        """
        self.system = system
        self.origin = endpoint.origin
        self.root = f"{endpoint.origin}/{service_path.strip('/')}/"
        self.max_batch = max_batch
        self._tokens = tokens
        self._budget = budget
        self._patience = endpoint.read_timeout
        self._trial = trial
        self._circuit = circuit or Circuit(system)
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

    def only_read(self) -> None:
        """Let nothing leave from now on that could change something: ``dynamics.core.reading.WriteRefused``."""
        self._http.event_hooks = {"request": [refuse_writes]}

    async def reach(self, operation: str = "trial") -> None:
        """Return where requests may be sent; a system that was away is tried first, where that is due.

        Args:
            operation: What is to be sent, for the error's text.

        Raises:
            Throttled, Unreachable: nothing may; `retry_after` says when to ask again.
            Transient, Unauthorized: Entra ID gives no token.
        """
        if self._circuit.is_open:
            await self._try(operation)
        self._circuit.check(operation)
        await self._tokens.token()

    async def _try(self, operation: str) -> None:
        """See whether the system answers again, where that is due."""
        if not self._circuit.may_try:
            raise self._circuit.refusal(operation)
        url, small_read = self.root + self._trial, operation_of(self._trial)
        with self._circuit.trial():
            try:
                await self._exchange(
                    _Request("GET", url, small_read, write=False, patience=TRIAL_PATIENCE, is_trial=True)
                )
            except DynamicsError as e:
                if e.system is not self.system:
                    raise

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
        sent = dict(headers or {})
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        operation = operation_of(url.removeprefix(self.root).removeprefix(self.origin + "/"))
        write = method != "GET" if write is None else write
        request = _Request(method, url, operation, write, content, sent, multipart, patience)
        if self._circuit.is_open:
            await self._try(request.name)
        return await self._exchange(request)

    async def _exchange(self, request: _Request) -> httpx.Response:
        """The answer to a request, sent in its turn. Raises the error that an answer stands for."""
        self._check(request)
        for attempt in (1, 2):
            token = await self._tokens.token()
            if self._budget is not None:
                asked = time.perf_counter()
                await self._budget.take()
                telemetry.waited(self.system, time.perf_counter() - asked)
            self._check(request)  # what became of the system while the request stood in line counts for it too
            response = await self._send_once(request, token)
            if response.status_code != httpx.codes.UNAUTHORIZED or attempt == 2:
                break
            self._tokens.drop(token)
        if response.is_success or (request.multipart and _is_multipart(response)):
            return response
        error = answer_of(
            system=self.system,
            write=request.write,
            status=response.status_code,
            headers=response.headers,
            body=response.content,
            operation=request.name,
        ).error()
        if isinstance(error, Throttled) and error.retry_after is not None:
            self._circuit.pause(error.retry_after)
        shown = answer_shown(response.status_code, response.content)
        raise error.showing(request_shown(request.method, request.url, request.content), shown)

    def _check(self, request: _Request) -> None:
        if not request.is_trial:
            self._circuit.check(request.name)

    async def _send_once(self, request: _Request, token: str) -> httpx.Response:
        timeout = self._http.timeout
        if request.patience is not None:
            timeout = httpx.Timeout(request.patience, connect=timeout.connect, pool=timeout.pool)
        headers = {**request.headers, "Authorization": f"Bearer {token}"}
        with telemetry.observed(self.system, request.method, request.operation, self._host) as observation:
            observation.inject(headers)
            try:
                response = await self._http.request(
                    request.method, request.url, content=request.content, headers=headers, timeout=timeout
                )
            except httpx.RequestError as e:
                unsent = isinstance(e, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                error = Answer(
                    self.system,
                    request.write,
                    failure=Failure.NOT_SENT if unsent else Failure.SENT,
                    message=f"{type(e).__name__}: {e}" if str(e) else type(e).__name__,
                    operation=request.name,
                ).error()
                observation.failed(error)
                if not isinstance(e, httpx.PoolTimeout):  # that one waited for its own process
                    self._circuit.missed(type(e).__name__)
                asked = request_shown(request.method, request.url, request.content)
                raise error.showing(asked, no_answer(error.message)) from e
            if response.status_code in NO_ANSWER:
                self._circuit.missed(f"HTTP {response.status_code}")
            else:
                self._circuit.answered()
            observation.answered(response.status_code, request_id_of(response.headers), response.headers)
            return response


def operation_of(path: str) -> str:
    """The entity set or action of a path, without key and options: `quotes(…)?$select=…` gives `quotes`."""
    for stop in ("(", "?"):
        path = path.partition(stop)[0]
    return path.strip("/") or "service document"


def _is_multipart(response: httpx.Response) -> bool:
    return bool(response.headers.get("content-type", "").lower().startswith("multipart/mixed"))
