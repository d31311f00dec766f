"""The OData surface of Finance: tokens, companies, filters, paging, ETags, batches, errors."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from sandbox.odata.jsonio import decode
from tests.contract.finance_world import ENUM, ORIGIN, World, bearer, customer, open_world

HEADERS = "SalesOrderHeadersV4"
KEY = "SalesOrderHeadersV4(dataAreaId='usmf',SalesOrderNumber='SO-1')"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with open_world() as opened:
        yield opened


# --- tokens ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic abc",
        bearer(ORIGIN + "/"),
        bearer(ORIGIN.upper()),
        bearer("https://other.example"),
        bearer(lifetime=-10),
        bearer()[:-4] + "AAAA",
        bearer(app_id="99999999-2222-4333-8444-555555555555"),
    ],
    ids=["none", "basic", "trailing slash", "upper case", "other audience", "expired", "bad signature", "unregistered"],
)
async def test_a_token_for_anything_else_is_401(world: World, authorization: str) -> None:
    for path in ("/data/Currencies", "/api/services"):
        answer = await world.client.get(path, headers={"Authorization": authorization})
        assert answer.status_code == 401


async def test_high_utilization_is_429_with_retry_after(world: World) -> None:
    world.finance.high_utilization = 17
    for path in ("/data/Currencies", "/api/services"):
        answer = await world.client.get(path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "17")
        assert "high resource utilization" in answer.text
    world.finance.high_utilization = None
    assert (await world.client.get("/data/Currencies")).status_code == 200


# --- companies ---------------------------------------------------------------------------------------------------


async def test_other_companies_are_seen_only_across_companies(world: World) -> None:
    own = await world.rows("CustomersV3?$select=dataAreaId")
    assert {row["dataAreaId"] for row in own} == {"usmf"}
    every = await world.rows("CustomersV3?cross-company=true&$select=dataAreaId")
    assert {row["dataAreaId"] for row in every} == {"usmf", "demf", "jpmf", "kwmf"}
    assert await world.rows("CustomersV3?$filter=dataAreaId eq 'demf'") == []
    german = "CustomersV3(dataAreaId='demf',CustomerAccount='DE-001')"
    assert (await world.get(german)).status_code == 404
    assert (await world.get(german + "?cross-company=true")).status_code == 200
    assert (await world.send("PATCH", german, {"CreditLimit": 1})).status_code == 400


async def test_a_new_row_goes_to_the_company_of_its_body_or_else_to_the_callers(world: World) -> None:
    body = {"CustomerAccount": "X-1", "OrganizationName": "X", "CustomerGroupId": "10", "SalesCurrencyCode": "EUR"}
    created = await world.send("POST", "CustomersV3", {"dataAreaId": "DEMF", **body})
    assert decode(created.content)["dataAreaId"] == "demf"
    created = await world.send("POST", "CustomersV3", {**body, "SalesCurrencyCode": "USD"})
    assert decode(created.content)["dataAreaId"] == "usmf"
    nowhere = await world.send("POST", "CustomersV3", {"dataAreaId": "xxmf", **body})
    assert nowhere.status_code == 400
    assert "'xxmf' in field 'Company'" in nowhere.text


@pytest.mark.parametrize("name", ["LegalEntities", "Currencies", "UnitsOfMeasure"])
async def test_shared_sets_need_no_company(world: World, name: str) -> None:
    assert len(await world.rows(name)) >= 4


# --- queries -----------------------------------------------------------------------------------------------------


async def _accounts(world: World, query: str) -> list[str]:
    return [row["CustomerAccount"] for row in await world.rows(f"CustomersV3?{query}&$select=CustomerAccount")]


async def test_filters(world: World) -> None:
    world.finance.update("CustomersV3", ("usmf", "US-002"), {"OnHoldStatus": "Invoice"})
    blocked = f"{ENUM}.CustVendorBlocked'Invoice'"
    assert await _accounts(world, f"$filter=OnHoldStatus eq {blocked}") == ["US-002"]
    assert await _accounts(world, f"$filter=OnHoldStatus ne {blocked} and CreditLimit gt 0") == ["US-001", "US-005"]
    assert await _accounts(world, "$filter=CustomerAccount eq 'us-001' or CreditLimit eq 50000") == ["US-001", "US-005"]
    assert await _accounts(world, "$filter=not (CreditLimit ge 10000)") == ["US-003", "US-004"]
    assert await _accounts(world, "$filter=OrganizationName eq '*005*'") == ["US-005"]
    assert await _accounts(world, "$filter=CustomerAccount ne 'US-*'") == []


@pytest.mark.parametrize(
    "text",
    [
        "OnHoldStatus eq 'Invoice'",
        f"OnHoldStatus eq {ENUM}.custvendorblocked'Invoice'",
        f"OnHoldStatus eq {ENUM}.CustVendorBlocked'Blocked'",
        "CustomerAccount in ('US-001','US-002')",
        "contains(OrganizationName,'005')",
        "NoSuchColumn eq 1",
        "CreditLimit eq 'ten'",
        "CreditLimit eq",
    ],
)
async def test_filters_finance_does_not_understand_are_400(world: World, text: str) -> None:
    answer = await world.get(f"CustomersV3?$filter={text}")
    assert answer.status_code == 400
    assert decode(answer.content)["error"]["innererror"]["type"] == "Microsoft.OData.ODataException"


@pytest.mark.parametrize("option", ["$apply=aggregate(CreditLimit)", "$search=x", "$orderby=Nope", "$select=Nope"])
async def test_options_finance_does_not_have_are_400(world: World, option: str) -> None:
    assert (await world.get(f"CustomersV3?{option}")).status_code == 400


async def test_what_changed_since_can_be_asked(world: World) -> None:
    world.order("SO-1")
    path = "SalesTableBiEntities?$select=SalesId&$filter=SysModifiedDateTime ge "
    assert [row["SalesId"] for row in await world.rows(path + "2026-01-01T00:00:00Z")] == ["SO-1"]
    assert await world.rows(path + "2999-01-01") == []


async def test_order_top_skip_and_count(world: World) -> None:
    assert await _accounts(world, "$orderby=CreditLimit desc&$top=2") == ["US-001", "US-005"]
    assert await _accounts(world, "$orderby=CreditLimit desc,CustomerAccount desc&$skip=3") == ["US-004", "US-003"]
    body = decode((await world.get("CustomersV3?$count=true&$top=1")).content)
    assert (body["@odata.count"], len(body["value"])) == (5, 1)
    assert (await world.get("CustomersV3/$count?$filter=CreditLimit eq 0")).text == "2"


async def test_pages_follow_next_links_and_lose_nothing(world: World) -> None:
    for number in range(23):
        customer(world.finance, f"P-{number:03}", "1")
    seen: list[str] = []
    path: str | None = "CustomersV3?$select=CustomerAccount&$filter=CustomerAccount eq 'P-*'"
    pages = 0
    while path is not None:
        body = decode((await world.get(path, Prefer="odata.maxpagesize=10")).content)
        seen += [row["CustomerAccount"] for row in body["value"]]
        path = body.get("@odata.nextLink", "").removeprefix(f"{ORIGIN}/data/") or None
        pages += 1
    assert pages == 3
    assert seen == [f"P-{number:03}" for number in range(23)]


async def test_contexts_name_what_was_asked(world: World) -> None:
    root = f"{ORIGIN}/data/$metadata#Currencies"
    for path, context in (
        ("Currencies", root),
        ("Currencies?$select=CurrencyCode,Name", root + "(CurrencyCode,Name)"),
        ("Currencies('USD')", root + "/$entity"),
        ("Currencies(CurrencyCode='USD')", root + "/$entity"),
    ):
        assert decode((await world.get(path)).content)["@odata.context"] == context


async def test_amounts_keep_every_digit(world: World) -> None:
    await world.send(
        "PATCH",
        "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')",
        {"CreditLimit": Decimal("12345678901234.10")},
    )
    answer = await world.get("CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')?$select=CreditLimit")
    assert '"CreditLimit":12345678901234.10' in answer.text


async def test_empty_columns_have_finances_empty_values(world: World) -> None:
    world.order("SO-1")
    row = decode((await world.get(KEY)).content)
    assert row["ConfirmedShippingDate"] == "1900-01-01T12:00:00Z"
    assert row["CampaignId"] == ""
    assert row["IsExportSale"] == "No"
    assert row["FixedExchangeRate"] == 0
    assert row["TransportationDocumentLineId"] == "00000000-0000-0000-0000-000000000000"


async def test_expand_reaches_lines_of_v2_orders_and_v4_invoices(world: World) -> None:
    world.order("SO-1", {"OrderedSalesQuantity": 2}, {"OrderedSalesQuantity": 3})
    path = "SalesOrderHeadersV2(dataAreaId='usmf',SalesOrderNumber='SO-1')?$expand=SalesOrderLines"
    lines = decode((await world.get(path)).content)["SalesOrderLines"]
    assert [line["OrderedSalesQuantity"] for line in lines] == [2, 3]
    narrowed = decode((await world.get(path + "($select=LineCreationSequenceNumber)")).content)["SalesOrderLines"]
    assert [line["LineCreationSequenceNumber"] for line in narrowed] == [1, 2]
    world.ok("packingSlip", SalesOrderId="SO-1")
    world.ok("invoice", SalesOrderId="SO-1")
    [invoice] = await world.rows(
        "SalesInvoiceHeadersV4?$filter=SalesOrderNumber eq 'SO-1'&$expand=SalesInvoiceLinesV4($select=InvoicedQuantity)"
    )
    assert [line["InvoicedQuantity"] for line in invoice["SalesInvoiceLinesV4"]] == [2, 3]


async def test_v4_orders_have_no_lines_to_expand(world: World) -> None:
    answer = await world.get(f"{HEADERS}?$expand=SalesOrderLines")
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["SalesOrderLinesV2", "SalesInvoiceLinesV2", "InventoryOnHandV2", "Nothing"])
async def test_sets_that_do_not_exist_are_404_without_inner_error(world: World, path: str) -> None:
    answer = await world.get(path)
    assert answer.status_code == 404
    assert set(decode(answer.content)["error"]) == {"code", "message"}


# --- single rows ---------------------------------------------------------------------------------------------------


async def test_a_key_needs_all_its_parts(world: World) -> None:
    world.order("SO-1")
    assert (await world.get(KEY)).status_code == 200
    assert (await world.get("SalesOrderHeadersV4(SalesOrderNumber='SO-1')")).status_code == 400
    assert (await world.get("SalesOrderHeadersV4('SO-1')")).status_code == 400
    assert (await world.get("SalesOrderHeadersV4(dataAreaId='usmf',SalesOrderNumber='SO-2')")).status_code == 404


async def test_patch_only_updates(world: World) -> None:
    answer = await world.send("PATCH", KEY, {"Email": "a@b.example"})
    assert answer.status_code == 400
    world.order("SO-1")
    answer = await world.send("PATCH", KEY, {"Email": "a@b.example"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert world.header("SO-1")["Email"] == "a@b.example"
    answer = await world.send("PATCH", KEY, {"Email": "c@d.example"}, Prefer="return=representation")
    assert (answer.status_code, decode(answer.content)["Email"]) == (200, "c@d.example")


async def test_post_answers_with_the_row_and_its_address(world: World) -> None:
    answer = await world.send(
        "POST", HEADERS, {"dataAreaId": "usmf", "SalesOrderNumber": "SO-1", "OrderingCustomerAccountNumber": "US-001"}
    )
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{ORIGIN}/data/{KEY}"
    body = decode(answer.content)
    assert body["SalesOrderNumber"] == "SO-1"
    assert answer.headers["ETag"] == body["@odata.etag"]


async def test_etags_are_version_and_record_pairs_and_stale_ones_are_412(world: World) -> None:
    world.order("SO-1")
    first = decode((await world.get(KEY)).content)["@odata.etag"]
    opaque = base64.b64decode(re.fullmatch(r'W/"(.+)"', first)[1]).decode()  # type: ignore[index]
    assert re.fullmatch(r"'\d+,\d+(;0,0){5}'", opaque)
    assert (await world.send("PATCH", KEY, {"Email": "1@b.example"}, **{"If-Match": first})).status_code == 204
    stale = await world.send("PATCH", KEY, {"Email": "2@b.example"}, **{"If-Match": first})
    assert stale.status_code == 412
    assert world.header("SO-1")["Email"] == "1@b.example"
    assert (await world.send("PATCH", KEY, {"Email": "3@b.example"}, **{"If-Match": "*"})).status_code == 204
    assert (await world.send("DELETE", KEY, **{"If-Match": first})).status_code == 412
    assert (await world.send("DELETE", KEY)).status_code == 204
    assert (await world.get(KEY)).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"NoSuchProperty": 1},
        {"CreditLimit": "100"},
        {"CreditLimit": None},
        {"CreditLimit": 10**16},
        {"ConsolidationDay": 2**31},
        {"OnHoldStatus": "Blocked"},
        {"OnHoldStatus": 1},
        {"CredManCustUnlimitedCredit": True},
        {"CredManCreditLimitExpiryDate": "tomorrow"},
        {"OrganizationName": 5},
    ],
)
async def test_bodies_of_the_wrong_shape_are_400(world: World, body: dict[str, object]) -> None:
    path = "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')"
    answer = await world.send("PATCH", path, body)
    assert answer.status_code == 400
    assert decode(answer.content)["error"]["innererror"]["type"] == "Microsoft.OData.ODataException"


@pytest.mark.parametrize(
    "name",
    ["SalesInvoiceHeadersV4", "CustTransactions", "CustTransOpens", "SalesTableBiEntities", "SalesPriceAgreements"],
)
async def test_posted_documents_and_bi_entities_are_read_only(world: World, name: str) -> None:
    answer = await world.send("POST", name, {"dataAreaId": "usmf"})
    assert answer.status_code == 405


# --- batches -------------------------------------------------------------------------------------------------------

ORDER = {"dataAreaId": "usmf", "SalesOrderNumber": "Q2C-1", "OrderingCustomerAccountNumber": "US-001"}
LINE = {"dataAreaId": "usmf", "SalesOrderNumber": "Q2C-1", "ItemNumber": "P100", "OrderedSalesQuantity": 10}
PROBE = (
    ("GET", "SalesOrderHeadersV4(dataAreaId='usmf',SalesOrderNumber='Q2C-1')"),
    ("GET", "SalesOrderLinesV3?$filter=dataAreaId%20eq%20'usmf'%20and%20SalesOrderNumber%20eq%20'Q2C-1'"),
)


async def test_probe_and_create_in_one_batch(world: World) -> None:
    changes = [("POST", HEADERS, ORDER), ("POST", "SalesOrderLinesV3", LINE), ("POST", "SalesOrderLinesV3", LINE)]
    parts = await world.batch(*PROBE, changes)
    assert [part.status for part in parts] == [404, 200, 201, 201, 201]
    assert parts[1].body["value"] == []
    again = await world.batch(*PROBE, changes)
    assert [part.status for part in again] == [200, 200, 500]
    assert len(again[1].body["value"]) == 2
    inner = again[2].body["error"]["innererror"]
    assert inner["type"].endswith("AxODataWriteException")
    assert "The record already exists" in inner["message"]
    assert len(await world.rows("SalesOrderLinesV3?$filter=SalesOrderNumber eq 'Q2C-1'")) == 2


async def test_a_failed_change_set_leaves_nothing_and_is_one_part(world: World) -> None:
    bad = LINE | {"ItemNumber": "NOPE"}
    parts = await world.batch([("POST", HEADERS, ORDER), ("POST", "SalesOrderLinesV3", bad)], ("GET", "Currencies"))
    assert [part.status for part in parts] == [500, 200]
    assert "Infolog: Warning: The value 'NOPE' in field 'Item number'" in str(parts[0].body)
    assert await world.rows(f"{HEADERS}?$filter=SalesOrderNumber eq 'Q2C-1'") == []


async def test_a_refusal_is_400_alone_and_500_in_a_batch(world: World) -> None:
    bad = {"dataAreaId": "usmf", "SalesOrderNumber": "Q2C-1", "OrderingCustomerAccountNumber": "NOPE"}
    alone = await world.send("POST", HEADERS, bad)
    assert alone.status_code == 400
    [inside] = await world.batch([("POST", HEADERS, bad)])
    assert inside.status == 500
    assert inside.body == decode(alone.content)
    assert inside.body["error"]["code"] == ""
    assert inside.body["error"]["message"] == "An error has occurred."


async def test_a_duplicate_is_500_alone_too(world: World) -> None:
    assert (await world.send("POST", HEADERS, ORDER)).status_code == 201
    again = await world.send("POST", HEADERS, ORDER)
    assert again.status_code == 500
    assert "Cannot create a record in Sales orders (SalesTable)" in again.text


async def test_a_batch_that_cannot_be_read_is_400(world: World) -> None:
    answer = await world.client.post("/data/$batch", content=b"nothing", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400
