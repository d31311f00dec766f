"""What syncs know of records: how far they have looked, what was agreed last, and what is still to be looked at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Table, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entities.merge import Both, Said
from domain.entities.sync_records import Due, FinanceChange, Known, Looked, Noted, Of, SalesChange, Source, SweptRecord
from ledger import letters
from ledger.database import Database
from ledger.tables import SYNC_CURSORS, SYNC_PENDING, SYNC_RECORDS

LOOKS: Final = 2
"""How often a time of change is looked at: a second change within the same second has the same one."""
_AT_ONCE: Final = 400
T = TypeVar("T")


def _here(of: Of, table: Table) -> ColumnElement[bool]:
    """Rows of a table that are this sync's."""
    return and_(table.c.entity == of.entity, table.c.company == of.company)


async def place(database: Database, of: Of, source: str) -> dict[str, Any]:
    """Where the next look begins; empty: nobody has looked yet."""
    async with database.reading() as connection:
        return await _place(connection, of, source)


async def note_sales(
    database: Database,
    of: Of,
    rows: Sequence[SalesChange],
    deleted: Sequence[str],
    place: Mapping[str, Any],
    *,
    reading: int,
    all_read: bool,
) -> Noted:
    """Note a page of what changed in Sales.

    Args:
        database: the ledger.
        of: the sync.
        rows: rows that were changed.
        deleted: ids of rows that were deleted.
        place: where the next page begins.
        reading: number of the reading of all rows that this page belongs to; 0: of changes alone.
        all_read: it was the last page of such a reading: what no page had was deleted.
    """
    async with database.writing() as connection:
        by_row = await _by_row(connection, of, [*(row.sales_id for row in rows), *deleted])
        by_key = await _known(connection, of, {row.key for row in rows if row.key})
        found: dict[str, str] = {}
        known = without = 0
        for row in rows:
            before = by_row.get(row.sales_id)
            if before is not None and before.key != row.key:
                found.setdefault(before.key, row.changed_at)
            if not row.key:
                without += 1
                continue
            there = by_key.get(row.key)
            if there is not None and there.sales_id == row.sales_id and there.sales_version == row.version:
                known += 1
                continue
            found[row.key] = row.changed_at
        found |= {by_row[each].key: "" for each in deleted if each in by_row}
        if reading:
            await _mark(connection, of, "in_sales", [row.key for row in rows if row.key in by_key], reading)
            if all_read:
                found |= await _unseen(connection, of, "in_sales", reading)
        await _pend(connection, of, found, "sales")
        await _move(connection, of, "sales", place)
        return Noted(found=len(found), known=known, without_key=without)


async def note_finance(database: Database, of: Of, rows: Sequence[FinanceChange], place: Mapping[str, Any]) -> Noted:
    """Note a page of what Finance's own time of change says; ``place``: where the next page begins."""
    latest = {row.key: row.changed_at for row in sorted(rows, key=lambda row: row.changed_at)}
    async with database.writing() as connection:
        by_key = await _known(connection, of, latest)
        found: dict[str, str] = {}
        looks: list[dict[str, Any]] = []
        for key, at in latest.items():
            there = by_key.get(key)
            seen = there.finance_looks if there is not None and there.finance_at == at else 0
            if seen >= LOOKS:
                continue
            found[key] = at
            if there is not None:
                looks.append({"one": key, "at": at, "looks": seen + 1})
        if looks:
            await connection.execute(
                update(SYNC_RECORDS)
                .where(_here(of, SYNC_RECORDS), SYNC_RECORDS.c.key == bindparam("one"))
                .values(finance_at=bindparam("at"), finance_looks=bindparam("looks")),
                looks,
            )
        await _pend(connection, of, found, "finance")
        await _move(connection, of, "finance", place)
        return Noted(found=len(found), known=len(latest) - len(found))


async def note_swept(
    database: Database,
    of: Of,
    rows: Sequence[SweptRecord],
    place: Mapping[str, Any],
    *,
    sweep: int,
    all_read: bool,
    since: str,
) -> Noted:
    """Note a part of Finance that was read whole.

    Args:
        database: the ledger.
        of: the sync.
        rows: its records.
        place: where the sweep goes on.
        sweep: its number.
        all_read: it was the last part: what no part had was deleted.
        since: when the sweep before it ended: what is found was changed after that.
    """
    async with database.writing() as connection:
        by_key = await _known(connection, of, {row.key for row in rows})
        found = {row.key: since for row in rows if row.key not in by_key or by_key[row.key].finance_hash != row.content}
        await _mark(connection, of, "in_finance", [row.key for row in rows if row.key in by_key], sweep)
        if all_read:
            found |= dict.fromkeys(await _unseen(connection, of, "in_finance", sweep), since)
        await _pend(connection, of, found, "sweep")
        await _move(connection, of, "sweep", place)
        return Noted(found=len(found), known=len(rows) - len(found))


