"""Faults on demand, and the log of every request a system saw.

One ASGI middleware a system. Integration code is judged by what it does when a system throttles, is down, answers late,
or commits and then breaks the connection: each of these can be switched on for the requests a fault names. The log is
the counterpart: it proves how many requests were made, and which.

A fault's `method` and `path` are compared with the request and, for an OData `$batch`, with each operation inside;
the effect is always that of the whole HTTP request.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.serving import CONNECTION

System = Literal["entra", "dataverse", "finance"]
SYSTEMS: tuple[System, ...] = ("entra", "dataverse", "finance")

_LOG_LIMIT = 200_000
_OPERATION = re.compile(rb"^(GET|POST|PATCH|PUT|DELETE|HEAD) (\S+) HTTP/1\.1\r?$", re.MULTILINE)
_HTML = "<html><head><title>{0} {1}</title></head><body><center><h1>{0} {1}</h1></center></body></html>"
_PHRASES = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}


class FaultEffect(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What happens: an answer, a delay, a broken connection; a delay may go before either.

    `drop`: "before" breaks the connection without running the request, "after" lets it commit and then breaks.
    `infolog`: Finance answers as X++ does when a write fails for a moment: "deadlock" or "update_conflict". Alone it is
    a 400 (500 from a service); both are worth another try.
    """

    status: int | None = None
    retry_after: int | None = None
    delay_ms: int = 0
    drop: Literal["before", "after"] | None = None
    infolog: Literal["deadlock", "update_conflict"] | None = None


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """Which requests suffer, and how.

    `path` is a regular expression searched in path and query; `times` limits how often the fault strikes, `seconds` for
    how long from now on, null never ends; `probability` is per matching request, drawn from a seeded generator.
    """

    system: System
    effect: FaultEffect
    method: str | None = None
    path: str = ""
    probability: float = 1.0
    times: int | None = None
    seconds: float | None = None

    def problem(self) -> tuple[str, str] | None:
        """The field that is wrong and why, or None."""
        try:
            re.compile(self.path)
        except re.error as error:
            return "path", f"not a regular expression: {error}"
        if not 0 <= self.probability <= 1:
            return "probability", "must be between 0 and 1"
        if self.times is not None and self.times < 1:
            return "times", "must be at least 1, or null"
        if self.seconds is not None and self.seconds <= 0:
            return "seconds", "must be above 0, or null"
        if self.effect.status is not None and not 400 <= self.effect.status <= 599:
            return "effect.status", "must be between 400 and 599"
        if self.effect.status is not None and self.effect.drop is not None:
            return "effect.drop", "a dropped connection has no status"
        if self.effect.infolog is not None and (self.system != "finance" or self.effect.drop is not None):
            return "effect.infolog", "only Finance answers with an infolog, and not on a dropped connection"
        return None


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it ended: `status` 0 is a connection broken by a fault; `at` is seconds since the epoch.

    `named` holds the headers by which a caller names its request; both systems keep them in their telemetry.
    """

    system: System
    method: str
    path: str
    status: int
    at: float
    ms: float
    operations: tuple[str, ...] = ()
    named: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The entry as `GET /requests` shows it, `at` in UTC."""
        entry: dict[str, Any] = {
            "system": self.system,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat().replace("+00:00", "Z"),
            "ms": round(self.ms, 1),
        }
        if self.operations:
            entry["operations"] = list(self.operations)
        if self.named:
            entry["named"] = dict(self.named)
        return entry


_NAMING = frozenset({b"traceparent", b"x-ms-client-request-id", b"x-ms-correlation-request-id"})


def _named(scope: Scope) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode(), value.decode("latin-1")[:100]) for name, value in scope["headers"] if name in _NAMING)


