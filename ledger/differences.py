"""What comparisons found, as rows: each difference once, since when it stands, and when it was gone.

A comparison of all records closes what it does not find any more; one of a sample closes nothing. The values of a
closed difference that are personal data are removed. What a person settled stays settled while its values are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.entities.comparing import Difference
from domain.entities.comparison_view import ComparisonFigures
from ledger.comparison_runs import ComparisonRun, KeptDifference
from ledger.database import Database
from ledger.tables import COMPARISONS, DIFFERENCES

AGREES: Final = "AGREES"
"""Resolution of a difference that a comparison of all records did not find any more."""
SETTLED: Final = "SETTLED"
"""Resolution of a difference that a person lets stand; with other values it is open again."""
_KNOWN_AT_ONCE: Final = 500
_PAGE: Final = 1_000
_NOT_SETTLED: Final = dict.fromkeys(
    ("resolution", "resolved_at", "resolved_by", "resolved_name", "reason", "settled_id"), ""
)
_CHANGING: Final = (
    "lacking",
    "finance_value",
    "sales_value",
    "sales_ids",
    "owner",
    "pii",
    "last_seen_at",
    "last_run",
    *_NOT_SETTLED,
)
"""What another look says anew of a difference that is known."""
_SAME: Final = ("kind", "lacking", "finance_value", "sales_value", "sales_ids")
"""What makes a settled difference the one that was settled."""
LONGEST_KEY: Final = 400


async def keep(database: Database, run: ComparisonRun, found: Iterable[Sequence[Difference]]) -> ComparisonRun:
    """Keep what a comparison found; tried again, it goes on where it was and comes to the same.

    Some differences are one transaction: audit records wait for the same database.

    Args:
        database: the ledger.
        run: the comparison; what is new and what is gone is added to its figures.
        found: its differences, some at a time.

    Returns:
        The comparison as it is kept.
    """
    if kept := await comparison(database, run.run_id):
        return kept
    for some in found:
        async with database.writing() as connection:
            await _seen(connection, run, {row["difference_id"]: row for row in (_row(run, each) for each in some)})
    async with database.writing() as connection:
        if run.whole:
            await _close_others(connection, run)
        done = run.model_copy(update={"figures": await _counted(connection, run)})
        await connection.execute(
            insert(COMPARISONS).values(
                done.model_dump(exclude={"began_at", "ended_at", "figures"})
                | {"began_at": moment_text(run.began_at), "ended_at": moment_text(run.ended_at)}
                | {"figures": done.figures.model_dump_json()}
            )
        )
    return done


async def comparison(database: Database, run_id: str) -> ComparisonRun | None:
    """A comparison that came to its end; None: none did."""
    async with database.reading() as connection:
        return await _run(connection, run_id)


async def comparisons(
    database: Database, *, entity: str = "", company: str = "", limit: int = 50
) -> list[ComparisonRun]:
    """The comparisons that ended last, newest first."""
    wanted = select(COMPARISONS).order_by(COMPARISONS.c.ended_at.desc()).limit(limit)
    if entity:
        wanted = wanted.where(COMPARISONS.c.entity == entity)
    if company:
        wanted = wanted.where(COMPARISONS.c.company == company)
    async with database.reading() as connection:
        return [kept_comparison(row) for row in await connection.execute(wanted)]


async def open_differences(
    database: Database, entity: str, company: str, *, run_id: str = "", most: int | None = None
) -> AsyncIterator[list[KeptDifference]]:
    """The open differences of an entity in a company in the order of keys, some at a time.

    Args:
        database: the ledger.
        entity: of the map.
        company: legal entity, lower case.
        run_id: only what this comparison found; empty: all.
        most: at most so many; None: all.
    """
    after: tuple[str, str] | None = None
    left = most
    async with database.reading() as connection:
        while left is None or left > 0:
            of = DIFFERENCES.c
            wanted = (
                select(DIFFERENCES)
                .where(of.entity == entity, of.company == company, of.resolution == "")
                .order_by(of.key, of.field)
                .limit(_PAGE if left is None else min(_PAGE, left))
            )
            if run_id:
                wanted = wanted.where(of.last_run == run_id)
            if after is not None:
                wanted = wanted.where(or_(of.key > after[0], and_(of.key == after[0], of.field > after[1])))
            rows = (await connection.execute(wanted)).all()
            if not rows:
                return
            after = rows[-1].key, rows[-1].field
            left = None if left is None else left - len(rows)
            yield [kept_difference(row) for row in rows]


async def count_open(database: Database, entity: str, company: str) -> dict[str, int]:
    """How many differences of each class are open."""
    of = DIFFERENCES.c
    wanted = (
        select(of.kind, func.count())
        .where(of.entity == entity, of.company == company, of.resolution == "")
        .group_by(of.kind)
    )
    async with database.reading() as connection:
        return {kind: int(count) for kind, count in await connection.execute(wanted)}


async def _seen(connection: AsyncConnection, run: ComparisonRun, rows: Mapping[str, dict[str, Any]]) -> None:
    """Keep some differences."""
    of = DIFFERENCES.c
    stood: dict[str, str] = {}
    still: list[str] = []
    for some in _chunked(list(rows)):
        known = select(of.difference_id, of.resolution, *(of[name] for name in _SAME))
        for row in await connection.execute(known.where(of.difference_id.in_(some)).with_for_update()):
            stood[row.difference_id] = row.resolution
            values = row._mapping
            if row.resolution == SETTLED and all(values[name] == rows[row.difference_id][name] for name in _SAME):
                still.append(row.difference_id)
    for some in _chunked(still):
        seen = {"last_seen_at": moment_text(run.ended_at), "last_run": run.run_id}
        await connection.execute(update(DIFFERENCES).where(of.difference_id.in_(some)).values(seen))
    if fresh := [row for key, row in rows.items() if key not in stood]:
        await connection.execute(insert(DIFFERENCES), fresh)
    # What was gone or settled and is back stands since now.
    settled = set(still)
    for resolved in (False, True):
        changing = ("kind", *_CHANGING, *(("first_seen_at",) if resolved else ()))
        changes = [
            {"known_id": key} | {f"new_{name}": rows[key][name] for name in changing}
            for key, resolution in stood.items()
            if bool(resolution) == resolved and key not in settled
        ]
        if changes:
            new: dict[Any, Any] = {name: bindparam(f"new_{name}") for name in changing}
            await connection.execute(
                update(DIFFERENCES).where(of.difference_id == bindparam("known_id")).values(new), changes
            )


def _chunked(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Some of the keys at a time: as many as one question of a database may name."""
    for start in range(0, len(keys), _KNOWN_AT_ONCE):
        yield keys[start : start + _KNOWN_AT_ONCE]


