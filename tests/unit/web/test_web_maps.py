"""Maps on the site and in the API: proposed by one, approved by two others, in force, and back again."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from temporalio.client import Client

from activities.decisions import SignedDecisionActivities
from activities.signatures import Proofs
from domain.entities.identity import hash_of
from domain.entities.map_change_said import ACTIVATE
from domain.entities.map_run import ActivateArgs, MapChangeStart
from domain.said import judged
from ledger import map_changes, map_versions
from ledger.database import Database, open_database
from ledger.reads import AuditReader
from runs import names
from tests.rights import POLICY
from tests.webworld import maps
from tests.webworld.browsing import Browser, form_of
from tests.webworld.maps import CUSTOMER
from tests.webworld.world import Tenant
from web.app import create_app
from web.config import WebConfig
from workers.keys import keys_of

LIST = "/data/maps"
MINE = f"{LIST}/customer"
ONE = f"{MINE}/1"
API = "/api/v1/maps"


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(f"sqlite:///{tmp_path}/ledger.db")
    await maps.fill(database)
    yield database
    await database.close()


@pytest.fixture
async def app(config: WebConfig, ledger: Database, tmp_path: Path, temporal: Client) -> AsyncIterator[Starlette]:
    """The application with a ledger that knows the maps."""
    url = SecretStr(f"sqlite:///{tmp_path}/ledger.db")
    made = create_app(config.model_copy(update={"ledger_url": url}), temporal)
    async with made.router.lifespan_context(made):
        yield made


async def proposed(http: httpx.AsyncClient, tenant: Tenant, **body: Any) -> httpx.Response:
    content = {"map": maps.without("phone", email="FINANCE").model_dump(mode="json"), "why": "no more phones"} | body
    return await http.post(API, json=content, headers=tenant.bearer("otto"))


async def said(client: httpx.AsyncClient, action: str, **more: str) -> httpx.Response:
    """Send the form of a proposal's page that says something."""
    page = (await client.get(ONE)).text
    forms = [part for part in page.split("<form")[1:] if f'value="{more["do"]}"' in part]
    fields = form_of(f"<form{forms[0]}", action) if forms else form_of(page, "/auth/sign-out")
    return await client.post(action, data={"message_id": str(uuid.uuid4()), **fields, **more})


async def test_two_others_approve_on_the_site_and_it_is_in_force_until_it_is_rolled_back(
    browser: Browser,
    http: httpx.AsyncClient,
    tenant: Tenant,
    ledger: Database,
    temporal: Client,
    config: WebConfig,
) -> None:
    answer = await proposed(http, tenant)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["entity"], answer.json()["number"]) == ("customer", 1)
    otto, cleo, ada = [await browser(name) for name in ("otto", "cleo", "ada")]
    assert "Customers" in (await otto.get(LIST)).text and "Maps" in (await otto.get("/data")).text
    page = (await cleo.get(ONE)).text
    assert "There is no plan yet" in page and "q2c map plan customer 1" in page and "Approve this plan" not in page
    await maps.plan(ledger, 1)

    page = (await cleo.get(ONE)).text
    for shown in ("fields.phone", "Less is moved", "Another side's value counts", "1,234", "Approvals: 0 of 2"):
        assert shown in page, shown
    assert "credit_manager" in page and "two others have to approve" in (await otto.get(ONE)).text
    own = await said(otto, f"{ONE}/say", do="approve", why="mine", seen=(await plan_hash(ledger)))
    assert own.status_code == 403 and "You asked for this approval" in own.text
    empty = await said(cleo, f"{ONE}/say", do="approve", why="")
    assert empty.status_code == 400 and "Approvals: 0 of 2" in empty.text
    done = await said(cleo, f"{ONE}/say", do="approve", why="agreed")
    assert done.headers["location"] == f"{ONE}?done=approve"
    assert "Put in force" not in (await ada.get(ONE)).text
    early = await said(ada, f"{ONE}/say", do="activate", why="now", seen=(await plan_hash(ledger)))
    assert early.status_code == 409 and "Two others have to approve" in early.text
    assert (await said(ada, f"{ONE}/say", do="approve", why="systems are ready")).status_code == 303
    assert "Approvals: 2 of 2" in (await ada.get(ONE)).text
    assert (await said(ada, f"{ONE}/say", do="activate", why="both agreed")).headers["location"].endswith("activate")
    run = temporal.get_workflow_handle(names.map_change_id("customer", 1))
    start = await run.query("start", result_type=MapChangeStart)
    word = start.word
    assert word.roles and word.companies == ("demf", "usmf") and start.syncing == ()
    verifier = SignedDecisionActivities(keys_of(config.decision_private_key_file.with_name("public.json")), POLICY)
    for company in word.companies:
        audiences = (names.map_audience(company),)
        proofs = Proofs(messages=(start.message,), audiences=audiences, company=company)
        (proved,) = (await verifier.verify_messages(proofs)).said
        verdict = judged(proved, ACTIVATE, ActivateArgs)
        assert verdict.args is not None and verdict.args.are_of(start), verdict
        assert proved.person.is_same(word.person) and proved.message_id == word.message_id
    assert await map_changes.begin(ledger, "customer", 1, word, maps.RULES, ("email",)) is None
    page = (await cleo.get(ONE)).text
    assert "Being tried" in page and "Put in force" not in page and "Refuse" in page
    assert await map_changes.activate(ledger, word, maps.RULES, "", word.at) is None
    await run.terminate("the test has done it")
    in_force = (await map_versions.in_force(ledger))["customer"]
    assert hash_of(in_force) == hash_of(maps.without("phone", email="FINANCE"))

    shown = (await ada.get(MINE)).text
    assert "Version 1" in shown and hash_of(CUSTOMER) in shown and "Proposal 1" in shown
    assert "rollback" not in (await cleo.get(MINE)).text
    form = form_of(shown, f"{MINE}/rollback") | {"why": "the wrong owner"}
    assert (await ada.post(f"{MINE}/rollback", data=form | {"why": " "})).status_code == 400
    assert (await ada.post(f"{MINE}/rollback", data=form)).headers["location"] == f"{MINE}?done=rollback"
    again = form | {"message_id": str(uuid.uuid4())}
    assert (await ada.post(f"{MINE}/rollback", data=again)).status_code == 409, "what was shown is in force no more"
    assert hash_of((await map_versions.in_force(ledger))["customer"]) == hash_of(CUSTOMER)
    for company in ("demf", "usmf"):
        rows = await AuditReader(ledger).newest(company, limit=9)
        assert [row.event for row in rows if row.kind == "decision"] == [
            "MapRolledBack", "MapActivated", "MapTried", "MapApproved", "MapApproved", "MapProposed"
        ]  # fmt: skip
        assert all(row.envelope_hash for row in rows if row.kind == "decision")


