"""What the activation gate refuses a run for, what it leaves to single records, and how long a dry run goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.entities.comparing import CannotCompare
from domain.entities.facts import RunningMap
from domain.entities.gate import Account, AmbiguousTarget, BrokenRule, GateCode, Look, Verdict, judge
from domain.entities.identity import hash_of
from domain.entities.initial import DryRun, InitialView, PlanFigures, require_synced
from policies.activation_files import load_limits
from policies.map_files import load_maps

MAPS = load_maps().all
CUSTOMER = next(data for data in MAPS if data.entity == "customer")
LIMITS = load_limits(MAPS)
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
FIGURES = PlanFigures.model_validate(
    {"records": 10_000, "actions": {"skip": 9_400, "unmapped": 500, "conflict": 99, "duplicate": 1}}
)
RUN = DryRun(
    run_id="r",
    entity="customer",
    company="usmf",
    map_hash=hash_of(CUSTOMER),
    plan_hash="p",
    began_at=NOW - timedelta(hours=24),
    ended_at=NOW - timedelta(hours=24),
    figures=FIGURES,
)
TARGET = AmbiguousTarget(customers=("US-1",), accounts=(Account(id="1"), Account(id="2")), score=100.0)


def said(**given: Any) -> Verdict:
    usual: dict[str, Any] = {"dry_run": RUN, "look": Look(quality_hash="q"), "gone": "", "dual_write": ()}
    return judge(CUSTOMER, "usmf", hash_of(CUSTOMER), LIMITS, NOW, **usual | given)


def test_a_run_is_allowed_with_the_hashes_though_single_records_wait_for_people() -> None:
    found = said()

    assert found.allowed
    assert (found.blocked, found.proceeds) == (600, 9_400)
    assert (found.map_hash, found.plan_hash, found.quality_hash, found.run_id) == (RUN.map_hash, "p", "q", "r")


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        ({"dry_run": None, "look": None}, GateCode.NO_DRY_RUN, "There was no dry run. Run `q2c initial customer"),
        (
            {"dry_run": RUN.model_copy(update={"map_hash": "0" * 64}), "look": None},
            GateCode.NO_DRY_RUN,
            "was of another version of the map (00000000)",
        ),
        (
            {"dry_run": RUN.model_copy(update={"ended_at": NOW - timedelta(hours=24, seconds=1)})},
            GateCode.OLD_DRY_RUN,
            "is 24 hours old; at most 24 are allowed",
        ),
        ({"look": None, "gone": "The plan is gone."}, GateCode.PLAN_GONE, "The plan is gone."),
        (
            {"look": Look(broken=(BrokenRule(number=7, name="given twice", remedy="Merge.", records=2),))},
            GateCode.CRITICAL_RULE,
            "Rule 7 (given twice) is broken by 2 records. Merge.",
        ),
        (
            {"look": Look(not_checked=("rule 5, no column",))},
            GateCode.NOT_CHECKED,
            "was not checked: rule 5, no column.",
        ),
        ({"look": Look(ambiguous=(TARGET,))}, GateCode.AMBIGUOUS_TARGET, "1 customer has several accounts"),
        ({"look": Look(conflicts={"currency": 50})}, GateCode.CRITICAL_CONFLICT, "currency differs in 50 records"),
        (
            {"dry_run": RUN.model_copy(update={"figures": FIGURES.model_copy(update={"records": 9_999})})},
            GateCode.UNMAPPED,
            "500 of 9,999 records are not mapped: 5.00 %, and 5 % are allowed",
        ),
        (
            {"dual_write": (RunningMap(table="account", entity="Customers V3"),)},
            GateCode.DUAL_WRITE,
            "The Dual-Write map Customers V3 runs and writes account",
        ),
        ({"dual_write": None}, GateCode.DUAL_WRITE_NOT_KNOWN, "may not be read"),
    ],
)
def test_a_run_is_refused_with_the_reason_and_what_to_do(given: dict[str, Any], code: GateCode, text: str) -> None:
    found = said(**given)

    assert not found.allowed
    assert [reason.code for reason in found.reasons] == [code]
    assert text in found.reasons[0].text


def test_a_map_of_another_table_that_dual_write_runs_is_no_competitor() -> None:
    assert said(dual_write=(RunningMap(table="quote", entity="CDS sales quotation header"),)).allowed


def test_only_maps_that_the_product_brings_to_agree_have_an_initial_sync() -> None:
    require_synced(CUSTOMER)
    with pytest.raises(CannotCompare, match="order has the pattern orchestrated, so there is no initial sync"):
        require_synced(next(data for data in MAPS if data.entity == "order"))


def test_time_left_goes_by_the_parts_that_were_read() -> None:
    reading = InitialView(
        entity="customer", company="usmf", stage="reading", finance_done=3, finance_parts=12, began_at=NOW
    )

    assert reading.time_left(NOW + timedelta(minutes=1)) == timedelta(minutes=3)
    assert reading.model_copy(update={"finance_done": 0}).time_left(NOW) is None
    assert reading.model_copy(update={"stage": "done"}).time_left(NOW) is None
