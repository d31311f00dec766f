"""Security roles: who may do what to which row, and how a refusal reads."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sandbox.dataverse import DataverseError
from sandbox.odata.jsonio import decode
from tests.contract.dataverse_world import World, bind, closing

NOTHING = "Nothing"


@pytest.fixture
def roles(sales: World) -> World:
    """The world, with a role that holds no privilege."""
    root = sales.dataverse.rows("role", name="Salesperson")[0]["_businessunitid_value"]
    sales.dataverse.create("roles", {"name": NOTHING, **bind("businessunitid", "businessunits", root)})
    return sales


def _rows(world: World, path: str, bearer: str) -> list[dict[str, object]]:
    answer = world.request("GET", path, bearer=bearer)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, object]] = decode(answer.content)["value"]
    return rows


@pytest.mark.parametrize(
    ("method", "path", "body", "privilege"),
    [
        ("GET", "quotes", None, "prvReadQuote"),
        ("GET", "quotedetails", None, "prvReadQuote"),
        ("GET", "salesorders", None, "prvReadOrder"),
        ("GET", "accounts/$count", None, "prvReadAccount"),
        ("POST", "accounts", {"name": "x"}, "prvCreateAccount"),
        ("POST", "invoices", {"name": "x"}, "prvCreateInvoice"),
    ],
)
def test_a_missing_privilege_is_named(roles: World, method: str, path: str, body: object, privilege: str) -> None:
    user, bearer = roles.person("Nobody", NOTHING)

    status, code, message = roles.refused(method, path, body, bearer=bearer)

    assert (status, code) == (403, "0x80040220")
    assert message.startswith(f"Principal user (Id={user}, type=8, roleCount=1,")
    assert f"is missing {privilege} privilege (Id=" in message
    assert message.endswith("Consider adding missed privilege to one of the principal (user/team) roles.")


def test_a_user_without_any_role_may_nothing_but_ask_who_they_are(sales: World) -> None:
    user, bearer = sales.person("Nobody", "Basic User")
    role = sales.dataverse.rows("role", name="Basic User")[0]["roleid"]
    sales.done("DELETE", f"systemusers({user})/systemuserroles_association({role})/$ref")

    assert sales.request("GET", "WhoAmI", bearer=bearer).status_code == 200
    assert sales.refused("GET", "accounts", bearer=bearer)[0] == 403


def test_reading_reaches_as_far_as_the_access_level(sales: World) -> None:
    user, bearer = sales.person("Bo", "Basic User")
    sales.dataverse.create("accounts", {"name": "Bo's", **bind("ownerid", "systemusers", user)})

    assert [row["name"] for row in _rows(sales, "accounts?$select=name", bearer)] == ["Bo's"]
    status, code, message = sales.refused("GET", f"accounts({sales.account})", bearer=bearer)
    assert (status, code) == (403, "0x80048306")
    assert message.startswith("SecLib::AccessCheckEx failed.")
    assert f"ObjectID: {sales.account}" in message
    assert message.endswith("AccessRights: ReadAccess")


def test_writing_stops_at_the_business_unit(sales: World) -> None:
    other = sales.dataverse.create("businessunits", {"name": "DEMF"})["businessunitid"]
    _, bearer = sales.person("Rolf", "Salesperson", other)
    quote = sales.quote(sales.line("1"))
    line = sales.lines(quote)[0]["quotedetailid"]

    assert sales.request("GET", f"quotes({quote['quoteid']})", bearer=bearer).status_code == 200
    for method, path, body in (
        ("PATCH", f"quotes({quote['quoteid']})", {"name": "Mine now"}),
        ("DELETE", f"quotes({quote['quoteid']})", None),
        ("PATCH", f"quotedetails({line})", {"quantity": 2}),
        ("DELETE", f"quotedetails({line})", None),
        ("POST", "CloseQuote", {"Status": 5, "QuoteClose": closing("quote", quote)}),
    ):
        assert sales.refused(method, path, body, bearer=bearer)[:2] == (403, "0x80048306"), path


def test_what_a_team_owns_its_members_may_change(sales: World) -> None:
    other = sales.dataverse.create("businessunits", {"name": "DEMF"})["businessunitid"]
    rolf, bearer = sales.person("Rolf", "Salesperson", other)
    team = sales.dataverse.create(
        "teams", {"name": "Sales desk", **bind("businessunitid", "businessunits", sales.unit)}
    )
    body = {"name": "Ours", **bind("customerid_account", "accounts", sales.account)}
    body |= bind("pricelevelid", "pricelevels", sales.prices) | bind("ownerid", "teams", team["teamid"])
    refused = sales.refused("POST", "quotes", body)
    assert refused[:2] == (403, "0x80040220") and "Principal team" in refused[2]
    sales.dataverse.assign_role(team["teamid"], "Salesperson", team=True)
    quote = sales.quote(sales.line("1"), **bind("ownerid", "teams", team["teamid"]))
    assert (quote["_owningteam_value"], quote.get("_owninguser_value")) == (team["teamid"], None)
    assert quote["_owningbusinessunit_value"] == sales.unit
    path = f"quotes({quote['quoteid']})"
    assert sales.refused("PATCH", path, {"name": "x"}, bearer=bearer)[0] == 403

    sales.done(
        "POST", f"teams({team['teamid']})/teammembership_association/$ref", {"@odata.id": f"systemusers({rolf})"}
    )

    assert sales.request("PATCH", path, {"name": "Ours"}, bearer=bearer).status_code == 204
    annotated = sales.get(f"{path}?$select=_ownerid_value", Prefer='odata.include-annotations="*"')
    assert annotated["_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "team"


def test_a_team_passes_its_role_on(sales: World) -> None:
    bo, bearer = sales.person("Bo", "Basic User")
    team = sales.dataverse.create("teams", {"name": "Readers", **bind("businessunitid", "businessunits", sales.unit)})
    role = sales.dataverse.rows("role", name="Salesperson")[0]["roleid"]
    sales.quote(sales.line("1"))
    assert sales.refused("GET", "quotes", bearer=bearer)[0] == 403

    sales.done("POST", f"teams({team['teamid']})/teamroles_association/$ref", {"@odata.id": f"roles({role})"})
    sales.done("POST", f"teams({team['teamid']})/teammembership_association/$ref", {"@odata.id": f"systemusers({bo})"})

    assert len(_rows(sales, "quotes?$select=name", bearer)) == 1
    held = decode(sales.request("GET", f"systemusers({bo})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()").content)
    assert "prvReadQuote" in {item["PrivilegeName"] for item in held["RolePrivileges"]}


def test_setting_a_lookup_needs_append_on_both_sides(roles: World) -> None:
    role = roles.dataverse.rows("role", name=NOTHING)[0]["roleid"]
    user, bearer = roles.person("Apollo", NOTHING)
    roles.dataverse.create("accounts", {"name": "Parent"})
    create = [{"PrivilegeName": f"prv{right}Contact", "Depth": "Global"} for right in ("Create", "Read")]
    grant = f"roles({role})/Microsoft.Dynamics.CRM.AddPrivilegesRole"
    roles.done("POST", grant, {"Privileges": create})
    body = {"lastname": "Oh", **bind("parentcustomerid_account", "accounts", roles.account)}
    assert roles.request("POST", "contacts", {"lastname": "Oh"}, bearer=bearer).status_code == 204

    first = roles.refused("POST", "contacts", body, bearer=bearer)
    roles.done("POST", grant, {"Privileges": [{"PrivilegeName": "prvAppendContact", "Depth": "Global"}]})
    second = roles.refused("POST", "contacts", body, bearer=bearer)
    roles.done("POST", grant, {"Privileges": [{"PrivilegeName": "prvAppendToAccount", "Depth": "3"}]})

    assert "prvAppendContact" in first[2]
    assert "prvAppendToAccount" in second[2]
    assert roles.request("POST", "contacts", body, bearer=bearer).status_code == 204
    assert roles.dataverse.rows("contact", lastname="Oh")[0]["_ownerid_value"] == user


def test_owners_change_only_with_the_right_to_assign(roles: World) -> None:
    role = roles.dataverse.rows("role", name=NOTHING)[0]["roleid"]
    _, bearer = roles.person("Apollo", NOTHING)
    rights = [{"PrivilegeName": f"prv{right}Account", "Depth": "Global"} for right in ("Read", "Write")]
    roles.done("POST", f"roles({role})/Microsoft.Dynamics.CRM.ReplacePrivilegesRole", {"Privileges": rights})
    path = f"accounts({roles.account})"

    assert roles.request("PATCH", path, {"name": "New"}, bearer=bearer).status_code == 204
    refused = roles.refused("PATCH", path, bind("ownerid", "systemusers", roles.rita), bearer=bearer)
    assert "prvAssignAccount" in refused[2]


def test_expands_and_queries_show_only_what_may_be_read(sales: World) -> None:
    user, bearer = sales.person("Bo", "Basic User")
    mine = sales.dataverse.create("accounts", {"name": "Bo's", **bind("ownerid", "systemusers", user)})
    for name, owner in (("Seen", user), ("Hidden", sales.rita)):
        body = {"lastname": name, **bind("parentcustomerid_account", "accounts", mine["accountid"])}
        sales.dataverse.create("contacts", body | bind("ownerid", "systemusers", owner))

    listed = _rows(sales, f"accounts({mine['accountid']})/contact_customer_accounts?$select=lastname", bearer)
    xml = '<fetch><entity name="contact"><attribute name="lastname"/></entity></fetch>'
    fetched = _rows(sales, f"contacts?fetchXml={xml}", bearer)
    queried = _rows(sales, "contacts?sql=SELECT lastname FROM contact", bearer)

    assert [row["lastname"] for row in listed] == ["Seen"]
    assert [row["lastname"] for row in fetched] == ["Seen"]
    assert [row["lastname"] for row in queried] == ["Seen"]


def test_delta_links_need_organization_level_read(sales: World) -> None:
    _, bearer = sales.person("Bo", "Basic User")

    status, code, _ = sales.refused("GET", "accounts?$select=name", bearer=bearer, Prefer="odata.track-changes")

    assert (status, code) == (403, "0x80040220")


def test_the_products_role_is_what_its_documentation_says(sales: World) -> None:
    _, bearer = sales.person("Service", "Quote to Cash")
    quote = sales.quote(sales.line("1"))
    sales.activate(quote)
    deal = {"q2c_name": "Q-1", "q2c_caseid": "q2c/usmf/Q-1", **bind("q2c_QuoteId", "quotes", quote["quoteid"])}

    assert sales.request("POST", "q2c_deals", deal, bearer=bearer).status_code == 204
    won = sales.request("POST", "WinQuote", {"Status": 4, "QuoteClose": closing("quote", quote)}, bearer=bearer)
    assert won.status_code == 204, won.text
    converted = sales.request("POST", "ConvertQuoteToSalesOrder", {"QuoteId": quote["quoteid"]}, bearer=bearer)
    assert converted.status_code == 200, converted.text
    for entity_set in ("accounts", "contacts", "products", "organizations", "systemusers", "teams", "businessunits"):
        assert sales.request("GET", entity_set, bearer=bearer).status_code == 200, entity_set
    assert sales.refused("POST", "contacts", {"lastname": "x"}, bearer=bearer)[0] == 403
    assert sales.refused("DELETE", f"quotes({quote['quoteid']})", bearer=bearer)[0] == 403


def test_calls_in_process_obey_the_same_roles(sales: World) -> None:
    user, _ = sales.person("Bo", "Basic User")

    with pytest.raises(DataverseError) as caught:
        sales.dataverse.create("products", {"name": "x", "productnumber": "x", "price": Decimal(1)}, user=user)

    assert caught.value.status == 403
