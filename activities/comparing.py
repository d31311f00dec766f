"""Comparing both systems' records: one activity is one request, or one look at what was read.

What an activity has read is a page with a manifest; one that is tried again finds it and asks nobody. So whoever is
killed reads the page again that was under way, and none besides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pyarrow.parquet as pq
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import comparison_sql as sql
from activities.comparison_signatures import (
    FINANCE_CHUNK,
    SALES_CHUNK,
    Candidates,
    CountedParts,
    CountParts,
    FinanceBulkActivities,
    JudgeComparison,
    OfRun,
    OpenComparison,
    OpenedComparison,
    PageRead,
    ReadPage,
    SalesBulkActivities,
)
from activities.failures import for_deal, refused
from activities.initial_signatures import WriterBulkActivities
from activities.signatures import FailureType
from domain.entities.comparing import CannotCompare, Comparison, DifferenceClass, comparison, require_comparable
from domain.entities.comparison_view import ComparisonFigures
from domain.entities.initial import Writers, WritersStart
from domain.entities.map_change import KeptRecords
from domain.entities.model import DataMap, SideName
from domain.entities.shards import PAGE_ROWS, CannotBeSplit, ShardPlan, counted, outgrown, sampled, to_count
from domain.policy import Policy
from dynamics.bulk import finance, sales
from dynamics.bulk.reader import Reader
from dynamics.bulk.texts import KEY, ROW_ID, VALUE
from dynamics.core.errors import Answer
from dynamics.core.odata import Row
from dynamics.core.reading import WriteRefused
from ledger.comparison_runs import ComparisonRun
from ledger.opening import Ledger, LedgerAway
from ledger.pages import PageDamaged, Pages, sha256_of
from policies.map_files import in_force, load_maps

RECORDS = "records"
"""Folder below that of data, of records that are kept: a folder for each entity and side, a file for each company."""
ABANDONED = timedelta(days=2)
"""After which the pages of a comparison that did not end are removed, when the next one begins."""


@contextmanager
def in_words(*also: type[Exception]) -> Iterator[None]:
    """Failures as a workflow knows them; ``also``: errors that are refusals as well, their texts for people."""
    refusals: tuple[type[Exception], ...] = (CannotCompare, CannotBeSplit, PageDamaged, WriteRefused, *also)
    try:
        with for_deal():
            yield
    except refusals as error:
        raise refused(FailureType.REFUSED, str(error)) from error
    except LedgerAway as error:
        raise ApplicationError(str(error), type=FailureType.TRANSIENT) from error


async def map_of(policies: Path | None, ledger: Ledger, entity: str) -> DataMap:
    """The map in force of an entity, as the ledger says it, else a file.

    Raises:
        CannotCompare: it has none, or a file of maps is wrong.
        LedgerAway: it is not known what is in force.
    """
    files = await asyncio.to_thread(load_maps, policies)
    found = in_force(files, await ledger.maps_in_force())
    if found.problems:
        raise CannotCompare("\n".join(map(str, found.problems)))
    file = found.of(entity)
    if file is None:
        raise CannotCompare(f"{entity} has no map; the maps are {', '.join(each.entity for each in found.all)}")
    return file.data


class OverPages:
    """What activities over the pages of a run share."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def pages(self, ask: OfRun) -> Pages:
        """The pages of a run."""
        return Pages(self._data_dir, ask.place)

    async def of(self, pages: Pages) -> Comparison:
        """What is read in a run."""
        found = await asyncio.to_thread(pages.noted, "comparison", Comparison)
        if found is None:
            raise refused(
                FailureType.REFUSED,
                f"{pages.folder} holds no comparison: Q2C_DATA_DIR has to be one folder for all workers that read in "
                "bulk. Begin it again.",
            )
        assert isinstance(found, Comparison)
        return found


