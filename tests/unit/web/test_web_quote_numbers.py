"""Every quote number that Dataverse allows is reached: in pages, API, lists, links, webhooks and Temporal."""

from __future__ import annotations

import html
import re
import uuid
from urllib.parse import quote as encoded
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.routing import Match, Route
from temporalio.client import Client

from domain.refusals import Refusal
from runs import names
from tests.webworld import scenes
from tests.webworld.browsing import Browser, form_of
from tests.webworld.reports import choice, context
from tests.webworld.standins import REVIEWED
from tests.webworld.world import WEBHOOK_KEY, Stage, Tenant
from web.addresses import Approval, Deal
from web.problems import Problem

REQUESTED: dict[str, object] = {"q2c_approvalstatus": choice(100000001)}

NUMBERS = [
    "AN/2026/15",
    "/slash/first",
    "slash/last/",
    "double//slash",
    "50% off? #1&x=1;y",
    "100%",
    "%2F%2e%2E",
    "..",
    ".",
    "../../admin",
    'O\'Brien "GmbH"',
    "back\\slash\\",
    "' OR 1=1 --",
    "''",
    "~tilde~~q",
    " space first and last ",
    "plus+sign",
    "見積書-2026-第15号",
    "عرض سعر ١٥",
    "Ångström/ß/İ",
    "🚀" * 50,
    "tab\there",
    "line\nbreak\n",
    "control\x01\x1c\x7f",
    "right\u202eto left",
    "commands/retry",
    "x/commands/retry",
    "1/decision",
    "Q" * 100,
    "'" * 100,
]


def ids(number: str) -> str:
    return ascii(number)[:30]


@pytest.mark.parametrize("number", NUMBERS, ids=ids)
async def test_a_deal_is_read_told_and_listed_by_programs(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage, number: str
) -> None:
    handle = await stage.deal(scenes.parked(number).model_copy(update={"company": "demf"}))
    otto = tenant.bearer("otto")
    deal = Deal("demf", number)

    body = (await http.get(f"/api/v1{deal.path()}", headers=otto)).json()
    assert body["quote_number"] == number, body
    command = {"args": {"reason": "fixed"}}
    done = await http.post(f"/api/v1{deal.path('commands', 'retry')}", json=command, headers=otto)
    assert done.status_code == 200, done.text
    assert await handle.query("received") == ['retry {"reason": "fixed"}']
    listed = await http.get("/api/v1/cases", params={"quote": number}, headers=otto)
    assert number in [item["quote"] for item in listed.json()["items"]], listed.text


@pytest.mark.parametrize("number", NUMBERS, ids=ids)
async def test_a_request_is_in_the_inbox_and_decided_by_programs(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage, number: str
) -> None:
    await stage.approval(scenes.request(number, n=3))
    mona = tenant.bearer("mona")
    items = (await http.get("/api/v1/approvals?limit=200", headers=mona)).json()["items"]
    (item,) = [item for item in items if item["quote"] == number and item["n"] == 3]
    body = {"decision": "approve", "step": 1, "seen_hash": item["seen_hash"], "message_id": str(uuid.uuid4())}
    path = Approval(Deal(item["company"], number), 3).path("decision")
    done = await http.post(f"/api/v1{path}", json=body, headers=mona)
    assert done.status_code == 200, done.text
    assert done.json()["accepted"]


@pytest.mark.parametrize("written", ["%2E%2E", "%2e%2e"])
async def test_a_client_that_sends_dots_as_they_are_is_understood(
    http: httpx.AsyncClient, tenant: Tenant, written: str
) -> None:
    address = httpx.URL("http://localhost:8000", raw_path=f"/api/v1/cases/usmf/{written}".encode())
    answer = await http.get(address, headers=tenant.bearer("otto"))
    assert (answer.status_code, answer.json()["detail"]) == (404, "Deal .. not found.")


