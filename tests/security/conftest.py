"""A development server, what the product may do on it, and what somebody may who has the namespace and no keys.

The web application of the real code is the one of ``tests.webworld``.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import RawValue
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from runs.codec_keys import KeyRing
from tests.deadlines import PATIENCE
from tests.sealing import KEYS
from tests.security.probe import Begin, Note, Probe, ProbeChild, look
from tests.temporal_server import bare_server
from tests.webworld.world import app, config, http, stage, temporal, tenant
from workers.sealing import sealing
from workers.worker import workflow_runner

__all__ = ["app", "config", "http", "stage", "temporal", "tenant"]


@pytest.fixture(scope="session")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with bare_server() as env:
        yield env


@dataclass
class Range:
    """A task queue of its own on the server, for one test."""

    address: str
    queue: str
    product: Client
    stranger: Client
    """The same namespace, and no keys: the SDK's default converter."""

    async def client(self, keys: KeyRing) -> Client:
        """A client of the product with other keys."""
        return await Client.connect(self.address, plugins=[sealing(keys)])

    @asynccontextmanager
    async def worker(self, keys: KeyRing = KEYS) -> AsyncIterator[Client]:
        """A worker of the product; its client."""
        client = await self.client(keys)
        async with Worker(
            client,
            task_queue=self.queue,
            workflows=[Probe, ProbeChild],
            activities=[look],
            workflow_runner=workflow_runner(),
        ):
            yield client

    async def begin(self, client: Client | None = None) -> WorkflowHandle[Any, Any]:
        """A running probe."""
        return await (client or self.product).start_workflow(
            "Probe", Begin(text="it"), id=f"q2c/usmf/{uuid.uuid4().hex[:8]}", task_queue=self.queue
        )

    async def begin_as_stranger(self, workflow_id: str, *args: Any) -> WorkflowHandle[Any, Any]:
        """A probe started by somebody without keys."""
        return await self.stranger.start_workflow("Probe", args=args, id=workflow_id, task_queue=self.queue)

    async def told(self, handle: WorkflowHandle[Any, Any], *heard: str) -> None:
        """Wait until the probe heard exactly this: a true message right after an attack still counts.

        Raises:
            AssertionError: it did not in time.
        """
        found: list[str] = []
        for _ in range(int(PATIENCE * 10)):
            found = await self.product.get_workflow_handle(handle.id).query("told")
            if found == list(heard):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"heard {found}, not {list(heard)}")

    async def ends(self, handle: WorkflowHandle[Any, Any]) -> tuple[WorkflowExecutionStatus | None, int]:
        """How a run ended, and how many of its workflow tasks failed before."""
        for _ in range(int(PATIENCE * 10)):
            status = (await handle.describe()).status
            if status is not WorkflowExecutionStatus.RUNNING:
                failed = await events(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
                return status, len(failed)
            await asyncio.sleep(0.1)
        raise AssertionError("it still runs")


async def events(handle: WorkflowHandle[Any, Any], kind: EventType.ValueType) -> list[HistoryEvent]:
    return [event async for event in handle.fetch_history_events() if event.event_type == kind]


async def payload_of_signal(handle: WorkflowHandle[Any, Any], number: int = 0) -> RawValue:
    """The sealed payload of a signal in a history, to be sent again.

    The server keeps a signal aside while a workflow task runs: it is in the history when the task has ended.
    """
    for _ in range(int(PATIENCE * 10)):
        found = await events(handle, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
        if len(found) > number:
            return RawValue(found[number].workflow_execution_signaled_event_attributes.input.payloads[0])
        await asyncio.sleep(0.1)
    raise AssertionError("the signal never reached the history")


async def payload_of_start(handle: WorkflowHandle[Any, Any]) -> RawValue:
    """The sealed payload a run was started with."""
    (found,) = await events(handle, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
    return RawValue(found.workflow_execution_started_event_attributes.input.payloads[0])


def raw(payload: Payload) -> RawValue:
    return RawValue(payload)


@pytest.fixture
async def field(server: WorkflowEnvironment) -> AsyncIterator[Range]:
    address = server.client.service_client.config.target_host
    product = await Client.connect(address, plugins=[sealing(KEYS)])
    yield Range(address, f"q-{uuid.uuid4().hex[:8]}", product, server.client)


NOTE = Note(text="hello")
