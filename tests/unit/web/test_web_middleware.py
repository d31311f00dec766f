"""Traces, headers and limits of every request."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from temporalio.client import Client

from runs.search import Search
from tests.webworld.world import Tenant
from web.app import create_app
from web.config import WebConfig

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What an application built from now on reports."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)
    return exporter


@pytest.fixture
async def traced(spans: InMemorySpanExporter, config: WebConfig, temporal: Client) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(config, temporal), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        yield client


async def test_a_request_is_a_server_span_that_continues_the_callers_trace(
    traced: httpx.AsyncClient, tenant: Tenant, spans: InMemorySpanExporter
) -> None:
    headers = tenant.bearer("otto") | {
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
        "x-ms-correlation-request-id": "c-1",
    }
    await traced.get("/api/v1/cases/usmf/NO%20SUCH", headers=headers)
    await traced.get("/health/live")
    await traced.get("/static/site.js")
    (span,) = spans.get_finished_spans()
    assert span.context is not None and format(span.context.trace_id, "032x") == TRACE
    assert (span.name, span.kind) == ("GET /api/v1/cases/{company}/{quote}", SpanKind.SERVER)
    attributes = dict(span.attributes or {})
    assert attributes["http.response.status_code"] == 404
    assert attributes["http.route"] == "/api/v1/cases/{company}/{quote}"
    assert attributes["dynamics.correlation_request_id"] == "c-1"


async def test_what_nobody_expected_is_a_clear_answer_with_all_headers(
    traced: httpx.AsyncClient, tenant: Tenant, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Search, "deals", broken)
    answer = await traced.get("/api/v1/cases", headers=tenant.bearer("otto"))
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert "secret detail" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/cases/usmf/AN%2F2026%2F15", "GET /cases/{company}/{quote}"),
        ("/approvals/usmf/AN%2F2026%2F15/1", "GET /approvals/{company}/{quote}/{n}"),
        ("/api/v1/cases/usmf/a%0Ab", "GET /api/v1/cases/{company}/{quote}"),
        ("/cases/usmf/x/static/y", "GET /cases/{company}/{quote}"),
        ("/intake/finance", "GET /intake/finance"),
        ("/nowhere/at/all", "GET unmatched"),
    ],
)
async def test_a_span_is_named_by_its_route_and_never_by_what_stands_in_it(
    traced: httpx.AsyncClient, spans: InMemorySpanExporter, path: str, name: str
) -> None:
    await traced.get(path)
    (span,) = spans.get_finished_spans()
    assert span.name == name


async def test_no_secret_of_an_address_is_in_a_span(traced: httpx.AsyncClient, spans: InMemorySpanExporter) -> None:
    await traced.post("/intake/finance?code=very-secret")
    (span,) = spans.get_finished_spans()
    assert "very-secret" not in str(dict(span.attributes or {}))


@pytest.mark.parametrize("value", [b"\xff\\x", b"\\u12", b"\xc3\x28", b"00-" + b"f" * 500])
async def test_no_header_is_too_odd_for_an_answer(traced: httpx.AsyncClient, value: bytes) -> None:
    headers = [(name, value) for name in (b"user-agent", b"traceparent", b"x-ms-correlation-request-id", b"cookie")]
    assert (await traced.get("/api/v1/cases", headers=headers)).status_code == 401
    assert (await traced.get("/", headers=headers)).status_code == 302


async def test_a_body_beyond_a_megabyte_is_refused(http: httpx.AsyncClient, tenant: Tenant) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 65536

    path, headers = "/api/v1/approvals/usmf/Q/1/decision", tenant.bearer("mona")
    announced = await http.post(path, content=b"x" * (1024 * 1024 + 1), headers=headers)
    assert announced.status_code == 413
    streamed = await http.post(path, content=endless(), headers=headers)
    assert streamed.status_code == 413
