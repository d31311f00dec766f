"""JSON whose numbers never pass through binary floating point.

Money, quantities and percentages are `Decimal` from the wire to the rules and back: a JSON number with a fraction or
an exponent is read as `Decimal` from its digits, and a `Decimal` is written as exactly its digits.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


def dumps(value: Any) -> bytes:
    """Encode plain data; a `Decimal` becomes a JSON number with its own digits, a `UUID` or date a string.

    Raises:
        TypeError: when the value holds a binary float, which has no place in a request of ours.
    """
    _refuse_floats(value)
    return _encoder.encode(value)


def loads(raw: bytes) -> Any:
    """Decode to plain data; numbers are `int` or `Decimal`, never `float`.

    Raises:
        msgspec.DecodeError: when `raw` is not JSON.
    """
    return _decoder.decode(raw)


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("binary float in a request body: use Decimal")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)