async def due(database: Database, of: Of, now: datetime, most: int) -> list[Due]:
    """Records that are to be looked at now, the one that waits longest in front."""
    table = SYNC_PENDING
    wanted = (
        select(table)
        .where(_here(of, table), table.c.next_at <= _text(now))
        .order_by(table.c.next_at, table.c.key)
        .limit(most)
    )
    async with database.reading() as connection:
        rows = (await connection.execute(wanted)).all()
        known = await _known(connection, of, {row.key for row in rows})
        began = str((await _place(connection, of, "sales")).get("began", ""))
    return [
        Due(
            key=row.key,
            source=row.source,
            changed_at=row.changed_at,
            seen_at=row.seen_at,
            tries=row.tries,
            said={name: Said.model_validate(said) for name, said in json.loads(row.said).items()},
            anew=tuple(json.loads(row.anew)),
            known=_as_known(known.get(row.key)),
            began=began,
        )
        for row in rows
    ]


async def waiting(database: Database, of: Of, now: datetime) -> tuple[int, int]:
    """How many records are to be looked at now, and how many at all."""
    counted = select(func.count()).select_from(SYNC_PENDING).where(_here(of, SYNC_PENDING))
    async with database.reading() as connection:
        at_all = int((await connection.execute(counted)).scalar_one())
        now_due = counted.where(SYNC_PENDING.c.next_at <= _text(now))
        return int((await connection.execute(now_due)).scalar_one()), at_all


async def keep(database: Database, of: Of, looked: Looked, now: datetime) -> letters.Kept:
    """Keep what a look at a record came to, its letters with it; what was found meanwhile is looked at again."""
    one = looked.due
    async with database.writing() as connection:
        kept = await letters.keep(connection, of.entity, of.company, looked, now)
        where = and_(_here(of, SYNC_PENDING), SYNC_PENDING.c.key == one.key, SYNC_PENDING.c.seen_at == one.seen_at)
        if looked.again_at is not None:
            changes = {"next_at": _text(looked.again_at), "tries": one.tries + 1}
            waits = await connection.execute(update(SYNC_PENDING).where(where).values(changes))
            if waits.rowcount == 0 and one.anew:  # a row that a first sync leaves alone is not judged anew
                await _have_wait(connection, of, one, looked.again_at)
            return kept
        await connection.execute(delete(SYNC_PENDING).where(where))
        mine = and_(_here(of, SYNC_RECORDS), SYNC_RECORDS.c.key == one.key)
        if looked.gone:
            await connection.execute(delete(SYNC_RECORDS).where(mine))
            return kept
        values = {
            "sales_id": looked.sales_id,
            "paired": looked.paired,
            "deactivated": looked.deactivated,
            "fields": json.dumps({name: both.model_dump() for name, both in looked.fields.items()}, sort_keys=True),
            "sales_version": looked.sales_version,
            "finance_hash": looked.content,
        }
        done = await connection.execute(update(SYNC_RECORDS).where(mine).values(values))
        if done.rowcount == 0:
            fresh = {"entity": of.entity, "company": of.company, "key": one.key, "finance_at": "", "finance_looks": 0}
            await connection.execute(insert(SYNC_RECORDS).values(fresh | values | {"in_sales": 0, "in_finance": 0}))
        return kept


async def fields_of(database: Database, of: Of, keys: Iterable[str]) -> dict[str, dict[str, Both]]:
    """Values of records as they were looked at last, by key and field."""
    async with database.reading() as connection:
        return {key: _as_known(row).fields for key, row in (await _known(connection, of, keys)).items()}


async def ask_again(
    connection: AsyncConnection,
    of: Of,
    keys: Mapping[str, Mapping[str, Said | None]],
    now: datetime,
) -> None:
    """Have records looked at again by a person's word: by field what is said, or None: judged anew."""
    await _pend(connection, of, dict.fromkeys(keys, ""), "person", now)
    table = SYNC_PENDING
    for key, fields in keys.items():
        mine = and_(_here(of, table), table.c.key == key)
        row = (await connection.execute(select(table.c.said, table.c.anew).where(mine))).one()
        said = json.loads(row.said) | {name: one.model_dump() for name, one in fields.items() if one is not None}
        anew = sorted({*json.loads(row.anew), *(name for name, one in fields.items() if one is None)})
        changes = {"said": json.dumps(said), "anew": json.dumps(anew)}
        await connection.execute(update(table).where(mine).values(changes))


async def part(connection: AsyncConnection, of: Of, key: str) -> None:
    """Forget that both sides had a record: that one of them lacks it is as somebody wants it."""
    mine = and_(_here(of, SYNC_RECORDS), SYNC_RECORDS.c.key == key)
    await connection.execute(update(SYNC_RECORDS).where(mine).values(paired=False))


# Inside


