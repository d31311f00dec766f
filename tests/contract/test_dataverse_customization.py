"""A client sets an environment up through the metadata Web API: tables, columns, keys, relationships, choices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.dataverse import Dataverse
from sandbox.odata.jsonio import decode
from tests.contract.dataverse_world import ORIGIN, ROOT, World, bind

CRM = "Microsoft.Dynamics.CRM"
IN_SOLUTION = {"MSCRM.SolutionUniqueName": "samplesolution"}


def label(text: str) -> dict[str, Any]:
    localized = {"@odata.type": f"{CRM}.LocalizedLabel", "Label": text, "LanguageCode": 1033, "IsManaged": False}
    return {"@odata.type": f"{CRM}.Label", "LocalizedLabels": [localized], "UserLocalizedLabel": localized}


def attribute(kind: str, name: str, **members: Any) -> dict[str, Any]:
    required = {
        "Value": "None",
        "CanBeChanged": True,
        "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
    }
    common = {"SchemaName": name, "DisplayName": label(name), "RequiredLevel": required}
    return {"@odata.type": f"{CRM}.{kind}AttributeMetadata", **common, **members}


def table(name: str) -> dict[str, Any]:
    primary = attribute("String", "sample_Name", MaxLength=100, IsPrimaryName=True, FormatName={"Value": "Text"})
    return {
        "@odata.type": f"{CRM}.EntityMetadata",
        "SchemaName": name,
        "DisplayName": label("Bank Account"),
        "DisplayCollectionName": label("Bank Accounts"),
        "Description": label("A table to store information about customer bank accounts"),
        "HasActivities": False,
        "HasNotes": False,
        "OwnershipType": "UserOwned",
        "Attributes": [primary],
    }


def choices(*labels: str) -> list[dict[str, Any]]:
    return [{"Value": 727000000 + at, "Label": label(text)} for at, text in enumerate(labels)]


@pytest.fixture
def bare() -> Iterator[World]:
    """An environment as Microsoft delivers it, with a solution of its own."""
    world = World(bare=True)
    publisher = {"uniquename": "sample", "friendlyname": "Sample", "customizationprefix": "sample"}
    made = world.done("POST", "publishers", publisher | {"customizationoptionvalueprefix": 72700})
    solution = {"uniquename": "samplesolution", "friendlyname": "Sample", "version": "1.0.0.0"}
    world.done("POST", "solutions", solution | {"publisherid@odata.bind": made.headers["OData-EntityId"]})
    yield world
    world.close()


@pytest.fixture
def banks(bare: World) -> World:
    bare.done("POST", "EntityDefinitions", table("sample_BankAccount"), **IN_SOLUTION)
    return bare


STRING = "/Microsoft.Dynamics.CRM.StringAttributeMetadata"
BANKS = "EntityDefinitions(LogicalName='sample_bankaccount')"


def test_a_bare_environment_has_nothing_of_the_product() -> None:
    dataverse = Dataverse(ORIGIN, bare=True)

    assert "q2c_deal" not in dataverse.schema.by_name
    assert not any(column.custom for column in dataverse.schema.by_name["quote"].columns.values())
    assert dataverse.rows("serviceendpoint") == []
    assert dataverse.rows("role", name="Quote to Cash") == []


def test_a_new_table_is_read_and_written_like_any_other(banks: World) -> None:
    made = banks.done("POST", "sample_bankaccounts", {"sample_name": "Main"})
    row = banks.get(made.headers["OData-EntityId"])
    banks.done("PATCH", f"sample_bankaccounts({row['sample_bankaccountid']})", {"sample_name": "Other"})

    found = banks.get("sample_bankaccounts?$select=sample_name,_ownerid_value,statecode")["value"]

    assert [(item["sample_name"], item["_ownerid_value"], item["statecode"]) for item in found] == [
        ("Other", banks.app_user, 0)
    ]
    definition = banks.get(BANKS)
    assert definition["EntitySetName"] == "sample_bankaccounts"
    assert definition["SchemaName"] == "sample_BankAccount"
    assert definition["IsCustomEntity"] is True
    assert definition["DisplayName"]["UserLocalizedLabel"]["Label"] == "Bank Account"
    assert "prvReadsample_BankAccount" in {item["Name"] for item in definition["Privileges"]}


def test_a_created_table_answers_with_its_address(bare: World) -> None:
    answer = bare.done("POST", "EntityDefinitions", table("sample_BankAccount"))

    assert answer.status_code == 204
    address = answer.headers["OData-EntityId"]
    assert address.startswith(f"{ORIGIN}{ROOT}/EntityDefinitions(")
    assert bare.get(address)["LogicalName"] == "sample_bankaccount"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"SchemaName": "NoPrefix"}, "customization prefix"),
        ({"SchemaName": None}, "SchemaName"),
        ({"Attributes": []}, "primary name column"),
        ({"OwnershipType": "Nobody"}, "OwnershipType"),
    ],
)
def test_a_wrong_table_definition_says_what_is_wrong(bare: World, change: dict[str, Any], text: str) -> None:
    status, _, message = bare.refused("POST", "EntityDefinitions", table("sample_BankAccount") | change)

    assert status == 400
    assert text in message


def test_a_name_can_be_taken_once(banks: World) -> None:
    assert banks.refused("POST", "EntityDefinitions", table("sample_BankAccount"))[:2] == (400, "0x80047010")
    again = attribute("String", "sample_Name")
    assert banks.refused("POST", f"{BANKS}/Attributes", again)[:2] == (400, "0x80060304")


@pytest.mark.parametrize(
    ("definition", "value", "bad"),
    [
        (attribute("String", "sample_Text", MaxLength=5), "abc", "abcdef"),
        (attribute("Memo", "sample_Long", MaxLength=2000), "abc", 1),
        (attribute("Integer", "sample_Count", MinValue=0, MaxValue=10), 7, 11),
        (attribute("Decimal", "sample_Rate", Precision=2, MinValue=0, MaxValue=100), 1.25, -1),
        (attribute("Double", "sample_Share"), 0.5, "x"),
        (attribute("Money", "sample_Amount", Precision=2, PrecisionSource=2), 10.5, "x"),
        (attribute("Boolean", "sample_Flag"), True, 1),
        (attribute("DateTime", "sample_At", Format="DateAndTime"), "2026-11-30T10:00:00Z", "yesterday"),
        (
            attribute("DateTime", "sample_On", Format="DateOnly", DateTimeBehavior={"Value": "DateOnly"}),
            "2026-11-30",
            "2026-13-01",
        ),
        (attribute("DateTime", "sample_Shown", Format="DateOnly"), "2026-11-30T10:00:00Z", "2026-13-01"),
        (attribute("Picklist", "sample_Kind", OptionSet={"Options": choices("A", "B")}), 727000001, 727000009),
    ],
    ids=lambda item: item.get("SchemaName", "") if isinstance(item, dict) else "",
)
def test_columns_of_every_type_hold_what_they_should(
    banks: World, definition: dict[str, Any], value: Any, bad: Any
) -> None:
    answer = banks.done("POST", f"{BANKS}/Attributes", definition, **IN_SOLUTION)
    name = definition["SchemaName"].lower()

    banks.done("POST", "sample_bankaccounts", {"sample_name": "Main", name: value})

    (row,) = banks.get(f"sample_bankaccounts?$select={name}")["value"]
    assert row[name] == value or float(row[name]) == value
    assert banks.refused("POST", "sample_bankaccounts", {"sample_name": "x", name: bad})[0] == 400
    shown = banks.get(answer.headers["OData-EntityId"])
    assert shown["@odata.type"] == f"#{definition['@odata.type']}"
    assert (shown["SchemaName"], shown["IsCustomAttribute"]) == (definition["SchemaName"], True)


def test_an_amount_brings_its_currency_and_twin(banks: World) -> None:
    banks.done("POST", f"{BANKS}/Attributes", attribute("Money", "sample_Amount"))
    currency = bind("transactioncurrencyid", "transactioncurrencies", banks.eur)

    banks.done("POST", "sample_bankaccounts", {"sample_name": "Main", "sample_amount": 80, **currency})

    (row,) = banks.dataverse.rows("sample_bankaccount")
    euro = banks.dataverse.get("transactioncurrencies", banks.eur)
    assert euro is not None
    assert (row["sample_amount_base"], row["exchangerate"]) == (100, euro["exchangerate"])


def test_a_global_choice_serves_several_columns(banks: World) -> None:
    choice = {
        "@odata.type": f"{CRM}.OptionSetMetadata",
        "Name": "sample_colors",
        "OptionSetType": "Picklist",
        "Options": choices("Red", "Green"),
    }
    made = banks.done("POST", "GlobalOptionSetDefinitions", choice)
    by_id = made.headers["OData-EntityId"].partition(ROOT)[2]
    for name, reference in (("sample_One", by_id), ("sample_Two", "/GlobalOptionSetDefinitions(Name='sample_colors')")):
        column = attribute("Picklist", name) | {"GlobalOptionSet@odata.bind": reference}
        banks.done("POST", f"{BANKS}/Attributes", column)

    added = banks.done("POST", "InsertOptionValue", {"OptionSetName": "sample_colors", "Label": label("Blue")})

    value = decode(added.content)["NewOptionValue"]
    banks.done("POST", "sample_bankaccounts", {"sample_name": "x", "sample_one": value, "sample_two": value})
    shown = banks.get("GlobalOptionSetDefinitions(Name='sample_colors')")
    assert [option["Label"]["UserLocalizedLabel"]["Label"] for option in shown["Options"]] == ["Red", "Green", "Blue"]
    column = banks.get(
        f"{BANKS}/Attributes(LogicalName='sample_one')/{CRM}.PicklistAttributeMetadata?$expand=GlobalOptionSet"
    )
    assert column["GlobalOptionSet"]["Name"] == "sample_colors"
    assert banks.refused("DELETE", "GlobalOptionSetDefinitions(Name='sample_colors')")[0] == 400


def test_options_of_a_column_are_added_renamed_ordered_and_deleted(banks: World) -> None:
    column = attribute("Picklist", "sample_Kind", OptionSet={"Options": choices("A", "B")})
    banks.done("POST", f"{BANKS}/Attributes", column)
    of = {"EntityLogicalName": "sample_bankaccount", "AttributeLogicalName": "sample_kind"}

    solution = {"SolutionUniqueName": "samplesolution"}
    added = decode(banks.done("POST", "InsertOptionValue", of | solution | {"Label": label("C")}).content)
    banks.done("POST", "UpdateOptionValue", of | {"Value": 727000000, "Label": label("Alpha"), "MergeLabels": True})
    banks.done("POST", "OrderOption", of | {"Values": [727000001, added["NewOptionValue"], 727000000]})
    banks.done("POST", "DeleteOptionValue", of | {"Value": 727000001})

    assert added["NewOptionValue"] == 727000002
    path = f"{BANKS}/Attributes(LogicalName='sample_kind')/{CRM}.PicklistAttributeMetadata?$expand=OptionSet"
    options = banks.get(path)["OptionSet"]["Options"]
    assert [(item["Value"], item["Label"]["UserLocalizedLabel"]["Label"]) for item in options] == [
        (727000002, "C"),
        (727000000, "Alpha"),
    ]


def test_a_status_reason_is_added_to_a_state(banks: World) -> None:
    body = {"EntityLogicalName": "sample_bankaccount", "AttributeLogicalName": "statuscode", "StateCode": 1}

    added = decode(banks.done("POST", "InsertStatusValue", body | {"Label": label("Frozen")}).content)

    (row_id,) = [banks.dataverse.create("sample_bankaccounts", {"sample_name": "x"})["sample_bankaccountid"]]
    change = {"statecode": 1, "statuscode": added["NewOptionValue"]}
    banks.done("PATCH", f"sample_bankaccounts({row_id})", change)
    assert banks.get(f"sample_bankaccounts({row_id})")["statuscode"] == added["NewOptionValue"]


def test_an_alternate_key_finds_and_protects(banks: World) -> None:
    banks.done("POST", f"{BANKS}/Attributes", attribute("String", "sample_Number"))
    key = {"@odata.type": f"{CRM}.EntityKeyMetadata", "SchemaName": "sample_Number_key", "DisplayName": label("Number")}
    banks.done("POST", f"{BANKS}/Keys", key | {"KeyAttributes": ["sample_number"]})

    banks.done("PATCH", "sample_bankaccounts(sample_number='1')", {"sample_name": "by key"})

    assert banks.get("sample_bankaccounts(sample_number='1')")["sample_name"] == "by key"
    status, code, _ = banks.refused("POST", "sample_bankaccounts", {"sample_name": "y", "sample_number": "1"})
    assert (status, code) == (412, "0x80060892")
    (shown,) = banks.get(f"{BANKS}/Keys")["value"]
    assert (shown["KeyAttributes"], shown["EntityKeyIndexStatus"]) == (["sample_number"], "Active")
    banks.done("DELETE", f"{BANKS}/Keys({shown['MetadataId']})")
    banks.done("POST", "sample_bankaccounts", {"sample_name": "y", "sample_number": "1"})


def test_a_key_over_rows_that_violate_it_is_refused(banks: World) -> None:
    for _ in range(2):
        banks.done("POST", "sample_bankaccounts", {"sample_name": "same"})
    key = {"SchemaName": "sample_Name_key", "KeyAttributes": ["sample_name"]}

    assert banks.refused("POST", f"{BANKS}/Keys", key)[0] == 412


def _relate(world: World) -> None:
    lookup = attribute("Lookup", "sample_AccountId")
    relationship = {
        "@odata.type": f"{CRM}.OneToManyRelationshipMetadata",
        "SchemaName": "sample_account_bankaccounts",
        "ReferencedEntity": "account",
        "ReferencedAttribute": "accountid",
        "ReferencingEntity": "sample_bankaccount",
        "CascadeConfiguration": {"Assign": "NoCascade", "Delete": "Restrict"},
        "Lookup": lookup,
    }
    world.done("POST", "RelationshipDefinitions", relationship, **IN_SOLUTION)


def test_a_relationship_brings_a_lookup_and_a_collection(banks: World) -> None:
    _relate(banks)

    banks.done(
        "POST", "sample_bankaccounts", {"sample_name": "x", **bind("sample_AccountId", "accounts", banks.account)}
    )

    (row,) = banks.get("sample_bankaccounts?$select=sample_name&$expand=sample_AccountId($select=name)")["value"]
    assert row["sample_AccountId"]["name"] == "Contoso Retail"
    account = banks.get(
        f"accounts({banks.account})?$select=name&$expand=sample_account_bankaccounts($select=sample_name)"
    )
    assert [item["sample_name"] for item in account["sample_account_bankaccounts"]] == ["x"]
    shown = banks.get("RelationshipDefinitions(SchemaName='sample_account_bankaccounts')")
    assert shown["ReferencingEntityNavigationPropertyName"] == "sample_AccountId"
    assert shown["CascadeConfiguration"]["Delete"] == "Restrict"
    status, _, message = banks.refused("POST", "sample_bankaccounts", {"sample_accountid@odata.bind": "/accounts"})
    assert status == 400
    assert "undeclared property" in message


def test_deleting_follows_what_depends(banks: World) -> None:
    _relate(banks)
    column = f"{BANKS}/Attributes(LogicalName='sample_accountid')"
    assert banks.refused("DELETE", column)[0] == 400

    banks.done("DELETE", "RelationshipDefinitions(SchemaName='sample_account_bankaccounts')")
    assert banks.refused("GET", column)[0] == 404
    banks.done("DELETE", BANKS)

    assert banks.refused("GET", "sample_bankaccounts")[0] == 404
    assert banks.refused("DELETE", "EntityDefinitions(LogicalName='quote')")[0] == 400
    filters = banks.get("sdkmessagefilters?$filter=primaryobjecttypecode eq 'sample_bankaccount'")
    assert filters["value"] == []


def test_a_many_to_many_relationship_is_associated_from_both_sides(banks: World) -> None:
    link = {
        "@odata.type": f"{CRM}.ManyToManyRelationshipMetadata",
        "SchemaName": "sample_bankaccounts_contacts",
        "IntersectEntityName": "sample_bankaccounts_contacts",
        "Entity1LogicalName": "sample_bankaccount",
        "Entity2LogicalName": "contact",
    }
    banks.done("POST", "RelationshipDefinitions", link)
    bank = banks.dataverse.create("sample_bankaccounts", {"sample_name": "x"})["sample_bankaccountid"]
    contact = banks.dataverse.create("contacts", {"lastname": "Oh"})["contactid"]
    nav = "sample_bankaccounts_contacts"

    banks.done("POST", f"sample_bankaccounts({bank})/{nav}/$ref", {"@odata.id": f"{ORIGIN}{ROOT}/contacts({contact})"})

    assert [row["lastname"] for row in banks.get(f"sample_bankaccounts({bank})/{nav}")["value"]] == ["Oh"]
    assert len(banks.get(f"contacts({contact})/{nav}/$ref")["value"]) == 1
    banks.done("DELETE", f"contacts({contact})/{nav}({bank})/$ref")
    assert banks.get(f"sample_bankaccounts({bank})/{nav}")["value"] == []


def test_components_are_listed_in_their_solution(banks: World) -> None:
    _relate(banks)
    (solution,) = banks.get("solutions?$filter=uniquename eq 'samplesolution'&$expand=solution_solutioncomponent")[
        "value"
    ]

    kinds = sorted(item["componenttype"] for item in solution["solution_solutioncomponent"])

    assert kinds == [1, 10]
    unknown = {"MSCRM.SolutionUniqueName": "nothere"}
    assert banks.refused("POST", "EntityDefinitions", table("sample_Other"), **unknown)[0] == 400
    assert "sample_other" not in banks.dataverse.schema.by_name


def test_a_definition_is_replaced_by_put(banks: World) -> None:
    definition = banks.get(BANKS)
    definition["DisplayName"] = label("Account at a bank")
    definition["ChangeTrackingEnabled"] = True

    banks.done("PUT", BANKS, definition, **{"MSCRM.MergeLabels": "true"})

    assert banks.get(BANKS)["DisplayName"]["UserLocalizedLabel"]["Label"] == "Account at a bank"
    banks.get("sample_bankaccounts?$select=sample_name", Prefer="odata.track-changes")


def test_changes_are_tracked_only_where_that_is_turned_on(banks: World) -> None:
    status, _, message = banks.refused("GET", "sample_bankaccounts", Prefer="odata.track-changes")

    assert status == 400
    assert "Change Tracking is not enabled" in message


def test_publishing_is_accepted(banks: World) -> None:
    banks.done("POST", "PublishAllXml", {})
    xml = "<importexportxml><entities><entity>sample_bankaccount</entity></entities></importexportxml>"
    banks.done("POST", "PublishXml", {"ParameterXml": xml})


def test_a_table_is_audited_once_the_organization_audits_and_the_change_is_published(banks: World) -> None:
    (organization,) = banks.get("organizations?$select=isauditenabled")["value"]
    made = banks.done("POST", "sample_bankaccounts", {"sample_name": "x"})
    address = made.headers["OData-EntityId"]
    audits = f"audits?$select=operation&$filter=_objectid_value eq {address[-37:-1]}"

    def writes(name: str) -> list[int]:
        banks.done("PATCH", address, {"sample_name": name})
        return [row["operation"] for row in banks.get(audits)["value"]]

    banks.done("PATCH", f"organizations({organization['organizationid']})", {"isauditenabled": True})
    assert writes("not audited") == []
    definition = banks.get(BANKS)
    definition["IsAuditEnabled"] = {**definition["IsAuditEnabled"], "Value": True}
    banks.done("PUT", BANKS, definition, **{"MSCRM.MergeLabels": "true"})
    assert writes("not published") == []
    xml = "<importexportxml><entities><entity>sample_bankaccount</entity></entities></importexportxml>"
    banks.done("POST", "PublishXml", {"ParameterXml": xml})
    assert writes("published") == [2]
    assert writes("published") == [2], "the same value again is no change"


def test_a_column_that_is_not_audited_leaves_no_trace(banks: World) -> None:
    (organization,) = banks.get("organizations?$select=isauditenabled")["value"]
    banks.done("PATCH", f"organizations({organization['organizationid']})", {"isauditenabled": True})
    for path, kind, value in ((BANKS, "", True), (f"{BANKS}/Attributes(LogicalName='sample_name')", STRING, False)):
        definition = banks.get(path + kind)
        definition["IsAuditEnabled"] = {**definition["IsAuditEnabled"], "Value": value}
        banks.done("PUT", path, definition)
    banks.done("POST", "PublishAllXml", {})
    made = banks.done("POST", "sample_bankaccounts", {"sample_name": "x"})
    address = made.headers["OData-EntityId"]

    banks.done("PATCH", address, {"sample_name": "y"})

    audits = f"audits?$select=operation&$filter=_objectid_value eq {address[-37:-1]}"
    assert [row["operation"] for row in banks.get(audits)["value"]] == [1]


def test_a_publishing_that_cannot_be_read_is_refused(banks: World) -> None:
    for body in ({}, {"ParameterXml": "<importexportxml>"}):
        assert banks.refused("POST", "PublishXml", body)[0] == 400


def test_the_schema_is_changed_by_customizers_only(bare: World) -> None:
    _, rep = bare.person("Ravi", "Salesperson")
    _, customizer = bare.person("Olga", "System Customizer")

    status, code, message = bare.refused("POST", "EntityDefinitions", table("sample_One"), bearer=rep)
    bare_answer = bare.request("POST", "EntityDefinitions", table("sample_Two"), bearer=customizer)

    assert (status, code) == (403, "0x80040220")
    assert "prvCreateEntity" in message
    assert bare_answer.status_code == 204


def test_a_role_gets_privileges_of_a_new_table(banks: World) -> None:
    root = banks.get("businessunits?$filter=parentbusinessunitid eq null&$select=name")["value"][0]["businessunitid"]
    made = banks.done("POST", "roles", {"name": "Clerk", **bind("businessunitid", "businessunits", root)})
    role = made.headers["OData-EntityId"]
    (privilege,) = banks.get("privileges?$filter=name eq 'prvReadsample_BankAccount'&$select=name")["value"]
    user, bearer = banks.person("Cleo", "Basic User")
    banks.dataverse.create("sample_bankaccounts", {"sample_name": "x"})
    assert banks.refused("GET", "sample_bankaccounts", bearer=bearer)[:2] == (403, "0x80040220")

    wanted = [{"PrivilegeId": privilege["privilegeid"], "Depth": "Global"}]
    banks.done("POST", f"{role}/{CRM}.AddPrivilegesRole", {"Privileges": wanted})
    banks.done("POST", f"systemusers({user})/systemuserroles_association/$ref", {"@odata.id": role})

    answer = banks.request("GET", "sample_bankaccounts?$select=sample_name", bearer=bearer)
    assert [row["sample_name"] for row in decode(answer.content)["value"]] == ["x"]
    held = banks.get(f"{role}/{CRM}.RetrieveRolePrivilegesRole()")["RolePrivileges"]
    assert [(item["PrivilegeName"], item["Depth"]) for item in held] == [("prvReadsample_BankAccount", "Global")]


def test_a_reset_takes_customisations_away(banks: World) -> None:
    banks.dataverse.clear()

    assert "sample_bankaccount" not in banks.dataverse.schema.by_name
    assert banks.dataverse.rows("publisher") == []
