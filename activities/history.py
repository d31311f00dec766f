"""Taking over what does not change any more: a page of Finance is read, looked for in Sales, and written there.

A page that is tried again is read again and finds what it has written: no row is made twice, because its id follows
from its record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from temporalio import activity

from activities.comparing import in_words
from activities.history_signatures import (
    CopyPage,
    HistoryActivities,
    HistoryCounted,
    OfHistory,
    OpenedHistory,
    PageCopied,
)
from domain.entities.comparing import CannotCompare
from domain.entities.copying import Copied, CopyPlan, copied
from domain.entities.history_run import ENTITIES, REFUSED, HistoryFigures
from domain.entities.lint import lint
from domain.policy import Policy, PolicyError
from dynamics.bulk import history
from dynamics.bulk.reader import Reader
from dynamics.copied import CopyWriter
from dynamics.core.errors import Answer, NotFound
from dynamics.core.odata import Row
from ledger.map_reading import MapReading
from policies.map_files import in_force, load_maps

REMEMBERED_SECONDS: Final = 300.0
"""How long a map, and what Dataverse calls its parts, is taken to be as it was read."""


class HistoryWork(HistoryActivities):
    """Reads Finance and Sales as the application that only reads, and writes to Sales."""

    def __init__(
        self,
        in_finance: Reader,
        in_sales: Reader,
        writer: CopyWriter,
        policy: Policy,
        policies: Path | None,
        kept: MapReading,
    ) -> None:
        """Follow the maps in force, ``kept`` or in a folder."""
        self._finance = in_finance
        self._sales = in_sales
        self._writer = writer
        self._policy = policy
        self._policies = policies
        self._kept = kept
        self._known: dict[OfHistory, tuple[float, CopyPlan]] = {}

    @activity.defn(name="open_history")
    async def open_history(self, ask: OfHistory) -> OpenedHistory:
        """See the signature."""
        with in_words(PolicyError):
            plan = await self._plan(ask, anew=True)
            return OpenedHistory(map_hash=plan.map_hash, timezone=self._policy.calendar(ask.company).timezone)

    @activity.defn(name="copy_page")
    async def copy_page(self, ask: CopyPage) -> PageCopied:
        """See the signature."""
        with in_words(PolicyError):
            plan = await self._plan(ask)
            page = await self._finance.page(history.page(plan, ask.place))
            place = history.behind(plan, page.rows, ask.place)
            if page.rows and place == ask.place:
                raise Answer(self._finance.system, write=False, message="the same page was answered twice").error()
            figures, problem = await self._copied(plan, page.rows)
            return PageCopied(
                figures=figures,
                place=place,
                more=len(page.rows) == history.PAGE_ROWS,
                problem=problem[:500],
            )

    @activity.defn(name="count_history")
    async def count_history(self, ask: OfHistory) -> HistoryCounted:
        """See the signature."""
        with in_words(PolicyError):
            answer = await self._finance.row(history.count(await self._plan(ask)))
            return HistoryCounted(records=int(answer["@odata.count"]))

    async def _copied(self, plan: CopyPlan, rows: Sequence[Row]) -> tuple[HistoryFigures, str]:
        """What a page came to, and what Sales said last where it did not take a record."""
        if not rows:
            return HistoryFigures(requests=1), ""
        there = [history.values_there(plan, row) for row in rows]
        asked = history.looks(plan, there)
        answers = await self._sales.together([path for _, path in asked])
        own, led = history.found_in_sales(plan, asked, answers)
        keys = [history.record_of(plan, row) for row in rows]
        wanted = [copied(plan, values, own.get(key), led) for values, key in zip(there, keys, strict=True)]
        changed = [n for n, each in enumerate(wanted) if not (each.lacking or each.is_same)]
        writes = [self._write(plan, keys[n], wanted[n]) for n in changed]
        errors = await self._writer.write(plan.sales.entity_set, writes) if writes else []
        refusals = [str(error) for error in errors if error is not None]
        taken = [n for n, error in zip(changed, errors, strict=True) if error is None]
        left_out = history.counted(wanted) | ({REFUSED: len(refusals)} if refusals else {})
        created = sum(keys[n] not in own for n in taken)
        figures = HistoryFigures(
            read=len(rows),
            created=created,
            corrected=len(taken) - created,
            same=sum(each.is_same for each in wanted),
            left_out=left_out,
            requests=3 if writes else 2,
        )
        return figures, refusals[-1] if refusals else ""

    def _write(self, plan: CopyPlan, key: str, wanted: Copied) -> tuple[UUID, Row]:
        return history.row_id(plan.company, key), history.body_of(plan, wanted)

    async def _plan(self, ask: OfHistory, *, anew: bool = False) -> CopyPlan:
        of = OfHistory(kind=ask.kind, company=ask.company)
        known = self._known.get(of)
        if known is None or anew or time.monotonic() - known[0] > REMEMBERED_SECONDS:
            known = time.monotonic(), await self._made(of)
            self._known[of] = known
        return known[1]

    async def _made(self, of: OfHistory) -> CopyPlan:
        entity, units = ENTITIES[of.kind], self._policy.entity_map.business_units
        if of.company not in units.values():
            raise CannotCompare(f"{of.company} is no company of business_units in entity_map.yaml")
        files = await asyncio.to_thread(load_maps, self._policies)
        maps = in_force(files, await self._kept.in_force())
        if maps.problems:
            raise CannotCompare("\n".join(map(str, maps.problems)))
        file = maps.of(entity)
        if file is None:
            raise CannotCompare(f"{entity} has no map")
        broken = [f"rule {each.rule}: {each.problem}" for each in lint(maps.all).findings if each.entity == entity]
        if broken:
            raise CannotCompare(f"The map of {entity} breaks {'; '.join(broken)}")
        try:
            return await history.plan_of(self._sales, file.data, maps.all, of.company, units)
        except NotFound as error:
            raise CannotCompare(
                f"Sales has no table of past invoices ({error}): q2c setup dataverse creates it"
            ) from error
