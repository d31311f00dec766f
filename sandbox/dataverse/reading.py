"""What a row looks like in an answer: the columns asked for, annotations, and the rows expanded into it.

The columns of a `$select` are worked out once for each table and selection, because reads are what the sandbox answers
most. (Microsoft Learn: "Retrieve a table row using the Web API", "Join tables using OData", "Select columns using
OData", "Formatted values".)
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.filtering import Dialects
from sandbox.dataverse.links import Cookie, with_options, with_token
from sandbox.dataverse.schema import Collection, Column, Entity, Intersect, Navigation, Schema
from sandbox.dataverse.values import shown, to_moment
from sandbox.odata.filters import Filter, compile_filter
from sandbox.odata.query import Expand, Page, QueryOptions, SortKey, cut_page, in_order, matching
from sandbox.odata.tokens import FilterError
from sandbox.store import Database, Row

FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
LOGICAL_NAME: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION: Final = "Microsoft.Dynamics.CRM.associatednavigationproperty"
_EXPANDED_PAGE: Final = 5000


def etag(row: Row) -> str:
    """A row's entity tag."""
    return f'W/"{row["versionnumber"]}"'


class Annotations:
    """Which annotations a request asked for with `Prefer: odata.include-annotations`."""

    def __init__(self, pattern: str | None) -> None:
        wanted = [part.strip() for part in (pattern or "").split(",") if part.strip()]
        self.formatted = self._has(wanted, FORMATTED)
        self.logical_name = self._has(wanted, LOGICAL_NAME)
        self.navigation = self._has(wanted, NAVIGATION)
        self.errors = "*" in wanted
        self.paging = self._has(wanted, "Microsoft.Dynamics.CRM.morerecords") or self._has(
            wanted, "Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
        )
        self.any = self.formatted or self.logical_name or self.navigation

    @staticmethod
    def _has(wanted: list[str], name: str) -> bool:
        return any(
            part == "*" or part == name or (part.endswith(".*") and name.startswith(part[:-1])) for part in wanted
        )


NO_ANNOTATIONS: Final = Annotations(None)


@dataclass(frozen=True, slots=True)
class Look:
    """How rows are to be shown.

    Attributes:
        annotations: Which annotations are wanted.
        page_size: Rows of a page of an expanded collection, None for all it may hold.
    """

    annotations: Annotations = NO_ANNOTATIONS
    page_size: int | None = None


