"""Lists of deals: read as they are asked for, and as rows of a file."""

from __future__ import annotations

from typing import Final

from domain.causes import Cause
from runs.search import DealFilter, DealPage, DealRow, Search
from web.api.bodies import DealsQuery
from web.exports import Columns, amount_cell

DEAL_COLUMNS: Final[Columns[DealRow]] = {
    "Company": lambda row: row.company.upper(),
    "Quote": lambda row: row.quote,
    "Name": lambda row: row.name,
    "Customer": lambda row: row.customer,
    "Customer name": lambda row: row.customer_name,
    "Customer's reference": lambda row: row.reference,
    "Owner": lambda row: row.owner,
    "Status": lambda row: row.status,
    "Stage": lambda row: row.stage,
    "In stage since": lambda row: row.in_stage_since,
    "Waiting for": lambda row: "" if row.ended else row.waiting_for,
    "Cause": lambda row: Cause.of(row.error).words if row.error else "",
    "Total incl. tax": lambda row: amount_cell(row.amount, row.currency),
    "Currency": lambda row: row.currency,
    "Order": lambda row: row.order,
    "Started": lambda row: row.started_at,
    "Ended": lambda row: row.closed_at,
}


async def deals_for(search: Search, query: DealsQuery, wanted: DealFilter) -> DealPage:
    """A page of a list of deals, in the order that is asked for.

    Args:
        search: reads the lists.
        query: what was asked, for the page and the order of it.
        wanted: which deals, as ``query`` and the rights of who asks say.

    Raises:
        BadSearch: the cursor is none of this list.
        NoAnswer: Temporal does not answer.
    """
    if query.order is None:
        return await search.deals(wanted, limit=query.limit, cursor=query.cursor)
    return await search.in_order(wanted, query.order, limit=query.limit, cursor=query.cursor)
