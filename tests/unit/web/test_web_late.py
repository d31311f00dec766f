"""What stands open after the end of deals, in API and page: who reads it, finds it, and dismisses it with a reason."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import timedelta

import httpx

from domain.views import Ending
from tests.unit.web.test_web_api import problem
from tests.webworld import scenes
from tests.webworld.browsing import Browser, form_of
from tests.webworld.late import AT, entry, put, typed
from tests.webworld.world import Stage, Tenant


def said(reason: str) -> dict[str, str]:
    return {"message_id": str(uuid.uuid4()), "reason": reason}


async def test_the_api_lists_filters_and_dismisses(http: httpx.AsyncClient, tenant: Tenant, stage: Stage) -> None:
    settled = entry(3, "LATE-3", status="settled", closed_at=AT)
    await put(stage.client, entry(1, "LATE-1"), entry(2, "LATE-2", matter="opportunity", role="sales_manager"), settled)

    async def listed(who: str = "mona", **query: str) -> list[int]:
        answer = await http.get("/api/v1/late", params=query, headers=tenant.bearer(who))
        assert answer.status_code == 200, answer.text
        return [item["n"] for item in answer.json()["items"]]

    assert await listed() == [2, 1] or await listed() == [1, 2]
    assert sorted(await listed(status="any")) == [1, 2, 3]
    assert await listed(status="settled") == [3]
    assert await listed(matter="opportunity") == [2]
    assert await listed(role="ar_manager", company="USMF") == [1]
    assert await listed(q="inv-1") == [1] and await listed(q="late-2") == [2] and await listed(q="nothing") == []
    assert len(await listed(limit="1")) == 1
    assert sorted(await listed("rita")) == [1, 2], "whoever may read deals"
    body = (await http.get("/api/v1/late", params={"q": "LATE-1"}, headers=tenant.bearer("mona"))).json()
    assert body["items"][0]["open_amount"] == "1100.00", "money is text"
    assert body["tally"]["usmf"]["open"] == 2
    for query, status, code in (
        ({"status": "closed"}, 400, "BAD_ARGUMENT"),
        ({"limit": "0"}, 400, "BAD_ARGUMENT"),
        ({"company": "demf"}, 403, "NO_AUTHORITY"),
        ({"company": "x" * 11}, 400, "BAD_ARGUMENT"),
    ):
        problem(await http.get("/api/v1/late", params=query, headers=tenant.bearer("mona")), status, code)

    address = "/api/v1/late/usmf/1/dismiss"
    problem(await http.post(address, json=said("no"), headers=tenant.bearer("rita")), 403, "NO_AUTHORITY")
    problem(await http.post(address, json=said("  "), headers=tenant.bearer("mona")), 400, "BAD_ARGUMENT")
    problem(await http.post(address, json={}, headers=tenant.bearer("mona")), 400, "BAD_ARGUMENT")
    problem(
        await http.post("/api/v1/late/usmf/77/dismiss", json=said("no"), headers=tenant.bearer("mona")),
        404,
        "NOT_FOUND",
    )
    problem(
        await http.post("/api/v1/late/demf/1/dismiss", json=said("no"), headers=tenant.bearer("mona")),
        403,
        "NO_AUTHORITY",
    )
    taken = said("written off")
    assert (await http.post(address, json=taken, headers=tenant.bearer("mona"))).json()["accepted"] is True
    assert (await http.post(address, json=taken, headers=tenant.bearer("mona"))).status_code == 200, "counted once"
    again = await http.post(address, json=said("twice"), headers=tenant.bearer("mona"))
    assert "dismissed already" in problem(again, 409, "NOT_OPEN_ANY_MORE")["detail"]
    (kept,) = (await http.get("/api/v1/late", params={"status": "dismissed"}, headers=tenant.bearer("mona"))).json()[
        "items"
    ]
    assert (kept["reason"], kept["closed_by"]["name"]) == ("written off", "Mona Meyer")


async def test_what_no_deal_takes_is_in_the_operators_inbox_and_is_settled_on_the_list(
    browser: Browser, http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    old, low = AT - timedelta(days=3), {"codes": ("QUOTE_CHANGED_AFTER_END",), "documents": (), "matter": "quote"}
    await put(
        stage.client,
        entry(1, "LATE-S1", **low),
        typed(2),
        entry(3, "LATE-S3", opened_at=old),
    )

    async def listed(**query: str) -> list[int]:
        answer = await http.get("/api/v1/late", params=query, headers=tenant.bearer("otto"))
        assert answer.status_code == 200, answer.text
        return [item["n"] for item in answer.json()["items"]]

    assert await listed() == [2, 3, 1], "the worst first"
    assert (await listed(sort="oldest"))[0] == 3 and await listed(severity="critical") == [2]
    assert await listed(severity="low") == [1] and await listed(q="000777") == [2]
    problem(await http.get("/api/v1/late?severity=huge", headers=tenant.bearer("otto")), 400, "BAD_ARGUMENT")

    otto, rita = await browser("otto"), await browser("rita")
    inbox = (await otto.get("/")).text
    for text in ("Taken by no deal", "names quote Q-9", "Cancel it in Finance, or agree with the rep", "Critical"):
        assert text in inbox
    assert "Taken by no deal" not in (await rita.get("/")).text
    action = "/late/usmf/2/dismiss"
    page = (await otto.get("/late?matter=unclaimed")).text
    assert "Cancel one of the two orders before both are delivered" in page and "/cases/usmf/2" not in page
    assert "LATE-S1" not in (await otto.get("/late?severity=critical&sort=newest")).text
    done = await otto.post(action, data=form_of(page, action) | {"reason": "cancelled in Finance"})
    assert done.status_code == 303 and await listed(matter="unclaimed") == []
    assert "Taken by no deal" not in (await otto.get("/")).text
    assert "000777" in (await otto.get("/late.csv?status=dismissed")).text


async def test_the_page_shows_what_stands_open_and_takes_a_reason(browser: Browser, stage: Stage) -> None:
    await put(stage.client, entry(1, "LATE-P1"))
    view = scenes.shipping("LATE-P1").model_copy(update={"ending": Ending.CLOSED})
    deal = await stage.deal(view)
    await deal.signal("end", "the deal is over")
    mona, rita = await browser("mona"), await browser("rita")

    assert "/late?company=usmf&amp;q=LATE-P1" in (await rita.get("/cases/usmf/LATE-P1")).text
    action = "/late/usmf/1/dismiss"
    seen = (await rita.get("/late")).text
    assert "LATE-P1" in seen and "Contoso &lt;Retail&gt;" in seen and action not in seen
    page = (await mona.get("/late")).text
    assert "Collect the money, or dismiss it with the reason." in page
    refused = await mona.post(action, data=form_of(page, action) | {"reason": " "})
    assert refused.status_code == 400 and "Not recorded" in refused.text
    answer = await mona.post(action, data=form_of(page, action) | {"reason": "agreed <with> the customer"})
    assert answer.status_code == 303

    after = (await mona.get(answer.headers["location"])).text
    assert "It is dismissed, with your reason." in after and "Nothing is open" in after
    assert "agreed &lt;with&gt; the customer" in (await mona.get("/late?status=dismissed")).text
    assert "Nothing matches" in (await mona.get("/late?q=none")).text
    assert "What stands open" not in (await rita.get("/cases/usmf/LATE-P1")).text
    assert (await mona.get("/late?status=closed")).status_code == 400


async def test_the_list_is_a_file_as_well(browser: Browser, stage: Stage) -> None:
    closed = {"status": "dismissed", "closed_at": AT, "closed_by": scenes.MONA, "reason": "=written off"}
    await put(stage.client, entry(1, "LATE-F1"), entry(2, "LATE-F2", **closed))
    mona = await browser("mona")
    assert "/late.csv?status=any&amp;q=LATE-F" in (await mona.get("/late?status=any&q=LATE-F")).text
    answer = await mona.get("/late.csv?status=any&q=LATE-F&view=all")
    read = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [(row["Quote"], row["Status"], row["Reason"]) for row in read] == [
        ("LATE-F1", "open", ""),
        ("LATE-F2", "dismissed", "'=written off"),
    ]
    assert (await (await browser("nemo")).get("/late.csv")).status_code == 403
