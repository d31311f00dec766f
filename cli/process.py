"""How a command becomes a long-running process of the product: settings, logs, telemetry, and a clean end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from cli import inputs
from cli.output import UNUSABLE, fail, note

if TYPE_CHECKING:
    from workers.mode import Process
    from workers.settings import Settings
    from workers.telemetry import Telemetry

Main = Callable[["Settings", "Telemetry"], Coroutine[Any, Any, int]]


def run(process: Process, main: Main, *, logs: TextIO = sys.stdout) -> NoReturn:
    """Run a process to its end and leave with its exit code.

    Args:
        process: which one: in production it begins with its own secrets alone.
        main: what it does; what a person can fix ends it with one message and exit code 2.
        logs: where its log goes.
    """
    from workers import mode
    from workers.logs import configure_logging
    from workers.serving import run_process
    from workers.settings import SettingsError
    from workers.telemetry import start_telemetry

    settings = inputs.settings()
    configure_logging(settings.log_level, settings.log_format, logs)
    try:
        mode.require(settings, process)
        telemetry = start_telemetry(process)
    except SettingsError as error:
        fail(str(error))
    run_process(_expecting_failures(main(settings, telemetry)))


async def _expecting_failures(process: Coroutine[Any, Any, int]) -> int:
    from domain.policy import PolicyError
    from workers.serving import CannotListen
    from workers.settings import SettingsError
    from workers.temporal_client import TemporalUnusable

    try:
        return await process
    except (CannotListen, PolicyError, SettingsError, TemporalUnusable) as error:
        note(str(error))
        return UNUSABLE
