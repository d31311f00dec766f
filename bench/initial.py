"""What planning the first sync of very many customers costs, and the gate after it: requests, time, memory, actions.

The whole local stack runs with a population of the sandbox; `q2c initial --dry-run` and `q2c gate` are asked for each
company, and the plan of every record is held against the truth that was planted. Repeat with
`python -m bench.initial [customers]`; 1,000,000 need a machine with nothing else to do.
"""

from __future__ import annotations

import asyncio
import csv
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.compare import COMPANIES, _peak_mb
from demo.stack import Stack, StackOptions, run_stack
from domain.entities.initial import Action, DryRun
from ledger.plans import Plan
from sandbox.generate import write
from workers.settings import Settings

FIELDS = ("name", "phone", "email", "street", "city", "postal_code", "tax_number")
DECIDED_BY_PEOPLE = ("name", "tax_number")


async def main() -> int:
    """Measure; 1 where a record has another action than it must."""
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write(place / "rows", customers, seed=7, fields=FIELDS)
        print("population written", flush=True)
        options = StackOptions(ports="auto", web=False, data=str(place / "rows"))
        async with run_stack(
            Settings(state_dir=place / "state"), options, lambda text: print(text, flush=True)
        ) as stack:
            result = await _measured(stack, place / "rows")
    print(json.dumps(result, indent=1))
    return int(result["wrong"] > 0)


async def _measured(stack: Stack, rows: Path) -> dict[str, Any]:
    expected, data = _planted(rows), Path(stack.environment()["Q2C_DATA_DIR"])
    planning = gating = 0.0
    records = requests = wrong = 0
    for company in COMPANIES:
        began = time.monotonic()
        run = DryRun.model_validate(await _asked(stack, "initial", company, "--dry-run"))
        planning += time.monotonic() - began
        records, requests = records + run.figures.records, requests + run.figures.requests
        found = {
            each.key: each.action for some in Plan(data, run).rows() for each in some if each.action is not Action.SKIP
        }
        wrong += len(found.items() ^ expected[company].items())
        print(company, run.figures.model_dump_json(), flush=True)
        began = time.monotonic()
        verdict = await _asked(stack, "gate", company)
        gating += time.monotonic() - began
        print(company, verdict["critical"], [reason["code"] for reason in verdict["reasons"]], flush=True)
    return {
        "records": records,
        "requests": requests,
        "plan_seconds": round(planning),
        "gate_seconds": round(gating),
        "worker_mb": _peak_mb(stack.pids()["worker"]),
        "gate_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        "to_settle_or_write": sum(map(len, expected.values())),
        "wrong": wrong,
    }


async def _asked(stack: Stack, command: str, company: str, *more: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "cli", command, "customer", "--company", company, *more, "--json"]
    process = await asyncio.create_subprocess_exec(*words, env=stack.environment(), stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    found: dict[str, Any] = json.loads(output)
    return found


def _planted(rows: Path) -> dict[str, dict[str, Action]]:
    """What has to be planned of each record that does not agree, by company and key."""
    found: dict[str, dict[str, Action]] = {company: {} for company in COMPANIES}
    with (rows / "truth.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            kind, number = row["kind"], row["sales_accountnumber"]
            if row["company"] not in found:
                continue
            of = found[row["company"]]
            if kind in ("different", "conflict"):
                manual = row["field"] in DECIDED_BY_PEOPLE
                of[row["finance_account"]] = Action.CONFLICT if manual else Action.UPDATE
            elif kind in ("only_in_sales", "sales_twin"):
                of[number.upper() or row["sales_accountid"]] = Action.UNMAPPED
    return found


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
