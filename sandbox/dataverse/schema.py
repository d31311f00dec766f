"""The tables an environment has: columns, options, keys, relationships, from `sandbox/metadata` and customisations.

Everything the Web API lets a caller name (a column, a `_x_value`, a navigation property for `$expand` or `@odata.bind`,
an alternate key, a relationship) is looked up here, so that reading, writing, `$metadata` and `EntityDefinitions` can
never disagree. Tables are never changed in place: a customisation puts a new definition in place of the old one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent.parent / "metadata" / "dataverse"
_METADATA_NAMESPACE: Final = uuid.UUID("6f0f5a3c-1f3e-5a4d-8d5b-3f1d7f0a2b11")

EDM_TYPES: Final = {
    "String": "Edm.String",
    "Memo": "Edm.String",
    "Integer": "Edm.Int32",
    "BigInt": "Edm.Int64",
    "Decimal": "Edm.Decimal",
    "Double": "Edm.Double",
    "Money": "Edm.Decimal",
    "Boolean": "Edm.Boolean",
    "DateTime": "Edm.DateTimeOffset",
    "DateOnly": "Edm.Date",
    "Guid": "Edm.Guid",
    "Lookup": "Edm.Guid",
    "Picklist": "Edm.Int32",
    "State": "Edm.Int32",
    "Status": "Edm.Int32",
}
"""Column type -> the type the Web API shows it as."""

SCALES: Final = {"Money": 4, "Decimal": 10}
"""Column type -> decimals its values are stored with."""

LARGEST: Final = 100_000_000_000
"""The greatest amount or number a column takes, up and down."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column.

    Attributes:
        name: Logical name, lower case.
        type: A key of `EDM_TYPES`.
        max_length: Longest text, None where not limited.
        required: None, ApplicationRequired (asked for by forms only) or SystemRequired.
        read_only: Values sent by callers are left out, as the platform does.
        computed: Written by price calculation; what callers send is overwritten.
        targets: Logical names a lookup may point to.
        options: Value -> label of a choice.
        default: The option a new row gets.
        custom: Added by a solution rather than by Microsoft.
        schema_name: Name with the case it was created in.
        label: Display name.
        description: What it is for.
        precision: Decimals people see, None where the type has none.
        precision_source: Where an amount's precision comes from: 0 the column, 1 the organization's pricing decimal
            precision, 2 the currency.
        minimum: Least value of a number.
        maximum: Greatest value of a number.
        format: Text, Url, Email, DateOnly …
        option_set: Name of the global choice it takes its options from.
        secret: Can be written, is never shown.
        audited: Its changes are written down where those of its table are (`IsAuditEnabled`).
        external: Its name at the source of a virtual table (`ExternalName`).
    """

    name: str
    type: str
    max_length: int | None = None
    required: str | None = None
    read_only: bool = False
    computed: bool = False
    targets: tuple[str, ...] = ()
    options: Mapping[int, str] = field(default_factory=dict)
    default: int | None = None
    custom: bool = False
    schema_name: str = ""
    label: str = ""
    description: str = ""
    precision: int | None = None
    precision_source: int = 2
    minimum: Any = None
    maximum: Any = None
    format: str = ""
    option_set: str = ""
    secret: bool = False
    audited: bool = True
    external: str = ""

    @property
    def stored(self) -> str:
        """The name under which rows hold it and answers show it: `_x_value` for a lookup."""
        return f"_{self.name}_value" if self.type == "Lookup" else self.name

    @property
    def is_choice(self) -> bool:
        """Whether its values are options."""
        return self.type in ("Picklist", "State", "Status")


@dataclass(frozen=True, slots=True)
class Navigation:
    """A single-valued navigation property: its name is what `$expand` and `@odata.bind` use, case-sensitive.

    `bindable` is create+update, create, update or none.
    """

    name: str
    column: Column
    targets: tuple[str, ...]
    bindable: str


@dataclass(frozen=True, slots=True)
class Intersect:
    """The table between the two sides of a many-to-many relationship, seen from one side.

    `near` is its column with this side's id, `far` that with the other's.
    """

    table: str
    near: str
    far: str


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection-valued navigation property: the rows of `child` whose `lookup` points here, or those linked here.

    `through` is set for many-to-many relationships, `lookup` is empty then.
    """

    name: str
    child: str
    lookup: str
    through: Intersect | None = None


