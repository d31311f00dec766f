"""`$metadata` obeys the rules of CSDL that strict parsers check. (OASIS OData 4.0 part 3, by section.)"""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from tests.contract.dataverse_world import World

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
EDMX = "{http://docs.oasis-open.org/odata/ns/edmx}"
NAMESPACE = "Microsoft.Dynamics.CRM"
NAME = re.compile(r"[^\W\d]\w{0,127}")
PRIMITIVES = {
    *("Edm.String", "Edm.Boolean", "Edm.Int32", "Edm.Int64", "Edm.Decimal", "Edm.Double", "Edm.Guid", "Edm.Date"),
    "Edm.DateTimeOffset",
}
ORDER = {
    "EntityType": ["Key", "Property", "NavigationProperty", "Annotation"],
    "EntityContainer": ["EntitySet", "ActionImport", "FunctionImport"],
}


@pytest.fixture(scope="module")
def schema() -> Element:
    world = World()
    root = ElementTree.fromstring(world.request("GET", "$metadata").content)
    world.close()
    assert root.get("Version") == "4.0"
    (found,) = root.iter(f"{EDM}Schema")
    return found


def _types(schema: Element) -> dict[str, Element]:
    return {
        str(item.get("Name")): item for kind in ("EntityType", "ComplexType") for item in schema.iter(f"{EDM}{kind}")
    }


def _local(kind: str | None) -> str:
    inner = re.sub(r"^Collection\((.*)\)$", r"\1", kind or "")
    return re.sub(rf"^(mscrm|{re.escape(NAMESPACE)})\.", "", inner)


def test_names_are_simple_identifiers_and_unique(schema: Element) -> None:
    """Sections 4, 6.1, 7.1, 17.2."""
    tops = [item.get("Name") for item in schema if item.tag != f"{EDM}Annotations"]
    assert [name for name, count in Counter(tops).items() if count > 1] == []
    for item in schema.iter():
        name = item.get("Name")
        assert name is None or NAME.fullmatch(name), name
    for kind in _types(schema).values():
        members = [item.get("Name") for item in kind if item.get("Name")]
        assert [name for name, count in Counter(members).items() if count > 1] == [], kind.get("Name")


def test_every_type_that_is_named_is_there(schema: Element) -> None:
    """Section 4.1: a type is a primitive one, or qualified by a namespace or alias that is in scope."""
    types = _types(schema)
    for tag in ("Property", "NavigationProperty", "Parameter", "ReturnType"):
        for item in schema.iter(f"{EDM}{tag}"):
            kind = re.sub(r"^Collection\((.*)\)$", r"\1", str(item.get("Type")))
            assert kind in PRIMITIVES or (kind.startswith(("mscrm.", f"{NAMESPACE}.")) and _local(kind) in types), kind


def test_entity_types_have_a_key_of_their_own_properties(schema: Element) -> None:
    """Section 8.2: key properties exist, are primitive and not nullable."""
    for kind in schema.iter(f"{EDM}EntityType"):
        if kind.get("Abstract") == "true":
            continue
        references = [item.get("Name") for item in kind.iterfind(f"{EDM}Key/{EDM}PropertyRef")]
        properties = {item.get("Name"): item for item in kind.iterfind(f"{EDM}Property")}
        assert references, kind.get("Name")
        for name in references:
            assert properties[name].get("Nullable") == "false"
            assert properties[name].get("Type") == "Edm.Guid"


def test_elements_stand_in_the_order_of_the_xml_schema(schema: Element) -> None:
    for tag, order in ORDER.items():
        for item in schema.iter(f"{EDM}{tag}"):
            found = [order.index(child.tag.removeprefix(EDM)) for child in item]
            assert found == sorted(found), item.get("Name")


def test_decimals_say_their_scale(schema: Element) -> None:
    """Section 6.2.4: without Scale a decimal has none."""
    scales = Counter(item.get("Scale") for item in schema.iter(f"{EDM}Property") if item.get("Type") == "Edm.Decimal")

    assert set(scales) == {"4", "10"}


def test_facets_belong_to_their_types(schema: Element) -> None:
    """Section 6.2."""
    for item in schema.iter(f"{EDM}Property"):
        if item.get("MaxLength") is not None:
            assert item.get("Type") == "Edm.String"
            assert str(item.get("MaxLength")).isdigit()
        if item.get("Scale") is not None:
            assert item.get("Type") == "Edm.Decimal"


