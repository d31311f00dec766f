"""Thirty days of both systems beside each other: the real engine over small pages, on a clock that is moved.

What the two systems hold is written down day by day; how it is read is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import policies
from activities.comparing import FinanceInBulk
from activities.comparison_signatures import JudgeComparison, OfRun
from activities.heartbeat import KeptAlive
from activities.parallel import ParallelWork
from activities.parallel_signatures import CompareEntity, OfCompany
from cli import inputs, parallel_work
from cli.parallel_export import TABLES
from domain.entities.comparing import ComparedField, Comparison, DifferenceClass, SalesTable
from domain.entities.comparison_view import ComparisonFigures
from domain.entities.model import Owner
from domain.entities.parallel import EntityDay, Standing
from domain.entities.parallel_run import DayPlan, ParallelView
from domain.messages import Outcome, SignedMessage
from domain.people import Person
from ledger.comparison_runs import ComparisonRun
from ledger.opening import Ledger
from ledger.pages import Pages
from runs import names
from runs.calls import NoAnswer, NotFound
from runs.comparisons import Comparisons
from runs.parallel import ParallelRuns
from tests.deadlines import PATIENCE
from tests.workflows.compare_world import Rows, compare_world
from tests.workflows.conftest import World, queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.scripted_desks import ScriptedAudit, ScriptedNotices
from tests.workflows.trusting import AMY, CFO, OTTO, TrustingVerifier
from workers.audit_keys import ensure_audit_keys
from workers.settings import AuditSettings, LedgerSettings, Settings
from workers.worker import workflow_runner
from workflows.audit import AuditDelivery
from workflows.parallel import ParallelRun

RULES = policies.parallel().model_copy(update={"tolerated": {}})
ZONE = "America/Bogota"
"""Of a company whose clocks are never changed: a night every 24 hours."""
COMPARED = Comparison(
    entity="customer",
    company="usmf",
    map_hash="h",
    finance_set="CustomersV3",
    finance_filter="",
    finance_key=("CustomerAccount",),
    sales=SalesTable(entity_set="accounts", id="accountid"),
    sales_filter="",
    sales_key=("accountnumber",),
    fields=(
        ComparedField(name="name", finance="name", sales="name", owner=Owner.MANUAL),
        ComparedField(name="limit", finance="limit", sales="limit", owner=Owner.FINANCE, number=True, decimals=2),
        ComparedField(name="country", finance="c", sales="c", owner=Owner.SALES, values={"USA": "United States"}),
    ),
)
Row = dict[str, str | None]
CUSTOMERS = 60
"""On each side; `bench/parallel_days.py` has many more."""
FAILED_ON = 21
MOMENTARY_ON = 20
DEFECTS: dict[int, tuple[DifferenceClass, Callable[[dict[str, Row], list[Row]], Any]]] = {
    3: (DifferenceClass.MISSING, lambda finance, sales: sales.pop(0)),
    5: (DifferenceClass.MISSING, lambda finance, sales: finance.pop("US-001")),
    7: (DifferenceClass.DIFF, lambda finance, sales: sales[2].update(v0="Another name")),
    9: (DifferenceClass.ROUNDING, lambda finance, sales: finance["US-003"].update(v1="1000.004")),
    11: (DifferenceClass.DUPLICATE, lambda finance, sales: sales.append(sales[4] | {"id": "twin"})),
    13: (DifferenceClass.UNMAPPED, lambda finance, sales: sales[5].update(v2="Atlantis")),
    15: (DifferenceClass.UNMAPPED, lambda finance, sales: sales.append(sales[6] | {"id": "none", "k0": None})),
}
"""What goes wrong on which day; on the day after the next it is mended."""


def both(day: int) -> tuple[list[Row], list[Row]]:
    """What both systems hold on a day."""
    finance: dict[str, Row] = {
        f"US-{n:03}": {"k0": f"US-{n:03}", "v0": f"Customer {n}", "v1": "1000", "v2": "USA"} for n in range(CUSTOMERS)
    }
    sales: list[Row] = [row | {"id": f"a-{key}", "v2": "United States"} for key, row in finance.items()]
    for began, (_, break_it) in DEFECTS.items():
        if began <= day < began + 2:
            break_it(finance, sales)
    return list(finance.values()), sales


class ScriptedDays(ParallelWork):
    """Customers by the real engine over a day's records; contacts that are always the same."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        super().__init__(None, self.ledger, None, None)  # type: ignore[arg-type]  # nothing is begun and no map is read
        self.folder = folder
        self.bulk = FinanceInBulk(None, self.ledger, folder)  # type: ignore[arg-type]  # nothing is read of Finance
        self.days: list[date] = []
        self.entities: tuple[str, ...] = ("contact", "customer")

    @activity.defn(name="plan_day")
    async def plan_day(self, of: OfCompany) -> DayPlan:
        return DayPlan(rules=RULES, timezone=ZONE, entities=self.entities)

    @activity.defn(name="compare_entity")
    async def compare_entity(self, ask: CompareEntity) -> EntityDay:
        if ask.entity == "contact":
            return EntityDay(entity="contact", status="compared", finance=5, sales=5, standing=Standing())
        if ask.day not in self.days:
            self.days.append(ask.day)
        if len(self.days) == FAILED_ON:
            return EntityDay(entity="customer", status="failed", why="The comparison failed: Finance was away")
        return await self._counted(ask, await self._compare(ask, len(self.days)))

    async def _compare(self, ask: CompareEntity, day: int) -> ComparisonRun:
        place = f"compare/customer/usmf/day-{day}"
        pages, (finance, sales) = Pages(self.folder, place), both(day)
        pages.note("comparison", COMPARED)
        columns = ("k0", "v0", "v1", "v2")
        first = [row | ({"v0": "In between"} if day == MOMENTARY_ON and not n else {}) for n, row in enumerate(sales)]
        for side, some, before in (("finance", columns, finance), ("sales", ("id", *columns), first)):
            pages.write(f"{side}-00000", some, before)
        for side, some, after in (("finance", columns, finance), ("sales", ("id", *columns), sales)):
            pages.write(f"{side}.again-00000", some, after)
        await self.bulk.find_candidates(OfRun(place=place))
        judge = JudgeComparison(
            place=place,
            run_id=f"run-{day}",
            entity="customer",
            company="usmf",
            map_hash="h",
            began_at=ask.since,
            ended_at=ask.since + timedelta(minutes=5),
            whole=True,
            figures=ComparisonFigures(finance_records=len(finance), sales_records=len(sales)),
        )
        await self.bulk.judge_comparison(judge)
        kept = await self.ledger.comparison(judge.run_id)
        assert kept is not None
        return kept


