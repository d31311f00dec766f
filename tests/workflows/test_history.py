"""Past invoices in Sales: what each customer was billed is what Finance has, once, whatever was killed or changed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.heartbeat import KeptAlive
from domain.entities.history_run import HistoryStart, HistoryView
from domain.messages import Outcome, SignedMessage
from domain.people import Person
from dynamics.bulk import history
from dynamics.copied import CopyWriter
from dynamics.core.errors import DynamicsError, System, Transient
from dynamics.core.odata import Row
from runs import names, outcomes
from runs.histories import Histories
from sandbox.data.ids import row_id
from sandbox.runtime import SandboxConfig, running
from tests.deadlines import PATIENCE
from tests.workflows.compare_world import CompareWorld, Rows, settings_of
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.sync_world import KeptAudit
from tests.workflows.trusting import OTTO, RITA, TrustingVerifier
from workers import composition
from workers.bulk import reading_budgets
from workers.history import add_history_work
from workers.reading_settings import SyncSettings
from workers.rules import load_policy
from workers.worker import Work, workflow_runner
from workflows.audit import AuditDelivery
from workflows.history import History

USMF = HistoryStart(company="usmf")


@dataclass
class HistoryWorld(CompareWorld):
    """A sandbox, and a worker that takes over past invoices."""

    audit: KeptAudit = field(default_factory=KeptAudit)
    ended_at: datetime | None = None
    """When the last reading ended that was waited for."""

    async def say(self, person: Person, **args: object) -> Outcome:
        """A signed message of a person, and what became of it, however long that takes."""
        rest = ";".join(f"{key}={value}" for key, value in {"reason": "a test", **args}.items())
        message = SignedMessage(message_id=str(uuid.uuid4()), token=f"{person.oid}|run_history|{rest}")
        outcome = await Histories(self.client).say(USMF, message, begins=True)
        deadline = time.monotonic() + PATIENCE
        run = names.history_id("invoice", "usmf")
        while outcome is None:
            assert time.monotonic() < deadline, "nobody heard it"
            outcome = await outcomes.awaited(self.client, run, message.message_id, what=run)
        return outcome

    async def view(self) -> HistoryView:
        """How it stands."""
        return await Histories(self.client).view(USMF)

    async def until(self, is_so: Callable[[HistoryView], bool]) -> HistoryView:
        """Wait until the history stands so."""
        view = await self.view()
        deadline = time.monotonic() + PATIENCE
        while not is_so(view):
            assert time.monotonic() < deadline, view
            await asyncio.sleep(0.05)
            view = await self.view()
        return view

    async def read(self, **args: object) -> HistoryView:
        """Have it read at once; how it stands then."""
        said = await self.say(OTTO, do="start", **args)
        assert said.accepted, said
        view = await self.until(lambda view: view.ended_at != self.ended_at and not view.reading)
        self.ended_at = view.ended_at
        return view

    def bill(self, account: str, amount: str, currency: str = "USD") -> str:
        """Post a free-text invoice, or a credit note where the amount is negative; its number."""
        line = {"Description": "Support", "Quantity": 1, "UnitPrice": Decimal(amount)}
        ask = {"DataAreaId": "usmf", "CustAccount": account, "CurrencyCode": currency, "Lines": [line]}
        answer = self.sandbox.finance.post("freeTextInvoice", ask)
        assert answer["Success"], answer
        return str(answer["InvoiceId"])

    def billed_in_finance(self) -> dict[tuple[str, str], Decimal]:
        """What customers were billed, by account and currency, as their transactions say."""
        found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for row in self.sandbox.finance.query("CustTransactions", dataAreaId="usmf"):
            if row.get("Invoice"):
                found[row["AccountNum"], row["CurrencyCode"]] += row["AmountCur"]
        return dict(found)

    def shown_in_sales(self) -> dict[tuple[str, str], Decimal]:
        """What rows of Sales add up to, by the customer's account and the currency."""
        found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        accounts = {row["accountid"]: row["accountnumber"] for row in self.sandbox.dataverse.rows("account")}
        currencies = self.sandbox.dataverse.rows("transactioncurrency")
        codes = {row["transactioncurrencyid"]: row["isocurrencycode"] for row in currencies}
        for row in self.rows():
            key = accounts[row["_q2c_accountid_value"]], codes[row["_transactioncurrencyid_value"]]
            found[key] += Decimal(str(row["q2c_total"]))
        return dict(found)

    def rows(self) -> list[dict[str, Any]]:
        """Past invoices in Sales."""
        return [dict(row) for row in self.sandbox.dataverse.rows("q2c_pastinvoice")]

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:  # type: ignore[override]
        """A worker of histories."""
        of, policy = self.settings, load_policy(self.settings.model_copy(update={"policies": None}))
        async with AsyncExitStack() as running_now:
            work = Work((), (), (), (), {}, begin=lambda: asyncio.sleep(0), connections=running_now)
            where, who = composition.endpoints(of), composition.reader(of)
            add_history_work(work, of, policy, where, who, composition.credentials(of), reading_budgets(of))
            people: list[Callable[..., Any]] = [TrustingVerifier().verify_messages, self.audit.record_audit]
            deals = Worker(
                self.client,
                task_queue=names.DEAL_QUEUE,
                workflows=[History, AuditDelivery],
                activities=people,
                workflow_runner=workflow_runner(),
            )
            beside = [
                Worker(self.client, task_queue=queue, activities=some, interceptors=[KeptAlive()])
                for queue, some in work.bulk_activities.items()
            ]
            for worker in (deals, *beside):
                await running_now.enter_async_context(worker)
            yield