class SalesInBulk(OverPages, SalesBulkActivities, WriterBulkActivities):
    """Sales, read in bulk."""

    def __init__(self, reader: Reader, policy: Policy, policies: Path | None, ledger: Ledger, data_dir: Path) -> None:
        """Read through ``reader`` by the maps in force, of the ledger and of a folder; keep pages below a folder."""
        super().__init__(data_dir)
        self._reader = reader
        self._policy = policy
        self._policies = policies
        self._ledger = ledger

    @activity.defn(name="open_comparison")
    async def open_comparison(self, ask: OpenComparison) -> OpenedComparison:
        """See the signature."""
        with in_words():
            pages = self.pages(ask)
            if (known := await asyncio.to_thread(pages.noted, "comparison", Comparison)) is not None:
                return OpenedComparison(map_hash=known.map_hash)
            data = await map_of(self._policies, self._ledger, ask.entity)
            units = self._policy.entity_map.business_units
            if ask.company not in units.values():
                raise CannotCompare(f"{ask.company} is no company of business_units in entity_map.yaml")
            require_comparable(data, ask.company)
            assert data.sales is not None
            table = await sales.read_table(self._reader, data.sales.table)
            condition = await sales.of_company(self._reader, data, table, ask.company, units)
            of = comparison(data, ask.company, table, condition)
            sales.require_readable(of)
            await asyncio.to_thread(pages.note, "comparison", of)
            await asyncio.to_thread(pages.remove_abandoned, ABANDONED)
            return OpenedComparison(map_hash=of.map_hash, requests=2)

    @activity.defn(name="read_sales_page")
    async def read_sales_page(self, ask: ReadPage) -> PageRead:
        """See the signature."""
        with in_words():
            pages, name = self.pages(ask), f"sales-{ask.number:05d}"
            if (known := await asyncio.to_thread(pages.manifest, name)) is not None:
                return PageRead(records=known.rows, more=bool(known.next_link))
            of = await self.of(pages)
            where = await asyncio.to_thread(self._where, pages, of, ask.number)
            page = await self._reader.page(where, rows=sales.PAGE_ROWS)
            if page.next_link == where:
                raise Answer(self._reader.system, write=False, message="the same page was offered twice").error()
            await asyncio.to_thread(_write_sales, pages, name, of, page.rows, page.next_link or "")
            return PageRead(records=len(page.rows), more=page.next_link is not None, requests=1)

    @activity.defn(name="confirm_in_sales")
    async def confirm_in_sales(self, ask: ReadPage) -> PageRead:
        """See the signature."""
        with in_words():
            pages, name = self.pages(ask), f"sales.again-{ask.number:05d}"
            if (known := await asyncio.to_thread(pages.manifest, name)) is not None:
                return PageRead(records=known.rows)
            of = await self.of(pages)
            wanted = await asyncio.to_thread(_candidates, pages, of, ask.number, SALES_CHUNK)
            answers = await self._reader.together(sales.read_keys(of, wanted))
            rows = [row for answer in answers for row in answer.rows()]
            await asyncio.to_thread(_write_sales, pages, name, of, rows, "")
            return PageRead(records=len(rows), requests=1)

    @activity.defn(name="read_running_maps")
    async def read_running_maps(self, ask: WritersStart) -> Writers:
        """See the signature."""
        with in_words():
            return Writers(maps=await sales.read_running_maps(self._reader))

    def _where(self, pages: Pages, of: Comparison, number: int) -> str:
        """Where a page begins: as the page before it said, the first one by what is compared."""
        if number:
            before = pages.manifest(f"sales-{number - 1:05d}")
            if before is None or not before.next_link:
                raise CannotCompare(f"{pages.folder}: page {number} of Sales has none before it. Begin it again.")
            return before.next_link
        sample = pages.noted("sample", ShardPlan)
        return sales.read(of, () if sample is None else sample.shards)


