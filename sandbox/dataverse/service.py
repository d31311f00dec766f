"""The Web API: one request in, one answer out.

Works on plain requests (`sandbox.odata.batch.Request`), so that a part of a `$batch` goes the same way as a request of
its own. (Microsoft Learn: "Use the Microsoft Dataverse Web API" and the pages under it.)
"""

from __future__ import annotations

import uuid
from urllib.parse import unquote

from sandbox.dataverse import definitions, errors
from sandbox.dataverse.environment import Dataverse
from sandbox.dataverse.functions import FunctionService
from sandbox.dataverse.metadata_service import MetadataService
from sandbox.dataverse.preferences import parse_prefer
from sandbox.dataverse.rows import RowService
from sandbox.dataverse.web import JSON, NAMESPACE, ODATA, Call, Responder, split
from sandbox.odata.address import AddressError, parse_path
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
from sandbox.odata.jsonio import encode
from sandbox.odata.query import QueryError


class Service(Responder):
    """The Web API of one environment."""

    def __init__(self, dataverse: Dataverse) -> None:
        super().__init__(dataverse)
        self._rows = RowService(dataverse)
        self._metadata = MetadataService(dataverse)
        self._functions = FunctionService(dataverse)

    async def handle(self, request: Request, user: str) -> Answer:
        """Answer a request of a user (`systemuserid`); every refusal is an answer, never an exception."""
        if not _is_batch(request):
            return self._one(request, user)
        try:
            return await self._batch(self._read(request, user))
        except errors.DataverseError as problem:
            return self._refusal(problem, request)
        except (QueryError, AddressError, BatchError) as problem:
            return self._refusal(errors.bad_query(str(problem)), request)

    def _one(self, request: Request, user: str) -> Answer:
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
        path, query = split(request.url)
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
        headers = {"REQ_ID": request_id, "x-ms-service-request-id": request_id, **JSON, **problem.headers}
        return Answer(problem.status, headers, encode(body))

    def _route(self, call: Call) -> Answer:
        if not call.segments:
            return self._service_document(call)
        first = call.segments[0]
        entity = self.dataverse.schema.by_set.get(first.name)
        if entity is not None:
            return self._rows.answer(call, entity)
        if first.name == "$metadata":
            return self._metadata.document(call)
        if first.name in definitions.SETS or first.name == "RetrieveMetadataChanges":
            return self._metadata.answer(call)
        name = first.name.removeprefix(NAMESPACE)
        if name in self.dataverse.actions.by_name:
            return self._action(call, name)
        if name in self._metadata.actions:
            return self._metadata.act(call, name)
        return self._functions.answer(call, name)

    def _service_document(self, call: Call) -> Answer:
        call.need("GET")
        names = sorted([*self.dataverse.schema.by_set, *definitions.SETS])
        value = [{"name": name, "kind": "EntitySet", "url": name} for name in names]
        return Answer(200, JSON, encode({"@odata.context": f"{self.base}/$metadata", "value": value}))

    def _action(self, call: Call, name: str) -> Answer:
        call.need("POST")
        body = call.body()
        handler = self.dataverse.actions.by_name[name]
        with self.operation(call) as operation:
            outcome = handler(operation, body)
        if outcome is None:
            return Answer(204, ODATA)
        entity, row, columns = outcome
        self.dataverse.settle()
        stored = self.dataverse.table(entity).get((row[entity.key],))
        return self.row(call, entity, stored, columns, 200)

    async def _batch(self, call: Call) -> Answer:
        call.need("POST")
        items = parse_batch(
            call.request.headers.get("content-type", ""), call.request.body, at_most=DATAVERSE_MAX_REQUESTS
        )
        outcomes = await run_batch(
            items,
            lambda request: self._batch_part(request, call.user),
            lambda: self.dataverse.change_set(call.user),
            continue_on_error=call.preferences.continue_on_error,
            created_at=lambda answer: answer.headers.get("OData-EntityId"),
            refuse=lambda problem: self._refusal(errors.bad_query(str(problem)), call.request),
        )
        content_type, body = format_batch(outcomes, wrap_failed_set=True)
        status = 200 if call.preferences.continue_on_error else self._failed_status(outcomes)
        return Answer(status, {"Content-Type": content_type, **ODATA}, body)

    def _batch_part(self, request: Request, user: str) -> Answer:
        if _is_batch(request):
            return self._refusal(errors.bad_query("A batch request cannot contain other batch requests."), request)
        return self._one(request, user)

    @staticmethod
    def _failed_status(outcomes: list[Outcome]) -> int:
        failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        return failures[0].status if failures else 200


def _is_batch(request: Request) -> bool:
    return unquote(split(request.url)[0]).strip("/") == "$batch"