@pytest.fixture
async def world(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[HistoryWorld]:
    """A sandbox with six customers, of whom Sales knows five."""
    queues_of_its_own(monkeypatch)
    rows = Rows()
    for n in range(5):
        rows.pair(n)
    rows.customer(5)
    client: Client = environment.client
    monkeypatch.setattr(names, "FINANCE_BULK_QUEUE", f"{names.FINANCE_BULK_QUEUE}-{tmp_path.name}")
    config = SandboxConfig(state_dir=tmp_path / "sandbox", data=str(rows.write(tmp_path / "rows")))
    async with running(config) as sandbox:
        fast = SyncSettings(dataverse_requests_per_second=500.0, finance_requests_per_second=500.0)
        settings = settings_of(sandbox, tmp_path, None).model_copy(update={"sync": fast})
        world = HistoryWorld(client, settings, sandbox)
        async with world.working():
            yield world
            await client.get_workflow_handle(names.history_id("invoice", "usmf")).terminate("the test is over")
    await replays(client, (names.HISTORY,))


async def test_what_each_customer_was_billed_is_what_finance_has(
    world: HistoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "PAGE_ROWS", 3)
    one, two, unknown = "US-000000", "US-000001", "US-000005"
    numbers = [world.bill(one, "100.00"), world.bill(one, "250.50"), world.bill(two, "80.00", "EUR")]
    credit = world.bill(one, "-40.00")
    world.bill(unknown, "999.00")

    view = await world.read()

    assert (view.figures.read, view.figures.created, view.figures.left_out) == (5, 4, {"customer": 1})
    assert (view.whole, view.finance_records, view.failing) == (True, 5, "")
    billed = world.billed_in_finance()
    assert len(billed) == 3
    assert world.shown_in_sales() == {key: total for key, total in billed.items() if key[0] != unknown}
    assert {row["q2c_name"] for row in world.rows()} == {*numbers, credit}
    (noted,) = (row for row in world.rows() if row["q2c_name"] == credit)
    assert noted["q2c_total"] < 0


async def test_killed_changed_and_late_it_comes_right(world: HistoryWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "PAGE_ROWS", 2)
    one, two, unknown = "US-000000", "US-000001", "US-000005"
    for n in range(5):
        world.bill((one, two)[n % 2], f"{n + 1}0.00")
    really = CopyWriter.write
    broken = iter([False, True])

    async def killed(self: CopyWriter, entity_set: str, rows: Sequence[tuple[UUID, Row]]) -> list[DynamicsError | None]:
        done = await really(self, entity_set, rows)
        if next(broken, False):
            raise Transient("killed behind the write", system=System.DATAVERSE, operation="$batch")
        return done

    monkeypatch.setattr(CopyWriter, "write", killed)
    view = await world.read()

    asked = [each for each in world.asked() if "CustInvoiceJourBiEntities" in each.path]
    assert len(asked) == 5, "three pages, the one under way again, and a count"
    assert (view.figures.created + view.figures.same, len(world.rows())) == (5, 5)
    assert world.shown_in_sales() == world.billed_in_finance()

    first = world.rows()[0]
    world.sandbox.dataverse.update("q2c_pastinvoices", first["q2c_pastinvoiceid"], {"q2c_total": Decimal(1)})
    world.bill(unknown, "70.00")
    world.bill(one, "-10.00")
    view = await world.read()
    assert not view.whole
    assert view.figures.left_out == {"customer": 1}
    assert (view.figures.created, view.finance_records) == (1, 7)

    refused = await world.say(RITA, do="start", whole="true")
    assert refused.code == "NO_AUTHORITY"
    made = {"name": "Known at last", "accountnumber": unknown}
    world.sandbox.dataverse.create("accounts", made, user=row_id("systemuser", "rita"))
    view = await world.read(whole="true")
    assert (view.whole, view.figures.left_out, len(world.rows())) == (True, {}, 7)
    assert (view.figures.created, view.figures.corrected) in {(1, 1), (1, 0)}, "what a person changed is put right"
    assert world.shown_in_sales() == world.billed_in_finance()

    stopped = await world.say(OTTO, do="stop")
    assert stopped.accepted
    assert not (await world.view()).running
    await world.until(lambda _: len(world.audit.records) == 5)
    assert {(each.event, each.code) for each in world.audit.records} == {
        ("run_history", ""),
        ("run_history", "NO_AUTHORITY"),
    }
