"""The dry run of an initial sync, from reading to the plan, and what the activation gate makes of it."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from cli import gate_work, initial_work
from domain.entities.gate import GateCode
from domain.entities.identity import hash_of
from domain.entities.initial import InitialStart
from dynamics.bulk.reader import Reader
from ledger.database import open_database
from ledger.initial_runs import last_verdict
from ledger.plans import Plan
from policies.map_files import load_maps
from runs import names
from runs.calls import Unreadable
from runs.initial import Initials
from sandbox.data.ids import row_id
from sandbox.desk.requests import DualWriteRequest, MapRequest
from sandbox.faults import Fault, FaultEffect
from tests.workflows.compare_world import CompareWorld, Rows, command, compare_world
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.test_comparison import s42, until, worker
from workflows.both_sides import AT_ONCE

MakeWorld = Callable[..., AbstractAsyncContextManager[CompareWorld]]
PAGES = re.compile("CustomersV3|accounts")
MAP = next(data for data in load_maps().all if data.entity == "customer")
START = InitialStart(entity="customer", company="usmf", map_hash=hash_of(MAP))


@pytest.fixture
async def world_of(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeWorld]:
    """Makes a world of rows."""
    queues_of_its_own(monkeypatch)
    yield lambda rows: compare_world(environment.client, tmp_path, rows.write(tmp_path / "rows"), monkeypatch)
    await replays(environment.client, (names.INITIAL,))


def listed(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


async def test_s42_every_finding_is_listed_nothing_is_written_and_the_gate_says_200_critical(
    world_of: MakeWorld,
    environment: WorkflowEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = {"conflict": 50, "unmapped": 300, "duplicate": 150}
    out = tmp_path / "plan"
    async with world_of(s42()) as world, world.working():
        command(environment.client, world, monkeypatch)
        before = world.sandbox.dataverse.db.version

        code = await asyncio.to_thread(initial_work.dry_run, "customer", "usmf", out, as_json=True)

        said = json.loads(capsys.readouterr().out)
        assert code == 1
        assert said["figures"]["actions"] == expected | {"skip": 8_800}
        assert (said["figures"]["records"], said["figures"]["finance_records"]) == (9_300, 9_000)
        assert said["figures"]["requests"] == len(world.asked()) <= 10

        gate = await asyncio.to_thread(gate_work.gate, "customer", "usmf", as_json=False)

        told = capsys.readouterr().out
        assert gate == 1
        assert told.endswith(
            "500 records wait for people and would be left alone; 8,800 proceed\nblocked: 200 critical\n"
        )
        assert "AMBIGUOUS_TARGET: 150 customers have several accounts in Sales." in told
        assert "CRITICAL_CONFLICT: currency differs in 50 records" in told
        assert world.verbs() == {"GET"}
        assert world.sandbox.dataverse.db.version == before

    every, blocked = listed(out / "plan.csv"), listed(out / "to_settle.csv")
    assert Counter(row["action"] for row in every) == expected | {"skip": 8_800}
    assert blocked == [row for row in every if row["action"] in expected]
    assert len(blocked) == 500
    for name, rows in (("plan", 9_300), ("to_settle", 500)):
        with zipfile.ZipFile(out / f"{name}.xlsx") as book:
            assert book.read("xl/worksheets/sheet1.xml").count(b"<row ") == rows + 1
    page = (out / "to_settle.html").read_text(encoding="utf-8")
    assert page.count("<tr>") == 501


async def test_a_record_is_left_alone_where_only_it_is_wrong_and_a_run_is_refused_where_its_target_is_not_known(
    world_of: MakeWorld,
    environment: WorkflowEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = Rows()
    rows.pair(0, there={"TaxExemptNumber": "US1"}, msdyn_taxexemptnumber="US2")
    for number in range(1, 9_999):
        rows.pair(number)
    contoso = rows.customer(10_000, OrganizationName="Contoso", TaxExemptNumber="US778899")

    async with world_of(rows) as world, world.working():
        command(environment.client, world, monkeypatch)

        async def gate(code: int) -> dict[str, Any]:
            assert await asyncio.to_thread(gate_work.gate, "customer", "usmf", as_json=True) == code
            told: dict[str, Any] = json.loads(capsys.readouterr().out)
            return told

        assert [each["code"] for each in (await gate(1))["reasons"]] == [GateCode.NO_DRY_RUN]

        assert await asyncio.to_thread(initial_work.dry_run, "customer", "usmf", None, as_json=False) == 1
        assert "tax_number: Finance US1, Sales US2" in capsys.readouterr().out
        allowed = await gate(0)
        assert (allowed["blocked"], allowed["proceeds"], allowed["critical"]) == (1, 9_999, 0)
        assert allowed["map_hash"] == START.map_hash
        assert all(len(str(allowed[name])) == 64 for name in ("plan_hash", "quality_hash"))

        database = await open_database(world.settings.ledger.url.get_secret_value())
        kept = await last_verdict(database, "customer", "usmf")
        await database.close()
        assert kept is not None
        assert kept.model_dump(mode="json") == allowed

        accounts = [_account(world, name) for name in ("Contoso", "Contoso Ltd")]
        assert await asyncio.to_thread(initial_work.dry_run, "customer", "usmf", None, as_json=True) == 1
        capsys.readouterr()
        running = MapRequest("account", "Customers V3", {"CreditLimit": "creditlimit"}, running=True)
        world.sandbox.desk.set_dual_write(DualWriteRequest([running]))
        before = world.sandbox.dataverse.db.version
        refused = await gate(1)
        (target,) = refused["ambiguous"]
        assert target["customers"] == [contoso]
        assert {each["id"] for each in target["accounts"]} == set(accounts)
        assert {each["name"] for each in target["accounts"]} == {"Contoso", "Contoso Ltd"}
        assert target["score"] == 100
        assert "same tax number" in target["reasons"][0]
        assert [each["code"] for each in refused["reasons"]] == [GateCode.AMBIGUOUS_TARGET, GateCode.DUAL_WRITE]
        assert world.verbs() == {"GET"}
        assert world.sandbox.dataverse.db.version == before


def _account(world: CompareWorld, name: str) -> str:
    """A new account without a customer number; its id."""
    made = world.sandbox.dataverse.create(
        "accounts",
        {
            "name": name,
            "customertypecode": 3,
            "paymenttermscode": 1,
            "msdyn_taxexemptnumber": "us 778899",
            "ownerid@odata.bind": f"/systemusers({row_id('systemuser', 'rita')})",
            "transactioncurrencyid@odata.bind": f"/transactioncurrencies({row_id('transactioncurrency', 'USD')})",
        },
    )
    return str(made["accountid"])


async def test_a_planted_write_ends_the_dry_run_and_reaches_neither_system(
    world_of: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows()
    rows.pair(1)
    reads = Reader.row

    async def planted(reader: Reader, path: str) -> object:
        await reader._odata.patch("CustomersV3(dataAreaId='usmf',CustomerAccount='US-000001')", {"CreditLimit": 1})
        return await reads(reader, path)

    monkeypatch.setattr(Reader, "row", planted)
    async with world_of(rows) as world, world.working():
        desk = Initials(world.client)
        with pytest.raises(Unreadable, match="the reader sends nothing that could write"):
            await desk.result(await desk.begin(START))
        assert world.verbs() == {"GET"}


@pytest.mark.timeout(240)
async def test_a_dry_run_whose_worker_was_killed_at_half_reads_one_page_a_part_again_and_plans_nothing_twice(
    world_of: MakeWorld, tmp_path: Path
) -> None:
    rows = Rows()
    for number in range(2_000):
        rows.pair(number, name=f"Customer US-{number:06d}" if number % 100 else "Another name")
    log = tmp_path / "worker.log"

    async with world_of(rows) as world:
        world.sandbox.desk.faults.replace([Fault("finance", FaultEffect(delay_ms=120), "GET", "CustomersV3")])

        def read() -> Counter[str]:
            return Counter(each.path for each in world.asked() if each.method == "GET" and PAGES.search(each.path))

        desk = Initials(world.client)
        workflow_id = await desk.begin(START)
        with worker(world, log):
            await until(lambda: read().total() >= 12, log)
        half = read()
        with worker(world, log):
            done = await desk.result(workflow_id)

    assert 12 <= half.total() < read().total()
    again = [path for path, count in read().items() if count > 1]
    assert len(again) <= AT_ONCE + 1, "four parts of Finance and a page of Sales may have been under way"
    assert set(read().values()) <= {1, 2}
    assert done.dry_run is not None
    assert done.dry_run.figures.actions == {"conflict": 20, "skip": 1_980}
    planned = [record.key for some in Plan(tmp_path / "data", done.dry_run).rows() for record in some]
    assert planned == sorted(rows.finance[key]["CustomerAccount"] for key in rows.finance)
