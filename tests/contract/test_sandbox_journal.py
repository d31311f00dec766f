"""A sandbox with a journal is killed with SIGKILL, and is then what it has said it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.generate import write
from sandbox.runtime import Sandbox, SandboxConfig, running
from sandbox.shelf import ShelfError
from tests.stack import eventually

QUOTE = {
    "number": "Q-KILL",
    "company": "USMF",
    "customer": "US-001",
    "rep": "rita",
    "lines": [{"item": "P100", "quantity": "10"}],
}


@dataclass
class Endpoint:
    """Takes webhooks and business events, and answers none before it is told to."""

    port: int = 0
    answers: threading.Event = field(default_factory=threading.Event)
    told: list[dict[str, Any]] = field(default_factory=list)

    def heard(self, text: str) -> int:
        return sum(text in json.dumps(body) for body in list(self.told))


@contextmanager
def silent_endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            endpoint.told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            endpoint.answers.wait(60)
            self.send_response(202)
            self.send_header("content-length", "0")
            self.end_headers()

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                return  # who asked was killed

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Killed:
    """A sandbox in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.journal = folder / "journal"
        self.start("auto")

    def start(self, *ports: str) -> None:
        given = ("--ports", *ports) if len(ports) == 1 else ports
        command = [sys.executable, "-m", "sandbox", "--state-dir", str(self._folder), "--journal", str(self.journal)]
        self.process = subprocess.Popen([*command, *given], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())
        self.desk = httpx.Client(base_url=self.ready["desk"], trust_env=False, timeout=30)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.desk.close()

    def start_again(self) -> None:
        ports = {name: self.ready[name].rpartition(":")[2] for name in ("entra", "dataverse", "finance", "desk")}
        self.start(*(part for name, port in ports.items() for part in (f"--{name}-port", port)))

    def said(self, *paths: str) -> list[Any]:
        return [self.desk.get(path).raise_for_status().json() for path in paths]


@contextmanager
def started(folder: Path) -> Iterator[Killed]:
    sandbox = Killed(folder)
    try:
        yield sandbox
    finally:
        sandbox.kill()


@pytest.mark.timeout(120)
def test_what_it_answered_is_true_after_kill_9_and_what_it_owed_is_sent(tmp_path: Path) -> None:
    with silent_endpoint() as endpoint, started(tmp_path) as sandbox:
        url = f"http://127.0.0.1:{endpoint.port}"
        webhook = {"url": f"{url}/webhook", "key": "secret"}
        sandbox.desk.put("/endpoints", json={"dataverse_webhook": webhook, "finance_events": {"url": f"{url}/events"}})
        sandbox.desk.post("/quotes", json=QUOTE).raise_for_status()
        sandbox.desk.post("/quotes/Q-KILL/submit").raise_for_status()
        sandbox.desk.put("/customers/USMF/US-001", json={"credit_limit": "777.00"}).raise_for_status()
        sandbox.desk.put("/clock", json={"offset_seconds": 3600})
        sandbox.desk.put("/faults", json={"system": "finance", "effect": {"status": 503}, "times": 3})
        sandbox.desk.put(
            "/autopilot",
            json={"enabled": True, "submits_per_second": 0.001, "plans": {"Q-KILL": {"accept": "decline"}}},
        )
        for what in ("CustCreditLimitChanged", "PrimaryEntityId"):
            eventually(partial(endpoint.heard, what), f"{what} is under way")
        asked = ("/quotes/Q-KILL", "/customers/USMF/US-001", "/endpoints", "/faults", "/state")
        before = sandbox.said(*asked)
        sandbox.kill()
        with sandbox.journal.open("ab") as file:
            file.write(b"\0\0\1\0half a record")
        sandbox.start_again()
        assert sandbox.said(*asked) == before
        assert "Q-KILL" in sandbox.said("/autopilot")[0]["config"]["plans"]
        eventually(lambda: endpoint.heard("CustCreditLimitChanged") == 2, "what was under way is sent again")
        endpoint.answers.set()
        eventually(lambda: sandbox.said("/deliveries")[0]["webhooks"]["sent"] > 0, "what was owed is delivered")
        before = sandbox.said(*asked)
        sandbox.kill()
        sandbox.start_again()
        assert sandbox.said(*asked) == before, "also what was written after the record that was cut off"


