"""What a query over a virtual table selects, and what is no query."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.refusals import Refusal
from virtual.filters import holds, only, parse
from virtual.queries import asked, chosen
from virtual.refused import Refused
from virtual.tables import BY_NAME, TABLES

INVOICES = BY_NAME["q2c_openinvoice"]
COLUMNS = {column.name: column for column in INVOICES.all_columns}
KEY = "0a0a0a0a-0000-5000-8000-000000000001"
ROW = {
    "q2c_openinvoiceid": KEY,
    "q2c_name": "INV-1",
    "q2c_account": "US-001",
    "q2c_currency": None,
    "q2c_openamount": Decimal("250.50"),
    "q2c_daysoverdue": 12,
    "q2c_dueon": datetime(2026, 11, 1, 12, tzinfo=UTC),
}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("q2c_account eq 'us-001'", True),
        ("q2c_account ne 'US-001'", False),
        ("q2c_openamount gt 250.4 and q2c_openamount le 250.50", True),
        ("not (q2c_daysoverdue ge 12)", False),
        ("contains(q2c_name,'nv-') or q2c_daysoverdue eq 0", True),
        ("endswith(q2c_name,'1') and startswith(q2c_name,'x')", False),
        ("q2c_dueon lt 2026-11-02", True),
        ("q2c_dueon lt 2026-11-01T11:59:59Z", False),
        ("q2c_currency eq null", True),
        ("q2c_currency ne null", False),
        ("q2c_currency lt 'ZZZ'", False),
        (f"q2c_openinvoiceid eq {KEY.upper()}", True),
        (f"q2c_openinvoiceid eq '{KEY}'", True),
        ("q2c_name eq 'it''s'", False),
    ],
)
def test_a_filter_selects_as_dataverse_does(text: str, selected: bool) -> None:
    assert holds(parse(text, COLUMNS), ROW) is selected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("q2c_account eq 'US-001'", {"us-001"}),
        ("q2c_account eq 'A' or q2c_account eq 'B'", {"a", "b"}),
        ("q2c_account eq 'A' and q2c_daysoverdue gt 3", {"a"}),
        ("q2c_account eq 'A' and q2c_account eq 'B'", set()),
        ("q2c_account eq 'A' or q2c_daysoverdue gt 3", None),
        ("not (q2c_account eq 'A')", None),
        ("startswith(q2c_account,'A')", None),
    ],
)
def test_what_a_column_has_in_every_row_is_found_and_nothing_is_lost(text: str, values: set[str] | None) -> None:
    found = only(parse(text, COLUMNS), "q2c_account")
    assert found == (None if values is None else frozenset(values))


@pytest.mark.parametrize(
    "query",
    [
        "$filter=q2c_openamount gt 'x'",
        "$filter=q2c_secret eq 1",
        "$filter=q2c_account eq",
        "$filter=q2c_account eq 'A' 'B'",
        "$filter=contains(q2c_openamount,'1')",
        "$filter=q2c_openamount eq 1e999999",
        "$filter=" + "(" * 60 + "q2c_openamount gt 1" + ")" * 60,
        "$filter=" + "not " * 200 + "q2c_openamount gt 1",
        "$filter=" + " or ".join(["q2c_openamount gt 1"] * 200),
        "$filter=" + "x" * 3_000,
        "$expand=everything",
        "$apply=groupby((q2c_account))",
        "$top=-1",
        "$top=٣",
        "$skip=99999999999",
        "$orderby=q2c_openamount up",
        "$select=password",
        "$count=perhaps",
        "$top=1&$top=2",
        "$format=atom",
    ],
)
def test_what_cannot_be_read_is_refused(query: str) -> None:
    with pytest.raises(Refused) as refused:
        asked(query, INVOICES)
    assert refused.value.code is Refusal.BAD_ARGUMENT


def test_rows_are_sorted_with_nulls_first_as_dataverse_sorts_them() -> None:
    rows: list[dict[str, Any]] = [
        {**ROW, "q2c_openinvoiceid": str(n), "q2c_currency": currency, "q2c_daysoverdue": days}
        for n, (currency, days) in enumerate([("USD", 3), ("EUR", 9), (None, 1), ("eur", 1)])
    ]
    by = asked("$orderby=q2c_currency asc,q2c_daysoverdue desc&$select=q2c_name,q2c_asof", INVOICES)
    assert [row["q2c_openinvoiceid"] for row in chosen(rows, by, INVOICES)] == ["2", "1", "3", "0"]
    assert by.select == ("q2c_name", "q2c_asof")


def test_every_row_says_when_finance_was_read_and_how_fresh_it_is() -> None:
    for table in TABLES:
        names = [column.name for column in table.all_columns]
        assert names[0] == table.id and names[-2:] == ["q2c_asof", "q2c_freshness"]
        assert len({*names}) == len(names)
        assert table.row_key("usmf", "US-001") == table.row_key("usmf", "us-001") != table.row_key("demf", "US-001")
