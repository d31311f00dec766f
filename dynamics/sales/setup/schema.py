"""Table, columns, relationships, alternate keys and change tracking, by the metadata Web API.

Sources: Microsoft Learn, "Create and update table definitions using the Web API", "Create and update column definitions
using the Web API", "Create and update table relationships using the Web API", "Define alternate keys for a table",
InsertOptionValue, PublishXml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from dynamics.core.errors import NotFound
from dynamics.core.literals import key, query
from dynamics.core.odata import Row
from dynamics.sales.setup.blueprint import (
    COLUMNS,
    KEYS,
    OWN_TABLES,
    RELATIONSHIPS,
    SOLUTION,
    TABLES,
    TRACKED,
    Column,
    Key,
    Relationship,
    Table,
    columns_of,
)
from dynamics.sales.setup.findings import (
    AGAIN,
    IN_SOLUTION,
    KEEP_LABELS,
    Finding,
    Section,
    definition_without_context,
    label,
    listed,
)

_CRM: Final = "Microsoft.Dynamics.CRM"
_DETAILS: Final[Mapping[str, tuple[str, str | None]]] = {
    "String": ("LogicalName,MaxLength,FormatName", None),
    "Memo": ("LogicalName,MaxLength", None),
    "Picklist": ("LogicalName", "OptionSet($select=Options),GlobalOptionSet($select=Name,Options)"),
    "DateTime": ("LogicalName,DateTimeBehavior", None),
}
"""Kind of a column -> what is read of it, and what is expanded."""
_OPTIONAL: Final = {
    "Value": "None",
    "CanBeChanged": True,
    "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
}
_CASCADE: Final = {
    "Assign": "NoCascade",
    "Delete": "RemoveLink",
    "Merge": "NoCascade",
    "Reparent": "NoCascade",
    "Share": "NoCascade",
    "Unshare": "NoCascade",
}
"""A deal's row outlives what it is about, and belongs to nobody else's record."""
_ACTIVE_INDEX: Final = "Active"


@dataclass(slots=True)
class _Found:
    """A table as it is."""

    tracked: bool
    kinds: Mapping[str, str]
    """Kind of each column."""
    keys: Sequence[Row]
    lookups: Sequence[Row]
    details: dict[str, Row] = field(default_factory=dict)
    """Definitions of the custom columns whose kind has more to look at, by logical name."""


class Schema(Section):
    """The definitions."""

    title = "tables and columns"

    def __init__(self, *args: Any) -> None:
        """See `Section`."""
        super().__init__(*args)
        self._changed: set[str] = set()

    async def look(self) -> list[Finding]:
        """The product's tables first, then columns, relationships, keys, change tracking."""
        tables = {name: await self._read(name) for name in dict.fromkeys((*TABLES, *TRACKED))}
        found = [self._table(own, tables[own.name]) for own in OWN_TABLES]
        for column in COLUMNS:
            found += self._column(column, tables[column.table])
        found += [self._relationship(each, tables[each.child]) for each in RELATIONSHIPS]
        found += [self._key(each, tables[each.table]) for each in KEYS]
        found += [self._tracking(name, tables[name]) for name in TRACKED]
        return found

    async def finish(self) -> None:
        """Publish the tables that were changed."""
        await self.publish(self._changed)

    # --- how it is ---------------------------------------------------------------------------------------------------

    async def _read(self, table: str) -> _Found | None:
        path = query(
            key("EntityDefinitions", LogicalName=table),
            select="LogicalName,ChangeTrackingEnabled",
            expand=(
                "Attributes($select=LogicalName,AttributeType),Keys($select=SchemaName,KeyAttributes,"
                "EntityKeyIndexStatus),ManyToOneRelationships($select=SchemaName,ReferencedEntity,ReferencingAttribute)"
            ),
        )
        try:
            row = await self.odata.get(path)
        except NotFound:
            return None
        kinds = {str(each["LogicalName"]): str(each["AttributeType"]) for each in row["Attributes"]}
        found = _Found(bool(row["ChangeTrackingEnabled"]), kinds, row["Keys"], row["ManyToOneRelationships"])
        wanted = {column.kind for column in columns_of(table) if kinds.get(column.name) == column.kind}
        for kind in wanted & _DETAILS.keys():
            select, expand = _DETAILS[kind]
            rows = await self.odata.all_rows(
                query(
                    f"{key('EntityDefinitions', LogicalName=table)}/Attributes/{_CRM}.{kind}AttributeMetadata",
                    select=select,
                    filter="IsCustomAttribute eq true",
                    expand=expand,
                )
            )
            found.details.update((str(each["LogicalName"]), each) for each in rows)
        return found

    # --- how it differs ----------------------------------------------------------------------------------------------

    def _table(self, own: Table, found: _Found | None) -> Finding:
        part = f"table {own.name}"
        if found is None:
            return Finding(part, "missing", partial(self._create_table, own), "create it")
        if found.kinds.get(own.primary.name) != own.primary.kind:
            return Finding(
                part,
                f"it has no column {own.primary.name}, or of another type than text",
                remedy=f"the table is not the product's: delete it, or use another environment. {AGAIN}",
            )
        return Finding(part)

    def _column(self, column: Column, found: _Found | None) -> list[Finding]:
        part = f"column {column.table}.{column.name}"
        kind = found.kinds.get(column.name) if found else None
        if found is None or kind is None:
            return [Finding(part, "missing", partial(self._create_column, column), "create it")]
        if kind != column.kind:
            remedy = f"a column's type cannot be changed: delete the column {column.name}. {AGAIN}"
            return [Finding(part, f"its type is {kind}, not {column.kind}", remedy=remedy)]
        details = found.details.get(column.name, {})
        return [*self._text(part, column, details), *self._choice(part, column, details), *_moment(part, details)] or [
            Finding(part)
        ]

    def _text(self, part: str, column: Column, details: Row) -> Iterator[Finding]:
        length = details.get("MaxLength")
        if length is not None and length < column.length:
            problem = f"takes {length} characters, not {column.length}"
            yield Finding(part, problem, partial(self._lengthen, column), f"let it take {column.length}")
        shape = (details.get("FormatName") or {}).get("Value")
        if shape is not None and shape != column.format:
            remedy = f"set the column's format to {column.format} in its properties, or delete the column. {AGAIN}"
            yield Finding(part, f"its format is {shape}, not {column.format}", remedy=remedy)

    def _choice(self, part: str, column: Column, details: Row) -> Iterator[Finding]:
        if column.options is None:
            return
        choice = details.get("GlobalOptionSet") or details.get("OptionSet") or {}
        known = {each["Value"] for each in choice.get("Options") or ()}
        missing = {int(value): text for value, text in column.options.items() if int(value) not in known}
        if not missing:
            return
        problem = f"lacks {listed([f'{value} ({text})' for value, text in missing.items()])}"
        if details.get("GlobalOptionSet"):
            yield Finding(
                part, problem, remedy=f"add them to the global choice {choice.get('Name')} it takes them from."
            )
        else:
            yield Finding(part, problem, partial(self._add_options, column, missing), "add what is missing")

    def _relationship(self, wanted: Relationship, found: _Found | None) -> Finding:
        part = f"relationship {wanted.schema_name}"
        lookup = wanted.lookup.lower()
        rows = [] if found is None else [row for row in found.lookups if row["ReferencingAttribute"] == lookup]
        if any(row["ReferencedEntity"] == wanted.parent for row in rows):
            return Finding(part)
        if found is not None and lookup in found.kinds:
            remedy = f"delete the column {wanted.child}.{lookup}. {AGAIN}"
            return Finding(part, f"the column {lookup} does not lead to {wanted.parent}", remedy=remedy)
        return Finding(part, "missing", partial(self._create_relationship, wanted), "create it")

    def _key(self, wanted: Key, found: _Found | None) -> Finding:
        part = f"alternate key of {wanted.table}"
        rows = [] if found is None else [row for row in found.keys if row["KeyAttributes"] == [wanted.column]]
        if not rows:
            taken = [
                row for row in (found.keys if found else ()) if row["SchemaName"].lower() == wanted.schema_name.lower()
            ]
            if taken:
                problem = f"{wanted.schema_name} is over {listed(taken[0]['KeyAttributes'])}, not over {wanted.column}"
                return Finding(part, problem, remedy=f"delete the key {wanted.schema_name}. {AGAIN}")
            return Finding(part, f"no key over {wanted.column}", partial(self._create_key, wanted), "create it")
        status = rows[0].get("EntityKeyIndexStatus", _ACTIVE_INDEX)
        if status == "Failed":
            remedy = (
                f"remove values of {wanted.column} that occur twice, then activate the key again in the maker portal."
            )
            return Finding(part, "its index could not be built", remedy=remedy)
        if status != _ACTIVE_INDEX:
            return Finding(part, f"its index is being built ({status})", remedy="wait for it and look again.")
        return Finding(part)

    def _tracking(self, table: str, found: _Found | None) -> Finding:
        part = f"change tracking of {table}"
        if found is None:
            return Finding(part, "the table is missing", remedy="install Dynamics 365 Sales in this environment.")
        if found.tracked:
            return Finding(part)
        return Finding(part, "off", partial(self._track, table), "turn it on")

    # --- how it is repaired ------------------------------------------------------------------------------------------

    async def _create_table(self, own: Table) -> None:
        body = {
            "@odata.type": f"{_CRM}.EntityMetadata",
            "SchemaName": own.schema_name,
            "DisplayName": label(own.label),
            "DisplayCollectionName": label(own.plural),
            "OwnershipType": "UserOwned",
            "HasActivities": False,
            "HasNotes": False,
            "ChangeTrackingEnabled": True,
            "Attributes": [{**_attribute(own.primary), "IsPrimaryName": True}],
        }
        await self._post(own.name, "EntityDefinitions", body)

    async def _create_column(self, column: Column) -> None:
        path = key("EntityDefinitions", LogicalName=column.table) + "/Attributes"
        await self._post(column.table, path, _attribute(column))

    async def _create_relationship(self, wanted: Relationship) -> None:
        body = {
            "@odata.type": f"{_CRM}.OneToManyRelationshipMetadata",
            "SchemaName": wanted.schema_name,
            "ReferencedEntity": wanted.parent,
            "ReferencedAttribute": f"{wanted.parent}id",
            "ReferencingEntity": wanted.child,
            "CascadeConfiguration": _CASCADE,
            "Lookup": {
                "@odata.type": f"{_CRM}.LookupAttributeMetadata",
                "SchemaName": wanted.lookup,
                "DisplayName": label(wanted.label),
                "RequiredLevel": _OPTIONAL,
            },
        }
        await self._post(wanted.child, "RelationshipDefinitions", body)

    async def _create_key(self, wanted: Key) -> None:
        body = {
            "@odata.type": f"{_CRM}.EntityKeyMetadata",
            "SchemaName": wanted.schema_name,
            "DisplayName": label(wanted.column),
            "KeyAttributes": [wanted.column],
        }
        await self._post(wanted.table, key("EntityDefinitions", LogicalName=wanted.table) + "/Keys", body)

    async def _lengthen(self, column: Column) -> None:
        attributes = (
            key("EntityDefinitions", LogicalName=column.table) + "/" + key("Attributes", LogicalName=column.name)
        )
        definition = await self.odata.get(f"{attributes}/{_CRM}.{column.kind}AttributeMetadata")
        await self._put(column.table, attributes, definition | {"MaxLength": column.length})

    async def _add_options(self, column: Column, missing: Mapping[int, str]) -> None:
        for value, text in missing.items():
            body = {
                "EntityLogicalName": column.table,
                "AttributeLogicalName": column.name,
                "Value": value,
                "Label": label(text),
                "SolutionUniqueName": SOLUTION,
            }
            await self.odata.action("InsertOptionValue", body)
        self._changed.add(column.table)

    async def _track(self, table: str) -> None:
        path = key("EntityDefinitions", LogicalName=table)
        definition = await self.odata.get(path)
        await self._put(table, path, definition | {"ChangeTrackingEnabled": True})

    async def _post(self, table: str, path: str, body: Row) -> None:
        await self.odata.post(path, body, headers=IN_SOLUTION)
        self._changed.add(table)

    async def _put(self, table: str, path: str, definition: Row) -> None:
        await self.odata.put(path, definition_without_context(definition), headers=KEEP_LABELS)
        self._changed.add(table)


