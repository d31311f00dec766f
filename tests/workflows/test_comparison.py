"""Comparing both systems' records, from reading to the ledger."""

from __future__ import annotations

import asyncio
import csv
import json
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from cli import compare_work, inputs
from runs import names
from tests.workflows.compare_world import CompareWorld, Rows, compare_world
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.replaying import replays

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


def command(client: Client, world: CompareWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `q2c compare` be of this world."""

    async def connected(*_: object) -> Client:
        config = client.service_client.config
        return await Client.connect(config.target_host, plugins=client.config()["plugins"])

    monkeypatch.setattr(compare_work, "connect", connected)
    monkeypatch.setattr(inputs, "settings", lambda: world.settings.model_copy(update={"policies": None}))


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
