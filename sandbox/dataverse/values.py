"""Values as callers send them, as rows store them, and as people read them.

Rows store text for GUIDs (lower case), dates (`2026-11-30`) and moments (`2026-11-23T14:00:00Z`, always UTC, whole
seconds as the platform keeps them), so that they compare as they sort and go out as they are. Numbers with decimals are
Decimal: four decimals for money, ten for other numbers, as Dataverse writes them.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from sandbox.dataverse import errors
from sandbox.dataverse.schema import EDM_TYPES, LARGEST, Column, Entity
from sandbox.odata.tokens import FilterError, Literal

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_MONEY_STEP: Final = Decimal("0.0001")
_NUMBER_STEP: Final = Decimal("0.0000000001")
_INT32: Final = range(-(2**31), 2**31)
_EARLIEST: Final = datetime(1753, 1, 1, tzinfo=UTC)


def is_guid(text: Any) -> bool:
    """Whether it is the text of a GUID."""
    return isinstance(text, str) and _GUID.fullmatch(text) is not None


def to_moment(value: datetime) -> str:
    """A time-zone aware moment as rows store it: UTC, whole seconds, with `Z`."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def money(value: Decimal) -> Decimal:
    """An amount as rows store it, with four decimals."""
    return value.quantize(_MONEY_STEP, ROUND_HALF_UP)


def store(entity: Entity, column: Column, value: Any) -> Any:
    """The stored form of a value a caller sent for a column that is not a lookup.

    Raises:
        DataverseError: Wrong type, text too long, option unknown, number out of range.
    """
    if value is None:
        return None
    if column.type in ("String", "Memo"):
        return _text(entity, column, value)
    if column.is_choice:
        return _option(entity, column, value)
    if column.type in ("Integer", "BigInt"):
        if not isinstance(value, int) or isinstance(value, bool) or (column.type == "Integer" and value not in _INT32):
            raise _unconvertible(entity, column, value)
        return _in_range(entity, column, value)
    if column.type in ("Decimal", "Double", "Money"):
        return _number(entity, column, value)
    if column.type == "Boolean":
        if not isinstance(value, bool):
            raise _unconvertible(entity, column, value)
        return value
    if column.type == "Guid":
        if not is_guid(value):
            raise _unconvertible(entity, column, value)
        return str(value).lower()
    return _point_in_time(entity, column, value)


def _text(entity: Entity, column: Column, value: Any) -> str:
    if not isinstance(value, str):
        raise _unconvertible(entity, column, value)
    if column.max_length is not None and len(value) > column.max_length:
        raise errors.text_too_long(entity.name, column.name, column.max_length)
    return value


