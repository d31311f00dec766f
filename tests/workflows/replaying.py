"""Whether a run takes the same way from its history, as on another worker after a crash or an eviction."""

from __future__ import annotations

from collections.abc import Iterable

from temporalio.client import Client
from temporalio.worker import Replayer

from tests.sealing import SEALING
from workers.composition import WORKFLOWS
from workers.worker import workflow_runner


async def replays(client: Client, workflow_ids: Iterable[str]) -> None:
    """Replay every run there was under these ids.

    Raises:
        NondeterminismError: a run would take another way.
    """
    replayer = Replayer(
        workflows=list(WORKFLOWS), namespace=client.namespace, plugins=[SEALING], workflow_runner=workflow_runner()
    )
    for workflow_id in workflow_ids:
        async for run in client.list_workflows(f"WorkflowId = '{workflow_id}'"):
            history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
            await replayer.replay_workflow(history)
