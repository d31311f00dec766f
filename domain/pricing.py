"""A quote compared with Finance's prices: discount, margin and floor of every line and of the document.

Price is Finance's. What a line costs and lists for is never taken from Sales: a discount is what the customer pays
less than Finance's list price, or what the rep entered, whichever is larger, so that neither a price typed low nor a
rounding hides it. Percentages are not rounded; the matrix compares them as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from pydantic import Field

from domain.approvals import LineFinding
from domain.assessment import Problem
from domain.money import CurrencyMismatch, arithmetic, plain, round_money, spread
from domain.phrases import phrase
from domain.quote import QuoteLine, QuoteSnapshot
from domain.record import Record

_HUNDRED: Final = Decimal(100)
NOTHING_EARNED: Final = Decimal(-100)
"""Margin of something given away, in per cent: there is no net amount to take a share of."""


class FinancePrice(Record):
    """What Finance says of an item, per unit, all in one currency: converted at Finance's rate where it was another."""

    item: str = Field(description="As Finance writes it; Sales may write it in another case")
    currency: str
    list_price: Decimal = Field(ge=0)
    floor_price: Decimal | None = Field(None, ge=0, description="Below it only with a comment; None: no floor")
    cost: Decimal = Field(ge=0)
    unit: str
    group: str = Field("", description="ProductGroupId")
    released: bool = True
    blocked: bool = Field(False, description="Stopped or discontinued for sales")


class PricedQuote(Record):
    """A quote with what the discount matrix tests. Money in the quote's currency."""

    company: str
    customer_group: str = Field(description="CustomerGroupId in Finance")
    priced_on: date = Field(description="The day, in the company's time zone")
    currency: str
    lines: tuple[LineFinding, ...]
    list_net: Decimal = Field(description="Sum of quantity x Finance's list price, not rounded")
    disc_pct: Decimal = Field(description="The worst of header and lines, entered or effective; not rounded")
    margin_pct: Decimal = Field(description="Of the document without freight; not rounded")
    net: Decimal = Field(description="Of the document, freight included")
    payment_days: int
    below_floor: bool
    price_hash: str

    def only(self, groups: Collection[str]) -> PricedQuote | None:
        """The lines of some groups of products with figures of their own; None: it has no such line.

        A line counts with its share of the header's discount, in whole minor units; freight does not count.

        Args:
            groups: ProductGroupId, in lower case.
        """
        lines = tuple(line for line in self.lines if line.group.casefold() in groups)
        if not lines:
            return None
        with arithmetic():
            net = sum((line.net for line in lines), Decimal(0))
            cost = sum((line.quantity * line.cost for line in lines), Decimal(0))
            return self.model_copy(
                update={
                    "lines": lines,
                    "list_net": sum((line.quantity * line.list_price for line in lines), Decimal(0)),
                    "disc_pct": max(line.discount_pct for line in lines),
                    "margin_pct": _margin(net, cost),
                    "net": net,
                    "below_floor": any(line.below_floor for line in lines),
                }
            )


class PriceMissing(LookupError):
    """Items of the quote for which Finance's price was not given; ``price_problems`` tells the rep."""


def price_problems(snapshot: QuoteSnapshot, prices: Mapping[str, FinancePrice]) -> tuple[Problem, ...]:
    """Lines that Finance cannot price: no price, another unit, or a stopped item; empty when all can be."""
    return tuple(problem for line in snapshot.lines for problem in _price_problem(line, prices))


def _price_problem(line: QuoteLine, prices: Mapping[str, FinancePrice]) -> Iterator[Problem]:
    price = prices.get(line.item or "")
    if price is None:
        said = phrase(
            "Finance has no sales price of item {item}. Have a trade agreement or a base price entered there.",
            item=str(line.item),
        )
        yield Problem.of("NO_PRICE", f"line {line.line_no}: price", said)
    elif price.blocked:
        said = phrase("Item {item} is stopped for sales in Finance. Choose another product.", item=str(line.item))
        yield Problem.of("ITEM_NOT_RELEASED", f"line {line.line_no}: product", said)
    elif price.unit.casefold() != line.unit.casefold():
        said = phrase(
            "The line is in {unit}, Finance prices item {item} per {priced}. Use {priced}.",
            unit=repr(line.unit),
            item=str(line.item),
            priced=repr(price.unit),
        )
        yield Problem.of("UNIT_MISMATCH", f"line {line.line_no}: unit", said)


