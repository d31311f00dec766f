"""When two systems have run beside each other long enough: clean days, what stands in the way, the two who end it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

import policies
from domain.entities import parallel
from domain.entities.comparing import DifferenceClass
from domain.entities.data_words import EXIT_PARALLEL
from domain.entities.parallel import (
    MOST_DAYS,
    ComparedDay,
    Critical,
    EntityDay,
    ParallelPolicy,
    Standing,
    blockers,
    clean_row,
    with_day,
)
from domain.entities.parallel_run import PROPOSED_FOR, ParallelState, digests, next_night, said_to_parallel
from domain.notices import LONGEST_TEXT
from tests.rights import said
from tests.workflows.trusting import AMY, CFO, OTTO, ROLES

FIRST = date(2026, 11, 1)
AT = datetime(2026, 11, 1, 8, tzinfo=UTC)
RULES = ParallelPolicy(
    version="1",
    source="the data owners, 2026-10-01",
    at="03:00",
    days=10,
    clean_days=3,
    tolerated={DifferenceClass.ROUNDING: 2},
    critical=Critical(classes={"MISSING"}, fields={"customer": {"credit_limit"}}),
    owners={"customer": "ar_manager"},
    otherwise="ops",
)


def entity(name: str = "customer", **more: Any) -> EntityDay:
    opened = more.pop("open", {})
    standing = Standing(open=opened, critical=more.pop("critical", 0), owners={}, ages=(sum(opened.values()), 0, 0, 0))
    return EntityDay.model_validate({"entity": name, "status": "compared", "standing": standing} | more)


def days(*rows: tuple[EntityDay, ...], skipped: int = 0) -> tuple[ComparedDay, ...]:
    """Days, one after the other; the last ``skipped`` days later."""
    made = [ComparedDay(day=FIRST + timedelta(days=n), began_at=AT, entities=row) for n, row in enumerate(rows)]
    if skipped:
        made[-1] = made[-1].model_copy(update={"day": made[-1].day + timedelta(days=skipped)})
    return tuple(made)


def why(found: tuple[ComparedDay, ...], after: int = 0) -> list[str]:
    return [str(each) for each in blockers(found, RULES, found[-1].day + timedelta(days=after))]


CLEAN = entity()
FAILED = entity(status="failed", why="Finance was away")
ROUNDED, MUCH = entity(open={"ROUNDING": 2}), entity(open={"ROUNDING": 3})
DIFFERENT = entity(open={"DIFF": 1})


@pytest.mark.parametrize(
    ("rows", "row"),
    [
        ([(CLEAN,)] * 5, 5),
        ([(ROUNDED,)] * 3, 3),
        ([(CLEAN,), (MUCH,), (CLEAN,)], 1),
        ([(CLEAN,), (DIFFERENT,)], 0),
        ([(CLEAN,), (FAILED,), (CLEAN,), (CLEAN,)], 2),
        ([(CLEAN,), (), (CLEAN,)], 1),
        ([(CLEAN,)] * 3 + [(CLEAN, entity("contact"))], 1),
        ([(CLEAN, entity("contact", open={"MISSING": 1}))], 0),
        ([], 0),
    ],
)
def test_clean_days_are_counted_in_a_row_for_every_entity(rows: list[tuple[EntityDay, ...]], row: int) -> None:
    assert clean_row(days(*rows), RULES) == row


def test_a_day_that_is_missing_breaks_the_row_and_none_since_yesterday_stands_in_the_way() -> None:
    assert clean_row(days(*[(CLEAN,)] * 6, skipped=1), RULES) == 1
    assert clean_row(days(*[(CLEAN,)] * 6, skipped=0), RULES) == 6
    held = days(*[(CLEAN,)] * 10)
    assert why(held) == [] == why(held, after=1)
    assert why(held, after=2) == ["Nothing was compared since 2026-11-10."]


def test_what_stands_in_the_way_is_named() -> None:
    assert [str(each) for each in blockers((), RULES, FIRST)] == ["Nothing was compared yet."]
    assert why(days(*[(CLEAN,)] * 9)) == ["9 days were compared, and it takes 10."]
    assert why(days(*[(CLEAN,)] * 9, (entity(open={"ROUNDING": 1}, critical=1),))) == [
        "customer: 1 critical difference stands."
    ]
    assert why(days(*[(CLEAN,)] * 9, (FAILED,))) == [
        "customer could not be compared: Finance was away",
        "customer: 0 clean days in a row, and it takes 3.",
    ]
    assert why(days(*[(CLEAN, entity("contact"))] * 9, (CLEAN,))) == [
        "contact was compared before and is not any more."
    ]
    nothing = days(*[(CLEAN,)] * 10, ())
    nothing = (*nothing[:-1], nothing[-1].model_copy(update={"why": "a map is broken"}))
    assert why(nothing)[0] == "On 2026-11-11 nothing was compared: a map is broken"
    crowd = days(*[(CLEAN,)] * 10)
    crowd = (*crowd[:-1], crowd[-1].model_copy(update={"left_out": 2}))
    assert why(crowd) == ["2 entities were too many to be compared."] and clean_row(crowd, RULES) == 0


def test_only_the_newest_days_are_kept_and_a_day_is_kept_once() -> None:
    kept: tuple[ComparedDay, ...] = ()
    for n in range(MOST_DAYS + 40):
        kept = with_day(kept, ComparedDay(day=FIRST + timedelta(days=n), began_at=AT, entities=(CLEAN,)))
    kept = with_day(kept, kept[-1])
    assert len(kept) == MOST_DAYS and kept[0].day == FIRST + timedelta(days=40)
    full = ParallelState(company="usmf", began_at=AT, rules=RULES, days=kept)
    wide = [
        entity(f"entity_{n}", why="x" * 200, status="failed", open=dict.fromkeys(DifferenceClass, 99_999))
        for n in range(25)
    ]
    worst = full.model_copy(update={"days": tuple(each.model_copy(update={"entities": tuple(wide)}) for each in kept)})
    assert len(worst.model_dump_json()) < 1_800_000, "what a run begins with is no larger than Temporal takes"
    assert all(len(notice.text) <= LONGEST_TEXT for notice in digests(worst, AT))


def test_critical_is_by_class_or_by_field() -> None:
    found = [
        (kind, field)
        for kind in ("MISSING", "DIFF")
        for field in ("", "credit_limit", "name")
        if RULES.critical.covers("customer", kind, field)
    ]
    assert found == [("MISSING", ""), ("MISSING", "credit_limit"), ("MISSING", "name"), ("DIFF", "credit_limit")]


def ready() -> ParallelState:
    return ParallelState(
        company="usmf", timezone="America/New_York", began_at=AT, rules=RULES, days=days(*[(CLEAN,)] * 10)
    )


NOW = datetime(2026, 11, 10, 17, tzinfo=UTC)


def word(person: Any, **args: str) -> Any:
    whole = person.model_copy(update={"roles": (ROLES[person.oid],)})
    return said(whole, EXIT_PARALLEL, args or {"reason": "agreed"})


def test_two_persons_of_two_roles_end_it_and_what_changes_meanwhile_takes_the_first_word_away() -> None:
    first = said_to_parallel(ready(), word(OTTO), NOW)
    assert first.code is None and first.changed and first.state.status == "running" and first.state.proposed is not None
    both = OTTO.model_copy(update={"oid": "oid-olga", "name": "olga", "roles": ("ops",)})
    same_role = said_to_parallel(first.state, said(both, EXIT_PARALLEL, {"reason": "r"}), NOW)
    assert same_role.code == "PARALLEL_SECOND_ROLE" and "ops" in same_role.text
    two_roles = said_to_parallel(
        first.state, said(both.model_copy(update={"roles": ("ops", "cfo.usmf")}), EXIT_PARALLEL, {"reason": "r"}), NOW
    )
    assert two_roles.state.status == "exited"
    done = said_to_parallel(first.state, word(CFO), NOW)
    assert (done.state.status, [each.person.name for each in done.state.exit]) == ("exited", ["otto", "cfo"])
    assert said_to_parallel(done.state, word(CFO), NOW).code == "NOT_OPEN_ANY_MORE"
    late = said_to_parallel(first.state, word(CFO), NOW + timedelta(hours=1) + PROPOSED_FOR - timedelta(days=7))
    assert late.state.status == "exited"

    day = ComparedDay(day=FIRST + timedelta(days=10), began_at=AT, entities=(DIFFERENT,))
    worse = first.state.model_copy(update={"now": day}).ended_day(NOW + timedelta(days=1))
    assert worse.proposed is None
    assert said_to_parallel(worse, word(CFO), NOW + timedelta(days=1)).code == "PARALLEL_NOT_READY"
    better = first.state.model_copy(update={"now": day.model_copy(update={"entities": (CLEAN,)})})
    assert better.ended_day(NOW + timedelta(days=1)).proposed is not None

    assert said_to_parallel(ready(), word(AMY), NOW).code == "NO_AUTHORITY"
    assert said_to_parallel(ready(), word(OTTO, reason=" "), NOW).code == "BAD_ARGUMENT"
    assert said_to_parallel(ready(), said(OTTO, "rebuild_credit", {}), NOW).code == "UNKNOWN_COMMAND"


def test_the_roles_that_answer_are_told_and_a_day_without_any_comparison_as_well() -> None:
    told = {notice.role: notice.text for notice in digests(ready(), NOW)}
    assert told == {"ar_manager": "customer: clean\nClean days in a row: 10 of 3."}
    day = ComparedDay(day=FIRST + timedelta(days=10), began_at=AT, why="a map is broken")
    (none,) = digests(ready().model_copy(update={"now": day}).ended_day(NOW), NOW)
    assert none.role == "ops" and none.text.startswith("Nothing was compared: a map is broken")
    mixed = (entity(open={"DIFF": 2}, new=1, gone=4), entity("product", status="failed", why="Finance was away"))
    day = day.model_copy(update={"entities": mixed, "why": ""})
    told = {n.role: n.text for n in digests(ready().model_copy(update={"now": day}).ended_day(NOW), NOW)}
    assert told["ar_manager"].startswith("customer: not clean, 2 open, 1 new, 4 gone")
    assert told["ops"].startswith("product: not compared (Finance was away)")


def test_the_next_night_is_of_the_companys_clock() -> None:
    at = next_night(datetime(2026, 11, 1, 4, 30, tzinfo=UTC), "America/New_York", "03:00")
    assert at == datetime(2026, 11, 1, 8, tzinfo=UTC), "clocks went back that night"
    assert next_night(at, "America/New_York", "03:00") == datetime(2026, 11, 2, 8, tzinfo=UTC)


def test_the_file_says_whose_decision_it_is_and_names_roles_that_may_read() -> None:
    shipped = policies.parallel()
    assert shipped.source and (shipped.days, shipped.clean_days) == (30, 7)
    rights = policies.load().rights
    assert not list(parallel.misfits(shipped, rights))
    wrong = shipped.model_copy(update={"otherwise": "legal"})
    assert [field for field, _ in parallel.misfits(wrong, rights)] == ["otherwise"]
    for change in ({"clean_days": 31}, {"source": ""}, {"tolerated": {"DIFF": -1}}, {"at": "25:00"}, {"days": 90}):
        with pytest.raises(ValidationError):
            ParallelPolicy.model_validate(shipped.model_dump() | change)
