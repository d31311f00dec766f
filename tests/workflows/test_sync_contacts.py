"""Contacts, which Sales masters: made in Finance once, changed, deactivated, and told to a person where Finance lacks
the customer.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activities import sync_apply
from domain.entities.merge import LetterCause
from domain.entities.new_rows import mark_of
from sandbox.faults import Fault, FaultEffect
from tests.workflows.sync_fixtures import MakeWorld, customers, world_of
from tests.workflows.sync_world import SyncWorld

__all__ = ["world_of"]


@pytest.fixture(autouse=True)
def again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_apply, "AGAIN", timedelta(seconds=0.2))
    monkeypatch.setattr(sync_apply, "UNKNOWN", timedelta(seconds=0.5))


def contact(world: SyncWorld, account: str, last: str, **values: object) -> str:
    """Somebody enters a contact of an account in Sales."""
    owner = world.sandbox.dataverse.rows("team", isdefault=True, name="USMF")[0]["teamid"]
    body = {
        "firstname": "Lee",
        "lastname": last,
        "telephone1": "+1 206 555 0123",
        "parentcustomerid_account@odata.bind": f"/accounts({account})",
        "ownerid@odata.bind": f"/teams({owner})",
    }
    return str(world.sandbox.dataverse.create("contacts", body | values)["contactid"])


def people(world: SyncWorld, **wanted: object) -> list[dict[str, Any]]:
    """Contact persons of Finance."""
    return [dict(row) for row in world.sandbox.finance.query("ContactPersons", dataAreaId="usmf", **wanted)]


def person(world: SyncWorld, last: str) -> dict[str, Any]:
    """The only contact person of a last name; none: it is not there."""
    found = people(world, LastName=last)
    assert len(found) <= 1, "made twice"
    return found[0] if found else {}


def key_of(world: SyncWorld, contact_id: str) -> str:
    return str((world.sandbox.dataverse.get("contacts", contact_id) or {}).get("q2c_contactpersonid") or "")


async def test_a_contact_of_sales_is_made_in_finance_once(world_of: MakeWorld) -> None:
    rows, ids = customers(3)
    one, two, three = ids
    async with world_of(rows, application_role="System Administrator") as world:
        world.entity, world.sweep_seconds = "contact", 1
        party = world.customer(one)["PartyNumber"]
        known = {"dataAreaId": "usmf", "AssociatedPartyNumber": party, "FirstName": "Lee", "LastName": "Known"}
        world.sandbox.finance.create("ContactPersons", known | {"PrimaryPhoneNumber": "1"})
        before = contact(world, ids[one], "Before")
        assert (await world.start()).letters == {}

        made = contact(world, ids[one], "Oh", emailaddress1="oh@example.com")
        linked = contact(world, ids[one], "Known")
        await world.until(lambda _: bool(key_of(world, made) and key_of(world, linked)))
        there = person(world, "Oh")
        assert (there["ContactPersonId"], there["AssociatedPartyNumber"]) == (key_of(world, made), party)
        assert (there["PrimaryEmailAddress"], there["SearchName"]) == ("oh@example.com", mark_of(made))
        await world.until(lambda _: person(world, "Known")["PrimaryPhoneNumber"] == "+1 206 555 0123")

        world.sandbox.dataverse.update("contacts", made, {"jobtitle": "Buyer"})
        await world.until(lambda _: person(world, "Oh").get("EmploymentProfession") == "Buyer")
        world.sandbox.finance.update("ContactPersons", ("usmf", key_of(world, made)), {"PrimaryPhoneNumber": "9"})
        await world.until(lambda view: person(world, "Oh")["PrimaryPhoneNumber"] == "+1 206 555 0123")
        world.sandbox.dataverse.update("contacts", linked, {"statecode": 1, "statuscode": 2})
        world.sandbox.dataverse.delete("contacts", made)
        await world.until(lambda _: {person(world, name)["IsInactive"] for name in ("Oh", "Known")} == {"Yes"})
        view = await world.rounds()
        assert (view.figures.created, view.letters, key_of(world, before)) == (1, {}, "")
        assert person(world, "Before") == {}, "what was there at the beginning is an initial run's"


async def test_an_answer_that_is_lost_and_a_customer_that_finance_lacks(world_of: MakeWorld) -> None:
    rows, ids = customers(1)
    (one,) = ids
    lacking = rows.account("US-77")
    async with world_of(rows, application_role="System Administrator") as world:
        world.entity = "contact"
        await world.start()
        lost = Fault("finance", FaultEffect(drop="after"), method="POST", path="ContactPersons", times=1)
        unwritten = Fault("dataverse", FaultEffect(drop="before"), method="POST", path="batch", times=0 or 1)
        world.sandbox.desk.faults.replace([lost])
        made = contact(world, ids[one], "Oh")
        await world.until(lambda _: bool(person(world, "Oh")))
        world.sandbox.dataverse.update("contacts", made, {"lastname": "Ohm"})
        await world.until(lambda _: person(world, "Ohm").get("ContactPersonId", "-") == key_of(world, made))
        assert len(people(world)) == 1
        del unwritten

        waits = contact(world, lacking, "Early")
        await world.until(lambda view: view.letters == {LetterCause.NOT_TELLABLE: 1})
        (letter,) = await world.letters()
        assert "no records of CustomersV3 with the CustomerAccount 'US-77'" in letter.text
        body = {"CustomerAccount": "US-77", "OrganizationName": "Seven", "CustomerGroupId": "10"}
        world.sandbox.finance.create("CustomersV3", body | {"dataAreaId": "usmf", "SalesCurrencyCode": "USD"})
        await world.until(lambda view: not view.letters and bool(key_of(world, waits)))
        assert person(world, "Early")["ContactPersonId"] == key_of(world, waits)

        twin = contact(world, lacking, "Early")
        await world.until(lambda view: view.letters == {LetterCause.DUPLICATE: 1})
        assert (key_of(world, twin), len(people(world, LastName="Early"))) == ("", 1)
