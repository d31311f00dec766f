"""One look at a record that has changed: both sides are read, merged, written where it is to be, and read back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from activities.heartbeat import note_progress
from activities.sync_creating import Creating, words_of
from activities.sync_linking import Linking
from activities.sync_reading import WHOLE, Records, lone, pair_of, read_both
from domain.entities.letters import NewLetter
from domain.entities.merge import Both, Finding, LetterCause, Merged, Pair, edited, merge, not_taken, remembered
from domain.entities.merge_forms import number_of
from domain.entities.model import STATE, SideName
from domain.entities.new_rows import is_to_be_made, is_to_be_made_in_finance
from domain.entities.sync_records import Due, Looked, key_of, row_without
from dynamics.bulk import changes
from dynamics.bulk.changes import SyncPlan
from dynamics.bulk.reader import Reader
from dynamics.bulk.texts import text_of
from dynamics.core.errors import (
    Conflict,
    DynamicsError,
    NotFound,
    Refused,
    Stale,
    Throttled,
    Transient,
    UnknownOutcome,
    Unreachable,
)
from dynamics.core.odata import Row
from dynamics.synced import SyncWriter

AGAIN: Final = timedelta(seconds=5)
UNKNOWN = timedelta(seconds=30)
"""How long nothing is known of a new record whose answer was lost: Finance may still be making it."""
LONGEST: Final = timedelta(minutes=5)
"""How long a record that people edit at this moment is left alone, at most."""
SALES_READS: Final = 1_000
SIDES: Final[tuple[SideName, ...]] = ("finance", "sales")

_REFUSED: Final[Mapping[SideName, LetterCause]] = {
    "finance": LetterCause.REFUSED_BY_FINANCE,
    "sales": LetterCause.REFUSED_BY_SALES,
}


def again_at(due: Due) -> datetime:
    """When a record is looked at again that somebody edits at this moment, or of which nothing is known."""
    rest: timedelta = min(AGAIN * 2 ** min(due.tries, 10), LONGEST)
    return datetime.now(UTC) + rest


@dataclass
class Sent:
    """What was sent for a record, before it is read back: what was written, what was refused, what is not known."""

    done: Merged
    findings: list[Finding]
    stale: bool = False


@dataclass
class Written:
    """A record that was written and not read back yet: as it was read, what it was to have, and what was sent."""

    due: Due
    there: Row
    row: Row
    merged: Merged
    sent: Sent


@dataclass
class Done:
    """What a look did, beside what is kept of it."""

    looked: Looked
    to_finance: bool = False
    to_sales: bool = False
    undone: int = 0
    created: bool = False
    finance_version: str = ""
    unknown: bool = False
    """Nothing is known of what was sent: it is looked for later."""
    before: Done | None = None
    """What the same look came to under the key that a row has got."""


class Applying:
    """Looks at records of one sync, one after the other."""

    def __init__(self, plan: SyncPlan, in_finance: Reader, in_sales: Reader, writer: SyncWriter) -> None:
        """Read by the readers, write by the writer."""
        self._plan = plan
        self._in_finance = in_finance
        self._in_sales = in_sales
        self._writer = writer
        self._creating = None if plan.creation is None else Creating(plan, in_sales, writer)
        new = plan.belongs_to
        self._linking = None if new is None else Linking(plan, new, in_finance, in_sales, writer)

    async def look(self, wanted: Sequence[Due], read: Records) -> AsyncIterator[Done]:
        """Look at records as they were read, one after the other, and write what is to be; read back together.

        Raises:
            DynamicsError: a system does not answer; nothing is known of what was written, and a look finds out.
        """
        written: list[Written] = []
        failed: DynamicsError | None = None
        for number, due in enumerate(wanted, start=1):
            try:
                one = await self._look(due, read)
            except DynamicsError as error:
                failed = error  # what was written before is read back first
                break
            if isinstance(one, Written):
                written.append(one)
            else:
                if one.before is not None:
                    yield one.before
                yield one
            note_progress(number)
        if written:
            keys = [one.due.key for one in written]
            back = await read_both(self._plan, self._in_finance, self._in_sales, keys)
            for one in written:
                yield self._concluded(one, back)
        if failed is not None:
            raise failed

    async def _look(self, due: Due, read: Records) -> Done | Written:
        if row_without(due.key):
            return await self._without(due, read.sales[due.key])
        alone = lone(self._plan, due, read)
        there, rows = read.finance.get(due.key), read.sales[due.key]
        if alone is not None and there is not None and self._is_to_be_made(alone):
            return await self._make(alone, there)
        if alone is not None and there is None and rows and alone.paired and self._plan.deactivates:
            return await self._set_state(alone, rows[0], _INACTIVE)
        if alone is not None and there is not None and not rows and alone.paired and self._plan.retired:
            return await self._retire(alone, there)
        if alone is not None or there is None:
            assert alone is not None
            return Done(alone)
        if due.known.deactivated and rows[0].get(STATE) not in (None, _ACTIVE):
            return await self._restore(due, there, rows[0])
        pair = pair_of(self._plan, due, there, rows[0])
        return await self._write(due, there, rows[0], pair, merge(self._plan.fields, pair))

    # Rows without a key

    async def _without(self, due: Due, rows: Sequence[Row]) -> Done:
        """Have a row linked with its record of Finance, which is made where there is none."""
        gone = Looked(due=due, gone=True, agreed=frozenset({WHOLE, *(field.name for field in self._plan.fields)}))
        if not rows or self._linking is None:
            return Done(gone)
        row = rows[0]
        if key := changes.key_in_sales(self._plan, row):
            return await self._linked(due, key, gone)
        as_is = Looked(due=due, sales_id=str(row[self._plan.sales.id]), sales_version=changes.version_of(row))
        if not is_to_be_made_in_finance(due):
            return Done(as_is)
        try:
            linked = await self._linking.link(row)
        except (Unreachable, Throttled):
            raise
        except (Stale, Transient, UnknownOutcome):
            # What was made is found by its mark, once Finance has finished what it was doing.
            later = max(again_at(due), datetime.now(UTC) + UNKNOWN)
            return Done(as_is.model_copy(update={"again_at": later}), unknown=True)
        if linked.key:
            return await self._linked(due, key_of(linked.key), gone, created=linked.created)
        letters = tuple(self._letters(linked.findings, changes.values_of(self._plan, {}, row)))
        later_by_itself = again_at(due) if linked.waits else None
        done = Done(as_is.model_copy(update={"letters": letters, "again_at": later_by_itself}))
        done.created = linked.created
        return done

    async def _linked(self, due: Due, key: str, gone: Looked, *, created: bool = False) -> Done:
        """Look at a record under the key that its row has now: from then on its fields follow their owners."""
        names = tuple(field.name for field in self._plan.fields)
        now = Due(key=key, source=due.source, changed_at=due.changed_at, seen_at=due.seen_at, anew=names)
        read = await read_both(self._plan, self._in_finance, self._in_sales, [key])
        there, rows = read.finance.get(key), read.sales[key]
        if there is None or len(rows) != 1:
            return Done(gone, created=created)  # what it is then is told by the change of its key
        pair = pair_of(self._plan, now, there, rows[0])
        done = await self.write(now, there, rows[0], pair, merge(self._plan.fields, pair))
        done.created = created
        return Done(gone, before=done)

    async def _retire(self, alone: Looked, there: Row) -> Done:
        """Deactivate the record of Finance whose row Sales has deleted; nothing where it is so already."""
        plan = self._plan
        in_order = alone.model_copy(update={"agreed": frozenset({WHOLE})})
        if all(text_of(there.get(column)) == value for column, value in plan.retired.items()):
            return Done(in_order)
        try:
            await self._to_finance(there, plan.retired)
        except (Unreachable, Throttled):
            raise
        except (Stale, Transient, UnknownOutcome):
            return Done(alone.model_copy(update={"again_at": again_at(alone.due)}))
        except (Refused, NotFound, Conflict) as error:
            letter = NewLetter(cause=LetterCause.REFUSED_BY_FINANCE, text=words_of(error))
            return Done(alone.model_copy(update={"letters": (letter,)}))
        return Done(in_order, to_finance=True)

    async def _to_finance(self, there: Row, body: Mapping[str, Any]) -> None:
        """Change a record on the version that was read."""
        plan = self._plan
        of = {plan.company_column: plan.company} if plan.company_column else {}
        of |= dict(zip(plan.finance_key, changes.finance_key(plan, there), strict=True))
        await self._writer.to_finance(plan.finance_set, of, dict(body), str(there.get("@odata.etag", "")))

    def _is_to_be_made(self, alone: Looked) -> bool:
        """Whether Sales gets a row: it has none, never had one, and the map makes them."""
        if self._creating is None or alone.sales_id or alone.letters:
            return False
        return alone.paired or is_to_be_made(alone.due, alone.content)

    async def _restore(self, due: Due, there: Row, row: Row) -> Done:
        """Activate the row of a record that Finance has again, and go on with it."""
        as_is = Looked(
            due=due,
            sales_id=str(row[self._plan.sales.id]),
            paired=True,
            deactivated=True,
            fields=due.known.fields,
            sales_version=changes.version_of(row),
        )
        done = await self._set_state(as_is, row, _ACTIVE)
        if not done.to_sales:
            return done
        read = await read_both(self._plan, self._in_finance, self._in_sales, [due.key])
        there, row = read.finance.get(due.key, there), (read.sales[due.key] or [row])[0]
        pair = pair_of(self._plan, due, there, row)
        merged = await self.write(due, there, row, pair, merge(self._plan.fields, pair))
        merged.to_sales = True
        return merged

    async def _set_state(self, as_is: Looked, row: Row, state: int) -> Done:
        """Activate or deactivate a row, on the version that was read; nothing where it is so already."""
        in_order = as_is.model_copy(update={"agreed": frozenset({WHOLE})})
        if row.get(STATE) == state or (state == _INACTIVE and row.get(STATE) != _ACTIVE):
            return Done(in_order)
        note = (_GONE, _GONE_WORDS) if state == _INACTIVE else None
        entity_set, etag = self._plan.sales.entity_set, str(row.get("@odata.etag", ""))
        try:
            await self._writer.to_sales(entity_set, as_is.sales_id, {STATE: state}, etag, note)
        except (Unreachable, Throttled):
            raise
        except (Stale, Transient, UnknownOutcome):
            return Done(as_is.model_copy(update={"again_at": again_at(as_is.due)}))
        except (Refused, NotFound, Conflict) as error:
            letter = NewLetter(cause=LetterCause.REFUSED_BY_SALES, text=words_of(error))
            return Done(as_is.model_copy(update={"letters": (letter,)}))
        return Done(in_order.model_copy(update={"deactivated": state == _INACTIVE}), to_sales=True)

    async def _make(self, alone: Looked, there: Row) -> Done:
        """Make the row of Sales that a record lacks, and read it back."""
        assert self._creating is not None
        due = alone.due
        try:
            made = (await self._creating.create({due.key: there}))[due.key]
        except (Unreachable, Throttled):
            raise
        except (Stale, Transient, UnknownOutcome):
            return Done(alone.model_copy(update={"again_at": again_at(due)}))
        if made.findings:
            shown = {field.name: Both(finance=text_of(there.get(field.finance)) or "") for field in self._plan.fields}
            letters = tuple(self._letters(made.findings, shown))
            return Done(alone.model_copy(update={"letters": letters}))
        read = await read_both(self._plan, self._in_finance, self._in_sales, [due.key])
        now, rows = read.finance.get(due.key), read.sales[due.key]
        if now is None or len(rows) != 1:
            letter = NewLetter(cause=LetterCause.NOT_TAKEN, text="Sales took the new row and does not show it")
            return Done(alone.model_copy(update={"letters": (letter,)}), created=made.created)
        return Done(self.shown(due, now, rows[0], Merged(to_sales=made.to_sales)), created=made.created)

    def shown(self, due: Due, there: Row, row: Row, done: Merged, findings: Sequence[Finding] = ()) -> Looked:
        """What is kept of a record that both sides have, as they show it after what was done."""
        shown = changes.values_of(self._plan, there, row)
        currency = shown[self._plan.currency].finance if self._plan.currency else ""
        known = {finding.field for finding in findings}
        missed = [each for each in not_taken(self._plan.fields, done, shown, currency) if each.field not in known]
        agreed = merge(self._plan.fields, Pair(now=shown, currency=currency)).agreed
        return Looked(
            due=due,
            sales_id=str(row[self._plan.sales.id]),
            paired=True,
            fields=remembered(due.known.fields, shown),
            sales_version=changes.version_of(row),
            content=changes.content_of(self._plan, there),
            letters=tuple(self._letters([*findings, *missed], shown)),
            agreed=frozenset({WHOLE, *agreed}),
        )

    async def write(self, due: Due, there: Row, row: Row, pair: Pair, merged: Merged) -> Done:
        """Write what a pair is to have, and read it back. Raises as ``look``."""
        one = await self._write(due, there, row, pair, merged)
        if isinstance(one, Done):
            return one
        return self._concluded(one, await read_both(self._plan, self._in_finance, self._in_sales, [due.key]))

    async def _write(self, due: Due, there: Row, row: Row, pair: Pair, merged: Merged) -> Done | Written:
        one = Written(due, there, row, merged, await self.send(there, row, merged, pair))
        return one if one.sent.done.to_finance or one.sent.done.to_sales else self._concluded(one, None)

    def _concluded(self, one: Written, back: Records | None) -> Done:
        """What a look did, once it was read back; None: nothing was written."""
        there, row, sent, key = one.there, one.row, one.sent, one.due.key
        if back is not None:
            there, row = back.finance.get(key, there), (back.sales[key] or [row])[0]
        looked = self.shown(one.due, there, row, sent.done, sent.findings)
        before = changes.values_of(self._plan, one.there, one.row)
        if sent.stale or self.edited(before, there, row, sent.done):  # what was known before stays known
            looked = looked.model_copy(update={"again_at": again_at(one.due)})
        to_finance, to_sales = bool(sent.done.to_finance), bool(sent.done.to_sales)
        undone = len(one.merged.undone) if to_finance or to_sales else 0
        return Done(looked, to_finance, to_sales, undone, finance_version=str(there.get("@odata.etag", "")))

    def edited(self, before: Mapping[str, Both], there: Row, row: Row, done: Merged) -> dict[str, Both]:
        """What both sides had before, of fields that somebody edited between the reading and the reading back.

        Known by it, a field is seen for a change at the next look; by what is shown, it would be an old difference.
        """
        shown = changes.values_of(self._plan, there, row)
        currency = shown[self._plan.currency].finance if self._plan.currency else ""
        return {name: before[name] for name in edited(self._plan.fields, done, before, shown, currency)}

    async def send(self, there: Row, row: Row, merged: Merged, pair: Pair) -> Sent:
        """Write what is to be to both sides, each on the version that was read; a request a side.

        Raises:
            Unreachable, Throttled: so would all others be.
            DynamicsError: a system does not answer.
        """
        findings = list(merged.findings)
        written: set[SideName] = set()
        stale = False
        for side in SIDES:
            wanted, unfit = self._fitting(side, merged.to(side))
            findings += unfit
            if not wanted:
                continue
            try:
                await self._send(side, there, row, wanted, merged, pair)
                written.add(side)
            except (Unreachable, Throttled):
                raise  # so would all others
            except (Stale, Transient, UnknownOutcome):
                # Looked at again, while others are; what an unknown write came to is seen then.
                stale = True
            except (Refused, NotFound, Conflict) as error:
                findings += [Finding(field=name, cause=_REFUSED[side], text=words_of(error)) for name in wanted]
        done = Merged(
            to_finance=merged.to_finance if "finance" in written else {},
            to_sales=merged.to_sales if "sales" in written else {},
        )
        return Sent(done, findings, stale)

    def _fitting(self, side: SideName, wanted: Mapping[str, str]) -> tuple[dict[str, Any], list[Finding]]:
        """Values as a side's columns take them, by field, and those that they do not take."""
        fields = {field.name: field for field in self._plan.fields}
        found: dict[str, Any] = {}
        unfit: list[Finding] = []
        for name, value in wanted.items():
            field = fields[name]
            try:
                if side == "sales":
                    found[name] = changes.json_of(self._plan.kinds.get(field.sales, ""), value)
                else:
                    found[name] = (number_of(value) or Decimal(0)) if field.number else value
            except (ValueError, ArithmeticError):
                text = f"{value[:100]!r} is no value of {field.sales if side == 'sales' else field.finance}"
                unfit.append(Finding(field=name, cause=LetterCause.NOT_TELLABLE, text=text))
        return found, unfit

    async def _send(
        self, side: SideName, there: Row, row: Row, wanted: Mapping[str, Any], merged: Merged, pair: Pair
    ) -> None:
        plan = self._plan
        fields = {field.name: field for field in plan.fields}
        if side == "finance":
            await self._to_finance(there, {fields[name].finance: value for name, value in wanted.items()})
            return
        body = {fields[name].sales: value for name, value in wanted.items()}
        undone = [name for name in merged.undone if name in wanted]
        note = None if not undone else (_NOTE, "\n".join(_undone(name, pair.now[name]) for name in undone))
        await self._writer.to_sales(
            plan.sales.entity_set, str(row[plan.sales.id]), body, str(row.get("@odata.etag", "")), note
        )

    def _letters(self, findings: Iterable[Finding], shown: Mapping[str, Both]) -> Iterable[NewLetter]:
        private = {field.name for field in self._plan.fields if field.pii}
        for finding in findings:
            both = shown.get(finding.field, Both())
            yield NewLetter(
                field=finding.field,
                cause=finding.cause,
                text=finding.text,
                finance_value=both.finance,
                sales_value=both.sales,
                pii=finding.field in private,
            )


_ACTIVE: Final = 0
_INACTIVE: Final = 1
_NOTE: Final = "Changed back: the value is kept in Finance"
_GONE: Final = "Deactivated: Finance has the record no more"
_GONE_WORDS: Final = "It was deleted in Finance. Where it is there again, this row is activated by itself."


def _undone(name: str, now: Both) -> str:
    """What the person is told whose value was changed back."""
    label = name.replace("_", " ").capitalize()
    return (
        f"{label}: {now.sales or 'nothing'} was changed back to what Finance has, {now.finance or 'nothing'}. Finance "
        "owns this field: have it changed there, and it is shown here."
    )
