"""The quote as it is sold: lines, totals and the hash that an approval holds on to.

A line is known by the id it has in Sales. Two systems and many people need a number for it, and Sales' own may be
missing, repeated or full of gaps; so every line gets one from the ids and numbers of its revision (``numbered``), the
same however often it is read, because an accepted revision cannot change. Finance keeps that number on its order line,
and nothing else is taken for it: neither Finance's line numbers nor the order in which its lines were made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

from pydantic import Field

from domain.people import Person
from domain.record import Record


class QuoteLine(Record):
    """One line of a quote. Money is in the quote's currency."""

    line_no: int = Field(description="The deal's number of the line (`numbered`), which Finance keeps as well")
    line_id: str = Field("", description="quotedetailid: what the line is known by in Sales")
    item: str | None = Field(description="Finance item number; None for a write-in product")
    description: str = ""
    product_name: str = Field("", description="Of the product in Sales; no part of the content")
    unit: str = "ea"
    unit_decimals: int = Field(0, description="Decimals the unit of measure admits")
    quantity: Decimal
    price: Decimal | None = Field(description="Per unit; None where Sales found no price")
    discount: Decimal = Field(Decimal(0), description="Money off the whole line")
    net: Decimal = Field(description="quantity x price - discount, rounded by Sales to the currency")
    tax: Decimal = Decimal(0)
    free_goods_reason: str = ""


class DeliveryAddress(Record):
    """Where a quote's goods go, where that is not the customer's own address. All of it is this address's."""

    name: str = ""
    street: str = Field("", description="One line below the other")
    city: str = ""
    postal_code: str = ""
    state: str = ""
    country: str = Field("", description="Finance's country; empty: the customer's")
    unmapped_country: str = Field("", description="What the rep entered, where no country of Finance's is mapped to it")


class QuoteSnapshot(Record):
    """A revision of a quote at one moment, read from Sales."""

    company: str
    quote_id: str
    quote_number: str
    revision: int
    name: str = ""
    customer_id: str = ""
    customer_account: str | None = Field(description="accountnumber as Sales writes it; None: unmapped")
    customer_name: str = ""
    currency: str
    price_list_currency: str
    payment_terms: str = Field("", description="Name of the Finance payment terms; empty: the customer's default")
    unmapped_payment_terms: str = Field("", description="What the rep chose, where no Finance terms are mapped to it")
    cash_discount: str = Field("", description="Cash discount code of Finance; empty: the customer's default")
    delivery: DeliveryAddress | None = Field(None, description="None: the customer's own address")
    requested_delivery: date | None = Field(
        None, description="When the customer wants the goods; None: as Finance plans"
    )
    customer_reference: str = Field("", description="The customer's purchase order number")
    expires_on: date | None = None
    effective_to: date | None = None
    header_discount_pct: Decimal = Decimal(0)
    header_discount: Decimal = Decimal(0)
    freight: Decimal = Decimal(0)
    lines: tuple[QuoteLine, ...]
    net: Decimal = Field(description="Total before tax, header discount taken off, freight included")
    tax: Decimal
    total: Decimal
    owner: Person
    submitted_by: Person | None = None
    makers: tuple[Person, ...] = Field(
        (),
        description="Who else made it: submitted, created, edited or assigned it, in this revision or an earlier one",
    )
    makers_known: bool = Field(False, description="Sales' audit tells all of them; else those who were seen")
    opportunity_id: str | None = None
    sales_order_id: str | None = Field(None, description="The salesorder made from it, once accepted")
    state: str = Field("draft", description="draft, active, won or closed")
    approval_status: str = Field("none", description="none, requested, pending, approved or rejected")
    etag: str = ""
    justification: str = Field("", description="What the rep wrote in its description; no part of the content")

    def content_hash(self) -> str:
        """SHA-256 (hex) of what is sold, to whom and on what terms.

        State, row version and people are left out: they change without changing the deal. Numbers are normalised,
        so that 10 and 10.00 are the same content.
        """
        content = {
            "company": self.company,
            "quote": self.quote_number,
            "revision": self.revision,
            "customer": self.customer_account,
            "currency": self.currency,
            "payment_terms": self.payment_terms,
            "expires_on": self.expires_on.isoformat() if self.expires_on else None,
            "header_discount_pct": _plain(self.header_discount_pct),
            "header_discount": _plain(self.header_discount),
            "freight": _plain(self.freight),
            "net": _plain(self.net),
            "tax": _plain(self.tax),
            "total": _plain(self.total),
            "lines": [
                [
                    line.line_no,
                    line.item,
                    line.description,
                    line.unit,
                    _plain(line.quantity),
                    None if line.price is None else _plain(line.price),
                    _plain(line.discount),
                    _plain(line.net),
                ]
                for line in sorted(self.lines, key=lambda line: line.line_no)
            ],
        }
        content |= {name: value for name, value in self._said_beside().items() if value}
        canonical = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _said_beside(self) -> dict[str, Any]:
        """What a rep may enter beside what is sold; what is empty is left out of the content."""
        return {
            "cash_discount": self.cash_discount,
            "delivery": self.delivery.model_dump() if self.delivery else None,
            "requested_delivery": self.requested_delivery.isoformat() if self.requested_delivery else None,
            "customer_reference": self.customer_reference,
        }


class NumberedLine(NamedTuple):
    """What identifies a line of Sales: its id, and the numbers it may or may not have."""

    line_id: str
    number: int | None
    sequence: int | None


_LARGEST: Final = 2**31 - 1
"""Finance keeps the number as a 32-bit integer."""


def numbered(lines: Sequence[NumberedLine]) -> dict[str, int]:
    """The deal's number of each line, by its id.

    Sales' line numbers, where every line has one of its own; otherwise the lines are counted in the order of what
    numbers there are, then of their ids. No two lines get the same number.
    """
    given = [line.number for line in lines]
    if len(set(given)) == len(given) and all(number and 0 < number <= _LARGEST for number in given):
        return {line.line_id: line.number or 0 for line in lines}
    ordered = sorted(lines, key=lambda line: (_last(line.number), _last(line.sequence), line.line_id))
    return {line.line_id: position for position, line in enumerate(ordered, start=1)}


def _last(number: int | None) -> int:
    return _LARGEST if number is None else number


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
