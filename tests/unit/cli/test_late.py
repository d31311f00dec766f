"""`q2c late` against a site that answers: what is printed, what is sent, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from cli.main import app

ENTRY = {
    "n": 7,
    "deal": {"company": "usmf", "quote_number": "Q-1"},
    "status": "open",
    "codes": ["PAYMENT_REVERSED_AFTER_END"],
    "role": "ar_manager",
    "text": "1,100.00 USD of invoice INV-1 is open again",
}
SETTINGS = {"Q2C_WEB_URL": "http://localhost:8000", "Q2C_CA_FILE": ""}


class Site:
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.status = 200
        self.body: Any = {"items": [], "more": 0, "tally": {}, "failing": {}}
        self.asked: list[httpx.Request] = []
        client = httpx.Client
        transport = httpx.MockTransport(self.answer)
        monkeypatch.setattr(httpx, "Client", lambda **_: client(transport=transport))
        monkeypatch.chdir(folder)
        (folder / "token").write_text("a.b.c\n")

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return httpx.Response(self.status, json=self.body)

    def run(self, *words: str, given: str = "") -> Result:
        return CliRunner().invoke(app, ["late", *words], prog_name="q2c", env=SETTINGS, input=given)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    return Site(monkeypatch, tmp_path)


def test_what_stands_open_is_listed_and_found_by_the_exit_code(site: Site) -> None:
    assert (found := site.run("list", "--token-file", "token")).exit_code == 0 and found.stdout == "nothing\n"
    site.body = {"items": [ENTRY], "more": 3, "tally": {}, "failing": {"usmf": "Q-2: transient"}}

    found = site.run("list", "--token-file", "-", "--company", "USMF", "--search", "INV-1", given="d.e.f\n")

    assert found.exit_code == 1
    assert found.stdout == (
        "USMF 7 Q-1 PAYMENT_REVERSED_AFTER_END (ar_manager): 1,100.00 USD of invoice INV-1 is open again\n"
    )
    assert "3 more" in found.stderr and "the last look failed" in found.stderr
    asked = site.asked[-1]
    assert asked.headers["authorization"] == "Bearer d.e.f"
    assert dict(asked.url.params) == {"company": "usmf", "status": "open", "q": "INV-1", "limit": "500"}
    assert json.loads(site.run("list", "--token-file", "token", "--json").stdout)["items"] == [ENTRY]


def test_it_is_dismissed_with_a_reason_or_refused(site: Site) -> None:
    site.body = {"message_id": "m-1", "accepted": True, "detail": ""}
    assert (found := site.run("dismiss", "usmf", "7", "written off", "--token-file", "token")).exit_code == 0
    assert found.stdout == "USMF 7 is dismissed\n"
    sent = json.loads(site.asked[-1].content)
    assert site.asked[-1].url.path == "/api/v1/late/usmf/7/dismiss" and sent["reason"] == "written off"
    site.body = {"message_id": "m-1", "status": "recorded", "detail": ""}
    assert "no worker" in site.run("dismiss", "usmf", "7", "why", "--token-file", "token").stdout

    site.status, site.body = 409, {"code": "NOT_OPEN_ANY_MORE", "detail": "This is no longer open."}
    found = site.run("dismiss", "usmf", "7", "why", "--token-file", "token", "--json")

    assert found.exit_code == 1 and "409 NOT_OPEN_ANY_MORE: This is no longer open." in found.stderr
    assert json.loads(found.stdout)["accepted"] is False


@pytest.mark.parametrize(
    "words",
    [
        ("list", "--token-file", "none"),
        ("list", "--token-file", "empty"),
        ("list",),
        ("dismiss", "usmf", "0", "why", "--token-file", "token"),
        ("dismiss", "us/mf", "1", "why", "--token-file", "token"),
        ("dismiss", "usmf", "1", " ", "--token-file", "token"),
    ],
)
def test_what_cannot_begin_says_so_and_asks_nobody(site: Site, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "empty").write_text(" \n")

    found = site.run(*words)

    assert (found.exit_code, found.stdout, site.asked) == (2, "", [])
