"""What `q2c initial` does with a plan that is carried out: tells the run, shows how it stands, lists what became."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from temporalio.client import Client

from cli.bulk_runs import asked, checked, require_spreadsheets
from cli.initial_work import in_words
from cli.output import fail, note, result, result_as_json
from cli.site import NOT_YET, refusal, sent
from domain.entities.initial_run import LEFT, Counts, InitialRunView, WrittenRecord
from runs.calls import NoAnswer
from runs.initial import Initials
from workers.settings import Settings

SERVICE: Final = "q2c-initial"
COLUMNS: Final = ("became", "key", "sales_id", "planned", "changes", "text")
LISTS: Final = ("results", "left")
FORMS: Final = ("csv", "xlsx", "html")
LOOK_EVERY_SECONDS: Final = 1.0


def say(entity: str, company: str, body: Mapping[str, Any], token_file: Path, *, as_json: bool) -> int:
    """Tell a run what a person says; of one that begins, show how far it is until it rests. The exit code."""
    settings, _, _ = checked(entity, company)
    run = str(body.get("run", ""))
    path = f"/initial/{quote(company, safe='')}/{quote(entity, safe='')}/{'undo' if run else 'run'}"
    answer, refused, _ = sent(path, body, token_file)
    if refused:
        return refusal(refused, {"accepted": False, "detail": refused}, as_json=as_json)
    note(answer["detail"] if answer.get("accepted") else NOT_YET)
    if body["do"] not in ("begin", "go_on"):
        return status(entity, company, None, run, as_json=as_json)
    view = asked(settings, SERVICE, lambda client: _followed(client, entity, company, undoes=bool(run), quiet=as_json))
    return _shown(view, as_json=as_json)


def status(entity: str, company: str, results: Path | None, undo: str, *, as_json: bool) -> int:
    """Show how a run stands, or the undo of one; with ``results`` what became of every record. The exit code."""
    settings, _, _ = checked(entity, company)
    if results is not None:
        require_spreadsheets()
    view = asked(settings, SERVICE, lambda client: Initials(client).run_view(entity, company, undoes=bool(undo)))
    if undo and view.dry_run != undo:
        fail(f"the last undo of {entity} in {company.upper()} is of the run {view.dry_run or '(none)'}", 1)
    if results is not None:
        _write(settings, view, results)
    return _shown(view, as_json=as_json)


async def _followed(client: Client, entity: str, company: str, *, undoes: bool, quiet: bool) -> InitialRunView:
    """Show how far a run is until it ends or waits for a person."""
    desk = Initials(client)
    view = await desk.run_view(entity, company, undoes=undoes)
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        disable=quiet or not sys.stderr.isatty(),
    )
    with bars:
        task = bars.add_task("Records", total=view.records or None)
        while view.status in ("waiting", "looking", "writing"):
            bars.update(task, completed=view.handled, total=view.records or None)
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            try:
                view = await desk.run_view(entity, company, undoes=undoes)
            except NoAnswer:
                continue
        bars.update(task, completed=view.handled)
    return view


def _shown(view: InitialRunView, *, as_json: bool) -> int:
    if as_json:
        left = view.time_left()
        result_as_json(view.model_dump(mode="json") | {"seconds_left": left.total_seconds() if left else None})
    else:
        for line in lines(view):
            result(line)
        for why in filter(None, (view.why, view.failing)):
            note(why)
    return int(view.status not in ("writing", "done") or bool(view.failing or any(map(view.counts.get, LEFT))))


def lines(view: InitialRunView) -> list[str]:
    """How a run stands, for people."""
    left = view.time_left()
    time = f", about {left.total_seconds() / 60:,.0f} minutes left" if left is not None else ""
    undo = "undo of the initial sync, " if view.undoes else ""
    stands = f"{view.status}, {view.handled:,} of {view.records:,} records{time}"
    found = [f"{view.entity} of {view.company.upper()}: {undo}{stands}"]
    if view.undoes and view.would:
        found.append("before anything was undone: " + _counted(view, view.would))
    if view.looked or not view.undoes:
        found.append(_counted(view, view.counts))
    if view.dry_run:
        found.append(f"run {view.dry_run}")
    if not view.undoes:
        found.append(f"{view.left_alone:,} wait for people and were left alone, {view.letters:,} letters")
    return found + [f"{each.key}: {each.written.value}, {each.text}" for each in view.found]


def _counted(view: InitialRunView, counts: Counts) -> str:
    return ", ".join(f"{counts.get(became, 0):,} {became.value}" for became in view.becomes)


def row_of(record: WrittenRecord) -> tuple[str, ...]:
    """A record as a line of a list."""
    changes = "; ".join(map(in_words, record.changes))
    return record.written.value, record.key, record.sales_id, record.action.value, changes, record.text


def _write(settings: Settings, view: InitialRunView, out: Path) -> None:
    from cli.report_files import files
    from ledger.carried_out import CarriedOut, Kind

    kept = CarriedOut(settings.data.dir, view.entity, view.company, view.dry_run or "none")
    if not kept.folder.is_dir():
        fail(f"{kept.folder} is not there: run this where Q2C_DATA_DIR is the folder of the workers that write", 1)
    about = f"{view.entity} of {view.company.upper()}: {'undo of the ' if view.undoes else ''}initial sync"
    kind: Kind = "written"
    if view.undoes:
        kind, about = ("undone", about) if view.counts else ("looked", f"{about}, as it would be")
    counted = _counted(view, view.would if kind == "looked" else view.counts)
    with (
        files(out, LISTS[0], COLUMNS, f"{about}, every record", counted) as every,
        files(out, LISTS[1], COLUMNS, f"{about}, to be looked at", counted) as left,
    ):
        for some in kept.results(kind):
            every.add([row_of(record) for record in some])
            left.add([row_of(record) for record in some if record.written in LEFT])
    note(f"{out}: {', '.join(f'{name}.{form}' for name in LISTS for form in FORMS)}")