async def _close_others(connection: AsyncConnection, run: ComparisonRun) -> None:
    of = DIFFERENCES.c
    standing = of.resolution.in_(["", SETTLED])
    others = and_(of.entity == run.entity, of.company == run.company, standing, of.last_run != run.run_id)
    hidden = {"finance_value": "", "sales_value": ""}
    await connection.execute(update(DIFFERENCES).where(others, of.pii).values(hidden))
    closed = _NOT_SETTLED | {"resolution": AGREES, "resolved_at": moment_text(run.ended_at)}
    await connection.execute(update(DIFFERENCES).where(others).values(closed))


async def _counted(connection: AsyncConnection, run: ComparisonRun) -> ComparisonFigures:
    of, now = DIFFERENCES.c, moment_text(run.ended_at)
    ours = and_(of.entity == run.entity, of.company == run.company)

    async def count(*conditions: Any) -> int:
        asked = select(func.count()).select_from(DIFFERENCES).where(ours, *conditions)
        return int((await connection.execute(asked)).scalar_one())

    return run.figures.model_copy(
        update={
            "open": await count(of.last_run == run.run_id, of.resolution == ""),
            "new": await count(of.last_run == run.run_id, of.first_seen_at == now),
            "gone": await count(of.resolution == AGREES, of.resolved_at == now),
        }
    )


async def _run(connection: AsyncConnection, run_id: str) -> ComparisonRun | None:
    rows = (await connection.execute(select(COMPARISONS).where(COMPARISONS.c.run_id == run_id))).all()
    return kept_comparison(rows[0]) if rows else None


def kept_comparison(row: Row[Any]) -> ComparisonRun:
    """A row as a comparison."""
    values = dict(row._mapping)
    return ComparisonRun.model_validate(values | {"figures": json.loads(values["figures"])})


def _row(run: ComparisonRun, found: Difference) -> dict[str, Any]:
    key = found.key if len(found.key) <= LONGEST_KEY else found.key[: LONGEST_KEY - 65] + "~" + _hash(found.key)
    now = moment_text(run.ended_at)
    return {
        "difference_id": _hash(run.entity, run.company, found.key, found.field),
        "entity": run.entity,
        "company": run.company,
        "kind": found.kind.value,
        "key": key,
        "field": found.field,
        "lacking": found.lacking or "",
        "finance_value": found.finance_value,
        "sales_value": found.sales_value,
        "sales_ids": found.sales_ids,
        "owner": found.owner.value,
        "pii": found.pii,
        "first_seen_at": now,
        "last_seen_at": now,
        "last_run": run.run_id,
        **_NOT_SETTLED,
    }


def kept_difference(row: Row[Any]) -> KeptDifference:
    """A row as a difference."""
    values = dict(row._mapping)
    return KeptDifference.model_validate(
        values | {"lacking": values["lacking"] or None, "resolved_at": values["resolved_at"] or None}
    )


def _hash(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


def moment_text(moment: datetime) -> str:
    """A moment as rows hold it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
