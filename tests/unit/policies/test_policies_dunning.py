"""dunning.yaml: what makes no sense is refused, with file, field and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

import policies
from domain.approvals import BusinessHours
from domain.policy import PolicyError
from policies.loading import examine

SHIPPED = (Path(policies.__file__).parent / "dunning.yaml").read_text()
HOURS = BusinessHours(timezone="UTC", workdays=(0,), opens="09:00", closes="17:00")
BROKEN = [
    ("{id: notice, days: 15", "{id: notice, days: 5", "notice is never reached at 5 days, reminder takes its day"),
    ("{id: notice, days: 15", "{id: notice, days: 4", "notice (4 days) must come before reminder (5)"),
    ("{id: notice, days: 15", "{id: reminder, days: 15", "ids must differ"),
    ("days: 45, letter: hand_over, blocks_orders: true", "days: 45, letter: hand_over", "would let orders through"),
    ("letter: final", "letter: stern", "must be 'reminder', 'notice', 'final' or 'hand_over'"),
    ("USD: 25", "USD: -25", "fee.USD: must be above 0"),
    ("JPY: 3000", "JPY: 30.5", "has more decimals than the currency"),
    ("USD: 25", "XXY: 25", "XXY"),
    ("days: 45", "days: 400", "must be less than or equal to 366"),
    ("blocks_orders: true}\n    - {id: hand", "blocks: true}\n    - {id: hand", "is not a setting here"),
    ("companies: {}", "companies: {frrt: {levels: [{id: a, days: 1, letter: final}]}}", "no business unit is mapped"),
]


@pytest.mark.parametrize(("before", "after", "told"), BROKEN, ids=[told[:30] for _, _, told in BROKEN])
def test_levels_that_make_no_sense_are_refused_before_they_decide_anything(
    before: str, after: str, told: str, tmp_path: Path
) -> None:
    assert before in SHIPPED
    (tmp_path / "dunning.yaml").write_text(SHIPPED.replace(before, after, 1))
    problems = [str(problem) for problem in examine(tmp_path).problems]
    assert problems and all(problem.startswith(f"{tmp_path}/dunning.yaml: ") for problem in problems)
    assert any(told in problem for problem in problems), problems


def test_a_company_has_levels_of_its_own_and_every_change_another_hash(tmp_path: Path) -> None:
    own = "companies: {demf: {levels: [{id: soon, days: 1, letter: final}], min_amount: {EUR: 5}}}"
    (tmp_path / "dunning.yaml").write_text(SHIPPED.replace("companies: {}", own))
    rules = policies.dunning(tmp_path)
    assert [level.id for level in rules.plan("demf", HOURS).levels] == ["soon"]
    assert len(rules.plan("usmf", HOURS).levels) == 4
    assert rules.plan("usmf", HOURS).hash != policies.dunning().plan("usmf", HOURS).hash
    assert policies.dunning().plan("usmf", HOURS).named.startswith("2026-11-01#1+")
    (tmp_path / "dunning.yaml").write_text("version: [")
    with pytest.raises(PolicyError, match="not valid YAML"):
        policies.dunning(tmp_path)
