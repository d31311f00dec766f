"""The page of data quality says the rules as the file does, and every kind of check there is."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from domain.entities.quality import WEIGHTS, Check, Form
from domain.rights import RightsPolicy
from policies.loading import load
from policies.map_files import load_maps
from policies.quality_files import load_quality_rules

PAGE = (Path(__file__).parents[3] / "docs/data-quality.md").read_text(encoding="utf-8")
ROWS = PAGE.splitlines()
RULES = load_quality_rules(load_maps().all).rules


def test_every_rule_stands_there_and_no_other() -> None:
    rules = [
        f"| {rule.number} | {rule.name} | {rule.severity} | {rule.entity} | {', '.join(rule.sides)} | {rule.owner} |"
        for rule in RULES
    ]
    assert [row for row in ROWS if row.split(" | ")[0].removeprefix("| ").isdigit()] == rules


def test_every_kind_of_check_and_every_form_is_explained() -> None:
    union, _ = get_args(Check)
    kinds = {get_args(each.model_fields["kind"].annotation)[0] for each in get_args(union)}
    assert {row.split("`")[1] for row in ROWS if row.startswith("| `") and row.split("`")[1] in kinds} == kinds
    assert all(f"`{form}`" in PAGE for form in get_args(Form))


def test_the_weights_are_those_of_the_score() -> None:
    said = " ".join(PAGE.split())
    critical, major, minor = WEIGHTS.values()
    assert f"A critical rule weighs {critical}, a major one {major}, a minor one {minor}." in said


def test_whoever_corrects_records_holds_a_role_that_there_is() -> None:
    rights: RightsPolicy = load().rights
    assert {rule.owner for rule in RULES} <= {right.role for right in rights.rights}
