"""FetchXML over HTTP: `GET accounts?fetchXml=<fetch>…</fetch>`.

Understood: attributes with aliases, all-attributes, filters, link-entity (inner, outer, exists, in, any, not any),
order, distinct, top, paging with cookie, total record count, aggregates with groupby and dategrouping. What is not
understood is refused by name. (Microsoft Learn: "Query data using FetchXml", "FetchXml reference", "Page results using
FetchXml".)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from sandbox.dataverse import errors
from sandbox.dataverse.conditions import Circumstances, test_of
from sandbox.dataverse.preferences import Preferences
from sandbox.dataverse.reading import etag
from sandbox.dataverse.relational import (
    MAX_PAGE,
    Attribute,
    Binding,
    Condition,
    Link,
    Output,
    Query,
    Runner,
    Sorting,
)
from sandbox.dataverse.schema import Entity, Schema
from sandbox.store import Row, fold

if TYPE_CHECKING:
    from sandbox.dataverse.environment import Dataverse

_KINDS: Final = {
    "": "inner",
    "inner": "inner",
    "natural": "inner",
    "outer": "outer",
    "exists": "any",
    "in": "any",
    "any": "any",
    "not any": "not any",
}
_IDS: Final = ("Guid", "Lookup")
_AGGREGATES: Final = {"count", "countcolumn", "sum", "avg", "min", "max"}
_MORE: Final = "@Microsoft.Dynamics.CRM.morerecords"
_COOKIE: Final = "@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
_TOTAL: Final = "@Microsoft.Dynamics.CRM.totalrecordcount"


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the answer is asked for: `size` None is a whole page; `after` is the id of the last row before."""

    number: int
    size: int
    after: str | None
    total: bool


def fetch_answer(
    dataverse: Dataverse, user: Row, entity: Entity, text: str, preferences: Preferences, base: str
) -> Row:
    """The body of an answer to a FetchXML query.

    Args:
        dataverse: The environment.
        user: The caller.
        entity: The table the address names.
        text: The query.
        preferences: The request's preferences.
        base: Root of the Web API.

    Raises:
        DataverseError: The query is wrong.
    """
    query, page = parse_fetch(dataverse, user, entity, text)
    rows = Runner(dataverse, user, preferences.annotations).rows(query)
    start = _start(query, page, rows)
    wanted = rows[start : start + page.size]
    more = start + page.size < len(rows) and query.top is None
    body: Row = {"@odata.context": f"{base}/$metadata#{entity.entity_set}"}
    if preferences.annotations.errors or preferences.annotations.paging:
        body[_MORE] = more
        if more and not query.aggregate:
            body[_COOKIE] = _cookie(query, page, wanted)
        if page.total:
            body[_TOTAL] = min(len(rows), MAX_PAGE)
            body[f"{_TOTAL}limitexceeded"] = len(rows) > MAX_PAGE
    body["value"] = [_with_etag(query, row, binding) for row, binding in wanted]
    return body


def _with_etag(query: Query, row: Row, binding: Binding) -> Row:
    root = binding.get(query.alias)
    if root is None or query.aggregate or query.distinct:
        return row
    return {"@odata.etag": etag(root), **row}


