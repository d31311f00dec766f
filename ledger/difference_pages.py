"""Differences as the site shows them: in pages, counted by class and age; and what people settle of them.

What is settled and its audit record are one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, and_, case, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import WORDS, AuditKind, AuditRecord
from domain.entities.data_words import DifferenceWord, seen_of
from domain.refusals import Refusal
from ledger.audit import Chain
from ledger.chain import moment
from ledger.comparison_runs import (
    AGES,
    ComparisonRun,
    Coverage,
    DifferenceFilter,
    DifferencePage,
    KeptDifference,
    OpenCount,
)
from ledger.database import Database
from ledger.differences import AGREES, SETTLED, kept_comparison, kept_difference
from ledger.tables import COMPARISONS, DIFFERENCES

_STATES: Final = {"open": [""], "settled": [SETTLED], "agrees": [AGREES]}
_MOST_COUNTS: Final = 2_000
_MOST_FIELDS: Final = 400


async def page(database: Database, wanted: DifferenceFilter, *, now: datetime, rows: int) -> DifferencePage:
    """A page of what is wanted, and what stands of all that its reader may see of the entity and company.

    Args:
        database: the ledger.
        wanted: which.
        now: of which ages are counted, UTC.
        rows: of the page.
    """
    async with database.reading() as connection:
        found = await _rows(connection, wanted, now, rows + 1)
        shown = found[:rows]
        return DifferencePage(
            rows=tuple(kept_difference(row) for row in shown),
            next=shown[-1].difference_id if len(found) > rows else "",
            counts=await _counts(connection, wanted, now),
            coverage=await _coverage(connection, wanted),
            fields=await _fields(connection, wanted),
        )


async def one(database: Database, difference_id: str) -> KeptDifference | None:
    """A difference; None: there is none."""
    async with database.reading() as connection:
        return await _one(connection, difference_id, changing=False)


async def say(database: Database, difference_id: str, word: DifferenceWord) -> Refusal | None:
    """Settle a difference or open it again; said again under its id, it changes nothing.

    Returns:
        Why it counts for nothing; None where it counts.
    """
    of = DIFFERENCES.c
    async with database.writing() as connection:
        known = await _one(connection, difference_id, changing=False)
        if known is None:
            return Refusal.NOT_FOUND
        chain = await Chain.locked(connection, known.company, word.at)
        known = await _one(connection, difference_id, changing=True)
        assert known is not None
        if known.settled_id == word.message_id:
            return None
        if known.resolution != ("" if word.settles else SETTLED):
            return Refusal.NOT_OPEN_ANY_MORE
        if word.seen != seen_of(known):
            return Refusal.CHANGED_MEANWHILE
        values = {
            "resolution": SETTLED if word.settles else "",
            "resolved_at": moment(word.at) if word.settles else "",
            "resolved_by": word.person.oid.lower() if word.settles else "",
            "resolved_name": word.person.name[:400] if word.settles else "",
            "reason": word.reason if word.settles else "",
            "settled_id": word.message_id,
        }
        await connection.execute(update(DIFFERENCES).where(of.difference_id == difference_id).values(values))
        await chain.append([_record(known, word)])
        return None


def _record(known: KeptDifference, word: DifferenceWord) -> AuditRecord:
    where = f"{known.entity} {known.key[:100]}{f' {known.field}' if known.field else ''}"
    return AuditRecord(
        record_id=f"difference/{word.message_id}",
        company=known.company,
        kind=AuditKind.DECISION,
        event="DifferenceSettled" if word.settles else "DifferenceReopened",
        at=word.at,
        actor=word.person.named,
        what=f"{where}: {'the difference may stand' if word.settles else 'the difference is open again'}",
        why=word.reason[:WORDS],
        before=known.resolution or "OPEN",
        after=SETTLED if word.settles else "OPEN",
        policy_version=word.policy_version,
        envelope_id=word.message_id,
        envelope_hash=hashlib.sha256(word.proof.encode()).hexdigest(),
        facts={"difference": known.difference_id, "class": known.kind.value},
    )


async def _one(connection: AsyncConnection, difference_id: str, *, changing: bool) -> KeptDifference | None:
    wanted = select(DIFFERENCES).where(DIFFERENCES.c.difference_id == difference_id)
    row = (await connection.execute(wanted.with_for_update() if changing else wanted)).one_or_none()
    return kept_difference(row) if row else None


async def _rows(connection: AsyncConnection, wanted: DifferenceFilter, now: datetime, most: int) -> Sequence[Row[Any]]:
    of = DIFFERENCES.c
    order = {"key": (of.entity, of.company, of.key, of.field), "oldest": (), "newest": ()}[wanted.sort]
    columns = (*order, of.difference_id) if order else (of.first_seen_at, of.difference_id)
    query = select(DIFFERENCES).where(*_scope(DIFFERENCES.c, wanted), *_narrow(wanted, now)).limit(most)
    down = wanted.sort == "newest"
    query = query.order_by(*(column.desc() if down else column for column in columns))
    if wanted.after:
        last = (await connection.execute(select(*columns).where(of.difference_id == wanted.after))).one_or_none()
        if last is not None:
            place, before = tuple_(*columns), tuple_(*last)
            query = query.where(place < before if down else place > before)
    return (await connection.execute(query)).all()


def _scope(of: Any, wanted: DifferenceFilter) -> list[Any]:
    """What a filter says of entity and company, for the columns ``of`` a table that has both."""
    conditions: list[Any] = []
    if wanted.companies is not None:
        conditions.append(of.company.in_(wanted.companies))
    if wanted.company:
        conditions.append(of.company == wanted.company)
    if wanted.entity:
        conditions.append(of.entity == wanted.entity)
    return conditions


def _narrow(wanted: DifferenceFilter, now: datetime) -> list[Any]:
    of = DIFFERENCES.c
    conditions = [of[name] == value for name in ("kind", "field", "owner") if (value := getattr(wanted, name))]
    if wanted.state != "any":
        conditions.append(of.resolution.in_(_STATES[wanted.state]))
    if wanted.key:
        conditions.append(of.key.startswith(wanted.key, autoescape=True))
    if wanted.older_than:
        conditions.append(of.first_seen_at <= moment(now - timedelta(days=wanted.older_than)))
    return conditions


def by_age(now: datetime) -> list[Any]:
    """How many differences are younger than each of `AGES`, and how many are older: four sums of a selection."""
    seen = DIFFERENCES.c.first_seen_at
    since = [moment(now - timedelta(days=days)) for days in AGES]
    bounds = [
        seen > since[0],
        and_(seen <= since[0], seen > since[1]),
        and_(seen <= since[1], seen > since[2]),
        seen <= since[2],
    ]
    return [func.sum(case((bound, 1), else_=0)) for bound in bounds]


async def _counts(connection: AsyncConnection, wanted: DifferenceFilter, now: datetime) -> tuple[OpenCount, ...]:
    of = DIFFERENCES.c
    sums = by_age(now)
    query = (
        select(of.entity, of.company, of.kind, *sums)
        .where(*_scope(DIFFERENCES.c, wanted), of.resolution == "")
        .group_by(of.entity, of.company, of.kind)
        .order_by(of.entity, of.company, of.kind)
        .limit(_MOST_COUNTS)
    )
    return tuple(
        OpenCount(entity=row[0], company=row[1], kind=row[2], ages=tuple(int(count) for count in row[3:]))
        for row in await connection.execute(query)
    )


async def _fields(connection: AsyncConnection, wanted: DifferenceFilter) -> tuple[str, ...]:
    of = DIFFERENCES.c
    query = (
        select(of.field)
        .where(*_scope(DIFFERENCES.c, wanted), of.resolution == "", of.field != "")
        .distinct()
        .order_by(of.field)
    )
    return tuple((await connection.execute(query.limit(_MOST_FIELDS))).scalars())


async def _coverage(connection: AsyncConnection, wanted: DifferenceFilter) -> dict[str, Coverage]:
    """The newest comparison of each entity and company, and the newest one of all records."""
    of = COMPARISONS.c
    newest = (
        select(of.entity, of.company, of.whole, func.max(of.ended_at).label("ended_at"))
        .where(*_scope(of, wanted))
        .group_by(of.entity, of.company, of.whole)
        .limit(_MOST_COUNTS)
        .subquery()
    )
    same = and_(
        of.entity == newest.c.entity,
        of.company == newest.c.company,
        of.whole == newest.c.whole,
        of.ended_at == newest.c.ended_at,
    )
    found: dict[str, dict[bool, ComparisonRun]] = {}
    for row in await connection.execute(select(COMPARISONS).join(newest, same)):
        run = kept_comparison(row)
        found.setdefault(f"{run.entity}/{run.company}", {})[run.whole] = run
    return {
        place: Coverage(last=max(runs.values(), key=lambda run: run.ended_at), whole=runs.get(True))
        for place, runs in sorted(found.items())
    }
