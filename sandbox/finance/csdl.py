"""`$metadata` (CSDL) and the service document of Finance, made from the published columns.

Annotated as the real document is: labels, whether a column can be edited, and its X++ type. The terms are not declared,
as in the real document: its enum `AXType` would have the name of a term. Decimals have a variable
scale, because CSDL's default is none at all. (OASIS OData CSDL 4.0; a tenant's trimmed `$metadata`.)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from sandbox.finance.actions import ACTIONS
from sandbox.finance.editing import editing
from sandbox.finance.labels import label_id
from sandbox.finance.model import ENUMS, NAMESPACE, EntitySet, Property, entity_sets

CORE: Final = "Microsoft.Dynamics.OData.Core.V1"
AX_TYPES: Final = (
    "Container",
    "Date",
    "Enum",
    "Guid",
    "Int32",
    "Int64",
    "Real",
    "Record",
    "String",
    "Time",
    "UtcDateTime",
    "Void",
)
_AX_TYPE: Final = {
    "String": "String",
    "Decimal": "Real",
    "Int32": "Int32",
    "Int64": "Int64",
    "DateTimeOffset": "UtcDateTime",
    "Guid": "Guid",
    "Binary": "Container",
    "Boolean": "Enum",
}


def service_document(origin: str) -> dict[str, Any]:
    """The answer of `/data`: every entity set served."""
    return {
        "@odata.context": f"{origin}/data/$metadata",
        "value": [{"name": name, "kind": "EntitySet", "url": name} for name in entity_sets()],
    }


def ax_type(item: Property) -> str:
    """The X++ type of a column."""
    return "Enum" if item.members is not None else _AX_TYPE[item.type]


@lru_cache(maxsize=1)
def metadata_document() -> bytes:
    """The CSDL document, UTF-8."""
    sets = entity_sets()
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">',
        "<edmx:DataServices>",
        f'<Schema Namespace="{NAMESPACE}" xmlns="http://docs.oasis-open.org/odata/ns/edm">',
    ]
    for name, members in ENUMS.items():
        lines.append(f"<EnumType Name={quoteattr(name)}>")
        lines += [f'<Member Name={quoteattr(member)} Value="{number}" />' for member, number in members.items()]
        lines.append("</EnumType>")
    for entity in sets.values():
        lines += _entity_type(entity, sets)
    for entity_set, action in ACTIONS:
        bound = f"Collection({NAMESPACE}.{sets[entity_set].type_name})"
        lines.append(f'<Action Name="{action}" IsBound="true">')
        lines.append(f'<Parameter Name="{sets[entity_set].type_name}" Type="{bound}" />')
        lines.append('<ReturnType Type="Edm.String" /></Action>')
    lines.append('<EntityContainer Name="Resources">')
    for entity in sets.values():
        lines.append(f'<EntitySet Name="{entity.name}" EntityType="{NAMESPACE}.{entity.type_name}">')
        lines += [
            f'<NavigationPropertyBinding Path="{link.name}" Target="{link.target}" />' for link in entity.links.values()
        ]
        lines.append("</EntitySet>")
    lines += ["</EntityContainer>", "</Schema>", *_core_schema(), "</edmx:DataServices>", "</edmx:Edmx>"]
    return "\n".join(lines).encode()


def _entity_type(entity: EntitySet, sets: Mapping[str, EntitySet]) -> list[str]:
    lines = [f'<EntityType Name="{entity.type_name}">', "<Key>"]
    lines += [f'<PropertyRef Name="{name}" />' for name in entity.key]
    lines.append("</Key>")
    for item in entity.properties.values():
        lines += _property(entity, item)
    for link in entity.links.values():
        target = f"{NAMESPACE}.{sets[link.target].type_name}"
        kind = f"Collection({target})" if link.many else target
        lines.append(f'<NavigationProperty Name="{link.name}" Type="{kind}" />')
    lines += [_string("LabelId", label_id(entity.type_name)), "</EntityType>"]
    return lines


def _property(entity: EntitySet, item: Property) -> list[str]:
    nullable = "" if item.nullable else ' Nullable="false"'
    scale = ' Scale="variable"' if item.type == "Decimal" else ""
    lines = [f'<Property Name="{item.name}" Type="{item.edm_type}"{nullable}{scale}>']
    lines.append(_string("LabelId", label_id(item.name)))
    may = editing(entity, item.name)
    if not may.edit:
        lines.append(_bool("AllowEdit", value=False))
    if not may.create:
        lines.append(_bool("AllowEditOnCreate", value=False))
    if may.mandatory:
        lines.append(_bool("IsRequired", value=True))
    member = f"{CORE}.AXType/{ax_type(item)}"
    lines.append(f'<Annotation Term="{CORE}.AXType"><EnumMember>{member}</EnumMember></Annotation>')
    lines.append("</Property>")
    return lines


def _string(term: str, value: str) -> str:
    return f'<Annotation Term="{CORE}.{term}" String={quoteattr(value)} />'


def _bool(term: str, *, value: bool) -> str:
    return f'<Annotation Term="{CORE}.{term}" Bool="{str(value).lower()}" />'


def _core_schema() -> list[str]:
    lines = [f'<Schema Namespace="{CORE}" xmlns="http://docs.oasis-open.org/odata/ns/edm">', '<EnumType Name="AXType">']
    lines += [f'<Member Name="{name}" Value="{number}" />' for number, name in enumerate(AX_TYPES)]
    return [*lines, "</EnumType>", "</Schema>"]
