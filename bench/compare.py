"""What comparing very many customers costs: requests, time, memory of the worker, and whether every finding is right.

The whole local stack runs with a population of the sandbox; `q2c compare` is asked for each company, and what the
ledger keeps is held against the truth that was planted. Repeat with `python -m bench.compare [customers]`; 1,000,000
need a machine with nothing else to do.
"""

from __future__ import annotations

import asyncio
import csv
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import yaml

from demo.stack import Stack, StackOptions, run_stack
from ledger import differences
from ledger.database import open_database
from policies.map_files import PACKAGED
from sandbox.generate import write
from workers.settings import Settings

COMPANIES = ("demf", "jpmf", "kwmf", "usmf")
FIELDS = ("name", "phone", "email", "street", "city", "postal_code", "tax_number", "credit_limit")
MOST_REQUESTS, MOST_SECONDS, MOST_MEMORY_MB = 425, 600, 1_500
"""Of a comparison of 1,000,000 customers, all companies together."""
LIMIT = {"finance": "CreditLimit", "sales": "creditlimit", "owner": "FINANCE", "tolerance": "0", "decimals": "currency"}


async def main() -> int:
    """Measure; 1 where a finding is wrong."""
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        began = time.monotonic()
        write(place / "rows", customers, seed=7, fields=FIELDS)
        print(f"population written in {time.monotonic() - began:.0f} s", flush=True)
        options = StackOptions(ports="auto", web=False, data=str(place / "rows"), policies=_with_limits)
        async with run_stack(
            Settings(state_dir=place / "state"), options, lambda text: print(text, flush=True)
        ) as stack:
            result = await _measured(stack, place / "rows")
    print(json.dumps(result, indent=1))
    return 0 if result["wrong"] == 0 else 1


async def _measured(stack: Stack, rows: Path) -> dict[str, Any]:
    expected = _planted(rows)
    began, figures = time.monotonic(), {}
    for company in COMPANIES:
        figures[company] = await _compared(stack, company)
        print(company, json.dumps(figures[company]), flush=True)
    seconds = time.monotonic() - began
    found = {company: await _found(stack, company) for company in COMPANIES}
    wrong = sum(len(found[company] ^ expected[company]) for company in COMPANIES)
    async with httpx.AsyncClient(base_url=stack.sandbox["desk"], trust_env=False, timeout=60) as desk:
        seen = (await desk.get("/requests")).json()
    verbs = Counter(entry["method"] for entry in seen if entry["system"] != "entra" and "$batch" not in entry["path"])
    return {
        "customers": sum(figure["finance_records"] for figure in figures.values()),
        "accounts": sum(figure["sales_records"] for figure in figures.values()),
        "requests": sum(figure["requests"] for figure in figures.values()),
        "most_requests": MOST_REQUESTS,
        "seconds": round(seconds),
        "most_seconds": MOST_SECONDS,
        "worker_mb": _peak_mb(stack.pids()["worker"]),
        "most_memory_mb": MOST_MEMORY_MB,
        "findings": sum(map(len, found.values())),
        "wrong": wrong,
        "verbs": dict(verbs),
    }


async def _compared(stack: Stack, company: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "cli", "compare", "customer", "--company", company, "--json"]
    environment = {**stack.environment(), "Q2C_READER_FINANCE_REQUESTS_PER_SECOND": "60"}
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    figures: dict[str, Any] = json.loads(output)["figures"]
    return figures


async def _found(stack: Stack, company: str) -> set[tuple[str, str, str]]:
    database = await open_database(f"sqlite:///{stack.state.path / 'ledger.db'}")
    try:
        several = differences.open_differences(database, "customer", company)
        return {(each.kind.value, each.key, each.field) async for some in several for each in some}
    finally:
        await database.close()


def _planted(rows: Path) -> dict[str, set[tuple[str, str, str]]]:
    """What has to be found, by company: class, key or id of the account, field."""
    found: dict[str, set[tuple[str, str, str]]] = {company: set() for company in COMPANIES}
    with (rows / "truth.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            kind, account, number = row["kind"], row["finance_account"], row["sales_accountnumber"]
            if row["company"] not in found:
                continue
            of = found[row["company"]]
            if kind in ("different", "conflict"):
                of.add(("DIFF", account, row["field"]))
            elif kind == "rounding":  # by 0.004, which a dinar keeps
                of.add(("DIFF" if row["company"] == "kwmf" else "ROUNDING", account, "credit_limit"))
            elif kind == "only_in_finance" or (kind == "only_in_sales" and number):
                of.add(("MISSING", account or number, ""))
            elif kind in ("only_in_sales", "sales_twin"):
                of.add(("UNMAPPED", row["sales_accountid"], ""))
    return found


async def _with_limits(_desk: str, state: Path) -> Path:
    """The shipped policies, with a map of customers that compares credit limits."""
    folder = state / "policies"
    folder.mkdir()
    for file in PACKAGED.parent.glob("*.yaml"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "maps").mkdir()
    shipped = yaml.safe_load((PACKAGED / "customers.yaml").read_text(encoding="utf-8"))
    shipped["fields"]["credit_limit"] = LIMIT
    (folder / "maps" / "customers.yaml").write_text(yaml.safe_dump(shipped), encoding="utf-8")
    return folder


def _peak_mb(pid: int) -> int:
    """Most memory that a process has held, where the system tells."""
    status = Path(f"/proc/{pid}/status")
    if not status.is_file():
        return 0
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
