"""Money arithmetic of Finance: line amounts, parts of amounts, due dates, rounding per currency. Pure.

Everything is Decimal. Amounts are in the document's currency and rounded half up, away from zero, to the currency's
decimals, where its rounding rule for sales orders says nothing else; quantities are never rounded here.
Source: AX 2012, `CurrencyExchangeHelper::roundWithRule` and `TradeTotals.roundOffType` ("The RoundOffType field defined
for the order on the Currency table").
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Context, Decimal, localcontext
from typing import Any, Final

from sandbox.currencies import minor_unit

WIDE: Final = Context(prec=60)
"""Digits enough for any product of two columns: nothing is rounded before it should be."""


_METHODS: Final[Mapping[str, str]] = {"Ordinary": ROUND_HALF_UP, "RoundDown": ROUND_DOWN, "RoundUp": ROUND_UP}
"""`RoundOffType`: to the nearest multiple, a tie away from zero; toward zero; away from zero."""


@dataclass(frozen=True, slots=True)
class RoundingRule:
    """How a currency's amounts on sales orders are rounded (`Currencies`).

    Attributes:
        multiple: `RoundingRuleSalesOrders`: amounts are multiples of it; 0: of the currency's minor unit.
        method: `RoundingMethodSalesOrders`, a symbol of `RoundOffType`.
    """

    multiple: Decimal = Decimal(0)
    method: str = "Ordinary"

    @classmethod
    def of(cls, currency: Mapping[str, Any] | None) -> RoundingRule:
        """The rule of a row of `Currencies`."""
        if currency is None:
            return cls()
        return cls(
            currency.get("RoundingRuleSalesOrders") or Decimal(0),
            currency.get("RoundingMethodSalesOrders") or "Ordinary",
        )

    def round(self, amount: Decimal, currency: str) -> Decimal:
        """An amount by this rule."""
        step = self.multiple or minor_unit(currency)
        with localcontext(WIDE):
            multiples = (amount / step).to_integral_value(_METHODS[self.method])
            return (multiples * step).quantize(minor_unit(currency), ROUND_HALF_UP)


ORDINARY: Final = RoundingRule()
"""To the nearest minor unit, a tie away from zero."""


def round_money(amount: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's minor unit."""
    return amount.quantize(minor_unit(currency), ROUND_HALF_UP, WIDE)


def line_amount(
    line: Mapping[str, Any], currency: str, *, net_price_rounding: bool = False, rule: RoundingRule = ORDINARY
) -> Decimal:
    """Net amount of an order line in its currency, before document discount and tax.

    (quantity × (sales price − discount per unit) ÷ price unit + charges) × (1 − discount percentage), rounded once.
    The discount amount is per unit, the fixed charge is for the whole line (X++: `SalesLine.calcLineAmount`).

    Args:
        line: The line's columns.
        currency: ISO code.
        net_price_rounding: Round the unit price after its discounts first, then multiply (a company parameter).
        rule: How the currency's amounts on sales orders are rounded.
    """
    with localcontext(WIDE):
        per_unit = line["SalesPrice"] - line["LineDiscountAmount"]
        share = 1 - line["LineDiscountPercentage"] / 100
        if net_price_rounding:
            unit = round_money(per_unit * share, currency)
            gross = line["OrderedSalesQuantity"] * unit / line["SalesPriceQuantity"]
            return rule.round(gross + line["FixedPriceCharges"] * share, currency)
        gross = line["OrderedSalesQuantity"] * per_unit / line["SalesPriceQuantity"] + line["FixedPriceCharges"]
        return rule.round(gross * share, currency)


def part_of(amount: Decimal, ordered: Decimal, before: Decimal, quantity: Decimal, currency: str) -> Decimal:
    """The part of an amount that belongs to `quantity` of `ordered`, after `before` has been taken already.

    Parts taken one after another add up to the whole, to the minor unit.
    """
    if ordered == 0:
        return Decimal(0)
    with localcontext(WIDE):
        upto = round_money(amount * (before + quantity) / ordered, currency)
        return upto - round_money(amount * before / ordered, currency)


def due_date(invoice_date: date, term: Mapping[str, Any]) -> date:
    """When an invoice falls due.

    Args:
        invoice_date: Calendar date of the invoice, in the company.
        term: A row of PaymentTerms: method Net, COD, CurrentMth, CurrentQuart, CurrentYear or CurrentWeek, then
            months and days added to that base.
    """
    base = _method_base(invoice_date, term.get("PaymentMethodType", "Net"))
    return add_months(base, term.get("NumberOfMonths", 0)) + timedelta(days=term.get("NumberOfDays", 0))


def cash_discount_date(invoice_date: date, code: Mapping[str, Any]) -> date:
    """The last day a cash discount may be taken.

    Args:
        invoice_date: Calendar date of the invoice, in the company.
        code: A row of CashDiscounts: method, months and days.
    """
    base = _method_base(invoice_date, code.get("DiscountMethod", "Net"))
    return add_months(base, code.get("NumberOfMonths", 0)) + timedelta(days=code.get("NumberOfDays", 0))


def _method_base(day: date, method: str) -> date:
    if method == "CurrentMth":
        return _month_end(day.year, day.month)
    if method == "CurrentQuart":
        return _month_end(day.year, (day.month + 2) // 3 * 3)
    if method == "CurrentYear":
        return date(day.year, 12, 31)
    if method == "CurrentWeek":
        return day + timedelta(days=6 - day.weekday())
    return day


def _month_end(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])


def add_months(day: date, months: int) -> date:
    """The same day some months later, or the last day of that month."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
