"""What a parallel run reads of comparisons: which ended, what stands, and everything for whoever evaluates it.

Reads only; comparisons write (``ledger.differences``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, func, select

from domain.entities.comparing import DifferenceClass
from domain.entities.model import Owner
from domain.entities.parallel import Critical, Standing
from ledger.chain import moment
from ledger.comparison_runs import ComparisonRun, KeptDifference
from ledger.database import Database
from ledger.difference_pages import by_age
from ledger.differences import SETTLED, kept_comparison, kept_difference
from ledger.tables import COMPARISONS, DIFFERENCES

_PAGE: Final = 1_000


async def whole_since(database: Database, entity: str, company: str, since: datetime) -> ComparisonRun | None:
    """The newest comparison of all records that began at a moment or later; None: none has ended."""
    of = COMPARISONS.c
    wanted = (
        select(COMPARISONS)
        .where(of.entity == entity, of.company == company, of.whole, of.began_at >= moment(since))
        .order_by(of.ended_at.desc())
        .limit(1)
    )
    async with database.reading() as connection:
        row = (await connection.execute(wanted)).one_or_none()
    return kept_comparison(row) if row else None


async def standing(database: Database, entity: str, company: str, critical: Critical, now: datetime) -> Standing:
    """What stands of an entity in a company."""
    of = DIFFERENCES.c
    sums = by_age(now)
    ours = and_(of.entity == entity, of.company == company)
    wanted = (
        select(of.kind, of.field, of.owner, func.min(of.first_seen_at), func.count(), *sums)
        .where(ours, of.resolution == "")
        .group_by(of.kind, of.field, of.owner)
    )
    settled = select(func.count()).select_from(DIFFERENCES).where(ours, of.resolution == SETTLED)
    async with database.reading() as connection:
        groups = (await connection.execute(wanted)).all()
        let_stand = int((await connection.execute(settled)).scalar_one())
    opened, owners = dict[DifferenceClass, int](), dict[Owner, int]()
    ages, grave, oldest = [0] * len(sums), 0, now
    for kind, field, owner, first, count, *young in groups:
        opened[DifferenceClass(kind)] = opened.get(DifferenceClass(kind), 0) + int(count)
        owners[Owner(owner)] = owners.get(Owner(owner), 0) + int(count)
        ages = [before + int(more) for before, more in zip(ages, young, strict=True)]
        grave += int(count) if critical.covers(entity, kind, field) else 0
        oldest = min(oldest, datetime.fromisoformat(first))
    return Standing(
        open=opened,
        critical=grave,
        settled=let_stand,
        owners=owners,
        ages=tuple(ages),
        oldest_days=max(0, (now - oldest).days),
    )


async def comparisons(database: Database, company: str, since: datetime) -> AsyncIterator[list[ComparisonRun]]:
    """The comparisons of a company that ended at a moment or later, oldest first, some at a time."""
    of = COMPARISONS.c
    wanted = select(COMPARISONS).where(of.company == company, of.ended_at >= moment(since))
    async for rows in _paged(database, wanted, (of.ended_at, of.run_id)):
        yield [kept_comparison(row) for row in rows]


async def differences(database: Database, company: str) -> AsyncIterator[list[KeptDifference]]:
    """Every difference of a company that is kept, open or not, some at a time."""
    of = DIFFERENCES.c
    wanted = select(DIFFERENCES).where(of.company == company)
    async for rows in _paged(database, wanted, (of.first_seen_at, of.difference_id)):
        yield [kept_difference(row) for row in rows]


async def _paged(database: Database, wanted: Any, order: tuple[Any, Any]) -> AsyncIterator[list[Any]]:
    """Rows in the order of a moment and an id, a page at a time."""
    at, key = order
    after: tuple[str, str] | None = None
    async with database.reading() as connection:
        while True:
            query = wanted.order_by(at, key).limit(_PAGE)
            if after is not None:
                query = query.where((at > after[0]) | and_(at == after[0], key > after[1]))
            rows = (await connection.execute(query)).all()
            if not rows:
                return
            after = rows[-1]._mapping[at.key], rows[-1]._mapping[key.key]
            yield list(rows)
