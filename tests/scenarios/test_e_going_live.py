"""Going live: quotes that are open begin deals by `q2c import`, each once; a load test measures, and cleans up."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.deadlines import PATIENCE
from tests.sealing import KEYS_FILE
from tests.stack import Deal, Stack, line, texts


def said(stack: Stack, *words: str, told: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """What a command says that reaches the stack as the worker does; ``told`` is its standard input."""
    ready = stack.ready
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))} | {
        "TEMPORAL_ADDRESS": ready["temporal"],
        "Q2C_CODEC_KEYS_FILE": str(KEYS_FILE),
        "Q2C_CA_FILE": ready["ca_file"],
        "Q2C_ENTRA_URL": ready["entra"],
        "Q2C_ENTRA_CLIENT_SECRET": ready["client_secret"],
        "Q2C_DATAVERSE_URL": ready["dataverse"],
        "Q2C_WEB_CLIENT_SECRET": ready["web_client_secret"],
    }
    command = [sys.executable, "-m", "cli", *words]
    done = subprocess.run(
        command, env=ours | settings, input=told, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stdout, done.stderr
    return done


def imported(stack: Stack, *words: str) -> tuple[int, dict[str, Any]]:
    """What `q2c import` says: its exit code, and each quote by number."""
    done = said(stack, "import", "--company", "usmf", "--json", *words)
    return done.returncode, {quote["quote"]: quote for quote in json.loads(done.stdout)["quotes"]}


def test_open_quotes_begin_deals_once_and_what_was_won_before_is_left_alone(
    automatic_stack: Stack, tmp_path: Path
) -> None:
    stack = automatic_stack
    plain, asking, wrong, draft, won = quotes = [
        stack.deal(line("P100", *figures), name="Open before")
        for figures in ((10, "5"), (100, "22"), ("1.5", "0"), (1, "0"), (2, "0"))
    ]
    for deal in (plain, asking, wrong, won):
        deal.rep("activate")
    won.rep("accept")
    numbers = {deal.quote for deal in quotes}

    only = [word for number in sorted(numbers) for word in ("--quote", number)]
    code, looked = imported(stack, *only)
    taken = {quote.quote: (looked[quote.quote]["state"], looked[quote.quote]["taken"]) for quote in quotes}
    assert (code, taken) == (
        1,
        {
            plain.quote: ("active", "begins"),
            asking.quote: ("active", "begins"),
            wrong.quote: ("active", "returned"),
            draft.quote: ("draft", "with the rep"),
            won.quote: ("won", "by hand"),
        },
    )
    assert looked[plain.quote]["text"] == "approval: nobody"
    assert "Dirk Dorn" in looked[asking.quote]["text"]
    assert "BAD_QTY" in looked[wrong.quote]["text"]
    assert not any(has_deal(deal) for deal in quotes), "it only looked"

    _, begun = imported(stack, *only, "--apply", "--per-minute", "600", "--csv", str(tmp_path / "open.csv"))
    assert {number for number in numbers if begun[number]["taken"] == "begins"} == {plain.quote, asking.quote}
    written = (tmp_path / "open.csv").read_text(encoding="utf-8")
    rows = {row["quote"]: row["taken"] for row in csv.DictReader(io.StringIO(written))}
    assert rows == {number: quote["taken"] for number, quote in begun.items()}
    plain.waits_for("customer")
    asking.waits_for("approval")
    assert not any(has_deal(deal) for deal in (wrong, draft, won)), "no other deal began"

    _, again = imported(stack, *only, "--apply")
    assert {again[number]["taken"] for number in (plain.quote, asking.quote)} == {"known"}
    plain.rep("accept")
    case = plain.waits_for("shipment")
    assert texts(case).count("no approval needed; submitted by Rita Reyes") == 1, "told of it once"
    assert len(plain.orders()) == 1
    assert won.orders() == []


def has_deal(deal: Deal) -> bool:
    """Whether a deal runs, or ran, for a quote."""
    answer = deal.stack.person("otto").http.get(f"/api/v1/cases/{deal.company}/{deal.quote}")
    assert answer.status_code in (200, 404), answer.text
    return answer.status_code == 200


def test_a_load_is_measured_by_the_deals_own_records_and_cleans_up(automatic_stack: Stack, tmp_path: Path) -> None:
    page = tmp_path / "load.html"
    done = said(automatic_stack, "load", "--deals", "3", "--rate", "600", "--json", "--html", str(page))
    report = json.loads(done.stdout)
    assert (done.returncode, report["came_so_far"], report["errors"]) == (0, 3, {}), done.stderr
    stages = {stage["name"]: stage["count"] for stage in report["stages"]}
    assert stages["submitted → shown in Sales"] == stages["won → order shown in Sales"] == 3
    assert report["requests"]["sent"] >= 15 and report["left"] == {"drafts": 0, "orders in Finance": 3}
    assert len(set(report["orders"])) == 3 and "<svg" in page.read_text(encoding="utf-8")
    quote = automatic_stack.deal(line("P100", 10, "22"), name="To be copied").quote
    # As against a tenant's test environment: by settings and a seller's token alone.
    words = ("load", "--deals", "2", "--rate", "600", "--until", "decided", "--like", quote, "--token-stdin", "--json")
    token = automatic_stack.token_of("rita", f"{automatic_stack.ready['dataverse']}/.default")
    decided = json.loads(said(automatic_stack, *words, told=token, Q2C_MODE="production").stdout)
    assert (decided["came_so_far"], decided["waiting_for_approval"]) == (2, 2)
    assert decided["left"] == {"drafts": 0, "orders in Finance": 0}