@pytest.mark.parametrize("number", NUMBERS, ids=ids)
async def test_people_follow_links_from_inbox_and_list_and_act(browser: Browser, stage: Stage, number: str) -> None:
    REVIEWED[number] = ()
    handle = await stage.deal(scenes.held(number))
    await stage.approval(scenes.request(number))
    mona, carl = await browser("mona"), await browser("carl")

    inbox = (await mona.get("/")).text
    request_page = await follow(mona, inbox, Approval(Deal("usmf", number), 1).path())
    assert f"<title>Approval of {number} ·" in html.unescape(request_page)
    page = await follow(mona, request_page, Deal("usmf", number).path())
    assert f"<title>{number} ·" in html.unescape(page)
    action = Approval(Deal("usmf", number), 1).path("decision")
    form = form_of(request_page, action) | {"decision": "approve", "comment": ""}
    decided = await mona.post(as_a_browser_asks(action), data=form)
    assert decided.status_code == 303
    assert "Your decision is recorded." in (await mona.get(as_a_browser_asks(decided.headers["location"]))).text

    listed = (await carl.get("/cases", params={"quote": number})).text
    deal_page = await follow(carl, listed, Deal("usmf", number).path())
    action = Deal("usmf", number).path("commands", "credit_reject")
    told = await carl.post(as_a_browser_asks(action), data=form_of(deal_page, action) | {"reason": "no"})
    assert told.status_code == 303
    assert (await carl.get(as_a_browser_asks(told.headers["location"]))).status_code == 200
    assert await handle.query("received") == ['credit_reject {"reason": "no"}']
    run = encoded(names.deal_id("usmf", number), safe="")
    assert f"http://localhost:8233/namespaces/default/workflows/{run}" in deal_page


def as_a_browser_asks(address: str) -> str:
    """The address a browser sends: it takes ``.`` and ``..``, encoded or not, for a way within the path."""
    parts = urlsplit(address)
    path = re.sub(r"(?<=/)(?:\.|%2[eE]){1,2}(?=/|$)", lambda dots: unquote(dots[0]), parts.path)
    resolved = urljoin("http://localhost:8000/", path).removeprefix("http://localhost:8000")
    return f"{resolved}?{parts.query}" if parts.query else resolved


async def follow(client: httpx.AsyncClient, page: str, address: str) -> str:
    """Follow the link to an address that a page has."""
    links = [html.unescape(found) for found in re.findall(r'href="([^"]+)"', page)]
    assert any(link.partition("#")[0] == address for link in links), f"no link to {address}"
    answer = await client.get(as_a_browser_asks(address))
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize("number", NUMBERS, ids=ids)
async def test_a_webhook_starts_the_deal_and_an_order_is_found(
    http: httpx.AsyncClient, temporal: Client, number: str
) -> None:
    quote = f"{number[:88]}{uuid.uuid4().hex[:10]}"
    report = context(target=REQUESTED, quote=quote)
    answer = await http.post("/intake/dataverse", json=report, headers={"x-q2c-webhook-key": WEBHOOK_KEY})
    assert answer.json()["status"] == "taken", answer.text
    described = await temporal.get_workflow_handle(names.deal_id("usmf", quote)).describe()
    assert names.parse_deal_id(described.id) == ("usmf", quote)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100)
COMPANIES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=4)


@given(COMPANIES, TEXTS, st.integers(1, 999_999))
def test_an_address_leads_to_what_it_was_made_of(company: str, quote: str, n: int) -> None:
    deal = Deal(company, quote)
    assert Deal.asked(routed(deal.path(), "/cases/{company}/{quote:quote}")) == deal
    approval = Approval(deal, n)
    assert Approval.asked(routed(approval.path(), "/approvals/{company}/{quote:quote}/{n:nth}")) == approval


def routed(address: str, pattern: str) -> Request:
    """The request a browser makes of an address, as the router hands it on."""
    parts = urlsplit(as_a_browser_asks(address))
    scope = {
        "type": "http",
        "method": "GET",
        "path": unquote(parts.path),
        "query_string": parts.query.encode(),
        "headers": [],
    }
    match, child = Route(pattern, lambda request: None).matches(scope)
    assert match is Match.FULL, address
    return Request({**scope, **child})


@pytest.mark.parametrize(("company", "quote"), [("usmf", "Q" * 101), ("x" * 11, "Q-1"), ("", "Q-1")])
def test_what_no_deal_can_be_called_is_not_found(company: str, quote: str) -> None:
    with pytest.raises(Problem) as raised:
        Deal.of(company, quote)
    assert raised.value.code == Refusal.NOT_FOUND


@pytest.mark.parametrize(
    "path", [f"/cases/usmf/{'Q' * 101}", f"/cases/{'x' * 3000}/Q", f"/approvals/usmf/{'Q' * 5000}/1"]
)
async def test_an_address_longer_than_any_deals_is_a_page_not_found(browser: Browser, path: str) -> None:
    answer = await (await browser("otto")).get(path)
    assert answer.status_code == 404 and "Page not found" in answer.text
