"""What is asked of both systems to take over records that do not change any more, and what an answer holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from domain.entities.comparing import CannotCompare, SalesTable
from domain.entities.copying import Copied, CopyPlan, Lookup
from domain.entities.history_run import Place
from domain.entities.identity import hash_of
from domain.entities.merge_forms import SyncedField
from domain.entities.model import DataMap, Pattern, Scope
from dynamics.bulk import sales
from dynamics.bulk.changes import json_of, read_kinds
from dynamics.bulk.reader import Reader
from dynamics.bulk.texts import text_of
from dynamics.core.batch import chunks
from dynamics.core.literals import any_of, literal, query
from dynamics.core.odata import BatchAnswer, Row

PAGE_ROWS: Final = 200
"""Records of a page: one read of Finance, and one batch of writes to Sales."""
_BEGINNING: Final = "1900-01-01T00:00:00Z"
_NAMESPACE: Final = UUID("d3b0c2f4-53a1-5a0e-8a54-6f2f0f5e7c10")


async def plan_of(
    reader: Reader, data: DataMap, others: Sequence[DataMap], company: str, units: Mapping[str, str]
) -> CopyPlan:
    """What a map has a history take over.

    Args:
        reader: of Sales.
        data: the map.
        others: all maps in force: one of the table that a lookup leads to says whose row it is.
        company: legal entity, lower case.
        units: legal entity by name of the business unit.

    Raises:
        CannotCompare: the map or Sales does not say what a history needs; the text says what.
        DynamicsError: Sales cannot be read, or has no such table.
    """
    finance, in_sales = data.finance, data.sales
    if data.pattern is not Pattern.BATCH or finance is None or in_sales is None or finance.modified is None:
        raise CannotCompare(f"{data.entity}: a history needs the pattern batch, both sides, and finance.modified")
    record = tuple(column for column in finance.key if column != data.company.finance)
    own = tuple(column for column in in_sales.key if column != data.company.sales)
    if len(record) != 1 or len(own) != 1 or data.company.scope is not Scope.PER_COMPANY:
        raise CannotCompare(f"{data.entity}: a history needs the company and one number of the record as both keys")
    table = await sales.read_table(reader, in_sales.table)
    kinds = await read_kinds(reader, in_sales.table)
    fields = tuple(SyncedField.synced(data, name, field, table.lengths) for name, field in data.fields.items())
    found = {f.name: await _lookup(reader, table, f, others, company, units) for f in fields if "." in f.sales}
    return CopyPlan(
        entity=data.entity,
        company=company,
        map_hash=hash_of(data),
        finance_set=finance.set,
        finance_filter=" and ".join(filter(None, (f"{data.company.finance} eq {literal(company)}", finance.filter))),
        finance_key=record,
        sales=table,
        sales_filter=f"{data.company.sales} eq {literal(company)}",
        sales_key=own,
        fields=fields,
        modified=finance.modified,
        currency=next((f.name for f in fields if f.sales.endswith(".isocurrencycode")), ""),
        kinds=kinds,
        lookups=found,
    )


async def _lookup(
    reader: Reader,
    table: SalesTable,
    field: SyncedField,
    others: Sequence[DataMap],
    company: str,
    units: Mapping[str, str],
) -> Lookup:
    column, _, last = field.sales.partition(".")
    targets, link = table.targets.get(column, ()), table.links.get(column)
    if len(targets) != 1 or link is None:
        raise CannotCompare(f"{field.name}: {column} leads to {len(targets)} tables of Sales, not to one")
    target = await sales.read_table(reader, targets[0])
    of = next((m for m in others if m.sales and m.sales.table == targets[0] and m.company.sales), None)
    condition = await sales.of_company(reader, of, target, company, units) if of else ""
    return Lookup(entity_set=target.entity_set, id=target.id, column=last, condition=condition, bind=link)


# Finance


def page(of: CopyPlan, place: Place) -> str:
    """The path of the records behind a place, in the order in which they were changed."""
    since = literal(datetime.fromisoformat(place.at or _BEGINNING))
    behind = f"{of.modified} ge {since}"
    if place.after is not None:
        behind = f"({of.modified} gt {since} or ({of.modified} eq {since} and {of.record} gt {place.after}))"
    return query(
        of.finance_set,
        cross_company="true",
        filter=f"{of.finance_filter} and {behind}",
        orderby=f"{of.modified},{of.record}",
        top=PAGE_ROWS,
        select=",".join(dict.fromkeys((*of.finance_columns, of.modified))),
    )


def count(of: CopyPlan) -> str:
    """The path that counts all records."""
    return query(of.finance_set, cross_company="true", filter=of.finance_filter, count="true", top=1, select=of.record)


def behind(of: CopyPlan, rows: Sequence[Row], place: Place) -> Place:
    """The place behind the last record of a page; the same where it holds none."""
    if not rows:
        return place
    return Place(at=str(rows[-1][of.modified]), after=int(rows[-1][of.record]))


def values_there(of: CopyPlan, row: Row) -> dict[str, str]:
    """The values of a record of Finance, by field."""
    return {field.name: text_of(row.get(field.finance)) or "" for field in of.fields}


def record_of(of: CopyPlan, row: Row) -> str:
    """The number of a record, as Sales keeps it."""
    return text_of(row.get(of.record)) or ""


# Sales


def looks(of: CopyPlan, there: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    """What is read of Sales for some records: a field and a path; the field is empty for the rows themselves."""
    (own,) = (field for field in of.fields if field.sales == of.sales_key[0])
    asked = [("", path) for path in sales.read_any(of, of.sales_key[0], _values(there, own.name))]
    for name, lookup in of.lookups.items():
        for some in chunks(_values(there, name), sales.VALUES_PER_READ):
            either = any_of(lookup.column, some)
            condition = f"({lookup.condition}) and {either}" if lookup.condition else either
            asked.append((name, query(lookup.entity_set, select=f"{lookup.id},{lookup.column}", filter=condition)))
    return asked


def _values(there: Sequence[Mapping[str, str]], name: str) -> list[str]:
    return sorted({values[name].strip() for values in there} - {""})


def found_in_sales(
    of: CopyPlan, asked: Sequence[tuple[str, str]], answers: Sequence[BatchAnswer]
) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """The values of rows by their key, and by field of a lookup the ids of rows by what they are found by.

    Where several rows have it, the one with the lowest id is taken, every time.
    """
    own: dict[str, dict[str, str]] = {}
    led: dict[str, dict[str, str]] = {name: {} for name in of.lookups}
    for (name, _), answer in zip(asked, answers, strict=True):
        for row in answer.rows():
            if not name:
                own[text_of(row[of.sales_key[0]]) or ""] = _values_here(of, row)
                continue
            lookup = of.lookups[name]
            value, row_id = (text_of(row[lookup.column]) or "").strip().casefold(), str(row[lookup.id])
            led[name][value] = min(row_id, led[name].get(value, row_id))
    return own, led


def _values_here(of: CopyPlan, row: Row) -> dict[str, str]:
    return {field.name: text_of(sales.value_of(of.sales, row, field.sales)) or "" for field in of.fields}


def row_id(company: str, record: str) -> UUID:
    """The id of a row, by the record it is of: the same however often it is written."""
    return uuid5(_NAMESPACE, f"{company}/{record}")


def body_of(of: CopyPlan, wanted: Copied) -> Row:
    """What is written to a row."""
    body: dict[str, Any] = {column: json_of(of.kinds.get(column, ""), text) for column, text in wanted.plain.items()}
    for name, row in wanted.bound.items():
        lookup = of.lookups[name]
        body[f"{lookup.bind}@odata.bind"] = f"/{lookup.entity_set}({row})"
    return body


def counted(rows: Iterable[Copied]) -> dict[str, int]:
    """Records that are not taken over, by the field that cannot be filled."""
    found: dict[str, int] = {}
    for each in rows:
        if each.lacking:
            found[each.lacking] = found.get(each.lacking, 0) + 1
    return found
