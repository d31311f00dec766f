"""Ready means that the process can work: it is let into its namespace, and nobody told it to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from temporalio.client import Client

from demo.ports import free_ports
from tests.deadlines import PATIENCE
from tests.temporal_server import bare_server
from workers.health import health_app
from workers.serving import unready_once
from workers.settings import Settings, WebSettings
from workers.telemetry import start_telemetry
from workers.web import run_web


async def asked(app: object, path: str) -> tuple[int, str]:
    """Status and text of an answer."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost") as http:  # type: ignore[arg-type]  # an ASGI application
        answer = await http.get(path)
        return answer.status_code, answer.text


async def test_ready_follows_temporal_the_process_itself_and_the_word_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runs.calls.PATIENCE_SECONDS", 1.0)
    stop, reasons = asyncio.Event(), [""]
    async with bare_server() as server:
        client = server.client
        app = unready_once(stop, health_app(client, lambda: reasons[0]))
        assert await asked(app, "/health/ready") == (200, '{"status":"ok"}')

        nowhere = await Client.connect(client.service_client.config.target_host, namespace="nowhere")
        status, text = await asked(health_app(nowhere, lambda: ""), "/health/ready")
        assert status == 503 and "nowhere" in text, "a frontend that serves is not enough"

        reasons[0] = "not polling: q2c"
        assert (await asked(app, "/health/ready"))[0] == 503
        reasons[0] = ""
        stop.set()
        status, text = await asked(app, "/health/ready")
        assert status == 503 and "is stopping" in text
        assert (await asked(app, "/health/live"))[0] == 200, "it is not killed for it"
    status, text = await asked(health_app(client, lambda: ""), "/health/ready")
    assert status == 503 and "Temporal" in text


async def test_the_web_application_takes_requests_while_it_drains(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that has not looked yet still finds an open door; one that looks goes elsewhere."""
    stop, (port,) = asyncio.Event(), free_ports(1)

    @contextmanager
    def told() -> Iterator[asyncio.Event]:
        yield stop

    async def connected(*_: object) -> None:
        """Temporal is none of this."""

    async def page(_request: Request) -> Response:
        return Response("a page")

    monkeypatch.setattr("workers.web.stop_signals", told)
    monkeypatch.setattr("workers.web.connect", connected)
    site = Starlette(routes=[Route("/{path:path}", page)])
    monkeypatch.setattr("workers.web._application", lambda *_: site)
    settings = Settings(_env_file=None, web=WebSettings(port=port, drain_seconds=600))
    running = asyncio.create_task(run_web(settings, start_telemetry("test", environment={})))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    assert (await http.get("/health/ready")).status_code == 200
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
                else:
                    break
        stop.set()
        assert (await http.get("/health/ready")).status_code == 503
        assert (await http.get("/cases")).text == "a page"
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
