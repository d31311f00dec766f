"""How a deal hands its records over: in batches, never waiting longer than a bound, losing nothing."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowExecution
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.deadlines import PATIENCE

with workflow.unsafe.imports_passed_through():
    from activities.audit import AuditDesk
    from domain.audit import BATCH, FULL, AuditBatch, AuditKind, AuditReceipt, AuditRecord, Outbox
    from domain.people import Person
    from domain.record import Record
    from ledger.opening import Ledger
    from runs import names
    from workers.worker import workflow_runner
    from workflows.audit import AuditDelivery, Trail


def happened(deal_id: str, at: datetime) -> AuditRecord:
    """Something that happened in a deal."""
    return AuditRecord(
        record_id="",
        company="usmf",
        deal_id=deal_id,
        kind=AuditKind.TRANSITION,
        event="Happened",
        at=at,
        actor=Person(oid="oid-1", name="Mona"),
    )


class Story(Record):
    """How many things happen in each chapter of a deal."""

    chapters: tuple[int, ...]


class Told(Record):
    """What was left unsent after each chapter, and how long the deal waited for the store at its end."""

    left: tuple[int, ...]
    waited: float


@workflow.defn(name="AuditedDeal")
class AuditedDeal:
    """A deal in short: things happen, it waits, things happen, it ends."""

    @workflow.run
    async def run(self, story: Story) -> Told:
        self.outbox = Outbox()
        trail = Trail(self)
        delivery = asyncio.create_task(trail.deliver())
        left: list[int] = []
        for chapter in story.chapters:
            for _ in range(chapter):
                record = happened(workflow.info().workflow_id, workflow.now())
                self.outbox = self.outbox.add(record, run_id=workflow.info().run_id)
            with trail.at_rest(lambda: False):
                await workflow.sleep(timedelta(seconds=2))
            left.append(len(self.outbox.pending))
        delivery.cancel()
        began = workflow.now()
        await trail.finish()
        return Told(left=tuple(left), waited=(workflow.now() - began).total_seconds())


async def told(
    environment: WorkflowEnvironment,
    ledger: Ledger,
    story: Story,
    monkeypatch: pytest.MonkeyPatch,
    then: Callable[[], object] = lambda: None,
) -> tuple[Told, list[WorkflowExecution]]:
    """Tell a story, do something when the deal has ended, and wait for its deliveries."""
    queue = f"audit-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(names, "DEAL_QUEUE", queue)
    async with Worker(
        environment.client,
        task_queue=queue,
        workflows=[AuditedDeal, AuditDelivery],
        activities=[AuditDesk(ledger).record_audit],
        workflow_runner=workflow_runner(),
    ):
        deal_id = f"q2c/usmf/{uuid.uuid4().hex[:8]}"
        handle = await environment.client.start_workflow(AuditedDeal.run, story, id=deal_id, task_queue=queue)
        result = await handle.result()
        then()
        for _ in range(int(PATIENCE / 0.1)):
            deliveries = [
                run
                async for run in environment.client.list_workflows("WorkflowType = 'AuditDelivery'")
                if run.id.startswith(deal_id.replace("q2c/", "audit/"))
            ]
            if all(run.close_time for run in deliveries):
                break
            await asyncio.sleep(0.1)
        return result, deliveries


async def stored(url: str) -> list[int]:
    from ledger.database import open_database
    from ledger.reads import AuditReader

    database = await open_database(url)
    rows = await AuditReader(database).page("usmf", limit=1_000)
    assert (await AuditReader(database).verify("usmf"))[1] is None
    await database.close()
    return [int(row.record_id.rpartition("/")[2]) for row in rows]


async def test_records_are_sent_in_batches_when_a_deal_starts_to_wait(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger = Ledger(url)
    await ledger.append([])
    result, deliveries = await told(environment, ledger, Story(chapters=(2, BATCH + 5, 1)), monkeypatch)
    await ledger.close()
    assert (result.left, deliveries) == ((0, 0, 0), [])
    assert await stored(url) == list(range(1, BATCH + 9))


async def test_a_store_that_is_away_delays_no_deal_and_gets_everything_later(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database cannot be opened until the deal has ended; what is left is delivered by a process of its own."""
    blocked = tmp_path / "ledger"
    blocked.write_text("in the way")
    url = f"sqlite:///{blocked}/ledger.db"
    ledger = Ledger(url)

    result, deliveries = await told(environment, ledger, Story(chapters=(2, 3)), monkeypatch, then=blocked.unlink)
    await ledger.close()
    assert result.left == (2, 5)
    assert result.waited < 10
    assert len(deliveries) == 1
    assert await stored(url) == [1, 2, 3, 4, 5]


async def test_what_grows_too_much_while_the_store_is_away_leaves_the_deal(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "ledger"
    blocked.write_text("in the way")
    url = f"sqlite:///{blocked}/ledger.db"
    ledger = Ledger(url)
    story = Story(chapters=(1, 2 * FULL, 3))
    result, deliveries = await told(environment, ledger, story, monkeypatch, then=blocked.unlink)
    await ledger.close()
    assert max(result.left) < FULL
    assert len(deliveries) >= 3
    assert sorted(await stored(url)) == list(range(1, 2 * FULL + 5)), "deliveries go side by side"


def test_a_rest_is_over_when_its_time_has_come() -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    assert not Outbox().unanswered(now).due(now + timedelta(days=1)), "nothing is pending"


async def test_a_delivery_outlives_an_answer_that_is_not_to_be_tried_again(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: it failed, and with it the only copy of the records."""
    monkeypatch.setattr("workflows.audit.DELIVERY_REST", timedelta(seconds=1))
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger = Ledger(url)
    desk = AuditDesk(ledger)
    refused: list[int] = []

    @activity.defn(name="record_audit")
    async def record_audit(batch: AuditBatch) -> AuditReceipt:
        if not refused:
            refused.append(len(batch.records))
            raise ApplicationError("the key of its seal is not here", type="PayloadRefused", non_retryable=True)
        return await desk.record_audit(batch)

    outbox = Outbox()
    for _ in range(3):
        outbox = outbox.add(happened("q2c/usmf/Q-1", datetime.now(UTC)), run_id="run")
    queue = f"audit-{uuid.uuid4().hex[:8]}"
    async with Worker(
        environment.client,
        task_queue=queue,
        workflows=[AuditDelivery],
        activities=[record_audit],
        workflow_runner=workflow_runner(),
    ):
        delivery_id = f"audit/usmf/{uuid.uuid4().hex[:8]}"
        receipt = await environment.client.execute_workflow(AuditDelivery.run, outbox, id=delivery_id, task_queue=queue)
    await ledger.close()
    assert (refused, receipt.through) == ([3], 3)
    assert await stored(url) == [1, 2, 3]
