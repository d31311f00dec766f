"""How a process is changed while runs of it live, from the first release on (CONTRIBUTING, Change a workflow)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from temporalio.client import WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from tests.replay.patched_probe import Deployed, Guarded, Unguarded, new, old
from tests.temporal_server import bare_server


@pytest.fixture
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with bare_server() as env:
        yield env


async def lived(env: WorkflowEnvironment, version: type) -> tuple[str, WorkflowHistory]:
    """A whole run of one version: what it came to, and its history."""
    name = f"patched-{uuid.uuid4().hex[:8]}"
    async with Worker(env.client, task_queue=name, workflows=[version], activities=[old, new]):
        handle = await env.client.start_workflow("Patched", id=name, task_queue=name, result_type=str)
        return await handle.result(), await handle.fetch_history()


async def test_a_run_of_the_former_version_goes_on_under_a_patch_and_under_nothing_else(
    server: WorkflowEnvironment,
) -> None:
    result, former = await lived(server, Deployed)
    assert result == "old"
    await Replayer(workflows=[Guarded]).replay_workflow(former)
    with pytest.raises(Exception, match=r"[Nn]ondeterminism"):
        await Replayer(workflows=[Unguarded]).replay_workflow(former)
    result, later = await lived(server, Guarded)
    assert result == "new"
    await Replayer(workflows=[Guarded]).replay_workflow(later)
