"""Who is told anything at all: nobody before a target is configured; no target that only the policy knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest
from temporalio.client import Client

from cli import notice_checks
from cli.check import Check
from domain.notices import Kind
from tests.receivers import mail_server
from tests.rights import POLICY
from workers.notices import NoticeWork, notice_targets, notice_work
from workers.settings import SettingsError, load_settings

MAIL = "mailto://127.0.0.1:25/{address}?from=q2c@contoso.example"


def work(monkeypatch: pytest.MonkeyPatch, **targets: str) -> NoticeWork:
    if targets:
        monkeypatch.setenv("Q2C_NOTICE_TARGETS", json.dumps(targets))
    return notice_work(load_settings(), cast(Client, None), POLICY)


async def checks() -> list[Check]:
    return [check async for check in notice_checks.run(load_settings())]


async def test_without_a_target_nobody_is_told_and_nothing_is_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    found = work(monkeypatch)
    assert (found.told, list(found.notice_activities)) == ((), [])
    (check,) = await checks()
    assert check.status == "ok" and check.text.startswith("nobody is told: Q2C_NOTICE_TARGETS names no target")


def test_with_a_target_the_kinds_that_somebody_chose_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = work(monkeypatch, mail=MAIL)
    assert Kind.APPROVAL_ASKED in found.told and Kind.DEAL_PARKED not in found.told
    assert len(found.notice_activities) == 1


def test_a_target_that_only_the_policy_knows_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "notices.yaml").write_text('version: "1"\nroles:\n  ops: {kinds: [step.parked], targets: [pager]}\n')
    monkeypatch.setenv("Q2C_POLICIES", str(tmp_path))
    assert work(monkeypatch).told == (), "as long as nothing is configured, nothing is missing"
    with pytest.raises(SettingsError, match="Q2C_NOTICE_TARGETS: notices.yaml names pager; add it"):
        work(monkeypatch, mail=MAIL)


@pytest.mark.parametrize("value", ["nonsense", '{"mail": "mailto://smtp.contoso.example/{address}?from=a@b.example"}'])
async def test_a_setting_that_cannot_be_used_is_named_without_what_is_secret(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("Q2C_NOTICE_TARGETS", value)
    with pytest.raises(SettingsError, match="^Q2C_NOTICE_TARGETS: ") as refused:
        notice_targets(load_settings())
    assert "contoso" not in str(refused.value)
    (check,) = await checks()
    assert (check.status, check.text) == ("failed", str(refused.value))


async def test_the_doctor_signs_in_at_the_mail_server_and_sends_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "notices.yaml").write_text('version: "1"\n')
    monkeypatch.setenv("Q2C_POLICIES", str(tmp_path))
    with mail_server() as mailbox:
        here = f"mailto://127.0.0.1:{mailbox.port}/{{address}}?from=q2c@contoso.example"
        targets = {"mail": here, "hook": "json://127.0.0.1:1/x"}
        monkeypatch.setenv("Q2C_NOTICE_TARGETS", json.dumps(targets))
        found = await checks()
    assert [(check.name, check.status) for check in found] == [
        ("messages to people: mail", "ok"),
        ("messages to people: hook", "not checked"),
    ]
    assert mailbox.mails == []
    (down, _) = await checks()
    assert down.status == "failed" and "cannot be reached" in down.text
