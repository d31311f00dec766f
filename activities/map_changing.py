"""The change of a map, carried out: tried, held against what was approved, put in force, or ended.

What it counts and chooses comes from the records that comparisons kept; what it writes, the sync of each company
writes (``activities.map_looks``).
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from temporalio import activity

from activities.comparing import in_words
from activities.heartbeat import note_progress
from activities.map_change_signatures import (
    EndChange,
    MapChangeActivities,
    Queued,
    ReadRecords,
    RecordsRead,
    Rehearsed,
    StepDone,
    TriedSoFar,
)
from activities.map_impact import RecordsChanged, candidates, moved_pairs, plan_over
from activities.map_looks import MapLooks
from domain.entities.comparing import COMPARABLE
from domain.entities.map_change import Base
from domain.entities.map_change_rules import MapChangeRules
from domain.entities.map_run import FAILED, LookStatus, LookStep, MapChangeStart, chosen, moved_fields, moved_since
from domain.refusals import Refusal
from ledger.map_runs import MapRunLedger

SOME: Final = 2_000
"""Records that are queued in one go."""
NOT_STORED: Final = "Records of its pattern are not stored on both sides: it was tried on none."
NO_RECORDS: Final = "The records that were kept tell no pair that it hits: it was tried on none."


class MapChanging(MapChangeActivities):
    """Changes of maps."""

    def __init__(
        self, ledger: MapRunLedger, looks: MapLooks, rules: MapChangeRules, data_dir: Path, canary: int
    ) -> None:
        """Keep them in the ledger; records lie below a folder, and ``canary`` of them are tried first."""
        self._ledger = ledger
        self._looks = looks
        self._rules = rules
        self._data_dir = data_dir
        self._canary = canary

    @activity.defn(name="begin_map_change")
    async def begin_map_change(self, ask: MapChangeStart) -> StepDone:
        """See the signature."""
        with in_words(RecordsChanged):
            found = await self._ledger.shown(ask.entity, ask.number, self._rules)
            if found is None:
                return StepDone(code=Refusal.NOT_FOUND)
            base = Base.of((await self._ledger.in_force()).values(), ask.entity)
            moved = moved_fields(base.data, found.proposal.data)
            return StepDone(code=await self._ledger.begin(ask.entity, ask.number, ask.word, self._rules, moved))

    @activity.defn(name="rehearse_map_change")
    async def rehearse_map_change(self, ask: MapChangeStart) -> Rehearsed:
        """See the signature."""
        with in_words(RecordsChanged):
            found = await self._ledger.shown(ask.entity, ask.number, self._rules)
            assert found is not None
            approved, data = found.proposal.plan, found.proposal.data
            assert approved is not None
            base = Base.of((await self._ledger.in_force()).values(), ask.entity)
            records = await self._ledger.records_of(ask.entity)
            now = datetime.now(UTC)
            plan = await asyncio.to_thread(plan_over, ask.number, data, base, records, self._data_dir, now)
            if moved := moved_since(approved, plan):
                return Rehearsed(moved=moved)
            if data.pattern not in COMPARABLE:
                return Rehearsed(text=NOT_STORED)
            most = self._canary
            hit = await asyncio.to_thread(candidates, base, data, records, self._data_dir, most)
            some = chosen(hit, most)
            syncing = {*ask.syncing} if moved_fields(base.data, data) else set()
            for step in (LookStep.CANARY, LookStep.READ):
                mine = [each for each in some if (each.company in syncing) is (step is LookStep.CANARY)]
                await self._ledger.queue(ask.word.message_id, ask.entity, step, mine, now)
            companies = {each.company for each in some}
            return Rehearsed(
                reading=tuple(sorted(companies - syncing)),
                writing=tuple(sorted(companies & syncing)),
                text="" if some else NO_RECORDS,
            )

    @activity.defn(name="read_map_records")
    async def read_map_records(self, ask: ReadRecords) -> RecordsRead:
        """See the signature."""
        with in_words(RecordsChanged):
            change = await self._ledger.change(ask.start.word.message_id)
            assert change is not None
            return RecordsRead(records=await self._looks.read(change, ask.company))

    @activity.defn(name="see_map_tried")
    async def see_map_tried(self, ask: MapChangeStart) -> TriedSoFar:
        """See the signature."""
        with in_words(RecordsChanged):
            found = await self._ledger.newest(ask.entity, ask.number)
            assert found is not None
            tried = found.figures.tried
            failed = next(iter(found.failed), None)
            why = "" if failed is None else f"{failed.key} of {failed.company.upper()}: {failed.text}"
            if not why and any(tried.get(status) for status in FAILED):
                why = "a record was refused"
            waiting = tried.get(LookStatus.WAITING, 0)
            return TriedSoFar(waiting=waiting, failed=why, looked=sum(tried.values()) - waiting)

    @activity.defn(name="end_map_change")
    async def end_map_change(self, ask: EndChange) -> StepDone:
        """See the signature."""
        with in_words(RecordsChanged):
            await self._ledger.stop(ask.start.word, ask.text, datetime.now(UTC), is_stale=ask.is_stale)
            return StepDone()

    @activity.defn(name="activate_map")
    async def activate_map(self, ask: EndChange) -> StepDone:
        """See the signature."""
        with in_words(RecordsChanged):
            return StepDone(code=await self._ledger.activate(ask.start.word, self._rules, ask.text, datetime.now(UTC)))

    @activity.defn(name="queue_map_records")
    async def queue_map_records(self, ask: MapChangeStart) -> Queued:
        """See the signature."""
        with in_words(RecordsChanged):
            change = await self._ledger.change(ask.word.message_id)
            assert change is not None
            if not change.moved or not ask.syncing:
                return Queued(records=0)
            records = await self._ledger.records_of(ask.entity)
            base = Base.of((await self._ledger.in_force()).values(), ask.entity)
            queued, pages = 0, moved_pairs(base, change.data, records, self._data_dir, SOME)
            with closing(pages):
                while (some := await asyncio.to_thread(next, pages, None)) is not None:
                    mine = [each for each in some if each.company in ask.syncing]
                    now = datetime.now(UTC)
                    queued += await self._ledger.queue(change.change_id, ask.entity, LookStep.APPLY, mine, now)
                    note_progress(queued)
            return Queued(records=queued)
