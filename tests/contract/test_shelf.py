"""A table with a shelf answers as one without: the same rows, however they are looked for, before and after writes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sandbox.odata.filters import Filter
from sandbox.odata.query import SortKey, arrange, cut_page
from sandbox.shelf import Layout, Shelf, ShelfError
from sandbox.store import Change, Database, DuplicateKey, NoSuchRow, Row, Table

KEY = ("company", "number")
LAYOUT = Layout(
    key=KEY,
    columns={name: name for name in ("company", "number", "name", "amount", "moment")},
    convert={"amount": Decimal},
    constants={"kind": "customer"},
    counters={"record": 100},
    looked_up=frozenset({"name", "kind"}),
    moments=frozenset({"moment"}),
)
ROWS = [
    ("de", "D-1", "Alfa", "1.50", "2026-01-03T00:00:00Z"),
    ("de", "D-2", '"Beta, Ltd."', "", "2026-01-01T00:00:00Z"),
    ("us", "U-1", "alfa", "3", "2026-01-02T00:00:00Z"),
    ("us", "U-10", "Gamma", "4", "2026-01-05T00:00:00Z"),
    ("us", "U-2", "", "5", "2026-01-04T00:00:00Z"),
]
ORDER = tuple(SortKey(lambda row, c=column: row[c], column=column) for column in KEY)  # type: ignore[misc]


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Table, Table]:
    """A table on a shelf, and one that holds the same rows."""
    path = tmp_path / "rows.csv"
    path.write_text("company,number,name,amount,moment\n" + "".join(",".join(row) + "\n" for row in ROWS))
    db = Database()
    shelved, plain = db.table("shelved", KEY), db.table("plain", KEY)
    shelf = Shelf(path, LAYOUT)
    shelved.put_on_shelf(shelf)
    for position in range(len(shelf)):
        plain.insert(shelf.row(position))
    for column in ("name", "kind"):
        shelved.index(column)
        plain.index(column)
    return shelved, plain


def _write(table: Table) -> None:
    table.update(("us", "u-10"), {"name": "Changed"})
    table.delete(("DE", "D-1"))
    table.insert({"company": "us", "number": "U-15", "name": "New", "record": 900, "moment": "2026-02-01T00:00:00Z"})
    table.insert({"company": "fr", "number": "F-1", "name": None, "record": 901, "moment": "2026-02-01T00:00:00Z"})


def _asked(table: Table) -> dict[str, Any]:
    """Everything there is to ask."""

    def found(condition: Filter | None, order: tuple[SortKey, ...] = ORDER) -> list[Row]:
        rows = arrange(table, condition, order, name=repr(condition))
        pages: list[Row] = []
        after = None
        while True:
            page = cut_page(rows, order, size=2, after=after)
            pages += page.rows
            after = page.token
            if after is None:
                return pages

    def where(column: str, *values: Any, **more: Any) -> Filter:
        folded = {value.casefold() if isinstance(value, str) else value for value in values}
        return Filter(lambda row: _fold(row.get(column)) in folded, {column: values}, **more)

    def begins(text: str, choices: Mapping[str, tuple[Any, ...]]) -> Filter:
        company = choices.get("company", ("de", "fr", "us"))
        return Filter(
            lambda row: row["number"].casefold().startswith(text) and row["company"] in company,
            choices,
            prefixes={"number": text},
            exact=True,
        )

    by_moment = (SortKey(lambda row: row["moment"], True, "moment"), *ORDER)
    since = Filter(lambda row: row["moment"] >= "2026-01-03", floors={"moment": "2026-01-03T00:00:00Z"})
    counted = Filter(lambda row: row["record"] >= 103, floors={"record": 103})
    return {
        "all": found(None),
        "company": found(where("company", "US", exact=True)),
        "key": found(Filter(lambda row: row["number"] == "U-2", {"company": ("us",), "number": ("U-2",)}, exact=True)),
        "prefix": found(begins("u-1", {"company": ("us",)})),
        "prefix in any company": found(begins("u-1", {})),
        "name": found(where("name", "ALFA")),
        "no name": found(where("name", None)),
        "kind": found(where("kind", "customer")),
        "since": found(since, by_moment),
        "counter": found(counted),
        "iterated": sorted(table, key=lambda row: (row["company"], row["number"])),
        "found": sorted(table.find(name="alfa"), key=lambda row: (row["company"], row["number"])),
        "got": [table.get((row[0], row[1].lower())) for row in ROWS],
        "length": len(table),
        "duplicates": table.has_duplicates("name"),
    }


def _fold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def test_the_same_rows_are_found_before_and_after_writes(tables: tuple[Table, Table]) -> None:
    shelved, plain = tables
    before = _asked(shelved)
    assert before == _asked(plain)
    assert before["got"][1]["name"] == "Beta, Ltd."
    assert "amount" not in before["got"][1]

    for table in tables:
        _write(table)

    after = _asked(shelved)
    assert after == _asked(plain)
    assert [row["number"] for row in after["prefix"]] == ["U-1", "U-10", "U-15"]
    assert after["length"] == len(ROWS) + 1


def test_a_write_that_is_undone_leaves_everything_as_it_was(tables: tuple[Table, Table]) -> None:
    shelved, plain = tables
    before = _asked(shelved)

    for table in tables:
        with pytest.raises(ZeroDivisionError), table._db.transaction():
            _write(table)
            raise ZeroDivisionError

    assert _asked(shelved) == _asked(plain) == before


def test_a_change_tells_what_was_there_and_a_taken_key_is_refused(tables: tuple[Table, Table]) -> None:
    shelved, _ = tables
    told: list[Change] = []
    shelved._db.on_commit(told.extend)  # type: ignore[attr-defined]
    shelved.unique("name")

    shelved.update(("us", "U-10"), {"amount": Decimal(9)})
    with pytest.raises(DuplicateKey):
        shelved.insert({"company": "DE", "number": "d-2", "name": "Other"})
    with pytest.raises(DuplicateKey):
        shelved.insert({"company": "de", "number": "D-9", "name": "GAMMA"})
    with pytest.raises(NoSuchRow):
        shelved.update(("de", "D-9"), {"name": "x"})

    (change,) = told
    assert change.before is not None
    assert change.after is not None
    assert (change.before["amount"], change.after["amount"]) == (Decimal(4), Decimal(9))


def test_what_is_no_shelf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    for text, problem in (
        ("", "empty"),
        ("company,number,colour\n", "colour"),
        ("company,name\n", "number"),
        ("company,number\nus,2\nus,1\n", "ordered"),
        ("company,number\nus,A\nUS,a\n", "ordered"),
    ):
        path.write_text(text)
        with pytest.raises(ShelfError, match=problem):
            Shelf(path, LAYOUT)