@dataclass(frozen=True, slots=True)
class OneToMany:
    """A one-to-many relationship.

    Attributes:
        name: Schema name.
        parent: Logical name of the referenced table.
        parent_key: Its primary key.
        child: Logical name of the referencing table.
        column: The lookup column of the referencing table.
        parent_navigation: Collection-valued navigation property of the referenced table.
        child_navigation: Single-valued navigation property of the referencing table.
        custom: Added by a solution.
        cascade: What happens to children: Assign, Delete, Merge, Reparent, Share, Unshare, RollupView, Archive.
    """

    name: str
    parent: str
    parent_key: str
    child: str
    column: str
    parent_navigation: str
    child_navigation: str
    custom: bool = False
    cascade: Mapping[str, str] = field(default_factory=dict)

    @property
    def metadata_id(self) -> str:
        """The relationship's `MetadataId`."""
        return metadata_id_of(f"relationship:{self.name}")


@dataclass(frozen=True, slots=True)
class ManyToMany:
    """A many-to-many relationship: its intersect table, and of each side the table, the column and the navigation."""

    name: str
    intersect: str
    first: str
    first_column: str
    first_navigation: str
    second: str
    second_column: str
    second_navigation: str
    custom: bool = False

    @property
    def metadata_id(self) -> str:
        """The relationship's `MetadataId`."""
        return metadata_id_of(f"relationship:{self.name}")


@dataclass(frozen=True, slots=True)
class OptionSet:
    """A global choice."""

    name: str
    options: Mapping[int, str]
    label: str = ""
    description: str = ""
    custom: bool = False

    @property
    def metadata_id(self) -> str:
        """The choice's `MetadataId`."""
        return metadata_id_of(f"optionset:{self.name}")


@dataclass(frozen=True, slots=True)
class VirtualSource:
    """Where rows of a virtual table are: provider, row of the data source, and there the set's and the type's names."""

    provider: str
    data_source: str
    collection: str
    name: str


