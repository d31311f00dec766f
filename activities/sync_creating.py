"""Rows of Sales that are made for records of Finance, by the map: looked for first, and never made twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from domain.entities.merge import Finding, LetterCause
from domain.entities.new_rows import new_row_id, new_values
from domain.entities.sync_records import Of
from domain.record import Record
from dynamics.bulk import changes
from dynamics.bulk.changes import SyncPlan
from dynamics.bulk.new_rows import Creation, Lookups
from dynamics.bulk.reader import Reader
from dynamics.bulk.texts import text_of
from dynamics.core.errors import Conflict, DynamicsError, NotFound, Refused, Stale
from dynamics.core.odata import Row
from dynamics.synced import SyncWriter

MOST_AT_ONCE = 100


class Made(Record):
    """What became of a row that was to be made.

    Attributes:
        row_id: of the row, whether it is there or not.
        created: it was made just now.
        findings: why it was not made; none: it is there.
        to_sales: the values it was given, by field.
    """

    row_id: str
    created: bool = False
    findings: tuple[Finding, ...] = ()
    to_sales: dict[str, str] = Field({})


class Creating:
    """Makes rows of one map in one company."""

    def __init__(self, plan: SyncPlan, in_sales: Reader, writer: SyncWriter) -> None:
        """Look with the reader, write with the writer; the plan says how rows are made (``plan.creation``)."""
        assert plan.creation is not None
        self._plan = plan
        self._creation: Creation = plan.creation
        self._in_sales = in_sales
        self._writer = writer
        self._lookups = Lookups(plan.creation, in_sales)
        self._everywhere = plan.model_copy(update={"sales_filter": plan.creation.looked_through})

    async def create(self, records: Mapping[str, Row]) -> dict[str, Made]:
        """Make the rows of records that Sales lacks; a few requests for up to a hundred of them.

        Args:
            records: of Finance, by key, with the columns of the plan.

        Raises:
            DynamicsError: a system does not answer; what was made is found when it is tried again.
        """
        assert len(records) <= MOST_AT_ONCE
        of = Of(self._plan.entity, self._plan.company)
        ids = {one: new_row_id(of, one) for one in records}
        if self._creation.trouble:
            finding = Finding(field="", cause=LetterCause.NOT_TELLABLE, text=self._creation.trouble)
            return {one: Made(row_id=ids[one], findings=(finding,)) for one in records}
        made = {one: Made(row_id=ids[one], findings=_TAKEN) for one in await self._taken(list(records))}
        wanted = {one: values_of_new(self._plan, row) for one, row in records.items() if one not in made}
        await self._lookups.find(
            (path, value)
            for one, (values, findings) in wanted.items()
            if not findings
            for path, value in self._given(records[one], values).items()
            if "." in path
        )
        bodies: dict[str, Row] = {}
        for one, (values, findings) in wanted.items():
            body = {} if findings else self._body(records[one], values, findings)
            if findings:
                made[one] = Made(row_id=ids[one], findings=tuple(findings))
            else:
                bodies[one] = body
        return made | await self._send(bodies, ids, {one: values for one, (values, _) in wanted.items()})

    async def _taken(self, keys: Sequence[str]) -> list[str]:
        """Those of keys that a row of the company has, whether the map means it or not; one request."""
        if not keys:
            return []
        paths = changes.rows_of_keys(self._everywhere, keys)
        answers = await self._in_sales.together(paths)
        return [one for one, answer in zip(keys, answers, strict=True) if answer.rows()]

    def _body(self, row: Row, values: Mapping[str, str], findings: list[Finding]) -> Row:
        """What a request says of a new row; what it cannot say is added to the findings."""
        plan = self._plan
        names = {field.sales: field.name for field in plan.fields}
        body: dict[str, Any] = dict(self._creation.company)
        for column, value in self._given(row, values).items():
            try:
                if "." in column:
                    body |= self._lookups.bound(column, value)
                else:
                    body[column] = changes.json_of(plan.kinds.get(column, ""), value)
            except (ValueError, ArithmeticError) as error:
                text = str(error) if "." in column else f"{value[:100]!r} is no value of {column}"
                findings.append(Finding(field=names.get(column, ""), cause=LetterCause.NOT_TELLABLE, text=text))
        return body

    def _given(self, row: Row, values: Mapping[str, str]) -> dict[str, str]:
        """All that a new row is given, by column: constants, values, and its key."""
        plan = self._plan
        key = dict(zip(plan.sales_key, changes.finance_key(plan, row), strict=True))
        return {**self._creation.constants, **values, **key}

    async def _send(
        self, bodies: Mapping[str, Row], ids: Mapping[str, str], values: Mapping[str, Mapping[str, str]]
    ) -> dict[str, Made]:
        if not bodies:
            return {}
        rows = [(ids[one], body) for one, body in bodies.items()]
        errors = dict(zip(bodies, await self._writer.create_in_sales(self._plan.sales.entity_set, rows), strict=True))
        # A row of this id, or of this key, is there: the one that was made before, or somebody else's.
        there = await self._taken([one for one, error in errors.items() if isinstance(error, Conflict)])
        names = {field.sales: field.name for field in self._plan.fields}
        made: dict[str, Made] = {}
        for one, error in errors.items():
            if error is None or one in there:
                given = {names[column]: value for column, value in values[one].items() if column in names}
                made[one] = Made(row_id=ids[one], created=error is None, to_sales=given)
            elif isinstance(error, (Refused, NotFound, Conflict)) and not isinstance(error, Stale):
                finding = Finding(field="", cause=LetterCause.REFUSED_BY_SALES, text=words_of(error))
                made[one] = Made(row_id=ids[one], findings=(finding,))
            else:
                raise error
        return made


def values_of_new(plan: SyncPlan, row: Row) -> tuple[dict[str, str], list[Finding]]:
    """The values of the row that a record of Finance asks for, by column of Sales, and why it cannot be made."""
    values = {field.name: text_of(row.get(field.finance)) or "" for field in plan.fields}
    return new_values(plan.fields, values, values[plan.currency] if plan.currency else "")


def words_of(error: DynamicsError) -> str:
    """What a system said; the last line of an infolog says why."""
    return " ".join(error.infolog) if error.infolog else error.message


_TAKEN = (
    Finding(
        field="",
        cause=LetterCause.DUPLICATE,
        text="A row of Sales has this key already and is none of those the map means; no second one is made",
    ),
)
