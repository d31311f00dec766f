"""What `q2c compare` does: begins a comparison in Temporal, shows how far it is, and reports what the ledger keeps."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from cli.bulk_runs import asked, checked, followed, require_spreadsheets
from cli.output import fail, note, result, result_as_json
from domain.calendar import local_date
from domain.entities.comparing import LISTED, DifferenceClass
from domain.entities.comparison_run import CompareStart
from domain.entities.comparison_view import ComparisonFigures, ComparisonView
from ledger import differences
from ledger.comparison_runs import KeptDifference
from ledger.database import DATABASE_ERRORS, open_database
from runs.comparisons import Comparisons
from workers.settings import Settings

SERVICE = "q2c-compare"
SHOWN = 20


def compare(entity: str, company: str, sample: int, out: Path | None, *, as_json: bool, keep: bool = False) -> int:
    """Compare, report, and say with which exit code."""
    settings, policy, _ = checked(entity, company)
    if out is not None:
        require_spreadsheets()
    zone = policy.calendar(company).timezone
    start = CompareStart(entity=entity, company=company, sample=sample, keep_records=keep)

    async def compared(client: Client) -> ComparisonView | str:
        desk = Comparisons(client)
        return await followed(desk, await desk.begin(start, local_date(datetime.now(UTC), zone)), quiet=as_json)

    done = asked(settings, SERVICE, compared)
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
    settings, policy, _ = checked(entity, company)
    zone = policy.calendar(company).timezone
    start = CompareStart(entity=entity, company=company, keep_records=keep)
    if at == "off":
        ended = asked(settings, SERVICE, lambda client: Comparisons(client).stop_nightly(start))
        text = "compared every night no more" if ended else "was not compared every night"
    else:
        hour, _, minute = at.partition(":")
        asked(settings, SERVICE, lambda client: Comparisons(client).nightly(start, int(hour), int(minute), zone))
        text = f"compared every night at {at} ({zone})"
    if as_json:
        result_as_json({"entity": entity, "company": company, "every_night": None if at == "off" else at})
    else:
        result(f"{entity} of {company.upper()}: {text}")


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
            from cli.compare_files import COLUMNS, row_of  # its library is an extra
            from cli.report_files import files

            title = f"{done.entity} of {done.company.upper()}: differences between Finance and Sales"
            now = datetime.now(UTC)
            with files(out, "differences", COLUMNS, title, _counted(done.figures or ComparisonFigures())) as report:
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
            shown_in_sales = each.sales_value if each.field else each.sales_ids
            values = ("", missing) if missing else (each.finance_value, shown_in_sales)
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
