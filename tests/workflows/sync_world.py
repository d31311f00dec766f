"""Syncs in one process: the real workflows and activities, and the sandbox over HTTP with the records of a test."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from temporalio import activity
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities import signatures as s
from activities.heartbeat import KeptAlive
from domain.audit import AuditBatch, AuditReceipt, AuditRecord
from domain.entities.letters import Letter
from domain.entities.sync_run import ReplayView, SyncStart, SyncView
from domain.messages import Outcome, SignedMessage
from domain.people import Person
from ledger.database import Database, open_database
from ledger.lag_counts import LagCounts
from ledger.letters import LetterFilter, listed
from ledger.opening import Ledger
from runs import names, outcomes
from runs.syncs import Syncs
from sandbox.data.ids import row_id
from sandbox.runtime import SandboxConfig, running
from tests.contract.bulk_world import Bulk, product_of
from tests.deadlines import PATIENCE
from tests.workflows.compare_world import CompareWorld, Rows, settings_of
from tests.workflows.trusting import OTTO, TrustingVerifier
from workers import composition
from workers.reading_settings import SyncSettings
from workers.rules import load_policy
from workers.syncing import add_sync_work
from workers.worker import Work, workflow_runner
from workflows.audit import AuditDelivery
from workflows.map_change import ChangeMap
from workflows.replay import Replay
from workflows.sync import Sync


def user_id(name: str) -> str:
    """A person of Sales."""
    return row_id("systemuser", name)


class KeptAudit(s.AuditActivities):
    """Keeps what is written down."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []

    @activity.defn(name="record_audit")
    async def record_audit(self, batch: AuditBatch) -> AuditReceipt:
        self.records.extend(batch.records)
        return AuditReceipt(through=batch.records[-1].n)


