"""The actions of the sales process, and the few general ones the product needs.

Each takes the JSON body of `POST /api/data/v9.2/<Action>` and answers with the JSON of its response, or None for 204.
`Status` is the status of the state the record goes to; -1 lets the system choose. (Microsoft Learn: Web API action
reference; table references of quote, salesorder and opportunity.)
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from sandbox.dataverse import errors, states
from sandbox.dataverse.operation import Operation
from sandbox.dataverse.pricing import DOCUMENTS
from sandbox.dataverse.schema import Entity
from sandbox.dataverse.writing import Writer
from sandbox.odata.query import QueryOptions
from sandbox.store import Row

Body = Mapping[str, Any]
Outcome = tuple[Entity, Row, QueryOptions] | None
"""What an action returns: a row of a table and its columns that were asked for, or nothing."""

_CLOSE_OF: Final = {
    "quote": ("QuoteClose", "quoteclose"),
    "salesorder": ("OrderClose", "orderclose"),
    "opportunity": ("OpportunityClose", "opportunityclose"),
}
"""Table -> the parameter of the action that closes it, and the table of its activity."""
_WON: Final = 1
_OPEN_QUOTE: Final = frozenset({0, 1})
_LINE_FIXED: Final = frozenset({"lineitemnumber", "sequencenumber"})


class Actions:
    """The actions of one environment, by name."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.by_name: Mapping[str, Callable[[Operation, Body], Outcome]] = {
            "WinQuote": self.win_quote,
            "CloseQuote": self.close_quote,
            "ReviseQuote": self.revise_quote,
            "ConvertQuoteToSalesOrder": self.convert_quote,
            "WinOpportunity": self.win_opportunity,
            "LoseOpportunity": self.lose_opportunity,
            "FulfillSalesOrder": self.fulfill_order,
            "CancelSalesOrder": self.cancel_order,
            "CalculatePrice": self.calculate_price,
        }

    def win_quote(self, operation: Operation, body: Body) -> Outcome:
        """An active quote is won."""
        quote = self._closing(operation, body, "QuoteClose", "quote", "quoteid")
        after = self._move(operation, "quote", quote, body, states_from=frozenset({1}), state=2, allowed={4}, default=4)
        self._end(operation, "Win", "quote", body, quote, after)
        return None

    def close_quote(self, operation: Operation, body: Body) -> Outcome:
        """A draft or active quote is closed as lost (5), cancelled (6) or revised (7)."""
        quote = self._closing(operation, body, "QuoteClose", "quote", "quoteid")
        after = self._move(
            operation, "quote", quote, body, states_from=frozenset({0, 1}), state=3, allowed={5, 6, 7}, default=7
        )
        self._end(operation, "Close", "quote", body, quote, after)
        return None

    def revise_quote(self, operation: Operation, body: Body) -> Outcome:
        """A closed quote gets a new draft: same number, next revision, same lines; our own columns start anew."""
        quotes = operation.schema.by_name["quote"]
        quote = self._named(operation, quotes, body.get("QuoteId"))
        wanted = column_set(quotes, body.get("ColumnSet"))
        states.need_state(quotes, quote, frozenset({3}), quote["statuscode"])
        family = operation.table(quotes).find(quotenumber=quote["quotenumber"])
        if any(other["statecode"] in (0, 1) for other in family):
            raise errors.DataverseError(
                400,
                "0x80048d00",
                "Quote cannot be revised as there already exists another quote in Draft/Active state and with same"
                " quote number.",
            )
        values = self._copied(quotes, quotes, quote)
        revised = self._writer.create(operation, quotes, {"name": quote.get("name"), "quotenumber": ""})
        revision = 1 + max(other.get("revisionnumber") or 0 for other in family)
        number = {"quotenumber": quote["quotenumber"], "revisionnumber": revision}
        revised = operation.put(quotes, revised["quoteid"], {**values, **number})
        self._copy_lines(operation, "quote", quote, "quote", revised)
        self._refresh_created(operation, quotes, revised)
        request = {
            "QuoteId": quote["quoteid"],
            "ColumnSet": body.get("ColumnSet") or {"AllColumns": False, "Columns": []},
        }
        operation.say("Revise", quotes, {}, quote, quote, request=request)
        return quotes, revised, wanted

    def convert_quote(self, operation: Operation, body: Body) -> Outcome:
        """A won quote becomes an order; an active quote is won first."""
        quotes, orders = operation.schema.by_name["quote"], operation.schema.by_name["salesorder"]
        quote = self._named(operation, quotes, body.get("QuoteId"))
        wanted = column_set(orders, body.get("ColumnSet"))
        states.need_state(quotes, quote, frozenset({1, 2}), quote["statuscode"])
        if quote["statecode"] == 1:
            close = {"Status": body.get("QuoteCloseStatus", -1), "QuoteClose": self._close_of(body, quote)}
            self.win_quote(operation, close)
        values = self._copied(quotes, orders, quote)
        order = self._writer.create(operation, orders, {"name": quote.get("name")})
        source = {"_quoteid_value": quote["quoteid"], "exchangerate": quote.get("exchangerate")}
        order = operation.put(orders, order["salesorderid"], {**values, **source})
        self._copy_lines(operation, "quote", quote, "salesorder", order)
        self._refresh_created(operation, orders, order)
        return orders, order, wanted

    def win_opportunity(self, operation: Operation, body: Body) -> Outcome:
        """An open opportunity is won, with its actual revenue and close date."""
        self._close_opportunity(operation, body, state=1, allowed={3}, default=3, message="Win")
        return None

    def lose_opportunity(self, operation: Operation, body: Body) -> Outcome:
        """An open opportunity is lost: cancelled (4) or out-sold (5)."""
        self._close_opportunity(operation, body, state=2, allowed={4, 5}, default=4, message="Lose")
        return None

    def fulfill_order(self, operation: Operation, body: Body) -> Outcome:
        """An order is fulfilled, completely (100001) or in part (100002)."""
        order = self._closing(operation, body, "OrderClose", "salesorder", "salesorderid")
        partly = order["statecode"] == 3 and order["statuscode"] == 100002
        start = frozenset({0, 1, 3}) if partly else frozenset({0, 1})
        fulfilled = {"datefulfilled": operation.now}
        after = self._move(
            operation,
            "salesorder",
            order,
            body,
            states_from=start,
            state=3,
            allowed={100001, 100002},
            default=100001,
            also=fulfilled,
        )
        self._end(operation, "Fulfill", "salesorder", body, order, after)
        return None

    def cancel_order(self, operation: Operation, body: Body) -> Outcome:
        """An active or submitted order is cancelled."""
        order = self._closing(operation, body, "OrderClose", "salesorder", "salesorderid")
        after = self._move(
            operation, "salesorder", order, body, states_from=frozenset({0, 1}), state=2, allowed={4}, default=4
        )
        self._end(operation, "Cancel", "salesorder", body, order, after)
        return None

    def calculate_price(self, operation: Operation, body: Body) -> Outcome:
        """A document's prices and totals are computed again."""
        target = body.get("Target")
        name = str(target.get("@odata.type", "")).removeprefix("#").rpartition(".")[2] if target else ""
        if target is None or name not in DOCUMENTS:
            raise errors.invalid_argument("CalculatePrice needs a Target of a priced table with its @odata.type.")
        entity = operation.schema.by_name[name]
        row = self._named(operation, entity, target.get(entity.key))
        operation.touch(name, row[entity.key]).everything = True
        return None

    def _close_opportunity(
        self, operation: Operation, body: Body, *, state: int, allowed: set[int], default: int, message: str
    ) -> None:
        entity = operation.schema.by_name["opportunity"]
        opportunity = self._closing(operation, body, "OpportunityClose", "opportunity", "opportunityid")
        if opportunity["statecode"] != 0:
            raise errors.DataverseError(400, "0x80040515", "The opportunity is already closed.")
        quotes = operation.rows("quote").find(_opportunityid_value=opportunity["opportunityid"])
        if state == _WON and any(quote["statecode"] in _OPEN_QUOTE for quote in quotes):
            raise errors.opportunity_has_open_quotes()
        status = self._status(entity, body, state, allowed, default)
        record = self._record(operation, "opportunity", body["OpportunityClose"])
        revenue = record.get("actualrevenue")
        closed = {
            "statecode": state,
            "statuscode": status,
            "actualclosedate": (record.get("actualend") or operation.now)[:10],
            "actualvalue": revenue if revenue is not None else opportunity.get("estimatedvalue"),
        }
        after = operation.put(entity, opportunity["opportunityid"], closed)
        self._say(operation, message, "opportunity", body, record, opportunity, after)

    def _closing(self, operation: Operation, body: Body, member: str, name: str, lookup: str) -> Row:
        """The row an action's close activity is about."""
        close = body.get(member)
        if not isinstance(close, dict):
            raise errors.invalid_argument(f"Required parameter '{member}' is missing.")
        if member == "OrderClose" and "@odata.type" not in close:
            raise errors.bad_payload(name, f"The parameter '{member}' is of an abstract type and needs '@odata.type'.")
        entity = operation.schema.by_name[name]
        reference = close.get(f"{lookup}@odata.bind")
        if reference is None:
            raise errors.required_missing(member.lower(), lookup)
        found, row = self._writer.resolve(operation, str(reference))
        if found is not entity:
            raise errors.invalid_argument(f"'{found.name}' is not a target of the lookup '{lookup}'.")
        self._writer.security.check(operation.user, entity, "Write", row)
        return row

    @staticmethod
    def _status(entity: Entity, body: Body, state: int, allowed: set[int], default: int) -> int:
        status = body.get("Status", -1)
        if status == -1:
            return default
        if status not in allowed:
            raise errors.invalid_state(entity.name, state, status)
        return int(status)

    def _move(
        self,
        operation: Operation,
        name: str,
        row: Row,
        body: Body,
        *,
        states_from: frozenset[int],
        state: int,
        allowed: set[int],
        default: int,
        also: Row | None = None,
    ) -> Row:
        """Put a document into a state."""
        entity = operation.schema.by_name[name]
        status = self._status(entity, body, state, allowed, default)
        states.need_state(entity, row, states_from, status)
        changes: Row = {"statecode": state, "statuscode": status, **(also or {})}
        if "closedon" in entity.columns:
            changes["closedon"] = operation.now
        operation.touch(name, row[entity.key]).state = True
        return operation.put(entity, row[entity.key], changes)

    def _end(self, operation: Operation, message: str, name: str, body: Body, before: Row, after: Row) -> None:
        """Record the close activity of a document that ended, and say so."""
        record = self._record(operation, name, body[_CLOSE_OF[name][0]])
        self._say(operation, message, name, body, record, before, after)

    @staticmethod
    def _say(operation: Operation, message: str, name: str, body: Body, record: Row, before: Row, after: Row) -> None:
        """Raise the message of a closing action: it carries the activity as it was sent, and the status."""
        parameter, activity = _CLOSE_OF[name]
        closes = operation.schema.by_name[activity]
        sent = [_stored(closes, key) for key in body[parameter]]
        shown = {column: record[column] for column in (*sent, closes.key) if column is not None and column in record}
        request = {parameter: (closes, shown), "Status": body.get("Status", -1)}
        operation.say(message, operation.schema.by_name[name], {}, before, after, request=request)

    def _record(self, operation: Operation, name: str, close: Body) -> Row:
        """The completed close activity."""
        entity = operation.schema.by_name[_CLOSE_OF[name][1]]
        fields = {key: value for key, value in close.items() if "@odata.type" not in key and not _is_key(entity, key)}
        fields.setdefault("actualend", operation.now)
        body = {**fields, "statecode": 1, "statuscode": 2}
        return self._writer.create(operation, entity, body)

    def _named(self, operation: Operation, entity: Entity, row_id: Any) -> Row:
        """The row an action's id names, if the caller may read it."""
        if not isinstance(row_id, str):
            raise errors.invalid_argument(f"Required parameter '{entity.key}' is missing.")
        row = operation.table(entity).get((row_id,))
        if row is None:
            raise errors.row_not_found(entity.name, row_id)
        self._writer.security.check(operation.user, entity, "Read", row)
        return row

    @staticmethod
    def _close_of(body: Body, quote: Row) -> Row:
        subject = body.get("QuoteCloseSubject") or "Won Quote"
        close: Row = {"subject": subject, "quoteid@odata.bind": f"/quotes({quote['quoteid']})"}
        if body.get("QuoteCloseDescription"):
            close["description"] = body["QuoteCloseDescription"]
        if body.get("QuoteCloseDate"):
            close["actualend"] = body["QuoteCloseDate"]
        return close

    @staticmethod
    def _copied(source: Entity, target: Entity, row: Row) -> Row:
        """The columns a new document takes from another: those both have, except keys, stamps, states and our own."""
        left_out = {source.key, target.key, "statecode", "statuscode", "closedon", "quotenumber", "ordernumber"}
        values: Row = {}
        for name, column in source.columns.items():
            twin = target.columns.get(name)
            stamp = name.startswith(("created", "modified", "versionnumber", "overridden"))
            if twin is None or twin.type != column.type or name in left_out or stamp or column.custom:
                continue
            if row.get(column.stored) is not None:
                values[column.stored] = row[column.stored]
            if f"@{name}" in row:
                values[f"@{name}"] = row[f"@{name}"]
        return values

    def _copy_lines(self, operation: Operation, name: str, header: Row, to: str, new: Row) -> None:
        """Copy a document's lines to another document, remembering where each came from."""
        source, target = DOCUMENTS[name], DOCUMENTS[to]
        lines = operation.schema.by_name[source.line]
        new_lines = operation.schema.by_name[target.line]
        header_key = operation.schema.by_name[name].key
        new_key = operation.schema.by_name[to].key
        rows = operation.rows(source.line).find(**{source.lookup: header[header_key]})
        for row in sorted(rows, key=lambda line: line.get("lineitemnumber") or 0):
            values = self._copied(lines, new_lines, row)
            values[target.lookup] = new[new_key]
            values[target.line_state] = new["statecode"]
            if to == "salesorder":
                values["_quotedetailid_value"] = row[lines.key]
            values[new_lines.key] = str(uuid.uuid4())
            stamps: Row = {
                "createdon": operation.now,
                "modifiedon": operation.now,
                "_createdby_value": operation.user_id,
                "_modifiedby_value": operation.user_id,
                "versionnumber": operation.db.version + 1,
            }
            operation.table(new_lines).insert({**values, **stamps})
        operation.touch(to, new[new_key]).everything = True

    @staticmethod
    def _refresh_created(operation: Operation, entity: Entity, row: Row) -> None:
        """Let the Create message of a copied document show the copy, not the empty row it began as."""
        for at, message in enumerate(operation.messages):
            if message.name == "Create" and message.row_id == row[entity.key]:
                operation.messages[at] = replace(message, target=dict(row), after=row)


def column_set(entity: Entity, columns: Body | None) -> QueryOptions:
    """The `$select` a ColumnSet means, which takes logical names; the primary key alone where it is absent.

    Raises:
        DataverseError: A column does not exist.
    """
    if columns is None:
        return QueryOptions(select=(entity.key,))
    if columns.get("AllColumns"):
        return QueryOptions()
    names = tuple(columns.get("Columns") or ())
    for name in names:
        if name not in entity.columns:
            raise errors.unknown_property(entity.name, name)
    return QueryOptions(select=names or (entity.key,))


def _stored(entity: Entity, name: str) -> str | None:
    """The stored column a member of a body writes, None where it writes none."""
    if name.endswith("@odata.bind"):
        navigation = entity.navigations.get(name.removesuffix("@odata.bind"))
        return None if navigation is None else navigation.column.stored
    column = entity.columns.get(name)
    return None if column is None else column.stored


def _is_key(entity: Entity, name: str) -> bool:
    return name == entity.key
