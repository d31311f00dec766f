"""Reading and writing rows over the Web API: queries, pages, keys, conditions, errors, sign-in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from sandbox.odata.jsonio import decode
from tests.contract.dataverse_world import APPLICATION, ORIGIN, RITA_OID, ROOT, World, bind, person_token, token

NOWHERE = "00000000-0000-4000-8000-00000000dead"


def _names(body: dict[str, Any]) -> list[str]:
    return [row["name"] for row in body["value"]]


def _accounts(sales: World, *names: str) -> None:
    for name in names:
        sales.dataverse.create("accounts", {"name": name})


# --- sign-in ---------------------------------------------------------------------------------------------------------


def test_without_a_token_401_names_the_authority(sales: World) -> None:
    answer = sales.request("GET", "WhoAmI", bearer="")

    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer authorization_uri=https://entra.example/")
    assert challenge.endswith(f"resource_id={ORIGIN}/")


@pytest.mark.parametrize(
    "bad", [token(APPLICATION, lifetime=-10), token(APPLICATION, audience="https://other.example")]
)
def test_an_expired_token_or_one_for_another_resource_is_401(sales: World, bad: str) -> None:
    assert sales.request("GET", "WhoAmI", bearer=bad).status_code == 401


def test_a_token_whose_audience_ends_with_a_slash_is_accepted(sales: World) -> None:
    assert sales.request("GET", "WhoAmI", bearer=token(APPLICATION, audience=f"{ORIGIN}/")).status_code == 200


def test_an_application_without_a_user_is_403(sales: World) -> None:
    answer = sales.request("GET", "WhoAmI", bearer=token(NOWHERE))

    assert answer.status_code == 403
    assert decode(answer.content)["error"]["code"] == "0x80072560"


def test_who_am_i_knows_the_application_user_and_a_person(sales: World) -> None:
    assert sales.get("WhoAmI")["UserId"] == sales.app_user
    answer = sales.request("GET", "WhoAmI", bearer=person_token(RITA_OID))
    assert decode(answer.content)["UserId"] == sales.rita
    assert decode(answer.content)["BusinessUnitId"] == sales.unit


def test_caller_object_id_acts_for_a_person(sales: World) -> None:
    sales.request("POST", "accounts", {"name": "By rita"}, CallerObjectId=RITA_OID)

    assert sales.dataverse.rows("account", name="By rita")[0]["_createdby_value"] == sales.rita


# --- reading ---------------------------------------------------------------------------------------------------------


def test_select_returns_the_columns_asked_for_the_key_and_the_etag(sales: World) -> None:
    row = sales.get(f"accounts({sales.account})?$select=name,transactioncurrencyid")

    assert set(row) == {"@odata.context", "@odata.etag", "name", "_transactioncurrencyid_value", "accountid"}
    assert row["@odata.context"] == f"{ORIGIN}{ROOT}/$metadata#accounts(name,transactioncurrencyid)/$entity"


def test_expand_reads_lookups_and_lines_with_their_own_options(sales: World) -> None:
    quote = sales.quote(sales.line("1"), sales.line("2", sales.p250))
    expand = (
        "customerid_account($select=accountnumber),transactioncurrencyid($select=isocurrencycode),"
        "quote_details($select=quantity;$orderby=lineitemnumber desc)"
    )

    row = sales.get(f"quotes({quote['quoteid']})?$select=name&$expand={expand}")

    assert row["customerid_account"]["accountnumber"] == "US-001"
    assert row["transactioncurrencyid"]["isocurrencycode"] == "USD"
    assert [line["quantity"] for line in row["quote_details"]] == [Decimal(2), Decimal(1)]


def test_a_single_expansion_comes_whole_with_a_link_that_returns_the_same_rows(sales: World) -> None:
    quote = sales.quote(sales.line("1"), sales.line("2", sales.p250))
    expand = "quote_details($select=quantity;$filter=quantity gt 0;$orderby=lineitemnumber desc)"

    (row,) = sales.get(f"quotes?$expand={expand}", Prefer="odata.maxpagesize=1")["value"]

    link = row["quote_details@odata.nextLink"]
    assert link == (
        f"{ORIGIN}{ROOT}/quotes({quote['quoteid']})/quote_details"
        "?$select=quantity&$filter=quantity%20gt%200&$orderby=lineitemnumber%20desc"
    )
    assert sales.get(link)["value"] == row["quote_details"]
    assert len(row["quote_details"]) == 2


def test_nested_expansions_are_paged(sales: World) -> None:
    quote = sales.quote(sales.line("1"), sales.line("2", sales.p250), sales.line("3"))
    expand = "quote_details($select=quantity;$expand=productid($select=productnumber))"

    row = sales.get(f"quotes({quote['quoteid']})?$select=name&$expand={expand}", Prefer="odata.maxpagesize=2")
    rest = sales.get(row["quote_details@odata.nextLink"], Prefer="odata.maxpagesize=2")

    lines = [*row["quote_details"], *rest["value"]]
    assert (len(row["quote_details"]), len(rest["value"])) == (2, 1)
    assert "@odata.nextLink" not in rest
    assert sorted((line["quantity"], line["productid"]["productnumber"]) for line in lines) == [
        (1, "P100"),
        (2, "P250"),
        (3, "P100"),
    ]


@pytest.mark.parametrize(
    "expand",
    [
        "quote_details($orderby=lineitemnumber;$expand=productid)",
        "quote_details($top=1;$expand=productid)",
        "quote_details($expand=productid($top=1))",
        "customerid_account($top=1)",
        "customerid_account($orderby=name)",
    ],
)
def test_order_and_top_are_for_single_expansions_of_collections(sales: World, expand: str) -> None:
    sales.quote(sales.line("1"))

    status, code, message = sales.refused("GET", f"quotes?$expand={expand}")

    assert (status, code) == (400, "0x80060888")
    assert message.startswith("Only $select and $filter clause can be provided")


def test_navigation_names_are_case_sensitive(sales: World) -> None:
    status, code, message = sales.refused("GET", "salesorderdetails?$expand=quotedetailid")

    assert (status, code) == (400, "0x80060888")
    assert "Could not find a property named 'quotedetailid'" in message


def test_annotations_are_given_when_asked_for(sales: World) -> None:
    quote = sales.quote(sales.line("10"))
    path = f"quotes({quote['quoteid']})?$select=statecode,totalamount,_customerid_value"

    plain = sales.get(path)
    full = sales.get(path, Prefer='odata.include-annotations="*"')

    assert not any("@OData.Community" in name for name in plain)
    formatted = "@OData.Community.Display.V1.FormattedValue"
    assert full[f"statecode{formatted}"] == "Draft"
    assert full[f"totalamount{formatted}"] == "$1,000.00"
    assert full[f"_customerid_value{formatted}"] == "Contoso Retail"
    assert full["_customerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    assert full["_customerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"] == "customerid_account"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name eq 'alpha'", ["Alpha"]),
        ("name eq 'Alpha' or name eq 'Beta'", ["Alpha", "Beta"]),
        ("contains(name,'et') and accountnumber eq null", ["Beta", "Zeta"]),
        ("startswith(name,'be')", ["Beta"]),
        ("endswith(name,'TA') and name ne 'Zeta'", ["Beta"]),
        ("not contains(name,'a')", []),
        ("creditlimit gt 100", ["Zeta"]),
        ("creditlimit eq null and accountnumber eq null", ["Alpha", "Beta"]),
        ("creditlimit ne 500.00 and accountnumber eq null", ["Alpha", "Beta"]),
        ("Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=['Beta','Zeta'])", ["Beta", "Zeta"]),
        ("transactioncurrencyid/isocurrencycode eq 'EUR'", ["Zeta"]),
        ("createdon ge 2000-01-01T00:00:00Z and accountnumber eq null", ["Alpha", "Beta", "Zeta"]),
        ("statecode eq 0 and name eq 'O''Neil'", []),
    ],
)
def test_filters(sales: World, condition: str, expected: list[str]) -> None:
    _accounts(sales, "Alpha", "Beta")
    zeta = {
        "name": "Zeta",
        "creditlimit": Decimal(500),
        **bind("transactioncurrencyid", "transactioncurrencies", sales.eur),
    }
    sales.dataverse.create("accounts", zeta)

    found = sales.get(f"accounts?$select=name&$orderby=name&$filter={condition}")

    assert _names(found) == expected


@pytest.mark.parametrize(
    "query",
    [
        "$select=nothing",
        "$filter=nothing eq 1",
        "$filter=name eq",
        "$filter=name in ('a')",
        "$filter=creditlimit eq 'abc'",
        "$orderby=nothing",
        "$expand=nothing",
        "$skip=1",
        "$top=-1",
        "$apply=aggregate(x)",
    ],
)
def test_a_query_that_is_wrong_is_400(sales: World, query: str) -> None:
    status, code, message = sales.refused("GET", f"accounts?{query}")

    assert status == 400
    assert code == "0x80060888"
    assert message


def test_order_top_and_count(sales: World) -> None:
    _accounts(sales, "A", "B", "C")

    found = sales.get("accounts?$select=name&$orderby=name desc&$top=2&$count=true&$filter=accountnumber eq null")

    assert _names(found) == ["C", "B"]
    assert found["@odata.count"] == 3
    assert sales.request("GET", "accounts/$count?$filter=accountnumber eq null").text == "3"


def test_pages_follow_the_next_link_to_the_end(sales: World) -> None:
    _accounts(sales, *(f"Page {number}" for number in range(7)))
    path = "accounts?$select=name&$orderby=name&$filter=startswith(name,'Page')&$top=1"
    pages: list[list[str]] = []

    while path:
        answer = sales.request("GET", path, Prefer="odata.maxpagesize=3")
        body = decode(answer.content)
        assert answer.headers["Preference-Applied"] == "odata.maxpagesize=3"
        pages.append(_names(body))
        path = body.get("@odata.nextLink", "")

    assert pages == [["Page 0", "Page 1", "Page 2"], ["Page 3", "Page 4", "Page 5"], ["Page 6"]]


def test_a_row_written_between_two_pages_moves_no_other_row(sales: World) -> None:
    _accounts(sales, *(f"Page {number}" for number in range(4)))
    path = "accounts?$select=name&$orderby=name&$filter=startswith(name,'Page')"
    first = decode(sales.request("GET", path, Prefer="odata.maxpagesize=2").content)

    _accounts(sales, "Page 0a")
    second = decode(sales.request("GET", first["@odata.nextLink"], Prefer="odata.maxpagesize=2").content)

    assert _names(first) + _names(second) == ["Page 0", "Page 1", "Page 2", "Page 3"]


def test_navigation_addresses_below_a_row(sales: World) -> None:
    quote = sales.quote(sales.line("3"))
    row = f"quotes({quote['quoteid']})"

    assert [line["quantity"] for line in sales.get(f"{row}/quote_details?$select=quantity")["value"]] == [Decimal(3)]
    assert sales.get(f"{row}/customerid_account?$select=name")["name"] == "Contoso Retail"
    assert sales.get(f"{row}/name")["value"] == "A quote"


def test_an_unchanged_row_is_304(sales: World) -> None:
    row = sales.get(f"accounts({sales.account})?$select=name")

    answer = sales.request("GET", f"accounts({sales.account})?$select=name", If_None_Match=row["@odata.etag"])

    assert answer.status_code == 304


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"accounts({NOWHERE})", 404, "0x80040217"),
        ("salesorders(q2c_financeordernumber='none')", 404, "0x80060891"),
        ("accounts(accountnumber='US-001')", 400, "0x80060888"),
        ("Accounts", 404, "0x8006088a"),
        ("NoSuchFunction", 404, "0x8006088a"),
    ],
)
def test_addresses_that_lead_nowhere(sales: World, path: str, status: int, code: str) -> None:
    assert sales.refused("GET", path)[:2] == (status, code)


# --- writing ---------------------------------------------------------------------------------------------------------


def test_create_answers_204_with_the_address_of_the_row(sales: World) -> None:
    answer = sales.request("POST", "accounts", {"name": "New", "creditlimit": Decimal("1234.56")})

    assert answer.status_code == 204
    assert answer.content == b""
    address = answer.headers["OData-EntityId"]
    assert address.startswith(f"{ORIGIN}{ROOT}/accounts(")
    assert sales.get(f"{address}?$select=creditlimit")["creditlimit"] == Decimal("1234.56")


def test_create_with_representation_answers_201_without_the_address(sales: World) -> None:
    answer = sales.request("POST", "accounts?$select=name", {"name": "New"}, Prefer="return=representation")

    assert answer.status_code == 201
    assert "OData-EntityId" not in answer.headers
    assert answer.headers["Preference-Applied"] == "return=representation"
    assert decode(answer.content)["name"] == "New"


def test_deep_insert_creates_the_lines_with_the_document(sales: World) -> None:
    body = {
        "name": "Deep",
        **bind("customerid_account", "accounts", sales.account),
        **bind("pricelevelid", "pricelevels", sales.prices),
        "quote_details": [sales.line("1"), sales.line("2", sales.p250)],
    }

    answer = sales.request("POST", "quotes?$select=totalamount", body, Prefer="return=representation")

    assert decode(answer.content)["totalamount"] == Decimal("600.00")


def test_a_deep_insert_with_one_bad_line_creates_nothing(sales: World) -> None:
    body = {"name": "Bad deep", "quote_details": [sales.line("1"), {"quantity": "many"}]}

    status, code, _ = sales.refused("POST", "quotes", body)

    assert (status, code) == (400, "0x80048d19")
    assert sales.dataverse.rows("quote") == []
    assert sales.dataverse.rows("quotedetail") == []


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"nme": "x"}, "0x80048d19", "The property 'nme' does not exist"),
        ({"name": 5}, "0x80048d19", "expected type 'Edm.String'"),
        ({"creditlimit": "5"}, "0x80048d19", "expected type 'Edm.Decimal'"),
        ({"creditonhold": 1}, "0x80048d19", "expected type 'Edm.Boolean'"),
        ({"accountid": "5"}, "0x80048d19", "expected type 'Edm.Guid'"),
        ({"name": "x" * 161}, "0x80044331", "maximum allowed length of '160'"),
        ({"customertypecode": 99}, "0x8004431A", "outside the valid range"),
        ({"_primarycontactid_value": NOWHERE}, "0x80048d19", "Use Navigation properties instead"),
        ({"PrimaryContactId@odata.bind": f"/contacts({NOWHERE})"}, "0x80048d19", "undeclared property"),
        ({"primarycontactid@odata.bind": f"/contacts({NOWHERE})"}, "0x80040217", "Does Not Exist"),
    ],
)
def test_bodies_that_are_wrong(sales: World, body: dict[str, Any], code: str, text: str) -> None:
    before = len(sales.dataverse.rows("account"))

    status, found, message = sales.refused("POST", "accounts", {"name": "Wrong", **body})

    assert found == code
    assert text in message
    assert status == (404 if code == "0x80040217" else 400)
    assert len(sales.dataverse.rows("account")) == before


@pytest.mark.parametrize("day", ["0020-11-30", "1752-12-31", "0001-01-01"])
def test_no_moment_before_1753_is_stored_or_asked_for(sales: World, day: str) -> None:
    for method, path, body in (
        ("POST", "opportunities", {"name": "Early", "estimatedclosedate": day}),
        ("POST", "opportunities", {"name": "Early", "actualclosedate": day}),
        ("GET", f"opportunities?$filter=createdon lt {day}T00:00:00Z", None),
    ):
        status, code, message = sales.refused(method, path, body)
        assert (status, code) == (400, "0x80040239")
        year, month, of_month = day.split("-")
        assert f"Actual value: {month}/{of_month}/{year} 00:00:00, Minimum value supported: 01/01/1753" in message
    assert not [row for row in sales.dataverse.rows("opportunity") if row["name"] == "Early"]


def test_a_column_the_system_requires_must_be_sent(sales: World) -> None:
    assert sales.refused("POST", "products", {"name": "No number"})[:2] == (400, "0x80040200")


def test_a_body_that_is_no_json_is_400(sales: World) -> None:
    assert sales.request("POST", "accounts", b"{").status_code == 400


def test_patch_updates_and_raises_the_version(sales: World) -> None:
    before = sales.get(f"accounts({sales.account})")

    answer = sales.request("PATCH", f"accounts({sales.account})", {"name": "Renamed"})

    after = sales.get(f"accounts({sales.account})")
    assert answer.status_code == 204
    assert after["name"] == "Renamed"
    assert after["versionnumber"] > before["versionnumber"]
    assert after["@odata.etag"] == f'W/"{after["versionnumber"]}"'


def test_patch_of_a_missing_row_creates_it_unless_if_match_forbids(sales: World) -> None:
    assert sales.refused("PATCH", f"accounts({NOWHERE})", {"name": "x"}, If_Match="*")[:2] == (404, "0x80040217")

    answer = sales.request("PATCH", f"accounts({NOWHERE})", {"name": "Upserted"})

    assert answer.status_code == 204
    assert sales.get(f"accounts({NOWHERE})?$select=name")["name"] == "Upserted"


def test_if_none_match_creates_only(sales: World) -> None:
    status, code, _ = sales.refused("PATCH", f"accounts({sales.account})", {"name": "x"}, If_None_Match="*")

    assert (status, code) == (412, "0x80040237")
    assert sales.get(f"accounts({sales.account})")["name"] == "Contoso Retail"


def test_a_stale_etag_is_412_and_changes_nothing(sales: World) -> None:
    stale = sales.get(f"accounts({sales.account})")["@odata.etag"]
    sales.request("PATCH", f"accounts({sales.account})", {"telephone1": "1"})

    status, code, _ = sales.refused("PATCH", f"accounts({sales.account})", {"telephone1": "2"}, If_Match=stale)

    assert (status, code) == (412, "0x80060882")
    assert sales.get(f"accounts({sales.account})")["telephone1"] == "1"
    assert sales.refused("DELETE", f"accounts({sales.account})", If_Match=stale)[0] == 412


def test_upsert_by_alternate_key_creates_then_updates(sales: World) -> None:
    address = "salesorders(q2c_financeordernumber='Q2C-ABC')"

    created = sales.request("PATCH", f"{address}?$select=salesorderid", {"name": "1"}, Prefer="return=representation")
    updated = sales.request("PATCH", f"{address}?$select=salesorderid", {"name": "2"}, Prefer="return=representation")

    assert (created.status_code, updated.status_code) == (201, 200)
    assert decode(created.content)["salesorderid"] == decode(updated.content)["salesorderid"]
    row = sales.get(address)
    assert (row["name"], row["q2c_financeordernumber"]) == ("2", "Q2C-ABC")


def test_keys_must_be_unique(sales: World) -> None:
    sales.dataverse.create("invoices", {"name": "1", "q2c_financeinvoicenumber": "INV-1"})

    again = {"name": "2", "q2c_financeinvoicenumber": "inv-1"}
    assert sales.refused("POST", "invoices", again)[:2] == (412, "0x80060892")
    twin = {"name": "2", "accountid": sales.account}
    assert sales.refused("POST", "accounts", twin)[:2] == (412, "0x80040237")


def test_columns_callers_cannot_set_keep_their_values(sales: World) -> None:
    sales.request("PATCH", f"accounts({sales.account})", {"createdon": "2001-01-01T00:00:00Z", "versionnumber": 7})

    row = sales.get(f"accounts({sales.account})")
    assert not row["createdon"].startswith("2001")
    assert row["versionnumber"] > 1000


def test_delete_removes_a_row_with_its_lines(sales: World) -> None:
    quote = sales.quote(sales.line("1"))

    assert sales.request("DELETE", f"quotes({quote['quoteid']})").status_code == 204

    assert sales.refused("GET", f"quotes({quote['quoteid']})")[0] == 404
    assert sales.dataverse.rows("quotedetail") == []


def test_a_lookup_is_set_and_cleared_by_its_reference(sales: World) -> None:
    contact = sales.dataverse.create("contacts", {"lastname": "Primary"})["contactid"]
    reference = {"@odata.id": f"{ORIGIN}{ROOT}/contacts({contact})"}

    sales.request("PUT", f"accounts({sales.account})/primarycontactid/$ref", reference)
    assert sales.get(f"accounts({sales.account})")["_primarycontactid_value"] == contact

    sales.request("DELETE", f"accounts({sales.account})/primarycontactid/$ref")
    assert sales.get(f"accounts({sales.account})")["_primarycontactid_value"] is None


def test_methods_a_resource_does_not_take_are_405(sales: World) -> None:
    assert sales.refused("DELETE", "accounts")[0] == 405
    assert sales.refused("GET", "WinQuote")[0] == 405


def test_amounts_keep_every_digit(sales: World) -> None:
    quote = sales.quote(sales.line("0.1", ispriceoverridden=True, priceperunit="99.99"), sales.line("3"))

    answer = sales.request("GET", f"quotes({quote['quoteid']})?$select=totalamount")

    assert '"totalamount":310.0000' in answer.text


def test_deep_insert_creates_the_row_a_lookup_points_to(sales: World) -> None:
    sales.request("POST", "accounts", {"name": "With contact", "primarycontactid": {"lastname": "Nested"}})

    (account,) = sales.dataverse.query("accounts", "name eq 'With contact'")
    (contact,) = sales.dataverse.rows("contact")
    assert account["_primarycontactid_value"] == contact["contactid"]
    assert contact["lastname"] == "Nested"


def test_errors_carry_details_when_annotations_are_asked_for(sales: World) -> None:
    answer = sales.request("GET", "accounts?$select=nothing", Prefer='odata.include-annotations="*"')

    error = decode(answer.content)["error"]
    assert error["@Microsoft.PowerApps.CDS.InnerError.Message"] == error["message"]
    assert answer.headers["x-ms-service-request-id"]
