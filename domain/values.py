"""What policy files write: exact numbers, percentages, legal entities and currencies, checked as they are read."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from domain.money import minor_digits

_LARGEST = Decimal(10) ** 15
_MOST_DECIMALS = 10


def _exact(value: object) -> object:
    if isinstance(value, bool | float):
        raise ValueError(f"{value} would be inexact: write the number in quotes or without an exponent")
    return value


def _bounded(value: Decimal) -> Decimal:
    if not value.is_finite() or value.copy_abs() >= _LARGEST or int(value.as_tuple().exponent) < -_MOST_DECIMALS:
        raise ValueError(f"must have at most 15 digits before the decimal point and {_MOST_DECIMALS} after it")
    return value


def _company(value: str) -> str:
    if value != value.lower() or not value.isalnum() or len(value) > 4:
        raise ValueError(f"{value!r} is not a legal entity id in lower case, e.g. usmf")
    return value


def _currency(value: str) -> str:
    minor_digits(value)
    return value


def _day(value: object) -> object:
    if isinstance(value, date):
        return value
    try:
        if isinstance(value, str):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"{value!r} is not a date, e.g. 2026-11-26")


Number = Annotated[Decimal, BeforeValidator(_exact), AfterValidator(_bounded)]
Percent = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=100), AfterValidator(_bounded)]
Company = Annotated[str, AfterValidator(_company)]
Currency = Annotated[str, AfterValidator(_currency)]
Day = Annotated[date, BeforeValidator(_day)]
