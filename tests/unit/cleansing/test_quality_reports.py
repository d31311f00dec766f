"""What a run of quality leaves behind: lists of fixes for each role, and a trend."""

from __future__ import annotations

import csv
import re
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from cleansing.files import ListFile
from cleansing.quality import Found, run
from cleansing.relations import Relations, RelationsError
from cleansing.reports import MOST_RUNS, SCORES, with_trend, write_fix_lists
from domain.entities.quality import Score
from policies.map_files import load_maps
from policies.quality_files import load_quality_rules

MAPS = load_maps().all
RULES = load_quality_rules(MAPS)
AT = datetime(2026, 11, 27, 6, tzinfo=UTC)
ROWS = [
    {"company": "usmf", "key": "US-1", "name": "=1+1 Inc  ", "currency": "", "email": "x", "phone": "1"},
    {"company": "usmf", "key": "US-2", "name": "Fabrikam", "currency": "USD", "email": "y", "phone": ""},
]


def found(rows: list[dict[str, str]]) -> Found:
    relations = Relations(MAPS)
    relations.database.register("given", pa.Table.from_pylist(rows))
    relations.add("customer", "finance", "SELECT * FROM given")
    return run(RULES, relations, companies=["usmf"], today=AT.date())


def lines(file: Path) -> list[list[str]]:
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.reader(text))


def sheets(file: Path) -> list[str]:
    with zipfile.ZipFile(file) as book:
        return [book.read(name).decode() for name in sorted(book.namelist()) if name.startswith("xl/worksheets/sheet")]


def test_each_role_gets_the_whole_list_of_what_it_has_to_correct(tmp_path: Path) -> None:
    assert write_fix_lists(found(ROWS), RULES, tmp_path) == (("ar_manager", 1), ("sales_rep", 4))
    heading, *rows = lines(tmp_path / "sales_rep.csv")
    assert [(row[0], row[6]) for row in rows] == [("2", "US-1"), ("12", "US-1"), ("13", "US-1"), ("13", "US-2")]
    by_name = dict(zip(heading, rows[0], strict=True))
    assert by_name["value"] == "'=1+1 Inc  ", "no spreadsheet takes it for a formula"
    assert by_name["remedy"] == "Enter the name again without blanks at its ends, doubled blanks and line breaks."
    (sheet,) = sheets(tmp_path / "sales_rep.xlsx")
    assert sheet.count("<row ") == 5
    assert "=1+1 Inc  " in sheet and "<f>" not in sheet


def test_a_list_with_nothing_on_it_any_more_is_gone(tmp_path: Path) -> None:
    write_fix_lists(found(ROWS), RULES, tmp_path)
    write_fix_lists(found(ROWS[1:]), RULES, tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["sales_rep.csv", "sales_rep.xlsx"]


def test_what_goes_beyond_a_sheet_is_on_another_one(tmp_path: Path) -> None:
    with ListFile(tmp_path / "long", ["n"], rows_of_a_sheet=3) as long:
        for number in range(7):
            long.write([number])
    written = sheets(tmp_path / "long.xlsx")
    assert [sheet.count("<row ") for sheet in written] == [4, 4, 2]
    assert re.findall(r"<v>(\d+)</v>", written[2])[-1] == "6"
    assert len(lines(tmp_path / "long.csv")) == 8


def score(value: str) -> Score:
    return Score(entity="customer", company="usmf", score=Decimal(value), records=2, critical=0, failing=1)


def test_a_score_is_told_beside_that_of_the_run_before(tmp_path: Path) -> None:
    assert with_trend([score("90.00")], AT, "rules", tmp_path)[0].before is None
    assert with_trend([score("95.00")], AT, "rules", tmp_path)[0].before == Decimal("90.00")
    assert with_trend([score("50.00")], AT, "other rules", tmp_path)[0].before is None
    assert with_trend([score("96.00")], AT, "rules", tmp_path)[0].before == Decimal("95.00")


def test_scores_are_kept_of_a_bounded_number_of_runs(tmp_path: Path) -> None:
    with_trend([score("90.00")], AT, "rules", tmp_path)
    file = tmp_path / SCORES
    file.write_text(file.read_text() * (MOST_RUNS + 5))
    with_trend([score("91.00")], AT + timedelta(days=1), "rules", tmp_path)
    kept = file.read_text().splitlines()
    assert len(kept) == MOST_RUNS
    assert "91.00" in kept[-1]


def test_a_file_of_scores_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / SCORES).write_text("{}\n")
    with pytest.raises(RelationsError, match="not scores of former runs"):
        with_trend([score("1")], AT, "rules", tmp_path)


def test_the_hash_of_rules_changes_with_what_they_demand_alone() -> None:
    renamed = [RULES.rules[0].model_copy(update={"name": "another name"}), *RULES.rules[1:]]
    assert RULES.model_copy(update={"rules": tuple(reversed(renamed))}).hash == RULES.hash
    assert RULES.model_copy(update={"rules": RULES.rules[1:]}).hash != RULES.hash
