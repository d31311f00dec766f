"""`EntityDefinitions`: tables, columns, options and alternate keys as metadata rows.

Enough of the metadata Web API for a check whether columns exist and for Microsoft's own clients, which look up entity
set names, primary keys and choice labels here. (Microsoft Learn: "Query table definitions using the Web API",
"Retrieve table definitions by name or MetadataId", "RetrieveMetadataChanges".)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.schema import Column, Entity, Schema
from sandbox.odata.address import Segment
from sandbox.odata.filters import Column as FilterColumn
from sandbox.odata.filters import Filter, FilterError, Literal, Predicate, compile_filter
from sandbox.odata.jsonio import BadJson, decode
from sandbox.odata.query import QueryOptions
from sandbox.store import Row

_NAMESPACE: Final = "Microsoft.Dynamics.CRM."
_ATTRIBUTE_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "String": ("String", "StringAttributeMetadata"),
    "Memo": ("Memo", "MemoAttributeMetadata"),
    "Integer": ("Integer", "IntegerAttributeMetadata"),
    "BigInt": ("BigInt", "BigIntAttributeMetadata"),
    "Decimal": ("Decimal", "DecimalAttributeMetadata"),
    "Money": ("Money", "MoneyAttributeMetadata"),
    "Boolean": ("Boolean", "BooleanAttributeMetadata"),
    "DateTime": ("DateTime", "DateTimeAttributeMetadata"),
    "DateOnly": ("DateTime", "DateTimeAttributeMetadata"),
    "Guid": ("Uniqueidentifier", "UniqueIdentifierAttributeMetadata"),
    "Lookup": ("Lookup", "LookupAttributeMetadata"),
    "Picklist": ("Picklist", "PicklistAttributeMetadata"),
    "State": ("State", "StateAttributeMetadata"),
    "Status": ("Status", "StatusAttributeMetadata"),
}
_SPECIAL_LOOKUPS: Final = {"ownerid": "Owner", "customerid": "Customer", "parentcustomerid": "Customer"}


class _MetadataDialect:
    """`$filter` over metadata rows: equality only, as the platform allows little more there."""

    functions: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset({"eq", "ne"})
    wildcards: bool = False

    def column(self, path: tuple[str, ...]) -> FilterColumn:
        """Any property of a metadata row."""
        name = path[0]
        return FilterColumn(lambda row: row.get(name), None, _plain)

    def call(self, name: str, arguments: Mapping[str, Any]) -> Predicate:
        """There are no functions."""
        raise FilterError(f'The "{name}" function isn\'t supported for Metadata Entities.')


def _plain(literal: Literal) -> Any:
    return literal.value


_DIALECT: Final = _MetadataDialect()


def answer(
    schema: Schema, segments: tuple[Segment, ...], options: QueryOptions, aliases: Mapping[str, str], base: str
) -> Row:
    """The body of an answer below `EntityDefinitions`, or of `RetrieveMetadataChanges`.

    Raises:
        DataverseError: The address or the query names what is not there.
    """
    first = segments[0]
    if first.name == "RetrieveMetadataChanges":
        return _metadata_changes(schema, aliases, base)
    context = f"{base}/$metadata#EntityDefinitions"
    if first.key is None:
        rows = [_entity_row(entity) for entity in schema.by_name.values()]
        return {"@odata.context": context, "value": [_selected(row, options) for row in _filtered(rows, options)]}
    entity = _entity(schema, first)
    if len(segments) == 1:
        row = _selected(_entity_row(entity), options)
        for item in options.expand:
            row[item.name] = [_selected(child, item.options) for child in _children(entity, item.name)]
        return {"@odata.context": f"{context}/$entity", **row}
    child_name = segments[1].name
    rows = _children(entity, child_name)
    if segments[1].key:
        return _single(entity, rows, segments[1], options, context)
    if len(segments) > 2:
        kind = segments[2].name.removeprefix(_NAMESPACE)
        rows = [row for row in rows if row["@odata.type"] == f"#{_NAMESPACE}{kind}"]
    value = [_expanded(entity, _selected(row, options), row, options) for row in _filtered(rows, options)]
    return {"@odata.context": f"{context}('{entity.name}')/{child_name}", "value": value}


def _single(entity: Entity, rows: list[Row], segment: Segment, options: QueryOptions, context: str) -> Row:
    key = segment.key or {}
    wanted = str(next(iter(key.values())).value).lower() if key else ""
    for row in rows:
        if wanted in (row["LogicalName"], row["MetadataId"]):
            shown = _expanded(entity, _selected(row, options), row, options)
            return {"@odata.context": f"{context}('{entity.name}')/{segment.name}/$entity", **shown}
    raise errors.DataverseError(404, "0x80060888", f"Could not find an attribute with name '{wanted}'.")


def _entity(schema: Schema, segment: Segment) -> Entity:
    key = segment.key or {}
    wanted = str(next(iter(key.values())).value).lower() if key else ""
    for entity in schema.by_name.values():
        if wanted in (entity.name, entity.metadata_id):
            return entity
    raise errors.DataverseError(
        404, "0x80060888", f"Could not find an entity with name {wanted} in the metadata cache."
    )


def _entity_row(entity: Entity) -> Row:
    return {
        "MetadataId": entity.metadata_id,
        "LogicalName": entity.name,
        "SchemaName": entity.name,
        "EntitySetName": entity.entity_set,
        "LogicalCollectionName": entity.entity_set,
        "PrimaryIdAttribute": entity.key,
        "PrimaryNameAttribute": entity.primary_name,
        "DisplayName": _label(entity.name),
        "IsPrivate": False,
        "IsCustomEntity": False,
        "ChangeTrackingEnabled": True,
        "IsOptimisticConcurrencyEnabled": True,
    }


def _children(entity: Entity, name: str) -> list[Row]:
    if name == "Attributes":
        return [_attribute_row(entity, column) for column in entity.columns.values()]
    if name == "Keys":
        return [
            {
                "@odata.type": f"#{_NAMESPACE}EntityKeyMetadata",
                "MetadataId": entity.column_metadata_id(f"key:{key}"),
                "LogicalName": key,
                "SchemaName": key,
                "EntityLogicalName": entity.name,
                "EntityKeyIndexStatus": "Active",
                "KeyAttributes": [entity.by_stored[column].name for column in columns],
            }
            for key, columns in entity.alternate_keys.items()
        ]
    raise errors.resource_not_found(name)


def _attribute_row(entity: Entity, column: Column) -> Row:
    kind, metadata_type = _ATTRIBUTE_TYPES[column.type]
    row: Row = {
        "@odata.type": f"#{_NAMESPACE}{metadata_type}",
        "MetadataId": entity.column_metadata_id(column.name),
        "LogicalName": column.name,
        "SchemaName": column.name,
        "EntityLogicalName": entity.name,
        "AttributeType": _SPECIAL_LOOKUPS.get(column.name, kind),
        "AttributeTypeName": {"Value": f"{_SPECIAL_LOOKUPS.get(column.name, kind)}Type"},
        "DisplayName": _label(column.name),
        "IsCustomAttribute": column.custom,
        "IsPrimaryId": column.name == entity.key,
        "IsPrimaryName": column.name == entity.primary_name,
        "IsValidForCreate": not column.read_only,
        "IsValidForUpdate": not column.read_only and column.name != entity.key,
        "IsValidForRead": True,
        "RequiredLevel": {"Value": column.required or "None", "CanBeChanged": False},
    }
    if column.max_length is not None:
        row["MaxLength"] = column.max_length
    if column.type == "Lookup":
        row["Targets"] = list(column.targets)
    return row


def _expanded(entity: Entity, shown: Row, row: Row, options: QueryOptions) -> Row:
    for item in options.expand:
        if item.name in ("OptionSet", "GlobalOptionSet"):
            column = entity.columns[row["LogicalName"]]
            local = {"Options": _options(entity, column)} if column.is_choice and item.name == "OptionSet" else None
            shown[item.name] = local
    return shown


def _options(entity: Entity, column: Column) -> list[Row]:
    rows = []
    for value, label in column.options.items():
        option: Row = {"Value": value, "Label": _label(label)}
        if column.type == "Status":
            option["State"] = entity.states.get(value)
        rows.append(option)
    return rows


def _label(text: str) -> Row:
    localized = {"Label": text, "LanguageCode": 1033}
    return {"LocalizedLabels": [localized], "UserLocalizedLabel": localized}


def _filtered(rows: list[Row], options: QueryOptions) -> list[Row]:
    if options.filter is None:
        return rows
    try:
        condition: Filter = compile_filter(options.filter, _DIALECT)
    except FilterError as problem:
        raise errors.DataverseError(501, "0x8006088a", str(problem)) from problem
    return [row for row in rows if condition.matches(row)]


def _selected(row: Row, options: QueryOptions) -> Row:
    if options.select is None:
        return dict(row)
    kept = {"@odata.type", "MetadataId", *options.select}
    return {name: value for name, value in row.items() if name in kept}


def _metadata_changes(schema: Schema, aliases: Mapping[str, str], base: str) -> Row:
    """The tables and columns an EntityQueryExpression asks for; conditions by logical name."""
    try:
        query = decode(aliases.get("@p1", "{}"))
    except BadJson as problem:
        raise errors.bad_query(f"The parameter 'Query' is not valid JSON: {problem}") from problem
    tables = _wanted(query.get("Criteria"))
    columns = _wanted((query.get("AttributeQuery") or {}).get("Criteria"))
    found = []
    for entity in schema.by_name.values():
        if tables and entity.name not in tables:
            continue
        attributes = []
        for column in entity.columns.values():
            if not columns or column.name in columns:
                row = _attribute_row(entity, column)
                if column.is_choice:
                    row["OptionSet"] = {"Options": _options(entity, column)}
                attributes.append(row)
        found.append({**_entity_row(entity), "Attributes": attributes})
    context = f"{base}/$metadata#Microsoft.Dynamics.CRM.RetrieveMetadataChangesResponse"
    return {"@odata.context": context, "ServerVersionStamp": "1!01/01/2026 00:00:00", "EntityMetadata": found}


def _wanted(criteria: Any) -> set[str]:
    wanted: set[str] = set()
    for condition in (criteria or {}).get("Conditions") or []:
        value = (condition.get("Value") or {}).get("Value")
        values = value if isinstance(value, list) else [value]
        wanted.update(str(item).lower() for item in values if condition.get("PropertyName") == "LogicalName")
    return wanted
