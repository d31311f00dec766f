"""`q2c worker`: one worker of the three task queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.process import run

if TYPE_CHECKING:
    from workers.settings import Settings
    from workers.telemetry import Telemetry

EXAMPLES = """Examples:

q2c worker
    against the systems the settings name

Q2C_LOG_FORMAT=console q2c worker
    with logs for people
"""


def worker() -> None:
    """Start a worker.

    It ends gracefully on SIGTERM or Ctrl-C: running activities may finish.
    Start as many as the load needs.
    """
    run("q2c-worker", _work)


async def _work(settings: Settings, telemetry: Telemetry) -> int:
    from workers.composition import compose
    from workers.worker import run_worker

    return await run_worker(settings, telemetry, compose)
