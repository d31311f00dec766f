"""Whether a run takes the same way from its history, as on another worker after a crash or an eviction."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from runs import names
from tests.sealing import SEALING
from workers.composition import WORKFLOWS
from workers.worker import workflow_runner

RECORDS = "Q2C_RECORD_HISTORIES"
"""Folder in which runs are kept that were replayed, for `tests/replay/record.py`; not set: none are."""


async def replays(client: Client, types: Sequence[str]) -> None:
    """Replay every run of some types that was on the task queue of this test.

    Raises:
        NondeterminismError: a run would take another way.
    """
    replayer = Replayer(
        workflows=list(WORKFLOWS),
        namespace=client.namespace,
        plugins=[SEALING],
        workflow_runner=workflow_runner(),
        debug_mode=True,  # how long a task takes on a busy machine is none of this
    )
    for kind in types:
        async for run in client.list_workflows(f"TaskQueue = '{names.DEAL_QUEUE}' AND WorkflowType = '{kind}'"):
            history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
            if any(event.HasField("workflow_task_completed_event_attributes") for event in history.events):
                await replayer.replay_workflow(history)  # a run that nothing was done of yet would be waited for
                if folder := os.environ.get(RECORDS):
                    _keep(Path(folder), history)


def _keep(folder: Path, history: WorkflowHistory) -> None:
    """Keep the longest of the runs that had an id."""
    file, made = folder / f"{history.workflow_id.replace('/', '.')}.json", history.to_json()
    if not file.exists() or len(file.read_text()) < len(made):
        file.write_text(made)
