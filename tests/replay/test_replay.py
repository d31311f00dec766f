"""Every recorded run replays on the code as it is: a change that breaks one needs `workflow.patched`.

The recorded runs are those of `tests/replay/record.py`. A file is removed only when no run of its kind can be alive
any more.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from demo.temporal_server import NAMESPACE
from runs.names import AFTER_END, COLLECTIONS, DELEGATIONS
from tests.sealing import SEALING
from workers.composition import WORKFLOWS
from workers.worker import workflow_runner

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def recorded(history: Path, **renamed: str) -> WorkflowHistory:
    """A recorded run, with activities renamed where a test wants it broken."""
    content = history.read_text()
    for before, after in renamed.items():
        assert f'"name": "{before}"' in content
        content = content.replace(f'"name": "{before}"', f'"name": "{after}"')
    return WorkflowHistory.from_json(started(history)["workflowId"], content)


def started(history: Path) -> dict[str, Any]:
    """How a recorded run began. Its payloads are sealed for its workflow id, so it replays under that id only."""
    begun: dict[str, Any] = json.loads(history.read_text())["events"][0]["workflowExecutionStartedEventAttributes"]
    return begun


def workflow_type(history: Path) -> str:
    return str(started(history)["workflowType"]["name"])


@pytest.mark.parametrize("history", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_run_replays(history: Path) -> None:
    replayer = Replayer(
        workflows=list(WORKFLOWS), namespace=NAMESPACE, plugins=[SEALING], workflow_runner=workflow_runner()
    )
    await replayer.replay_workflow(recorded(history))


def test_every_process_of_long_life_has_a_recorded_run() -> None:
    recorded = {workflow_type(history) for history in HISTORIES}
    feeds, companies = {"SalesFeed", "FinanceFeed"}, {DELEGATIONS, AFTER_END}
    assert recorded >= {"QuoteToCash", "Approval", "CreditLedger", COLLECTIONS} | feeds | companies


async def test_a_run_of_other_code_does_not_replay() -> None:
    """The test above can fail: a history with a step the code does not take is refused."""
    (source,) = (history for history in HISTORIES if history.stem == "happy_path")
    replayer = Replayer(
        workflows=list(WORKFLOWS), namespace=NAMESPACE, plugins=[SEALING], workflow_runner=workflow_runner()
    )
    with pytest.raises(Exception, match=r"[Nn]ondeterminism"):
        await replayer.replay_workflow(recorded(source, mark_quote="close_quote"))
