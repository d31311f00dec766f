"""How long the changes of a map take to be counted over a population of customers on both sides, and who is hit.

Repeat with `uv run python -m bench.map_impact --rows 1000000`.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from activities.map_impact import RECORDS, candidates, impacts, moved_pairs
from domain.entities.identity import hash_of
from domain.entities.map_change import Base, KeptRecords
from domain.entities.model import DataMap
from ledger.pages import sha256_of
from policies.map_files import load_maps

_ROW = """
    'usmf' AS company, i::VARCHAR AS key, printf('US-%07d', i) AS account_number, 'Customer ' || i AS name,
    'USD' AS currency, CASE WHEN i % 3 = 0 THEN 'US' || i ELSE '' END AS tax_number,
    'a' || i || '@x.example' AS email,
    printf('+1 206 %07d', i + (CASE WHEN i % {differs} = 0 THEN {shift} ELSE 0 END)) AS phone,
    '' AS website, i || ' Main Street' AS street, 'Seattle' AS city, '98101' AS postal_code,
    '{country}' AS country, '{terms}' AS payment_terms
"""


def main() -> None:
    """Print how long it takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="records of each side")
    rows = parser.parse_args().rows
    maps = load_maps().all
    base = Base.of(maps, "customer")
    assert base.data is not None
    with tempfile.TemporaryDirectory() as made:
        data_dir = Path(made)
        folder = data_dir / RECORDS
        kept = _fill(folder, base.data, rows)
        begun, work = time.perf_counter(), time.process_time()
        found = impacts(base, _proposed(base.data), [kept], folder, data_dir / "spill")
        taken, work = time.perf_counter() - begun, time.process_time() - work
        begun = time.perf_counter()
        tried = candidates(base, _proposed(base.data), [kept], data_dir, 50)
        chosen_in = time.perf_counter() - begun
        begun = time.perf_counter()
        every = sum(map(len, moved_pairs(base, _proposed(base.data), [kept], data_dir, 2_000)))
        listed_in = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{rows:,} records a side, {len(found)} changes: {taken:.1f} s, {work:.1f} s of processor time, {used:.0f} MB"
    )
    print(
        f"{len(tried):,} records to choose from: {chosen_in:.1f} s; {every:,} with values that move: {listed_in:.1f} s"
    )
    for impact in found:
        print(f"{impact.change.kind:<10} {impact.change.place:<28} {impact.records:>10,}")


def _fill(folder: Path, data: DataMap, rows: int) -> KeptRecords:
    db = duckdb.connect()
    about: dict[str, str | int] = {}
    for side, country, terms, shift in (("finance", "USA", "Net 30", 0), ("sales", "United States", "1", 1)):
        file = folder / f"customer_{side}" / "usmf.parquet"
        file.parent.mkdir(parents=True)
        select = _ROW.format(country=country, terms=terms, shift=shift, differs=50)
        db.execute(f"COPY (SELECT {select} FROM range({rows}) t(i)) TO '{file}' (FORMAT parquet, COMPRESSION zstd)")
        about |= {f"{side}_sha256": sha256_of(file), f"{side}_records": rows}
    whose = {"entity": "customer", "company": "usmf", "run_id": "r", "map_hash": hash_of(data)}
    return KeptRecords.model_validate(about | whose | {"kept_at": datetime.now(UTC)})


def _proposed(data: DataMap) -> DataMap:
    """Another map: fields that go and come, other owners, forms, values and a key."""
    changed = data.model_dump(mode="json")
    fields = changed["fields"]
    del fields["website"]
    fields["fax"] = {"finance": "Fax", "sales": "fax", "owner": "SALES"}
    fields["phone"]["owner"] = "FINANCE"
    fields["city"]["normal"] = "upper"
    fields["email"]["required"] = True
    fields["country"]["values"]["FRA"] = "France"
    fields["payment_terms"]["refused"] = ["Net 30"]
    changed["finance"]["creates"] = False
    return DataMap.model_validate(changed)


if __name__ == "__main__":
    main()
