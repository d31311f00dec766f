"""What of the rules a decision records: their version, which names their content, and what it was decided by."""

from __future__ import annotations

from pathlib import Path

import pytest

import policies
from domain.discount import approval_plan
from domain.people import Person
from domain.policy import Policy, PolicyError
from domain.rights import Action
from tests.unit.domain.makers import POLICY, discounted, person, priced, working_time

PACKAGED = Path(policies.__file__).parent


def edited(folder: Path, name: str, old: str, new: str) -> Policy:
    text = (PACKAGED / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return policies.load(folder)


def test_the_version_is_the_largest_of_the_files_and_the_start_of_the_hash_of_all(tmp_path: Path) -> None:
    raised = edited(tmp_path, "rights.yaml", 'version: "2026-11-01#1"', 'version: "2027-02-01#1"')
    assert raised.version == f"2027-02-01#1+{raised.hash[:8]}"
    assert len(raised.hash) == 64 and raised.hash != POLICY.hash


def test_a_change_without_a_new_version_has_another_version_all_the_same(tmp_path: Path) -> None:
    quiet = edited(tmp_path, "discount.yaml", "than: 10}", "than: 11}")
    assert quiet.discount.version == POLICY.discount.version
    assert quiet.version != POLICY.version


def test_a_plan_and_a_granted_right_hold_the_version_they_were_made_under(tmp_path: Path) -> None:
    found = approval_plan(
        priced(discounted("P250", 100, 22)), requester=person("rita"), makers=(), company="usmf",
        calendar=working_time("usmf"), policy=POLICY,
    )  # fmt: skip
    assert found.policy_version == POLICY.version
    assert [(step.level, step.accepted_roles[0], bool(step.candidates)) for step in found.steps] == [
        (1, "sales_manager", True),
        (2, "sales_director", True),
    ]
    mona = Person(oid=POLICY.authority.people["mona"].oid, roles=("sales_manager.usmf",))
    assert POLICY.granted(mona, Action.DECIDE_APPROVAL, "usmf").policy_version == POLICY.version
    assert POLICY.credit_terms("usmf", "US-001").policy_version == POLICY.version


@pytest.mark.parametrize("name", policies.FILES)
def test_effective_dates_are_refused_and_not_ignored(tmp_path: Path, name: str) -> None:
    text = (PACKAGED / name).read_text(encoding="utf-8")
    (tmp_path / name).write_text(f'{text}effective_from: "2027-01-01"\n', encoding="utf-8")
    with pytest.raises(PolicyError, match="effective_from: is not a setting here"):
        policies.load(tmp_path)
