"""What 10,000 changes cost that were made while Finance did not answer, and what deals notice of it.

The whole local stack runs with customers that agree on both sides; what is read in bulk, and the sync, have a worker of
their own. Deals are measured beside the sync at rest. Then Finance answers no request, phones and addresses are edited
in Sales, some of them so that Finance or the map refuses them; once Finance answers again, deals are measured beside
the sync that catches up. Every customer of Finance is then held against what was entered, and every write is counted.
Repeat with `python -m bench.sync [changes] [poisoned] [deals] [a minute] [seconds without Finance]`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import sys
import tempfile
import time
import uuid
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from bench.beside import _bulk_worker, _loaded, _say
from demo.stack import Stack, StackOptions, run_stack
from domain.entities.sync_run import SyncView
from dynamics.core.batch import ChangeSet, Write, chunks, format_batch
from runs.calls import NoAnswer
from runs.syncs import Syncs
from tests.workflows.compare_world import Rows, map_with
from workers.settings import Settings
from workers.telemetry import start_telemetry
from workers.temporal_client import connect

BAD = {"finance": "DeliveryTerms", "sales": "description", "owner": "SALES", "normal": "trim"}
BUDGETS = {"Q2C_SYNC_DATAVERSE_REQUESTS_PER_SECOND": "60", "Q2C_SYNC_FINANCE_REQUESTS_PER_SECOND": "60"}


class Desk:
    """People in Sales, and the sandbox's own desk."""

    def __init__(self, stack: Stack) -> None:
        """Nothing is asked yet."""
        self._of = stack.info()
        tls = ssl.create_default_context(cafile=self._of.ca_file)
        self._http = httpx.AsyncClient(verify=tls, trust_env=False, timeout=300)
        self._secret = stack.info().web_client_secret

    async def token(self, name: str, scope: str) -> str:
        """A token of a person of the sandbox, whose password is the name."""
        form = {
            "grant_type": "password",
            "client_id": self._of.web_client_id,
            "client_secret": self._secret,
            "username": f"{name}@contoso.example",
            "password": name,
            "scope": scope,
        }
        answer = await self._http.post(f"{self._of.entra}/{self._of.tenant}/oauth2/v2.0/token", data=form)
        return str(answer.raise_for_status().json()["access_token"])

    async def edit(self, edits: list[tuple[str, dict[str, str]]]) -> None:
        """Somebody edits accounts."""
        root = f"{self._of.dataverse}/api/data/v9.2/"
        bearer = await self.token("rita", f"{self._of.dataverse}/.default")
        for some in chunks(edits, 100):
            writes = tuple(Write("PATCH", f"accounts({one})", body, {"If-Match": "*"}) for one, body in some)
            kind, content = format_batch([ChangeSet(writes)], root)
            headers = {"Authorization": f"Bearer {bearer}", "Content-Type": kind, "Accept": "multipart/mixed"}
            answer = await self._http.post(f"{root}$batch", content=content, headers=headers)
            assert answer.raise_for_status().text.count(" 204 ") == len(some), answer.text[:2_000]

    async def finance(self, *, answers: bool) -> None:
        """Finance answers, or it does not."""
        faults = [] if answers else [{"system": "finance", "effect": {"status": 503}}]
        (await self._http.put(f"{self._of.desk}/faults", json=faults)).raise_for_status()

    async def written(self, since: datetime) -> Counter[str]:
        """How often each customer of Finance was written."""
        asked = {"system": "finance", "method": "PATCH", "since": since.isoformat()}
        entries = (await self._http.get(f"{self._of.desk}/requests", params=asked)).raise_for_status().json()
        keys = (re.search(r"CustomerAccount='([^']*)'", unquote(entry["path"])) for entry in entries)
        return Counter(key[1] for key in keys if key is not None)

    async def phones(self) -> dict[str, str]:
        """Phone by customer of Finance."""
        bearer = await self._app()
        path = "CustomersV3?cross-company=true&$select=CustomerAccount,PrimaryContactPhone&$filter=dataAreaId eq 'usmf'"
        found: dict[str, str] = {}
        link: str | None = f"{self._of.finance}/data/{path}"
        while link:
            page = (await self._http.get(link, headers={"Authorization": f"Bearer {bearer}"})).raise_for_status().json()
            found |= {row["CustomerAccount"]: row["PrimaryContactPhone"] for row in page["value"]}
            link = page.get("@odata.nextLink")
        return found

    async def _app(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._of.client_id,
            "client_secret": self._of.client_secret,
            "scope": f"{self._of.finance}/.default",
        }
        answer = await self._http.post(f"{self._of.entra}/{self._of.tenant}/oauth2/v2.0/token", data=form)
        return str(answer.raise_for_status().json()["access_token"])

    async def start(self, web: str) -> None:
        """Somebody of operations starts the sync."""
        bearer = await self.token("otto", f"api://{self._of.web_client_id}/.default openid")
        body = {"message_id": str(uuid.uuid4()), "do": "start", "reason": "a measurement"}
        headers = {"Authorization": f"Bearer {bearer}"}
        (await self._http.post(f"{web}/api/v1/sync/usmf/customer/run", json=body, headers=headers)).raise_for_status()


