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
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import httpx

from sandbox.dataverse.operation import Message
from sandbox.dataverse.reading import Reader
from sandbox.dataverse.remote_context import ContextWriter, serialize
from sandbox.dataverse.schema import Schema
from sandbox.dataverse.steps import Image, Step
from sandbox.store import Database, Row, Table

log = logging.getLogger(__name__)

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
        self._contexts = ContextWriter(reader, db.clock, organization_id, organization_name)
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

    def kept(self) -> Any:
        """The jobs that are not done, and what became of others: what lasts beside the tables."""
        return [job for queue in self._queues.values() for job in queue], self.sent, list(self.failures)

    def take_back(self, kept: Any) -> None:
        """Go on from what `kept` gave: what was under way is sent again."""
        jobs, self.sent, failures = kept
        self.failures.extend(failures)
        for job in jobs:
            self._enqueue(job)

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
                    await self._send(queue[0])
                queue.popleft()
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
        context = self._contexts.write(step, message)
        body = serialize(context)
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
            body = serialize(context)
        return _Job(message.row_id, step.endpoint, headers, body, step.entity, step.message)


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
        root = ElementTree.fromstring(value) if value else None  # noqa: S314  # expat bounds entities
    except ElementTree.ParseError:
        return {}
    found = [] if root is None else root.iter("setting")
    return {item.get("name", ""): item.get("value", "") for item in found if item.get("name")}
