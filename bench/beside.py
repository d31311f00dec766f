"""What deals notice of a comparison: how long they take alone, and while customers are compared without a pause.

The whole local stack runs with a population of the sandbox, and what is read in bulk has a worker of its own, as in
production. `q2c load` submits quotes at a steady rate and carries them to the order, three times: alone, while
comparisons read both systems one after the other, without a pause, and alone again, since deals before slow those after
them. Printed is how long each part of the way took.
Repeat with `python -m bench.beside [customers] [deals] [a minute] [milliseconds a request]`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from demo.stack import Stack, StackOptions, run_stack
from domain.entities.comparison_run import CompareStart
from runs.comparisons import Comparisons
from sandbox.generate import write
from workers.mode import Process
from workers.settings import Settings
from workers.telemetry import start_telemetry
from workers.temporal_client import connect

COMPANY = "usmf"


async def main() -> int:
    """Measure, and print one row for each."""
    given, usual = [int(word) for word in sys.argv[1:]], [100_000, 60, 60, 0]
    customers, deals, rate, milliseconds = given + usual[len(given) :]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write(place / "rows", customers, seed=7)
        options = StackOptions(ports="auto", data=f"fixtures+{place / 'rows'}")
        os.environ["Q2C_WORKER_WORK"] = "deals"
        async with run_stack(Settings(state_dir=place / "state"), options, _say) as stack, _bulk_worker(stack):
            await _loaded(stack, 10, rate)  # what a process does once is done
            await _slowed(stack, milliseconds)
            alone = await _loaded(stack, deals, rate)
            comparing = asyncio.create_task(_comparing(stack))
            beside = await _loaded(stack, deals, rate)
            comparing.cancel()
            runs = (await asyncio.gather(comparing, return_exceptions=True))[0]
            again = await _loaded(stack, deals, rate)
    print(json.dumps({"alone": alone, "beside": beside, "alone again": again, "comparing": str(runs)}, indent=1))
    return 0


@asynccontextmanager
async def _bulk_worker(stack: Stack) -> AsyncIterator[None]:
    own = {"Q2C_WORKER_WORK": "bulk", "Q2C_WORKER_HEALTH_PORT": "0"}
    environment = stack.environment(Process.WORKER) | own
    command = [sys.executable, "-m", "cli", "worker"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=sys.stderr)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _slowed(stack: Stack, milliseconds: int) -> None:
    """Have both systems take so long for each request, as those of a tenant do."""
    if not milliseconds:
        return
    faults = [{"system": system, "effect": {"delay_ms": milliseconds}} for system in ("dataverse", "finance")]
    async with httpx.AsyncClient(base_url=stack.sandbox["desk"], trust_env=False) as desk:
        (await desk.put("/faults", json=faults)).raise_for_status()


async def _loaded(stack: Stack, deals: int, rate: int) -> dict[str, Any]:
    output = await _run(stack, "load", "--deals", str(deals), "--rate", str(rate), "--json")
    report: dict[str, Any] = json.loads(output)
    return report


async def _comparing(stack: Stack) -> None:
    client = await connect(start_telemetry("q2c-bench", environment={}), stack.codec, stack.environment())
    desk = Comparisons(client)
    start = CompareStart(entity="customer", company=COMPANY)
    while True:
        done = await desk.result(await desk.begin(start, datetime.now(UTC).date()))
        _say(str(done.figures))


async def _run(stack: Stack, *words: str) -> bytes:
    environment = {**stack.environment(), "Q2C_WEB_CLIENT_SECRET": stack.info().web_client_secret}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *words), env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    return output


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
