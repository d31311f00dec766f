"""The dry run of an initial sync, from reading to the plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from cleansing import *
from domain.entities.identity import hash_of
from domain.entities.initial import *
from ledger.plans import Plan
from policies.map_files import load_maps
from runs.initial import Initials
from tests.workflows.compare_world import compare_world
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.test_comparison import s42


async def test_s42(environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queues_of_its_own(monkeypatch)
    data = load_maps().of("customer").data
    async with (
        compare_world(environment.client, tmp_path, s42().write(tmp_path / "rows"), monkeypatch) as world,
        world.working(),
    ):
        desk = Initials(world.client)
        done = await desk.result(
            await desk.begin(InitialStart(entity="customer", company="usmf", map_hash=hash_of(data)))
        )
        print(done)
        plan = Plan(tmp_path / "data", done.dry_run)
        rows = [r for some in plan.rows() for r in some]
        print(len(rows), rows[:2], rows[100])
        print([r for r in rows if r.action == "duplicate"][0])
        print([r for r in rows if r.action == "unmapped"][0])
        for p in (tmp_path / "data").rglob("*"):
            print(p)
        assert 0
