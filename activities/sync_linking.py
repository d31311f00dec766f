"""Rows of Sales without a key: the record of Finance of each is found or made, and its key is written to the row.

A record is never made twice: it carries our mark of its row, which is looked for before every attempt, and one that was
there already is known by its names below the same parent. A worker that is killed, and an answer that is lost, leave
what the next attempt finds.
"""

from __future__ import annotations

from typing import Any, Final

from activities.sync_creating import words_of
from domain.entities.merge import Finding, LetterCause
from domain.entities.model import BelongsTo
from domain.entities.new_rows import mark_of, new_values
from domain.entities.sync_records import key_of
from domain.record import Record
from dynamics.bulk import changes, sales
from dynamics.bulk.changes import SyncPlan
from dynamics.bulk.reader import Reader
from dynamics.bulk.texts import text_of
from dynamics.core.errors import Conflict, NotFound, Refused, Stale
from dynamics.core.odata import Row
from dynamics.synced import SyncWriter


class Linked(Record):
    """What became of a row without a key.

    Attributes:
        key: of its record, which the row has now; empty: it has none yet.
        created: the record was made just now.
        findings: why there is none.
        waits: it is looked at again by itself.
    """

    key: tuple[str, ...] = ()
    created: bool = False
    findings: tuple[Finding, ...] = ()
    waits: bool = False


class Linking:
    """Links rows of one map in one company with records of Finance."""

    def __init__(
        self, plan: SyncPlan, new: BelongsTo, in_finance: Reader, in_sales: Reader, writer: SyncWriter
    ) -> None:
        """Look with the readers, write with the writer; ``new`` says to what records belong."""
        self._plan = plan
        self._new = new
        self._in_finance = in_finance
        self._in_sales = in_sales
        self._writer = writer

    async def link(self, row: Row) -> Linked:
        """Find or make the record of a row as it was read, and write its key to the row.

        Raises:
            DynamicsError: a system does not answer, or somebody changed the row; the next attempt finds what was made.
        """
        plan, new = self._plan, self._new
        told = (text_of(sales.value_of(plan.sales, row, new.sales)) or "").strip()
        if not told:
            return Linked(waits=True)  # e.g. a contact of a prospect
        now = {name: both.sales for name, both in changes.values_of(plan, {}, row).items()}
        values, findings = new_values(plan.fields, now, now.get(plan.currency, ""), "finance")
        if findings:
            return Linked(findings=tuple(findings))
        parents = (await self._in_finance.page(changes.parent_of(plan, new, told))).rows
        parent = (text_of(parents[0].get(new.gives)) or "") if len(parents) == 1 else ""
        if not parent:
            return Linked(findings=(_no_parent(new, told, len(parents)),), waits=True)
        found = await self._found(str(row[plan.sales.id]), parent, values)
        if isinstance(found, Finding):
            return Linked(findings=(found,))
        created = found is None
        if found is None:
            try:
                found = await self._writer.create_in_finance(plan.finance_set, self._body(row, parent, values))
            except (Refused, NotFound, Conflict) as error:
                return Linked(findings=(Finding(field="", cause=LetterCause.REFUSED_BY_FINANCE, text=words_of(error)),))
        key = changes.finance_key(plan, found)
        if not all(key):
            return Linked(waits=True)  # it is known by its mark when it is looked for again
        refused = await self._tell(row, key)
        return Linked(findings=(refused,), created=created) if refused else Linked(key=key, created=created)

    async def _found(self, row_id: str, parent: str, values: dict[str, str]) -> Row | Finding | None:
        """The record of a row that is there already; a finding: nobody can say which one; None: there is none."""
        plan, new = self._plan, self._new
        asked = [changes.marked(plan, new, mark_of(row_id)), changes.alike(plan, new, parent, values)]
        ours, same = (answer.rows() for answer in await self._in_finance.together(asked))
        if ours:
            return ours[0]
        if not same:
            return None
        if len(same) > 1:
            return _TWINS
        key = key_of(changes.finance_key(plan, same[0]))
        (others,) = await self._in_sales.together(changes.rows_of_keys(plan, [key]))
        return _TAKEN if others.rows() else same[0]

    def _body(self, row: Row, parent: str, values: dict[str, str]) -> Row:
        plan, new = self._plan, self._new
        body: dict[str, Any] = {plan.company_column: plan.company} if plan.company_column else {}
        own = {new.column: parent, new.mark: mark_of(str(row[plan.sales.id]))}
        return body | {**plan.constants} | {name: value for name, value in values.items() if value} | own

    async def _tell(self, row: Row, key: tuple[str, ...]) -> Finding | None:
        """Write the key to the row, on the version that was read; why Sales refuses it."""
        plan = self._plan
        body = dict(zip(plan.sales_key, key, strict=True))
        etag = str(row.get("@odata.etag", ""))
        try:
            await self._writer.to_sales(plan.sales.entity_set, str(row[plan.sales.id]), body, etag, None)
        except Stale:
            raise
        except (Refused, NotFound, Conflict) as error:
            return Finding(field="", cause=LetterCause.REFUSED_BY_SALES, text=words_of(error))
        return None


def _no_parent(new: BelongsTo, told: str, number: int) -> Finding:
    text = f"Finance has {number or 'no'} records of {new.set} with the {new.key} {told[:100]!r}: it is tried again"
    return Finding(field="", cause=LetterCause.NOT_TELLABLE, text=text)


_TWINS: Final = Finding(
    field="",
    cause=LetterCause.DUPLICATE,
    text="Several records of Finance have this name; none of them is linked, and no other one is made",
)
_TAKEN: Final = Finding(
    field="",
    cause=LetterCause.DUPLICATE,
    text="The record of Finance with this name is linked with another row of Sales; no second one is made",
)
