"""What every answer gets: headers that keep a browser from being used against us, and a span in the trace."""

from __future__ import annotations

import os

from opentelemetry import metrics, trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.trace import Span
from opentelemetry.util.http import ExcludeList
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.route_limits import found_for


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
                # Addresses of static files carry the hash of their content, so they may be kept forever.
                kept = scope["path"].startswith("/static/") and message["status"] == 200
                headers.setdefault("Cache-Control", "public, max-age=31536000, immutable" if kept else "no-store")
            await send(message)

        await self._app(scope, receive, complete)


class Tracing:
    """A server span for each request, continuing the caller's trace if it sent one.

    A click or a webhook is where a trace begins; the Temporal client carries it on to the deal and its activities. The
    span is OpenTelemetry's own for ASGI; it sees neither the query, which holds the secret of business events, nor a
    header that is not plain ASCII.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        # Stable names of attributes (http.request.method, …); the instrumentation's default are the old ones.
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        self._app = app
        self._traced = OpenTelemetryMiddleware(
            self._within,
            excluded_urls=ExcludeList([r"^https?://[^/]*/(health|static)/"]),
            default_span_details=_span_details,
            server_request_hook=_correlate,
            tracer_provider=trace.get_tracer_provider(),
            meter_provider=metrics.get_meter_provider(),
            exclude_spans=["receive", "send"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on inside its span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name.isascii() and value.isascii()]
        await self._traced({**scope, "headers": headers, "query_string": b"", _ORIGINAL: scope}, receive, send)

    async def _within(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope[_ORIGINAL], receive, send)


_ORIGINAL = "q2c.scope"


def _span_details(scope: Scope) -> tuple[str, dict[str, str]]:
    """Name and route of a request's span: the route's pattern, so that there are few different names."""
    route = found_for(scope["app"].routes, scope).path
    return f"{scope['method']} {route}", {"http.route": route}


def _correlate(span: Span, scope: Scope) -> None:
    """Note the id under which Dynamics knows the call."""
    for name, value in scope["headers"]:
        if name == b"x-ms-correlation-request-id":
            span.set_attribute("dynamics.correlation_request_id", value.decode("ascii"))
