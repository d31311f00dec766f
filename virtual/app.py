"""The OData v4 service that Dataverse's virtual tables are read from: GET, and nothing else.

A data source in Dataverse has no sign-in of its own, only headers that never change (Microsoft Learn, "Create and edit
virtual tables"): so each company has a secret of its own, which alone says whose rows are answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import structlog
from cachetools import LRUCache
from opentelemetry import metrics
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.refusals import Refusal
from dynamics.core import exact_json
from virtual.csdl import metadata, service_document
from virtual.filters import only
from virtual.queries import PAGE, Asked, asked, chosen
from virtual.reading import Found, Freshness, Reading
from virtual.refused import Refused, bad
from virtual.tables import AS_OF, BY_SET, FRESHNESS, Ask, Table

log = structlog.get_logger(__name__)

PREFIX: Final = "/virtual"
HEADER: Final = "x-q2c-virtual-key"
MOST_VALUES: Final = 20
"""Customers, items or keys that one request may name: each is a read of Finance."""
MOST_KEYS: Final = 200_000
_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_HEADERS: Final = {"OData-Version": "4.0", "Cache-Control": "no-store"}
_JSON: Final = "application/json; odata.metadata=minimal; charset=utf-8"
_ROW: Final = re.compile(r"^([a-z0-9_]+)\(([^()]*)\)$")

_answers = metrics.get_meter(__name__).create_counter(
    "q2c_virtual_answers", description="Answers to virtual tables, by table and how fresh they were"
)


class Secrets:
    """Whose secret it is that a request shows."""

    def __init__(self, secrets: Mapping[str, Sequence[str]]) -> None:
        """Know the secrets.

        Args:
            secrets: by company: the newest, and the one before it while both count.
        """
        self._known = [(hashlib.sha256(s.encode()).digest(), company) for company, of in secrets.items() for s in of]

    def company(self, shown: str | None) -> str:
        """The company of a secret; every secret is compared, so that time tells nothing.

        Raises:
            Refused: it is nobody's.
        """
        digest, found = hashlib.sha256((shown or "").encode()).digest(), ""
        for known, company in self._known:
            if hmac.compare_digest(known, digest):
                found = company
        if not found:
            raise Refused(Refusal.VIRTUAL_KEY_REFUSED)
        return found


class _Service:
    def __init__(self, reading: Reading, secrets: Secrets) -> None:
        self._reading = reading
        self._secrets = secrets
        self._metadata = metadata()
        self._asked_by: LRUCache[tuple[str, str, str], Ask] = LRUCache(MOST_KEYS)
        """Company, table and key of a row that was shown, and what it was read by."""

    async def answer(self, request: Request) -> Response:
        """Everything below the prefix."""
        try:
            company = self._secrets.company(request.headers.get(HEADER))
            if request.method != "GET":
                raise Refused(Refusal.METHOD_NOT_ALLOWED, "Virtual tables are read only.")
            return await self._get(request, company)
        except Refused as refused:
            return _refusal(refused)
        except Exception:
            log.exception("a virtual read failed", path=request.url.path)
            return _refusal(Refused(Refusal.INTERNAL))

    async def _get(self, request: Request, company: str) -> Response:
        path, query = request.path_params.get("rest", "").strip("/"), request.url.query
        if path == "":
            return _json(service_document())
        if path == "$metadata":
            return Response(self._metadata, media_type="application/xml", headers=_HEADERS)
        row = _ROW.match(path)
        if row and row[1] in BY_SET:
            return await self._row(BY_SET[row[1]], company, row[2], query)
        name, _, rest = path.partition("/")
        if name not in BY_SET or rest not in ("", "$count"):
            raise Refused(Refusal.NOT_FOUND)
        return await self._list(BY_SET[name], company, query, count=rest == "$count")

    async def _list(self, table: Table, company: str, query: str, *, count: bool) -> Response:
        wanted = asked(query, table)
        found = await self._found(table, company, wanted)
        rows = chosen(found, wanted, table)
        if count:
            return Response(str(len(rows)), media_type="text/plain", headers=_HEADERS)
        end = wanted.skip + min(PAGE if wanted.top is None else wanted.top, PAGE)
        body: dict[str, Any] = {"@odata.context": f"$metadata#{table.set}"}
        if wanted.count:
            body["@odata.count"] = len(rows)
        body["value"] = [_shown(row, wanted) for row in rows[wanted.skip : end]]
        left = None if wanted.top is None else wanted.top - PAGE
        if end < len(rows) and (left is None or left > 0):
            body["@odata.nextLink"] = _next(table, query, end, left)
        return _json(body)

    async def _row(self, table: Table, company: str, text: str, query: str) -> Response:
        try:
            row_id = str(UUID(text.strip().removeprefix(f"{table.id}=").strip("'")))
        except ValueError as error:
            raise bad(f"{text[:60]!r} is no key: a key is a GUID") from error
        wanted = asked(query, table)
        asks = self._by_keys(table, company, frozenset({row_id}))
        try:
            rows = [row for row in await self._read(table, asks) if row[table.id] == row_id]
        except Refused as refused:
            if refused.code is Refusal.BAD_ARGUMENT:  # There are too many to look for one that was not shown before.
                raise Refused(Refusal.NOT_FOUND, "Open this row from a list of its customer or item.") from refused
            raise
        if not rows:
            raise Refused(Refusal.NOT_FOUND)
        return _json({"@odata.context": f"$metadata#{table.set}/$entity", **_shown(rows[0], wanted)})

    async def _found(self, table: Table, company: str, wanted: Asked) -> list[dict[str, Any]]:
        """All rows that can satisfy the condition, read by as little as it allows."""
        link = (table.link.column,) if table.link else ()
        for column in (table.id, *link, *table.narrow):
            values = only(wanted.condition, column)
            if values is None:
                continue
            known = frozenset(str(value) for value in values if value is not None)
            if len(known) > MOST_VALUES:
                raise bad(f"$filter names more than {MOST_VALUES} values of {column}")
            if column == table.id:
                return await self._read(table, self._by_keys(table, company, known))
            return await self._read(table, [Ask(table.name, company, column, value) for value in sorted(known)])
        return await self._read(table, [Ask(table.name, company)])

    def _by_keys(self, table: Table, company: str, keys: frozenset[str]) -> list[Ask]:
        """What rows were read by that were shown before; all rows where one of them was not."""
        asks = {self._asked_by.get((company, table.name, row_id), Ask(table.name, company)) for row_id in keys}
        return sorted(asks, key=str)

    async def _read(self, table: Table, asks: Sequence[Ask]) -> list[dict[str, Any]]:
        deadline = self._reading.deadline()
        found = await asyncio.gather(*(self._reading.read(ask, deadline) for ask in asks))
        rows: dict[str, dict[str, Any]] = {}
        for ask, part in zip(asks, found, strict=True):
            for row in part.rows:
                rows[row[table.id]] = {**row, AS_OF: part.as_of, FRESHNESS: part.freshness}
                self._asked_by[ask.company, table.name, row[table.id]] = ask
        _answers.add(1, {"table": table.name, "freshness": _worst(found)})
        return list(rows.values())


def _worst(found: Sequence[Found]) -> str:
    order = (Freshness.LIVE, Freshness.CACHED, Freshness.STALE)
    return max((part.freshness for part in found), key=order.index, default=Freshness.LIVE)


def _shown(row: Mapping[str, Any], wanted: Asked) -> dict[str, Any]:
    return {name: row.get(name) for name in wanted.select}


def _next(table: Table, query: str, skip: int, left: int | None) -> str:
    """The address of the next page, relative to this one's (OData JSON 4.0, section 4.5.5)."""
    kept = [part for part in query.split("&") if part and not re.match(r"(?:\$|%24)(?:skip|top)=", part)]
    more = [f"$skip={skip}", *([] if left is None else [f"$top={left}"])]
    return f"{quote(table.set)}?{'&'.join([*kept, *more])}"


