"""What one caller may ask of each address: how large a body, how long it may take to come, and how often.

One table names every route of the application; an application with a route that is not in it does not start. What is
beyond a limit is refused before anything else is looked at: no token is verified for it and no run is asked. Callers
are told apart by their network address, so these rates are for a whole office behind one; what a person may send is
limited besides (``web.limits``). Every web process counts for itself.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.refusals import Refusal
from web import security_log
from web.limits import Buckets, Rate
from web.problems import Problem

KIB: Final = 1024
UNMATCHED: Final = "unmatched"
"""In the place of a route where no route takes a request."""


@dataclass(frozen=True)
class RouteLimit:
    """The limits of a route."""

    rate: Rate
    body: int = 0
    """Bytes of the longest body."""
    seconds: float = 10.0
    """How long the body may take to come."""


_PAGE = RouteLimit(Rate(burst=600, per_second=60))
_FORM = RouteLimit(Rate(burst=200, per_second=20), body=128 * KIB)
_READ = RouteLimit(Rate(burst=2_000, per_second=200))
_MESSAGE = RouteLimit(Rate(burst=1_000, per_second=100), body=64 * KIB)
_REPORT = RouteLimit(Rate(burst=5_000, per_second=500), body=1_024 * KIB)
_SIGN_IN = RouteLimit(Rate(burst=200, per_second=20))
_HEAVY = RouteLimit(Rate(burst=20, per_second=1))

LIMITS: Final[Mapping[str, RouteLimit]] = {
    "GET /": _PAGE,
    "GET /cases": _PAGE,
    "GET /cases.csv": _HEAVY,
    "GET /inbox.csv": _HEAVY,
    "GET /decided": RouteLimit(Rate(burst=60, per_second=4)),
    "GET /decided.csv": _HEAVY,
    "GET /bulk/approve": _PAGE,
    "POST /bulk/approve": _FORM,
    "GET /bulk": _PAGE,
    "POST /bulk": _FORM,
    "GET /bulk/new": _PAGE,
    "GET /bulk/{company}/{run}": _PAGE,
    "POST /bulk/{company}/{run}/commands/{do}": _FORM,
    "GET /cases/{company}/{quote}": _PAGE,
    "GET /order-lines/{company}/{quote}": _PAGE,
    "GET /explain/{company}/{quote}": RouteLimit(Rate(burst=60, per_second=4)),
    "POST /cases/{company}/{quote}/commands/{name}": _FORM,
    "GET /approvals/{company}/{quote}/{n}": _PAGE,
    "POST /approvals/{company}/{quote}/{n}/decision": _FORM,
    "POST /approvals/{company}/{quote}/{n}/reassign": _FORM,
    "POST /approvals/{company}/{quote}/{n}/question": _FORM,
    "POST /approvals/{company}/{quote}/{n}/answer": _FORM,
    "GET /delegations": _PAGE,
    "POST /delegations/{company}": _FORM,
    "POST /delegations/{company}/end": _FORM,
    "GET /late": _PAGE,
    "GET /late.csv": _HEAVY,
    "POST /late/{company}/{n}/dismiss": _FORM,
    "GET /collections": _PAGE,
    "GET /collections.csv": _HEAVY,
    "GET /collections/{company}/{account}": _PAGE,
    "GET /collections/{company}/{account}/letters/{n}": _PAGE,
    "GET /collections/{company}/{account}/letters/{n}/pdf": RouteLimit(Rate(burst=60, per_second=4)),
    "POST /collections/{company}/{account}/commands/{name}": _FORM,
    "GET /views/{list}": _PAGE,
    "POST /views/{list}": _FORM,
    "POST /views/{list}/{view}": _FORM,
    "GET /audit": _PAGE,
    "GET /audit/reports": _HEAVY,
    "POST /audit/comparison": RouteLimit(_HEAVY.rate, body=1_024 * KIB),
    "GET /audit/export": RouteLimit(Rate(burst=5, per_second=0.1)),
    "GET /data": _PAGE,
    "GET /data/initial": RouteLimit(Rate(burst=60, per_second=4)),
    "GET /data/differences": _PAGE,
    "GET /data/differences.csv": _HEAVY,
    "POST /data/differences/{difference}": _FORM,
    "GET /data/matches": _PAGE,
    "GET /data/matches/{cluster}": _PAGE,
    "POST /data/matches/{cluster}/decide": _FORM,
    "POST /data/matches/{cluster}/take-back": _FORM,
    "GET /data/maps": _PAGE,
    "GET /data/maps/{entity}": _PAGE,
    "GET /data/maps/{entity}/{n}": _PAGE,
    "POST /data/maps/{entity}/{n}/say": _FORM,
    "POST /data/maps/{entity}/rollback": _FORM,
    "GET /data/parallel": _PAGE,
    "POST /data/parallel/{company}/exit": _FORM,
    "GET /auth/sign-in": _SIGN_IN,
    "GET /auth/callback": _SIGN_IN,
    "POST /auth/sign-out": RouteLimit(_SIGN_IN.rate, body=4 * KIB),
    "GET /signed-out": _PAGE,
    "POST /language": RouteLimit(_SIGN_IN.rate, body=4 * KIB),
    "GET /static": RouteLimit(Rate(burst=1_000, per_second=100)),
    "GET /health/live": RouteLimit(Rate(burst=100, per_second=20)),
    "GET /health/ready": RouteLimit(Rate(burst=100, per_second=20)),
    "POST /intake/dataverse": _REPORT,
    "POST /intake/finance": _REPORT,
    "POST /intake/event-grid": _REPORT,
    "OPTIONS /intake/event-grid": RouteLimit(Rate(burst=100, per_second=10)),
    "GET /api/v1/openapi.json": _PAGE,
    "GET /api/v1/approvals": _READ,
    "GET /api/v1/cases": _READ,
    "GET /api/v1/cases/{company}/{quote}": _READ,
    "GET /api/v1/order-lines/{company}/{quote}": _READ,
    "POST /api/v1/explain": RouteLimit(Rate(burst=60, per_second=4), body=4 * KIB),
    "POST /api/v1/cases/{company}/{quote}/commands/{name}": _MESSAGE,
    "POST /api/v1/approvals/{company}/{quote}/{n}/decision": _MESSAGE,
    "GET /api/v1/approvals/{company}/{quote}/{n}": _READ,
    "POST /api/v1/approvals/{company}/{quote}/{n}/reassign": _MESSAGE,
    "POST /api/v1/approvals/{company}/{quote}/{n}/question": _MESSAGE,
    "POST /api/v1/approvals/{company}/{quote}/{n}/answer": _MESSAGE,
    "GET /api/v1/delegations/{company}": _READ,
    "POST /api/v1/delegations/{company}": _MESSAGE,
    "POST /api/v1/delegations/{company}/end": _MESSAGE,
    "GET /api/v1/late": _READ,
    "GET /api/v1/parallel/{company}": _READ,
    "POST /api/v1/parallel/{company}/exit": _MESSAGE,
    "POST /api/v1/late/{company}/{n}/dismiss": _MESSAGE,
    "GET /api/v1/bulk": _READ,
    "POST /api/v1/bulk": _MESSAGE,
    "GET /api/v1/bulk/{company}/{run}": _READ,
    "GET /api/v1/bulk/{company}/{run}/items": _READ,
    "POST /api/v1/bulk/{company}/{run}/commands/run": _MESSAGE,
    "POST /api/v1/bulk/{company}/{run}/commands/{do}": _MESSAGE,
    "GET /api/v1/credit/{company}": _READ,
    "POST /api/v1/credit/{company}/rebuild": _MESSAGE,
    "GET /api/v1/initial/{company}/{entity}": _READ,
    "POST /api/v1/initial/{company}/{entity}/run": _MESSAGE,
    "GET /api/v1/initial/{company}/{entity}/undo": _READ,
    "POST /api/v1/initial/{company}/{entity}/undo": _MESSAGE,
    "GET /api/v1/sync/{company}/{entity}": _READ,
    "POST /api/v1/sync/{company}/{entity}/run": _MESSAGE,
    "POST /api/v1/sync/{company}/{entity}/settle": _MESSAGE,
    "GET /api/v1/data/overview": _READ,
    "GET /api/v1/history/{company}/{kind}": _READ,
    "POST /api/v1/history/{company}/{kind}/run": _MESSAGE,
    "GET /api/v1/collections": _READ,
    "GET /api/v1/collections/{company}/{account}": _READ,
    "GET /api/v1/collections/{company}/{account}/letters/{n}": _READ,
    "GET /api/v1/collections/{company}/{account}/letters/{n}/pdf": RouteLimit(Rate(burst=60, per_second=4)),
    "POST /api/v1/collections/{company}/{account}/commands/{name}": _MESSAGE,
    "GET /api/v1/maps": _READ,
    "GET /api/v1/maps/{entity}": _READ,
    "GET /api/v1/maps/{entity}/proposals/{n}": _READ,
    "POST /api/v1/maps": RouteLimit(_MESSAGE.rate, body=512 * KIB),
    "POST /api/v1/maps/{entity}/rollback": _MESSAGE,
    "POST /api/v1/maps/{entity}/proposals/{n}/{do}": _MESSAGE,
    "POST /api/v1/people/{oid}/sign-out": RouteLimit(Rate(burst=60, per_second=6), body=4 * KIB),
    UNMATCHED: RouteLimit(Rate(burst=300, per_second=30), body=4 * KIB),
}
"""Every route, by method and address. 64 KiB hold a decision with the longest comment, 128 KiB one as a form."""


class NoLimit(ValueError):
    """An application has a route without limits, or a limit has no route; the text names it."""


@dataclass(frozen=True)
class Found:
    """What an application has for a request."""

    path: str
    """Of the route that takes it, as it is written; of one that takes the address with another method; or UNMATCHED."""
    allowed: frozenset[str] = frozenset()
    """Methods the address takes, where it does not take the request's."""


