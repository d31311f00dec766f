"""`q2c policy explain QUOTE.json` and `q2c policy diff`, from outside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import policies
from cli.main import app

PACKAGED = Path(policies.__file__).parent
LINE = {"item": "P250", "quantity": 100, "list_price": 250, "cost": 150, "discount_pct": 22}
QUOTE = {"quote": "Q-1", "company": "usmf", "currency": "USD", "payment_days": 30, "lines": [LINE]}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("Q2C_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quote.json").write_text(json.dumps(QUOTE))
    (tmp_path / "quotes.jsonl").write_text("\n".join(json.dumps(QUOTE | {"quote": f"Q-{n}"}) for n in range(30)))
    text = (PACKAGED / "discount.yaml").read_text()
    changed = text.replace("than: 25}", "than: 18}").replace("than: 20}", "than: 25}")
    (tmp_path / "discount-new.yaml").write_text(changed)


def policy(command: str, **variables: str) -> Result:
    return CliRunner().invoke(app, ["policy", *command.split()], env=variables)


def test_a_quote_is_explained_in_words_and_as_data() -> None:
    words = policy("explain quote.json")
    assert words.exit_code == 0
    assert "As it is: Mona Meyer, then Dirk Dorn, about 3 working days." in words.stdout
    assert words.stdout.endswith("nobody.\nAt 20 %, net 20,000.00 USD: Mona Meyer, about 1 working day.\n")
    data = json.loads(policy("explain quote.json --json").stdout)
    assert data["largest_discount_for_nobody"] == "10"
    assert [offer["discount_pct"] for offer in data["cheaper"]] == ["10", "20"]
    assert data["figures"]["net"] == "19500.00"


def test_the_rules_of_the_settings_explain_it(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    text = (PACKAGED / "discount.yaml").read_text().replace("than: 10}", "than: 12}")
    (tmp_path / "own" / "discount.yaml").write_text(text)
    assert (
        "At 12 % on every line and no other discount: nobody."
        in policy("explain quote.json", Q2C_POLICIES="own").stdout
    )


def test_a_wrong_field_and_a_missing_file_are_named() -> None:
    Path("quote.json").write_text(json.dumps(QUOTE | {"payment_days": None}))
    for command, says in (
        ("explain quote.json", "quote.json: payment_days: must be a whole number\n"),
        ("explain nothing.json", "nothing.json: not a file that can be read\n"),
        ("diff discount-new.yaml discount-new.yaml --deals nothing.csv", "nothing.csv: not a file that can be read\n"),
    ):
        found = policy(command)
        assert (found.exit_code, found.stderr) == (2, says)
    Path("quote.json").write_text(json.dumps(QUOTE | {"company": "xxxx"}))
    assert policy("explain quote.json").stderr.startswith("quote.json: company: 'xxxx' is not in approvers.yaml")


def test_two_versions_are_compared_with_counts_money_and_a_table(tmp_path: Path) -> None:
    shipped = PACKAGED / "discount.yaml"
    words = policy(f"diff {shipped} discount-new.yaml --deals quotes.jsonl --limit 3")
    assert words.exit_code == 0
    assert "30 quotes: 0 decided as before, 30 otherwise" in words.stdout
    assert "fewer levels      30  585,000.00 USD" in words.stdout
    assert words.stdout.endswith("… and 27 more; --limit 0 shows all\n")
    assert max(map(len, words.stdout.splitlines())) <= 90
    data = json.loads(policy(f"diff {shipped} discount-new.yaml --deals quotes.jsonl --json --limit 0").stdout)
    assert (data["otherwise"], len(data["changed"])) == (30, 30)
    assert data["totals"] == [{"change": "fewer levels", "currency": "USD", "quotes": 30, "net": "585000.00"}]


def test_a_version_that_cannot_be_used_is_not_compared(tmp_path: Path) -> None:
    Path("discount-new.yaml").write_text("version: 1")
    found = policy("diff discount-new.yaml discount-new.yaml --deals quotes.jsonl")
    assert found.exit_code == 2
    assert "discount-new.yaml: rules: is missing; add it" in found.stderr
