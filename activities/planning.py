"""The plan of a dry run, made of what was read: pages of every record, and the records for quality and matching.

It asks neither system, and nothing it writes leaves the folder of data and the ledger.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Final, get_args

from temporalio import activity

from activities import comparison_sql as sql
from activities import initial_sql
from activities.comparing import OverPages, in_words, kept_page, map_of, standing
from activities.initial_signatures import MakePlan, PlanBulkActivities
from domain.entities.comparing import CannotCompare, Comparison
from domain.entities.identity import hash_of
from domain.entities.initial import DryRun, PlanFigures, require_synced
from domain.entities.model import DataMap, SideName
from ledger.opening import Ledger
from ledger.pages import Pages
from ledger.plans import DONE, PLAN, RECORDS, hash_of_pages

_READ: Final = ("finance", "sales", "found", "candidates", "finance.again", "sales.again")
"""Kinds of pages that a plan is made of, and that go once it is there."""


class InitialInBulk(OverPages, PlanBulkActivities):
    """Makes plans."""

    def __init__(self, ledger: Ledger, policies: Path | None, data_dir: Path) -> None:
        """Keep plans below a folder, and that they were made in the ledger; maps are of a folder of policies."""
        super().__init__(data_dir)
        self._ledger = ledger
        self._policies = policies

    @activity.defn(name="make_plan")
    async def make_plan(self, ask: MakePlan) -> DryRun:
        """See the signature."""
        with in_words():
            pages = self.pages(ask)
            done: DryRun | None = await asyncio.to_thread(pages.noted, DONE, DryRun)
            if done is None:
                of = await self.of(pages)
                data = await map_of(self._policies, self._ledger, ask.entity)
                require_synced(data)
                if not hash_of(data) == of.map_hash == ask.map_hash:
                    raise CannotCompare(f"The map of {ask.entity} was changed meanwhile. Begin the dry run again.")
                figures = await asyncio.to_thread(_planned, pages, of, data)
                read = ask.figures.model_dump(include={"finance_records", "sales_records", "requests"})
                done = DryRun(
                    **ask.model_dump(exclude={"place", "figures"}),
                    plan_hash=hash_of_pages(await asyncio.to_thread(pages.manifests, PLAN)),
                    figures=figures.model_copy(update=read),
                )
                await asyncio.to_thread(pages.note, DONE, done)
            await self._ledger.keep_dry_run(done)
            for kind in _READ:
                await asyncio.to_thread(pages.remove_kind, kind)
            return done


def _planned(pages: Pages, of: Comparison, data: DataMap) -> PlanFigures:
    finance, sales = pages.files("finance"), pages.files("sales")
    with sql.opened(pages.folder / "spill") as db:
        standing(db, pages, of)
        (first,) = pages.files("found")
        initial_sql.make(db, of, data, finance, sales, first)
        for number in range(initial_sql.pages(db)):
            name = f"{PLAN}-{number:05d}"
            kept_page(pages, name, partial(initial_sql.save_page, db, number))
        figures = initial_sql.figures(db)
        for side in get_args(SideName):
            _keep_records(db, pages, of, side)
    return figures


def _keep_records(db: sql.Connection, pages: Pages, of: Comparison, side: SideName) -> None:
    kept_page(
        pages,
        f"{RECORDS}.{side}-00000",
        lambda file: sql.save_records(db, of, side, pages.files(side), file),
    )
