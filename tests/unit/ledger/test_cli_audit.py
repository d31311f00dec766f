"""The commands of the audit, as a person runs them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.audit import app
from cli.codec import app as codec_app
from cli.ledger import app as ledger_app
from domain.audit import AuditKind
from ledger.audit import AuditStore
from ledger.database import open_database
from tests.unit.ledger.ledger_makers import record
from workers.keys import ensure_decision_keys

runner = CliRunner()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger with three records, and keys, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/ledger.db"
    monkeypatch.setenv("Q2C_LEDGER_URL", url)
    ensure_decision_keys(Path(".q2c/audit-key.json"), Path(".q2c/audit-jwks.json"))

    async def fill() -> None:
        database = await open_database(url)
        facts = {"role": "sales_manager", "amount": "10", "currency": "USD"}
        await AuditStore(database).append(
            [record(1), record(2), record(3, kind=AuditKind.DECISION, event="StepDecided", facts=facts)]
        )
        await database.close()

    asyncio.run(fill())
    return tmp_path


def test_export_and_verify(here: Path) -> None:
    asked = [
        "export",
        "--company",
        "USMF",
        "--from",
        "2026-01-01",
        "--to",
        "2099-12-31",
        "--out",
        "a.csv",
        "--format",
        "csv",
    ]
    done = runner.invoke(app, asked)
    assert (done.exit_code, "3 records (1 to 3)" in done.output) == (0, True), done.output
    assert runner.invoke(app, ["verify", "a.csv"]).exit_code == 0
    file = here / "a.csv"
    file.write_text(file.read_text().replace("revision 2", "revision 7"))
    found = runner.invoke(app, ["verify", "a.csv"])
    assert (found.exit_code, "usmf record 2" in found.output) == (1, True), found.output
    assert runner.invoke(app, ["verify", "--database"]).exit_code == 0
    assert runner.invoke(app, ["verify"]).exit_code == 2


def test_what_cannot_be_done_is_one_message(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["export", "--company", "nwnd", "--from", "2026-01-01", "--to", "2026-12-31", "--out", "a"]
    refused = runner.invoke(app, asked)
    assert refused.exit_code == 2 and "companies with records: usmf" in refused.output
    monkeypatch.setenv("Q2C_LEDGER_URL", "mysql://somewhere")
    refused = runner.invoke(app, ["verify", "--database"])
    assert refused.exit_code == 2 and "Q2C_LEDGER_URL" in refused.output
    assert runner.invoke(ledger_app, ["migrate"]).exit_code == 2


def test_prune_and_erase(here: Path) -> None:
    assert "usmf: 0 records removed" in runner.invoke(app, ["prune"]).output
    erased = runner.invoke(app, ["erase", "800654ED-E59A-5376-A645-838605947A61"])
    assert "3 records" in erased.output, erased.output
    assert "nobody" in runner.invoke(app, ["erase", "unknown"]).output
    assert "records to 4 hold, 3 with a person erased" in runner.invoke(app, ["verify", "--database"]).output


def test_reports_in_words_and_in_json(here: Path) -> None:
    people = here / "people.json"
    people.write_text(json.dumps([{"oid": "x", "name": "Xenia", "roles": ["ops", "sales_manager.usmf"]}]))
    found = runner.invoke(app, ["report", "conflicts", "--people", "people.json", "--json"])
    assert found.exit_code == 1
    assert json.loads(found.output)[0]["roles"] == ["ops", "sales_manager"]
    assert runner.invoke(app, ["report", "conflicts"]).exit_code == 0
    assert runner.invoke(app, ["report", "above-limit", "--company", "usmf"]).exit_code == 0
    (here / "limits.json").write_text('{"sales_manager": {"USD": "9.99"}}')
    above = runner.invoke(app, ["report", "above-limit", "--company", "usmf", "--limits", "limits.json"])
    assert (above.exit_code, "limit is 9.99" in above.output) == (1, True)
    assert runner.invoke(app, ["report", "unsigned-orders", "--company", "usmf"]).exit_code == 0
    assert "Mona Meyer" in runner.invoke(app, ["report", "access", "--company", "usmf"]).output
    (here / "finance.json").write_text("[]")
    known = ["report", "unknown-documents", "--company", "usmf", "--finance", "finance.json"]
    assert runner.invoke(app, known).exit_code == 0
    (here / "finance.json").write_text("[1]")
    assert runner.invoke(app, known).exit_code == 2


def test_codec_keys_are_added_used_and_retired_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert runner.invoke(codec_app, ["keys"]).exit_code == 2
    from runs.codec_keys import KeyRing, ensure_codec_keys

    path = tmp_path / ".q2c" / "codec-keys.json"
    ensure_codec_keys(path)
    first = KeyRing.read(path).writes
    assert runner.invoke(codec_app, ["add-key"]).exit_code == 0
    second = list(KeyRing.read(path).keys)[1]
    assert f"{first}  writes" in runner.invoke(codec_app, ["keys"]).output
    assert runner.invoke(codec_app, ["retire-key", first]).exit_code == 2
    assert runner.invoke(codec_app, ["use-key", second]).exit_code == 0
    assert runner.invoke(codec_app, ["retire-key", first]).exit_code == 0
    assert list(KeyRing.read(path).keys) == [second]