async def _place(connection: AsyncConnection, of: Of, source: str) -> dict[str, Any]:
    wanted = select(SYNC_CURSORS.c.place).where(_here(of, SYNC_CURSORS), SYNC_CURSORS.c.source == source)
    found = (await connection.execute(wanted)).scalar_one_or_none()
    return dict(json.loads(found)) if found else {}


async def move(database: Database, of: Of, source: str, place: Mapping[str, Any]) -> None:
    """Keep where the next look begins."""
    async with database.writing() as connection:
        await _move(connection, of, source, place)


async def _move(connection: AsyncConnection, of: Of, source: str, place: Mapping[str, Any]) -> None:
    text = json.dumps(place)
    mine = and_(_here(of, SYNC_CURSORS), SYNC_CURSORS.c.source == source)
    done = await connection.execute(update(SYNC_CURSORS).where(mine).values(place=text))
    if done.rowcount == 0:
        row = {"entity": of.entity, "company": of.company, "source": source, "place": text}
        await connection.execute(insert(SYNC_CURSORS).values(row))


async def _have_wait(connection: AsyncConnection, of: Of, one: Due, at: datetime) -> None:
    """Have a record looked at again that did not wait under its key: its row has got it just now."""
    here = and_(_here(of, SYNC_PENDING), SYNC_PENDING.c.key == one.key)
    anew = (await connection.execute(select(SYNC_PENDING.c.anew).where(here))).scalar_one_or_none()
    if anew is None:
        await _pend(connection, of, {one.key: one.changed_at}, one.source, at)
    judged = sorted({*json.loads(anew or "[]"), *one.anew})
    await connection.execute(update(SYNC_PENDING).where(here).values(anew=json.dumps(judged)))


async def _pend(
    connection: AsyncConnection, of: Of, found: Mapping[str, str], source: Source, now: datetime | None = None
) -> None:
    """Note that records are to be looked at; of one that waits already, the earliest change counts."""
    if not found:
        return
    at = _text(now or datetime.now(UTC))
    table = SYNC_PENDING
    waits: set[str] = set()
    for some in _some(list(found)):
        asked = select(table.c.key).where(_here(of, table), table.c.key.in_(some))
        waits |= {row.key for row in await connection.execute(asked)}
    if waits:
        await connection.execute(
            update(table)
            .where(_here(of, table), table.c.key == bindparam("one"))
            .values(seen_at=bindparam("at"), next_at=bindparam("at"), tries=0),
            [{"one": key, "at": at} for key in waits],
        )
    fresh = [
        {
            "entity": of.entity,
            "company": of.company,
            "key": key,
            "source": source,
            "changed_at": changed,
            "seen_at": at,
            "next_at": at,
            "tries": 0,
            "said": "{}",
            "anew": "[]",
        }
        for key, changed in found.items()
        if key not in waits
    ]
    if fresh:
        await connection.execute(insert(table), fresh)


async def _by_row(connection: AsyncConnection, of: Of, ids: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for some in _some(ids):
        wanted = select(SYNC_RECORDS).where(_here(of, SYNC_RECORDS), SYNC_RECORDS.c.sales_id.in_(some))
        found |= {row.sales_id: row for row in await connection.execute(wanted)}
    return found


async def _known(connection: AsyncConnection, of: Of, keys: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for some in _some(list(keys)):
        wanted = select(SYNC_RECORDS).where(_here(of, SYNC_RECORDS), SYNC_RECORDS.c.key.in_(some))
        found |= {row.key: row for row in await connection.execute(wanted)}
    return found


async def _mark(connection: AsyncConnection, of: Of, column: str, keys: Sequence[str], number: int) -> None:
    for some in _some(keys):
        mine = and_(_here(of, SYNC_RECORDS), SYNC_RECORDS.c.key.in_(some))
        await connection.execute(update(SYNC_RECORDS).where(mine).values({column: number}))


async def _unseen(connection: AsyncConnection, of: Of, column: str, number: int) -> dict[str, str]:
    """Records that both sides had, and that a reading of all has not found."""
    wanted = select(SYNC_RECORDS.c.key).where(
        _here(of, SYNC_RECORDS), SYNC_RECORDS.c.paired, SYNC_RECORDS.c[column] < number
    )
    return {row.key: "" for row in await connection.execute(wanted)}


def _as_known(row: Any) -> Known:
    if row is None:
        return Known()
    fields = {name: Both.model_validate(both) for name, both in json.loads(row.fields).items()}
    return Known(
        sales_id=row.sales_id,
        paired=row.paired,
        fields=fields,
        content=row.finance_hash,
        deactivated=row.deactivated,
    )


def _some(of: Sequence[T]) -> Iterator[Sequence[T]]:
    """Some at a time: as many as one question of a database may name."""
    for start in range(0, len(of), _AT_ONCE):
        yield of[start : start + _AT_ONCE]


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