class Company:
    """A company whose records are compared every night."""

    def __init__(self, environment: WorkflowEnvironment, world: World, folder: Path) -> None:
        self.env, self.world, self.work = environment, world, ScriptedDays(folder)
        self.runs = ParallelRuns(environment.client)
        self.run = environment.client.get_workflow_handle(names.parallel_id("usmf"))

    async def view(self) -> ParallelView:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    view = await self.runs.read("usmf")
                except NoAnswer:  # it has just gone on as a new run
                    view = None
                if view is not None:
                    return view
                await asyncio.sleep(0.05)

    async def says(self, person: Person, reason: str = "the data agree") -> Outcome | None:
        message = SignedMessage(message_id=str(uuid.uuid4()), token=f"{person.oid}|exit_parallel|reason={reason}")
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    return await self.runs.tell("usmf", message)
                except NotFound:  # it goes on as a new run: nothing listens for a moment
                    await asyncio.sleep(0.1)

    async def pass_days(self, to: int) -> ParallelView:
        """Until so many days were compared, a night at a time: a clock ahead of the run would leave days out."""
        async with asyncio.timeout(2 * PATIENCE):
            while (done := len((view := await self.view()).state.days)) < to:
                moved = await self.env.fast_forward(self.run, timedelta(hours=24))
                while moved and len((await self.view()).state.days) == done:
                    await asyncio.sleep(0.1)
        return view

    def worker(self) -> Worker:
        return Worker(
            self.env.client,
            task_queue=names.DEAL_QUEUE,
            workflows=[ParallelRun, AuditDelivery],
            activities=[
                self.work.plan_day,
                self.work.compare_entity,
                TrustingVerifier().verify_messages,
                ScriptedAudit(self.world).record_audit,
                ScriptedNotices(self.world).tell_people,
            ],
            interceptors=[KeptAlive()],
            workflow_runner=workflow_runner(),
        )


@pytest.fixture
async def company(
    environment: WorkflowEnvironment, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Company]:
    queues_of_its_own(monkeypatch)
    suffix = uuid.uuid4().hex[:8]
    monkeypatch.setattr(names, "parallel_id", lambda company: f"parallel/{company}-{suffix}")
    made = Company(environment, world, tmp_path)
    async with made.worker():
        yield made
    await made.work.ledger.close()
    await replays(environment.client, (names.PARALLEL,))


