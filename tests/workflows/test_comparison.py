"""Comparing both systems' records, from reading to the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import itertools
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from temporalio import workflow
from temporalio.client import ScheduleActionExecutionStartWorkflow
from temporalio.testing import WorkflowEnvironment

from activities import comparing
from cli import compare_work
from domain.entities.comparison_run import CompareStart
from dynamics.bulk import sales
from ledger.pages import Pages
from runs import names
from runs.comparisons import Comparisons
from sandbox.data.ids import row_id
from sandbox.faults import Fault, FaultEffect
from sandbox.finance import odata_service
from sandbox.generate import write
from tests.contract.bulk_world import Bulk, product_of
from tests.deadlines import PATIENCE
from tests.sealing import KEYS_FILE
from tests.workflows.bulk_worker import QUEUES
from tests.workflows.compare_world import DAY, LIMIT, CompareWorld, Rows, command, compare_world, map_with
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.replaying import replays
from workflows.both_sides import AT_ONCE
from workflows.comparison import CompareRecords

COMPARISON_ID = names.comparison_id("customer", "usmf", DAY.isoformat())
MakeWorld = Callable[..., AbstractAsyncContextManager[CompareWorld]]


@pytest.fixture
async def world_of(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeWorld]:
    """Makes a world of rows."""
    queues_of_its_own(monkeypatch)

    def make(rows: Rows | Path, policies: Path | None = None) -> AbstractAsyncContextManager[CompareWorld]:
        data = rows if isinstance(rows, Path) else rows.write(tmp_path / "rows")
        return compare_world(environment.client, tmp_path, data, monkeypatch, policies=policies)

    yield make
    await replays(environment.client, (names.COMPARISON,))


def s42() -> Rows:
    """10,000 accounts and 9,000 customers: 300 unmapped, 150 duplicates, 50 conflicts of currency, 550 no customers."""
    rows = Rows()
    for number in range(9_000):
        there = {"SalesCurrencyCode": "EUR"} if number < 50 else None
        account = rows.pair(number, there=there)
        if number >= 8_850:
            rows.account(account, name="Twin")
    for number in range(300):
        rows.account("" if number % 2 else " ", name=f"Unmapped {number}")
    for number in range(550):
        rows.account("", name=f"Prospect {number}", customertypecode="1")
    assert (len(rows.finance), len(rows.sales)) == (9_000, 10_000)
    return rows


async def test_s42_every_finding_of_ten_thousand_accounts_is_listed_and_nothing_is_written(
    world_of: MakeWorld,
    environment: WorkflowEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = {"DUPLICATE": 150, "DIFF": 50, "UNMAPPED": 300}
    async with world_of(s42()) as world, world.working():
        command(environment.client, world, monkeypatch)
        before = world.sandbox.dataverse.db.version

        code = await asyncio.to_thread(compare_work.compare, "customer", "usmf", 0, tmp_path / "report", as_json=True)

        said = json.loads(capsys.readouterr().out)
        assert code == 1
        assert said["figures"]["found"] == expected | {"TIMING": 0}
        assert (said["figures"]["finance_records"], said["figures"]["sales_records"]) == (9_000, 9_450)
        assert (said["figures"]["open"], said["figures"]["new"]) == (500, 500)
        assert world.verbs() == {"GET"}
        assert said["figures"]["requests"] == len(world.asked()) <= 10
        assert world.sandbox.dataverse.db.version == before
        assert not list((tmp_path / "data").rglob("*.parquet")), "pages hold personal data and go with the run"

    with (tmp_path / "report" / "differences.csv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    assert Counter(row["class"] for row in listed) == expected
    assert {row["field"] for row in listed if row["class"] == "DIFF"} == {"currency"}
    with zipfile.ZipFile(tmp_path / "report" / "differences.xlsx") as book:
        assert book.read("xl/worksheets/sheet1.xml").count(b"<row ") == 501
    page = (tmp_path / "report" / "differences.html").read_text(encoding="utf-8")
    assert page.count("<tr><td>") == 500


async def test_the_same_account_in_two_companies_a_sample_and_what_is_gone_the_next_day(
    world_of: MakeWorld,
    environment: WorkflowEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = Rows()
    for number in range(120):
        rows.pair(number)
    rows.finance["demf", "US-000001"] = rows.finance["usmf", "US-000001"] | {"dataAreaId": "demf"}
    rows.account("US-000001", "demf", name="Another name")
    late, wrong = rows.pair(900, name="Renamed"), rows.pair(901, creditlimit="7.00")

    async with world_of(rows, map_with(tmp_path / "policies", credit_limit=LIMIT)) as world, world.working():
        first = await world.compare()
        assert [(each.key, each.field) for each in await world.open()] == [(late, "name"), (wrong, "credit_limit")]

        german = await world.compare("demf")
        assert german.figures is not None
        assert [(each.key, each.field, each.sales_value) for each in await world.open("demf")] == [
            ("US-000001", "name", "Another name")
        ]
        assert len(await world.open()) == 2, "the other company's stand"

        account = next(row for row in world.sandbox.dataverse.rows("account") if row["accountnumber"] == late)
        world.sandbox.dataverse.update("accounts", account["accountid"], {"name": f"Customer {late}"})
        sample = await world.compare(sample=20, day=DAY + timedelta(days=1))
        assert sample.figures is not None
        assert 0 < sample.finance_records == sample.sales_records <= 20
        assert len(await world.open()) == 2, "a sample closes nothing"

        second = await world.compare(day=DAY + timedelta(days=2))
        (left,) = await world.open()

        command(environment.client, world, monkeypatch)
        code = await asyncio.to_thread(compare_work.compare, "customer", "usmf", 0, None, as_json=False)
        assert code == 1
        shown = capsys.readouterr().out
        assert "122 records of Finance and 122 of Sales: 1 difference stands, 0 new, 0 gone;" in shown
        assert re.search(rf"DIFF +{wrong} +credit_limit +1000 +7 +0", shown)

    assert first.figures is not None
    assert second.figures is not None
    assert (second.figures.open, second.figures.new, second.figures.gone) == (1, 0, 1)
    assert (left.key, left.finance_value, left.sales_value) == (wrong, "1000", "7")


FIELDS = ("name", "phone", "email", "street", "city", "postal_code", "tax_number", "credit_limit")


def planted(truth: list[dict[str, str]], company: str) -> set[tuple[str, str, str]]:
    """What a comparison has to find of a population: class, key or id, field."""
    found = set()
    for row in truth:
        kind, account, number = row["kind"], row["finance_account"], row["sales_accountnumber"]
        if row["company"] != company:
            continue
        if kind in ("different", "conflict"):
            found.add(("DIFF", account, row["field"]))
        elif kind == "rounding":
            found.add(("ROUNDING", account, "credit_limit"))
        elif kind == "only_in_finance" or (kind == "only_in_sales" and number):
            found.add(("MISSING", account or number, ""))
        elif kind in ("only_in_sales", "sales_twin"):
            found.add(("UNMAPPED", row["sales_accountid"], ""))
    return found


@dataclass
class Editor:
    """Somebody who changes customers on both sides all the time, first in Finance, and makes new ones."""

    world: CompareWorld
    accounts: list[tuple[str, str]]
    made: list[str] = field(default_factory=list)
    edits: int = 0

    async def edit(self, per_second: float = 50.0) -> None:
        """Until it is stopped."""
        clock = asyncio.get_running_loop().time
        began = clock()
        async with product_of(self.world.sandbox.info) as product:
            for account, row_id in itertools.cycle(self.accounts):
                number = f"+1{self.edits:010d}"
                await self._finance(product, account, number)
                self.world.sandbox.dataverse.update("accounts", row_id, {"telephone1": number})
                self.edits += 1
                if self.edits % 10 == 0:
                    await self._make(product)
                await asyncio.sleep(max(0.0, began + self.edits / per_second - clock()))

    async def _finance(self, product: Bulk, account: str, number: str) -> None:
        path = f"CustomersV3(dataAreaId='usmf',CustomerAccount='{account}')?cross-company=true"
        answer = await product.ask("finance", path, "PATCH", json={"PrimaryContactPhone": number})
        assert answer.status_code == 204, answer.text

    async def _make(self, product: Bulk) -> None:
        """A customer whose account stands before others that are read later."""
        account = f"US-0000{len(self.made):04d}A"
        new = {"dataAreaId": "usmf", "CustomerAccount": account, "OrganizationName": f"Made {account}"}
        new |= {"CustomerGroupId": "10", "SalesCurrencyCode": "USD", "PaymentTerms": "Net 30"}
        answer = await product.ask("finance", "CustomersV3", "POST", json=new | {"PartyType": "Organization"})
        assert answer.status_code == 201, answer.text
        self.world.sandbox.dataverse.create(
            "accounts",
            {
                "name": f"Made {account}",
                "accountnumber": account,
                "customertypecode": 3,
                "paymenttermscode": 1,
                "ownerid@odata.bind": f"/systemusers({row_id('systemuser', 'rita')})",
                "transactioncurrencyid@odata.bind": f"/transactioncurrencies({row_id('transactioncurrency', 'USD')})",
            },
        )
        self.made.append(account)


@pytest.mark.timeout(240)
async def test_planted_differences_are_found_exactly_and_none_is_false_while_both_sides_are_edited(
    world_of: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    population = tmp_path / "population"
    write(population, 50_000, seed=11, fields=FIELDS)
    with (population / "truth.csv").open(encoding="utf-8", newline="") as file:
        truth = list(csv.DictReader(file))
    agreeing = [
        (row["finance_account"], row["sales_accountid"])
        for row in truth
        if row["kind"] == "agrees" and row["company"] == "usmf"
    ][:2_000]
    monkeypatch.setattr(Pages, "remove", lambda pages: None)

    async with world_of(population, map_with(tmp_path / "policies", credit_limit=LIMIT)) as world, world.working():
        editor = Editor(world, agreeing)
        editing = asyncio.create_task(editor.edit())
        began = time.monotonic()
        done = await world.compare()
        record_property("seconds", round(time.monotonic() - began, 1))
        editing.cancel()
        await asyncio.gather(editing, return_exceptions=True)
        assert editing.cancelled(), editing.exception()
        found = await world.open()
        record_property("edits", editor.edits)
        record_property("figures", done)
        assert {request.method for request in world.asked() if "CustomersV3(" not in request.path} <= {"GET", "POST"}

    assert {(str(each.kind), each.key, each.field) for each in found} == planted(truth, "usmf")
    assert len(found) == len(planted(truth, "usmf"))
    pages = sorted((tmp_path / "data").rglob("finance-*.parquet"))
    read = Counter(key for page in pages for key in pq.read_table(page)["k0"].to_pylist())
    there = {row["finance_account"] for row in truth if row["company"] == "usmf" and row["finance_account"]}
    assert there <= read.keys(), "none skipped"
    assert set(read.values()) == {1}, "none twice"
    assert len(pages) >= 3
    assert editor.made


@contextlib.contextmanager
def worker(world: CompareWorld, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own; killed with SIGKILL where the block ends."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
    info, settings = world.sandbox.info, world.settings
    ours = {
        "TEMPORAL_ADDRESS": world.client.service_client.config.target_host,
        "Q2C_STATE_DIR": str(settings.state_dir),
        "Q2C_CA_FILE": info.ca_file,
        "Q2C_ENTRA_URL": info.entra,
        "Q2C_ENTRA_TENANT": info.tenant,
        "Q2C_DATAVERSE_URL": info.dataverse,
        "Q2C_FINANCE_URL": info.finance,
        "Q2C_READER_CLIENT_ID": info.reader_client_id,
        "Q2C_READER_CLIENT_SECRET": info.reader_client_secret,
        "Q2C_READER_DATAVERSE_REQUESTS_PER_SECOND": "200",
        "Q2C_READER_FINANCE_REQUESTS_PER_SECOND": "200",
        "Q2C_DATA_DIR": str(settings.data.dir),
        "Q2C_LEDGER_URL": settings.ledger.url.get_secret_value(),
        "Q2C_CODEC_KEYS_FILE": str(KEYS_FILE),
    }
    command = [sys.executable, "-m", "tests.workflows.bulk_worker", *(getattr(names, queue) for queue in QUEUES)]
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=inherited | ours, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(240)
async def test_a_worker_killed_at_half_reads_only_what_was_under_way_again_and_nothing_is_found_twice(
    world_of: MakeWorld, tmp_path: Path
) -> None:
    rows = Rows()
    wrong = {rows.pair(number, name="Another name") for number in range(0, 3_000, 100)}
    for number in range(3_000):
        if number % 100:
            rows.pair(number)
    log = tmp_path / "worker.log"

    async with world_of(rows) as world:
        world.sandbox.desk.faults.replace([Fault("finance", FaultEffect(delay_ms=120), "GET", "CustomersV3")])

        def read() -> Counter[str]:
            return Counter(
                f"{request.path}"
                for request in world.asked()
                if request.method == "GET" and ("CustomersV3" in request.path or "accounts" in request.path)
            )

        comparing = asyncio.create_task(world.compare())
        with worker(world, log):
            await until(lambda: read().total() >= 20, log)
        half = read()
        with worker(world, log):
            done = await comparing
        found = await world.open()

    assert done.finance_parts >= 12
    assert 20 <= half.total() < read().total()
    again = {path: count for path, count in read().items() if count > 1}
    assert all(count == 2 for count in again.values()), again
    assert len(again) <= AT_ONCE + 1, "four parts of Finance and a page of Sales may have been under way"
    assert sorted(each.key for each in found) == sorted(wrong)
    assert done.figures is not None
    assert (done.figures.finance_records, done.figures.sales_records, done.figures.open) == (3_000, 3_000, len(wrong))


async def test_parts_that_do_not_fit_are_cut_further_and_a_long_run_goes_on_as_a_new_one(
    world_of: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows()
    wrong = {rows.pair(number, name="Another name") for number in range(0, 600, 50)}
    for number in range(600):
        if number % 50:
            rows.pair(number)
    monkeypatch.setattr(comparing, "PAGE_ROWS", 100)
    monkeypatch.setattr(sales, "PAGE_ROWS", 100)
    monkeypatch.setattr(odata_service, "MAX_PAGE", 60)
    monkeypatch.setattr(CompareRecords, "_is_long", lambda _: workflow.info().get_current_history_length() > 60)

    async with world_of(rows) as world, world.working():
        done = await world.compare()
        found = await world.open()
        runs = [run async for run in world.client.list_workflows(f"WorkflowId = '{COMPARISON_ID}'")]

    assert len(runs) > 2
    assert done.finance_parts > 50, "six parts of 100 did not fit, and were cut into ten"
    assert (done.finance_records, done.sales_records) == (600, 600)
    assert sorted(each.key for each in found) == sorted(wrong)
    assert {each.first_seen_at for each in found} == {found[0].first_seen_at}


@pytest.mark.parametrize(
    ("entity", "company", "said"),
    [
        ("order", "usmf", "order has the pattern orchestrated: there are no two stored records to compare"),
        ("product", "demf", "Sales shows the product of usmf for all companies: compare that company"),
    ],
)
async def test_what_cannot_be_compared_ends_with_the_reason(
    world_of: MakeWorld,
    environment: WorkflowEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    entity: str,
    company: str,
    said: str,
) -> None:
    async with world_of(Rows()) as world, world.working():
        command(environment.client, world, monkeypatch)
        code = await asyncio.to_thread(compare_work.compare, entity, company, 0, None, as_json=True)

    told = capsys.readouterr()
    assert code == 1
    assert said in json.loads(told.out)["failed"]
    assert said in told.err


async def until(ready: Callable[[], bool], log: Path) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(await asyncio.to_thread(log.read_text))
        await asyncio.sleep(0.02)


async def test_it_compares_every_night_by_the_clock_of_the_company(
    world_of: MakeWorld,
    environment: WorkflowEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = Rows()
    rows.pair(1, name="Another name")
    start = CompareStart(entity="customer", company="usmf")
    async with world_of(rows) as world, world.working():
        desk = Comparisons(world.client)
        assert not await desk.stop_nightly(start)
        await desk.nightly(start, 1, 15, "Europe/Berlin")
        command(environment.client, world, monkeypatch)
        await asyncio.to_thread(compare_work.schedule, "customer", "usmf", "02:30", as_json=False)
        assert capsys.readouterr().out == "customer of USMF: compared every night at 02:30 (America/New_York)\n"
        schedule = world.client.get_schedule_handle(names.nightly_id("customer", "usmf"))
        spec = (await schedule.describe()).schedule.spec
        assert spec.time_zone_name == "America/New_York"
        assert [(calendar.hour[0].start, calendar.minute[0].start) for calendar in spec.calendars] == [(2, 30)]

        await schedule.trigger()
        async with asyncio.timeout(PATIENCE):
            while not (ran := (await schedule.describe()).info.recent_actions):
                await asyncio.sleep(0.1)
        action = ran[0].action
        assert isinstance(action, ScheduleActionExecutionStartWorkflow)
        assert action.workflow_id.startswith("compare/customer/usmf-")
        done = await desk.result(action.workflow_id)

        await asyncio.to_thread(compare_work.schedule, "customer", "usmf", "off", as_json=True)
        assert json.loads(capsys.readouterr().out)["every_night"] is None
        assert not await desk.stop_nightly(start)
    assert done.figures is not None
    assert done.figures.open == 1


def test_only_a_run_of_a_schedule_is_told_what_was_sealed_for_the_schedule() -> None:
    of_schedule = names.nightly_id("customer", "usmf")

    assert names.sealed_for(f"{of_schedule}-2026-11-27T02:00:00Z") == of_schedule
    for workflow_id in (
        "q2c/usmf/Q-1-2026-11-27T02:00:00Z",
        f"{of_schedule}/2026-11-27",
        f"{of_schedule}-2026-11-27T02:00:00Z/more",
        of_schedule,
    ):
        assert names.sealed_for(workflow_id) == workflow_id