def _json(body: Mapping[str, Any]) -> Response:
    return Response(exact_json.dumps(body), media_type=_JSON, headers=_HEADERS)


def _refusal(refused: Refused) -> Response:
    """An error as OData says it (OData JSON 4.0, section 19)."""
    text = f"{refused.code.sentence} {refused.detail}".strip()
    headers = dict(_HEADERS)
    if refused.code is Refusal.METHOD_NOT_ALLOWED:
        headers["Allow"] = "GET"
    if refused.retry_after is not None:
        headers["Retry-After"] = str(max(refused.retry_after, 1))
    body = exact_json.dumps({"error": {"code": str(refused.code), "message": text}})
    return Response(body, refused.code.status, media_type=_JSON, headers=headers)


def create_app(reading: Reading, secrets: Secrets, on_close: Callable[[], Awaitable[None]]) -> Starlette:
    """The service, with the endpoints of its health.

    Args:
        reading: where rows come from.
        secrets: whose rows a request gets.
        on_close: ends what the reading uses.
    """

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await reading.aclose()
        await on_close()

    service = _Service(reading, secrets)
    return Starlette(
        routes=[
            # Finance is not asked: where it is away, what is known is still shown.
            *(Route(path, live) for path in ("/health/live", "/health/ready")),
            Route(PREFIX, service.answer, methods=_METHODS),
            Route(f"{PREFIX}/{{rest:path}}", service.answer, methods=_METHODS),
        ],
        lifespan=lifespan,
    )
