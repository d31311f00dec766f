"""How a value is written down in a page: as text, the same on both sides for the same value."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from domain.money import plain

KEY: Final = "k"
"""Columns of a page: parts of the key."""
VALUE: Final = "v"
"""Columns of a page: fields, by their place in the map."""
ROW_ID: Final = "id"
"""Column of a page of Sales: the id of the row."""


def text_of(value: Any) -> str | None:
    """A decoded value as text; a number by its digits, without noughts at its end."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal | int):
        return plain(Decimal(value))
    return str(value)
