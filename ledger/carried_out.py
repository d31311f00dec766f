"""What carrying out a plan, or undoing that, leaves in the folder of data: the plan in pages, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

import pyarrow.parquet as pq

from domain.entities.initial import Action, PlannedRecord
from domain.entities.initial_run import (
    MOST_FOUND,
    PAGE_RECORDS,
    TROUBLE,
    WRITTEN,
    PageWritten,
    WrittenAs,
    WrittenRecord,
    place_of,
)
from domain.entities.initial_undo import wrote
from domain.record import Record
from ledger.pages import Pages
from ledger.plans import Plan

ABANDONED: Final = timedelta(days=30)
"""After which what a run left is removed when the next one of the entity in the company begins."""
_COLUMNS: Final = ("key", "sales_id", "action", "written", "text", "content", "sales_version")
Kind = Literal["written", "looked", "undone"]
"""What became of records: carried out, as an undo would have it, and undone."""
_BEGUN: Final[dict[Kind, str]] = {"written": "begun", "looked": "looking", "undone": "undoing"}


class Cut(Record):
    """How a plan was cut into pages.

    Attributes:
        first: records of the first page.
        pages: how many there are.
        records: in all of them.
    """

    first: int
    pages: int
    records: int


class Begun(Record):
    """What was to be written when a page was begun first: what agrees when it is looked at again was written by it."""

    keys: tuple[str, ...] = ()


class Letters(Record):
    """Letters that a page wrote."""

    number: int = 0


class CarriedOut:
    """The pages of one run."""

    def __init__(self, data_dir: Path, entity: str, company: str, dry_run: str) -> None:
        """Nothing is made yet."""
        self._pages = Pages(data_dir, place_of(entity, company, dry_run))

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self._pages.folder

    def cut(self, plan: Plan, first: int) -> Cut:
        """Cut a plan into pages of what it has written; the first one holds as many records as are tried first."""
        done: Cut | None = self._pages.noted("cut", Cut)
        if done is not None:
            return done
        self._pages.remove_abandoned(ABANDONED)
        waiting: list[PlannedRecord] = []
        pages = records = 0
        for some in plan.rows(WRITTEN):
            waiting += some
            while len(waiting) >= (size := PAGE_RECORDS if pages else first):
                self._save(pages, waiting[:size])
                pages, records, waiting = pages + 1, records + size, waiting[size:]
        if waiting:
            self._save(pages, waiting)
            pages, records = pages + 1, records + len(waiting)
        done = Cut(first=min(first, records), pages=pages, records=records)
        self._pages.note("cut", done)
        return done

    def _save(self, page: int, records: Sequence[PlannedRecord]) -> None:
        rows = [{"key": record.key, "content": record.model_dump_json()} for record in records]
        self._pages.write(f"work-{page:05d}", ("key", "content"), rows)

    def page(self, number: int) -> list[PlannedRecord]:
        """The records of a page."""
        return [PlannedRecord.model_validate_json(each) for each in self._column("work", number, "content")]

    def begun(self, number: int, kind: Kind = "written") -> Begun | None:
        """What was to be written when a page was begun; None: it was not yet."""
        found: Begun | None = self._pages.noted(f"{_BEGUN[kind]}-{number:05d}", Begun)
        return found

    def begin(self, number: int, keys: Sequence[str], kind: Kind = "written") -> Begun:
        """Note what is to be written of a page, before any of it is."""
        begun = Begun(keys=tuple(keys))
        self._pages.note(f"{_BEGUN[kind]}-{number:05d}", begun)
        return begun

    # Undoing it

    def pages(self) -> int:
        """Into how many pages the plan was cut; none: it never was here."""
        cut: Cut | None = self._pages.noted("cut", Cut)
        return cut.pages if cut is not None else 0

    def is_undone(self) -> bool:
        """Whether undoing it was begun: from then on its plan is carried out no further."""
        return self.begun(0, "undone") is not None

    def wrote(self, number: int) -> list[tuple[str, WrittenRecord]]:
        """Records of a page of which a run may have written something, by their key; also of a page it never ended."""
        records = self.page(number)
        if self._pages.manifest(f"written-{number:05d}") is not None:
            became = zip(records, self._written(number, "written"), strict=True)
            return [(record.at, each) for record, each in became if wrote(each)]
        begun = self.begun(number)
        tried = frozenset(begun.keys if begun is not None else ())
        return [(record.at, _tried(record)) for record in records if record.at in tried]

    # What became

    def keep(self, number: int, records: Sequence[WrittenRecord], letters: int, kind: Kind = "written") -> PageWritten:
        """Keep what became of a page: from then on nothing of it is looked at again."""
        rows = [
            {
                "key": each.key,
                "sales_id": each.sales_id,
                "action": each.action.value,
                "written": each.written.value,
                "text": each.text,
                "content": json.dumps([change.model_dump(mode="json") for change in each.changes]),
                "sales_version": str(each.sales_version),
            }
            for each in records
        ]
        if kind == "written":
            self._pages.note(f"letters-{number:05d}", Letters(number=letters))
        self._pages.write(f"{kind}-{number:05d}", _COLUMNS, rows)
        return _counted(records, letters)

    def kept(self, number: int, kind: Kind = "written") -> PageWritten | None:
        """What became of a page; None: it is not known yet."""
        if self._pages.manifest(f"{kind}-{number:05d}") is None:
            return None
        letters: Letters | None = None if kind != "written" else self._pages.noted(f"letters-{number:05d}", Letters)
        return _counted(list(self._written(number, kind)), letters.number if letters else 0)

    def results(self, kind: Kind = "written") -> Iterator[list[WrittenRecord]]:
        """What became of every record, a page at a time."""
        for name in self._pages.manifests(kind):
            yield list(self._written(int(name.rpartition("-")[2]), kind))

    def _written(self, number: int, kind: Kind) -> Iterator[WrittenRecord]:
        for row in pq.read_table(self._file(kind, number)).to_pylist():
            yield WrittenRecord(
                key=row["key"],
                sales_id=row["sales_id"],
                action=Action(row["action"]),
                written=row["written"],
                text=row["text"],
                changes=json.loads(row["content"]),
                sales_version=int(row.get("sales_version") or 0),
            )

    def _column(self, kind: str, number: int, column: str) -> list[str]:
        self._pages.manifest(f"{kind}-{number:05d}")
        return [str(each) for each in pq.read_table(self._file(kind, number)).column(column).to_pylist()]

    def _file(self, kind: str, number: int) -> Path:
        return self._pages.folder / f"{kind}-{number:05d}.parquet"


def _tried(record: PlannedRecord) -> WrittenRecord:
    """A record of a page that a run began and never ended: it may have been written."""
    return WrittenRecord(
        key=record.key,
        sales_id=next(iter(record.sales_ids), ""),
        action=record.action,
        written=WrittenAs.DIFFERS,
        changes=record.changes,
    )


def _counted(records: Sequence[WrittenRecord], letters: int) -> PageWritten:
    counts = dict.fromkeys(dict.fromkeys(each.written for each in records), 0)
    for each in records:
        counts[each.written] += 1
    # Values are personal data, and what is told here goes into the run's history.
    found = [each.model_copy(update={"changes": ()}) for each in records if each.written in TROUBLE]
    return PageWritten(counts=counts, letters=letters, found=tuple(found[:MOST_FOUND]))
