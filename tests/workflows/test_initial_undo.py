"""What an initial sync wrote, undone: read first, taken back where nobody has changed it since, and nothing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from domain.entities.initial_run import WrittenAs
from runs import names
from sandbox.faults import Fault, FaultEffect
from tests.workflows.compare_world import Rows
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.initial_world import InitialWorld, dying_after, initial_world
from tests.workflows.replaying import replays
from tests.workflows.test_initial_run import differing
from tests.workflows.trusting import OTTO, RITA

MakeWorld = Callable[..., AbstractAsyncContextManager[InitialWorld]]


@pytest.fixture
async def world_of(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeWorld]:
    """Makes a world of rows."""
    queues_of_its_own(monkeypatch)

    def make(rows: Rows) -> AbstractAsyncContextManager[InitialWorld]:
        return initial_world(environment.client, tmp_path, rows, monkeypatch)

    yield make
    await replays(environment.client, (names.INITIAL_RUN,))


async def test_what_nobody_changed_since_goes_back_and_the_rest_is_listed(world_of: MakeWorld) -> None:
    rows = Rows()
    ids = differing(rows, range(1, 6))
    new = [rows.customer(n) for n in (7, 8)]
    edited, refused, *back = ids
    async with world_of(rows) as world:
        run = await world.allowed()
        of = run.run_id
        assert await world.not_undone(OTTO, of) == "UNDO_NOT_POSSIBLE", "it was never carried out"
        assert (await world.tell(OTTO, "begin")).accepted
        await world.stands(lambda view: not view.goes_on)
        made = {str(row["accountnumber"]): str(row["accountid"]) for row in world.sandbox.dataverse.rows("account")}
        world.in_sales(made[new[0]], websiteurl="https://used.example")
        world.in_sales(ids[edited], paymenttermscode=4)
        writes = world.writes()

        assert await world.not_undone(RITA, of) == "NO_AUTHORITY"
        assert await world.not_undone(OTTO, "another") == "UNDO_NOT_POSSIBLE"
        assert (await world.tell(OTTO, "begin", undo=of)).accepted
        view = await world.stands(lambda view: view.status == "asking", undoes=True)
        assert view.would == {WrittenAs.RESTORED: 4, WrittenAs.STAYS: 2, WrittenAs.DEACTIVATED: 1}
        assert (view.records, view.counts, world.writes()) == (7, {}, writes), "nothing is written before it is asked"
        assert (await world.tell(OTTO, "begin")).code in ("INITIAL_RUNS", "GATE_NOT_OPEN")

        refusal = Fault("dataverse", FaultEffect(status=400), "PATCH", rf"accounts\({ids[refused]}\)")
        world.sandbox.desk.faults.replace([refusal])
        assert (await world.tell(OTTO, "go_on", undo=of)).accepted
        view = await world.stands(lambda view: not view.goes_on, undoes=True)

        assert view.status == "done"
        became = world.became(run, "undone")
        assert {key: each.written for key, each in became.items()} == {
            edited: WrittenAs.STAYS,
            refused: WrittenAs.REFUSED,
            **dict.fromkeys(back, WrittenAs.RESTORED),
            new[0]: WrittenAs.STAYS,
            new[1]: WrittenAs.DEACTIVATED,
        }
        assert "payment_terms" in became[edited].text and became[refused].text
        for account in back:
            assert world.account(ids[account])["paymenttermscode"] == 1
            assert world.customer(account)["PrimaryContactPhone"] == "+1 206 555 0100"
        assert world.account(ids[edited])["paymenttermscode"] == 4
        assert world.customer(edited)["PrimaryContactPhone"] == "+1 425 555 0199"
        assert [world.account(made[each])["statecode"] for each in new] == [0, 1]

        world.sandbox.desk.faults.replace([])
        writes = world.writes()
        assert await world.not_undone(OTTO, of) == "UNDO_NOT_POSSIBLE", "once"
        none = await world.tell(OTTO, "begin")
        assert (none.code, "undone" in none.detail) == ("GATE_NOT_OPEN", True)
        await world.start()
        await world.until(lambda view: (view.figures.to_sales, view.figures.to_finance) == (1, 1))
        await world.rounds(2)
        await world.until(lambda _: {each.event for each in world.audit.records} >= {"run_initial", "undo_initial"})
        assert world.writes() == (writes[0] + 1, writes[1] + 1), "what people edited, and nothing that was undone"
        assert {world.account(ids[each])["paymenttermscode"] for each in back} == {1}
        assert world.account(made[new[1]])["statecode"] == 1
        await world.client.get_workflow_handle(names.sync_id("customer", "usmf")).terminate("the test is over")


async def test_an_undo_whose_worker_dies_between_two_writes_writes_nothing_twice(
    world_of: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows()
    ids = differing(rows, range(4))
    new = rows.customer(7)
    async with world_of(rows) as world:
        run = await world.allowed()
        assert (await world.tell(OTTO, "begin")).accepted
        await world.stands(lambda view: not view.goes_on)
        made = world.became(run)[new].sales_id
        sent = dying_after(monkeypatch, 2, 5)
        assert (await world.tell(OTTO, "begin", undo=run.run_id)).accepted
        await world.stands(lambda view: view.status == "asking", undoes=True)
        assert (await world.tell(OTTO, "go_on", undo=run.run_id)).accepted
        view = await world.stands(lambda view: not view.goes_on, undoes=True)

        assert (view.status, view.failing) == ("done", "")
        assert view.counts == {WrittenAs.RESTORED: 4, WrittenAs.DEACTIVATED: 1}
        assert sorted(sent) == sorted([*ids.values(), made]), "each row once"