def _option(entity: Entity, column: Column, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _unconvertible(entity, column, value)
    if column.options and value not in column.options:
        raise errors.option_out_of_range(entity.name, column.name, value, sorted(column.options))
    return value


def _number(entity: Entity, column: Column, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise _unconvertible(entity, column, value)
    number = Decimal(value)
    if abs(number) > LARGEST:
        raise errors.number_out_of_range(entity.name, column.name)
    _in_range(entity, column, number)
    return number.quantize(_step_of(column), ROUND_HALF_UP)


def _step_of(column: Column) -> Decimal:
    """The smallest difference a number keeps: a decimal column of a solution has the precision it was given."""
    if column.type == "Money":
        return _MONEY_STEP
    return Decimal(1).scaleb(-column.precision) if column.custom and column.precision is not None else _NUMBER_STEP


def _in_range(entity: Entity, column: Column, number: Any) -> Any:
    low, high = column.minimum, column.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise errors.number_out_of_range(entity.name, column.name)
    return number


def _point_in_time(entity: Entity, column: Column, value: Any) -> str:
    if isinstance(value, datetime):
        return to_moment(value)
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        raise _unconvertible(entity, column, value)
    try:
        if column.type == "DateOnly":
            date.fromisoformat(value)
        return _moment_of(column, value)
    except (ValueError, OverflowError) as problem:
        raise _unconvertible(entity, column, value) from problem


def _moment_of(column: Column, text: str) -> str:
    """The stored form of a moment or a day.

    Raises:
        DataverseError: It is before 1753.
        ValueError: It is none.
        OverflowError: It is none in UTC.
    """
    given = datetime.fromisoformat(text)
    moment = given if given.tzinfo else given.replace(tzinfo=UTC)
    if moment < _EARLIEST:
        raise errors.moment_too_early(given)
    return moment.date().isoformat() if column.type == "DateOnly" else to_moment(moment)


def _unconvertible(entity: Entity, column: Column, value: Any) -> errors.DataverseError:
    edm = EDM_TYPES[column.type]
    return errors.bad_payload(
        entity.entity_set,
        f"Cannot convert the literal '{value}' to the expected type '{edm}' of the property '{column.name}'.",
    )


def from_literal(column: Column, literal: Literal) -> Any:
    """The stored form of a constant in a filter or key, to compare with a column.

    Raises:
        FilterError: The constant is of another type.
        DataverseError: It is a moment before 1753.
    """
    value = literal.value
    if literal.kind == "null":
        return None
    if column.type in ("Guid", "Lookup"):
        if literal.kind in ("guid", "string") and is_guid(value):
            return str(value).lower()
    elif column.type in ("String", "Memo"):
        if literal.kind == "string":
            return value
    elif column.type == "Boolean":
        if literal.kind == "bool":
            return value
    elif column.is_choice or column.type in ("Integer", "BigInt"):
        if isinstance(value, int) and literal.kind == "number":
            return value
        if literal.kind == "string" and re.fullmatch(r"-?\d+", value):
            return int(value)
    elif column.type in ("Decimal", "Double", "Money"):
        if literal.kind in ("number", "string"):
            try:
                return Decimal(value)
            except InvalidOperation as problem:
                raise _mismatch(column, literal) from problem
    elif literal.kind in ("date", "datetime", "string"):
        return _moment_literal(column, literal)
    raise _mismatch(column, literal)


def _moment_literal(column: Column, literal: Literal) -> str:
    try:
        return _moment_of(column, literal.value)
    except (ValueError, OverflowError) as problem:
        raise _mismatch(column, literal) from problem


def from_text(column: Column, text: str) -> Any:
    """The stored form of a value written as text, as FetchXML writes all values.

    Raises:
        DataverseError: The text is no value of the column.
    """
    try:
        if column.type == "Boolean":
            return {"1": True, "true": True, "0": False, "false": False}[text.strip().lower()]
        if column.is_choice or column.type in ("Integer", "BigInt"):
            return int(text)
        return from_literal(column, Literal("string", text.strip("{}") if column.type in ("Guid", "Lookup") else text))
    except (FilterError, ValueError, KeyError) as problem:
        raise errors.bad_query(f"The value '{text}' does not fit the column '{column.name}'.") from problem


def _mismatch(column: Column, literal: Literal) -> FilterError:
    edm = EDM_TYPES[column.type]
    return FilterError(
        f"A binary operator with incompatible types was detected. Found operand types '{edm}' and '{literal.kind}'"
        f" for '{column.stored}'."
    )


def shown(column: Column, value: Any, currency_symbol: str = "", currency_decimals: int = 2) -> str | None:
    """The formatted value of a column, as the annotation gives it (en-US), None where there is none."""
    if value is None:
        return None
    if column.is_choice:
        return column.options.get(value)
    if column.type == "Boolean":
        return "Yes" if value else "No"
    if column.type == "Money":
        return f"{currency_symbol}{value:,.{currency_decimals}f}"
    if column.type in ("Decimal", "Double"):
        return f"{value:,.2f}"
    if column.type == "Integer":
        return f"{value:,}"
    if column.type == "DateTime":
        moment = datetime.fromisoformat(value)
        return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M %p}"
    if column.type == "DateOnly":
        day = date.fromisoformat(value)
        return f"{day.month}/{day.day}/{day.year}"
    return None
