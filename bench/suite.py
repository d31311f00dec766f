"""The measurements that say how large an installation has to be, each beside its floor, taken in the same run.

`q2c bench` runs them from a checkout. Each starts a stack of its own and ends it. ``scale`` is the share of the full
size; seconds are of the machine, counts and ratios hold anywhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from temporalio.client import Client

from bench import deal_cost
from bench.deal_cost import cpu_ms, running
from bench.floor import QUEUE, Floor
from bench.waiting import Payers
from demo.actions import history_cost
from demo.ports import free_ports
from demo.temporal_server import dev_server_command, wait_ready
from runs import names
from tests.e2e.test_cost import AUDIT, histories_of, kinds
from tests.large import carry
from tests.reaching import in_sales
from tests.replay.record import happy_path
from tests.sealing import KEYS_FILE
from tests.stack import Stack, line

SYSTEMS: Final = ("dataverse", "finance")
SLOW_MS: Final = 250
WATCHED_SECONDS: Final = 60.0
SETTLED_SECONDS: Final = 30.0
"""What was just begun has come to rest by then."""
LIFTED: Final = {
    "Q2C_DATAVERSE_REQUESTS_PER_SECOND": "1000",
    "Q2C_FINANCE_REQUESTS_PER_SECOND": "1000",
    "Q2C_DATAVERSE_ACTIVITIES_PER_SECOND": "1000",
    "Q2C_FINANCE_ACTIVITIES_PER_SECOND": "1000",
}


@dataclass(frozen=True)
class Figure:
    """A measured value, and the least it could have been; ``floor`` None: there is none for it."""

    name: str
    value: float
    unit: str
    floor: float | None = None
    floor_is: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the floor it is."""
        return self.value / self.floor if self.floor else None


@dataclass(frozen=True)
class Size:
    """How much is measured: the share of the full size, and a folder of Northwind's tables; None: not measured."""

    scale: float
    data: Path | None = None

    def of(self, full: int, least: int) -> int:
        """A number at this scale."""
        return max(round(full * self.scale), least)


Measurement = Callable[[Size], Awaitable[list[Figure]]]


@contextmanager
def stack(**environment: str) -> Iterator[Stack]:
    """A stack that ends with the block."""
    with tempfile.TemporaryDirectory() as folder:
        begun = Stack.start(Path(folder), **environment)
        begun.desk.http.timeout = 600
        try:
            yield begun
        finally:
            begun.stop()


def reaching(of: Stack) -> dict[str, str]:
    """The variables a command needs to reach a stack."""
    ready = of.ready
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
    return clean | {
        "TEMPORAL_ADDRESS": ready["temporal"],
        "Q2C_CODEC_KEYS_FILE": str(KEYS_FILE),
        "Q2C_CA_FILE": ready["ca_file"],
        "Q2C_ENTRA_URL": ready["entra"],
        "Q2C_DATAVERSE_URL": ready["dataverse"],
        "Q2C_ENTRA_CLIENT_SECRET": ready["client_secret"],
        "Q2C_WEB_CLIENT_SECRET": ready["web_client_secret"],
    }


async def load(of: Stack, deals: int, rate: float) -> dict[str, Any]:
    """What `q2c load` reports of orders made at a rate."""
    words = ("load", "--deals", str(deals), "--rate", str(rate), "--patience", "1800", "--json")
    command = [sys.executable, "-m", "cli", *words]
    done = await asyncio.to_thread(subprocess.run, command, env=reaching(of), capture_output=True, text=True)
    if not done.stdout:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def requests_since(of: Stack, moment: str) -> list[dict[str, Any]]:
    """What both systems were asked since a moment."""
    return [each for each in of.desk.requests(moment) if each["system"] in SYSTEMS]


def slow(of: Stack, milliseconds: int) -> None:
    """Let both systems answer later by so much; 0: at once."""
    faults = [{"system": system, "effect": {"delay_ms": milliseconds}, "probability": 1.0} for system in SYSTEMS]
    of.desk.put("/faults", faults) if milliseconds else of.desk.delete("/faults")


# --- the measurements ------------------------------------------------------------------------------------------------


async def cpu(size: Size) -> list[Figure]:
    """Processor time of an undisturbed deal, beside a workflow of as many activities that do nothing."""
    count = size.of(100, 20)
    with stack() as of:
        spent, activities = await deal_cost.deals(of, count)
    least = await deal_cost.floor(count, activities)
    said = f"a workflow of {activities} activities that do nothing"
    return [
        Figure(f"processor time of one deal, {part}", spent.ms[part], "ms", least.ms.get(part), said)
        for part in deal_cost.PARTS
    ]


