"""What is asked of both systems to learn what changed, and what an answer holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic import Field

from domain.entities.comparing import Comparison
from domain.entities.merge import Both
from domain.entities.merge_forms import SyncedField
from domain.entities.model import STATE, BelongsTo
from domain.entities.sync_records import (
    FinanceChange,
    SalesChange,
    SweptRecord,
    key_of,
    key_without,
    parts_of,
    row_without,
)
from dynamics.bulk import sales
from dynamics.bulk.new_rows import Creation
from dynamics.bulk.reader import Reader
from dynamics.bulk.texts import text_of
from dynamics.core.literals import key, literal, query
from dynamics.core.odata import Row

PAGE_ROWS: Final = 1_000
"""Rows of a page of changes."""
INACTIVE: Final = "1"
"""State of a row that is not active."""
OVERLAP: Final = timedelta(seconds=300)
"""How far a look at Finance's times of change goes back: a transaction that took long is written with its beginning."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """The entity set of Finance's own table behind an entity, which says when a record was changed.

    It does not move where only the party's name, addresses or contact details change: a sweep finds those.
    """

    set: str
    key: str
    company: str = "dataAreaId"
    modified: str = "SysModifiedDateTime"
    record: str = "SourceKey"


WATERMARKS: Final[Mapping[str, Watermark]] = {"CustomersV3": Watermark("CustTableBiEntities", "AccountNum")}
"""By entity set. What is not in it is found by sweeps alone."""


class SyncPlan(Comparison):
    """What a sync reads of either side, and by which fields it keeps them in step.

    Attributes:
        fields: of the map, without those of the key.
        modified: column of Sales with the time of change.
        currency: the field that tells the currency of amounts; empty: none does.
        kinds: kind of column of Sales, by column.
        company_column: of Finance; empty: the records belong to no company.
        every_seconds: how often the map says that its records agree.
        creation: how rows are made in Sales; None: none are.
        belongs_to: to what a new record of Finance belongs; None: none are made there.
        constants: what a new record of Finance is given, by column.
        deactivates: the row of a record that Finance deleted.
        makes_anew: the row that Sales deleted.
        retired: what a record of Finance holds whose row Sales deleted, by column; empty: it stays as it is.
    """

    fields: tuple[SyncedField, ...]
    modified: str = "modifiedon"
    currency: str = ""
    kinds: Mapping[str, str] = Field({})
    company_column: str = ""
    every_seconds: int = 20
    creation: Creation | None = None
    deactivates: bool = False
    makes_anew: bool = False
    belongs_to: BelongsTo | None = None
    constants: Mapping[str, str] = Field({})
    retired: Mapping[str, str] = Field({})

    @property
    def sales_columns(self) -> tuple[str, ...]:
        """What is read of Sales, lookups by path."""
        columns = (*self.sales_key, *(field.sales for field in self.fields), self.modified)
        more = (STATE,) if self.deactivates else ()
        return tuple(dict.fromkeys((*columns, *more, *((self.belongs_to.sales,) if self.belongs_to else ()))))


async def read_kinds(reader: Reader, table: str) -> dict[str, str]:
    """Kind of each column of a table of Sales; one request.

    Raises:
        DynamicsError: it cannot be read.
    """
    definition = query(
        key("EntityDefinitions", LogicalName=table),
        select="LogicalName",
        expand="Attributes($select=LogicalName,AttributeType)",
    )
    row = await reader.row(definition)
    return {str(each["LogicalName"]): str(each["AttributeType"]) for each in row["Attributes"]}


def require_syncable(of: SyncPlan) -> None:
    """Refuse what cannot be read.

    Raises:
        CannotCompare: as its text says.
    """
    sales.require_readable(of)


# Sales


def first_changes(of: SyncPlan) -> str:
    """The path that reads all rows, and leads to a link to what changes from then on."""
    columns = (of.sales.id, "versionnumber", of.modified, *(column for column in of.sales_key if "." not in column))
    return query(of.sales.entity_set, select=",".join(dict.fromkeys(columns)))


async def read_keys(of: SyncPlan, reader: Reader, rows: Iterable[Row]) -> dict[str, str]:
    """Keys by id of rows of a page of changes, which does not tell what lies behind lookups; a request, or none.

    Raises:
        DynamicsError: they cannot be read.
    """
    if not any("." in column for column in of.sales_key):
        return {str(row[of.sales.id]): _key(of, row) for row in rows if row.get("reason") != "deleted"}
    ids = [str(row[of.sales.id]) for row in rows if row.get("reason") != "deleted"]
    paths = sales.read_ids(of, ids)
    answers = await reader.together(paths) if paths else []
    return {str(row[of.sales.id]): _key(of, row) for answer in answers for row in answer.rows()}


def _key(of: SyncPlan, row: Row) -> str:
    return key_of(tuple(text_of(sales.value_of(of.sales, row, column)) or "" for column in of.sales_key))


def sales_changes(of: SyncPlan, rows: Iterable[Row], keys: Mapping[str, str]) -> tuple[list[SalesChange], list[str]]:
    """Rows of a page of changes with their keys, and the ids of those that were deleted."""
    changed: list[SalesChange] = []
    deleted: list[str] = []
    for row in rows:
        if row.get("reason") == "deleted":
            deleted.append(str(row["id"]))
            continue
        changed.append(
            SalesChange(
                sales_id=str(row[of.sales.id]),
                key=keys.get(str(row[of.sales.id]), "")
                or (key_without(str(row[of.sales.id])) if of.belongs_to else ""),
                version=int(row.get("versionnumber") or 0),
                changed_at=str(row.get(of.modified) or ""),
            )
        )
    return changed, deleted


def rows_of_keys(of: SyncPlan, keys: Sequence[str]) -> list[str]:
    """Paths that read the rows of keys in Sales, a read each: a key may have several rows, and a row no key yet."""
    return sales.read_keys(of, [(row, ()) if (row := row_without(key)) else (None, parts_of(key)) for key in keys])


def key_in_sales(of: SyncPlan, row: Row) -> str:
    """The key of a row; empty: it has none yet."""
    return _key(of, row)


def version_of(row: Row) -> int:
    """The version of a row of Sales, from its ETag."""
    digits = "".join(sign for sign in str(row.get("@odata.etag", "")) if sign.isdigit())
    return int(digits or 0)


# Finance


def finance_changes(of: SyncPlan, mark: Watermark, since: str, after: int | None) -> str:
    """The path of a page of what changed in Finance since a time; ``after``: what came behind this record."""
    since = literal(datetime.fromisoformat(since))
    condition = f"{mark.modified} ge {since}"
    if after is not None:
        condition = f"({mark.modified} gt {since} or ({mark.modified} eq {since} and {mark.record} gt {after}))"
    if of.company_column:
        condition = f"{mark.company} eq {literal(of.company)} and {condition}"
    return query(
        mark.set,
        cross_company="true",
        filter=condition,
        orderby=f"{mark.modified},{mark.record}",
        top=PAGE_ROWS,
        select=f"{mark.key},{mark.modified},{mark.record}",
    )


def as_changes(mark: Watermark, rows: Iterable[Row]) -> list[FinanceChange]:
    """Rows of such a page."""
    return [
        FinanceChange(key=key_of((str(row[mark.key]),)), changed_at=str(row[mark.modified]))
        for row in rows
        if str(row[mark.key]).strip()
    ]


def as_swept(of: SyncPlan, rows: Iterable[Row]) -> list[SweptRecord]:
    """Records of Finance with the hash of their values."""
    found = ((key_of(finance_key(of, row)), content_of(of, row)) for row in rows)
    return [SweptRecord(key=one, content=content) for one, content in found if one]


def finance_key(of: SyncPlan, row: Row) -> tuple[str, ...]:
    """The parts of a record's key, as Finance spells them."""
    return tuple(text_of(row.get(column)) or "" for column in of.finance_key)


