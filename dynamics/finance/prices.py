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

from domain.exchange import Exchange
from domain.money import Money
from dynamics.finance.queries import same_text
from dynamics.finance.records import Customer, PriceAgreement, ReleasedProduct


@dataclass(frozen=True, slots=True)
class ListPrice:
    """A price of one unit, unrounded, in the currency it was asked in, and what it rests on."""

    money: Money
    unit: str
    source: str
    """`customer`, `group`, `all`, or `item` (the item's base price, where no agreement fits)."""


def list_price(
    product: ReleasedProduct,
    agreements: Iterable[PriceAgreement],
    *,
    customer: Customer,
    currency: str,
    exchange: Exchange,
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
        exchange: The company's accounting currency, in which the item's base price is, and Finance's rates.
        unit: Sales unit of the line.
        quantity: Quantity of the line, for quantity breaks.
        on: The day in the company's calendar.

    Returns:
        The price of one unit; None where Finance has none in this unit.

    Raises:
        NoRate: only the base price holds, and Finance has no rate into the quote's currency.
    """
    fitting = [a for a in agreements if same_text(a.item, product.item) and _fits(a, currency, unit, quantity, on)]
    levels = (
        ("customer", [a for a in fitting if a.account and same_text(a.account, customer.account)]),
        ("group", [a for a in fitting if not a.account and a.group and same_text(a.group, customer.price_group)]),
        ("all", [a for a in fitting if not a.account and not a.group]),
    )
    best: ListPrice | None = None
    for source, candidates in levels:
        if not candidates:
            continue
        chosen = min(candidates, key=lambda a: (-a.from_quantity, -_ordinal(a.valid_from), a.unit_price))
        price = Money(amount=chosen.unit_price, currency=chosen.currency)
        if best is None or price < best.money:
            best = ListPrice(price, unit, source)
        if not chosen.search_continues:
            break
    if best is None and product.sales_price > 0 and same_text(product.sales_unit, unit):
        base = exchange.accounting(product.sales_price / (product.sales_price_quantity or Decimal(1)))
        best = ListPrice(exchange.convert(base, currency), unit, "item")
    return best


def floor_price(
    agreements: Iterable[PriceAgreement], item: str, *, group: str, currency: str, exchange: Exchange, on: date
) -> Money | None:
    """The lowest price an item may be sold at without asking: a price agreement of a price group kept for that.

    Finance has no column for a floor; a price group whose agreements hold it is how it is kept there, with validity
    dates and approval of its own. A floor in the quote's currency counts first, then one in the company's, converted.
    None where the group has no price for the item.

    Raises:
        NoRate: the floor is in the company's currency, and Finance has no rate into the quote's.
    """
    floors = [
        Money(amount=a.unit_price, currency=a.currency)
        for a in agreements
        if same_text(a.item, item) and same_text(a.group, group) and _in_force(a, on)
    ]
    for wanted in dict.fromkeys((currency, exchange.accounting_currency)):
        of_currency = [floor for floor in floors if floor.currency == wanted]
        if of_currency:
            return exchange.convert(min(of_currency), currency)
    return None


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
        and same_text(a.unit, unit)
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
