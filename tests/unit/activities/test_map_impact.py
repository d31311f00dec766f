"""What the changes of a map hit, counted over the records that a comparison kept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from activities.map_impact import RECORDS, RecordsChanged, candidates, impacts, moved_pairs
from domain.entities.identity import hash_of
from domain.entities.map_change import Base, KeptRecords
from domain.entities.model import DataMap
from ledger.pages import sha256_of
from policies.map_files import load_maps

MAPS = load_maps().all
CUSTOMER = next(data for data in MAPS if data.entity == "customer")
COLUMNS = ("account_number", "phone", "city", "country", "payment_terms")
FINANCE = [
    ("US-1", "+1 206 555 0100", "Seattle", "USA", "Net 30"),
    ("US-2", "", "Berlin ", "DEU", "Net 45"),
    ("US-3", "+1 206 555 0103", "Tokyo", "JPN", "Net 45"),
    ("US-4", "+1 206 555 0104", "", "", "Net 60"),
]
SALES = [
    ("us-1", "+1 (206) 555-0100", "Seattle", "United States", "1"),
    ("US-2", "+49 30 1", "Berlin", "Germany", "3"),
    ("US-3", "+1 206 555 9999", "TOKYO", "Japan", "1"),
    ("", "", "", "Japan", ""),
    ("US-9", "1", "", "", ""),
]


@pytest.fixture
def records(tmp_path: Path) -> KeptRecords:
    """What a comparison kept of USMF."""
    about: dict[str, Any] = {}
    for side, rows in (("finance", FINANCE), ("sales", SALES)):
        file = tmp_path / f"customer_{side}" / "usmf.parquet"
        file.parent.mkdir()
        made = [{"company": "usmf", "key": str(n)} | dict(zip(COLUMNS, row, strict=True)) for n, row in enumerate(rows)]
        pq.write_table(pa.Table.from_pylist(made), file)
        about |= {f"{side}_sha256": sha256_of(file), f"{side}_records": len(rows)}
    whose = {"entity": "customer", "company": "usmf", "run_id": "r", "map_hash": hash_of(CUSTOMER)}
    return KeptRecords.model_validate(about | whose | {"kept_at": datetime(2026, 11, 23, tzinfo=UTC)})


def changed(path: str, value: Any) -> DataMap:
    data = CUSTOMER.model_dump(mode="json")
    *way, last = path.split(".")
    place = data
    for step in way:
        place = place[step]
    if value is None and way == ["fields"]:
        del place[last]
    else:
        place[last] = value
    return DataMap.model_validate(data)


COUNTRIES = {"USA": "United States", "DEU": "Germany", "KWT": "Kuwait"}
FAX = {"finance": "Fax", "sales": "fax", "owner": "SALES"}


@pytest.mark.parametrize(
    ("path", "value", "place", "hits", "exact"),
    [
        ("fields.phone", None, "fields.phone", 4, True),
        ("fields.phone.owner", "FINANCE", "fields.phone.owner", 2, True),
        ("fields.city.normal", "upper", "fields.city.normal", 1, True),
        ("fields.city.required", True, "fields.city.required", 2, True),
        ("fields.city.finance_length", 5, "fields.city.finance_length", 2, True),
        ("fields.country.values", COUNTRIES, "fields.country.values", 2, True),
        ("fields.payment_terms.refused", ["Net 45"], "fields.payment_terms.refused", 2, True),
        ("fields.payment_terms.otherwise", None, "fields.payment_terms.otherwise", 0, True),
        ("fields.tax_number.longer", "cut", "fields.tax_number.longer", 0, True),
        ("fields.fax", FAX, "fields.fax", 5, False),
        ("fields.phone.sales", "telephone2", "fields.phone.sales", 5, False),
        ("sales.filter", "", "sales.filter", 5, False),
        ("finance.creates", False, "finance.creates", 1, True),
        ("sales.key", ["accountnumber"], "sales.key", 5, True),
        ("frequency", "hourly", "frequency", 5, True),
    ],
)
def test_each_change_has_the_records_it_hits(
    records: KeptRecords, tmp_path: Path, path: str, value: Any, place: str, hits: int, exact: bool
) -> None:
    (found,) = impacts(Base.of(MAPS, "customer"), changed(path, value), [records], tmp_path, tmp_path / "spill")
    assert (found.change.place, found.records, found.exact) == (place, hits, exact)


def test_it_is_tried_on_pairs_that_it_hits_and_applied_to_those_whose_values_it_moves(
    records: KeptRecords, tmp_path: Path
) -> None:
    kept_at = tmp_path / RECORDS
    kept_at.mkdir()
    for side in ("finance", "sales"):
        (tmp_path / f"customer_{side}").rename(kept_at / f"customer_{side}")
    base = Base.of(MAPS, "customer")
    owner, gone = changed("fields.phone.owner", "FINANCE"), changed("fields.phone", None)
    hit = {(each.company, each.key) for each in candidates(base, owner, [records], tmp_path, 9)}
    assert hit == {("usmf", "US-2"), ("usmf", "US-3")}
    (first,) = candidates(base, owner, [records], tmp_path, 1)
    assert first == candidates(base, owner, [records], tmp_path, 9)[0], "the same ones every time"
    pages = list(moved_pairs(base, owner, [records], tmp_path, 1))
    assert [[each.key for each in page] for page in pages] == [["US-2"], ["US-3"]]
    assert {each.key for each in candidates(base, gone, [records], tmp_path, 9)} == {"US-1", "US-2", "US-3"}
    assert list(moved_pairs(base, gone, [records], tmp_path, 9)) == [], "a field that goes moves nothing"
    added = changed("fields.fax", FAX)
    (page,) = moved_pairs(base, added, [records], tmp_path, 9)
    assert [each.key for each in page] == ["US-1", "US-2", "US-3"], "however the sides spell their keys"
    assert candidates(base, owner, [], tmp_path, 9) == []


def test_without_records_nothing_is_counted_and_other_files_than_noted_are_refused(
    records: KeptRecords, tmp_path: Path
) -> None:
    base, after = Base.of(MAPS, "customer"), changed("fields.phone", None)
    (found,) = impacts(base, after, [], tmp_path, tmp_path / "spill")
    assert found.records is None and not found.exact
    file = tmp_path / "customer_sales" / "usmf.parquet"
    pq.write_table(pa.Table.from_pylist([{"company": "usmf", "key": "1", "phone": ""}]), file)
    with pytest.raises(RecordsChanged, match="q2c compare customer --company usmf --keep"):
        impacts(base, after, [records], tmp_path, tmp_path / "spill")
