"""The REST metadata service: `/metadata/DataEntities`, `PublicEntities`, `PublicEnumerations` and `Labels`.

What clients that build themselves from an environment read instead of `$metadata`: names, categories, columns with
their X++ type and whether they can be edited, navigation with its joined columns, enum members. Addresses ignore case.
Source: Microsoft Learn, "Service endpoints overview" (REST metadata service); recorded answers of tenants.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sandbox.finance.actions import ACTIONS
from sandbox.finance.csdl import ax_type
from sandbox.finance.editing import editing
from sandbox.finance.errors import FinanceError, MalformedRequest, UnknownResource
from sandbox.finance.labels import label_id, label_text
from sandbox.finance.model import ENUMS, EntitySet, entity_sets
from sandbox.finance.views import category
from sandbox.finance.writes import is_writable
from sandbox.odata.address import AddressError, Segment, parse_path
from sandbox.odata.filters import Column, compile_filter
from sandbox.odata.query import QueryError, QueryOptions, SortKey, cut_page, in_order, parse_query
from sandbox.odata.tokens import FilterError, Literal
from sandbox.store import Row

METADATA: Final = "Microsoft.Dynamics.Metadata"
COLLECTIONS: Final = ("Labels", "DataEntities", "PublicEntities", "PublicEnumerations")
_KEYS: Final = {"DataEntities": "Name", "PublicEntities": "Name", "PublicEnumerations": "Name"}
_CASE_FUNCTION = re.compile(r"\b(?:tolower|toupper)\(\s*(\w+)\s*\)")


@dataclass(frozen=True, slots=True)
class MetadataAnswer:
    """Status and JSON body."""

    status: int
    body: dict[str, Any]


def answer(origin: str, path: str, query: str) -> MetadataAnswer:
    """Answer a GET below `/metadata`.

    Args:
        origin: Scheme, host and port.
        path: Below `/metadata`, percent-encoded or not.
        query: Raw query string.
    """
    try:
        return MetadataAnswer(200, _answer(origin, parse_path(path), parse_query(query)))
    except FinanceError as problem:
        return MetadataAnswer(problem.status, problem.body)
    except (AddressError, QueryError, FilterError) as problem:
        return MetadataAnswer(400, MalformedRequest(str(problem)).body)


def _answer(origin: str, segments: Sequence[Segment], options: QueryOptions) -> dict[str, Any]:
    root = f"{origin}/metadata/$metadata"
    if not segments:
        listed = [{"name": name, "kind": "EntitySet", "url": name} for name in COLLECTIONS]
        return {"@odata.context": root, "value": listed}
    name = next((known for known in COLLECTIONS if known.lower() == segments[0].name.lower()), None)
    if name is None or len(segments) > 1:
        raise UnknownResource(f"No HTTP resource was found that matches '{segments[-1].name}'.")
    if name == "Labels":
        return {"@odata.context": f"{root}#Labels/$entity", **_label(segments[0].key)}
    rows = _rows(name)
    if segments[0].key is not None:
        return {"@odata.context": f"{root}#{name}/$entity", **_by_key(name, rows, segments[0].key)}
    return _list(f"{root}#{name}", rows, options)


def _label(key: Mapping[str, Literal] | None) -> dict[str, Any]:
    if key is None or not {"Id", "Language"} <= set(key):
        raise MalformedRequest("The label id and language must be provided as part of the key segment.")
    identifier, language = str(key["Id"].value), str(key["Language"].value)
    found = label_text(identifier)
    if found is None:
        raise UnknownResource(f"The label '{identifier}' was not found.")
    return {"Id": identifier, "Language": language, "Value": found}


def _by_key(name: str, rows: Sequence[Row], key: Mapping[str, Literal]) -> Row:
    value = str(next(iter(key.values())).value).lower()
    found = next((row for row in rows if row[_KEYS[name]].lower() == value), None)
    if found is None:
        raise UnknownResource(f"No {name} with the key '{value}' was found.")
    return found


def _list(context: str, rows: Sequence[Row], options: QueryOptions) -> dict[str, Any]:
    kept = list(rows)
    if options.filter:
        matches = compile_filter(_CASE_FUNCTION.sub(r"\1", options.filter), _Rules(tuple(rows[0]))).matches
        kept = [row for row in kept if matches(row)]
    keys = tuple(SortKey(_reader(path), down) for path, down in options.orderby)
    page = cut_page(in_order(kept, keys), keys, size=len(kept) or 1, top=options.top, skip=options.skip)
    body: dict[str, Any] = {"@odata.context": context}
    if options.count:
        body["@odata.count"] = len(kept)
    chosen = options.select
    body["value"] = [row if chosen is None else {name: row.get(name) for name in chosen} for row in page.rows]
    return body


def _reader(column: str) -> Callable[[Row], Any]:
    return lambda row: row.get(column)


@dataclass(frozen=True)
class _Rules:
    """How filters over metadata are read: plain columns, text functions, enums by their qualified literal."""

    columns: tuple[str, ...]
    functions: frozenset[str] = frozenset({"contains", "startswith", "endswith"})
    operators: frozenset[str] = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})
    wildcards: bool = False

    def column(self, path: tuple[str, ...]) -> Column:
        """A column by its name."""
        if len(path) != 1 or path[0] not in self.columns:
            raise FilterError(f"Could not find a property named '{'/'.join(path)}'.")
        return Column(_reader(path[0]), path[0], lambda literal: literal.value)

    def call(self, name: str, arguments: Mapping[str, Any]) -> Callable[[Row], bool]:
        """No namespaced functions."""
        raise FilterError(f"An unknown function with name '{name}' was found.")


@lru_cache(maxsize=4)
def _rows(name: str) -> tuple[Row, ...]:
    if name == "PublicEnumerations":
        return tuple(_enumeration(enum, members) for enum, members in ENUMS.items())
    make = _data_entity if name == "DataEntities" else _public_entity
    return tuple(make(entity) for entity in entity_sets().values())


def _data_entity(entity: EntitySet) -> Row:
    return {
        "Name": entity.entity,
        "PublicEntityName": entity.type_name,
        "PublicCollectionName": entity.name,
        "LabelId": label_id(entity.type_name),
        "DataServiceEnabled": True,
        "DataManagementEnabled": not entity.name.endswith("BiEntities"),
        "EntityCategory": category(entity.name),
        "IsReadOnly": not is_writable(entity.name),
    }


def _public_entity(entity: EntitySet) -> Row:
    return {
        "Name": entity.type_name,
        "EntitySetName": entity.name,
        "LabelId": label_id(entity.type_name),
        "IsReadOnly": not is_writable(entity.name),
        "ConfigurationEnabled": True,
        "Properties": [_property(entity, name) for name in entity.properties],
        "NavigationProperties": [_navigation(entity, name) for name in entity.links],
        "PropertyGroups": [],
        "Actions": [
            {
                "Name": action,
                "BindingKind": "BoundToEntitySet",
                "Parameters": [],
                "ReturnType": {"TypeName": "Edm.String", "IsCollection": False},
                "FieldLookup": None,
            }
            for entity_set, action in ACTIONS
            if entity_set == entity.name
        ],
    }


def _property(entity: EntitySet, name: str) -> Row:
    item, may = entity.properties[name], editing(entity, name)
    return {
        "Name": name,
        "TypeName": item.edm_type,
        "DataType": ax_type(item),
        "LabelId": label_id(name),
        "IsKey": name in entity.key,
        "IsMandatory": may.mandatory or name in entity.key,
        "ConfigurationEnabled": True,
        "AllowEdit": may.edit,
        "AllowEditOnCreate": may.create,
        "IsDimension": False,
        "DimensionRelation": None,
        "IsDynamicDimension": False,
        "DimensionLegalEntityProperty": None,
        "DimensionTypeProperty": None,
    }


def _navigation(entity: EntitySet, name: str) -> Row:
    link = entity.links[name]
    target = entity_sets()[link.target]
    return {
        "Name": name,
        "RelatedEntity": target.type_name,
        "RelatedRelationName": None,
        "Cardinality": "Multiple" if link.many else "Single",
        "Constraints": [
            {
                "@odata.type": f"#{METADATA}.ReferentialConstraint",
                "Property": _published(entity, ours),
                "ReferencedProperty": _published(target, theirs),
            }
            for ours, theirs in link.joins
        ],
    }


def _published(entity: EntitySet, stored: str) -> str:
    return next(name for name, item in entity.properties.items() if item.stored == stored)


def _enumeration(name: str, members: Mapping[str, int]) -> Row:
    return {
        "Name": name,
        "LabelId": label_id(name),
        "Members": [
            {"Name": member, "LabelId": label_id(member), "Value": value, "ConfigurationEnabled": True}
            for member, value in members.items()
        ],
    }
