"""Minor units of currencies, by the table that ISO 4217's maintenance agency publishes (package `iso4217`)."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Final

from iso4217 import Currency

_USUAL: Final = 2
"""Decimals of a code that is no currency, or has no minor unit (gold, a unit of account)."""


@cache
def decimals(code: str) -> int:
    """Decimals of a currency's minor unit: JPY 0, USD 2, KWD 3, CLF 4."""
    try:
        exponent = Currency(code).exponent
    except ValueError:
        return _USUAL
    return _USUAL if exponent is None else exponent


@cache
def minor_unit(code: str) -> Decimal:
    """The smallest amount of a currency: 1 JPY, 0.01 USD."""
    return Decimal(1).scaleb(-decimals(code))
