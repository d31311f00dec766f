"""What every answer gets: headers that keep a browser from being used against us, and a span in the trace."""

from __future__ import annotations

import time

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import SpanKind, StatusCode
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_tracer = trace.get_tracer(__name__)
_seconds = metrics.get_meter(__name__).create_histogram(
    "http.server.request.duration", unit="s", description="Duration of requests to the web application"
)


def security_headers(form_targets: str, tls: bool) -> dict[str, str]:
    """The headers of every answer: nothing is loaded from another host and nothing of ours is framed.

    Args:
        form_targets: further origins a form's answer may redirect to (Entra, at sign-out).
        tls: whether the site is served over TLS, and browsers may be told to insist on it.
    """
    headers = {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
            f"form-action 'self' {form_targets}; base-uri 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    return headers | ({"Strict-Transport-Security": "max-age=31536000"} if tls else {})


class SecurityHeaders:
    """Completes the headers of every answer."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        """Wrap an application; what it sets itself stays."""
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete the answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                # Addresses of static files carry the hash of their content, so they may be kept for ever.
                kept = scope["path"].startswith("/static/") and message["status"] == 200
                headers.setdefault("Cache-Control", "public, max-age=31536000, immutable" if kept else "no-store")
            await send(message)

        await self._app(scope, receive, complete)


class Tracing:
    """A server span for each request, continuing the caller's trace if it sent one.

    A click or a webhook is where a trace begins; the Temporal client carries it on to the deal and its activities.
    Source: OpenTelemetry semantic conventions for HTTP spans.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on inside its span."""
        if scope["type"] != "http" or scope["path"].startswith(("/health/", "/static/")):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method = scope["method"]
        started = time.perf_counter()
        status = 500
        with _tracer.start_as_current_span(
            method, context=propagate.extract(headers), kind=SpanKind.SERVER, record_exception=True
        ) as span:
            span.set_attributes({"http.request.method": method, "url.path": scope["path"]})
            correlation = headers.get("x-ms-correlation-request-id")
            if correlation:
                span.set_attribute("dynamics.correlation_request_id", correlation)

            async def watch(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await self._app(scope, receive, watch)
            finally:
                route = _route(scope)
                span.update_name(f"{method} {route}")
                span.set_attributes({"http.route": route, "http.response.status_code": status})
                if status >= 500:
                    span.set_status(StatusCode.ERROR)
                _seconds.record(
                    time.perf_counter() - started,
                    {"http.request.method": method, "http.route": route, "http.response.status_code": status},
                )


def _route(scope: Scope) -> str:
    """The route's pattern: the path with its parameters put back, so that there are few different names."""
    path: str = scope["path"]
    parameters = scope.get("path_params")
    if parameters is None or "endpoint" not in scope:
        return "unmatched"
    for name, value in parameters.items():
        path = path.replace(f"/{value}", f"/{{{name}}}", 1)
    return path
