"""The JSON API: who is let in, what is told, what is refused and how."""

from __future__ import annotations

import time
import uuid
from typing import Any

import httpx
import pytest

from sandbox.entra.directory import WEB_CLIENT_ID
from sandbox.entra.tokens import TokenAuthority
from tests.webworld import scenes
from tests.webworld.world import Stage, Tenant, dev_server
from web.app import create_app
from web.config import WebConfig


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["title"] and body["detail"]
    return body


def decision(step: int = 1, **changes: object) -> dict[str, object]:
    content: dict[str, object] = {
        "decision": "approve",
        "comment": "fine",
        "step": step,
        "seen_hash": scenes.HASH,
        "message_id": str(uuid.uuid4()),
    }
    return content | changes


async def test_only_an_access_token_of_a_person_for_this_api_is_let_in(http: httpx.AsyncClient, tenant: Tenant) -> None:
    other = TokenAuthority(tenant.authority.issuer_base, tenant.authority.tenant_id)
    mona = tenant.directory.people["mona"]
    issue = tenant.authority.issue
    scp = {"scp": "access_as_user"}
    refused = {
        "nothing": None,
        "no bearer": "Basic bW9uYTptb25h",
        "no JWT": "Bearer abc",
        "an ID token: no scope": f"Bearer {tenant.token('mona', scp='')}",
        "another audience": f"Bearer {issue('other', object_id=mona.oid, version='2.0', claims=scp)}",
        "another issuer": f"Bearer {issue(WEB_CLIENT_ID, object_id=mona.oid, version='1.0', claims=scp)}",
        "expired": f"Bearer {issue(WEB_CLIENT_ID, object_id=mona.oid, version='2.0', lifetime=-1, claims=scp)}",
        "another's key": f"Bearer {other.issue(WEB_CLIENT_ID, object_id=mona.oid, version='2.0', claims=scp)}",
        "no person": f"Bearer {issue(WEB_CLIENT_ID, version='2.0', claims=scp)}",
    }
    for why, header in refused.items():
        answer = await http.get("/api/v1/approvals", headers={"Authorization": header} if header else {})
        assert answer.status_code == 401, why
        assert "Bearer" in answer.headers["www-authenticate"]
        problem(answer, 401, "UNAUTHENTICATED")
    assert (await http.get("/api/v1/approvals", headers=tenant.bearer("mona"))).status_code == 200


async def test_a_remembered_token_expires(tenant: Tenant) -> None:
    from web.tokens import InvalidToken, SigningKeys, TokenVerifier

    now = time.time()
    verifier = TokenVerifier(SigningKeys(tenant.url, tenant.ca_file), WEB_CLIENT_ID, now=lambda: now)
    header = f"Bearer {tenant.token('mona')}"
    assert (await verifier.identify(header)).person.name == "Mona Meyer"
    now += 3600
    with pytest.raises(InvalidToken, match="expired"):
        await verifier.identify(header)


