"""Faults and the request log: what a client really meets on the wire, and what is written down of it."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from sandbox.desk.presets import NAMES, PRESETS
from sandbox.faults import Fault, FaultEffect, FaultPlan, fault_body
from sandbox.runtime import Sandbox, SandboxConfig, running

ACCOUNT = {"name": "Fault & Sons", "accountnumber": "F-1"}


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    everything = {"application_role": "System Administrator"}
    async with running(SandboxConfig(state_dir=tmp_path_factory.mktemp("faults"), dataverse=everything)) as sandbox:
        yield sandbox


@pytest.fixture
async def desk(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox.info.desk, trust_env=False) as client:
        await client.post("/reset")
        yield client
        await client.delete("/faults")


@pytest.fixture
async def product(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A client of Dataverse and Finance as the product is one: client credentials, TLS, kept-alive connections."""
    context = ssl.create_default_context(cafile=sandbox.info.ca_file)
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=10) as client:
        yield client


async def bearer(sandbox: Sandbox, product: httpx.AsyncClient, resource: str) -> dict[str, str]:
    form = {
        "grant_type": "client_credentials",
        "client_id": sandbox.info.client_id,
        "client_secret": sandbox.info.client_secret,
        "scope": f"{resource}/.default",
    }
    answer = await product.post(f"{sandbox.info.entra}/{sandbox.info.tenant}/oauth2/v2.0/token", data=form)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def fault(**effect: Any) -> dict[str, Any]:
    return {"system": "dataverse", "method": "POST", "path": "/accounts$", "effect": effect, "times": 1}


async def test_dropped_before_leaves_nothing_and_after_leaves_the_row(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: httpx.AsyncClient
) -> None:
    headers = await bearer(sandbox, product, sandbox.info.dataverse)
    url = f"{sandbox.info.dataverse}/api/data/v9.2/accounts"
    await desk.put("/faults", json=fault(drop="before"))
    with pytest.raises(httpx.TransportError):
        await product.post(url, json=ACCOUNT, headers=headers)
    assert not sandbox.dataverse.query("accounts", "accountnumber eq 'F-1'")
    await desk.put("/faults", json=fault(drop="after"))
    with pytest.raises(httpx.TransportError):
        await product.post(url, json=ACCOUNT, headers=headers)
    assert len(sandbox.dataverse.query("accounts", "accountnumber eq 'F-1'")) == 1
    log = (await desk.get("/requests", params={"system": "dataverse", "method": "POST"})).json()
    assert [entry["status"] for entry in log] == [0, 0]
    assert (await desk.get("/requests/summary")).json()["dataverse"]["dropped"] == 2
    assert (await product.post(url, json=ACCOUNT | {"accountnumber": "F-2"}, headers=headers)).status_code == 204


async def test_a_status_comes_with_its_retry_after_and_the_systems_own_body(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: httpx.AsyncClient
) -> None:
    faults = [
        {"system": "finance", "path": "", "effect": {"status": 429, "retry_after": 30}, "times": 1},
        {"system": "finance", "path": "", "effect": {"status": 503}, "times": 1},
        {"system": "dataverse", "path": "", "effect": {"status": 429, "retry_after": 7}, "times": 1},
    ]
    assert (await desk.put("/faults", json=faults)).status_code == 200
    throttled = await product.get(f"{sandbox.info.finance}/data/CustomersV3")
    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "30")
    assert "high resource utilization" in throttled.text
    down = await product.get(f"{sandbox.info.finance}/data/CustomersV3")
    assert down.status_code == 503 and down.headers["content-type"].startswith("text/html")
    limited = await product.get(f"{sandbox.info.dataverse}/api/data/v9.2/WhoAmI")
    assert limited.json()["error"]["code"] == "0x80072322" and limited.headers["retry-after"] == "7"
    assert (await desk.get("/faults")).json() == []
    assert (await product.get(f"{sandbox.info.finance}/data/CustomersV3")).status_code == 401


def test_an_outage_of_two_hours_ends_by_itself() -> None:
    now = [0.0]
    plan = FaultPlan(clock=lambda: now[0])
    plan.replace([Fault("finance", FaultEffect(status=503), seconds=7_200)])
    assert plan.draw("finance", [("GET", "/data/CustomersV3")]) and not plan.concerns("dataverse")
    now[0] = 7_199.9
    assert plan.draw("finance", [("POST", "/data/$batch")])
    now[0] = 7_200
    assert not plan.concerns("finance") and plan.faults == []
    assert Fault("finance", FaultEffect(status=503), seconds=0).problem() == ("seconds", "must be above 0, or null")


async def test_a_delay_only_delays(sandbox: Sandbox, desk: httpx.AsyncClient, product: httpx.AsyncClient) -> None:
    headers = await bearer(sandbox, product, sandbox.info.finance)
    await desk.put("/faults", json={"system": "finance", "path": "/data/", "effect": {"delay_ms": 250}})
    started = time.perf_counter()
    answer = await product.get(f"{sandbox.info.finance}/data/LegalEntities", headers=headers)
    assert answer.status_code == 200 and time.perf_counter() - started >= 0.25