@dataclass(frozen=True, eq=False)
class Entity:
    """One table.

    `privilege` is the name its privileges end with (`prvRead…`), empty where rights follow from a parent (quote lines)
    or everybody may read; `privilege_of` names that parent's lookup. `audited` is `IsAuditEnabled`.
    """

    entity_set: str
    name: str
    key: str
    primary_name: str | None
    columns: Mapping[str, Column]
    states: Mapping[int, int]
    navigations: Mapping[str, Navigation]
    collections: Mapping[str, Collection]
    alternate_keys: Mapping[str, tuple[str, ...]]
    schema_name: str = ""
    label: str = ""
    plural: str = ""
    description: str = ""
    ownership: str = "UserOwned"
    object_type_code: int = 0
    custom: bool = False
    change_tracking: bool = True
    intersect: bool = False
    activity: bool = False
    privilege: str = ""
    privilege_of: str = ""
    audited: bool = False
    source: VirtualSource | None = None
    """Set for a virtual table, which has no rows here."""

    @cached_property
    def by_stored(self) -> Mapping[str, Column]:
        """Columns by the name answers show them under."""
        return {column.stored: column for column in self.columns.values()}

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The stored names of all columns an answer may show."""
        return tuple(column.stored for column in self.columns.values() if not column.secret)

    @cached_property
    def metadata_id(self) -> str:
        """The `MetadataId` of the table."""
        return metadata_id_of(self.name)

    def column_metadata_id(self, column: str) -> str:
        """The `MetadataId` of a column."""
        return metadata_id_of(f"{self.name}.{column}")

    @cached_property
    def navigation_of(self) -> Mapping[tuple[str, str], str]:
        """(lookup column, target table) -> the navigation property that leads there."""
        found: dict[tuple[str, str], str] = {}
        for navigation in self.navigations.values():
            for target in navigation.targets:
                found.setdefault((navigation.column.name, target), navigation.name)
        return found

    def named(self, name: str) -> Column | None:
        """The column a caller means by a logical name or by `_x_value`."""
        return self.columns.get(name) or self.by_stored.get(name)

    def matching_key(self, names: frozenset[str]) -> tuple[str, ...] | None:
        """The columns of the alternate key that has exactly these (stored) names."""
        for columns in self.alternate_keys.values():
            if frozenset(columns) == names:
                return columns
        return None


class Schema:
    """All tables, relationships and global choices of one environment.

    `version` rises with every customisation: what is derived from the schema is kept with the version it was made for.
    `published` holds the tables as they were when they were last published, by logical name: auditing follows these.
    """

    def __init__(
        self, entities: Iterable[Entity], one_to_many: Iterable[OneToMany], many_to_many: Iterable[ManyToMany]
    ) -> None:
        self.by_set: dict[str, Entity] = {}
        self.by_name: dict[str, Entity] = {}
        self.published: dict[str, Entity] = {}
        self.one_to_many: dict[str, OneToMany] = {relationship.name: relationship for relationship in one_to_many}
        self.many_to_many: dict[str, ManyToMany] = {relationship.name: relationship for relationship in many_to_many}
        self.option_sets: dict[str, OptionSet] = {}
        self.version = 0
        for entity in entities:
            self.put(entity)

    def restore(self, other: Schema) -> None:
        """Become like another schema again: customisations are gone."""
        self.by_set, self.by_name = dict(other.by_set), dict(other.by_name)
        self.published = dict(other.published)
        self.one_to_many, self.many_to_many = dict(other.one_to_many), dict(other.many_to_many)
        self.option_sets = dict(other.option_sets)
        self.version += 1

    def put(self, entity: Entity) -> None:
        """Add a table, or put a changed definition in place of the old one."""
        self.by_set[entity.entity_set] = entity
        self.by_name[entity.name] = entity
        self.published.setdefault(entity.name, entity)
        self.version += 1

    def remove(self, entity: Entity) -> None:
        """Take a table away."""
        del self.by_set[entity.entity_set], self.by_name[entity.name], self.published[entity.name]
        self.version += 1

    def publish(self, tables: Iterable[str]) -> None:
        """Let what was changed of tables (logical names) take effect."""
        self.published.update((name, self.by_name[name]) for name in tables if name in self.by_name)


def metadata_id_of(name: str) -> str:
    """A `MetadataId` that is the same at every start."""
    return str(uuid.uuid5(_METADATA_NAMESPACE, name))


def load_schema() -> Schema:
    """The tables Microsoft ships, from `sandbox/metadata/dataverse`; a new object every time, free to be customised."""
    entities, one_to_many, many_to_many = _shipped()
    return Schema(entities, one_to_many, many_to_many)


@lru_cache(maxsize=1)
def _shipped() -> tuple[tuple[Entity, ...], tuple[OneToMany, ...], tuple[ManyToMany, ...]]:
    relationships = json.loads((FOLDER / "_relationships.json").read_text())
    properties = json.loads((FOLDER / "_tables.json").read_text())
    tables = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("[a-z]*.json"))]
    keys = {table["logicalName"]: table["key"] for table in tables}
    one_to_many = tuple(
        OneToMany(name, parent, keys[parent], child, column, parent_navigation, child_navigation)
        for name, (parent, parent_navigation, child, column, child_navigation) in relationships["oneToMany"].items()
    )
    many_to_many = tuple(ManyToMany(name, *sides) for name, sides in relationships["manyToMany"].items())
    entities = tuple(_entity(table, properties[table["logicalName"]], one_to_many, many_to_many) for table in tables)
    return entities, one_to_many, many_to_many


def _entity(
    table: dict[str, Any],
    properties: dict[str, Any],
    one_to_many: Iterable[OneToMany],
    many_to_many: Iterable[ManyToMany],
) -> Entity:
    columns = {
        name: _column(name, definition, table["options"].get(name, {})) for name, definition in table["columns"].items()
    }
    navigations = {
        name: Navigation(name, columns[item["column"]], tuple(item["targets"]), item["on"])
        for name, item in table["navigations"].items()
    }
    name = table["logicalName"]
    collections = {
        item.parent_navigation: Collection(item.parent_navigation, item.child, item.column)
        for item in one_to_many
        if item.parent == name
    }
    for link in many_to_many:
        collections.update((side.name, side) for side in sides_of(link, name))
    return Entity(
        entity_set=table["entitySet"],
        name=name,
        key=table["key"],
        primary_name=table["primaryName"],
        columns=columns,
        states={int(status): state for status, state in table["states"].items()},
        navigations=navigations,
        collections=collections,
        alternate_keys={},
        schema_name=properties["schemaName"],
        label=properties["label"],
        plural=properties["plural"],
        ownership=properties["ownership"],
        object_type_code=properties["code"],
        intersect=properties.get("intersect", False),
        activity=properties.get("activity", False),
        privilege=properties.get("privilege", ""),
        privilege_of=properties.get("privilegeOf", ""),
        audited=properties.get("audited", False),
    )


def sides_of(link: ManyToMany, name: str) -> list[Collection]:
    """The collections a many-to-many relationship gives a table."""
    found = []
    if link.first == name:
        through = Intersect(link.intersect, link.first_column, link.second_column)
        found.append(Collection(link.first_navigation, link.second, "", through))
    if link.second == name:
        through = Intersect(link.intersect, link.second_column, link.first_column)
        found.append(Collection(link.second_navigation, link.first, "", through))
    return found


def _column(name: str, definition: dict[str, Any], options: dict[str, str]) -> Column:
    kind = definition["type"]
    return Column(
        name=name,
        type=kind,
        max_length=definition.get("maxLength"),
        required=definition.get("required"),
        read_only=definition.get("readOnly", False),
        computed=definition.get("computed", False),
        targets=tuple(definition.get("targets", ())),
        options={int(value): label for value, label in options.items()},
        default=definition.get("default"),
        precision=definition.get("precision", {"Money": 4, "Decimal": 10}.get(kind)),
        precision_source=definition.get("precisionSource", 2),
        secret=definition.get("secret", False),
    )
