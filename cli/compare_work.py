"""What `q2c compare` does: begins a comparison in Temporal, shows how far it is, and reports what the ledger keeps."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli import inputs
from cli.maps_in_force import maps_in_force
from cli.output import fail, note, result, result_as_json
from domain.calendar import local_date
from domain.entities.comparing import LISTED, DifferenceClass
from domain.entities.comparison_run import CompareStart
from domain.entities.comparison_view import ComparisonFigures, ComparisonView
from ledger import differences
from ledger.comparison_runs import KeptDifference
from ledger.database import DATABASE_ERRORS, open_database
from runs.calls import NoAnswer, RunError
from runs.comparisons import Comparisons
from workers.settings import Settings, SettingsError
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect

T = TypeVar("T")

SHOWN = 20
LOOK_EVERY_SECONDS = 0.5
NOBODY_AFTER_SECONDS = 45.0
NOBODY = (
    "No worker reads in bulk yet. A worker does so that is installed with its extra (quote-to-cash[data]) and, in "
    "production, has Q2C_READER_CLIENT_SECRET; its log says what is missing."
)


def compare(entity: str, company: str, sample: int, out: Path | None, *, as_json: bool, keep: bool = False) -> int:
    """Compare, report, and say with which exit code."""
    settings, zone = _checked(entity, company)
    if out is not None and find_spec("xlsxwriter") is None:
        fail("--out: xlsxwriter is not installed: install the product with its extra: quote-to-cash[data]")
    start = CompareStart(entity=entity, company=company, sample=sample, keep_records=keep)
    done = _asked(settings, lambda desk: _followed(desk, start, zone, quiet=as_json))
    if isinstance(done, str):
        note(done)
        if as_json:
            result_as_json({"entity": entity, "company": company, "failed": done})
        return 1
    figures = done.figures or ComparisonFigures()
    shown = _kept(settings, done, out)
    if as_json:
        result_as_json(
            {
                "entity": entity,
                "company": company,
                "whole": sample == 0,
                "figures": figures.model_dump(mode="json"),
                "files": [] if out is None else [str(out / f"differences.{kind}") for kind in ("csv", "xlsx", "html")],
            }
        )
    else:
        _print(done, figures, shown, out)
    return int(figures.open > 0)


def schedule(entity: str, company: str, at: str, *, as_json: bool, keep: bool = False) -> None:
    """Compare every night at a time of the company's clock, or no more."""
    settings, zone = _checked(entity, company)
    start = CompareStart(entity=entity, company=company, keep_records=keep)
    if at == "off":
        ended = _asked(settings, lambda desk: desk.stop_nightly(start))
        text = "compared every night no more" if ended else "was not compared every night"
    else:
        hour, _, minute = at.partition(":")
        _asked(settings, lambda desk: desk.nightly(start, int(hour), int(minute), zone))
        text = f"compared every night at {at} ({zone})"
    if as_json:
        result_as_json({"entity": entity, "company": company, "every_night": None if at == "off" else at})
    else:
        result(f"{entity} of {company.upper()}: {text}")


def _checked(entity: str, company: str) -> tuple[Settings, str]:
    """The settings, and the company's time zone; ends the command where there is nothing to compare."""
    policy, settings = inputs.policy(), inputs.settings()
    maps = maps_in_force(settings)
    if maps.of(entity) is None:
        fail(f"{entity!r} has no map; the maps are {', '.join(data.entity for data in maps.all)}")
    companies = sorted(set(policy.entity_map.business_units.values()))
    if company not in companies:
        fail(f"--company: {company} is none of {', '.join(companies)}")
    return settings, policy.calendar(company).timezone


def _asked(settings: Settings, question: Callable[[Comparisons], Awaitable[T]]) -> T:
    async def asked() -> T:
        client = await connect(start_telemetry("q2c-compare", environment={}), settings.codec)
        return await question(Comparisons(client))

    try:
        return asyncio.run(asked())
    except (RunError, SettingsError, TemporalUnusable) as error:
        fail(str(error))


