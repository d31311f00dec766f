"""Answers to `GET` of a collection: filter, order, pages with their next link, counts, and changes since a delta link.

(Microsoft Learn: "Query data using the Web API", "Page results using OData", "Count rows", "Use change tracking".)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.links import Cookie, read_cookie, with_token
from sandbox.dataverse.preferences import MAX_PAGE, Preferences
from sandbox.dataverse.reading import Reader
from sandbox.dataverse.relational import AGGREGATE_LIMIT, aggregate_of
from sandbox.dataverse.schema import Entity
from sandbox.dataverse.security import Security
from sandbox.dataverse.tracking import ChangeLog, Token
from sandbox.odata.apply import apply
from sandbox.odata.jsonio import Body, collection, encode
from sandbox.odata.query import QueryError, QueryOptions, arrange, cut_page, in_order
from sandbox.odata.tokens import FilterError
from sandbox.store import Row, Table

_KNOWN: Final = frozenset({"$skiptoken", "$deltatoken", "$apply"})
_REFUSED_WHEN_TRACKING: Final = ("$filter", "$orderby", "$expand", "$top")


class Queries:
    """Answers collection queries of one environment."""

    def __init__(
        self,
        reader: Reader,
        changes: ChangeLog,
        security: Security,
        table: Callable[[Entity], Table],
    ) -> None:
        self._reader = reader
        self._security = security
        self._changes = changes
        self._table = table

    def check(self, options: QueryOptions) -> None:
        """Refuse options Dataverse does not have.

        Raises:
            DataverseError: There is one.
        """
        if options.skip:
            raise errors.bad_query("Skip Clause is not supported in CRM")
        for name in options.others:
            if name not in _KNOWN and not name.startswith("@"):
                raise errors.bad_query(f"The query parameter {name} is not supported")

    def answer(
        self,
        entity: Entity,
        options: QueryOptions,
        preferences: Preferences,
        link: str,
        context: str,
        rows: list[Row] | None,
        user: Row,
    ) -> Body:
        """The body of an answer to a collection query.

        Args:
            entity: The table.
            options: The query options.
            preferences: The request's preferences.
            link: Address and query of the request without `$skiptoken` and `$deltatoken`.
            context: The `@odata.context` address.
            rows: The rows to query, where they are those of a navigation property; None for the whole table.
            user: The caller, who sees only what they may read.
        """
        self.check(options)
        allowed = self._security.reader(user, entity)
        if rows is not None and allowed is not None:
            rows = [row for row in rows if allowed(row)]
        if "$deltatoken" in options.others or preferences.track_changes:
            self._trackable(entity, user)
        if "$deltatoken" in options.others:
            return self._delta(entity, options, preferences, link, context)
        if "$apply" in options.others:
            return encode({"@odata.context": context, "value": self._applied(entity, options, rows, allowed)})
        cookie = read_cookie(options.others["$skiptoken"]) if "$skiptoken" in options.others else None
        since = self._tracking_since(options, preferences, cookie)
        page = self._page(entity, options, preferences, cookie, rows, allowed)
        present = self._reader.expander(entity, options, preferences.look)
        head: dict[str, Any] = {"@odata.context": context}
        if options.count:
            head["@odata.count"] = min(page.total, MAX_PAGE)
            if preferences.annotations.any:
                head["@Microsoft.Dynamics.CRM.totalrecordcount"] = min(page.total, MAX_PAGE)
                head["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] = page.total > MAX_PAGE
        tail = {}
        if page.token is not None:
            following = Cookie((cookie.number if cookie else 1) + 1, page.token, since)
            tail["@odata.nextLink"] = with_token(link, "$skiptoken", following.text())
        elif since:
            tail["@odata.deltaLink"] = with_token(link, "$deltatoken", since)
        return collection(head, page.rows, present, tail)

    def _trackable(self, entity: Entity, user: Row) -> None:
        """Changes are told of tables that track them, to users who may read every row.

        Raises:
            DataverseError: The table does not track changes, or the user's read does not reach that far.
        """
        if not entity.change_tracking:
            message = f"Change Tracking is not enabled for entity {entity.name}."
            raise errors.DataverseError(400, "0x80060888", message)
        self._security.need_global_read(user, entity)

    def _applied(
        self, entity: Entity, options: QueryOptions, rows: list[Row] | None, allowed: Callable[[Row], bool] | None
    ) -> list[Row]:
        """What `$apply` makes of the rows `$filter` leaves."""
        everything = rows is None and options.filter is None and allowed is None
        many = everything and len(self._table(entity)) > AGGREGATE_LIMIT
        chosen = [] if many else self._chosen(entity, options, rows, allowed)
        if many or len(chosen) > AGGREGATE_LIMIT:
            message = "AggregateQueryRecordLimit exceeded. Cannot perform this operation."
            raise errors.DataverseError(400, "0x8004e023", message)
        try:
            return apply(options.others["$apply"], chosen, self._reader.dialects.of(entity), aggregate_of)
        except FilterError as problem:
            raise errors.bad_query(str(problem)) from problem

    def count(self, entity: Entity, options: QueryOptions, allowed: Callable[[Row], bool] | None) -> int:
        """The number of rows a `$count` address gives, 5000 at most; with a delta token, the number of changes."""
        if "$deltatoken" in options.others:
            token = self._changes.parse(options.others["$deltatoken"])
            return len(self._changes.since(self._table(entity), token))
        return min(len(self._ordered(entity, options, None, allowed)), MAX_PAGE)

    def _ordered(
        self, entity: Entity, options: QueryOptions, rows: list[Row] | None, allowed: Callable[[Row], bool] | None
    ) -> Sequence[Row]:
        """The rows a filter selects of those the caller may read, in order."""
        order = self._reader.order(entity, options)
        if rows is None and allowed is None:
            condition = self._reader.condition(entity, options.filter)
            name = (options.filter, self._reader.depends_on(options.filter))
            return arrange(self._table(entity), condition, order, name=name)
        return in_order(self._chosen(entity, options, rows, allowed), order)

    def _chosen(
        self, entity: Entity, options: QueryOptions, rows: list[Row] | None, allowed: Callable[[Row], bool] | None
    ) -> list[Row]:
        """The rows a filter selects of those the caller may read."""
        if rows is None:
            found = self._reader.rows(entity, options.filter)
            return found if allowed is None else [row for row in found if allowed(row)]
        condition = self._reader.condition(entity, options.filter)
        return rows if condition is None else [row for row in rows if condition.matches(row)]

    def _page(
        self,
        entity: Entity,
        options: QueryOptions,
        preferences: Preferences,
        cookie: Cookie | None,
        rows: list[Row] | None,
        allowed: Callable[[Row], bool] | None,
    ) -> Any:
        ordered = self._ordered(entity, options, rows, allowed)
        try:
            return cut_page(
                ordered,
                self._reader.order(entity, options),
                size=preferences.page_size or MAX_PAGE,
                top=None if preferences.page_size else options.top,
                after=cookie.position if cookie else None,
            )
        except QueryError as problem:
            raise errors.bad_query(str(problem)) from problem

    def _tracking_since(self, options: QueryOptions, preferences: Preferences, cookie: Cookie | None) -> str:
        """The delta token a tracked query will end with, taken before its first page; empty where it is not tracked."""
        if cookie is not None and cookie.since:
            return cookie.since
        if not preferences.track_changes:
            return ""
        given = {"$filter": options.filter, "$orderby": options.orderby, "$expand": options.expand, "$top": options.top}
        for name in _REFUSED_WHEN_TRACKING:
            if given[name]:
                message = f'The "${{{name[1:]}}}" query parameter isn\'t supported when Change Tracking is enabled.'
                raise errors.bad_query(message)
        return self._changes.now().text()

    def _delta(self, entity: Entity, options: QueryOptions, preferences: Preferences, link: str, context: str) -> Body:
        token = self._changes.parse(options.others["$deltatoken"])
        now = self._changes.now()
        found = self._changes.since(self._table(entity), token)
        size = preferences.page_size or MAX_PAGE
        present = self._reader.expander(entity, options, preferences.look)
        base = context.partition("$metadata")[0] + "$metadata"

        def changed(item: Row | str) -> Row:
            gone = {"@odata.context": f"{base}#{entity.entity_set}/$deletedEntity", "id": item, "reason": "deleted"}
            return gone if isinstance(item, str) else present(item)

        if len(found) > size:
            reached = Token(found[size - 1][0], token.issued)
            tail = {"@odata.nextLink": with_token(link, "$deltatoken", reached.text())}
        else:
            tail = {"@odata.deltaLink": with_token(link, "$deltatoken", now.text())}
        head = {"@odata.context": f"{base}#{entity.entity_set}/$delta"}
        return collection(head, [item for _, item in found[:size]], changed, tail)
