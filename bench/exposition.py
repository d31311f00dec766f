"""What a collector with deploy/otel/collector.yaml shows Prometheus, as far as metrics go.

A stand-in for where no collector can be had: it takes OTLP over HTTP and writes Prometheus' text by the rules the
collector's Prometheus exporter documents. Units and `_total` become suffixes, attributes of the resource become labels,
sums that may fall become gauges, and a series of which nothing was heard for two minutes is shown no longer. A point
with two labels of one name is not shown: the exporter refuses it too.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from typing import Any, Final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

EXPIRES_SECONDS: Final = 120.0
"""As `metric_expiration` of deploy/otel/collector.yaml."""
UNITS: Final = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": "", "%": "percent"}

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sample:
    """A line of the text: the name with its suffix, its labels, its value."""

    name: str
    labels: Labels
    value: float


@dataclass
class Exposition:
    """What was heard, as Prometheus reads it."""

    refused: Counter[str] = field(default_factory=Counter)
    """Metrics whose points have two labels of one name, by their name."""
    _heard: dict[tuple[str, Labels], tuple[float, str, list[Sample]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, body: bytes) -> None:
        """Hear an export of metrics."""
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            of_resource = _texts(resource.resource.attributes)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    for point in getattr(metric, kind).data_points if kind else ():
                        self._point(metric, str(kind), point, of_resource, scope.scope.name)

    def text(self) -> str:
        """All that is shown now, in Prometheus' text format."""
        oldest, by_name = time.monotonic() - EXPIRES_SECONDS, dict[str, tuple[str, list[Sample]]]()
        with self._lock:
            self._heard = {key: kept for key, kept in self._heard.items() if kept[0] >= oldest}
            for (name, _), (_, kind, samples) in self._heard.items():
                by_name.setdefault(name, (kind, []))[1].extend(samples)
        lines = []
        for name, (kind, samples) in sorted(by_name.items()):
            lines += [f"# TYPE {name} {kind}", *map(_line, samples)]
        return "\n".join(lines) + "\n"

    def _point(self, metric: Any, kind: str, point: Any, of_resource: dict[str, str], scope: str) -> None:
        shown = prometheus_name(metric.name, metric.unit, kind, monotonic=kind == "sum" and metric.sum.is_monotonic)
        attributes = of_resource | _texts(point.attributes)
        names = [label_name(name) for name in attributes]
        if len(set(names)) < len(names):
            self.refused[metric.name] += 1
            return
        labels = dict(zip(names, attributes.values(), strict=True)) | {"otel_scope_name": scope}
        for label, attribute in (("job", "service.name"), ("instance", "service.instance.id")):
            if attribute in of_resource:
                labels[label] = of_resource[attribute]
        key = tuple(sorted(labels.items()))
        samples = list(_histogram(shown, key, point)) if kind == "histogram" else [Sample(shown, key, _number(point))]
        typed = "histogram" if kind == "histogram" else "counter" if shown.endswith("_total") else "gauge"
        with self._lock:
            self._heard[shown, key] = time.monotonic(), typed, samples


def prometheus_name(name: str, unit: str, kind: str, *, monotonic: bool) -> str:
    """The name a metric has in Prometheus."""
    parts = re.findall(r"[A-Za-z0-9]+", name)
    suffix = UNITS.get(unit, unit)
    if suffix and not set(suffix) & set("{}") and suffix not in parts:
        parts.append(suffix)
    if monotonic:
        parts = [*(part for part in parts if part != "total"), "total"]
    elif kind == "gauge" and unit == "1":
        parts = [*(part for part in parts if part != "ratio"), "ratio"]
    return "_".join(parts)


def label_name(attribute: str) -> str:
    """The name an attribute has as a label."""
    return re.sub(r"[^A-Za-z0-9_]", "_", attribute)


def _histogram(name: str, labels: Labels, point: Any) -> Iterator[Sample]:
    bounds = [*map(str, map(float, point.explicit_bounds)), "+Inf"]  # 512.0, as Prometheus 3 keeps it
    for bound, count in zip(bounds, accumulate(point.bucket_counts), strict=True):
        yield Sample(f"{name}_bucket", (*labels, ("le", bound)), count)
    yield Sample(f"{name}_sum", labels, point.sum)
    yield Sample(f"{name}_count", labels, point.count)


def _number(point: Any) -> float:
    return float(getattr(point, point.WhichOneof("value")))


def _texts(attributes: Iterable[Any]) -> dict[str, str]:
    found = {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in attributes}
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in found.items()}


def _line(sample: Sample) -> str:
    escaped = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
    labels = ",".join(f'{k}="{"".join(escaped.get(c, c) for c in v)}"' for k, v in sample.labels)
    return f"{sample.name}{{{labels}}} {sample.value!r}"


@contextmanager
def served() -> Iterator[tuple[Exposition, int]]:
    """A collector at a free port: OTLP is posted to `/v1/metrics` and `/v1/traces`, Prometheus gets `/metrics`."""
    exposition = Exposition()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/metrics":
                exposition.take(body)
            self._answer(b"", 200 if self.path in ("/v1/metrics", "/v1/traces") else 404)

        def do_GET(self) -> None:
            self._answer(exposition.text().encode())

        def _answer(self, body: bytes, status: int = 200) -> None:
            with suppress(ConnectionError):  # a process that ends does not wait for its answer
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield exposition, server.server_port
    finally:
        server.shutdown()
        server.server_close()
