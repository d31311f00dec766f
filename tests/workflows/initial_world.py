"""Initial syncs in one process: dry runs, what carries them out, and the sync after them, over the sandbox."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import Client
from temporalio.worker import Worker

from activities.heartbeat import KeptAlive
from domain.entities.gate import Look, Verdict, judge
from domain.entities.identity import hash_of
from domain.entities.initial import DryRun, InitialStart
from domain.entities.initial_run import InitialRunStart, InitialRunView, WrittenRecord
from domain.messages import Outcome, SignedMessage
from domain.people import Person
from dynamics.synced import SyncWriter
from ledger import initial_runs
from ledger.carried_out import CarriedOut, Kind
from ledger.database import open_database
from ledger.lag_counts import LagCounts
from ledger.opening import Ledger
from policies.activation_files import load_limits
from policies.map_files import load_maps
from runs import names, outcomes
from runs.initial import Initials
from runs.syncs import Syncs
from sandbox.runtime import SandboxConfig, running
from tests.contract.bulk_world import product_of
from tests.deadlines import PATIENCE
from tests.workflows.compare_world import Rows, settings_of
from tests.workflows.sync_world import SyncWorld
from tests.workflows.trusting import TrustingVerifier
from workers import composition
from workers.bulk import add_bulk_work, reading_budgets
from workers.reading_settings import SyncSettings
from workers.rules import load_policy
from workers.syncing import add_sync_work
from workers.worker import Work, workflow_runner
from workflows.audit import AuditDelivery
from workflows.initial import AskWriters, PlanInitialSync
from workflows.initial_run import RunInitialSync
from workflows.replay import Replay
from workflows.sync import Sync


def first_of(folder: Path, records: int) -> Path:
    """A folder of policies by which so many records are written before the others."""
    limits = {"version": "test", "unmapped_pct": 50, "canary": records}
    (folder / "activation").mkdir(parents=True, exist_ok=True)
    (folder / "activation" / "limits.yaml").write_text(yaml.safe_dump(limits), encoding="utf-8")
    return folder


@dataclass
class InitialWorld(SyncWorld):
    """A sandbox, a ledger, and a worker that plans, carries out and keeps in step."""

    @property
    def initials(self) -> Initials:
        """What is asked of initial syncs."""
        return Initials(self.client)

    async def planned(self, company: str = "usmf") -> DryRun:
        """A dry run of customers, to its end."""
        data = next(each for each in load_maps(self.settings.policies).all if each.entity == self.entity)
        start = InitialStart(entity=self.entity, company=company, map_hash=hash_of(data))
        done = await self.initials.result(await self.initials.begin(start))
        assert done.dry_run is not None
        return done.dry_run

    async def allowed(self, company: str = "usmf") -> DryRun:
        """A dry run, and the gate's word that it may be carried out."""
        run = await self.planned(company)
        maps = tuple(load_maps(self.settings.policies).all)
        data = next(each for each in maps if each.entity == self.entity)
        limits = load_limits(maps, self.settings.policies)
        verdict = judge(
            data, company, run.map_hash, limits, datetime.now(UTC), dry_run=run, look=Look(), gone="", dual_write=()
        )
        assert verdict.allowed, verdict.reasons
        await self.judged(verdict)
        return run

    async def judged(self, verdict: Verdict) -> None:
        """Keep a word of the gate."""
        database = await open_database(self.settings.ledger.url.get_secret_value())
        await initial_runs.keep_verdict(database, verdict)
        await database.close()

    async def tell(self, person: Person, do: str, company: str = "usmf", undo: str = "") -> Outcome:
        """What a person says to an initial sync, or to the undo of one, and what became of it."""
        said = f"undo_initial|run={undo};do={do}" if undo else f"run_initial|do={do}"
        message = SignedMessage(message_id=str(uuid.uuid4()), token=f"{person.oid}|{said};reason=a test")
        start = InitialRunStart(entity=self.entity, company=company, undoes=bool(undo))
        outcome = await self.initials.say(start, message, begins=do == "begin")
        of = names.initial_undo_id if undo else names.initial_run_id
        deadline, run = time.monotonic() + PATIENCE, of(self.entity, company)
        while outcome is None:
            assert time.monotonic() < deadline, "nobody heard it"
            outcome = await outcomes.awaited(self.client, run, message.message_id, what=run)
        return outcome

    async def stands(
        self, is_so: Callable[[InitialRunView], bool], company: str = "usmf", *, undoes: bool = False
    ) -> InitialRunView:
        """Wait until an initial sync stands so, or the undo of one."""
        deadline = time.monotonic() + PATIENCE
        while not is_so(view := await self.initials.run_view(self.entity, company, undoes=undoes)):
            assert time.monotonic() < deadline, view
            await asyncio.sleep(0.05)
        return view

    async def not_undone(self, person: Person, undo: str) -> str:
        """The code with which an undo is not begun; the run that said so has ended."""
        outcome = await self.tell(person, "begin", undo=undo)
        assert not outcome.accepted
        deadline = time.monotonic() + PATIENCE
        while await self.initials.goes_on(self.entity, "usmf"):
            assert time.monotonic() < deadline, outcome
            await asyncio.sleep(0.05)
        return outcome.code

    def became(self, run: DryRun, kind: Kind = "written") -> dict[str, WrittenRecord]:
        """What became of each record."""
        kept = CarriedOut(self.settings.data.dir, run.entity, run.company, run.run_id)
        return {each.key: each for some in kept.results(kind) for each in some}

    @asynccontextmanager
    async def syncing(self) -> AsyncIterator[None]:
        """A worker of all of it."""
        of = self.settings
        policy, ledger = load_policy(of.model_copy(update={"policies": None})), Ledger(of.ledger.url.get_secret_value())
        where, reads, writes = composition.endpoints(of), composition.reader(of), composition.credentials(of)
        async with AsyncExitStack() as running_now:
            running_now.push_async_callback(ledger.close)
            work = Work((), (), (), (), {}, begin=lambda: asyncio.sleep(0), connections=running_now)
            add_bulk_work(work, of, policy, ledger, where, reads, reading_budgets(of))
            add_sync_work(work, of, policy, where, reads, writes, Syncs(self.client), LagCounts(ledger))
            people: list[Callable[..., Any]] = [TrustingVerifier().verify_messages, self.audit.record_audit]
            deals = Worker(
                self.client,
                task_queue=names.DEAL_QUEUE,
                workflows=[PlanInitialSync, AskWriters, RunInitialSync, Sync, Replay, AuditDelivery],
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
async def initial_world(
    client: Client, folder: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch, *, policies: Path | None = None
) -> AsyncIterator[InitialWorld]:
    """A sandbox with records, and a worker."""
    for queue in ("DATAVERSE_BULK_QUEUE", "FINANCE_BULK_QUEUE"):
        monkeypatch.setattr(names, queue, f"{getattr(names, queue)}-{folder.name}")
    data = str(rows.write(folder / "rows"))
    async with running(SandboxConfig(state_dir=folder / "sandbox", data=data)) as sandbox:
        fast = SyncSettings(dataverse_requests_per_second=500.0, finance_requests_per_second=500.0)
        settings = settings_of(sandbox, folder, policies).model_copy(update={"sync": fast})
        world = InitialWorld(client, settings, sandbox)
        try:
            async with product_of(sandbox.info) as world.finance, world.syncing():
                yield world
        finally:
            if world.database is not None:
                await world.database.close()


def dying_after(monkeypatch: pytest.MonkeyPatch, *writes: int) -> list[str]:
    """A worker that dies after these writes to Sales, counted from 1; the rows that were written, as they are."""
    sends, sent = SyncWriter.to_sales, list[str]()

    async def dies(writer: SyncWriter, entity_set: str, row_id: str, *rest: Any) -> None:
        await sends(writer, entity_set, row_id, *rest)
        sent.append(row_id)
        if len(sent) in writes:
            raise RuntimeError("the process is gone: what it knew is too")

    monkeypatch.setattr(SyncWriter, "to_sales", dies)
    return sent
