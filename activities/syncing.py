"""Keeping records of both systems in step: what changed is noted in the ledger, looked at, and written.

A page of changes is one request and one transaction: whoever is killed reads that page again, and whoever was looking
at a record looks at it again. Two activities of one sync never run at the same time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from opentelemetry import metrics
from temporalio import activity

from activities.comparing import in_words
from activities.map_looks import MapLooks
from activities.sync_apply import Applying, Done
from activities.sync_creating import values_of_new
from activities.sync_reading import Records, lone, pair_of, read_both
from activities.sync_signatures import (
    Applied,
    ApplyChanges,
    ChangesRead,
    FinanceSyncActivities,
    LookAtReplay,
    OfSync,
    OpenedSync,
    ReplayResults,
    SalesSyncActivities,
    SettleLetter,
    SomeLetters,
    Tried,
)
from domain.entities.comparing import CannotCompare, Comparison, comparison, require_comparable
from domain.entities.facts import Facts
from domain.entities.letters import Letter
from domain.entities.lint import lint
from domain.entities.merge import merge
from domain.entities.merge_forms import SyncedField, told
from domain.entities.model import STATE, DataMap, Pattern, Scope
from domain.entities.shards import ShardPlan, counted, outgrown, to_count
from domain.entities.sync_records import Due, Of, Source, row_without
from domain.entities.sync_run import ROUND_SECONDS, SyncFigures, in_place_of_sync
from domain.entities.sync_said import Taken
from domain.policy import Policy
from dynamics.bulk import changes, finance, new_rows, sales
from dynamics.bulk.changes import SyncPlan
from dynamics.bulk.new_rows import Creation
from dynamics.bulk.reader import Reader
from dynamics.core.errors import Conflict, NotFound, Refused
from dynamics.sales.client import Dataverse
from dynamics.sales.metadata import read_running_maps
from dynamics.synced import SyncWriter
from ledger.lag_counts import LagCounts
from ledger.map_reading import MapReading
from ledger.syncs import SyncLedger
from policies.map_files import in_force, load_maps

REMEMBERED_SECONDS: Final = 60.0
"""How long a map, and what Dual-Write runs, is taken to be as it was read."""
AT_ONCE: Final = 50
"""Letters of one activity of a replay."""
_LAGS: Final = (1, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200)


class Plans:
    """What syncs follow: the map in force, what Dataverse calls its parts, and why a sync may not write."""

    def __init__(
        self, reader: Reader, dataverse: Dataverse, policy: Policy, policies: Path | None, kept: MapReading
    ) -> None:
        """Read through ``reader`` by the maps in force, ``kept`` or in a folder; ask what Dual-Write runs."""
        self._reader = reader
        self._dataverse = dataverse
        self._policy = policy
        self._policies = policies
        self._kept = kept
        self._known: dict[Of, tuple[float, SyncPlan, str]] = {}

    async def of(self, ask: OfSync, *, anew: bool = False) -> tuple[SyncPlan, str]:
        """What a sync follows, and why it may not write; empty: it may.

        Raises:
            CannotCompare: there is nothing to keep in step; the text says why.
            DynamicsError: Dataverse does not tell.
        """
        of = Of(ask.entity, ask.company)
        known = self._known.get(of)
        if known is None or anew or time.monotonic() - known[0] > REMEMBERED_SECONDS:
            data, breaks = await self._map(ask.entity)
            known = time.monotonic(), await self.by(data, ask.company), breaks
            self._known[of] = known
        return known[1], known[2]

    async def _map(self, entity: str) -> tuple[DataMap, str]:
        """The map in force, and the rules that it breaks, in words."""
        files = await asyncio.to_thread(load_maps, self._policies)
        maps = in_force(files, await self._kept.in_force())
        if maps.problems:
            raise CannotCompare("\n".join(map(str, maps.problems)))
        file = maps.of(entity)
        if file is None:
            raise CannotCompare(f"{entity} has no map; the maps are {', '.join(each.entity for each in maps.all)}")
        if file.data.pattern is not Pattern.SYNC:
            raise CannotCompare(f"{entity} has the pattern {file.data.pattern}: only sync keeps records in step")
        running = await read_running_maps(self._dataverse)
        if running is None:
            return file.data, "Which maps Dual-Write runs may not be read: give the role Read of its table"
        report = lint(maps.all, Facts(dual_write=running))
        broken = [f"rule {each.rule}: {each.problem}" for each in report.findings if each.entity == entity]
        return file.data, "; ".join(broken)[:1_000]

    async def by(self, data: DataMap, company: str) -> SyncPlan:
        """What records of a company are read and written by, under any map. Raises as ``of``."""
        units = self._policy.entity_map.business_units
        if company not in units.values():
            raise CannotCompare(f"{company} is no company of business_units in entity_map.yaml")
        if data.company.scope is Scope.SHARED and company != min(units.values()):
            raise CannotCompare(
                f"{data.entity} belongs to no company and is kept in step once: name the company {min(units.values())}"
            )
        require_comparable(data, company)
        assert data.sales is not None
        table = await sales.read_table(self._reader, data.sales.table)
        kinds = await changes.read_kinds(self._reader, data.sales.table)
        condition = await sales.of_company(self._reader, data, table, company, units)
        creation = await new_rows.read_creation(self._reader, data, table, company, units)
        return plan_of(data, comparison(data, company, table, condition), kinds, creation)


def plan_of(data: DataMap, of: Comparison, kinds: dict[str, str], creation: Creation | None = None) -> SyncPlan:
    """What a sync follows, from a map and the comparison that it asks for."""
    assert data.sales is not None
    assert data.finance is not None
    fields = {
        name: field
        for name, field in data.fields.items()
        if field.finance not in of.finance_key and field.sales not in of.sales_key
    }
    currency = next((n for n, f in fields.items() if (f.sales or "").endswith(".isocurrencycode")), "")
    synced = tuple(SyncedField.synced(data, name, field, of.sales.lengths) for name, field in fields.items())
    plan = SyncPlan(
        **of.model_dump(exclude={"fields", "sales"}),
        sales=of.sales,
        fields=synced,
        modified=data.sales.modified or "modifiedon",
        currency=currency,
        kinds=kinds,
        company_column="" if data.company.scope is Scope.SHARED else data.company.finance,
        belongs_to=data.finance.belongs_to,
        constants=data.finance.constants,
        retired=_retired(synced) if data.sales.if_sales_deletes == "deactivate" else {},
        every_seconds=ROUND_SECONDS.get(data.frequency, 3_600),
        creation=creation,
        deactivates=data.sales.if_finance_deletes == "deactivate",
        makes_anew=data.sales.if_sales_deletes == "create",
    )
    changes.require_syncable(plan)
    return plan


def _retired(fields: Sequence[SyncedField]) -> dict[str, str]:
    """What a record of Finance holds whose row is not active, by column."""
    return {field.finance: told(field, changes.INACTIVE, "finance", "") for field in fields if field.sales == STATE}


class SalesSync(SalesSyncActivities):
    """What a sync reads of Sales."""

    def __init__(self, plans: Plans, reader: Reader, ledger: SyncLedger) -> None:
        """Read through ``reader`` what ``plans`` say; note it in the ledger."""
        self._plans = plans
        self._reader = reader
        self._ledger = ledger

    @activity.defn(name="open_sync")
    async def open_sync(self, ask: OfSync) -> OpenedSync:
        """See the signature."""
        with in_words():
            plan, resting = await self._plans.of(ask, anew=True)
            return OpenedSync(map_hash=plan.map_hash, every_seconds=plan.every_seconds, resting=resting)

    @activity.defn(name="read_sales_changes")
    async def read_sales_changes(self, ask: OfSync) -> ChangesRead:
        """See the signature."""
        with in_words():
            plan, _ = await self._plans.of(ask)
            of = Of(ask.entity, ask.company)
            place = await self._ledger.place(of, "sales")
            link, reading = str(place.get("link", "")), int(place.get("reading", 0))
            began = str(place.get("began") or datetime.now(UTC).replace(microsecond=0).isoformat())
            if not link and not reading:
                reading = int(place.get("readings", 0)) + 1
            try:
                page = await self._reader.page(link or changes.first_changes(plan), rows=changes.PAGE_ROWS, track=True)
            except (Refused, NotFound, Conflict, ValueError) as error:
                if not link:
                    raise
                # Any refusal of a link says that it has expired: all rows are read, and what is not there was deleted.
                await self._ledger.move(of, "sales", {"began": began, "readings": int(place.get("readings", 0))})
                return ChangesRead(more=True, expired=str(error)[:500])
            keys = await changes.read_keys(plan, self._reader, page.rows)
            changed, deleted = changes.sales_changes(plan, page.rows, keys)
            more = page.next_link is not None
            after = {"began": began, "link": page.next_link or page.delta_link or "", "reading": reading if more else 0}
            after["readings"] = max(reading, int(place.get("readings", 0)))
            noted = await self._ledger.note_sales(
                of, changed, deleted, after, reading=reading, all_read=bool(reading) and not more
            )
            return ChangesRead(found=noted.found, known=noted.known, more=more)


class FinanceSync(FinanceSyncActivities):
    """What a sync reads of Finance, and what it does."""

    def __init__(
        self,
        plans: Plans,
        in_finance: Reader,
        in_sales: Reader,
        writer: SyncWriter,
        ledger: SyncLedger,
        map_looks: MapLooks,
        lags: LagCounts,
    ) -> None:
        """Read by the readers what ``plans`` say, write by the writer; note it in the ledger, and how long it took."""
        self._map_looks = map_looks
        self._plans = plans
        self._reader = in_finance
        self._in_sales = in_sales
        self._writer = writer
        self._ledger = ledger
        self._lags = lags
        self._lag = metrics.get_meter("q2c").create_histogram(
            "q2c_sync_lag_seconds",
            unit="s",
            description="How old a change was when it was applied to the other system",
            explicit_bucket_boundaries_advisory=_LAGS,
        )

    @activity.defn(name="read_finance_changes")
    async def read_finance_changes(self, ask: OfSync) -> ChangesRead:
        """See the signature."""
        with in_words():
            plan, _ = await self._plans.of(ask)
            mark = changes.WATERMARKS.get(plan.finance_set)
            if mark is None:
                return ChangesRead()
            of = Of(ask.entity, ask.company)
            place = await self._ledger.place(of, "finance")
            at, after = str(place.get("at", "")), place.get("after")
            if not at:
                at = datetime.now(UTC).replace(microsecond=0).isoformat()
            since = at if after is not None else (datetime.fromisoformat(at) - changes.OVERLAP).isoformat()
            page = await self._reader.page(changes.finance_changes(plan, mark, since, after))
            more = len(page.rows) == changes.PAGE_ROWS
            last = page.rows[-1] if page.rows else None
            latest = at if last is None else max(at, str(last[mark.modified]), key=datetime.fromisoformat)
            then = {"at": latest, "after": int(last[mark.record]) if more and last is not None else None}
            noted = await self._ledger.note_finance(of, changes.as_changes(mark, page.rows), then)
            return ChangesRead(found=noted.found, known=noted.known, more=more)

    @activity.defn(name="sweep_finance_records")
    async def sweep_finance_records(self, ask: OfSync) -> ChangesRead:
        """See the signature."""
        with in_words():
            plan, _ = await self._plans.of(ask)
            of = Of(ask.entity, ask.company)
            place = await self._ledger.place(of, "sweep")
            if "plan" not in place:
                began = datetime.now(UTC).isoformat()
                place = {"plan": ShardPlan().model_dump(mode="json"), "next": 0, "began": began, **place}
                place["sweep"] = int(place.get("sweep", 0)) + 1
            parts = ShardPlan.model_validate(place["plan"])
            if parts.open:
                await self._ledger.move(of, "sweep", place | {"plan": await self._counted(plan, parts)})
                return ChangesRead(more=True)
            number = int(place["next"])
            shards = parts.shards
            rows = []
            if number < len(shards):
                answer = await self._reader.row(finance.read(plan, shards[number]))
                if answer.get("@odata.nextLink"):
                    grown = outgrown(parts, (shards[number],)).model_dump(mode="json")
                    await self._ledger.move(of, "sweep", place | {"plan": grown, "next": number + 1})
                    return ChangesRead(more=True)
                rows = list(answer.get("value", ()))
            all_read = number + 1 >= len(shards)
            done = {"sweep": place["sweep"], "since": place["began"]}
            noted = await self._ledger.note_swept(
                of,
                changes.as_swept(plan, rows),
                done if all_read else place | {"next": number + 1},
                sweep=int(place["sweep"]),
                all_read=all_read,
                since=str(place.get("since", "")),
            )
            return ChangesRead(found=noted.found, known=noted.known, more=not all_read)

    async def _counted(self, plan: SyncPlan, parts: ShardPlan) -> object:
        asked = to_count(parts)
        answers = await self._reader.together([finance.count(plan, shard) for shard in asked])
        counts = [int(answer.value()["@odata.count"]) for answer in answers]
        return counted(parts, counts).model_dump(mode="json")

    @activity.defn(name="apply_changes")
    async def apply_changes(self, ask: ApplyChanges) -> Applied:
        """See the signature."""
        with in_words():
            of = Of(ask.entity, ask.company)
            plan, resting = await self._plans.of(ask)
            other = in_place_of_sync(await self._ledger.other_writer(of, datetime.now(UTC)))
            of_maps = await self._map_looks.some(of, ask.most, plan.map_hash, resting or other)
            if of_maps.anew:
                plan, resting = await self._plans.of(ask, anew=True)
            resting = resting or other
            figures, lags = of_maps.figures, dict[Source, float]()
            wanted = [] if resting else await self._ledger.due(of, datetime.now(UTC), ask.most)
            if wanted:
                read = await read_both(plan, self._reader, self._in_sales, [due.key for due in wanted])
                applying = Applying(plan, self._reader, self._in_sales, self._writer)
                async for done in applying.look(wanted, read):
                    kept = await self._ledger.keep(of, done.looked, datetime.now(UTC))
                    figures = figures.plus(
                        SyncFigures(
                            looked=1,
                            to_sales=int(done.to_sales),
                            to_finance=int(done.to_finance),
                            created=int(done.created),
                            undone=done.undone,
                            letters=kept.written,
                            ended=kept.ended,
                        )
                    )
                    if (done.to_sales or done.to_finance or done.created) and done.looked.due.changed_at:
                        self._note_lag(of, done.looked.due, lags, done)
            now_due, waiting = await self._ledger.waiting(of, datetime.now(UTC))
            return Applied(
                figures=figures,
                due=now_due + of_maps.left,
                waiting=waiting,
                lag_seconds=lags,
                letters=await self._ledger.standing(of),
                resting=resting,
            )

    def _note_lag(self, of: Of, due: Due, lags: dict[Source, float], done: Done) -> None:
        age = (datetime.now(UTC) - datetime.fromisoformat(due.changed_at)).total_seconds()
        lags[due.source] = round(max(0.0, age, lags.get(due.source, 0.0)), 3)
        self._lag.record(max(0.0, age), {"entity": of.entity, "source": due.source})
        if done.to_sales or (done.created and due.source != "sales"):
            self._lags.note(of.company, of.entity, "to_sales", age)
        if done.to_finance or (done.created and due.source == "sales"):
            self._lags.note(of.company, of.entity, "to_finance", age)

    # Letters

    @activity.defn(name="settle_letter")
    async def settle_letter(self, ask: SettleLetter) -> Taken:
        """See the signature."""
        with in_words():
            return await self._ledger.settle(Of(ask.entity, ask.company), ask.word, datetime.now(UTC))

    @activity.defn(name="queue_letters")
    async def queue_letters(self, ask: SomeLetters) -> Tried:
        """See the signature."""
        with in_words():
            ids = await self._ledger.queue(ask.start, datetime.now(UTC), most=AT_ONCE * 4, after=ask.after)
            return Tried(letters=len(ids), last=ids[-1] if ids else "")

    @activity.defn(name="look_at_replay")
    async def look_at_replay(self, ask: LookAtReplay) -> ReplayResults:
        """See the signature."""
        with in_words():
            return ReplayResults(letters=await self._ledger.results(ask.replay))

    @activity.defn(name="try_letters")
    async def try_letters(self, ask: SomeLetters) -> Tried:
        """See the signature."""
        with in_words():
            letters = await self._ledger.listed(ask.start, most=AT_ONCE, after=ask.after)
            if not letters:
                return Tried(letters=0)
            plan, _ = await self._plans.of(OfSync(entity=ask.start.entity, company=ask.start.company))
            keys = list(dict.fromkeys(letter.at for letter in letters))
            read = await read_both(plan, self._reader, self._in_sales, keys)
            items: dict[str, str] = {}
            for letter in letters:
                items[letter.letter_id] = _would(plan, letter, read)
            done = sum(not text for text in items.values())
            words = {letter: text or "would be applied" for letter, text in items.items()}
            return Tried(letters=len(letters), last=letters[-1].letter_id, done=done, items=words)


def _would(plan: SyncPlan, letter: Letter, read: Records) -> str:
    """Why a letter would stand if it were tried now; empty: it would end, unless a system refuses the write."""
    if row_without(letter.at):
        return letter.text  # whether Finance takes a new record is known when it is sent
    due = Due(key=letter.at, source="person", seen_at="", anew=(letter.field,) if letter.field else ())
    alone = lone(plan, due, read)
    there, rows = read.finance.get(due.key), read.sales[due.key]
    if alone is not None and there is not None and not rows and plan.creation is not None:
        _, findings = values_of_new(plan, there)
        return next((each.text or each.cause for each in findings), alone.letters[0].text if alone.letters else "")
    if alone is not None or there is None:
        return letter.text
    found = merge(plan.fields, pair_of(plan, due, there, rows[0]))
    return next((each.text or each.cause for each in found.findings if each.field == letter.field), "")