class FinanceInBulk(OverPages, FinanceBulkActivities):
    """Finance, read in bulk, and both sides held against each other."""

    def __init__(self, reader: Reader, ledger: Ledger, data_dir: Path) -> None:
        """Read through ``reader``; keep pages below a folder, and differences in the ledger."""
        super().__init__(data_dir)
        self._reader = reader
        self._ledger = ledger

    @activity.defn(name="count_parts")
    async def count_parts(self, ask: CountParts) -> CountedParts:
        """See the signature."""
        with in_words():
            pages, name = self.pages(ask), f"plan-{ask.count:05d}"
            plan, asked = await asyncio.to_thread(pages.noted, name, ShardPlan), 0
            if plan is None:
                of = await self.of(pages)
                before = await asyncio.to_thread(self._plan, pages, ask.count)
                before = outgrown(before, tuple(before.shards[number] for number in ask.outgrown))
                plan = await self._counted(of, before, ask.sample)
                await asyncio.to_thread(pages.note, name, plan)
                if ask.sample and not plan.open:
                    await asyncio.to_thread(pages.note, "sample", plan)
                asked = 1
            return CountedParts(open=len(plan.open), parts=len(plan.shards), requests=asked)

    async def _counted(self, of: Comparison, plan: ShardPlan, sample: int) -> ShardPlan:
        asked = to_count(plan)
        answers = await self._reader.together([finance.count(of, shard) for shard in asked])
        counts = [int(answer.value()["@odata.count"]) for answer in answers]
        found = counted(plan, counts, page_rows=sample or PAGE_ROWS)
        return sampled(found, f"{of.map_hash}{datetime.now(UTC):%Y-%m-%d}") if sample else found

    @activity.defn(name="read_part")
    async def read_part(self, ask: ReadPage) -> PageRead:
        """See the signature."""
        with in_words():
            pages, name = self.pages(ask), f"finance-{ask.number:05d}"
            if (known := await asyncio.to_thread(pages.manifest, name)) is not None:
                return PageRead(records=known.rows)
            of = await self.of(pages)
            plan = await asyncio.to_thread(self._plan, pages, None)
            answer = await self._reader.row(finance.read(of, plan.shards[ask.number]))
            rows, count = list(answer.get("value", ())), answer.get("@odata.count")
            if answer.get("@odata.nextLink"):
                return PageRead(outgrown=True, requests=1)
            if count is not None and int(count) != len(rows):
                message = f"{len(rows)} records of {count} came in one answer"
                raise Answer(self._reader.system, write=False, message=message, operation=of.finance_set).error()
            await asyncio.to_thread(_write_finance, pages, name, of, rows)
            return PageRead(records=len(rows), requests=1)

    @activity.defn(name="confirm_in_finance")
    async def confirm_in_finance(self, ask: ReadPage) -> PageRead:
        """See the signature."""
        with in_words():
            pages, name = self.pages(ask), f"finance.again-{ask.number:05d}"
            if (known := await asyncio.to_thread(pages.manifest, name)) is not None:
                return PageRead(records=known.rows)
            of = await self.of(pages)
            wanted = await asyncio.to_thread(_candidates, pages, of, ask.number, FINANCE_CHUNK)
            reads = finance.read_keys(of, [parts for _, parts in wanted if parts])
            answers = await self._reader.together(reads) if reads else []
            rows = [row for answer in answers for row in answer.rows()]
            await asyncio.to_thread(_write_finance, pages, name, of, rows)
            return PageRead(records=len(rows), requests=1 if reads else 0)

    @activity.defn(name="find_candidates")
    async def find_candidates(self, ask: OfRun) -> Candidates:
        """See the signature."""
        with in_words():
            pages = self.pages(ask)
            of = await self.of(pages)
            return Candidates(records=await asyncio.to_thread(_found, pages, of))

    @activity.defn(name="judge_comparison")
    async def judge_comparison(self, ask: JudgeComparison) -> ComparisonFigures:
        """See the signature."""
        with in_words():
            if (known := await self._ledger.comparison(ask.run_id)) is not None:
                return known.figures
            pages = self.pages(ask)
            of = await self.of(pages)
            with sql.opened(pages.folder / "spill") as db:
                if ask.keep_records:
                    kept_now = await asyncio.to_thread(_keep_records, db, pages, of, self._data_dir / RECORDS, ask)
                    await self._ledger.keep_records(kept_now)
                gone = await asyncio.to_thread(standing, db, pages, of)
                counts = await asyncio.to_thread(sql.counts, db)
                found = {kind: count for kind, count in counts.items() if count} | {DifferenceClass.TIMING: gone}
                run = ComparisonRun(
                    **ask.model_dump(exclude={"place", "figures", "keep_records"}),
                    figures=ask.figures.model_copy(update={"found": found}),
                )
                kept = await self._ledger.keep_comparison(run, sql.differences(db, of))
            await asyncio.to_thread(pages.remove)
            return kept.figures

    def _plan(self, pages: Pages, count: int | None) -> ShardPlan:
        """The plan before a count; None: the newest."""
        if count is None:
            count = len(list(pages.folder.glob("plan-*.note")))
        if count == 0:
            return ShardPlan()
        found = pages.noted(f"plan-{count - 1:05d}", ShardPlan)
        if found is None:
            raise CannotCompare(f"{pages.folder}: the plan of its parts is not there. Begin it again.")
        assert isinstance(found, ShardPlan)
        return found


