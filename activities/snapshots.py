"""A quote of Sales as the rules know it, and the snapshots this process has seen.

Lines never travel through a workflow: it carries the snapshot's hash, and the activity that needs the lines reads them
again, or takes them from here. What is kept is addressed by its own hash, so it can be missing but never wrong.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from domain.money import is_money, round_money
from domain.people import Person
from domain.policy import Policy
from domain.quote import QuoteLine, QuoteSnapshot
from domain.validation import normalise
from dynamics.core.literals import WILDCARD
from dynamics.sales import records as sales
from dynamics.sales.client import Dataverse

LINES_KEPT = 100_000
"""Lines of all snapshots kept together; the least recently used go first."""

ORDERS_KEPT = 10_000
"""Quotes whose salesorder's id is remembered."""

_FREE_GOODS = re.compile(r"^\s*free goods\s*:\s*(?P<reason>\S.*)$", re.IGNORECASE | re.MULTILINE)

STATES: Mapping[sales.QuoteState, Literal["draft", "active", "won", "closed"]] = {
    sales.QuoteState.DRAFT: "draft",
    sales.QuoteState.ACTIVE: "active",
    sales.QuoteState.WON: "won",
    sales.QuoteState.CLOSED: "closed",
}


class SalesQuotes:
    """Reads quotes and remembers their snapshots by content."""

    def __init__(self, dataverse: Dataverse, policy: Policy) -> None:
        """Read through ``dataverse``, name things by the entity map of ``policy``."""
        self._dataverse = dataverse
        self._policy = policy
        self._kept: OrderedDict[str, QuoteSnapshot] = OrderedDict()
        self._lines = 0
        self._orders: OrderedDict[str, UUID] = OrderedDict()

    async def read(self, quote_id: str) -> tuple[QuoteSnapshot, sales.Quote]:
        """A quote as it is now: its snapshot, and the row it was made of.

        Raises:
            DynamicsError: it cannot be read.
        """
        quote = await self._dataverse.read_quote(UUID(quote_id))
        snapshot = snapshot_of(quote, self._policy)
        self._keep(snapshot)
        if quote.orders:
            self._orders[quote_id] = quote.orders[0].id
            if len(self._orders) > ORDERS_KEPT:
                self._orders.popitem(last=False)
        return snapshot, quote

    def order_of(self, quote_id: str) -> UUID | None:
        """The salesorder a quote became, if this process has seen it; a quote becomes only one."""
        return self._orders.get(quote_id)

    def kept(self, content_hash: str) -> QuoteSnapshot | None:
        """A snapshot with exactly this content, if this process has seen it."""
        found = self._kept.get(content_hash)
        if found is not None:
            self._kept.move_to_end(content_hash)
        return found

    def _keep(self, snapshot: QuoteSnapshot) -> None:
        content = snapshot.content_hash()
        if (before := self._kept.pop(content, None)) is not None:
            self._lines -= len(before.lines)
        self._kept[content] = snapshot
        self._lines += len(snapshot.lines)
        while self._lines > LINES_KEPT and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._lines -= len(dropped.lines)


def accepted_at(quote: sales.Quote) -> datetime | None:
    """When a quote was won, UTC; None where Sales does not say."""
    return quote.closed_on or (quote.orders[0].created_on if quote.orders else None)


def company_of(quote: sales.Quote, policy: Policy) -> str | None:
    """The legal entity of a quote, by its owning business unit; None where the entity map has none for it."""
    return policy.entity_map.company_of(quote.business_unit.name) if quote.business_unit else None


