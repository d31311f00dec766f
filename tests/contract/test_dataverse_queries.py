"""What clients ask beyond a plain query: any and all, $apply, FetchXML, SQL, single columns, references, functions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest

from sandbox.odata.jsonio import decode
from tests.contract.dataverse_world import ORIGIN, ROOT, World, bind

ALL = 'odata.include-annotations="*"'


@pytest.fixture
def stock(sales: World) -> World:
    """Three accounts in two cities with their contacts, and quotes of one and two lines."""
    for name, city, limit in (("Alpha", "Oslo", 100), ("Beta", "Oslo", 300), ("Gamma", "Rome", None)):
        row = {"name": name, "address1_city": city, "creditlimit": limit, "accountnumber": name[0]}
        sales.dataverse.create("accounts", row)
    (alpha,) = sales.dataverse.rows("account", name="Alpha")
    (beta,) = sales.dataverse.rows("account", name="Beta")
    for last, account in (("Aas", alpha), ("Abel", alpha), ("Berg", beta)):
        body = {"lastname": last, "emailaddress1": f"{last}@example.com".lower()}
        sales.dataverse.create("contacts", body | bind("parentcustomerid_account", "accounts", account["accountid"]))
    sales.quote(sales.line("1"), quotenumber="Q-1", **bind("customerid_account", "accounts", alpha["accountid"]))
    sales.quote(sales.line("2"), sales.line("20", sales.p250), quotenumber="Q-2")
    return sales


def _names(rows: list[dict[str, Any]], column: str = "name") -> list[Any]:
    return [row[column] for row in rows]


# --- any and all -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entity_set", "condition", "column", "expected"),
    [
        ("quotes", "quote_details/any(d:d/quantity gt 10)", "quotenumber", ["Q-2"]),
        ("quotes", "quote_details/all(d:d/quantity lt 10)", "quotenumber", ["Q-1"]),
        ("quotes", "quote_details/any()", "quotenumber", ["Q-1", "Q-2"]),
        ("quotes", "not quote_details/any(d:d/quantity eq 20)", "quotenumber", ["Q-1"]),
        ("quotes", "quote_details/any(d:d/productid/productnumber eq 'P250')", "quotenumber", ["Q-2"]),
        ("accounts", "contact_customer_accounts/any(c:startswith(c/lastname,'A')) and name ne 'x'", "name", ["Alpha"]),
        ("accounts", "quote_customer_accounts/any(q:q/quote_details/any(d:d/quantity eq 1))", "name", ["Alpha"]),
    ],
)
def test_any_and_all(stock: World, entity_set: str, condition: str, column: str, expected: list[str]) -> None:
    found = stock.get(f"{entity_set}?$select={column}&$orderby={column}&$filter={condition}")

    assert _names(found["value"], column) == expected


@pytest.mark.parametrize(
    "condition", ["quote_details/any(d:quantity gt 1)", "nothing/any(d:d/x eq 1)", "quote_details/all()", "name/any()"]
)
def test_lambdas_that_are_wrong_are_refused(stock: World, condition: str) -> None:
    assert stock.refused("GET", f"quotes?$filter={condition}")[:2] == (400, "0x80060888")


# --- $apply ----------------------------------------------------------------------------------------------------------


def test_apply_groups_and_aggregates(stock: World) -> None:
    apply = (
        "groupby((address1_city),aggregate($count as number,creditlimit with sum as total,creditlimit with average as"
        " mean,creditlimit with max as most,name with countdistinct as names))"
    )
    found = stock.get(f"accounts?$filter=address1_city ne null&$apply={apply}")["value"]

    assert sorted(found, key=lambda row: str(row["address1_city"])) == [
        {"address1_city": "Oslo", "number": 2, "total": 400, "mean": 200, "most": 300, "names": 2},
        {"address1_city": "Rome", "number": 1, "total": None, "mean": None, "most": None, "names": 1},
    ]


def test_apply_filters_first_and_follows_lookups(stock: World) -> None:
    total = stock.get("accounts?$apply=filter(address1_city eq 'Oslo')/aggregate(creditlimit with sum as total)")
    by_account = stock.get("contacts?$apply=groupby((parentcustomerid_account/name),aggregate($count as number))")

    assert total["value"] == [{"total": 400}]
    assert sorted((row["parentcustomerid_account"]["name"], row["number"]) for row in by_account["value"]) == [
        ("Alpha", 2),
        ("Beta", 1),
    ]


@pytest.mark.parametrize(
    "apply",
    [
        "aggregate(x)",
        "aggregate(creditlimit with median as x)",
        "groupby(name)",
        "groupby((nothing))",
        "topcount(1,x)",
        "aggregate(creditlimit with sum as x",
    ],
)
def test_an_apply_that_is_wrong_is_refused(stock: World, apply: str) -> None:
    assert stock.refused("GET", f"accounts?$apply={apply}")[:2] == (400, "0x80060888")


# --- FetchXML --------------------------------------------------------------------------------------------------------


def _fetch(world: World, entity_set: str, xml: str, prefer: str = ALL) -> dict[str, Any]:
    answer = world.request("GET", f"{entity_set}?fetchXml={quote(xml)}", Prefer=prefer)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = decode(answer.content)
    return body


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('<condition attribute="name" operator="eq" value="alpha"/>', ["Alpha"]),
        ('<condition attribute="name" operator="like" value="%a%"/>', ["Alpha", "Beta", "Contoso Retail", "Gamma"]),
        ('<condition attribute="name" operator="begins-with" value="be"/>', ["Beta"]),
        ('<condition attribute="name" operator="not-begin-with" value="be"/>', ["Alpha", "Contoso Retail", "Gamma"]),
        ('<condition attribute="creditlimit" operator="gt" value="100"/>', ["Beta"]),
        ('<condition attribute="creditlimit" operator="null"/>', ["Contoso Retail", "Gamma"]),
        (
            '<condition attribute="creditlimit" operator="between"><value>50</value><value>150</value></condition>',
            ["Alpha"],
        ),
        (
            '<condition attribute="name" operator="in"><value>Beta</value><value>Gamma</value></condition>',
            ["Beta", "Gamma"],
        ),
        ('<condition attribute="address1_city" operator="ne" value="Oslo"/>', ["Contoso Retail", "Gamma"]),
        (
            '<condition attribute="createdon" operator="last-x-days" value="1"/>',
            ["Alpha", "Beta", "Contoso Retail", "Gamma"],
        ),
        ('<condition attribute="createdon" operator="older-than-x-days" value="1"/>', []),
        ('<condition attribute="createdon" operator="today"/>', ["Alpha", "Beta", "Contoso Retail", "Gamma"]),
        ('<condition attribute="statecode" operator="eq" value="1"/>', []),
        ('<condition attribute="accountnumber" operator="eq" valueof="name"/>', []),
    ],
)
def test_fetch_conditions(stock: World, condition: str, expected: list[str]) -> None:
    shape = '<attribute name="name"/><order attribute="name"/>'
    xml = f'<fetch><entity name="account">{shape}<filter>{condition}</filter></entity></fetch>'

    found = _fetch(stock, "accounts", xml)["value"]

    assert _names(found) == expected
    assert all({"accountid", "@odata.etag"} <= set(row) for row in found)


def test_fetch_filters_nest(stock: World) -> None:
    xml = """<fetch><entity name="account"><attribute name="name"/><order attribute="name" descending="true"/>
      <filter type="or"><condition attribute="name" operator="eq" value="Gamma"/>
        <filter type="and"><condition attribute="address1_city" operator="eq" value="Oslo"/>
          <condition attribute="creditlimit" operator="lt" value="200"/></filter></filter></entity></fetch>"""

    assert _names(_fetch(stock, "accounts", xml)["value"]) == ["Gamma", "Alpha"]


def test_fetch_joins_inner_and_outer(stock: World) -> None:
    join = """<fetch><entity name="account"><attribute name="name"/><order attribute="name"/>
      <link-entity name="contact" from="parentcustomerid" to="accountid" alias="c" link-type="{kind}">
        <attribute name="lastname"/><order attribute="lastname"/></link-entity></entity></fetch>"""

    inner = _fetch(stock, "accounts", join.format(kind="inner"))["value"]
    outer = _fetch(stock, "accounts", join.format(kind="outer"))["value"]

    assert [(row["name"], row["c.lastname"]) for row in inner] == [
        ("Alpha", "Aas"),
        ("Alpha", "Abel"),
        ("Beta", "Berg"),
    ]
    assert [(row["name"], row.get("c.lastname")) for row in outer][3:] == [("Contoso Retail", None), ("Gamma", None)]


@pytest.mark.parametrize(("kind", "expected"), [("any", ["Alpha"]), ("not any", ["Beta", "Contoso Retail", "Gamma"])])
def test_fetch_asks_whether_there_is_a_related_row(stock: World, kind: str, expected: list[str]) -> None:
    xml = f"""<fetch><entity name="account"><attribute name="name"/><order attribute="name"/>
      <link-entity name="contact" from="parentcustomerid" to="accountid" link-type="{kind}">
        <filter><condition attribute="lastname" operator="eq" value="Abel"/></filter></link-entity></entity></fetch>"""

    assert _names(_fetch(stock, "accounts", xml)["value"]) == expected


def test_fetch_filters_on_a_joined_table_by_alias(stock: World) -> None:
    xml = """<fetch distinct="true"><entity name="account"><attribute name="name"/>
      <filter><condition entityname="c" attribute="lastname" operator="like" value="A%"/></filter>
      <link-entity name="contact" from="parentcustomerid" to="accountid" alias="c"/></entity></fetch>"""

    assert _names(_fetch(stock, "accounts", xml)["value"]) == ["Alpha"]


def test_fetch_aggregates_by_group(stock: World) -> None:
    xml = """<fetch aggregate="true"><entity name="account">
      <attribute name="address1_city" alias="city" groupby="true"/>
      <attribute name="accountid" alias="number" aggregate="count"/>
      <attribute name="creditlimit" alias="total" aggregate="sum"/>
      <attribute name="creditlimit" alias="known" aggregate="countcolumn"/>
      <order alias="number" descending="true"/></entity></fetch>"""

    found = _fetch(stock, "accounts", xml, "return=minimal")["value"]

    assert found[0] == {"city": "Oslo", "number": 2, "total": Decimal(400), "known": 2}
    assert {row["city"] for row in found[1:]} == {"Rome", None}


def test_fetch_pages_by_cookie(sales: World) -> None:
    for number in range(7):
        sales.dataverse.create("accounts", {"name": f"Page {number}", "accountnumber": "p"})
    page, cookie, seen = 1, "", []
    while True:
        xml = f"""<fetch count="3" page="{page}" returntotalrecordcount="true"{cookie}><entity name="account">
          <attribute name="name"/><order attribute="name"/>
          <filter><condition attribute="accountnumber" operator="eq" value="p"/></filter></entity></fetch>"""
        body = _fetch(sales, "accounts", xml)
        seen += _names(body["value"])
        assert body["@Microsoft.Dynamics.CRM.totalrecordcount"] == 7
        if not body["@Microsoft.Dynamics.CRM.morerecords"]:
            break
        outer = body["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"]
        assert f'pagenumber="{page + 1}"' in outer
        inner = outer.partition('pagingcookie="')[2].partition('"')[0]
        cookie, page = f' paging-cookie="{inner}"', page + 1

    assert seen == [f"Page {number}" for number in range(7)]


def _filtered(condition: str) -> str:
    return f'<fetch><entity name="account"><filter>{condition}</filter></entity></fetch>'


@pytest.mark.parametrize(
    "xml",
    [
        "<fetch><entity",
        "<fetch/>",
        '<fetch><entity name="contact"/></fetch>',
        '<fetch><entity name="account"><attribute name="nothing"/></entity></fetch>',
        _filtered('<condition attribute="name" operator="sounds-like" value="x"/>'),
        '<fetch><entity name="account"><link-entity name="nothing" from="a" to="b"/></entity></fetch>',
        '<fetch top="1" page="2"><entity name="account"/></fetch>',
        '<fetch count="0"><entity name="account"/></fetch>',
        _filtered('<condition attribute="statecode" operator="eq" value="x"/>'),
        '<!DOCTYPE fetch [<!ENTITY a "b">]><fetch><entity name="account"/></fetch>',
    ],
)
def test_fetch_that_is_wrong_is_refused(sales: World, xml: str) -> None:
    status, _, message = sales.refused("GET", f"accounts?fetchXml={quote(xml)}")

    assert status in (400, 404)
    assert message


# --- SQL -------------------------------------------------------------------------------------------------------------


def _sql(world: World, entity_set: str, text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = world.get(f"{entity_set}?sql={quote(text)}")["value"]
    return rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT name FROM account WHERE address1_city = 'Oslo' ORDER BY name DESC", [("Beta",), ("Alpha",)]),
        ("SELECT TOP 1 name, creditlimit FROM account WHERE creditlimit > 0 ORDER BY creditlimit", [("Alpha", 100)]),
        (
            "SELECT a.name FROM account a WHERE a.name LIKE 'G%' OR a.name IN ('Beta') ORDER BY a.name",
            [("Beta",), ("Gamma",)],
        ),
        (
            "SELECT a.name, c.lastname FROM account AS a INNER JOIN contact c ON a.accountid = c.parentcustomerid"
            " WHERE c.lastname <> 'Aas' ORDER BY c.lastname",
            [("Alpha", "Abel"), ("Beta", "Berg")],
        ),
        (
            "SELECT a.name FROM account a LEFT JOIN contact c ON c.parentcustomerid = a.accountid"
            " WHERE c.contactid IS NULL AND a.creditlimit IS NULL AND a.address1_city IS NOT NULL",
            [("Gamma",)],
        ),
        ("SELECT COUNT(*) AS n FROM account WHERE creditlimit BETWEEN 50 AND 150", [(1,)]),
        (
            "SELECT address1_city, COUNT(*) AS n, SUM(creditlimit) AS total FROM account"
            " WHERE address1_city IS NOT NULL GROUP BY address1_city ORDER BY n DESC",
            [("Oslo", 2, 400), ("Rome", 1, None)],
        ),
        ("SELECT DISTINCT address1_city FROM account WHERE NOT (address1_city = 'Rome')", [("Oslo",)]),
    ],
)
def test_sql(stock: World, text: str, expected: list[tuple[Any, ...]]) -> None:
    assert [tuple(row.values()) for row in _sql(stock, "accounts", text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM account",
        "DELETE FROM account",
        "SELECT name FROM account WHERE accountid IN (SELECT accountid FROM account)",
        "SELECT name FROM nothing",
        "SELECT nothing FROM account",
        "SELECT name FROM account WHERE",
        "SELECT name FROM account WHERE name =",
        "SELECT TOP x name FROM account",
        "SELECT name FROM contact",
        "SELECT name FROM account; DROP TABLE account",
        "",
    ],
)
def test_sql_that_is_wrong_or_writes_is_refused(sales: World, text: str) -> None:
    status, _, message = sales.refused("GET", f"accounts?sql={quote(text)}")

    assert status in (400, 404)
    assert message


# --- columns, references, functions ----------------------------------------------------------------------------------


def test_a_single_column_is_read_put_and_deleted(sales: World) -> None:
    path = f"accounts({sales.account})/telephone1"

    assert sales.done("PUT", path, {"value": "555-0100"}).status_code == 204
    assert sales.get(path)["value"] == "555-0100"
    assert sales.request("GET", f"{path}/$value").text == "555-0100"
    assert sales.done("DELETE", path).status_code == 204
    assert sales.request("GET", path).status_code == 204
    assert sales.refused("PUT", path, {})[0] == 400
    assert sales.refused("PUT", f"accounts({sales.account})/nothing", {"value": 1})[0] == 404


def test_rows_are_associated_and_disassociated_by_reference(sales: World) -> None:
    contact = sales.dataverse.create("contacts", {"lastname": "Oh"})["contactid"]
    collection = f"accounts({sales.account})/contact_customer_accounts"
    address = f"{ORIGIN}{ROOT}/contacts({contact})"

    sales.done("POST", f"{collection}/$ref", {"@odata.id": address})
    assert [row["lastname"] for row in sales.get(collection)["value"]] == ["Oh"]
    assert sales.get(f"{collection}/$ref")["value"] == [{"@odata.id": address}]
    sales.done("DELETE", f"{collection}/$ref?$id={address}")
    assert sales.get(collection)["value"] == []
    sales.done("POST", f"{collection}/$ref", {"@odata.id": f"contacts({contact})"})
    sales.done("DELETE", f"{collection}({contact})/$ref")
    assert sales.request("GET", f"{collection}/$count").text == "0"
    assert sales.refused("POST", f"{collection}/$ref", {"@odata.id": f"accounts({sales.account})"})[0] == 400


def test_a_related_row_is_created_below_its_parent(sales: World) -> None:
    collection = f"accounts({sales.account})/contact_customer_accounts"

    made = sales.done("POST", collection, {"lastname": "Oh"})

    contact = made.headers["OData-EntityId"]
    assert sales.get(contact)["_parentcustomerid_value"] == sales.account
    key = contact.rpartition("(")[2].rstrip(")")
    assert sales.get(f"{collection}({key})?$select=lastname")["lastname"] == "Oh"


def test_the_total_record_count_is_up_to_a_day_old(sales: World) -> None:
    path = "RetrieveTotalRecordCount(EntityNames=@names)?@names=['account','contact']"
    collection = sales.get(path)["EntityRecordCountCollection"]
    assert (collection["Keys"], collection["Values"]) == (["account", "contact"], [1, 0])
    sales.dataverse.create("accounts", {"name": "New"})

    same = sales.get("RetrieveTotalRecordCount(EntityNames=['account'])")["EntityRecordCountCollection"]
    sales.sleep(hours=25)
    later = sales.get(path)["EntityRecordCountCollection"]

    assert (same["Values"], later["Values"]) == ([1], [2, 0])
    assert sales.refused("GET", "RetrieveTotalRecordCount(EntityNames=['nothing'])")[0] == 404


def test_counts_stop_at_five_thousand(sales: World) -> None:
    with sales.dataverse.change_set():
        for number in range(5001):
            sales.dataverse.create("accounts", {"name": f"A{number}"})

    assert sales.request("GET", "accounts/$count").text == "5000"
    body = decode(sales.request("GET", "accounts?$select=name&$count=true", Prefer=ALL).content)
    assert (body["@odata.count"], len(body["value"])) == (5000, 5000)
    assert body["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] is True
    assert "@odata.nextLink" in body


@pytest.mark.parametrize("name", ["CreateMultiple", "UpdateMultiple"])
def test_many_rows_are_written_wholly_or_not_at_all(sales: World, name: str) -> None:
    good = {"@odata.type": "Microsoft.Dynamics.CRM.account", "name": "Good"}
    if name == "UpdateMultiple":
        good |= {"accountid": sales.account}
    targets = [good, {"@odata.type": "Microsoft.Dynamics.CRM.account", "name": "x" * 161}]

    status, _, _ = sales.refused("POST", f"accounts/Microsoft.Dynamics.CRM.{name}", {"Targets": targets})

    assert status in (400, 404)
    assert [row["name"] for row in sales.dataverse.rows("account")] == ["Contoso Retail"]


def test_duplicates_are_looked_for_only_when_asked(sales: World) -> None:
    contact = {"lastname": "Oh", "emailaddress1": "oh@example.com"}
    sales.done("POST", "contacts", contact)
    sales.done("POST", "contacts", contact)

    detect = {"MSCRM.SuppressDuplicateDetection": "false"}
    assert sales.refused("POST", "contacts", contact, **detect)[:2] == (412, "0x80040333")


def test_versions_languages_and_the_organization_are_told(sales: World) -> None:
    assert sales.get("RetrieveVersion")["Version"].startswith("9.2.")
    assert sales.get("RetrieveAvailableLanguages()")["LocaleIds"] == [1033]
    told = sales.get("RetrieveCurrentOrganization(AccessType='Default')")["Detail"]
    assert (told["FriendlyName"], told["OrganizationType"]) == ("contoso", "CustomerTest")
    (organization,) = sales.get("organizations?$select=pricingdecimalprecision,expirechangetrackingindays")["value"]
    assert (organization["pricingdecimalprecision"], organization["expirechangetrackingindays"]) == (2, 7)


@pytest.mark.parametrize("condition", ['operator="eq" value="{id}"', 'operator="in"><value>{id}</value'])
def test_fetch_finds_the_same_by_an_index_as_by_looking_through_all(stock: World, condition: str) -> None:
    """An equal id is found by its index, through inner joins; `in` is looked for among all rows."""
    stock.dataverse.create("accounts", {"name": "Alpha again", "accountnumber": "a"})
    (number,) = stock.dataverse.rows("quote", quotenumber="Q-1")
    asked = condition.format(id=number["quoteid"]).removesuffix("</value")
    end = "</value></condition>" if "<value>" in asked else "/>"
    xml = f"""<fetch distinct="true"><entity name="account"><attribute name="name"/><order attribute="name"/>
        <link-entity name="account" from="accountnumber" to="accountnumber" alias="own">
        <link-entity name="quote" from="customerid" to="accountid" alias="of">
        <filter><condition attribute="quoteid" {asked}{end}</filter>
        </link-entity></link-entity></entity></fetch>"""

    assert _names(_fetch(stock, "accounts", xml)["value"]) == ["Alpha", "Alpha again"]


def test_an_id_that_only_one_of_two_conditions_asks_for_leaves_the_others(stock: World) -> None:
    (alpha,) = stock.dataverse.rows("account", name="Alpha")
    xml = f"""<fetch><entity name="account"><attribute name="name"/><order attribute="name"/><filter type="or">
        <condition attribute="accountid" operator="eq" value="{alpha["accountid"]}"/>
        <condition attribute="name" operator="eq" value="Gamma"/></filter></entity></fetch>"""

    assert _names(_fetch(stock, "accounts", xml)["value"]) == ["Alpha", "Gamma"]
