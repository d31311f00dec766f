"""Differences in the ledger: each once, with its age, closed when a whole comparison does not find it any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from domain.entities.comparing import Difference, DifferenceClass
from domain.entities.comparison_view import ComparisonFigures
from domain.entities.data_words import DifferenceWord, seen_of
from domain.entities.model import Owner
from domain.people import Person
from domain.refusals import Refusal
from ledger import difference_pages, differences
from ledger.audit import AuditStore
from ledger.comparison_runs import ComparisonRun, DifferenceFilter, KeptDifference
from ledger.database import Database
from ledger.reads import AuditReader
from ledger.tables import COMPARISONS, DIFFERENCES

MONDAY = datetime(2026, 11, 23, 14, tzinfo=UTC)


def found(key: str, *, kind: str = "DIFF", field: str = "name", value: str = "A", pii: bool = False) -> Difference:
    return Difference(
        kind=DifferenceClass(kind),
        key=key,
        field=field,
        finance_value=value,
        sales_value="X",
        sales_ids="a1",
        owner=Owner.FINANCE,
        pii=pii,
    )


async def compared(
    database: Database, day: int, *batches: Sequence[Difference], company: str = "usmf", whole: bool = True
) -> ComparisonFigures:
    run = ComparisonRun(
        run_id=f"run-{company}-{day}",
        entity="customer",
        company=company,
        map_hash="h",
        began_at=MONDAY + timedelta(days=day),
        ended_at=MONDAY + timedelta(days=day, minutes=5),
        whole=whole,
        figures=ComparisonFigures(finance_records=10),
    )
    return (await differences.keep(database, run, batches)).figures


async def shown(database: Database, company: str = "usmf") -> list[KeptDifference]:
    return [each async for some in differences.open_differences(database, "customer", company) for each in some]


async def test_a_difference_is_kept_once_and_ages_until_a_whole_comparison_does_not_find_it(
    database: Database,
) -> None:
    first = await compared(database, 0, [found("US-1", pii=True)], [found("US-2"), found("US-3")])
    again = await compared(database, 2, [found("US-1", value="B", pii=True), found("US-4", kind="ROUNDING")])

    rows = {row.key: row for row in await shown(database)}
    assert (first.open, first.new, first.gone) == (3, 3, 0)
    assert (again.open, again.new, again.gone) == (2, 1, 2)
    assert set(rows) == {"US-1", "US-4"}
    assert rows["US-1"].age_days(MONDAY + timedelta(days=2, minutes=5)) == 2
    assert rows["US-1"].finance_value == "B"
    assert await differences.count_open(database, "customer", "usmf") == {"DIFF": 1, "ROUNDING": 1}

    back = await compared(database, 5, [found("US-1", pii=True), found("US-2"), found("US-4", kind="DIFF")])
    rows = {row.key: row for row in await shown(database)}
    assert (back.new, back.gone) == (1, 0)
    assert rows["US-2"].age_days(MONDAY + timedelta(days=6)) == 0
    assert rows["US-4"].kind is DifferenceClass.DIFF

    runs = await differences.comparisons(database, entity="customer", company="usmf")
    assert [run.run_id for run in runs] == ["run-usmf-5", "run-usmf-2", "run-usmf-0"]


async def test_a_comparison_that_is_kept_again_changes_nothing(database: Database) -> None:
    await compared(database, 0, [found("US-1")])
    once = await compared(database, 1, [found("US-1"), found("US-2")])

    # Killed before it ended, its first batch is kept already; afterwards, all of it is.
    assert await compared(database, 1, [found("US-1"), found("US-2")]) == once
    async with database.writing() as connection:
        await connection.execute(COMPARISONS.delete().where(COMPARISONS.c.run_id == "run-usmf-1"))
    assert await compared(database, 1, [found("US-1"), found("US-2")]) == once


async def test_a_sample_closes_nothing_and_companies_know_nothing_of_each_other(database: Database) -> None:
    await compared(database, 0, [found("US-1"), found("US-2")])
    sample = await compared(database, 1, [found("US-3")], whole=False)
    other = await compared(database, 2, [found("US-1")], company="demf")

    assert (sample.open, sample.new, sample.gone) == (1, 1, 0)
    assert [row.key for row in await shown(database)] == ["US-1", "US-2", "US-3"]
    assert (other.new, other.gone) == (1, 0)
    assert len(await shown(database, "demf")) == 1


async def test_values_of_persons_go_when_a_difference_is_gone(database: Database) -> None:
    await compared(database, 0, [found("US-1", pii=True), found("US-2")])
    await compared(database, 1)

    async with database.reading() as connection:
        rows = (await connection.execute(DIFFERENCES.select())).all()
    assert {(row.key, row.finance_value, row.resolution) for row in rows} == {
        ("US-1", "", "AGREES"),
        ("US-2", "A", "AGREES"),
    }


async def test_thousands_are_read_in_order_and_keys_may_be_long(database: Database) -> None:
    many = [found(f"US-{n:05d}", field=field) for n in range(1_200) for field in ("name", "phone")]
    await compared(database, 0, many[:1_500], [*many[1_500:], found("Z" * 900), found("Z" * 901)])

    rows = await shown(database)

    keys = [(row.key, row.field) for row in rows]
    assert len(keys) == 2_402
    assert keys == sorted(keys)
    batches = [some async for some in differences.open_differences(database, "customer", "usmf", most=7)]
    assert sum(map(len, batches)) == 7


@pytest.mark.parametrize("kind", list(DifferenceClass))
async def test_every_class_can_be_kept(database: Database, kind: DifferenceClass) -> None:
    await compared(database, 0, [found("US-1", kind=kind)])

    assert [row.kind for row in await shown(database)] == [kind]


def word(of: KeptDifference, message: str, *, settles: bool = True) -> DifferenceWord:
    return DifferenceWord(
        message_id=message,
        person=Person(oid="INES", name="Ines Iqbal"),
        at=MONDAY + timedelta(days=1),
        settles=settles,
        seen=seen_of(of),
        reason="the branch keeps its old name",
    )


async def test_what_a_person_settled_stays_settled_while_its_values_are_the_same(
    database: Database, store: AuditStore, reader: AuditReader
) -> None:
    await compared(database, 0, [found("US-1", pii=True), found("US-2")])
    one, two = await shown(database)
    assert await difference_pages.say(database, one.difference_id, word(one, "m-1")) is None
    assert await difference_pages.say(database, one.difference_id, word(one, "m-1")) is None, (
        "said twice, it counts once"
    )
    assert await difference_pages.say(database, one.difference_id, word(one, "m-2")) is Refusal.NOT_OPEN_ANY_MORE
    stale = word(two, "m-3").model_copy(update={"seen": seen_of(found("US-2", value="B"))})
    assert await difference_pages.say(database, two.difference_id, stale) is Refusal.CHANGED_MEANWHILE
    assert await difference_pages.say(database, "none", stale) is Refusal.NOT_FOUND

    again = await compared(database, 2, [found("US-1", pii=True), found("US-2")])
    assert (again.open, again.new, again.gone) == (1, 0, 0)
    settled = await difference_pages.one(database, one.difference_id)
    assert settled is not None
    assert (settled.resolution, settled.resolved_name, settled.finance_value) == ("SETTLED", "Ines Iqbal", "A")

    other = await compared(database, 3, [found("US-1", value="B", pii=True), found("US-2")])
    assert (other.open, other.new) == (2, 1)
    back = await difference_pages.one(database, one.difference_id)
    assert back is not None and (back.resolution, back.reason, back.resolved_name) == ("", "", "")
    assert await difference_pages.say(database, one.difference_id, word(back, "m-4")) is None
    await store.erase("ines")
    gone = await compared(database, 4)
    assert gone.gone == 2
    closed = await difference_pages.one(database, one.difference_id)
    assert closed is not None
    assert (closed.resolution, closed.finance_value, closed.resolved_name) == ("AGREES", "", "")
    rows = await reader.newest("usmf", limit=10)
    assert [row.event for row in rows] == ["PersonErased", "DifferenceSettled", "DifferenceSettled"]


async def test_who_settles_can_open_it_again(database: Database) -> None:
    await compared(database, 0, [found("US-1")])
    (one,) = await shown(database)
    assert await difference_pages.say(database, one.difference_id, word(one, "m-1", settles=False)) is (
        Refusal.NOT_OPEN_ANY_MORE
    )
    assert await difference_pages.say(database, one.difference_id, word(one, "m-2")) is None
    assert await shown(database) == []
    assert await difference_pages.say(database, one.difference_id, word(one, "m-3", settles=False)) is None
    assert [row.key for row in await shown(database)] == ["US-1"]


async def test_differences_are_shown_in_pages_with_filters_counts_and_coverage(database: Database) -> None:
    await compared(database, 0, [found("US-2", field="name"), found("US-1", field="phone")])
    await compared(
        database, 9, [found("US-1", field="phone"), found("US-2", field="name"), found("US-3", kind="MISSING")]
    )
    await compared(database, 10, [found("US-3", kind="MISSING")], whole=False)
    await compared(database, 3, [found("DE-1")], company="demf")
    now = MONDAY + timedelta(days=10, hours=1)

    async def keys(rows: int = 10, **wanted: object) -> list[str]:
        page = await difference_pages.page(database, DifferenceFilter.model_validate(wanted), now=now, rows=rows)
        return [row.key for row in page.rows]

    assert await keys() == ["DE-1", "US-1", "US-2", "US-3"]
    assert await keys(companies=("usmf",), older_than=7) == ["US-1", "US-2"]
    assert await keys(kind="MISSING") == await keys(key="US-3") == ["US-3"]
    assert await keys(company="usmf", field="phone", owner="FINANCE") == ["US-1"]
    assert await keys(key="U%") == await keys(companies=()) == await keys(state="settled") == []
    for sort in ("key", "oldest", "newest"):
        whole = await keys(sort=sort)
        first = await difference_pages.page(database, DifferenceFilter(sort=sort), now=now, rows=2)
        rest = await keys(sort=sort, after=first.next)
        assert [row.key for row in first.rows] + rest == whole, sort

    page = await difference_pages.page(database, DifferenceFilter(companies=("usmf",)), now=now, rows=1)
    assert {count.kind: count.ages for count in page.counts} == {"DIFF": (0, 0, 2, 0), "MISSING": (0, 1, 0, 0)}
    assert page.fields == ("name", "phone")
    (coverage,) = page.coverage.values()
    assert (coverage.last.run_id, coverage.last.whole) == ("run-usmf-10", False)
    assert coverage.whole is not None and coverage.whole.run_id == "run-usmf-9"
