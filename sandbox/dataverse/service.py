"""The Web API: one request in, one answer out.

Works on plain requests (`sandbox.odata.batch.Request`), so that a part of a `$batch` goes the same way as a request of
its own. (Microsoft Learn: "Use the Microsoft Dataverse Web API" and the pages under it.)
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.dataverse import bulk, definitions, errors, pricing
from sandbox.dataverse.csdl import service_metadata
from sandbox.dataverse.environment import ORGANIZATION, Dataverse, column_set
from sandbox.dataverse.operation import Operation, run
from sandbox.dataverse.preferences import Preferences, parse_prefer
from sandbox.dataverse.reading import etag
from sandbox.dataverse.schema import Entity
from sandbox.odata.address import AddressError, Segment, parse_path
from sandbox.odata.batch import (
    DATAVERSE_MAX_REQUESTS,
    Answer,
    BatchError,
    Outcome,
    Request,
    format_batch,
    parse_batch,
    run_batch,
)
from sandbox.odata.jsonio import BadJson, decode, encode
from sandbox.odata.query import QueryError, QueryOptions, parse_query
from sandbox.store import Row

ROOT: Final = "/api/data/v9.2"
_ROOT_PATTERN: Final = re.compile(r"^/api/data/v9\.\d+(?=/|$)")
_ODATA: Final = {"OData-Version": "4.0"}
_JSON: Final = {"Content-Type": "application/json; odata.metadata=minimal", **_ODATA}
_NAMESPACE: Final = "Microsoft.Dynamics.CRM."


@dataclass(frozen=True, slots=True)
class Call:
    """A request with what was read from its address and headers."""

    request: Request
    segments: tuple[Segment, ...]
    query: str
    preferences: Preferences
    user: str

    @property
    def method(self) -> str:
        """Upper-case method."""
        return self.request.method

    def header(self, name: str) -> str | None:
        """A header, None where absent or the literal `null` that Microsoft's samples send."""
        value = self.request.headers.get(name)
        return None if value in (None, "", "null") else value

    def body(self) -> dict[str, Any]:
        """The JSON object in the body.

        Raises:
            DataverseError: It is none.
        """
        try:
            body = decode(self.request.body or b"{}")
        except BadJson as problem:
            message = f"An error occurred while validating input parameters: {problem}"
            raise errors.DataverseError(400, "0x80048d19", message) from problem
        if not isinstance(body, dict):
            raise errors.DataverseError(400, "0x80048d19", "The request body must be a JSON object.")
        return body


