"""The commands of integration data without their libraries, and what they say of records."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import data_extra
from cli.main import app


@pytest.mark.parametrize(
    "words",
    ["quality check --from .", "match run --from . --out out", "match train --from . --out model.json"],
)
def test_without_the_extra_a_command_says_what_to_install(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_extra, "find_spec", lambda name: None if name in ("duckdb", "splink") else object())
    found = CliRunner().invoke(app, words.split())
    assert found.exit_code == 2
    assert found.stderr == ("duckdb, splink not installed: install the product with its extra: quote-to-cash[data]\n")


def test_a_check_says_what_is_broken_what_was_not_checked_and_how_the_score_moved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    records = tmp_path / "records"
    records.mkdir()

    def check(*rows: tuple[str, str], words: str = "") -> tuple[int, str, str]:
        with (records / "customer_finance.csv").open("w", newline="") as file:
            csv.writer(file).writerows(
                [("company", "key", "name", "currency"), *(("usmf", *row, "USD") for row in rows)]
            )
        found = CliRunner().invoke(app, ["quality", "check", "--from", "records", "--out", "out", *words.split()])
        return found.exit_code, found.stdout, found.stderr

    code, out, err = check(("US-1", ""), ("US-2", "Contoso"))
    assert code == 1
    assert "rule 1 (critical, customer without a name): 1. To do: Enter the name under which" in out
    assert "out/ar_manager.csv and .xlsx: 1 to correct" in out
    assert out.splitlines()[-1] == "blocked: 1 critical"
    assert "not checked: no customer of Sales was read" in err

    code, out, _ = check(("US-1", "Fabrikam"), ("US-2", "Contoso"))
    assert code == 0
    assert "100.00 of 100 (+" in out and "since the run before)" in out
    assert out.splitlines()[-1] == "no critical rule is broken"
    told = json.loads(check(("US-1", "Fabrikam "), words="--json")[1])
    assert (told["ok"], told["lists"], told["scores"][0]["before"]) == (True, {"sales_rep": 1}, "100.00")
