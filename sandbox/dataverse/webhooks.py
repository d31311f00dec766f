"""Webhooks: what happened, told to registered endpoints after the transaction, in the documented form.

The body is a RemoteExecutionContext. Endpoints, steps and images are rows of `serviceendpoint`,
`sdkmessageprocessingstep` and `sdkmessageprocessingstepimage`, which a setup registers as the Plug-in Registration Tool
does; the endpoint recognises Dataverse by a header, a key or query parameters of its own choice.
Delivery follows the platform, with its weakness: an answer other than 2xx fails the job; only 502, 503 and 504 are
retried, exactly once; then the message is lost. So is one the endpoint does not accept at all.
(Microsoft Learn: "Use webhooks to create external handlers for server events", "Register a webhook".)
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import httpx

from sandbox.dataverse.operation import Message
from sandbox.dataverse.reading import Reader, target_of
from sandbox.dataverse.schema import Entity, Schema
from sandbox.odata.jsonio import encode
from sandbox.store import Database, Row, Table

log = logging.getLogger(__name__)

_CONTRACT: Final = "http://schemas.microsoft.com/xrm/2011/Contracts"
_TIMEOUT_SECONDS: Final = 60.0
_RETRIED: Final = frozenset({502, 503, 504})
_RETRY_AFTER_SECONDS: Final = 1.0
_MAX_BYTES: Final = 256 * 1024
_WEBHOOK_CONTRACT: Final = 8
_WEBHOOK_KEY, _QUERY_STRING = 4, 6
_REGISTRATIONS: Final = (
    "serviceendpoint",
    "sdkmessageprocessingstep",
    "sdkmessageprocessingstepimage",
    "sdkmessagefilter",
)
_AT_ONCE: Final = 16
_KEPT_FAILURES: Final = 200


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a step: the key it is sent under, whether before or after (or both), and its columns."""

    alias: str
    kind: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A registered step: one message of one table, and the endpoint it is sent to.

    Attributes:
        step_id: Id of the `sdkmessageprocessingstep`.
        message: Message name.
        entity: Logical name of the table.
        endpoint: Id of the `serviceendpoint`.
        asynchronous: The step's mode.
        images: Its images.
        filtering: An update counts only when it sends one of these columns; empty means any.
    """

    step_id: str
    message: str
    entity: str
    endpoint: str
    asynchronous: bool
    images: tuple[Image, ...]
    filtering: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Failure:
    """A system job that failed: the message is lost."""

    at: str
    entity: str
    message: str
    row_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Job:
    row_id: str
    endpoint: str
    headers: Mapping[str, str]
    body: bytes
    entity: str
    message: str


class Webhooks:
    """The registered steps, the queue of their jobs, and what became of them."""

    def __init__(
        self, db: Database, schema: Schema, reader: Reader, organization_id: str, organization_name: str
    ) -> None:
        """Stand ready: steps are sent once their endpoint has an address."""
        self._db = db
        self._schema = schema
        self._reader = reader
        self._organization_id = organization_id
        self._organization_name = organization_name
        self._steps: dict[tuple[str, str], tuple[Step, ...]] = {}
        self._stamp: tuple[int, ...] = ()
        self._queues: dict[str, deque[_Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.sent = 0
        self.failures: deque[Failure] = deque(maxlen=_KEPT_FAILURES)

    def deliver(self, messages: list[Message]) -> None:
        """Queue what registered steps are due for these messages. Without a running event loop nothing can be sent."""
        for message in messages:
            for step in self.steps_of(message.entity.name, message.name):
                if not step.filtering or not step.filtering.isdisjoint(_sent_columns(message)):
                    self._enqueue(self._job(step, message))

    def steps_of(self, entity: str, message: str) -> tuple[Step, ...]:
        """The enabled steps of a message of a table that go to a webhook."""
        stamp = tuple(self._rows(name).revision for name in _REGISTRATIONS)
        if stamp != self._stamp:
            self._stamp = stamp
            self._steps = self._read_steps()
        return self._steps.get((entity, message), ())

    def _read_steps(self) -> dict[tuple[str, str], tuple[Step, ...]]:
        found: dict[tuple[str, str], tuple[Step, ...]] = {}
        for row in sorted(self._rows("sdkmessageprocessingstep"), key=lambda step: step.get("rank") or 0):
            filter_ = self._rows("sdkmessagefilter").get((row.get("_sdkmessagefilterid_value"),))
            message = self._rows("sdkmessage").get((row.get("_sdkmessageid_value"),))
            endpoint = self._rows("serviceendpoint").get((row.get("_eventhandler_value"),))
            if row.get("statecode") != 0 or filter_ is None or message is None or endpoint is None:
                continue
            if endpoint.get("contract") != _WEBHOOK_CONTRACT or not endpoint.get("url"):
                continue
            step = Step(
                step_id=row["sdkmessageprocessingstepid"],
                message=message["name"],
                entity=filter_["primaryobjecttypecode"],
                endpoint=endpoint["serviceendpointid"],
                asynchronous=row.get("mode") == 1,
                images=self._read_images(row["sdkmessageprocessingstepid"], filter_["primaryobjecttypecode"]),
                filtering=frozenset(_names(row.get("filteringattributes"))),
            )
            key = (step.entity, step.message)
            found[key] = (*found.get(key, ()), step)
        return found

    def _read_images(self, step_id: str, entity: str) -> tuple[Image, ...]:
        rows = self._rows("sdkmessageprocessingstepimage").find(_sdkmessageprocessingstepid_value=step_id)
        every = tuple(self._schema.by_name[entity].columns)
        return tuple(
            Image(row["entityalias"], row["imagetype"], _names(row.get("attributes")) or every) for row in rows
        )

    def _rows(self, name: str) -> Table:
        return self._db.table(name, (self._schema.by_name[name].key,))

    async def drain(self) -> None:
        """Wait until every queued job is done."""
        while self._tasks:
            await asyncio.gather(*list(self._tasks))

    async def aclose(self) -> None:
        """Drop what is queued and close connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*list(self._tasks), return_exceptions=True)
        self._queues.clear()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _enqueue(self, job: _Job) -> None:
        """Jobs of one row go one after the other; rows do not wait for each other."""
        queue = self._queues.get(job.row_id)
        if queue is not None:
            queue.append(job)
            return
        self._queues[job.row_id] = deque([job])
        task = asyncio.get_running_loop().create_task(self._work(job.row_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, row_id: str) -> None:
        queue = self._queues[row_id]
        try:
            while queue:
                async with self._slots:
                    await self._send(queue.popleft())
        finally:
            self._queues.pop(row_id, None)

    async def _send(self, job: _Job) -> None:
        endpoint = self._rows("serviceendpoint").get((job.endpoint,))
        if endpoint is None or not endpoint.get("url"):
            return
        url, own = _authenticated(endpoint)
        headers = {**job.headers, **own}
        status, reason = await self._post(url, headers, job.body)
        if status in _RETRIED:
            await asyncio.sleep(_RETRY_AFTER_SECONDS)
            status, reason = await self._post(url, headers, job.body)
        if 200 <= status < 300:
            self.sent += 1
            return
        failure = Failure(self._db.clock.now().isoformat(), job.entity, job.message, job.row_id, reason)
        self.failures.append(failure)
        log.warning("webhook lost: %s of %s %s: %s", job.message, job.entity, job.row_id, reason)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False)
        try:
            answer = await self._client.post(url, content=body, headers=dict(headers))
        except httpx.HTTPError as problem:
            return 0, f"{type(problem).__name__}: {problem}"
        return answer.status_code, f"HTTP {answer.status_code}"

    def _job(self, step: Step, message: Message) -> _Job:
        context = self._context(step, message)
        body = encode(context)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "x-ms-dynamics-organization": self._organization_name,
            "x-ms-dynamics-entity-name": step.entity,
            "x-ms-dynamics-request-name": step.message,
            "x-ms-correlation-request-id": message.correlation_id,
        }
        if len(body) > _MAX_BYTES:
            for name in ("ParentContext", "InputParameters", "PreEntityImages", "PostEntityImages"):
                del context[name]
            headers["x-ms-dynamics-msg-size-exceeded"] = "true"
            body = encode(context)
        return _Job(message.row_id, step.endpoint, headers, body, step.entity, step.message)

    def _context(self, step: Step, message: Message) -> dict[str, Any]:
        user_id = message.user["systemuserid"]
        return {
            "BusinessUnitId": message.user.get("_businessunitid_value"),
            "CorrelationId": message.correlation_id,
            "Depth": 1,
            "InitiatingUserId": user_id,
            "InputParameters": self._input(message),
            "IsExecutingOffline": False,
            "IsInTransaction": False,
            "IsOfflinePlayback": False,
            "IsolationMode": 1,
            "MessageName": step.message,
            "Mode": 1 if step.asynchronous else 0,
            "OperationCreatedOn": f"/Date({int(self._db.clock.now().timestamp() * 1000)}+0000)/",
            "OperationId": str(uuid.uuid4()),
            "OrganizationId": self._organization_id,
            "OrganizationName": self._organization_name,
            "OutputParameters": [],
            "OwningExtension": _reference("sdkmessageprocessingstep", step.step_id, None),
            "ParentContext": None,
            "PostEntityImages": self._images(step, message, 1, message.after),
            "PreEntityImages": self._images(step, message, 0, message.before),
            "PrimaryEntityId": message.row_id,
            "PrimaryEntityName": step.entity,
            "RequestId": None,
            "SecondaryEntityName": "none",
            "SharedVariables": [],
            "Stage": 40,
            "UserId": user_id,
        }

    def _input(self, message: Message) -> list[dict[str, Any]]:
        if message.name == "Delete":
            target = _reference(message.entity.name, message.row_id, None)
            return [{"key": "Target", "value": {"__type": f"EntityReference:{_CONTRACT}", **target}}]
        row = message.after or message.before or {}
        known = message.entity.by_stored
        shown = {name: value for name, value in message.target.items() if name in known}
        value = {"__type": f"Entity:{_CONTRACT}", **self._entity(message.entity, shown, row)}
        return [{"key": "Target", "value": value}]

    def _images(self, step: Step, message: Message, kind: int, row: Row | None) -> list[dict[str, Any]]:
        """The pre images (kind 0) or post images (1) of a step; kind 2 of an image is both."""
        if row is None:
            return []
        entity = message.entity
        images = []
        for image in step.images:
            if image.kind not in (kind, 2):
                continue
            columns = (entity.columns[name].stored for name in image.columns if name in entity.columns)
            stored = {name: row.get(name) for name in columns}
            stored[entity.key] = message.row_id
            shown = {name: value for name, value in stored.items() if value is not None}
            images.append({"key": image.alias, "value": self._entity(entity, shown, row)})
        return images

    def _entity(self, entity: Entity, shown: Row, row: Row) -> dict[str, Any]:
        attributes = [
            {"key": entity.by_stored[name].name, "value": self._value(entity, name, value, row)}
            for name, value in shown.items()
        ]
        return {
            "Attributes": attributes,
            "EntityState": None,
            "FormattedValues": [],
            "Id": row.get(entity.key),
            "KeyAttributes": [],
            "LogicalName": entity.name,
            "RelatedEntities": [],
            "RowVersion": None,
        }

    def _value(self, entity: Entity, name: str, value: Any, row: Row) -> Any:
        """A value as the serializer of the SDK writes it."""
        column = entity.by_stored[name]
        if value is None:
            return None
        if column.type == "Lookup":
            target = target_of(column, row)
            reference = _reference(target, value, self._reader.name_of(target, value))
            return {"__type": f"EntityReference:{_CONTRACT}", **reference}
        if column.is_choice:
            return {"__type": f"OptionSetValue:{_CONTRACT}", "Value": value}
        if column.type == "Money":
            return {"__type": f"Money:{_CONTRACT}", "Value": value}
        if column.type in ("DateTime", "DateOnly"):
            return _json_date(value)
        return value


