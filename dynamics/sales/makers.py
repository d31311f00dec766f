"""Who made a quote: everyone who created, edited or assigned it or one of its lines, in any revision.

A row tells who created it and who changed it last; who changed it in between only Dataverse's audit knows. The audit
is complete where it holds the creation of every row: then it was on all the time, and may be read
(`prvReadAuditSummary`). (Microsoft Learn: "Retrieve the history of audited data changes".)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from dynamics.core.connection import Connection
from dynamics.core.errors import Refused
from dynamics.core.odata import Row
from dynamics.sales import queries
from dynamics.sales.records import Maker

AT_ONCE: Final = 100
"""Ids in one filter."""
FORBIDDEN: Final = 403
_CREATED: Final = 1


@dataclass(frozen=True, slots=True)
class Makers:
    """Who made a quote.

    Attributes:
        users: by their id in Dataverse; applications are left out, which decide nothing.
        known: nobody is missing; else these are those who were seen.
    """

    users: dict[UUID, Maker]
    known: bool


async def read_makers(sales: Connection, quote_number: str, *, submitted_by: UUID | None) -> Makers:
    """Who made a quote, over all its revisions.

    Three requests, and one more for each 5,000 lines or changes.

    Args:
        sales: Dataverse.
        quote_number: of every revision.
        submitted_by: the user who asked for approval, where Sales said who: who only pressed the button is one of them.

    Raises:
        DynamicsError: Dataverse does not answer.
    """
    read = await sales.read(
        collections={
            "quotes": [queries.revisions(quote_number)],
            "lines": [queries.lines_of_revisions(quote_number)],
        }
    )
    rows = [*read.rows("quotes"), *read.rows("lines")]
    ids = [UUID(str(row.get("quotedetailid") or row["quoteid"])) for row in rows]
    seen = {UUID(str(row[who])) for row in rows for who in ("_createdby_value", "_modifiedby_value") if row.get(who)}
    if submitted_by is not None:
        seen.add(submitted_by)
    changes = await _changes(sales, ids)
    seen |= {UUID(str(change["_userid_value"])) for change in changes if change.get("_userid_value")}
    created = {UUID(str(change["_objectid_value"])) for change in changes if change.get("operation") == _CREATED}
    found = await sales.read(collections={"users": [queries.users(part) for part in _parts(sorted(seen))]})
    makers = {user.id: user for user in found.all(Maker, "users") if user.application_id is None}
    return Makers(makers, known=created >= set(ids))


async def _changes(sales: Connection, ids: Sequence[UUID]) -> list[Row]:
    """What the audit holds of rows; nothing where this application may not read it."""
    try:
        read = await sales.read(collections={"changes": [queries.changes_of(part) for part in _parts(ids)]})
    except Refused as refusal:
        if refusal.status != FORBIDDEN:
            raise
        return []
    return read.rows("changes")


def _parts(ids: Sequence[UUID]) -> Iterable[Sequence[UUID]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
