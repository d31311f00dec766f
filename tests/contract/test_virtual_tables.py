"""Virtual tables: what Sales shows of Finance, whose it is, how old it is, and that nobody can write it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from cli import reading_checks
from cli.check import Check
from sandbox.runtime import Sandbox
from tests.contract.bulk_world import Bulk, product_of
from tests.contract.virtual_world import data_source, mount, types_of
from tests.deadlines import PATIENCE
from workers.serving import serve
from workers.settings import Settings, load_settings
from workers.virtual import application

NEWEST, PREVIOUS, GERMAN = "sandbox-usmf-newest", "sandbox-usmf-previous", "sandbox-demf-key"
HEADER = "x-q2c-virtual-key"
MAPPABLE = ("Edm.Guid", "Edm.String", "Edm.Decimal", "Edm.Int32", "Edm.Boolean", "Edm.DateTimeOffset")
"""Of what Dataverse can map (Microsoft Learn, "OData v4 Data Provider configuration")."""


@dataclass(frozen=True)
class World:
    """The service, a maker at Dataverse, and the sandbox behind both."""

    url: str
    http: httpx.AsyncClient
    maker: Bulk
    sandbox: Sandbox

    async def ask(self, path: str, secret: str = NEWEST, method: str = "GET") -> httpx.Response:
        return await self.http.request(method, f"{self.url}/{path}", headers={HEADER: secret})

    async def rows(self, path: str, secret: str = NEWEST) -> list[dict[str, Any]]:
        answer = await self.ask(path, secret)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["value"])

    async def slow(self, milliseconds: int) -> None:
        fault = {"system": "finance", "path": "", "effect": {"delay_ms": milliseconds}}
        async with httpx.AsyncClient(base_url=self.sandbox.info.desk, trust_env=False) as desk:
            assert (await desk.put("/faults", json=[fault | {"probability": 1.0}])).is_success


@pytest.fixture
def settings(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("Q2C_")]:
        monkeypatch.delenv(name)
    info = sandbox.info
    given = {"ENTRA_URL": info.entra, "ENTRA_TENANT": info.tenant, "DATAVERSE_URL": info.dataverse}
    given |= {"FINANCE_URL": info.finance, "CA_FILE": info.ca_file, "VIRTUAL_CLIENT_ID": info.reader_client_id}
    given |= {"VIRTUAL_CLIENT_SECRET": info.reader_client_secret, "VIRTUAL_REQUESTS_PER_SECOND": "1000"}
    given["VIRTUAL_SECRETS"] = json.dumps({"usmf": [NEWEST, PREVIOUS], "demf": GERMAN})
    given["VIRTUAL_FRESH_SECONDS"] = "1"
    for name, value in given.items():
        monkeypatch.setenv(f"Q2C_{name}", value)
    return load_settings()


@asynccontextmanager
async def served(app: Starlette, sandbox: Sandbox) -> AsyncIterator[World]:
    info = sandbox.info
    async with (
        serve(app, "127.0.0.1", 0, variables="Q2C_VIRTUAL") as port,
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
        product_of(info) as maker,
    ):
        user = sandbox.dataverse.rows("systemuser", applicationid=info.client_id)[0]["systemuserid"]
        sandbox.dataverse.assign_role(user, "System Administrator")
        yield World(f"http://127.0.0.1:{port}/virtual", http, maker, sandbox)


@pytest.fixture
async def world(sandbox: Sandbox, desk: httpx.AsyncClient, settings: Settings) -> AsyncIterator[World]:
    """A service that waits for a busy machine."""
    async with served(application(settings, patience=PATIENCE), sandbox) as found:
        yield found


async def test_dataverse_shows_what_finance_has(world: World) -> None:
    """A maker sets up every table from `$metadata`; reps see rows in lists, below an account, and alone."""
    types = types_of((await world.ask("$metadata")).text)
    assert {kind for columns in types.values() for kind in columns.values()} <= {*MAPPABLE}
    await mount(world.maker, await data_source(world.maker, world.url, NEWEST), types)

    invoices = await world.maker.all("dataverse", "q2c_openinvoices?$filter=q2c_account eq 'US-001'&$orderby=q2c_name")
    assert [(row["q2c_name"], row["q2c_openamount"]) for row in invoices[:2]] == [
        ("OPEN-US-001-1", Decimal("25000.00")),
        ("OPEN-US-001-2", Decimal("15000.00")),
    ]
    assert {row["q2c_freshness"] for row in invoices} == {"LIVE"}
    account = world.sandbox.dataverse.rows("account", accountnumber="US-001")[0]["accountid"]
    below = await world.maker.all("dataverse", f"accounts({account})/q2c_account_q2c_customerbalance")
    owed = [r["AmountMST"] for r in world.sandbox.finance.books.find("CustTransOpens", AccountNum="US-001")]
    assert [(row["q2c_balance"], row["_q2c_accountid_value"]) for row in below] == [(sum(owed), account)]
    alone = await world.maker.body("dataverse", f"q2c_openinvoices({invoices[0]['q2c_openinvoiceid']})")
    assert alone["q2c_currency"] == "USD" and alone["q2c_daysoverdue"] == 0
    page = await world.maker.body("dataverse", "q2c_stocklevels?$count=true", Prefer="odata.maxpagesize=2")
    everything = await world.maker.all("dataverse", "q2c_stocklevels", Prefer="odata.maxpagesize=2")
    stored = [r for r in world.sandbox.finance.books.find("WarehousesOnHandV2") if r["dataAreaId"] == "usmf"]
    assert page["@odata.count"] == len(everything) == len(stored) > 2
    assert len({row["q2c_stocklevelid"] for row in everything}) == len(stored)
    terms = await world.maker.all("dataverse", "q2c_customerterms?$filter=startswith(q2c_account,'us-0')")
    assert ("US-001", "Net 30", 30) in [(row["q2c_account"], row["q2c_name"], row["q2c_days"]) for row in terms]
    credit = await world.maker.all("dataverse", "q2c_customercredits?$filter=q2c_account eq 'US-001'&$select=q2c_limit")
    assert credit[0]["q2c_limit"] == Decimal("100000")


async def test_nothing_can_be_written_and_nobody_tracks_it(world: World) -> None:
    types = {name: of for name, of in types_of((await world.ask("$metadata")).text).items() if name.endswith("credit")}
    await mount(world.maker, await data_source(world.maker, world.url, NEWEST), types)
    rows = await world.maker.all("dataverse", "q2c_customercredits?$filter=q2c_account eq 'US-001'")
    address = f"q2c_customercredits({rows[0]['q2c_customercreditid']})"
    for method, path in (("POST", "q2c_customercredits"), ("PATCH", address), ("DELETE", address)):
        answer = await world.maker.ask("dataverse", path, method, json={"q2c_limit": 1_000_000})
        assert answer.status_code == 500 and "405" in answer.json()["error"]["message"], answer.text
    for method in ("POST", "PATCH", "PUT", "DELETE"):
        for path in ("", "$metadata", "q2c_customercredits", address):
            answer = await world.ask(path, method=method)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
            assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"
    refused = await world.maker.ask("dataverse", "q2c_customercredits", headers={"Prefer": "odata.track-changes"})
    assert "Change Tracking is not enabled" in refused.text
    definition = await world.maker.body("dataverse", "EntityDefinitions(LogicalName='q2c_customercredit')")
    assert (definition["TableType"], definition["IsAuditEnabled"]["Value"]) == ("Virtual", False)
    assert definition["OwnershipType"] == "OrganizationOwned"


async def test_a_companys_key_shows_its_own_rows_and_no_others(world: World) -> None:
    american = await world.rows("q2c_customercredits")
    german = await world.rows("q2c_customercredits", GERMAN)
    assert {row["q2c_account"][:2] for row in american} == {"US"}
    assert {row["q2c_account"][:2] for row in german} == {"DE"}
    assert await world.rows("q2c_customercredits", PREVIOUS)
    theirs = american[0]
    for query in (
        f"q2c_account eq '{theirs['q2c_account']}'",
        f"q2c_account eq '{theirs['q2c_account']}' or dataAreaId eq 'usmf'",
        f"q2c_customercreditid eq {theirs['q2c_customercreditid']}",
        f"q2c_accountid eq {world.sandbox.dataverse.rows('account', accountnumber='US-001')[0]['accountid']}",
        "q2c_account eq 'US*'",
        "q2c_account eq 'x'' or dataAreaId eq ''usmf'",
    ):
        answer = await world.http.get(
            f"{world.url}/q2c_customercredits", params={"$filter": query}, headers={HEADER: GERMAN}
        )
        assert answer.status_code == 400 or answer.json()["value"] == [], query
    hidden = await world.ask(f"q2c_customercredits({theirs['q2c_customercreditid']})", GERMAN)
    assert (hidden.status_code, hidden.json()["error"]["code"]) == (404, "NOT_FOUND")
    for wrong in ("", NEWEST[:-1], NEWEST.upper(), f"{NEWEST},{GERMAN}"):
        answer = await world.http.get(world.url, headers={HEADER: wrong} if wrong else {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "VIRTUAL_KEY_REFUSED")


async def test_a_slow_finance_is_answered_for_with_what_is_known(
    sandbox: Sandbox, desk: httpx.AsyncClient, settings: Settings
) -> None:
    """Finance takes eight seconds, an answer waits a second and a half."""
    of_one = "q2c_customerbalances?$filter=q2c_account eq 'US-001'"
    async with served(application(settings), sandbox) as world:
        while (first := await world.ask(of_one)).status_code == 503:  # a busy machine
            assert first.json()["error"]["code"] == "FINANCE_UNAVAILABLE"
        (before,) = first.json()["value"]
        await asyncio.sleep(1.1)
        await world.slow(8_000)
        assert await world.rows(of_one) == [before | {"q2c_freshness": "STALE"}]
        unknown = await world.ask("q2c_customerbalances?$filter=q2c_account eq 'US-002'")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (503, "FINANCE_UNAVAILABLE")
    assert int(unknown.headers["retry-after"]) >= 1


async def test_the_doctor_sees_that_each_company_has_a_key_that_opens_and_who_runs_with_another(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def found(of: Settings) -> Check:
        (check,) = [check async for check in reading_checks.run(of)]
        return check

    away = [check async for check in reading_checks.run(settings)]
    assert [(check.name, check.status) for check in away] == [("virtual tables", "not checked")]
    monkeypatch.setenv("Q2C_VIRTUAL_PORT", str(urlsplit(world.url).port))
    well = await found(load_settings())
    assert (well.status, "demf, usmf" in well.text) == ("ok", True), well
    monkeypatch.setenv("Q2C_VIRTUAL_SECRETS", json.dumps({"usmf": NEWEST, "demf": "another key of thirty-two signs!"}))
    other = await found(load_settings())
    assert (other.status, "key of demf" in other.text, NEWEST in str(other)) == ("failed", True, False), other
    monkeypatch.delenv("Q2C_VIRTUAL_SECRETS")
    assert [check async for check in reading_checks.run(load_settings())] == []
