"""Deals as rows of a file, for every list of deals."""

from __future__ import annotations

from typing import Final

from domain.causes import Cause
from runs.search import DealRow
from web.exports import Columns, amount_cell

DEAL_COLUMNS: Final[Columns[DealRow]] = {
    "Company": lambda row: row.company.upper(),
    "Quote": lambda row: row.quote,
    "Name": lambda row: row.name,
    "Customer": lambda row: row.customer,
    "Customer name": lambda row: row.customer_name,
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
