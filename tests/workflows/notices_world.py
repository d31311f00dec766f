"""One recipient's messages on a worker of its own, with targets that do what a test says."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.notice_signatures import (
    NO_USE,
    OfApprover,
    SendingActivities,
    WaitingActivities,
    WaitingRequests,
)
from activities.signatures import FailureType, Nothing
from domain.notices import Kind, Notice
from domain.notices_box import Box, Message, WaitingRequest
from domain.notices_policy import Telling
from runs import names
from runs.notices import NoticeBoxes
from tests.deadlines import PATIENCE
from tests.workflows.conftest import World
from tests.workflows.scripted_desks import ScriptedAudit
from workers.worker import workflow_runner
from workflows.audit import AuditDelivery
from workflows.notices import PeopleNotices


class ScriptedTargets(WaitingActivities, SendingActivities):
    """Targets that are down as often as they are told to be."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.down = 0
        self.gone = False
        """Whether no later try would help."""
        self.waiting: tuple[WaitingRequest, ...] = ()

    @activity.defn(name="send_message")
    async def send_message(self, message: Message) -> Nothing:
        if self.gone:
            raise ApplicationError("no such address", type=NO_USE, non_retryable=True)
        if self.down:
            self.down -= 1
            raise ApplicationError("target mail: cannot be reached", type=FailureType.TRANSIENT)
        self.sent.append(message)
        return Nothing()

    @activity.defn(name="find_waiting")
    async def find_waiting(self, of: OfApprover) -> WaitingRequests:
        return WaitingRequests(requests=self.waiting)


class Recipient:
    """Somebody who is told things."""

    def __init__(self, env: WorkflowEnvironment, world: World) -> None:
        self.env, self.world = env, world
        client = self.client = env.client
        self.oid = f"person-{uuid.uuid4().hex[:8]}"
        self.boxes = NoticeBoxes(client)
        self.targets = ScriptedTargets()
        self.run: WorkflowHandle[Any, Any] = client.get_workflow_handle(names.notices_id(self.oid))
        self._sends: Callable[..., Any] | None = None
        self._working = AsyncExitStack()

    async def start_work(self) -> None:
        """From now on the messages are served; nothing is sent yet."""
        deals = Worker(
            self.client,
            task_queue=names.DEAL_QUEUE,
            workflows=[PeopleNotices, AuditDelivery],
            activities=[ScriptedAudit(self.world).record_audit, self.targets.find_waiting],
            workflow_runner=workflow_runner(),
        )
        await self._working.enter_async_context(deals)
        if self._sends is not None:
            await self.start_sending(self._sends)

    async def start_sending(self, send: Callable[..., Any] | None = None) -> None:
        """From now on messages are sent, by the scripted targets unless said otherwise."""
        self._sends = send or self.targets.send_message
        activities = [self._sends]
        sending = Worker(self.client, task_queue=names.NOTICE_QUEUE, activities=activities)
        await self._working.enter_async_context(sending)

    async def stop_work(self) -> None:
        await self._working.aclose()

    def telling(self, key: str = "", **more: Any) -> Telling:
        notice = Notice(
            notice_id=key or uuid.uuid4().hex,
            kind=Kind.APPROVAL_ASKED,
            company="usmf",
            quote_number="Q-1",
            n=1,
            at=datetime.now(UTC),
        )
        usual: dict[str, Any] = {
            "recipient": self.oid, "oid": self.oid, "name": "Mona Meyer", "address": "mona@contoso.example",
            "targets": ("mail",), "timezone": "Europe/Berlin", "notice": notice,
        }  # fmt: skip
        return Telling.model_validate(usual | more)

    async def tell(self, key: str = "", **more: Any) -> None:
        await self.boxes.tell(self.telling(key, **more))

    async def world_moves(self, by: timedelta) -> None:
        """Time passes for this recipient."""
        await self.env.fast_forward(self.run, by)

    async def until(self, ready: Callable[[Box], object], what: str) -> Box:
        """The messages as soon as they are as wanted."""
        deadline = time.monotonic() + PATIENCE
        while not ready(box := await self.boxes.box(self.oid)):
            assert time.monotonic() < deadline, f"{what}: {box}"
            await asyncio.sleep(0.1)
        return box

    async def counted(self, **expected: int) -> None:
        """Wait until so much was counted of each kind."""
        async with asyncio.timeout(PATIENCE):
            while (await self.run.query(names.TALLY)) != expected:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def somebody(env: WorkflowEnvironment, world: World) -> AsyncIterator[Recipient]:
    """A recipient whose targets do what a test says."""
    recipient = Recipient(env, world)
    await recipient.start_work()
    await recipient.start_sending()
    try:
        yield recipient
    finally:
        await recipient.stop_work()
