"""Contacts, which Sales masters: made in Finance once, changed, deactivated, and told to a person where Finance lacks
the customer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from activities import sync_apply
from activities.sync_apply import Applying
from activities.sync_reading import Records
from activities.sync_signatures import OfSync
from domain.entities.merge import LetterCause
from domain.entities.new_rows import mark_of
from domain.entities.sync_records import Due, key_without
from dynamics.bulk import changes
from dynamics.core.errors import System
from dynamics.finance.client import Finance, FinanceSettings
from dynamics.sales.client import Dataverse, DataverseSettings
from dynamics.synced import SyncWriter
from sandbox.faults import Fault, FaultEffect
from tests.deadlines import PATIENCE
from tests.workflows.contacts import contact, id_of, people, person
from tests.workflows.sync_fixtures import MakeWorld, customers, world_of
from tests.workflows.sync_world import SyncWorld
from tests.workflows.test_sync_records import planning
from tests.workflows.trusting import OTTO
from workers import composition

__all__ = ["world_of"]


@pytest.fixture(autouse=True)
def again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_apply, "AGAIN", timedelta(seconds=0.2))
    monkeypatch.setattr(sync_apply, "UNKNOWN", timedelta(seconds=0.5))


async def test_a_contact_of_sales_is_made_in_finance_once(world_of: MakeWorld) -> None:
    rows, ids = customers(1)
    (one,) = ids
    lacking = rows.account("US-77")
    async with world_of(rows) as world:
        world.entity, world.sweep_seconds = "contact", 1
        party = world.customer(one)["PartyNumber"]
        known = {"dataAreaId": "usmf", "AssociatedPartyNumber": party, "FirstName": "Lee", "LastName": "Known"}
        world.sandbox.finance.create("ContactPersons", known | {"PrimaryPhoneNumber": "1"})
        world.sandbox.clock.offset -= timedelta(minutes=1)
        before = contact(world, ids[one], "Before")
        world.sandbox.clock.offset += timedelta(minutes=1)
        assert (await world.start()).letters == {}

        made = contact(world, ids[one], "Oh", emailaddress1="oh@example.com")
        linked = contact(world, ids[one], "Known")
        await world.until(lambda _: bool(id_of(world, made) and id_of(world, linked)))
        there = person(world, "Oh")
        assert (there["ContactPersonId"], there["AssociatedPartyNumber"]) == (id_of(world, made), party)
        assert (there["PrimaryEmailAddress"], there["SearchName"]) == ("oh@example.com", mark_of(made))
        await world.until(lambda _: person(world, "Known")["PrimaryPhoneNumber"] == "+1 206 555 0123")

        world.sandbox.dataverse.update("contacts", made, {"jobtitle": "Buyer"})
        await world.until(lambda _: person(world, "Oh").get("EmploymentProfession") == "Buyer")
        world.sandbox.finance.update("ContactPersons", ("usmf", id_of(world, made)), {"PrimaryPhoneNumber": "9"})
        await world.until(lambda _: person(world, "Oh")["PrimaryPhoneNumber"] == "+1 206 555 0123")
        world.sandbox.dataverse.update("contacts", linked, {"statecode": 1, "statuscode": 2})
        world.sandbox.dataverse.delete("contacts", made)
        await world.until(lambda _: {person(world, name)["IsInactive"] for name in ("Oh", "Known")} == {"Yes"})
        view = await world.rounds()
        assert (view.figures.created, view.letters, id_of(world, before)) == (1, {}, "")
        assert person(world, "Before") == {}, "what was there at the beginning is an initial run's"

        await an_answer_is_lost(world, ids[one])
        await finance_lacks_the_customer(world, lacking)
        await a_worker_is_killed(world, ids[one])


async def an_answer_is_lost(world: SyncWorld, account: str) -> None:
    lost = Fault("finance", FaultEffect(drop="after"), method="POST", path="ContactPersons", times=1)
    world.sandbox.desk.faults.replace([lost])
    made = contact(world, account, "Lost")
    await world.until(lambda _: bool(person(world, "Lost")))
    world.sandbox.dataverse.update("contacts", made, {"lastname": "Found"})
    await world.until(lambda _: person(world, "Found").get("ContactPersonId", "-") == id_of(world, made))
    assert people(world, LastName="Lost") == []


async def finance_lacks_the_customer(world: SyncWorld, account: str) -> None:
    waits = contact(world, account, "Early")
    await world.until(lambda view: view.letters == {LetterCause.NOT_TELLABLE: 1})
    (letter,) = await world.letters()
    assert "no records of CustomersV3 with the CustomerAccount 'US-77'" in letter.text
    body = {"CustomerAccount": "US-77", "OrganizationName": "Seven", "CustomerGroupId": "10"}
    world.sandbox.finance.create("CustomersV3", body | {"dataAreaId": "usmf", "SalesCurrencyCode": "USD"})
    await world.until(lambda view: not view.letters and bool(id_of(world, waits)))
    assert person(world, "Early")["ContactPersonId"] == id_of(world, waits)

    twin = contact(world, account, "Early")
    await world.until(lambda view: view.letters == {LetterCause.DUPLICATE: 1})
    assert (id_of(world, twin), len(people(world, LastName="Early"))) == ("", 1)


async def a_worker_is_killed(world: SyncWorld, account: str) -> None:
    """Between the record that it made in Finance and the key that it was to write to Sales."""
    assert (await world.say(OTTO, "run_sync", do="stop")).accepted
    made = contact(world, account, "Killed")
    of, where = world.settings, composition.endpoints(world.settings)
    async with (
        planning(world) as (plans, in_finance, in_sales),
        Dataverse(DataverseSettings(where[System.DATAVERSE], composition.credentials(of))) as dataverse,
        Finance(FinanceSettings(where[System.FINANCE], composition.credentials(of))) as finance,
    ):
        plan, _ = await plans.of(OfSync(entity="contact", company="usmf"))
        due = Due(key=key_without(made), source="person", seen_at="")
        (found,) = await in_sales.together(changes.rows_of_keys(plan, [due.key]))
        world.sandbox.desk.faults.replace([Fault("dataverse", FaultEffect(delay_ms=60_000))])
        applying = Applying(plan, in_finance, in_sales, SyncWriter(dataverse.odata, finance.odata))

        async def look() -> None:
            async for _ in applying.look([due], Records({}, {due.key: found.rows()})):
                raise AssertionError("it was to be killed")

        work = asyncio.create_task(look())
        async with asyncio.timeout(PATIENCE):
            while not person(world, "Killed"):
                await asyncio.sleep(0.05)
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
        world.sandbox.desk.faults.replace([])
    assert id_of(world, made) == ""
    assert (await world.say(OTTO, "run_sync", do="start")).accepted
    await world.until(lambda _: id_of(world, made) == person(world, "Killed")["ContactPersonId"])
