"""A write on a record of Sales names the columns that the page says, so that no edit of a user is undone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dynamics.sales.writes import OURS, ours

ROOT = Path(__file__).parents[3]
CHANGES = re.compile(r"""patch\(\s*key\(|Write\(\s*["']PATCH["']""")
"""How a record is changed: at once, or in a change set."""


def test_the_page_lists_the_columns_that_are_written() -> None:
    page = (ROOT / "docs" / "quote-to-order.md").read_text(encoding="utf-8")
    part = page.partition("## What is written on records of Sales")[2]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", part, re.MULTILINE)
    assert {f"{table}s": set(re.findall(r"`(\w+)`", columns)) for table, columns in rows} == OURS


def test_a_column_that_people_save_is_never_written() -> None:
    with pytest.raises(ValueError, match="description of salesorders may be changed in Sales only"):
        ours("salesorders", {"q2c_financeordernumber": "SO-1", "description": "ours"})


def test_every_change_of_a_record_goes_through_the_table() -> None:
    """But for those of the product's own table, whose rows nobody else writes."""
    found = {}
    for file in sorted((ROOT / "dynamics" / "sales").glob("*.py")):
        text = file.read_text(encoding="utf-8")
        changes, checked = len(CHANGES.findall(text)), len(re.findall(r"(?<!def )ours\(", text))
        if changes and checked < changes:
            found[file.name] = changes - checked
    assert found == {"deal_rows.py": 1}
