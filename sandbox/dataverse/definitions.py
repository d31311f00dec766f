"""The schema as rows of the metadata Web API: tables, columns, choices, keys and relationships, and queries over them.

(Microsoft Learn: "Query table definitions using the Web API", "Retrieve table definitions by name or MetadataId",
"Query the schema definitions", EntityMetadata, AttributeMetadata, OneToManyRelationshipMetadata and the types beside
them, "RetrieveMetadataChanges".)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.describing import Item, choice_item, label_text, relationship_item, table_item
from sandbox.dataverse.schema import ManyToMany, OneToMany, Schema
from sandbox.odata.address import Segment
from sandbox.odata.filters import Column as FilterColumn
from sandbox.odata.filters import Predicate, compile_filter
from sandbox.odata.jsonio import BadJson, decode
from sandbox.odata.query import QueryOptions
from sandbox.odata.tokens import FilterError, Literal
from sandbox.store import Row

__all__ = ["SETS", "answer", "label_text"]

_NAMESPACE: Final = "Microsoft.Dynamics.CRM."
SETS: Final = frozenset({"EntityDefinitions", "RelationshipDefinitions", "GlobalOptionSetDefinitions"})
"""The entity sets of the metadata Web API."""


@dataclass(slots=True, unsafe_hash=True)
class _MetadataDialect:
    """`$filter` over metadata rows: equality only, as the platform allows little more there."""

    names: frozenset[str]
    functions: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset({"eq", "ne"})
    wildcards: bool = False

    def column(self, path: tuple[str, ...]) -> FilterColumn:
        """A property of a metadata row, or a member of a complex one (`IsCustomizable/Value`)."""
        if path[0] not in self.names:
            raise FilterError(f"Could not find a property named '{path[0]}' on the metadata type.")

        def read(row: Row) -> Any:
            value: Any = row
            for name in path:
                value = value.get(name) if isinstance(value, dict) else None
            return value

        return FilterColumn(read, None, _plain)

    def call(self, name: str, arguments: Mapping[str, Any]) -> Predicate:
        """There are no functions."""
        raise FilterError(f'The "{name}" function isn\'t supported for Metadata Entities.')


def _plain(literal: Literal) -> Any:
    return literal.value


def answer(
    schema: Schema, segments: tuple[Segment, ...], options: QueryOptions, aliases: Mapping[str, str], base: str
) -> Row:
    """The body of an answer below a set of metadata, or of `RetrieveMetadataChanges`.

    Raises:
        DataverseError: The address or the query names what is not there.
    """
    first = segments[0]
    if first.name == "RetrieveMetadataChanges":
        return _metadata_changes(schema, aliases, base)
    found: Item | list[Item] = _roots(schema, first.name)
    context = f"{base}/$metadata#{first.name}"
    if first.key is not None:
        found = _pick(found, first)
    for segment in segments[1:]:
        if segment.name.startswith(_NAMESPACE):
            found = _cast(found, segment.name.removeprefix(_NAMESPACE))
            context += f"/{segment.name}"
            continue
        if isinstance(found, list) or segment.name not in found.children:
            raise errors.resource_not_found(segment.name)
        context += f"('{found.row.get('LogicalName') or found.row.get('MetadataId')}')/{segment.name}"
        found = found.child(segment.name)
        if segment.key is not None and isinstance(found, list):
            found = _pick(found, segment)
    if isinstance(found, list):
        return {"@odata.context": context, "value": [_shown(item, options) for item in _filtered(found, options)]}
    return {"@odata.context": f"{context}/$entity", **_shown(found, options)}


def _roots(schema: Schema, name: str) -> list[Item]:
    if name == "EntityDefinitions":
        return [table_item(schema, entity) for entity in schema.by_name.values()]
    if name == "RelationshipDefinitions":
        links: list[OneToMany | ManyToMany] = [*schema.one_to_many.values(), *schema.many_to_many.values()]
        return [relationship_item(link) for link in links]
    return [choice_item(choice) for choice in schema.option_sets.values()]


def _pick(found: Item | list[Item], segment: Segment) -> Item:
    """The item a key in brackets names: by MetadataId, LogicalName, SchemaName or Name."""
    name, literal = next(iter((segment.key or {}).items()), ("", Literal("null", None)))
    wanted = str(literal.value).lower()
    members = (name,) if name else ("MetadataId",)
    for item in found if isinstance(found, list) else [found]:
        if any(str(item.row.get(member) or "").lower() == wanted for member in members):
            return item
    kind = {"EntityDefinitions": "entity", "Attributes": "attribute", "Keys": "entity key"}.get(segment.name)
    raise errors.metadata_not_found(kind or "object", wanted)


def _cast(found: Item | list[Item], kind: str) -> Item | list[Item]:
    if isinstance(found, list):
        return [item for item in found if item.kind == kind]
    if found.kind != kind:
        raise errors.bad_query(f"The definition is a {found.kind}, not a {kind}.")
    return found


def _filtered(items: list[Item], options: QueryOptions) -> list[Item]:
    if options.filter is None or not items:
        return items
    names = frozenset().union(*(item.row for item in items))
    try:
        condition = compile_filter(options.filter, _MetadataDialect(names))
    except FilterError as problem:
        raise errors.DataverseError(501, "0x8006088a", str(problem)) from problem
    return [item for item in items if condition.matches(item.row)]


def _shown(item: Item, options: QueryOptions) -> Row:
    """An item's properties as selected, with what is expanded."""
    if options.select is None:
        row = {"@odata.type": f"#{_NAMESPACE}{item.kind}", **item.row}
    else:
        kept = {"MetadataId", *options.select}
        row = {"@odata.type": f"#{_NAMESPACE}{item.kind}"}
        row |= {name: value for name, value in item.row.items() if name in kept}
    for wanted in options.expand:
        if wanted.name not in item.children:
            if wanted.name in ("OptionSet", "GlobalOptionSet"):
                row[wanted.name] = None
                continue
            raise errors.bad_query(f"Could not find a property named '{wanted.name}' on type '{item.kind}'.")
        child = item.child(wanted.name)
        if isinstance(child, list):
            row[wanted.name] = [_shown(each, wanted.options) for each in _filtered(child, wanted.options)]
        else:
            row[wanted.name] = _shown(child, wanted.options)
    return row


