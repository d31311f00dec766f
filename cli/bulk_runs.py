"""What commands that read both systems in bulk share: they begin a run in Temporal and show how far it is."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from temporalio.client import Client

from cli import inputs
from cli.maps_in_force import maps_in_force
from cli.output import fail, note
from domain.entities.comparison_view import ComparisonView
from domain.entities.model import DataMap
from domain.policy import Policy
from runs.calls import NoAnswer, RunError
from workers.settings import Settings, SettingsError
from workers.telemetry import start_telemetry
from workers.temporal_client import TemporalUnusable, connect

T = TypeVar("T")
View = TypeVar("View", bound=ComparisonView)
Seen = TypeVar("Seen", bound=ComparisonView, covariant=True)

LOOK_EVERY_SECONDS = 0.5
NOBODY_AFTER_SECONDS = 45.0
NOBODY = (
    "No worker reads in bulk yet. A worker does so that is installed with its extra (quote-to-cash[data]) and, in "
    "production, has Q2C_READER_CLIENT_SECRET; its log says what is missing."
)


class Runs(Protocol[Seen]):
    """Runs of a kind."""

    async def view(self, workflow_id: str) -> Seen:
        """How far one is."""

    async def result(self, workflow_id: str) -> Seen:
        """What one came to, as soon as it has ended."""


def checked(entity: str, company: str) -> tuple[Settings, Policy, DataMap]:
    """What a command about an entity in a company begins with; ends the command where there is no such thing."""
    policy, settings = inputs.policy(), inputs.settings()
    maps = maps_in_force(settings)
    found = maps.of(entity)
    if found is None:
        fail(f"{entity!r} has no map; the maps are {', '.join(data.entity for data in maps.all)}")
    companies = sorted(set(policy.entity_map.business_units.values()))
    if company not in companies:
        fail(f"--company: {company} is none of {', '.join(companies)}")
    return settings, policy, found.data


def require_spreadsheets() -> None:
    """End the command where lists cannot be written."""
    if find_spec("xlsxwriter") is None:
        fail("--out: xlsxwriter is not installed: install the product with its extra: quote-to-cash[data]")


def asked(settings: Settings, service: str, question: Callable[[Client], Awaitable[T]]) -> T:
    """What Temporal answers; ends the command where it cannot be reached. ``service`` names the command in traces."""

    async def connected() -> T:
        return await question(await connect(start_telemetry(service, environment={}), settings.codec))

    try:
        return asyncio.run(connected())
    except (RunError, SettingsError, TemporalUnusable) as error:
        fail(str(error))


async def followed(runs: Runs[View], workflow_id: str, *, quiet: bool) -> View | str:
    """Show how far a run is until it ends; in words why it failed."""
    ended = asyncio.ensure_future(runs.result(workflow_id))
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
        tasks = [bars.add_task(name, total=None) for name in ("Finance", "Sales", "Read again")]
        began, told = asyncio.get_running_loop().time(), False
        while not ended.done():
            await asyncio.wait([ended], timeout=LOOK_EVERY_SECONDS)
            view = await _view(runs, workflow_id)
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


async def _view(runs: Runs[View], workflow_id: str) -> View | None:
    try:
        return await runs.view(workflow_id)
    except NoAnswer:
        return None


def _show(bars: Progress, tasks: list[TaskID], view: ComparisonView) -> None:
    done = view.stage in ("comparing", "confirming", "keeping", "done")
    bars.update(tasks[0], completed=view.finance_done, total=view.finance_parts or None)
    bars.update(tasks[1], completed=view.sales_pages, total=view.sales_pages if done else None)
    bars.update(tasks[2], completed=view.confirmed, total=view.candidates if done else None)
