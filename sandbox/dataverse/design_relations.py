"""Relating tables as the metadata Web API does: one-to-many with its lookup, many-to-many with its intersect table.

(Microsoft Learn: "Create and update table relationships using the Web API".)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.blueprints import described, plural_of, schema_name_of
from sandbox.dataverse.design import Body, Design, forget_one_to_many
from sandbox.dataverse.schema import Collection, Column, Entity, ManyToMany, Navigation, OneToMany, sides_of

_DEFAULT_CASCADE: Final[Mapping[str, str]] = {
    "Assign": "NoCascade",
    "Delete": "RemoveLink",
    "Archive": "RemoveLink",
    "Merge": "NoCascade",
    "Reparent": "NoCascade",
    "Share": "NoCascade",
    "Unshare": "NoCascade",
    "RollupView": "NoCascade",
}


class RelationshipDesign(Design):
    """Changes relationships."""

    def create_one_to_many(self, body: Body) -> tuple[OneToMany, Column]:
        """Relate two tables, with a new lookup column, from a OneToManyRelationshipMetadata.

        Raises:
            DataverseError: The definition is wrong, or a name is taken.
        """
        name = schema_name_of(body)
        parent, child = self.table(body, "ReferencedEntity"), self.table(body, "ReferencingEntity")
        lookup = body.get("Lookup")
        if not isinstance(lookup, Mapping):
            raise errors.invalid_argument("The Lookup of a one-to-many relationship is missing.")
        column = replace(described(lookup, "Lookup"), targets=(parent.name,))
        if self.knows(name):
            raise errors.name_taken()
        if column.name in child.columns:
            raise errors.column_exists(column.name, child.name)
        navigation = Navigation(column.schema_name, column, (parent.name,), "create+update")
        columns = {**child.columns, column.name: column}
        navigations = {**child.navigations, navigation.name: navigation}
        self.put(replace(child, columns=columns, navigations=navigations))
        self.db.table(child.name, (child.key,)).index(column.stored)
        parent_navigation = str(body.get("ReferencedEntityNavigationPropertyName") or name)
        relationship = OneToMany(
            name=name,
            parent=parent.name,
            parent_key=parent.key,
            child=child.name,
            column=column.name,
            parent_navigation=parent_navigation,
            child_navigation=navigation.name,
            custom=True,
            cascade={**_DEFAULT_CASCADE, **_cascade(body.get("CascadeConfiguration"))},
        )
        parent = self.schema.by_name[parent.name]
        collection = Collection(parent_navigation, child.name, column.name)
        self.schema.one_to_many[name] = relationship
        self.put(replace(parent, collections={**parent.collections, parent_navigation: collection}))
        return relationship, column

    def create_many_to_many(self, body: Body) -> ManyToMany:
        """Relate two tables through an intersect table, from a ManyToManyRelationshipMetadata.

        Raises:
            DataverseError: The definition is wrong, or a name is taken.
        """
        name = schema_name_of(body)
        first, second = self.table(body, "Entity1LogicalName"), self.table(body, "Entity2LogicalName")
        intersect = str(body.get("IntersectEntityName") or name).lower()
        if self.knows(name) or intersect in self.schema.by_name:
            raise errors.name_taken()
        near, far = first.key, second.key
        if near == far:
            near, far = f"{near}one", f"{far}two"
        columns = {key: Column(key, "Guid", read_only=key != f"{intersect}id") for key in (f"{intersect}id", near, far)}
        columns["versionnumber"] = Column("versionnumber", "BigInt", read_only=True)
        table = Entity(
            entity_set=plural_of(intersect) if not intersect.endswith("s") else f"{intersect}set",
            name=intersect,
            key=f"{intersect}id",
            primary_name=None,
            columns=columns,
            states={},
            navigations={},
            collections={},
            alternate_keys={},
            schema_name=name,
            ownership="None",
            object_type_code=self.next_code(),
            custom=True,
            intersect=True,
        )
        link = ManyToMany(
            name=name,
            intersect=intersect,
            first=first.name,
            first_column=near,
            first_navigation=str(body.get("Entity1NavigationPropertyName") or name),
            second=second.name,
            second_column=far,
            second_navigation=str(body.get("Entity2NavigationPropertyName") or name),
            custom=True,
        )
        self.db.table(intersect, (table.key,)).unique(near, far)
        self.db.table(intersect, (table.key,)).index(near)
        self.schema.many_to_many[name] = link
        self.put(table)
        for side in dict.fromkeys((first.name, second.name)):
            entity = self.schema.by_name[side]
            added = {collection.name: collection for collection in sides_of(link, side)}
            self.put(replace(entity, collections={**entity.collections, **added}))
        return link

    def delete_relationship(self, relationship: OneToMany | ManyToMany) -> None:
        """Delete a custom relationship, with its lookup column or its intersect table.

        Raises:
            DataverseError: Microsoft ships it.
        """
        if not relationship.custom:
            raise errors.not_deletable(relationship.name)
        if isinstance(relationship, OneToMany):
            self._delete_one_to_many(relationship)
            return
        del self.schema.many_to_many[relationship.name]
        for side in (relationship.first, relationship.second):
            entity = self.schema.by_name[side]
            gone = {collection.name for collection in sides_of(relationship, side)}
            kept = {name: item for name, item in entity.collections.items() if name not in gone}
            self.put(replace(entity, collections=kept))
        table = self.schema.by_name[relationship.intersect]
        self.db.table(table.name, (table.key,)).clear()
        self.schema.remove(table)
        self.changed()

    def _delete_one_to_many(self, relationship: OneToMany) -> None:
        forget_one_to_many(self, relationship)
        child = self.schema.by_name[relationship.child]
        navigations = {
            name: item for name, item in child.navigations.items() if item.column.name != relationship.column
        }
        columns = {name: item for name, item in child.columns.items() if name != relationship.column}
        self.put(replace(child, columns=columns, navigations=navigations))

    def knows(self, name: str) -> bool:
        """Whether a relationship of this name exists."""
        known = {*self.schema.one_to_many, *self.schema.many_to_many}
        return name.lower() in {item.lower() for item in known}


def _cascade(given: Any) -> dict[str, str]:
    return {name: value for name, value in (given or {}).items() if isinstance(value, str) and name in _DEFAULT_CASCADE}