def _sent_columns(message: Message) -> set[str]:
    """The logical names of the columns an update sent."""
    known = message.entity.by_stored
    return {known[name].name for name in message.target if name in known}


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in (text or "").split(",") if name.strip())


def _authenticated(endpoint: Row) -> tuple[str, dict[str, str]]:
    """Where to send to, and the headers the endpoint recognises Dataverse by, as its authentication type says."""
    url, value = str(endpoint.get("url") or ""), str(endpoint.get("authvalue") or "")
    kind = endpoint.get("authtype")
    joint = "&" if "?" in url else "?"
    if kind == _WEBHOOK_KEY:
        return f"{url}{joint}code={quote(value, safe='')}", {}
    settings = _settings(value)
    if kind == _QUERY_STRING:
        return f"{url}{joint}{urlencode(settings)}" if settings else url, {}
    return url, settings


def _settings(value: str) -> dict[str, str]:
    """Name -> value of `<settings><setting name="…" value="…"/></settings>`."""
    try:
        root = ElementTree.fromstring(value) if value else None
    except ElementTree.ParseError:
        return {}
    found = [] if root is None else root.iter("setting")
    return {item.get("name", ""): item.get("value", "") for item in found if item.get("name")}


def _reference(logical_name: str, row_id: Any, name: str | None) -> dict[str, Any]:
    return {"Id": row_id, "KeyAttributes": [], "LogicalName": logical_name, "Name": name, "RowVersion": None}


def _json_date(text: str) -> str:
    """`/Date(ms)/` of a stored moment or date (a date means its midnight, UTC)."""
    moment = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00+00:00")
    return f"/Date({int(moment.timestamp() * 1000)})/"
