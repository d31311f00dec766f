"""Webhooks: what happened, told to a registered endpoint after the transaction, in the documented form.

The body is a RemoteExecutionContext; the endpoint is recognised by a header it chose (authentication type HttpHeader).
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

import httpx

from sandbox.dataverse.operation import Message
from sandbox.dataverse.reading import Reader, target_of
from sandbox.dataverse.schema import Entity
from sandbox.odata.jsonio import encode
from sandbox.store import Database, Row

log = logging.getLogger(__name__)

KEY_HEADER: Final = "x-q2c-webhook-key"
_NAMESPACE: Final = uuid.UUID("0d1a6f6e-55c9-5cb5-9a3c-6f7e3b2d4c11")
_CONTRACT: Final = "http://schemas.microsoft.com/xrm/2011/Contracts"
_TIMEOUT_SECONDS: Final = 60.0
_RETRIED: Final = frozenset({502, 503, 504})
_RETRY_AFTER_SECONDS: Final = 1.0
_MAX_BYTES: Final = 256 * 1024
_AT_ONCE: Final = 16
_KEPT_FAILURES: Final = 200
_IMAGE_KEY: Final = "AsynchronousStepPrimaryName"

_QUOTE_IMAGE: Final = (
    "quotenumber",
    "revisionnumber",
    "statecode",
    "statuscode",
    "q2c_approvalstatus",
    "owningbusinessunit",
    "ownerid",
    "versionnumber",
    "expireson",
)
_OPPORTUNITY_IMAGE: Final = ("name", "statecode", "statuscode", "owningbusinessunit")


@dataclass(frozen=True, slots=True)
class Step:
    """A registered step: one message of one table.

    Attributes:
        message: Message name.
        entity: Logical name of the table.
        image: Columns of the post image.
        filtering: An update counts only when it sends one of these columns; empty means any.
    """

    message: str
    entity: str
    image: tuple[str, ...]
    filtering: frozenset[str] = frozenset()

    @property
    def step_id(self) -> str:
        """The id of the `sdkmessageprocessingstep`."""
        return str(uuid.uuid5(_NAMESPACE, f"{self.entity}/{self.message}"))


STEPS: Final = (
    Step("Create", "quote", _QUOTE_IMAGE),
    Step("Update", "quote", _QUOTE_IMAGE, frozenset({"q2c_approvalstatus", "statecode", "statuscode"})),
    Step("Delete", "quote", ()),
    Step("Win", "quote", _QUOTE_IMAGE),
    Step("Close", "quote", _QUOTE_IMAGE),
    Step("Revise", "quote", _QUOTE_IMAGE),
    Step("Update", "opportunity", _OPPORTUNITY_IMAGE, frozenset({"statecode", "statuscode"})),
    Step("Win", "opportunity", _OPPORTUNITY_IMAGE),
    Step("Lose", "opportunity", _OPPORTUNITY_IMAGE),
)
"""What our solution registers, all asynchronous, at PostOperation."""


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
    headers: Mapping[str, str]
    body: bytes
    entity: str
    message: str


class Webhooks:
    """The endpoint, the queue before it, and what became of the jobs."""

    def __init__(self, db: Database, reader: Reader, organization_id: str, organization_name: str) -> None:
        """Stand ready without an endpoint: nothing is sent until `set_endpoint`."""
        self._db = db
        self._reader = reader
        self._organization_id = organization_id
        self._organization_name = organization_name
        self._endpoint: tuple[str, str] | None = None
        self._queues: dict[str, deque[_Job]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.sent = 0
        self.failures: deque[Failure] = deque(maxlen=_KEPT_FAILURES)

    def set_endpoint(self, url: str | None, key: str) -> None:
        """Send to `url` from now on, with `key` in the header `x-q2c-webhook-key`; None stops sending."""
        self._endpoint = None if url is None else (url, key)

    def deliver(self, messages: list[Message]) -> None:
        """Queue what registered steps are due for these messages. Without a running event loop nothing can be sent."""
        if self._endpoint is None:
            return
        for message in messages:
            for step in STEPS:
                if _applies(step, message):
                    self._enqueue(self._job(step, message))

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
        endpoint = self._endpoint
        if endpoint is None:
            return
        url, key = endpoint
        headers = {**job.headers, KEY_HEADER: key}
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
        return _Job(message.row_id, headers, body, step.entity, step.message)

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
            "Mode": 1,
            "OperationCreatedOn": f"/Date({int(self._db.clock.now().timestamp() * 1000)}+0000)/",
            "OperationId": str(uuid.uuid4()),
            "OrganizationId": self._organization_id,
            "OrganizationName": self._organization_name,
            "OutputParameters": [],
            "OwningExtension": _reference("sdkmessageprocessingstep", step.step_id, None),
            "ParentContext": None,
            "PostEntityImages": self._images(step, message),
            "PreEntityImages": [],
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

    def _images(self, step: Step, message: Message) -> list[dict[str, Any]]:
        if not step.image or message.after is None:
            return []
        entity, row = message.entity, message.after
        stored = {entity.columns[name].stored: row.get(entity.columns[name].stored) for name in step.image}
        stored[entity.key] = message.row_id
        shown = {name: value for name, value in stored.items() if value is not None}
        return [{"key": _IMAGE_KEY, "value": self._entity(entity, shown, row)}]

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


def _applies(step: Step, message: Message) -> bool:
    if step.message != message.name or step.entity != message.entity.name:
        return False
    return not step.filtering or not step.filtering.isdisjoint(message.target)


def _reference(logical_name: str, row_id: Any, name: str | None) -> dict[str, Any]:
    return {"Id": row_id, "KeyAttributes": [], "LogicalName": logical_name, "Name": name, "RowVersion": None}


def _json_date(text: str) -> str:
    """`/Date(ms)/` of a stored moment or date (a date means its midnight, UTC)."""
    moment = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00+00:00")
    return f"/Date({int(moment.timestamp() * 1000)})/"
