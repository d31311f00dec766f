"""Having an entity compared: whose comparison counts, what stands afterwards, and what a failure comes to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

import policies
from activities.parallel import ParallelWork
from activities.parallel_signatures import CompareEntity, OfCompany
from domain.entities.comparing import Difference, DifferenceClass
from domain.entities.comparison_run import CompareStart
from domain.entities.comparison_view import ComparisonFigures, ComparisonView
from domain.entities.model import Owner
from ledger.comparison_runs import ComparisonRun
from ledger.opening import Ledger
from runs.calls import NoAnswer, NotFound, Unreadable
from runs.comparisons import Comparisons

NIGHT = datetime(2026, 11, 20, 8, tzinfo=UTC)
ASK = CompareEntity(company="usmf", entity="customer", day=date(2026, 11, 20), since=NIGHT, rules=policies.parallel())


def difference(kind: DifferenceClass, key: str, field: str = "", owner: Owner = Owner.FINANCE) -> Difference:
    return Difference(kind=kind, key=key, field=field, finance_value="1", sales_value="2", owner=owner)


OLD = difference(DifferenceClass.DIFF, "US-1", "credit_limit")
FOUND = (
    OLD,
    difference(DifferenceClass.DIFF, "US-2", "name", Owner.MANUAL),
    difference(DifferenceClass.ROUNDING, "US-3", "discount"),
    difference(DifferenceClass.MISSING, "US-4", owner=Owner.MANUAL),
)


class Nights(Comparisons):
    """Comparisons that come to their end as a test says, and are kept in a real ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.goes_on = ""
        self.begun: list[CompareStart] = []
        self.ends: list[ComparisonRun | Exception] = []

    async def running(self, entity: str, company: str) -> str:
        found, self.goes_on = self.goes_on, ""
        return found

    async def begin(self, start: CompareStart, day: date) -> str:
        self.begun.append(start)
        return "begun"

    async def result(self, workflow_id: str) -> ComparisonView:
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        kept = await self.ledger.keep_comparison(end, [FOUND])
        return ComparisonView(entity="customer", company="usmf", run_id=kept.run_id)


def run(run_id: str, *, whole: bool = True, at: datetime = NIGHT) -> ComparisonRun:
    return ComparisonRun(
        run_id=run_id,
        entity="customer",
        company="usmf",
        map_hash="h",
        began_at=at,
        ended_at=at + timedelta(minutes=4),
        whole=whole,
        figures=ComparisonFigures(finance_records=9, sales_records=8, found={DifferenceClass.TIMING: 2}),
    )


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    made = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield made
    await made.close()


async def test_a_comparison_that_goes_on_is_waited_for_and_a_sample_does_not_count(ledger: Ledger) -> None:
    await ledger.keep_comparison(run("old", at=NIGHT - timedelta(days=9)), [(OLD,)])
    nights = Nights(ledger)
    work = ParallelWork(nights, ledger, policies.load(), None)
    nights.goes_on, nights.ends = "compare/customer/usmf/2026-11-20", [run("sample", whole=False), run("whole")]

    day = await work.compare_entity(ASK)

    assert nights.begun == [CompareStart(entity="customer", company="usmf")], "one, after the sample had ended"
    assert (day.status, day.run_id, day.finance, day.sales, day.timing) == ("compared", "whole", 9, 8, 2)
    standing = day.standing
    assert standing.open == {"DIFF": 2, "ROUNDING": 1, "MISSING": 1} and day.open == 4
    assert standing.critical == 2, "the credit limit, and the record that is missing"
    assert standing.owners == {Owner.FINANCE: 2, Owner.MANUAL: 2}
    assert standing.ages == (3, 0, 1, 0) and standing.oldest_days == 9

    assert (await work.compare_entity(ASK)).run_id == "whole", "tried again, nothing is compared again"
    assert len(nights.begun) == 1 and nights.ends == []
    tomorrow = ASK.model_copy(update={"since": NIGHT + timedelta(days=1)})
    nights.ends = [run("next", at=NIGHT + timedelta(days=1))]
    later = await work.compare_entity(tomorrow)
    assert (later.run_id, later.new, later.still) == ("next", 0, 4)


async def test_what_fails_for_good_is_a_day_that_failed_and_what_passes_is_tried_again(ledger: Ledger) -> None:
    nights = Nights(ledger)
    work = ParallelWork(nights, ledger, policies.load(), None)
    nights.ends = [Unreadable("The comparison failed: " + "x" * 900)]
    day = await work.compare_entity(ASK)
    assert day.status == "failed" and len(day.why) == 200
    for passing in (NoAnswer(), NotFound("gone")):
        nights.ends = [passing]
        with pytest.raises(ApplicationError) as error:
            await work.compare_entity(ASK)
        assert not error.value.non_retryable
    nights.ends = [run(f"sample-{n}", whole=False) for n in range(9)]
    with pytest.raises(ApplicationError):
        await work.compare_entity(ASK)
    assert len(nights.ends) == 6, "others cannot keep it waiting forever"


async def test_a_day_is_planned_from_the_maps_that_can_be_compared(ledger: Ledger, tmp_path: Path) -> None:
    plan = await ParallelWork(Nights(ledger), ledger, policies.load(), None).plan_day(OfCompany(company="usmf"))
    assert plan.entities == ("contact", "currency", "customer", "product") and plan.left_out == 0
    german = await ParallelWork(Nights(ledger), ledger, policies.load(), None).plan_day(OfCompany(company="demf"))
    assert german.entities == ("contact", "currency", "customer"), "Sales shows the products of the company that leads"
    assert (plan.timezone, plan.rules.clean_days) == (policies.load().calendar("usmf").timezone, 7)

    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "customers.yaml").write_text("entity: [")
    with pytest.raises(ApplicationError) as error:
        await ParallelWork(Nights(ledger), ledger, policies.load(), tmp_path).plan_day(OfCompany(company="usmf"))
    assert error.value.non_retryable and "customers.yaml" in error.value.message
