"""Carrying out the plan that the gate allowed: a page at a time, each record only where it is as the dry run saw it.

A page that is done is a file, and is never looked at again. One whose worker was killed is read anew: what was written
agrees by then, and what was not is written. A create has the id that the record's key gives it, so that it is one row
however often it is tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import initial_seeds
from activities.comparing import in_words
from activities.failures import refused
from activities.heartbeat import note_progress
from activities.initial_following import Followed
from activities.initial_run_signatures import (
    InitialRunActivities,
    LeftWriting,
    OfInitialRun,
    OfPlan,
    OpenedRun,
    Seeded,
    SeedSome,
    WritePage,
)
from activities.signatures import FailureType
from activities.sync_apply import UNKNOWN, Applying
from activities.sync_creating import Creating
from activities.sync_reading import Records, pair_of, read_both
from activities.sync_signatures import OfSync
from activities.syncing import Plans
from domain.entities.gate import Limits, may_begin
from domain.entities.initial import Action, PlannedRecord
from domain.entities.initial_run import PageWritten, WrittenAs, WrittenRecord, held, held_to_link
from domain.entities.letters import NewLetter
from domain.entities.merge import Both, Finding, LetterCause, Merged, Pair
from domain.entities.sync_records import Due, Looked, Of, key_without
from domain.refusals import Refusal
from dynamics.bulk import changes
from dynamics.bulk.changes import SyncPlan
from dynamics.bulk.reader import Reader
from dynamics.core.errors import Stale, Throttled, Transient, UnknownOutcome, Unreachable
from dynamics.core.odata import Row
from dynamics.synced import SyncWriter
from ledger.carried_out import CarriedOut
from ledger.initial_ledger import InitialLedger
from ledger.plans import Plan, PlanGone

UNDONE_PLAN: Final = "What this plan wrote was undone, or is: begin with another dry run."
TURNS: Final = 3
"""How often records of a page are read again that somebody edits at this moment."""


@dataclass
class _Page:
    """A page while it is written."""

    plan: SyncPlan
    began: frozenset[str]
    results: dict[str, WrittenRecord] = field(default_factory=dict)
    letters: int = 0


@dataclass
class _Open:
    """A record that is to be written now."""

    record: PlannedRecord
    due: Due
    there: Row
    row: Row | None
    pair: Pair
    merged: Merged


@dataclass
class _Sent:
    """What was sent of it."""

    of: _Open
    done: Merged = field(default_factory=Merged)
    findings: Sequence[Finding] = ()
    stale: bool = False


class InitialWriting(InitialRunActivities):
    """Carries out plans."""

    def __init__(
        self,
        plans: Plans,
        in_finance: Reader,
        in_sales: Reader,
        writer: SyncWriter,
        ledger: InitialLedger,
        followed: Followed,
        limits: Limits,
        data_dir: Path,
    ) -> None:
        """Read by the readers what ``plans`` say, and write by the writer what a plan below a folder says."""
        self._plans = plans
        self._in_finance = in_finance
        self._in_sales = in_sales
        self._writer = writer
        self._ledger = ledger
        self._followed = followed
        self._limits = limits
        self._data_dir = data_dir

    # Beginning and ending

    @activity.defn(name="open_initial_run")
    async def open_initial_run(self, ask: OfInitialRun) -> OpenedRun:
        """See the signature."""
        with in_words(PlanGone):
            of = Of(ask.entity, ask.company)
            plan, resting = await self._plans.of(OfSync(entity=ask.entity, company=ask.company), anew=True)
            verdict, run = await self._ledger.verdict(of)
            why = resting or may_begin(verdict, plan.map_hash, run, self._limits, datetime.now(UTC))
            if why or verdict is None or run is None:
                return OpenedRun(code=Refusal.GATE_NOT_OPEN, why=why)
            try:
                found = await asyncio.to_thread(Plan, self._data_dir, run)
            except PlanGone as error:
                return OpenedRun(code=Refusal.GATE_NOT_OPEN, why=str(error))
            pages = CarriedOut(self._data_dir, ask.entity, ask.company, run.run_id)
            if await asyncio.to_thread(pages.is_undone):
                return OpenedRun(code=Refusal.GATE_NOT_OPEN, why=UNDONE_PLAN)
            code, why = await self._followed.alone(of, ask.writer)
            if code is not None:
                return OpenedRun(code=code, why=why)
            cut = await asyncio.to_thread(pages.cut, found, self._limits.canary)
            return OpenedRun(
                map_hash=run.map_hash,
                plan_hash=run.plan_hash,
                dry_run=run.run_id,
                records=cut.records,
                first=cut.first,
                pages=cut.pages,
                left_alone=run.figures.blocked,
            )

    @activity.defn(name="leave_writing")
    async def leave_writing(self, ask: OfInitialRun) -> LeftWriting:
        """See the signature."""
        with in_words(PlanGone):
            await self._ledger.leave(Of(ask.entity, ask.company), ask.writer)
            return LeftWriting()

    @activity.defn(name="seed_agreed")
    async def seed_agreed(self, ask: SeedSome) -> Seeded:
        """See the signature."""
        with in_words(PlanGone):
            plan, run = await self._followed.of(ask)
            found = await asyncio.to_thread(Plan, self._data_dir, run)
            names = [each.name for each in plan.fields]
            some = await asyncio.to_thread(initial_seeds.some, found, names, ask.after)
            known = await self._ledger.seed(Of(ask.entity, ask.company), some.records)
            return Seeded(known=known, after=some.after, more=some.more)

    # A page

    @activity.defn(name="write_initial_page")
    async def write_initial_page(self, ask: WritePage) -> PageWritten:
        """See the signature."""
        with in_words(PlanGone):
            pages = CarriedOut(self._data_dir, ask.entity, ask.company, ask.dry_run)
            known = await asyncio.to_thread(pages.kept, ask.page)
            if known is not None:
                return known
            if await asyncio.to_thread(pages.is_undone):
                raise refused(FailureType.REFUSED, UNDONE_PLAN)
            plan, _ = await self._followed.of(ask)
            records = await asyncio.to_thread(pages.page, ask.page)
            begun = await asyncio.to_thread(pages.begun, ask.page)
            page = _Page(plan, frozenset(begun.keys if begun else ()))
            left = list(records)
            for _ in range(TURNS):
                wanted = await self._hold(ask, page, left)
                if begun is None:
                    begun = await asyncio.to_thread(pages.begin, ask.page, [each.record.at for each in wanted])
                    page.began = frozenset(begun.keys)
                left = await self._write(ask, page, wanted)
                if not left:
                    break
            if left:
                text = f"{len(left)} records of page {ask.page + 1} are edited at this moment"
                raise ApplicationError(text, type=FailureType.TRANSIENT)
            results = [page.results[record.at] for record in records]
            return await asyncio.to_thread(pages.keep, ask.page, results, page.letters)

    async def _hold(self, ask: OfPlan, page: _Page, records: Sequence[PlannedRecord]) -> list[_Open]:
        """Read records, and say which ones are to be written; of the others it is known what becomes of them."""
        links = [record for record in records if record.links]
        records = [record for record in records if not record.links]
        wanted = await self._hold_links(page, links)
        if not records:
            return wanted
        read = await read_both(page.plan, self._in_finance, self._in_sales, [record.at for record in records])
        fields = {each.name: each for each in page.plan.fields}
        for record in records:
            there, rows = read.finance.get(record.at), read.sales[record.at]
            due = Due(key=record.at, source="person", seen_at="")
            pair = pair_of(page.plan, due, there or {}, rows[0] if rows else {})
            ids = tuple(str(row[page.plan.sales.id]) for row in rows)
            stands = held(record, fields, pair.now, in_finance=there is not None, sales_ids=ids, currency=pair.currency)
            if stands.merged is not None and there is not None:
                wanted.append(_Open(record, due, there, rows[0] if rows else None, pair, stands.merged))
                continue
            written = stands.written
            if written is WrittenAs.AGREES and there is not None:
                await self._keep(ask, page, self._shown(page, due, there, rows[0]))
                if record.at in page.began:
                    written = WrittenAs.CREATED if record.action is Action.CREATE else WrittenAs.UPDATED
            version = changes.version_of(rows[0]) if len(rows) == 1 else 0
            page.results[record.at] = _result(record, written, stands.why, ids[0] if len(ids) == 1 else "", version)
        return wanted

    async def _hold_links(self, page: _Page, records: Sequence[PlannedRecord]) -> list[_Open]:
        """The same of rows without a key."""
        if not records:
            return []
        keys = {record.at: key_without(record.at) for record in records}
        read = await read_both(page.plan, self._in_finance, self._in_sales, list(keys.values()))
        wanted: list[_Open] = []
        for record in records:
            rows = read.sales[keys[record.at]]
            due = Due(key=keys[record.at], source="person", seen_at="")
            pair = pair_of(page.plan, due, {}, rows[0] if rows else {})
            linked = bool(rows) and bool(changes.key_in_sales(page.plan, rows[0]))
            stands = held_to_link(record, pair.now, there=bool(rows), linked=linked)
            if stands.merged is not None:
                wanted.append(_Open(record, due, {}, rows[0], pair, stands.merged))
                continue
            agrees = stands.written is WrittenAs.AGREES
            written = WrittenAs.CREATED if agrees and record.at in page.began else stands.written
            page.results[record.at] = _result(record, written, stands.why, record.at, 0)
        return wanted

    async def _link(self, ask: OfPlan, page: _Page, each: _Open) -> None:
        """Link a row with its record of Finance, which is made where there is none.

        Raises:
            ApplicationError: nothing is known of it; it is looked for when the page is tried again.
        """
        written, text = WrittenAs.UPDATED, ""
        read = Records({}, {each.due.key: [each.row or {}]})
        async for done in self._applying(page.plan).look([each.due], read):
            if done.unknown:
                text = f"it is not known whether Finance has made {each.record.key}"
                raise ApplicationError(text, type=FailureType.TRANSIENT, next_retry_delay=UNKNOWN)
            await self._keep(ask, page, done.looked)
            written = WrittenAs.CREATED if done.created else written
            if done.looked.letters:
                written = WrittenAs.REFUSED if done.looked.due.key == each.due.key else WrittenAs.DIFFERS
                text = "; ".join(dict.fromkeys(letter.text or letter.cause.value for letter in done.looked.letters))
            elif done.looked.again_at is not None:
                written, text = WrittenAs.MOVED, "what it belongs to is not in Finance yet"
        page.results[each.record.at] = _result(each.record, written, text, each.record.at, 0)

    async def _write(self, ask: OfPlan, page: _Page, wanted: Sequence[_Open]) -> list[PlannedRecord]:
        """Write records, read them back together, and keep what they show; those that have to be read again."""
        for each in wanted:
            if each.record.links:
                await self._link(ask, page, each)
        wanted = [each for each in wanted if not each.record.links]
        sent = [*await self._create(page, [each for each in wanted if each.row is None])]
        applying = self._applying(page.plan)
        for number, each in enumerate(wanted):
            if each.row is not None:
                made = await applying.send(each.there, each.row, each.merged, each.pair)
                sent.append(_Sent(each, made.done, made.findings, made.stale))
            note_progress(number + 1)
        if not sent:
            return []
        keys = [each.of.due.key for each in sent]
        read = await read_both(page.plan, self._in_finance, self._in_sales, keys)
        again = [each.of.record for each in sent if not await self._concluded(ask, page, each, read)]
        return again

    async def _create(self, page: _Page, wanted: Sequence[_Open]) -> list[_Sent]:
        if not wanted:
            return []
        creating = Creating(page.plan, self._in_sales, self._writer)
        try:
            made = await creating.create({each.due.key: each.there for each in wanted})
        except (Unreachable, Throttled):
            raise
        except (Stale, Transient, UnknownOutcome):
            return [_Sent(each, stale=True) for each in wanted]  # what it came to is seen when they are read again
        return [
            _Sent(each, Merged(to_sales=made[each.due.key].to_sales), made[each.due.key].findings) for each in wanted
        ]

    async def _concluded(self, ask: OfPlan, page: _Page, sent: _Sent, read: Records) -> bool:
        """Keep what a record shows after it was written; False: it has to be read again."""
        of, key = sent.of, sent.of.due.key
        there, rows = read.finance.get(key), read.sales[key]
        if sent.stale:
            return False
        version = changes.version_of(rows[0]) if len(rows) == 1 else 0
        if there is None or len(rows) != 1:
            looked = _alone(page.plan, of, there, rows, sent.findings)
        else:
            looked = self._shown(page, of.due, there, rows[0], sent, of.pair.now)
        await self._keep(ask, page, looked)
        planned = {change.field for change in of.record.changes} & {each.name for each in page.plan.fields}
        written = WrittenAs.CREATED if of.record.action is Action.CREATE else WrittenAs.UPDATED
        if sent.findings:
            written = WrittenAs.REFUSED
        elif looked.letters or not planned <= looked.agreed:
            written = WrittenAs.DIFFERS
        text = "; ".join(dict.fromkeys(letter.text or letter.cause.value for letter in looked.letters))
        page.results[key] = _result(of.record, written, text, looked.sales_id, version)
        return True

    def _shown(
        self,
        page: _Page,
        due: Due,
        there: Row,
        row: Row,
        sent: _Sent | None = None,
        before: Mapping[str, Both] | None = None,
    ) -> Looked:
        """What is kept of a record that both sides have.

        A field that was not written and differs only since has been edited in between: the sync is left with what both
        sides had before, and sees the edit.
        """
        done, findings = (sent.done, sent.findings) if sent is not None else (Merged(), ())
        applying = self._applying(page.plan)
        looked = applying.shown(due, there, row, done, findings)
        if before is None or sent is None or sent.of.row is None:
            return looked
        edited = applying.edited(before, there, row, done)
        if not edited:
            return looked
        return looked.model_copy(update={"fields": {**looked.fields, **edited}, "sales_version": 0, "content": ""})

    async def _keep(self, ask: OfPlan, page: _Page, looked: Looked) -> None:
        kept = await self._ledger.keep(Of(ask.entity, ask.company), looked, datetime.now(UTC))
        page.letters += kept.written

    def _applying(self, plan: SyncPlan) -> Applying:
        return Applying(plan, self._in_finance, self._in_sales, self._writer)


def _alone(plan: SyncPlan, of: _Open, there: Row | None, rows: Sequence[Row], findings: Sequence[Finding]) -> Looked:
    """What is kept of a record that is not one on both sides after it was written."""
    text = "Sales took the new row and does not show it"
    why = findings or (Finding(field="", cause=LetterCause.NOT_TAKEN, text=text),)
    values = {name: Both(finance=both.finance) for name, both in of.pair.now.items()}
    private = {each.name for each in plan.fields if each.pii}
    letters = tuple(
        NewLetter(
            field=each.field,
            cause=each.cause,
            text=each.text,
            finance_value=values.get(each.field, Both()).finance,
            pii=each.field in private,
        )
        for each in why
    )
    return Looked(
        due=of.due,
        sales_id=str(rows[0][plan.sales.id]) if len(rows) == 1 else "",
        content="" if there is None else changes.content_of(plan, there),
        letters=letters,
    )


def _result(record: PlannedRecord, written: WrittenAs, text: str, sales_id: str, version: int) -> WrittenRecord:
    return WrittenRecord(
        key=record.key,
        sales_id=sales_id or next(iter(record.sales_ids), ""),
        action=record.action,
        written=written,
        text=text[:1_000],
        changes=record.changes,
        sales_version=version,
    )
