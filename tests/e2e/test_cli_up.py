"""`q2c up` as another program uses it: one ready line, parts that answer, a doctor that agrees, a clean end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

Q2C = [sys.executable, "-m", "cli"]


def process_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def clean_environment(**values: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
    return inherited | values


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    state = tmp_path_factory.mktemp("stack")
    process = subprocess.Popen(
        [*Q2C, "up", "--ports", "auto"],
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(Q2C_STATE_DIR=str(state)),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"`q2c up` ended with code {process.wait()}"
    ready = json.loads(line) | {"supervisor": process}
    yield ready
    process.terminate()
    process.communicate(timeout=40)


def product_environment(up: dict[str, Any]) -> dict[str, str]:
    """What an administrator would put into `.env` for this stack."""
    return clean_environment(
        Q2C_STATE_DIR=up["state_dir"],
        Q2C_CA_FILE=up["ca_file"],
        Q2C_ENTRA_URL=up["entra"],
        Q2C_ENTRA_TENANT=up["tenant"],
        Q2C_ENTRA_CLIENT_ID=up["client_id"],
        Q2C_ENTRA_CLIENT_SECRET=up["client_secret"],
        Q2C_DATAVERSE_URL=up["dataverse"],
        Q2C_FINANCE_URL=up["finance"],
        Q2C_WEB_URL=up["web"],
        Q2C_DECISION_PRIVATE_KEY_FILE=str(Path(up["state_dir"]) / "decision-key.json"),
        Q2C_DECISION_PUBLIC_KEYS_FILE=str(Path(up["state_dir"]) / "decision-jwks.json"),
        TEMPORAL_ADDRESS=up["temporal"],
    )


def doctor(**changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*Q2C, "doctor"], env=changes, capture_output=True, text=True, timeout=60, check=False)


def test_the_ready_line_says_where_everything_is(up):
    assert up["event"] == "ready"
    for part in ("web", "temporal_ui", "desk"):
        assert httpx.get(up[part], timeout=10).status_code < 400, part
    for system in ("entra", "dataverse", "finance"):
        assert up[system].startswith("https://localhost:")
    assert up["users"]["mona"] == ["sales_manager.usmf"]
    assert {"supervisor", "temporal", "sandbox", "worker", "web"} <= up["pids"].keys()


def test_worker_and_web_are_live_and_ready(up):
    for origin in (up["web"], up["worker_health"]):
        for path in ("live", "ready"):
            assert httpx.get(f"{origin}/health/{path}").json()["status"] == "ok"


def test_the_doctor_finds_nothing_wrong(up):
    result = doctor(**product_environment(up))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "FAIL" not in result.stdout
    for name in ("Temporal", "search attributes", "Entra ID", "Dataverse", "Finance posting", "decision keys", "web"):
        assert name in result.stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("Q2C_ENTRA_CLIENT_SECRET", "wrong", "AADSTS7000215"),
        ("TEMPORAL_NAMESPACE", "nowhere", "nowhere"),
        ("Q2C_DATAVERS_URL", "https://x.example", "Q2C_DATAVERS_URL"),
        ("Q2C_DECISION_PUBLIC_KEYS_FILE", "/nowhere/jwks.json", "q2c keys"),
        ("Q2C_WEB_URL", "http://localhost:1", "start `q2c web`"),
    ],
)
def test_the_doctor_says_what_is_wrong(up, variable, value, said):
    result = doctor(**product_environment(up) | {variable: value})
    assert result.returncode == 1
    assert said in result.stdout, result.stdout


def test_a_killed_worker_is_started_again(up):
    pids = Path(up["state_dir"]) / "pids.json"
    before = json.loads(pids.read_text())["worker"]
    os.kill(before, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while json.loads(pids.read_text())["worker"] == before:
        assert time.monotonic() < deadline, "no new worker after 60 s"
        time.sleep(0.1)
    while True:
        try:
            if httpx.get(f"{up['worker_health']}/health/ready").status_code == 200:
                break
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the new worker is not ready after 60 s"
        time.sleep(0.1)


def test_sigterm_ends_every_process_and_frees_every_port(up):
    pids = json.loads((Path(up["state_dir"]) / "pids.json").read_text())
    up["supervisor"].terminate()
    assert up["supervisor"].wait(40) == 0
    assert {name: pid for name, pid in pids.items() if process_alive(pid)} == {}
