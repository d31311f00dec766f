"""What clients of other makers ask of Finance's OData: addresses, formats, arithmetic, metadata, actions, sessions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sandbox.finance.behaviour import Behaviour
from sandbox.finance.model import entity_sets
from sandbox.odata.jsonio import decode
from tests.contract.finance_world import ENUM, ORIGIN, World, open_world

CUSTOMER = "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')"
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


async def _json(world: World, path: str, **headers: str) -> Any:
    answer = await world.get(path, **headers)
    assert answer.status_code == 200, answer.text
    return decode(answer.content)


# --- addresses -----------------------------------------------------------------------------------------------------


async def test_a_property_has_an_address(world: World) -> None:
    body = await _json(world, f"{CUSTOMER}/CreditLimit")
    assert body == {"@odata.context": f"{ORIGIN}/data/$metadata#{CUSTOMER}/CreditLimit", "value": Decimal("100000.00")}
    assert (await world.get(f"{CUSTOMER}/OrganizationName/$value")).text == "Customer US-001"
    assert (await world.get(f"{CUSTOMER}/NoSuch")).status_code == 404
    assert (await world.get("CustomersV3(dataAreaId='usmf',CustomerAccount='X')/CreditLimit")).status_code == 404


async def test_a_navigation_property_has_an_address(world: World) -> None:
    world.order("SO-1", {}, {"ItemNumber": "P099"})
    header = "SalesOrderHeadersV2(dataAreaId='usmf',SalesOrderNumber='so-1')"
    lines = await _json(world, f"{header}/SalesOrderLines?$select=ItemNumber&$orderby=ItemNumber&$count=true")
    assert [row["ItemNumber"] for row in lines["value"]] == ["P099", "P100"]
    assert lines["@odata.count"] == 2
    assert (await world.get(f"{header}/SalesOrderLines/$count")).text == "2"
    narrowed = await _json(world, f"{header}/SalesOrderLines?$filter=ItemNumber eq 'P100'&$top=1")
    assert len(narrowed["value"]) == 1
    lot = world.finance.query("SalesOrderLinesV3", SalesOrderNumber="SO-1")[0]["InventoryLotId"]
    back = await _json(world, f"SalesOrderLines(dataAreaId='usmf',InventoryLotId='{lot}')/SalesOrderHeaderV2")
    assert back["SalesOrderNumber"] == "SO-1"


async def test_keys_ignore_case_and_answers_keep_finances_spelling(world: World) -> None:
    body = await _json(world, "CustomersV3(dataAreaId='USMF',CustomerAccount='us-001')")
    assert (body["dataAreaId"], body["CustomerAccount"]) == ("usmf", "US-001")
    order = {"dataAreaId": "USMF", "SalesOrderNumber": "SO-1", "OrderingCustomerAccountNumber": "us-001"}
    created = await world.send("POST", "SalesOrderHeadersV4", order | {"PaymentTermsName": "NET 60"})
    row = decode(created.content)
    shown = [row[name] for name in ("dataAreaId", "OrderingCustomerAccountNumber", "PaymentTermsName")]
    assert shown == ["usmf", "US-001", "Net 60"]
    line = {"dataAreaId": "usmf", "SalesOrderNumber": "so-1", "ItemNumber": "p100", "SalesUnitSymbol": "EA"}
    created = await world.send("POST", "SalesOrderLinesV3", line)
    row = decode(created.content)
    assert [row[name] for name in ("SalesOrderNumber", "ItemNumber", "SalesUnitSymbol")] == ["SO-1", "P100", "ea"]


# --- formats -------------------------------------------------------------------------------------------------------


async def test_metadata_levels(world: World) -> None:
    none = await _json(world, f"{CUSTOMER}?$format=application/json;odata.metadata=none&$select=CreditLimit")
    assert none == {"CreditLimit": Decimal("100000.00")}
    full = await _json(
        world, f"{CUSTOMER}?$select=CreditLimit,OnHoldStatus", Accept="application/json;odata.metadata=full"
    )
    assert full["@odata.type"] == f"#{ENUM}.CustomerV3"
    assert full["@odata.id"] == full["@odata.editLink"] == f"{ORIGIN}/data/{CUSTOMER}"
    assert full["CreditLimit@odata.type"] == "#Decimal"
    assert full["OnHoldStatus@odata.type"] == f"#{ENUM}.CustVendorBlocked"
    world.order("SO-1")
    order = await _json(world, "SalesOrderHeadersV2?$format=json;odata.metadata=full")
    assert order["value"][0]["SalesOrderLines@odata.navigationLink"].endswith("/SalesOrderLines")
    assert "@odata.etag" in (await _json(world, f"{CUSTOMER}?$format=json"))


async def test_numbers_as_text_when_the_client_cannot_take_them(world: World) -> None:
    body = await _json(world, CUSTOMER, Accept="application/json;IEEE754Compatible=true")
    assert (body["CreditLimit"], body["AddressRecordId"], body["ConsolidationDay"]) == ("100000.00", "0", 0)


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (CUSTOMER, "application/atom+xml"),
        (f"{CUSTOMER}?$format=atom", "application/json"),
        (f"{CUSTOMER}?$format=json;odata.metadata=most", "application/json"),
    ],
)
async def test_other_formats_are_406(world: World, path: str, accept: str) -> None:
    assert (await world.get(path, Accept=accept)).status_code == 406


# --- filters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "accounts"),
    [
        ("CreditLimit sub 50000 gt 0", ["US-001"]),
        (
            "CreditLimit add 1 eq 1 and CredManCustUnlimitedCredit eq Microsoft.Dynamics.DataEntities.NoYes'No'",
            ["US-003"],
        ),
        ("(CreditLimit add 10000) mul 2 eq 40000", ["US-002"]),
        ("CreditLimit div 3 lt 3333.34 and CreditLimit gt 0", ["US-002"]),
        ("CreditLimit mod 30000 eq 10000", ["US-001", "US-002"]),
        ("100000 eq CreditLimit mul 2", ["US-005"]),
        ("not (CreditLimit add 0 ge 1) and (CustomerAccount eq 'US-003' or CreditLimit sub 1 eq 5)", ["US-003"]),
        ("10000 divby CreditLimit eq 1", ["US-002"]),
    ],
)
async def test_arithmetic(world: World, text: str, accounts: list[str]) -> None:
    rows = await world.rows(f"CustomersV3?$filter={text.replace(' ', '%20')}&$select=CustomerAccount")
    assert [row["CustomerAccount"] for row in rows] == accounts


@pytest.mark.parametrize(
    "text", ["CustomerAccount add 1 eq 2", "CreditLimit add gt 1", "CreditLimit add 1", "add eq 1"]
)
async def test_arithmetic_that_makes_no_sense_is_400(world: World, text: str) -> None:
    assert (await world.get(f"CustomersV3?$filter={text.replace(' ', '%20')}")).status_code == 400


async def test_a_filter_of_too_many_nodes_is_400(world: World) -> None:
    def accounts(count: int) -> str:
        return " or ".join(f"CustomerAccount eq 'A-{number}'" for number in range(count)).replace(" ", "%20")

    assert (await world.get(f"CustomersV3?$filter={accounts(20)}")).status_code == 200
    answer = await world.get(f"CustomersV3?$filter={accounts(21)}")
    assert answer.status_code == 400
    assert "The node count limit of '100' has been exceeded" in answer.text
    with_company = f"dataAreaId%20eq%20'usmf'%20and%20({accounts(20)})"
    assert (await world.get(f"CustomersV3?$filter={with_company}")).status_code == 400, (
        "the company is a comparison too"
    )


@pytest.mark.parametrize(
    ("change", "path", "status"),
    [
        ({"text_order": False}, "CustomersV3?$filter=CustomerAccount gt 'US-002'", 400),
        ({"text_order": True}, "CustomersV3?$filter=CustomerAccount gt 'US-002'", 200),
        ({"text_order": False}, "CustomersV3?$filter=CreditLimit gt 1", 200),
        ({"text_functions": False}, "CustomersV3?$filter=startswith(CustomerAccount,'US')", 400),
        ({"text_functions": True}, "CustomersV3?$filter=startswith(CustomerAccount,'US')", 200),
        ({"text_functions": False}, "CustomersV3?$filter=contains(OrganizationName,'001')", 400),
        ({"text_functions": False}, "CustomersV3?$filter=OrganizationName eq '*001*'", 200),
        ({"filter_nodes": 3}, "CustomersV3?$filter=CreditLimit gt 1", 400),
    ],
)
async def test_what_is_not_known_of_a_tenant_is_a_setting(
    world: World, change: dict[str, Any], path: str, status: int
) -> None:
    for name, value in change.items():
        setattr(world.finance.behaviour, name, value)
    assert (await world.get(path.replace(" ", "%20"))).status_code == status


async def test_pages_are_cut_by_offset_without_a_snapshot(world: World) -> None:
    first = await _json(
        world, "CustomersV3?$orderby=CustomerAccount&$top=4&$select=CustomerAccount", Prefer="odata.maxpagesize=2"
    )
    link = first["@odata.nextLink"]
    assert link.endswith("&$top=2&$skip=2")
    assert [row["CustomerAccount"] for row in first["value"]] == ["US-001", "US-002"]
    earlier = {
        "CustomerAccount": "US-000",
        "OrganizationName": "X",
        "CustomerGroupId": "10",
        "SalesCurrencyCode": "USD",
    }
    assert (await world.send("POST", "CustomersV3", {"dataAreaId": "usmf", **earlier})).status_code == 201
    second = decode((await world.client.get(link, headers={"Prefer": "odata.maxpagesize=2"})).content)
    shown = [row["CustomerAccount"] for row in second["value"]]
    assert shown == ["US-002", "US-003"], "a row written before the page moves the rest: US-002 comes twice"
    assert "@odata.nextLink" not in second


# --- writes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404])
async def test_a_write_to_a_row_that_is_not_there(world: World, status: int) -> None:
    world.finance.behaviour.missing_row_status = status
    missing = "CustomersV3(dataAreaId='usmf',CustomerAccount='NOPE')"
    for method, body in (("PATCH", {"CreditLimit": 1}), ("DELETE", None)):
        answer = await world.send(method, missing, body)
        assert answer.status_code == status
        assert "No resources were found when selecting for update." in answer.text
    assert (await world.get(missing)).status_code == 404


async def test_a_field_of_norway_exists_in_norway_only(world: World) -> None:
    world.finance.behaviour.norwegian_fields = True
    world.order("SO-1", {"OrderLineReference": "7"})
    assert (await world.rows("SalesOrderLinesV3?$select=OrderLineReference"))[0]["OrderLineReference"] == "7"
    world.finance.behaviour.norwegian_fields = False
    assert (await world.rows("SalesOrderLinesV3?$select=OrderLineReference"))[0]["OrderLineReference"] == ""
    line = {"dataAreaId": "usmf", "SalesOrderNumber": "SO-1", "ItemNumber": "P100"}
    refused = await world.send("POST", "SalesOrderLinesV3", line | {"OrderLineReference": "8"})
    assert refused.status_code == 400
    assert "country/region context NO" in refused.text
    taken = await world.send("POST", "SalesOrderLinesV3", line | {"OrderLineReference": "", "CustomersLineNumber": 8})
    assert decode(taken.content)["CustomersLineNumber"] == 8


async def test_decimals_are_kept_as_the_database_does(world: World) -> None:
    world.finance.behaviour.stored_decimals = 6
    world.order("SO-1", {"SalesPrice": Decimal("2.123456789")})
    [row] = await world.rows("SalesOrderLinesV3?$select=SalesPrice")
    assert row["SalesPrice"] == Decimal("2.123457")


async def test_set_up_data_can_be_written(world: World) -> None:
    body = {"dataAreaId": "usmf", "Name": "Net 7", "PaymentMethodType": "Net", "NumberOfDays": 7}
    assert (await world.send("POST", "PaymentTerms", body)).status_code == 201
    key = "PaymentTerms(dataAreaId='usmf',Name='Net 7')"
    assert (await world.send("PATCH", key, {"NumberOfDays": 8})).status_code == 204
    assert (await _json(world, f"{key}/NumberOfDays"))["value"] == 8
    assert (await world.send("POST", "PaymentTerms", body)).status_code == 500
    assert (await world.send("POST", "PaymentTerms", {"dataAreaId": "usmf"})).status_code == 400
    assert (await world.send("DELETE", key)).status_code == 204


# --- metadata ------------------------------------------------------------------------------------------------------


async def test_the_csdl_document_holds_together(world: World) -> None:
    """What a strict parser checks: names resolve, keys exist, nothing is declared twice, decimals have a scale."""
    root = ElementTree.fromstring((await world.get("$metadata")).text)
    schemas = {schema.get("Namespace"): schema for schema in root.iter(f"{EDM}Schema")}
    declared = [
        f"{namespace}.{item.get('Name')}"
        for namespace, schema in schemas.items()
        for item in schema
        if item.tag.rpartition("}")[2] in ("EntityType", "EnumType", "Term", "ComplexType")
    ]
    assert len(declared) == len(set(declared)), "a name is declared twice"
    known = set(declared)
    for entity in root.iter(f"{EDM}EntityType"):
        columns = {item.get("Name"): item for item in entity.iter(f"{EDM}Property")}
        links = [item.get("Name") for item in entity.iter(f"{EDM}NavigationProperty")]
        assert not set(columns) & set(links)
        for ref in entity.iter(f"{EDM}PropertyRef"):
            assert columns[ref.get("Name")].get("Nullable") == "false", f"{entity.get('Name')}.{ref.get('Name')}"
        for item in columns.values():
            kind = str(item.get("Type"))
            assert kind.startswith("Edm.") or kind in known
            assert (kind == "Edm.Decimal") == (item.get("Scale") == "variable")
        for item in entity.iter(f"{EDM}NavigationProperty"):
            assert str(item.get("Type")).removeprefix("Collection(").removesuffix(")") in known
    for note in root.iter(f"{EDM}Annotation"):
        assert str(note.get("Term")).startswith("Microsoft.Dynamics.OData.Core.V1.")
    container = next(root.iter(f"{EDM}EntityContainer"))
    sets = {item.get("Name") for item in container}
    for binding in root.iter(f"{EDM}NavigationPropertyBinding"):
        assert binding.get("Target") in sets


async def test_the_csdl_document_says_what_can_be_edited(world: World) -> None:
    root = ElementTree.fromstring((await world.get("$metadata")).text)
    types = {item.get("Name"): item for item in root.iter(f"{EDM}EntityType")}

    def notes(entity: str, column: str) -> dict[str, str]:
        found = next(item for item in types[entity].iter(f"{EDM}Property") if item.get("Name") == column)
        pairs = (
            (str(note.get("Term")).rpartition(".")[2], note.get("Bool", "")) for note in found.iter(f"{EDM}Annotation")
        )
        return {name: value for name, value in pairs if value}

    assert notes("SalesOrderHeaderV4", "SalesOrderStatus") == {"AllowEdit": "false", "AllowEditOnCreate": "false"}
    assert notes("SalesOrderHeaderV4", "SalesOrderNumber") == {"AllowEdit": "false"}
    assert notes("SalesOrderHeaderV4", "OrderingCustomerAccountNumber") == {"IsRequired": "true"}
    assert notes("SalesOrderHeaderV4", "Email") == {}
    assert notes("CustTransaction", "AmountCur") == {"AllowEdit": "false", "AllowEditOnCreate": "false"}


@pytest.mark.parametrize("root", ["metadata", "Metadata"])
async def test_the_metadata_service(world: World, root: str) -> None:
    async def ask(path: str) -> Any:
        answer = await world.client.get(f"/{root}{path}")
        assert answer.status_code == 200, answer.text
        return decode(answer.content)

    assert {item["name"] for item in (await ask(""))["value"]} >= {
        "DataEntities",
        "PublicEntities",
        "PublicEnumerations",
    }
    [entity] = (await ask("/DataEntities?$filter=PublicEntityName eq 'CustomerV3'"))["value"]
    assert entity["Name"] == "CustCustomerV3Entity"
    assert (entity["PublicCollectionName"], entity["EntityCategory"], entity["IsReadOnly"]) == (
        "CustomersV3",
        "Master",
        False,
    )
    category = "EntityCategory eq Microsoft.Dynamics.Metadata.EntityCategory'Parameters'"
    parameters = {row["PublicCollectionName"] for row in (await ask(f"/DataEntities?$filter={category}"))["value"]}
    assert parameters == {"CustomerParameters", "CreditManagementParameters", "Ledgers"}
    found = (await ask("/DataEntities?$filter=contains(tolower(Name), 'salesorderheader')&$select=Name&$top=2"))[
        "value"
    ]
    assert len(found) == 2
    public = await ask("/PublicEntities('SalesOrderHeaderV4')")
    columns = {item["Name"]: item for item in public["Properties"]}
    assert len(columns) == len(entity_sets()["SalesOrderHeadersV4"].properties)
    assert columns["SalesOrderNumber"]["IsKey"] and columns["SalesOrderNumber"]["IsMandatory"]
    assert columns["SalesOrderStatus"]["DataType"] == "Enum" and columns["SalesOrderStatus"]["AllowEdit"] is False
    lines = (await ask("/PublicEntities('SalesOrderHeaderV2')"))["NavigationProperties"][0]
    assert (lines["RelatedEntity"], lines["Cardinality"]) == ("SalesOrderLine", "Multiple")
    assert {part["Property"] for part in lines["Constraints"]} == {"dataAreaId", "SalesOrderNumber"}
    yes = await ask("/PublicEnumerations('NoYes')")
    assert [(member["Name"], member["Value"]) for member in yes["Members"]] == [("No", 0), ("Yes", 1)]
    label = await ask(f"/Labels(Id='{columns['OrderTotalAmount']['LabelId']}',Language='en-us')")
    assert label["Value"] == "Order total amount"
    assert (await world.client.get(f"/{root}/Labels")).status_code == 400
    assert (await world.client.get(f"/{root}/PublicEntities('Nothing')")).status_code == 404
    assert (await world.client.get(f"/{root}/DataEntities?$filter=Nothing eq 1")).status_code == 400


async def test_metadata_needs_a_token(world: World) -> None:
    assert (await world.client.get("/metadata/DataEntities", headers={"Authorization": ""})).status_code == 401


# --- actions and sessions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GetApplicationVersion", "GetApplicationBuildVersion", "GetPlatformBuildVersion"])
async def test_an_environment_tells_its_version(world: World, name: str) -> None:
    path = f"DataManagementEntities/Microsoft.Dynamics.DataEntities.{name}"
    body = decode((await world.send("POST", path, {})).content)
    assert body["value"].count(".") >= 2
    assert (await world.get(path)).status_code == 405
    assert (await world.send("POST", f"CustomersV3/Microsoft.Dynamics.DataEntities.{name}", {})).status_code == 404


async def test_the_user_session_service(world: World) -> None:
    base = "/api/services/UserSessionService/AifUserSessionService"
    described = decode((await world.client.get(f"{base}/GetUserSessionInfo")).content)
    assert described == {"Parameters": [], "Return": {"Name": "return", "Type": "AifUserSessionInfo"}}
    info = decode((await world.client.post(f"{base}/GetUserSessionInfo", content=b"{}")).content)
    assert (info["$id"], info["Company"], info["CurrencyInfo"]["CurrencyCode"]) == ("1", "USMF", "USD")
    version = decode((await world.client.post(f"{base}/GetApplicationVersion", content=b"{}")).content)
    assert version.startswith("10.0.")
    assert (await world.client.post(f"{base}/Nothing", content=b"{}")).status_code == 404
    assert (await world.client.get("/api/services/Nothing")).status_code == 404


def test_every_setting_is_documented() -> None:
    documented = Behaviour.__doc__ or ""
    assert all(f"{name}:" in documented for name in Behaviour.__slots__)


def test_the_page_gives_each_setting_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox-finance.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.M))
    assert {each.name: rows[each.name] for each in fields(Behaviour)} == {
        each.name: str(each.default).lower() for each in fields(Behaviour)
    }
