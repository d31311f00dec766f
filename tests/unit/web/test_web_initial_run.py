"""Initial syncs in the API: who has one begin, rest, go on and end, and that no sync begins beside it."""

from __future__ import annotations

import uuid

import httpx

from tests.unit.web.test_web_api import problem
from tests.webworld.browsing import Browser
from tests.webworld.world import Tenant, until

INITIAL = "/api/v1/initial/demf/customer"


def said(do: str) -> dict[str, object]:
    return {"message_id": str(uuid.uuid4()), "do": do, "reason": "go-live"}


async def test_who_may_has_an_initial_sync_run_and_no_sync_begins_beside_it(
    http: httpx.AsyncClient, tenant: Tenant, browser: Browser
) -> None:
    rep, operator = tenant.bearer("rita"), tenant.bearer("otto")
    problem(await http.get(INITIAL, headers=rep), 403, "NO_AUTHORITY")
    problem(await http.get(INITIAL, headers=operator), 404, "NOT_FOUND")
    problem(await http.post(f"{INITIAL}/run", json=said("begin"), headers=rep), 403, "NO_AUTHORITY")
    problem(await http.post(f"{INITIAL}/run", json=said("pause"), headers=operator), 409, "INITIAL_NOT_THERE")
    problem(await http.post(f"{INITIAL}/run", json=said("replay"), headers=operator), 400, "BAD_ARGUMENT")

    begin = said("begin")
    begun = await http.post(f"{INITIAL}/run", json=begin, headers=operator)
    assert begun.json()["accepted"] is True, begun.text
    shown = (await http.get(INITIAL, headers=operator)).json()
    assert (shown["status"], shown["records"]) == ("writing", 250)
    greta = await browser("greta")

    async def is_listed() -> bool:
        return "0 of 250" in (await greta.get("/data/initial")).text

    await until(is_listed)  # lists know of a run a moment after it began
    problem(await http.post(f"{INITIAL}/run", json=said("begin"), headers=operator), 409, "INITIAL_RUNS")
    sync = {"message_id": str(uuid.uuid4()), "do": "start", "reason": "go-live"}
    problem(await http.post("/api/v1/sync/demf/customer/run", json=sync, headers=operator), 409, "INITIAL_RUNS")

    for do in ("pause", "go_on", "stop"):
        answer = await http.post(f"{INITIAL}/run", json=said(do), headers=operator)
        assert answer.json()["accepted"] is True, answer.text
    problem(await http.post(f"{INITIAL}/run", json=said("go_on"), headers=operator), 409, "INITIAL_NOT_THERE")

    undo = f"{INITIAL}/undo"
    problem(await http.get(undo, headers=rep), 403, "NO_AUTHORITY")
    problem(await http.post(undo, json=said("begin") | {"run": "run-1"}, headers=rep), 403, "NO_AUTHORITY")
    problem(await http.post(undo, json=said("begin"), headers=operator), 400, "BAD_ARGUMENT")
    begun = await http.post(undo, json=said("begin") | {"run": "run-1"}, headers=operator)
    assert begun.json()["accepted"] is True, begun.text
    assert (await http.get(undo, headers=operator)).json()["undoes"] is True

    async def is_undone() -> bool:
        return "<h3>Undo</h3>" in (await greta.get("/data/initial")).text

    await until(is_undone)
    sync["message_id"] = str(uuid.uuid4())
    problem(await http.post("/api/v1/sync/demf/customer/run", json=sync, headers=operator), 409, "INITIAL_RUNS")
    stopped = await http.post(undo, json=said("stop") | {"run": "run-1"}, headers=operator)
    assert stopped.json()["accepted"] is True, stopped.text
