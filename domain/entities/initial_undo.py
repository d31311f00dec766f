"""Undoing an initial sync: what goes back of a record, and why it stays where it does not. Pure.

A record goes back as a whole or not at all: what somebody has changed since is theirs. A row that the run made is
deactivated and never deleted, and only where nobody has touched it, in whatever column.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from domain.entities.initial import Action, Change
from domain.entities.initial_run import WrittenAs, WrittenRecord
from domain.entities.map_run import same_value
from domain.entities.merge import Both, Merged
from domain.entities.merge_forms import SyncedField, form_of
from domain.entities.model import SideName

ACTIVE: Final = 0
INACTIVE: Final = 1
_WROTE: Final = {
    Action.CREATE: (WrittenAs.CREATED, WrittenAs.UPDATED, WrittenAs.DIFFERS),
    # What one side refused, the other may have taken.
    Action.UPDATE: (WrittenAs.UPDATED, WrittenAs.DIFFERS, WrittenAs.REFUSED),
}


class Undoing(NamedTuple):
    """What is to be undone of a record, or what becomes of it without."""

    merged: Merged | None = None
    deactivates: bool = False
    written: WrittenAs = WrittenAs.AS_BEFORE
    why: str = ""

    @property
    def writes(self) -> bool:
        """Whether something is to be written."""
        return self.merged is not None or self.deactivates


def wrote(record: WrittenRecord) -> bool:
    """Whether the run may have written something of a record."""
    return record.written in _WROTE.get(record.action, ())


def undoing_create(
    record: WrittenRecord, *, has_state: bool, ids: tuple[str, ...], state: int | None, version: int
) -> Undoing:
    """What becomes of a row that a run made.

    Args:
        record: what the run kept of it.
        has_state: whether rows of the table can be inactive.
        ids: of the rows that have its key now.
        state: of its row.
        version: of its row.
    """
    if any(change.to == "finance" for change in record.changes):
        return _stays("it stays linked with its record of Finance, where nothing is deleted")
    if not ids:
        return Undoing(why="Sales has it no more")
    if ids != (record.sales_id,):
        return _stays("another row of Sales has its key by now")
    if not has_state:
        return _stays("rows of this table are never inactive: delete it in Sales")
    if state == INACTIVE:
        return Undoing(why="it is inactive already")
    if state != ACTIVE:
        return _stays("it is neither active nor inactive: delete it in Sales")
    if not record.sales_version:
        return _stays("the run ended before it read the row back: look whether it was used since")
    if version != record.sales_version:
        return _stays("it was changed after the run")
    return Undoing(deactivates=True, written=WrittenAs.DEACTIVATED)


def undoing_update(
    record: WrittenRecord,
    fields: Mapping[str, SyncedField],
    now: Mapping[str, Both],
    *,
    in_finance: bool,
    ids: tuple[str, ...],
) -> Undoing:
    """What becomes of a record that a run changed.

    Args:
        record: what the run kept of it.
        fields: that are kept in step; those of the key are not among them.
        now: its values on both sides.
        in_finance: whether Finance has it.
        ids: of its rows in Sales.
    """
    if not in_finance or not ids:
        return _stays("one side has it no more")
    if ids != (record.sales_id,):
        return _stays("another row of Sales has its key by now")
    to: dict[SideName, dict[str, str]] = {"finance": {}, "sales": {}}
    for change in record.changes:
        if change.to is None or change.field not in fields:
            continue
        field, shown = fields[change.field], now[change.field].of(change.to)
        if _is(field, shown, before(change)):
            continue
        if not _is(field, shown, change.value):
            return _stays(f"{change.field} was changed after the run")
        to[change.to][change.field] = before(change)
    if not (to["finance"] or to["sales"]):
        return Undoing()
    return Undoing(merged=Merged(to_finance=to["finance"], to_sales=to["sales"]), written=WrittenAs.RESTORED)


def before(change: Change) -> str:
    """The value that stood before a change on the side it was written to."""
    return change.finance if change.to == "finance" else change.sales


def not_back(record: WrittenRecord, fields: Mapping[str, SyncedField], now: Mapping[str, Both]) -> list[str]:
    """Fields that do not show what stood before, after it was written."""
    return [
        change.field
        for change in record.changes
        if change.to is not None
        and change.field in fields
        and not _is(fields[change.field], now[change.field].of(change.to), before(change))
    ]


def _is(field: SyncedField, value: str, other: str) -> bool:
    return same_value(field, value, other) or form_of(value, field.normal) == form_of(other, field.normal)


def _stays(why: str) -> Undoing:
    return Undoing(written=WrittenAs.STAYS, why=why)