async def test_the_inbox_shows_each_approver_the_steps_that_wait_for_them(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    await stage.approval(scenes.request("API-1"))
    items = (await http.get("/api/v1/approvals", headers=tenant.bearer("mona"))).json()["items"]
    item = next(item for item in items if item["quote"] == "API-1")
    assert item["company"] == "usmf" and item["n"] == 1 and item["revision"] == 0
    assert (item["step"], item["level"], item["chain"], item["role"]) == (1, 1, "sales", "sales_manager")
    assert item["assignees"] == [scenes.MONA.oid]
    assert item["seen_hash"] == scenes.HASH
    assert (item["net"], item["total"], item["currency"]) == ("19500.00", "21450.00", "USD")
    (reason,) = item["reasons"]
    assert (reason["rule"], reason["text"]) == ("D1", "22 % > 10 %")
    assert reason["sentence"] == "Discount 22 % is above the 10 % a rep may give alone"
    assert item["requester"]["name"] == "Rita Reyes"
    assert item["deadline"].startswith("2026-11-24T17:00:00")
    others = (await http.get("/api/v1/approvals", headers=tenant.bearer("dirk"))).json()["items"]
    assert "API-1" not in [item["quote"] for item in others]


async def test_polling_the_inbox_does_not_ask_an_unchanged_request_again(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    handle = await stage.approval(scenes.request("API-2"))
    for _ in range(5):
        await http.get("/api/v1/approvals?limit=200", headers=tenant.bearer("mona"))
    assert await handle.query("times_queried") == 1


async def test_a_decision_is_answered_with_its_outcome_and_counts_once(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    await stage.approval(scenes.request("API-3"))
    address = "/api/v1/approvals/usmf/API-3/1/decision"
    body = decision()
    first = await http.post(address, json=body, headers=tenant.bearer("mona"))
    assert first.status_code == 200
    assert first.json() == {"message_id": body["message_id"], "accepted": True, "detail": "approve"}
    again = await http.post(address, json=body, headers=tenant.bearer("mona"))
    assert (again.status_code, again.json()) == (200, first.json())
    late = await http.post(address, json=decision(), headers=tenant.bearer("mona"))
    assert problem(late, 409, "ALREADY_DECIDED")["message_id"]

    wrong_person = await http.post(address, json=decision(2), headers=tenant.bearer("mona"))
    problem(wrong_person, 403, "NOT_ASSIGNED")
    requester = await http.post(address, json=decision(2), headers=tenant.bearer("rita"))
    problem(requester, 403, "REQUESTER_CANNOT_APPROVE")
    stale = await http.post(address, json=decision(2, seen_hash="old"), headers=tenant.bearer("dirk"))
    problem(stale, 409, "SEEN_HASH_MISMATCH")


async def test_the_last_decision_ends_the_request_and_later_ones_learn_how_it_ended(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    deal = await stage.deal(scenes.deal("API-4"))
    handle = await stage.approval(scenes.request("API-4"))
    address = "/api/v1/approvals/usmf/API-4/1/decision"
    body = decision(decision="reject", comment="too low")
    first = await http.post(address, json=body, headers=tenant.bearer("mona"))
    assert first.status_code == 200
    await handle.result()
    again = await http.post(address, json=body, headers=tenant.bearer("mona"))
    assert (again.status_code, again.json()) == (200, first.json())
    late = await http.post(address, json=decision(), headers=tenant.bearer("mona"))
    assert "rejected" in problem(late, 409, "ALREADY_DECIDED")["detail"]
    assert await deal.query("received") == ["late: approval/usmf/API-4/1"]


async def test_a_rejection_without_a_reason_is_refused(http: httpx.AsyncClient, tenant: Tenant, stage: Stage) -> None:
    await stage.approval(scenes.request("API-5"))
    body = decision(decision="reject", comment=" ")
    answer = await http.post("/api/v1/approvals/usmf/API-5/1/decision", json=body, headers=tenant.bearer("mona"))
    problem(answer, 400, "REASON_REQUIRED")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"decision": "maybe"}, "decision"),
        ({"step": 0}, "step"),
        ({"seen_hash": ""}, "seen_hash"),
        ({"comment": "x" * 4001}, "comment"),
        ({"message_id": "1"}, "message_id"),
        ({"extra": 1}, "extra"),
    ],
)
async def test_a_wrong_field_of_a_decision_is_named(
    http: httpx.AsyncClient, tenant: Tenant, body: dict[str, object], field: str
) -> None:
    answer = await http.post(
        "/api/v1/approvals/usmf/API-X/1/decision", json=decision() | body, headers=tenant.bearer("mona")
    )
    assert problem(answer, 400, "BAD_ARGUMENT")["field"] == field


