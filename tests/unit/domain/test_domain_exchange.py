from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from domain.exchange import Exchange, ExchangeRate, NoRate
from domain.money import CurrencyMismatch, Money

D = Decimal
TODAY = date(2026, 11, 23)


def rate(
    source: str, target: str, value: str, since: date = date(2026, 1, 1), until: date | None = None
) -> ExchangeRate:
    return ExchangeRate(source=source, target=target, rate=D(value), valid_from=since, valid_to=until)


def exchange(*rates: ExchangeRate) -> Exchange:
    return Exchange(company="usmf", accounting_currency="USD", rate_type="Default", day=TODAY, rates=rates)


def usd(amount: str) -> Money:
    return Money(amount=D(amount), currency="USD")


def test_amounts_of_one_currency_add_up_and_of_two_do_not() -> None:
    assert usd("1.10") + usd("2.20") == usd("3.30")
    assert usd("5") - usd("7") == usd("-2")
    yen = Money(amount=D(100), currency="JPY")
    for wrong in (
        lambda: usd("1") + yen,
        lambda: usd("1") - yen,
        lambda: usd("1") < yen,
        lambda: usd("1") <= yen,
        lambda: sum([usd("1"), yen], Money.zero("USD")),
        lambda: yen.within("USD"),
    ):
        with pytest.raises(CurrencyMismatch):
            wrong()


def test_money_and_a_bare_number_do_not_add_up() -> None:
    with pytest.raises((TypeError, AttributeError)):
        usd("1") + D(1)  # type: ignore[operator]


def test_an_amount_shows_its_currency_and_is_rounded_by_it() -> None:
    assert str(usd("1045.00")) == "1045 USD"
    assert Money(amount=D("10.5"), currency="JPY").rounded() == Money(amount=D(11), currency="JPY")


def test_a_conversion_takes_the_pair_s_own_rate_before_the_inverse_of_the_opposite() -> None:
    direct = exchange(rate("JPY", "USD", "0.0066"), rate("USD", "JPY", "150"))
    assert direct.convert(Money(amount=D(82500), currency="JPY"), "USD") == usd("544.50000")
    inverse = exchange(rate("USD", "JPY", "150"))
    assert inverse.convert(Money(amount=D(82500), currency="JPY"), "USD") == usd("550")


def test_an_amount_in_its_own_currency_needs_no_rate() -> None:
    assert exchange().convert(usd("1"), "USD") == usd("1")


def test_the_newest_rate_of_the_day_holds_and_one_that_ended_does_not() -> None:
    rates = (
        rate("EUR", "USD", "1.10"),
        rate("EUR", "USD", "1.20", since=date(2026, 11, 1)),
        rate("EUR", "USD", "9.99", since=date(2026, 11, 24)),
        rate("EUR", "USD", "5.55", since=date(2026, 11, 20), until=date(2026, 11, 22)),
    )
    assert exchange(*rates).convert(Money(amount=D(10), currency="EUR"), "USD") == usd("12.00")


def test_without_a_rate_nothing_is_guessed_and_the_text_says_what_to_do() -> None:
    with pytest.raises(NoRate, match="between KWD and USD of type 'Default' on 2026-11-23. Enter one there"):
        exchange(rate("EUR", "USD", "1.1")).convert(Money(amount=D(10), currency="KWD"), "USD")


def test_the_rate_is_shown_with_its_source() -> None:
    assert exchange(rate("USD", "JPY", "150")).source("JPY", "USD") == (
        "1 USD = 150 JPY (Finance, Default, from 2026-01-01)"
    )
    assert exchange().source("USD", "USD") == ""