def goes_on_anew(monkeypatch: pytest.MonkeyPatch, events: int) -> None:
    def soon(*, heard: bool) -> bool:
        return heard and workflow.info().get_current_history_length() > events

    monkeypatch.setattr("workflows.spoken.is_long_enough", soon)


async def test_seven_defects_of_thirty_days_are_found_within_a_day_and_two_roles_end_it_when_it_is_clean(
    company: Company,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    goes_on_anew(monkeypatch, 120)
    await company.runs.begin("usmf")
    early = await company.says(OTTO)
    assert early is not None and early.code == "PARALLEL_NOT_READY" and "Nothing was compared yet." in early.detail

    view = await company.pass_days(26)
    dirty = await company.says(OTTO)
    assert dirty is not None and dirty.code == "PARALLEL_NOT_READY"
    assert "customer: 5 clean days in a row, and it takes 7." in dirty.detail
    assert "26 days were compared, and it takes 30." in dirty.detail
    view = await company.pass_days(30)
    customers = [seen for each in view.state.days if (seen := each.of("customer"))]
    found = {n: each.standing.open for n, each in enumerate(customers, 1) if each.open}
    assert found == {day + more: {kind: 1} for day, (kind, _) in DEFECTS.items() for more in (0, 1)}
    began, mended = set(DEFECTS), {day + 2 for day in DEFECTS}
    assert {n for n, each in enumerate(customers, 1) if each.new} == began
    assert {n for n, each in enumerate(customers, 1) if each.still} == {day + 1 for day in DEFECTS}
    assert {n for n, each in enumerate(customers, 1) if each.gone} == mended
    assert [each.timing for each in customers].count(1) == 1 and customers[MOMENTARY_ON - 1].timing == 1
    assert [n for n, each in enumerate(customers, 1) if not each.is_clean(RULES)] == sorted([*found, FAILED_ON])
    assert {kind for each in customers for kind in each.standing.owners} == {Owner.MANUAL, Owner.FINANCE, Owner.SALES}
    assert customers[FAILED_ON - 1].why.startswith("The comparison failed")
    assert view.clean_days == 9 and view.state.days[-1].day - view.state.days[0].day == timedelta(days=29)

    told = [notice for name, ask in world.asked if name == "tell_people" for notice in ask.notices]
    assert {(notice.role, notice.kind) for notice in told} == {
        ("ar_manager", "parallel.digest"),
        ("ops", "parallel.digest"),
    }
    assert len(told) == 60 and len({notice.notice_id for notice in told}) == 60

    nobody = await company.says(AMY)
    assert nobody is not None and nobody.code == "NO_AUTHORITY"
    first = await company.says(OTTO)
    assert first is not None and first.accepted and "second" in first.detail
    again = await company.says(OTTO)
    assert again is not None and again.code == "PARALLEL_SECOND_ROLE"
    second = await company.says(CFO)
    assert second is not None and second.accepted, second
    ended = ParallelView.model_validate(await company.run.result())
    assert [word.person.name for word in ended.state.exit] == ["otto", "cfo"] and ended.state.status == "exited"
    described = await company.run.describe()
    assert described.run_id != company.run.first_execution_run_id
    async with asyncio.timeout(PATIENCE):
        while len(world.audited) < 6:
            await asyncio.sleep(0.05)
    codes = [record.code for record in world.audited]
    assert sorted(codes) == ["", "", "NO_AUTHORITY", "PARALLEL_NOT_READY", "PARALLEL_NOT_READY", "PARALLEL_SECOND_ROLE"]
    assert {record.facts["digest"] for record in world.audited[-4:]} == {ended.digest}
    await asyncio.to_thread(commands_say, company, monkeypatch, capsys, tmp_path)


async def test_a_night_has_every_entity_compared_by_the_real_comparisons_of_both_systems(
    environment: WorkflowEnvironment, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues_of_its_own(monkeypatch)
    suffix = uuid.uuid4().hex[:8]
    monkeypatch.setattr(names, "parallel_id", lambda company: f"parallel/{company}-{suffix}")
    rows, client = Rows(), environment.client
    for number in range(20):
        rows.pair(number)
    wrong = rows.pair(900, name="Renamed")
    async with compare_world(client, tmp_path, rows.write(tmp_path / "rows"), monkeypatch) as there:
        ledger = Ledger(there.settings.ledger.url.get_secret_value())
        work = ParallelWork(Comparisons(client), ledger, policies.load(), None)
        asked = (work.plan_day, work.compare_entity, ScriptedNotices(world).tell_people)
        async with there.working((ParallelRun,), asked):
            runs, run = ParallelRuns(client), client.get_workflow_handle(names.parallel_id("usmf"))
            await runs.begin("usmf")
            async with asyncio.timeout(PATIENCE):
                while (view := await runs.read("usmf")) is None or view.state.rules is None:
                    await asyncio.sleep(0.1)
            await environment.fast_forward(run, timedelta(hours=24))
            async with asyncio.timeout(PATIENCE):
                while (view := await runs.read("usmf")) is None or not view.state.days:
                    await asyncio.sleep(0.1)
        await ledger.close()
        verbs = there.verbs()
    (day,) = view.state.days
    found = {each.entity: (each.status, each.open, each.finance, each.sales) for each in day.entities}
    assert found.keys() == {"contact", "currency", "customer", "product"}
    assert found["customer"] == ("compared", 1, 21, 21), wrong
    assert {status for status, *_ in found.values()} == {"compared"}, [(e.entity, e.why) for e in day.entities]
    assert verbs == {"GET"}
    told = [notice.role for name, ask in world.asked if name == "tell_people" for notice in ask.notices]
    assert sorted(told) == ["ar_manager", "ops", "sales_manager"]


def commands_say(
    company: Company, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """What the commands make of a run that has ended: how it stands, a signed report, and tables."""
    client, keys = company.env.client, folder / "keys"
    keys.mkdir()

    async def connected(*_: object) -> Client:
        return await Client.connect(client.service_client.config.target_host, plugins=client.config()["plugins"])

    settings = Settings(
        state_dir=folder,
        ledger=LedgerSettings(url=SecretStr(f"sqlite:///{folder}/ledger.db")),
        audit=AuditSettings(private_key_file=keys / "private.json", public_keys_file=keys / "public.json"),
    )
    ensure_audit_keys(keys / "private.json", keys / "web.json", keys / "public.json")
    monkeypatch.setattr(parallel_work, "connect", connected)
    monkeypatch.setattr(inputs, "settings", lambda: settings)

    assert parallel_work.status("usmf", as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["clean_days"] == 9
    assert parallel_work.status("usmf", as_json=False) == 0
    assert "USMF: exited" in capsys.readouterr().out
    assert parallel_work.report("usmf", folder / "report", as_json=False) == 0
    page, pdf = folder / "report" / "parallel-usmf.html", folder / "report" / "parallel-usmf.pdf"
    text = page.read_text(encoding="utf-8")
    assert text.count("<td>not clean: 1 ") == 14 and "Ended by cfo (cfo)" in text and text.count("not compared: ") == 1
    assert pdf.read_bytes().startswith(b"%PDF")
    assert [parallel_work.verify(file, as_json=False) for file in (page, pdf)] == [0, 0]
    page.write_text(text.replace("not clean", "clean"), encoding="utf-8")
    assert parallel_work.verify(page, as_json=False) == 1
    assert "is not the one that was signed" in capsys.readouterr().out
    pdf.with_name("parallel-usmf.pdf.sig").write_text("no signature")
    assert parallel_work.verify(pdf, as_json=False) == 1

    with closing(sqlite3.connect(folder / "ledger.db")) as ledger, ledger:
        ledger.execute("INSERT INTO lags VALUES ('2026-11-27', 'usmf', 'order', 'to_sales', 3, 7)")
        ledger.execute("INSERT INTO lags VALUES ('2026-11-27', 'usmf', 'order', 'to_sales', 15, 1)")
    assert parallel_work.export("usmf", folder / "tables", as_json=True) == 0
    tables = {name: pq.read_table(folder / "tables" / f"{name}.parquet").to_pylist() for name in TABLES}
    assert {name: len(rows) for name, rows in tables.items()} == {
        "calendar": 30,
        "entities": 3,
        "days": 60,
        "day_classes": 300,
        "comparisons": 29,
        "differences": 7,
        "lags": 2,
        "letters": 0,
    }
    assert [(row["within_seconds"], row["changes"]) for row in tables["lags"]] == [(Decimal(10), 7), (None, 1)]
    keys_of = {row["entity_key"] for row in tables["entities"]}
    assert all(row["entity_key"] in keys_of for name in TABLES if name != "calendar" for row in tables[name])
    assert all(row["day"] in {each["day"] for each in tables["calendar"]} for row in tables["days"])
    assert {row["resolution"] for row in tables["differences"]} == {"AGREES"}
    begins = json.loads((folder / "tables" / "parallel.pbids").read_text())
    assert begins["connections"][0]["details"]["address"]["path"] == str((folder / "tables").resolve())
