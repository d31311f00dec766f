"""An order made larger: what it would come to, and who has to say so, as pure rules (S36, issue 10).

More of a line is sold at the line's own net price, which holds as long as the quote did. The matrix is asked about the
order as it would be, at the list and floor prices the quote was approved at and at today's cost; an approval that was
given before covers what is no worse and no larger than it was about. Credit is asked for the difference alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from pydantic import Field

from domain.approvals import ApprovalPlan, AskedTerms, BusinessHours, Change
from domain.discount import approval_plan
from domain.drift import honoured
from domain.line_change import MOST_LINES, LineChange
from domain.lines import LineLedger, LineViolation
from domain.money import arithmetic, decimals, format_money, plain, round_money
from domain.people import Person
from domain.policy import Policy
from domain.price_look import PinnedPrices
from domain.pricing import FinancePrice, PricedQuote, price_quote
from domain.quote import QuoteLine, QuoteSnapshot
from domain.reapproval import changes, terms_of
from domain.record import Record
from domain.refusals import Refusal
from domain.tax import ordered_nets

SELL_ANEW: Final = "sell the rest with a quote of its own"


class RaisedLine(Record):
    """How a line that becomes larger is put to Finance."""

    line_no: int
    quantity: Decimal = Field(description="What the line is to come to in all")
    discount_per_unit: Decimal = Decimal(0)
    charges: Decimal = Decimal(0)


class LargerOrder(Record):
    """The order as it would be: what approvers are asked about, and what credit is asked for."""

    net: Decimal
    tax: Decimal
    total: Decimal
    list_net: Decimal
    discount_pct: Decimal
    margin_pct: Decimal
    line_count: int
    content_hash: str = Field(description="SHA-256 of the quote's content with the order's quantities")
    more: Decimal = Field(description="By how much its total rises, in the quote's currency, incl. tax")
    plan: ApprovalPlan = Field(description="The steps it needs, with the earlier approvals that cover some of them")
    terms: AskedTerms
    makers: tuple[Person, ...] = ()
    makers_known: bool = False
    changes: tuple[Change, ...] = Field((), description="What differs from the order as it stands")
    lines: tuple[LineChange, ...] = Field(
        (), max_length=MOST_LINES, description="Lines that are not as in the quote; none where there are too many"
    )

    @property
    def asked_for(self) -> str:
        """SHA-256 (hex) of all that is asked about: what was approved counts where that is still the same."""
        return hashlib.sha256(f"{self.content_hash}{self.terms.model_dump_json()}".encode()).hexdigest()

    def words(self, currency: str) -> str:
        """What it would come to."""
        return f"{format_money(self.total, currency)}, {format_money(self.more, currency)} more"


class Sizes(NamedTuple):
    """Quantities of an order by line: as it stands, and as it would be."""

    standing: Mapping[int, Decimal]
    wanted: Mapping[int, Decimal]
    larger: frozenset[int]
    """Lines that become larger."""


def kept(line: LineLedger) -> Decimal:
    """What a line comes to as it stands: ordered and not cancelled, or shipped beyond that."""
    return max(line.ordered - line.cancelled, line.shipped)


def is_larger(line: LineLedger, quantity: Decimal) -> bool:
    """Whether a quantity is more than a line comes to."""
    return quantity > line.ordered - line.cancelled and quantity > line.shipped


def sizes_of(ledger: Iterable[LineLedger], wanted: Iterable[LineChange]) -> Sizes:
    """An order's quantities by line, as they are and as they are wanted; lines it does not have are left out."""
    lines = {line.line_no: line for line in ledger}
    standing = {number: kept(line) for number, line in lines.items()}
    asked = {change.line_no: change.quantity for change in wanted if change.line_no in lines}
    larger = frozenset(number for number, quantity in asked.items() if is_larger(lines[number], quantity))
    return Sizes(standing, {**standing, **asked}, larger)


def too_late(expires_at: datetime | None, asked_at: datetime) -> str:
    """Why the quoted price does not hold for more; empty where it does.

    As with the order itself, it counts when it was asked for, however long the answer takes.
    """
    if expires_at is None or asked_at <= expires_at:
        return ""
    return f"the quoted prices held until {expires_at:%Y-%m-%d %H:%M} UTC; {SELL_ANEW}"


def check_units(snapshot: QuoteSnapshot, sizes: Sizes) -> None:
    """Refuse a quantity that a line's unit does not have.

    Raises:
        LineViolation: BAD_QTY.
    """
    for line in snapshot.lines:
        quantity = sizes.wanted.get(line.line_no)
        if line.line_no in sizes.larger and quantity is not None and decimals(quantity) > line.unit_decimals:
            text = f"line {line.line_no}: {plain(quantity)} has more decimals than unit {line.unit} takes"
            raise LineViolation(Refusal.BAD_QTY, text)


