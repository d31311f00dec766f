"""The people of an approval in API and pages: somebody else is asked, the rep is asked, somebody stands in."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from domain.approvals import ApprovalRequest, ApprovalStatus
from domain.messages import Supersede
from domain.views import ApprovalSummary, OpenQuestion
from runs import names
from tests.unit.web.test_web_api import decision, problem
from tests.webworld import scenes
from tests.webworld.browsing import Browser, form_of
from tests.webworld.standins import REVIEWED
from tests.webworld.world import Stage, Tenant

DINA, RITA = scenes.person("dina", "Dina Diaz"), scenes.RITA


def asked(quote: str) -> ApprovalRequest:
    """Mona's step, which the directors may decide as well."""
    request = scenes.request(quote)
    first, second = request.plan.steps
    roles = ("sales_manager", "sales_director")
    first = first.model_copy(update={"candidates": (scenes.MONA, scenes.DIRK, DINA), "accepted_roles": roles})
    return request.model_copy(update={"plan": request.plan.model_copy(update={"steps": (first, second)})})


def said(**args: object) -> dict[str, object]:
    return {"message_id": str(uuid.uuid4()), **args}


def today() -> datetime:
    return datetime.now(UTC)


async def read(http: httpx.AsyncClient, tenant: Tenant, quote: str, who: str = "mona") -> dict[str, Any]:
    answer = await http.get(f"/api/v1/approvals/usmf/{quote}/1", headers=tenant.bearer(who))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


# Somebody else is asked


