"""Customers made at the desk exist in both systems; the desk says where the product listens."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from sandbox.runtime import SandboxConfig, running

CUSTOMER = {
    "company": "USMF",
    "account": "T-100",
    "name": "Fresh Customer",
    "credit_limit": "5000.00",
    "open_ar": "1200.50",
}


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running(SandboxConfig(state_dir=tmp_path_factory.mktemp("desk"))) as sandbox,
        httpx.AsyncClient(base_url=sandbox.info.desk, trust_env=False) as client,
    ):
        yield client


async def test_a_new_customer_is_in_both_systems(desk: httpx.AsyncClient) -> None:
    made = await desk.post("/customers", json=CUSTOMER)

    assert made.status_code == 200, made.text
    shown = (await desk.get("/customers/usmf/T-100")).json()
    assert (shown["credit_limit"], shown["open_receivables"]) == ("5000.00", "1200.50")
    lines = [{"item": "P100", "quantity": 1}]
    quote = {"company": "usmf", "customer": "T-100", "rep": "rita", "lines": lines}
    assert (await desk.post("/quotes", json=quote)).status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [({"account": "US-001"}, 409, "account"), ({"company": "xxmf"}, 404, "company"), ({"name": 7}, 400, "name")],
)
async def test_a_customer_that_cannot_be_made_is_refused_by_field(
    desk: httpx.AsyncClient, change: dict[str, object], status: int, field: str
) -> None:
    answer = await desk.post("/customers", json=CUSTOMER | change)

    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


async def test_the_desk_says_where_the_product_listens(desk: httpx.AsyncClient) -> None:
    wanted = {
        "dataverse_webhook": {"url": "http://127.0.0.1:9/intake/dataverse", "key": "k"},
        "finance_events": {"url": "http://127.0.0.1:9/intake/finance?code=c"},
    }
    await desk.put("/endpoints", json=wanted)

    assert (await desk.get("/endpoints")).json() == wanted