async def latency(size: Size) -> list[Figure]:
    """From the webhook of Win to the order in Finance, at 0 ms and at 250 ms a request."""
    figures, count = [], size.of(40, 6)
    with stack() as of:
        await load(of, 3, 60)
        on_the_way = await asyncio.to_thread(_requests_to_the_order, of)
        for delay in (0, SLOW_MS):
            slow(of, delay)
            one = statistics.median([await asyncio.to_thread(_one_request, of) for _ in range(7)])
            report = await load(of, count, 20)
            slow(of, 0)
            way = next(each for each in report["stages"] if each["name"] == "won → order in Finance")
            figures.append(
                Figure(
                    f"won → order in Finance, p50, {delay} ms a request",
                    way["percentiles"]["50"],
                    "s",
                    on_the_way * one,
                    f"its {on_the_way} requests one after another, {one * 1000:.0f} ms each",
                )
            )
    return figures


def _requests_to_the_order(of: Stack) -> int:
    """Requests from the acceptance of a quote to the last line of its order."""
    deal = of.deal(line("P100", 10, "5"))
    deal.submitted()
    deal.rep("activate")
    deal.waits_for("customer")
    since = datetime.now(UTC).isoformat()
    deal.rep("accept")
    deal.waits_for("shipment")
    seen = requests_since(of, since)
    return max(place for place, each in enumerate(seen, 1) if "SalesOrderLines" in str(each) and _writes(each))


def _one_request(of: Stack) -> float:
    """Seconds of a small read, over a connection that is there."""

    async def timed(sales: Any) -> float:
        await sales.who_am_i()
        begin = time.perf_counter()
        await sales.who_am_i()
        return time.perf_counter() - begin

    found: float = in_sales(of, timed)
    return found


async def requests(_size: Size) -> list[Figure]:
    """HTTP requests to Dynamics, Temporal Actions, events and bytes of history of an undisturbed deal."""
    with stack() as of:
        await asyncio.to_thread(happy_path, of)
        since = datetime.now(UTC).isoformat()
        deal = await asyncio.to_thread(happy_path, of)
        seen, events = requests_since(of, since), await histories_of(of, deal)
        counted = kinds(events)
        client = await of.temporal()
        described = await client.get_workflow_handle(names.deal_id(deal.company, deal.quote)).describe()
    activities = sum(event.HasField("activity_task_scheduled_event_attributes") for event in events)
    least_events, least_bytes = await _floor_history(activities)
    cost = history_cost(events)
    writes = [each for each in seen if _writes(each)]
    of_system = {system: sum(each["system"] == system for each in seen) for system in SYSTEMS}
    return [
        *(
            Figure(
                f"requests to {system}",
                number,
                "",
                sum(each["system"] == system for each in writes),
                "those that change something",
            )
            for system, number in of_system.items()
        ),
        Figure("Actions, deal and its ledger", cost.actions - counted[AUDIT], "", activities + 1, "its activities"),
        Figure("Actions of the audit trail", counted[AUDIT], ""),
        Figure("events of history", cost.events, "", least_events, f"{activities} activities that do nothing"),
        Figure(
            "bytes of the deal's history",
            described.raw_description.workflow_execution_info.history_size_bytes,
            "",
            least_bytes,
            f"{activities} activities that do nothing",
        ),
    ]


def _writes(request: Mapping[str, Any]) -> bool:
    parts = request.get("operations") or [request["method"]]
    return any(not str(part).startswith("GET") for part in parts) and not (
        request["path"].split("?")[0].endswith("/$batch") and not request.get("operations")
    )


async def _floor_history(activities: int) -> tuple[int, int]:
    """Events and bytes of a workflow of as many activities that do nothing."""
    port, ui_port = free_ports(2)
    address = f"127.0.0.1:{port}"
    with running(*dev_server_command(port, ui_port), "--headless"):
        await wait_ready(address, 60)
        client = await Client.connect(address)
        with running(sys.executable, "-m", "bench.floor", address):
            run_id = uuid.uuid4().hex
            await client.execute_workflow(Floor.run, activities, id=run_id, task_queue=QUEUE)
            info = (await client.get_workflow_handle(run_id).describe()).raw_description.workflow_execution_info
            return info.history_length, info.history_size_bytes


