"""Maps in the ledger, on both databases: in force, proposed, approved by two others, activated, and gone back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from domain.entities.identity import hash_of
from domain.entities.map_change import Base, Impact, KeptRecords, changes, plan_of
from domain.entities.map_change_said import MapWord, ProposalStatus
from domain.entities.model import DataMap
from domain.people import Person
from domain.refusals import Refusal
from ledger import map_changes
from ledger import map_versions as maps
from ledger.audit import AuditStore
from ledger.database import Database
from ledger.map_records import KeptMap
from ledger.map_tables import MAP_APPROVALS, MAP_PROPOSALS, MAP_VERSIONS
from ledger.reads import AuditReader
from policies.loading import load
from policies.map_files import load_maps

MONDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
FILES = load_maps().all
CUSTOMER = next(data for data in FILES if data.entity == "customer")
RULES = load().rights.map_changes
REX, AMY, OLE, INES = (Person(oid=name, name=name.title()) for name in ("rex", "amy", "ole", "ines"))


def without(*fields: str) -> DataMap:
    left = {name: field for name, field in CUSTOMER.fields.items() if name not in fields}
    return CUSTOMER.model_copy(update={"fields": left})


def word(person: Person, message: str, *roles: str, seen: str = "", why: str = "so be it") -> MapWord:
    return MapWord(
        message_id=message,
        person=person,
        at=MONDAY + timedelta(minutes=len(message)),
        why=why,
        seen=seen,
        roles=roles,
        companies=("demf", "usmf"),
        policy_version="p1",
        proof=f"signed by {person.name}",
    )


def records(run: str) -> KeptRecords:
    about: dict[str, Any] = {"finance_sha256": "f", "sales_sha256": "s", "finance_records": 10, "sales_records": 9}
    return KeptRecords(
        entity="customer", company="usmf", run_id=run, map_hash=hash_of(CUSTOMER), kept_at=MONDAY, **about
    )


async def planned(database: Database, number: int) -> str:
    """Make the plan of a proposal; its hash."""
    found = await maps.shown(database, "customer", number, RULES)
    assert found is not None
    data = found.proposal.data
    base = Base.of((await maps.in_force(database)).values(), "customer")
    impacts = [Impact(change=each, records=3, exact=True) for each in changes(base.data, data)]
    plan = plan_of(number, base, data, await maps.records_of(database, "customer"), impacts, MONDAY)
    assert await maps.keep_plan(database, plan) is None
    return plan.hash


async def approved(database: Database, number: int, plan: str) -> None:
    for person, role in ((AMY, "cfo"), (OLE, "ops")):
        said = word(person, f"{number}-{person.oid}", role, seen=plan)
        assert await maps.approve(database, "customer", number, said, RULES) is None


async def activated(database: Database, number: int, said: MapWord) -> Refusal | None:
    """Activate a proposal that is tried on no record."""
    refused = await map_changes.begin(database, "customer", number, said, RULES, ())
    return refused or await map_changes.activate(database, said, RULES, "", said.at)


async def of_customers(database: Database) -> KeptMap:
    return next(row for row in await maps.overview(database) if row.entity == "customer")


async def hash_in_force(database: Database) -> str:
    return hash_of((await maps.in_force(database))["customer"])


@pytest.fixture
async def filled(database: Database) -> Database:
    """A ledger that knows the files, and records of customers."""
    assert await maps.note_files(database, FILES, MONDAY) == len(FILES)
    await maps.keep_records(database, records("r1"))
    return database


async def test_files_are_noted_once_and_a_changed_file_counts_for_nothing(filled: Database) -> None:
    assert {name: hash_of(data) for name, data in (await maps.in_force(filled)).items()} == {
        data.entity: hash_of(data) for data in FILES
    }
    assert await maps.note_files(filled, [without("phone")], MONDAY) == 0
    assert await hash_in_force(filled) == hash_of(CUSTOMER)
    rows = await maps.overview(filled)
    assert {(row.version, row.open) for row in rows} == {(0, 0)} and len(rows) == len(FILES)


async def test_two_others_approve_then_it_is_in_force_and_goes_back_to_the_hash_it_had(
    filled: Database, reader: AuditReader
) -> None:
    proposed = without("phone")
    assert await maps.propose(filled, CUSTOMER, word(REX, "same")) is Refusal.MAP_SAME
    for _ in range(2):
        assert await maps.propose(filled, proposed, word(REX, "new", why="no more phones")) == 1
    assert await maps.approve(filled, "customer", 1, word(AMY, "a", "cfo"), RULES) is Refusal.MAP_PLAN_STALE
    plan = await planned(filled, 1)

    own = word(REX, "own", "ops", seen=plan)
    assert await maps.approve(filled, "customer", 1, own, RULES) is Refusal.REQUESTER_CANNOT_APPROVE
    for _ in range(2):
        assert await maps.approve(filled, "customer", 1, word(AMY, "amy", "cfo", seen=plan), RULES) is None
    again = word(AMY, "amy-2", "cfo", seen=plan)
    assert await maps.approve(filled, "customer", 1, again, RULES) is Refusal.NEEDS_SECOND_PERSON
    activating = word(OLE, "activate", seen=plan)
    assert await activated(filled, 1, activating) is Refusal.MAP_NOT_APPROVED
    assert await maps.approve(filled, "customer", 1, word(OLE, "ole", "ops", seen=plan), RULES) is None
    for _ in range(2):
        assert await activated(filled, 1, activating) is None
    assert await hash_in_force(filled) == hash_of(proposed)
    assert (await of_customers(filled)).version == 1

    back = word(OLE, "back", seen=hash_of(CUSTOMER))
    assert await maps.roll_back(filled, "customer", back) is Refusal.CHANGED_MEANWHILE
    no_plan = word(OLE, "back-1", seen=hash_of(proposed))
    assert await maps.roll_back(filled, "customer", no_plan) is Refusal.CHANGED_MEANWHILE, "leave is for one plan"
    back = word(OLE, "back-2", seen=hash_of(proposed)).model_copy(update={"plan": plan})
    for _ in range(2):
        assert await maps.roll_back(filled, "customer", back) is None
    assert await hash_in_force(filled) == hash_of(CUSTOMER)
    on = word(OLE, "on-again", seen=hash_of(CUSTOMER))
    assert await maps.roll_back(filled, "customer", on) is Refusal.NO_FORMER_MAP, "it would not have been tried"
    kept = await maps.history(filled, "customer")
    assert [(each.version, each.kind, each.proposal) for each in kept.versions] == [
        (2, "rollback", 0),
        (1, "change", 1),
        (0, "file", 0),
    ]
    assert kept.proposals[0].status is ProposalStatus.ACTIVATED and kept.proposals[0].ended == OLE
    for company in ("demf", "usmf"):
        rows = await reader.newest(company, limit=9)
        assert [row.event for row in rows] == [
            "MapRolledBack", "MapActivated", "MapTried", "MapApproved", "MapApproved", "MapProposed"
        ]  # fmt: skip
        assert rows[1].before == hash_of(CUSTOMER) and rows[1].after == hash_of(proposed)


async def test_a_plan_over_other_records_or_another_base_is_stale_and_one_made_again_needs_new_approvals(
    filled: Database,
) -> None:
    assert await maps.propose(filled, without("phone"), word(REX, "one")) == 1
    assert await maps.propose(filled, without("email"), word(REX, "two")) == 2
    plan, other = await planned(filled, 1), await planned(filled, 2)
    await approved(filled, 1, plan)
    await maps.keep_records(filled, records("r2"))
    go = word(OLE, "go", seen=plan)
    assert await activated(filled, 1, go) is Refusal.MAP_PLAN_STALE, "other records"

    fresh = await planned(filled, 1)
    assert fresh != plan
    assert await activated(filled, 1, go) is Refusal.CHANGED_MEANWHILE
    go = word(OLE, "go", seen=fresh)
    assert await activated(filled, 1, go) is Refusal.MAP_NOT_APPROVED
    for person, role in ((AMY, "cfo"), (OLE, "ops")):
        said = word(person, f"{person.oid}-again", role, seen=fresh)
        assert await maps.approve(filled, "customer", 1, said, RULES) is None
    assert await activated(filled, 1, go) is None
    late = word(AMY, "late", "cfo", seen=other)
    assert await maps.approve(filled, "customer", 2, late, RULES) is Refusal.MAP_PLAN_STALE, "the base has moved"


async def test_a_plan_or_map_that_was_edited_in_the_database_does_not_come_into_force(filled: Database) -> None:
    assert await maps.propose(filled, without("phone"), word(REX, "one")) == 1
    plan = await planned(filled, 1)
    await approved(filled, 1, plan)
    row = MAP_PROPOSALS.c
    async with filled.writing() as connection:
        content = json.loads((await connection.execute(select(row.plan))).scalar_one())
        content["impacts"][0]["records"] = 0
        await connection.execute(update(MAP_PROPOSALS).values(plan=json.dumps(content)))
    for seen, code in ((plan, Refusal.CHANGED_MEANWHILE), ("edited", Refusal.CHANGED_MEANWHILE)):
        assert await activated(filled, 1, word(OLE, "go", seen=seen)) is code
    found = await maps.shown(filled, "customer", 1, RULES)
    assert found is not None and found.proposal.plan is not None and found.proposal.counting == ()
    edited = word(OLE, "go", seen=found.proposal.plan.hash)
    assert await activated(filled, 1, edited) is Refusal.MAP_NOT_APPROVED

    plan = await planned(filled, 1)
    async with filled.writing() as connection:
        await connection.execute(update(MAP_PROPOSALS).values(content=without("email").model_dump_json()))
    other = word(OLE, "go", seen=plan)
    assert await activated(filled, 1, other) is Refusal.MAP_PLAN_STALE
    assert await hash_in_force(filled) == hash_of(CUSTOMER)


async def test_a_proposal_is_refused_or_withdrawn_with_a_reason_and_there_are_not_too_many(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maps, "MOST_OPEN", 3)
    for number in range(1, 4):
        assert await maps.propose(filled, without("phone"), word(REX, f"p{number}")) == number
    assert await maps.propose(filled, without("phone"), word(REX, "p4")) is Refusal.TOO_MANY_PROPOSALS
    empty = word(AMY, "no", why=" ")
    assert await maps.end(filled, "customer", 1, empty, ProposalStatus.REFUSED) is Refusal.BAD_ARGUMENT
    for _ in range(2):
        assert await maps.end(filled, "customer", 1, word(AMY, "no-2"), ProposalStatus.REFUSED) is None
    other = word(AMY, "other")
    assert await maps.end(filled, "customer", 2, other, ProposalStatus.WITHDRAWN) is Refusal.NOT_PROPOSER
    assert await maps.end(filled, "customer", 2, word(REX, "mine"), ProposalStatus.WITHDRAWN) is None
    late = word(REX, "late")
    assert await maps.end(filled, "customer", 1, late, ProposalStatus.WITHDRAWN) is Refusal.NOT_OPEN_ANY_MORE
    assert await maps.end(filled, "customer", 99, late, ProposalStatus.WITHDRAWN) is Refusal.NOT_FOUND
    assert await maps.roll_back(filled, "customer", word(OLE, "back")) is Refusal.NO_FORMER_MAP
    assert (await of_customers(filled)).open == 1


async def test_who_decided_is_forgotten_and_what_they_decided_stays(filled: Database, store: AuditStore) -> None:
    assert await maps.propose(filled, without("phone"), word(REX, "one")) == 1
    plan = await planned(filled, 1)
    await approved(filled, 1, plan)
    assert await activated(filled, 1, word(OLE, "go", seen=plan)) is None
    for person in (REX, AMY, OLE):
        await store.erase(person.oid)
    async with filled.reading() as connection:
        for table in (MAP_VERSIONS, MAP_PROPOSALS, MAP_APPROVALS):
            for row in await connection.execute(select(table)):
                assert not any(name in str(dict(row._mapping)) for name in ("Rex", "Amy", "Ole"))
    assert await hash_in_force(filled) == hash_of(without("phone"))
