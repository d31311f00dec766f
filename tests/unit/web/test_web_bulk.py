"""Several at once: only what is small and alike goes together, each is signed by itself, and each result is shown."""

from __future__ import annotations

import asyncio
import html
import json
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from domain.approvals import ApprovalRequest, StepPlan
from tests.deadlines import PATIENCE
from tests.webworld import scenes
from tests.webworld.browsing import Browser, form_of
from tests.webworld.standins import REVIEWED
from tests.webworld.world import Stage, Tenant
from web.addresses import Approval, Deal
from web.bulk import Picked, message_id
from web.problems import Problem


def small(quote: str, **changes: object) -> ApprovalRequest:
    REVIEWED[quote] = ()
    return scenes.request(quote).model_copy(update=changes)


def strict(quote: str) -> ApprovalRequest:
    request = small(quote)
    first = StepPlan.model_validate(request.plan.steps[0].model_dump() | {"comment_required": True})
    return request.model_copy(
        update={"plan": request.plan.model_copy(update={"steps": (first, *request.plan.steps[1:])})}
    )


def pick(quote: str, step: int = 1) -> str:
    return Picked(Approval(Deal("usmf", quote), 1), step).text


@pytest.mark.parametrize("quote", ["Q-1", "AN/2026/15", "50% off?", "a b"])
def test_a_pick_is_read_back(quote: str) -> None:
    assert Picked.parse(pick(quote)) == Picked(Approval(Deal("usmf", quote), 1), 1)


@pytest.mark.parametrize("text", ["", "usmf", "usmf/x/1/Q-1", "usmf/1/0/Q-1", "usmf/1/1/", "usmf/1/²/Q-1"])
def test_what_is_no_pick_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        Picked.parse(text)


def test_a_form_sent_twice_says_the_same_thing_once() -> None:
    batch = "6c6b1c7e-7c57-4a55-9f1e-0a7f6a8f5b11"
    assert message_id(batch, "a") == message_id(batch, "a") != message_id(batch, "b")
    with pytest.raises(Problem):
        message_id("guess", "a")


async def test_what_is_alike_is_approved_together_and_the_rest_is_left_out_with_a_reason(
    browser: Browser, stage: Stage
) -> None:
    await stage.approval(small("BULK-1"))
    await stage.approval(small("BULK-2"))
    await stage.approval(strict("BULK-3"))
    await stage.approval(small("BULK-4", currency="EUR"))
    mona = await browser("mona")
    inbox = (await mona.get("/")).text
    assert f'value="{pick("BULK-1")}"' in inbox and f'value="{pick("BULK-3")}"' not in inbox
    picked = [pick(f"BULK-{n}") for n in range(1, 5)] + [pick("BULK-1", step=2)]
    preview = (await mona.get("/bulk/approve", params={"pick": picked})).text
    assert "Approve 2 together?" in preview and "39,000.00 USD" in preview
    assert re.search(r"BULK-3</a>: it needs a comment of its own", preview)
    assert re.search(r"BULK-4</a>: it asks for another role, for other reasons or in another currency", preview)
    assert "it is not waiting for you any more" in preview
    form = form_of(preview, "/bulk/approve")
    body = {
        "csrf": form["csrf"],
        "batch": form["batch"],
        "comment": "small lots",
        "pick": picked[:3],
        "seen_hash": [scenes.HASH] * 3,
    }
    done = await mona.post("/bulk/approve", data=body)
    assert "Approved together: 2 of 3" in done.text
    assert "Left out: it needs a comment of its own. Decide it on its own page." in done.text
    again = await mona.post("/bulk/approve", data=body)
    assert "Approved together: 2 of 3" in again.text, "sent twice, said once"
    page = (await mona.get("/approvals/usmf/BULK-2/1")).text
    assert "small lots" in page and "Dirk Dorn" in page
    assert "BULK-1" in (await mona.get("/decided")).text


async def test_content_that_changed_after_the_preview_is_not_approved(browser: Browser, stage: Stage) -> None:
    await stage.approval(small("BULK-5"))
    mona = await browser("mona")
    preview = (await mona.get("/bulk/approve", params={"pick": pick("BULK-5")})).text
    form = form_of(preview, "/bulk/approve") | {"seen_hash": "other"}
    done = (await mona.post("/bulk/approve", data=form)).text
    assert "Approved together: 0 of 1" in done and "changed" in done


async def until(client: httpx.AsyncClient, path: str, phase: str) -> dict[str, Any]:
    """The run as soon as it is in a phase."""
    async with asyncio.timeout(PATIENCE):
        while (found := (await client.get(path)).json())["phase"] != phase:
            await asyncio.sleep(0.1)
    return dict(found)


