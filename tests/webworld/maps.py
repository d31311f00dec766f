"""Maps in a ledger, for the pages about them: the shipped ones, with records that were kept of customers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from temporalio import workflow

from domain.entities.identity import hash_of
from domain.entities.map_change import Base, Impact, KeptRecords, changes, plan_of
from domain.entities.map_change_said import MapWord
from domain.entities.map_run import MapChangeStart, MapChangeView
from domain.entities.model import DataMap, Frequency
from domain.people import Person
from ledger import map_changes, map_versions
from ledger.database import Database, open_database
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


async def put_in_force(database: Database, entity: str, number: int, said: MapWord) -> None:
    """Put an approved map in force, as a run does that tried it on no record."""
    assert await map_changes.begin(database, entity, number, said, RULES, ()) is None
    assert await map_changes.activate(database, said, RULES, "", said.at) is None


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

    @workflow.query(name="word")
    def word(self) -> MapWord:
        return self.start.word


async def scene(url: str) -> None:
    """A proposal with one approval, one that has no plan yet, and a map that was changed."""
    database = await open_database(url)
    await fill(database)
    await map_versions.propose(database, without("phone", email="FINANCE"), word(REX, "p1"))
    seen = await plan(database, 1)
    await map_versions.approve(database, "customer", 1, word(CLEO, "a1", "cfo", seen=seen), RULES)
    await map_versions.propose(database, without("website"), word(REX, "p2"))
    currency = next(each for each in FILES if each.entity == "currency")
    await map_versions.keep_records(
        database, records().model_copy(update={"entity": "currency", "map_hash": hash_of(currency)})
    )
    await map_versions.propose(
        database, currency.model_copy(update={"frequency": Frequency.NEAR_REAL_TIME}), word(REX, "p3")
    )
    seen = await plan(database, 1, "currency")
    for person, role in ((CLEO, "cfo"), (ADA, "admin")):
        said = word(person, f"{person.oid}-c", role, seen=seen)
        assert await map_versions.approve(database, "currency", 1, said, RULES) is None
    await put_in_force(database, "currency", 1, word(ADA, "on", seen=seen))
    await database.close()
