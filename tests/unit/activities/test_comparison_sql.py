"""Pages of both sides joined: which differences there are, of which class, and what is no difference."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities import comparison_sql as sql
from domain.entities.comparing import ComparedField, Comparison, Difference, DifferenceClass, SalesTable
from domain.entities.model import Owner
from ledger.pages import PageDamaged, Pages

FIELDS: dict[str, dict[str, Any]] = {
    "name": {"normal": "trim"},
    "phone": {"normal": "e164", "pii": True, "owner": "SALES"},
    "email": {"normal": "email"},
    "site": {"normal": "url"},
    "tax": {"normal": "vat"},
    "day": {"normal": "day"},
    "code": {"normal": "upper"},
    "short": {"cut_at": 5},
    "country": {"normal": "iso_country", "values": {"USA": "United States", "DEU": "Germany"}, "owner": "SALES"},
    "terms": {"values": {"Net 30": "1"}, "refused": ("COD",), "owner": "FINANCE"},
    "limit": {"number": True, "decimals": "currency"},
    "rate": {"number": True, "tolerance": Decimal("0.5"), "decimals": 2},
    "currency": {"sales": "transactioncurrencyid.isocurrencycode"},
}
COMPARISON = Comparison(
    entity="customer",
    company="usmf",
    map_hash="h",
    finance_set="CustomersV3",
    finance_filter="",
    finance_key=("CustomerAccount",),
    sales=SalesTable(entity_set="accounts", id="accountid"),
    sales_filter="",
    sales_key=("accountnumber",),
    fields=tuple(
        ComparedField.model_validate({"name": name, "finance": name, "sales": name, "owner": "FINANCE"} | given)
        for name, given in FIELDS.items()
    ),
)
PLACE = {name: f"v{n}" for n, name in enumerate(FIELDS)}


def finance(key: str, **values: str | None) -> dict[str, str | None]:
    row: dict[str, str | None] = {"k0": key, **dict.fromkeys(PLACE.values(), "")}
    return row | {PLACE[name]: value for name, value in values.items()}


def sales(row_id: str, key: str | None, **values: str | None) -> dict[str, str | None]:
    row: dict[str, str | None] = {"id": row_id, "k0": key, **dict.fromkeys(PLACE.values())}
    return row | {PLACE[name]: value for name, value in values.items()}


def compared(folder: Path, left: list[dict[str, str | None]], right: list[dict[str, str | None]]) -> list[Difference]:
    pages = Pages(folder, "compare/run")
    columns = ("k0", *PLACE.values())
    pages.write("finance-00001", columns, left)
    pages.write("sales-00001", ("id", *columns), right)
    with sql.opened(folder / "spill") as db:
        sql.find(db, COMPARISON, pages.files("finance"), pages.files("sales"))
        return [found for some in sql.differences(db, COMPARISON) for found in some]


@pytest.mark.parametrize(
    ("field", "in_finance", "in_sales", "kind"),
    [
        ("name", "Contoso ", "Contoso", ""),
        ("name", "Contoso", "contoso", "DIFF"),
        ("name", "", None, ""),
        ("phone", "+12065550100", "001 (206) 555-0100", ""),
        ("phone", "+12065550100", "+1 206 555 0101", "DIFF"),
        ("email", "Office@Contoso.example", "office@contoso.example ", ""),
        ("site", "https://www.contoso.example/", "contoso.example", ""),
        ("tax", "DE 123.456.789", "de123456789", ""),
        ("day", "1900-01-01T12:00:00Z", None, ""),
        ("day", "2026-11-27T12:00:00Z", "2026-11-27", ""),
        ("code", "usd", "USD", ""),
        ("short", "Contoso Retail", "Conto", ""),
        ("short", "Contoso Retail", "Contr", "DIFF"),
        ("country", "USA", "united states", ""),
        ("country", "USA", "Germany", "DIFF"),
        ("country", "FRA", "France", "UNMAPPED"),
        ("country", "USA", "Atlantis", "UNMAPPED"),
        ("country", "", None, ""),
        ("country", "USA", None, "DIFF"),
        ("terms", "Net 30", "1", ""),
        ("terms", "COD", "7", ""),
        ("terms", "Net 90", None, "UNMAPPED"),
        ("limit", "1000.5", "1000.50", ""),
        ("limit", "1000.004", "1000", "ROUNDING"),
        ("limit", "1000.01", "1000", "DIFF"),
        ("limit", "0", None, ""),
        ("limit", "many", "1", "DIFF"),
        ("rate", "1.5", "2", ""),
        ("rate", "1.5", "2.01", "DIFF"),
    ],
)
def test_values_are_compared_in_their_normal_form(
    tmp_path: Path, field: str, in_finance: str, in_sales: str | None, kind: str
) -> None:
    found = compared(tmp_path, [finance("US-1", **{field: in_finance})], [sales("a1", "us-1 ", **{field: in_sales})])

    expected = [(DifferenceClass(kind), "US-1", field, in_finance, in_sales or "")] if kind else []
    assert [(each.kind, each.key, each.field, each.finance_value, each.sales_value) for each in found] == expected


def test_the_last_decimal_of_an_amount_is_its_currencys(tmp_path: Path) -> None:
    pairs = {"JPY": ("100.5", "100"), "KWD": ("100.004", "100"), "USD": ("100.004", "100")}
    left = [finance(code, currency=code, limit=a) for code, (a, _) in pairs.items()]
    right = [sales(code, code, currency=code, limit=b) for code, (_, b) in pairs.items()]

    found = compared(tmp_path, left, right)

    assert {each.key: str(each.kind) for each in found} == {"JPY": "ROUNDING", "KWD": "DIFF", "USD": "ROUNDING"}


def test_records_are_missing_doubled_or_without_a_key(tmp_path: Path) -> None:
    left = [finance("US-1"), finance("US-2"), finance("US-3"), finance("US-1")]
    right = [
        sales("a1", "US-1"),
        sales("a1", "US-1"),
        sales("a2", "US-2", name="One"),
        sales("a3", "us-2", name="Two"),
        sales("a4", None),
        sales("a5", " "),
        sales("a6", "US-9"),
    ]

    found = compared(tmp_path, left, right)

    assert sorted((str(each.kind), each.key, each.lacking or "", each.sales_ids) for each in found) == [
        ("DUPLICATE", "US-2", "", "a2 a3"),
        ("MISSING", "US-3", "sales", ""),
        ("MISSING", "US-9", "finance", "a6"),
        ("UNMAPPED", "a4", "", "a4"),
        ("UNMAPPED", "a5", "", "a5"),
    ]


def test_a_difference_names_its_owner_and_whether_it_is_personal(tmp_path: Path) -> None:
    (found,) = compared(tmp_path, [finance("US-1", phone="+1")], [sales("a1", "US-1", phone="+2")])

    assert (found.owner, found.pii, found.sales_ids) == (Owner.SALES, True, "a1")


def test_only_what_stood_still_between_two_looks_is_a_difference(tmp_path: Path) -> None:
    columns, pages = ("k0", *PLACE.values()), Pages(tmp_path, "compare/run")
    looks = (
        ([finance("1", name="A"), finance("2", name="A"), finance("3"), finance("4", name="A")], "first"),
        ([finance("1", name="A"), finance("2", name="B"), finance("3"), finance("4", name="B")], "second"),
    )
    others = {
        "first": [sales("a1", "1", name="X"), sales("a2", "2", name="B"), sales("a4", "4", name="X")],
        "second": [
            sales("a1", "1", name="X"),
            sales("a2", "2", name="B"),
            sales("a3", "3"),
            sales("a4", "4", name="X"),
        ],
    }
    with sql.opened(tmp_path / "spill") as db:
        for left, look in looks:
            pages.write(f"finance.{look}-1", columns, left)
            pages.write(f"sales.{look}-1", ("id", *columns), others[look])
            sql.find(db, COMPARISON, pages.files(f"finance.{look}"), pages.files(f"sales.{look}"))
            if look == "first":
                sql.candidates(db, COMPARISON)
                keys = db.execute("SELECT n, key, id, k0 FROM candidates ORDER BY n").fetchall()
                sql.save(db, "found", pages.making("found"))
                pages.seal("found", pages.making("found"), 4)
        gone = sql.keep_standing(db, str(pages.folder / "found.parquet"))
        found = [each for some in sql.differences(db, COMPARISON) for each in some]

    assert keys == [(0, "1", None, "1"), (1, "2", None, "2"), (2, "3", None, "3"), (3, "4", None, "4")]
    assert [(each.key, each.field) for each in found] == [("1", "name")]
    assert gone == 3


def test_a_side_without_a_record_lacks_them_all(tmp_path: Path) -> None:
    with sql.opened(tmp_path / "spill") as db:
        pages = Pages(tmp_path, "compare/run")
        pages.write("finance-1", ("k0", *PLACE.values()), [finance("US-1")])
        sql.find(db, COMPARISON, pages.files("finance"), [])
        assert sql.counts(db)[DifferenceClass.MISSING] == 1


def test_a_page_is_there_with_its_manifest_alone_and_is_not_changed_unseen(tmp_path: Path) -> None:
    pages = Pages(tmp_path, "compare/run")
    written = pages.write("sales-00001", ("id", "k0"), [{"id": "a", "k0": None}], next_link="https://next")

    assert pages.manifest("sales-00001") == written
    assert pages.manifest("sales-00002") is None
    (pages.folder / "sales-00003.parquet").write_bytes(b"half")
    assert list(pages.manifests("sales")) == ["sales-00001"]
    file = pages.folder / written.file
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(PageDamaged, match="is not what"):
        pages.files("sales")
    old, young = Pages(tmp_path, "compare/old"), Pages(tmp_path, "compare/young")
    for other in (old, young):
        other.write("sales-00001", ("id",), [{"id": "a"}])
    for path in (old.folder, *old.folder.iterdir()):
        os.utime(path, (0, 0))
    pages.remove_abandoned(timedelta(days=1))
    assert (old.folder.exists(), young.folder.exists(), pages.folder.exists()) == (False, True, True)
    for place in ("../up", "/etc", "a/../b", "", "a/.hidden"):
        with pytest.raises(ValueError, match="no place of pages"):
            Pages(tmp_path, place)
