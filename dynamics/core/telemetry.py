"""What is seen of every HTTP request to Dynamics: one span, one count, one duration.

Attribute names follow OpenTelemetry's HTTP semantic conventions; ours begin with `q2c.`. No body, no customer's name
and no query string ever goes into a span: entity set and method say what was asked.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from dynamics.core.errors import DynamicsError, System

_tracer = trace.get_tracer("dynamics")
_meter = metrics.get_meter("dynamics")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""The SDK's own boundaries are milliseconds: every request in seconds would lie below the first."""
_requests = _meter.create_counter(
    "q2c_http_requests_total", unit="{request}", description="HTTP requests to Dynamics, by system, operation, status"
)
_durations = _meter.create_histogram(
    "q2c_http_request_duration_seconds",
    unit="s",
    description="From the request leaving to its answer read",
    explicit_bucket_boundaries_advisory=_SECONDS,
)
_waits = _meter.create_histogram(
    "q2c_budget_wait_seconds",
    unit="s",
    description="How long a request waited for its turn in the budget",
    explicit_bucket_boundaries_advisory=_SECONDS,
)
_remaining = _meter.create_gauge(
    "q2c_requests_remaining", unit="{request}", description="What a system says is left of its limit"
)
_circuits = _meter.create_up_down_counter(
    "q2c_circuit_open", unit="{circuit}", description="Circuits that are open: nothing is sent to a system, by system"
)
_not_sent = _meter.create_counter(
    "q2c_http_requests_not_sent", unit="{request}", description="Requests refused unsent, by system and reason"
)
_REMAINING = "x-ms-ratelimit-burst-remaining-xrm-requests"
"""Dataverse says it on each answer, for the server that answered: good for a look, never for a decision."""
CLIENT_REQUEST_ID = "x-ms-client-request-id"
_LONGEST_NUMBER = 10
CORRELATION_ID = "x-ms-correlation-request-id"


def circuit_changed(system: System, by: int) -> None:
    """A circuit of a system opened (+1), closed (-1), or is there and closed (0)."""
    _circuits.add(by, {"system": system.value})


def not_sent(system: System, reason: str) -> None:
    """A request was refused before it left: in a `pause` the system asked for, or while the `circuit` is open."""
    _not_sent.add(1, {"system": system.value, "reason": reason})


@dataclass(frozen=True, slots=True)
class Deal:
    """The deal a request is made for: legal entity (lower case) and quote number."""

    company: str
    quote: str


_deal: ContextVar[Deal | None] = ContextVar("q2c_deal", default=None)


@contextmanager
def on_behalf_of(company: str, quote: str) -> Iterator[None]:
    """Mark every request made inside the block, in this task, as made for one deal."""
    token = _deal.set(Deal(company, quote))
    try:
        yield
    finally:
        _deal.reset(token)


def waited(system: System, seconds: float) -> None:
    """Count how long a request waited for its turn in the budget of a system."""
    _waits.record(seconds, {"system": system.value})


class Observation:
    """One request under way; told how it ended before the block is left."""

    def __init__(self, span: Span, system: System) -> None:
        self._span = span
        self._system = system
        self.outcome = "no answer"

    def inject(self, headers: MutableMapping[str, str]) -> None:
        """Name the request, so that the system's own telemetry can be joined with our trace.

        Beside the W3C trace context both systems keep a GUID that the caller gives each request; Dataverse keeps one
        more for all that belong together: here that of the trace.
        Source: Microsoft Learn, "Service request tracing" (Finance); the client library of Dataverse sends both.
        """
        propagate.inject(headers)
        request_id = str(uuid.uuid4())
        headers[CLIENT_REQUEST_ID] = request_id
        self._span.set_attribute("q2c.client_request_id", request_id)
        traced = self._span.get_span_context()
        if self._system is System.DATAVERSE and traced.is_valid:
            headers[CORRELATION_ID] = str(uuid.UUID(int=traced.trace_id))

    def answered(self, status: int, request_id: str, headers: Mapping[str, str]) -> None:
        """Record the status, the server's own id of the request, and what it says of its limits."""
        self.outcome = str(status)
        retry_after, remaining = headers.get("retry-after"), headers.get(_REMAINING, "")
        if remaining.isascii() and remaining.isdecimal() and len(remaining) < _LONGEST_NUMBER:
            _remaining.set(int(remaining), {"system": self._system.value})
        self._span.set_attribute("http.response.status_code", status)
        if request_id:
            self._span.set_attribute("q2c.request_id", request_id)
        if retry_after is not None:
            self._span.set_attribute("q2c.retry_after", retry_after)

    def failed(self, error: DynamicsError) -> None:
        """Mark the span with the class and the message of the error."""
        self._span.set_attribute("error.type", type(error).__name__)
        self._span.set_status(Status(StatusCode.ERROR, error.message[:200]))


@contextmanager
def observed(system: System, method: str, operation: str, host: str) -> Iterator[Observation]:
    """A span, a count and a duration around one HTTP request.

    Args:
        system: The system asked.
        method: HTTP method.
        operation: Entity set or action, without keys and options.
        host: Host name asked.
    """
    attributes = {
        "http.request.method": method,
        "server.address": host,
        "q2c.system": system.value,
        "q2c.operation": operation,
    }
    if deal := _deal.get():
        attributes |= {"q2c.company": deal.company, "q2c.quote": deal.quote}
    started = time.perf_counter()
    with _tracer.start_as_current_span(
        f"{method} {system.value} {operation}", kind=SpanKind.CLIENT, attributes=attributes
    ) as span:
        observation = Observation(span, system)
        try:
            yield observation
        finally:
            labels = {"system": system.value, "operation": f"{method} {operation}", "status": observation.outcome}
            _requests.add(1, labels)
            _durations.record(time.perf_counter() - started, labels)
