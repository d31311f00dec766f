"""Dry runs of initial syncs and the gate's verdicts, as rows: each is written once and never changed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import Row, and_, func, insert, select
from sqlalchemy.exc import IntegrityError

from domain.entities.gate import Verdict
from domain.entities.initial import DryRun
from ledger.database import Database
from ledger.differences import moment_text
from ledger.tables import DRY_RUNS, GATE_VERDICTS

MOST_READ: Final = 200


async def keep_dry_run(database: Database, run: DryRun) -> None:
    """Keep a dry run; one that is kept already stays as it is."""
    row = run.model_dump(exclude={"began_at", "ended_at", "figures"}) | {
        "began_at": moment_text(run.began_at),
        "ended_at": moment_text(run.ended_at),
        "figures": run.figures.model_dump_json(),
    }
    try:
        async with database.writing() as connection:
            await connection.execute(insert(DRY_RUNS).values(row))
    except IntegrityError:
        return  # the activity is tried again


async def last_dry_run(database: Database, entity: str, company: str) -> DryRun | None:
    """The dry run that ended last; None: there is none."""
    of = DRY_RUNS.c
    wanted = (
        select(DRY_RUNS)
        .where(of.entity == entity, of.company == company)
        .order_by(of.ended_at.desc(), of.run_id)
        .limit(1)
    )
    async with database.reading() as connection:
        rows = (await connection.execute(wanted)).all()
    return _dry_run(rows[0]) if rows else None


async def dry_run(database: Database, run_id: str) -> DryRun | None:
    """A dry run; None: it is not known."""
    async with database.reading() as connection:
        rows = (await connection.execute(select(DRY_RUNS).where(DRY_RUNS.c.run_id == run_id))).all()
    return _dry_run(rows[0]) if rows else None


async def last_dry_runs(database: Database, companies: Collection[str] | None) -> list[DryRun]:
    """The dry run that ended last of each entity and company, newest first; None: of all companies."""
    of = DRY_RUNS.c
    last = (
        select(of.entity, of.company, func.max(of.ended_at).label("ended_at"))
        .group_by(of.entity, of.company)
        .subquery()
    )
    same = and_(of.entity == last.c.entity, of.company == last.c.company, of.ended_at == last.c.ended_at)
    wanted = select(DRY_RUNS).join(last, same).order_by(of.ended_at.desc(), of.run_id).limit(MOST_READ)
    if companies is not None:
        wanted = wanted.where(of.company.in_(sorted(companies)))
    async with database.reading() as connection:
        return [_dry_run(row) for row in await connection.execute(wanted)]


async def keep_verdict(database: Database, verdict: Verdict) -> None:
    """Keep what the gate said."""
    columns = {"entity", "company", "allowed", "run_id", "map_hash", "plan_hash", "quality_hash"}
    row = verdict.model_dump(include=columns) | {
        "verdict_id": uuid.uuid4().hex,
        "at": moment_text(verdict.at),
        "content": verdict.model_dump_json(),
    }
    async with database.writing() as connection:
        await connection.execute(insert(GATE_VERDICTS).values(row))


async def last_verdict(database: Database, entity: str, company: str) -> Verdict | None:
    """What the gate said last of an entity in a company; None: it was not asked."""
    found = await last_verdicts(database, [(entity, company)])
    return found.get((entity, company))


async def last_verdicts(database: Database, of_what: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Verdict]:
    """What the gate said last, by entity and company."""
    of = GATE_VERDICTS.c
    found: dict[tuple[str, str], Verdict] = {}
    async with database.reading() as connection:
        for entity, company in list(dict.fromkeys(of_what))[:MOST_READ]:
            wanted = (
                select(of.content)
                .where(of.entity == entity, of.company == company)
                .order_by(of.at.desc(), of.verdict_id)
                .limit(1)
            )
            for row in await connection.execute(wanted):
                found[entity, company] = Verdict.model_validate_json(row.content)
    return found


def _dry_run(row: Row[Any]) -> DryRun:
    values = dict(row._mapping)
    return DryRun.model_validate(values | {"figures": json.loads(values["figures"])})
