"""How many requests a stack on this machine may send to its sandbox."""

from __future__ import annotations

SANDBOX_BUDGETS = {
    "Q2C_DATAVERSE_REQUESTS_PER_SECOND": "60",
    "Q2C_DATAVERSE_ACTIVITIES_PER_SECOND": "120",
    "Q2C_FINANCE_REQUESTS_PER_SECOND": "60",
    "Q2C_FINANCE_ACTIVITIES_PER_SECOND": "120",
    "Q2C_READER_DATAVERSE_REQUESTS_PER_SECOND": "60",
    "Q2C_READER_FINANCE_REQUESTS_PER_SECOND": "60",
}
"""A sandbox on this machine serves nobody else; the budgets of a tenant would only make a demo slow."""
