"""Alerts, dashboard and documentation speak of metrics and settings that exist."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import yaml

from workers.settings import variables

ROOT = Path(__file__).parents[3]
ROOMS = ("activities", "dynamics", "runs", "web", "workers", "workflows")
MAKERS = {
    "create_counter": ("", "_total"),
    "create_gauge": ("",),
    "create_up_down_counter": ("",),
    "create_histogram": ("", "_bucket", "_count", "_sum"),
    "create_histogram_float": ("", "_bucket", "_count", "_sum"),
}


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


def asked_for(text: str) -> set[str]:
    return set(re.findall(r"\bq2c_[a-z_]+", text))


def test_alerts_and_dashboard_ask_for_metrics_that_exist() -> None:
    exported = set().union(*metrics().values())
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/quote-to-cash.json").read_text())
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert asked_for(" ".join(expressions)) - exported == set()


def test_every_alert_says_what_to_do_with_variables_that_exist() -> None:
    known = {variable.name for variable in variables()}
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            action = rule["annotations"]["action"]
            assert action.endswith("."), rule["alert"]
            assert set(re.findall(r"Q2C_[A-Z_]+", action)) <= known, rule["alert"]


def test_the_operations_page_lists_every_metric_of_ours() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    missing = [name for name in metrics() if f"`{name}" not in page]
    assert missing == []


def test_an_outage_is_one_alert_for_each_system_within_five_minutes() -> None:
    """Finance away from 10:02: one alert by 10:07 (S22), and no label but the system tells two apart."""
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"]
    (down,) = [rule for group in groups for rule in group["rules"] if "q2c_circuit_open" in rule["expr"]]
    assert (down["alert"], down["labels"]["severity"]) == ("SystemDown", "page")
    assert set(re.findall(r" by \(([^)]*)\)", down["expr"])) == {"system"}
    assert int(down["for"].removesuffix("m")) <= 4
