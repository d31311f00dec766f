"""Ready means that the process can work: it is let into its namespace, and nobody told it to stop."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from temporalio.client import Client

from tests.temporal_server import bare_server
from workers.health import health_app
from workers.serving import unready_once


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