def _moment(part: str, details: Row) -> Iterator[Finding]:
    behavior = (details.get("DateTimeBehavior") or {}).get("Value")
    if behavior not in (None, "UserLocal"):
        remedy = f"set the column's time zone adjustment to user local, or delete the column. {AGAIN}"
        yield Finding(part, f"its behavior is {behavior}, not UserLocal", remedy=remedy)


def _attribute(column: Column) -> Row:
    """A column as AttributeMetadata."""
    body: Row = {
        "@odata.type": f"{_CRM}.{column.kind}AttributeMetadata",
        "SchemaName": column.schema_name,
        "DisplayName": label(column.label),
        "Description": label(column.note),
        "RequiredLevel": _OPTIONAL,
    }
    if column.length:
        body["MaxLength"] = column.length
    if column.kind == "String":
        body["FormatName"] = {"Value": column.format}
    if column.kind == "Money":
        body["PrecisionSource"] = 2  # the currency's
    if column.kind == "DateTime":
        body |= {"Format": "DateAndTime", "DateTimeBehavior": {"Value": "UserLocal"}}
    if column.options is not None:
        options = [{"Value": int(value), "Label": label(text)} for value, text in column.options.items()]
        body["OptionSet"] = {
            "@odata.type": f"{_CRM}.OptionSetMetadata",
            "IsGlobal": False,
            "OptionSetType": "Picklist",
            "Options": options,
        }
        body["DefaultFormValue"] = options[0]["Value"]
    return body
