"""A deal or request that the web cannot open is one bad row: never a failed page, and nothing private in its words."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from runs import names
from runs.codec_keys import KeyRing
from tests.sealing import KEYS
from tests.webworld import scenes
from tests.webworld.standins import WORKFLOWS
from tests.webworld.world import Stage, Tenant
from workers.sealing import sealing

GROWN = KEYS.with_new_key()
NEWER = GROWN.writing_with(list(GROWN.keys)[-1])
"""The next key of the same ring: a worker was given it, the web was not."""
QUEUE = names.DEAL_QUEUE


class BothQueues(str):
    """The queue of the worker that is ahead, which counts as ours beside the usual one."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return any(queue == f"{other}" for queue in ("q2c-ahead", QUEUE))

    def __ne__(self, other: object) -> bool:
        return not self == other


async def client_with(temporal: Client, keys: KeyRing) -> Client:
    return await Client.connect(temporal.service_client.config.target_host, plugins=[sealing(keys)])


@pytest.fixture
async def ahead(temporal: Client, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A worker of the product, one key ahead of the web, and what it has put on stage."""
    client = await client_with(temporal, NEWER)
    monkeypatch.setattr(names, "DEAL_QUEUE", BothQueues("q2c-ahead"))
    async with Worker(client, task_queue="q2c-ahead", workflows=WORKFLOWS, workflow_runner=UnsandboxedWorkflowRunner()):
        yield Stage(client)


async def test_the_inbox_shows_every_other_request(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage, ahead: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ahead.approval(scenes.request("KEY-1"))
    with monkeypatch.context() as usual:
        usual.setattr(names, "DEAL_QUEUE", QUEUE)
        await stage.approval(scenes.request("KEY-2"))
    answer = await http.get("/api/v1/approvals", headers=tenant.bearer("mona"))
    assert answer.status_code == 200, answer.text
    shown = {item["quote"] for item in answer.json()["items"]}
    assert "KEY-2" in shown and "KEY-1" not in shown
    assert answer.json()["unreadable"] >= 1


async def test_a_list_of_deals_needs_no_key_and_a_deal_says_which_is_missing(
    http: httpx.AsyncClient, tenant: Tenant, ahead: Stage
) -> None:
    await ahead.deal(scenes.deal("KEY-3"))
    listed = await http.get("/api/v1/cases", params={"quote": "KEY-3"}, headers=tenant.bearer("otto"))
    assert [item["quote"] for item in listed.json()["items"]] == ["KEY-3"]
    answer = await http.get("/api/v1/cases/usmf/KEY-3", headers=tenant.bearer("otto"))
    assert (answer.status_code, answer.json()["code"]) == (502, "QUERY_FAILED")
    assert NEWER.writes in answer.json()["detail"] and "Q2C_CODEC_KEYS_FILE" in answer.json()["detail"]
    assert "Packaging line" not in answer.text


async def test_a_deal_answered_by_a_worker_with_foreign_keys_is_not_shown(
    http: httpx.AsyncClient, tenant: Tenant, temporal: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Somebody with the namespace polls our queue's sibling and answers for a deal: nothing of it is believed."""
    from runs.codec_keys import ensure_codec_keys

    file = tmp_path_factory.mktemp("foreign") / "keys.json"
    ensure_codec_keys(file)
    foreign = await client_with(temporal, KeyRing.read(file))
    async with Worker(
        foreign, task_queue="q2c-foreign", workflows=WORKFLOWS, workflow_runner=UnsandboxedWorkflowRunner()
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(names, "DEAL_QUEUE", "q2c-foreign")
            await Stage(foreign).deal(scenes.deal("KEY-4"))
        answer = await http.get("/api/v1/cases/usmf/KEY-4", headers=tenant.bearer("otto"))
    assert (answer.status_code, answer.json()["code"]) == (502, "QUERY_FAILED")
    assert "Packaging line" not in answer.text
