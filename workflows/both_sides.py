"""What comparing and a dry run have in common: both systems' records are read in parts, joined, and read again.

The history holds numbers of pages, never a record. A run whose history has become long goes on as a new one where it
is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Generic, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.comparison_signatures import (
        FINANCE_CHUNK,
        SALES_CHUNK,
        CountParts,
        FinanceBulkActivities,
        OfRun,
        OpenComparison,
        PageRead,
        ReadPage,
        SalesBulkActivities,
    )
    from domain.entities.comparison_run import Progress, ReadingStart
    from runs import names
    from workflows.steps import Argument, Patience, Result, attempt, cause_of

Start = TypeVar("Start", bound=ReadingStart)
Does = Callable[[Any, Argument], Coroutine[Any, Any, Result]]

AT_ONCE = 4
"""Parts of Finance that are read at a time."""
PATIENCE = Patience(
    RetryPolicy(
        initial_interval=timedelta(seconds=1),
        backoff_coefficient=2,
        maximum_interval=timedelta(minutes=2),
        maximum_attempts=40,
    ),
    timedelta(minutes=10),
    silence=timedelta(seconds=20),
)
"""Nothing waits for a comparison: a system may be away for an hour, and it goes on."""


class BothSides(Generic[Start]):
    """One entity in one company, read on both sides. A run of it says what it makes of what was read."""

    def __init__(self, start: Start) -> None:
        """Make the state before the first question."""
        self._start = start
        run_id = workflow.info().first_execution_run_id
        self._progress = start.progress or Progress(run_id=run_id, began_at=workflow.now())
        self._place = start.place(self._progress.run_id)

    async def _read(self) -> None:
        """Open, cut into parts, read both sides, join, read again what differs."""
        await self._open_once()
        if self._progress.stage in ("opening", "planning"):
            await self._cut()
        if self._progress.stage == "reading":
            await asyncio.gather(self._read_finance(), self._read_sales())
            self._go_on_anew_if_long()
            await self._find()
        if self._progress.stage == "confirming":
            await asyncio.gather(self._confirm_in_finance(), self._confirm_in_sales())
            self._go_on_anew_if_long()
        self._set(stage="keeping")

    # What is read

    async def _open_once(self) -> None:
        if self._progress.map_hash:
            return
        opened = await self._sales(
            SalesBulkActivities.open_comparison,
            OpenComparison(place=self._place, entity=self._start.entity, company=self._start.company),
            "Read what is compared",
        )
        self._set(map_hash=opened.map_hash, requests=self._progress.requests + opened.requests, stage="planning")

    async def _cut(self) -> None:
        """Cut Finance's records into parts that are one answer each."""
        while self._progress.open_parts or self._progress.outgrown:
            at = self._progress
            counted = await self._finance(
                FinanceBulkActivities.count_parts,
                CountParts(place=self._place, count=at.counts, sample=self._start.sample, outgrown=at.outgrown),
                "Count parts of Finance",
            )
            self._set(
                counts=at.counts + 1,
                open_parts=counted.open,
                parts=counted.parts,
                outgrown=(),
                requests=self._progress.requests + counted.requests,
            )
        self._set(stage="reading")

    async def _read_finance(self) -> None:
        while not self._is_long():
            at = self._progress
            if at.next_part < at.parts:
                wave = range(at.next_part, min(at.next_part + AT_ONCE, at.parts))
                read = await asyncio.gather(*(self._read_part(number) for number in wave))
                grown = tuple(number for number, page in zip(wave, read, strict=True) if page.outgrown)
                self._set(next_part=wave.stop, outgrown=(*self._progress.outgrown, *grown))
            elif at.outgrown:
                await self._cut()
            else:
                return

    async def _read_part(self, number: int) -> PageRead:
        page = await self._finance(FinanceBulkActivities.read_part, self._page(number), f"Read part {number + 1}")
        self._set(
            finance_records=self._progress.finance_records + page.records,
            requests=self._progress.requests + page.requests,
        )
        return page

    async def _read_sales(self) -> None:
        while not (self._progress.sales_read or self._is_long()):
            number = self._progress.sales_pages
            page = await self._sales(
                SalesBulkActivities.read_sales_page, self._page(number), f"Read page {number + 1} of Sales"
            )
            self._set(
                sales_pages=number + 1,
                sales_read=not page.more,
                sales_records=self._progress.sales_records + page.records,
                requests=self._progress.requests + page.requests,
            )

    # What is made of it

    async def _find(self) -> None:
        self._set(stage="comparing")
        of = OfRun(place=self._place)
        found = await self._finance(FinanceBulkActivities.find_candidates, of, "Join both sides")
        self._set(candidates=found.records, stage="confirming")

    async def _confirm_in_finance(self) -> None:
        while self._confirmed(FINANCE_CHUNK) < self._progress.candidates and not self._is_long():
            number = self._progress.finance_confirmed
            page = await self._finance(
                FinanceBulkActivities.confirm_in_finance, self._page(number), "Read candidates again"
            )
            self._set(finance_confirmed=number + 1, requests=self._progress.requests + page.requests)

    async def _confirm_in_sales(self) -> None:
        while self._confirmed(SALES_CHUNK) < self._progress.candidates and not self._is_long():
            number = self._progress.sales_confirmed
            page = await self._sales(SalesBulkActivities.confirm_in_sales, self._page(number), "Read candidates again")
            self._set(sales_confirmed=number + 1, requests=self._progress.requests + page.requests)

    # How it goes on

    def _both_confirmed(self) -> int:
        """Candidates that were read again on both sides."""
        return min(self._confirmed(FINANCE_CHUNK), self._confirmed(SALES_CHUNK))

    def _confirmed(self, chunk: int) -> int:
        """Candidates that were read again on a side."""
        done = self._progress.finance_confirmed if chunk == FINANCE_CHUNK else self._progress.sales_confirmed
        return min(done * chunk, self._progress.candidates)

    def _is_long(self) -> bool:
        return workflow.info().is_continue_as_new_suggested()

    def _go_on_anew_if_long(self) -> None:
        if self._is_long():
            workflow.continue_as_new(self._start.model_copy(update={"progress": self._progress}))

    def _set(self, **changes: Any) -> None:
        self._progress = self._progress.model_copy(update=changes)

    def _page(self, number: int) -> ReadPage:
        return ReadPage(place=self._place, number=number)

    async def _sales(self, activity: Does[Argument, Result], argument: Argument, summary: str) -> Result:
        return await attempt(activity, argument, queue=names.DATAVERSE_BULK_QUEUE, summary=summary, patience=PATIENCE)

    async def _finance(self, activity: Does[Argument, Result], argument: Argument, summary: str) -> Result:
        return await attempt(activity, argument, queue=names.FINANCE_BULK_QUEUE, summary=summary, patience=PATIENCE)


def in_words(error: ActivityError) -> ApplicationError:
    """Why a run ends: of its own, as what an activity failed with is sealed for it and no caller could read it."""
    cause, text = cause_of(error)
    return ApplicationError(text, type=cause)
