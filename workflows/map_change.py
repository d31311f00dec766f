"""A map that two others approved, on its way into force: tried on some records, held against what was approved.

First the plan is made again: where it says anything else, it is stale and the proposal open again. Then the map is
tried on some of the records it hits; the first one that is refused, or still differs, ends the change, and what was
tried is taken back. What is in force, and what came of each record, the ledger says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.map_change_signatures import EndChange, MapChangeActivities, ReadRecords
    from domain.entities.map_change_said import ACTIVATE
    from domain.entities.map_run import ActivateArgs, MapChangeStart, MapChangeView
    from domain.refusals import Refusal
    from domain.said import judged
    from runs import names
    from workflows.proof import verify
    from workflows.steps import Argument, Patience, Result, attempt, cause_of

PATIENCE = Patience(
    RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=2), maximum_attempts=40),
    timedelta(minutes=10),
    silence=timedelta(seconds=60),
)
UNTIL_IT_ENDS = Patience(
    RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=2)),
    timedelta(minutes=10),
    silence=timedelta(seconds=60),
)
"""The end of a change is tried until it is one: a proposal is not left between open and ended."""
CANCELLED = "Its run was cancelled."
LOOK_EVERY = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=1)
LONGEST_TRY = timedelta(hours=3)
"""How long the syncs may take to look at the records on which a map is tried: three rounds of the slowest."""


@workflow.defn(name=names.MAP_CHANGE)
class ChangeMap:
    """One approved map."""

    @workflow.init
    def __init__(self, start: MapChangeStart) -> None:
        """Make the state before the first question."""
        self._start = start
        self._view = MapChangeView(entity=start.entity, number=start.number)

    @workflow.run
    async def run(self, start: MapChangeStart) -> MapChangeView:
        """Try it, and put it in force; or say why not."""
        if not await self._is_said():
            return self._view
        try:
            begun = await self._do(MapChangeActivities.begin_map_change, start, "Note that the map is tried")
            if begun.code is None:
                await self._carry_out()
            else:
                self._set(code=begun.code, ended=True)
        except (ActivityError, asyncio.CancelledError) as error:
            text = cause_of(error)[1] if isinstance(error, ActivityError) else CANCELLED
            await self._end(text, is_stale=True)  # cancelled as well: the proposal is open again, and nothing is tried
            if isinstance(error, asyncio.CancelledError):
                raise
        return self._view

    async def _is_said(self) -> bool:
        """Whether the word is its person's, in every company: what has no proof moves nothing."""
        word, message = self._start.word, self._start.message
        for company in word.companies:
            (said,) = await verify((message,), audiences=(names.map_audience(company),), company=company)
            verdict = judged(said, ACTIVATE, ActivateArgs)
            is_ours = said.person.is_same(word.person) and said.message_id == word.message_id
            if verdict.args is None or not (is_ours and verdict.args.are_of(self._start)):
                code = verdict.code or Refusal.UNAUTHENTICATED
                self._set(code=code, text=verdict.detail[:500], ended=True)
                return False
        return bool(word.companies)

    async def _carry_out(self) -> None:
        self._set(step="dry_run")
        dry = await self._do(
            MapChangeActivities.rehearse_map_change, self._start, "Make the plan again, and choose records to try it on"
        )
        if dry.moved:
            await self._end("; ".join(dry.moved)[:1_000], is_stale=True)
            return
        self._set(step="canary", text=dry.text)
        for company in dry.reading:
            ask = ReadRecords(start=self._start, company=company)
            while (await self._do(MapChangeActivities.read_map_records, ask, "Read records by the new map")).records:
                pass
        if failed := await self._tried():
            await self._end(failed, is_stale=False)
            return
        self._set(step="activate")
        await self._do(MapChangeActivities.queue_map_records, self._start, "Note the records whose values it moves")
        ask_end = EndChange(start=self._start, text=dry.text)
        done = await self._do(MapChangeActivities.activate_map, ask_end, "Put the map in force")
        self._set(step="done", code=done.code, ended=True)

    async def _tried(self) -> str:
        """Wait for what comes of the records it is tried on; why the change ends, empty: it goes on."""
        pause, until = LOOK_EVERY, workflow.now() + LONGEST_TRY
        while True:
            so_far = await self._do(
                MapChangeActivities.see_map_tried, self._start, "See what came of the records it is tried on"
            )
            if so_far.failed or not so_far.waiting:
                return so_far.failed
            if workflow.now() >= until:
                return f"The sync has not looked at {so_far.waiting} records: start it, or see why it rests."
            await workflow.sleep(pause, summary="Until the sync has looked at them")
            pause = min(pause * 1.5, LONGEST_PAUSE)

    async def _end(self, text: str, *, is_stale: bool) -> None:
        ask = EndChange(start=self._start, text=text, is_stale=is_stale)
        summary = "End the change, and take back what was tried"
        await self._do(MapChangeActivities.end_map_change, ask, summary, UNTIL_IT_ENDS)
        code = Refusal.MAP_PLAN_STALE if is_stale else Refusal.MAP_TRY_FAILED
        self._set(step="done", code=code, text=text, ended=True)

    @workflow.query(name=names.STATE, description="How far it is")
    def state(self) -> MapChangeView:
        """How far it is."""
        return self._view

    def _set(self, **changes: Any) -> None:
        self._view = self._view.model_copy(update=changes)

    async def _do(
        self,
        activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
        argument: Argument,
        summary: str,
        patience: Patience = PATIENCE,
    ) -> Result:
        return await attempt(activity, argument, queue=names.FINANCE_BULK_QUEUE, summary=summary, patience=patience)
