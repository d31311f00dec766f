"""JSON in and out with exact numbers.

Money must not pass through binary floating point: numbers with a fraction are read as Decimal, and a Decimal is
written digit by digit as a JSON number.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


class BadJson(ValueError):
    """The text is not JSON."""


def encode(value: Any) -> bytes:
    """JSON bytes of plain Python values; a Decimal becomes a JSON number with all its digits."""
    return _ENCODER.encode(value)


def decode(body: bytes | str) -> Any:
    """Plain Python values of JSON text; every number that is not an integer is a Decimal.

    Raises:
        BadJson: Not valid JSON.
    """
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError as problem:
        raise BadJson(str(problem)) from problem