async def test_a_higher_role_has_somebody_else_asked_and_the_request_says_by_whom(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    await stage.approval(asked("PPL-1"))
    address = "/api/v1/approvals/usmf/PPL-1/1/reassign"
    body = said(step=1, to=DINA.oid, reason="Mona is ill")
    first = await http.post(address, json=body, headers=tenant.bearer("dirk"))
    assert (first.status_code, first.json()["accepted"]) == (200, True)
    again = await http.post(address, json=body, headers=tenant.bearer("dirk"))
    assert again.json() == first.json()
    (step, _) = (await read(http, tenant, "PPL-1"))["steps"]
    assert [p["name"] for p in step["assignees"]] == ["Dina Diaz"]
    (moved,) = step["reassignments"]
    assert (moved["by"]["name"], moved["added"], moved["reason"]) == ("Dirk Dorn", False, "Mona is ill")
    page = decision()
    problem(
        await http.post("/api/v1/approvals/usmf/PPL-1/1/decision", json=page, headers=tenant.bearer("mona")),
        403,
        "NOT_ASSIGNED",
    )


async def test_who_may_not_reassign_and_who_cannot_be_asked(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    handle = await stage.approval(asked("PPL-2"))
    address = "/api/v1/approvals/usmf/PPL-2/1/reassign"
    cases: list[tuple[str, dict[str, object], int, str]] = [
        ("mona", {"to": DINA.oid}, 403, "NO_AUTHORITY"),
        ("rita", {"to": DINA.oid}, 403, "NO_AUTHORITY"),
        ("greta", {"to": DINA.oid}, 403, "NO_AUTHORITY"),
        ("dirk", {"to": RITA.oid}, 409, "TO_IS_REQUESTER"),
        ("dirk", {"to": scenes.CARL.oid}, 403, "NO_AUTHORITY"),
        ("dirk", {"to": DINA.oid, "step": 2}, 403, "NO_AUTHORITY"),
        ("otto", {"to": scenes.MONA.oid, "add": True}, 409, "ILLEGAL_TRANSITION"),
        ("otto", {"to": DINA.oid, "reason": " "}, 400, "BAD_ARGUMENT"),
    ]
    for who, args, status, code in cases:
        body = said(**{"step": 1, "reason": "r", **args})
        answer = await http.post(address, json=body, headers=tenant.bearer(who))
        assert problem(answer, status, code)["detail"], (who, args)
    assert await handle.query("times_told") == 0, "what is refused here costs the request nothing"
    problem(
        await http.post(
            "/api/v1/approvals/usmf/NONE/1/reassign",
            json=said(step=1, to=DINA.oid, reason="r"),
            headers=tenant.bearer("otto"),
        ),
        404,
        "NOT_FOUND",
    )


async def test_the_page_has_somebody_else_asked_without_javascript(browser: Browser, stage: Stage) -> None:
    REVIEWED["PPL-3"] = ()
    await stage.approval(asked("PPL-3"))
    mona, otto = await browser("mona"), await browser("otto")
    assert "asked of somebody else" not in (await mona.get("/approvals/usmf/PPL-3/1")).text
    action = "/approvals/usmf/PPL-3/1/reassign"
    page = (await otto.get("/approvals/usmf/PPL-3/1")).text
    form = form_of(page, action) | {"to": DINA.oid, "add": "true", "reason": "<faster>"}
    refused = await otto.post(action, data=form | {"reason": "", "add": "true"})
    assert refused.status_code == 400 and "reason" in refused.text
    answer = await otto.post(action, data=form)
    assert answer.status_code == 303
    after = (await otto.get(answer.headers["location"])).text
    assert "Mona Meyer, Dina Diaz" in after
    assert re.search(r"Dina Diaz asked as well by Otto Olsen on <time[^>]*>[^<]*</time>: &lt;faster&gt;", after)


# A question to the rep


async def test_an_approver_asks_and_the_rep_answers(http: httpx.AsyncClient, tenant: Tenant, stage: Stage) -> None:
    await stage.approval(asked("PPL-4"))
    base = "/api/v1/approvals/usmf/PPL-4/1"
    for who, code in (("dirk", "NOT_ASSIGNED"), ("rita", "NO_AUTHORITY")):
        answer = await http.post(f"{base}/question", json=said(step=1, question="?"), headers=tenant.bearer(who))
        problem(answer, 403, code)
    early = await http.post(f"{base}/answer", json=said(step=1, answer="!"), headers=tenant.bearer("rita"))
    problem(early, 409, "NO_QUESTION")
    body = said(step=1, question="Who else bids?")
    assert (await http.post(f"{base}/question", json=body, headers=tenant.bearer("mona"))).status_code == 200
    second = await http.post(f"{base}/question", json=said(step=1, question="?"), headers=tenant.bearer("mona"))
    problem(second, 409, "QUESTION_OPEN")
    (step, _) = (await read(http, tenant, "PPL-4", "rita"))["steps"]
    assert (step["deadline"], step["questions"][0]["text"]) == (None, "Who else bids?")
    inbox = (await http.get("/api/v1/approvals?limit=200", headers=tenant.bearer("mona"))).json()["items"]
    (item,) = [item for item in inbox if item["quote"] == "PPL-4"]
    assert (item["deadline"], item["questions"][0]["answer"], item["asked_for"]) == (None, "", None)
    wrong = await http.post(f"{base}/answer", json=said(step=1, answer="!"), headers=tenant.bearer("dirk"))
    problem(wrong, 403, "NOT_OWN_DEAL")
    done = await http.post(f"{base}/answer", json=said(step=1, answer="Two others"), headers=tenant.bearer("rita"))
    assert done.status_code == 200
    (step, _) = (await read(http, tenant, "PPL-4"))["steps"]
    assert (step["questions"][0]["answer"], step["questions"][0]["answered_by"]["name"]) == ("Two others", "Rita Reyes")
    assert step["deadline"]


async def test_the_pages_carry_a_question_to_the_rep_and_the_answer_back(browser: Browser, stage: Stage) -> None:
    REVIEWED["PPL-5"] = ()
    question = OpenQuestion(n=1, step=1, by=scenes.MONA, question="Who else <bids>?", at=scenes.T0)
    await stage.deal(scenes.deal("PPL-5", questions=(question,)))
    await stage.approval(asked("PPL-5"))
    mona, rita = await browser("mona"), await browser("rita")
    action = "/approvals/usmf/PPL-5/1/question"
    form = form_of((await mona.get("/approvals/usmf/PPL-5/1")).text, action) | {"question": "Who else <bids>?"}
    answer = await mona.post(action, data=form)
    after = (await mona.get(answer.headers["location"])).text
    assert "Who else &lt;bids&gt;?" in after and "Your time stands still until the rep answers" in after
    assert "when the rep has answered" in (await mona.get("/")).text
    deal = (await rita.get("/cases/usmf/PPL-5")).text
    assert "Mona Meyer asks" in deal and 'href="/approvals/usmf/PPL-5/1#answer-1"' in deal
    action = "/approvals/usmf/PPL-5/1/answer"
    page = (await rita.get("/approvals/usmf/PPL-5/1")).text
    assert "Mona Meyer asks you" in page
    answer = await rita.post(action, data=form_of(page, action) | {"answer": "Two others"})
    assert answer.status_code == 303
    assert "Two others" in (await mona.get("/approvals/usmf/PPL-5/1")).text


# Delegation


async def test_an_approver_delegates_sees_it_and_ends_it(http: httpx.AsyncClient, tenant: Tenant) -> None:
    address, day = "/api/v1/delegations/usmf", today().date()
    first, last = str(day), str(day + timedelta(days=7))
    body = said(to=DINA.oid, first=first, last=last, reason="holiday")
    done = await http.post(address, json=body, headers=tenant.bearer("dirk"))
    assert done.status_code == 200, done.text
    listed = (await http.get(address, headers=tenant.bearer("dirk"))).json()
    (entry,) = listed["items"]
    assert (entry["of"]["name"], entry["to"]["name"], entry["first"], entry["last"]) == (
        "Dirk Dorn",
        "Dina Diaz",
        first,
        last,
    )
    assert "Dina Diaz" in [p["name"] for p in listed["approvers"]]
    assert (await http.get(address, headers=tenant.bearer("mona"))).json()["items"] == [], "none of her business"
    assert len((await http.get(address, headers=tenant.bearer("ada"))).json()["items"]) == 1
    back = said(to=scenes.DIRK.oid, first=first, last=last)
    problem(await http.post(address, json=back, headers=tenant.bearer("dina")), 409, "LOOP")
    ended = await http.post(f"{address}/end", json=said(), headers=tenant.bearer("dirk"))
    assert ended.status_code == 200
    problem(await http.post(f"{address}/end", json=said(), headers=tenant.bearer("dirk")), 409, "NO_DELEGATION")
    assert (await http.post(address, json=back, headers=tenant.bearer("dina"))).status_code == 200
    assert (await http.post(f"{address}/end", headers=tenant.bearer("dina"))).status_code == 200


async def test_a_delegation_that_cannot_be_is_refused(http: httpx.AsyncClient, tenant: Tenant, stage: Stage) -> None:
    await stage.approval(asked("PPL-6"))
    address, day = "/api/v1/delegations/usmf", today().date()
    days = {"first": str(day), "last": str(day)}
    cases = [
        ("dirk", {"to": RITA.oid}, 409, "TO_IS_REQUESTER"),  # he may have to decide her quote
        ("dirk", {"to": scenes.CARL.oid + "x"}, 403, "NO_AUTHORITY"),
        ("dirk", {"to": scenes.DIRK.oid}, 400, "BAD_ARGUMENT"),
        ("dirk", {"to": DINA.oid, "last": str(day - timedelta(days=9))}, 400, "BAD_ARGUMENT"),
        ("dirk", {"to": DINA.oid, "first": "soon"}, 400, "BAD_ARGUMENT"),
        ("dirk", {"to": DINA.oid, "of": scenes.MONA.oid}, 403, "NO_AUTHORITY"),  # for others
        ("rita", {"to": DINA.oid}, 403, "NO_AUTHORITY"),
        ("ada", {"to": DINA.oid}, 403, "NO_AUTHORITY"),  # her own: she decides nothing
        ("ada", {"to": DINA.oid, "of": RITA.oid}, 403, "NOT_NAMED"),
    ]
    for who, args, status, code in cases:
        answer = await http.post(address, json=said(**{**days, **args}), headers=tenant.bearer(who))
        assert problem(answer, status, code)["detail"], (who, args)
    problem(await http.get(address, headers=tenant.bearer("rita")), 403, "NO_AUTHORITY")
    problem(await http.get("/api/v1/delegations/demf", headers=tenant.bearer("dirk")), 403, "NO_AUTHORITY")


async def test_the_page_delegates_without_javascript_and_an_administrator_for_others(browser: Browser) -> None:
    mona, ada = await browser("mona"), await browser("ada")
    page = (await mona.get("/delegations")).text
    last = str(today().date() + timedelta(days=3))
    form = form_of(page, "/delegations/usmf") | {"to": scenes.DIRK.oid, "first": str(today().date()), "last": last}
    refused = await mona.post("/delegations/usmf", data=form | {"last": "2001-01-01"})
    assert refused.status_code == 400 and "must not be before first" in refused.text
    answer = await mona.post("/delegations/usmf", data=form)
    assert answer.status_code == 303
    shown = (await mona.get(answer.headers["location"])).text
    assert "It is recorded." in shown and "Change your delegation" in shown
    page = (await ada.get("/delegations")).text
    assert "Mona Meyer" in page and "Who is away" in page
    ended = await ada.post(
        "/delegations/usmf/end", data=form_of(page, "/delegations/usmf/end") | {"of": scenes.MONA.oid}
    )
    assert ended.status_code == 303
    assert "Change your delegation" not in (await mona.get("/delegations")).text
    assert "Your roles decide no approvals" in (await (await browser("rita")).get("/delegations")).text


# A task that is over


async def test_a_task_that_is_over_says_what_happened_and_links_to_its_successor(
    browser: Browser, stage: Stage
) -> None:
    REVIEWED["PPL-7"] = ()
    summaries = tuple(
        ApprovalSummary(n=n, revision=n - 1, status=status, highest_level=1, steps=1, requested_at=scenes.T0)
        for n, status in ((1, ApprovalStatus.SUPERSEDED), (2, ApprovalStatus.PENDING))
    )
    await stage.deal(scenes.deal("PPL-7", approvals=summaries))
    handle = await stage.approval(asked("PPL-7"))
    mona = await browser("mona")
    path = "/approvals/usmf/PPL-7/1"
    form = form_of((await mona.get(path)).text, f"{path}/decision")
    await handle.signal(
        names.SUPERSEDE, Supersede(message_id="s", status="superseded", reason="revised", by_revision=1)
    )
    await handle.result()
    page = (await mona.get(path)).text
    assert f'action="{path}/' not in page, "nothing can be clicked any more"
    assert "what counts is the request for its new content" in page
    assert 'href="/approvals/usmf/PPL-7/2">Go to request 2</a>' in page
    late = await mona.post(f"{path}/decision", data=form | {"decision": "approve", "comment": ""})
    assert late.status_code == 409 and "decide on revision 1 instead" in late.text
    late = await mona.post(f"{path}/question", data=form | {"question": "?", "message_id": str(uuid.uuid4())})
    assert late.status_code == 409
