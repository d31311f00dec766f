"""The dry run of an initial sync: what would be done with each record, and why some are left to people.

The classes, in the order in which they count where several fit: a record that is doubled, one that the map cannot carry
over, one about which a person has to decide, one that would be created, one that would be changed, one that stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from domain.entities.comparing import CannotCompare
from domain.entities.comparison_run import Progress, ReadingStart
from domain.entities.comparison_view import ComparisonView
from domain.entities.facts import RunningMap
from domain.entities.model import DataMap, EntityName, Owner, Pattern, SideName
from domain.record import Record

SYNCED: Final = frozenset({Pattern.SYNC, Pattern.BATCH})
"""Patterns whose records the product itself brings to agree at the beginning."""


class Action(StrEnum):
    """What an initial sync would do with a record."""

    CREATE = "create"
    UPDATE = "update"
    SKIP = "skip"
    CONFLICT = "conflict"
    UNMAPPED = "unmapped"
    DUPLICATE = "duplicate"


BLOCKED: Final = (Action.CONFLICT, Action.UNMAPPED, Action.DUPLICATE)
"""A person has to settle these first: the record is left alone, and the others go on."""


class Why(StrEnum):
    """Why a record has its action."""

    AGREES = "agrees"
    TIMING = "timing"
    NOT_CREATED = "not_created"
    LACKING = "lacking"
    OWNER = "owner"
    MANUAL = "manual"
    NO_KEY = "no_key"
    UNKNOWN_KEY = "unknown_key"
    UNLISTED = "unlisted"
    REQUIRED = "required"
    TOO_LONG = "too_long"
    TWICE = "twice"


REASONS: Final[Mapping[Why, str]] = {
    Why.AGREES: "Both sides agree.",
    Why.TIMING: "It changed while it was read; it is looked at again by the next run.",
    Why.NOT_CREATED: "One side has it, and the map creates none on the other.",
    Why.LACKING: "One side has it, and the map creates it on the other.",
    Why.OWNER: "A field differs, and the value of its owner counts.",
    Why.MANUAL: "A field differs for which the map leaves the choice to a person.",
    Why.NO_KEY: "It has no key, so nobody knows which record of Finance it is.",
    Why.UNKNOWN_KEY: "Its key is given by the other side, which does not know it.",
    Why.UNLISTED: "The map does not list a value.",
    Why.REQUIRED: "A field is empty without which the record is not taken over.",
    Why.TOO_LONG: "A text is longer than the other side takes.",
    Why.TWICE: "Several rows of Sales have the same key.",
}


class Change(Record):
    """A field of a plan: what would be written, or what a person has to settle.

    Attributes:
        field: of the map.
        to: side that would be written; None: a person decides.
        finance: as Finance has it.
        sales: as Sales has it.
        value: what would be written, as that side spells it.
        trouble: why it cannot be written; empty: it can.
    """

    field: str
    to: SideName | None = None
    finance: str = ""
    sales: str = ""
    value: str = ""
    trouble: Why | Literal[""] = ""


class PlannedRecord(Record):
    """A record of a plan, under its key, or under the id of a row of Sales without one. ``at``: the key's parts."""

    key: str
    at: str = ""
    sales_ids: tuple[str, ...] = ()
    action: Action
    why: Why
    changes: tuple[Change, ...] = ()

    @property
    def links(self) -> bool:
        """Whether it is a row without a key, which is linked with its record of Finance or has one made."""
        return self.action is Action.CREATE and self.at in self.sales_ids


class PlanFigures(Record):
    """What a dry run counted."""

    records: int = 0
    actions: dict[Action, int] = Field({})
    reasons: dict[Why, int] = Field({})
    finance_records: int = 0
    sales_records: int = 0
    requests: int = 0

    def of(self, action: Action) -> int:
        """Records with an action."""
        return self.actions.get(action, 0)

    @property
    def blocked(self) -> int:
        """Records that people have to settle first."""
        return sum(self.of(action) for action in BLOCKED)


class DryRun(Record):
    """A dry run that came to its end."""

    run_id: str
    entity: str
    company: str
    map_hash: str
    plan_hash: str = Field(description="SHA-256 over the hashes of the pages of its plan")
    began_at: datetime
    ended_at: datetime
    figures: PlanFigures


class InitialView(ComparisonView):
    """A dry run that goes on or has ended."""

    map_hash: str = ""
    began_at: datetime | None = None
    dry_run: DryRun | None = Field(None, description="Once it has ended")

    def time_left(self, now: datetime) -> timedelta | None:
        """How long reading goes on at the pace of until now; None: nobody can say."""
        if self.stage != "reading" or not self.began_at or not self.finance_done:
            return None
        each = (now - self.began_at) / self.finance_done
        return max(timedelta(), each * (self.finance_parts - self.finance_done))


class InitialStart(ReadingStart):
    """Which records a dry run is about."""

    map_hash: str = Field(max_length=64, description="Of the map whose run it is; a worker with another one refuses")

    def place(self, run_id: str) -> str:
        """Of its pages, below the folder of data."""
        return f"initial/{self.entity}/{self.company}/{run_id}"

    def view(self, progress: Progress, confirmed: int, dry_run: DryRun | None) -> InitialView:
        """How it stands."""
        seen = self.seen(InitialView, progress, confirmed)
        return seen.model_copy(update={"map_hash": self.map_hash, "began_at": progress.began_at, "dry_run": dry_run})


class WritersStart(Record):
    """Whose maps are asked for."""

    entity: EntityName


class Writers(Record):
    """The maps that Dual-Write runs."""

    maps: tuple[RunningMap, ...] | None = Field(None, description="None: they may not be read")


def require_synced(data: DataMap) -> None:
    """Refuse a map whose records the product does not bring to agree.

    Raises:
        CannotCompare: as its text says.
    """
    if data.pattern not in SYNCED:
        raise CannotCompare(
            f"{data.entity} has the pattern {data.pattern}, so there is no initial sync. There is one for the patterns "
            f"{', '.join(sorted(SYNCED))}."
        )


def key_owner(data: DataMap) -> SideName | None:
    """The side that gives records their key: one that it does not know leads nowhere. None: either side may."""
    assert data.finance is not None
    of_key = {field.owner for field in data.fields.values() if field.finance in data.finance.key}
    if of_key == {Owner.FINANCE}:
        return "finance"
    return "sales" if of_key == {Owner.SALES} else None
