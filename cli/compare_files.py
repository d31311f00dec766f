"""A difference as a line of a report."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from cli.report_files import Row
from ledger.comparison_runs import KeptDifference

COLUMNS: Final = (
    "class",
    "key",
    "field",
    "finance",
    "sales",
    "missing_in",
    "sales_ids",
    "owner",
    "first_seen_at",
    "age_days",
)


def row_of(found: KeptDifference, now: datetime) -> Row:
    """A difference as a line of a report."""
    return (
        found.kind.value,
        found.key,
        found.field,
        found.finance_value,
        found.sales_value,
        found.lacking or "",
        found.sales_ids,
        found.owner.value,
        found.first_seen_at.isoformat().replace("+00:00", "Z"),
        str(found.age_days(now)),
    )
