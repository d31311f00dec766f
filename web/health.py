"""Live and ready: whether a restart would help, and whether requests should be sent here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.client import Client

from runs.calls import trouble
from web.tokens import KeysUnavailable, SigningKeys


def health_routes(client: Client, keys: SigningKeys) -> list[Route]:
    """``/health/live``: the process answers. ``/health/ready``: Temporal lets us in and Entra's keys are known."""

    async def live(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> JSONResponse:
        problems = {}
        if wrong := await trouble(client):
            problems["temporal"] = wrong
        try:
            await keys.current()
        except KeysUnavailable as error:
            problems["entra"] = str(error)
        if problems:
            return JSONResponse({"status": "unready", "problems": problems}, 503)
        return JSONResponse({"status": "ok"})

    return [Route("/health/live", live), Route("/health/ready", ready)]
