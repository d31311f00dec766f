"""Money arithmetic of Finance: line amounts, tax by document, due dates, rounding per currency. Pure.

Everything is Decimal. Amounts are in the document's currency and rounded half up, away from zero, to the currency's
decimals; quantities are never rounded here.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from typing import Any, Final

DECIMALS: Final[Mapping[str, int]] = {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3, "OMR": 3, "TND": 3}
"""Minor units of currencies that do not have two (ISO 4217)."""


_WIDE: Final = Context(prec=60)
"""Digits enough for any product of two columns: nothing is rounded before it should be."""


def round_money(amount: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's minor unit."""
    return amount.quantize(Decimal(1).scaleb(-DECIMALS.get(currency, 2)), ROUND_HALF_UP, _WIDE)


def line_amount(line: Mapping[str, Any], currency: str) -> Decimal:
    """Net amount of an order line in its currency, before document discount and tax.

    (quantity × (sales price − discount per unit) ÷ price unit + charges) × (1 − discount percentage), rounded once.
    The discount amount is per unit, the fixed charge is for the whole line (X++: `SalesLine.calcLineAmount`).
    """
    with localcontext(_WIDE):
        per_unit = line["SalesPrice"] - line["LineDiscountAmount"]
        gross = line["OrderedSalesQuantity"] * per_unit / line["SalesPriceQuantity"] + line["FixedPriceCharges"]
        return round_money(gross * (1 - line["LineDiscountPercentage"] / 100), currency)


def part_of(amount: Decimal, ordered: Decimal, before: Decimal, quantity: Decimal, currency: str) -> Decimal:
    """The part of an amount that belongs to `quantity` of `ordered`, after `before` has been taken already.

    Parts taken one after another add up to the whole, to the minor unit.
    """
    if ordered == 0:
        return Decimal(0)
    with localcontext(_WIDE):
        upto = round_money(amount * (before + quantity) / ordered, currency)
        return upto - round_money(amount * before / ordered, currency)


def document_totals(
    net_lines: Decimal, discount_percentage: Decimal, tax_percentage: Decimal, currency: str
) -> tuple[Decimal, Decimal, Decimal]:
    """(document discount, tax, total including tax) of a document whose lines add up to `net_lines`.

    The total discount lowers the tax base; tax is computed once for the document, not line by line.
    """
    with localcontext(_WIDE):
        discount = round_money(net_lines * discount_percentage / 100, currency)
        tax = round_money((net_lines - discount) * tax_percentage / 100, currency)
        return discount, tax, net_lines - discount + tax


def due_date(invoice_date: date, term: Mapping[str, Any]) -> date:
    """When an invoice falls due.

    Args:
        invoice_date: Calendar date of the invoice, in the company.
        term: A row of PaymentTerms: method Net, COD, CurrentMth, CurrentQuart, CurrentYear or CurrentWeek, then
            months and days added to that base.
    """
    base = _method_base(invoice_date, term.get("PaymentMethodType", "Net"))
    return _add_months(base, term.get("NumberOfMonths", 0)) + timedelta(days=term.get("NumberOfDays", 0))


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


def _add_months(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
