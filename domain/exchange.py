"""From one currency to another, at Finance's rate of the right type and day, or not at all.

Finance keeps rates by type (Default, Budget, …), pair and first day. Amounts of Finance without a currency of their own
(prices and costs of items, credit limits, balances) are in the legal entity's accounting currency; a document may be in
another. Nothing is converted at a rate of Sales, and nothing is guessed where Finance has no rate.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pydantic import Field

from domain.money import Money, arithmetic, plain
from domain.record import Record


class NoRate(LookupError):
    """Finance has no exchange rate for a pair on a day; the text says which, and what to do."""


class ExchangeRate(Record):
    """What one unit of a currency is worth in another, from a day on."""

    source: str
    target: str
    rate: Decimal = Field(gt=0, description="Units of target for one unit of source")
    valid_from: date
    valid_to: date | None = Field(None, description="None: without end")

    def holds(self, day: date) -> bool:
        """Whether it is the rate of that day, or a later one takes its place."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


class Exchange(Record):
    """A legal entity's accounting currency, and Finance's rates of one type as they were read."""

    company: str
    accounting_currency: str
    rate_type: str = ""
    day: date = Field(description="The day in the company's calendar whose rates hold")
    rates: tuple[ExchangeRate, ...] = ()

    def accounting(self, amount: Decimal) -> Money:
        """An amount of Finance that has no currency of its own."""
        return Money(amount=amount, currency=self.accounting_currency)

    def convert(self, money: Money, currency: str) -> Money:
        """The amount in another currency, not rounded; in its own currency it stays as it is.

        The rate of the pair itself counts first, then the inverse of the opposite pair; of several the newest.

        Raises:
            NoRate: Finance has neither for the day.
        """
        if money.currency == currency:
            return money
        with arithmetic():
            direct = self._rate(money.currency, currency)
            if direct is not None:
                return Money(amount=money.amount * direct.rate, currency=currency)
            inverse = self._rate(currency, money.currency)
            if inverse is not None:
                return Money(amount=money.amount / inverse.rate, currency=currency)
        raise NoRate(
            f"Finance has no exchange rate between {money.currency} and {currency} of type "
            f"{self.rate_type or 'Default'!r} on {self.day.isoformat()}. Enter one there "
            "(General ledger > Currencies > Currency exchange rates)."
        )

    def source(self, of: str, currency: str) -> str:
        """Which rate `convert` would use, in words: `1 JPY = 0.0066 USD (Finance, Default, from 2026-11-01)`."""
        rate = self._rate(of, currency) or self._rate(currency, of)
        if rate is None:
            return ""
        kind = self.rate_type or "Default"
        day = rate.valid_from.isoformat()
        return f"1 {rate.source} = {plain(rate.rate)} {rate.target} (Finance, {kind}, from {day})"

    def _rate(self, source: str, target: str) -> ExchangeRate | None:
        fitting = [r for r in self.rates if (r.source, r.target) == (source, target) and r.holds(self.day)]
        return max(fitting, key=lambda rate: rate.valid_from, default=None)
