"""`$metadata`: the environment's tables as an OData CSDL document that strict parsers take.

Elements stand in the order the CSDL schema demands, decimals say their scale, alternate keys have the documented
annotation, and actions and functions are described with their bindings. (OASIS OData 4.0 part 3; OASIS "Alternate Keys"
vocabulary; Microsoft Learn: "Web API types and operations".)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from sandbox.dataverse.schema import EDM_TYPES, SCALES, Column, Entity, Schema

_EDMX = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM = "http://docs.oasis-open.org/odata/ns/edm"
_NAMESPACE = "Microsoft.Dynamics.CRM"
_KEYS = "OData.Community.Keys.V1"
_REFERENCES: Final[Mapping[str, tuple[str, str]]] = {
    "http://vocabularies.odata.org/OData.Community.Keys.V1.xml": (_KEYS, "Keys"),
    "http://docs.oasis-open.org/odata/odata/v4.0/os/vocabularies/Org.OData.Core.V1.xml": ("Org.OData.Core.V1", "Core"),
}

Parameters = tuple[tuple[str, str], ...]
_COLUMN_SET = f"{_NAMESPACE}.ColumnSet"
_ACTIONS: Final[Mapping[str, tuple[Parameters, str | None]]] = {
    "WinQuote": ((("Status", "Edm.Int32"), ("QuoteClose", f"{_NAMESPACE}.quoteclose")), None),
    "CloseQuote": ((("Status", "Edm.Int32"), ("QuoteClose", f"{_NAMESPACE}.quoteclose")), None),
    "ReviseQuote": ((("QuoteId", "Edm.Guid"), ("ColumnSet", _COLUMN_SET)), f"{_NAMESPACE}.quote"),
    "ConvertQuoteToSalesOrder": ((("QuoteId", "Edm.Guid"), ("ColumnSet", _COLUMN_SET)), f"{_NAMESPACE}.salesorder"),
    "WinOpportunity": ((("Status", "Edm.Int32"), ("OpportunityClose", f"{_NAMESPACE}.opportunityclose")), None),
    "LoseOpportunity": ((("Status", "Edm.Int32"), ("OpportunityClose", f"{_NAMESPACE}.opportunityclose")), None),
    "FulfillSalesOrder": ((("Status", "Edm.Int32"), ("OrderClose", f"{_NAMESPACE}.crmbaseentity")), None),
    "CancelSalesOrder": ((("Status", "Edm.Int32"), ("OrderClose", f"{_NAMESPACE}.crmbaseentity")), None),
    "CalculatePrice": ((("Target", f"{_NAMESPACE}.crmbaseentity"),), None),
    "PublishAllXml": ((), None),
    "PublishXml": ((("ParameterXml", "Edm.String"),), None),
}
"""Unbound action -> its parameters and what it returns."""
_FUNCTIONS: Final[Mapping[str, tuple[Parameters, str]]] = {
    "WhoAmI": ((), "WhoAmIResponse"),
    "RetrieveVersion": ((), "RetrieveVersionResponse"),
    "RetrieveAvailableLanguages": ((), "RetrieveAvailableLanguagesResponse"),
    "RetrieveTotalRecordCount": ((("EntityNames", "Collection(Edm.String)"),), "RetrieveTotalRecordCountResponse"),
}
_BOUND: Final[Mapping[str, tuple[str, Parameters]]] = {
    "PublishProductHierarchy": ("product", ()),
    "AddPrivilegesRole": ("role", (("Privileges", f"Collection({_NAMESPACE}.RolePrivilege)"),)),
}
_COMPLEX: Final[Mapping[str, Parameters]] = {
    "ColumnSet": (("AllColumns", "Edm.Boolean"), ("Columns", "Collection(Edm.String)")),
    "RolePrivilege": (
        ("Depth", "Edm.String"),
        ("PrivilegeId", "Edm.Guid"),
        ("BusinessUnitId", "Edm.Guid"),
        ("PrivilegeName", "Edm.String"),
    ),
    "EntityRecordCountCollection": (
        ("Count", "Edm.Int32"),
        ("IsReadOnly", "Edm.Boolean"),
        ("Keys", "Collection(Edm.String)"),
        ("Values", "Collection(Edm.Int64)"),
    ),
    "WhoAmIResponse": (("BusinessUnitId", "Edm.Guid"), ("UserId", "Edm.Guid"), ("OrganizationId", "Edm.Guid")),
    "RetrieveVersionResponse": (("Version", "Edm.String"),),
    "RetrieveAvailableLanguagesResponse": (("LocaleIds", "Collection(Edm.Int32)"),),
    "RetrieveTotalRecordCountResponse": (("EntityRecordCountCollection", f"{_NAMESPACE}.EntityRecordCountCollection"),),
}


def service_metadata(schema: Schema) -> bytes:
    """The CSDL document, XML in UTF-8."""
    root = Element("edmx:Edmx", {"Version": "4.0", "xmlns:edmx": _EDMX})
    for uri, (namespace, alias) in _REFERENCES.items():
        reference = SubElement(root, "edmx:Reference", {"Uri": uri})
        SubElement(reference, "edmx:Include", {"Namespace": namespace, "Alias": alias})
    services = SubElement(root, "edmx:DataServices")
    body = SubElement(services, "Schema", {"Namespace": _NAMESPACE, "Alias": "mscrm", "xmlns": _EDM})
    SubElement(body, "EntityType", {"Name": "crmbaseentity", "Abstract": "true"})
    for entity in schema.by_name.values():
        _entity_type(body, schema, entity)
    for name, members in _COMPLEX.items():
        complex_type = SubElement(body, "ComplexType", {"Name": name})
        for member, kind in members:
            _property(complex_type, member, kind, nullable=not kind.startswith("Collection"))
    for name, (parameters, returned) in _ACTIONS.items():
        action = SubElement(body, "Action", {"Name": name})
        _parameters(action, parameters)
        if returned is not None:
            SubElement(action, "ReturnType", {"Type": returned, "Nullable": "false"})
    for name, (bound_to, parameters) in _BOUND.items():
        action = SubElement(body, "Action", {"Name": name, "IsBound": "true"})
        _parameters(action, (("entity", f"mscrm.{bound_to}"), *parameters))
    for name, (parameters, returned) in _FUNCTIONS.items():
        function = SubElement(body, "Function", {"Name": name})
        _parameters(function, parameters)
        SubElement(function, "ReturnType", {"Type": f"mscrm.{returned}", "Nullable": "false"})
    _container(body, schema)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _entity_type(body: Element, schema: Schema, entity: Entity) -> None:
    element = SubElement(body, "EntityType", {"Name": entity.name, "BaseType": "mscrm.crmbaseentity"})
    SubElement(SubElement(element, "Key"), "PropertyRef", {"Name": entity.key})
    for column in entity.columns.values():
        if not column.secret:
            _column(element, entity, column)
    partners = _partners(schema, entity)
    for navigation in entity.navigations.values():
        target = next((name for name in navigation.targets if name in schema.by_name), None)
        if target is None:
            continue
        found = {"Name": navigation.name, "Type": f"mscrm.{target}", "Nullable": "true"}
        if navigation.name in partners:
            found["Partner"] = partners[navigation.name]
        property_ = SubElement(element, "NavigationProperty", found)
        constraint = {"Property": navigation.column.stored, "ReferencedProperty": schema.by_name[target].key}
        SubElement(property_, "ReferentialConstraint", constraint)
    for collection in entity.collections.values():
        found = {"Name": collection.name, "Type": f"Collection(mscrm.{collection.child})"}
        if collection.name in partners:
            found["Partner"] = partners[collection.name]
        SubElement(element, "NavigationProperty", found)
    if entity.alternate_keys:
        _alternate_keys(element, entity)


def _column(element: Element, entity: Entity, column: Column) -> None:
    attributes = {"MaxLength": str(column.max_length)} if column.max_length else {}
    scale = SCALES.get(column.type)
    if scale is not None:
        attributes["Scale"] = str(scale)
    _property(element, column.stored, EDM_TYPES[column.type], nullable=column.name != entity.key, **attributes)
    if column.read_only:
        computed = {"Term": "Org.OData.Core.V1.Computed", "Bool": "true"}
        SubElement(element[-1], "Annotation", computed)


def _partners(schema: Schema, entity: Entity) -> dict[str, str]:
    """Navigation property -> the one that leads back."""
    found: dict[str, str] = {}
    for link in schema.one_to_many.values():
        if link.child == entity.name and len(entity.navigations[link.child_navigation].targets) == 1:
            found[link.child_navigation] = link.parent_navigation
        if link.parent == entity.name:
            found[link.parent_navigation] = link.child_navigation
    return found


def _alternate_keys(element: Element, entity: Entity) -> None:
    """`AlternateKeys`: a collection of AlternateKey records, each with the PropertyRefs of its Key."""
    annotation = SubElement(element, "Annotation", {"Term": f"{_KEYS}.AlternateKeys"})
    keys = SubElement(annotation, "Collection")
    for columns in entity.alternate_keys.values():
        record = SubElement(keys, "Record", {"Type": f"{_KEYS}.AlternateKey"})
        parts = SubElement(SubElement(record, "PropertyValue", {"Property": "Key"}), "Collection")
        for stored in columns:
            reference = SubElement(parts, "Record", {"Type": f"{_KEYS}.PropertyRef"})
            SubElement(reference, "PropertyValue", {"Property": "Alias", "String": stored})
            SubElement(reference, "PropertyValue", {"Property": "Name", "PropertyPath": stored})


def _container(body: Element, schema: Schema) -> None:
    container = SubElement(body, "EntityContainer", {"Name": "System"})
    for entity in schema.by_name.values():
        attributes = {"Name": entity.entity_set, "EntityType": f"{_NAMESPACE}.{entity.name}"}
        element = SubElement(container, "EntitySet", attributes)
        for navigation in entity.navigations.values():
            target = next((name for name in navigation.targets if name in schema.by_name), None)
            if target is not None:
                binding = {"Path": navigation.name, "Target": schema.by_name[target].entity_set}
                SubElement(element, "NavigationPropertyBinding", binding)
        for collection in entity.collections.values():
            binding = {"Path": collection.name, "Target": schema.by_name[collection.child].entity_set}
            SubElement(element, "NavigationPropertyBinding", binding)
    for name in _ACTIONS:
        SubElement(container, "ActionImport", {"Name": name, "Action": f"{_NAMESPACE}.{name}"})
    for name in _FUNCTIONS:
        SubElement(container, "FunctionImport", {"Name": name, "Function": f"{_NAMESPACE}.{name}"})


def _parameters(parent: Element, parameters: Parameters) -> None:
    for name, kind in parameters:
        SubElement(parent, "Parameter", {"Name": name, "Type": kind, "Nullable": "false"})


def _property(parent: Element, name: str, kind: str, *, nullable: bool, **attributes: str) -> None:
    found = {"Name": name, "Type": kind, **attributes}
    if not nullable:
        found["Nullable"] = "false"
    SubElement(parent, "Property", found)
