"""Every recorded run replays on the code as it is: a change that breaks one needs `workflow.patched`.

The recorded runs are those of `tests/replay/record.py`. A file is removed only when no run of its kind can be alive
any more.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from workers.composition import WORKFLOWS
from workers.worker import workflow_runner

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def recorded(history: Path, **renamed: str) -> WorkflowHistory:
    """A recorded run, with activities renamed where a test wants it broken."""
    content = history.read_text()
    for before, after in renamed.items():
        assert f'"name": "{before}"' in content
        content = content.replace(f'"name": "{before}"', f'"name": "{after}"')
    return WorkflowHistory.from_json(history.stem, content)


def workflow_type(history: Path) -> str:
    events = json.loads(history.read_text())["events"]
    return str(events[0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"])


@pytest.mark.parametrize("history", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_run_replays(history: Path) -> None:
    replayer = Replayer(
        workflows=list(WORKFLOWS), data_converter=pydantic_data_converter, workflow_runner=workflow_runner()
    )
    await replayer.replay_workflow(recorded(history))


def test_every_process_of_long_life_has_a_recorded_run() -> None:
    recorded = {workflow_type(history) for history in HISTORIES}
    assert recorded >= {"QuoteToCash", "Approval", "CreditLedger", "SalesFeed", "FinanceFeed"}


async def test_a_run_of_other_code_does_not_replay() -> None:
    """The test above can fail: a history with a step the code does not take is refused."""
    (source,) = (history for history in HISTORIES if history.stem == "happy_path")
    replayer = Replayer(
        workflows=list(WORKFLOWS), data_converter=pydantic_data_converter, workflow_runner=workflow_runner()
    )
    with pytest.raises(Exception, match=r"[Nn]ondeterminism"):
        await replayer.replay_workflow(recorded(source, mark_quote="close_quote"))
