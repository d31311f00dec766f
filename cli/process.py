"""How a command becomes a long-running process of the product: settings, logs, telemetry, and a clean end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

from cli import inputs
from cli.output import UNUSABLE, fail, note

if TYPE_CHECKING:
    from workers.settings import Settings
    from workers.telemetry import Telemetry

Main = Callable[["Settings", "Telemetry"], Coroutine[Any, Any, int]]


def run(service: str, main: Main) -> NoReturn:
    """Run a process to its end and leave with its exit code.

    Args:
        service: name under which logs, traces and metrics are filed, e.g. `q2c-worker`.
        main: the process; what a person can fix ends it with one message and exit code 2.
    """
    from workers.logs import configure_logging
    from workers.serving import run_process
    from workers.settings import SettingsError
    from workers.telemetry import start_telemetry

    settings = inputs.settings()
    configure_logging(settings.log_level, settings.log_format)
    try:
        telemetry = start_telemetry(service)
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