def found_for(routes: Sequence[BaseRoute], scope: Scope) -> Found:
    """What an application has for a request.

    A quote number may hold slashes, so that an address may be of several routes: the first that takes the method
    counts.
    """
    others: list[tuple[str, frozenset[str]]] = []
    for route in routes:
        match, child = route.matches(scope)
        if isinstance(route, Mount) and match is not Match.NONE:
            below = found_for(route.routes, {**scope, **child}) if route.routes else Found("")
            path = UNMATCHED if below.path == UNMATCHED else route.path + below.path
            return Found(path, below.allowed)
        if isinstance(route, Route | APIRoute) and match is Match.FULL:
            return Found(_plain(route.path))
        if isinstance(route, Route | APIRoute) and match is Match.PARTIAL:
            others.append((_plain(route.path), frozenset(route.methods or ())))
    if not others:
        return Found(UNMATCHED)
    return Found(others[0][0], frozenset().union(*(methods for _, methods in others)))


def routes_with_methods(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    """Every address of an application with the methods it takes, as they are written."""
    for route in routes:
        if isinstance(route, Mount):
            if route.routes:
                yield from routes_with_methods(route.routes, prefix + route.path)
            else:
                yield prefix + route.path, frozenset({"GET", "HEAD"})
        elif isinstance(route, Route | APIRoute):
            yield prefix + _plain(route.path), frozenset(route.methods or ())
        else:
            yield f"{prefix}{route!r}", frozenset()


def check_limits(routes: Sequence[BaseRoute], limits: Mapping[str, RouteLimit]) -> None:
    """Refuse an application of which a route is not in the table, or the table of another.

    Raises:
        NoLimit: it names what is missing.
    """
    there = {
        f"{method} {path}" for path, methods in routes_with_methods(routes) for method in (methods - {"HEAD"} or {"?"})
    }
    if missing := there - set(limits):
        raise NoLimit(f"no limits for {', '.join(sorted(missing))}: add them to LIMITS")
    if unknown := set(limits) - there - {UNMATCHED}:
        raise NoLimit(f"limits for no route: {', '.join(sorted(unknown))}")


def _plain(path: str) -> str:
    return re.sub(r"{(\w+):\w+}", r"{\1}", path)


class Guard:
    """Keeps the table: rates first, then the size and the pace of a body."""

    def __init__(
        self,
        app: ASGIApp,
        refuse: Callable[[Request, Problem], Awaitable[Response]],
        *,
        limits: Mapping[str, RouteLimit],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wrap an application; ``refuse`` makes the answer to who is beyond a limit."""
        self._app = app
        self._refuse = refuse
        self._limits = limits
        self._buckets = {route: Buckets(limit.rate, now) for route, limit in limits.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on where it is within its limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = found_for(scope["app"].routes, scope)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        route = f"{method} {found.path}" if f"{method} {found.path}" in self._limits else UNMATCHED
        limit = self._limits[route]
        if problem := self._beyond(route, limit, scope) or _not_allowed(found):
            response = await self._refuse(Request(scope, receive), problem)
            await response(scope, receive, send)
            return
        await self._app(scope, _Body(receive, limit).receive, send)

    def _beyond(self, route: str, limit: RouteLimit, scope: Scope) -> Problem | None:
        address = scope["client"][0] if scope.get("client") else ""
        buckets = self._buckets[route]
        if not buckets.filled(address):
            security_log.limited("", f"{route} from {address}")
            return Problem(Refusal.TOO_MANY_REQUESTS)
        buckets.take(address)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and (len(announced) > 15 or int(announced) > limit.body):
            return too_large()
        return None


class _Body:
    """The body of one request as it comes; it counts from the first look, so that what waits in between is the app."""

    def __init__(self, receive: Receive, limit: RouteLimit) -> None:
        self._receive = receive
        self._limit = limit
        self._came = 0
        self._until: float | None = None
        self._complete = False

    async def receive(self) -> Message:
        """The next part.

        Raises:
            HTTPException: 408, it is too slow; 413, it is too large.
        """
        if self._complete:  # what comes after the body is the end of the connection, whenever that is
            return await self._receive()
        loop = asyncio.get_running_loop()
        if self._until is None:
            self._until = loop.time() + self._limit.seconds
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(Refusal.TOO_SLOW.status, headers=_CLOSE) from None
        self._came += len(message.get("body", b""))
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        if self._came > self._limit.body:
            raise HTTPException(Refusal.TOO_LARGE.status, headers=_CLOSE)
        return message


_CLOSE: Final = {"Connection": "close"}


def _not_allowed(found: Found) -> Problem | None:
    """405 with every method that the address takes, of whichever route."""
    if not found.allowed:
        return None
    problem = Problem(Refusal.METHOD_NOT_ALLOWED)
    problem.headers["Allow"] = ", ".join(sorted(found.allowed))
    return problem


def too_large() -> Problem:
    """413; what else would come on the connection is not read."""
    problem = Problem(Refusal.TOO_LARGE)
    problem.headers |= _CLOSE
    return problem
