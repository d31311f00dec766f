"""Reports by Azure Event Grid: the two handshakes, the token, both schemas, and that nobody else gets in."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from runs import names
from sandbox.entra.directory import WEB_CLIENT_ID
from sandbox.entra.tokens import TokenAuthority
from tests.webworld.reports import QUOTE_ID, choice, context
from tests.webworld.world import Tenant, dev_server
from web.app import create_app
from web.config import WebConfig
from web.intake.event_grid import ROLE

EVENT_GRID = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
"""Microsoft's own application in every tenant of the public cloud."""
ADDRESS = "/intake/event-grid"


@pytest.fixture
async def grid(config: WebConfig, temporal: Client) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(config.model_copy(update={"event_grid_clients": (EVENT_GRID,)}), temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost:8000") as client:
        yield client


def token(tenant: Tenant, *, by: TokenAuthority | None = None, app_id: str = EVENT_GRID, **claims: object) -> str:
    issued = (by or tenant.authority).issue(
        WEB_CLIENT_ID, app_id=app_id, object_id="grid", version="2.0", claims={"roles": [ROLE], **claims}
    )
    return f"Bearer {issued}"


def cloud_event(data: Any, **more: Any) -> dict[str, Any]:
    about = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/finance", "type": "SalesInvoicePosted"}
    return {**about, "time": "2026-11-26T12:00:00Z", "data": data, **more}


def grid_event(data: Any, kind: str = "SalesInvoicePosted") -> dict[str, Any]:
    about = {"id": str(uuid.uuid4()), "topic": "/t", "subject": "s", "eventTime": "2026-11-26T12:00:00Z"}
    return {**about, "eventType": kind, "dataVersion": "1.0", "metadataVersion": "1", "data": data}


def submission(quote: str) -> dict[str, Any]:
    return context(target={"q2c_approvalstatus": choice(100000001)}, quote=quote)


def invoice(order: str) -> dict[str, Any]:
    return {
        "BusinessEventId": "SalesInvoicePostedBusinessEvent",
        "ControlNumber": 5637144577,
        "EventId": str(uuid.uuid4()),
        "EventTime": "/Date(1795442400000)/",
        "LegalEntity": "USMF",
        "SalesOrderId": order,
        "InvoiceAccount": "US-001",
        "InvoiceId": "INV-G1",
        "InvoiceAmountInAccountingCurrency": 627.10,
    }


async def test_this_address_agrees_to_event_grid_and_to_nobody_else(grid: httpx.AsyncClient) -> None:
    asked = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
    answer = await grid.options(ADDRESS, headers=asked)
    assert (answer.status_code, answer.headers["webhook-allowed-origin"]) == (200, "eventgrid.azure.net")
    assert answer.headers["webhook-allowed-rate"] == "120"
    without = await grid.options(ADDRESS, headers={"WebHook-Request-Origin": "eventgrid.azure.net"})
    assert without.headers["webhook-allowed-rate"] == "*", "both headers are wanted, asked for or not"
    other = await grid.get(ADDRESS)
    assert (other.status_code, set(other.headers["allow"].split(", "))) == (405, {"OPTIONS", "POST"})
    stranger = await grid.options(ADDRESS, headers={"WebHook-Request-Origin": "evil.example"})
    assert "webhook-allowed-origin" not in stranger.headers


async def test_the_handshake_of_event_grids_schema_is_answered_to_who_may_deliver(
    grid: httpx.AsyncClient, tenant: Tenant
) -> None:
    kind = "Microsoft.EventGrid.SubscriptionValidationEvent"
    asked = [grid_event({"validationCode": "512d38b6", "validationUrl": "https://x"}, kind)]
    answer = await grid.post(ADDRESS, json=asked, headers={"Authorization": token(tenant)})
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})
    assert (await grid.post(ADDRESS, json=asked)).status_code == 401


@pytest.mark.parametrize("schema", ["cloud event", "batch of cloud events", "event grid"])
async def test_a_report_reaches_its_deal_in_either_schema(
    grid: httpx.AsyncClient, tenant: Tenant, temporal: Client, schema: str
) -> None:
    quote = f"GRID-{uuid.uuid4().hex[:6]}"
    wrapped: dict[str, Any] = {
        "cloud event": cloud_event(submission(quote)),
        "batch of cloud events": [cloud_event(submission(quote)), cloud_event(invoice("Q2C-NOBODY"))],
        "event grid": [grid_event(submission(quote))],
    }
    answer = await grid.post(ADDRESS, json=wrapped[schema], headers={"Authorization": token(tenant)})
    assert answer.status_code == 200 and answer.json()["events"][0] == {"status": "taken", "kind": "submitted"}
    deal = temporal.get_workflow_handle(names.deal_id("usmf", quote))
    assert await deal.query("received") == [f"dv/quote/{QUOTE_ID}/submitted/4711"]


async def test_nobody_else_delivers(grid: httpx.AsyncClient, tenant: Tenant) -> None:
    stranger = TokenAuthority(tenant.authority.issuer_base, tenant.authority.tenant_id)
    refused = {
        "nothing": None,
        "a person of this application": tenant.bearer("mona")["Authorization"],
        "another application": token(tenant, app_id=str(uuid.uuid4())),
        "no role": token(tenant, roles=[]),
        "roles of another type": token(tenant, roles=ROLE),
        "another's key": token(tenant, by=stranger),
        "azp of another type": token(tenant, azp=[EVENT_GRID]),
        "no JWT": "Bearer abc",
    }
    for why, header in refused.items():
        headers = {"Authorization": header} if header else {}
        answer = await grid.post(ADDRESS, json=cloud_event(submission("GRID-NO")), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED"), why


async def test_its_token_opens_nothing_else(grid: httpx.AsyncClient, tenant: Tenant) -> None:
    assert (await grid.get("/api/v1/cases", headers={"Authorization": token(tenant)})).status_code == 401


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b"null",
        b'{"data": null}',
        b'{"data": {}}',
        b'{"data": {"MessageName": 1}}',
        b'[{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": 7}}]',
        b'{"data": ' * 20_000,
        b"[" + b",".join([b"{}"] * 1_001) + b"]",
        b'{"data": {"BusinessEventId": "SalesInvoicePostedBusinessEvent", "ControlNumber": 1e99}}',
        b"[]",
    ],
)
async def test_what_cannot_be_understood_is_400_and_not_repeated(
    grid: httpx.AsyncClient, tenant: Tenant, content: bytes
) -> None:
    answer = await grid.post(ADDRESS, content=content, headers={"Authorization": token(tenant)})
    assert (answer.status_code, answer.json()["code"]) == (400, "MALFORMED"), answer.text


async def test_without_a_sender_in_the_settings_there_is_no_such_address(http: httpx.AsyncClient) -> None:
    assert (await http.post(ADDRESS, json={})).status_code == 404
    assert (await http.options(ADDRESS)).status_code == 404


async def test_with_temporal_down_event_grid_is_told_to_come_again(
    config: WebConfig, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.calls.PATIENCE_SECONDS", 0.5)
    server = await dev_server()
    nobody = server.client
    await server.shutdown()
    app = create_app(config.model_copy(update={"event_grid_clients": (EVENT_GRID,)}), nobody)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://localhost:8000") as grid:
        content = json.dumps(cloud_event(submission("GRID-LATER")))
        answer = await grid.post(ADDRESS, content=content, headers={"Authorization": token(tenant)})
        assert (answer.status_code, answer.json()["code"]) == (503, "TEMPORAL_UNAVAILABLE")
