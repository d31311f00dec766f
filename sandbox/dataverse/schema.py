"""The tables this environment has: columns, options, keys and navigation properties, loaded from `sandbox/metadata`.

Everything the Web API lets a caller name (a column, a `_x_value`, a navigation property for `$expand` or `@odata.bind`,
an alternate key) is looked up here, so that reading, writing, `$metadata` and `EntityDefinitions` can never disagree.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
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
        custom: Added by a solution of ours rather than by Microsoft.
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
class Collection:
    """A collection-valued navigation property: the rows of `child` whose `lookup` points here."""

    name: str
    child: str
    lookup: str


@dataclass(frozen=True, eq=False)
class Entity:
    """One table."""

    entity_set: str
    name: str
    key: str
    primary_name: str | None
    columns: Mapping[str, Column]
    states: Mapping[int, int]
    navigations: Mapping[str, Navigation]
    collections: Mapping[str, Collection]
    alternate_keys: Mapping[str, tuple[str, ...]]

    @cached_property
    def by_stored(self) -> Mapping[str, Column]:
        """Columns by the name answers show them under."""
        return {column.stored: column for column in self.columns.values()}

    @cached_property
    def metadata_id(self) -> str:
        """The `MetadataId` of the table."""
        return str(uuid.uuid5(_METADATA_NAMESPACE, self.name))

    def column_metadata_id(self, column: str) -> str:
        """The `MetadataId` of a column."""
        return str(uuid.uuid5(_METADATA_NAMESPACE, f"{self.name}.{column}"))

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
    """All tables, by entity set and by logical name."""

    def __init__(self, entities: list[Entity]) -> None:
        self.by_set: dict[str, Entity] = {entity.entity_set: entity for entity in entities}
        self.by_name: dict[str, Entity] = {entity.name: entity for entity in entities}


@lru_cache(maxsize=1)
def load_schema() -> Schema:
    """Read the tables of `sandbox/metadata/dataverse`; the same object every time."""
    collections = json.loads((FOLDER / "_collections.json").read_text())
    solution = json.loads((FOLDER / "_solution.json").read_text())
    entities = []
    for path in sorted(FOLDER.glob("[a-z]*.json")):
        table = json.loads(path.read_text())
        name = table["entitySet"]
        entities.append(_entity(table, collections.get(name, {}), solution.get(name, {})))
    return Schema(entities)


def _entity(table: dict[str, Any], collections: dict[str, list[str]], solution: dict[str, Any]) -> Entity:
    columns = {
        name: _column(name, definition, table["options"].get(name, {}), custom=False)
        for name, definition in table["columns"].items()
    }
    for name, definition in solution.get("columns", {}).items():
        columns[name] = _column(name, definition, definition.get("options", {}), custom=True)
    navigations = {
        name: Navigation(name, columns[item["column"]], tuple(item["targets"]), item["on"])
        for name, item in table["navigations"].items()
    }
    keys = {name: tuple(columns[column].stored for column in key) for name, key in solution.get("keys", {}).items()}
    return Entity(
        entity_set=table["entitySet"],
        name=table["logicalName"],
        key=table["key"],
        primary_name=table["primaryName"],
        columns=columns,
        states={int(status): state for status, state in table["states"].items()},
        navigations=navigations,
        collections={name: Collection(name, child, lookup) for name, (child, lookup) in collections.items()},
        alternate_keys=keys,
    )


def _column(name: str, definition: dict[str, Any], options: dict[str, str], *, custom: bool) -> Column:
    return Column(
        name=name,
        type=definition["type"],
        max_length=definition.get("maxLength"),
        required=definition.get("required"),
        read_only=definition.get("readOnly", False),
        computed=definition.get("computed", False),
        targets=tuple(definition.get("targets", ())),
        options={int(value): label for value, label in options.items()},
        default=definition.get("default"),
        custom=custom,
    )
