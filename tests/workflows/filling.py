"""Values of which nothing is left as it begins: what is not handed on shows."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from pydantic import AwareDatetime, BaseModel

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
R = TypeVar("R", bound=BaseModel)

_PLAIN: dict[Any, Any] = {
    str: "x",
    int: 1,
    float: 1.0,
    bool: True,
    Decimal: Decimal(1),
    datetime: AT,
    AwareDatetime: AT,
    date: AT.date(),
    time: AT.time(),
    timedelta: timedelta(hours=1),
    UUID: UUID(int=1),
    Any: "x",
    object: "x",
}


def full(kind: type[R], **given: Any) -> R:
    """A record in which every field holds something; it is not validated.

    Args:
        kind: of record.
        given: fields that hold something chosen.
    """
    content = {
        name: _other_than(field.default, field.annotation, (kind,))
        for name, field in kind.model_fields.items()
        if name not in given
    }
    return kind.model_construct(**content, **given)


def _other_than(default: Any, annotation: Any, within: tuple[Any, ...]) -> Any:
    """A value that is not the default; where a record holds itself, the default."""
    if annotation is bool:
        return default is not True
    if get_origin(annotation) is Literal:
        values = get_args(annotation)
        return next((value for value in reversed(values) if value != default), values[0])
    return _value(annotation, within)


def _value(annotation: Any, within: tuple[Any, ...]) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _value(arguments[0], within)
    if origin in (Union, types.UnionType):
        return _value(next(each for each in arguments if each is not types.NoneType), within)
    if origin is Literal:
        return arguments[-1]
    if origin is tuple:
        members = arguments[:-1] if arguments[-1] is Ellipsis else arguments
        return () if set(members) & set(within) else tuple(_value(each, within) for each in members)
    if origin in (list, set, frozenset):
        return origin([_value(arguments[0], within)])
    if origin is not None:
        return {_value(arguments[0], within): _value(arguments[1], within)}
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if issubclass(annotation, Enum):
        return list(annotation)[-1]
    if is_dataclass(annotation):
        return _made(annotation, within)
    if annotation in within:
        return None
    return annotation.model_construct(
        **{
            name: _other_than(field.default, field.annotation, (*within, annotation))
            for name, field in annotation.model_fields.items()
        }
    )


def _made(kind: Any, within: tuple[Any, ...]) -> Any:
    hints = get_type_hints(kind, include_extras=True)
    return kind(**{each.name: _value(hints[each.name], (*within, kind)) for each in fields(kind)})
