"""Traces, headers and limits of every request."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from conftest import Tenant
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette

from web.visibility import Visibility

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("web.middleware._tracer", provider.get_tracer("test"))
    return exporter


async def test_a_request_is_a_server_span_that_continues_the_callers_trace(
    http: httpx.AsyncClient, tenant: Tenant, spans: InMemorySpanExporter
) -> None:
    headers = tenant.bearer("otto") | {
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
        "x-ms-correlation-request-id": "c-1",
    }
    await http.get("/api/v1/cases/usmf/NO%20SUCH", headers=headers)
    await http.get("/health/live")
    (span,) = spans.get_finished_spans()
    assert span.context is not None and format(span.context.trace_id, "032x") == TRACE
    assert (span.name, span.kind) == ("GET /api/v1/cases/{company}/{quote}", SpanKind.SERVER)
    attributes = dict(span.attributes or {})
    assert attributes["http.response.status_code"] == 404
    assert attributes["http.route"] == "/api/v1/cases/{company}/{quote}"
    assert attributes["dynamics.correlation_request_id"] == "c-1"


async def test_what_nobody_expected_is_a_clear_answer_with_all_headers(
    app: Starlette, tenant: Tenant, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Visibility, "cases", broken)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        answer = await http.get("/api/v1/cases", headers=tenant.bearer("otto"))
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert "secret detail" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR


async def test_a_body_beyond_a_megabyte_is_refused(http: httpx.AsyncClient, tenant: Tenant) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 65536

    path, headers = "/api/v1/approvals/usmf/Q/1/decision", tenant.bearer("mona")
    announced = await http.post(path, content=b"x" * (1024 * 1024 + 1), headers=headers)
    assert announced.status_code == 413
    streamed = await http.post(path, content=endless(), headers=headers)
    assert streamed.status_code == 413
