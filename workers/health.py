"""Live and ready endpoints of a process that serves no HTTP otherwise, on a small port of their own.

`live` says the process still turns its event loop: where it does not answer, a restart helps. `ready` says the process
can work: it is connected to what it works for, Temporal lets it into its namespace, and nobody told it to stop. One
that merely has nothing to do is both.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.client import Client

from runs.calls import trouble


def health_app(client: Client, unready: Callable[[], str]) -> Starlette:
    """The two endpoints: 200 with `{"status":"ok"}`, or 503 with what is wrong.

    Args:
        client: of Temporal, which is asked each time.
        unready: why the process itself cannot work now, in words; empty: it can.
    """

    async def live(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> JSONResponse:
        if reason := unready() or await trouble(client):
            return JSONResponse({"status": "unready", "reason": reason}, status_code=503)
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/health/live", live), Route("/health/ready", ready)])
