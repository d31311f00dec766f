"""The forms in which values of both systems are held against each other, and how one is told in the other's words.

The same rules as a comparison's in bulk (``cleansing.normal``, ``activities.comparison_sql``), which are SQL; a test
holds both against each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from pydantic import Field

from domain.entities.checks_of_maps import is_credit, is_price
from domain.entities.comparing import ComparedField
from domain.entities.model import DIRECTIONS, DataMap, FieldMap, Normal, SideName
from domain.money import UnknownCurrency, in_steps, minor_digits, plain

_PLUS: Final = re.compile(r"^\+")
_NO_DIGIT: Final = re.compile(r"[^0-9]")
_SCHEME: Final = re.compile(r"^[a-z]+://(www\.)?")
_NO_VAT: Final = re.compile(r"[^A-Z0-9]")


class SyncedField(ComparedField):
    """A field as a sync keeps it.

    Attributes:
        to: sides it may be written to: what the map's direction allows, and never a price or credit in Finance.
        lengths: characters that a side holds, where that is known.
        longer: what becomes of a text that does not fit.
        required: a record without it is not taken over.
    """

    to: frozenset[SideName]
    lengths: dict[SideName, int] = Field({})
    longer: str = ""
    required: bool = False

    @classmethod
    def synced(cls, data: DataMap, name: str, field: FieldMap, lengths: Mapping[str, int]) -> SyncedField:
        """A field of a map; ``lengths``: characters that columns of Sales hold."""
        assert field.sales is not None
        sales_length = lengths.get(field.sales)
        held: dict[SideName, int | None] = {"finance": field.finance_length, "sales": sales_length}
        return cls(
            **ComparedField.of(name, field, lengths).model_dump(),
            to=writable(data, field),
            lengths={side: length for side, length in held.items() if length is not None},
            longer=field.longer or "",
            required=field.required,
        )


def writable(data: DataMap, field: FieldMap) -> frozenset[SideName]:
    """Sides to which a field may ever be written, whoever says so: prices and credit are made in Finance alone."""
    sides: set[SideName] = {side for side in ("finance", "sales") if side in DIRECTIONS[data.direction]}
    if is_price(data, field) or is_credit(field):
        sides.discard("finance")
    if "." in (field.sales or ""):
        sides.discard("sales")  # a column of the row that a lookup leads to
    return frozenset(sides)


def form_of(value: str, normal: Normal | None) -> str:
    """A value in the form in which it is compared; an empty text and none are the same."""
    match normal:
        case None:
            return value
        case "trim":
            return value.strip(" ")
        case "upper" | "iso_country":
            return _upper(value.strip(" "))
        case "lower" | "email":
            return value.strip(" ").lower()
        case "e164":
            return _NO_DIGIT.sub("", _PLUS.sub("00", value.strip(" ")))
        case "url":
            return _SCHEME.sub("", value.strip(" ").lower()).rstrip("/")
        case "vat":
            return _NO_VAT.sub("", _upper(value))
        case "day":
            return value[:10].replace("1900-01-01", "")


def _upper(value: str) -> str:
    """In capitals, sign by sign: a sign that becomes two stays, as it does in SQL."""
    return "".join(sign if len(sign.upper()) > 1 else sign.upper() for sign in value)


def number_of(value: str) -> Decimal | None:
    """A text as a number; Finance has no empty number and says 0. None: it is none."""
    if not value.strip():
        return Decimal(0)
    try:
        found = Decimal(value.strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def is_same(field: SyncedField, finance: str, sales: str, currency: str) -> bool:
    """Whether the values of both sides are the same: translated, in their form, within what both sides keep."""
    if field.number:
        a, b = number_of(finance), number_of(sales)
        if a is None or b is None:
            return finance == sales
        step = step_of(field, currency)
        return abs(a - b) <= field.tolerance or (step is not None and abs(a - b) < step)
    if field.values is not None:
        told = field.values.get(finance.strip(" "), "") if finance.strip(" ") else ""
        return (bool(told) or not finance.strip(" ")) and form_of(told, field.normal) == form_of(sales, field.normal)
    shown = finance if field.cut_at is None else finance[: field.cut_at]
    return form_of(shown, field.normal) == form_of(sales, field.normal)


def step_of(field: SyncedField, currency: str) -> Decimal | None:
    """The smallest amount both sides keep; None: the map does not say."""
    if field.decimals is None:
        return None
    return Decimal(1).scaleb(-digits_of(field, currency))


def digits_of(field: SyncedField, currency: str) -> int:
    """Decimals that both sides keep."""
    if isinstance(field.decimals, int):
        return field.decimals
    try:
        return minor_digits(currency.strip().upper())
    except UnknownCurrency:
        return 2


class CannotTell(Exception):
    """A value cannot be told in the other side's words; the text says why."""


class NotListed(CannotTell):
    """The map does not list the value."""


class TooLong(CannotTell):
    """It is longer than the other side holds."""


def told(field: SyncedField, value: str, to: SideName, currency: str) -> str:
    """A value of one side in the words of the other, which is to have it.

    Raises:
        NotListed: the map knows no counterpart.
        TooLong: it does not fit, and the map does not say to cut it.
        CannotTell: a number was asked for.
    """
    if field.number:
        number = number_of(value)
        if number is None:
            raise CannotTell(f"{value[:100]!r} is no number")
        step = step_of(field, currency)
        return plain(number if step is None else in_steps(number, step))
    if field.values is not None:
        return _translated(field, value, to)
    text = value.strip(" ") if field.normal else value
    length = field.lengths.get(to)
    if length is not None and len(text) > length:
        if field.longer != "cut":
            side = to.title()
            raise TooLong(f"{len(text)} characters, and {side} holds {length}")
        text = text[:length]
    return text


def _translated(field: SyncedField, value: str, to: SideName) -> str:
    assert field.values is not None
    if not value.strip(" "):
        return ""
    if to == "sales":
        found = field.values.get(value.strip(" "))
    else:
        wanted = form_of(value, field.normal)
        found = next((f for f, s in field.values.items() if form_of(s, field.normal) == wanted), None)
    if found is None:
        raise NotListed(f"the map lists no counterpart of {value[:100]!r}")
    return found
