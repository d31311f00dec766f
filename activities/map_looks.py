"""Records that the change of a map hits, as their sync looks at them: it alone writes, whoever asks for it.

What stands in a field is kept before anything else is written there. A record that is tried counts as the map in
force never saw it: what people edited meanwhile waits for the sync's own look.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from activities.heartbeat import note_progress
from activities.sync_apply import Applying, Done
from activities.sync_reading import Records, lone, pair_of, read_both
from domain.entities.comparing import CannotCompare
from domain.entities.map_run import (
    FAILED,
    BeforeImage,
    ImageStatus,
    Look,
    Looked,
    LookStatus,
    LookStep,
    again,
    came_to,
    images_of,
    movable,
    restoring,
    same_value,
    taken_back,
)
from domain.entities.merge import Both, Finding, LetterCause, Merged, Pair, merge
from domain.entities.model import SideName
from domain.entities.sync_records import Due, Known, Of
from domain.entities.sync_records import Looked as Synced
from domain.entities.sync_run import SyncFigures
from dynamics.bulk import changes
from dynamics.bulk.changes import SyncPlan
from dynamics.bulk.reader import Reader
from dynamics.core.odata import Row
from dynamics.synced import SyncWriter
from ledger.map_runs import MapRunLedger

if TYPE_CHECKING:
    from activities.syncing import Plans
    from ledger.map_changes import MapChangeKept

REMEMBERED_SECONDS: Final = 60.0
AT_ONCE: Final = 50
GONE: Final = "One side has the record no more, or several rows have its key"


class Came(NamedTuple):
    """What looks for changes of maps came to."""

    figures: SyncFigures = SyncFigures()
    left: int = 0
    anew: bool = False
    """Another map is in force than the sync had read."""


class Situation(NamedTuple):
    """A record as it was read, with the map by which it is looked at."""

    plan: SyncPlan
    moved: tuple[str, ...]
    there: Row | None
    rows: Sequence[Row]
    images: Sequence[BeforeImage]
    known: dict[str, Both]
    read: Records
    """What it was read with."""


class MapLooks:
    """Looks at records of one company after the other."""

    def __init__(
        self, plans: Plans, in_finance: Reader, in_sales: Reader, writer: SyncWriter, ledger: MapRunLedger, days: int
    ) -> None:
        """Read by the readers and write by the writer what ``ledger`` asks for; ``days`` values before are kept."""
        self._plans = plans
        self._in_finance = in_finance
        self._in_sales = in_sales
        self._writer = writer
        self._ledger = ledger
        self._kept_for = timedelta(days=days)
        self._known: dict[tuple[str, str], tuple[float, SyncPlan]] = {}
        self._expired_at = 0.0

    async def some(self, of: Of, most: int, map_hash: str, resting: str) -> Came:
        """Look at some records of a sync for whatever change waits.

        Args:
            of: the sync.
            most: so many records.
            map_hash: of the map that the sync follows.
            resting: why the sync writes nothing; empty: it writes.

        Raises:
            DynamicsError: a system does not answer.
            LedgerAway: what is to be done is not known.
        """
        await self._expire()
        looks = await self._ledger.due(of, datetime.now(UTC), most)
        if not looks:
            return Came()
        one = looks[0]
        looks = [each for each in looks if each.change_id == one.change_id]
        change = await self._ledger.change(one.change_id)
        assert change is not None
        if resting:
            for look in looks:
                if look.step is LookStep.CANARY:
                    await self._refuse(look, f"The sync writes nothing: {resting}")
            return Came()
        try:
            plan = await self._plan(change, of.company)
        except CannotCompare as error:
            for look in looks:
                await self._refuse(look, str(error))
            return Came(left=await self._ledger.waiting(of, datetime.now(UTC)))
        figures = await self._look_at(of, plan, change, looks)
        is_followed = plan.map_hash == map_hash
        anew = is_followed if one.step is LookStep.RESTORE else one.step is LookStep.APPLY and not is_followed
        return Came(figures, await self._ledger.waiting(of, datetime.now(UTC)), anew)

    async def read(self, change: MapChangeKept, company: str) -> int:
        """Look at some records of a company whose sync does not run; nothing is written. How many there were.

        Raises:
            CannotCompare: the proposed map cannot be read by; the text says why.
            DynamicsError: a system does not answer.
        """
        looks = await self._ledger.reading(change.change_id, company, AT_ONCE)
        if not looks:
            return 0
        plan = await self._plan(change, company)
        records = await read_both(plan, self._in_finance, self._in_sales, [look.key for look in looks])
        moved = movable(plan.fields, change.moved)
        for number, look in enumerate(looks):
            there, rows = records.finance.get(look.key), records.sales[look.key]
            due = Due(key=look.key, source="person", seen_at="", anew=moved)
            looked = Looked(status=LookStatus.ALONE)
            if there is not None and len(rows) == 1:
                pair = pair_of(plan, due, there, rows[0])
                merged = merge(plan.fields, pair)
                looked = came_to(plan.fields, moved, pair.now, merged.findings, pair.currency, wrote=False)
                if looked.status is LookStatus.DIFFERS:
                    looked = Looked(status=LookStatus.READ)
            await self._ledger.finish(look, looked, (), datetime.now(UTC))
            note_progress(number + 1)
        return len(looks)

    async def _look_at(self, of: Of, plan: SyncPlan, change: MapChangeKept, looks: Sequence[Look]) -> SyncFigures:
        keys = [look.key for look in looks]
        records: Records = await read_both(plan, self._in_finance, self._in_sales, keys)
        images = await self._ledger.images(change.change_id, of.company, keys)
        known = await self._ledger.known(of, keys)
        moved, figures = movable(plan.fields, change.moved), SyncFigures()
        for number, look in enumerate(looks):
            key = look.key
            at = Situation(
                plan,
                moved,
                records.finance.get(key),
                records.sales[key],
                images.get(key, ()),
                known.get(key, {}),
                records,
            )
            looked, figure = await (self._restore if look.step is LookStep.RESTORE else self._apply)(of, look, at)
            figures = figures.plus(figure)
            note_progress(number + 1)
            if look.step is LookStep.CANARY and looked.status in FAILED:
                await self._ledger.drop(change.change_id)  # the change ends here
                break
        return figures

    async def _apply(self, of: Of, look: Look, at: Situation) -> tuple[Looked, SyncFigures]:
        """Look at a record by the changed map, as if both sides had just changed in what the change moves."""
        plan, now = at.plan, datetime.now(UTC)
        due = Due(key=look.key, source="person", seen_at="", anew=at.moved, known=Known())
        if at.there is None or lone(plan, due, at.read) is not None:
            looked = Looked(status=LookStatus.ALONE)
            await self._ledger.finish(look, looked, (), now)
            return looked, SyncFigures()
        row = at.rows[0]
        pair = pair_of(plan, due, at.there, row)
        merged = merge(plan.fields, pair)
        settled = _found_written(plan, at.images, pair)
        if not (merged.to_finance or merged.to_sales):
            looked = came_to(plan.fields, at.moved, pair.now, merged.findings, pair.currency, wrote=bool(settled))
            await self._ledger.finish(look, looked, settled, now)
            await self._know(of, look, at, _nothing(plan, due, at.there, row, pair), merged.findings)
            return looked, SyncFigures(looked=1)
        versions = changes.version_of(row), str(at.there.get("@odata.etag", ""))
        images = images_of(plan.fields, merged, pair.now, *versions)
        if not await self._ledger.plan_images(look, settled, images, plan.map_hash, now):
            return Looked(status=LookStatus.DROPPED), SyncFigures()
        done = await self._applying(plan).write(due, at.there, row, pair, merged)
        findings = _findings(done.looked)
        looked = came_to(plan.fields, at.moved, done.looked.fields, findings, pair.currency, wrote=True)
        if done.looked.again_at is not None:
            looked = again(now, done.looked.again_at)
        await self._ledger.finish(look, looked, [*settled, *_as_written(images, done)], datetime.now(UTC))
        await self._know(of, look, at, done, findings)
        return looked, _figures(done)

    async def _restore(self, of: Of, look: Look, at: Situation) -> tuple[Looked, SyncFigures]:
        """Write what stood in a record before, where nobody has edited it since."""
        plan, now = at.plan, datetime.now(UTC)
        if at.there is None or len(at.rows) != 1:
            lost = [each.model_copy(update={"status": ImageStatus.EDITED}) for each in at.images]
            looked = Looked(status=LookStatus.EDITED, text=GONE)
            await self._ledger.finish(look, looked, lost, now)
            return looked, SyncFigures()
        row = at.rows[0]
        due = Due(key=look.key, source="person", seen_at="", known=Known())
        pair = pair_of(plan, due, at.there, row)
        to, settled = restoring(plan.fields, at.images, pair.now)
        done = _nothing(plan, due, at.there, row, pair)
        why = ""
        if to["finance"] or to["sales"]:
            merged = Merged(to_finance=to["finance"], to_sales=to["sales"])
            done = await self._applying(plan).write(due, at.there, row, pair, merged)
            if done.looked.again_at is not None:
                looked = again(now, done.looked.again_at)
                await self._ledger.finish(look, looked, settled, now)
                return looked, _figures(done)
            back, why = _as_restored(plan, at.images, to, done)
            settled += back
        looked = taken_back(settled, why)
        await self._ledger.finish(look, looked, settled, datetime.now(UTC))
        restored = at._replace(moved=_fields_restored(settled))
        await self._know(of, look, restored, done, ())
        return looked, _figures(done)

    async def _know(self, of: Of, look: Look, at: Situation, done: Done, findings: Sequence[Finding]) -> None:
        """Keep what the sync knows of the record: what the change moved, and no edit that it has not looked at."""
        shown = {name: both for name, both in done.looked.fields.items() if name in at.moved}
        others = {name: both for name, both in done.looked.fields.items() if name in at.known and name not in at.moved}
        unseen = any(at.known[name] != both for name, both in others.items())
        named = {finding.field for finding in findings}
        letters = [each for each in done.looked.letters if look.step is LookStep.APPLY and each.field in named]
        known = done.looked.model_copy(
            update={
                "fields": {**at.known, **shown},
                "letters": tuple(each for each in letters if each.field in at.moved),
                "agreed": frozenset(at.moved) & done.looked.agreed,
                "again_at": None,
                # What somebody edited beside it is no echo of ours: the sync finds it.
                **({"sales_version": 0, "content": ""} if unseen else {}),
            }
        )
        await self._ledger.keep(of, known, datetime.now(UTC))

    async def _refuse(self, look: Look, why: str) -> None:
        looked = Looked(status=LookStatus.REFUSED, text=why[:500])
        await self._ledger.finish(look, looked, (), datetime.now(UTC))

    async def _plan(self, change: MapChangeKept, company: str) -> SyncPlan:
        """How the records of a company are read by the changed map."""
        of = change.change_id, company
        known = self._known.get(of)
        if known is None or time.monotonic() - known[0] > REMEMBERED_SECONDS:
            self._known.clear()
            known = time.monotonic(), await self._plans.by(change.data, company)
            self._known[of] = known
        return known[1]

    def _applying(self, plan: SyncPlan) -> Applying:
        return Applying(plan, self._in_finance, self._in_sales, self._writer)

    async def _expire(self) -> None:
        """Remove values before whose time is over; looked after once a minute."""
        if time.monotonic() - self._expired_at > REMEMBERED_SECONDS:
            await self._ledger.expire_older(datetime.now(UTC) - self._kept_for)
            self._expired_at = time.monotonic()


def _found_written(plan: SyncPlan, images: Sequence[BeforeImage], pair: Pair) -> list[BeforeImage]:
    """Values that a look wrote which did not live to say so."""
    of = {field.name: field for field in plan.fields}
    return [
        image.model_copy(update={"status": ImageStatus.WRITTEN})
        for image in images
        if image.status is ImageStatus.PLANNED
        and image.field in of
        and same_value(of[image.field], pair.now[image.field].of(image.side), image.after)
    ]


def _as_written(images: Sequence[BeforeImage], done: Done) -> list[BeforeImage]:
    """The values of the sides that were written, as they were read back."""
    wrote = {"finance": done.to_finance, "sales": done.to_sales}
    return [
        image.model_copy(
            update={
                "after": done.looked.fields[image.field].of(image.side),
                "status": ImageStatus.WRITTEN,
                "sales_version": done.looked.sales_version,
                "finance_version": done.finance_version[:200],
            }
        )
        for image in images
        if wrote[image.side]
    ]


def _as_restored(
    plan: SyncPlan, images: Sequence[BeforeImage], to: Mapping[SideName, Mapping[str, str]], done: Done
) -> tuple[list[BeforeImage], str]:
    """The values that were written back, as they were read again, and why one of them is not there."""
    of = {field.name: field for field in plan.fields}
    said = {each.field: each.text for each in done.looked.letters if each.cause is not LetterCause.NOT_TAKEN}
    found, why = [], ""
    for image in images:
        if image.field not in to[image.side]:
            continue
        value = done.looked.fields[image.field].of(image.side)
        is_back = same_value(of[image.field], value, image.before)
        if not is_back:
            shows = f"{image.side.title()} took the write and shows another value"
            why = f"{image.field}: {said.get(image.field) or shows}"
        status = ImageStatus.RESTORED if is_back else ImageStatus.REFUSED
        found.append(image.model_copy(update={"status": status, "sales_version": done.looked.sales_version}))
    return found, why


def _fields_restored(settled: Sequence[BeforeImage]) -> tuple[str, ...]:
    """What the sync knows of as it stands now: an edit that stays is still one for it to look at."""
    left = {image.field for image in settled if image.status is not ImageStatus.RESTORED}
    return tuple({image.field: None for image in settled if image.field not in left})


def _findings(looked: Synced) -> list[Finding]:
    return [Finding(field=each.field, cause=each.cause, text=each.text) for each in looked.letters]


def _nothing(plan: SyncPlan, due: Due, there: Row, row: Row, pair: Pair) -> Done:
    """A look that wrote nothing, as the sync remembers it."""
    merged = merge(plan.fields, Pair(now=pair.now, currency=pair.currency))
    looked = Synced(
        due=due,
        sales_id=str(row[plan.sales.id]),
        paired=True,
        fields=pair.now,
        sales_version=changes.version_of(row),
        content=changes.content_of(plan, there),
        agreed=frozenset(merged.agreed),
    )
    return Done(looked)


def _figures(done: Done) -> SyncFigures:
    return SyncFigures(looked=1, to_sales=int(done.to_sales), to_finance=int(done.to_finance), letters=0)
