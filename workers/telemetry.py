"""Traces and metrics of every process of the product.

One trace runs from a webhook or a click through the workflow's activities to each HTTP request, because every process
shares this set-up and the Temporal client carries the context in its headers. OpenTelemetry's own variables steer it:
without `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is created, so that an unobserved installation pays nothing.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.re import parse_env_headers
from temporalio.client import Interceptor
from temporalio.runtime import (
    LoggingConfig,
    OpenTelemetryConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from workers.settings import SettingsError
from workers.tracing import tracing

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"
METRICS_EVERY = timedelta(seconds=15)
"""Pause between two exports of metrics, unless OpenTelemetry's variable says otherwise."""
# Core's defaults start at 100 ms, where nearly all of our tasks lie: without these every percentile reads the same.
_LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_OF_PEOPLE = (60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0, 172_800.0, 345_600.0, 604_800.0, 1_209_600.0)
"""What waits for people: minutes to weeks."""
BUCKETS: Final[Mapping[str, Sequence[float]]] = {
    # Sales is meant to show what Finance has within 120 seconds.
    "q2c_write_back_lag_seconds": (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 86_400.0),
    "q2c_stage_duration_seconds": (1.0, 10.0, *_OF_PEOPLE, 2_419_200.0, 7_776_000.0),
    "q2c_approval_duration_seconds": (1.0, 10.0, *_OF_PEOPLE),
    "q2c_history_events": (50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0, 51_200.0),
    "q2c_history_bytes": (2**14, 2**15, 2**16, 2**17, 2**18, 2**19, 2**20, 2**21, 2**22, 2**23, 2**24, 50 * 2**20),
}
"""Buckets of what runs measure, by metric; the runtime is told them, as a run cannot say them itself."""
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

    Raises:
        SettingsError: one of OpenTelemetry's variables has a value it cannot have.
    """
    endpoint, interval = exported_to(environment), _interval(environment)
    if not endpoint:
        return Telemetry(Runtime(telemetry=TelemetryConfig(logging=_core_logging())))
    # Two processes of one name must be told apart, or the counters of one take the place of the other's.
    instance = str(uuid.uuid4())
    resource = Resource.create({"service.name": service, "service.instance.id": instance})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    meters = MeterProvider(
        resource=resource,
        metric_readers=[
            PeriodicExportingMetricReader(
                OTLPMetricExporter(), export_interval_millis=interval / timedelta(milliseconds=1)
            )
        ],
    )
    metrics.set_meter_provider(meters)
    core = OpenTelemetryConfig(
        url=f"{endpoint}/v1/metrics",
        http=True,
        headers=dict(parse_env_headers(environment.get(HEADERS, ""), liberal=True)),
        durations_as_seconds=True,
        metric_periodicity=interval,
        histogram_bucket_overrides={**dict.fromkeys(_LATENCY_METRICS, _LATENCY_BUCKETS), **BUCKETS},
    )
    # Core's resource, by the names of the one above: a collector makes labels of both, and drops a metric that has two
    # of one name (`service.name` and `service_name`).
    tags = {"service.name": service, "service.instance.id": instance}
    seen = TelemetryConfig(logging=_core_logging(), metrics=core, global_tags=tags, attach_service_name=False)
    return Telemetry(Runtime(telemetry=seen), tracing(), [tracers, meters])


def _core_logging() -> LoggingConfig:
    return LoggingConfig(filter=TelemetryFilter(core_level="WARN", other_level="ERROR"))


def exported_to(environment: Mapping[str, str]) -> str:
    """Where telemetry is sent, without trailing slash; empty: nowhere.

    Raises:
        SettingsError: it is not the URL of an OTLP endpoint over HTTP.
    """
    endpoint = environment.get(ENDPOINT, "").strip().rstrip("/")
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise SettingsError(f"{ENDPOINT}: must be a URL such as http://localhost:4318 (OTLP over HTTP)")
    return endpoint


def _interval(environment: Mapping[str, str]) -> timedelta:
    """Pause between two exports of metrics.

    Raises:
        SettingsError: it is not a number of milliseconds.
    """
    given = environment.get(INTERVAL, "").strip()
    if given and not (given.isdecimal() and int(given) > 0):
        raise SettingsError(f"{INTERVAL}: must be a whole number of milliseconds above 0")
    return timedelta(milliseconds=int(given)) if given else METRICS_EVERY
