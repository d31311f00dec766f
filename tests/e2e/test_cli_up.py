"""`q2c up` as another program uses it: one ready line, parts that answer, a doctor that agrees, a clean end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from bench.exposition import served
from cli import reach, telemetry_checks
from cli.check import Check
from cli.checks import run_checks
from cli.main import app
from tests.deadlines import PATIENCE

Q2C = [sys.executable, "-m", "cli"]


def process_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(so: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < deadline, f"{what} after {PATIENCE:.0f} s"
        time.sleep(0.1)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def clean_environment(**values: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
    return inherited | values


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    state = tmp_path_factory.mktemp("stack")
    said = state / "said"
    with said.open("w") as stderr:
        process = subprocess.Popen(
            [*Q2C, "up", "--ports", "auto"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=clean_environment(Q2C_STATE_DIR=str(state)),
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"`q2c up` ended with code {process.wait()}"
        yield json.loads(line) | {"supervisor": process, "said": said}
    finally:
        sys.stderr.write(said.read_text())  # shown where something failed, a start that took too long among it
        process.terminate()
        process.communicate(timeout=PATIENCE)


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
        Q2C_CODEC_KEYS_FILE=str(Path(up["state_dir"]) / "codec-keys.json"),
        Q2C_LEDGER_URL=f"sqlite:///{Path(up['state_dir']) / 'ledger.db'}",
        TEMPORAL_ADDRESS=up["temporal"],
    )


def doctor(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*Q2C, "doctor", *arguments], env=changes, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_ready_line_says_where_everything_is(up: dict[str, Any]) -> None:
    assert up["event"] == "ready"
    for part in ("web", "temporal_ui", "desk"):
        assert httpx.get(up[part], timeout=10).status_code < 400, part
    for system in ("entra", "dataverse", "finance"):
        assert up[system].startswith("https://localhost:")
    assert up["users"]["mona"] == ["sales_manager.usmf"]
    assert {"supervisor", "temporal", "sandbox", "worker", "web"} <= up["pids"].keys()


def test_each_step_of_the_start_is_told_on_standard_error(up: dict[str, Any]) -> None:
    said = up["said"].read_text()
    for part in ("Temporal", "The sandbox", "The web application", "The worker"):
        assert f"{part} is ready (" in said


def test_worker_and_web_are_live_and_ready(up: dict[str, Any]) -> None:
    for origin in (up["web"], up["worker_health"]):
        for path in ("live", "ready"):
            assert httpx.get(f"{origin}/health/{path}").json()["status"] == "ok"


def test_the_doctor_finds_nothing_wrong(up: dict[str, Any]) -> None:
    result = doctor(**product_environment(up))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "FAIL" not in result.stdout
    for name in ("Temporal", "search attributes", "Entra ID", "Dataverse", "Finance posting", "decision keys", "web"):
        assert name in result.stdout
    assert "ok   Dataverse webhook step Win of quote" in result.stdout
    assert "ok   Finance business events: active in demf" in result.stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("Q2C_ENTRA_CLIENT_SECRET", "wrong", "AADSTS7000215"),
        ("Q2C_ENTRA_CLIENT_ID", "00000000-0000-0000-0000-000000000000", "correct Q2C_ENTRA_CLIENT_ID"),
        ("TEMPORAL_NAMESPACE", "nowhere", "nowhere"),
        ("Q2C_DATAVERS_URL", "https://x.example", "Q2C_DATAVERS_URL"),
        ("Q2C_DECISION_PUBLIC_KEYS_FILE", "/nowhere/jwks.json", "q2c keys"),
    ],
)
async def test_the_doctor_says_what_is_wrong(
    up: dict[str, Any], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    failed = await failed_checks(monkeypatch, product_environment(up) | {variable: value})
    (check,) = failed.values()
    assert said in f"{check.text} {check.remedy}"
    assert "Trace ID" not in check.text


async def failed_checks(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> dict[str, Check]:
    """The doctor's checks that fail under an environment, by name."""
    checks = await all_checks(monkeypatch, environment)
    return {name: check for name, check in checks.items() if check.status == "failed"}


