"""What the platform adds to a row that is written: defaults, stamps, owners, numbers, currency, names.

(Microsoft Learn: table references of the tables named here; "Create a table row using the Web API".)
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.dataverse import errors, states
from sandbox.dataverse.operation import Operation
from sandbox.dataverse.populate import ROOT_UNIT
from sandbox.dataverse.pricing import DOCUMENTS, LINES, Document, check_currency, round_money
from sandbox.dataverse.schema import Entity
from sandbox.dataverse.security import Security
from sandbox.dataverse.steps import check_image
from sandbox.dataverse.values import store
from sandbox.store import Row

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
    "team": {"teamtype": 0, "isdefault": False, "membershiptype": 0},
    "role": {"ismanaged": False, "isinherited": 1},
    "solution": {"ismanaged": False, "isvisible": True},
    "publisher": {"isreadonly": False},
    "sdkmessageprocessingstep": {"supporteddeployment": 0, "invocationsource": 0, "asyncautodelete": False},
}


def fill_defaults(entity: Entity, values: Row) -> None:
    """Put in the values a new row has where none was sent."""
    for name, default in _DEFAULTS.get(entity.name, {}).items():
        if values.get(name) is None:
            values[name] = default
    for column in entity.columns.values():
        if column.default is not None and values.get(column.stored) is None:
            values[column.stored] = column.default


class Completer:
    """Completes rows for one environment."""

    def __init__(self, base_currency: Callable[[], str | None], security: Security) -> None:
        """Set what the environment knows.

        Args:
            base_currency: The id of the organization's currency, once it exists.
            security: Who is an administrator.
        """
        self._base_currency = base_currency
        self._security = security
        self._numbers = 0

    def stamp(self, operation: Operation, entity: Entity, values: Row) -> None:
        """Say who created a row and when, and whose it is."""
        stamps: Row = {
            "createdon": values.get("overriddencreatedon") or operation.now,
            "modifiedon": operation.now,
            "_createdby_value": operation.user_id,
            "_modifiedby_value": operation.user_id,
        }
        if "ownerid" in entity.columns and entity.name not in LINES:
            stamps.update(self._owner(operation, values.get("_ownerid_value"), values.get("@ownerid")))
        values.update({name: value for name, value in stamps.items() if name in entity.by_stored or name[0] == "@"})
        values["versionnumber"] = operation.db.version + 1

    @staticmethod
    def _owner(operation: Operation, owner_id: str | None, kind: str | None) -> Row:
        """The columns that follow from an owner: a user or a team, the caller where none is named."""
        if owner_id is None:
            owner_id, kind = operation.user_id, "systemuser"
        is_team = kind == "team"
        owner = operation.row("team" if is_team else "systemuser", owner_id) or operation.user
        return {
            "_ownerid_value": owner_id,
            "@ownerid": "team" if is_team else "systemuser",
            "_owninguser_value": None if is_team else owner_id,
            "_owningteam_value": owner_id if is_team else None,
            "_owningbusinessunit_value": owner.get("_businessunitid_value"),
        }

    def complete(self, operation: Operation, entity: Entity, values: Row) -> None:
        """Fill in what the platform derives on create: numbers, currency, names, what a line takes from its header."""
        if entity.name in DOCUMENTS:
            self._complete_document(operation, entity, values)
        elif entity.name in LINES:
            self._complete_line(operation, entity, values)
        elif entity.name in _SYSTEM_COMPLETIONS:
            _SYSTEM_COMPLETIONS[entity.name](operation, values)
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
        round_money(operation, entity, values, values)
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
        states.check_line(entity, header, administrator=self._security.is_administrator(operation.user))
        if values.get("_productid_value") is not None and values.get("productdescription"):
            if values.get("isproductoverridden"):
                raise errors.invalid_argument(
                    "You cannot set both 'productid' and 'productdescription' for the same record."
                )
        values["_transactioncurrencyid_value"] = header.get("_transactioncurrencyid_value")
        for name in (
            "_ownerid_value",
            "@ownerid",
            "_owninguser_value",
            "_owningteam_value",
            "_owningbusinessunit_value",
        ):
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

    def follow(self, operation: Operation, entity: Entity, row: Row, changes: Row) -> None:
        """What must change with what the caller changed: the owner's unit, the customer, names, base amounts."""
        if "_ownerid_value" in changes:
            changes.update(self._owner(operation, changes["_ownerid_value"], changes.get("@ownerid")))
        if "_customerid_value" in changes:
            self._set_customer(changes)
        merged = {**row, **changes}
        if entity.name == "serviceendpoint":
            _complete_endpoint(operation, merged)
            changes["isauthvalueset"] = merged["isauthvalueset"]
        if entity.name in DOCUMENTS:
            check_currency(operation, merged)
        if {"firstname", "lastname"} & changes.keys():
            names = [part for part in (merged.get("firstname"), merged.get("lastname")) if part]
            changes["fullname"] = " ".join(names) or None
        round_money(operation, entity, merged, changes)
        rate = merged.get("exchangerate")
        for name in list(changes):
            column = entity.by_stored.get(name)
            twin = entity.columns.get(f"{name}_base")
            if column is not None and column.type == "Money" and twin is not None:
                value = changes[name]
                changes[twin.name] = None if value is None else store(entity, twin, value / (rate or Decimal(1)))

    def _next_number(self, prefix: str, row_id: str) -> str:
        self._numbers += 1
        return f"{prefix}-{1000 + self._numbers:05d}-{row_id[:6].upper()}"


