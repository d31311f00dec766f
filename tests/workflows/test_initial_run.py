"""A plan that the gate allowed, carried out: what is written, what is left alone, and what stops it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from domain.entities.initial import Action
from domain.entities.initial_run import WrittenAs
from domain.entities.merge import LetterCause
from runs import names
from runs.calls import NotFound
from sandbox.faults import Fault, FaultEffect
from tests.workflows.compare_world import Rows
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.initial_world import InitialWorld, dying_after, first_of, initial_world
from tests.workflows.replaying import replays
from tests.workflows.trusting import OTTO, RITA

MakeWorld = Callable[..., AbstractAsyncContextManager[InitialWorld]]


@pytest.fixture
async def world_of(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeWorld]:
    """Makes a world of rows."""
    queues_of_its_own(monkeypatch)

    def make(rows: Rows, policies: Path | None = None) -> AbstractAsyncContextManager[InitialWorld]:
        return initial_world(environment.client, tmp_path, rows, monkeypatch, policies=policies)

    yield make
    await replays(environment.client, (names.INITIAL_RUN,))


def differing(rows: Rows, numbers: range, company: str = "usmf") -> dict[str, str]:
    """Customers whose terms Finance says, and whose phone Sales says; the id of each one's account."""
    phones = {"PrimaryContactPhone": "+1 206 555 0100"}
    accounts = [
        rows.pair(n, company, there={"PaymentTerms": "Net 45", **phones}, telephone1="+1 425 555 0199") for n in numbers
    ]
    return dict(zip(accounts, list(rows.sales)[-len(accounts) :], strict=True))


async def test_the_allowed_plan_is_carried_out_once_and_the_sync_after_it_has_nothing_to_write(
    world_of: MakeWorld,
) -> None:
    rows = Rows()
    agreed = rows.pair(1)
    agreed_id = next(iter(rows.sales))
    ids = differing(rows, range(2, 6))
    conflict = rows.pair(6, name="Another name")
    new = [rows.customer(n) for n in (7, 8)]
    moved, *written = ids
    async with world_of(rows) as world:
        none = await world.tell(OTTO, "begin")
        assert (none.code, none.detail) == ("GATE_NOT_OPEN", "The gate was not asked yet.")
        run = await world.allowed()
        assert run.figures.actions == {"create": 2, "update": 4, "conflict": 1, "skip": 1}
        world.in_sales(ids[moved], paymenttermscode=4)
        assert (await world.tell(RITA, "begin")).code == "NO_AUTHORITY"
        assert world.writes() == (0, 0)

        begun = await world.tell(OTTO, "begin")
        assert begun.accepted, begun
        view = await world.stands(lambda view: not view.goes_on)

        assert (view.status, view.left_alone, view.letters, view.known) == ("done", 1, 0, 1)
        assert view.counts == {WrittenAs.CREATED: 2, WrittenAs.UPDATED: 3, WrittenAs.MOVED: 1}
        became = world.became(run)
        assert {key: each.written for key, each in became.items()} == {
            moved: WrittenAs.MOVED,
            **dict.fromkeys(written, WrittenAs.UPDATED),
            **dict.fromkeys(new, WrittenAs.CREATED),
        }
        assert "payment_terms" in became[moved].text
        before = {change.field: (change.finance, change.sales) for change in became[written[0]].changes}
        assert before["payment_terms"] == ("Net 45", "1")
        for account in written:
            assert world.account(ids[account])["paymenttermscode"] == 3
            assert world.customer(account)["PrimaryContactPhone"] == "+1 425 555 0199"
        assert world.account(ids[moved])["paymenttermscode"] == 4
        assert world.customer(conflict)["OrganizationName"] != "Another name"
        made = [row for row in world.sandbox.dataverse.rows("account") if row["accountnumber"] in new]
        assert {str(row["accountid"]) for row in made} == {became[account].sales_id for account in new}

        writes = world.writes()
        again = await world.tell(OTTO, "begin")
        assert again.accepted, again
        assert (await world.stands(lambda view: not view.goes_on)).counts == view.counts
        world.in_sales(agreed_id, telephone1="+1 425 555 0111")
        view_of_sync = await world.start()
        assert not view_of_sync.letters
        await world.until(lambda view: view.figures.to_finance == 1)
        await world.rounds(2)
        assert world.customer(agreed)["PrimaryContactPhone"] == "+1 425 555 0111", "what agreed, and was edited since"
        assert world.writes() == (writes[0], writes[1] + 1)

        assert (await world.tell(OTTO, "begin")).code == "SYNC_RUNS"
        await world.until(lambda _: {each.event for each in world.audit.records} >= {"run_initial", "run_sync"})
        await world.client.get_workflow_handle(names.sync_id("customer", "usmf")).terminate("the test is over")


