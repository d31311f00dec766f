"""Creating, changing and deleting rows: what a request body may hold, and what the platform adds to it.

A body names columns by logical name, sets lookups with `<navigation property>@odata.bind`, and may nest the rows of
collection navigation properties (deep insert). (Microsoft Learn: "Create a table row using the Web API", "Associate and
disassociate table rows", "Update and delete table rows".)
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

from sandbox.dataverse import errors, states
from sandbox.dataverse.operation import Operation
from sandbox.dataverse.pricing import DOCUMENTS, LINES, Document, check_currency, skips_pricing, touch_header
from sandbox.dataverse.schema import Collection, Column, Entity, Navigation
from sandbox.dataverse.values import from_literal, is_guid, store
from sandbox.odata.address import AddressError, Segment, parse_path
from sandbox.odata.filters import FilterError
from sandbox.store import DuplicateKey, Row

_BIND: Final = "@odata.bind"
_LINE_DEFAULTS: Final[Row] = {
    "isproductoverridden": False,
    "ispriceoverridden": False,
    "producttypecode": 1,
    "propertyconfigurationstatus": 2,
    "skippricecalculation": 0,
    "pricingerrorcode": 0,
    "willcall": False,
}
_DEFAULTS: Final[Mapping[str, Row]] = {
    "opportunity": {"pricingerrorcode": 0, "isrevenuesystemcalculated": False, "skippricecalculation": 0},
    "quote": {"pricingerrorcode": 0, "willcall": False, "revisionnumber": 0, "skippricecalculation": 0},
    "salesorder": {"pricingerrorcode": 0, "willcall": False, "ispricelocked": False, "skippricecalculation": 0},
    "invoice": {"pricingerrorcode": 0, "willcall": False, "ispricelocked": False, "skippricecalculation": 0},
    "opportunityproduct": _LINE_DEFAULTS,
    "quotedetail": _LINE_DEFAULTS,
    "salesorderdetail": {**_LINE_DEFAULTS, "salesorderispricelocked": False},
    "invoicedetail": {**_LINE_DEFAULTS, "invoiceispricelocked": False},
    "account": {"creditonhold": False},
    "contact": {"creditonhold": False},
    "product": {"productstructure": 1, "quantitydecimal": 2, "isstockitem": False},
    "productpricelevel": {
        "pricingmethodcode": 1,
        "quantitysellingcode": 1,
        "roundingpolicycode": 1,
        "roundingoptioncode": 1,
    },
    "systemuser": {"isdisabled": False, "isintegrationuser": False, "accessmode": 0},
    "businessunit": {"isdisabled": False},
}


@dataclass
class Payload:
    """A request body, understood: stored columns, and the rows nested in it."""

    values: Row = field(default_factory=dict)
    children: list[tuple[Collection, Row]] = field(default_factory=list)
    parents: list[tuple[Navigation, Row]] = field(default_factory=list)


class Writer:
    """Writes rows for one environment."""

    def __init__(self, *, base_currency: Callable[[], str | None], administrator: Callable[[Row], bool]) -> None:
        """Set what the environment knows.

        Args:
            base_currency: The id of the organization's currency, once it exists.
            administrator: Whether a user holds the System Administrator role.
        """
        self._base_currency = base_currency
        self._administrator = administrator
        self._numbers = 0

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
        values.update(states.initial_state(entity, values))
        for name, default in _DEFAULTS.get(entity.name, {}).items():
            if values.get(name) is None:
                values[name] = default
        for column in entity.columns.values():
            if column.default is not None and values.get(column.stored) is None:
                values[column.stored] = column.default
        self._set_stamps(operation, entity, values)
        self._complete(operation, entity, values)
        self._check_required(entity, values)
        row = self._insert(operation, entity, values)
        operation.say("Create", entity, dict(payload.values), None, row)
        self._touch_new(operation, entity, row)
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
        administrator = self._administrator(operation.user)
        changes = payload.values
        changes.pop(entity.key, None)
        states.check_editable(entity, row, changes, administrator=administrator)
        if entity.name in LINES:
            states.check_line(entity, self._header_of(operation, entity, row), administrator=administrator)
        if entity.states:
            changes.update(states.changed_state(entity, row, changes))
        self._follow(operation, entity, row, changes)
        try:
            after = operation.put(entity, row[entity.key], changes)
        except DuplicateKey as problem:
            raise self._taken(entity, problem) from problem
        operation.say("Update", entity, {**changes, entity.key: row[entity.key]}, row, after)
        self._touch_changed(operation, entity, row, after, changes)
        return after

    def delete(self, operation: Operation, entity: Entity, row: Row) -> None:
        """Delete a row, with the lines of a document.

        Raises:
            DataverseError: It is a line of a document that cannot be edited.
        """
        if entity.name in LINES:
            administrator = self._administrator(operation.user)
            states.check_line(entity, self._header_of(operation, entity, row), administrator=administrator)
            self._touch_without(operation, entity, row)
        document = DOCUMENTS.get(entity.name)
        if document is not None:
            lines = operation.rows(document.line)
            for line in lines.find(**{document.lookup: row[entity.key]}):
                lines.delete((line[lines.key[0]],))
        operation.table(entity).delete((row[entity.key],))
        operation.say("Delete", entity, {}, row, None)

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

    def _set_stamps(self, operation: Operation, entity: Entity, values: Row) -> None:
        stamps: Row = {
            "createdon": values.get("overriddencreatedon") or operation.now,
            "modifiedon": operation.now,
            "_createdby_value": operation.user_id,
            "_modifiedby_value": operation.user_id,
        }
        if "ownerid" in entity.columns and entity.name not in LINES:
            owner_id = values.get("_ownerid_value") or operation.user_id
            stamps.update(self._owner(operation, owner_id))
        values.update({name: value for name, value in stamps.items() if name in entity.by_stored or name[0] == "@"})
        values["versionnumber"] = operation.db.version + 1

    @staticmethod
    def _owner(operation: Operation, owner_id: str) -> Row:
        owner = operation.row("systemuser", owner_id) or operation.user
        return {
            "_ownerid_value": owner_id,
            "@ownerid": "systemuser",
            "_owninguser_value": owner_id,
            "_owningbusinessunit_value": owner.get("_businessunitid_value"),
        }

    def _complete(self, operation: Operation, entity: Entity, values: Row) -> None:
        """Fill in what the platform derives on create: numbers, currency, names, what a line takes from its header."""
        if entity.name in DOCUMENTS:
            self._complete_document(operation, entity, values)
        elif entity.name in LINES:
            self._complete_line(operation, entity, values)
        elif entity.name == "systemuser":
            names = [part for part in (values.get("firstname"), values.get("lastname")) if part]
            values["fullname"] = " ".join(names) or values.get("domainname")
            values.setdefault("_businessunitid_value", operation.user.get("_businessunitid_value"))
        elif entity.name == "contact":
            names = [part for part in (values.get("firstname"), values.get("lastname")) if part]
            values["fullname"] = " ".join(names) or None
        elif entity.name == "productpricelevel":
            product = operation.row("product", values.get("_productid_value")) or {}
            values["productnumber"] = product.get("productnumber")
            price_list = operation.row("pricelevel", values.get("_pricelevelid_value")) or {}
            values["_transactioncurrencyid_value"] = price_list.get("_transactioncurrencyid_value")
        self._set_rate(operation, entity, values)

    def _set_rate(self, operation: Operation, entity: Entity, values: Row) -> None:
        currency_id = values.get("_transactioncurrencyid_value")
        if "exchangerate" not in entity.columns or entity.name == "transactioncurrency" or currency_id is None:
            return
        currency = operation.row("transactioncurrency", currency_id) or {}
        values["exchangerate"] = currency.get("exchangerate") or Decimal(1)
        for name, column in entity.columns.items():
            if column.type == "Money" and values.get(name) is not None and f"{name}_base" in entity.columns:
                values[f"{name}_base"] = store(
                    entity, entity.columns[f"{name}_base"], values[name] / values["exchangerate"]
                )

    def _complete_document(self, operation: Operation, entity: Entity, values: Row) -> None:
        document = DOCUMENTS[entity.name]
        if document.number is not None and not values.get(document.number):
            values[document.number] = self._next_number(document.prefix, values[entity.key])
        price_list = operation.row("pricelevel", values.get("_pricelevelid_value")) or {}
        if values.get("_transactioncurrencyid_value") is None:
            inherited = price_list.get("_transactioncurrencyid_value")
            values["_transactioncurrencyid_value"] = inherited or self._base_currency()
        check_currency(operation, values)
        self._set_customer(values)

    @staticmethod
    def _set_customer(values: Row) -> None:
        """The read-only accountid and contactid repeat the polymorphic customer."""
        if "_customerid_value" in values:
            kind = values.get("@customerid")
            values["_accountid_value"] = values["_customerid_value"] if kind == "account" else None
            values["_contactid_value"] = values["_customerid_value"] if kind == "contact" else None

    def _complete_line(self, operation: Operation, entity: Entity, values: Row) -> None:
        document = LINES[entity.name]
        header = operation.row(document.name, values.get(document.lookup))
        if header is None:
            raise errors.required_missing(entity.name, document.lookup.removeprefix("_").removesuffix("_value"))
        states.check_line(entity, header, administrator=self._administrator(operation.user))
        if values.get("_productid_value") is not None and values.get("productdescription"):
            if values.get("isproductoverridden"):
                raise errors.invalid_argument(
                    "You cannot set both 'productid' and 'productdescription' for the same record."
                )
        values["_transactioncurrencyid_value"] = header.get("_transactioncurrencyid_value")
        for name in ("_ownerid_value", "@ownerid", "_owninguser_value", "_owningbusinessunit_value"):
            if name in header:
                values[name] = header[name]
        product = operation.row("product", values.get("_productid_value")) or {}
        shown = product.get("name") or values.get("productdescription")
        for column in ("productname", f"{entity.name}name"):
            if column in entity.columns:
                values[column] = shown
        if "productnumber" in entity.columns:
            values["productnumber"] = product.get("productnumber")
        values[document.line_state] = header["statecode"]
        self._number_line(operation, entity, header, values)

    @staticmethod
    def _number_line(operation: Operation, entity: Entity, header: Row, values: Row) -> None:
        """The next line and sequence number where none was sent; the header remembers the last ones (`@numbers`)."""
        document = LINES[entity.name]
        columns = ("lineitemnumber", "sequencenumber")
        header_id = values[document.lookup]
        last = header.get("@numbers")
        if last is None:
            siblings = operation.rows(entity.name).find(**{document.lookup: header_id})
            last = tuple(max((row.get(column) or 0 for row in siblings), default=0) for column in columns)
        for column, number in zip(columns, last, strict=True):
            if values.get(column) is None:
                values[column] = number + 1
        now = tuple(max(number, values[column]) for column, number in zip(columns, last, strict=True))
        operation.rows(document.name).update((header_id,), {"@numbers": now})

    @staticmethod
    def _forget_numbers(operation: Operation, document: Document, header_id: Any) -> None:
        header = operation.row(document.name, header_id)
        if header is not None and header.get("@numbers") is not None:
            operation.rows(document.name).update((header_id,), {"@numbers": None})

    def _follow(self, operation: Operation, entity: Entity, row: Row, changes: Row) -> None:
        """What must change with what the caller changed: the owner's unit, the customer, names, base amounts."""
        if "_ownerid_value" in changes:
            changes.update(self._owner(operation, changes["_ownerid_value"]))
        if "_customerid_value" in changes:
            self._set_customer(changes)
        merged = {**row, **changes}
        if entity.name in DOCUMENTS:
            check_currency(operation, merged)
        if {"firstname", "lastname"} & changes.keys():
            names = [part for part in (merged.get("firstname"), merged.get("lastname")) if part]
            changes["fullname"] = " ".join(names) or None
        rate = merged.get("exchangerate")
        for name in list(changes):
            column = entity.by_stored.get(name)
            twin = entity.columns.get(f"{name}_base")
            if column is not None and column.type == "Money" and twin is not None:
                value = changes[name]
                changes[twin.name] = None if value is None else store(entity, twin, value / (rate or Decimal(1)))

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
                cls._forget_numbers(operation, document, after[document.lookup])
            cls._touch_new(operation, entity, after)

    @classmethod
    def _touch_without(cls, operation: Operation, entity: Entity, row: Row) -> None:
        """A line leaves its document."""
        document = LINES[entity.name]
        touched = operation.touch(document.name, row[document.lookup])
        touched.lines.pop(row[entity.key], None)
        if row.get("@counted") is not None:
            touched.removed.append(row["@counted"])
        cls._forget_numbers(operation, document, row[document.lookup])

    @staticmethod
    def _header_of(operation: Operation, entity: Entity, row: Row) -> Row | None:
        document = LINES[entity.name]
        return operation.row(document.name, row.get(document.lookup))

    def _next_number(self, prefix: str, row_id: str) -> str:
        self._numbers += 1
        return f"{prefix}-{1000 + self._numbers:05d}-{row_id[:6].upper()}"
