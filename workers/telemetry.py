"""Traces, metrics and logs of every process of the product.

One trace runs from a webhook or a click through the workflow's activities to each HTTP request, because every process
shares this set-up and the Temporal client carries the context in its headers. OpenTelemetry's own variables steer it:
without `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is created, so that an unobserved installation pays nothing.
Logs are one JSON object a line, with the company, quote and workflow of the work in hand and its trace id.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TextIO

import structlog
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from temporalio.client import Interceptor
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.runtime import (
    LoggingConfig,
    OpenTelemetryConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
METRICS_EVERY_MS = 15_000
"""Pause between two exports of metrics, unless OpenTelemetry's variable says otherwise. Milliseconds."""
# Core's defaults start at 100 ms, where nearly all of our tasks lie: without these every percentile reads the same.
_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LATENCY_METRICS = (
    "temporal_workflow_task_schedule_to_start_latency",
    "temporal_workflow_task_execution_latency",
    "temporal_workflow_task_replay_latency",
    "temporal_activity_schedule_to_start_latency",
    "temporal_activity_execution_latency",
    "temporal_request_latency",
)


@dataclass
class Telemetry:
    """What one process needs to be seen; `close` sends what is still in memory."""

    runtime: Runtime
    interceptors: list[Interceptor] = field(default_factory=list)
    _providers: list[TracerProvider | MeterProvider] = field(default_factory=list)

    @property
    def exports(self) -> bool:
        """Whether anything is sent anywhere."""
        return bool(self._providers)

    def close(self) -> None:
        """Flush and stop the exporters. Call it last: nothing is exported afterwards."""
        for provider in self._providers:
            provider.shutdown()


def start_telemetry(service: str, environment: Mapping[str, str] = os.environ) -> Telemetry:
    """Set up traces and metrics of this process.

    Args:
        service: `service.name` of the resource, e.g. `q2c-worker`.
        environment: where OpenTelemetry's variables are read from.

    Returns:
        The runtime and interceptors the Temporal client must be given. Without an endpoint the runtime exports nothing
        and there is no interceptor.
    """
    endpoint = environment.get(ENDPOINT, "").rstrip("/")
    if not endpoint:
        return Telemetry(Runtime(telemetry=TelemetryConfig(logging=_core_logging())))
    interval_ms = int(environment.get(INTERVAL, METRICS_EVERY_MS))
    resource = Resource.create({"service.name": service})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    meters = MeterProvider(
        resource=resource,
        metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=interval_ms)],
    )
    metrics.set_meter_provider(meters)
    core = OpenTelemetryConfig(
        url=f"{endpoint}/v1/metrics",
        http=True,
        headers=dict(_otlp_headers(environment.get("OTEL_EXPORTER_OTLP_HEADERS", ""))),
        durations_as_seconds=True,
        metric_periodicity=timedelta(milliseconds=interval_ms),
        histogram_bucket_overrides=dict.fromkeys(_LATENCY_METRICS, _LATENCY_BUCKETS),
    )
    runtime = Runtime(
        telemetry=TelemetryConfig(logging=_core_logging(), metrics=core, global_tags={"service_name": service})
    )
    return Telemetry(runtime, [TracingInterceptor()], [tracers, meters])


def _core_logging() -> LoggingConfig:
    return LoggingConfig(filter=TelemetryFilter(core_level="WARN", other_level="ERROR"))


def _otlp_headers(value: str) -> Iterator[tuple[str, str]]:
    """`key=value,key=value`, as the OpenTelemetry specification writes headers in a variable."""
    for item in value.split(","):
        key, sign, text = item.partition("=")
        if sign:
            yield key.strip(), text.strip()


def configure_logging(level: str, style: Literal["json", "console"], stream: TextIO = sys.stdout) -> None:
    """Send structlog's and the standard library's records through one pipe, one object a line.

    Args:
        level: lowest level logged, e.g. `INFO`.
        style: `json` for machines, `console` for people.
        stream: where the lines go.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        add_case,
        add_trace,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str) if style == "json" else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared[:4], add_case, add_trace, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                drop_colours,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "msal", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def drop_colours(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leave out uvicorn's second copy of its message, made for terminals."""
    event.pop("color_message", None)
    return event


def add_case(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the case: workflow id, and the company and quote that stand in it.

    Temporal's own loggers attach the run as a dictionary under `temporal_workflow` or `temporal_activity`.
    """
    for key in ("temporal_workflow", "temporal_activity"):
        info = event.pop(key, None)
        if isinstance(info, Mapping):
            event.setdefault("workflow_id", info.get("workflow_id"))
            event.setdefault("run_id", info.get("run_id") or info.get("workflow_run_id"))
            if "activity_type" in info:
                event.setdefault("activity", info["activity_type"])
                event.setdefault("attempt", info.get("attempt"))
    workflow_id = event.get("workflow_id")
    if isinstance(workflow_id, str):
        kind, _, rest = workflow_id.partition("/")
        company, _, subject = rest.partition("/")
        if kind in ("q2c", "approval") and subject:
            event.setdefault("company", company)
            event.setdefault("quote", subject.split("/")[0])
        elif kind in ("credit", "collections") and subject:
            event.setdefault("company", company)
            event.setdefault("customer", subject)
    return event


def add_trace(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the trace and span in hand, so that a log line and its trace find each other."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event