def _write_finance(pages: Pages, name: str, of: Comparison, rows: Iterable[Row]) -> None:
    pages.write(name, _columns(of), finance.records(of, rows), read_at=_now())


def _write_sales(pages: Pages, name: str, of: Comparison, rows: Iterable[Row], next_link: str) -> None:
    columns = (ROW_ID, *_columns(of))
    pages.write(name, columns, sales.records(of, rows), read_at=_now(), next_link=next_link)


def _columns(of: Comparison) -> tuple[str, ...]:
    keys = (f"{KEY}{n}" for n in range(len(of.finance_key)))
    return (*keys, *(f"{VALUE}{n}" for n in range(len(of.fields))))


def _candidates(pages: Pages, of: Comparison, chunk: int, size: int) -> list[tuple[str | None, Sequence[str]]]:
    """Some candidates: the id of a row without a key, and the parts of a key."""
    (file,) = pages.files("candidates")
    rows = pq.read_table(file).slice(chunk * size, size).to_pylist()
    names = [f"{KEY}{n}" for n in range(len(of.finance_key))]
    return [(row[ROW_ID], () if row[ROW_ID] else [row[name] for name in names]) for row in rows]


def _found(pages: Pages, of: Comparison) -> int:
    """Keep what differs at first sight, and the records it is of; how many records."""
    if (known := pages.manifest("candidates-00000")) is not None:
        return known.rows
    with sql.opened(pages.folder / "spill") as db:
        sql.find(db, of, pages.files("finance"), pages.files("sales"))
        sql.candidates(db, of)
        kept_page(pages, "found-00000", lambda file: sql.save(db, "found", file))
        return kept_page(pages, "candidates-00000", lambda file: sql.save(db, "candidates", file))


def kept_page(pages: Pages, name: str, save: Callable[[Path], int]) -> int:
    """Keep as a page what is written to a file; how many rows it has."""
    made = pages.making(name)
    rows = save(made)
    pages.seal(name, made, rows)
    return rows


def standing(db: sql.Connection, pages: Pages, of: Comparison) -> int:
    """Find what differs in what was read again, and keep what differed the first time as well; how much does not."""
    sql.find(db, of, pages.files("finance.again"), pages.files("sales.again"))
    (first,) = pages.files("found")
    return sql.keep_standing(db, first)


def _keep_records(db: sql.Connection, pages: Pages, of: Comparison, folder: Path, ask: JudgeComparison) -> KeptRecords:
    """Keep the records of both sides as they were read, in place of those of the run before; which they are."""
    about: dict[str, str | int] = {}
    for side in get_args(SideName):
        place = folder / f"{of.entity}_{side}"
        place.mkdir(parents=True, exist_ok=True)
        made = place / f"{of.company}.making"
        about[f"{side}_records"] = sql.save_records(db, of, side, pages.files(side), made)
        about[f"{side}_sha256"] = sha256_of(made)
        made.replace(place / f"{of.company}.parquet")
    whose = {"entity": of.entity, "company": of.company, "run_id": ask.run_id, "map_hash": of.map_hash}
    return KeptRecords.model_validate(about | whose | {"kept_at": ask.ended_at})


def _now() -> str:
    return datetime.now(UTC).isoformat()
