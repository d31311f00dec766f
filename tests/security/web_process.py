"""The web application in a process of its own, for attacks by real sockets: `python -m tests.security.web_process`.

Its argument is one JSON object: Temporal's address and the values of `WebConfig` but for the policy. It prints its port
when it is ready, and ends with SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from temporalio.client import Client

from tests.rights import POLICY
from tests.sealing import SEALING
from web.app import create_app
from web.config import WebConfig
from workers.serving import serve, stop_signals


async def main(temporal: str, values: dict[str, Any]) -> None:
    """Serve until a signal comes."""
    client = await Client.connect(temporal, plugins=[SEALING])
    app = create_app(WebConfig(**values, policy=POLICY), client)
    with stop_signals() as stop:
        async with serve(app, "127.0.0.1", 0, variables="Q2C_WEB") as port:
            print(port, flush=True)  # noqa: T201
            await stop.wait()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    asyncio.run(main(given["temporal"], given["config"]))
