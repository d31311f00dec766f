"""Deals as rows of a file, for every list of deals."""

from __future__ import annotations

from typing import Final

from domain.causes import Cause
from runs.search import DealRow
from web.exports import Cell, amount_cell

DEAL_COLUMNS: Final = (
    "Company",
    "Quote",
    "Name",
    "Customer",
    "Customer name",
    "Owner",
    "Status",
    "Stage",
    "In stage since",
    "Waiting for",
    "Cause",
    "Total incl. tax",
    "Currency",
    "Order",
    "Started",
    "Ended",
)


def deal_cells(row: DealRow) -> tuple[Cell, ...]:
    """The cells of a deal, in the order of ``DEAL_COLUMNS``."""
    return (
        row.company.upper(),
        row.quote,
        row.name,
        row.customer,
        row.customer_name,
        row.owner,
        row.status,
        row.stage,
        row.in_stage_since,
        "" if row.ended else row.waiting_for,
        Cause.of(row.error).words if row.error else "",
        amount_cell(row.amount, row.currency),
        row.currency,
        row.order,
        row.started_at,
        row.closed_at,
    )
