"""What changed in Sales: pages of change tracking, and how single records stand now, without their lines.

Source: Microsoft Learn, "Use change tracking to synchronize data with external systems". A delta link belongs to one
table and takes no filter; it lives for seven days by default.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from dynamics.core.batch import Read
from dynamics.core.errors import NotFound, Refused, System
from dynamics.core.literals import key, query
from dynamics.core.odata import ODataClient, Row
from dynamics.core.rows import ReadRow
from dynamics.sales.records import Changes, OpportunityChange, OrderChange, QuoteChange

Table = Literal["quote", "opportunity", "salesorder"]

PAGE_ROWS = 500
"""Rows of one page of changes."""
IDS_PER_READ = 20
"""Ids compared in one filter."""

_QUOTE_COLUMNS = (
    "quoteid,versionnumber,quotenumber,revisionnumber,statecode,statuscode,q2c_approvalstatus,"
    "_opportunityid_value,_owningbusinessunit_value,_modifiedby_value,modifiedon,closedon"
)
_ORDER_COLUMNS = "salesorderid,versionnumber,ordernumber,statecode,_quoteid_value,q2c_financeordernumber,createdon"
_CLOSING_COLUMNS = "activityid,_opportunityid_value,createdon"


@dataclass(frozen=True, slots=True)
class _Tracked:
    """A table whose changes are read."""

    entity_set: str
    columns: str
    row: type[ReadRow]
    field: str
    """Where its rows stand in `Changes`."""


_TRACKED: dict[Table, _Tracked] = {
    "quote": _Tracked("quotes", _QUOTE_COLUMNS, QuoteChange, "quotes"),
    "opportunity": _Tracked(
        "opportunities", "opportunityid,statecode,_modifiedby_value,modifiedon", OpportunityChange, "opportunities"
    ),
    "salesorder": _Tracked("salesorders", _ORDER_COLUMNS, OrderChange, "orders"),
}


class SalesChanges:
    """Reads of one application on Dynamics 365 Sales, each one HTTP request."""

    def __init__(self, odata: ODataClient, *, page_rows: int = PAGE_ROWS) -> None:
        """Read through ``odata``, changes in pages of ``page_rows``."""
        self._odata = odata
        self._page_rows = page_rows

    async def page(self, table: Table, link: str | None) -> Changes:
        """One page of what changed in a table.

        Args:
            table: Its logical name.
            link: The delta link of the last sweep, or the next link of the page before. None begins: it yields every
                record there is and then the first delta link.

        A row that is not as expected is named in `unreadable`; it does not keep the others back.

        Raises:
            Refused: (any 4xx) with a link: it has expired, or is not taken for another reason: begin anew.
            ValueError: a link to another origin.
        """
        prefer = f"odata.track-changes,odata.maxpagesize={self._page_rows}"
        page = await self._odata.page(
            link or query(_TRACKED[table].entity_set, select=_TRACKED[table].columns), prefer=prefer
        )
        deleted = tuple(UUID(str(row["id"])) for row in page.rows if row.get("reason") == "deleted")
        rows = [row for row in page.rows if row.get("reason") != "deleted"]
        links = {"next_link": page.next_link, "delta_link": page.delta_link}
        return _changes(table, rows, deleted).model_copy(update=links)

    async def now(self, table: Table, ids: Sequence[UUID]) -> Changes:
        """How records stand now; those that are not there were deleted.

        Args:
            table: Its logical name.
            ids: At most 1,000.
        """
        of = _TRACKED[table]
        paths = [query(key(of.entity_set, each), select=of.columns) for each in ids]
        answers = await self._odata.batch([Read(path) for path in paths]) if paths else []
        missing = [isinstance(answer.error, NotFound) for answer in answers]
        return _changes(
            table,
            [answer.value() for answer, gone in zip(answers, missing, strict=True) if not gone],
            tuple(each for each, gone in zip(ids, missing, strict=True) if gone),
        )

    async def open_quotes(self, link: str | None) -> Changes:
        """One page of the quotes that are drafts or active, whenever they changed. Takes and raises as `page`."""
        wanted = query("quotes", select=_QUOTE_COLUMNS, filter="statecode eq 0 or statecode eq 1", orderby="quoteid")
        return await self._filtered("quote", link or wanted)

    async def orders_under_way(self, link: str | None) -> Changes:
        """One page of the open orders made from quotes that no order of Finance is known of. As `open_quotes`."""
        wanted = query(
            "salesorders",
            select=_ORDER_COLUMNS,
            filter="(statecode eq 0 or statecode eq 1) and q2c_financeordernumber eq null and _quoteid_value ne null",
            orderby="salesorderid",
        )
        return await self._filtered("salesorder", link or wanted)

    async def _filtered(self, table: Table, path_or_link: str) -> Changes:
        page = await self._odata.page(path_or_link, prefer=f"odata.maxpagesize={self._page_rows}")
        return _changes(table, page.rows, ()).model_copy(update={"next_link": page.next_link})

    async def quotes_of(self, opportunity_ids: Sequence[UUID]) -> tuple[QuoteChange, ...]:
        """How the quotes of opportunities stand now; those that cannot be read are left out."""
        rows = await self._related("quotes", _QUOTE_COLUMNS, "_opportunityid_value", opportunity_ids)
        return _changes("quote", rows, ()).quotes

    async def orders_of(self, quote_ids: Sequence[UUID]) -> tuple[OrderChange, ...]:
        """All orders made from quotes as they stand now; those that cannot be read are left out."""
        return _changes(
            "salesorder", await self._related("salesorders", _ORDER_COLUMNS, "_quoteid_value", quote_ids), ()
        ).orders

    async def last_closings(self, opportunity_ids: Sequence[UUID]) -> dict[UUID, UUID]:
        """Id of the last closing (opportunityclose) of each opportunity that was ever won or lost."""
        rows = await self._related("opportunitycloses", _CLOSING_COLUMNS, "_opportunityid_value", opportunity_ids)
        rows.sort(key=lambda row: str(row["createdon"]))
        return {UUID(str(row["_opportunityid_value"])): UUID(str(row["activityid"])) for row in rows}

    async def _related(self, entity_set: str, columns: str, lookup: str, ids: Sequence[UUID]) -> list[Row]:
        """Rows of a table that belong to others by a lookup, in one batch; of at most 5,000 rows for 20 of those."""
        reads = [
            Read(
                query(
                    entity_set,
                    select=columns,
                    filter=" or ".join(f"{lookup} eq {each}" for each in ids[start : start + IDS_PER_READ]),
                )
            )
            for start in range(0, len(ids), IDS_PER_READ)
        ]
        return [row for answer in await self._odata.batch(reads) for row in answer.rows()] if reads else []


def _changes(table: Table, rows: Sequence[Row], deleted: tuple[UUID, ...]) -> Changes:
    of = _TRACKED[table]
    read: list[ReadRow] = []
    unreadable: dict[str, str] = {}
    for row in rows:
        try:
            read.append(of.row.read(row, system=System.DATAVERSE, operation=f"changes of {table}"))
        except Refused as refusal:
            unreadable[str(row.get(f"{table}id", ""))] = refusal.message
    return Changes.model_validate({of.field: tuple(read), "deleted": deleted, "unreadable": unreadable})