async def waiting(size: Size) -> list[Figure]:
    """What deals cost that wait for their payment: few, ten times as many, and one."""
    many, figures = size.of(10_000, 100), []
    with stack(**LIFTED) as of:
        payers = await Payers.of(of)
        await asyncio.sleep(SETTLED_SECONDS)
        idle = await _watched(of)
        for count in (many // 10, many):
            await payers.become(count)
            await asyncio.sleep(SETTLED_SECONDS)
            seen = await _watched(of)
            figures += [
                Figure(f"{count:,} deals waiting: {name}", seen[name], unit, idle[name], "one deal")
                for name, unit in (
                    ("worker, processor s an hour", "s"),
                    ("Temporal, processor s an hour", "s"),
                    ("requests an hour", ""),
                    ("worker, memory", "MB"),
                )
            ]
    return figures


async def _watched(of: Stack) -> dict[str, float]:
    """What goes on in a minute, as an hour of it."""
    pids = of.ready["pids"] | {"worker": of.worker_pid}
    since = datetime.now(UTC).isoformat()
    before, began = {part: cpu_ms(pids[part]) for part in ("worker", "temporal")}, time.monotonic()
    await asyncio.sleep(WATCHED_SECONDS)
    hours = (time.monotonic() - began) / 3600
    return {
        "worker, processor s an hour": (cpu_ms(pids["worker"]) - before["worker"]) / 1000 / hours,
        "Temporal, processor s an hour": (cpu_ms(pids["temporal"]) - before["temporal"]) / 1000 / hours,
        "requests an hour": len(requests_since(of, since)) / hours,
        "worker, memory": _memory_mb(pids["worker"]),
    }


def _memory_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


async def northwind(size: Size) -> list[Figure]:
    """Northwind's orders end to end, with the share of processor time in each part; needs a folder of its tables."""
    if size.data is None:
        return []
    seconds, spent = await asyncio.to_thread(_northwind, size.data)
    all_ms = sum(spent.values()) or 1.0
    shares = [Figure(f"share of {part}", ms / all_ms * 100, "%") for part, ms in spent.items()]
    least = all_ms / 1000 / (os.cpu_count() or 1)
    return [Figure("Northwind, end to end", seconds, "s", least, "its processor time on all processors"), *shares]


def _northwind(data: Path) -> tuple[float, dict[str, float]]:
    """How long it took, and the processor time of each part, milliseconds."""
    spent = dict.fromkeys(deal_cost.PARTS, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
        words = ("demo", "--auto", "--data", str(data), "--ports", "auto", "--json", f"{folder}/verdict.json")
        began, environment = time.monotonic(), clean | {"Q2C_STATE_DIR": f"{folder}/state"}
        command = [sys.executable, "-m", "cli", *words]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            time.sleep(1)
            for file in Path(folder, "state").glob("*/pids.json"):
                for part, pid in json.loads(file.read_text()).items():
                    if part in spent and Path(f"/proc/{pid}").exists():
                        spent[part] = max(spent[part], cpu_ms(pid))
        if process.returncode:
            raise RuntimeError(f"the demo ended with {process.returncode}")
        return time.monotonic() - began, spent


async def lines(size: Size) -> list[Figure]:
    """Deals of very many lines, from submission to paid; the worker is killed at 60 % of the order's lines."""
    figures, least = [], None
    for count in (1, size.of(1_000, 200), size.of(10_000, 400)):
        with stack() as of:
            large = await asyncio.to_thread(carry, of, count, kill_at=0.6 if count > 1 else 0.0)
        if least is None:
            least = large
            continue
        said = "a deal of one line"
        figures += [
            Figure(f"{count:,} lines: history", large.history_bytes, "bytes", least.history_bytes, said),
            Figure(f"{count:,} lines, killed at {large.killed_at:,}", large.seconds, "s", least.seconds, said),
        ]
    return figures


async def workers(size: Size) -> list[Figure]:
    """Orders a minute by one, two and four workers of few slots, both systems answering 200 ms late."""
    count, figures, one = size.of(200, 40), [], 0.0
    few = {"Q2C_DATAVERSE_CONCURRENT_ACTIVITIES": "4", "Q2C_FINANCE_CONCURRENT_ACTIVITIES": "4"}
    with stack(**LIFTED, **few) as of:
        await load(of, 3, 60)
        slow(of, 200)
        more: list[subprocess.Popen[Any]] = []
        try:
            for number in (1, 2, 4):
                while len(more) < number - 1:
                    more.append(_one_more_worker(of))
                await asyncio.sleep(12 if more else 0)
                report = await load(of, count, 6_000)
                rate = report["came_so_far"] / report["seconds"] * 60
                one = one or rate
                plural = f"{number} workers" if number > 1 else "1 worker"
                figures.append(Figure(f"orders a minute, {plural}", rate, "", one, "one worker"))
        finally:
            for process in more:
                process.terminate()
                process.wait(60)
    return figures


def _one_more_worker(of: Stack) -> subprocess.Popen[Any]:
    """A worker as the stack's own, on another port."""
    given = Path(f"/proc/{of.worker_pid}/environ").read_bytes().decode().split("\0")
    environment = dict(each.split("=", 1) for each in given if "=" in each)
    (port,) = free_ports(1)
    environment["Q2C_WORKER_HEALTH_PORT"] = str(port)
    command = [sys.executable, "-m", "cli", "worker"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


MEASUREMENTS: Final[Mapping[str, Measurement]] = {
    "cpu": cpu,
    "latency": latency,
    "requests": requests,
    "waiting": waiting,
    "northwind": northwind,
    "lines": lines,
    "workers": workers,
}
"""By the name `q2c bench --only` takes, in their order."""
