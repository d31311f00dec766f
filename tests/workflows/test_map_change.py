"""A map that two others approved: tried, in force for all, taken back; and stopped where a record is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sqlalchemy import select
from temporalio.testing import WorkflowEnvironment

from activities.map_impact import RECORDS, plan_over
from domain.entities.identity import hash_of
from domain.entities.map_change import Base, KeptRecords
from domain.entities.map_change_said import MapWord, ProposalStatus
from domain.entities.map_run import ChangeStatus, LookStatus, MapChangeShown, MapChangeStart, MapChangeView
from domain.entities.model import DataMap
from domain.messages import SignedMessage
from domain.people import Person
from domain.refusals import Refusal
from ledger import map_changes, map_looks
from ledger import map_versions as maps
from ledger.database import Database, open_database
from ledger.map_tables import BEFORE_IMAGES
from ledger.pages import sha256_of
from policies import activation_files, map_files
from policies.loading import load
from policies.map_files import load_maps
from runs import names
from runs.map_changes import MapChangeRuns
from sandbox.dataverse.dualwrite import Map, set_maps
from tests.deadlines import PATIENCE
from tests.workflows.compare_world import Rows
from tests.workflows.conftest import queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.sync_world import SyncWorld, sync_world
from tests.workflows.trusting import OTTO

MakeWorld = Callable[..., AbstractAsyncContextManager[SyncWorld]]
CUSTOMER = next(data for data in load_maps().all if data.entity == "customer")
RULES = load().rights.map_changes
REX, CLEO, ADA = (Person(oid=name, name=name.title()) for name in ("rex", "cleo", "ada"))
HERE, THERE = "+1 206 555 0100", "+1 425 555 0199"


@pytest.fixture
async def world_of(
    environment: WorkflowEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeWorld]:
    """Makes a world of rows, in which a map is tried on four records."""
    queues_of_its_own(monkeypatch)

    def make(rows: Rows) -> AbstractAsyncContextManager[SyncWorld]:
        limits = tmp_path / "policies" / activation_files.NAME
        limits.parent.mkdir(parents=True)
        shipped = yaml.safe_load((map_files.PACKAGED.parent / activation_files.NAME).read_text(encoding="utf-8"))
        limits.write_text(yaml.safe_dump(shipped | {"canary": 4}), encoding="utf-8")
        return sync_world(environment, tmp_path, rows, monkeypatch, policies=tmp_path / "policies")

    yield make
    await replays(environment.client, (names.SYNC, names.MAP_CHANGE))


class Changing:
    """Maps of a world, as people change them."""

    def __init__(self, world: SyncWorld, database: Database) -> None:
        self.world = world
        self.database = database
        self.data_dir = world.settings.data.dir
        self.view: MapChangeView | None = None

    async def approved(self, data: DataMap, number: int) -> MapWord:
        """Propose a map, make its plan and have two others approve it; the word that activates it."""
        assert await maps.propose(self.database, data, word(REX, f"p{number}")) == number
        base = Base.of((await maps.in_force(self.database)).values(), "customer")
        records = await maps.records_of(self.database, "customer")
        plan = plan_over(number, data, base, records, self.data_dir, datetime.now(UTC))
        assert not plan.conflicts
        assert await maps.keep_plan(self.database, plan) is None
        for person, role in ((CLEO, "cfo"), (ADA, "admin")):
            said = word(person, f"{number}-{person.oid}", role, seen=plan.hash)
            assert await maps.approve(self.database, "customer", number, said, RULES) is None
        return word(OTTO, f"go-{number}", "ops", seen=plan.hash)

    async def keep_records(self, rows: Rows, run: str = "r1") -> None:
        """Keep the records of both systems, as a comparison does."""
        of = {account: row for row in rows.sales.values() if (account := row["accountnumber"])}
        sides = {"finance": {key[1]: row for key, row in rows.finance.items()}, "sales": of}
        about: dict[str, Any] = {"map_hash": hash_of(CUSTOMER), "entity": "customer", "company": "usmf", "run_id": run}
        for side, found in sides.items():
            file = self.data_dir / RECORDS / f"customer_{side}" / "usmf.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            made = [
                {"company": "usmf", "key": key}
                | {name: str(row.get(getattr(field, side)) or "") for name, field in CUSTOMER.fields.items()}
                for key, row in found.items()
            ]
            pq.write_table(pa.Table.from_pylist(made), file)
            about |= {f"{side}_sha256": sha256_of(file), f"{side}_records": len(made)}
        await maps.keep_records(self.database, KeptRecords.model_validate(about | {"kept_at": datetime.now(UTC)}))

    async def run(self, said: MapWord, number: int, *companies: str, **other: str) -> MapChangeShown:
        """Activate an approved map, to the end of the run."""
        args = {"entity": "customer", "proposal": number, "seen": said.seen, "why": said.why} | other
        token = f"{said.person.oid}|map_activate|" + ";".join(f"{name}={value}" for name, value in args.items())
        message = SignedMessage(message_id=said.message_id, token=token)
        start = MapChangeStart(entity="customer", number=number, word=said, message=message, syncing=companies)
        runs = MapChangeRuns(self.world.client)
        await runs.begin(start)
        run = names.map_change_id("customer", number)
        handle = self.world.client.get_workflow_handle(run, result_type=MapChangeView)
        self.view = await asyncio.wait_for(handle.result(), PATIENCE)
        return await self.shown(number)

    async def shown(self, number: int) -> MapChangeShown:
        found = await map_changes.newest_of(self.database, "customer", number)
        assert found is not None, self.view
        return found

    async def until(self, number: int, is_so: Callable[[MapChangeShown], bool]) -> MapChangeShown:
        """Wait until the change of a proposal stands so."""
        deadline = time.monotonic() + PATIENCE
        while not is_so(found := await self.shown(number)):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.1)
        return found

    async def in_force(self) -> str:
        return hash_of((await maps.in_force(self.database))["customer"])


def word(person: Person, message: str, *roles: str, seen: str = "") -> MapWord:
    about: dict[str, Any] = {"message_id": message, "person": person, "at": datetime.now(UTC), "why": "so be it"}
    return MapWord(**about, seen=seen, roles=roles, companies=("usmf",), policy_version="p1", proof="signed")


def changed(**fields: dict[str, Any]) -> DataMap:
    """The map of customers with other attributes of fields, or further fields."""
    content = CUSTOMER.model_dump(mode="json")
    for name, values in fields.items():
        content["fields"][name] = content["fields"].get(name, {}) | values
    return DataMap.model_validate(content)


async def world_with_records(world: SyncWorld, rows: Rows) -> Changing:
    """A world whose ledger knows the maps and the records."""
    world.database = await open_database(world.settings.ledger.url.get_secret_value())
    await maps.note_files(world.database, load_maps().all, datetime.now(UTC))
    changing = Changing(world, world.database)
    await changing.keep_records(rows)
    return changing


async def test_tried_on_some_then_in_force_for_all_and_taken_back_where_nobody_edited_since(
    world_of: MakeWorld,
) -> None:
    rows = Rows()
    accounts = [rows.pair(n, telephone1=THERE, there={"PrimaryContactPhone": HERE}) for n in range(8)]
    accounts.append(rows.pair(8, telephone1=HERE, there={"PrimaryContactPhone": HERE}))
    ids = dict(zip(accounts, rows.sales, strict=True))
    proposed = changed(phone={"owner": "FINANCE"})
    async with world_of(rows) as world:
        await world.start()
        changing = await world_with_records(world, rows)
        said = await changing.approved(proposed, 1)

        forged = said.model_copy(update={"message_id": "forged", "person": CLEO})
        assert await map_changes.would_begin(changing.database, "customer", 1, forged, RULES) is None
        with pytest.raises(AssertionError, match="NO_AUTHORITY|UNAUTHENTICATED"):
            await changing.run(forged, 1, "usmf")
        await changing.run(said, 1, "usmf")
        done = await changing.until(1, lambda found: not found.figures.applied.get(LookStatus.WAITING))
        assert done.status is ChangeStatus.IN_FORCE
        assert done.figures.tried == {LookStatus.WRITTEN: 4}, "of the eight that it hits"
        assert done.figures.applied == {LookStatus.WRITTEN: 4}
        assert await changing.in_force() == hash_of(proposed)
        assert {world.account(ids[account])["telephone1"] for account in accounts} == {HERE}
        assert world.writes() == (8, 0)
        async with changing.database.reading() as connection:
            kept = (await connection.execute(select(BEFORE_IMAGES))).all()
        assert {(row.side, row.field, row.before, row.after, row.pii) for row in kept} == {
            ("sales", "phone", THERE, HERE, True)
        }
        assert {row.map_hash for row in kept} == {hash_of(proposed)} and len(kept) == 8
        assert all(row.sales_version and row.finance_version for row in kept)

        assert (await world.say(OTTO, "run_sync", do="stop")).accepted
        world.in_sales(ids[accounts[0]], telephone1="+1 999 555 0000")
        plan = (await maps.history(changing.database, "customer")).plan_in_force
        back = word(OTTO, "back", "ops", seen=hash_of(proposed)).model_copy(update={"plan": plan})
        assert await maps.roll_back(changing.database, "customer", back) is None
        assert (await changing.shown(1)).figures.taken_back == {LookStatus.WAITING: 8}, "the sync alone writes"
        assert (await world.say(OTTO, "run_sync", do="start")).accepted
        done = await changing.until(1, lambda found: LookStatus.WAITING not in found.figures.taken_back)
        assert done.status is ChangeStatus.ROLLED_BACK and await changing.in_force() == hash_of(CUSTOMER)
        assert done.figures.taken_back == {LookStatus.RESTORED: 7, LookStatus.EDITED: 1}
        assert [(each.key, each.text) for each in done.edited] == [(accounts[0], "phone in Sales")]
        async with changing.database.reading() as connection:
            kept = (await connection.execute(select(BEFORE_IMAGES))).all()
        assert {(row.before, row.after) for row in kept} == {("", "")}, "no value is kept longer than it is needed"
        await world.until(lambda view: view.figures.to_finance == 1 and not view.waiting)
        await world.rounds(2)
        shown = [world.account(ids[account])["telephone1"] for account in accounts]
        assert shown == ["+1 999 555 0000", *[THERE] * 7, HERE]
        assert world.customer(accounts[0])["PrimaryContactPhone"] == "+1 999 555 0000", "Sales owns the field again"
        assert world.writes() == (8 + 7, 1)


TERMS = {"finance": "DeliveryTerms", "sales": "description", "owner": "SALES", "normal": "trim"}


async def test_it_stops_at_the_first_record_that_is_refused_and_a_stale_plan_is_tried_on_none(
    world_of: MakeWorld,
) -> None:
    rows = Rows()
    accounts = [rows.pair(n, telephone1=THERE, there={"PrimaryContactPhone": HERE}) for n in range(3)]
    async with world_of(rows) as world:
        for row, terms in zip(rows.sales, ("OK1", "BAD7", "BAD7"), strict=True):
            world.in_sales(row, description=terms)
        await world.start()
        assert world.finance is not None
        listed = {"dataAreaId": "usmf", "TermsCode": "OK1", "TermsDescription": "taken"}
        assert (await world.finance.ask("finance", "DeliveryTerms", "POST", json=listed)).status_code == 201
        changing = await world_with_records(world, rows)
        said = await changing.approved(changed(delivery_terms=TERMS), 1)
        await changing.keep_records(rows, "r2")
        assert await map_changes.would_begin(changing.database, "customer", 1, said, RULES) is Refusal.MAP_PLAN_STALE

        said = await changing.approved(changed(delivery_terms=TERMS), 2)
        stopped = await changing.run(said, 2, "usmf")
        assert changing.view is not None, stopped
        assert changing.view.code == Refusal.MAP_TRY_FAILED
        assert stopped.status is ChangeStatus.STOPPED and "delivery_terms" in stopped.text
        assert await changing.in_force() == hash_of(CUSTOMER)
        tried = stopped.figures.tried
        assert tried == {LookStatus.WRITTEN: 1, LookStatus.REFUSED: 1, LookStatus.DROPPED: 1}
        assert [each.key for each in stopped.failed] == [accounts[1]]
        done = await changing.until(2, lambda found: LookStatus.WAITING not in found.figures.taken_back)
        assert done.figures.taken_back == {LookStatus.RESTORED: 2}, "one of them was never written"
        assert not any(world.customer(account).get("DeliveryTerms") for account in accounts)
        assert world.writes() == (0, 3), "one that was taken, one that was refused, one that restores"
        assert (await maps.history(changing.database, "customer")).proposals[0].status is ProposalStatus.STOPPED

        phone = changed(phone={"owner": "FINANCE"})
        set_maps(world.sandbox.dataverse, [Map("account", "Customers V3")])
        for do in ("stop", "start"):
            assert (await world.say(OTTO, "run_sync", do=do)).accepted
        said = await changing.approved(phone, 3)
        rests = await changing.run(said, 3, "usmf")
        assert rests.status is ChangeStatus.STOPPED and "Dual-Write" in rests.text
        set_maps(world.sandbox.dataverse, [])

        said = await changing.approved(phone, 4)
        read = await changing.run(said, 4)
        assert read.status is ChangeStatus.IN_FORCE and read.figures.read_only == ("usmf",)
        assert world.writes() == (0, 3), "nothing is written where no sync runs"
        assert await map_looks.expire_older(changing.database, datetime.now(UTC) + timedelta(days=1)) == 0
