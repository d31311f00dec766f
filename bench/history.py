"""What taking over past invoices costs: requests, seconds, and what a killed worker writes twice.

The whole local stack runs with customers whose invoices were posted in Finance without any deal. All of them are taken
over into Sales, at the budgets as shipped; the worker is killed once in the middle. Each invoice has to have one row
then, and a second reading of everything has nothing to write. Repeat with `python -m bench.history [invoices]`.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from bench.initial_run import FIELDS, RATES, token
from demo.stack import Stack, StackOptions, run_stack
from sandbox.generate import write
from workers.settings import Settings

COMPANY = "usmf"
CUSTOMERS = 500
AT_ONCE = 8


async def main() -> int:
    """Measure; 1 where an invoice has no row or more than one, or a second reading writes something."""
    invoices = int((*sys.argv[1:], "20000")[0])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write(place / "rows", CUSTOMERS, seed=7, rates=dict.fromkeys(RATES, 0.0), fields=FIELDS)
        options = StackOptions(ports="auto", data=f"fixtures+{place / 'rows'}")
        async with run_stack(Settings(state_dir=place / "state"), options, _say) as stack:
            posted = await _posted(stack, _accounts(place / "rows"), invoices)
            (place / "token").write_text(await token(stack))
            before, began = await _requests(stack), time.monotonic()
            await _said(stack, place / "token")
            killed_at = await _killed(stack, posted)
            done = await _read(stack)
            seconds, asked = time.monotonic() - began, await _requests(stack)
            await _said(stack, place / "token", "--whole")
            again = await _read(stack, after=done["ended_at"])
    sent = {system: asked[system] - before[system] for system in asked}
    written_again = again["figures"]["created"] + again["figures"]["corrected"]
    result = {
        "posted": posted,
        **{name: done["figures"][name] for name in ("read", "created", "same", "left_out")},
        "finance_records": done["finance_records"],
        "seconds": round(seconds),
        "killed_at": killed_at,
        "requests": sent,
        "requests_a_second": {system: round(number / seconds, 2) for system, number in sent.items()},
        "written_by_a_second_reading": written_again,
        "same_in_a_second_reading": again["figures"]["same"],
    }
    print(json.dumps(result, indent=1))
    once = again["figures"]["same"] == posted and not again["figures"]["left_out"]
    return int(not once or written_again > 0)


def _say(text: str) -> None:
    print(text, flush=True)


def _accounts(rows: Path) -> list[tuple[str, str]]:
    """Customers of Finance in the company, with their currency."""
    with (rows / "CustomersV3.csv").open(encoding="utf-8", newline="") as file:
        customers = [row for row in csv.DictReader(file) if row["dataAreaId"] == COMPANY]
    return [(row["CustomerAccount"], row["SalesCurrencyCode"]) for row in customers]


def _desk(stack: Stack) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=stack.info().desk, trust_env=False, timeout=60)


async def _posted(stack: Stack, accounts: list[tuple[str, str]], invoices: int) -> int:
    """Post invoices in Finance."""
    numbers = iter(range(invoices))

    async def some(desk: httpx.AsyncClient) -> int:
        made = 0
        for number in numbers:
            line = {"Description": "Support", "Quantity": 1, "UnitPrice": str(10 + number % 990)}
            account, currency = accounts[number % len(accounts)]
            ask = {"CustAccount": account, "CurrencyCode": currency, "Lines": [line]}
            (await desk.post(f"/finance/{COMPANY}/freeTextInvoice", json=ask)).raise_for_status()
            made += 1
        return made

    async with _desk(stack) as desk:
        return sum(await asyncio.gather(*(some(desk) for _ in range(AT_ONCE))))


async def _requests(stack: Stack) -> dict[str, int]:
    """How many requests each system has seen."""
    async with _desk(stack) as desk:
        summary = (await desk.get("/requests/summary")).json()
    return {system: int(summary[system]["total"]) for system in ("finance", "dataverse")}


async def _said(stack: Stack, token_file: Path, *more: str) -> None:
    await _asked(stack, "start", "--reason", "a measurement", "--token-file", str(token_file), *more)


async def _killed(stack: Stack, invoices: int) -> int:
    """Kill the worker once about half of the invoices are read; how many were."""
    while True:
        await asyncio.sleep(1)
        read = int((await _asked(stack, "status")).get("figures", {}).get("read", 0))
        if read * 2 >= invoices:
            os.kill(stack.pids()["worker"], signal.SIGKILL)
            return read


async def _read(stack: Stack, *, after: str | None = None) -> dict[str, Any]:
    """Wait for the end of a reading."""
    while True:
        await asyncio.sleep(1)
        view = await _asked(stack, "status")
        if view.get("ended_at") not in (None, after) and not view["reading"]:
            return view


async def _asked(stack: Stack, command: str, *more: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "cli", "history", command, "invoice", "--company", COMPANY, *more, "--json"]
    process = await asyncio.create_subprocess_exec(*words, env=stack.environment(), stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    found: dict[str, Any] = json.loads(output or "{}")
    return found


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
