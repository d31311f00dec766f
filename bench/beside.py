"""What deals notice of a comparison: how long they take alone, and while customers are compared without a pause.

The whole local stack runs with a population of the sandbox. `q2c load` submits quotes at a steady rate and carries them
to the order, twice: alone, and while `q2c compare` reads both systems over and over. Printed is how long each part of
the way took. Repeat with `python -m bench.beside [customers] [deals] [a minute]`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from demo.stack import Stack, StackOptions, run_stack
from sandbox.generate import write
from workers.settings import Settings

COMPANY = "usmf"


async def main() -> int:
    """Measure, and print one row for each."""
    customers, deals, rate = (int(word) for word in (*sys.argv[1:], "100000", "60", "60")[:3])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write(place / "rows", customers, seed=7)
        options = StackOptions(ports="auto", data=f"fixtures+{place / 'rows'}")
        async with run_stack(Settings(state_dir=place / "state"), options, _say) as stack:
            await _loaded(stack, 10, rate)  # what a process does once is done
            alone = await _loaded(stack, deals, rate)
            comparing = asyncio.create_task(_comparing(stack))
            beside = await _loaded(stack, deals, rate)
            comparing.cancel()
            runs = (await asyncio.gather(comparing, return_exceptions=True))[0]
    print(json.dumps({"alone": alone, "beside": beside, "comparing": str(runs)}, indent=1))
    return 0


async def _loaded(stack: Stack, deals: int, rate: int) -> dict[str, Any]:
    output = await _run(stack, "load", "--deals", str(deals), "--rate", str(rate), "--json")
    report: dict[str, Any] = json.loads(output)
    return report


async def _comparing(stack: Stack) -> None:
    while True:
        output = await _run(stack, "compare", "customer", "--company", COMPANY, "--json")
        _say(json.dumps(json.loads(output)["figures"]))


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