def _all_of(sandbox: Sandbox) -> dict[str, Any]:
    """Everything in both systems' tables, in its order."""
    kept: dict[str, Any] = {}
    for name, database in (("sales", sandbox.dataverse.db), ("finance", sandbox.finance.db)):
        for table, (key, rows, indexes, unique) in database.kept()["tables"].items():
            kept[f"{name}/{table}"] = (key, rows, sorted(indexes), sorted(unique))
    return kept


async def test_a_journal_brings_back_every_table_at_any_moment(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    async with running(SandboxConfig(tmp_path / "first", journal=journal)) as sandbox:
        rep, finance = sandbox.desk.rep, sandbox.finance
        async with httpx.AsyncClient(base_url=sandbox.info.desk, trust_env=False) as desk:
            for number in ("Q-1", "Q-2", "Q-3"):
                (await desk.post("/quotes", json=QUOTE | {"number": number})).raise_for_status()
        rep.submit("Q-2")
        quote = rep.latest("Q-3")["quoteid"]
        sandbox.dataverse.delete("quotes", quote)
        with pytest.raises(ZeroDivisionError), finance.db.transaction():
            finance.place_hold("usmf", _order(finance), "never")
            raise ZeroDivisionError
        finance.books.next_number(finance.company("usmf"), "invoice", "CIV-{:06d}")
        finance.place_hold("usmf", _order(finance), "forced")
        copied = tmp_path / "copied"
        shutil.copy(journal, copied)
        first, deleted, version = _all_of(sandbox), sandbox.dataverse.changes.kept(), sandbox.dataverse.db.version
        number = finance.books.next_number(finance.company("usmf"), "invoice", "CIV-{:06d}")
    async with running(SandboxConfig(tmp_path / "second", journal=copied)) as again:
        assert _all_of(again) == first
        assert again.dataverse.changes.kept() == deleted and quote in json.dumps(deleted)
        assert again.dataverse.db.version > version, "no delta link of before can hide a change"
        assert again.finance.books.next_number(again.finance.company("usmf"), "invoice", "CIV-{:06d}") == number
        assert again.desk.state()["orders"]["total"] == 1, "what the data set brought along is still told apart"
        await again.desk.reset()
        async with httpx.AsyncClient(base_url=again.info.desk, trust_env=False) as desk:
            (await desk.put("/clock", json={"offset_seconds": 0})).raise_for_status()
        shutil.copy(copied, tmp_path / "reset")
        emptied = _all_of(again)
    async with running(SandboxConfig(tmp_path / "third", journal=tmp_path / "reset")) as third:
        assert _all_of(third) == emptied


def _order(finance: Any) -> str:
    """A new order of one line."""
    company = finance.company("usmf")
    header = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": "US-001", "CurrencyCode": "USD"}
    if company.number_sequence == "manual":
        header["SalesOrderNumber"] = "SO-KEPT"
    order: str = finance.create("SalesOrderHeadersV4", header)["SalesOrderNumber"]
    finance.create(
        "SalesOrderLinesV3",
        {"dataAreaId": "usmf", "SalesOrderNumber": order, "ItemNumber": "P100", "OrderedSalesQuantity": 2},
    )
    return order


def test_rows_that_lie_in_files_have_no_journal(tmp_path: Path) -> None:
    folder = tmp_path / "population"
    write(folder, 3)
    with pytest.raises(ShelfError):
        Sandbox(SandboxConfig(tmp_path, data=str(folder), journal=tmp_path / "journal"))
