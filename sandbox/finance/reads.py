"""Reading entity sets: collections with query options, single rows, their JSON and their ETags."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from sandbox.finance.books import Books
from sandbox.finance.errors import MalformedRequest, RecordNotFound
from sandbox.finance.model import NAMESPACE, EntitySet, Link, entity_sets
from sandbox.odata.filters import Filter, FilterError, Literal, compile_filter
from sandbox.odata.query import Expand, Page, QueryOptions, SortKey, matching, read_page
from sandbox.store import Row, fold

MAX_PAGE: Final = 10_000


def etag(entity: EntitySet, row: Mapping[str, Any]) -> str:
    """The weak ETag of a row: base64 of `'version,record'`, one pair for each data source of the entity."""
    pairs = ";".join([f"{row['_version']},{row['_record']}"] + ["0,0"] * (entity.sources - 1))
    opaque = base64.b64encode(f"'{pairs}'".encode()).decode()
    return f'W/"{opaque}"'


def find_row(books: Books, entity: EntitySet, key: Mapping[str, Literal], visible_company: str | None) -> Row:
    """The row of a key.

    Args:
        books: Where to look.
        entity: The entity set.
        key: Key properties and constants; all of them are needed.
        visible_company: The only company the request sees; None for all (`cross-company=true`).

    Raises:
        MalformedRequest: The key is not the set's, or a constant has the wrong type.
        RecordNotFound: No such row, in the companies the request sees.
    """
    if set(key) != set(entity.key) and not (len(entity.key) == 1 and set(key) == {""}):
        raise MalformedRequest(
            f"The key in the request URI is not valid for type '{NAMESPACE}.{entity.type_name}': all of "
            f"{', '.join(entity.key)} must be provided."
        )
    try:
        values = [entity.properties[name].from_literal(key[name] if name in key else key[""]) for name in entity.key]
    except FilterError as problem:
        raise MalformedRequest(str(problem)) from problem
    row = books.table(entity.table).get(values)
    if row is None or not _is_visible(entity, row, visible_company):
        raise RecordNotFound(f"No resources were found for the key of '{entity.name}' in the request.")
    return row


def _is_visible(entity: EntitySet, row: Row, visible_company: str | None) -> bool:
    if visible_company is None or entity.company is None:
        return True
    return bool(fold(row[entity.company]) == visible_company)


def select_page(
    books: Books, entity: EntitySet, options: QueryOptions, visible_company: str | None, page_size: int
) -> Page:
    """The rows a query asks for.

    Raises:
        MalformedRequest: The filter or sort order is not valid.
    """
    try:
        condition = compile_filter(options.filter, entity) if options.filter else None
        order = [SortKey(entity.column(tuple(path.split("/"))).read, down) for path, down in options.orderby]
    except FilterError as problem:
        raise MalformedRequest(str(problem)) from problem
    if visible_company is not None and entity.company is not None:
        condition = _in_company(entity.company, visible_company, condition)
    order += [SortKey(_reader(column)) for column in entity.stored_key]
    return read_page(
        matching(books.table(entity.table), condition),
        tuple(order),
        size=page_size,
        top=options.top,
        skip=options.skip,
        after=options.others.get("$skiptoken"),
    )


def _reader(column: str) -> Any:
    return lambda row: row[column]


def _in_company(column: str, company: str, condition: Filter | None) -> Filter:
    if condition is None:
        return Filter(lambda row: bool(fold(row[column]) == company), {column: (company,)})
    test = condition.matches
    choices = {**condition.choices, column: (company,)}
    return Filter(lambda row: bool(fold(row[column]) == company) and test(row), choices)


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


def to_json(
    books: Books, entity: EntitySet, row: Row, select: tuple[str, ...] | None, expand: tuple[Expand, ...]
) -> dict[str, Any]:
    """The JSON object of a row with its ETag and expanded navigation properties, both checked by `check_shape`."""
    shown = {"@odata.etag": etag(entity, row)} | entity.project(select)(row)
    for item in expand:
        shown[item.name] = _expanded(books, row, entity.links[item.name], item.options)
    return shown


def _expanded(books: Books, row: Row, link: Link, options: QueryOptions) -> Any:
    target = entity_sets()[link.target]
    rows = books.find(target.table, **{theirs: row[ours] for ours, theirs in link.joins})
    if options.filter:
        try:
            rows = [found for found in rows if compile_filter(options.filter, target).matches(found)]
        except FilterError as problem:
            raise MalformedRequest(str(problem)) from problem
    rows.sort(key=lambda found: [fold(found[column]) for column in target.stored_key])
    shown = [to_json(books, target, found, options.select, ()) for found in rows]
    return shown if link.many else (shown[0] if shown else None)
