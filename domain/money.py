"""Money: minor units, rounding, comparing two systems' figures, and writing amounts for people.

One place rounds money. Finance is the calculator of record; what is computed here checks Finance's figures, tests
them against a policy, or splits a total so that its parts add up again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from decimal import (
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    InvalidOperation,
    Overflow,
    localcontext,
)
from functools import cache

from moneyed import CURRENCIES
from pydantic import Field

from domain.record import Record

_ARITHMETIC = Context(
    prec=34, rounding=ROUND_HALF_UP, traps=[DivisionByZero, FloatOperation, InvalidOperation, Overflow]
)

_NEWER = frozenset("XAD XCG ZWG".split())
"""Currencies of ISO 4217 since 2024 that py-moneyed 3.0 does not have yet; each has two decimals."""

_MOST_DECIMALS = 10
"""Decimals shown of an amount whose currency is not known."""


class UnknownCurrency(ValueError):
    """A code that is no ISO 4217 currency."""


def arithmetic() -> AbstractContextManager[Context]:
    """The context all rules compute in: 34 digits, half up, and an error instead of a silent float."""
    return localcontext(_ARITHMETIC)


@cache
def minor_digits(currency: str) -> int:
    """Decimals of a currency's minor unit: JPY 0, USD 2, KWD 3, CLF 4 (py-moneyed's ISO 4217 table).

    Raises:
        UnknownCurrency: the code is not in the table.
    """
    known = CURRENCIES.get(currency)
    if currency in _NEWER:
        return 2
    if known is None:
        raise UnknownCurrency(f"{currency!r} is not an ISO 4217 currency code, e.g. USD")
    return len(str(known.sub_unit)) - 1


def minor_unit(currency: str) -> Decimal:
    """The smallest amount of a currency: 0.01 for USD, 1 for JPY."""
    return Decimal(1).scaleb(-minor_digits(currency))


def round_money(amount: Decimal, currency: str) -> Decimal:
    """An amount at its currency's minor unit; ties go away from zero (2.345 USD is 2.35, -2.345 is -2.35).

    Source: Business Central's and Finance's ordinary rounding, "0.5 and above is rounded up".
    """
    with arithmetic():
        return amount.quantize(minor_unit(currency)) + 0  # + 0: never "-0.00"


def cut(number: Decimal, decimals: int) -> Decimal:
    """A number without what is beyond so many decimals: never more than it is, where it is not negative."""
    with arithmetic():
        return number.quantize(Decimal(1).scaleb(-decimals), ROUND_DOWN)


def is_money(amount: Decimal, currency: str) -> bool:
    """Whether an amount is finite and has no more decimals than its currency."""
    return amount.is_finite() and amount == round_money(amount, currency)


def same_money(a: Decimal, b: Decimal, currency: str, tolerance_units: int) -> bool:
    """Whether two amounts differ by at most so many minor units of the currency; the limit itself is the same."""
    with arithmetic():
        return abs(a - b) <= minor_unit(currency) * tolerance_units


def shown_decimals(amount: Decimal, currency: str) -> Decimal:
    """An amount with as many decimals as it is shown with: those of its currency, 1045.00 in USD, 1045 in JPY.

    Where the currency is not known, empty or no ISO code: two decimals, or as many as the amount has, ten at most.
    """
    try:
        return round_money(amount, currency)
    except UnknownCurrency:
        with arithmetic():
            return round(amount, max(2, min(decimals(amount), _MOST_DECIMALS)))


def format_amount(amount: Decimal, currency: str) -> str:
    """An amount for people, without its currency: ``1,045.00``, in JPY ``1,045`` (see ``shown_decimals``)."""
    return f"{shown_decimals(amount, currency):,f}"


def format_money(amount: Decimal, currency: str) -> str:
    """An amount for people: ``1,045.00 USD``, ``1,045 JPY``; without a currency the amount alone."""
    return f"{format_amount(amount, currency)} {currency}".rstrip()


def plain(number: Decimal) -> str:
    """A number as few characters as it takes, without exponent: 20.10 is ``20.1``, 1E+3 is ``1000``."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def told_apart(number: Decimal, other: Decimal) -> str:
    """A number for people, with two decimals, or as many as it takes not to look equal to what it is compared with.

    20.001 beside 20 is ``20.001``, not ``20``; where both are equal, two decimals do.
    """
    for digits in range(2, 11):
        shown = number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
        if shown != other or number == other:
            return plain(shown)
    return plain(number)


def whole(number: Decimal) -> Decimal:
    """A number without decimals, a half rounded up."""
    return number.quantize(Decimal(1), ROUND_HALF_UP)