def test_partners_point_at_each_other(schema: Element) -> None:
    """Section 7.1.4."""
    types = _types(schema)
    for kind in schema.iter(f"{EDM}EntityType"):
        for item in kind.iterfind(f"{EDM}NavigationProperty"):
            partner = item.get("Partner")
            if partner is None:
                continue
            target = types[_local(item.get("Type"))]
            (back,) = [other for other in target if other.get("Name") == partner]
            assert _local(back.get("Type")) == kind.get("Name"), f"{kind.get('Name')}.{item.get('Name')}"


def test_constraints_name_properties_of_both_sides(schema: Element) -> None:
    """Section 7.2."""
    types = _types(schema)
    for kind in schema.iter(f"{EDM}EntityType"):
        own = {item.get("Name") for item in kind.iterfind(f"{EDM}Property")}
        for item in kind.iterfind(f"{EDM}NavigationProperty"):
            for constraint in item.iterfind(f"{EDM}ReferentialConstraint"):
                target = types[_local(item.get("Type"))]
                assert constraint.get("Property") in own
                assert constraint.get("ReferencedProperty") in {
                    x.get("Name") for x in target.iterfind(f"{EDM}Property")
                }


def test_the_container_binds_to_what_is_there(schema: Element) -> None:
    """Sections 13.2 to 13.6."""
    types = _types(schema)
    sets = {item.get("Name"): item for item in schema.iter(f"{EDM}EntitySet")}
    for item in sets.values():
        kind = types[_local(item.get("EntityType"))]
        navigations = {each.get("Name"): each for each in kind.iterfind(f"{EDM}NavigationProperty")}
        for binding in item.iterfind(f"{EDM}NavigationPropertyBinding"):
            target = sets[binding.get("Target")]
            assert _local(navigations[binding.get("Path")].get("Type")) == _local(target.get("EntityType"))
    operations = {item.get("Name") for tag in ("Action", "Function") for item in schema.iter(f"{EDM}{tag}")}
    for tag, member in (("ActionImport", "Action"), ("FunctionImport", "Function")):
        for item in schema.iter(f"{EDM}{tag}"):
            assert _local(item.get(member)) in operations


def test_bound_operations_have_a_binding_parameter(schema: Element) -> None:
    """Section 12.2.2."""
    for tag in ("Action", "Function"):
        for item in schema.iter(f"{EDM}{tag}"):
            if item.get("IsBound") == "true":
                first = item.find(f"{EDM}Parameter")
                assert first is not None
                assert _local(first.get("Type")) in _types(schema)


def test_vocabularies_that_are_used_are_referenced(sales: World) -> None:
    """Sections 3.3, 3.4, 14.3."""
    root = ElementTree.fromstring(sales.request("GET", "$metadata").content)
    known = {item.get("Namespace") for item in root.iter(f"{EDMX}Include")}

    used = {str(item.get("Term")).rpartition(".")[0] for item in root.iter(f"{EDM}Annotation")}

    assert used <= known


def test_alternate_keys_are_annotated_in_the_vocabularys_shape(schema: Element) -> None:
    """A collection of AlternateKey records, each with a Key: a collection of PropertyRefs with Name and Alias."""
    order = _types(schema)["salesorder"]
    (annotation,) = order.iterfind(f"{EDM}Annotation")
    assert annotation.get("Term") == "OData.Community.Keys.V1.AlternateKeys"
    (record,) = annotation.iterfind(f"{EDM}Collection/{EDM}Record")
    assert record.get("Type") == "OData.Community.Keys.V1.AlternateKey"
    (key,) = record.iterfind(f"{EDM}PropertyValue")
    assert key.get("Property") == "Key"
    (reference,) = key.iterfind(f"{EDM}Collection/{EDM}Record")
    assert reference.get("Type") == "OData.Community.Keys.V1.PropertyRef"
    values = {item.get("Property"): item for item in reference.iterfind(f"{EDM}PropertyValue")}
    assert values["Name"].get("PropertyPath") == "q2c_financeordernumber"
    assert values["Alias"].get("String") == "q2c_financeordernumber"


def test_the_document_follows_the_schema(sales: World) -> None:
    before = sales.request("GET", "$metadata").text
    body = {"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": "q2c_Extra"}

    sales.done("POST", "EntityDefinitions(LogicalName='quote')/Attributes", body)

    assert "q2c_extra" not in before
    assert 'Name="q2c_extra"' in sales.request("GET", "$metadata").text
