"""What Finance will ask for a quote, sales tax included, before there is an order it could be read from.

Sales computes tax in its own way or not at all, and credit is decided on what the customer will owe. Finance taxes a
line with the codes that are both in the customer's sales tax group and in the item's; the tax of each code is computed
on its base in the whole document and rounded once. (Microsoft Learn: "Sales tax groups and item sales tax groups",
"Sales tax calculation methods".)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from pydantic import Field

from domain.money import Money, arithmetic, format_money, round_money, spread
from domain.quote import QuoteLine, QuoteSnapshot
from domain.record import Record

_HUNDRED: Final = Decimal(100)


class TaxCode(Record):
    """A sales tax code of Finance at its rate of the day."""

    code: str
    pct: Decimal = Field(description="Per cent of the net amount")


class SalesTax(Record):
    """Which codes apply to each item of a quote, for its customer."""

    codes: Mapping[str, tuple[TaxCode, ...]] = Field(default_factory=dict, description="By item in lower case")
    unknown: str = Field("", description="Why the tax cannot be computed here; empty: it can")


class TaxUnknown(LookupError):
    """The tax in a price of Finance cannot be computed; the text says why, and what to do."""


def before_tax(price: Money, item: str, tax: SalesTax) -> Money:
    """A price of Finance that includes sales tax, without it: as Sales writes its prices. Not rounded.

    Args:
        price: Of one unit, tax included.
        item: Whose price.
        tax: Finance's tax codes for the customer the price is for.

    Raises:
        TaxUnknown: The tax is not simply a percentage.
    """
    if tax.unknown:
        raise TaxUnknown(
            f"The customer's prices in Finance include sales tax, and {tax.unknown}: it cannot be taken out of them. "
            "Have 'Prices include sales tax' turned off for the customer in Finance, then submit again."
        )
    inside = sum((code.pct for code in tax.codes.get(item.casefold(), ())), Decimal(0))
    with arithmetic():
        return Money(amount=price.amount / (1 + inside / _HUNDRED), currency=price.currency)


class FinanceTotal(Record):
    """What a quote comes to in Finance, in its own currency."""

    amount: Decimal = Field(description="Tax included")
    tax: Decimal
    estimated: str = Field("", description="Why it is an estimate; empty: it is computed as Finance does")


def ordered_nets(snapshot: QuoteSnapshot) -> Iterator[tuple[QuoteLine, Decimal]]:
    """The lines by number, each with the net amount it has on the order: header discount and freight are spread."""
    lines = sorted(snapshot.lines, key=lambda line: line.line_no)
    nets = tuple(line.net for line in lines)
    if sum(nets, Decimal(0)) != snapshot.net:
        nets = spread(snapshot.net, nets, snapshot.currency)
    yield from zip(lines, nets, strict=True)


def finance_total(snapshot: QuoteSnapshot, tax: SalesTax, *, estimate_pct: Decimal) -> FinanceTotal:
    """What Finance will ask for a quote.

    Args:
        snapshot: The quote.
        tax: Finance's tax codes for it.
        estimate_pct: Rate that stands in where the tax cannot be computed; the quote's own tax counts where it is more.
    """
    if tax.unknown:
        guessed = max(snapshot.tax, round_money(snapshot.net * estimate_pct / _HUNDRED, snapshot.currency))
        return FinanceTotal(amount=snapshot.net + guessed, tax=guessed, estimated=tax.unknown)
    bases: dict[TaxCode, Decimal] = {}
    for line, net in ordered_nets(snapshot):
        for code in tax.codes.get((line.item or "").casefold(), ()):
            bases[code] = bases.get(code, Decimal(0)) + net
    amounts = (round_money(base * code.pct / _HUNDRED, snapshot.currency) for code, base in bases.items())
    whole = sum(amounts, Decimal(0))
    return FinanceTotal(amount=snapshot.net + whole, tax=whole)


def difference(snapshot: QuoteSnapshot, total: FinanceTotal) -> str:
    """How Finance's total differs from the quoted one, for the rep and whoever decides, before anything is invoiced."""
    quoted, asked = (format_money(amount, snapshot.currency) for amount in (snapshot.total, total.amount))
    tax = format_money(total.tax, snapshot.currency)
    own = format_money(snapshot.tax, snapshot.currency)
    said = f"Finance will invoice {asked}, not the {quoted} of the quote: its tax is {tax}, the quote's {own}."
    return f"{said} That is an estimate: {total.estimated}." if total.estimated else said
