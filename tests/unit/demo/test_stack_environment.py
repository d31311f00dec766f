"""What the processes of a stack on one machine are given: their own secrets, and none of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.ports import Ports
from demo.stack import Stack, StackOptions
from demo.state import StateFolder
from workers.mode import Process


def test_each_process_gets_its_own_secrets_and_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The stack's own in place of the caller's; what only the caller has (whom to tell) goes to whose it is."""
    given = {
        "Q2C_NOTICE_TARGETS": '{"mail": "mailto://127.0.0.1:1025/{address}"}',
        "Q2C_ENTRA_CLIENT_SECRET": "the caller's",
        "Q2C_WEB_SESSION_SECRET_FILE": "/somewhere",
        "TEMPORAL_ADDRESS": "a.real.cluster:7233",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    stack = Stack(StackOptions(), Ports(), StateFolder.lasting(tmp_path), lambda _: None, tmp_path / "codec-keys.json")
    worker, web, person = (stack.environment(each) for each in (Process.WORKER, Process.WEB, None))
    assert worker["Q2C_NOTICE_TARGETS"] == given["Q2C_NOTICE_TARGETS"]
    assert worker["Q2C_ENTRA_CLIENT_SECRET"] != given["Q2C_ENTRA_CLIENT_SECRET"]
    assert worker["TEMPORAL_ADDRESS"] == "127.0.0.1:7233"
    for other in (web, person):
        assert not {"Q2C_NOTICE_TARGETS", "Q2C_ENTRA_CLIENT_SECRET"} & other.keys()
    for each in (worker, web, person):
        assert "Q2C_WEB_SESSION_SECRET_FILE" not in each
    assert "Q2C_WEB_SESSION_SECRET" in web and "Q2C_WEB_SESSION_SECRET" not in worker
