"""What an undisturbed deal costs in processor time, beside the least that any process of as many activities costs.

Deals run on a stack of its own (`q2c up`: real HTTP, TLS, sealing, audit); people are played by the sandbox without
delays. The floor is a workflow of as many activities, one after another, that do nothing, on the SDK's defaults: no
sealing, no audit, no messages, integers as payloads. It runs twice right after the deals, with as many in flight.
Processor time is that of the whole processes (user and system), from `/proc`, so that a machine that is shared
lengthens the run and hardly the figures. Prints a table; repeat with `uv run python -m bench.deal_cost [DEALS]`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from bench.floor import QUEUE, Floor
from demo.ports import free_ports
from demo.temporal_server import dev_server_command, wait_ready
from runs import names
from tests.stack import Stack

WARM = 10
AT_ONCE = 25
PARTS = ("worker", "temporal", "web", "sandbox")
NO_DELAYS = dict.fromkeys(("submit", "activate", "accept", "ship", "invoice", "pay"), 0)


def cpu_ms(pid: int) -> float:
    """Processor time of a process so far, milliseconds of user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1000


@dataclass(frozen=True)
class Spent:
    """Milliseconds of processor time a run, by process; and how long all of them took, seconds."""

    ms: Mapping[str, float]
    seconds: float


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[Any]]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


# --- the floor --------------------------------------------------------------------------------------------------------


async def floor(runs: int, activities: int) -> Spent:
    """Run the floor as often as there were deals."""
    port, ui_port = free_ports(2)
    address = f"127.0.0.1:{port}"
    server_command = [*dev_server_command(port, ui_port), "--headless"]
    worker_command = [sys.executable, "-m", "bench.floor", address]
    with running(*server_command) as server:
        await wait_ready(address, 60)
        client = await Client.connect(address)
        with running(*worker_command) as worker:
            slots = asyncio.Semaphore(AT_ONCE)

            async def one() -> None:
                async with slots:
                    await client.execute_workflow(Floor.run, activities, id=uuid.uuid4().hex, task_queue=QUEUE)

            await asyncio.gather(*(one() for _ in range(WARM)))
            before, began = (cpu_ms(worker.pid), cpu_ms(server.pid)), time.monotonic()
            await asyncio.gather(*(one() for _ in range(runs)))
            spent = {"worker": cpu_ms(worker.pid) - before[0], "temporal": cpu_ms(server.pid) - before[1]}
    return Spent({name: ms / runs for name, ms in spent.items()}, time.monotonic() - began)


# --- deals ------------------------------------------------------------------------------------------------------------


def submit(stack: Stack, number: int) -> str:
    """A quote that nobody has to approve, of a customer without a limit; returns its number."""
    quote = f"C-{number}"
    body = {
        "number": quote,
        "company": "usmf",
        "customer": "US-004",
        "rep": "rita",
        "name": "Undisturbed",
        "opportunity": True,
        "payment_terms": "Net 30",
        "lines": [{"item": "P250", "quantity": 8, "discount_pct": 5}],
    }
    stack.desk.post("/quotes", body)
    stack.desk.post(f"/quotes/{quote}/submit")
    return quote


async def deals(stack: Stack, count: int) -> tuple[Spent, int]:
    """Carry deals from submission to paid; returns what one cost, and how many activities it and its ledger ran."""
    stack.desk.put("/autopilot", {"enabled": True, "delays": NO_DELAYS, "default_plan": {}})
    client, pids = await stack.temporal(), stack.ready["pids"]
    numbers = iter(range(1, 1_000_000))

    async def carried(many: int) -> list[str]:
        slots = asyncio.Semaphore(AT_ONCE)

        async def one() -> str:
            async with slots:
                quote = await asyncio.to_thread(submit, stack, next(numbers))
                deal_id = names.deal_id("usmf", quote)
                while True:
                    try:
                        await client.get_workflow_handle(deal_id).result()
                        return quote
                    except RPCError as error:
                        if error.status is not RPCStatusCode.NOT_FOUND:  # the webhook is on its way
                            raise
                    await asyncio.sleep(0.1)

        return await asyncio.gather(*(one() for _ in range(many)))

    await carried(WARM)
    before, began = {name: cpu_ms(pids[name]) for name in PARTS}, time.monotonic()
    done = await carried(count)
    seconds = time.monotonic() - began
    spent = {name: (cpu_ms(pids[name]) - before[name]) / count for name in PARTS}
    scheduled = 0
    for quote in done:
        async for event in client.get_workflow_handle(names.deal_id("usmf", quote)).fetch_history_events():
            scheduled += event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    return Spent(spent, seconds), round(scheduled / count)


async def measure(count: int) -> int:
    """Measure deals between two floors."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack.start(Path(folder))
        try:
            stack.desk.http.timeout = 120
            of_deals, activities = await deals(stack, count)
        finally:
            stack.stop()
    floors = [await floor(count, activities) for _ in range(2)]
    print(f"{count} deals in {of_deals.seconds:.0f} s, each of {activities} activities; processor ms of one:\n")
    print("| process | deal | floor | ratio |\n|---|---|---|---|")
    for name in PARTS:
        least = sum(one.ms.get(name, 0) for one in floors) / len(floors)
        print(f"| {name} | {of_deals.ms[name]:.0f} | {least:.0f} | {of_deals.ms[name] / least if least else 0:.2f} |")
    spread = [f"{name} {floors[0].ms[name]:.0f} and {floors[1].ms[name]:.0f}" for name in ("worker", "temporal")]
    print(f"\nThe two floors: {', '.join(spread)}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(measure(int(sys.argv[1]) if sys.argv[1:] else 100)))
