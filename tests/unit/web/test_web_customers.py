"""A customer that Finance does not know, on the deal's page and in the API: both sides shown, each answer signed."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import httpx

from domain.customers import Candidate, MatchReason, Standing
from domain.views import Stage as DealStage
from domain.views import WaitingFor
from tests.webworld import scenes
from tests.webworld.browsing import Browser, form_of
from tests.webworld.world import Stage, Tenant
from tests.workflows.scripted_customers import unknown

TWIN = Candidate(
    account="US-9950",
    name="Contoso <Ltd>",
    score=97,
    reasons=(MatchReason(kind="same_name", text="same name but for case"),),
    standing=Standing(open_receivables=Decimal("1200.00"), currency="USD", open_orders=7, orders=("SO-1", "SO-2")),
)
TAKEN = TWIN.model_copy(update={"account": "US-8", "held_by": "Contoso of Sales"})


async def shown_in_inbox(client: httpx.AsyncClient, quote: str) -> bool:
    """Whether the inbox lists a deal whose customer is unknown, as soon as visibility knows it."""
    for _ in range(300):
        page = (await client.get("/")).text
        if "Unknown customers" in page and quote in page:
            return True
        await asyncio.sleep(0.1)
    return False


async def stopped(stage: Stage, quote: str, *candidates: Candidate, note: str = "") -> object:
    """A deal that waits for somebody to decide about its customer."""
    explained = scenes.explanation(WaitingFor.CUSTOMER_SETUP, "Not in Finance", "Decide", "ar_manager")
    return await stage.deal(
        scenes.deal(quote).model_copy(
            update={
                "stage": DealStage.QUOTE,
                "quote_status": "invalid",
                "approvals": (),
                "unknown_customer": unknown(*candidates),
                "customer_note": note,
                "explanation": explained,
            }
        )
    )


async def test_a_proposal_is_approved_with_only_what_was_entered_in_place_of_it(browser: Browser, stage: Stage) -> None:
    handle = await stopped(stage, "CUST-1", note="Finance does not take the customer: no group 10")
    amy = await browser("amy")
    page = (await amy.get("/cases/usmf/CUST-1")).text
    assert "Larkspur is not in Finance" in page and "no group 10" in page and "Q2C-KEY" in page
    action = "/cases/usmf/CUST-1/commands/create_customer"
    assert "/commands/choose_customer" not in page and "/commands/new_customer" not in page
    wrong = await amy.post(action, data=form_of(page, action) | {"city": "x" * 61})
    assert wrong.status_code == 400 and "city" in wrong.text
    done = await amy.post(action, data=form_of(page, action) | {"group": "20", "city": " "})
    assert done.status_code == 303
    assert await handle.query("received") == ['create_customer {"group": "20", "reason": ""}']  # type: ignore[attr-defined]

    seen = (await (await browser("mona")).get("/cases/usmf/CUST-1")).text
    assert "Larkspur" in seen and "/commands/create_customer" not in seen
    assert await shown_in_inbox(amy, "CUST-1")


async def test_both_sides_of_a_duplicate_are_shown_and_a_customer_that_is_taken_is_not_offered(
    browser: Browser, stage: Stage, http: httpx.AsyncClient, tenant: Tenant
) -> None:
    handle = await stopped(stage, "CUST-2", TWIN, TAKEN)
    amy = await browser("amy")
    page = (await amy.get("/cases/usmf/CUST-2")).text
    hanging = "1,200.00 USD open, 7 open orders (SO-1, SO-2, …)"
    for shown in ("Contoso &lt;Ltd&gt;", "97", "same name but for case", hanging):
        assert shown in page, shown
    assert "Contoso of Sales in Sales carries this number" in page and "It is US-9950" in page
    assert "It is US-8" not in page and "/commands/create_customer" not in page
    action = "/cases/usmf/CUST-2/commands/choose_customer"
    assert (await amy.post(action, data=form_of(page, action))).status_code == 303
    (said,) = await handle.query("received")  # type: ignore[attr-defined]
    name, _, args = said.partition(" ")
    assert name == "choose_customer" and json.loads(args)["account"] == "US-9950"

    read = (await http.get("/api/v1/cases/usmf/CUST-2", headers=tenant.bearer("amy"))).json()
    first = read["unknown_customer"]["candidates"][0]
    assert (first["score"], first["standing"]["open_receivables"]) == (97, "1200.00")
    address = "/api/v1/cases/usmf/CUST-2/commands"
    refused = await http.post(f"{address}/new_customer", json={"args": {}}, headers=tenant.bearer("amy"))
    assert (refused.status_code, refused.json()["field"]) == (400, "reason")
    not_his = await http.post(
        f"{address}/choose_customer", json={"args": {"account": "US-9950"}}, headers=tenant.bearer("otto")
    )
    assert (not_his.status_code, not_his.json()["code"]) == (403, "NO_AUTHORITY")


async def test_who_made_the_quote_is_not_offered_to_decide_about_its_customer(
    stage: Stage, http: httpx.AsyncClient, tenant: Tenant, browser: Browser
) -> None:
    await stopped(stage, "CUST-3", TWIN)
    carl = await browser("carl")
    assert "/commands/choose_customer" in (await carl.get("/cases/usmf/CUST-3")).text
    own = scenes.deal("CUST-4").model_copy(update={"owner": scenes.CARL, "unknown_customer": unknown(TWIN)})
    await stage.deal(own)
    assert "/commands/choose_customer" not in (await carl.get("/cases/usmf/CUST-4")).text
    answer = await http.post(
        "/api/v1/cases/usmf/CUST-4/commands/choose_customer",
        json={"args": {"account": "US-9950"}},
        headers=tenant.bearer("carl"),
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "MAKER_CANNOT_SET_UP")
