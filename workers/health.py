"""Live and ready endpoints of the worker, on a small port of their own.

`live` says the process still turns its event loop: where it does not answer, a restart helps. `ready` says the worker
can work: it polls, and Temporal answers. A worker that merely has nothing to do is both.
"""

from __future__ import annotations

from datetime import timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

CHECK_TIMEOUT = timedelta(seconds=2)


def health_app(client: Client, workers: list[Worker]) -> Starlette:
    """The two endpoints: 200 with `{"status":"ok"}`, or 503 with what is wrong."""

    async def live(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> JSONResponse:
        stopped = [worker.task_queue for worker in workers if not worker.is_running]
        if stopped:
            return _unready(f"not polling: {', '.join(stopped)}")
        try:
            answers = await client.service_client.check_health(timeout=CHECK_TIMEOUT)
        except RPCError as error:
            return _unready(f"Temporal does not answer: {error.message}")
        return JSONResponse({"status": "ok"}) if answers else _unready("Temporal is not serving")

    return Starlette(routes=[Route("/health/live", live), Route("/health/ready", ready)])


def _unready(reason: str) -> JSONResponse:
    return JSONResponse({"status": "unready", "reason": reason}, status_code=503)
