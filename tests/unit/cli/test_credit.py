"""`q2c credit rebuild` against a site that answers: what is sent, what is printed, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from cli.main import app

SETTINGS = {"Q2C_WEB_URL": "http://localhost:8000", "Q2C_CA_FILE": ""}
FOUND = {
    "code": "CREDIT_OF_NO_DEAL",
    "account": "US-001",
    "deal_id": "q2c/usmf/Q-1",
    "order_number": "Q2C-1",
    "text": "the ledger holds 100 for a deal that has ended or claims none",
}


class Site:
    """Reviews at once, and answers with what it found."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.found: list[Any] = []
        self.failed: dict[str, str] = {}
        self.refused = ""
        self.said: dict[str, Any] = {}
        client = httpx.Client
        transport = httpx.MockTransport(self.answer)
        monkeypatch.setattr(httpx, "Client", lambda **_: client(transport=transport))
        monkeypatch.chdir(folder)
        (folder / "token").write_text("a.b.c\n")

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.said = json.loads(request.content)
            if self.refused:
                return httpx.Response(403, json={"code": "NO_AUTHORITY", "detail": self.refused})
            return httpx.Response(200, json={"accepted": True})
        book = {"rebuilt": 0 if self.said["dry_run"] else 1, "dropped": 2, "added": 0, "changed": 0, "ledgers": 1}
        found = {"differences": self.found, "more": 0, "failed": self.failed, "left_out": 0}
        return httpx.Response(200, json={"message_id": self.said["message_id"], **book, **found})

    def run(self, *words: str) -> Result:
        given = ["credit", "rebuild", "--company", "USMF", "--reason", "checked", "--token-file", "token", *words]
        return CliRunner().invoke(app, given, prog_name="q2c", env=SETTINGS)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    return Site(monkeypatch, tmp_path)


def test_a_dry_run_tells_what_differs_by_its_exit_code_and_a_rebuild_what_it_did(site: Site) -> None:
    site.found = [FOUND]
    dry = site.run("--customer", "US-001", "--dry-run")
    assert dry.exit_code == 1 and dry.stdout.startswith("CREDIT_OF_NO_DEAL US-001 q2c/usmf/Q-1 Q2C-1: the ledger holds")
    assert {**site.said, "message_id": ""} == {
        "message_id": "",
        "customer": "US-001",
        "dry_run": True,
        "reason": "checked",
    }
    done = site.run("--all")
    assert (done.exit_code, site.said["customer"]) == (0, "")
    assert done.stdout.endswith("1 ledgers looked at, 1 rebuilt: 2 entries dropped, 0 added, 0 changed\n")
    assert json.loads(site.run("--all", "--json").stdout)["differences"] == [FOUND]


def test_what_could_not_be_done_is_told_by_the_exit_code(site: Site) -> None:
    site.failed = {"US-001": "Finance has no customer US-001"}
    failed = site.run("--customer", "US-001")
    assert failed.exit_code == 1 and "US-001: Finance has no customer" in failed.stderr
    site.refused = "Your roles do not allow this."
    refused = site.run("--customer", "US-001")
    assert refused.exit_code == 1 and "NO_AUTHORITY" in refused.stderr
    assert site.run().exit_code == 2, "neither one customer nor all"
    assert site.run("--all", "--customer", "US-001").exit_code == 2
