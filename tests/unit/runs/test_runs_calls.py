"""How the latest run under an id ended, though another may begin at that moment."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from runs import calls
from runs.calls import NoAnswer, latest


class Server:
    """Describes a run that ended; another has begun before its result is asked for."""

    def __init__(self, status: WorkflowExecutionStatus) -> None:
        self.status = status

    def get_workflow_handle(self, _: str, *, run_id: str = "", result_type: Any = None) -> Any:
        async def describe() -> Any:
            return SimpleNamespace(status=self.status, run_id="first")

        async def result() -> str:
            if run_id != "first":
                await asyncio.Event().wait()
            return "as it ended"

        return SimpleNamespace(describe=describe, result=result)


async def test_the_result_is_that_of_the_run_that_was_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PATIENCE_SECONDS", 0.2)
    client: Any = Server(WorkflowExecutionStatus.COMPLETED)
    last, result = await latest(client, "run", str)
    assert (last.run_id, result) == ("first", "as it ended")
    with pytest.raises(NoAnswer):  # as it was when the id alone was asked
        await calls.answer(client.get_workflow_handle("run").result())


@pytest.mark.parametrize("status", [s for s in WorkflowExecutionStatus if s is not WorkflowExecutionStatus.COMPLETED])
async def test_a_run_that_did_not_complete_has_no_result(status: WorkflowExecutionStatus) -> None:
    client: Any = Server(status)
    last, result = await latest(client, "run", str)
    assert (last.status, result) == (status, None)
