"""Change tracking: delta links tell what was created, changed and deleted, once."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.odata.jsonio import decode
from tests.contract.dataverse_world import World

TRACK = "odata.track-changes"


def _start(sales: World, path: str = "accounts?$select=name", prefer: str = TRACK) -> dict[str, Any]:
    answer = sales.request("GET", path, Prefer=prefer)
    assert answer.status_code == 200, answer.text
    assert TRACK in answer.headers["Preference-Applied"]
    body: dict[str, Any] = decode(answer.content)
    return body


def test_the_first_answer_has_all_rows_and_a_delta_link(sales: World) -> None:
    body = _start(sales)

    assert [row["name"] for row in body["value"]] == ["Contoso Retail"]
    assert "$deltatoken=" in body["@odata.deltaLink"]


def test_a_delta_link_tells_what_changed_since_in_order(sales: World) -> None:
    doomed = sales.dataverse.create("accounts", {"name": "Doomed"})["accountid"]
    link = _start(sales)["@odata.deltaLink"]
    sales.dataverse.create("accounts", {"name": "New"})
    sales.dataverse.update("accounts", sales.account, {"name": "Renamed"})
    sales.dataverse.delete("accounts", doomed)

    body = sales.get(link)

    assert [row.get("name") for row in body["value"]] == ["New", "Renamed", None]
    deleted = body["value"][2]
    assert deleted["id"] == doomed
    assert deleted["reason"] == "deleted"
    assert deleted["@odata.context"].endswith("$metadata#accounts/$deletedEntity")
    assert sales.get(body["@odata.deltaLink"])["value"] == []


def test_what_was_rolled_back_is_not_told(sales: World) -> None:
    link = _start(sales)["@odata.deltaLink"]
    with pytest.raises(RuntimeError), sales.dataverse.db.transaction():
        sales.dataverse.create("accounts", {"name": "Never"})
        raise RuntimeError

    assert sales.get(link)["value"] == []


def test_a_change_between_the_pages_of_the_first_answer_is_not_lost(sales: World) -> None:
    for number in range(3):
        sales.dataverse.create("accounts", {"name": f"A{number}"})
    first = _start(sales, prefer=f"{TRACK},odata.maxpagesize=2")
    assert "@odata.deltaLink" not in first
    told = first["value"][0]["accountid"]
    sales.dataverse.update("accounts", told, {"name": "Changed meanwhile"})

    last = decode(sales.request("GET", first["@odata.nextLink"], Prefer="odata.maxpagesize=2").content)
    changes = sales.get(last["@odata.deltaLink"])

    assert [row["name"] for row in changes["value"]] == ["Changed meanwhile"]


def test_many_changes_come_in_pages(sales: World) -> None:
    link = _start(sales)["@odata.deltaLink"]
    for number in range(5):
        sales.dataverse.create("accounts", {"name": f"A{number}"})
    names: list[str] = []

    while link:
        body = decode(sales.request("GET", link, Prefer="odata.maxpagesize=2").content)
        names += [row["name"] for row in body["value"]]
        link = body.get("@odata.nextLink")

    assert names == [f"A{number}" for number in range(5)]


@pytest.mark.parametrize("option", ["$filter=name eq 'x'", "$orderby=name", "$expand=primarycontactid", "$top=3"])
def test_options_that_tracking_does_not_support_are_refused(sales: World, option: str) -> None:
    status, _, message = sales.refused("GET", f"accounts?{option}", Prefer=TRACK)

    assert status == 400
    assert "isn't supported when Change Tracking is enabled" in message


def test_a_token_expires_after_seven_days(sales: World) -> None:
    link = _start(sales)["@odata.deltaLink"]
    sales.sleep(days=6, hours=23)
    assert sales.get(link)["value"] == []

    sales.sleep(hours=2)

    assert sales.refused("GET", link)[0] == 410


def test_changes_can_be_counted(sales: World) -> None:
    token = _start(sales)["@odata.deltaLink"].partition("$deltatoken=")[2]
    sales.dataverse.create("accounts", {"name": "One"})

    assert sales.request("GET", f"accounts/$count?$deltatoken={token}").text == "1"


def test_how_long_a_token_lives_is_the_organizations_setting() -> None:
    sales = World(change_tracking_days=2)
    link = _start(sales)["@odata.deltaLink"]
    sales.sleep(days=1, hours=23)
    assert sales.get(link)["value"] == []

    sales.sleep(hours=2)

    assert sales.refused("GET", link)[0] == 410
    sales.close()


def test_delta_links_can_be_aged_without_waiting(sales: World) -> None:
    link = _start(sales)["@odata.deltaLink"]

    sales.dataverse.changes.expire()

    assert sales.refused("GET", link)[0] == 410
    assert sales.get(_start(sales)["@odata.deltaLink"])["value"] == []


def test_a_row_created_and_deleted_in_between_arrives_as_a_deletion(sales: World) -> None:
    link = _start(sales)["@odata.deltaLink"]
    fleeting = sales.dataverse.create("accounts", {"name": "Fleeting"})["accountid"]
    sales.dataverse.delete("accounts", fleeting)

    changes = sales.get(link)["value"]

    assert [(row["id"], row["reason"]) for row in changes] == [(fleeting, "deleted")]


def test_a_fresh_start_tells_no_deletions(sales: World) -> None:
    doomed = sales.dataverse.create("accounts", {"name": "Doomed"})["accountid"]
    sales.dataverse.delete("accounts", doomed)

    assert [row.get("name") for row in _start(sales)["value"]] == ["Contoso Retail"]


def test_changes_are_told_to_those_only_who_may_read_every_row(sales: World) -> None:
    _, bearer = sales.person("Bea", "Basic User")

    status, code, message = sales.refused("GET", "accounts?$select=name", bearer=bearer, Prefer=TRACK)

    assert (status, code) == (403, "0x80040220")
    assert "prvReadAccount" in message
    assert sales.request("GET", "accounts?$select=name", bearer=bearer).status_code == 200
