"""Records that the change of a map hits: what is to be looked at, what came of it, and the values before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entities.map_run import (
    FAILED,
    BeforeImage,
    Candidate,
    ChangeStatus,
    ImageStatus,
    Look,
    Looked,
    LookFigures,
    LookShown,
    LookStatus,
    LookStep,
)
from domain.entities.sync_records import Of, shown
from ledger.chain import moment
from ledger.database import Database
from ledger.map_tables import BEFORE_IMAGES, MAP_CHANGES, MAP_LOOKS

SHOWN: Final = 100
"""Records of a change that are listed."""
_AT_ONCE: Final = 400
_RESTORABLE: Final = (ImageStatus.PLANNED.value, ImageStatus.WRITTEN.value)
_EMPTY: Final = {"before": "", "after": ""}
TOO_OLD: Final = "The values before were removed after their time"
_LOOKS, _IMAGES = MAP_LOOKS.c, BEFORE_IMAGES.c


async def queue(
    database: Database, change_id: str, entity: str, step: LookStep, found: Iterable[Candidate], now: datetime
) -> int:
    """Note records that a change hits, each once; how many are new. None where the change has ended meanwhile.

    A sync looks at those of the canary at once, and at those of all once the map is in force (``apply``).
    """
    new, every = 0, list(found)
    for start in range(0, len(every), _AT_ONCE):
        some = every[start : start + _AT_ONCE]
        async with database.writing() as connection:
            wanted = select(MAP_CHANGES.c.status).where(MAP_CHANGES.c.change_id == change_id).with_for_update()
            status = (await connection.execute(wanted)).scalar_one()
            if status not in (ChangeStatus.RUNNING, ChangeStatus.IN_FORCE):
                return new
            asked = select(_LOOKS.company, _LOOKS.key).where(
                _LOOKS.change_id == change_id, _LOOKS.key.in_({each.key for each in some})
            )
            known = {(row.company, row.key) for row in await connection.execute(asked)}
            fresh = {(each.company, each.key) for each in some} - known
            if fresh:
                row = {"change_id": change_id, "entity": entity, "step": step.value, "back": "", "text": "", "tries": 0}
                row |= {"status": LookStatus.WAITING.value, "waits": step is LookStep.CANARY, "next_at": moment(now)}
                rows = [row | {"company": company, "key": key} for company, key in sorted(fresh)]
                await connection.execute(insert(MAP_LOOKS), rows)
                new += len(rows)
    return new


async def due(database: Database, of: Of, now: datetime, most: int) -> list[Look]:
    """Records that a sync is to look at now, for the change that waits longest; what is taken back is in front."""
    mine = and_(_LOOKS.entity == of.entity, _LOOKS.company == of.company, _LOOKS.waits)
    wanted = select(MAP_LOOKS).where(mine, _LOOKS.next_at <= moment(now))
    order = wanted.order_by(_LOOKS.back.desc(), _LOOKS.next_at, _LOOKS.key).limit(most)
    async with database.reading() as connection:
        return [_look(row) for row in await connection.execute(order)]


async def waiting(database: Database, of: Of, now: datetime) -> int:
    """How many there are of them."""
    mine = and_(_LOOKS.entity == of.entity, _LOOKS.company == of.company, _LOOKS.waits)
    counted = select(func.count()).select_from(MAP_LOOKS).where(mine, _LOOKS.next_at <= moment(now))
    async with database.reading() as connection:
        return int((await connection.execute(counted)).scalar_one())


async def reading(database: Database, change_id: str, company: str, most: int) -> list[Look]:
    """Records that are read only, and were not yet."""
    mine = and_(_LOOKS.change_id == change_id, _LOOKS.company == company, _LOOKS.step == LookStep.READ.value)
    wanted = select(MAP_LOOKS).where(mine, _LOOKS.status == LookStatus.WAITING.value).order_by(_LOOKS.key).limit(most)
    async with database.reading() as connection:
        return [_look(row) for row in await connection.execute(wanted)]


async def images(
    database: Database, change_id: str, company: str, keys: Collection[str]
) -> dict[str, list[BeforeImage]]:
    """The values before that may still be restored, by key."""
    of = and_(_IMAGES.change_id == change_id, _IMAGES.company == company, _IMAGES.key.in_(list(keys)))
    wanted = select(BEFORE_IMAGES).where(of, _IMAGES.status.in_(_RESTORABLE)).order_by(_IMAGES.side, _IMAGES.field)
    found: dict[str, list[BeforeImage]] = {}
    async with database.reading() as connection:
        for row in await connection.execute(wanted):
            found.setdefault(row.key, []).append(BeforeImage.model_validate(dict(row._mapping)))
    return found


async def plan_images(
    database: Database,
    look: Look,
    settled: Iterable[BeforeImage],
    wanted: Sequence[BeforeImage],
    map_hash: str,
    now: datetime,
) -> bool:
    """Keep values before they are written; False: the change has ended, and nothing may be written for it.

    What was planned before and not written gives way: what stands there now is what is kept. ``settled``: what was.
    """
    async with database.writing() as connection:
        still = select(_LOOKS.waits).where(_same(look), _LOOKS.back == "", _LOOKS.waits).with_for_update()
        if (await connection.execute(still)).scalar_one_or_none() is None:
            return False
        of = _images_of(look)
        await _settle(connection, look, settled)
        await connection.execute(delete(BEFORE_IMAGES).where(of, _IMAGES.status == ImageStatus.PLANNED.value))
        about = {"change_id": look.change_id, "company": look.company, "key": look.key}
        about |= {"map_hash": map_hash, "at": moment(now)}
        known = select(_IMAGES.side, _IMAGES.field).where(of)
        there = {(row.side, row.field) for row in await connection.execute(known)}
        rows = [about | each.model_dump(mode="json") for each in wanted if (each.side, each.field) not in there]
        if rows:
            await connection.execute(insert(BEFORE_IMAGES), rows)
        return True


async def finish(database: Database, look: Look, looked: Looked, settled: Iterable[BeforeImage], now: datetime) -> None:
    """Keep what came of a look, and of the values; where the change has ended meanwhile, of the values alone."""
    async with database.writing() as connection:
        await _settle(connection, look, settled)
        back = look.step is LookStep.RESTORE
        mine = and_(_same(look), _LOOKS.back == (LookStatus.WAITING.value if back else ""))
        if looked.again_at is not None:
            later = {"next_at": moment(looked.again_at), "tries": look.tries + 1}
            await connection.execute(update(MAP_LOOKS).where(mine, _LOOKS.waits).values(later))
            return
        changed: dict[str, Any] = {"waits": False, "back" if back else "status": looked.status.value}
        if looked.text:  # why it was refused stays, however it went back
            changed["text"] = looked.text
        ended = _LOOKS.status == LookStatus.DROPPED.value
        await connection.execute(update(MAP_LOOKS).where(mine, ~ended if not back else mine).values(changed))


async def apply(connection: AsyncConnection, change_id: str, now: datetime) -> None:
    """Have all records looked at that wait for the map to be in force."""
    of = and_(_LOOKS.change_id == change_id, _LOOKS.step == LookStep.APPLY.value)
    waits = and_(of, _LOOKS.status == LookStatus.WAITING.value)
    await connection.execute(update(MAP_LOOKS).where(waits).values(waits=True, next_at=moment(now)))


async def drop(connection: AsyncConnection, change_id: str) -> None:
    """Look no more at what waits for a change."""
    waits = and_(_LOOKS.change_id == change_id, _LOOKS.status == LookStatus.WAITING.value, _LOOKS.back == "")
    await connection.execute(update(MAP_LOOKS).where(waits).values(status=LookStatus.DROPPED.value, waits=False))


async def drop_waiting(database: Database, change_id: str) -> None:
    """The same, as a transaction of its own."""
    async with database.writing() as connection:
        await drop(connection, change_id)


async def take_back(connection: AsyncConnection, change_id: str, now: datetime) -> None:
    """Have what a change wrote restored by the sync of each company; what it has not looked at is dropped."""
    await drop(connection, change_id)
    mine = _LOOKS.change_id == change_id
    again = {"back": LookStatus.WAITING.value, "waits": True, "next_at": moment(now), "tries": 0}
    await connection.execute(update(MAP_LOOKS).where(mine, _has(*_RESTORABLE)).values(again))
    gone = and_(mine, _LOOKS.back == "", _has(ImageStatus.EXPIRED.value))
    await connection.execute(update(MAP_LOOKS).where(gone).values(back=LookStatus.REFUSED.value, text=TOO_OLD))


async def expire(connection: AsyncConnection, which: ColumnElement[bool]) -> int:
    """Remove values that cannot be restored any more; how many."""
    old = and_(_IMAGES.status.in_(_RESTORABLE), which)
    done = await connection.execute(update(BEFORE_IMAGES).where(old).values(status=ImageStatus.EXPIRED.value, **_EMPTY))
    return int(done.rowcount)


async def expire_older(database: Database, before: datetime) -> int:
    """Remove the values before of what was written before a moment."""
    async with database.writing() as connection:
        return await expire(connection, _IMAGES.at < moment(before))


async def figures(connection: AsyncConnection, change_id: str) -> LookFigures:
    """How many records of a change came to what."""
    of = _LOOKS.step, _LOOKS.status, _LOOKS.back, _LOOKS.company
    counted = select(*of, func.count()).where(_LOOKS.change_id == change_id).group_by(*of)
    tried: dict[LookStatus, int] = {}
    applied: dict[LookStatus, int] = {}
    back: dict[LookStatus, int] = {}
    read_only: set[str] = set()
    for step, status, taken, company, number in await connection.execute(counted):
        into = applied if step == LookStep.APPLY else tried
        into[LookStatus(status)] = into.get(LookStatus(status), 0) + number
        if taken:
            back[LookStatus(taken)] = back.get(LookStatus(taken), 0) + number
        if step == LookStep.READ:
            read_only.add(company)
    return LookFigures(tried=tried, applied=applied, taken_back=back, read_only=tuple(sorted(read_only)))


async def listed(connection: AsyncConnection, change_id: str, *, edited: bool) -> tuple[LookShown, ...]:
    """Records of a change that somebody edited since, or that were refused or still differ."""
    failed = [each.value for each in FAILED]
    which = or_(_LOOKS.back.in_(failed), _LOOKS.status.in_(failed))
    if edited:
        which = _LOOKS.back == LookStatus.EDITED.value
    wanted = select(MAP_LOOKS).where(_LOOKS.change_id == change_id, which)
    rows = await connection.execute(wanted.order_by(_LOOKS.company, _LOOKS.key).limit(SHOWN))
    return tuple(
        LookShown(
            company=row.company,
            key=shown(row.key),
            status=LookStatus(row.back if edited or row.back in failed else row.status),
            text=row.text,
        )
        for row in rows
    )


async def _settle(connection: AsyncConnection, look: Look, settled: Iterable[BeforeImage]) -> None:
    """Keep what became of values; what cannot be restored any more goes."""
    for image in settled:
        same = and_(_images_of(look), _IMAGES.side == image.side, _IMAGES.field == image.field)
        values = image.model_dump(mode="json", include={"after", "status", "sales_version", "finance_version"})
        done = {} if image.status.value in _RESTORABLE else _EMPTY
        await connection.execute(update(BEFORE_IMAGES).where(same).values(values | done))


async def are_waiting(connection: AsyncConnection, entity: str) -> bool:
    """Whether records of an entity wait for their sync, for whatever change."""
    wanted = select(_LOOKS.key).where(_LOOKS.entity == entity, _LOOKS.waits).limit(1)
    return (await connection.execute(wanted)).first() is not None


def _has(*statuses: str) -> ColumnElement[bool]:
    """Whether a look has values before of such statuses."""
    same = and_(_IMAGES.change_id == _LOOKS.change_id, _IMAGES.company == _LOOKS.company, _IMAGES.key == _LOOKS.key)
    return exists(select(_IMAGES.key).where(same, _IMAGES.status.in_(statuses)))


def _same(look: Look) -> ColumnElement[bool]:
    return and_(_LOOKS.change_id == look.change_id, _LOOKS.company == look.company, _LOOKS.key == look.key)


def _images_of(look: Look) -> ColumnElement[bool]:
    return and_(_IMAGES.change_id == look.change_id, _IMAGES.company == look.company, _IMAGES.key == look.key)


def _look(row: Any) -> Look:
    step = LookStep.RESTORE if row.back else LookStep(row.step)
    return Look(change_id=row.change_id, company=row.company, key=row.key, step=step, tries=row.tries)
