"""Dry runs of first syncs and what the gate said of them, in a ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domain.entities.gate import GateCode, Reason, Verdict
from domain.entities.initial import DryRun, PlanFigures
from ledger import initial_runs
from ledger.database import open_database

NOW = datetime.now(UTC)
FIGURES = PlanFigures.model_validate(
    {"records": 9_300, "actions": {"skip": 8_800, "unmapped": 300, "duplicate": 150, "conflict": 50}}
)


def dry_run(entity: str, company: str, days: int = 0) -> DryRun:
    ended = NOW - timedelta(days=days)
    of = {"run_id": f"{entity}-{company}-{days}", "entity": entity, "company": company, "map_hash": "m"}
    return DryRun.model_validate(of | {"plan_hash": "p", "began_at": ended, "ended_at": ended, "figures": FIGURES})


def verdict(run: DryRun, *reasons: Reason) -> Verdict:
    return Verdict(
        entity=run.entity,
        company=run.company,
        at=run.ended_at,
        allowed=not reasons,
        map_hash=run.map_hash,
        run_id=run.run_id,
        critical=200 if reasons else 0,
        blocked=500,
        proceeds=8_800,
        reasons=reasons,
    )


async def fill(url: str) -> None:
    """Dry runs of two companies: one blocked, one that may begin, one that was not judged."""
    database = await open_database(url)
    refused = Reason(code=GateCode.CRITICAL_CONFLICT, text="currency differs in 50 records.", records=50)
    runs = [
        dry_run("customer", "usmf", 3),
        dry_run("customer", "usmf"),
        dry_run("unit", "usmf"),
        dry_run("unit", "demf"),
    ]
    for run in (*runs, runs[-1]):
        await initial_runs.keep_dry_run(database, run)
    await initial_runs.keep_verdict(database, verdict(runs[0]))
    await initial_runs.keep_verdict(database, verdict(runs[1], refused))
    await initial_runs.keep_verdict(database, verdict(runs[3]))
    await database.close()
