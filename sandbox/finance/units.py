"""Unit conversions: quantities and prices from one unit of measure to another.

A conversion is set up once for a pair and works both ways; pairs are not chained.
Source: Microsoft Learn, "Manage units of measure" (unit conversions).
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from sandbox.finance.amounts import WIDE
from sandbox.finance.books import Books


def factor(books: Books, source: str, target: str) -> Decimal | None:
    """How many of `target` one of `source` is; None where no conversion is set up."""
    if source.lower() == target.lower():
        return Decimal(1)
    with localcontext(WIDE):
        direct = books.get("UnitOfMeasureConversions", source, target)
        if direct is not None:
            found: Decimal = direct["Factor"]
            return found
        opposite = books.get("UnitOfMeasureConversions", target, source)
        return None if opposite is None else 1 / opposite["Factor"]


def convert(books: Books, value: Decimal, source: str, target: str, *, price: bool = False) -> Decimal:
    """A quantity (or, with `price`, a price per unit) of one unit in another; unchanged where none is set up."""
    found = factor(books, source, target) if source and target else None
    if found is None:
        return value
    return value / found if price else value * found