@dataclass
class SyncWorld(CompareWorld):
    """A sandbox, a ledger, a worker that keeps records in step, and people who edit them."""

    entity: str = "customer"
    audit: KeptAudit = field(default_factory=KeptAudit)
    database: Database | None = None
    finance: Bulk | None = None
    environment: WorkflowEnvironment | None = None
    every_seconds: int = 1
    """Between two rounds; where it is more, the run's clock is moved instead of waiting."""
    sweep_seconds: int = 86_400
    lags: LagCounts | None = None
    edits: int = 0
    """Of people in Finance."""

    @property
    def syncs(self) -> Syncs:
        """What is asked of syncs."""
        return Syncs(self.client)

    async def say(self, person: Person, name: str, *, message_id: str = "", **args: object) -> Outcome:
        """A signed message of a person, and what became of it, however long that takes."""
        rest = ";".join(f"{key}={value}" for key, value in {"reason": "a test", **args}.items())
        message = SignedMessage(message_id=message_id or str(uuid.uuid4()), token=f"{person.oid}|{name}|{rest}")
        start = SyncStart(
            entity=self.entity, company="usmf", every_seconds=self.every_seconds, sweep_seconds=self.sweep_seconds
        )
        outcome = await self.syncs.say(start, message, begins=True)
        deadline = time.monotonic() + PATIENCE
        run = names.sync_id(self.entity, "usmf")
        while outcome is None:
            assert time.monotonic() < deadline, "nobody heard it"
            outcome = await outcomes.awaited(self.client, run, message.message_id, what=run)
        return outcome

    async def start(self) -> SyncView:
        """Start the sync, and wait until both sides have been looked at once."""
        begun = await self.say(OTTO, "run_sync", do="start")
        assert begun.accepted, begun
        return await self.until(lambda view: view.round_at is not None and view.swept_at is not None)

    async def view(self) -> SyncView:
        """How it stands."""
        return await self.syncs.view(self.entity, "usmf")

    async def until(self, is_so: Callable[[SyncView], bool]) -> SyncView:
        """Wait until the sync stands so."""
        view = await self.view()
        deadline = time.monotonic() + PATIENCE
        while not is_so(view):
            assert time.monotonic() < deadline, view
            if self.every_seconds > 1:
                await self.ahead(timedelta(seconds=self.every_seconds))
            else:
                await asyncio.sleep(0.05)
            view = await self.view()
        return view

    async def ahead(self, by: timedelta) -> None:
        """Let time pass for the sync."""
        assert self.environment is not None
        await self.environment.fast_forward(self.client.get_workflow_handle(names.sync_id(self.entity, "usmf")), by)

    async def rounds(self, number: int = 2) -> SyncView:
        """Wait until so many rounds have begun and ended."""
        view = await self.view()
        for _ in range(number):
            last = view.round_at
            view = await self.until(lambda view, last=last: view.round_at != last)  # type: ignore[misc]
        return view

    async def replayed(self, person: Person, **args: object) -> ReplayView:
        """Letters that a person has tried again, and what became of them."""
        message_id = str(uuid.uuid4())
        said = await self.say(person, "run_sync", message_id=message_id, do="replay", **args)
        assert said.accepted, said
        handle = self.client.get_workflow_handle(said.detail, result_type=ReplayView)
        done: ReplayView = await handle.result()
        return done

    async def in_finance(self, account: str, **values: object) -> None:
        """Somebody edits a customer in Finance."""
        assert self.finance is not None
        path = f"CustomersV3(dataAreaId='usmf',CustomerAccount='{account}')?cross-company=true"
        answer = await self.finance.ask("finance", path, "PATCH", json=values)
        assert answer.status_code == 204, answer.text
        self.edits += 1

    def customer(self, account: str) -> dict[str, Any]:
        """A customer of Finance as it stands."""
        found = self.sandbox.finance.get("CustomersV3", ("usmf", account))
        assert found is not None
        return found

    def account(self, row_id: str) -> dict[str, Any]:
        """An account of Sales as it stands."""
        found = self.sandbox.dataverse.get("accounts", row_id)
        assert found is not None
        return dict(found)

    def in_sales(self, row_id: str, by: str = "rita", **values: object) -> None:
        """Somebody edits an account in Sales."""
        self.sandbox.dataverse.update("accounts", row_id, values, user=user_id(by))

    def writes(self) -> tuple[int, int]:
        """Writes to rows of Sales and to records of Finance that the product has sent."""
        sales = sum(part.startswith("PATCH") for each in self.asked() for part in each.operations)
        finance = sum(each.system == "finance" and each.method == "PATCH" for each in self.asked())
        return sales, finance - self.edits

    def sent_to_finance(self) -> dict[str, int]:
        """How often each customer of Finance was written, whether Finance took it or refused it by its rules."""
        written = [each for each in self.asked() if each.system == "finance" and each.method == "PATCH"]
        keys = [re.search(r"CustomerAccount='([^']*)'", unquote(each.path)) for each in written if each.status != 503]
        return dict(Counter(key[1] for key in keys if key is not None))

    async def refused(self, system: str, status: int, times: int) -> None:
        """Wait until a system has answered so often with a status."""
        deadline = time.monotonic() + PATIENCE
        while sum(each.system == system and each.status == status for each in self.asked()) < times:
            assert time.monotonic() < deadline, f"{system} was not asked"
            await asyncio.sleep(0.05)

    async def letters(self, **wanted: Any) -> list[Letter]:
        """Letters that stand, or those wanted."""
        if self.database is None:
            self.database = await open_database(self.settings.ledger.url.get_secret_value())
        return await listed(self.database, LetterFilter(**wanted), most=1_000)

    @asynccontextmanager
    async def syncing(self) -> AsyncIterator[None]:
        """A worker of syncs."""
        policy = load_policy(self.settings.model_copy(update={"policies": None}))
        async with AsyncExitStack() as running_now:
            work = Work((), (), (), (), {}, begin=lambda: asyncio.sleep(0), connections=running_now)
            of = self.settings
            who, writes = composition.reader(of), composition.credentials(of)
            ledger = Ledger(of.ledger.url.get_secret_value())
            self.lags = LagCounts(ledger)
            running_now.push_async_callback(ledger.close)
            where, syncs = composition.endpoints(of), Syncs(self.client)
            add_sync_work(work, of, policy, where, who, writes, syncs, self.lags)
            people: list[Callable[..., Any]] = [TrustingVerifier().verify_messages, self.audit.record_audit]
            deals = Worker(
                self.client,
                task_queue=names.DEAL_QUEUE,
                workflows=[Sync, Replay, AuditDelivery, ChangeMap],
                activities=people,
                workflow_runner=workflow_runner(),
            )
            beside = [
                Worker(self.client, task_queue=queue, activities=activities, interceptors=[KeptAlive()])
                for queue, activities in work.bulk_activities.items()
            ]
            for worker in (deals, *beside):
                await running_now.enter_async_context(worker)
            yield


@asynccontextmanager
async def sync_world(
    environment: WorkflowEnvironment,
    folder: Path,
    data: Rows | str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    policies: Path | None = None,
    dataverse: dict[str, Any] | None = None,
) -> AsyncIterator[SyncWorld]:
    """A sandbox with records, and a worker that keeps them in step."""
    for queue in ("DATAVERSE_BULK_QUEUE", "FINANCE_BULK_QUEUE"):
        monkeypatch.setattr(names, queue, f"{getattr(names, queue)}-{folder.name}")
    rows = data if isinstance(data, str) else str(data.write(folder / "rows"))
    async with running(SandboxConfig(state_dir=folder / "sandbox", data=rows, dataverse=dataverse or {})) as sandbox:
        fast = SyncSettings(dataverse_requests_per_second=500.0, finance_requests_per_second=500.0)
        settings = settings_of(sandbox, folder, policies).model_copy(update={"sync": fast})
        client = environment.client
        world = SyncWorld(client, settings, sandbox, environment=environment)
        try:
            async with product_of(sandbox.info) as world.finance, world.syncing():
                yield world
                await client.get_workflow_handle(names.sync_id(world.entity, "usmf")).terminate("the test is over")
        finally:
            if world.database is not None:
                await world.database.close()