def snapshot_of(quote: sales.Quote, policy: Policy) -> QuoteSnapshot:
    """A quote in the words of the rules. Texts in NFC; money in the quote's currency, as Sales computed it."""
    currency = quote.currency.iso if quote.currency else ""
    price_list = quote.price_list.currency.iso if quote.price_list and quote.price_list.currency else currency
    owner = _person(quote.owner) or _person(quote.modified_by) or Person(oid="")
    submitter = _person(quote.modified_by)
    account = quote.customer.number if quote.customer else ""
    return QuoteSnapshot(
        company=company_of(quote, policy) or "",
        quote_id=str(quote.id),
        quote_number=quote.number,
        revision=quote.revision,
        name=normalise(quote.name),
        customer_id=str(quote.customer.id) if quote.customer else "",
        # An account that Finance would read as a wildcard is no account of Finance.
        customer_account=account if account and WILDCARD not in account else None,
        customer_name=normalise(quote.customer.name) if quote.customer else "",
        currency=currency,
        price_list_currency=price_list,
        payment_terms=policy.entity_map.payment_terms.get(quote.payment_terms_code or 0, ""),
        expires_on=quote.expires_on,
        header_discount_pct=quote.header_discount_pct,
        header_discount=quote.header_discount,
        freight=quote.freight,
        lines=tuple(_line(line, n) for n, line in enumerate(quote.lines, start=1)),
        net=_trimmed(quote.net + quote.freight, currency),
        tax=_trimmed(quote.tax, currency),
        total=_trimmed(quote.total, currency),
        owner=owner,
        submitted_by=submitter if submitter and submitter.oid != owner.oid else None,
        opportunity_id=str(quote.opportunity.id) if quote.opportunity else None,
        sales_order_id=str(quote.orders[0].id) if quote.orders else None,
        state=STATES[quote.state],
        approval_status=(quote.approval or sales.ApprovalChoice.NONE).name.lower(),
        etag=quote.etag,
    )


def _trimmed(amount: Decimal, currency: str) -> Decimal:
    """A total without the zeros beyond the currency's decimals that Sales stores; any other digit stays."""
    return round_money(amount, currency) if currency and is_money(amount, currency) else amount


def _line(line: sales.QuoteLine, position: int) -> QuoteLine:
    discount = line.manual_discount + line.volume_discount * line.quantity
    item = line.product.number if line.product and not line.write_in else None
    free = _FREE_GOODS.search(line.description)
    return QuoteLine(
        line_no=line.number or line.sequence or position,
        line_id=str(line.id),
        item=item,
        description=normalise(line.description or line.write_in_text),
        unit=line.unit.name if line.unit else "",
        unit_decimals=(line.product.decimals or 0) if line.product else 0,
        quantity=line.quantity,
        price=line.price,
        discount=discount,
        net=line.extended - line.tax,
        tax=line.tax,
        free_goods_reason=free["reason"].strip() if free else "",
    )


def _person(user: sales.User | None) -> Person | None:
    """A user who is a person of the directory; None for one without an Entra id."""
    if user is None or user.entra_id is None:
        return None
    return Person(oid=str(user.entra_id), name=user.name, upn=user.upn or user.email)


def differences(approved: QuoteSnapshot, now: QuoteSnapshot) -> tuple[str, ...]:
    """What differs between the approved content and the quote as it is, in words, at most twenty of them."""
    found: list[str] = []
    for name in (
        "company",
        "revision",
        "customer_account",
        "currency",
        "payment_terms",
        "expires_on",
        "header_discount_pct",
        "header_discount",
        "freight",
        "net",
        "tax",
        "total",
    ):
        before, after = getattr(approved, name), getattr(now, name)
        if before != after:
            found.append(f"{name.replace('_', ' ')} {_shown(before)} → {_shown(after)}")
    lines_before = {line.line_no: line for line in approved.lines}
    lines_now = {line.line_no: line for line in now.lines}
    for number in sorted(lines_before.keys() | lines_now.keys()):
        old, new = lines_before.get(number), lines_now.get(number)
        if old is None or new is None:
            found.append(f"line {number} {'added' if old is None else 'removed'}")
            continue
        for name in ("item", "description", "unit", "quantity", "price", "discount", "net"):
            before, after = getattr(old, name), getattr(new, name)
            if before != after:
                found.append(f"line {number} {name} {_shown(before)} → {_shown(after)}")
    return tuple(found[:20])


def _shown(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    return "none" if value in (None, "") else str(value)