def price_quote(
    snapshot: QuoteSnapshot,
    prices: Mapping[str, FinancePrice],
    *,
    payment_days: int,
    on: date,
    customer_group: str = "",
) -> PricedQuote:
    """Compare a quote with Finance's prices (lifecycle 4.1, "tested").

    Args:
        snapshot: The quote; validated, so that every line has an item, a price and a quantity above 0.
        prices: Finance's price of every item of the quote, by the item as the quote writes it.
        payment_days: Days of the payment terms that will apply, from Finance.
        on: The day, in the company's time zone: which rules are in force.
        customer_group: The customer's group in Finance.

    Raises:
        PriceMissing: an item has no price.
        CurrencyMismatch: a price is not in the quote's currency.
    """
    missing = sorted({line.item or "(written in)" for line in snapshot.lines if (line.item or "") not in prices})
    if missing:
        raise PriceMissing(f"Finance's price is missing for: {', '.join(missing)}")
    lines = sorted(snapshot.lines, key=lambda line: line.line_no)
    priced = {line.item or "": prices[line.item or ""] for line in lines}
    for price in priced.values():
        if price.currency != snapshot.currency:
            raise CurrencyMismatch(
                f"item {price.item} is priced in {price.currency}, the quote is in {snapshot.currency}"
            )
    with arithmetic():
        goods_net = snapshot.net - snapshot.freight
        list_net = sum((line.quantity * priced[line.item or ""].list_price for line in lines), Decimal(0))
        cost = sum((line.quantity * priced[line.item or ""].cost for line in lines), Decimal(0))
        findings = tuple(
            _finding(line, priced[line.item or ""], net, share, snapshot.currency)
            for line, net, share in _with_header_discount(lines, snapshot)
        )
        discounts = (snapshot.header_discount_pct, _off(list_net, goods_net), *(f.discount_pct for f in findings))
        return PricedQuote(
            company=snapshot.company or "",
            customer_group=customer_group,
            priced_on=on,
            currency=snapshot.currency,
            lines=findings,
            list_net=list_net,
            disc_pct=max(discounts),
            margin_pct=_margin(goods_net, cost),
            net=snapshot.net,
            payment_days=payment_days,
            below_floor=any(finding.below_floor for finding in findings),
            price_hash=price_hash(priced),
        )


def price_hash(prices: Mapping[str, FinancePrice]) -> str:
    """SHA-256 (hex) of Finance's prices; 10 and 10.00 are the same price, the order of items does not matter."""
    content = [
        (
            item,
            price.currency,
            plain(price.list_price),
            None if price.floor_price is None else plain(price.floor_price),
            plain(price.cost),
            price.unit,
            price.released,
            price.blocked,
        )
        for item, price in sorted(prices.items())
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def _with_header_discount(
    lines: list[QuoteLine], snapshot: QuoteSnapshot
) -> Iterator[tuple[QuoteLine, Decimal, Decimal]]:
    """Each line with its net after its share of the header discount: exact, and in whole minor units.

    Without a header discount a line's net is its own: a rounding difference of the header is no discount of a line.
    """
    gross = sum((line.net for line in lines), Decimal(0))
    if gross <= 0 or (snapshot.header_discount_pct == 0 and snapshot.header_discount == 0):
        yield from ((line, line.net, line.net) for line in lines)
        return
    goods_net = snapshot.net - snapshot.freight
    shares = spread(round_money(goods_net, snapshot.currency), [line.net for line in lines], snapshot.currency)
    for line, share in zip(lines, shares, strict=True):
        yield line, line.net * goods_net / gross, share


def _finding(line: QuoteLine, price: FinancePrice, net: Decimal, share: Decimal, currency: str) -> LineFinding:
    """A line as an approver sees it; ``net`` is exact and tested, ``share`` is in minor units and shown."""
    entered_price = line.price or Decimal(0)
    base = line.quantity * entered_price
    entered = line.discount * _HUNDRED / base if base > 0 else Decimal(0)
    floor = price.floor_price
    return LineFinding(
        line_no=line.line_no,
        item=price.item,
        group=price.group,
        description=line.description,
        product_name=line.product_name,
        quantity=line.quantity,
        unit=line.unit,
        price=entered_price,
        list_price=price.list_price,
        floor_price=floor,
        cost=price.cost,
        discount_pct=max(entered, _off(line.quantity * price.list_price, net)),
        net=share,
        margin_pct=_margin(net, line.quantity * price.cost),
        below_floor=floor is not None and share < round_money(line.quantity * floor, currency),
    )


def _off(listed: Decimal, net: Decimal) -> Decimal:
    """Per cent the net amount is below the list amount; negative above it, 0 for what lists at nothing."""
    return (listed - net) * _HUNDRED / listed if listed > 0 else Decimal(0)


def _margin(net: Decimal, cost: Decimal) -> Decimal:
    return (net - cost) * _HUNDRED / net if net != 0 else NOTHING_EARNED
