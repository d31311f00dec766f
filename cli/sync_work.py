"""What `q2c sync` does: tells a sync what a person says, by the site's API, and asks Temporal how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from cli import inputs, site
from cli.output import fail, note, result, result_as_json
from domain.entities.sync_run import SyncView
from runs.calls import RunError
from runs.syncs import Syncs
from workers.settings import SettingsError
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect

T = TypeVar("T")


def run(company: str, entity: str, body: Mapping[str, Any], token_file: Path, *, as_json: bool) -> int:
    """Have a sync run or rest; the exit code."""
    return say(company, entity, "run", body, token_file, as_json=as_json)


def path_of(company: str, entity: str, what: str) -> str:
    """Where something is said to a sync."""
    return f"/sync/{quote(company, safe='')}/{quote(entity, safe='')}/{what}"


def say(company: str, entity: str, what: str, body: Mapping[str, Any], token_file: Path, *, as_json: bool) -> int:
    """Say something to a sync, and print what became of it; the exit code."""
    return site.say(path_of(company, entity, what), body, token_file, as_json=as_json)


def status(company: str, entity: str, *, as_json: bool) -> int:
    """Show how a sync stands; the exit code."""
    view = ask(lambda syncs: syncs.view(entity, company))
    if as_json:
        result_as_json(view.model_dump(mode="json"))
    else:
        for line in _lines(view):
            result(line)
        for why in filter(None, (view.resting, view.failing)):
            note(why)
    return int(not view.running or bool(view.resting or view.failing))


def _lines(view: SyncView) -> list[str]:
    state = "in step" if view.running and not (view.resting or view.failing) else "rests"
    done = view.figures
    lines = [
        f"{view.entity} of {view.company.upper()}: {state if view.running else 'stopped'}",
        f"last look {_at(view.round_at)}; all of Finance read {_at(view.swept_at)}",
        f"{done.looked:,} looks, {done.to_sales:,} writes to Sales, {done.to_finance:,} to Finance, "
        f"{done.created:,} rows made, {done.undone:,} values changed back",
        f"{view.waiting:,} records wait",
    ]
    lines += [f"oldest change applied last, {source}: {age:,.0f} s" for source, age in view.lag_seconds.items()]
    return lines + [f"letters {cause}: {number:,}" for cause, number in sorted(view.letters.items())]


def _at(moment: Any) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "not yet"


def ask(question: Callable[[Syncs], Awaitable[T]]) -> T:
    """The answer to a question; what a person can fix ends the command with one message."""

    async def put() -> T:
        client = await connect(start_telemetry("q2c-sync", environment={}), inputs.settings().codec)
        return await question(Syncs(client))

    try:
        return asyncio.run(put())
    except (RunError, SettingsError, TemporalUnusable) as error:
        fail(str(error))