async def test_a_fault_reaches_an_operation_inside_a_batch(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: httpx.AsyncClient
) -> None:
    headers = await bearer(sandbox, product, sandbox.info.finance)
    headers["Content-Type"] = "multipart/mixed; boundary=b"
    await desk.put(
        "/faults", json={"system": "finance", "method": "GET", "path": "/data/PaymentTerms", "effect": {"status": 503}}
    )

    async def batch(entity_set: str) -> int:
        part = f"GET /data/{entity_set}?$top=1 HTTP/1.1\r\n\r\n"
        body = f"--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{part}\r\n--b--\r\n"
        answer = await product.post(f"{sandbox.info.finance}/data/$batch", content=body, headers=headers)
        return answer.status_code

    assert [await batch("LegalEntities"), await batch("PaymentTerms")] == [200, 503]
    log = (await desk.get("/requests", params={"system": "finance"})).json()
    assert [entry["operations"] for entry in log] == [
        ["GET /data/LegalEntities?$top=1"],
        ["GET /data/PaymentTerms?$top=1"],
    ]


async def test_every_request_is_in_the_log_with_its_time(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: httpx.AsyncClient
) -> None:
    await product.get(f"{sandbox.info.finance}/data/CustomersV3", params={"$top": "1"})
    await bearer(sandbox, product, sandbox.info.finance)
    log = (await desk.get("/requests")).json()
    assert [(entry["system"], entry["method"], entry["status"]) for entry in log] == [
        ("finance", "GET", 401),
        ("entra", "POST", 200),
    ]
    assert log[0]["path"] == "/data/CustomersV3?%24top=1" and log[0]["at"].endswith("Z") and log[0]["ms"] >= 0
    since = {"since": log[1]["at"]}
    assert [entry["system"] for entry in (await desk.get("/requests", params=since)).json()] == ["entra"]
    assert (await desk.get("/requests", params={"since": "yesterday"})).json()["error"]["field"] == "since"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"path": "("}, "[0].path"),
        ({"probability": 2}, "[0].probability"),
        ({"times": 0}, "[0].times"),
        ({"effect": {"status": 200}}, "[0].effect.status"),
        ({"effect": {"status": 503, "drop": "after"}}, "[0].effect.drop"),
        ({"effect": {"drop": "sometimes"}}, "effect.drop"),
        ({"system": "temporal"}, "system"),
    ],
)
async def test_a_wrong_fault_is_refused_and_changes_nothing(
    desk: httpx.AsyncClient, wrong: dict[str, Any], field: str
) -> None:
    await desk.put("/faults", json=fault(status=500))
    answer = await desk.put("/faults", json=fault(status=503) | wrong)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
    assert [entry["effect"]["status"] for entry in (await desk.get("/faults")).json()] == [500]


def test_the_dice_are_seeded_and_fair() -> None:
    def draws(seed: int) -> list[bool]:
        plan = FaultPlan(seed)
        plan.replace([Fault("finance", FaultEffect(status=503), probability=0.3)])
        return [plan.draw("finance", [("GET", "/data/X")]) is not None for _ in range(2000)]

    assert draws(1) == draws(1) != draws(2)
    assert 500 < sum(draws(1)) < 700


def test_a_fault_counts_down_and_is_gone() -> None:
    plan = FaultPlan()
    plan.replace([Fault("entra", FaultEffect(status=500), times=2)])
    assert [plan.draw("entra", [("POST", "/")]) is None for _ in range(3)] == [False, False, True]
    assert not plan.concerns("entra")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 412, 429, 500, 502, 503, 504])
def test_every_system_refuses_in_its_own_shape(status: int) -> None:
    for system, marker in (("dataverse", b'"code":"0x8'), ("finance", b'"code":""'), ("entra", b"AADSTS")):
        content_type, body = fault_body(system, status)  # type: ignore[arg-type]  # plain names of the parameters
        if status in (502, 503, 504):
            assert content_type.startswith("text/html") and body.startswith(b"<html>")
        else:
            assert marker in body


async def test_each_way_to_break_something_is_one_click_and_repaired_by_one(
    sandbox: Sandbox, desk: httpx.AsyncClient
) -> None:
    page = (await desk.get("/ui/controls")).text
    for preset in PRESETS:
        for system in preset.systems:
            assert f'value="{preset.key}">{preset.label}' in page
            form = {"preset": preset.key, "system": system}
            said = await desk.post("/ui/controls/preset", data=form, follow_redirects=True)
            assert f"{NAMES[system]} {preset.label}." in said.text
            (fault,) = sandbox.faults.faults
            assert (fault.system, fault.effect, fault.problem()) == (system, preset.effect, None)
            assert "Something is broken on purpose" in (await desk.get("/")).text
    await desk.post("/ui/controls/no-faults")
    assert sandbox.faults.faults == [] and "broken on purpose" not in (await desk.get("/")).text
    for wrong in ({"preset": "down", "system": "sap"}, {"preset": "gone", "system": "finance"}, {"preset": "down"}):
        answer = await desk.post("/ui/controls/preset", data=wrong, follow_redirects=True)
        assert 'class="note bad" role="alert"' in answer.text and sandbox.faults.faults == []


async def test_finance_that_is_down_answers_503_and_one_that_loses_answers_commits(
    sandbox: Sandbox, desk: httpx.AsyncClient, product: httpx.AsyncClient
) -> None:
    headers = await bearer(sandbox, product, sandbox.info.finance)
    await desk.post("/ui/controls/preset", data={"preset": "down", "system": "finance"})
    url = f"{sandbox.info.finance}/data/CustomersV3"
    assert (await product.get(url, headers=headers)).status_code == 503
    await desk.post("/ui/controls/no-faults")
    assert (await product.get(url, headers=headers)).status_code == 200
