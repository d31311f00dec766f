"""Differences in the ledger: each once, with its age, closed when a whole comparison does not find it any more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from domain.entities.comparing import Difference, DifferenceClass
from domain.entities.comparison_view import ComparisonFigures
from domain.entities.model import Owner
from ledger import differences
from ledger.comparison_runs import ComparisonRun, KeptDifference
from ledger.database import Database
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
