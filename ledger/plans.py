"""What a dry run left in the folder of data: a plan of every record, and the records it is about."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from domain.entities.initial import Action, Change, DryRun, InitialStart, PlannedRecord
from domain.entities.model import SideName
from ledger.pages import Manifest, PageDamaged, Pages

DONE: Final = "dry_run"
PLAN: Final = "planned"
"""Kind of the pages of a plan."""
RECORDS: Final = "records"
_BATCH: Final = 5_000


class PlanGone(Exception):
    """The pages of a plan are not here, or are not what the ledger says; the text says what to do."""


class Plan:
    """A plan whose pages are whole and the same as when it was made."""

    def __init__(self, data_dir: Path, run: DryRun) -> None:
        """Look at the pages of a dry run.

        Raises:
            PlanGone: as its text says.
        """
        start = InitialStart(entity=run.entity, company=run.company, map_hash=run.map_hash)
        self._pages = Pages(data_dir, start.place(run.run_id))
        again = f"Run `q2c initial {run.entity} --company {run.company} --dry-run` again."
        try:
            found = self._pages.manifests(PLAN)
            self._records = {side: self._pages.files(f"{RECORDS}.{side}") for side in ("finance", "sales")}
        except PageDamaged as error:
            raise PlanGone(f"The plan was changed after the dry run: {error}. {again}") from error
        if not self._pages.folder.is_dir():
            raise PlanGone(
                f"{self._pages.folder} is not there: run this where Q2C_DATA_DIR is the folder of the workers that "
                f"read in bulk. Plans go after two days. {again}"
            )
        if hash_of_pages(found) != run.plan_hash:
            raise PlanGone(f"The plan was changed after the dry run: its hash is another one. {again}")
        self.files = [str(self._pages.folder / page.file) for page in found.values()]

    def records(self, side: SideName) -> list[str]:
        """The Parquet files of a side's records, columns named as the map's fields."""
        return self._records[side]

    def rows(self, actions: Collection[Action] | None = None) -> Iterator[list[PlannedRecord]]:
        """The records of the plan in the order of their keys, some thousands at a time; None: of every action."""
        wanted = None if actions is None else pa.array([action.value for action in actions])
        for file in self.files:
            with pq.ParquetFile(file) as opened:
                for some in opened.iter_batches(_BATCH):
                    kept = some if wanted is None else some.filter(pc.is_in(some.column("action"), wanted))
                    yield [_planned(row) for row in kept.to_pylist()]


def hash_of_pages(manifests: dict[str, Manifest]) -> str:
    """SHA-256 (hex) over the manifests of a plan's pages: another one for any change of any record."""
    listed = "".join(f"{name} {page.sha256} {page.rows}\n" for name, page in sorted(manifests.items()))
    return hashlib.sha256(listed.encode()).hexdigest()


def _planned(row: dict[str, Any]) -> PlannedRecord:
    changes = tuple(Change(**change | {"to": change["to"] or None}) for change in row["changes"])
    return PlannedRecord(
        key=row["key"],
        at=row.get("parts", row["key"]),
        sales_ids=tuple(row["sales_ids"].split()),
        action=Action(row["action"]),
        why=row["why"],
        changes=changes,
    )
