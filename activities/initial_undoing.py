"""Undoing a carried-out plan: a page at a time, each record only where it is as the run left it.

First all of it is read, and nothing written: what would become of each record is kept, and a person says whether it
goes on. Then each is read again. A page that is done is a file, and is never looked at again; of one whose worker was
killed, what is as before by then was undone by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.comparing import in_words
from activities.heartbeat import note_progress
from activities.initial_following import Followed
from activities.initial_run_signatures import InitialUndoActivities, OfPlan, OfUndo, OpenedRun, WritePage
from activities.signatures import FailureType
from activities.sync_apply import Applying
from activities.sync_creating import words_of
from activities.sync_reading import Records, pair_of, read_both
from activities.sync_signatures import OfSync
from activities.syncing import Plans
from domain.entities.initial import Action
from domain.entities.initial_run import PageWritten, WrittenAs, WrittenRecord
from domain.entities.initial_undo import INACTIVE, Undoing, not_back, undoing_create, undoing_update
from domain.entities.merge import Merged
from domain.entities.model import STATE
from domain.entities.sync_records import Due, Of
from domain.refusals import Refusal
from dynamics.bulk import changes
from dynamics.bulk.changes import SyncPlan
from dynamics.bulk.reader import Reader
from dynamics.core.errors import (
    Conflict,
    NotFound,
    Refused,
    Stale,
    Throttled,
    Transient,
    UnknownOutcome,
    Unreachable,
)
from dynamics.synced import SyncWriter
from ledger.carried_out import CarriedOut, Kind
from ledger.initial_ledger import InitialLedger
from ledger.plans import PlanGone

TURNS: Final = 3
"""How often records of a page are read again that somebody edits at this moment."""
Kept = tuple[str, WrittenRecord]


class _Open(NamedTuple):
    """A record that is to be undone now."""

    at: str
    record: WrittenRecord
    undoing: Undoing


class _Sent(NamedTuple):
    """What was sent of it; ``why``: it was refused."""

    of: _Open
    why: str = ""
    stale: bool = False


class InitialUndoing(InitialUndoActivities):
    """Undoes what carrying out a plan wrote."""

    def __init__(
        self,
        plans: Plans,
        in_finance: Reader,
        in_sales: Reader,
        writer: SyncWriter,
        ledger: InitialLedger,
        followed: Followed,
        data_dir: Path,
    ) -> None:
        """Read by the readers what ``plans`` say, and write by the writer what is kept below a folder."""
        self._plans = plans
        self._in_finance = in_finance
        self._in_sales = in_sales
        self._writer = writer
        self._ledger = ledger
        self._followed = followed
        self._data_dir = data_dir

    @activity.defn(name="open_initial_undo")
    async def open_initial_undo(self, ask: OfUndo) -> OpenedRun:
        """See the signature."""
        with in_words(PlanGone):
            of, run = Of(ask.entity, ask.company), await self._ledger.dry_run(ask.dry_run)
            if run is None or (run.entity, run.company) != (ask.entity, ask.company):
                return _not_possible(f"{ask.dry_run} is no run of {ask.entity} in {ask.company.upper()}")
            kept = CarriedOut(self._data_dir, ask.entity, ask.company, run.run_id)
            pages = await asyncio.to_thread(kept.pages)
            if not pages:
                return _not_possible(
                    f"{kept.folder} is not there: its plan was never carried out, or more than 30 days ago"
                )
            if await asyncio.to_thread(kept.kept, pages - 1, "undone") is not None:
                return _not_possible("It was undone already; --results lists what became of each record")
            plan, resting = await self._plans.of(OfSync(entity=ask.entity, company=ask.company), anew=True)
            if resting:
                return _not_possible(resting)
            if plan.map_hash != run.map_hash:
                return _not_possible("It wrote by another map than the one in force: roll back to that one first")
            records = 0
            for page in range(pages):
                records += len(await asyncio.to_thread(kept.wrote, page))
                note_progress(page)
            if not records:
                return _not_possible("It wrote nothing")
            code, why = await self._followed.alone(of, ask.writer)
            if code is not None:
                return OpenedRun(code=code, why=why)
            return OpenedRun(
                map_hash=run.map_hash, plan_hash=run.plan_hash, dry_run=run.run_id, records=records, pages=pages
            )

    @activity.defn(name="look_at_undo")
    async def look_at_undo(self, ask: WritePage) -> PageWritten:
        """See the signature."""
        with in_words(PlanGone):
            pages, plan = await self._page_of(ask)
            records = await asyncio.to_thread(pages.wrote, ask.page)
            _, wanted, results = await self._hold(plan, records, frozenset())
            results |= {each.at: _became(each, each.undoing.written, "") for each in wanted}
            return await self._keep_page(pages, ask.page, "looked", records, results)

    @activity.defn(name="undo_initial_page")
    async def undo_initial_page(self, ask: WritePage) -> PageWritten:
        """See the signature."""
        with in_words(PlanGone):
            pages, plan = await self._page_of(ask)
            known = await asyncio.to_thread(pages.kept, ask.page, "undone")
            if known is not None:
                return known
            records = await asyncio.to_thread(pages.wrote, ask.page)
            begun = await asyncio.to_thread(pages.begun, ask.page, "undone")
            left, results = records, dict[str, WrittenRecord]()
            for _ in range(TURNS):
                tried = frozenset(begun.keys if begun is not None else ())
                read, wanted, settled = await self._hold(plan, left, tried)
                results |= settled
                if begun is None:
                    begun = await asyncio.to_thread(pages.begin, ask.page, [each.at for each in wanted], "undone")
                await self._know(ask, plan, settled, read)
                again = await self._undo(ask, plan, wanted, read, results)
                left = [each for each in records if each[0] in again]
                if not left:
                    break
            if left:
                text = f"{len(left)} records of page {ask.page + 1} are edited at this moment"
                raise ApplicationError(text, type=FailureType.TRANSIENT)
            return await self._keep_page(pages, ask.page, "undone", records, results)

    async def _page_of(self, ask: WritePage) -> tuple[CarriedOut, SyncPlan]:
        """Where the run's pages are, and how records are read: with their state, whatever the map does with it."""
        plan, _ = await self._followed.of(ask)
        pages = CarriedOut(self._data_dir, ask.entity, ask.company, ask.dry_run)
        return pages, plan.model_copy(update={"deactivates": STATE in plan.kinds})

    async def _keep_page(
        self, pages: CarriedOut, number: int, kind: Kind, records: Sequence[Kept], results: dict[str, WrittenRecord]
    ) -> PageWritten:
        return await asyncio.to_thread(pages.keep, number, [results[at] for at, _ in records], 0, kind)

    # Records

    async def _hold(
        self, plan: SyncPlan, records: Sequence[Kept], tried: frozenset[str]
    ) -> tuple[Records, list[_Open], dict[str, WrittenRecord]]:
        """Read records, and say which ones are to be undone; of the others it is known what becomes of them."""
        if not records:
            return Records({}, {}), [], {}
        read = await read_both(plan, self._in_finance, self._in_sales, [at for at, _ in records])
        wanted, settled = list[_Open](), dict[str, WrittenRecord]()
        for at, record in records:
            each = _Open(at, record, _undoing(plan, at, record, read))
            if each.undoing.writes:
                wanted.append(each)
                continue
            written = each.undoing.written
            if written is WrittenAs.AS_BEFORE and at in tried:
                written = _undone(record)
            settled[at] = _became(each, written, each.undoing.why)
        return read, wanted, settled

    async def _undo(
        self, ask: OfPlan, plan: SyncPlan, wanted: Sequence[_Open], read: Records, results: dict[str, WrittenRecord]
    ) -> frozenset[str]:
        """Undo records, read them back together, and keep what they show; keys that have to be read again."""
        sent: list[_Sent] = []
        for number, each in enumerate(wanted):
            sent.append(await (self._deactivate if each.undoing.deactivates else self._restore)(plan, each, read))
            note_progress(number + 1)
        if not sent:
            return frozenset()
        shown = await read_both(plan, self._in_finance, self._in_sales, [each.of.at for each in sent])
        concluded = {each.of.at: _concluded(plan, each, shown) for each in sent if not each.stale}
        results |= concluded
        await self._know(ask, plan, concluded, shown)
        return frozenset(each.of.at for each in sent if each.stale)

    async def _deactivate(self, plan: SyncPlan, one: _Open, read: Records) -> _Sent:
        row = read.sales[one.at][0]
        etag = str(row.get("@odata.etag", ""))
        try:
            await self._writer.to_sales(
                plan.sales.entity_set, one.record.sales_id, {STATE: INACTIVE}, etag, (_NOTE, _WORDS)
            )
        except (Unreachable, Throttled):
            raise
        except (Stale, Transient, UnknownOutcome):
            return _Sent(one, stale=True)  # what it came to is seen when it is read again
        except (Refused, NotFound, Conflict) as error:
            return _Sent(one, why=words_of(error))
        return _Sent(one)

    async def _restore(self, plan: SyncPlan, one: _Open, read: Records) -> _Sent:
        there, row = read.finance[one.at], read.sales[one.at][0]
        applying = Applying(plan, self._in_finance, self._in_sales, self._writer)
        pair = pair_of(plan, _due(one.at), there, row)
        made = await applying.send(there, row, one.undoing.merged or Merged(), pair)
        return _Sent(one, "; ".join(dict.fromkeys(each.text for each in made.findings)), made.stale)

    async def _know(self, ask: OfPlan, plan: SyncPlan, settled: dict[str, WrittenRecord], read: Records) -> None:
        """Have the sync know the records as they are now: nothing of it is an edit that it would carry over."""
        applying = Applying(plan, self._in_finance, self._in_sales, self._writer)
        for at, record in settled.items():
            there, rows = read.finance.get(at), read.sales[at]
            if record.written is not WrittenAs.STAYS and there is not None and len(rows) == 1:
                looked = applying.shown(_due(at), there, rows[0], Merged())
                await self._ledger.keep(Of(ask.entity, ask.company), looked, datetime.now(UTC))