async def plan_hash(ledger: Database) -> str:
    (found,) = (await map_versions.history(ledger, "customer")).proposals
    assert found.plan is not None
    return found.plan.hash


async def test_a_stale_plan_is_refused_and_who_may_not_is_told_so(
    browser: Browser, http: httpx.AsyncClient, tenant: Tenant, ledger: Database
) -> None:
    assert (await proposed(http, tenant)).status_code == 200
    seen = await maps.plan(ledger, 1)
    await map_versions.keep_records(ledger, maps.records("run-2"))
    cleo = await browser("cleo")
    page = (await cleo.get(ONE)).text
    assert "Other records were kept since it was made" in page and "Approve this plan" not in page
    late = await said(cleo, f"{ONE}/say", do="approve", why="agreed", seen=seen)
    assert late.status_code == 409 and "Make the plan again" in late.text
    await maps.plan(ledger, 1)
    old = await said(cleo, f"{ONE}/say", do="approve", why="agreed", seen=seen)
    assert old.status_code == 409 and "changed after this page was shown" in old.text

    ines, rita = await browser("ines"), await browser("rita")
    page = (await ines.get(ONE)).text
    assert "Approve this plan" not in page, "an ar_manager of one company alone"
    forced = await said(ines, f"{ONE}/say", do="approve", why="agreed", seen=await plan_hash(ledger))
    assert forced.status_code == 403
    assert (await rita.get(LIST)).status_code == 403
    for address, status in ((f"{LIST}/nothing", 404), (f"{MINE}/7", 404), (f"{MINE}/x", 404)):
        assert (await cleo.get(address)).status_code == status, address
    assert (await said(cleo, f"{ONE}/say", do="dance", why="agreed")).status_code == 400
    refused = await said(cleo, f"{ONE}/say", do="refuse", why="phones are needed")
    assert refused.headers["location"].endswith("refuse") and "phones are needed" in (await cleo.get(ONE)).text


async def test_the_api_takes_a_whole_map_and_says_what_is_wrong_with_one(
    http: httpx.AsyncClient, tenant: Tenant, ledger: Database
) -> None:
    content = CUSTOMER.model_dump(mode="json")
    wrong = await proposed(http, tenant, map=content | {"pattern": "none"})
    assert wrong.status_code == 400 and wrong.json()["field"].startswith("map")
    wrong = await proposed(http, tenant, map=content | {"more": 1})
    assert wrong.status_code == 400 and wrong.json()["field"] == "map.more"
    same = await proposed(http, tenant, map=content)
    assert (same.status_code, same.json()["code"]) == (409, "MAP_SAME")
    message = {"message_id": str(uuid.uuid4())}
    for _ in range(2):
        assert (await proposed(http, tenant, **message)).json()["number"] == 1
    bearer = tenant.bearer("cleo")
    assert (await http.post(API, json={"map": content, "why": "w"}, headers=bearer)).status_code == 403

    listed = (await http.get(API, headers=bearer)).json()["items"]
    assert len(listed) == len(maps.FILES) and {each["open"] for each in listed} == {0, 1}
    read = (await http.get(f"{API}/customer", headers=bearer)).json()
    assert read["versions"][0]["hash"] == hash_of(CUSTOMER)
    await maps.plan(ledger, 1)
    one = (await http.get(f"{API}/customer/proposals/1", headers=bearer)).json()
    assert one["stale"] == "" and one["approved"] == 0
    body = {"seen": one["plan_hash"], "why": "agreed"}
    done = await http.post(f"{API}/customer/proposals/1/approve", json=body, headers=bearer)
    assert done.status_code == 200 and done.json()["accepted"]
    assert (await http.get(f"{API}/customer/proposals/1", headers=bearer)).json()["approved"] == 1
    early = await http.post(f"{API}/customer/rollback", json={"why": "w"}, headers=tenant.bearer("ada"))
    assert (early.status_code, early.json()["code"]) == (409, "NO_FORMER_MAP")
    other = await http.post(f"{API}/customer/proposals/1/withdraw", json={"why": "w"}, headers=tenant.bearer("ines"))
    assert other.status_code == 403
    mine = await http.post(f"{API}/customer/proposals/1/withdraw", json={"why": "w"}, headers=tenant.bearer("otto"))
    assert mine.status_code == 200