@dataclass
class RequestLog:
    """The last 200,000 requests, and counts of all."""

    entries: deque[SeenRequest] = field(default_factory=lambda: deque(maxlen=_LOG_LIMIT))
    counts: Counter[tuple[str, int]] = field(default_factory=Counter)

    def add(self, entry: SeenRequest) -> None:
        """Note a request that has ended."""
        self.entries.append(entry)
        self.counts[entry.system, entry.status] += 1

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self.counts.clear()

    def summary(self) -> dict[str, Any]:
        """Requests by system: total, throttled (429), failed (5xx), dropped, and by status."""
        result: dict[str, Any] = {}
        for system in SYSTEMS:
            by_status = {status: count for (name, status), count in self.counts.items() if name == system}
            result[system] = {
                "total": sum(by_status.values()),
                "throttled": by_status.get(429, 0),
                "failed": sum(count for status, count in by_status.items() if status >= 500),
                "dropped": by_status.get(0, 0),
                "by_status": {str(status): by_status[status] for status in sorted(by_status)},
            }
        return result


class FaultPlan:
    """The faults in force. Drawn from a seeded generator, so that a run can be repeated."""

    def __init__(self, seed: int = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seed = seed
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311  # dice that repeat
        self._faults: list[tuple[Fault, re.Pattern[str], float]] = []

    @property
    def faults(self) -> list[Fault]:
        """What is in force now; `times` counts down."""
        self._forget()
        return [fault for fault, _, _ in self._faults]

    def replace(self, faults: Iterable[Fault]) -> None:
        """Put these faults in force in place of all others, and start the generator anew."""
        self._random = random.Random(self._seed)  # noqa: S311  # dice that repeat
        now = self._clock()
        self._faults = [
            (fault, re.compile(fault.path), math.inf if fault.seconds is None else now + fault.seconds)
            for fault in faults
        ]

    def clear(self) -> None:
        """No faults any more."""
        self._faults = []

    def concerns(self, system: System) -> bool:
        """Whether any fault names this system: spares reading bodies when none does."""
        return any(fault.system == system for fault in self.faults)

    def _forget(self) -> None:
        """Those whose time is over are in force no more."""
        now = self._clock()
        self._faults = [entry for entry in self._faults if now < entry[2]]

    def draw(self, system: System, requests: Iterable[tuple[str, str]]) -> FaultEffect | None:
        """The effect on a request, if any: the first matching fault whose dice fall so.

        Args:
            system: which system is asked.
            requests: method and path of the request, then of each operation inside its batch.
        """
        self._forget()
        asked = list(requests)
        for position, (fault, pattern, _) in enumerate(self._faults):
            if fault.system != system:
                continue
            if not any(fault.method in (None, "", method) and pattern.search(path) for method, path in asked):
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    del self._faults[position]
            return fault.effect
        return None


class FaultsAndLog:
    """The middleware of one system."""

    def __init__(self, app: ASGIApp, system: System, plan: FaultPlan, log: RequestLog) -> None:
        self._app = app
        self._system = system
        self._plan = plan
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or let it suffer; either way note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = _full_path(scope)
        operations: tuple[str, ...] = ()
        if scope["path"].endswith("/$batch"):
            receive, operations = await _read_operations(receive)
        effect = None
        if self._plan.concerns(self._system):
            inner = (tuple(operation.split(" ", 1)) for operation in operations)
            effect = self._plan.draw(self._system, [(scope["method"], path), *((m, p) for m, p in inner)])
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started, at = time.perf_counter(), time.time()
        try:
            if effect is None:
                await self._app(scope, receive, watched)
            else:
                await self._suffer(effect, scope, receive, watched)
        finally:
            ms = (time.perf_counter() - started) * 1000
            self._log.add(SeenRequest(self._system, scope["method"], path, status, at, ms, operations, _named(scope)))

    async def _suffer(self, effect: FaultEffect, scope: Scope, receive: Receive, send: Send) -> None:
        if effect.delay_ms:
            # It has the whole request by now, and carries it out though nobody may wait for the answer any more.
            receive, _ = await _read_operations(receive)
            await asyncio.sleep(effect.delay_ms / 1000)
        if effect.drop == "before":
            await _break_connection(scope, receive)
        elif effect.drop == "after":
            await self._app(scope, receive, _to_nowhere)
            await _break_connection(scope, receive)
        elif effect.infolog is not None:
            of_service = scope["path"].startswith("/api/services")
            status = effect.status or (500 if of_service else 400)
            await _send(infolog_body(effect.infolog, of_service=of_service), status, effect.retry_after, send)
        elif effect.status is not None:
            await _send(fault_body(self._system, effect.status), effect.status, effect.retry_after, send)
        else:
            await self._app(scope, receive, send)


async def _to_nowhere(message: Message) -> None:
    """An answer nobody will read."""


async def _break_connection(scope: Scope, receive: Receive) -> None:
    """End the TCP connection at once, without an answer; returns when the server has noticed."""
    scope["extensions"][CONNECTION]["transport"].abort()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(answer: tuple[str, bytes], status: int, retry_after: int | None, send: Send) -> None:
    content_type, body = answer
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


_INFOLOGS = {
    "deadlock": "Cannot edit a record in Sales orders (SalesTable). Deadlock, where one or more users have "
    "simultaneously locked the whole table or part of it.",
    "update_conflict": "Cannot edit a record in Sales orders (SalesTable). An update conflict occurred due to another "
    "user process deleting the record or changing one or more fields in the record.",
}


def infolog_body(name: str, *, of_service: bool) -> tuple[str, bytes]:
    """Content type and body of a write that X++ gave up for a moment, over OData or from a custom service."""
    text = f"Infolog: Error: {_INFOLOGS[name]}."
    body: dict[str, Any] = {
        "error": {
            "code": "",
            "message": "An error has occurred.",
            "innererror": {
                "message": f"Write failed for table row of type 'SalesOrderHeaderV4Entity'. {text}",
                "type": "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataWriteException",
                "stacktrace": "",
            },
        }
    }
    if of_service:
        body = {
            "Message": "An error has occurred.",
            "ExceptionMessage": _INFOLOGS[name],
            "ExceptionType": "Microsoft.Dynamics.Ax.Xpp.ErrorException",
        }
    return "application/json; charset=utf-8", msgspec.json.encode(body)


def fault_body(system: System, status: int) -> tuple[str, bytes]:
    """Content type and body with which a system refuses: each in its own shape.

    Source: Microsoft Learn, "Service protection API limits" of Dataverse and of finance and operations apps; gateways
    (502 to 504) answer in HTML.
    """
    if status in _PHRASES:
        return "text/html; charset=utf-8", _HTML.format(status, _PHRASES[status]).encode()
    error: dict[str, Any]
    if system == "dataverse":
        code, message = {
            429: ("0x80072322", "Number of requests exceeded the limit of 6000 over time window of 300 seconds."),
            401: ("0x80040220", "Authentication failed."),
            403: ("0x80072560", "The user is not a member of the organization."),
            404: ("0x80040217", "The requested record was not found or you do not have access to it."),
            412: ("0x80060882", "The version of the existing record doesn't match the RowVersion property provided."),
            400: ("0x80040265", "An error occurred in a plug-in that is registered for this message."),
        }.get(status, ("0x80040216", "An unexpected error occurred."))
        error = {"error": {"code": code, "message": message}}
    elif system == "finance" and status == 429:
        text = "This request could not be processed at this time due to system experiencing high resource utilization."
        error = {"error": {"code": "", "message": text}}
    elif system == "finance":
        text = "Infolog: Error: The operation cannot be completed because the company is being maintained."
        inner = {
            "message": f"Write failed. {text}",
            "type": "Microsoft.Dynamics.Platform.Integration.Services.OData.AxODataWriteException",
            "stacktrace": "",
        }
        error = {"error": {"code": "", "message": "An error has occurred.", "innererror": inner}}
    else:
        text = "AADSTS90033: A transient error has occurred. Please try again."
        error = {"error": "temporarily_unavailable", "error_description": text, "error_codes": [90033]}
    return "application/json; charset=utf-8", msgspec.json.encode(error)


def _full_path(scope: Scope) -> str:
    query = scope["query_string"]
    path: str = scope["path"]
    return f"{path}?{query.decode('latin-1')}" if query else path


async def _read_operations(receive: Receive) -> tuple[Receive, tuple[str, ...]]:
    """Read a batch's body to see its operations; the returned `receive` gives the same messages again."""
    messages: deque[Message] = deque()
    body = b""
    while True:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body"):
            break

    async def again() -> Message:
        return messages.popleft() if messages else await receive()

    found = tuple(f"{method.decode()} {target.decode('latin-1')}" for method, target in _OPERATION.findall(body))
    return again, found
