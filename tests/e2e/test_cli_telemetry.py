"""What an operator sees: one trace from the webhook to each HTTP request, metrics of the SDK and ours, logs that agree.

A collector of the test's own takes OTLP over HTTP, as the real one does.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.exposition import Exposition
from tests.deadlines import PATIENCE
from tests.stack import Deal, Stack, line

TABLES = 3
DEPLOY = Path(__file__).parents[2] / "deploy"


@dataclass(frozen=True)
class SeenSpan:
    service: str
    name: str
    trace: str
    seconds: float
    attributes: dict[str, str]


@dataclass
class Collector:
    """Everything that was exported."""

    origin: str = ""
    spans: list[SeenSpan] = field(default_factory=list)
    metrics: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    authorizations: set[str] = field(default_factory=set)
    exposition: Exposition = field(default_factory=Exposition)

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                service = labels(resource.resource.attributes)["service.name"]
                for scope in resource.scope_spans:
                    self.spans += [
                        SeenSpan(
                            service,
                            span.name,
                            span.trace_id.hex(),
                            (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
                            labels(span.attributes),
                        )
                        for span in scope.spans
                    ]
        elif path == "/v1/metrics":
            self.exposition.take(body)
            for resource_metrics in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope_metrics in resource_metrics.scope_metrics:
                    for metric in scope_metrics.metrics:
                        points = getattr(metric, metric.WhichOneof("data") or "gauge").data_points
                        self.metrics.setdefault(metric.name, []).extend(labels(point.attributes) for point in points)


def labels(attributes: Any) -> dict[str, str]:
    return {pair.key: str(getattr(pair.value, pair.value.WhichOneof("value"))) for pair in attributes}


def eventually(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline, "not exported"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    seen = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.take(self.path, body)
            seen.authorizations.add(self.headers.get("authorization", ""))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the test's output is pytest's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.origin = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield seen
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def ordered(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deal]:
    """A deal whose order is confirmed, on a stack of its own that exports."""
    stack = Stack.start(
        tmp_path_factory.mktemp("observed"),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.origin,
        OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20of%20the%20collector",
        OTEL_BSP_SCHEDULE_DELAY="200",
        OTEL_METRIC_EXPORT_INTERVAL="500",
    )
    # The first sweep of the quotes would find the quote as well, and be where its trace begins.
    eventually(lambda: sum(span.name == "RunActivity:read_sales" for span in collector.spans) >= TABLES)
    deal = stack.deal(line("P100", 10, "5"))
    deal.rep("submit")
    deal.until(lambda shown: shown["quote_status"] == "approved")
    deal.rep("activate")
    deal.until(lambda shown: shown["quote_status"] == "sent")
    deal.rep("accept")
    deal.until(lambda shown: shown["stage"] == "fulfilment")
    yield deal
    stack.stop()


def test_one_trace_runs_from_the_webhook_through_the_activities_to_each_request_that_dynamics_saw(
    ordered: Deal, collector: Collector
) -> None:
    def requests() -> list[SeenSpan]:
        seen = [span for span in collector.spans if span.attributes.get("q2c.quote") == ordered.quote]
        return [span for span in seen if "q2c.system" in span.attributes]

    eventually(lambda: {"finance", "dataverse"} <= {span.attributes["q2c.system"] for span in requests()})
    first = requests()[0].trace
    expected = {
        "POST /intake/dataverse",
        "HandleSignal:sales_event",
        "RunActivity:assess_quote",
        "POST dataverse $batch",
    }
    eventually(lambda: expected <= {span.name for span in collector.spans if span.trace == first})
    assert {span.service for span in collector.spans if span.trace == first} == {"q2c-web", "q2c-worker"}
    for span in requests():
        assert span.attributes["q2c.company"] == "usmf"
        assert span.attributes["http.response.status_code"] in ("200", "201", "204")
    seen = [entry for entry in ordered.stack.desk.requests() if first in entry.get("named", {}).get("traceparent", "")]
    assert {entry["system"] for entry in seen} == {"finance", "dataverse"}
    correlated = {entry["named"]["x-ms-correlation-request-id"] for entry in seen if entry["system"] == "dataverse"}
    assert correlated == {str(uuid.UUID(first))}
    sent = {entry["named"]["x-ms-client-request-id"] for entry in seen}
    eventually(lambda: sent <= {span.attributes.get("q2c.client_request_id") for span in collector.spans})


def test_one_trace_runs_from_a_click_through_two_runs_to_the_request_that_dynamics_saw(
    ordered: Deal, collector: Collector
) -> None:
    """Given a request for approval, when an approver decides, then what Sales is told names the trace of the click."""
    stack = ordered.stack
    deal = stack.deal(line("P100", 10, "12"))
    deal.rep("submit")
    asked, mona = deal.asks("mona"), stack.person("mona")
    click = uuid.uuid4()
    mona.http.headers["traceparent"] = f"00-{click.hex}-00f067aa0ba902b7-01"
    decided = mona.decide(asked, "approve")
    del mona.http.headers["traceparent"]
    assert decided.accepted, decided.body
    deal.until(lambda shown: shown["quote_status"] == "approved")

    def told() -> list[dict[str, str]]:
        named = [seen.get("named", {}) for seen in stack.desk.requests() if seen["system"] == "dataverse"]
        return [names for names in named if click.hex in names.get("traceparent", "")]

    eventually(told)
    assert {names["x-ms-correlation-request-id"] for names in told()} == {str(click)}

    def of_click() -> list[SeenSpan]:
        return [span for span in collector.spans if span.trace == click.hex]

    requests = {names["x-ms-client-request-id"] for names in told()}
    eventually(lambda: requests & {span.attributes.get("q2c.client_request_id") for span in of_click()})
    eventually(lambda: {"SignalWorkflow:decide"} <= {span.name for span in of_click()})
    assert {span.service for span in of_click()} == {"q2c-web", "q2c-worker"}
    assert deal.quote in {span.attributes.get("q2c.quote") for span in of_click()}


def test_each_stage_a_deal_leaves_is_a_span_of_the_trace_that_began_it(ordered: Deal, collector: Collector) -> None:
    def stages() -> dict[str, SeenSpan]:
        seen = [span for span in collector.spans if span.attributes.get("q2c.quote") == ordered.quote]
        return {span.name: span for span in seen if span.name.startswith("Stage ")}

    eventually(lambda: {"Stage opportunity", "Stage quote", "Stage credit", "Stage order"} <= stages().keys())
    (began,) = {span.trace for span in stages().values()}
    assert "POST /intake/dataverse" in {span.name for span in collector.spans if span.trace == began}
    assert stages()["Stage quote"].attributes["q2c.to"] == "credit"
    assert stages()["Stage quote"].seconds > 0


@pytest.mark.parametrize(
    "name",
    [
        "q2c_http_requests_total",
        "q2c_http_request_duration_seconds",
        "q2c_deals",
        "q2c_deals_waiting",
        "q2c_deals_in_stage",
        "q2c_runs_failing",
        "q2c_feed_swept_at",
        "q2c_budget_wait_seconds",
        "q2c_requests_remaining",
        "q2c_history_events",
        "q2c_history_bytes",
        "q2c_payload_bytes",
        "q2c_approval_duration_seconds",
        "q2c_transitions",
        "q2c_stage_duration_seconds",
        "q2c_write_back_lag_seconds",
        "temporal_num_pollers",
        "temporal_workflow_task_schedule_to_start_latency",
        "temporal_activity_schedule_to_start_latency",
        "temporal_sticky_cache_size",
    ],
)
def test_the_metrics_that_alerts_and_dashboard_use_are_exported(ordered: Deal, collector: Collector, name: str) -> None:
    eventually(lambda: name in collector.metrics)


def test_they_carry_the_labels_that_alerts_and_dashboard_group_by(ordered: Deal, collector: Collector) -> None:
    eventually(lambda: "q2c_http_requests_total" in collector.metrics)
    assert {"system", "status"} <= collector.metrics["q2c_http_requests_total"][0].keys()
    eventually(lambda: {"open", "parked", "overdue"} <= {labels["state"] for labels in collector.metrics["q2c_deals"]})


def test_what_dashboards_and_alerts_group_and_filter_by_is_a_label_of_what_is_exported(
    ordered: Deal, collector: Collector
) -> None:
    """Given a deal that was ordered, then each query over a metric that was exported names labels that it has."""
    eventually(lambda: "q2c_approval_duration_seconds" in collector.metrics and "q2c_deals" in collector.metrics)
    boards = [json.loads(file.read_text()) for file in (DEPLOY / "grafana/dashboards").glob("*.json")]
    asked = [target["expr"] for board in boards for panel in board["panels"] for target in panel.get("targets", ())]
    rules = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())
    asked += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    labels_of = {name: set().union(*points) for name, points in dict(collector.metrics).items()}
    checked = 0
    for text in asked:
        for asks in re.finditer(r"\b((?:q2c|temporal)_[a-z_]+)(\{[^}]*\})?", text):
            name, selector = asks[1], asks[2] or ""
            before = re.findall(r"by \(([^)]*)\)", text[: asks.start()])
            grouped = {label for label in before[-1].split(", ") if label} if before else set()
            exported = re.sub(r"_(bucket|count)$", "", name)
            names = (exported, exported.removesuffix("_total"), exported.removesuffix("_seconds"))
            found = next((labels_of[known] for known in names if known in labels_of), None)
            if found is None:
                continue
            named = grouped | set(re.findall(r"[{,]\s*([a-z_]+)(?:=~|!=|=)\"", selector))
            assert named - {"le"} <= found, f"{text} names labels that {exported} has not: {found}"
            checked += 1
    assert checked > 40, "nearly nothing was exported"


def test_prometheus_gets_what_dashboards_and_alerts_ask_for_by_their_names(ordered: Deal, collector: Collector) -> None:
    """The collector shows no metric that has two labels of one name, and names each by its unit and its kind."""
    asked = {
        "temporal_num_pollers",
        "temporal_workflow_task_schedule_to_start_latency_seconds_bucket",
        "q2c_http_requests_total",
        "q2c_http_request_duration_seconds_bucket",
        "q2c_payload_bytes_bucket",
        "q2c_transitions_total",
        "q2c_stage_duration_seconds_bucket",
        "q2c_feed_swept_at",
        "q2c_deals",
    }
    shown = collector.exposition
    eventually(lambda: asked <= set(re.findall(r"(?m)^(\w+)\{", shown.text())))
    assert shown.refused == {}
    for name in ("temporal_num_pollers", "q2c_deals"):
        assert re.search(rf'(?m)^{name}\{{.*instance="[0-9a-f-]{{36}}".*job="q2c-worker"', shown.text()), name


def test_headers_are_sent_as_they_are_meant_by_our_exporters_and_by_the_sdks(
    ordered: Deal, collector: Collector
) -> None:
    eventually(lambda: "temporal_num_pollers" in collector.metrics and collector.spans)
    assert collector.authorizations == {"Bearer of the collector"}


def test_a_line_of_the_log_leads_to_its_trace(ordered: Deal, collector: Collector) -> None:
    log = Path(ordered.stack.ready["state_dir"]) / "web.log"

    def taken() -> list[dict[str, str]]:
        records = [json.loads(text) for text in log.read_text().splitlines() if text.startswith("{")]
        return [record for record in records if record.get("quote") == ordered.quote and "trace_id" in record]

    eventually(taken)
    assert {record["company"] for record in taken()} == {"usmf"}
    traces = {span.trace for span in collector.spans}
    eventually(lambda: {record["trace_id"] for record in taken()} <= traces | {s.trace for s in collector.spans})


def test_how_long_sales_is_behind_is_measured_for_each_entity(ordered: Deal, collector: Collector) -> None:
    ordered.ship()
    ordered.waits_for("invoice")
    ordered.invoice()
    ordered.waits_for("payment")
    ordered.pay("1045.00")
    ordered.ends("closed")

    def entities() -> set[str]:
        return {point["entity"] for point in collector.metrics.get("q2c_write_back_lag_seconds", ())}

    eventually(lambda: entities() == {"order", "shipment", "invoice", "payment"})

    def shown() -> set[tuple[str, str, int]]:
        lags = ordered.stack.person("otto").get("/data/overview")["lags"]
        return {(each["company"], each["entity"], each["changes"]) for each in lags}

    eventually(lambda: {entity for _, entity, _ in shown()} == entities())
    assert {(company, number) for company, _, number in shown()} == {("usmf", 1)}
