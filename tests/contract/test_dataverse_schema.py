"""Every column Dataverse serves is a published one: name, type, options, required level, lookups, keys."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from sandbox.dataverse.schema import EDM_TYPES, Column, Entity, load_schema
from tests.contract.dataverse_world import World

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
SETS = sorted(load_schema().by_set)
PUBLISHED = {
    *("accounts", "contacts", "opportunities", "opportunityproducts", "quotes", "quotedetails", "salesorders"),
    *("salesorderdetails", "invoices", "invoicedetails", "products", "pricelevels", "productpricelevels", "uoms"),
    *("uomschedules", "transactioncurrencies", "quotecloses", "ordercloses", "opportunitycloses"),
}
REQUIRED = {"required": "ApplicationRequired", "systemrequired": "SystemRequired"}


def _allowed_types(entity: Entity, column: Column, field: dict[str, Any]) -> set[str]:
    """The Web API types a published type may stand for.

    The published sources are loose in five places: a lookup is read as a GUID, the twin of an amount in base currency
    is typed as text, a number may be whole or not, a date may have a time, and some GUIDs are typed as text.
    """
    published: str = field["type"]
    if published == "lookup":
        return {"Edm.Guid"}
    if field.get("kind") == "baseCurrency":
        return {"Edm.Decimal"}
    if published == "number":
        return {"Edm.Int32", "Edm.Decimal"}
    if published == "Edm.String" and (column.name == entity.key or re.search(r"id$", column.name)):
        return {"Edm.Guid", "Edm.String"}
    return set(published.split("|"))


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_served_columns_are_the_published_columns(name: str, dataverse_schemas: dict[str, dict[str, Any]]) -> None:
    entity, schema = load_schema().by_set[name], dataverse_schemas[name]

    assert entity.name == schema["logical_name"]
    assert [entity.key] == schema["key"]
    assert entity.primary_name == schema["primary_name"]
    fields = {name: field for name, field in schema["fields"].items() if name.isidentifier()}
    assert set(entity.columns) == set(fields)
    for column_name, field in fields.items():
        column = entity.columns[column_name]
        assert EDM_TYPES[column.type] in _allowed_types(entity, column, field), column_name
        if "max_length" in field:
            assert column.max_length == field["max_length"], column_name
        assert column.required == REQUIRED.get(field.get("required_level") or ""), column_name
        if "read_as" in field:
            assert field["read_as"] == f"{column.stored} (Edm.Guid)", column_name


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_served_options_are_the_published_options(name: str, dataverse_schemas: dict[str, dict[str, Any]]) -> None:
    entity, schema = load_schema().by_set[name], dataverse_schemas[name]
    for column_name, field in schema["fields"].items():
        if not column_name.isidentifier():
            continue
        values = {*field.get("enum", {}).values(), *field.get("enum_tenant", {}).values()}
        assert set(entity.columns[column_name].options) == values, column_name
        for row in field.get("enum_rows", []):
            assert entity.columns[column_name].options[row["value"]] == row["label"], column_name
            assert entity.states[row["value"]] == row["statecode"], column_name


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_bind_names_of_columns_are_the_published_ones(name: str, dataverse_schemas: dict[str, dict[str, Any]]) -> None:
    entity, schema = load_schema().by_set[name], dataverse_schemas[name]
    binds = schema["bindable_lookups (<name>@odata.bind)"]
    served = {name: item.bindable for name, item in entity.navigations.items() if item.bindable != "none"}
    lookups = {column.name for column in entity.columns.values() if column.type == "Lookup"}

    assert served.items() <= {bind: rule["allowed_on"] for bind, rule in binds.items()}.items()
    assert {bind for bind in binds if bind.lower() in lookups or bind.partition("_")[0] in lookups} <= set(served)


@pytest.mark.parametrize("name", SETS)
def test_tables_hold_together(name: str) -> None:
    schema = load_schema()
    entity = schema.by_set[name]

    assert entity.columns[entity.key].type == "Guid"
    assert entity.primary_name is None or entity.primary_name in entity.columns
    for navigation in entity.navigations.values():
        assert navigation.column.type == "Lookup"
        assert set(navigation.targets) <= set(navigation.column.targets), navigation.name
    for collection in entity.collections.values():
        child = schema.by_name[collection.child]
        if collection.through is None:
            assert (collection.lookup, entity.name) in child.navigation_of, collection.name
    for columns in entity.alternate_keys.values():
        assert set(columns) <= set(entity.by_stored)
    if "statuscode" in entity.columns:
        assert set(entity.states) == set(entity.columns["statuscode"].options)
        assert set(entity.states.values()) <= set(entity.columns["statecode"].options)


@pytest.mark.parametrize(
    ("name", "states"),
    [
        ("opportunities", {1: 0, 2: 0, 3: 1, 4: 2, 5: 2}),
        ("quotes", {1: 0, 2: 1, 3: 1, 4: 2, 5: 3, 6: 3, 7: 3}),
        ("invoices", {1: 0, 2: 0, 4: 0, 5: 0, 6: 0, 3: 1, 7: 1, 100001: 2, 100002: 2, 100003: 3}),
        ("products", {1: 0, 2: 1, 0: 2, 3: 3}),
        ("pricelevels", {100001: 0, 100002: 1}),
    ],
)
def test_status_reasons_belong_to_their_states(name: str, states: dict[int, int]) -> None:
    assert load_schema().by_set[name].states == states


def test_metadata_document_describes_every_table(sales: World) -> None:
    answer = sales.request("GET", "$metadata")
    root = ElementTree.fromstring(answer.content)
    types = {element.get("Name"): element for element in root.iter(f"{EDM}EntityType")}
    sets = {element.get("Name"): element.get("EntityType") for element in root.iter(f"{EDM}EntitySet")}

    for entity in sales.dataverse.schema.by_set.values():
        assert sets[entity.entity_set] == f"Microsoft.Dynamics.CRM.{entity.name}"
        served = {item.get("Name"): item.get("Type") for item in types[entity.name].findall(f"{EDM}Property")}
        shown = [column for column in entity.columns.values() if not column.secret]
        assert served == {column.stored: EDM_TYPES[column.type] for column in shown}
    lines = types["quote"].find(f"{EDM}NavigationProperty[@Name='quote_details']")
    assert lines is not None
    assert lines.get("Type") == "Collection(mscrm.quotedetail)"
    traps = {item.get("Name") for item in types["salesorderdetail"].findall(f"{EDM}NavigationProperty")}
    assert "QuoteDetailId" in traps
    assert "quotedetailid" not in traps


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [
        ("quote", "q2c_approvalstatus", "Picklist"),
        ("quote", "q2c_approvalreason", "Memo"),
        ("quote", "q2c_caseid", "String"),
        ("quote", "q2c_creditstatus", "Picklist"),
        ("salesorder", "q2c_financeordernumber", "String"),
        ("invoice", "q2c_financeinvoicenumber", "String"),
        ("q2c_deal", "q2c_fulfilmentstatus", "Picklist"),
        ("q2c_deal", "q2c_paymentstatus", "Picklist"),
        ("q2c_deal", "q2c_openamount", "Money"),
    ],
)
def test_columns_of_our_solution_are_in_entity_definitions(sales: World, table: str, column: str, kind: str) -> None:
    path = f"EntityDefinitions(LogicalName='{table}')/Attributes(LogicalName='{column}')"

    row = sales.get(path)

    assert row["AttributeType"] == kind
    assert row["IsCustomAttribute"] is True


def test_a_missing_column_is_404(sales: World) -> None:
    path = "EntityDefinitions(LogicalName='quote')/Attributes(LogicalName='q2c_nothing')"

    assert sales.refused("GET", path)[0] == 404


def test_alternate_keys_are_in_entity_definitions(sales: World) -> None:
    keys = sales.get("EntityDefinitions(LogicalName='salesorder')/Keys")["value"]

    assert [key["KeyAttributes"] for key in keys] == [["q2c_financeordernumber"]]


def test_options_are_in_entity_definitions(sales: World) -> None:
    path = (
        "EntityDefinitions(LogicalName='quote')/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
        "?$select=LogicalName&$expand=OptionSet($select=Options)"
    )

    found = {row["LogicalName"]: row["OptionSet"]["Options"] for row in sales.get(path)["value"]}

    assert [option["Value"] for option in found["q2c_approvalstatus"]] == [100000000 + n for n in range(5)]


# --- metadata as clients ask for it ----------------------------------------------------------------------------------


def test_relationships_are_told_from_both_sides(sales: World) -> None:
    quote = "EntityDefinitions(LogicalName='quote')"

    children = {row["SchemaName"]: row for row in sales.get(f"{quote}/OneToManyRelationships")["value"]}
    parents = {row["SchemaName"]: row for row in sales.get(f"{quote}/ManyToOneRelationships")["value"]}

    lines = children["quote_details"]
    assert (lines["ReferencedEntity"], lines["ReferencedAttribute"]) == ("quote", "quoteid")
    assert (lines["ReferencingEntity"], lines["ReferencingAttribute"]) == ("quotedetail", "quoteid")
    assert lines["ReferencedEntityNavigationPropertyName"] == "quote_details"
    assert parents["quote_customer_accounts"]["ReferencingEntityNavigationPropertyName"] == "customerid_account"
    by_id = sales.get(
        f"RelationshipDefinitions({lines['MetadataId']})/Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata"
    )
    assert by_id["SchemaName"] == "quote_details"
    roles = sales.get("RelationshipDefinitions?$filter=SchemaName eq 'systemuserroles_association'")["value"]
    assert [(row["Entity1LogicalName"], row["Entity2LogicalName"]) for row in roles] == [("systemuser", "role")]


def test_relationships_and_navigation_properties_agree() -> None:
    schema = load_schema()
    for link in schema.one_to_many.values():
        child, parent = schema.by_name[link.child], schema.by_name[link.parent]
        assert child.navigations[link.child_navigation].column.name == link.column, link.name
        assert link.parent in child.columns[link.column].targets, link.name
        assert parent.collections[link.parent_navigation].child == link.child, link.name


def test_messages_are_listed_with_the_tables_they_work_on(sales: World) -> None:
    condition = (
        "(sdkmessageid/name eq 'CreateMultiple' or sdkmessageid/name eq 'Win') and primaryobjecttypecode eq 'quote'"
    )
    path = f"sdkmessagefilters?$select=sdkmessagefilterid&$expand=sdkmessageid($select=name)&$filter={condition}"

    found = sales.get(path)["value"]

    assert sorted(row["sdkmessageid"]["name"] for row in found) == ["CreateMultiple", "Win"]
    (message,) = sales.get("sdkmessages?$filter=name eq 'Update'&$select=name")["value"]
    assert sales.get(f"sdkmessages({message['sdkmessageid']})/sdkmessageid_sdkmessagefilter/$ref")["value"]


def test_definitions_are_expanded_and_filtered(sales: World) -> None:
    price = "Attributes($select=LogicalName,Precision;$filter=LogicalName eq 'priceperunit')"
    query = f"$select=LogicalName&$expand={price},Keys"

    (line,) = sales.get(f"EntityDefinitions?$filter=LogicalName eq 'quotedetail'&{query}")["value"]

    assert line["Keys"] == []
    (column,) = line["Attributes"]
    assert (column["LogicalName"], column["Precision"]) == ("priceperunit", 2)
    custom = sales.get("EntityDefinitions?$select=LogicalName&$filter=IsCustomEntity eq true")["value"]
    assert [row["LogicalName"] for row in custom] == ["q2c_deal", "q2c_pastinvoice"]
    path = "EntityDefinitions(LogicalName='quotedetail')/Attributes(LogicalName='priceperunit')"
    assert sales.get(f"{path}/Microsoft.Dynamics.CRM.MoneyAttributeMetadata")["PrecisionSource"] == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("EntityDefinitions(LogicalName='nothing')", 404),
        ("EntityDefinitions(LogicalName='quote')/Nothing", 404),
        ("EntityDefinitions?$filter=Nothing eq 1", 501),
        ("EntityDefinitions?$filter=startswith(LogicalName,'q')", 501),
        ("RelationshipDefinitions(SchemaName='nothing')", 404),
        ("GlobalOptionSetDefinitions(Name='nothing')", 404),
        (
            "EntityDefinitions(LogicalName='quote')/Attributes(LogicalName='name')/Microsoft.Dynamics.CRM.MoneyAttributeMetadata",
            400,
        ),
    ],
)
def test_metadata_that_is_not_there_is_refused(sales: World, path: str, status: int) -> None:
    assert sales.refused("GET", path)[0] == status


def test_the_deal_is_a_table_of_the_products_own(sales: World) -> None:
    deal = sales.dataverse.schema.by_name["q2c_deal"]

    assert (deal.entity_set, deal.primary_name, deal.ownership) == ("q2c_deals", "q2c_name", "UserOwned")
    assert {"q2c_QuoteId", "q2c_SalesOrderId", "q2c_InvoiceId"} <= set(deal.navigations)
    assert deal.alternate_keys == {"q2c_caseid_key": ("q2c_caseid",)}
    for parent, collection in (("quote", "q2c_quote_deals"), ("salesorder", "q2c_salesorder_deals")):
        assert sales.dataverse.schema.by_name[parent].collections[collection].child == "q2c_deal"
