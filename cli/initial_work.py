"""What `q2c initial` does: begins a dry run in Temporal, shows how far it is, and reports its plan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from cli.bulk_runs import asked, checked, followed, require_spreadsheets
from cli.output import fail, note, result, result_as_json
from domain.entities.comparing import CannotCompare
from domain.entities.identity import hash_of
from domain.entities.initial import (
    BLOCKED,
    REASONS,
    Action,
    Change,
    DryRun,
    InitialStart,
    InitialView,
    PlannedRecord,
    require_synced,
)
from runs.initial import Initials
from workers.settings import Settings

if TYPE_CHECKING:
    from ledger.plans import Plan

SERVICE: Final = "q2c-initial"
SHOWN: Final = 20
COLUMNS: Final = ("action", "key", "sales_ids", "writes_to", "changes", "why")
LISTS: Final = ("plan", "to_settle")
FORMS: Final = ("csv", "xlsx", "html")


def dry_run(entity: str, company: str, out: Path | None, *, as_json: bool) -> int:
    """Plan, report, and say with which exit code."""
    settings, _, data = checked(entity, company)
    if out is not None:
        require_spreadsheets()
    try:
        require_synced(data)
    except CannotCompare as error:
        fail(str(error))
    start = InitialStart(entity=entity, company=company, map_hash=hash_of(data))

    async def planned(client: Client) -> InitialView | str:
        desk = Initials(client)
        return await followed(desk, await desk.begin(start), quiet=as_json)

    done = asked(settings, SERVICE, planned)
    if isinstance(done, str) or done.dry_run is None:
        text = done if isinstance(done, str) else "The dry run ended without a plan. Begin it again."
        note(text)
        if as_json:
            result_as_json({"entity": entity, "company": company, "failed": text})
        return 1
    shown = _listed(settings, done.dry_run, out)
    if as_json:
        written = [] if out is None else [str(out / f"{name}.{form}") for name in LISTS for form in FORMS]
        result_as_json(done.dry_run.model_dump(mode="json") | {"files": written})
    else:
        _print(done.dry_run, shown, out)
    return int(done.dry_run.figures.blocked > 0)


def counted(run: DryRun) -> str:
    """A dry run in a sentence."""
    of = run.figures
    actions = ", ".join(f"{of.of(action):,} {action}" for action in Action)
    return f"{of.records:,} records: {actions}; {of.requests:,} requests, no write."


def row_of(record: PlannedRecord) -> tuple[str, ...]:
    """A record of a plan as a line of a list."""
    sides = dict.fromkeys(change.to for change in record.changes if change.to and record.action not in BLOCKED)
    return (
        record.action.value,
        record.key,
        " ".join(record.sales_ids),
        " ".join(sides),
        "; ".join(map(in_words, record.changes)),
        REASONS[record.why],
    )


def in_words(change: Change) -> str:
    """A field of a plan, for people."""
    if change.trouble:
        return f"{change.field}: {change.finance or change.sales or '(empty)'}. {REASONS[change.trouble]}"
    if change.to is None:
        return f"{change.field}: Finance {change.finance or '(empty)'}, Sales {change.sales or '(empty)'}"
    before = change.finance if change.to == "finance" else change.sales
    return f"{change.field}: {before or '(empty)'} → {change.value or '(empty)'}"


def _listed(settings: Settings, run: DryRun, out: Path | None) -> list[PlannedRecord]:
    """The first records that people have to settle; with ``out`` all records as files."""
    from ledger.plans import Plan, PlanGone

    try:
        plan = Plan(settings.data.dir, run)
    except PlanGone as error:
        if out is not None:
            fail(str(error), 1)
        note(f"The plan cannot be listed here: {error}")
        return []
    if out is not None:
        return _written(plan, run, out)
    first: list[PlannedRecord] = []
    for some in plan.rows(BLOCKED):
        first += some[: SHOWN - len(first)]
        if len(first) >= SHOWN:
            break
    return first


def _written(plan: Plan, run: DryRun, out: Path) -> list[PlannedRecord]:
    from cli.report_files import files

    about = f"{run.entity} of {run.company.upper()}: dry run of the initial sync"
    first: list[PlannedRecord] = []
    with (
        files(out, LISTS[0], COLUMNS, f"{about}, every record", counted(run)) as every,
        files(out, LISTS[1], COLUMNS, f"{about}, to be settled by people", counted(run)) as blocked,
    ):
        for some in plan.rows():
            every.add([row_of(record) for record in some])
            stopped = [record for record in some if record.action in BLOCKED]
            blocked.add([row_of(record) for record in stopped])
            first += stopped[: SHOWN - len(first)]
    return first


def _print(run: DryRun, shown: list[PlannedRecord], out: Path | None) -> None:
    console = Console(file=sys.stdout, highlight=False)
    table = Table("Action", "Records", box=None)
    for action in Action:
        table.add_row(action.value, f"{run.figures.of(action):,}")
    console.print(table)
    reasons = Table("Why", "Records", box=None)
    for why, text in REASONS.items():
        if count := run.figures.reasons.get(why):
            reasons.add_row(text, f"{count:,}")
    console.print(reasons)
    if shown:
        rows = Table("Action", "Key", "Fields", box=None)
        for record in shown:
            named, key, _, _, changes, _ = row_of(record)
            rows.add_row(named, key, changes)
        console.print(rows)
    if run.figures.blocked > len(shown):
        more = run.figures.blocked - len(shown)
        result(f"and {more:,} more to settle{'' if out else ': --out FOLDER writes them all'}")
    result(counted(run))
    if out is not None:
        note(f"{out}: {', '.join(f'{name}.{form}' for name in LISTS for form in FORMS)}")
    result(f"map {run.map_hash[:8]}, plan {run.plan_hash[:8]}; next: q2c gate {run.entity} --company {run.company}")