async def test_a_request_that_does_not_exist_is_not_found(http: httpx.AsyncClient, tenant: Tenant) -> None:
    for address in ("/api/v1/approvals/usmf/NONE/1/decision", "/api/v1/approvals/usmf/NONE/x/decision"):
        answer = await http.post(address, json=decision(), headers=tenant.bearer("mona"))
        problem(answer, 404, "NOT_FOUND")
    problem(await http.get("/api/v1/cases/usmf/NONE", headers=tenant.bearer("mona")), 404, "NOT_FOUND")


async def test_the_list_filters_and_pages(http: httpx.AsyncClient, tenant: Tenant, stage: Stage) -> None:
    for number in range(3):
        await stage.deal(scenes.deal(f"LIST-{number}"))
    await stage.deal(scenes.held("LIST-HELD"))

    async def quotes(query: str, name: str = "otto") -> list[str]:
        answer = await http.get(f"/api/v1/cases?{query}", headers=tenant.bearer(name))
        assert answer.status_code == 200, answer.text
        return [item["quote"] for item in answer.json()["items"]]

    assert sorted(await quotes("quote=LIST-&stage=quote")) == ["LIST-0", "LIST-1", "LIST-2"]
    assert await quotes("quote=LIST-&waiting_for=credit") == ["LIST-HELD"]
    assert await quotes("quote=LIST-&customer=US-002&status=running") == ["LIST-HELD"]
    assert await quotes("quote=LIST-&status=closed") == []
    assert await quotes("quote=LIST-", "greta") == []
    first = (await http.get("/api/v1/cases?quote=LIST-&limit=3", headers=tenant.bearer("otto"))).json()
    rest = await http.get(
        "/api/v1/cases",
        params={"quote": "LIST-", "limit": "3", "cursor": first["next_cursor"]},
        headers=tenant.bearer("otto"),
    )
    assert len(first["items"]) == 3 and len(rest.json()["items"]) == 1
    item = rest.json()["items"][0]
    assert item == {
        **item,
        "company": "usmf",
        "quote": "LIST-0",
        "customer": "US-001",
        "stage": "quote",
        "waiting_for": "approval",
        "amount": "21450.00",
        "currency": "USD",
        "status": "running",
        "workflow_id": "q2c/usmf/LIST-0",
        "closed_at": None,
    }


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("stage=nowhere", "stage"), ("cursor=YWJjYWJjYWJjYWJjYWJjYWJj", "cursor"), ("x=1", "x")],
)
async def test_a_wrong_filter_is_named(http: httpx.AsyncClient, tenant: Tenant, query: str, field: str) -> None:
    answer = await http.get(f"/api/v1/cases?{query}", headers=tenant.bearer("otto"))
    assert problem(answer, 400, "BAD_ARGUMENT")["field"] == field


