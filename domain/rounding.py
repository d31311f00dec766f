"""Differences of rounding between two systems: recorded and summed, never overwritten and never lost (lifecycle 8).

Finance is the calculator of record. What it makes of an order is compared with what was approved, line by line and as
a whole: within the policy's tolerance a difference is rounding, which is written down; outside it is an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from pydantic import Field

from domain.money import DocumentTolerance, arithmetic, format_amount, format_money, minor_unit, round_money
from domain.record import Record

MOST_TOLD: Final = 10
"""Amounts outside the tolerance that are named; of more, their number is said."""


def line_net(
    quantity: Decimal,
    price: Decimal,
    currency: str,
    *,
    price_unit: Decimal = Decimal(1),
    discount_amount: Decimal = Decimal(0),
    discount_pct: Decimal = Decimal(0),
) -> Decimal:
    """What a line comes to, rounded once, at the line (lifecycle 8): our check of what the two systems computed.

    Args:
        quantity: In the line's unit.
        price: Of ``price_unit`` units.
        currency: ISO 4217.
        price_unit: How many units the price is for, above 0.
        discount_amount: Money off the whole line.
        discount_pct: Per cent off what is left.
    """
    with arithmetic():
        return round_money((quantity * price / price_unit - discount_amount) * (100 - discount_pct) / 100, currency)


class RoundingDiff(Record):
    """By how much Finance's amounts of a document differ from the approved ones, all within the tolerance."""

    currency: str
    lines: int = Field(description="Lines of the document")
    lines_off: int = Field(description="Lines whose amount differs")
    more: Decimal = Field(description="Sum of what Finance has more on single lines")
    less: Decimal = Field(description="Sum of what Finance has less on single lines, above 0")
    net: Decimal = Field(description="Finance's net less the approved one")

    @property
    def units(self) -> int:
        """The document's difference in minor units of its currency; below 0 where Finance has less."""
        with arithmetic():
            return int(self.net / minor_unit(self.currency))

    @property
    def words(self) -> str:
        """The difference for a person."""
        return (
            f"Finance's net differs by {format_money(self.net, self.currency)} from the approved one, "
            f"{self.lines_off} of {self.lines} line{'' if self.lines == 1 else 's'} by a minor unit or two"
        )


class Compared(Record):
    """Finance's amounts of a document beside the approved ones."""

    rounding: RoundingDiff | None = Field(description="None: they are the same to the minor unit")
    outside: tuple[str, ...] = Field(description="What differs by more than the tolerance, in words; ten at most")
    outside_count: int = 0

    @property
    def problem(self) -> str:
        """What is outside the tolerance, in words; empty where nothing is."""
        more = self.outside_count - len(self.outside)
        return "; ".join(self.outside) + (f"; and {more} more" if more > 0 else "")


def compared(
    approved: Mapping[int, Decimal],
    approved_net: Decimal,
    held: Iterable[tuple[int, Decimal]],
    net: Decimal,
    *,
    currency: str,
    tolerance: DocumentTolerance,
) -> Compared:
    """Compare a document of Finance with what was approved.

    Args:
        approved: Net amount of each line, by the deal's number.
        approved_net: Net amount of the whole.
        held: Finance's lines: the deal's number and the net amount of each.
        net: Finance's net amount of the whole.
        currency: Of all of them.
        tolerance: How far they may differ; the limit itself is within.
    """
    outside: list[str] = []
    differences: list[Decimal] = []
    with arithmetic():
        for number, amount in held:
            wanted = approved.get(number)
            if wanted is None:
                outside.append(f"line {number}: {format_amount(amount, currency)} in Finance, not approved")
                continue
            differences.append(amount - wanted)
            if not tolerance.same_line(amount, wanted, currency):
                told = f"{format_amount(amount, currency)} in Finance, {format_amount(wanted, currency)} approved"
                outside.append(f"line {number}: {told}")
        if not tolerance.same_document(net, approved_net, currency, len(approved)):
            told = f"{format_amount(net, currency)} in Finance, {format_amount(approved_net, currency)} approved"
            outside.append(f"net {told}")
        off = [difference for difference in differences if difference]
        rounding = RoundingDiff(
            currency=currency,
            lines=len(approved),
            lines_off=len(off),
            more=sum((difference for difference in off if difference > 0), Decimal(0)),
            less=-sum((difference for difference in off if difference < 0), Decimal(0)),
            net=net - approved_net,
        )
    same = not off and rounding.net == 0
    return Compared(
        rounding=None if same or outside else rounding,
        outside=tuple(outside[:MOST_TOLD]),
        outside_count=len(outside),
    )


class DayOfRounding(Record):
    """The differences of rounding of a company on one of its days, in one currency."""

    company: str
    day: date = Field(description="In the company's time zone")
    currency: str
    documents: int
    net: Decimal = Field(description="Their sum: Finance's net less the approved one")
    absolute: Decimal = Field(description="The sum of their sizes: what cancels out in `net` still counts here")


def summed(differences: Iterable[tuple[str, date, str, Decimal]]) -> tuple[DayOfRounding, ...]:
    """Differences of rounding by company, day and currency, the newest day first.

    Args:
        differences: Company, the company's day, currency, and Finance's net less the approved one.
    """
    found: dict[tuple[str, date, str], list[Decimal]] = {}
    for company, day, currency, net in differences:
        found.setdefault((company, day, currency), []).append(net)
    with arithmetic():
        days = [
            DayOfRounding(
                company=company,
                day=day,
                currency=currency,
                documents=len(nets),
                net=sum(nets, Decimal(0)),
                absolute=sum(map(abs, nets), Decimal(0)),
            )
            for (company, day, currency), nets in found.items()
        ]
    return tuple(sorted(days, key=lambda each: (-each.day.toordinal(), each.company, each.currency)))
