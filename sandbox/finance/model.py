"""The entity sets Finance serves: their published columns, and which stored table each one is a view of.

As in the real system an entity set is not a table: `SalesOrderHeadersV4`, `SalesOrderHeadersV2` and
`SalesTableBiEntities` are three views of one sales table, with other columns and sometimes other column names. Rows are
stored sparsely; a column nobody has written reads as its type's empty value (text `""`, date 1900-01-01, enum 0),
which is how Finance answers. Columns beginning with an underscore are ours alone and never leave the sandbox.
Source: Microsoft Learn, "Open Data Protocol (OData)" for finance and operations, and the published entity metadata.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sandbox.finance.errors import MalformedRequest
from sandbox.finance.views import (
    DATA_SOURCES,
    ENTITY_NAMES,
    LINKS,
    SALES_LINES,
    SALES_ORDERS,
    STORED_AS,
    TABLES,
    joined,
)
from sandbox.odata.arithmetic import OPERATORS as ARITHMETIC
from sandbox.odata.filters import Column
from sandbox.odata.tokens import FilterError, Literal
from sandbox.store import Row

__all__ = [
    "EMPTY_DATE",
    "ENUMS",
    "NAMESPACE",
    "SALES_LINES",
    "SALES_ORDERS",
    "EntitySet",
    "FilterRules",
    "Link",
    "Property",
    "day_of",
    "day_stamp",
    "entity_sets",
    "stamp",
]

NAMESPACE: Final = "Microsoft.Dynamics.DataEntities"
EMPTY_DATE: Final = "1900-01-01T12:00:00Z"
_EMPTY_GUID: Final = "00000000-0000-0000-0000-000000000000"
_METADATA: Final = Path(__file__).parent.parent / "metadata" / "finance"

_COMPANY_KEYS: Final = ("dataAreaId", "Company", "JournalLineCompany")

_COMPARISONS: Final = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
_DECIMAL_LIMIT: Final = 10**16
_INTEGERS: Final[Mapping[str, int]] = {"Int32": 2**31, "Int64": 2**63}

_EMPTY: Final[Mapping[str, Any]] = {
    "String": "",
    "Decimal": Decimal(0),
    "Int32": 0,
    "Int64": 0,
    "DateTimeOffset": EMPTY_DATE,
    "Guid": _EMPTY_GUID,
    "Binary": None,
    "Boolean": False,
}

ENUMS: Final[Mapping[str, Mapping[str, int]]] = json.loads((_METADATA / "enums.json").read_text())
"""Enum type -> member -> number."""


def stamp(moment: datetime) -> str:
    """A moment as Finance writes it: UTC, whole seconds, `2026-11-23T14:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_stamp(day: date) -> str:
    """A calendar date as Finance writes it: the date at 12:00 UTC."""
    return f"{day.isoformat()}T12:00:00Z"


def day_of(text: str) -> date:
    """The calendar date of a stored date column."""
    return date.fromisoformat(text[:10])


@dataclass(frozen=True, slots=True)
class Property:
    """A published column.

    Attributes:
        name: As published, case included.
        type: Edm type without prefix, or the enum's name.
        nullable: Whether the metadata allows null.
        members: The enum's members, None for other types.
        stored: The column of the stored row it reads.
    """

    name: str
    type: str
    nullable: bool
    members: Mapping[str, int] | None
    stored: str

    @property
    def empty(self) -> Any:
        """What the column reads as when nothing has been written."""
        if self.members is None:
            return _EMPTY[self.type]
        return next((member for member, number in self.members.items() if number == 0), None)

    @property
    def edm_type(self) -> str:
        """The qualified type name, as in `$metadata`."""
        return f"Edm.{self.type}" if self.members is None else f"{NAMESPACE}.{self.type}"

    def from_json(self, value: Any) -> Any:
        """The stored form of a value of a request body.

        Raises:
            MalformedRequest: The value is not of the column's type.
        """
        if value is None:
            if not self.nullable and self.type != "String":
                raise MalformedRequest(
                    f"A null value was found for the property named '{self.name}', which has the expected type "
                    f"'{self.edm_type}[Nullable=False]'. The expected type '{self.edm_type}[Nullable=False]' does not "
                    "allow null values."
                )
            return self.empty
        if self.members is not None:
            if value not in self.members:
                raise MalformedRequest(f"The value '{value}' is not a member of the enum type '{self.edm_type}'.")
            return value
        return self._of_primitive(value)

    def _of_primitive(self, value: Any) -> Any:
        kind = type(value)
        if self.type == "Decimal" and kind in (int, Decimal) and abs(value) < _DECIMAL_LIMIT:
            return Decimal(value)
        if self.type in _INTEGERS and kind is int and abs(value) < _INTEGERS[self.type]:
            return value
        if self.type in ("String", "Guid", "Binary") and kind is str:
            return value
        if self.type == "DateTimeOffset" and kind is str:
            return _moment(value, self.name)
        if self.type == "Boolean" and kind is bool:
            return value
        raise MalformedRequest(f"Cannot convert the literal '{value}' to the expected type '{self.edm_type}'.")

    def from_literal(self, literal: Literal) -> Any:
        """The stored form of a constant in a filter or a key.

        Raises:
            FilterError: The constant's type does not fit the column's.
        """
        if literal.kind == "null":
            return None
        if self.members is not None:
            if literal.kind == "enum" and literal.type_name == self.edm_type and literal.value in self.members:
                return literal.value
            if literal.kind == "enum" and literal.type_name == self.edm_type:
                raise FilterError(f"The string '{literal.value}' is not a valid enumeration type constant.")
        elif (self.type, literal.kind) in (("String", "string"), ("Guid", "guid"), ("Boolean", "bool")):
            return literal.value
        elif self.type in ("Decimal", "Int32", "Int64") and literal.kind == "number":
            return literal.value
        elif self.type == "DateTimeOffset" and literal.kind in ("datetime", "date"):
            return _moment(literal.value if literal.kind == "datetime" else f"{literal.value}T00:00:00Z", self.name)
        found = literal.type_name or {"string": "Edm.String", "number": "Edm.Int32", "bool": "Edm.Boolean"}.get(
            literal.kind, "Edm.String"
        )
        raise FilterError(
            f"A binary operator with incompatible types was detected. Found operand types '{self.edm_type}' and "
            f"'{found}' for operator kind 'Equal'."
        )


def _moment(text: str, name: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise MalformedRequest(
            f"Cannot convert the literal '{text}' to the expected type 'Edm.DateTimeOffset' (property '{name}')."
        ) from problem
    return stamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Link:
    """A navigation property we serve: the other set, which columns join, and whether it holds many."""

    name: str
    target: str
    joins: tuple[tuple[str, str], ...]
    many: bool


@dataclass(slots=True, eq=False)
class EntitySet:
    """One published entity set."""

    name: str
    type_name: str
    table: str
    key: tuple[str, ...]
    properties: Mapping[str, Property]
    links: Mapping[str, Link]
    company: str | None
    sources: int
    projections: dict[tuple[str, ...] | None, Callable[[Row], dict[str, Any]]] = field(default_factory=dict)

    @property
    def entity(self) -> str:
        """The X++ name of the data entity, as error texts show it."""
        return ENTITY_NAMES.get(self.name, f"{self.type_name}Entity")

    @property
    def stored_key(self) -> tuple[str, ...]:
        """The stored columns of the key, in the key's order."""
        return tuple(self.properties[name].stored for name in self.key)

    def project(self, select: tuple[str, ...] | None) -> Callable[[Row], dict[str, Any]]:
        """A function that makes the JSON object of a stored row, without annotations.

        Raises:
            MalformedRequest: A selected column does not exist.
        """
        known = self.projections.get(select)
        if known is None:
            names = tuple(self.properties) if select is None else select
            missing = [name for name in names if name not in self.properties and name not in self.links]
            if missing:
                raise MalformedRequest(
                    f"Could not find a property named '{missing[0]}' on type '{NAMESPACE}.{self.type_name}'."
                )
            chosen = [self.properties[name] for name in names if name in self.properties]
            plan = [(item.name, item.stored, item.empty) for item in chosen]
            known = self.projections[select] = lambda row: {name: row.get(col, empty) for name, col, empty in plan}
        return known


@dataclass(frozen=True, slots=True)
class FilterRules:
    """How the filters of one entity set are read: a `sandbox.odata.filters.Dialect`.

    Text may hold wildcards (`Name eq '*retail*'`), enums need their qualified literal and take only `eq` and `ne`,
    arithmetic is allowed. Whether text can be ordered and has functions differs between environments.
    """

    entity: EntitySet
    text_order: bool = True
    text_functions: bool = False
    wildcards: bool = True

    @property
    def functions(self) -> frozenset[str]:
        """Text functions allowed."""
        return frozenset({"contains", "startswith", "endswith"}) if self.text_functions else frozenset()

    @property
    def operators(self) -> frozenset[str]:
        """Operators allowed beside and, or, not."""
        return _COMPARISONS | ARITHMETIC

    def column(self, path: tuple[str, ...]) -> Column:
        """The column a filter or sort key names (see `sandbox.odata.filters.Dialect`).

        Raises:
            FilterError: There is none of this name.
        """
        found = self.entity.properties.get(path[0]) if len(path) == 1 else None
        if found is None:
            raise FilterError(
                f"Could not find a property named '{'/'.join(path)}' on type '{NAMESPACE}.{self.entity.type_name}'."
            )
        stored, empty = found.stored, found.empty
        ordered = found.members is None and (found.type != "String" or self.text_order)
        return Column(lambda row: row.get(stored, empty), stored, found.from_literal, ordered)

    def call(self, name: str, arguments: Mapping[str, Any]) -> Callable[[Row], bool]:
        """Finance has no namespaced filter functions.

        Raises:
            FilterError: Always.
        """
        raise FilterError(f"An unknown function with name '{name}' was found.")


@lru_cache(maxsize=1)
def entity_sets() -> Mapping[str, EntitySet]:
    """All entity sets, by name."""
    published = json.loads((_METADATA / "entities.json").read_text())
    return {name: _entity_set(name, entry) for name, entry in published.items()}


def _entity_set(name: str, entry: Mapping[str, Any]) -> EntitySet:
    key = tuple(entry["key"])
    stored = STORED_AS.get(name, {})
    ordered = [*key, *(column for column in entry["columns"] if column not in key)]
    properties = {column: _property(column, entry["columns"][column], stored) for column in ordered}
    company = next((column for column in _COMPANY_KEYS if column in key), None)
    return EntitySet(
        name=name,
        type_name=entry["type"],
        table=TABLES.get(name, name),
        key=key,
        properties=properties,
        links={link: Link(link, target, joined(join), many) for link, target, join, many in LINKS.get(name, ())},
        company=company,
        sources=DATA_SOURCES.get(name, 1),
    )


def _property(name: str, text: str, stored: Mapping[str, str]) -> Property:
    kind = text.rstrip("!")
    column = stored.get(name, name)
    if kind.startswith("enum:"):
        enum = kind.removeprefix("enum:")
        return Property(name, enum, True, ENUMS[enum], column)
    return Property(name, kind, not text.endswith("!"), None, column)