async def main() -> int:
    """Measure; 1 where a change was lost, applied twice or refused for nothing."""
    given = [int(word) for word in sys.argv[1:]]
    changes, poisoned, deals, rate, dark = [*given, *(10_000, 200, 60, 60, 120)[len(given) :]]
    rows, there = Rows(), {"PrimaryContactPhone": "+12065550100"}
    accounts = [rows.pair(n, telephone1="+1 206 555 0100", there=there) for n in range(changes)]
    ids = dict(zip(accounts, rows.sales, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows.write(place / "rows")
        settings = Settings(state_dir=place / "state", policies=map_with(place / "policies", delivery_terms=BAD))
        options = StackOptions(ports="auto", data=f"fixtures+{place / 'rows'}")
        os.environ |= {"Q2C_WORKER_WORK": "deals", "Q2C_POLICIES": str(place / "policies"), **BUDGETS}
        async with run_stack(settings, options, _say) as stack, _bulk_worker(stack):
            result = await _measured(stack, ids, poisoned, deals, rate, dark)
    print(json.dumps(result, indent=1, default=str))
    return int(any(result[name] for name in ("lost", "twice", "to_sales")) or result["groups"] > 3)


async def _measured(
    stack: Stack, ids: dict[str, str], poisoned: int, deals: int, rate: int, dark: int
) -> dict[str, Any]:
    desk = Desk(stack)
    client = await connect(start_telemetry("q2c-bench", environment={}), stack.codec, stack.environment())
    syncs = Syncs(client)
    await desk.start(stack.info().web)
    began = time.monotonic()
    view = await _until(syncs, lambda view: view.waiting == 0 and view.figures.looked >= len(ids))
    first = time.monotonic() - began
    _say(f"all read in {first:.0f} s: {view.figures}")
    await _loaded(stack, 10, rate)  # what a process does once is done
    alone = await _loaded(stack, deals, rate)
    since, values = datetime.now(UTC), _edits(list(ids), poisoned)
    await desk.finance(answers=False)
    await desk.edit([(ids[account], body) for account, body in values.items()])
    _say("edited")
    await asyncio.sleep(dark)
    await desk.finance(answers=True)
    began = time.monotonic()
    catching = asyncio.create_task(_until(syncs, lambda view: _done(view) >= len(values)))
    beside = await _loaded(stack, deals, rate)
    done_first = catching.done()
    view = await catching
    seconds = time.monotonic() - began
    phones, written = await desk.phones(), await desk.written(since)
    wanted = {account: body["telephone1"] for account, body in values.items() if "telephone1" in body}
    return {
        "changes": len(values),
        "seconds to read all at the start": round(first),
        "seconds to catch up": round(seconds),
        "caught up before the deals were done": done_first,
        "lost": sum(phones.get(account) != phone for account, phone in wanted.items()),
        "twice": sum(times > 1 for times in written.values()),
        "written": sum(written.values()),
        "to_sales": view.figures.to_sales,
        "letters": view.letters,
        "groups": len(view.letters),
        "alone": alone,
        "beside": beside,
    }


def _edits(accounts: list[str], poisoned: int) -> dict[str, dict[str, str]]:
    """What is entered, by customer: half of the poisoned is refused by Finance, half by the map."""
    half = poisoned // 2
    return {
        account: (
            {"description": f"BAD{n}"}
            if n < half
            else {"address1_country": f"Atlantis {n}"}
            if n < poisoned
            else {"telephone1": f"+1 425 {n:07d}"}
        )
        for n, account in enumerate(accounts)
    }


def _done(view: SyncView) -> int:
    """Changes that were applied, or are letters."""
    return view.figures.to_finance + sum(view.letters.values())


async def _until(syncs: Syncs, is_so: Any) -> SyncView:
    while True:
        with suppress(NoAnswer):  # both cores are busy: asked again
            view = await syncs.view("customer", "usmf")
            if is_so(view):
                return view
        await asyncio.sleep(2)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
