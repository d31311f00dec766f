"""What Dataverse says of its tables: columns with their types, lengths and choices, keys, and what Dual-Write runs.

Sources: Microsoft Learn, "Query table definitions using the Web API", AttributeMetadata entity types, EntityKeyMetadata
type.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from domain.entities.facts import Column, Kind, RunningMap, Table
from dynamics.core.batch import Read
from dynamics.core.dual_write import running_maps
from dynamics.core.errors import NotFound
from dynamics.core.literals import key, query
from dynamics.core.odata import Row
from dynamics.sales.client import Dataverse

_CRM: Final = "Microsoft.Dynamics.CRM"
_TYPES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "text": ("String", "Memo"),
    "whole": ("Integer", "BigInt"),
    "decimal": ("Decimal", "Double"),
    "money": ("Money",),
    "yes_no": ("Boolean",),
    "choice": ("Picklist", "State", "Status"),
    "moment": ("DateTime",),
    "id": ("Uniqueidentifier",),
    "lookup": ("Lookup", "Customer", "Owner"),
}
_KINDS: Final = {name: kind for kind, names in _TYPES.items() for name in names}
_CHOICE: Final = "OptionSet($select=Options),GlobalOptionSet($select=Options)"
_DETAILS: Final[Mapping[str, tuple[str, str | None]]] = {
    "String": ("LogicalName,MaxLength", None),
    "Memo": ("LogicalName,MaxLength", None),
    "Decimal": ("LogicalName,Precision", None),
    "Money": ("LogicalName,Precision,PrecisionSource", None),
    "Lookup": ("LogicalName,Targets", None),
    "Picklist": ("LogicalName", _CHOICE),
    "State": ("LogicalName", _CHOICE),
    "Status": ("LogicalName", _CHOICE),
}
"""Kind of column: what only columns of that kind say, and what has to be expanded for it."""
_OF_ORGANIZATION, _OF_CURRENCY = 1, 2
"""PrecisionSource of an amount."""
_REQUIRED: Final = frozenset({"SystemRequired", "ApplicationRequired"})


async def read_tables(dataverse: Dataverse, names: Collection[str]) -> dict[str, Table]:
    """The named tables that the environment has, as it describes them; three requests.

    Raises:
        DynamicsError: they cannot be read.
    """
    wanted = sorted(set(names))
    if not wanted:
        return {}
    answers = await dataverse.odata.batch([Read(_definition(name)) for name in wanted])
    found: dict[str, Row] = {}
    for name, answer in zip(wanted, answers, strict=True):
        if not isinstance(answer.error, NotFound):
            found[name] = answer.value()
    asked = [(name, kind) for name, row in found.items() for kind in _DETAILS if _has(row, kind)]
    details: dict[tuple[str, str], Row] = {}
    if asked:
        answers = await dataverse.odata.batch([Read(_of_kind(name, kind)) for name, kind in asked])
        for (name, _), answer in zip(asked, answers, strict=True):
            details.update(((name, str(row["LogicalName"])), row) for row in answer.rows())
    prices = await dataverse.price_decimals()
    return {name: _table(name, row, details, prices) for name, row in found.items()}


async def read_running_maps(dataverse: Dataverse) -> tuple[RunningMap, ...] | None:
    """The maps that Dual-Write runs, as `dynamics.core.dual_write.running_maps` tells them."""
    return await running_maps(dataverse.odata.get, dataverse.odata.all_rows)


def _definition(table: str) -> str:
    attributes = "LogicalName,AttributeType,RequiredLevel,IsValidForCreate,IsValidForUpdate"
    return query(
        key("EntityDefinitions", LogicalName=table),
        select="LogicalName,PrimaryIdAttribute",
        expand=f"Attributes($select={attributes}),Keys($select=KeyAttributes,EntityKeyIndexStatus)",
    )


def _of_kind(table: str, kind: str) -> str:
    select, expand = _DETAILS[kind]
    path = f"{key('EntityDefinitions', LogicalName=table)}/Attributes/{_CRM}.{kind}AttributeMetadata"
    return query(path, select=select, expand=expand)


def _has(row: Row, kind: str) -> bool:
    kinds = ("Lookup", "Customer", "Owner") if kind == "Lookup" else (kind,)
    return any(each["AttributeType"] in kinds for each in row["Attributes"])


def _table(name: str, row: Row, details: Mapping[tuple[str, str], Row], price_decimals: int) -> Table:
    primary = str(row["PrimaryIdAttribute"])
    active = (each for each in row["Keys"] if each.get("EntityKeyIndexStatus", "Active") == "Active")
    columns = {
        str(each["LogicalName"]): _column(each, details.get((name, str(each["LogicalName"])), {}), price_decimals)
        for each in row["Attributes"]
    }
    return Table(
        columns=columns, keys=((primary,), *(tuple(each["KeyAttributes"]) for each in active)), primary=primary
    )


def _column(row: Row, detail: Row, price_decimals: int) -> Column:
    kind = _KINDS.get(str(row["AttributeType"]), "other")
    created = bool(row["IsValidForCreate"])
    return Column(
        kind=kind,
        length=detail.get("MaxLength"),
        decimals=_decimals(kind, detail, price_decimals),
        required=created and _value(row["RequiredLevel"]) in _REQUIRED,
        writable=created or bool(row["IsValidForUpdate"]),
        options=("true", "false") if kind == "yes_no" else _options(detail),
        targets=tuple(detail.get("Targets") or ()),
    )


def _decimals(kind: Kind, detail: Row, price_decimals: int) -> Any:
    source = detail.get("PrecisionSource") if kind == "money" else None
    if source == _OF_CURRENCY:
        return "currency"
    return price_decimals if source == _OF_ORGANIZATION else detail.get("Precision")


def _options(detail: Row) -> tuple[str, ...] | None:
    choice = detail.get("GlobalOptionSet") or detail.get("OptionSet")
    options: Iterable[Row] | None = (choice or {}).get("Options")
    return None if options is None else tuple(str(each["Value"]) for each in options)


def _value(managed: Any) -> str:
    """The value of a managed property."""
    return str((managed or {}).get("Value") or "")