async def _followed(desk: Comparisons, start: CompareStart, zone: str, *, quiet: bool) -> ComparisonView | str:
    """Begin a comparison and show how far it is until it ends; in words why it failed."""
    workflow_id = await desk.begin(start, local_date(datetime.now(UTC), zone))
    ended = asyncio.ensure_future(desk.result(workflow_id))
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
        disable=quiet or not sys.stderr.isatty(),
    )
    with bars:
        tasks = [bars.add_task(name, total=None) for name in ("Finance", "Sales", "Read again")]
        began, told = asyncio.get_running_loop().time(), False
        while not ended.done():
            await asyncio.wait([ended], timeout=LOOK_EVERY_SECONDS)
            view = await _view(desk, workflow_id)
            if view is not None:
                _show(bars, tasks, view)
            waited = asyncio.get_running_loop().time() - began
            if not told and waited > NOBODY_AFTER_SECONDS and (view is None or view.stage == "opening"):
                note(NOBODY)
                told = True
    try:
        return await ended
    except RunError as error:
        return str(error)


async def _view(desk: Comparisons, workflow_id: str) -> ComparisonView | None:
    try:
        return await desk.view(workflow_id)
    except NoAnswer:
        return None


def _show(bars: Progress, tasks: list[TaskID], view: ComparisonView) -> None:
    done = view.stage in ("comparing", "confirming", "keeping", "done")
    bars.update(tasks[0], completed=view.finance_done, total=view.finance_parts or None)
    bars.update(tasks[1], completed=view.sales_pages, total=view.sales_pages if done else None)
    bars.update(tasks[2], completed=view.confirmed, total=view.candidates if done else None)


def _kept(settings: Settings, done: ComparisonView, out: Path | None) -> list[KeptDifference]:
    """The first differences that stand; with ``out`` all of them as files."""

    async def kept() -> list[KeptDifference]:
        database = await open_database(settings.ledger.url.get_secret_value(), read_only=True)
        first: list[KeptDifference] = []
        try:
            found = differences.open_differences(
                database, done.entity, done.company, run_id=done.run_id, most=None if out else SHOWN
            )
            if out is None:
                return [each async for some in found for each in some]
            from cli.compare_files import files, row_of  # its library is an extra

            title = f"{done.entity} of {done.company.upper()}: differences between Finance and Sales"
            now = datetime.now(UTC)
            with files(out, title, _counted(done.figures or ComparisonFigures())) as report:
                async for some in found:
                    first += some[: SHOWN - len(first)]
                    report.add([row_of(each, now) for each in some])
            return first
        finally:
            await database.close()

    try:
        return asyncio.run(kept())
    except DATABASE_ERRORS as error:
        if isinstance(error, OSError) and out is not None:
            raise
        fail(f"the differences are kept, and cannot be read here: {error}", 1)


def _print(done: ComparisonView, figures: ComparisonFigures, shown: list[KeptDifference], out: Path | None) -> None:
    console = Console(file=sys.stdout, highlight=False)
    classes = Table("Class", "Differences", box=None)
    for kind in (*LISTED, DifferenceClass.TIMING):
        classes.add_row(kind.value, f"{figures.found.get(kind, 0):,}")
    console.print(classes)
    if shown:
        now = datetime.now(UTC)
        rows = Table("Class", "Key", "Field", "Finance", "Sales", "Days", box=None)
        for each in shown:
            missing = f"missing in {each.lacking.title()}" if each.lacking else ""
            values = ("", missing) if missing else (each.finance_value, each.sales_value or each.sales_ids)
            rows.add_row(each.kind.value, each.key, each.field, *values, str(each.age_days(now)))
        console.print(rows)
    if figures.open > len(shown):
        result(f"and {figures.open - len(shown):,} more{'' if out else ': --out FOLDER writes them all'}")
    result(_counted(figures))
    if out is not None:
        note(f"{out}: differences.csv, differences.xlsx, differences.html")


def _counted(figures: ComparisonFigures) -> str:
    stand = "1 difference stands" if figures.open == 1 else f"{figures.open:,} differences stand"
    return (
        f"{figures.finance_records:,} records of Finance and {figures.sales_records:,} of Sales: {stand}, "
        f"{figures.new:,} new, {figures.gone:,} gone; {figures.requests:,} requests."
    )