def content_of(of: SyncPlan, row: Row) -> str:
    """A hash of the values of a record that the map names."""
    values = "\x1f".join(text_of(row.get(field.finance)) or "" for field in of.fields)
    return hashlib.sha256(values.encode()).hexdigest()


def parent_of(of: SyncPlan, new: BelongsTo, value: str) -> str:
    """The path of what a new record belongs to."""
    condition = f"{new.key} eq {literal(value)}"
    if of.company_column:
        condition = f"{of.company_column} eq {literal(of.company)} and {condition}"
    return query(new.set, cross_company="true", filter=condition, select=new.gives, top=2)


def marked(of: SyncPlan, new: BelongsTo, mark: str) -> str:
    """The path of the records that we have made for a row."""
    return _some(of, f"{new.mark} eq {literal(mark)}")


def alike(of: SyncPlan, new: BelongsTo, parent: str, values: Mapping[str, str]) -> str:
    """The path of the records of a parent that have the same in the columns by which one is known."""
    same = " and ".join(f"{column} eq {literal(values.get(column, ''))}" for column in new.known_by)
    return _some(of, f"{new.column} eq {literal(parent)} and {same}")


def _some(of: SyncPlan, condition: str) -> str:
    whole = f"{of.finance_filter} and {condition}" if of.finance_filter else condition
    return query(of.finance_set, cross_company="true", filter=whole, select=",".join(of.finance_columns), top=2)


# Both


def values_of(of: SyncPlan, finance: Row, row: Row) -> dict[str, Both]:
    """The values of both sides, as texts."""
    return {
        field.name: Both(
            finance=text_of(finance.get(field.finance)) or "",
            sales=text_of(sales.value_of(of.sales, row, field.sales)) or "",
        )
        for field in of.fields
    }


def json_of(kind: str, value: str) -> Any:
    """A text as a column of Sales of a kind takes it."""
    if not value.strip():
        return None
    match kind:
        case "Picklist" | "State" | "Status" | "Integer" | "BigInt":
            return int(value)
        case "Decimal" | "Money" | "Double":
            return Decimal(value)
        case "Boolean":
            return value.strip().lower() in ("true", "1", "yes")
        case _:
            return value
