"""Maps in a ledger, for the pages about them: the shipped ones, with records that were kept of customers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from temporalio import workflow

from domain.entities.identity import hash_of
from domain.entities.map_change import Base, Impact, KeptRecords, changes, plan_of
from domain.entities.map_change_rules import ChangeClass
from domain.entities.map_change_said import MapWord
from domain.entities.map_run import (
    BeforeImage,
    Candidate,
    ImageStatus,
    Look,
    Looked,
    LookStatus,
    LookStep,
    MapChangeStart,
    MapChangeView,
)
from domain.entities.model import DataMap, Frequency
from domain.people import Person
from ledger import map_changes, map_looks, map_versions
from ledger.database import Database, open_database
from ledger.map_rows import put_in_force
from policies.loading import load
from policies.map_files import load_maps
from runs import names

NOW = datetime.now(UTC)
RULES = load().rights.map_changes
FILES = load_maps().all
CUSTOMER = next(data for data in FILES if data.entity == "customer")


def without(*fields: str, **owners: str) -> DataMap:
    """The map of customers without fields, and with other owners."""
    content = CUSTOMER.model_dump(mode="json")
    content["fields"] = {name: field for name, field in content["fields"].items() if name not in fields}
    for name, owner in owners.items():
        content["fields"][name]["owner"] = owner
    return DataMap.model_validate(content)


def records(run: str = "run-1") -> KeptRecords:
    """What a comparison of USMF kept."""
    return KeptRecords(
        entity="customer",
        company="usmf",
        run_id=run,
        map_hash=hash_of(CUSTOMER),
        finance_sha256=f"f{run}",
        sales_sha256=f"s{run}",
        finance_records=10_000,
        sales_records=9_000,
        kept_at=NOW,
    )


async def fill(database: Database) -> None:
    """What the first worker and a comparison keep."""
    await map_versions.note_files(database, FILES, NOW)
    await map_versions.keep_records(database, records())


async def plan(database: Database, number: int, entity: str = "customer") -> str:
    """Make the plan of a proposal, as `q2c map plan` does; its hash."""
    kept = await map_versions.history(database, entity)
    (data,) = (each.data for each in kept.proposals if each.number == number)
    base = Base.of((await map_versions.in_force(database)).values(), entity)
    impacts = [Impact(change=each, records=1_234, exact=True) for each in changes(base.data, data)]
    made = plan_of(number, base, data, kept.records, impacts, datetime.now(UTC))
    assert await map_versions.keep_plan(database, made) is None
    return made.hash


REX, CLEO, ADA = Person(oid="rex", name="Rex Ross"), Person(oid="cleo", name="Cleo Cruz"), Person(oid="ada", name="Ada")


def word(person: Person, message: str, *roles: str, seen: str = "") -> MapWord:
    """What a person says of a map."""
    why = "The branches keep their own phones, and nobody reads these."
    about: dict[str, Any] = {"message_id": message, "person": person, "at": datetime.now(UTC), "why": why}
    return MapWord(**about, seen=seen, roles=roles, companies=("demf", "usmf"))


@workflow.defn(name=names.MAP_CHANGE)
class StandInChange:
    """Takes up what was activated, and tries it on no record."""

    @workflow.init
    def __init__(self, start: MapChangeStart) -> None:
        self.start = start

    @workflow.run
    async def run(self, start: MapChangeStart) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.query(name=names.STATE)
    def state(self) -> MapChangeView:
        return MapChangeView(entity=self.start.entity, number=self.start.number, step="canary")

    @workflow.query(name="start")
    def begun(self) -> MapChangeStart:
        return self.start


async def scene(url: str) -> None:
    """A proposal with one approval, one that has no plan yet, a map that may go back, and one that did."""
    database = await open_database(url)
    await fill(database)
    await map_versions.propose(database, without("phone", email="FINANCE"), word(REX, "p1"))
    seen = await plan(database, 1)
    await map_versions.approve(database, "customer", 1, word(CLEO, "a1", "cfo", seen=seen), RULES)
    await map_versions.propose(database, without("website"), word(REX, "p2"))
    await rolled_back(database)
    unit = next(each for each in FILES if each.entity == "unit")
    async with database.writing() as connection:
        await put_in_force(
            connection, unit.model_copy(update={"frequency": Frequency.FIVE_MINUTES}), word(ADA, "u1"), "change", ""
        )
    await database.close()


async def rolled_back(database: Database) -> None:
    """A map of products that was in force and went back: most is restored, something was edited since."""
    product = next(each for each in FILES if each.entity == "product")
    kept = records().model_copy(update={"entity": "product", "map_hash": hash_of(product)})
    await map_versions.keep_records(database, kept)
    proposed = product.model_copy(update={"frequency": Frequency.HOURLY})
    await map_versions.propose(database, proposed, word(REX, "p3"))
    seen = await plan(database, 1, "product")
    for person, role in ((CLEO, "cfo"), (ADA, "admin")):
        said = word(person, f"{person.oid}-c", role, seen=seen)
        assert await map_versions.approve(database, "product", 1, said, RULES) is None
    going = word(ADA, "on", seen=seen)
    assert await map_changes.begin(database, "product", 1, going, RULES, ("name",)) is None
    for step, company, number in ((LookStep.CANARY, "usmf", 6), (LookStep.READ, "demf", 2)):
        hit = [Candidate(company, f"P{n:05}", ChangeClass.DIRECTION) for n in range(number)]
        await map_looks.queue(database, "on", "product", step, hit, NOW)
        for each in hit:
            look = Look(change_id="on", company=company, key=each.key, step=step)
            image = BeforeImage(
                side="sales", field="name", before="Rail", after="Rail, 2 m", status=ImageStatus.WRITTEN
            )
            if step is LookStep.CANARY:
                assert await map_looks.plan_images(database, look, (), [image], hash_of(proposed), NOW)
            status = LookStatus.WRITTEN if step is LookStep.CANARY else LookStatus.READ
            await map_looks.finish(database, look, Looked(status=status), (), NOW)
    assert await map_changes.activate(database, going, RULES, "", going.at) is None
    back = word(ADA, "back", seen=hash_of(proposed)).model_copy(update={"plan": seen})
    assert await map_versions.roll_back(database, "product", back) is None
    edited = Looked(status=LookStatus.EDITED, text="name in Sales")
    refused = Looked(status=LookStatus.REFUSED, text="name: Sales took the write and shows another value")
    for n, looked in enumerate((Looked(status=LookStatus.RESTORED), edited, edited, refused)):
        look = Look(change_id="on", company="usmf", key=f"P{n:05}", step=LookStep.RESTORE)
        await map_looks.finish(database, look, looked, (), NOW)
