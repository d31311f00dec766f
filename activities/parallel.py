"""What a parallel run does: it has entities compared, one after the other, and counts what stands afterwards."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

import policies
from activities.delivery import temporal_failures
from activities.failures import refused
from activities.parallel_signatures import CompareEntity, OfCompany, ParallelActivities
from activities.signatures import FailureType
from domain.entities.comparing import CannotCompare, DifferenceClass, require_comparable
from domain.entities.comparison_run import CompareStart
from domain.entities.parallel import LONGEST_WHY, MOST_ENTITIES, EntityDay
from domain.entities.parallel_run import DayPlan
from domain.policy import Policy, PolicyError
from ledger.comparison_runs import ComparisonRun
from ledger.opening import Ledger, LedgerAway
from policies.map_files import in_force, load_maps
from runs.calls import NotFound, Rejected, Unreadable
from runs.comparisons import Comparisons

JOINED: Final = 3
"""Comparisons of others that are waited for; whoever begins more of them has it fail, and it is tried again."""


class ParallelWork(ParallelActivities):
    """Has entities compared."""

    def __init__(self, comparisons: Comparisons, ledger: Ledger, policy: Policy, folder: Path | None) -> None:
        """Begin ``comparisons``, read the ``ledger``; maps and criteria are those of a folder of policies."""
        self._comparisons = comparisons
        self._ledger = ledger
        self._policy = policy
        self._folder = folder

    @activity.defn(name="plan_day")
    async def plan_day(self, of: OfCompany) -> DayPlan:
        """See the signature."""
        try:
            rules = await asyncio.to_thread(policies.parallel, self._folder)
            timezone = self._policy.calendar(of.company).timezone
        except PolicyError as error:
            raise refused(FailureType.REFUSED, str(error)) from error
        files = await asyncio.to_thread(load_maps, self._folder)
        try:
            maps = in_force(files, await self._ledger.maps_in_force())
        except LedgerAway as error:
            raise ApplicationError(str(error), type=FailureType.TRANSIENT) from error
        if maps.problems:
            raise refused(FailureType.REFUSED, "\n".join(map(str, maps.problems)))
        found = []
        for data in maps.all:
            if data.entity in rules.not_compared:
                continue
            try:
                require_comparable(data, of.company)
            except CannotCompare:
                continue
            found.append(data.entity)
        return DayPlan(
            rules=rules,
            timezone=timezone,
            entities=tuple(sorted(found)[:MOST_ENTITIES]),
            left_out=max(0, len(found) - MOST_ENTITIES),
        )

    @activity.defn(name="compare_entity")
    async def compare_entity(self, ask: CompareEntity) -> EntityDay:
        """See the signature."""
        try:
            with temporal_failures():
                run = await self._compared(ask)
        except (Unreadable, Rejected) as error:
            return EntityDay(entity=ask.entity, status="failed", why=error.detail[:LONGEST_WHY], at=datetime.now(UTC))
        except (NotFound, LedgerAway) as error:  # waiting for it was cut short, or it is not there any more
            raise ApplicationError(str(error), type=FailureType.TRANSIENT) from error
        return await self._counted(ask, run)

    async def _compared(self, ask: CompareEntity) -> ComparisonRun:
        """A comparison of all records that began since, or that went on when it was to begin."""
        for _ in range(JOINED):
            if found := await self._ledger.whole_since(ask.entity, ask.company, ask.since):
                return found
            others = await self._comparisons.running(ask.entity, ask.company)
            start = CompareStart(entity=ask.entity, company=ask.company)
            run = others or await self._comparisons.begin(start, ask.day)
            done = await self._comparisons.result(run)
            kept = await self._ledger.comparison(done.run_id)
            if kept is not None and kept.whole:
                return kept
        raise ApplicationError("other comparisons of a part of the records go on", type=FailureType.TRANSIENT)

    async def _counted(self, ask: CompareEntity, run: ComparisonRun) -> EntityDay:
        try:
            standing = await self._ledger.standing(ask.entity, ask.company, ask.rules.critical, run.ended_at)
        except LedgerAway as error:
            raise ApplicationError(str(error), type=FailureType.TRANSIENT) from error
        figures = run.figures
        return EntityDay(
            entity=ask.entity,
            status="compared",
            run_id=run.run_id,
            at=run.ended_at,
            finance=figures.finance_records,
            sales=figures.sales_records,
            new=figures.new,
            gone=figures.gone,
            timing=figures.found.get(DifferenceClass.TIMING, 0),
            standing=standing,
        )