def in_steps(number: Decimal, step: Decimal) -> Decimal:
    """A number with as many decimals as a step has (0.01: two), a half rounded up."""
    with arithmetic():
        return number.quantize(step, ROUND_HALF_UP)


def decimals(number: Decimal) -> int:
    """How many decimals a number really has: 1.50 has one, 100 has none."""
    return len(plain(number).partition(".")[2])


class CurrencyMismatch(TypeError):
    """Two amounts of different currencies met without a conversion."""


class Money(Record):
    """An amount with its currency.

    Adding, subtracting or comparing amounts of two currencies is a `CurrencyMismatch`; the way from one to the other
    is `domain.exchange`, at a rate of Finance.
    """

    amount: Decimal
    currency: str

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Nothing, in a currency."""
        return cls(amount=Decimal(0), currency=currency)

    def within(self, currency: str) -> Decimal:
        """The bare amount, for a record that says once that all it holds is in ``currency``.

        Raises:
            CurrencyMismatch: it is in another currency.
        """
        if self.currency != currency:
            raise CurrencyMismatch(f"an amount in {self.currency} where one in {currency} is needed: {self}")
        return self.amount

    def rounded(self) -> Money:
        """The amount at its currency's minor unit."""
        return Money(amount=round_money(self.amount, self.currency), currency=self.currency)

    def __add__(self, other: Money) -> Money:
        return self._with(self.amount + other.within(self.currency))

    def __sub__(self, other: Money) -> Money:
        return self._with(self.amount - other.within(self.currency))

    def __mul__(self, factor: Decimal) -> Money:
        with arithmetic():
            return self._with(self.amount * factor)

    def __lt__(self, other: Money) -> bool:
        return self.amount < other.within(self.currency)

    def __le__(self, other: Money) -> bool:
        return self.amount <= other.within(self.currency)

    def __str__(self) -> str:
        return f"{plain(self.amount)} {self.currency}"

    def _with(self, amount: Decimal) -> Money:
        return Money(amount=amount, currency=self.currency)


class DocumentTolerance(Record):
    """How far two systems may differ before it is a difference, in minor units (lifecycle: money rules)."""

    line_units: int = Field(1, ge=0, description="On one line")
    document_cap_units: int = Field(100, ge=0, description="On a document, however many lines it has")

    def document_units(self, lines: int) -> int:
        """On a document of so many lines: the square root of their number, at least one, at most the cap.

        Rounding errors of single lines mostly cancel out, so their sum grows with the root.
        """
        if lines < 0:
            raise ValueError(f"a document cannot have {lines} lines")
        root = math.isqrt(lines)
        ceiling = root if root * root == lines else root + 1
        return min(max(1, ceiling) * self.line_units, self.document_cap_units)

    def same_line(self, a: Decimal, b: Decimal, currency: str) -> bool:
        """Whether two systems mean the same amount of one line."""
        return same_money(a, b, currency, self.line_units)

    def same_document(self, a: Decimal, b: Decimal, currency: str, lines: int) -> bool:
        """Whether two systems mean the same total of a document of so many lines."""
        return same_money(a, b, currency, self.document_units(lines))


def spread(total: Decimal, weights: Sequence[Decimal], currency: str) -> tuple[Decimal, ...]:
    """Split a total by weight into amounts of the currency that add up to exactly the total.

    Largest remainder: every part is rounded down, then the minor units left over go one each to the parts that lost
    most; of equal losses the earlier part is served first, so the result is the same every time.

    Args:
        total: Amount to split, at the currency's minor unit; may be negative.
        weights: Not negative. All zero: the total is split evenly.
        currency: ISO 4217 code.

    Raises:
        ValueError: no weights, a negative weight, or a total finer than the currency.
    """
    if not weights:
        raise ValueError("there is nothing to spread the amount over")
    if any(weight < 0 for weight in weights):
        raise ValueError("weights must not be negative")
    if not is_money(total, currency):
        raise ValueError(f"{total} {currency} is finer than the currency's minor unit")
    with arithmetic():
        unit = minor_unit(currency)
        units = total / unit
        weight_sum = sum(weights, Decimal(0))
        if weight_sum == 0:
            weights, weight_sum = [Decimal(1)] * len(weights), Decimal(len(weights))
        shares = [units * weight / weight_sum for weight in weights]
        floors = [share.to_integral_value(ROUND_FLOOR) for share in shares]
        left = int(units - sum(floors, Decimal(0)))
        by_loss = sorted(range(len(shares)), key=lambda i: (floors[i] - shares[i], i))
        extra = set(by_loss[:left])
        return tuple((floor + (i in extra)) * unit for i, floor in enumerate(floors))
