"""News that reach a run before the task that brings them are refused: a run lives its tasks as they are stored.

A query that finds no worker with the run in memory carries the run's history as it is when a worker takes it up. What
happened since the query was asked is part of that history, though the task that brings it was not begun yet, and the
SDK (1.35) hands it to the run as if it were: too early by the run's clock, and apart from what comes between then and
the true task. In the history all of it stands in one task, so that every later replay may take another way.

Such an activation is known by its clock. What belongs to a task has the time and the size of the history at which the
task began; news that come early have those of the task before, though the history is longer. The run is not touched
then: the query fails with ``ASK_AGAIN``, every client of the product asks again by itself, and the worker forgets the
run. With it goes the true task, where the worker has it already: the server gives it out again after ten seconds, its
limit for a task. So late, seldom, is the price of never being wrong (tests/workflows/test_asked_early.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Interceptor, OutboundInterceptor, QueryWorkflowInput, WorkflowQueryFailedError

from runs.names import ASK_AGAIN

_ASKED_AGAIN: Final = 9
"""Times a question is asked again: the next one mostly waits for the news. Who asked has a patience of their own."""
_ASIDE: Final = frozenset({"query_workflow", "remove_from_cache"})
"""Jobs that change nothing in a run."""


@dataclass(frozen=True)
class _Task:
    """A task as its activations show it: those of one task have the same clock and the same history."""

    clock: int
    size: int
    length: int


class Tasks:
    """The tasks of one run, in the order of its history."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._last: _Task | None = None

    def is_early(self, act: WorkflowActivation) -> bool:
        """Whether an activation brings what belongs to a task that was not begun; where not, it counts as come."""
        if all(job.WhichOneof("variant") in _ASIDE for job in act.jobs):
            return False
        task = _Task(act.timestamp.ToNanoseconds(), act.history_size_bytes, act.history_length)
        last = self._last or task
        if (task.clock, task.size) == (last.clock, last.size) and task.length > last.length:
            return True
        self._last = task
        return False


def ask_again() -> WorkflowActivationCompletion:
    """What the query is answered for which the news came; the worker then forgets the run."""
    completion = WorkflowActivationCompletion()
    completion.failed.failure.message = ASK_AGAIN
    return completion


class AsksAgain(Interceptor):
    """Asks a run again that could not answer before its news were there."""

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """See base class."""
        return _AsksAgainOutbound(next)


class _AsksAgainOutbound(OutboundInterceptor):
    async def query_workflow(self, input: QueryWorkflowInput) -> Any:
        for _ in range(_ASKED_AGAIN):
            try:
                return await super().query_workflow(input)
            except WorkflowQueryFailedError as error:
                if ASK_AGAIN not in str(error):
                    raise
        return await super().query_workflow(input)
