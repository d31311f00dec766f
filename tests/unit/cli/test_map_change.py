"""`q2c map` for changes: what is sent to the site and printed, and the plan of a file over a ledger."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from policies.map_files import PACKAGED
from tests.unit.cli.test_late import SETTINGS, Site
from tests.webworld import maps

MAP = "customers.yaml"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    return Site(monkeypatch, tmp_path)


def q2c(*words: str, **settings: str) -> Result:
    from cli.main import app

    return CliRunner().invoke(app, ["map", *words], env=SETTINGS | settings)


def test_a_map_is_proposed_and_a_plan_approved_as_it_is_now(site: Site) -> None:
    site.body = {"message_id": "m", "accepted": True, "detail": "", "entity": "customer", "number": 3}
    done = q2c("propose", str(PACKAGED / MAP), "no more phones", "--token-file", "token")
    assert done.exit_code == 0 and done.stdout == "proposal 3 of customer\n", done.output
    sent = json.loads(site.asked[0].content)
    assert sent["map"]["entity"] == "customer" and sent["why"] == "no more phones"

    site.body = {"plan_hash": "abc", "accepted": True}
    done = q2c("approve", "customer", "3", "agreed", "--token-file", "token")
    assert done.exit_code == 0 and "approve is recorded" in done.stdout
    assert site.asked[-1].url.path.endswith("/maps/customer/proposals/3/approve")
    assert json.loads(site.asked[-1].content)["seen"] == "abc"
    site.body = {"versions": [{"hash": "old", "until": "2026"}, {"hash": "now", "until": None}]}
    assert q2c("rollback", "customer", "wrong", "--token-file", "token").exit_code == 0
    assert json.loads(site.asked[-1].content)["seen"] == "now"
    site.status, site.body = 409, {"code": "MAP_NOT_APPROVED", "detail": "Two others have to approve this plan"}
    refused = q2c("activate", "customer", "3", "now", "--token-file", "token")
    assert refused.exit_code == 1 and "MAP_NOT_APPROVED" in refused.stderr


def test_a_look_beforehand_says_what_a_file_changes_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load((PACKAGED / MAP).read_text(encoding="utf-8"))
    del content["fields"]["phone"]
    (tmp_path / MAP).write_text(yaml.safe_dump(content), encoding="utf-8")
    found = q2c("plan", "--map", MAP)
    assert found.exit_code == 1, "there are no records that it could be counted over"
    assert "NARROWING  fields.phone" in found.stdout and "not counted" in found.stdout
    assert "q2c compare customer --company … --keep" in found.stdout and "nothing is kept" in found.stdout
    assert q2c("plan").exit_code == 2 and q2c("plan", "customer", "3").exit_code == 1
    kept = q2c("history", "customer")
    assert kept.exit_code == 0 and "version   0" in kept.stdout and "in force" in kept.stdout
    listed = json.loads(q2c("list", "--json").stdout)
    assert not any(row["file_differs"] for row in listed)


def test_what_the_last_change_did_to_records_is_listed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    asyncio.run(maps.scene(url))
    listed = q2c("history", "product", Q2C_LEDGER_URL=url)
    assert listed.exit_code == 0, listed.output
    for line in (
        "change by proposal 1: rolled_back",
        "  tried: 2 read, 6 written",
        "  taken back: 2 waiting, 1 refused, 1 restored, 2 edited",
        "  nothing was written in DEMF: no sync runs there",
        "  USMF P00001  edited: name in Sales",
        "  USMF P00003  refused: name: Sales took the write and shows another value",
    ):
        assert line in listed.stdout.splitlines(), listed.stdout
    content = json.loads(q2c("history", "product", "--json", Q2C_LEDGER_URL=url).stdout)
    assert len(content["change"]["edited"]) == 2
