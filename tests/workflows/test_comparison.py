"""Comparing both systems' records, from reading to the ledger."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from domain.entities.comparing import DifferenceClass
from tests.workflows.compare_world import Rows, compare_world
from tests.workflows.conftest import queues_of_its_own


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
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues_of_its_own(monkeypatch)
    data = s42().write(tmp_path / "rows")
    async with compare_world(environment.client, tmp_path, data, monkeypatch) as world, world.working():
        before = world.sandbox.dataverse.db.version
        done = await world.compare()
        found = await world.open()
        requests, verbs = world.asked(), world.verbs()

    assert done.figures is not None
    print(done)
    assert (done.finance_records, done.sales_records) == (9_000, 9_450)
    assert Counter(str(each.kind) for each in found) == {
        "DUPLICATE": 150,
        "DIFF": 50,
        "MISSING": 150,
        "UNMAPPED": 150,
    }
    assert done.figures.found[DifferenceClass.TIMING] == 0
    assert before == world.sandbox.dataverse.db.version
    print(len(requests), verbs, requests[:6])
