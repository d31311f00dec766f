"""What is asked of Dataverse in bulk, and what an answer holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from domain.entities.comparing import CannotCompare, Comparison, SalesTable
from domain.entities.facts import RunningMap
from domain.entities.model import DataMap, Scope
from domain.entities.shards import Shard
from dynamics.bulk.reader import Reader
from dynamics.bulk.texts import KEY, ROW_ID, VALUE, text_of
from dynamics.core.batch import chunks
from dynamics.core.dual_write import running_maps
from dynamics.core.literals import any_of, key, literal, query
from dynamics.core.odata import Row

PAGE_ROWS: Final = 5_000
"""Rows of a page at most (Microsoft Learn: "Query data using the Web API", standard tables)."""
VALUES_PER_READ: Final = 50
"""Values compared in one filter."""
IDS_PER_READ: Final = 50
"""Ids compared in one filter."""
_CRM: Final = "Microsoft.Dynamics.CRM"
_BUSINESS_UNIT: Final = "businessunit"
COMPANY: Final = "cdm_company"
"""Table of companies of Dual-Write's core solution (Microsoft Learn: "Company concept in Dataverse")."""


async def read_table(reader: Reader, name: str) -> SalesTable:
    """How Dataverse calls a table, its lookups and its columns of text; one request.

    Raises:
        DynamicsError: it cannot be read, or there is no such table.
    """
    definition = key("EntityDefinitions", LogicalName=name)
    relations = "ReferencingAttribute,ReferencingEntityNavigationPropertyName"
    described, texts, lookups = await reader.together(
        [
            query(
                definition,
                select="LogicalName,EntitySetName,PrimaryIdAttribute",
                expand=f"ManyToOneRelationships($select={relations})",
            ),
            query(f"{definition}/Attributes/{_CRM}.StringAttributeMetadata", select="LogicalName,MaxLength"),
            query(f"{definition}/Attributes/{_CRM}.LookupAttributeMetadata", select="LogicalName,Targets"),
        ]
    )
    row = described.value()
    links: dict[str, list[str]] = {}
    for each in row["ManyToOneRelationships"]:
        link = each["ReferencingEntityNavigationPropertyName"]
        links.setdefault(str(each["ReferencingAttribute"]), []).append(str(link))
    return SalesTable(
        entity_set=str(row["EntitySetName"]),
        id=str(row["PrimaryIdAttribute"]),
        # A lookup to several tables has a property for each of them, and no path of a map says which.
        # So a map names that property itself: `parentcustomerid_account.accountnumber`.
        links={name: found[0] for name, found in links.items() if len(found) == 1}
        | {link: link for found in links.values() if len(found) > 1 for link in found},
        targets={str(each["LogicalName"]): tuple(each["Targets"]) for each in lookups.rows()},
        lengths={str(each["LogicalName"]): int(each["MaxLength"]) for each in texts.rows() if each.get("MaxLength")},
    )


async def of_company(
    reader: Reader, data: DataMap, table: SalesTable, company: str, business_units: Mapping[str, str]
) -> str:
    """The condition on rows of Sales that are a company's; empty: all are. One request where it is a business unit.

    Args:
        reader: of Dataverse.
        data: the map.
        table: of the map.
        company: legal entity, lower case.
        business_units: legal entity by name of the business unit.

    Raises:
        CannotCompare: Sales has no such company, or the map's column tells none.
        DynamicsError: the business units cannot be read.
    """
    column = data.company.sales
    if data.company.scope is not Scope.PER_COMPANY or column is None:
        return ""
    first, dot, last = column.partition(".")
    wanted = company_in_sales(data, company)
    if dot:
        return f"{link_of(table, first)}/{last} eq {literal(wanted)}"
    targets = table.targets.get(column)
    if targets is None:
        return f"{column} eq {literal(wanted)}"
    if COMPANY in targets:
        return f"{link_of(table, column)}/cdm_companycode eq {literal(company)}"
    if _BUSINESS_UNIT not in targets:
        raise CannotCompare(
            f"{data.entity}: company.sales is {column}, which leads to {', '.join(targets) or 'no table'}: name a "
            "column of the row it leads to, e.g. msdyn_company.cdm_companycode"
        )
    names = {name.casefold() for name, of in business_units.items() if of == company}
    rows = (await reader.page(query("businessunits", select="businessunitid,name"))).rows
    ids = sorted(str(row["businessunitid"]) for row in rows if str(row["name"]).casefold() in names)
    if not ids:
        raise CannotCompare(
            f"Sales has no business unit of the company {company}: see business_units in entity_map.yaml"
        )
    return " or ".join(f"_{column}_value eq {unit}" for unit in ids)


def company_in_sales(data: DataMap, company: str) -> str:
    """What the column of Sales holds that tells a company.

    Raises:
        CannotCompare: the map does not say.
    """
    found = data.company.in_sales(company)
    if found is None:
        raise CannotCompare(f"{data.entity}: company.values does not say what {data.company.sales} holds of {company}")
    return found


