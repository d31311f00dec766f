"""`$metadata` and the service document (OASIS CSDL 4.0; OData JSON 4.0, section 5)."""

from __future__ import annotations

from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, tostring

from virtual.tables import TABLES, Column

NAMESPACE: Final = "q2c"
_EDMX: Final = "http://docs.oasis-open.org/odata/ns/edmx"
_EDM: Final = "http://docs.oasis-open.org/odata/ns/edm"
_LONGEST_TEXT: Final = "400"
_DIGITS: Final = {"Precision": "28", "Scale": "10"}


def metadata() -> bytes:
    """`$metadata`."""
    edmx = Element("edmx:Edmx", {"Version": "4.0", "xmlns:edmx": _EDMX})
    schema = SubElement(SubElement(edmx, "edmx:DataServices"), "Schema", {"Namespace": NAMESPACE, "xmlns": _EDM})
    for table in TABLES:
        entity = SubElement(schema, "EntityType", {"Name": table.name})
        SubElement(SubElement(entity, "Key"), "PropertyRef", {"Name": table.id})
        for column in table.all_columns:
            _property(entity, column)
    container = SubElement(schema, "EntityContainer", {"Name": "Container"})
    for table in TABLES:
        entity_set = {"Name": table.set, "EntityType": f"{NAMESPACE}.{table.name}"}
        _read_only(SubElement(container, "EntitySet", entity_set))
    return bytes(tostring(edmx, encoding="utf-8", xml_declaration=True))


def _property(entity: Element, column: Column) -> None:
    facets = {"Name": column.name, "Type": column.edm}
    if not column.nullable:
        facets["Nullable"] = "false"
    if column.edm == "Edm.String":
        facets["MaxLength"] = _LONGEST_TEXT
    if column.edm == "Edm.Decimal":
        facets |= _DIGITS
    described = {"Term": "Org.OData.Core.V1.Description", "String": column.help}
    SubElement(SubElement(entity, "Property", facets), "Annotation", described)


def _read_only(entity_set: Element) -> None:
    """Say in the model too that nothing can be written (OData Capabilities vocabulary)."""
    for what in ("Insert", "Update", "Delete"):
        term = f"Org.OData.Capabilities.V1.{what}Restrictions"
        record = SubElement(SubElement(entity_set, "Annotation", {"Term": term}), "Record")
        SubElement(record, "PropertyValue", {"Property": f"{what}able", "Bool": "false"})


def service_document() -> dict[str, Any]:
    """What there is to read."""
    value = [{"name": table.set, "kind": "EntitySet", "url": table.set} for table in TABLES]
    return {"@odata.context": "$metadata", "value": value}
