"""What reading both systems begins with, and how far it is where it goes on as a new run.

A comparison and the dry run of an initial sync read the same way; they differ in what they make of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from pydantic import Field

from domain.entities.comparing import MOST_SAMPLED
from domain.entities.comparison_view import ComparisonFigures, ComparisonView, Stage
from domain.entities.model import EntityName
from domain.record import Record
from domain.values import Company


class Progress(Record):
    """How far reading is; what was read lies in its pages."""

    run_id: str = Field(description="Of the first run")
    began_at: datetime
    stage: Stage = "opening"
    map_hash: str = ""
    counts: int = Field(0, description="How often parts were counted")
    open_parts: int = Field(1, description="Parts that are still to be cut")
    parts: int = 0
    next_part: int = 0
    outgrown: tuple[int, ...] = Field((), description="Parts that have grown beyond a page")
    finance_records: int = 0
    sales_pages: int = 0
    sales_read: bool = False
    sales_records: int = 0
    candidates: int = 0
    finance_confirmed: int = Field(0, description="Chunks of candidates")
    sales_confirmed: int = Field(0, description="Chunks of candidates")
    requests: int = 0
    figures: ComparisonFigures | None = None

    def counted(self) -> ComparisonFigures:
        """What was counted while both sides were read."""
        return ComparisonFigures(
            finance_records=self.finance_records,
            sales_records=self.sales_records,
            requests=self.requests,
            candidates=self.candidates,
        )


View = TypeVar("View", bound=ComparisonView)


class ReadingStart(Record):
    """Which records of both systems are read."""

    entity: EntityName
    company: Company
    sample: int = Field(0, ge=0, le=MOST_SAMPLED, description="Records of a part at most; 0: all records")
    progress: Progress | None = Field(None, description="Of the run before, where it has become too long")

    def place(self, run_id: str) -> str:
        """Of its pages, below the folder of data."""
        raise NotImplementedError

    def seen(self, kind: type[View], progress: Progress, confirmed: int) -> View:
        """How it stands; ``confirmed``: candidates read again on both sides."""
        return kind(
            entity=self.entity,
            company=self.company,
            run_id=progress.run_id,
            stage=progress.stage,
            finance_done=progress.next_part,
            finance_parts=progress.parts,
            finance_records=progress.finance_records,
            sales_pages=progress.sales_pages,
            sales_records=progress.sales_records,
            confirmed=confirmed,
            candidates=progress.candidates,
            requests=progress.requests,
            figures=progress.figures,
        )


class CompareStart(ReadingStart):
    """Which records are compared."""

    keep_records: bool = Field(
        False, description="What was read stays, for quality and matching; else it goes at the end"
    )

    def place(self, run_id: str) -> str:
        """Of its pages, below the folder of data."""
        return f"compare/{self.entity}/{self.company}/{run_id}"
