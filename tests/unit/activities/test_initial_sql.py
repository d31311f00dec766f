"""The plan of an initial sync: what becomes of each record, which class counts first, and what would be written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from activities import comparison_sql as sql
from activities import initial_sql
from domain.entities.comparing import SalesTable, comparison
from domain.entities.identity import hash_of
from domain.entities.initial import BLOCKED, DryRun, PlannedRecord
from domain.entities.model import DataMap, SideName
from ledger.pages import Pages
from ledger.plans import PLAN, RECORDS, Plan, PlanGone, hash_of_pages

FIELDS: dict[str, dict[str, Any]] = {
    "number": {"finance": "Number", "sales": "number", "owner": "FINANCE", "required": True},
    "name": {"finance": "Name", "sales": "name", "owner": "MANUAL", "required": True},
    "city": {"finance": "City", "sales": "city", "owner": "SALES", "finance_length": 8, "longer": "refuse"},
    "country": {
        "finance": "Country", "sales": "country", "owner": "SALES", "normal": "iso_country",
        "values": {"USA": "United States", "DEU": "Germany"}, "otherwise": "refuse",
    },
    "terms": {"finance": "Terms", "sales": "terms", "owner": "FINANCE", "values": {"Net 30": "1", "Net 60": "4"}},
    "limit": {"finance": "Limit", "sales": "limit", "owner": "FINANCE", "decimals": "currency"},
    "short": {"finance": "Short", "sales": "short", "owner": "FINANCE", "longer": "cut"},
}  # fmt: skip
TABLE = SalesTable(entity_set="things", id="thingid", lengths={"short": 5})


def map_of(*, creates: tuple[str, ...] = (), key_owner: str = "FINANCE") -> DataMap:
    fields = FIELDS | {"number": FIELDS["number"] | {"owner": key_owner}}
    return DataMap.model_validate(
        {
            "entity": "thing",
            "title": "Things",
            "version": "1",
            "pattern": "sync",
            "reason": "Both sides keep things.",
            "frequency": "hourly",
            "direction": "both",
            "company": {"scope": "per_company", "sales": "company"},
            "finance": {"set": "Things", "key": ["dataAreaId", "Number"], "creates": "finance" in creates},
            "sales": {"table": "thing", "key": ["company", "number"], "creates": "sales" in creates},
            "fields": fields,
        }
    )


SAME = {"name": "Contoso", "city": "Berlin", "country": "DEU", "terms": "Net 30", "limit": "10", "short": "Conto"}
SPELLED = SAME | {"country": "germany", "terms": "1"}


def row(names: dict[str, str], key: str, changes: dict[str, str]) -> dict[str, str]:
    values = names | {"number": key} | changes
    return {"k0": key} | {f"v{n}": values.get(name, "") for n, name in enumerate(FIELDS)}


def planned(
    folder: Path,
    data: DataMap,
    finance: dict[str, dict[str, str]],
    sales: list[tuple[str, dict[str, str]]],
    *,
    again: list[tuple[str, dict[str, str]]] | None = None,
) -> dict[str, PlannedRecord]:
    """The plan of records, by key; ``again``: Sales as it was when it was read again."""
    of = comparison(data, "usmf", TABLE, "")
    pages = Pages(folder, "initial/thing/usmf/run")
    columns = ("k0", *(f"v{n}" for n in range(len(FIELDS))))
    pages.write("finance-00000", columns, [row(SAME, key, changes) for key, changes in finance.items()])
    for name, found in (("sales", sales), ("sales.again", again if again is not None else sales)):
        rows = [{"id": f"id{n}"} | row(SPELLED, key, changes) for n, (key, changes) in enumerate(found)]
        pages.write(f"{name}-00000", ("id", *columns), rows)
    with sql.opened(folder / "spill") as db:
        sql.find(db, of, pages.files("finance"), pages.files("sales"))
        sql.save(db, "found", pages.making("found-00000"))
        pages.seal("found-00000", pages.making("found-00000"), 0)
        sql.find(db, of, pages.files("finance"), pages.files("sales.again"))
        (first,) = pages.files("found")
        sql.keep_standing(db, first)
        initial_sql.make(db, of, data, pages.files("finance"), pages.files("sales"), first)
        for number in range(initial_sql.pages(db)):
            name = f"{PLAN}-{number:05d}"
            pages.seal(name, pages.making(name), initial_sql.save_page(db, number, pages.making(name)))
        for side in ("finance", "sales"):
            name = f"{RECORDS}.{side}-00000"
            pages.seal(name, pages.making(name), sql.save_records(db, of, side, pages.files(side), pages.making(name)))
        figures = initial_sql.figures(db)
    records = [record for some in Plan(folder, dry_run(data, pages, figures)).rows() for record in some]
    assert figures.records == len(records)
    blocked = [record for some in Plan(folder, dry_run(data, pages, figures)).rows(BLOCKED) for record in some]
    assert blocked == [record for record in records if record.action in BLOCKED]
    assert [record.key for record in records] == sorted(record.key for record in records)
    return {record.key: record for record in records}


def dry_run(data: DataMap, pages: Pages, figures: object, **changes: object) -> DryRun:
    return DryRun.model_validate(
        {
            "run_id": "run",
            "entity": "thing",
            "company": "usmf",
            "map_hash": hash_of(data),
            "plan_hash": hash_of_pages(pages.manifests(PLAN)),
            "began_at": "2026-11-27T00:00:00Z",
            "ended_at": "2026-11-27T00:00:00Z",
            "figures": figures,
        }
        | changes
    )


Said = tuple[str, str, list[tuple[str, SideName | None, str, str]]]


def said(record: PlannedRecord) -> Said:
    changes = [(change.field, change.to, change.value, str(change.trouble)) for change in record.changes]
    return record.action.value, record.why.value, changes


Case = tuple[dict[str, str], dict[str, str], Said]
CASES: list[Case] = [
    ({}, {}, ("skip", "agrees", [])),
    ({"limit": "10.001"}, {}, ("skip", "agrees", [])),
    ({"short": "Contoso Retail"}, {}, ("skip", "agrees", [])),
    ({"short": "Fabrikam"}, {}, ("update", "owner", [("short", "sales", "Fabri", "")])),
    ({"terms": "Net 60"}, {}, ("update", "owner", [("terms", "sales", "4", "")])),
    ({"limit": "20"}, {}, ("update", "owner", [("limit", "sales", "20", "")])),
    ({}, {"country": "United  States"}, ("unmapped", "unlisted", [("country", None, "", "unlisted")])),
    ({}, {"country": "united states"}, ("update", "owner", [("country", "finance", "USA", "")])),
    ({}, {"city": "Paris"}, ("update", "owner", [("city", "finance", "Paris", "")])),
    ({}, {"city": ""}, ("update", "owner", [("city", "finance", "", "")])),
    ({}, {"city": "Llanfairpwll"}, ("unmapped", "too_long", [("city", "finance", "Llanfairpwll", "too_long")])),
    ({"name": "Contoso AG"}, {}, ("conflict", "manual", [("name", None, "", "")])),
    (
        {"name": "Contoso AG", "limit": "20"},
        {"city": "Paris"},
        (
            "conflict",
            "manual",
            [("name", None, "", ""), ("city", "finance", "Paris", ""), ("limit", "sales", "20", "")],
        ),
    ),
]
"""What differs of a record in Finance and in Sales, and what becomes of it."""


def test_what_differs_is_written_where_its_owner_says_or_left_to_people(tmp_path: Path) -> None:
    finance = {f"A{n:02d}": case[0] for n, case in enumerate(CASES)}
    sales = [(f"A{n:02d}", case[1]) for n, case in enumerate(CASES)]

    found = planned(tmp_path, map_of(), finance, sales)

    assert [said(record) for record in found.values()] == [case[2] for case in CASES]


def test_what_one_side_lacks_is_created_where_the_map_creates_and_both_can_carry_it(tmp_path: Path) -> None:
    finance = {"F": {"city": ""}, "NONAME": {"name": " "}, "BOTH": {}}
    sales = [("S", {}), ("LONG", {"city": "Llanfairpwll"}), ("BOTH", {}), ("", {}), ("TWICE", {}), ("twice", {})]

    nothing = planned(tmp_path / "1", map_of(), finance, sales)
    both = planned(tmp_path / "2", map_of(creates=("finance", "sales"), key_owner="MANUAL"), finance, sales)
    owned = planned(tmp_path / "3", map_of(creates=("finance", "sales")), finance, sales)

    def short(found: dict[str, PlannedRecord]) -> dict[str, tuple[str, str]]:
        return {key: (record.action.value, record.why.value) for key, record in found.items()}

    always = {"BOTH": ("skip", "agrees"), "id3": ("unmapped", "no_key"), "TWICE": ("duplicate", "twice")}
    assert short(nothing) == always | {
        "F": ("skip", "not_created"),
        "NONAME": ("skip", "not_created"),
        "S": ("unmapped", "unknown_key"),
        "LONG": ("unmapped", "unknown_key"),
    }
    assert short(both) == always | {
        "F": ("create", "lacking"),
        "NONAME": ("unmapped", "required"),
        "S": ("create", "lacking"),
        "LONG": ("unmapped", "too_long"),
    }
    assert short(owned)["S"] == ("unmapped", "unknown_key")
    assert [(change.field, change.value) for change in both["F"].changes] == [
        ("number", "F"), ("name", "Contoso"), ("country", "Germany"), ("terms", "1"), ("limit", "10"),
        ("short", "Conto"),
    ]  # fmt: skip
    assert {change.to for change in both["S"].changes} == {"finance"}
    assert {change.field: change.value for change in both["S"].changes}["country"] == "DEU"
    assert both["TWICE"].sales_ids == ("id4", "id5")


def test_what_changes_while_it_is_read_is_left_alone(tmp_path: Path) -> None:
    moving = planned(tmp_path, map_of(), {"A1": {}}, [("A1", {"city": "Paris"})], again=[("A1", {"city": "Rome"})])

    assert said(moving["A1"]) == ("skip", "timing", [])


def test_a_plan_that_was_changed_or_is_not_there_is_no_plan(tmp_path: Path) -> None:
    data = map_of()
    planned(tmp_path, data, {"A1": {}}, [("A1", {})])
    pages = Pages(tmp_path, "initial/thing/usmf/run")
    run = dry_run(data, pages, {})
    Plan(tmp_path, run)

    with pytest.raises(PlanGone, match="its hash is another one"):
        Plan(tmp_path, run.model_copy(update={"plan_hash": "0" * 64}))
    with pytest.raises(PlanGone, match="is not there: run this where Q2C_DATA_DIR"):
        Plan(tmp_path / "elsewhere", run)
    (file,) = pages.files(PLAN)
    Path(file).write_bytes(b"PAR1")
    with pytest.raises(PlanGone, match="was changed after the dry run"):
        Plan(tmp_path, run)
