"""Virtual tables: rows that are asked of an OData v4 service whenever somebody asks for them.

The platform's OData v4 provider turns a query over a virtual table into one over the service of its data source, with
the external names of table and columns, and adds the data source's headers or query strings (Microsoft Learn: "Create
and edit virtual tables", "OData v4 Data Source table reference", "Get started with virtual tables"). A virtual table is
owned by the organization, so that whoever may read it reads all of it; it is neither audited nor tracked, and has no
charts. Whatever verb is used is passed on: what the service refuses is refused.

Not documented, and so inferred: that server-side paging asks for `$skip` and for one row more than a page has; the
status and text of an error of the service. The sandbox reads virtual tables by requests of their own, not in a batch,
and not by FetchXML, `$apply` or `$expand`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx

from sandbox.dataverse import errors
from sandbox.dataverse.environment import Dataverse
from sandbox.dataverse.links import Cookie, read_cookie, with_token
from sandbox.dataverse.preferences import parse_prefer
from sandbox.dataverse.schema import Collection, Column, Entity, VirtualSource
from sandbox.dataverse.values import is_guid
from sandbox.dataverse.web import Call, Responder, applied, split
from sandbox.odata.address import AddressError, parse_path
from sandbox.odata.batch import Answer, Request
from sandbox.odata.jsonio import BadJson, decode, encode
from sandbox.odata.query import QueryError, QueryOptions, parse_query
from sandbox.odata.tokens import FilterError, tokens
from sandbox.store import Row

_PARAMETERS: Final = range(1, 11)
_MOST_ROWS: Final = 1_000
"""Microsoft Learn: "Known limitations and troubleshooting with virtual tables"."""
_DEFAULT_TIMEOUT: Final = 30
_SERVER_SIDE: Final = 1
_REFUSED: Final = ("fetchXml", "sql", "$apply", "$deltatoken")


class VirtualTables(Responder):
    """Answers requests for rows of virtual tables."""

    def __init__(self, dataverse: Dataverse) -> None:
        super().__init__(dataverse)
        self._seen: tuple[int, bool] = (-1, False)

    async def answer(self, request: Request, user: str) -> Answer | errors.DataverseError | None:
        """Answer a request, or say why not; None: it is for no virtual table.

        Args:
            request: The request.
            user: `systemuserid` of the caller.
        """
        if not self._any():
            return None
        try:
            path, query = split(request.url)
            call = Call(request, parse_path(path), query, parse_prefer(request.headers.get("prefer")), user)
            found = self._meant(call)
            return None if found is None else await self._answer(call, *found)
        except (AddressError, QueryError, FilterError) as problem:
            return errors.bad_query(str(problem))
        except errors.DataverseError as problem:
            return problem

    def _any(self) -> bool:
        schema = self.dataverse.schema
        if self._seen[0] != schema.version:
            self._seen = schema.version, any(entity.source for entity in schema.by_name.values())
        return self._seen[1]

    def _meant(self, call: Call) -> tuple[Entity, VirtualSource, str] | None:
        """The virtual table a request is for, and what of it its address names beside its query."""
        first, *rest = call.segments or (None,)
        entity = self.dataverse.schema.by_set.get(first.name) if first is not None else None
        if entity is None or first is None:
            return None
        if entity.source is not None:
            if rest:
                raise errors.resource_not_found(rest[0].name)
            return entity, entity.source, ""
        collection = entity.collections.get(rest[0].name) if len(rest) == 1 else None
        child = self.dataverse.schema.by_name[collection.child] if collection else None
        if collection is None or child is None or child.source is None or first.key is None:
            return None
        return child, child.source, self._of_parent(call, entity, child, collection)

    def _of_parent(self, call: Call, parent: Entity, child: Entity, collection: Collection) -> str:
        """The condition that rows belong to the row an address begins with."""
        operation = self.dataverse.operation(call.user)
        row = self.dataverse.writer.find(operation, parent, call.segments[0])
        self.dataverse.security.check(operation.user, parent, "Read", row)
        return f"{_external(child, child.columns[collection.lookup])} eq {row[parent.key]}"

    async def _answer(self, call: Call, entity: Entity, source: VirtualSource, beside: str) -> Answer:
        rights = {"GET": "Read", "POST": "Create", "PATCH": "Write", "DELETE": "Delete"}
        call.need(*rights)
        operation = self.dataverse.operation(call.user)
        self.dataverse.security.check(operation.user, entity, rights[call.method])
        if call.preferences.track_changes:
            message = f"Change Tracking is not enabled for entity {entity.name}."
            raise errors.DataverseError(400, "0x80060888", message)
        for name in _REFUSED:
            if name in call.parameters():
                raise errors.bad_query(f"The sandbox does not read virtual tables by {name}.")
        row_id = self._row_id(call, entity) if not beside else None
        if call.method != "GET":
            return await self._write(call, source, row_id)
        return await (
            self._rows(call, entity, source, beside) if row_id is None else self._row(call, entity, source, row_id)
        )

    @staticmethod
    def _row_id(call: Call, entity: Entity) -> str | None:
        key = call.segments[0].key
        if key is None:
            return None
        value = next(iter(key.values())).value if len(key) == 1 else None
        if not is_guid(value):
            raise errors.key_not_defined(entity.name)
        return str(value).lower()

    async def _rows(self, call: Call, entity: Entity, source: VirtualSource, beside: str) -> Answer:
        options = parse_query(call.query)
        if options.expand or options.skip:
            raise errors.bad_query("The sandbox reads virtual tables without $expand and $skip.")
        size = min(call.preferences.page_size or _MOST_ROWS, _MOST_ROWS)
        token = options.others.get("$skiptoken")
        number = read_cookie(token).number if token else 1
        top = options.top if options.top is not None and not call.preferences.page_size else None
        asked = _asked(entity, options, beside)
        row = self._data_source(source)
        if row.get("msdyn_paginationtype") == _SERVER_SIDE:
            asked["$top"] = str(min(top if top is not None else size + 1, size + 1))
            asked["$skip"] = str((number - 1) * size)
        if options.count and row.get("msdyn_returninlinecount"):
            asked["$count"] = "true"
        body = await self._get(row, source.collection, asked)
        found = list(body["value"])
        if row.get("msdyn_paginationtype") != _SERVER_SIDE:
            found = found[(number - 1) * size :][: top if top is not None else size + 1]
        answer: Row = {"@odata.context": self.context_of(entity, options)}
        if "@odata.count" in body:
            answer["@odata.count"] = body["@odata.count"]
        answer["value"] = [_shown(entity, item, options) for item in found[:size]]
        if len(found) > size and top is None:
            kept = "&".join(part for part in call.query.split("&") if part and not part.startswith("$skiptoken="))
            link = f"{self.base}{split(call.request.url)[0]}?{kept}".rstrip("?")
            answer["@odata.nextLink"] = with_token(link, "$skiptoken", Cookie(number + 1, "").text())
        return Answer(200, applied(call), encode(answer))

    async def _row(self, call: Call, entity: Entity, source: VirtualSource, row_id: str) -> Answer:
        options = parse_query(call.query)
        asked = {name: value for name, value in _asked(entity, options, "").items() if name == "$select"}
        row = self._data_source(source)
        body = await self._get(
            row, f"{source.collection}({row_id})", asked, missing=errors.row_not_found(entity.name, row_id)
        )
        shown = {"@odata.context": f"{self.context_of(entity, options)}/$entity", **_shown(entity, body, options)}
        return Answer(200, applied(call), encode(shown))

    async def _write(self, call: Call, source: VirtualSource, row_id: str | None) -> Answer:
        place = source.collection if row_id is None else f"{source.collection}({row_id})"
        await self._send(self._data_source(source), call.method, place, {}, content=call.request.body)
        return Answer(204, dict(applied(call)))

    # --- the service -------------------------------------------------------------------------------------------------

    def _data_source(self, source: VirtualSource) -> Row:
        row = self.dataverse.get("msdyn_odatav4ds", source.data_source)
        if row is None:
            raise errors.row_not_found("msdyn_odatav4ds", source.data_source)
        return row

    async def _get(
        self, row: Row, place: str, asked: Mapping[str, str], *, missing: errors.DataverseError | None = None
    ) -> Row:
        response = await self._send(row, "GET", place, asked, missing=missing)
        try:
            body = decode(response.content)
        except BadJson as problem:
            raise _failed(f"it is not JSON: {problem}") from problem
        if not isinstance(body, dict):
            raise _failed("it is no object")
        return body

    async def _send(
        self,
        row: Row,
        method: str,
        place: str,
        asked: Mapping[str, str],
        *,
        content: bytes = b"",
        missing: errors.DataverseError | None = None,
    ) -> httpx.Response:
        headers = {"Accept": "application/json", "OData-Version": "4.0", "OData-MaxVersion": "4.0"}
        parameters = dict(asked)
        for name, value, is_header in _parameters(row):
            (headers if is_header else parameters)[name] = value
        seconds = row.get("msdyn_timeout") or _DEFAULT_TIMEOUT
        url = f"{str(row['msdyn_uri']).rstrip('/')}/{place}"
        try:
            async with httpx.AsyncClient(timeout=float(seconds), trust_env=False) as http:
                response = await http.request(method, url, params=parameters, headers=headers, content=content or None)
        except httpx.HTTPError as problem:
            raise _failed(f"it does not answer: {type(problem).__name__}") from problem
        if response.status_code == httpx.codes.NOT_FOUND and missing is not None:
            raise missing
        if not response.is_success:
            raise _failed(f"it answers {response.status_code}: {response.text[:1_000]}")
        return response


def _parameters(row: Row) -> Iterator[tuple[str, str, bool]]:
    """Name and value of each request parameter of a data source, and whether it is a header."""
    for n in _PARAMETERS:
        name = row.get(f"msdyn_parameter{n}name")
        if name:
            yield name, str(row.get(f"msdyn_parameter{n}value") or ""), bool(row.get(f"msdyn_isparameter{n}header"))


def _failed(why: str) -> errors.DataverseError:
    message = f"Entity could not be retrieved from data source. Try again or check the external data source: {why}"
    return errors.DataverseError(500, "", message)


def _external(entity: Entity, column: Column) -> str:
    if not column.external:
        raise errors.bad_query(f"The column '{column.name}' of '{entity.name}' has no external name.")
    return column.external


def _named(entity: Entity, name: str) -> Column:
    column = entity.named(name)
    if column is None:
        raise errors.unknown_property(entity.name, name)
    return column


def _asked(entity: Entity, options: QueryOptions, beside: str) -> dict[str, str]:
    """The query options in the service's names."""
    shown = [_named(entity, name) for name in options.select] if options.select else list(entity.columns.values())
    key = entity.columns[entity.key]
    columns = dict.fromkeys(_external(entity, column) for column in (key, *shown))
    asked = {"$select": ",".join(columns)}
    condition = _translated(entity, options.filter) if options.filter else ""
    both = [part for part in (beside, f"({condition})" if beside and condition else condition) if part]
    if both:
        asked["$filter"] = " and ".join(both)
    if options.orderby:
        sorts = (f"{_external(entity, _named(entity, name))}{' desc' if d else ''}" for name, d in options.orderby)
        asked["$orderby"] = ",".join(sorts)
    return asked


_WORDS: Final = frozenset(
    {"and", "or", "not", "eq", "ne", "gt", "ge", "lt", "le", "contains", "startswith", "endswith"}
)


def _translated(entity: Entity, text: str) -> str:
    """A condition in the service's names."""
    found = []
    for token in tokens(text):
        is_column = token.kind == "name" and token.text not in _WORDS
        found.append(_external(entity, _named(entity, token.text)) if is_column else token.text)
    return " ".join(found)


def _shown(entity: Entity, row: Mapping[str, Any], options: QueryOptions) -> Row:
    """A row of the service as the Web API shows it."""
    wanted = [_named(entity, name) for name in options.select] if options.select else list(entity.columns.values())
    columns = dict.fromkeys((*wanted, entity.columns[entity.key]))
    return {column.stored: row.get(_external(entity, column)) for column in columns}