def parse_fetch(dataverse: Dataverse, user: Row, entity: Entity, text: str) -> tuple[Query, Page]:
    """A query and the page asked for.

    Raises:
        DataverseError: It is not well-formed, or names what is not there.
    """
    if "<!DOCTYPE" in text.upper():
        raise errors.bad_query("Invalid XML: a document type definition is not allowed.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  # no DTD gets here
    except ElementTree.ParseError as problem:
        raise errors.DataverseError(400, "0x80040201", f"Invalid XML. {problem}") from problem
    found = root.find("entity")
    if root.tag != "fetch" or found is None:
        raise errors.bad_query("A FetchXML query is a 'fetch' element with an 'entity' element in it.")
    if found.get("name") != entity.name:
        raise errors.bad_query(
            f"The entity '{found.get('name')}' of the query is not the one of '{entity.entity_set}'."
        )
    given = Circumstances(user, dataverse.now())
    return _Parser(dataverse.schema, given, root, entity).query(found), _page(root)


class _Parser:
    """Turns elements into a query."""

    def __init__(self, schema: Schema, given: Circumstances, root: Element, entity: Entity) -> None:
        self._schema = schema
        self._given = given
        self._query = Query(
            entity,
            distinct=_flag(root, "distinct"),
            aggregate=_flag(root, "aggregate"),
            top=_number(root, "top"),
        )
        self._sources: dict[str, Entity] = {"": entity, entity.name: entity}
        self._aliases = 0

    def query(self, element: Element) -> Query:
        """The query of the root entity element."""
        query = self._query
        query.orders = [self._order(item, "", query.entity) for item in element.findall("order")]
        query.links = [self._link(item, "", query.entity) for item in element.findall("link-entity")]
        self._outputs(element, "", query.entity)
        if not query.aggregate and not query.distinct:
            key = query.entity.columns[query.entity.key]
            if all(output.name != query.entity.key for output in query.outputs):
                query.outputs.append(Output(query.entity.key, Attribute("", key)))
        query.condition = self._filters(element, "", query.entity)
        query.equal = _equal(element, query.entity)
        _refuse_unknown(element, {"attribute", "all-attributes", "filter", "order", "link-entity"})
        return query

    def _outputs(self, element: Element, alias: str, entity: Entity) -> None:
        if element.find("all-attributes") is not None:
            for column in entity.columns.values():
                if not column.secret:
                    name = f"{alias}.{column.name}" if alias else column.stored
                    self._query.outputs.append(Output(name, Attribute(alias, column)))
        for item in element.findall("attribute"):
            self._query.outputs.append(self._output(item, alias, entity))

    def _output(self, item: Element, alias: str, entity: Entity) -> Output:
        attribute = self._attribute(item.get("name"), alias, entity)
        own = item.get("alias")
        name = own or (f"{alias}.{attribute.column.name}" if alias else attribute.column.stored)
        aggregate = item.get("aggregate")
        if not self._query.aggregate:
            return Output(name, attribute)
        if own is None:
            raise errors.bad_query("An attribute of an aggregate query needs an alias.")
        if _flag(item, "groupby"):
            return Output(name, attribute, group=item.get("dategrouping") or "")
        if aggregate not in _AGGREGATES:
            raise errors.bad_query(f"The aggregate '{aggregate}' of '{own}' is not supported.")
        if aggregate == "countcolumn" and _flag(item, "distinct"):
            aggregate = "countdistinct"
        return Output(name, attribute, aggregate=aggregate)

    def _link(self, element: Element, parent: str, parent_entity: Entity) -> Link:
        name = element.get("name") or ""
        entity = self._schema.by_name.get(name)
        if entity is None:
            raise errors.metadata_not_found("entity", name)
        self._aliases += 1
        alias = element.get("alias") or f"{name}{self._aliases}"
        kind = _KINDS.get(element.get("link-type") or "")
        if kind is None:
            raise errors.bad_query(f"The link-type '{element.get('link-type')}' is not supported.")
        self._sources[alias] = entity
        column = self._attribute(element.get("from"), alias, entity).column
        to = self._attribute(element.get("to"), parent, parent_entity)
        links = tuple(self._link(item, alias, entity) for item in element.findall("link-entity"))
        self._outputs(element, alias, entity)
        self._query.orders += [self._order(item, alias, entity) for item in element.findall("order")]
        _refuse_unknown(element, {"attribute", "all-attributes", "filter", "order", "link-entity"})
        condition = self._filters(element, alias, entity)
        return Link(alias, entity, column, to, kind, condition, links, _equal(element, entity))

    def _order(self, item: Element, alias: str, entity: Entity) -> Sorting:
        descending = _flag(item, "descending")
        if item.get("alias"):
            return Sorting(str(item.get("alias")), descending)
        of = item.get("entityname")
        if of is not None:
            alias, entity = of, self._source(of)
        return Sorting(self._attribute(item.get("attribute"), alias, entity), descending)

    def _filters(self, element: Element, alias: str, entity: Entity) -> Condition | None:
        parts = [self._filter(item, alias, entity) for item in element.findall("filter")]
        return _all(parts) if parts else None

    def _filter(self, element: Element, alias: str, entity: Entity) -> Condition:
        parts = [self._condition(item, alias, entity) for item in element.findall("condition")]
        parts += [self._filter(item, alias, entity) for item in element.findall("filter")]
        _refuse_unknown(element, {"condition", "filter"})
        return _any(parts) if element.get("type") == "or" and parts else _all(parts)

    def _condition(self, item: Element, alias: str, entity: Entity) -> Condition:
        of = item.get("entityname")
        if of is not None:
            alias, entity = of, self._source(of)
            if entity is self._query.entity and of == entity.name:
                alias = ""
        attribute = self._attribute(item.get("attribute"), alias, entity)
        operator = item.get("operator") or ""
        other = item.get("valueof")
        if other is not None:
            return self._compare_columns(attribute, operator, other, alias, entity)
        values = [value.text or "" for value in item.findall("value")]
        if item.get("value") is not None:
            values.insert(0, str(item.get("value")))
        test = test_of(attribute.column, operator, values, self._given)
        return lambda binding: test(attribute.read(binding))

    def _compare_columns(
        self, attribute: Attribute, operator: str, other: str, alias: str, entity: Entity
    ) -> Condition:
        source, _, name = other.rpartition(".")
        second = self._attribute(name, source, self._source(source)) if source else self._attribute(name, alias, entity)
        compare: dict[str, Callable[[Any, Any], bool]] = {
            "eq": lambda one, two: bool(one == two),
            "ne": lambda one, two: bool(one != two),
            "neq": lambda one, two: bool(one != two),
            "lt": lambda one, two: one is not None and two is not None and bool(one < two),
            "le": lambda one, two: one is not None and two is not None and bool(one <= two),
            "gt": lambda one, two: one is not None and two is not None and bool(one > two),
            "ge": lambda one, two: one is not None and two is not None and bool(one >= two),
        }
        chosen = compare.get(operator)
        if chosen is None:
            raise errors.bad_query(f"The operator '{operator}' cannot compare two columns.")
        return lambda binding: chosen(fold(attribute.read(binding)), fold(second.read(binding)))

    def _source(self, alias: str) -> Entity:
        entity = self._sources.get(alias)
        if entity is None:
            raise errors.bad_query(f"Link entity with name or alias {alias} is not found.")
        return entity

    def _attribute(self, name: str | None, alias: str, entity: Entity) -> Attribute:
        column = entity.columns.get(name or "")
        if column is None or column.secret:
            message = f"'{entity.name}' entity doesn't contain attribute with Name = '{name}'."
            raise errors.DataverseError(400, "0x80041103", message)
        return Attribute(alias, column)


def _equal(element: Element, entity: Entity) -> dict[str, str]:
    """The ids that an element's filters ask its own rows to have, whatever else they ask."""
    found: dict[str, str] = {}
    every = [
        item for part in element.findall("filter") if part.get("type") != "or" for item in part.findall("condition")
    ]
    for item in every:
        column = entity.columns.get(item.get("attribute") or "")
        plain = item.get("operator") == "eq" and not item.get("entityname") and not item.get("valueof")
        if column is not None and column.type in _IDS and plain and (value := item.get("value")):
            found[column.stored] = value.strip("{}")
    return found


def _all(parts: list[Condition]) -> Condition:
    return lambda binding: all(part(binding) for part in parts)


def _any(parts: list[Condition]) -> Condition:
    return lambda binding: any(part(binding) for part in parts)


def _refuse_unknown(element: Element, known: set[str]) -> None:
    for child in element:
        if child.tag not in known:
            raise errors.bad_query(f"The element '{child.tag}' is not supported in '{element.tag}'.")


def _flag(element: Element, name: str) -> bool:
    return (element.get(name) or "").lower() in ("true", "1")


def _number(element: Element, name: str) -> int | None:
    text = element.get(name)
    if text is None:
        return None
    if not text.isdigit() or int(text) < 1:
        raise errors.bad_query(f"The attribute '{name}' must be a positive whole number, not '{text}'.")
    return int(text)


def _page(root: Element) -> Page:
    if root.get("top") is not None and (root.get("page") or root.get("count")):
        raise errors.bad_query("The attribute 'top' cannot be used with paging attributes 'page' and 'count'.")
    size = min(_number(root, "count") or MAX_PAGE, MAX_PAGE)
    cookie = re.search(r'last="\{?([0-9a-fA-F-]{36})\}?"', unquote(unquote(root.get("paging-cookie") or "")))
    after = cookie[1].lower() if cookie else None
    return Page(_number(root, "page") or 1, size, after, _flag(root, "returntotalrecordcount"))


def _start(query: Query, page: Page, rows: list[tuple[Row, Binding]]) -> int:
    """Where a page begins: after the row the cookie names, else by counting pages."""
    if page.after is not None and not query.aggregate:
        for at, (_, binding) in enumerate(rows):
            root = binding.get(query.alias)
            if root is not None and root[query.entity.key] == page.after:
                return at + 1
    return (page.number - 1) * page.size


def _cookie(query: Query, page: Page, rows: list[tuple[Row, Binding]]) -> str:
    """The paging cookie as the Web API gives it: the inner cookie encoded twice."""
    ids = [(binding.get(query.alias) or {}).get(query.entity.key, "").upper() for _, binding in (rows[0], rows[-1])]
    key = query.entity.key
    inner = f'<cookie page="{page.number}"><{key} last="{{{ids[1]}}}" first="{{{ids[0]}}}" /></cookie>'
    encoded = quote(quote(inner, safe=""), safe="")
    return f'<cookie pagenumber="{page.number + 1}" pagingcookie="{encoded}" istracking="False" />'
