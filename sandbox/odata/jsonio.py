"""JSON in and out with exact numbers.

Money must not pass through binary floating point: numbers with a fraction are read as Decimal, and a Decimal is
written digit by digit as a JSON number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


class BadJson(ValueError):
    """The text is not JSON."""


def encode(value: Any) -> bytes:
    """JSON bytes of plain Python values; a Decimal becomes a JSON number with all its digits."""
    return _ENCODER.encode(value)


ROWS_AT_ONCE: Final = 100
"""Rows that are written before others are answered: a few milliseconds of work."""


class Pieces:
    """A page of very many rows, written piece by piece."""

    def __init__(self, first: bytes, rows: Sequence[Any], present: Callable[[Any], Any], last: bytes) -> None:
        """The JSON `first`, the rows that follow it, each as `present` shows it, and the JSON `last`."""
        self._first = first
        self._rows = rows
        self._present = present
        self._last = last

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        for start in range(0, len(self._rows), ROWS_AT_ONCE):
            yield b"," + encode([self._present(row) for row in self._rows[start : start + ROWS_AT_ONCE]])[1:-1]
        yield self._last

    def __bytes__(self) -> bytes:
        return b"".join(self)


Body = bytes | Pieces


def collection(
    head: Mapping[str, Any], rows: Sequence[Any], present: Callable[[Any], Any], tail: Mapping[str, Any]
) -> Body:
    """An object with rows under `value`.

    Args:
        head: What stands before them.
        rows: The rows; the first of them are presented now, so that what is wrong with the question is seen now.
        present: Shows one.
        tail: What stands after them.
    """
    first = encode({**head, "value": [present(row) for row in rows[:ROWS_AT_ONCE]]})
    last = encode({"": None, **tail})[len(b'{"":null') :]
    if len(rows) <= ROWS_AT_ONCE:
        return first[:-1] + last
    return Pieces(first[: -len(b"]}")], rows[ROWS_AT_ONCE:], present, b"]" + last)


async def whole(body: Body) -> bytes:
    """All of a body; others are answered while a long one is written, as by a server of more than one thread."""
    if isinstance(body, bytes):
        return body
    pieces = []
    for piece in body:
        pieces.append(piece)
        await asyncio.sleep(0)
    return b"".join(pieces)


def decode(body: bytes | str) -> Any:
    """Plain Python values of JSON text; every number that is not an integer is a Decimal.

    Raises:
        BadJson: Not valid JSON.
    """
    try:
        return _DECODER.decode(body)
    except msgspec.DecodeError as problem:
        raise BadJson(str(problem)) from problem
