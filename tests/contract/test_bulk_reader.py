"""The application that reads in bulk: it may read everything at organization level, and every write is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from sandbox.runtime import Sandbox
from tests.contract.bulk_world import API, TRACK, Bulk, product_of, reader_of

RUNTIME = "msdyn_dualwriteruntimeconfig"


@pytest.fixture
async def reader(sandbox: Sandbox) -> AsyncIterator[Bulk]:
    async with reader_of(sandbox.info) as found:
        yield found


async def test_it_reads_both_systems_whole(reader: Bulk) -> None:
    accounts = await reader.all("dataverse", "accounts?$select=name,accountnumber,creditlimit")
    contacts = await reader.all("dataverse", "contacts?$select=fullname")
    customers = await reader.all("finance", "CustomersV3?cross-company=true&$select=dataAreaId,CustomerAccount")

    assert {"US-001", "DE-001"} <= {row["accountnumber"] for row in accounts}
    assert isinstance(contacts, list)
    assert {row["dataAreaId"] for row in customers} == {"usmf", "demf", "jpmf", "kwmf"}


async def test_it_follows_the_changes_of_a_table(reader: Bulk) -> None:
    first = await reader.body("dataverse", "accounts?$select=name", **TRACK)

    assert (await reader.body("dataverse", first["@odata.deltaLink"]))["value"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "privilege"),
    [
        ("POST", "accounts", {"name": "Adatum"}, "prvCreateAccount"),
        ("PATCH", "accounts({account})", {"name": "Adatum"}, "prvWriteAccount"),
        ("DELETE", "accounts({account})", None, "prvDeleteAccount"),
        ("POST", "quotes", {"name": "A quote"}, "prvCreateQuote"),
    ],
)
async def test_dataverse_refuses_every_write(
    reader: Bulk, method: str, path: str, body: dict[str, Any] | None, privilege: str
) -> None:
    account = (await reader.body("dataverse", "accounts?$top=1&$select=name"))["value"][0]["accountid"]
    existing = {"If-Match": "*"} if method == "PATCH" else {}

    answer = await reader.ask("dataverse", path.format(account=account), method, json=body, headers=existing)

    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "0x80040220"
    assert f"is missing {privilege} privilege" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "CustomersV3", {"dataAreaId": "usmf", "OrganizationName": "Adatum"}),
        ("PATCH", "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')", {"CreditLimit": 1}),
        ("DELETE", "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')", None),
        ("POST", "SalesOrderHeadersV4", {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": "US-001"}),
    ],
)
async def test_finance_refuses_every_write(reader: Bulk, method: str, path: str, body: dict[str, Any] | None) -> None:
    answer = await reader.ask("finance", path, method, json=body)

    assert answer.status_code == 403
    assert answer.json()["error"]["innererror"]["message"].startswith("Access denied")


async def test_finance_refuses_writes_inside_a_batch_and_answers_its_reads(reader: Bulk) -> None:
    read = "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')?$select=CustomerAccount"
    lines = [
        "--b",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "",
        f"GET /data/{read} HTTP/1.1",
        "",
        "",
        "--b",
        "Content-Type: multipart/mixed; boundary=c",
        "",
        "--c",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "Content-ID: 1",
        "",
        "POST /data/CustomersV3 HTTP/1.1",
        "Content-Type: application/json",
        "",
        '{"dataAreaId": "usmf"}',
        "--c--",
        "",
        "--b--",
        "",
    ]
    headers = {"Content-Type": "multipart/mixed; boundary=b"}

    answer = await reader.ask("finance", "$batch", "POST", content="\r\n".join(lines), headers=headers)

    assert "HTTP/1.1 200" in answer.text
    assert '"CustomerAccount":"US-001"' in answer.text
    assert "HTTP/1.1 403" in answer.text


async def test_finance_posts_nothing_for_it(reader: Bulk, sandbox: Sandbox) -> None:
    url = f"{sandbox.info.finance}/api/services/Q2CServiceGroup/Q2CPostingService/confirm"

    answer = await reader.ask("finance", url, "POST", json={"_request": {"DataAreaId": "usmf", "SalesOrderId": "1"}})

    assert answer.status_code == 403


async def test_dual_write_tells_which_maps_run_once_it_is_there_and_tracks_no_changes(
    reader: Bulk, desk: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    configs = f"{RUNTIME}s?$select=msdyn_internalentityname,msdyn_externalentityname"
    assert (await reader.ask("dataverse", configs)).status_code == 404
    running = {"table": "account", "entity": "Customers V3", "fields": {"CreditLimit": "creditlimit"}}
    stopped = {"table": "quote", "entity": "CDS sales quotation header", "running": False}

    answer = await desk.put("/dual-write", json={"maps": [running, stopped]})

    assert answer.status_code == 200, answer.text
    rows = await reader.all("dataverse", f"{configs}&$filter=statecode eq 0")
    found = [(row["msdyn_internalentityname"], row["msdyn_externalentityname"]) for row in rows]
    assert found == [("account", "Customers V3")]
    maps = await reader.all("dataverse", "msdyn_dualwriteentitymaps?$select=msdyn_name,msdyn_mapping")
    (customers,) = [row for row in maps if row["msdyn_name"] == "msdyn_[accounts - Customers V3]"]
    assert '"sourceField": "CREDITLIMIT", "destinationField": "creditlimit"' in customers["msdyn_mapping"]
    untracked = await reader.ask("dataverse", configs, headers=TRACK)
    assert untracked.status_code == 400
    assert untracked.json()["error"]["message"] == f"Change Tracking is not enabled for entity {RUNTIME}."
    unknown = await desk.put("/dual-write", json={"maps": [running | {"table": "nothing"}]})
    assert unknown.status_code == 404


async def test_the_products_own_application_keeps_its_rights(sandbox: Sandbox, desk: httpx.AsyncClient) -> None:
    async with product_of(sandbox.info) as product:
        path = "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')"
        assert (await product.ask("finance", path, "PATCH", json={"CreditRating": "A"})).status_code == 204
        who = await product.ask("dataverse", f"{sandbox.info.dataverse}{API}/WhoAmI")
        assert who.status_code == 200


async def test_definitions_of_tables_tell_a_linter_lengths_precision_and_what_must_be_given(reader: Bulk) -> None:
    attributes = "EntityDefinitions(LogicalName='{}')/Attributes"
    kinds = {"String": "MaxLength", "Memo": "MaxLength", "Money": "Precision", "Decimal": "Precision"}
    unknown: dict[str, list[str]] = {}
    for table in ("account", "contact"):
        for kind, limit in kinds.items():
            path = f"{attributes.format(table)}/Microsoft.Dynamics.CRM.{kind}AttributeMetadata"
            rows = await reader.all("dataverse", f"{path}?$select=LogicalName,{limit},RequiredLevel")
            assert all(row["RequiredLevel"]["Value"] for row in rows)
            unknown.setdefault(table, []).extend(row["LogicalName"] for row in rows if not row[limit])

    definition = await reader.body(
        "dataverse", "EntityDefinitions(LogicalName='account')?$select=ChangeTrackingEnabled"
    )
    (name,) = await reader.all(
        "dataverse", f"{attributes.format('account')}?$filter=LogicalName eq 'name'&$select=RequiredLevel"
    )
    keys = await reader.all("dataverse", "EntityDefinitions(LogicalName='account')/Keys?$select=KeyAttributes")

    # What no document and no tenant's metadata at hand tells: columns of Field Service and of social profiles.
    found = [column for columns in unknown.values() for column in columns]
    assert all(column.startswith(("msdyn_", "msdyusd_", "businesscard")) for column in found)
    assert definition["ChangeTrackingEnabled"] is True
    assert name["RequiredLevel"]["Value"] == "ApplicationRequired"
    assert keys == []