class Reader:
    """Reads rows of one environment."""

    def __init__(self, db: Database, schema: Schema, base: str) -> None:
        self._db = db
        self._base = base
        self._schema = schema
        self._dialects = Dialects(db, schema, lambda entity, row, found: self.children(entity, row, found)[1])
        self._selections: dict[tuple[str, tuple[str, ...] | None], tuple[str, ...]] = {}

    @property
    def dialects(self) -> Dialects:
        """How filters over each table are read."""
        return self._dialects

    def forget(self) -> None:
        """The schema changed: what was worked out from it is stale."""
        self._selections.clear()
        self._dialects.forget()

    def condition(self, entity: Entity, text: str | None) -> Filter | None:
        """The compiled `$filter`, None where there is none.

        Raises:
            DataverseError: The filter is wrong.
        """
        if text is None:
            return None
        try:
            return compile_filter(text, self._dialects.of(entity))
        except FilterError as problem:
            raise errors.bad_query(str(problem)) from problem

    def depends_on(self, text: str | None) -> Hashable:
        """What the answer to a `$filter` depends on beside the rows of its own table: other tables, and the hour."""
        if text is None or ("/" not in text and "(" not in text):
            return None
        return self._db.version, to_moment(self._db.clock.now())

    def order(self, entity: Entity, options: QueryOptions) -> tuple[SortKey, ...]:
        """The sort keys of `$orderby`, ended by the primary key.

        Raises:
            DataverseError: A column does not exist.
        """
        keys: list[SortKey] = []
        for path, descending in options.orderby:
            try:
                column = self._dialects.of(entity).column(tuple(path.split("/")))
                keys.append(SortKey(column.read, descending, column.stored))
            except FilterError as problem:
                raise errors.bad_query(str(problem)) from problem
        key = entity.key
        return (*keys, SortKey(lambda row: row[key], column=key))

    def rows(self, entity: Entity, text: str | None) -> list[Row]:
        """All rows of a table a filter selects."""
        return matching(self._db.table(entity.name, (entity.key,)), self.condition(entity, text))

    def selection(self, entity: Entity, select: tuple[str, ...] | None) -> tuple[str, ...]:
        """The stored columns an answer shows: those selected and the primary key, or all.

        Raises:
            DataverseError: A column does not exist.
        """
        found = self._selections.get((entity.name, select))
        if found is None:
            found = self._selections[(entity.name, select)] = self._select(entity, select)
        return found

    @staticmethod
    def _select(entity: Entity, select: tuple[str, ...] | None) -> tuple[str, ...]:
        if select is None:
            return entity.shown
        stored: list[str] = []
        for name in select:
            column = entity.named(name)
            if column is None or column.secret:
                raise errors.unknown_property(entity.name, name)
            stored.append(column.stored)
        if entity.key not in stored:
            stored.append(entity.key)
        return tuple(dict.fromkeys(stored))

    def present(self, entity: Entity, row: Row, options: QueryOptions, preferred: Look) -> Row:
        """One row as an answer shows it; `preferred` is what the request prefers.

        Expanded collections come whole, unless the query expands within an expansion: then `odata.maxpagesize` holds
        for each of them.

        Raises:
            DataverseError: `$select` or `$expand` names what is not there.
        """
        return self.expander(entity, options, preferred)(row)

    def expander(self, entity: Entity, options: QueryOptions, preferred: Look) -> Callable[[Row], Row]:
        """`present` for many rows of one table."""
        nested = any(item.options.expand for item in options.expand)
        self._check(entity, options, nested=nested)
        look = preferred if nested else Look(preferred.annotations)
        return lambda row: self._show(entity, row, options, look)

    def _show(self, entity: Entity, row: Row, options: QueryOptions, look: Look) -> Row:
        names = self.selection(entity, options.select)
        answer: Row = {"@odata.etag": etag(row)}
        if look.annotations.any:
            self._annotated(entity, row, names, look.annotations, answer)
        else:
            get = row.get
            for name in names:
                answer[name] = get(name)
        for item in options.expand:
            self._expand(entity, row, item, look, answer)
        return answer

    def _check(self, entity: Entity, options: QueryOptions, *, nested: bool) -> None:
        """Refuse names that do not exist even where no row would show it, and options an expansion does not take."""
        self.selection(entity, options.select)
        for item in options.expand:
            navigation = entity.navigations.get(item.name)
            collection = entity.collections.get(item.name)
            if navigation is None and collection is None:
                raise errors.unknown_property(entity.name, item.name)
            if (item.options.orderby or item.options.top is not None) and (nested or navigation is not None):
                raise errors.expand_options_refused()
            target = navigation.targets[0] if navigation else collection.child if collection else ""
            if target in self._schema.by_name:
                self._check(self._schema.by_name[target], item.options, nested=nested)

    def _annotated(
        self, entity: Entity, row: Row, names: tuple[str, ...], annotations: Annotations, answer: Row
    ) -> None:
        symbol, decimals = self.currency_of(row) if annotations.formatted else ("", 2)
        for name in names:
            column = entity.by_stored[name]
            value = row.get(name)
            if value is not None:
                if column.type == "Lookup":
                    self._annotate_lookup(entity, row, column, value, annotations, answer)
                elif annotations.formatted:
                    text = shown(column, value, symbol, decimals)
                    if text is not None:
                        answer[f"{name}@{FORMATTED}"] = text
            answer[name] = value

    def _annotate_lookup(
        self, entity: Entity, row: Row, column: Column, value: Any, annotations: Annotations, answer: Row
    ) -> None:
        target = target_of(column, row)
        navigation = entity.navigation_of.get((column.name, target))
        if annotations.navigation and navigation is not None:
            answer[f"{column.stored}@{NAVIGATION}"] = navigation
        if annotations.logical_name:
            answer[f"{column.stored}@{LOGICAL_NAME}"] = target
        if annotations.formatted:
            name = self.name_of(target, value)
            if name is not None:
                answer[f"{column.stored}@{FORMATTED}"] = name

    def name_of(self, target: str, row_id: Any) -> str | None:
        """The primary name of a row, None where it is not there."""
        entity = self._schema.by_name.get(target)
        if entity is None or entity.primary_name is None or row_id is None:
            return None
        row = self._db.table(entity.name, (entity.key,)).get((row_id,))
        return None if row is None else row.get(entity.primary_name)

    def currency_of(self, row: Row) -> tuple[str, int]:
        """The sign of a row's currency and its decimals; empty and two where it has none."""
        currencies = self._schema.by_name["transactioncurrency"]
        table = self._db.table(currencies.name, (currencies.key,))
        currency = table.get((row.get("_transactioncurrencyid_value"),))
        known = currency or {}
        places = known.get("currencyprecision")
        return str(known.get("currencysymbol") or ""), 2 if places is None else int(places)

    def _expand(self, entity: Entity, row: Row, item: Expand, look: Look, answer: Row) -> None:
        navigation = entity.navigations.get(item.name)
        if navigation is not None:
            answer[item.name] = self._expand_single(row, navigation, item.options, look)
            return
        collection = entity.collections[item.name]
        page = self._expand_many(entity, row, collection, item.options, look)
        child = self._schema.by_name[collection.child]
        answer[item.name] = [self._show(child, found, item.options, look) for found in page.rows]
        link = with_options(f"{self._base}/{entity.entity_set}({row[entity.key]})/{item.name}", item.options)
        if look.page_size is None:
            answer[f"{item.name}@odata.nextLink"] = link
        elif page.token is not None:
            answer[f"{item.name}@odata.nextLink"] = with_token(link, "$skiptoken", Cookie(2, page.token).text())

    def _expand_single(self, row: Row, navigation: Navigation, options: QueryOptions, look: Look) -> Row | None:
        row_id = row.get(navigation.column.stored)
        target = target_of(navigation.column, row)
        if row_id is None or target not in navigation.targets:
            return None
        entity = self._schema.by_name.get(target)
        if entity is None:
            return None
        found = self._db.table(entity.name, (entity.key,)).get((row_id,))
        return None if found is None else self._show(entity, found, options, look)

    def _expand_many(self, entity: Entity, row: Row, collection: Collection, options: QueryOptions, look: Look) -> Page:
        child, rows = self.children(entity, row, collection)
        condition = self.condition(child, options.filter)
        chosen = rows if condition is None else [found for found in rows if condition.matches(found)]
        order = self.order(child, options)
        size = look.page_size or _EXPANDED_PAGE
        return cut_page(in_order(chosen, order), order, size=size, top=options.top)

    def children(self, entity: Entity, row: Row, collection: Collection) -> tuple[Entity, list[Row]]:
        """The rows of a collection navigation property, and their table."""
        child = self._schema.by_name[collection.child]
        if collection.through is not None:
            return child, self._linked(child, collection.through, row[entity.key])
        lookup = child.columns[collection.lookup]
        found = self._db.table(child.name, (child.key,)).find(**{lookup.stored: row[entity.key]})
        return child, [item for item in found if target_of(lookup, item) == entity.name]

    def _linked(self, child: Entity, through: Intersect, row_id: str) -> list[Row]:
        """The rows of a many-to-many relationship."""
        table = self._db.table(child.name, (child.key,))
        intersect = self._schema.by_name[through.table]
        links = self._db.table(through.table, (intersect.key,)).find(**{through.near: row_id})
        found = (table.get((link[through.far],)) for link in links)
        return [row for row in found if row is not None]


def target_of(column: Column, row: Mapping[str, Any]) -> str:
    """The table a lookup of a row points to."""
    if len(column.targets) == 1:
        return column.targets[0]
    return str(row.get(f"@{column.name}") or column.targets[0])