async def test_the_first_records_stop_a_run_where_one_is_refused_until_a_person_says_so(
    world_of: MakeWorld, tmp_path: Path
) -> None:
    rows = Rows()
    ids = differing(rows, range(4))
    other = differing(rows, range(2), "demf")
    bad, good, *later = ids
    async with world_of(rows, first_of(tmp_path / "policies", 2)) as world:
        run = await world.allowed()
        await world.allowed("demf")
        refusal = Fault("dataverse", FaultEffect(status=400), "PATCH", rf"accounts\({ids[bad]}\)")
        world.sandbox.desk.faults.replace([refusal])

        assert (await world.tell(OTTO, "begin")).accepted
        view = await world.stands(lambda view: view.status == "asking")

        assert view.counts == {WrittenAs.REFUSED: 1, WrittenAs.UPDATED: 1}
        assert [each.key for each in view.found] == [bad]
        assert world.account(ids[good])["paymenttermscode"] == 3
        assert {world.account(ids[each])["paymenttermscode"] for each in later} == {1}
        (letter,) = await world.letters(key=bad, cause=LetterCause.REFUSED_BY_SALES)
        assert letter.field == "payment_terms"

        assert (await world.tell(OTTO, "begin", "demf")).accepted
        theirs = await world.stands(lambda view: not view.goes_on, "demf")
        assert theirs.counts == {WrittenAs.UPDATED: 2}
        assert {world.account(each)["paymenttermscode"] for each in other.values()} == {3}
        assert {world.account(ids[each])["paymenttermscode"] for each in later} == {1}, "the other company's"

        assert (await world.tell(OTTO, "begin")).code == "INITIAL_RUNS"
        assert (await world.tell(OTTO, "go_on")).accepted
        done = await world.stands(lambda view: not view.goes_on)
        assert done.counts == {WrittenAs.REFUSED: 1, WrittenAs.UPDATED: 3}
        assert {world.account(ids[each])["paymenttermscode"] for each in later} == {3}
        assert world.became(run)[bad].action is Action.UPDATE
        with pytest.raises(NotFound, match="does not go on"):
            await world.tell(OTTO, "stop")


async def test_a_run_whose_worker_dies_between_two_writes_writes_nothing_twice(
    world_of: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows()
    ids = differing(rows, range(6))
    new = rows.customer(7)
    sent = dying_after(monkeypatch, 3)
    async with world_of(rows) as world:
        run = await world.allowed()
        assert (await world.tell(OTTO, "begin")).accepted
        view = await world.stands(lambda view: not view.goes_on)

        assert (view.status, view.failing) == ("done", "")
        assert view.counts == {WrittenAs.UPDATED: 6, WrittenAs.CREATED: 1}
        assert sorted(sent) == sorted(ids.values()), "each row once"
        assert world.writes() == (7, 6), "a create is one of them"
        assert [row["accountnumber"] for row in world.sandbox.dataverse.rows("account")].count(new) == 1
        assert len(world.became(run)) == 7
        handle = world.client.get_workflow_handle(names.initial_run_id("customer", "usmf"))
        assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
