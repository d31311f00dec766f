"""Syncs in the API: who runs one, who says what becomes of its letters, and what is refused."""

from __future__ import annotations

import uuid

import httpx

from tests.unit.web.test_web_api import problem
from tests.webworld.world import Tenant

SYNC = "/api/v1/sync/usmf/customer"
LETTER = "0a1b2c3d4e5f"


def said(do: str, **more: object) -> dict[str, object]:
    return {"message_id": str(uuid.uuid4()), "do": do, "reason": "checked", **more}


async def test_who_may_runs_a_sync_and_says_what_becomes_of_letters(http: httpx.AsyncClient, tenant: Tenant) -> None:
    rep, manager, operator = (tenant.bearer(name) for name in ("rita", "mona", "otto"))
    problem(await http.get(SYNC, headers=rep), 403, "NO_AUTHORITY")
    problem(await http.get(SYNC, headers=operator), 404, "NOT_FOUND")
    problem(await http.post(f"{SYNC}/settle", json=said("dismiss", letter=LETTER), headers=manager), 404, "NOT_FOUND")
    problem(await http.post(f"{SYNC}/run", json=said("start"), headers=manager), 403, "NO_AUTHORITY")

    start = said("start")
    begun = await http.post(f"{SYNC}/run", json=start, headers=operator)
    assert begun.json()["accepted"] is True, begun.text
    again = await http.post(f"{SYNC}/run", json=start, headers=operator)
    assert again.json()["accepted"] is True
    assert (await http.get(SYNC, headers=manager)).json()["running"] is True

    for where, body in (
        ("run", said("replay")),
        ("run", said("replay", of_cause="NONE")),
        ("run", said("replay", letters=["x"] * 101)),
        ("run", {"do": "stop"}),
        ("settle", said("take", letter=LETTER)),
        ("settle", said("propose", letter=LETTER)),
        ("settle", said("take", letter="not one", take="sales")),
    ):
        problem(await http.post(f"{SYNC}/{where}", json=body, headers=operator), 400, "BAD_ARGUMENT")
    asked = said("take", letter=LETTER, take="sales")
    problem(await http.post(f"{SYNC}/settle", json=asked, headers=manager), 404, "NOT_FOUND")
    problem(await http.get("/api/v1/sync/usmf/No-Entity", headers=operator), 404, "NOT_FOUND")
