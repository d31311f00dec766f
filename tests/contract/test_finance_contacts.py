"""Contact persons of Finance: how they are numbered, found, changed, deleted and refused."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.finance_world import World, open_world

SET = "ContactPersons"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


async def test_a_contact_belongs_to_the_party_of_a_customer(world: World) -> None:
    (customer,) = await world.rows("CustomersV3?$filter=CustomerAccount eq 'US-001'&$select=PartyNumber")
    body = {"dataAreaId": "usmf", "AssociatedPartyNumber": customer["PartyNumber"]}

    unnamed = await world.send("POST", SET, body)
    nobodys = await world.send("POST", SET, body | {"LastName": "Oh", "AssociatedPartyNumber": "999"})
    too_long = await world.send("POST", SET, body | {"LastName": "O" * 26})
    made = await world.send("POST", SET, body | {"FirstName": "Lee", "LastName": "Oh"})
    own = await world.send("POST", SET, body | {"LastName": "Ida", "ContactPersonId": "S-1"})
    twice = await world.send("POST", SET, body | {"LastName": "Ida", "ContactPersonId": "S-1"})

    assert "Field 'Name' must be filled in" in unnamed.text
    assert "'999' in field 'Party ID' is not found" in nobodys.text
    assert "longer than 25 characters" in too_long.text
    assert all(answer.is_error for answer in (unnamed, nobodys, too_long, twice))
    assert "already exists" in twice.text
    row = made.json()
    assert (row["ContactPersonId"], row["ContactPersonName"], row["IsInactive"]) == ("000001", "Lee Oh", "No")
    assert own.json()["ContactPersonId"] == "S-1"
    paged = await world.rows(f"{SET}?$filter=AssociatedPartyNumber eq '{customer['PartyNumber']}'&$orderby=LastName")
    assert [each["LastName"] for each in paged] == ["Ida", "Oh"]

    path = f"{SET}(dataAreaId='usmf',ContactPersonId='000001')"
    changed = await world.send("PATCH", path, {"LastName": "Ohm", "IsInactive": "Yes"}, **{"If-Match": "*"})
    assert changed.status_code == 204
    (row,) = await world.rows(f"{SET}?$filter=FirstName eq 'lee'")
    assert (row["ContactPersonName"], row["IsInactive"]) == ("Lee Ohm", "Yes")
    assert (await world.send("DELETE", path)).status_code == 204
    assert not await world.rows(f"{SET}?$filter=LastName eq 'Ohm'")
