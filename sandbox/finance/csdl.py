"""`$metadata` (CSDL) and the service document of Finance, made from the published columns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import quoteattr

from sandbox.finance.model import ENUMS, NAMESPACE, EntitySet, entity_sets


def service_document(origin: str) -> dict[str, Any]:
    """The answer of `/data`: every entity set served."""
    return {
        "@odata.context": f"{origin}/data/$metadata",
        "value": [{"name": name, "kind": "EntitySet", "url": name} for name in entity_sets()],
    }


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
    lines.append('<EntityContainer Name="Resources">')
    for entity in sets.values():
        lines.append(f'<EntitySet Name="{entity.name}" EntityType="{NAMESPACE}.{entity.type_name}">')
        lines += [
            f'<NavigationPropertyBinding Path="{link.name}" Target="{link.target}" />' for link in entity.links.values()
        ]
        lines.append("</EntitySet>")
    lines += ["</EntityContainer>", "</Schema>", "</edmx:DataServices>", "</edmx:Edmx>"]
    return "\n".join(lines).encode()


def _entity_type(entity: EntitySet, sets: Mapping[str, EntitySet]) -> list[str]:
    lines = [f'<EntityType Name="{entity.type_name}">', "<Key>"]
    lines += [f'<PropertyRef Name="{name}" />' for name in entity.key]
    lines.append("</Key>")
    for item in entity.properties.values():
        nullable = "" if item.nullable else ' Nullable="false"'
        lines.append(f'<Property Name="{item.name}" Type="{item.edm_type}"{nullable} />')
    for link in entity.links.values():
        target = f"{NAMESPACE}.{sets[link.target].type_name}"
        kind = f"Collection({target})" if link.many else target
        lines.append(f'<NavigationProperty Name="{link.name}" Type="{kind}" />')
    lines.append("</EntityType>")
    return lines