def forget_numbers(operation: Operation, document: Document, header_id: Any) -> None:
    """Lines were renumbered or taken away: the next number is looked up again."""
    header = operation.row(document.name, header_id)
    if header is not None and header.get("@numbers") is not None:
        operation.rows(document.name).update((header_id,), {"@numbers": None})


def _complete_role(operation: Operation, values: Row) -> None:
    values["_parentrootroleid_value"] = values["roleid"]


def _complete_solution(operation: Operation, values: Row) -> None:
    values["installedon"] = operation.now


def _complete_endpoint(operation: Operation, values: Row) -> None:
    values["isauthvalueset"] = bool(values.get("authvalue"))


def _complete_unit(operation: Operation, values: Row) -> None:
    """Every business unit is below another one, but for the root."""
    if values.get("_parentbusinessunitid_value") is None:
        values["_parentbusinessunitid_value"] = ROOT_UNIT


def _complete_team(operation: Operation, values: Row) -> None:
    values.setdefault("_businessunitid_value", operation.user.get("_businessunitid_value"))


def _complete_note(operation: Operation, values: Row) -> None:
    """A note with a file is a document; its body is base64, its size that of the file itself.

    (Microsoft Learn: "Use file data with Attachment and Note records".)
    """
    body = values.get("documentbody")
    try:
        values["filesize"] = len(base64.b64decode(body, validate=True)) if body else None
    except ValueError as error:
        raise errors.invalid_argument("'documentbody' must be a base64-encoded string.") from error
    values["isdocument"] = bool(body)
    values["objecttypecode"] = values.get("@objectid")


def _complete_image(operation: Operation, values: Row) -> None:
    """Refuse an image on a message that has none."""
    step = operation.row("sdkmessageprocessingstep", values.get("_sdkmessageprocessingstepid_value")) or {}
    message = operation.row("sdkmessage", step.get("_sdkmessageid_value"))
    refusal = None if message is None else check_image(message["name"], values.get("imagetype") or 0)
    if refusal is not None:
        raise errors.image_not_supported(refusal)


_SYSTEM_COMPLETIONS: Final[Mapping[str, Callable[[Operation, Row], None]]] = {
    "annotation": _complete_note,
    "businessunit": _complete_unit,
    "role": _complete_role,
    "solution": _complete_solution,
    "serviceendpoint": _complete_endpoint,
    "team": _complete_team,
    "sdkmessageprocessingstepimage": _complete_image,
}
