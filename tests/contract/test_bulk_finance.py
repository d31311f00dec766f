"""What Finance answers to whoever reads it in bulk, and what it refuses: pages, filters on text, counts, metadata."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from sandbox.generate import write
from sandbox.odata.jsonio import decode
from sandbox.runtime import Sandbox, SandboxConfig, running
from tests.contract.bulk_world import Bulk, reader_of
from tests.contract.finance_world import World, open_world

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
CORE = "Microsoft.Dynamics.OData.Core.V1"
PAGE = 10_000


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as world:
        yield world


@pytest.fixture(scope="module")
async def crowd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    folder = tmp_path_factory.mktemp("population")
    write(folder, PAGE + 500)
    async with running(SandboxConfig(state_dir=tmp_path_factory.mktemp("crowd"), data=str(folder))) as sandbox:
        yield sandbox


@pytest.fixture
async def reader(crowd: Sandbox) -> AsyncIterator[Bulk]:
    async with reader_of(crowd.info) as found:
        yield found


async def test_a_page_holds_ten_thousand_rows_at_most_whatever_is_preferred(reader: Bulk) -> None:
    path = "CustomersV3?cross-company=true&$select=dataAreaId,CustomerAccount&$count=true"

    whole = await reader.body("finance", path)
    more = await reader.body("finance", path, Prefer=f"odata.maxpagesize={2 * PAGE}")
    fewer = await reader.body("finance", path, Prefer="odata.maxpagesize=100")

    assert [len(page["value"]) for page in (whole, more, fewer)] == [PAGE, PAGE, 100]
    assert whole["@odata.count"] == await reader.count("finance", "CustomersV3/$count?cross-company=true")
    assert f"$skip={PAGE}" in whole["@odata.nextLink"]
    rest = await reader.body("finance", whole["@odata.nextLink"])
    assert "@odata.nextLink" not in rest
    keys = [(row["dataAreaId"], row["CustomerAccount"]) for row in (*whole["value"], *rest["value"])]
    assert len(set(keys)) == len(keys) == whole["@odata.count"]
    assert keys == sorted(keys)


async def test_counts_of_sales_stop_at_five_thousand_and_say_so(reader: Bulk) -> None:
    annotated = {"Prefer": 'odata.include-annotations="*",odata.maxpagesize=1'}

    page = await reader.body("dataverse", "accounts?$select=name&$count=true", **annotated)

    assert await reader.count("dataverse", "accounts/$count") == 5000
    assert page["@odata.count"] == 5000
    assert page["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] is True
    snapshot = await reader.body("dataverse", "RetrieveTotalRecordCount(EntityNames=@p1)?@p1=['account']")
    assert snapshot["EntityRecordCountCollection"]["Values"][0] > PAGE


@pytest.mark.parametrize("operator", ["gt", "ge", "lt", "le"])
async def test_text_cannot_be_ordered_in_a_filter(world: World, operator: str) -> None:
    answer = await world.get(f"CustomersV3?$filter=CustomerAccount {operator} 'US-003'")

    assert answer.status_code == 400
    assert "Found operand types 'Edm.String' and 'Edm.String'" in _refusal(answer)


@pytest.mark.parametrize("function", ["startswith", "endswith", "contains"])
async def test_text_has_no_functions_in_a_filter(world: World, function: str) -> None:
    answer = await world.get(f"CustomersV3/$count?$filter={function}(CustomerAccount,'US')")

    assert answer.status_code == 400
    assert _refusal(answer) == f"An unknown function with name '{function}' was found."


def _refusal(answer: httpx.Response) -> str:
    """The text of Finance's error body, which has no code and says nothing outside its inner error."""
    error = decode(answer.content)["error"]
    assert (error["code"], error["message"]) == ("", "An error has occurred.")
    assert error["innererror"]["type"] == "Microsoft.OData.ODataException"
    return str(error["innererror"]["message"])


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        ("CustomerAccount eq 'US-0*'", 5),
        ("CustomerAccount eq 'us-00*'", 5),
        ("CustomerAccount eq '*3'", 1),
        ("CustomerAccount eq 'U*-00*'", 5),
        ("CustomerAccount eq 'US-004'", 1),
        ("CustomerAccount eq 'US-004*'", 1),
        ("CustomerAccount ne 'US-00*'", 0),
        ("CustomerAccount eq 'US-0*' and CreditLimit gt 10000", 2),
    ],
)
async def test_wildcards_choose_what_is_counted(world: World, condition: str, count: int) -> None:
    counted = await world.get(f"CustomersV3/$count?$filter={condition}")
    page = decode((await world.get(f"CustomersV3?$filter={condition}&$count=true&$top=1")).content)

    assert counted.text == str(count)
    assert page["@odata.count"] == count


