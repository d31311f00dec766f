"""The real initial sync: what is held against the plan before it is written, what became of it, and how a run stands.

A record is written only where both sides are as the dry run saw them. What somebody changed since is left alone and
listed: the next dry run plans it anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from pydantic import AwareDatetime, Field

from domain.entities.initial import Action, Change, PlannedRecord
from domain.entities.merge import Both, Merged
from domain.entities.merge_forms import SyncedField, is_same
from domain.entities.model import EntityName, SideName
from domain.heard import HeardMessage
from domain.messages import Outcome, SignedMessage
from domain.record import Record
from domain.values import Company

WRITTEN: Final = (Action.CREATE, Action.UPDATE)
"""What a plan has written; everything else of it is left alone."""
PAGE_RECORDS: Final = 100
"""Records of one page: one activity, and what is looked at again where its worker was killed."""
MOST_FOUND: Final = 20
"""Records with trouble that a run names; all of them stand in its lists."""


class WrittenAs(StrEnum):
    """What became of a record."""

    CREATED = "created"
    UPDATED = "updated"
    AGREES = "agrees"
    """Nothing was to be done any more."""
    MOVED = "moved"
    """It was changed after the dry run, and nothing was written."""
    REFUSED = "refused"
    """A system did not take it; the same stands in a letter."""
    DIFFERS = "differs"
    """It was written, and the sides do not agree when they are read back; the same stands in a letter."""
    DEACTIVATED = "deactivated"
    """Of an undo: the row that the run made is inactive."""
    RESTORED = "restored"
    """Of an undo: the values before the run are there again."""
    AS_BEFORE = "as_before"
    """Of an undo: nothing was to be done any more."""
    STAYS = "stays"
    """Of an undo: it was changed after the run, or cannot be undone, and nothing was written."""


BECOMES: Final = (
    WrittenAs.CREATED,
    WrittenAs.UPDATED,
    WrittenAs.AGREES,
    WrittenAs.MOVED,
    WrittenAs.REFUSED,
    WrittenAs.DIFFERS,
)
"""What becomes of the records of a run."""
UNDONE: Final = (
    WrittenAs.DEACTIVATED,
    WrittenAs.RESTORED,
    WrittenAs.AS_BEFORE,
    WrittenAs.STAYS,
    WrittenAs.REFUSED,
    WrittenAs.DIFFERS,
)
"""What becomes of the records of an undo."""
TROUBLE: Final = (WrittenAs.REFUSED, WrittenAs.DIFFERS)
"""What stops a run among its first records."""
LEFT: Final = (WrittenAs.MOVED, WrittenAs.STAYS, *TROUBLE)
"""What a person has to look at afterwards."""


class WrittenRecord(Record):
    """A record of a plan, and what became of it. ``changes`` hold the values before and after: they are what undoes it.

    Attributes:
        key: as people read it.
        sales_id: its row of Sales; empty: there is none.
        action: that was planned.
        written: what became of it.
        text: why, where it is not as planned.
        changes: of the plan.
        sales_version: of its row, as it was read last; 0: not known.
    """

    key: str
    sales_id: str = ""
    action: Action
    written: WrittenAs
    text: str = ""
    changes: tuple[Change, ...] = ()
    sales_version: int = 0


class Standing(NamedTuple):
    """How a record stands against its plan: what is still to be written, or what becomes of it without."""

    merged: Merged | None = None
    written: WrittenAs = WrittenAs.AGREES
    why: str = ""


def held(
    record: PlannedRecord,
    fields: Mapping[str, SyncedField],
    now: Mapping[str, Both],
    *,
    in_finance: bool,
    sales_ids: tuple[str, ...],
    currency: str,
) -> Standing:
    """Hold a record as it was read just now against its plan.

    Args:
        record: of the plan, one that is written.
        fields: that are kept in step; those of the key are not among them.
        now: its values on both sides; those of a side without it are empty.
        in_finance: whether Finance has it.
        sales_ids: its rows in Sales.
        currency: of its amounts.
    """
    if len(sales_ids) > 1:
        return _moved("several rows of Sales have its key by now")
    both = in_finance and bool(sales_ids)
    if record.action is Action.CREATE and not both:
        return _held_to_create(record, now) if in_finance else _moved("Finance has it no more")
    if not both:
        return _moved("one side has it no more")
    if record.action is Action.UPDATE and sales_ids[0] not in record.sales_ids:
        return _moved("another row of Sales has its key by now")
    return _held_to_update(record, fields, now, currency)


def held_to_link(record: PlannedRecord, now: Mapping[str, Both], *, there: bool, linked: bool) -> Standing:
    """Hold a row without a key, as it was read just now, against its plan.

    Args:
        record: of the plan, one that links.
        now: the row's values.
        there: whether Sales has it.
        linked: whether it has a key by now.
    """
    if not there:
        return _moved("Sales has it no more")
    if linked:
        return Standing()
    for change in record.changes:
        if change.field in now and now[change.field].sales != change.sales:
            return _moved(f"{change.field} was changed after the dry run")
    return Standing(merged=_merged(record.changes))


def _held_to_create(record: PlannedRecord, now: Mapping[str, Both]) -> Standing:
    if any(change.to == "finance" for change in record.changes):
        return Standing(written=WrittenAs.REFUSED, why="nothing is created in Finance here; a deal does that")
    for change in record.changes:
        here = now.get(change.field)
        if here is not None and here.finance != change.finance:
            return _moved(f"{change.field} was changed after the dry run")
    return Standing(merged=_merged(record.changes))


def _held_to_update(
    record: PlannedRecord, fields: Mapping[str, SyncedField], now: Mapping[str, Both], currency: str
) -> Standing:
    planned = {change.field: change for change in record.changes}
    if unknown := planned.keys() - fields.keys() if record.action is Action.UPDATE else set():
        return Standing(written=WrittenAs.REFUSED, why=f"{', '.join(sorted(unknown))}: part of the key, never written")
    open_: list[Change] = []
    created = record.action is Action.CREATE
    for name, field in fields.items():
        both = now[name]
        if (created and name not in planned) or is_same(field, both.finance, both.sales, currency):
            continue
        change = planned.get(name)
        if change is None or created or _seen(change) != both:
            return _moved(f"{name} was changed after the dry run")
        if change.to not in field.to:
            side = (change.to or "").title()
            return Standing(written=WrittenAs.REFUSED, why=f"{name}: never written to {side}")
        open_.append(change)
    return Standing(merged=_merged(open_)) if open_ else Standing()


def _seen(change: Change) -> Both:
    """What the dry run saw."""
    return Both(finance=change.finance, sales=change.sales)


def _moved(why: str) -> Standing:
    return Standing(written=WrittenAs.MOVED, why=why)


def _merged(changes: tuple[Change, ...] | list[Change]) -> Merged:
    """What the plan has written."""
    of: dict[SideName, dict[str, str]] = {"finance": {}, "sales": {}}
    for change in changes:
        if change.to is not None:
            of[change.to][change.field] = change.value
    return Merged(to_finance=of["finance"], to_sales=of["sales"])


# How a run stands

RunStatus = Literal["waiting", "looking", "writing", "asking", "paused", "done", "stopped", "refused"]
"""looking: an undo reads what it would do; asking: it has read it, or the first records showed trouble, and a person
says whether it goes on."""
ENDED: Final[tuple[RunStatus, ...]] = ("done", "stopped", "refused")
Counts = dict[WrittenAs, int]


class InitialRunView(Record):
    """A real initial sync, or the undo of one, as people see it."""

    entity: str
    company: str
    status: RunStatus = "waiting"
    why: str = Field("", description="Why it waits for a person, or was refused")
    failing: str = Field("", description="Why the last page did not come to its end; it is tried again")
    by: str = Field("", description="Who had it begin")
    began_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    map_hash: str = ""
    plan_hash: str = ""
    dry_run: str = Field("", description="Whose plan is carried out, or was")
    undoes: bool = Field(False, description="Whether that run is undone")
    looked: bool = Field(False, description="Of an undo: whether it has read all that it would do")
    would: Counts = Field({}, description="Of an undo: records by what would become of them, as they were read first")
    records: int = Field(0, description="That the plan has written, or the run wrote")
    first: int = Field(0, description="Of these, how many are written and compared before the others")
    left_alone: int = Field(0, description="Records of the plan that wait for people")
    pages: int = 0
    next_page: int = 0
    counts: Counts = Field({}, description="Records by what became of them")
    known: int = Field(0, description="Records that agreed, and that a sync knows of now")
    letters: int = Field(0, description="Letters that were written")
    milliseconds_a_record: int = 0
    found: tuple[WrittenRecord, ...] = Field((), max_length=MOST_FOUND, description="The first with trouble")

    @property
    def handled(self) -> int:
        """Records of which it is known what became of them, or would."""
        return sum((self.would if self.looks else self.counts).values())

    @property
    def looks(self) -> bool:
        """Whether it only reads so far."""
        return self.undoes and not self.looked

    @property
    def becomes(self) -> tuple[WrittenAs, ...]:
        """What may become of its records."""
        return UNDONE if self.undoes else BECOMES

    @property
    def goes_on(self) -> bool:
        """Whether it has not ended."""
        return self.status not in ENDED

    def time_left(self) -> timedelta | None:
        """How long writing goes on at its pace; None: it does not, or nobody can say yet."""
        if self.status not in ("looking", "writing") or not self.milliseconds_a_record:
            return None
        return timedelta(seconds=self.milliseconds_a_record * max(0, self.records - self.handled) // 1_000)

    def plus(self, page: PageWritten, took: timedelta) -> InitialRunView:
        """After a page."""
        counts = dict(self.would if self.looks else self.counts)
        for written, number in page.counts.items():
            counts[written] = counts.get(written, 0) + number
        handled = sum(page.counts.values())
        before = self.milliseconds_a_record
        pace = took // timedelta(milliseconds=1) // handled if handled else before
        trouble = sum(page.counts.get(each, 0) for each in TROUBLE)
        asks = self.next_page == 0 and trouble > 0
        done = self.next_page + 1 >= self.pages
        if self.looks:
            pace = (before + pace) // 2 if before else pace
            looking = {"would": counts, "next_page": self.next_page + 1, "failing": "", "milliseconds_a_record": pace}
            return self.model_copy(update=looking | (self._looked(counts) if done else {}))
        return self.model_copy(
            update={
                "counts": counts,
                "next_page": self.next_page + 1,
                "letters": self.letters + page.letters,
                "failing": "",
                "milliseconds_a_record": (before + pace) // 2 if before else pace,
                "found": (*self.found, *page.found)[:MOST_FOUND],
                "status": "asking" if asks and not done else self.status,
                "why": f"{trouble} of the first {handled} were refused, or differ" if asks and not done else self.why,
            }
        )

    @staticmethod
    def _looked(would: Counts) -> dict[str, object]:
        back = would.get(WrittenAs.DEACTIVATED, 0) + would.get(WrittenAs.RESTORED, 0)
        why = f"{back:,} records would be undone, {would.get(WrittenAs.STAYS, 0):,} stay as they are: go on, or stop"
        return {"looked": True, "status": "asking", "next_page": 0, "milliseconds_a_record": 0, "why": why}


class PageWritten(Record):
    """What became of a page."""

    counts: Counts = Field({})
    letters: int = 0
    found: tuple[WrittenRecord, ...] = Field((), max_length=MOST_FOUND)


class InitialRunStart(Record):
    """Which records are brought to agree, or back; the rest is what the run before held (where it continues as new)."""

    entity: EntityName
    company: Company
    undoes: bool = Field(False, description="Whether a run is undone")
    view: InitialRunView | None = None
    seeded: int = 0
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    unheard: tuple[SignedMessage, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)


def place_of(entity: str, company: str, dry_run: str) -> str:
    """Of a run's pages, below the folder of data: a plan is carried out once, however often that is asked for."""
    return f"initial-run/{entity}/{company}/{dry_run}"
