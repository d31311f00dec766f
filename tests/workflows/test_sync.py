"""Records of both systems kept in step: who wins, how often is written, what is lost to nobody, and who is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from domain.entities.merge import LetterCause
from runs import names
from tests.workflows.compare_world import LIMIT, Rows, map_with
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.sync_world import SyncWorld, sync_world
from tests.workflows.trusting import AMY, OTTO, RITA

MakeWorld = Callable[..., AbstractAsyncContextManager[SyncWorld]]


@pytest.fixture
async def world_of(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeWorld]:
    """Makes a world of rows."""
    queues_of_its_own(monkeypatch)

    def make(rows: Rows | str, policies: Path | None = None) -> AbstractAsyncContextManager[SyncWorld]:
        return sync_world(environment.client, tmp_path, rows, monkeypatch, policies=policies)

    yield make
    await replays(environment.client, (names.SYNC, names.REPLAY))


def customers(number: int = 5) -> tuple[Rows, dict[str, str]]:
    """Customers that agree, and the id of each one's account."""
    rows = Rows()
    accounts = [
        rows.pair(n, telephone1="+1 206 555 0100", there={"PrimaryContactPhone": "+12065550100"}) for n in range(number)
    ]
    return rows, dict(zip(accounts, rows.sales, strict=True))


async def test_two_reps_and_finance_edit_one_customer(world_of: MakeWorld, tmp_path: Path) -> None:
    rows, ids = customers()
    one, other, *_ = ids
    async with world_of(rows, map_with(tmp_path / "policies", credit_limit=LIMIT)) as world:
        assert (await world.start()).letters == {}
        assert world.writes() == (0, 0)

        world.in_sales(ids[one], "rita", telephone1="+1 425 555 0199")
        world.in_sales(ids[one], "ravi", paymenttermscode=4)
        await world.in_finance(one, CreditLimit=2500)
        await world.until(lambda view: view.figures.to_sales == view.figures.to_finance == 1)
        view = await world.rounds(10)

        assert world.writes() == (1, 1)
        assert world.customer(one)["PrimaryContactPhone"] == "+1 425 555 0199"
        assert world.customer(one)["PaymentTerms"] == "Net 30"
        assert (world.account(ids[one])["paymenttermscode"], world.account(ids[one])["creditlimit"]) == (1, 2500)
        assert view.figures.undone == 1
        (note,) = world.sandbox.dataverse.rows("annotation")
        assert note["_objectid_value"] == ids[one]
        assert "Payment terms: 4 was changed back to what Finance has, Net 30" in note["notetext"]

        world.in_sales(ids[other], "rita", name="Northwind Traders")
        await world.in_finance(other, OrganizationName="Northwind Ltd", CreditLimit=900)
        await world.until(lambda view: view.letters == {LetterCause.CONFLICT: 1})
        (letter,) = await world.letters()
        assert (letter.key, letter.field, letter.sales_value) == (other, "name", "Northwind Traders")
        told = await world.say(RITA, "settle_letter", do="take", letter=letter.letter_id, take="sales")
        assert told is not None
        assert told.code == "NO_AUTHORITY"
        settled = await world.say(AMY, "settle_letter", do="take", letter=letter.letter_id, take="sales")
        assert settled is not None
        assert settled.accepted, settled
        view = await world.until(lambda view: not view.letters)
        assert world.customer(other)["OrganizationName"] == "Northwind Traders"
        (ended,) = await world.letters(ended=True, ids=(letter.letter_id,))
        assert (ended.status, ended.ended_by) == ("done", "success")

        stopped = await world.say(OTTO, "run_sync", do="stop")
        assert stopped is not None
        assert stopped.accepted
        before = world.writes()
        world.in_sales(ids[one], "rita", telephone1="+1 425 555 0000")
        assert not (await world.view()).running
        assert world.writes() == before
        assert {record.event for record in world.audit.records} == {"run_sync", "settle_letter"}


async def test_what_nobody_told_is_found(world_of: MakeWorld) -> None:
    rows, ids = customers(6)
    one, two, three, four, *_ = ids
    async with world_of(rows) as world:
        await world.start()
        assert await world.say(OTTO, "run_sync", do="stop")
        world.sandbox.clock.offset += timedelta(days=8)
        world.in_sales(ids[one], telephone1="+1 425 555 0111")
        world.sandbox.dataverse.delete("accounts", ids[two])
        assert world.finance is not None
        path = f"CustomersV3(dataAreaId='usmf',CustomerAccount='{three}')?cross-company=true"
        assert (await world.finance.ask("finance", path, "DELETE")).status_code == 204
        world.in_sales(ids[three], description="looked at")
        await world.in_finance(four, OrganizationName="Renamed by its party")

        await world.say(OTTO, "run_sync", do="start")
        view = await world.until(lambda view: view.figures.to_finance == 1 and len(view.letters) == 2)

        assert world.customer(one)["PrimaryContactPhone"] == "+1 425 555 0111"
        assert view.letters == {LetterCause.DELETED_IN_SALES: 1, LetterCause.DELETED_IN_FINANCE: 1}
        assert {letter.key: letter.cause for letter in await world.letters()} == {
            two: LetterCause.DELETED_IN_SALES,
            three: LetterCause.DELETED_IN_FINANCE,
        }
        assert world.writes() == (0, 1)
