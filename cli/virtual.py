"""`q2c virtual`: reads of Finance for Dataverse's virtual tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.process import run

if TYPE_CHECKING:
    from workers.settings import Settings
    from workers.telemetry import Telemetry

EXAMPLES = """Examples:

Q2C_VIRTUAL_SECRETS='{"usmf": "sandbox-virtual-key"}' q2c virtual
    for one company, on 127.0.0.1:8092
"""


def virtual() -> None:
    """Serve balance, invoices, payments, credit, terms and stock of Finance to virtual tables of Dataverse.

    It can read and nothing else, and ends gracefully on SIGTERM or Ctrl-C.
    """
    from workers.mode import Process

    run(Process.VIRTUAL, _serve)


async def _serve(settings: Settings, telemetry: Telemetry) -> int:
    from workers.virtual import run_virtual

    return await run_virtual(settings, telemetry)
