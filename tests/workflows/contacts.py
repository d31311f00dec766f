"""Contacts of tests: entered in Sales, and looked at in Finance."""

from __future__ import annotations

from typing import Any

from tests.workflows.sync_world import SyncWorld


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


def people(world: SyncWorld, **wanted: Any) -> list[dict[str, Any]]:
    """Contact persons of Finance."""
    return [dict(row) for row in world.sandbox.finance.query("ContactPersons", dataAreaId="usmf", **wanted)]


def person(world: SyncWorld, last: str) -> dict[str, Any]:
    """The only contact person of a last name; none: it is not there."""
    found = people(world, LastName=last)
    assert len(found) <= 1, "made twice"
    return found[0] if found else {}


def id_of(world: SyncWorld, contact_id: str) -> str:
    """The id of a contact in Finance, as Sales knows it."""
    return str((world.sandbox.dataverse.get("contacts", contact_id) or {}).get("q2c_contactpersonid") or "")
