"""What others put into the namespace or send again and again takes no page down and fills no history."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from temporalio.client import Client, WorkflowHandle

from domain.approvals import ApprovalRequest, ApprovalStatus
from domain.deal_start import DealStart
from domain.messages import Supersede
from domain.people import Person
from runs import attributes, names, query
from tests.webworld import scenes
from tests.webworld.browsing import Browser
from tests.webworld.world import Stage, Tenant, until
from web.limits import Limits, Rate
from web.problems import Problem

NOBODYS_QUEUE = "a queue no worker polls"


def decision(step: int = 1, **changes: object) -> dict[str, object]:
    body: dict[str, object] = {"decision": "approve", "comment": "fine", "step": step, "seen_hash": scenes.HASH}
    return body | {"message_id": str(uuid.uuid4())} | changes


async def listed(client: Client, condition: str) -> None:
    async def shown() -> bool:
        return (await client.count_workflows(condition)).count > 0

    await until(shown)


async def foreign_request(client: Client, workflow_id: str, asked: str, arg: object, queue: str) -> None:
    """What somebody with access to the namespace may start under our type, asking a person of ours."""
    await client.start_workflow(
        names.APPROVAL,
        arg,
        id=workflow_id,
        task_queue=queue,
        search_attributes=attributes.typed({attributes.APPROVERS: [asked]}),
    )
    asks = query.all_of(query.of_type(names.APPROVAL), query.equals(attributes.APPROVERS, asked))
    await listed(client, f"{asks} AND WorkflowId = '{workflow_id}'")


@pytest.fixture
async def wanda(tenant: Tenant) -> Person:
    """An approver of whom nothing else is asked."""
    from sandbox.entra.directory import Person as User

    user = User(f"wanda{uuid.uuid4().hex[:6]}", "Wanda Weiss", ("sales_manager.usmf",))
    tenant.directory.replace_people((*tenant.directory.people.values(), user))
    return Person(oid=tenant.directory.people[user.name].oid, name=user.name)


def asking(approver: Person, quote: str) -> ApprovalRequest:
    request = scenes.request(quote)
    step = request.plan.steps[0].model_copy(update={"candidates": (approver,)})
    return request.model_copy(update={"plan": request.plan.model_copy(update={"steps": (step,)})})


async def test_rows_that_are_not_ours_take_no_inbox_down(
    http: httpx.AsyncClient, tenant: Tenant, temporal: Client, stage: Stage, wanda: Person
) -> None:
    await stage.approval(asking(wanda, f"OWN-{wanda.name}"))
    lie = asking(wanda, "ANOTHER")
    await foreign_request(temporal, f"hello {wanda.name}", wanda.oid, lie, names.DEAL_QUEUE)
    await foreign_request(temporal, f"approval/usmf/LIE-{wanda.name}/1", wanda.oid, lie, names.DEAL_QUEUE)
    await foreign_request(temporal, f"approval/usmf/DEAD-{wanda.name}/1", wanda.oid, "?", NOBODYS_QUEUE)

    answer = await http.get("/api/v1/approvals", headers=tenant.bearer(wanda.name))
    assert answer.status_code == 200, answer.text
    assert [item["quote"] for item in answer.json()["items"]] == [f"OWN-{wanda.name}"]
    assert answer.json()["unreadable"] == 3


async def test_an_inbox_with_nothing_but_a_foreign_row_says_so(
    browser: Browser, tenant: Tenant, temporal: Client, wanda: Person
) -> None:
    await foreign_request(temporal, f"approval/usmf/ALONE-{wanda.name}/1", wanda.oid, "?", NOBODYS_QUEUE)
    page = await (await browser(wanda.name)).get("/")
    assert page.status_code == 200 and "1 request could not be read" in page.text


async def test_foreign_rows_take_no_list_of_deals_down(
    http: httpx.AsyncClient, browser: Browser, tenant: Tenant, temporal: Client, stage: Stage
) -> None:
    await stage.deal(scenes.deal("ROWS-OWN"))
    for workflow_id in ("any name", "q2c/usmf", "q2c/usmf/~x"):
        await temporal.start_workflow(
            names.QUOTE_TO_CASH,
            DealStart(company="usmf", quote_number="ROWS", quote_id="0", revision=0),
            id=workflow_id,
            task_queue=NOBODYS_QUEUE,
            search_attributes=attributes.typed({attributes.COMPANY: "usmf", attributes.QUOTE: "ROWS-FOREIGN"}),
        )
    await listed(temporal, query.equals(attributes.QUOTE, "ROWS-FOREIGN"))

    answer = (await http.get("/api/v1/cases?quote=ROWS-", headers=tenant.bearer("otto"))).json()
    assert [item["quote"] for item in answer["items"]] == ["ROWS-OWN"]
    assert answer["unreadable"] >= 1
    page = await (await browser("otto")).get("/cases?quote=ROWS-")
    assert page.status_code == 200 and ">ROWS-OWN<" in page.text and "could not be read" in page.text


async def test_a_deal_that_answers_nonsense_is_a_clear_problem(
    http: httpx.AsyncClient, browser: Browser, tenant: Tenant, temporal: Client
) -> None:
    nonsense = {"view": scenes.deal("OTHER").model_dump(mode="json")}
    for quote, scene in (("NO-STATE", None), ("WRONG-STATE", nonsense)):
        await temporal.start_workflow(
            names.QUOTE_TO_CASH,
            {"company": "usmf", "quote_number": quote, "quote_id": "0", "revision": 0, "scene": scene},
            id=names.deal_id("usmf", quote),
            task_queue=names.DEAL_QUEUE,
        )
        answer = await http.get(f"/api/v1/cases/usmf/{quote}", headers=tenant.bearer("otto"))
        assert (answer.status_code, answer.json()["code"]) == (502, "QUERY_FAILED"), answer.text
        page = await (await browser("otto")).get(f"/cases/usmf/{quote}")
        assert page.status_code == 502 and "cannot be read" in page.text


async def length(handle: WorkflowHandle[Any, Any]) -> int:
    return (await handle.describe()).history_length


async def test_who_has_no_role_leaves_no_trace_in_any_history(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    deal = await stage.deal(scenes.deal("JUNK-1"))
    request = await stage.approval(scenes.request("JUNK-1"))
    before = (await length(deal), await length(request))
    for _ in range(30):
        answer = await http.post(
            "/api/v1/approvals/usmf/JUNK-1/1/decision", json=decision(), headers=tenant.bearer("nemo")
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "NO_AUTHORITY")
        abort = "/api/v1/cases/usmf/JUNK-1/commands/abort"
        answer = await http.post(abort, json={"args": {"reason": "why not"}}, headers=tenant.bearer("nemo"))
        assert (answer.status_code, answer.json()["code"]) == (403, "NO_AUTHORITY")
    assert (await length(deal), await length(request)) == before


@pytest.mark.parametrize(
    ("name", "step", "status", "code"),
    [
        ("dirk", 1, 403, "NOT_ASSIGNED"),
        ("mona", 2, 403, "NOT_ASSIGNED"),
        ("mona", 7, 403, "NOT_ASSIGNED"),
    ],
)
async def test_what_the_web_knows_to_be_refused_is_told_to_the_request_once(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage, name: str, step: int, status: int, code: str
) -> None:
    quote = f"ONCE-{name}-{step}"
    request = await stage.approval(scenes.request(quote))
    for _ in range(15):
        answer = await http.post(
            f"/api/v1/approvals/usmf/{quote}/1/decision", json=decision(step), headers=tenant.bearer(name)
        )
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert "pending" not in answer.json()["detail"]
    assert await request.query("times_told") == 1
    honest = await http.post(
        f"/api/v1/approvals/usmf/{quote}/1/decision", json=decision(), headers=tenant.bearer("mona")
    )
    assert honest.status_code == 200, "a true decision right after them counts"


async def test_an_attempt_of_who_decides_nothing_in_the_company_is_in_nobodys_history(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    request = await stage.approval(scenes.request("OTHER-COMPANY"))
    for _ in range(3):
        for name, code in (("greta", "NOT_ASSIGNED"), ("rita", "REQUESTER_CANNOT_APPROVE")):
            answer = await http.post(
                "/api/v1/approvals/usmf/OTHER-COMPANY/1/decision", json=decision(), headers=tenant.bearer(name)
            )
            assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert await request.query("times_told") == 0


async def test_a_decision_repeated_after_it_counted_gets_its_outcome_again(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    await stage.approval(scenes.request("AGAIN-1"))
    body = decision()
    answers = [
        await http.post("/api/v1/approvals/usmf/AGAIN-1/1/decision", json=body, headers=tenant.bearer("mona"))
        for _ in range(3)
    ]
    assert [answer.json() for answer in answers] == [answers[0].json()] * 3 and answers[0].status_code == 200


@pytest.mark.parametrize(("successor", "named"), [(None, False), (0, False), (2, True)])
async def test_a_revision_is_named_only_where_there_is_one(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage, successor: int | None, named: bool
) -> None:
    quote = f"NEXT-{successor}"
    await stage.deal(scenes.deal(quote))
    request = await stage.approval(scenes.request(quote))
    note = Supersede(message_id="1", status=ApprovalStatus.SUPERSEDED, reason="revised", by_revision=successor)
    await request.signal(names.SUPERSEDE, note)
    await request.result()
    answer = await http.post(
        f"/api/v1/approvals/usmf/{quote}/1/decision", json=decision(), headers=tenant.bearer("mona")
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "SUPERSEDED")
    assert (f"revision {successor}" in answer.json()["detail"]) is named
    assert ("decide on revision" in answer.json()["detail"]) is named


async def test_a_script_gone_wrong_is_stopped_and_told_when_to_come_again(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    handle = await stage.deal(scenes.parked("FLOOD-1"))
    path, otto = "/api/v1/cases/usmf/FLOOD-1/commands/retry", tenant.bearer("otto")
    answers = [await http.post(path, json={"args": {"reason": str(n)}}, headers=otto) for n in range(60)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 20
    assert {answer.json()["code"] for answer in refused} == {"TOO_MANY_REQUESTS"}
    assert all(answer.headers["retry-after"] for answer in refused)
    assert len(await handle.query("received")) == 60 - len(refused)


def test_a_bucket_fills_up_again() -> None:
    now = 0.0
    limits = Limits(Rate(burst=3, per_second=1), Rate(burst=2, per_second=0.1), now=lambda: now)
    ann, bob = Person(oid="ANN"), Person(oid="bob")

    def attempts(person: Person, times: int) -> list[bool]:
        return [_taken(limits.attempt, person, "a") for _ in range(times)]

    def sends(person: Person, run: str, times: int) -> list[bool]:
        return [_taken(limits.send, person, run) for _ in range(times)]

    assert attempts(ann, 4) == [True, True, True, False], "three at once"
    assert attempts(Person(oid="ann"), 1) == [False], "whatever the case of the id"
    assert attempts(bob, 1) == [True], "nobody uses up the tokens of others"
    assert sends(ann, "a", 3) == [True, True, False], "to one run two at once"
    assert sends(ann, "b", 1) == sends(bob, "a", 1) == [True]
    now = 10.0
    assert attempts(ann, 4) == [True, True, True, False] and sends(ann, "a", 2) == [True, False]
    now = 1_000.0
    assert sends(ann, "a", 3) == [True, True, False]


def _taken(take: Callable[[Person, str], None], person: Person, run: str) -> bool:
    try:
        take(person, run)
    except Problem as problem:
        assert problem.status == 429
        return False
    return True


async def test_an_outsider_uses_up_nobodys_tokens(http: httpx.AsyncClient, tenant: Tenant, stage: Stage) -> None:
    await stage.approval(scenes.request("OUTSIDE-1"))
    path = "/api/v1/approvals/usmf/OUTSIDE-1/1/decision"
    for _ in range(40):
        await http.post(path, json=decision(), headers=tenant.bearer("nemo"))
    assert (await http.post(path, json=decision(), headers=tenant.bearer("mona"))).status_code == 200
