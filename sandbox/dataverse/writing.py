"""Creating, changing and deleting rows: what a request body may hold, and what the platform adds to it.

A body names columns by logical name, sets lookups with `<navigation property>@odata.bind`, and may nest the rows of
collection navigation properties (deep insert). (Microsoft Learn: "Create a table row using the Web API", "Associate and
disassociate table rows", "Update and delete table rows".)
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from sandbox.dataverse import errors, states
from sandbox.dataverse.completing import Completer, fill_defaults, forget_numbers
from sandbox.dataverse.operation import Operation
from sandbox.dataverse.pricing import DOCUMENTS, LINES, skips_pricing, touch_header
from sandbox.dataverse.schema import Collection, Column, Entity, ManyToMany, Navigation
from sandbox.dataverse.security import Security
from sandbox.dataverse.values import from_literal, is_guid, store
from sandbox.odata.address import AddressError, Segment, parse_path
from sandbox.odata.tokens import FilterError
from sandbox.store import DuplicateKey, Row

_BIND: Final = "@odata.bind"
_FREE_LOOKUPS: Final = frozenset({"ownerid", "transactioncurrencyid"})
"""Lookups that can be set without Append and AppendTo."""
_FREE_TARGETS: Final = frozenset({"systemuser", "team", "businessunit"})


@dataclass
class Payload:
    """A request body, understood: stored columns, and the rows nested in it."""

    values: Row = field(default_factory=dict)
    children: list[tuple[Collection, Row]] = field(default_factory=list)
    parents: list[tuple[Navigation, Row]] = field(default_factory=list)
    references: list[tuple[Entity, Row]] = field(default_factory=list)


class Writer:
    """Writes rows for one environment."""

    def __init__(self, *, base_currency: Callable[[], str | None], security: Security) -> None:
        """Set what the environment knows.

        Args:
            base_currency: The id of the organization's currency, once it exists.
            security: Who may do what.
        """
        self.security = security
        self._completer = Completer(base_currency, security)

    def create(self, operation: Operation, entity: Entity, body: Mapping[str, Any]) -> Row:
        """Create a row and everything nested in it.

        Returns:
            The row as stored; totals are computed when the operation ends.

        Raises:
            DataverseError: The body is wrong, a key is taken, or the parent document is read-only.
        """
        payload = self.read_body(operation, entity, body, creating=True)
        for navigation, nested in payload.parents:
            target = operation.schema.by_name[navigation.targets[0]]
            self._set_lookup(payload, navigation, target, self.create(operation, target, nested)[target.key])
        values = payload.values
        values[entity.key] = values.get(entity.key) or str(uuid.uuid4())
        sent = dict(values)
        values.update(states.initial_state(entity, values))
        fill_defaults(entity, values)
        self._completer.stamp(operation, entity, values)
        self._completer.complete(operation, entity, values)
        self._check_required(entity, values)
        self.security.check(operation.user, entity, "Create", values)
        self.security.check_owner(entity, values)
        self._check_references(operation, entity, payload, values)
        row = self._insert(operation, entity, values)
        operation.say("Create", entity, dict(payload.values), None, row, sent=sent)
        self._touch_new(operation, entity, row)
        if entity.name == "businessunit":
            self._add_default_team(operation, row)
        for collection, nested in payload.children:
            self._create_child(operation, entity, row, collection, nested)
        return operation.table(entity).get((row[entity.key],)) or row

    def update(self, operation: Operation, entity: Entity, row: Row, body: Mapping[str, Any]) -> Row:
        """Change a row.

        Returns:
            The row as stored; totals are computed when the operation ends.

        Raises:
            DataverseError: The body is wrong, the document is read-only, or a change of state is not allowed.
        """
        payload = self.read_body(operation, entity, body, creating=False)
        if payload.children or payload.parents:
            raise errors.bad_payload(entity.entity_set, "Deep update of navigation properties is not supported.")
        self.security.check(operation.user, entity, "Write", row)
        self._check_references(operation, entity, payload, row)
        administrator = self.security.is_administrator(operation.user)
        changes = payload.values
        if "_ownerid_value" in changes and changes["_ownerid_value"] != row.get("_ownerid_value"):
            self.security.check(operation.user, entity, "Assign", row)
            self.security.check_owner(entity, changes)
        changes.pop(entity.key, None)
        sent = {**changes, entity.key: row[entity.key]}
        states.check_editable(entity, row, changes, administrator=administrator)
        if entity.name in LINES:
            states.check_line(entity, self._header_of(operation, entity, row), administrator=administrator)
        if entity.states:
            changes.update(states.changed_state(entity, row, changes))
        self._completer.follow(operation, entity, row, changes)
        try:
            after = operation.put(entity, row[entity.key], changes)
        except DuplicateKey as problem:
            raise self._taken(entity, problem) from problem
        stamps = {name: after.get(name) for name in ("modifiedon", "_modifiedby_value") if name in entity.by_stored}
        operation.say("Update", entity, {**sent, **changes, **stamps}, row, after, sent=sent)
        self._touch_changed(operation, entity, row, after, changes)
        return after

    def delete(self, operation: Operation, entity: Entity, row: Row) -> None:
        """Delete a row, with the lines of a document.

        Raises:
            DataverseError: It is a line of a document that cannot be edited.
        """
        self.security.check(operation.user, entity, "Delete", row)
        if entity.name in LINES:
            administrator = self.security.is_administrator(operation.user)
            states.check_line(entity, self._header_of(operation, entity, row), administrator=administrator)
            self._touch_without(operation, entity, row)
        document = DOCUMENTS.get(entity.name)
        if document is not None:
            lines = operation.rows(document.line)
            for line in lines.find(**{document.lookup: row[entity.key]}):
                lines.delete((line[lines.key[0]],))
        for link in operation.schema.many_to_many.values():
            self._unlink_all(operation, link, entity, row[entity.key])
        operation.table(entity).delete((row[entity.key],))
        operation.say("Delete", entity, {}, row, None)

    def link(self, operation: Operation, link: ManyToMany, first: str, second: str) -> None:
        """Relate two rows of a many-to-many relationship; nothing where they are related already."""
        entity = operation.schema.by_name[link.intersect]
        table = operation.table(entity)
        values = {link.first_column: first, link.second_column: second}
        if table.first(**values) is None:
            table.insert({entity.key: str(uuid.uuid4()), **values, "versionnumber": operation.db.version + 1})

    def unlink(self, operation: Operation, link: ManyToMany, first: str, second: str) -> None:
        """Undo `link`."""
        entity = operation.schema.by_name[link.intersect]
        table = operation.table(entity)
        for row in table.find(**{link.first_column: first, link.second_column: second}):
            table.delete((row[entity.key],))

    def relate(
        self,
        operation: Operation,
        entity: Entity,
        row: Row,
        collection: Collection,
        child: Entity,
        other: Row,
        *,
        add: bool,
    ) -> None:
        """Associate a row of a collection, or disassociate it.

        Raises:
            DataverseError: The caller may not, or the lookup cannot be set.
        """
        if collection.through is None:
            navigation = child.navigation_of[(collection.lookup, entity.name)]
            target = f"/{entity.entity_set}({row[entity.key]})" if add else None
            self.update(operation, child, other, {f"{navigation}{_BIND}": target})
            return
        self.security.check(operation.user, entity, "Append", row)
        self.security.check(operation.user, child, "AppendTo", other)
        through = collection.through
        link = next(item for item in operation.schema.many_to_many.values() if item.intersect == through.table)
        first, second = row[entity.key], other[child.key]
        if through.near != link.first_column:
            first, second = second, first
        (self.link if add else self.unlink)(operation, link, first, second)

    @staticmethod
    def _unlink_all(operation: Operation, link: ManyToMany, entity: Entity, row_id: str) -> None:
        intersect = operation.schema.by_name[link.intersect]
        table = operation.table(intersect)
        for name, column in ((link.first, link.first_column), (link.second, link.second_column)):
            if name == entity.name:
                for row in table.find(**{column: row_id}):
                    table.delete((row[intersect.key],))

    def _check_references(self, operation: Operation, entity: Entity, payload: Payload, row: Row) -> None:
        """Setting a lookup appends this row to another: Append here, AppendTo there."""
        if payload.references:
            self.security.check(operation.user, entity, "Append", row)
        for target, other in payload.references:
            self.security.check(operation.user, target, "AppendTo", other)

    def read_body(self, operation: Operation, entity: Entity, body: Mapping[str, Any], *, creating: bool) -> Payload:
        """Understand a request body.

        Raises:
            DataverseError: A name is unknown, a value has the wrong type, a lookup points nowhere.
        """
        payload = Payload()
        for name, value in body.items():
            if name.endswith(_BIND):
                self._bind(operation, entity, payload, name.removesuffix(_BIND), value, creating=creating)
            elif "@" in name:
                continue
            elif name in entity.columns and entity.columns[name].type != "Lookup":
                self._set_column(operation, entity, payload, entity.columns[name], value)
            elif name in entity.collections and isinstance(value, list):
                payload.children.extend((entity.collections[name], child) for child in value)
            elif name in entity.navigations and (value is None or isinstance(value, dict)):
                self._set_navigation(payload, entity.navigations[name], value)
            elif name in entity.by_stored:
                raise errors.direct_lookup_write(entity.entity_set)
            else:
                raise errors.undeclared_property(entity.entity_set, entity.name, name)
        return payload

    def _set_column(self, operation: Operation, entity: Entity, payload: Payload, column: Column, value: Any) -> None:
        """Store a value; what callers send for read-only and computed columns is left out, as the platform does."""
        stored = store(entity, column, value)
        document = entity.name if entity.name in DOCUMENTS else None
        line = LINES.get(entity.name)
        as_sent = skips_pricing(operation, document or (line.name if line else ""))
        if column.read_only or (column.computed and not as_sent):
            return
        payload.values[column.stored] = stored

    @staticmethod
    def _set_navigation(payload: Payload, navigation: Navigation, value: Any) -> None:
        if value is None:
            payload.values[navigation.column.stored] = None
        else:
            payload.parents.append((navigation, value))

    def _bind(
        self, operation: Operation, entity: Entity, payload: Payload, name: str, value: Any, *, creating: bool
    ) -> None:
        navigation = entity.navigations.get(name)
        if navigation is None:
            if name in entity.collections and isinstance(value, list):
                raise errors.bad_payload(
                    entity.entity_set, "Binding of existing rows to a collection is not supported."
                )
            raise errors.undeclared_bind(entity.entity_set, name)
        wanted = "create" if creating else "update"
        if wanted not in navigation.bindable:
            raise errors.invalid_argument(f"The lookup '{name}' of '{entity.name}' cannot be set on {wanted}.")
        if value is None:
            payload.values[navigation.column.stored] = None
            return
        target, row = self.resolve(operation, str(value))
        if target.name not in navigation.targets:
            raise errors.invalid_argument(f"'{target.name}' is not a target of the lookup '{name}'.")
        self._set_lookup(payload, navigation, target, row[target.key])
        if navigation.column.name not in _FREE_LOOKUPS and target.name not in _FREE_TARGETS:
            if entity.privilege_of != navigation.column.name:
                payload.references.append((target, row))

    @staticmethod
    def _set_lookup(payload: Payload, navigation: Navigation, target: Entity, row_id: str) -> None:
        payload.values[navigation.column.stored] = row_id
        if len(navigation.column.targets) > 1:
            payload.values[f"@{navigation.column.name}"] = target.name

    def resolve(self, operation: Operation, reference: str) -> tuple[Entity, Row]:
        """The row a reference names: `/accounts(guid)`, `accounts(key='x')`, or the full address of one.

        Raises:
            DataverseError: It is malformed or leads nowhere.
        """
        path = urlsplit(reference).path if "://" in reference else reference
        path = path.partition("/api/data/")[2].partition("/")[2] or path
        try:
            segments = parse_path(path)
        except AddressError as problem:
            raise errors.bad_query(str(problem)) from problem
        entity = operation.schema.by_set.get(segments[0].name) if len(segments) == 1 else None
        if entity is None:
            raise errors.bad_query(f"Resource not found for the segment '{reference}'.")
        return entity, self.find(operation, entity, segments[0])

    def find(self, operation: Operation, entity: Entity, segment: Segment) -> Row:
        """The row a key in brackets names.

        Raises:
            DataverseError: 404 where there is none, 400 where the brackets hold no key of the table.
        """
        row_id, alternate = self.read_key(entity, segment)
        if alternate is None:
            row = operation.table(entity).get((row_id,))
            if row is None:
                raise errors.row_not_found(entity.name, row_id)
            return row
        row = operation.table(entity).first(**alternate)
        if row is None:
            raise errors.key_not_found(entity.name)
        return row

    @staticmethod
    def read_key(entity: Entity, segment: Segment) -> tuple[str, Row | None]:
        """The primary key in a segment, or the stored columns of an alternate key.

        Raises:
            DataverseError: The brackets hold no key of the table.
        """
        key = dict(segment.key or {})
        if set(key) == {entity.key}:
            key = {"": key[entity.key]}
        if set(key) == {""}:
            if not is_guid(key[""].value):
                raise errors.key_not_defined(entity.name)
            return str(key[""].value).lower(), None
        if entity.matching_key(frozenset(key)) is None:
            raise errors.key_not_defined(entity.name)
        try:
            return "", {name: from_literal(entity.by_stored[name], literal) for name, literal in key.items()}
        except FilterError as problem:
            raise errors.bad_query(str(problem)) from problem

    def _create_child(
        self, operation: Operation, entity: Entity, row: Row, collection: Collection, nested: Row
    ) -> None:
        child = operation.schema.by_name[collection.child]
        navigation = child.navigation_of[(collection.lookup, entity.name)]
        body = {**nested, f"{navigation}{_BIND}": f"/{entity.entity_set}({row[entity.key]})"}
        self.create(operation, child, body)

    def _check_required(self, entity: Entity, values: Row) -> None:
        for column in entity.columns.values():
            if column.required == "SystemRequired" and not column.read_only and values.get(column.stored) is None:
                raise errors.required_missing(entity.name, column.name)

    def _insert(self, operation: Operation, entity: Entity, values: Row) -> Row:
        try:
            return operation.table(entity).insert({name: value for name, value in values.items() if value is not None})
        except DuplicateKey as problem:
            raise self._taken(entity, problem) from problem

    @staticmethod
    def _taken(entity: Entity, problem: DuplicateKey) -> errors.DataverseError:
        if problem.primary:
            return errors.duplicate_primary_key()
        for name, columns in entity.alternate_keys.items():
            if columns == problem.columns:
                return errors.duplicate_alternate_key(name, ", ".join(columns))
        return errors.duplicate_alternate_key("unique", ", ".join(problem.columns))

    def _add_default_team(self, operation: Operation, unit: Row) -> None:
        """A business unit gets a team of its name, which has no role yet (Microsoft Learn: "Teams in Dataverse").

        That the unit's users are its members is not shown.
        """
        team = operation.schema.by_name["team"]
        body = {
            "teamid": str(uuid.uuid5(uuid.UUID(unit["businessunitid"]), "default team")),
            "name": unit["name"],
            "businessunitid@odata.bind": f"/businessunits({unit['businessunitid']})",
        }
        operation.put(team, self.create(operation, team, body)["teamid"], {"isdefault": True})

    @staticmethod
    def _touch_new(operation: Operation, entity: Entity, row: Row) -> None:
        if entity.name in DOCUMENTS:
            operation.touch(entity.name, row[entity.key]).everything = True
        elif entity.name in LINES:
            document = LINES[entity.name]
            operation.touch(document.name, row[document.lookup]).lines[row[entity.key]] = None

    @classmethod
    def _touch_changed(cls, operation: Operation, entity: Entity, before: Row, after: Row, changes: Row) -> None:
        if entity.name in DOCUMENTS:
            touch_header(operation, entity.name, after[entity.key], changes)
        elif entity.name in LINES:
            document = LINES[entity.name]
            if before[document.lookup] != after[document.lookup]:
                cls._touch_without(operation, entity, before)
                after = operation.table(entity).update((after[entity.key],), {"@counted": None})
            if {"lineitemnumber", "sequencenumber"} & changes.keys():
                forget_numbers(operation, document, after[document.lookup])
            cls._touch_new(operation, entity, after)

    @classmethod
    def _touch_without(cls, operation: Operation, entity: Entity, row: Row) -> None:
        """A line leaves its document."""
        document = LINES[entity.name]
        touched = operation.touch(document.name, row[document.lookup])
        touched.lines.pop(row[entity.key], None)
        if row.get("@counted") is not None:
            touched.removed.append(row["@counted"])
        forget_numbers(operation, document, row[document.lookup])

    @staticmethod
    def _header_of(operation: Operation, entity: Entity, row: Row) -> Row | None:
        document = LINES[entity.name]
        return operation.row(document.name, row.get(document.lookup))