async def read_running_maps(reader: Reader) -> tuple[RunningMap, ...] | None:
    """The maps that Dual-Write runs, as `dynamics.core.dual_write.running_maps` tells them: a page has them all."""

    async def rows(path: str) -> Sequence[Row]:
        return (await reader.page(path, rows=PAGE_ROWS)).rows

    return await running_maps(reader.row, rows)


def read(of: Comparison, within: Sequence[Shard] = ()) -> str:
    """The path of the first page of all rows, or of those of some parts of Finance."""
    place = _place(of.sales, of.sales_key[0])
    parts = [
        f"{place} eq {literal(shard.prefix)}" if shard.exact else f"startswith({place},{literal(shard.prefix)})"
        for shard in within
        if shard.prefix
    ]
    either = f"({' or '.join(parts)})" if len(parts) > 1 else "".join(parts)
    return _query(of, _and(of.sales_filter, either))


def read_keys(of: Comparison, keys: Iterable[tuple[str | None, Sequence[str]]]) -> list[str]:
    """Paths that read what has a key, a read for each; a row without one by its id.

    Args:
        of: the comparison.
        keys: id of a row and its key, which is empty where it has none.
    """
    return [_query(of, _and(of.sales_filter, _of_key(of, row_id, parts))) for row_id, parts in keys]


def read_any(of: Comparison, column: str, values: Sequence[str]) -> list[str]:
    """Paths that read what has one of some values in a column, a read for so many of them as a filter takes."""
    return [
        _query(of, _and(of.sales_filter, any_of(_place(of.sales, column), some)))
        for some in chunks(values, VALUES_PER_READ)
    ]


def read_ids(of: Comparison, ids: Iterable[str]) -> list[str]:
    """Paths that read rows by their ids, whatever the company and the filter of the map; some in each."""
    return [
        _query(of, " or ".join(f"{of.sales.id} eq {each}" for each in some)) for some in chunks(list(ids), IDS_PER_READ)
    ]


def records(of: Comparison, rows: Iterable[Row]) -> Iterator[Mapping[str, str | None]]:
    """Rows as the columns of a page."""
    for row in rows:
        keys = {f"{KEY}{n}": text_of(value_of(of.sales, row, column)) for n, column in enumerate(of.sales_key)}
        values = {f"{VALUE}{n}": text_of(value_of(of.sales, row, field.sales)) for n, field in enumerate(of.fields)}
        yield {ROW_ID: str(row[of.sales.id])} | keys | values


def require_readable(of: Comparison) -> None:
    """Refuse paths that no navigation property can be told for.

    Raises:
        CannotCompare: as its text says.
    """
    for column in of.sales_columns:
        first, dot, _ = column.partition(".")
        if dot:
            link_of(of.sales, first)


def _of_key(of: Comparison, row_id: str | None, parts: Sequence[str]) -> str:
    if not parts:
        return f"{of.sales.id} eq {row_id}"
    return " and ".join(
        f"{_place(of.sales, column)} eq {literal(value)}" for column, value in zip(of.sales_key, parts, strict=True)
    )


def _and(*conditions: str) -> str:
    return " and ".join(filter(None, conditions))


def _query(of: Comparison, condition: str) -> str:
    plain = [_column(of.sales, column) for column in of.sales_columns if "." not in column]
    paths: dict[str, list[str]] = {}
    for column in of.sales_columns:
        first, dot, last = column.partition(".")
        if dot:
            paths.setdefault(link_of(of.sales, first), []).append(last)
    expand = ",".join(f"{link}($select={','.join(columns)})" for link, columns in paths.items())
    select = ",".join(dict.fromkeys((of.sales.id, *plain)))
    return query(of.sales.entity_set, select=select, expand=expand or None, filter=condition or None)


def _column(table: SalesTable, column: str) -> str:
    return f"_{column}_value" if column in table.targets else column


def _place(table: SalesTable, column: str) -> str:
    """A column as a filter names it."""
    first, dot, last = column.partition(".")
    return f"{link_of(table, first)}/{last}" if dot else _column(table, column)


def link_of(table: SalesTable, lookup: str) -> str:
    """The navigation property of a lookup.

    Raises:
        CannotCompare: it leads to several tables, and each has its own.
    """
    found = table.links.get(lookup)
    if found is None:
        raise CannotCompare(
            f"{lookup} leads to {len(table.targets.get(lookup, ()))} tables of Sales: a comparison follows lookups "
            "that lead to one"
        )
    return found


def value_of(table: SalesTable, row: Row, column: str) -> Any:
    """What a row holds in a column of the map, lookups by path."""
    first, dot, last = column.partition(".")
    if dot:
        return (row.get(table.links[first]) or {}).get(last)
    return row.get(_column(table, column))
