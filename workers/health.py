"""Live and ready endpoints of a process that serves no HTTP otherwise, on a small port of their own.

`live` says the process still turns its event loop: where it does not answer, a restart helps. `ready` says the process
can work: it is connected to what it works for, and Temporal answers. One that merely has nothing to do is both.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.client import Client
from temporalio.service import RPCError

CHECK_TIMEOUT = timedelta(seconds=2)


def health_app(client: Client, unready: Callable[[], str]) -> Starlette:
    """The two endpoints: 200 with `{"status":"ok"}`, or 503 with what is wrong.

    Args:
        client: of Temporal, which is asked each time.
        unready: why the process itself cannot work now, in words; empty: it can.
    """

    async def live(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> JSONResponse:
        if reason := unready():
            return _unready(reason)
        try:
            answers = await client.service_client.check_health(timeout=CHECK_TIMEOUT)
        except RPCError as error:
            return _unready(f"Temporal does not answer: {error.message}")
        return JSONResponse({"status": "ok"}) if answers else _unready("Temporal is not serving")

    return Starlette(routes=[Route("/health/live", live), Route("/health/ready", ready)])


def _unready(reason: str) -> JSONResponse:
    return JSONResponse({"status": "unready", "reason": reason}, status_code=503)
