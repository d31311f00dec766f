"""Records of a sync as both sides have them now, and what a look comes to where one side lacks one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from domain.entities.letters import NewLetter
from domain.entities.merge import LetterCause, Pair
from domain.entities.sync_records import Due, Looked, key_of, parts_of, row_without
from dynamics.bulk import changes, finance
from dynamics.bulk.changes import SyncPlan
from dynamics.bulk.reader import Reader
from dynamics.core.odata import Row

WHOLE: Final = ""
"""The record as a whole, among the fields that agree."""


@dataclass
class Records:
    """Records of both sides by their key."""

    finance: dict[str, Row]
    sales: dict[str, list[Row]]
    several: frozenset[str] = frozenset()
    """Keys that several records of Finance have: nobody can say which of them is meant, and none is in ``finance``."""


async def read_both(plan: SyncPlan, in_finance: Reader, in_sales: Reader, keys: Sequence[str]) -> Records:
    """The records of keys on both sides; a request each.

    Raises:
        DynamicsError: one side cannot be read.
    """
    parts = [parts_of(key) for key in keys if not row_without(key)]
    there = await in_finance.together(finance.read_keys(plan, parts)) if parts else []
    found: dict[str, Row] = {}
    several: set[str] = set()
    for row in (row for answer in there for row in answer.rows()):
        one = key_of(changes.finance_key(plan, row))
        if one in found:
            several.add(one)
        found[one] = row
    here = await in_sales.together(changes.rows_of_keys(plan, keys))
    rows = {key: answer.rows() for key, answer in zip(keys, here, strict=True)}
    known = {key: row for key, row in found.items() if key in rows and key not in several}
    return Records(known, rows, frozenset(several))


def pair_of(plan: SyncPlan, due: Due, there: Row, row: Row) -> Pair:
    """Both sides' values of a record, with what is known of it."""
    now = changes.values_of(plan, there, row)
    currency = now[plan.currency].finance if plan.currency else ""
    return Pair(
        now=now,
        last=due.known.fields,
        sales_at=_moment(row.get(plan.modified)),
        currency=currency,
        said={name: said for name, said in due.said.items() if name in now},
        anew=frozenset(due.anew),
    )


def lone(plan: SyncPlan, due: Due, read: Records) -> Looked | None:
    """What a look comes to where there are not one record and one row; None: there are.

    A record that only one side has is left to the steps that create it, unless both sides had it.
    """
    known = due.known
    there, rows, several = read.finance.get(due.key), read.sales[due.key], due.key in read.several
    if there is not None and len(rows) == 1:
        return None
    if there is None and not rows and not several:
        return Looked(due=due, gone=True, agreed=frozenset({WHOLE, *(field.name for field in plan.fields)}))
    row = rows[0] if len(rows) == 1 else None
    cause = None
    if len(rows) > 1 or several:
        cause = LetterCause.DUPLICATE
    elif known.paired and there is None and not plan.deactivates:
        cause = LetterCause.DELETED_IN_FINANCE
    elif known.paired and there is not None and not plan.makes_anew and not plan.retired:
        cause = LetterCause.DELETED_IN_SALES
    letters = [] if cause is None else [NewLetter(cause=cause, text=_SEVERAL if several else _OF_RECORD[cause])]
    return Looked(
        due=due,
        sales_id="" if row is None else str(row[plan.sales.id]),
        paired=known.paired,
        deactivated=known.deactivated,
        fields=known.fields,
        sales_version=0 if row is None else changes.version_of(row),
        content="" if there is None else changes.content_of(plan, there),
        letters=tuple(letters),
    )


_SEVERAL: Final = "Several records of Finance have this key; none of them is taken over"
_OF_RECORD: Final[Mapping[LetterCause, str]] = {
    LetterCause.DUPLICATE: "Several rows of Sales have this key; none of them is written",
    LetterCause.DELETED_IN_FINANCE: "Finance has the record no more; the row of Sales stays as it is",
    LetterCause.DELETED_IN_SALES: "Sales has the row no more; the record of Finance stays as it is",
}


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)) if value else None
    except ValueError:
        return None
