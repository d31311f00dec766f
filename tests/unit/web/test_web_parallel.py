"""Both systems beside each other, in page and API: who sees it, what stands in the way, and the two who end it."""

from __future__ import annotations

import uuid

import httpx

from tests.unit.web.test_web_api import problem
from tests.webworld import parallel
from tests.webworld.browsing import Browser, form_of
from tests.webworld.world import Stage, Tenant

PAGE, EXIT = "/data/parallel", "/data/parallel/usmf/exit"


def said(reason: str = "the data agree") -> dict[str, str]:
    return {"message_id": str(uuid.uuid4()), "reason": reason}


async def test_what_was_counted_is_shown_and_two_persons_of_two_roles_end_it(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage, browser: Browser
) -> None:
    otto = await browser("otto")
    assert "No parallel run goes on" in (await otto.get(f"{PAGE}?company=jpmf")).text
    problem(await http.get("/api/v1/parallel/jpmf", headers=tenant.bearer("otto")), 404, "NOT_FOUND")
    await parallel.put(stage.client, "demf", unclean=True)
    await parallel.put(stage.client, "usmf")

    early = (await otto.get(f"{PAGE}?company=demf")).text
    for shown in ("It cannot end yet:", "Customer: 1 critical difference stands.", "0 of 7", "AR manager", "10,000"):
        assert shown in early, shown
    assert early.count('class="day-failed"') == 2 and f"{PAGE}/demf/exit" not in early, "a key and one day each"
    refused = await http.post("/api/v1/parallel/demf/exit", json=said(), headers=tenant.bearer("otto"))
    told = problem(refused, 409, "PARALLEL_NOT_READY")
    assert "critical difference" in told["detail"]
    for who, status in (("rita", 403), ("greta", 403), ("nemo", 403)):
        assert (await (await browser(who)).get(f"{PAGE}?company=usmf")).status_code == status, who

    page = (await otto.get(f"{PAGE}?company=USMF")).text
    assert "The criteria hold" in page and "2 settled" in page and "18 of 30 days clean, 18 in a row" in page
    ines = (await (await browser("ines")).get(f"{PAGE}?company=usmf")).text
    assert "The criteria hold" in ines and EXIT not in ines, "who may not end it is shown no form"
    problem(
        await http.post("/api/v1/parallel/usmf/exit", json=said(), headers=tenant.bearer("ines")), 403, "NO_AUTHORITY"
    )

    empty = await otto.post(EXIT, data={**form_of(page, EXIT), "reason": " "})
    assert empty.status_code == 400
    done = await otto.post(EXIT, data={**form_of(page, EXIT), "reason": "thirty days"})
    assert done.status_code == 303
    after = (await otto.get(done.headers["location"])).text
    assert "Your word is recorded." in after and "Otto Olsen" in after and "thirty days" in after
    problem(
        await http.post("/api/v1/parallel/usmf/exit", json=said(), headers=tenant.bearer("otto")),
        403,
        "PARALLEL_SECOND_ROLE",
    )
    word = said()
    second = await http.post("/api/v1/parallel/usmf/exit", json=word, headers=tenant.bearer("cleo"))
    assert second.status_code == 200, second.text
    again = await http.post("/api/v1/parallel/usmf/exit", json=word, headers=tenant.bearer("cleo"))
    assert again.status_code == 200, "said again under the same id, it is the same word"
    body = (await http.get("/api/v1/parallel/usmf", headers=tenant.bearer("ines"))).json()
    state = body["view"]["state"]
    assert (state["status"], [each["roles"] for each in state["exit"]]) == ("exited", [["ops"], ["cfo"]])
    assert "Ended by two persons" in (await otto.get(f"{PAGE}?company=usmf")).text
