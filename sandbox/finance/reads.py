"""Reading entity sets: collections with query options, single rows, and their ETags.

Pages are cut by offset from the rows as they are at that moment: `@odata.nextLink` is `$skip` (and what is left of
`$top`), without a snapshot. Rows written between two pages move the rest, so that a row can come twice or not at all.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sandbox.finance.behaviour import Behaviour
from sandbox.finance.books import Books
from sandbox.finance.errors import MalformedRequest, RecordNotFound
from sandbox.finance.model import NAMESPACE, EntitySet, FilterRules, Link, entity_sets
from sandbox.odata.filters import Filter, compile_filter, count_nodes
from sandbox.odata.query import QueryOptions, SortKey, arrange, cut_page
from sandbox.odata.tokens import FilterError, Literal
from sandbox.store import Row, fold

MAX_PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class FinancePage:
    """One page: its rows, how many rows match in all, and the offset of the next page (None on the last)."""

    rows: Sequence[Row]
    total: int
    next_offset: int | None


def etag(entity: EntitySet, row: Mapping[str, Any]) -> str:
    """The weak ETag of a row: base64 of `'version,record'`, one pair for each data source of the entity.

    A BI entity shows one table: where the row has parts in others (a customer's party), only its own version counts.
    """
    version = entity.properties.get("SysRecVersion")
    number = row["_version" if version is None else version.stored]
    pairs = ";".join([f"{number},{row['_record']}"] + ["0,0"] * (entity.sources - 1))
    opaque = base64.b64encode(f"'{pairs}'".encode()).decode()
    return f'W/"{opaque}"'


def key_values(entity: EntitySet, key: Mapping[str, Literal]) -> list[Any]:
    """The stored values of a key, in the set's order.

    Raises:
        MalformedRequest: The key is not the set's, or a constant has the wrong type.
    """
    if set(key) != set(entity.key) and not (len(entity.key) == 1 and set(key) == {""}):
        raise MalformedRequest(
            f"The key in the request URI is not valid for type '{NAMESPACE}.{entity.type_name}': all of "
            f"{', '.join(entity.key)} must be provided."
        )
    try:
        return [entity.properties[name].from_literal(key[name] if name in key else key[""]) for name in entity.key]
    except FilterError as problem:
        raise MalformedRequest(str(problem)) from problem


def find_row(books: Books, entity: EntitySet, key: Mapping[str, Literal], visible_company: str | None) -> Row:
    """The row of a key; text in keys ignores case.

    Args:
        books: Where to look.
        entity: The entity set.
        key: Key properties and constants; all of them are needed.
        visible_company: The only company the request sees; None for all (`cross-company=true`).

    Raises:
        MalformedRequest: The key is not the set's, or a constant has the wrong type.
        RecordNotFound: No such row, in the companies the request sees.
    """
    row = row_of(books, entity, key_values(entity, key))
    if row is None or not _is_visible(entity, row, visible_company):
        raise RecordNotFound(f"No resources were found for the key of '{entity.name}' in the request.")
    return row


def row_of(books: Books, entity: EntitySet, values: list[Any]) -> Row | None:
    """The row with these key values, whether the set's key is the table's or another one of a view."""
    table = books.table(entity.table)
    if entity.stored_key == table.key:
        return table.get(values)
    return table.first(**dict(zip(entity.stored_key, values, strict=True)))


def _is_visible(entity: EntitySet, row: Row, visible_company: str | None) -> bool:
    if visible_company is None or entity.company is None:
        return True
    return bool(fold(row[entity.properties[entity.company].stored]) == visible_company)


def rules(entity: EntitySet, behaviour: Behaviour) -> FilterRules:
    """How filters of a set are read in this environment."""
    return FilterRules(entity, behaviour.text_order, behaviour.text_functions)


def condition_of(entity: EntitySet, text: str, behaviour: Behaviour) -> Filter:
    """The compiled filter.

    Raises:
        MalformedRequest: It is not valid, or has more nodes than the environment takes.
    """
    try:
        if count_nodes(text) > behaviour.filter_nodes:
            raise MalformedRequest(
                f"The node count limit of '{behaviour.filter_nodes}' has been exceeded. To increase the limit, set the "
                "'MaxNodeCount' property on EnableQueryAttribute or ODataValidationSettings."
            )
        return compile_filter(text, rules(entity, behaviour))
    except FilterError as problem:
        raise MalformedRequest(str(problem)) from problem


def select_page(
    books: Books,
    entity: EntitySet,
    options: QueryOptions,
    visible_company: str | None,
    page_size: int,
    behaviour: Behaviour,
) -> FinancePage:
    """The rows a query asks for.

    Raises:
        MalformedRequest: The filter or sort order is not valid.
    """
    condition = condition_of(entity, options.filter, behaviour) if options.filter else None
    try:
        reading = rules(entity, behaviour)
        order = [
            SortKey(column.read, down, column.stored)
            for column, down in ((reading.column(tuple(path.split("/"))), down) for path, down in options.orderby)
        ]
    except FilterError as problem:
        raise MalformedRequest(str(problem)) from problem
    if visible_company is not None and entity.company is not None:
        condition = _in_company(entity.properties[entity.company].stored, visible_company, condition)
    order += [SortKey(_reader(column), column=column) for column in entity.stored_key]
    ordered = arrange(books.table(entity.table), condition, tuple(order), name=(options.filter, visible_company))
    page = cut_page(ordered, tuple(order), size=page_size, top=options.top, skip=options.skip)
    following = None if page.token is None else options.skip + len(page.rows)
    return FinancePage(page.rows, page.total, following)


def _reader(column: str) -> Any:
    return lambda row: row[column]


def _in_company(column: str, company: str, condition: Filter | None) -> Filter:
    if condition is None:
        return Filter(lambda row: bool(fold(row[column]) == company), {column: (company,)}, exact=True)
    test = condition.matches
    exact = condition.exact and column not in condition.choices and column not in condition.prefixes
    choices = {**condition.choices, column: (company,)}
    return replace(
        condition, matches=lambda row: bool(fold(row[column]) == company) and test(row), choices=choices, exact=exact
    )


def check_shape(entity: EntitySet, options: QueryOptions) -> None:
    """Refuse columns and navigation properties the set does not have, whether or not there are rows.

    Raises:
        MalformedRequest: One does not exist, or `$expand` goes deeper than one level.
    """
    entity.project(options.select)
    for item in options.expand:
        link = entity.links.get(item.name)
        if link is None:
            raise MalformedRequest(
                f"Could not find a property named '{item.name}' on type '{NAMESPACE}.{entity.type_name}'."
            )
        if item.options.expand:
            raise MalformedRequest("Only one level of $expand is supported.")
        entity_sets()[link.target].project(item.options.select)


def related(books: Books, row: Row, link: Link, text: str | None, behaviour: Behaviour) -> list[Row]:
    """The rows at the other end of a navigation property, by key, narrowed by a filter.

    Raises:
        MalformedRequest: The filter is not valid.
    """
    target = entity_sets()[link.target]
    rows = books.find(target.table, **{theirs: row[ours] for ours, theirs in link.joins})
    if text:
        matches = condition_of(target, text, behaviour).matches
        rows = [found for found in rows if matches(found)]
    rows.sort(key=lambda found: [fold(found[column]) for column in target.stored_key])
    return rows
