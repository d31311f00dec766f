"""What carrying out the plan of a first sync costs: records a second, and what a killed worker writes twice.

The whole local stack runs with a population of the sandbox of which most records differ, or lack a row in Sales. The
first sync of a company is planned, allowed and carried out; the worker is killed once in the middle. Then it is planned
again: what would still be written, and what is doubled by then, has to be nothing. Repeat with
`python -m bench.initial_run [customers] [requests a second]`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from demo.stack import Stack, StackOptions, run_stack
from domain.entities.initial import Action
from sandbox.generate import write
from workers.settings import Settings

COMPANY = "usmf"
RATES = {"different": 0.6, "only_in_finance": 0.2} | dict.fromkeys(
    ("only_in_sales", "conflict", "rounding", "formatted", "same_tax_number", "near_name", "sales_twin"), 0.0
)
RATES |= {"other_company": 0.0, "unmapped_company": 0.0}
FIELDS = ("phone", "email", "street", "city", "postal_code")


async def main() -> int:
    """Measure; 1 where something is still to be written, or doubled."""
    customers, rate = (int(word) for word in (*sys.argv[1:], "20000", "100")[:2])
    os.environ |= {f"Q2C_SYNC_{system}_REQUESTS_PER_SECOND": str(rate) for system in ("DATAVERSE", "FINANCE")}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write(place / "rows", customers, seed=7, rates=RATES, fields=FIELDS)
        options = StackOptions(ports="auto", data=str(place / "rows"))
        async with run_stack(Settings(state_dir=place / "state"), options, _say) as stack:
            (place / "token").write_text(await token(stack))
            planned = await _planned(stack)
            began = time.monotonic()
            killing = asyncio.create_task(_killed(stack, _to_write(planned)))
            done = await _asked(stack, "initial", "--reason", "a measurement", "--token-file", str(place / "token"))
            seconds = time.monotonic() - began
            again = await _asked(stack, "initial", "--dry-run")
    left = _to_write(again) + again["figures"]["actions"].get(Action.DUPLICATE, 0)
    result = {
        **{name: done[name] for name in ("status", "records", "counts", "known", "letters")},
        "seconds": round(seconds),
        "a_second": round(done["records"] / seconds, 1),
        "killed_at": await killing,
        "still_to_write_or_doubled": left,
    }
    print(json.dumps(result, indent=1))
    return int(left > 0)


def _say(text: str) -> None:
    print(text, flush=True)


def _to_write(run: dict[str, Any]) -> int:
    actions = run["figures"]["actions"]
    return int(actions.get(Action.CREATE, 0) + actions.get(Action.UPDATE, 0))


async def token(stack: Stack) -> str:
    """Of a person who may have it run."""
    info, person = stack.info(), "otto"
    form = {
        "grant_type": "password",
        "client_id": info.web_client_id,
        "client_secret": info.web_client_secret,
        "username": f"{person}@contoso.example",
        "password": person,
        "scope": f"api://{info.web_client_id}/.default openid",
    }
    async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=info.ca_file), trust_env=False) as http:
        answer = await http.post(f"{info.entra}/{info.tenant}/oauth2/v2.0/token", data=form)
    return str(answer.raise_for_status().json()["access_token"])


async def _planned(stack: Stack) -> dict[str, Any]:
    run = await _asked(stack, "initial", "--dry-run")
    verdict = await _asked(stack, "gate")
    print(run["figures"]["actions"], "allowed" if verdict["allowed"] else verdict["reasons"], flush=True)
    return run


async def _killed(stack: Stack, records: int) -> int:
    """Kill the worker once about half of the records are written; how many were."""
    while True:
        await asyncio.sleep(1)
        view = await _asked(stack, "initial")
        handled = sum(int(number) for number in view.get("counts", {}).values())
        if handled * 2 >= records:
            os.kill(stack.pids()["worker"], signal.SIGKILL)
            return handled


async def _asked(stack: Stack, command: str, *more: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "cli", command, "customer", "--company", COMPANY, *more, "--json"]
    process = await asyncio.create_subprocess_exec(*words, env=stack.environment(), stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    found: dict[str, Any] = json.loads(output or "{}")
    return found


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
