"""The page of maps says the rules as the linter does, and every part, pattern and map there is."""

from __future__ import annotations

from pathlib import Path

from domain.entities.lint import RULES
from domain.entities.model import FREQUENCIES, DataMap, FieldMap, FinanceSide, SalesSide
from policies.map_files import load_maps

PAGE = (Path(__file__).parents[3] / "docs/data-map.md").read_text(encoding="utf-8")
ROWS = PAGE.splitlines()


def test_every_rule_stands_there_word_for_word_and_no_other() -> None:
    rules = [
        f"| {rule.number} | {rule.name} | {rule.sentence} | {rule.remedy} | {'yes' if rule.live else 'no'} |"
        for rule in RULES
    ]
    assert [row for row in ROWS if row.startswith("| ") and row.split(" | ")[0].removeprefix("| ").isdigit()] == rules


def test_every_part_of_a_map_is_explained() -> None:
    parts = {*DataMap.model_fields, *FieldMap.model_fields, *FinanceSide.model_fields, *SalesSide.model_fields}
    named = {part for part in parts if f"`{part}`" in PAGE}
    assert parts - named == {"set", "table", "key"}, "they are explained as entity set, table and key"


def test_every_pattern_stands_there_with_its_frequencies() -> None:
    for pattern, frequencies in FREQUENCIES.items():
        (row,) = [row for row in ROWS if row.startswith(f"| `{pattern}` |")]
        assert row.endswith(f"| {', '.join(f'`{frequency}`' for frequency in frequencies)} |")


def test_every_shipped_map_stands_there_with_its_pattern() -> None:
    for data in load_maps().all:
        rows = [row for row in ROWS if f"`{data.entity}`" in row.split(" | ")[0]]
        assert any(row.split(" | ")[1] == data.pattern for row in rows), data.entity
