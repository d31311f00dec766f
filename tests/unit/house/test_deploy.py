"""Alerts, dashboards and documentation speak of metrics and settings that exist."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.exposition import EXPIRES_SECONDS
from domain.causes import Cause
from workers.settings import variables
from workers.telemetry import BUCKETS

ROOT = Path(__file__).parents[3]
ROOMS = ("activities", "dynamics", "runs", "web", "workers", "workflows")
MAKERS = {
    "create_counter": ("", "_total"),
    "create_gauge": ("",),
    "create_observable_gauge": ("",),
    "create_up_down_counter": ("",),
    "create_histogram": ("", "_bucket", "_count", "_sum"),
    "create_histogram_float": ("", "_bucket", "_count", "_sum"),
}

OF_TEMPORAL = {
    "temporal_num_pollers",
    "temporal_sticky_cache_size",
    "temporal_request_failure_total",
    "temporal_activity_execution_failed_total",
    "temporal_workflow_task_execution_failed_total",
    "temporal_activity_schedule_to_start_latency_seconds_bucket",
    "temporal_workflow_task_schedule_to_start_latency_seconds_bucket",
}
"""What the SDK exports and we look at; that it does is shown where a stack runs (tests/e2e/test_cli_telemetry.py)."""


def metrics() -> dict[str, set[str]]:
    """Our metrics by name, each with the names Prometheus gives it."""
    found: dict[str, set[str]] = {}
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MAKERS:
                    (name, *_) = node.args
                    assert isinstance(name, ast.Constant) and isinstance(name.value, str), f"{file}: write it out"
                    found[name.value] = {f"{name.value}{suffix}" for suffix in MAKERS[node.func.attr]}
    return found


def test_every_histogram_has_buckets_of_its_own() -> None:
    """Those of the SDKs are for milliseconds: of what is measured in seconds every percentile would read the same."""
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                    continue
                if node.func.attr in ("create_histogram", "create_histogram_float"):
                    advised = {keyword.arg for keyword in node.keywords} & {"explicit_bucket_boundaries_advisory"}
                    (name, *_) = node.args
                    assert isinstance(name, ast.Constant)
                    assert advised or name.value in BUCKETS, f"{file}: {name.value!r}"


def asked_for(text: str) -> set[str]:
    return set(re.findall(r"\bq2c_[a-z_]+", text))


def dashboards() -> dict[str, dict[str, Any]]:
    return {file.name: json.loads(file.read_text()) for file in (ROOT / "deploy/grafana/dashboards").glob("*.json")}


def panels() -> list[tuple[str, dict[str, Any]]]:
    shown = [(f"{name}: {panel['title']}", panel) for name, board in dashboards().items() for panel in board["panels"]]
    return [(where, panel) for where, panel in shown if panel["type"] != "row"]


def rules() -> dict[str, dict[str, Any]]:
    read = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())
    return {rule["alert"]: rule for group in read["groups"] for rule in group["rules"]}


def test_there_is_a_dashboard_for_each_topic_and_each_has_an_id_of_its_own() -> None:
    assert dashboards().keys() == {"deals.json", "approvals.json", "integration.json", "temporal.json", "budget.json"}
    assert len({board["uid"] for board in dashboards().values()}) == len(dashboards())


def test_alerts_and_dashboards_ask_for_metrics_that_exist() -> None:
    exported = set().union(*metrics().values())
    asked = {f"alert {name}": rule["expr"] for name, rule in rules().items()}
    asked |= {where: " ".join(target["expr"] for target in panel["targets"]) for where, panel in panels()}
    wrong = {
        where: (asked_for(text) - exported) | (set(re.findall(r"\btemporal_[a-z_]+", text)) - OF_TEMPORAL)
        for where, text in asked.items()
    }
    assert {where: names for where, names in wrong.items() if names} == {}


def test_every_panel_asks_something_says_what_it_shows_and_lies_on_no_other() -> None:
    for where, panel in panels():
        assert panel["targets"] and panel["description"].endswith("."), where
    for name, board in dashboards().items():
        taken: set[tuple[int, int]] = set()
        for place in (panel["gridPos"] for panel in board["panels"]):
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken and place["x"] + place["w"] <= 24, name
            taken |= cells


def test_every_panel_that_counts_sees_the_first_count() -> None:
    """A counter is there from its first count on, and increase() alone does not see that one."""
    counted = r"\(\((\S+) unless \1 offset (\w+)\) or increase\(\1\[\2\]\)\)"
    for where, panel in panels():
        for expr in (target["expr"] for target in panel["targets"]):
            assert "increase(" not in re.sub(counted, "", expr), where


def test_every_dashboard_is_shown_on_the_operations_page_as_a_real_run_filled_it() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    for name in dashboards():
        picture = f"images/dashboard-{Path(name).stem}.png"
        assert f"({picture})" in page and 20_000 < (ROOT / "docs" / picture).stat().st_size < 300_000, name


def test_every_alert_has_a_test() -> None:
    tried = yaml.safe_load((ROOT / "deploy/prometheus/rules_test.yml").read_text())["tests"]
    assert {test["name"] for test in tried} == rules().keys()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian's package prometheus) is not installed")
def test_alerts_fire_when_they_should_and_the_queries_of_the_dashboards_can_be_read(tmp_path: Path) -> None:
    """Given Prometheus' own tool, when alerts are run over made series, then each fires as its test says."""
    shown = [
        {"record": "shown", "expr": target["expr"], "labels": {"n": str(n)}}
        for n, target in enumerate(target for _, panel in panels() for target in panel["targets"])
    ]
    (tmp_path / "shown.yml").write_text(yaml.safe_dump({"groups": [{"name": "shown", "rules": shown}]}))
    for command in (
        ["check", "rules", str(tmp_path / "shown.yml")],
        ["check", "rules", str(ROOT / "deploy/prometheus/rules.yml")],
        ["test", "rules", str(ROOT / "deploy/prometheus/rules_test.yml")],
    ):
        result = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_metrics_find_their_way_from_the_product_to_prometheus() -> None:
    """Every component a pipeline names is configured, and each part looks where the one before it listens."""
    collector = yaml.safe_load((ROOT / "deploy/otel/collector.yaml").read_text())
    for pipeline in collector["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) <= collector[part].keys()
    assert set(collector["service"]["extensions"]) <= collector["extensions"].keys()
    shown = collector["exporters"]["prometheus"]
    assert shown["resource_to_telemetry_conversion"]["enabled"] and shown["metric_expiration"] == "2m"
    assert EXPIRES_SECONDS == 120
    scrapes = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    (target,) = [each for scrape in scrapes for of in scrape["static_configs"] for each in of["targets"]]
    assert target == f"otel-collector:{shown['endpoint'].rpartition(':')[2]}"
    taken = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rpartition(":")[2]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert compose["x-settings"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://otel-collector:{taken}"
    named = {each.split(":", 1)[0] for each in compose["services"]["prometheus"]["volumes"]}
    assert {"./deploy/prometheus", "prometheus"} == named


def test_every_alert_says_what_to_do_with_variables_that_exist() -> None:
    known = {variable.name for variable in variables()}
    for name, rule in rules().items():
        action = rule["annotations"]["action"]
        assert action.endswith("."), name
        assert set(re.findall(r"Q2C_[A-Z_]+", action)) <= known, name


def test_the_operations_page_lists_every_alert() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"\b[A-Z][A-Za-z]+\b", page[page.index("## Alerts") : page.index("## Traces")]))
    assert rules().keys() - listed == set()


def test_the_operations_page_lists_every_metric_of_ours() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    missing = [name for name in metrics() if f"`{name}" not in page]
    assert missing == []


def test_an_outage_is_one_alert_for_each_system_within_five_minutes() -> None:
    """Finance away from 10:02: one alert by 10:07 (S22), and no label but the system tells two apart."""
    down = rules()["SystemDown"]
    assert "q2c_circuit_open" in down["expr"] and down["labels"]["severity"] == "page"
    assert set(re.findall(r" by \(([^)]*)\)", down["expr"])) == {"system"}
    assert int(down["for"].removesuffix("m")) <= 4
    (passing,) = re.findall(r'cause!~"([^"]*)"', rules()["SweepsFail"]["expr"])
    assert set(passing.split("|")) == {str(cause.value) for cause in Cause if cause.passes}
