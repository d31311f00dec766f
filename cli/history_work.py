"""What `q2c history` does: tells a history what a person says, by the site's API, and asks Temporal how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cli import inputs
from cli.output import fail, note, result, result_as_json
from cli.site import say
from domain.entities.history_run import HistoryStart, HistoryView
from runs.calls import RunError
from runs.histories import Histories
from workers.settings import SettingsError
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect


def run(company: str, kind: str, body: Mapping[str, Any], token_file: Path, *, as_json: bool) -> int:
    """Have a history kept or not; the exit code."""
    path = f"/history/{quote(company, safe='')}/{quote(kind, safe='')}/run"
    return say(path, body, token_file, as_json=as_json)


def status(company: str, kind: str, *, as_json: bool) -> int:
    """Show how a history stands; the exit code."""
    view = _view(HistoryStart.model_validate({"kind": kind, "company": company}))
    if as_json:
        result_as_json(view.model_dump(mode="json"))
    else:
        for line in _lines(view):
            result(line)
        for why in filter(None, (view.failing, view.problem)):
            note(why)
    return int(not view.running or bool(view.failing))


def _lines(view: HistoryView) -> list[str]:
    done = view.figures
    state = "stopped" if not view.running else "reads" if view.reading else "rests until the night"
    of = "everything" if view.whole else "what changed"
    return [
        f"past {view.kind}s of {view.company.upper()}: {state}",
        f"last reading, of {of}, ended {_at(view.ended_at)}; of everything {_at(view.whole_at)}",
        f"next {_at(view.next_at)}",
        f"{done.read:,} read, {done.created:,} rows created, {done.corrected:,} corrected, {done.same:,} were right",
        f"Finance has {view.finance_records:,}",
        *(f"left out, {cause}: {number:,}" for cause, number in sorted(done.left_out.items())),
    ]


def _at(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "not yet"


def _view(start: HistoryStart) -> HistoryView:
    async def ask() -> HistoryView:
        client = await connect(start_telemetry("q2c-history", environment={}), inputs.settings().codec)
        return await Histories(client).view(start)

    try:
        return asyncio.run(ask())
    except (RunError, SettingsError, TemporalUnusable) as error:
        fail(str(error))
