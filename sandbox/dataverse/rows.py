"""Rows over HTTP: collections, single rows, their columns, navigation properties and references.

(Microsoft Learn: "Query data using the Web API", "Create a table row using the Web API", "Update and delete table
rows", "Associate and disassociate table rows".)
"""

from __future__ import annotations

import re
from typing import Any

from sandbox.dataverse import bound, bulk, errors
from sandbox.dataverse.environment import Dataverse
from sandbox.dataverse.fetchxml import fetch_answer
from sandbox.dataverse.reading import etag
from sandbox.dataverse.schema import Collection, Entity
from sandbox.dataverse.sql import sql_answer
from sandbox.dataverse.web import JSON, NAMESPACE, ODATA, Call, Responder, applied, bracket, plain
from sandbox.odata.address import Segment
from sandbox.odata.batch import Answer
from sandbox.odata.jsonio import encode
from sandbox.odata.query import parse_query
from sandbox.store import Row


class RowService(Responder):
    """Answers requests for the rows of one environment."""

    def __init__(self, dataverse: Dataverse) -> None:
        super().__init__(dataverse)
        self._queries = dataverse.queries
        self._writer = dataverse.writer

    def answer(self, call: Call, entity: Entity) -> Answer:
        """Answer a request whose address begins with an entity set."""
        segments = call.segments
        if entity.source is not None:
            raise errors.bad_query("The sandbox reads a virtual table by a request of its own, not in a batch.")
        if segments[0].key is None:
            return self._collection(call, entity)
        if len(segments) > 1:
            return self._below_row(call, entity)
        call.need("GET", "PATCH", "DELETE")
        if call.method == "GET":
            return self._get_row(call, entity)
        return self._patch_row(call, entity) if call.method == "PATCH" else self._delete_row(call, entity)

    # --- collections -------------------------------------------------------------------------------------------------

    def _collection(self, call: Call, entity: Entity) -> Answer:
        if len(call.segments) == 1:
            call.need("GET", "POST")
            return self._get_collection(call, entity) if call.method == "GET" else self._post(call, entity, {})
        if len(call.segments) > 2:
            raise errors.resource_not_found(call.segments[2].name)
        name = call.segments[1].name
        if name == "$count":
            call.need("GET")
            allowed = self.dataverse.security.reader(self.user(call), entity)
            return plain(str(self._queries.count(entity, parse_query(call.query), allowed)))
        many = bulk.ACTIONS.get(name.removeprefix(NAMESPACE)) if name.startswith(NAMESPACE) else None
        if many is None:
            raise errors.resource_not_found(name)
        call.need("POST")
        body = call.body()
        with self.operation(call) as operation:
            answer = many(self.dataverse, operation, entity, body)
        return Answer(204, ODATA) if answer is None else self.response(answer, name)

    def _get_collection(self, call: Call, entity: Entity, rows: list[Row] | None = None, path: str = "") -> Answer:
        user = self.user(call)
        parameters = call.parameters()
        if "fetchXml" in parameters and rows is None:
            body = fetch_answer(self.dataverse, user, entity, parameters["fetchXml"], call.preferences, self.base)
            return Answer(200, applied(call), encode(body))
        if "sql" in parameters and rows is None:
            body = sql_answer(self.dataverse, user, entity, parameters, self.base)
            return Answer(200, applied(call), encode(body))
        options = parse_query(call.query)
        link = f"{self.base}/{path or entity.entity_set}"
        kept = "&".join(
            piece for piece in call.query.split("&") if piece and not re.match(r"(?:\$|%24)(?:skip|delta)token=", piece)
        )
        link += f"?{kept}" if kept else ""
        found = self._queries.answer(
            entity, options, call.preferences, link, self.context_of(entity, options), rows, user
        )
        return Answer(200, applied(call), found)

    # --- one row -----------------------------------------------------------------------------------------------------

    def _find(self, call: Call, entity: Entity, segment: Segment) -> Row:
        """The row an address names, if the caller may read it."""
        operation = self.dataverse.operation(call.user)
        self.dataverse.security.check(operation.user, entity, "Read")
        row = self._writer.find(operation, entity, segment)
        self.dataverse.security.check(operation.user, entity, "Read", row)
        return row

    def _get_row(self, call: Call, entity: Entity) -> Answer:
        options = parse_query(call.query)
        self._queries.check(options)
        row = self._find(call, entity, call.segments[0])
        known = call.header("if-none-match")
        if known == etag(row) and not options.expand and not call.preferences.annotations.any:
            return Answer(304, ODATA)
        return self.row(call, entity, row, options, 200)

    def _post(self, call: Call, entity: Entity, own: Row) -> Answer:
        body = {**call.body(), **own}
        self._look_for_duplicates(call, entity, body)
        with self.operation(call) as operation:
            self.dataverse.components.check(call.solution)
            row = self._writer.create(operation, entity, body)
            self.dataverse.component_created(call.solution, entity, row)
        return self._written(call, entity, row[entity.key], 201)

    def _look_for_duplicates(self, call: Call, entity: Entity, body: Row) -> None:
        """Duplicate detection runs where a request turns it on: a published rule compares names and numbers.

        (Microsoft Learn: "Detect duplicate data using the Web API"; off by default.)
        """
        if (call.header("mscrm.suppressduplicatedetection") or "true").lower() == "false":
            self.dataverse.refuse_duplicate(entity, body)

    def _written(self, call: Call, entity: Entity, row_id: str, status: int, address: str | None = None) -> Answer:
        """The answer to a create or update: the row where it is wanted, else its address."""
        if call.preferences.representation:
            self.dataverse.settle()
            row = self.dataverse.table(entity).get((row_id,))
            return self.row(call, entity, row, parse_query(call.query), status)
        location = address or f"{self.base}/{entity.entity_set}({row_id})"
        return Answer(204, {**ODATA, "Location": location, "OData-EntityId": location})

    def _patch_row(self, call: Call, entity: Entity) -> Answer:
        """Update, or create where the row is missing and no `If-Match` forbids it."""
        segment = call.segments[0]
        row_id, alternate = self._writer.read_key(entity, segment)
        table = self.dataverse.table(entity)
        row = table.get((row_id,)) if alternate is None else table.first(**alternate)
        body = call.body()
        self._check_conditions(call, entity, row, row_id)
        address = f"{self.base}/{segment.name}({bracket(call.request.url)})"
        with self.operation(call) as operation:
            if row is None:
                named = {entity.key: row_id} if alternate is None else alternate
                if any(name not in entity.columns for name in named):
                    raise errors.invalid_argument("A row cannot be created by an alternate key that holds a lookup.")
                row = self._writer.create(operation, entity, {**named, **body})
                status = 201
            else:
                kept = {name: value for name, value in body.items() if name not in (alternate or ())}
                self._writer.update(operation, entity, row, kept)
                status = 200
        return self._written(call, entity, row[entity.key], status, address)

    def _check_conditions(self, call: Call, entity: Entity, row: Row | None, row_id: str) -> None:
        wanted = call.header("if-match")
        if row is None:
            if wanted is not None:
                raise errors.row_not_found(entity.name, row_id) if row_id else errors.key_not_found(entity.name)
            return
        if call.header("if-none-match") == "*":
            raise errors.exists_already()
        if wanted is not None and wanted not in ("*", etag(row)):
            raise errors.version_mismatch()

    def _delete_row(self, call: Call, entity: Entity) -> Answer:
        row = self._find(call, entity, call.segments[0])
        wanted = call.header("if-match")
        if wanted is not None and wanted not in ("*", etag(row)):
            raise errors.version_mismatch()
        with self.operation(call) as operation:
            self._writer.delete(operation, entity, row)
            self.dataverse.components.remove(row[entity.key])
        return Answer(204, ODATA)

    # --- below a row -------------------------------------------------------------------------------------------------

    def _below_row(self, call: Call, entity: Entity) -> Answer:
        """What an address names below a row: a column, a navigation property, its reference, a bound operation."""
        row = self._find(call, entity, call.segments[0])
        segment = call.segments[1]
        name, rest = segment.name, [item.name for item in call.segments[2:]]
        operation = bound.OPERATIONS.get((entity.name, name.removeprefix(NAMESPACE)))
        if operation is not None:
            return operation(self, call, entity, row)
        if name in entity.collections:
            return self._below_collection(call, entity, row, entity.collections[name], rest)
        if name in entity.navigations:
            if rest == ["$ref"]:
                return self._reference(call, entity, row, name)
            return self._follow(call, entity, row, name)
        return self._column(call, entity, row, name, rest)

    def _column(self, call: Call, entity: Entity, row: Row, name: str, rest: list[str]) -> Answer:
        """A single column: read, `PUT` of a value, `DELETE` of it. `$value` is the raw value."""
        column = entity.columns.get(name)
        if column is None or column.secret or rest not in ([], ["$value"]):
            raise errors.resource_not_found(name)
        call.need("GET", "PUT", "DELETE")
        if call.method == "GET":
            value = row.get(column.stored)
            if value is None:
                return Answer(204, ODATA)
            if rest:
                return plain(str(value))
            context = f"{self.base}/$metadata#{entity.entity_set}({row[entity.key]})/{name}"
            return Answer(200, JSON, encode({"@odata.context": context, "value": value}))
        if call.method == "PUT" and "value" not in call.body():
            raise errors.bad_payload(entity.entity_set, "The body of a PUT to a property must hold its 'value'.")
        value = call.body()["value"] if call.method == "PUT" else None
        with self.operation(call) as operation:
            self._writer.update(operation, entity, row, {name: value})
        return Answer(204, ODATA)

    def _follow(self, call: Call, entity: Entity, row: Row, name: str) -> Answer:
        """The row a lookup leads to."""
        call.need("GET")
        navigation = entity.navigations[name]
        target = self.dataverse.schema.by_name.get(navigation.targets[0])
        row_id = row.get(navigation.column.stored)
        found = self.dataverse.table(target).get((row_id,)) if target and row_id else None
        if target is None or found is None:
            return Answer(204, ODATA)
        self.dataverse.security.check(self.user(call), target, "Read", found)
        return self.row(call, target, found, parse_query(call.query), 200)

    def _reference(self, call: Call, entity: Entity, row: Row, name: str) -> Answer:
        """Set or clear a lookup by its `$ref` address."""
        call.need("PUT", "DELETE")
        target = call.body().get("@odata.id") if call.method == "PUT" else None
        with self.operation(call) as operation:
            self._writer.update(operation, entity, row, {f"{name}@odata.bind": target})
        return Answer(204, ODATA)

    def _below_collection(
        self, call: Call, entity: Entity, row: Row, collection: Collection, rest: list[str]
    ) -> Answer:
        """The rows of a collection: listed, counted, created, associated and disassociated."""
        child, rows = self.dataverse.reader.children(entity, row, collection)
        segment = call.segments[1]
        path = f"{entity.entity_set}({row[entity.key]})/{collection.name}"
        if rest == ["$ref"]:
            return self._associate(call, entity, row, collection, child, rows)
        if segment.key is not None and not rest:
            call.need("GET")
            found = self._find(call, child, segment)
            if found not in rows:
                raise errors.row_not_found(child.name, found[child.key])
            return self.row(call, child, found, parse_query(call.query), 200)
        if rest == ["$count"]:
            call.need("GET")
            allowed = self.dataverse.security.reader(self.user(call), child)
            return plain(str(sum(1 for item in rows if allowed is None or allowed(item))))
        if rest:
            raise errors.resource_not_found(rest[0])
        call.need("GET", "POST")
        if call.method == "GET":
            return self._get_collection(call, child, rows, path)
        if collection.through is not None:
            raise errors.method_not_allowed(call.method)
        navigation = child.navigation_of[(collection.lookup, entity.name)]
        return self._post(call, child, {f"{navigation}@odata.bind": f"/{entity.entity_set}({row[entity.key]})"})

    def _associate(
        self, call: Call, entity: Entity, row: Row, collection: Collection, child: Entity, rows: list[Row]
    ) -> Answer:
        """`$ref` of a collection: list the references, add one, take one away."""
        call.need("GET", "POST", "DELETE")
        if call.method == "GET":
            value: list[Any] = [{"@odata.id": f"{self.base}/{child.entity_set}({item[child.key]})"} for item in rows]
            context = f"{self.base}/$metadata#Collection($ref)"
            return Answer(200, JSON, encode({"@odata.context": context, "value": value}))
        with self.operation(call) as operation:
            other = self._referenced(call, child)
            self._writer.relate(operation, entity, row, collection, child, other, add=call.method == "POST")
        return Answer(204, ODATA)

    def _referenced(self, call: Call, child: Entity) -> Row:
        """The row a `$ref` request is about: in the body, in the address's brackets, or in `$id`."""
        operation = self.dataverse.operation(call.user)
        if call.method == "DELETE" and call.segments[1].key is not None:
            return self._writer.find(operation, child, call.segments[1])
        reference = call.body().get("@odata.id") if call.method == "POST" else call.parameters().get("$id")
        if not isinstance(reference, str):
            raise errors.bad_payload(child.entity_set, "The reference needs '@odata.id'.")
        found, row = self._writer.resolve(operation, reference)
        if found is not child:
            raise errors.invalid_argument(f"'{found.name}' is not a target of this relationship.")
        return row
