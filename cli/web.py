"""`q2c web`: the approvals site, the JSON API and the intake of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.process import run

if TYPE_CHECKING:
    from workers.settings import Settings
    from workers.telemetry import Telemetry

EXAMPLES = """Examples:

q2c web
    on 127.0.0.1:8000

Q2C_WEB_HOST=0.0.0.0 Q2C_WEB_PORT=80 q2c web
    in a container
"""


def web() -> None:
    """Start the approvals site, the JSON API and the intake of events.

    It ends gracefully on SIGTERM or Ctrl-C: open requests may finish.
    """
    run("q2c-web", _serve)


async def _serve(settings: Settings, telemetry: Telemetry) -> int:
    from workers.web import run_web

    return await run_web(settings, telemetry)
