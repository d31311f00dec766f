"""The lines of a deal's order, for a page and for the API: who may see them, and where they come from."""

from __future__ import annotations

from domain.fulfilment import OrderLines
from domain.people import Person
from domain.phrases import phrase
from domain.refusals import Refusal
from domain.views import DealView
from runs.deals import Deals
from runs.reviews import Reviews
from web.access import Access
from web.addresses import Deal
from web.problems import Problem


async def lines_for(
    person: Person, deal: Deal, access: Access, deals: Deals, reviews: Reviews, offset: int
) -> tuple[DealView, OrderLines]:
    """A deal, and a page of its order's lines as Finance holds them now.

    Args:
        person: who asks.
        deal: which deal.
        access: says who may read it.
        deals: ask the deal for its order's number.
        reviews: read the lines.
        offset: how many lines to leave out.

    Raises:
        Problem: 403, the person may not read the deal; 404, it has no order.
        RunError: the deal or Finance does not answer.
    """
    access.check_readable(person, deal.company)
    view = await deals.state(deal.company, deal.quote)
    if not view.order_number:
        raise Problem(Refusal.NOT_FOUND, phrase("Deal {quote} has no order in Finance yet.", quote=deal.quote))
    return view, await reviews.order_lines(deal.company, view.order_number, offset)
