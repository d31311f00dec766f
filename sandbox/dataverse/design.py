"""Changing tables, columns and alternate keys as the metadata Web API does.

Every change is a new definition put in place of the old one, so that a table that was created a moment ago is read,
written, filtered, tracked and described like one Microsoft ships. (Microsoft Learn: "Create and update table
definitions using the Web API", "Define alternate keys", "Web API table schema operations sample".)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.blueprints import (
    column_of,
    key_column,
    money_columns,
    plural_of,
    schema_name_of,
    source_of,
    standard_columns,
    standard_navigations,
    with_column,
)
from sandbox.dataverse.describing import label_text, managed_value
from sandbox.dataverse.schema import Collection, Column, Entity, Navigation, OneToMany, Schema
from sandbox.store import Database

Body = Mapping[str, Any]

_FIRST_CUSTOM_CODE: Final = 10_001


class Design:
    """The schema of one environment on the drawing board: what its changes have in common."""

    def __init__(self, schema: Schema, db: Database, changed: Callable[[], None]) -> None:
        """Work on a schema.

        Args:
            schema: The schema.
            db: The tables, which get the indexes of new keys and relationships.
            changed: Called after every change: what was derived from the schema is stale.
        """
        self.schema = schema
        self.db = db
        self.changed = changed

    def put(self, entity: Entity) -> None:
        """Put a definition in place of the old one."""
        self.schema.put(entity)
        self.changed()

    def table(self, body: Body, member: str) -> Entity:
        """The table a member of a body names.

        Raises:
            DataverseError: There is none.
        """
        entity = self.schema.by_name.get(str(body.get(member) or "").lower())
        if entity is None:
            raise errors.metadata_not_found("entity", str(body.get(member)))
        return entity

    def next_code(self) -> int:
        """The object type code of the next custom table."""
        return max(_FIRST_CUSTOM_CODE, 1 + max(entity.object_type_code for entity in self.schema.by_name.values()))


class TableDesign(Design):
    """Changes tables, columns and keys."""

    # --- tables ------------------------------------------------------------------------------------------------------

    def create_table(self, body: Body) -> Entity:
        """Create a table from an EntityMetadata with its primary name column.

        Raises:
            DataverseError: The definition is wrong, or the name is taken.
        """
        schema_name = schema_name_of(body)
        name = schema_name.lower()
        if name in self.schema.by_name:
            raise errors.name_taken()
        ownership = str(body.get("OwnershipType") or "UserOwned")
        if ownership not in ("UserOwned", "OrganizationOwned"):
            raise errors.invalid_argument(f"OwnershipType '{ownership}' is not supported for a custom table.")
        given = [item for item in body.get("Attributes") or [] if isinstance(item, Mapping)]
        primary = next((item for item in given if item.get("IsPrimaryName")), None)
        if primary is None:
            raise errors.invalid_argument("The Attributes of a new table must include its primary name column.")
        source = source_of(body)
        columns = key_column(name) if source else standard_columns(name, owned=ownership == "UserOwned")
        for item in given:
            column = column_of(self.schema, item)
            columns[column.name] = column
        entity = Entity(
            entity_set=str(body.get("EntitySetName") or plural_of(name)).lower(),
            name=name,
            key=f"{name}id",
            primary_name=schema_name_of(primary).lower(),
            columns=columns,
            states={} if source else {1: 0, 2: 1},
            navigations=standard_navigations(columns),
            collections={},
            alternate_keys={},
            schema_name=schema_name,
            label=label_text(body.get("DisplayName")) or schema_name,
            plural=label_text(body.get("DisplayCollectionName")) or schema_name,
            description=label_text(body.get("Description")) or "",
            ownership=ownership,
            object_type_code=self.next_code(),
            custom=True,
            change_tracking=bool(body.get("ChangeTrackingEnabled", False)) and source is None,
            privilege=schema_name,
            audited=managed_value(body.get("IsAuditEnabled"), False) and source is None,
            source=source,
        )
        if entity.entity_set in self.schema.by_set:
            raise errors.name_taken()
        self.db.table(entity.name, (entity.key,))
        self.put(entity)
        return entity

    def update_table(self, entity: Entity, body: Body) -> Entity:
        """Change names, description, change tracking and auditing of a table; auditing follows once it is published."""
        changed = replace(
            entity,
            label=label_text(body.get("DisplayName")) or entity.label,
            plural=label_text(body.get("DisplayCollectionName")) or entity.plural,
            description=label_text(body.get("Description")) or entity.description,
            change_tracking=bool(body.get("ChangeTrackingEnabled", entity.change_tracking)),
            audited=managed_value(body.get("IsAuditEnabled"), entity.audited),
        )
        self.put(changed)
        return changed

    def delete_table(self, entity: Entity) -> None:
        """Delete a custom table with its rows and relationships.

        Raises:
            DataverseError: Microsoft ships it, or another table refers to it.
        """
        if not entity.custom:
            raise errors.not_deletable(entity.name)
        for relationship in list(self.schema.one_to_many.values()):
            if relationship.parent == entity.name and relationship.child != entity.name:
                raise errors.has_dependencies(entity.name, relationship.name)
        for link in self.schema.many_to_many.values():
            if entity.name in (link.first, link.second):
                raise errors.has_dependencies(entity.name, link.name)
        for relationship in list(self.schema.one_to_many.values()):
            if relationship.child == entity.name:
                forget_one_to_many(self, relationship)
        self.db.table(entity.name, (entity.key,)).clear()
        self.schema.remove(entity)
        self.changed()

    # --- columns -----------------------------------------------------------------------------------------------------

    def create_column(self, entity: Entity, body: Body) -> Column:
        """Add a column from an AttributeMetadata; an amount gets its twin in the base currency.

        Raises:
            DataverseError: The definition is wrong, or the name is taken.
        """
        column = column_of(self.schema, body)
        if column.name in entity.columns:
            raise errors.column_exists(column.name, entity.name)
        columns = {**entity.columns, column.name: column}
        if column.type == "Money":
            columns |= money_columns(entity, column)
        navigations = {**entity.navigations}
        currency = columns.get("transactioncurrencyid")
        if currency is not None and "transactioncurrencyid" not in navigations:
            navigations["transactioncurrencyid"] = Navigation(
                "transactioncurrencyid", currency, ("transactioncurrency",), "create+update"
            )
        self.put(replace(entity, columns=columns, navigations=navigations))
        if len(navigations) > len(entity.navigations):
            self._relate_currency(entity)
        return column

    def _relate_currency(self, entity: Entity) -> None:
        """A table's first amount relates it to the currencies (Microsoft Learn: "Currency columns")."""
        name = f"TransactionCurrency_{entity.name}"
        parent = self.schema.by_name["transactioncurrency"]
        self.schema.one_to_many[name] = OneToMany(
            name=name,
            parent=parent.name,
            parent_key=parent.key,
            child=entity.name,
            column="transactioncurrencyid",
            parent_navigation=name,
            child_navigation="transactioncurrencyid",
        )
        collection = Collection(name, entity.name, "transactioncurrencyid")
        self.put(replace(parent, collections={**parent.collections, name: collection}))

    def update_column(self, entity: Entity, column: Column, body: Body) -> Column:
        """Change label, description, length, required level or auditing of a column."""
        required = (body.get("RequiredLevel") or {}).get("Value")
        changed = replace(
            column,
            label=label_text(body.get("DisplayName")) or column.label,
            description=label_text(body.get("Description")) or column.description,
            max_length=body.get("MaxLength") or column.max_length,
            required=column.required if required is None else None if required == "None" else required,
            audited=managed_value(body.get("IsAuditEnabled"), column.audited),
            external=str(body.get("ExternalName") or column.external),
        )
        self.put(with_column(entity, changed))
        return changed

    def delete_column(self, entity: Entity, column: Column) -> None:
        """Delete a custom column and its values.

        Raises:
            DataverseError: Microsoft ships it, it is the primary one, or a key or relationship needs it.
        """
        if not column.custom or column.name in (entity.key, entity.primary_name):
            raise errors.not_deletable(column.name)
        for key, stored in entity.alternate_keys.items():
            if column.stored in stored:
                raise errors.has_dependencies(column.name, key)
        for relationship in self.schema.one_to_many.values():
            if (relationship.child, relationship.column) == (entity.name, column.name):
                raise errors.has_dependencies(column.name, relationship.name)
        gone = {column.name, f"{column.name}_base"}
        columns = {name: item for name, item in entity.columns.items() if name not in gone}
        self.put(replace(entity, columns=columns))

    # --- keys --------------------------------------------------------------------------------------------------------

    def create_key(self, entity: Entity, body: Body) -> str:
        """Define an alternate key from an EntityKeyMetadata; returns its logical name.

        Raises:
            DataverseError: A column is not there, or the rows violate the key already.
        """
        schema_name = schema_name_of(body)
        name = schema_name.lower()
        if name in {key.lower() for key in entity.alternate_keys}:
            raise errors.key_exists(name)
        stored = []
        for item in body.get("KeyAttributes") or []:
            column = entity.columns.get(str(item).lower())
            if column is None or column.type in ("Memo", "Boolean", "Money"):
                raise errors.invalid_argument(f"'{item}' cannot be part of an alternate key of '{entity.name}'.")
            stored.append(column.stored)
        if not stored:
            raise errors.invalid_argument("KeyAttributes of an alternate key must name at least one column.")
        table = self.db.table(entity.name, (entity.key,))
        if table.has_duplicates(*stored):
            raise errors.key_violated(name)
        table.unique(*stored)
        self.put(replace(entity, alternate_keys={**entity.alternate_keys, name: tuple(stored)}))
        return name

    def delete_key(self, entity: Entity, name: str) -> None:
        """Take an alternate key away."""
        keys = {key: columns for key, columns in entity.alternate_keys.items() if key != name}
        self.db.table(entity.name, (entity.key,)).not_unique(*entity.alternate_keys[name])
        self.put(replace(entity, alternate_keys=keys))


def forget_one_to_many(design: Design, relationship: OneToMany) -> None:
    """Take a relationship away, and its collection from the parent; the lookup column stays."""
    del design.schema.one_to_many[relationship.name]
    parent = design.schema.by_name[relationship.parent]
    kept = {name: item for name, item in parent.collections.items() if name != relationship.parent_navigation}
    design.put(replace(parent, collections=kept))