class Service:
    """The Web API of one environment."""

    def __init__(self, dataverse: Dataverse) -> None:
        self._dataverse = dataverse
        self._base = dataverse.origin + ROOT

    def handle(self, request: Request, user: str) -> Answer:
        """Answer a request of a user (`systemuserid`); every refusal is an answer, never an exception."""
        try:
            return self._route(self._read(request, user))
        except errors.DataverseError as problem:
            return self._refusal(problem, request)
        except (QueryError, AddressError, BatchError) as problem:
            return self._refusal(errors.bad_query(str(problem)), request)

    def refusal(self, problem: errors.DataverseError) -> Answer:
        """The answer to a request that is refused before it is read."""
        return self._refusal(problem, Request("GET", ""))

    def _read(self, request: Request, user: str) -> Call:
        path, query = _split(request.url)
        preferences = parse_prefer(request.headers.get("prefer"))
        return Call(request, parse_path(path), query, preferences, user)

    def _refusal(self, problem: errors.DataverseError, request: Request) -> Answer:
        body = problem.body()
        if parse_prefer(request.headers.get("prefer")).annotations.errors:
            body["error"] |= {
                "@Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus": "0",
                "@Microsoft.PowerApps.CDS.HelpLink": f"http://go.microsoft.com/fwlink/?LinkID=398563&error={problem.code}",
                "@Microsoft.PowerApps.CDS.TraceText": "",
                "@Microsoft.PowerApps.CDS.InnerError.Message": problem.message,
            }
        request_id = str(uuid.uuid4())
        headers = {"REQ_ID": request_id, "x-ms-service-request-id": request_id, **_JSON, **problem.headers}
        return Answer(problem.status, headers, encode(body))

    def _route(self, call: Call) -> Answer:
        if not call.segments:
            return self._service_document(call)
        first = call.segments[0]
        entity = self._dataverse.schema.by_set.get(first.name)
        if entity is not None:
            return self._entity_set(call, entity)
        if first.name == "$batch":
            return self._batch(call)
        if first.name == "$metadata":
            return Answer(200, {"Content-Type": "application/xml", **_ODATA}, service_metadata())
        if first.name == "WhoAmI":
            return self._who_am_i(call)
        if first.name in ("EntityDefinitions", "RetrieveMetadataChanges"):
            return self._definitions(call)
        if first.name.removeprefix(_NAMESPACE) in self._dataverse.actions.by_name:
            return self._action(call, first.name.removeprefix(_NAMESPACE))
        if first.name == "BulkDelete":
            self._need_method(call, "POST")
            return self._json(
                bulk.delete_by_query(self._dataverse, call.body(), call.user), self._context("BulkDelete")
            )
        raise errors.resource_not_found(first.name)

    def _service_document(self, call: Call) -> Answer:
        self._need_method(call, "GET")
        names = sorted(self._dataverse.schema.by_set)
        value = [{"name": name, "kind": "EntitySet", "url": name} for name in names]
        return Answer(200, _JSON, encode({"@odata.context": f"{self._base}/$metadata", "value": value}))

    def _who_am_i(self, call: Call) -> Answer:
        self._need_method(call, "GET")
        user = self._dataverse.operation(call.user).user
        body = {
            "@odata.context": f"{self._base}/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse",
            "BusinessUnitId": user.get("_businessunitid_value"),
            "UserId": user["systemuserid"],
            "OrganizationId": ORGANIZATION,
        }
        return Answer(200, _JSON, encode(body))

    def _definitions(self, call: Call) -> Answer:
        self._need_method(call, "GET")
        aliases = dict(parse_qsl(call.query))
        body = definitions.answer(self._dataverse.schema, call.segments, parse_query(call.query), aliases, self._base)
        return Answer(200, _JSON, encode(body))

    def _action(self, call: Call, name: str) -> Answer:
        self._need_method(call, "POST")
        body = call.body()
        handler = self._dataverse.actions.by_name[name]
        with self._operation(call) as operation:
            outcome = handler(operation, body)
        if outcome is None:
            return Answer(204, _ODATA)
        entity, row, columns = outcome
        self._dataverse.settle()
        stored = self._dataverse.table(entity).get((row[entity.key],))
        return self._row(call, entity, stored, column_set(entity, columns), 200)

    def _entity_set(self, call: Call, entity: Entity) -> Answer:
        segments = call.segments
        first = segments[0]
        if first.key is None:
            return self._collection(call, entity)
        if len(segments) == 1:
            if call.method == "GET":
                return self._get_row(call, entity)
            if call.method == "PATCH":
                return self._patch_row(call, entity)
            if call.method == "DELETE":
                return self._delete_row(call, entity)
            raise errors.method_not_allowed(call.method)
        return self._below_row(call, entity)

    def _collection(self, call: Call, entity: Entity) -> Answer:
        if len(call.segments) == 2:
            name = call.segments[1].name
            if name == "$count":
                self._need_method(call, "GET")
                count = self._dataverse.queries.count(entity, parse_query(call.query))
                return Answer(200, {"Content-Type": "text/plain", **_ODATA}, str(count).encode())
            many = bulk.ACTIONS.get(name.removeprefix(_NAMESPACE))
            if many is not None and name.startswith(_NAMESPACE):
                self._need_method(call, "POST")
                body = call.body()
                with self._operation(call) as operation:
                    answer = many(self._dataverse, operation, entity, body)
                return Answer(204, _ODATA) if answer is None else self._json(answer, self._context(name))
            raise errors.resource_not_found(name)
        if len(call.segments) > 2:
            raise errors.resource_not_found(call.segments[2].name)
        if call.method == "GET":
            return self._get_collection(call, entity)
        if call.method == "POST":
            return self._post(call, entity)
        raise errors.method_not_allowed(call.method)

    def _get_collection(self, call: Call, entity: Entity, rows: list[Row] | None = None, path: str = "") -> Answer:
        options = parse_query(call.query)
        link = f"{self._base}/{path or entity.entity_set}"
        kept = "&".join(
            piece for piece in call.query.split("&") if piece and not re.match(r"(?:\$|%24)(?:skip|delta)token=", piece)
        )
        link += f"?{kept}" if kept else ""
        context = self._context_of(entity, options)
        body = self._dataverse.queries.answer(entity, options, call.preferences, link, context, rows)
        return Answer(200, self._applied(call), encode(body))

    def _get_row(self, call: Call, entity: Entity) -> Answer:
        options = parse_query(call.query)
        self._dataverse.queries.check(options)
        row = self._dataverse.writer.find(self._dataverse.operation(call.user), entity, call.segments[0])
        known = call.header("if-none-match")
        if known == etag(row) and not options.expand and not call.preferences.annotations.any:
            return Answer(304, _ODATA)
        return self._row(call, entity, row, options, 200)

    def _row(self, call: Call, entity: Entity, row: Row, options: QueryOptions, status: int) -> Answer:
        shown = self._dataverse.reader.present(entity, row, options, call.preferences.annotations)
        body = {"@odata.context": f"{self._context_of(entity, options)}/$entity", **shown}
        headers = {**self._applied(call), "ETag": etag(row)}
        return Answer(status, headers, encode(body))

    def _post(self, call: Call, entity: Entity) -> Answer:
        body = call.body()
        with self._operation(call) as operation:
            row = self._dataverse.writer.create(operation, entity, body)
        return self._written(call, entity, row[entity.key], 201)

    def _written(self, call: Call, entity: Entity, row_id: str, status: int, address: str | None = None) -> Answer:
        """The answer to a create or update: the row where it is wanted, else its address."""
        if call.preferences.representation:
            self._dataverse.settle()
            row = self._dataverse.table(entity).get((row_id,))
            return self._row(call, entity, row, parse_query(call.query), status)
        location = address or f"{self._base}/{entity.entity_set}({row_id})"
        return Answer(204, {**_ODATA, "Location": location, "OData-EntityId": location})

    def _patch_row(self, call: Call, entity: Entity) -> Answer:
        """Update, or create where the row is missing and no `If-Match` forbids it."""
        segment = call.segments[0]
        row_id, alternate = self._dataverse.writer.read_key(entity, segment)
        table = self._dataverse.table(entity)
        row = table.get((row_id,)) if alternate is None else table.first(**alternate)
        body = call.body()
        self._check_conditions(call, entity, row, row_id)
        address = f"{self._base}/{call.segments[0].name}({_bracket(call.request.url)})"
        with self._operation(call) as operation:
            if row is None:
                named = {entity.key: row_id} if alternate is None else alternate
                lookups = {name for name in named if name not in entity.columns}
                if lookups:
                    raise errors.invalid_argument("A row cannot be created by an alternate key that holds a lookup.")
                row = self._dataverse.writer.create(operation, entity, {**named, **body})
                return_status = 201
            else:
                kept = {name: value for name, value in body.items() if name not in (alternate or ())}
                self._dataverse.writer.update(operation, entity, row, kept)
                return_status = 200
        return self._written(call, entity, row[entity.key], return_status, address)

    def _check_conditions(self, call: Call, entity: Entity, row: Row | None, row_id: str) -> None:
        wanted = call.header("if-match")
        if row is None:
            if wanted is not None:
                raise errors.row_not_found(entity.name, row_id) if row_id else errors.key_not_found(entity.name)
            return
        if call.header("if-none-match") == "*":
            raise errors.exists_already()
        if wanted is not None and wanted not in ("*", etag(row)):
            raise errors.version_mismatch()

    def _delete_row(self, call: Call, entity: Entity) -> Answer:
        row = self._dataverse.writer.find(self._dataverse.operation(call.user), entity, call.segments[0])
        wanted = call.header("if-match")
        if wanted is not None and wanted not in ("*", etag(row)):
            raise errors.version_mismatch()
        with self._operation(call) as operation:
            self._dataverse.writer.delete(operation, entity, row)
        return Answer(204, _ODATA)

    def _below_row(self, call: Call, entity: Entity) -> Answer:
        """What an address names below a row: a column, a navigation property, its reference, a bound action."""
        row = self._dataverse.writer.find(self._dataverse.operation(call.user), entity, call.segments[0])
        name = call.segments[1].name
        rest = [segment.name for segment in call.segments[2:]]
        if rest == ["$ref"] and name in entity.navigations:
            return self._reference(call, entity, row, name)
        if call.method == "POST" and entity.name == "product" and name == f"{_NAMESPACE}PublishProductHierarchy":
            return self._publish(call, entity, row)
        self._need_method(call, "GET")
        path = f"{entity.entity_set}({row[entity.key]})/{name}"
        if name in entity.collections:
            child, rows = self._dataverse.reader.children(entity, row, entity.collections[name])
            if rest == ["$count"]:
                return Answer(200, {"Content-Type": "text/plain", **_ODATA}, str(len(rows)).encode())
            return self._get_collection(call, child, rows, path)
        if name in entity.navigations:
            navigation = entity.navigations[name]
            target = self._dataverse.schema.by_name.get(navigation.targets[0])
            row_id = row.get(navigation.column.stored)
            found = self._dataverse.table(target).get((row_id,)) if target and row_id else None
            if target is None or found is None:
                return Answer(204, _ODATA)
            return self._row(call, target, found, parse_query(call.query), 200)
        column = entity.columns.get(name)
        if column is None:
            raise errors.resource_not_found(name)
        value = row.get(column.stored)
        if value is None:
            return Answer(204, _ODATA)
        context = f"{self._base}/$metadata#{entity.entity_set}({row[entity.key]})/{name}"
        return Answer(200, _JSON, encode({"@odata.context": context, "value": value}))

    def _reference(self, call: Call, entity: Entity, row: Row, name: str) -> Answer:
        """Set or clear a lookup by its `$ref` address."""
        if call.method == "DELETE":
            body: dict[str, Any] = {f"{name}@odata.bind": None}
        elif call.method == "PUT":
            body = {f"{name}@odata.bind": call.body().get("@odata.id")}
        else:
            raise errors.method_not_allowed(call.method)
        with self._operation(call) as operation:
            self._dataverse.writer.update(operation, entity, row, body)
        return Answer(204, _ODATA)

    def _publish(self, call: Call, entity: Entity, row: Row) -> Answer:
        with self._operation(call) as operation:
            if row["statecode"] != 0:
                operation.put(entity, row[entity.key], {"statecode": 0, "statuscode": 1})
        return Answer(204, _ODATA)

    def _batch(self, call: Call) -> Answer:
        self._need_method(call, "POST")
        items = parse_batch(
            call.request.headers.get("content-type", ""), call.request.body, at_most=DATAVERSE_MAX_REQUESTS
        )
        outcomes = run_batch(
            items,
            lambda request: self._batch_part(request, call.user),
            lambda: self._dataverse.change_set(call.user),
            continue_on_error=call.preferences.continue_on_error,
            created_at=lambda answer: answer.headers.get("OData-EntityId"),
            refuse=lambda problem: self._refusal(errors.bad_query(str(problem)), call.request),
        )
        content_type, body = format_batch(outcomes, wrap_failed_set=True)
        status = 200 if call.preferences.continue_on_error else self._failed_status(outcomes)
        return Answer(status, {"Content-Type": content_type, **_ODATA}, body)

    def _batch_part(self, request: Request, user: str) -> Answer:
        if unquote(_split(request.url)[0]).strip("/") == "$batch":
            return self._refusal(errors.bad_query("A batch request cannot contain other batch requests."), request)
        return self.handle(request, user)

    @staticmethod
    def _failed_status(outcomes: list[Outcome]) -> int:
        failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        return failures[0].status if failures else 200

    def _operation(self, call: Call) -> Any:
        operation: Operation = self._dataverse.operation(call.user)
        return run(operation, pricing.settle, self._dataverse.webhooks.deliver)

    def _context(self, name: str) -> str:
        return f"{self._base}/$metadata#Microsoft.Dynamics.CRM.{name.removeprefix(_NAMESPACE)}Response"

    def _context_of(self, entity: Entity, options: QueryOptions) -> str:
        return _context_text(self._base, entity.entity_set, options.select)

    @staticmethod
    def _json(body: Mapping[str, Any], context: str) -> Answer:
        return Answer(200, _JSON, encode({"@odata.context": context, **body}))

    @staticmethod
    def _applied(call: Call) -> dict[str, str]:
        applied = call.preferences.applied
        return {**_JSON, "Preference-Applied": applied} if applied else dict(_JSON)

    @staticmethod
    def _need_method(call: Call, method: str) -> None:
        if call.method != method:
            raise errors.method_not_allowed(call.method)


@lru_cache(maxsize=4096)
def _context_text(base: str, entity_set: str, select: tuple[str, ...] | None) -> str:
    columns = f"({','.join(select)})" if select else ""
    return f"{base}/$metadata#{entity_set}{columns}"


def _split(url: str) -> tuple[str, str]:
    """Path below the service root, and query string."""
    parts = urlsplit(url) if "://" in url else None
    path, _, query = (f"{parts.path}?{parts.query}" if parts else url).partition("?")
    return _ROOT_PATTERN.sub("", path, count=1), query


def _bracket(url: str) -> str:
    """The text in the brackets of the last segment of an address, as the caller wrote it."""
    path = _split(url)[0]
    return path[path.index("(") + 1 : path.rindex(")")]
