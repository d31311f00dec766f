"""`$metadata`: the environment's tables as an OData CSDL document.

(OASIS OData 4.0 part 3; Microsoft Learn: "Web API types and operations".)
"""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

from sandbox.dataverse.schema import EDM_TYPES, Entity, Schema, load_schema

_EDMX = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM = "http://docs.oasis-open.org/odata/ns/edm"
_NAMESPACE = "Microsoft.Dynamics.CRM"
_ACTIONS = {
    "WinQuote": (("Status", "Edm.Int32"), ("QuoteClose", f"{_NAMESPACE}.quoteclose")),
    "CloseQuote": (("Status", "Edm.Int32"), ("QuoteClose", f"{_NAMESPACE}.quoteclose")),
    "ReviseQuote": (("QuoteId", "Edm.Guid"), ("ColumnSet", f"{_NAMESPACE}.ColumnSet")),
    "ConvertQuoteToSalesOrder": (("QuoteId", "Edm.Guid"), ("ColumnSet", f"{_NAMESPACE}.ColumnSet")),
    "WinOpportunity": (("Status", "Edm.Int32"), ("OpportunityClose", f"{_NAMESPACE}.opportunityclose")),
    "LoseOpportunity": (("Status", "Edm.Int32"), ("OpportunityClose", f"{_NAMESPACE}.opportunityclose")),
    "FulfillSalesOrder": (("Status", "Edm.Int32"), ("OrderClose", f"{_NAMESPACE}.crmbaseentity")),
    "CancelSalesOrder": (("Status", "Edm.Int32"), ("OrderClose", f"{_NAMESPACE}.crmbaseentity")),
    "CalculatePrice": (("Target", f"{_NAMESPACE}.crmbaseentity"),),
}
_RETURNS = {"ReviseQuote": "quote", "ConvertQuoteToSalesOrder": "salesorder"}


@lru_cache(maxsize=1)
def service_metadata() -> bytes:
    """The CSDL document, XML in UTF-8."""
    schema = load_schema()
    root = ElementTree.Element("edmx:Edmx", {"Version": "4.0", "xmlns:edmx": _EDMX})
    services = ElementTree.SubElement(root, "edmx:DataServices")
    body = ElementTree.SubElement(services, "Schema", {"Namespace": _NAMESPACE, "Alias": "mscrm", "xmlns": _EDM})
    ElementTree.SubElement(body, "EntityType", {"Name": "crmbaseentity", "Abstract": "true"})
    column_set = ElementTree.SubElement(body, "ComplexType", {"Name": "ColumnSet"})
    _property(column_set, "AllColumns", "Edm.Boolean", nullable=False)
    _property(column_set, "Columns", "Collection(Edm.String)", nullable=True)
    for entity in schema.by_name.values():
        _entity_type(body, schema, entity)
    for name, parameters in _ACTIONS.items():
        action = ElementTree.SubElement(body, "Action", {"Name": name})
        for parameter, kind in parameters:
            ElementTree.SubElement(action, "Parameter", {"Name": parameter, "Type": kind, "Nullable": "false"})
        if name in _RETURNS:
            ElementTree.SubElement(action, "ReturnType", {"Type": f"mscrm.{_RETURNS[name]}", "Nullable": "false"})
    function = ElementTree.SubElement(body, "Function", {"Name": "WhoAmI"})
    ElementTree.SubElement(function, "ReturnType", {"Type": "mscrm.WhoAmIResponse", "Nullable": "false"})
    response = ElementTree.SubElement(body, "ComplexType", {"Name": "WhoAmIResponse"})
    for name in ("BusinessUnitId", "UserId", "OrganizationId"):
        _property(response, name, "Edm.Guid", nullable=False)
    _container(body, schema)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _entity_type(body: ElementTree.Element, schema: Schema, entity: Entity) -> None:
    base = {"Name": entity.name, "BaseType": "mscrm.crmbaseentity"}
    element = ElementTree.SubElement(body, "EntityType", base)
    key = ElementTree.SubElement(element, "Key")
    ElementTree.SubElement(key, "PropertyRef", {"Name": entity.key})
    for column in entity.columns.values():
        attributes = {"MaxLength": str(column.max_length)} if column.max_length else {}
        _property(element, column.stored, EDM_TYPES[column.type], nullable=column.name != entity.key, **attributes)
    for navigation in entity.navigations.values():
        target = next((name for name in navigation.targets if name in schema.by_name), None)
        if target is None:
            continue
        found = {"Name": navigation.name, "Type": f"mscrm.{target}", "Nullable": "true"}
        property_ = ElementTree.SubElement(element, "NavigationProperty", found)
        constraint = {"Property": navigation.column.stored, "ReferencedProperty": schema.by_name[target].key}
        ElementTree.SubElement(property_, "ReferentialConstraint", constraint)
    for collection in entity.collections.values():
        kind = f"Collection(mscrm.{collection.child})"
        ElementTree.SubElement(element, "NavigationProperty", {"Name": collection.name, "Type": kind})
    for name, columns in entity.alternate_keys.items():
        annotation = ElementTree.SubElement(element, "Annotation", {"Term": "OData.Community.Keys.V1.AlternateKeys"})
        record = ElementTree.SubElement(ElementTree.SubElement(annotation, "Collection"), "Record", {"Type": name})
        for stored in columns:
            ElementTree.SubElement(record, "PropertyValue", {"Property": "Name", "PropertyPath": stored})


def _container(body: ElementTree.Element, schema: Schema) -> None:
    container = ElementTree.SubElement(body, "EntityContainer", {"Name": "System"})
    for entity in schema.by_name.values():
        attributes = {"Name": entity.entity_set, "EntityType": f"{_NAMESPACE}.{entity.name}"}
        element = ElementTree.SubElement(container, "EntitySet", attributes)
        for navigation in entity.navigations.values():
            target = next((name for name in navigation.targets if name in schema.by_name), None)
            if target is not None:
                binding = {"Path": navigation.name, "Target": schema.by_name[target].entity_set}
                ElementTree.SubElement(element, "NavigationPropertyBinding", binding)
    for name in _ACTIONS:
        ElementTree.SubElement(container, "ActionImport", {"Name": name, "Action": f"{_NAMESPACE}.{name}"})
    ElementTree.SubElement(container, "FunctionImport", {"Name": "WhoAmI", "Function": f"{_NAMESPACE}.WhoAmI"})


def _property(parent: ElementTree.Element, name: str, kind: str, *, nullable: bool, **attributes: str) -> None:
    found = {"Name": name, "Type": kind, **attributes}
    if not nullable:
        found["Nullable"] = "false"
    ElementTree.SubElement(parent, "Property", found)
