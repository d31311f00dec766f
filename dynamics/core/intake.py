"""The border of what Dynamics reports: bounded models, one way to say what is wrong, and no other way to fail.

Whoever can reach the intake can send anything. A model read here holds text of a stated length, numbers of a stated
size and moments with a time zone; everything else is `Malformed`, which names the field. Nothing here opens a
connection, so that the web application may load it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from dynamics.core import exact_json
from dynamics.core.json_dates import parse_json_date

MAX_BODY_BYTES = 1024 * 1024
"""Dataverse drops images from a context above 256 KB, and a business event is smaller than that."""


class Malformed(ValueError):
    """A body that is not what it should be; `field` names the first thing that is wrong with it."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field


def json_object(raw: bytes) -> dict[str, Any]:
    """A posted body as a JSON object; numbers with a fraction or an exponent are `Decimal`, as written.

    Raises:
        Malformed: it is longer than 1 MiB, no JSON, nested too deeply, or not an object.
    """
    body = _json(raw)
    if not isinstance(body, dict):
        raise Malformed("body", "not a JSON object")
    return body


def json_objects(raw: bytes, most: int) -> list[dict[str, Any]]:
    """A posted body that is a JSON object, or an array of ``most`` of them at most and of one at least.

    Raises:
        Malformed: as ``json_object``, or it is no such array.
    """
    body = _json(raw)
    objects = body if isinstance(body, list) else [body]
    if not 0 < len(objects) <= most or not all(isinstance(each, dict) for each in objects):
        raise Malformed("body", f"neither a JSON object nor an array of 1 to {most:,} of them")
    return objects


def _json(raw: bytes) -> Any:
    if len(raw) > MAX_BODY_BYTES:
        raise Malformed("body", f"{len(raw):,} bytes, at most {MAX_BODY_BYTES:,} are taken")
    try:
        return exact_json.loads(raw)
    except RecursionError as error:
        raise Malformed("body", "nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation) as error:
        raise Malformed("body", "not JSON") from error


class Reported(BaseModel):
    """Something a system reports. Frozen; what a model does not name is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """Validate a decoded body.

        Raises:
            Malformed: the first field that is missing, of the wrong type or out of bounds.
        """
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            raise Malformed(_field(first["loc"]), first["msg"]) from error


def _field(path: Sequence[int | str]) -> str:
    """`("Lines", 0, "Quantity")` as `Lines[0].Quantity`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".") or "body"


def _no_float(value: object) -> object:
    if isinstance(value, float | bool):
        raise ValueError("a number is required")
    return value


def _moment(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("not a date of the form /Date(…)/")
    return parse_json_date(value)


def _one_line(value: str) -> str:
    """A text without control characters or halves of characters: it goes into ids, logs and addresses."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ValueError("holds control characters")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("is blank")
    return value


OptionalName = Annotated[str, StringConstraints(max_length=100), AfterValidator(_one_line)]
"""An account, a document number, a class, or empty: one line of at most 100 characters, the most either system has."""

Name = Annotated[OptionalName, AfterValidator(_not_blank)]
"""The same, never blank."""

Amount = Annotated[Decimal, BeforeValidator(_no_float), Field(max_digits=32, decimal_places=16, allow_inf_nan=False)]
"""Money or a quantity. Finance stores 32 digits, 16 of them decimals."""

_WHOLE: TypeAdapter[Decimal] = TypeAdapter(
    Annotated[Decimal, Field(max_digits=19, decimal_places=0, ge=-(2**63), lt=2**63, allow_inf_nan=False)]
)


def _whole(value: object) -> object:
    """Bounded as a decimal before it becomes an int: to write out 1e4000000 would take minutes."""
    try:
        return int(_WHOLE.validate_python(_no_float(value)))
    except ValidationError as error:
        raise ValueError("a whole number of at most 19 digits is required") from error


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number of 64 bits."""

JsonDate = Annotated[datetime, BeforeValidator(_moment)]
"""A moment, UTC, of the form `/Date(milliseconds)/`."""