async def test_deals_parked_for_one_cause_are_retried_together(
    browser: Browser, stage: Stage, http: httpx.AsyncClient, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.bulk.SETTLES", timedelta(0))
    handles = [await stage.deal(scenes.parked(f"BULK-R{n}")) for n in range(2)]
    otto = await browser("otto")
    inbox = html.unescape((await otto.get("/")).text)
    assert "Refused by the system" in inbox and "Correct what the message names in Sales or Finance" in inbox
    new = "/bulk/new?error=Refused&company=usmf"
    assert f'href="{new}"' in inbox
    page = (await otto.get(new)).text
    assert "BULK-R0" in page and "BULK-R1" in page and "Dry run: Retry" in page
    begun = await otto.post("/bulk", data=form_of(page, "/bulk") | {"reason": "site restored"})
    assert begun.status_code == 303
    path, http.headers["Authorization"] = begun.headers["location"], f"Bearer {tenant.token('otto')}"
    view = await until(http, f"/api/v1{path}", "ready")
    assert view["counts"]["ready"] >= 2 and view["asked_by"]["name"] == "Otto Olsen"
    dry = (await otto.get(path)).text
    assert "Nothing is sent before you sign." in dry and "Create the order in Finance" in dry
    assert await handles[0].query("received") == [], "tried dry: nothing was sent"

    assert (await otto.post(f"{path}/commands/run", data=form_of(dry, f"{path}/commands/run"))).status_code == 303
    view = await until(http, f"/api/v1{path}", "done")
    assert view["counts"].get("parked_again", 0) >= 2, "the stand-ins stay as they are"
    for handle in handles:
        (heard,) = await handle.query("received")
        name, _, args = heard.partition(" ")
        assert (name, json.loads(args)["reason"]) == ("retry", "site restored")
    done = (await otto.get(f"{path}?status=parked_again")).text
    assert "BULK-R0" in done and "Sign and run" not in done
    items = (await http.get(f"/api/v1{path}/items?status=parked_again")).json()
    assert {"BULK-R0", "BULK-R1"} <= {item["quote"] for item in items["items"]}
    assert path in (await otto.get("/bulk")).text
    again = await otto.post(f"{path}/commands/run", data=form_of(dry, f"{path}/commands/run"))
    assert again.status_code == 409 and "Nothing of this run waits for a signature." in again.text


async def test_who_may_not_retry_sees_and_does_nothing(
    browser: Browser, stage: Stage, http: httpx.AsyncClient, tenant: Tenant
) -> None:
    handle = await stage.deal(scenes.parked("BULK-R9"))
    rita = await browser("rita")
    assert (await rita.get("/bulk/new?error=Refused")).status_code == 403
    headers = tenant.bearer("otto")
    body = {"company": "usmf", "error": "Refused", "command": "retry"}
    run = (await http.post("/api/v1/bulk", json=body, headers=headers)).json()["run"]
    path = f"/api/v1/bulk/usmf/{run}"
    for call in (
        http.post("/api/v1/bulk", json=body, headers=tenant.bearer("rita")),
        http.post(f"{path}/commands/run", headers=tenant.bearer("rita")),
        http.post(f"{path}/commands/cancel", headers=tenant.bearer("rita")),
        http.get(path, headers=tenant.bearer("greta")),
    ):
        refused = await call
        assert (refused.status_code, refused.json()["code"]) == (403, "NO_AUTHORITY"), refused.text
    ended = await http.post(f"{path}/commands/cancel", headers=headers)
    assert ended.status_code == 200, ended.text
    for wrong, status in (("skip-it", 404), ("pause", 409)):
        assert (await http.post(f"{path}/commands/{wrong}", headers=headers)).status_code == status
    assert (await http.get("/api/v1/bulk/usmf/nonsense", headers=headers)).status_code == 404
    nothing = await http.post("/api/v1/bulk", json=body | {"customer": "NOBODY"}, headers=headers)
    assert (nothing.status_code, nothing.json()["detail"]) == (400, "No running deal matches. Change the filters.")
    assert await handle.query("received") == []


async def test_the_inbox_is_sorted_by_money_within_a_currency_and_its_filters_are_in_the_address(
    browser: Browser, stage: Stage
) -> None:
    for quote, currency, net in (("SORT-1", "USD", "10"), ("SORT-2", "JPY", "90000"), ("SORT-3", "USD", "99999999")):
        await stage.approval(small(quote, currency=currency, net=Decimal(net)))
    mona = await browser("mona")
    page = (await mona.get("/?sort=amount&company=USMF&currency=usd")).text
    assert page.index("SORT-3") < page.index("SORT-1") and "SORT-2" not in page
    assert 'aria-current="true">Largest first' in page and "SORT-1" in (await mona.get("/?due=overdue")).text
    assert (await mona.get("/?sort=luck")).status_code == 400
    file = await mona.get("/inbox.csv?currency=JPY")
    assert file.headers["content-type"].startswith("text/csv")
    assert "SORT-2" in file.text and ",90000," in file.text and ",JPY," in file.text and "SORT-1" not in file.text
