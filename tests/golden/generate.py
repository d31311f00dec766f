"""Computes the lines of `lines.json`: 500 in five currencies, by fractions and whole numbers of minor units.

Nothing here is shared with the product or the sandbox, nor with the way they compute: no `Decimal`, no rounding mode,
no library. What is exact stays a fraction until it is a whole number of minor units. Run it to write the file again:

    python -m tests.golden.generate
"""

from __future__ import annotations

import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "lines.json"
MINOR_DIGITS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4}
"""ISO 4217, typed from the standard's list one."""
DOCUMENTS = 20
"""Of each currency."""
LINES = 5
"""Of each document."""
TIES = (
    # quantity, price, price unit, discount per cent: exact halves of a minor unit by currency
    {"USD": ("1", "2.345", "1", "0"), "EUR": ("1", "0.125", "1", "0"), "JPY": ("1", "2.5", "1", "0")},
    {"USD": ("3", "33.335", "1", "0"), "EUR": ("1", "1234.565", "1", "0"), "JPY": ("5", "99.5", "1", "0")},
    {"USD": ("1", "0.01", "1", "50"), "EUR": ("25", "1.99", "10", "0"), "JPY": ("1", "1", "1", "50")},
)
TIES_OF_FINER = {"KWD": ("1", "1.0005", "1", "0"), "CLF": ("1", "0.00005", "1", "0")}


def rounded(amount: Fraction, digits: int) -> int:
    """An amount above or at zero as whole minor units, an exact half upwards."""
    scaled = amount * 10**digits
    return int((2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator))


def text(units: int, digits: int) -> str:
    """Whole minor units as an amount."""
    if not digits:
        return str(units)
    whole, rest = divmod(units, 10**digits)
    return f"{whole}.{rest:0{digits}d}"


def shares(total: int, weights: list[int]) -> list[int]:
    """A total divided by weight: rounded down, then one unit each to those that lost most, the first first."""
    weight = sum(weights)
    exact = [Fraction(total * each, weight) for each in weights]
    parts = [each.numerator // each.denominator for each in exact]
    losers = sorted(range(len(parts)), key=lambda at: (parts[at] - exact[at], at))
    for at in losers[: total - sum(parts)]:
        parts[at] += 1
    return parts


def line(dice: random.Random, currency: str, number: int) -> dict[str, Any]:
    """A line as somebody enters it: per cent off, money off, or neither."""
    digits = MINOR_DIGITS[currency]
    tie = {**TIES[number % len(TIES)], **TIES_OF_FINER}[currency] if number % LINES == 0 else None
    if tie:
        quantity, price, unit, pct = tie
        return {"quantity": quantity, "price": price, "price_unit": unit, "discount_pct": pct, "discount_amount": "0"}
    quantity = dice.choice(["1", "2", "3", "7", "8", "10", "13", "1000", "2.5", "0.333", "19.75"])
    price = text(dice.randrange(10 ** (digits + 1), 10 ** (digits + 4)), digits)
    if dice.random() < 0.4:  # finer than the currency, as Dataverse allows
        price += ("." if not digits else "") + dice.choice(["5", "25", "75", "3333"])[: 10 - digits]
    unit = dice.choice(["1", "1", "1", "10", "100", "1000"])
    pct, amount = "0", "0"
    how = dice.random()
    if how < 0.4:
        pct = dice.choice(["5", "10", "10.01", "20", "33.33", "12.5", "0.5"])
    elif how < 0.7:
        whole = Fraction(quantity) * Fraction(price) / Fraction(unit)
        amount = text(rounded(whole * dice.randrange(1, 30) / 100, digits), digits)
    return {"quantity": quantity, "price": price, "price_unit": unit, "discount_pct": pct, "discount_amount": amount}


def document(dice: random.Random, currency: str, number: int) -> dict[str, Any]:
    """A document with what each line and the whole come to."""
    digits = MINOR_DIGITS[currency]
    lines = [line(dice, currency, number * LINES + at) for at in range(LINES)]
    nets = []
    for each in lines:
        gross = Fraction(each["quantity"]) * Fraction(each["price"]) / Fraction(each["price_unit"])
        exact = (gross - Fraction(each["discount_amount"])) * (1 - Fraction(each["discount_pct"]) / 100)
        nets.append(rounded(exact, digits))
        each["tie"] = (exact * 10**digits * 2).denominator == 1 and (exact * 10**digits).denominator == 2
    whole = sum(nets)
    header_pct, header_amount = "0", 0
    if number % 3 == 1:
        header_pct = dice.choice(["3.33", "5", "7.5", "12.25"])
    elif number % 3 == 2:
        header_amount = min(dice.randrange(1, 50 * 10**digits), whole // 4)
    net = whole - rounded(Fraction(whole) * Fraction(header_pct) / 100 / 10**digits, digits) - header_amount
    ordered = nets if net == whole else shares(net, nets)
    for each, alone, together in zip(lines, nets, ordered, strict=True):
        each["net"], each["ordered"] = text(alone, digits), text(together, digits)
    return {
        "currency": currency,
        "header_pct": header_pct,
        "header_amount": text(header_amount, digits),
        "net": text(net, digits),
        "lines": lines,
    }


def documents() -> list[dict[str, Any]]:
    """All of them, the same each time."""
    dice = random.Random(4217)
    return [document(dice, currency, number) for currency in MINOR_DIGITS for number in range(DOCUMENTS)]


def written() -> str:
    """The file's text: one document a line."""
    return "[\n" + ",\n".join(json.dumps(each) for each in documents()) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(written(), encoding="utf-8")