def _undoing(plan: SyncPlan, at: str, record: WrittenRecord, read: Records) -> Undoing:
    there, rows = read.finance.get(at), read.sales[at]
    ids = tuple(str(row[plan.sales.id]) for row in rows)
    row = rows[0] if rows else {}
    if record.action is Action.CREATE:
        state = row.get(STATE)
        return undoing_create(
            record,
            has_state=plan.deactivates,
            ids=ids,
            state=None if state is None else int(state),
            version=changes.version_of(row),
        )
    fields = {each.name: each for each in plan.fields}
    now = changes.values_of(plan, there or {}, row)
    return undoing_update(record, fields, now, in_finance=there is not None, ids=ids)


def _concluded(plan: SyncPlan, sent: _Sent, shown: Records) -> WrittenRecord:
    """What a record shows after it was undone."""
    one = sent.of
    there, rows = shown.finance.get(one.at), shown.sales[one.at]
    if sent.why:
        return _became(one, WrittenAs.REFUSED, sent.why)
    if len(rows) != 1 or (one.undoing.merged is not None and there is None):
        return _became(one, WrittenAs.DIFFERS, "one side has it no more")
    if one.undoing.deactivates:
        is_so = rows[0].get(STATE) == INACTIVE
        text = "" if is_so else "Sales took the write and shows it as active"
        return _became(one, WrittenAs.DEACTIVATED if is_so else WrittenAs.DIFFERS, text)
    now = changes.values_of(plan, there or {}, rows[0])
    left = not_back(one.record, {each.name: each for each in plan.fields}, now)
    text = f"{', '.join(left)}: another value is shown after the write" if left else ""
    return _became(one, WrittenAs.DIFFERS if left else WrittenAs.RESTORED, text)


def _became(one: _Open, written: WrittenAs, why: str) -> WrittenRecord:
    return one.record.model_copy(update={"written": written, "text": why[:1_000]})


def _undone(record: WrittenRecord) -> WrittenAs:
    return WrittenAs.DEACTIVATED if record.action is Action.CREATE else WrittenAs.RESTORED


def _due(at: str) -> Due:
    return Due(key=at, source="person", seen_at="")


def _not_possible(why: str) -> OpenedRun:
    return OpenedRun(code=Refusal.UNDO_NOT_POSSIBLE, why=why)


_NOTE: Final = "Deactivated: the initial sync that made it was undone"
_WORDS: Final = "Nobody had changed this row since. Where it is needed after all, activate it."