async def test_the_customers_own_table_tells_when_it_changed_and_not_when_the_party_did(world: World) -> None:
    moments = "CustTableBiEntities?cross-company=true&$select=AccountNum,SysModifiedDateTime,SysModifiedBy"
    world.finance.db.clock.offset += timedelta(hours=1)
    key = "CustomersV3(dataAreaId='usmf',CustomerAccount='{}')"
    before = {row["AccountNum"]: row for row in await world.rows(moments)}
    for account, change in (
        ("US-001", {"OrganizationName": "Renamed"}),
        ("US-002", {"PrimaryContactPhone": "555"}),
        ("US-004", {"AddressCity": "Elsewhere"}),
        ("US-005", {"CreditLimit": 1}),
        ("US-003", {"OrganizationName": "Renamed too", "PaymentTerms": "Net 10"}),
    ):
        assert (await world.send("PATCH", key.format(account), change)).status_code == 204

    after = {row["AccountNum"]: row for row in await world.rows(moments)}

    assert {account for account, row in after.items() if row != before[account]} == {"US-005", "US-003"}


async def test_the_customers_own_table_is_sorted_and_filtered_by_moment_and_record(world: World) -> None:
    rows = await world.rows(
        "CustTableBiEntities?cross-company=true&$filter=SysModifiedDateTime ge 2026-01-01T00:00:00Z"
        "&$orderby=SysModifiedDateTime,SourceKey&$select=dataAreaId,AccountNum,SourceKey,SysModifiedDateTime,Party"
    )
    visible = await world.rows("CustTableBiEntities?$select=AccountNum")
    row = await world.get("CustTableBiEntities(dataAreaId='demf',AccountNum='DE-001')?cross-company=true")

    order = [(row["SysModifiedDateTime"], row["SourceKey"]) for row in rows]
    assert order == sorted(order)
    assert {row["dataAreaId"] for row in rows} == {"usmf", "demf", "jpmf", "kwmf"}
    assert len(visible) == 5
    assert len(decode(row.content)) == 194 + 2  # every column of a tenant, and the annotations of context and version
    assert (
        await world.send("PATCH", "CustTableBiEntities(dataAreaId='usmf',AccountNum='US-001')", {})
    ).status_code == 405


async def test_metadata_tells_a_linter_types_keys_and_what_must_be_given(world: World) -> None:
    root = ElementTree.fromstring((await world.get("$metadata")).content)  # our own
    types: dict[str, Any] = {item.get("Name", ""): item for item in root.iter(f"{EDM}EntityType")}
    customer = types["CustomerV3"]

    properties = {item.get("Name"): item for item in customer.iter(f"{EDM}Property")}

    assert [ref.get("Name") for ref in customer.iter(f"{EDM}PropertyRef")] == ["dataAreaId", "CustomerAccount"]
    limit = properties["CreditLimit"]
    assert (limit.get("Type"), limit.get("Nullable"), limit.get("Scale")) == ("Edm.Decimal", "false", "variable")
    assert properties["OnHoldStatus"].get("Type") == "Microsoft.Dynamics.DataEntities.CustVendorBlocked"
    required = {
        name
        for name, item in properties.items()
        if any(note.get("Term") == f"{CORE}.IsRequired" for note in item.iter(f"{EDM}Annotation"))
    }
    assert required == {"OrganizationName", "CustomerGroupId", "SalesCurrencyCode"}
    untyped = [
        (name, item.get("Name"))
        for name, entity in types.items()
        for item in entity.iter(f"{EDM}Property")
        if not item.get("Type")
    ]
    assert untyped == []