def _metadata_changes(schema: Schema, aliases: Mapping[str, str], base: str) -> Row:
    """The tables and columns an EntityQueryExpression asks for; conditions by logical name."""
    given = next((value for name, value in aliases.items() if name.startswith("@")), "{}")
    try:
        query = decode(given)
    except BadJson as problem:
        raise errors.bad_query(f"The parameter 'Query' is not valid JSON: {problem}") from problem
    tables = _wanted(query.get("Criteria"))
    columns = _wanted((query.get("AttributeQuery") or {}).get("Criteria"))
    found = []
    for entity in schema.by_name.values():
        if tables and entity.name not in tables:
            continue
        item = table_item(schema, entity)
        attributes = []
        for attribute in item.list("Attributes"):
            if not columns or attribute.row["LogicalName"] in columns:
                row = {"@odata.type": f"#{_NAMESPACE}{attribute.kind}", **attribute.row}
                for name in ("OptionSet", "GlobalOptionSet"):
                    if name in attribute.children:
                        row[name] = attribute.one(name).row
                attributes.append(row)
        found.append({**item.row, "Attributes": attributes})
    context = f"{base}/$metadata#Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse"
    stamp = f"{schema.version}!01/01/2026 00:00:00"
    return {"@odata.context": context, "ServerVersionStamp": stamp, "EntityMetadata": found}


def _wanted(criteria: Any) -> set[str]:
    wanted: set[str] = set()
    for condition in (criteria or {}).get("Conditions") or []:
        value = (condition.get("Value") or {}).get("Value")
        values = value if isinstance(value, list) else [value]
        wanted.update(str(item).lower() for item in values if condition.get("PropertyName") == "LogicalName")
    return wanted
