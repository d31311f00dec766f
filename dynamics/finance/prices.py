"""Which of Finance's price agreements holds for a line, and how a line's price is put to Finance.

There is no standard operation that quotes a price, so Finance's own search is followed: the customer's agreements,
then its price group's, then those for all; within them currency, unit, dates and quantity break must fit. An
agreement that says the search continues lets a later, lower price win.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from dynamics.finance.records import Customer, PriceAgreement, ReleasedProduct


@dataclass(frozen=True, slots=True)
class ListPrice:
    """A price of one unit in the asked currency, unrounded, and what it rests on."""

    amount: Decimal
    unit: str
    source: str
    """`customer`, `group`, `all`, or `item` (the item's base price, where no agreement fits)."""


def list_price(
    product: ReleasedProduct,
    agreements: Iterable[PriceAgreement],
    *,
    customer: Customer,
    currency: str,
    company_currency: str,
    unit: str,
    quantity: Decimal,
    on: date,
) -> ListPrice | None:
    """Finance's price for a line.

    Args:
        product: The item.
        agreements: Active price agreements, of this item or more.
        customer: Whose price; its account and price group are looked up.
        currency: ISO code the quote is in.
        company_currency: Accounting currency: the only one the item's base price holds for.
        unit: Sales unit of the line.
        quantity: Quantity of the line, for quantity breaks.
        on: The day in the company's calendar.

    Returns:
        The price of one unit; None where Finance has none in this currency and unit.
    """
    fitting = [a for a in agreements if a.item == product.item and _fits(a, currency, unit, quantity, on)]
    levels = (
        ("customer", [a for a in fitting if a.account and a.account == customer.account]),
        ("group", [a for a in fitting if not a.account and a.group and a.group == customer.price_group]),
        ("all", [a for a in fitting if not a.account and not a.group]),
    )
    best: ListPrice | None = None
    for source, candidates in levels:
        if not candidates:
            continue
        chosen = min(candidates, key=lambda a: (-a.from_quantity, -_ordinal(a.valid_from), a.unit_price))
        if best is None or chosen.unit_price < best.amount:
            best = ListPrice(chosen.unit_price, unit, source)
        if not chosen.search_continues:
            break
    if best is None and currency == company_currency and product.sales_price > 0 and product.sales_unit == unit:
        best = ListPrice(product.sales_price / (product.sales_price_quantity or Decimal(1)), unit, "item")
    return best


def floor_price(
    agreements: Iterable[PriceAgreement], item: str, *, group: str, currency: str, on: date
) -> Decimal | None:
    """The lowest price an item may be sold at without asking: a price agreement of a price group kept for that.

    Finance has no column for a floor; a price group whose agreements hold it is how it is kept there, with validity
    dates and approval of its own. None where the group has no price for the item.
    """
    floors = [
        a.unit_price
        for a in agreements
        if a.item == item and a.group == group and a.currency == currency and _in_force(a, on)
    ]
    return min(floors, default=None)


@dataclass(frozen=True, slots=True)
class FinanceTerms:
    """How a line's net is put to Finance: a discount per unit, and the rest as a charge on the line."""

    discount_per_unit: Decimal
    charges: Decimal


def finance_terms(quantity: Decimal, price: Decimal, net: Decimal, minor_unit: Decimal) -> FinanceTerms:
    """Turn a net for the whole line into what Finance takes.

    Finance's discount is per unit, at the currency's precision; what division loses becomes a charge. 10.00 off a line
    of 3 is 3.33 a unit and -0.01 (Microsoft Learn: "Prospect-to-cash in dual-write", discounts). There is no charge
    where Finance's own rounding of the line (half up) gives the net already.

    Args:
        quantity: Ordered quantity, not 0.
        price: Price of one unit.
        net: What the line must come to, before tax.
        minor_unit: Smallest amount of the currency, e.g. 0.01.
    """
    discount = max((quantity * price - net) / quantity, Decimal(0)).quantize(minor_unit, rounding=ROUND_HALF_UP)
    unrounded = quantity * (price - discount)
    exact = unrounded.quantize(minor_unit, rounding=ROUND_HALF_UP) == net
    return FinanceTerms(discount, Decimal(0) if exact else net - unrounded)


def _fits(a: PriceAgreement, currency: str, unit: str, quantity: Decimal, on: date) -> bool:
    return (
        a.currency == currency
        and a.unit == unit
        and not a.site
        and not a.warehouse
        and a.from_quantity <= quantity
        and (a.to_quantity == 0 or quantity < a.to_quantity)
        and _in_force(a, on)
    )


def _in_force(a: PriceAgreement, on: date) -> bool:
    return (a.valid_from is None or a.valid_from <= on) and (a.valid_to is None or on <= a.valid_to)


def _ordinal(day: date | None) -> int:
    return 0 if day is None else day.toordinal()