async def all_checks(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> dict[str, Check]:
    """The doctor's checks under an environment, by name, without a process of their own."""
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return {check.name: check async for check in run_checks()}


async def test_the_doctor_sees_whether_traces_and_metrics_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    with served() as (_, port):
        for endpoint in (f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{port}/elsewhere", "http://127.0.0.1:1", ""):
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            found += [(check.status, check.text) async for check in telemetry_checks.run()]
    assert [status for status, _ in found] == ["ok", "failed", "failed", "ok"]
    assert "/elsewhere/v1/traces answers 404" in found[1][1] and "nothing is exported" in found[3][1]


def test_the_doctor_tells_programs_too(up: dict[str, Any]) -> None:
    result = doctor("--json", **product_environment(up) | {"Q2C_WEB_URL": "http://localhost:1"})
    report = json.loads(result.stdout)
    assert (result.returncode, report["ok"]) == (1, False)
    assert {check["name"]: check["status"] for check in report["checks"] if check["status"] != "ok"} == {
        "Dataverse webhook endpoint": "failed",
        "web": "failed",
        "webhooks, business events": "not checked",
    }


@pytest.mark.parametrize(
    ("change", "name", "status", "said"),
    [
        ({"Q2C_WEB_URL": "http://web.example"}, "Entra ID redirect URI", "failed", "/auth/callback is not registered"),
        ({"Q2C_WEB_URL": "http://web.example"}, "Dataverse webhook endpoint", "failed", "run `q2c setup dataverse`"),
        ({"Q2C_WEB_CLIENT_ID": "x"}, "Entra ID redirect URI", "failed", "no application x"),
        ({"Q2C_DATAVERSE_WEBHOOK_KEY": "x"}, "webhooks at the web application", "failed", "refuses the value"),
        ({"Q2C_FINANCE_EVENTS_SECRET": "x"}, "business events at the web application", "failed", "refuses the value"),
        ({}, "webhooks at the web application", "not checked", "Q2C_DATAVERSE_WEBHOOK_KEY is not given"),
        ({}, "business events at the web application", "not checked", "Q2C_FINANCE_EVENTS_SECRET is not given"),
    ],
)
async def test_what_is_sent_to_the_web_application_is_checked_as_far_as_it_can_be(
    up: dict[str, Any], monkeypatch: pytest.MonkeyPatch, change: dict[str, str], name: str, status: str, said: str
) -> None:
    checks = await all_checks(monkeypatch, product_environment(up) | change)
    assert checks[name].status == status
    assert said in f"{checks[name].text} {checks[name].remedy}"


@pytest.mark.parametrize(
    ("variable", "value", "failing", "said"),
    [
        ("Q2C_DATAVERSE_URL", "https://localhost:1", "Dataverse", "https://localhost:1: nothing listens there."),
        ("Q2C_FINANCE_URL", "https://no-such-host.invalid", "settings", "is not on this machine; set it to production"),
        ("Q2C_DATAVERSE_URL", "{temporal_ui}", "Dataverse", "Entra ID knows no system"),
        ("Q2C_ENTRA_URL", "https://localhost:1", "Entra ID", "nothing listens there"),
        ("Q2C_ENTRA_URL", "{web_over_tls}", "Entra ID", "it does not speak TLS"),
        ("Q2C_ENTRA_TENANT", "nobody", "Entra ID", "Tenant 'nobody' not found"),
        ("Q2C_CA_FILE", "", "Entra ID", "its certificate is not trusted"),
    ],
)
async def test_a_wrong_address_is_blamed_on_its_own_variable(
    up: dict[str, Any], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, failing: str, said: str
) -> None:
    value = value.format(temporal_ui=up["temporal_ui"], web_over_tls=up["web"].replace("http:", "https:"))
    failed = await failed_checks(monkeypatch, product_environment(up) | {variable: value})
    assert list(failed) == [failing], failed
    assert said in failed[failing].text
    assert variable in f"{failed[failing].text} {failed[failing].remedy}"
    if failing in ("Dataverse", "Entra ID"):
        told = await asyncio.to_thread(CliRunner().invoke, app, ["setup", "dataverse", "--dry-run", "--json"])
        (part,) = json.loads(told.stdout)["parts"]
        asked_first = "Dataverse" if variable == "Q2C_CA_FILE" else failing
        assert (told.exit_code, part["part"], said in part["text"], variable in part["text"]) == (
            1,
            asked_first,
            True,
            True,
        )
        assert "Trace ID" not in told.output and "AADSTS" not in part["text"].replace("AADSTS90002", "")


async def test_a_name_that_no_computer_has_is_said_to_be_one() -> None:
    problem = await reach.origin("https://no-such-host.invalid", None)
    assert problem is not None
    assert problem.text == "https://no-such-host.invalid: no computer has the name no-such-host.invalid."


@pytest.mark.parametrize("part", ["worker", "web", "sandbox", "temporal"])
def test_a_killed_part_is_started_again_and_people_are_told(up: dict[str, Any], part: str) -> None:
    pids = Path(up["state_dir"]) / "pids.json"
    before = json.loads(pids.read_text())[part]
    os.kill(before, signal.SIGKILL)
    until(lambda: json.loads(pids.read_text())[part] != before, f"no new {part}")
    for origin in (up["web"], up["worker_health"]):
        until(partial(answers, f"{origin}/health/ready"), f"{origin} is not ready with the new {part}")
    assert answers(f"{up['desk']}/health")
    title = {"worker": "The worker", "web": "The web application", "sandbox": "The sandbox", "temporal": "Temporal"}
    said = up["said"].read_text()
    assert f"{title[part]} was killed by SIGKILL and is started again" in said
    assert f"{title[part]} is ready again." in said


def test_after_all_that_a_quote_becomes_a_deal(up: dict[str, Any]) -> None:
    """The new sandbox tells the web application, the new Temporal has feeds, the new worker works."""
    desk = httpx.Client(base_url=up["desk"], timeout=60, trust_env=False)
    lines = [{"item": "P100", "quantity": "1", "discount_pct": "0"}]
    body = {"company": "usmf", "customer": "US-001", "rep": "rita", "name": "After the crash", "lines": lines}
    number = desk.post("/quotes", json=body).raise_for_status().json()["quotenumber"]
    desk.post(f"/quotes/{number}/submit").raise_for_status()
    until(lambda: desk.get(f"/quotes/{number}").json()["approval"] == "approved", "the quote is not approved")
    desk.close()


def test_sigterm_ends_every_process_and_frees_every_port(up: dict[str, Any]) -> None:
    pids = json.loads((Path(up["state_dir"]) / "pids.json").read_text())
    up["supervisor"].terminate()
    assert up["supervisor"].wait(40) == 0
    assert {name: pid for name, pid in pids.items() if process_alive(pid)} == {}
    assert not Path(up["state_dir"]).exists(), "its keys, logs and certificates go with it"
