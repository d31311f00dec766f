"""The first sync of contacts: each is linked with its contact person of Finance, or one is made, once."""

from __future__ import annotations

from domain.entities.initial_run import WrittenAs
from tests.workflows.compare_world import Rows
from tests.workflows.contacts import contact, id_of, people, person
from tests.workflows.test_initial_run import MakeWorld, world_of
from tests.workflows.trusting import OTTO

__all__ = ["world_of"]


async def test_contacts_of_before_are_linked_or_made(world_of: MakeWorld) -> None:
    rows = Rows()
    customer = rows.pair(1)
    prospect, account = rows.account(""), next(iter(rows.sales))
    async with world_of(rows) as world:
        world.entity = "contact"
        party = world.customer(customer)["PartyNumber"]
        known = {"dataAreaId": "usmf", "AssociatedPartyNumber": party, "FirstName": "Lee", "LastName": "Known"}
        world.sandbox.finance.create("ContactPersons", known)
        ids = {name: contact(world, account, name) for name in ("Oh", "Known", "Changed")}
        ids["Prospect"] = contact(world, prospect, "Prospect")
        run = await world.allowed()
        assert run.figures.actions == {"create": 4, "skip": 1}
        world.sandbox.dataverse.update("contacts", ids["Changed"], {"telephone1": "+1 425 555 0111"})
        assert (await world.tell(OTTO, "begin")).accepted
        view = await world.stands(lambda view: not view.goes_on)
        became = {name: each for name, row in ids.items() if (each := world.became(run).get(row))}
        assert {name: each.written for name, each in became.items()} == {
            "Oh": WrittenAs.CREATED,
            "Known": WrittenAs.UPDATED,
            "Changed": WrittenAs.MOVED,
            "Prospect": WrittenAs.MOVED,
        }, view
        assert person(world, "Oh")["ContactPersonId"] == id_of(world, ids["Oh"])
        assert person(world, "Known")["PrimaryPhoneNumber"] == "+1 206 555 0123"
        assert id_of(world, ids["Known"]) == person(world, "Known")["ContactPersonId"]
        assert (len(people(world)), id_of(world, ids["Prospect"])) == (2, "")
