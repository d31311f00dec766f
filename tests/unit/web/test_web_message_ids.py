"""A message id stands for one person, action and content: under it nobody learns or repeats what another one said."""

from __future__ import annotations

import uuid

import httpx

from domain.heard import content_digest
from tests.webworld import scenes
from tests.webworld.world import Stage, Tenant


async def test_an_id_that_was_used_for_something_else_is_refused(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    await stage.deal(scenes.parked("IDS-1"))
    path, message_id = "/api/v1/cases/usmf/IDS-1/commands/retry", str(uuid.uuid4())

    async def say(reason: str, name: str = "otto") -> httpx.Response:
        body = {"message_id": message_id, "args": {"reason": reason}}
        headers = {"Authorization": f"Bearer {tenant.token(name, roles=['ops'])}"}
        return await http.post(path, json=body, headers=headers)

    assert (await say("mended")).status_code == 200
    assert (await say("mended")).status_code == 200
    for answer in (await say("something else"), await say("mended", "carl")):
        assert (answer.status_code, answer.json()["code"]) == (409, "MESSAGE_ID_REUSED")


def test_what_a_page_and_a_deal_compute_is_the_same() -> None:
    args = {"reason": "r", "ceiling": "10.00"}
    assert content_digest(scenes.CARL.oid, "credit_release", args) == content_digest(
        scenes.CARL.oid.upper(), "credit_release", dict(reversed(args.items()))
    )
