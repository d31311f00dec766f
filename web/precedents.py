"""What a customer got before: their last deals in the company, with discount, margin and what became of them."""

from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Final

from domain.approvals import ApprovalRequest
from domain.record import Record
from domain.views import DealView
from runs.calls import RunError
from runs.deals import Deals
from runs.search import DealFilter, DealRow, Search

SHOWN: Final = 5
_LOOKED_AT: Final = 12
"""Deals that are looked at to find five others: a quote that was begun again has several runs."""
_SECONDS: Final = 2.0


class Precedent(Record):
    """An earlier deal of the customer. Money in its currency."""

    company: str
    quote: str
    name: str = ""
    currency: str
    net: Decimal
    discount_pct: Decimal
    margin_pct: Decimal | None
    outcome: str
    at: datetime

    @classmethod
    def of(cls, view: DealView, *, shows_margin: bool) -> Precedent:
        """A deal as its reader may see it."""
        return cls(
            company=view.company,
            quote=view.quote_number,
            name=view.name,
            currency=view.currency,
            net=view.net,
            discount_pct=view.discount_pct,
            margin_pct=view.margin_pct if shows_margin else None,
            outcome=view.ending.outcome,
            at=view.updated_at,
        )


class Precedents(Record):
    """The last deals of a customer, and how many of them could not be read."""

    items: tuple[Precedent, ...] = ()
    unreadable: int = 0


async def precedents_for(
    request: ApprovalRequest, deals: Deals, search: Search, *, shows_margin: bool
) -> Precedents | None:
    """The customer's last five other deals in the company of a request; None where the list does not answer.

    Args:
        request: what approval is asked of.
        deals: are asked how they ended or stand.
        search: finds them.
        shows_margin: whether the reader may see margins.
    """
    if not request.customer_account:
        return Precedents()
    wanted = DealFilter(company=request.company, customer=request.customer_account)
    try:
        page = await search.deals(wanted, limit=_LOOKED_AT)
    except RunError:
        return None
    newest: dict[str, DealRow] = {}
    # The store gives running deals first.
    for row in sorted(page.items, key=lambda row: row.started_at, reverse=True):
        if row.quote != request.quote_number:
            newest.setdefault(row.quote, row)
    rows = list(newest.values())[:SHOWN]
    views = await asyncio.gather(*(_seen(row, deals) for row in rows))
    items = tuple(Precedent.of(view, shows_margin=shows_margin) for view in views if view is not None and view.currency)
    return Precedents(items=items, unreadable=sum(view is None for view in views))


async def _seen(row: DealRow, deals: Deals) -> DealView | None:
    try:
        return await deals.glimpse(row.company, row.quote, row.run_id if row.status == "closed" else "", _SECONDS)
    except RunError:
        return None
