"""Letters in the ledger: each once for a record, a field and a cause, kept until a person or a success ends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entities.letters import (
    LONGEST_TEXT,
    LONGEST_VALUE,
    OF_RECORDS,
    STANDING,
    Letter,
    LetterGroup,
    LetterStatus,
    NewLetter,
    letter_id,
    reason_of,
)
from domain.entities.merge import LetterCause
from domain.entities.sync_records import Looked, shown
from domain.record import Record
from ledger.database import Database
from ledger.tables import LETTERS

A_SUCCESS: Final = "success"
"""Who ended a letter whose field is the same on both sides."""


class Kept(NamedTuple):
    """What became of letters."""

    written: int = 0
    ended: int = 0


class LetterFilter(Record):
    """Which letters are wanted; empty means all that stand."""

    entity: str = ""
    company: str = ""
    reason: str = ""
    cause: LetterCause | None = None
    replay: str = ""
    key: str = ""
    ids: tuple[str, ...] = ()
    ended: bool = False

    def of(self, wanted: Select[Any]) -> Select[Any]:
        """Narrow a question."""
        c = LETTERS.c
        if not self.ended:
            wanted = wanted.where(c.status.in_([status.value for status in STANDING]))
        for column, value in ((c.entity, self.entity), (c.company, self.company), (c.reason, self.reason)):
            wanted = wanted.where(column == value) if value else wanted
        for column, value in ((c.cause, self.cause or ""), (c.replay, self.replay), (c.key, self.key.upper())):
            wanted = wanted.where(column == value) if value else wanted
        return wanted.where(c.letter_id.in_(self.ids)) if self.ids else wanted


async def keep(connection: AsyncConnection, entity: str, company: str, looked: Looked, now: datetime) -> Kept:
    """Write the letters of a look, and end those whose field is the same now."""
    key, c, at = looked.due.key, LETTERS.c, _text(now)
    rows = (
        await connection.execute(select(LETTERS).where(c.entity == entity, c.company == company, c.key == key))
    ).all()
    before = {row.letter_id: row for row in rows}
    written: set[str] = set()
    for new in looked.letters:
        row = _row(entity, company, looked, new, at)
        written.add(row["letter_id"])
        known = before.get(row["letter_id"])
        if known is None:
            await connection.execute(insert(LETTERS).values(row))
            continue
        again = known.status not in STANDING
        kept = {} if again else {"first_at": known.first_at, "seen": known.seen + 1, "replay": known.replay}
        if known.status == LetterStatus.PROPOSED:
            kept |= {"status": known.status, "proposed": known.proposed, "proposed_by": known.proposed_by}
        await connection.execute(update(LETTERS).where(c.letter_id == row["letter_id"]).values(row | kept))
    ended = [
        row.letter_id
        for row in rows
        if row.status in STANDING and row.letter_id not in written and row.field in looked.agreed
    ]
    queued = [
        row.letter_id
        for row in rows
        if row.status == LetterStatus.QUEUED and row.letter_id not in written and row.letter_id not in ended
    ]
    await _end(connection, ended, LetterStatus.DONE, A_SUCCESS, at)
    if queued and looked.again_at is None:
        await connection.execute(update(LETTERS).where(c.letter_id.in_(queued)).values(status=LetterStatus.OPEN.value))
    return Kept(len(written), len(ended))


async def groups(database: Database, wanted: LetterFilter) -> list[LetterGroup]:
    """Letters by reason, the largest group in front."""
    c = LETTERS.c
    counted = wanted.of(
        select(c.reason, c.cause, func.count(), func.min(c.first_at), func.max(c.text)).group_by(c.reason, c.cause)
    )
    async with database.reading() as connection:
        rows = (await connection.execute(counted)).all()
    found = [
        LetterGroup(
            reason=reason,
            cause=LetterCause(cause),
            letters=int(number),
            oldest_at=datetime.fromisoformat(at),
            text=text,
        )
        for reason, cause, number, at, text in rows
    ]
    return sorted(found, key=lambda group: (-group.letters, group.reason))


async def listed(database: Database, wanted: LetterFilter, *, most: int, after: str = "") -> list[Letter]:
    """Letters in the order of their ids."""
    asked = wanted.of(select(LETTERS)).where(LETTERS.c.letter_id > after).order_by(LETTERS.c.letter_id).limit(most)
    async with database.reading() as connection:
        return [_letter(row) for row in await connection.execute(asked)]


async def one(connection: AsyncConnection, entity: str, company: str, letter: str) -> Letter | None:
    """A letter of a sync; None: there is none."""
    c = LETTERS.c
    asked = select(LETTERS).where(c.letter_id == letter, c.entity == entity, c.company == company)
    row = (await connection.execute(asked)).one_or_none()
    return None if row is None else _letter(row)


async def change(connection: AsyncConnection, ids: Sequence[str], values: Mapping[str, Any]) -> None:
    """Change letters."""
    if ids:
        await connection.execute(update(LETTERS).where(LETTERS.c.letter_id.in_(ids)).values(dict(values)))


async def dismiss(connection: AsyncConnection, letter: str, by: str, now: datetime) -> None:
    """End a letter by a person's word."""
    await _end(connection, [letter], LetterStatus.DISMISSED, by, _text(now))


async def count(database: Database, wanted: LetterFilter) -> dict[LetterCause, int]:
    """How many letters stand, by cause."""
    asked = wanted.of(select(LETTERS.c.cause, func.count()).group_by(LETTERS.c.cause))
    async with database.reading() as connection:
        return {LetterCause(cause): int(number) for cause, number in await connection.execute(asked)}


async def _end(connection: AsyncConnection, ids: Sequence[str], status: LetterStatus, by: str, at: str) -> None:
    if not ids:
        return
    c = LETTERS.c
    await connection.execute(
        update(LETTERS).where(c.letter_id.in_(ids)).values(status=status.value, ended_by=by[:200], ended_at=at)
    )
    hidden = {"finance_value": "", "sales_value": "", "proposed": None}
    await connection.execute(update(LETTERS).where(c.letter_id.in_(ids), c.pii).values(hidden))


def _row(entity: str, company: str, looked: Looked, new: NewLetter, at: str) -> dict[str, Any]:
    key, text = looked.due.key, new.text[:LONGEST_TEXT]
    field = "" if new.cause in OF_RECORDS else new.field
    return {
        "letter_id": letter_id(entity, company, key, new.cause, field),
        "entity": entity,
        "company": company,
        "key": key,
        "sales_id": looked.sales_id,
        "field": field,
        "cause": new.cause.value,
        "reason": reason_of(entity, company, new.cause, text),
        "text": text,
        "finance_value": new.finance_value[:LONGEST_VALUE],
        "sales_value": new.sales_value[:LONGEST_VALUE],
        "pii": new.pii,
        "status": LetterStatus.OPEN.value,
        "seen": 1,
        "first_at": at,
        "last_at": at,
        "proposed": None,
        "proposed_by": "",
        "replay": "",
        "ended_by": "",
        "ended_at": "",
    }


def _letter(row: Row[Any]) -> Letter:
    values = dict(row._mapping)
    ended = values["ended_at"] or None
    return Letter.model_validate(values | {"key": shown(row.key), "at": row.key, "ended_at": ended})


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