def resized(snapshot: QuoteSnapshot, sizes: Mapping[int, Decimal]) -> QuoteSnapshot:
    """A quote as it would be with other quantities, each line at its own net price.

    A line's net price holds its share of the header's discount and freight, as its price in Finance does: with more of
    it, both grow.

    Args:
        snapshot: The approved quote.
        sizes: What lines come to, by number; one that is not named stays. A line of nothing is left out.
    """
    lines: list[QuoteLine] = []
    net = Decimal(0)
    with arithmetic():
        for line, ordered in ordered_nets(snapshot):
            quantity = sizes.get(line.line_no, line.quantity)
            if quantity <= 0:
                continue
            lines.append(_line(line, quantity, snapshot.currency))
            net += round_money(ordered * quantity / line.quantity, snapshot.currency)
        before = sum((line.net for line in snapshot.lines), Decimal(0))
        after = sum((line.net for line in lines), Decimal(0))
        if not before:
            after = before = Decimal(1)
        tax = round_money(snapshot.tax * after / before, snapshot.currency)
        return snapshot.model_copy(
            update={
                "lines": tuple(lines),
                "net": net,
                "tax": tax,
                "total": net + tax,
                "freight": round_money(snapshot.freight * after / before, snapshot.currency),
                "header_discount": snapshot.header_discount * after / before,
            }
        )


def _line(line: QuoteLine, quantity: Decimal, currency: str) -> QuoteLine:
    """A line of another quantity. Divided last: a share of 5/24 has no end, and a half cent would be lost in it."""
    if quantity == line.quantity:
        return line
    return line.model_copy(
        update={
            "quantity": quantity,
            "discount": line.discount * quantity / line.quantity,
            "net": round_money(line.net * quantity / line.quantity, currency),
            "tax": round_money(line.tax * quantity / line.quantity, currency),
        }
    )


class Judging(Record):
    """What the order as it would be is judged by."""

    pinned: PinnedPrices | None
    prices: Mapping[str, FinancePrice] = Field(description="Finance's now, by item as the quote writes it")
    payment_days: int
    customer_account: str
    customer_group: str = ""
    today: date = Field(description="In the company's time zone")
    asked_by: Person


class Judged(NamedTuple):
    """A larger order, held against Finance's prices and the matrix."""

    priced: PricedQuote
    plan: ApprovalPlan
    terms: AskedTerms
    changes: tuple[Change, ...]
    makers: tuple[Person, ...]


def judge(
    standing: QuoteSnapshot, larger: QuoteSnapshot, by: Judging, policy: Policy, *, calendar: BusinessHours
) -> Judged:
    """What a larger order needs.

    Args:
        standing: The quote with the quantities the order has now; its makers are known.
        larger: The same with those it would have.
        by: Prices and people.
        policy: The rules in force.
        calendar: Working time of the company, for a request that has to be made.

    Raises:
        NoApprover: a level is needed that nobody in the company may decide.
    """
    makers = _makers(larger, by.asked_by)
    before, priced = (_priced(snapshot, by) for snapshot in (standing, larger))
    plan = approval_plan(
        priced, requester=larger.owner, makers=makers, company=larger.company, calendar=calendar, policy=policy
    )
    then, terms = (terms_of(found, policy, customer_account=by.customer_account) for found in (before, priced))
    return Judged(priced, plan, terms, changes(terms, then), makers)


def _makers(snapshot: QuoteSnapshot, asked_by: Person) -> tuple[Person, ...]:
    """Who made it: those of the quote, and who wants more of it."""
    if any(asked_by.is_same(person) for person in (snapshot.owner, *snapshot.makers)):
        return snapshot.makers
    return (*snapshot.makers, asked_by.named)


def _priced(snapshot: QuoteSnapshot, by: Judging) -> PricedQuote:
    pinned = by.pinned
    then = None if pinned is None or pinned.items is None else {entry.item: entry for entry in pinned.items}
    return price_quote(
        snapshot,
        honoured(then, by.prices),
        payment_days=by.payment_days,
        on=pinned.priced_on if pinned else by.today,
        customer_group=by.customer_group,
    )


def beside_quote(snapshot: QuoteSnapshot, sizes: Mapping[int, Decimal]) -> tuple[LineChange, ...]:
    """The lines that an order has in other quantities than its quote; none where they are too many to be named."""
    quoted = {line.line_no: line.quantity for line in snapshot.lines}
    found = [
        LineChange(line_no=number, quantity=quantity)
        for number, quantity in sorted(sizes.items())
        if quoted.get(number) not in (None, quantity)
    ]
    return tuple(found) if len(found) <= MOST_LINES else ()