async def test_a_deal_is_read_with_its_timeline_by_who_has_a_role_in_its_company(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    await stage.deal(scenes.deal("READ-1"), scenes.timeline())
    body = (await http.get("/api/v1/cases/usmf/READ-1", headers=tenant.bearer("rita"))).json()
    assert body["total"] == "21450.00" and body["stage"] == "quote"
    assert body["explanation"]["unblock"] == "Mona Meyer approves or rejects."
    assert [entry["event"] for entry in body["timeline"]][-1] == "approval_decide"
    for stranger in ("greta", "nemo"):
        answer = await http.get("/api/v1/cases/usmf/READ-1", headers=tenant.bearer(stranger))
        problem(answer, 403, "NO_AUTHORITY")


async def test_a_command_reaches_the_deal_signed_or_is_refused(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    handle = await stage.deal(scenes.held("CMD-1"))
    address = "/api/v1/cases/usmf/CMD-1/commands"
    release = {"reason": "paid by wire", "valid_until": "2026-12-01", "ceiling": "4500.00", "deviation_pct": "0"}
    done = await http.post(f"{address}/credit_release", json={"args": release}, headers=tenant.bearer("carl"))
    assert done.status_code == 200 and done.json()["accepted"]
    told = await handle.query("received")
    assert told == [
        'credit_release {"ceiling": "4500.00", "deviation_pct": "0", "reason": "paid by wire", '
        '"valid_until": "2026-12-01"}'
    ]
    not_hers = await http.post(f"{address}/credit_release", json={"args": release}, headers=tenant.bearer("mona"))
    problem(not_hers, 403, "NO_AUTHORITY")
    refused = await http.post(
        f"{address}/credit_reject", json={"args": {"reason": "not held"}}, headers=tenant.bearer("carl")
    )
    problem(refused, 409, "NOT_HELD")
    for args, field in (
        ({}, "reason"),
        (release | {"ceiling": "-1"}, "ceiling"),
        (release | {"ceiling": "NaN"}, "ceiling"),
        (release | {"valid_until": "soon"}, "valid_until"),
    ):
        answer = await http.post(f"{address}/credit_release", json={"args": args}, headers=tenant.bearer("carl"))
        assert problem(answer, 400, "BAD_ARGUMENT")["field"] == field
    problem(await http.post(f"{address}/dance", json={}, headers=tenant.bearer("carl")), 404, "NOT_FOUND")
    assert await handle.query("received") == [*told, 'credit_reject {"reason": "not held"}']


async def test_an_outcome_that_is_not_known_in_time_is_recorded(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.outcomes.PATIENCE_SECONDS", 0.3)
    await stage.deal(scenes.parked("CMD-2"))
    answer = await http.post(
        "/api/v1/cases/usmf/CMD-2/commands/retry", json={"args": {"reason": "unheard"}}, headers=tenant.bearer("otto")
    )
    assert answer.status_code == 202
    assert answer.json()["status"] == "recorded" and answer.json()["message_id"]


async def test_a_deal_that_has_ended_refuses_commands(http: httpx.AsyncClient, tenant: Tenant, stage: Stage) -> None:
    handle = await stage.deal(scenes.deal("CMD-3"))
    await handle.signal("end", "the test is over")
    await handle.result()
    answer = await http.post("/api/v1/cases/usmf/CMD-3/commands/retry", json={}, headers=tenant.bearer("otto"))
    problem(answer, 409, "ILLEGAL_TRANSITION")


async def test_temporal_down_is_503_and_says_that_nothing_was_recorded(
    config: WebConfig, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.calls.PATIENCE_SECONDS", 0.5)
    server = await dev_server()
    nobody = server.client
    await server.shutdown()
    transport = httpx.ASGITransport(app=create_app(config, nobody))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        answer = await http.post("/api/v1/approvals/usmf/Q/1/decision", json=decision(), headers=tenant.bearer("mona"))
        assert "not recorded" in problem(answer, 503, "TEMPORAL_UNAVAILABLE")["detail"]
        assert answer.headers["retry-after"]
        problem(await http.get("/api/v1/cases", headers=tenant.bearer("otto")), 503, "TEMPORAL_UNAVAILABLE")
        ready = await http.get("/health/ready")
        assert ready.status_code == 503 and "temporal" in ready.json()["problems"]
        assert (await http.get("/health/live")).status_code == 200


async def test_health(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health/live")).json() == {"status": "ok"}
    assert (await http.get("/health/ready")).json() == {"status": "ok"}


async def test_every_answer_carries_the_security_headers(http: httpx.AsyncClient) -> None:
    for path in ("/health/live", "/api/v1/cases", "/nowhere"):
        headers = (await http.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


OPERATIONS = {
    ("GET", "/approvals"),
    ("GET", "/approvals/{company}/{quote}/{n}"),
    ("POST", "/approvals/{company}/{quote}/{n}/decision"),
    ("POST", "/approvals/{company}/{quote}/{n}/reassign"),
    ("POST", "/approvals/{company}/{quote}/{n}/question"),
    ("POST", "/approvals/{company}/{quote}/{n}/answer"),
    ("GET", "/delegations/{company}"),
    ("POST", "/delegations/{company}"),
    ("POST", "/delegations/{company}/end"),
    ("GET", "/bulk"),
    ("POST", "/bulk"),
    ("GET", "/bulk/{company}/{run}"),
    ("GET", "/bulk/{company}/{run}/items"),
    ("POST", "/bulk/{company}/{run}/commands/run"),
    ("POST", "/bulk/{company}/{run}/commands/{do}"),
    ("GET", "/late"),
    ("POST", "/late/{company}/{n}/dismiss"),
    ("GET", "/credit/{company}"),
    ("POST", "/credit/{company}/rebuild"),
    ("GET", "/initial/{company}/{entity}"),
    ("POST", "/initial/{company}/{entity}/run"),
    ("GET", "/initial/{company}/{entity}/undo"),
    ("POST", "/initial/{company}/{entity}/undo"),
    ("GET", "/data/overview"),
    ("GET", "/history/{company}/{kind}"),
    ("POST", "/history/{company}/{kind}/run"),
    ("GET", "/sync/{company}/{entity}"),
    ("POST", "/sync/{company}/{entity}/run"),
    ("POST", "/sync/{company}/{entity}/settle"),
    ("GET", "/collections"),
    ("GET", "/collections/{company}/{account}"),
    ("GET", "/collections/{company}/{account}/letters/{n}"),
    ("GET", "/collections/{company}/{account}/letters/{n}/pdf"),
    ("POST", "/collections/{company}/{account}/commands/{name}"),
    ("GET", "/cases"),
    ("GET", "/cases/{company}/{quote}"),
    ("POST", "/cases/{company}/{quote}/commands/{name}"),
    ("GET", "/order-lines/{company}/{quote}"),
    ("POST", "/explain"),
    ("POST", "/people/{oid}/sign-out"),
    ("GET", "/maps"),
    ("GET", "/maps/{entity}"),
    ("POST", "/maps"),
    ("POST", "/maps/{entity}/rollback"),
    ("GET", "/maps/{entity}/proposals/{n}"),
    ("POST", "/maps/{entity}/proposals/{n}/{do}"),
    ("GET", "/parallel/{company}"),
    ("POST", "/parallel/{company}/exit"),
}
"""All that the API can be asked."""


async def test_the_document_describes_the_api_as_it_is(http: httpx.AsyncClient) -> None:
    document = (await http.get("/api/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert [server["url"] for server in document["servers"]] == ["http://localhost:8000/api/v1"]
    operations = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == OPERATIONS
    for operation in operations.values():
        assert operation["security"] and operation["summary"]
        assert "422" not in operation["responses"]
        for status, answer in operation["responses"].items():
            problem_document = list(answer["content"]) == ["application/problem+json"]
            assert problem_document is (int(status) >= 400), f"{operation['operationId']} {status}"
    schemas = document["components"]["schemas"]
    references = set(_references(document))
    assert references and {ref.removeprefix("#/components/schemas/") for ref in references} <= set(schemas)
    amount = schemas["ApprovalItem"]["properties"]["net"]
    assert amount["type"] == "string"


async def test_a_method_that_an_address_does_not_take_is_told_which_it_takes(
    http: httpx.AsyncClient, tenant: Tenant
) -> None:
    for method, path, allowed in (
        ("DELETE", "/api/v1/cases", "GET"),
        ("GET", "/api/v1/approvals/usmf/Q/1/decision", "POST"),
        ("PUT", "/intake/finance", "POST"),
    ):
        answer = await http.request(method, path, headers=tenant.bearer("otto"))
        problem(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == allowed
    page = await http.delete("/cases")
    assert page.status_code == 405 and {"GET", "HEAD"} == set(page.headers["allow"].split(", "))


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for value in node.values() for ref in _references(value)]
    if isinstance(node, list):
        return [ref for value in node for ref in _references(value)]
    return []
