"""Metrics for real, once: the whole product, a real Prometheus with our rules, and every query of every dashboard.

The stack runs through a quarter of an hour of a company (bench/observed_deals.py) and exports by OTLP. Prometheus is
Debian's; the collector between them is a stand-in (bench/exposition.py), because none can be had from the registries
we build with; Grafana is not run either: the pictures are drawn from the same queries (bench/boards.py).

    uv run python -m bench.observed [--pictures docs/images]

Exits 1 where a query does not parse, where a panel stays empty that should not, or where a metric was refused.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from bench import boards, observed_deals
from bench.exposition import served
from demo.ports import free_ports
from tests.receivers import mail_server
from tests.stack import Stack

ROOT: Final = Path(__file__).parents[1]
EVERY: Final = "5s"
POINTS: Final = 240
"""Moments of a panel that are asked for."""

EMPTY: Final[Mapping[str, str]] = {
    "integration: Service Bus": "the stack receives by webhooks; nothing is sent to a Service Bus",
    "integration: Open differences": "no parallel run was begun",
    "integration: Critical differences": "no parallel run was begun",
    "integration: Clean days in a row": "no parallel run was begun",
}
"""Panels that this run leaves empty, and why."""


@dataclass(frozen=True)
class Prometheus:
    """Prometheus' API."""

    http: httpx.Client

    def range(self, query: str, begin: float, end: float) -> list[dict[str, Any]]:
        """Series over a time.

        Raises:
            ValueError: Prometheus refuses the query.
        """
        step = max((end - begin) / POINTS, 1.0)
        return self._asked("/api/v1/query_range", query=query, start=begin, end=end, step=step)

    def now(self, query: str, at: float) -> list[dict[str, Any]]:
        """Series at a moment.

        Raises:
            ValueError: Prometheus refuses the query.
        """
        return self._asked("/api/v1/query", query=query, time=at)

    def _asked(self, path: str, **params: str | float) -> list[dict[str, Any]]:
        answer = self.http.get(path, params=params).json()
        if answer["status"] != "success":
            raise ValueError(f"{params['query']}: {answer.get('error')}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found


@contextmanager
def prometheus(folder: Path, exporter: int) -> Iterator[Prometheus]:
    """Prometheus with deploy/prometheus, but for its target and its pace."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": EVERY, "evaluation_interval": EVERY}
    config["rule_files"] = [str(ROOT / "deploy/prometheus/rules.yml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{exporter}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    words = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "tsdb",
        "web.listen-address": f"127.0.0.1:{port}",
        "log.level": "warn",
    }
    command = ["prometheus", *(f"--{name}={value}" for name, value in words.items())]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
    try:
        _until_ready(http, process)
        yield Prometheus(http)
    finally:
        http.close()
        process.terminate()
        process.wait(30)


def _until_ready(http: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            if http.get("/-/ready").is_success:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError("Prometheus did not start")


def policies(folder: Path) -> Path:
    """The product's policies, but people are told at any hour."""
    made = folder / "policies"
    shutil.copytree(ROOT / "policies", made, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    notices = made / "notices.yaml"
    said = notices.read_text().splitlines(keepends=True)
    notices.write_text("".join(text for text in said if not text.startswith("  quiet:")))
    return made


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, help="folder the dashboards are drawn into")
    parser.add_argument("--keep", type=Path, help="file the answers of Prometheus are kept in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, served() as (exposition, port), mail_server() as mailbox:
        folder = Path(name)
        with prometheus(folder, port) as asked:
            mail = f"mailto://127.0.0.1:{mailbox.port}/{{address}}?from=q2c@contoso.example"
            stack = Stack.start(
                folder / "state",
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
                OTEL_METRIC_EXPORT_INTERVAL="5000",
                Q2C_WORKER_SWEEP_SECONDS="30",
                Q2C_POLICIES=str(policies(folder)),
                Q2C_NOTICE_TARGETS=json.dumps({"mail": mail}),
            )
            began = time.time()
            try:
                observed_deals.run(stack, mailbox, lambda text: print(text, file=sys.stderr, flush=True))
                time.sleep(10)
                shown, wrong = answers(asked, began, time.time())
            finally:
                stack.stop()
    wrong += [f"refused by the collector: {metric}" for metric in exposition.refused]
    if options.keep:
        options.keep.write_text(json.dumps(shown))
    if options.pictures:
        boards.draw(shown, options.pictures)
    print("\n".join(wrong) or "every query was answered")
    return int(bool(wrong))


def answers(asked: Prometheus, begin: float, end: float) -> tuple[list[boards.Board], list[str]]:
    """Every panel with what Prometheus answered, and what is wrong with them."""
    shown: list[boards.Board] = []
    wrong = []
    for file in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")):
        board = json.loads(file.read_text())
        for panel in board["panels"]:
            where, found = f"{file.stem}: {panel['title']}", 0
            for target in panel.get("targets", ()):
                try:
                    target["series"] = asked.range(target["expr"], begin, end)
                    target["now"] = asked.now(target["expr"], end)
                except ValueError as error:
                    wrong.append(f"{where}: {error}")
                    continue
                found += len(target["series"])
            if panel["type"] != "row" and bool(found) is (where in EMPTY):
                wrong.append(f"{where} is not empty: {EMPTY[where]}?" if found else f"{where} is empty")
        shown.append({"name": file.stem, "begin": begin, "end": end, **board})
    fired = asked.range('max by (alertname, severity) (ALERTS{alertstate="firing"})', begin, end)
    print("fired: " + ", ".join(sorted(series["metric"]["alertname"] for series in fired)))
    return shown, wrong


if __name__ == "__main__":
    sys.exit(main())
