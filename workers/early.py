"""News that reach a run before the task that brings them are refused: a run lives its tasks as they are stored.

A query that finds no worker with the run in memory carries the run's history as it is when a worker takes it up. What
happened since the query was asked is part of that history, though the task that brings it was not begun yet, or is
with another worker, and the SDK (1.35) hands it to the run as if it were. What comes between then and the true task
reaches the run apart; in the history all of it stands in one task, so that every later replay may take another way.

Two things show it:

- **Its clock.** What belongs to a task has the time and the size of the history at which the task began; news that come
  before it have those of the task before, though the history is longer. The run is not touched then: the query fails
  with ``ASK_AGAIN``, every client of the product asks again by itself, and the worker forgets the run. With it goes the
  true task, where the worker has it already: the server gives it out again after ten seconds, its limit for a task.
- **Its length.** A task that had begun and was never answered (its worker died, or forgot the run) left none of its
  commands in the history, so that the next task finds it shorter than it must be. That task fails with ``ASK_AGAIN``,
  the worker forgets the run, and the server gives the task out again at once.

So late, seldom, is the price of never being wrong (tests/workflows/test_asked_early.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Interceptor, OutboundInterceptor, QueryWorkflowInput, WorkflowQueryFailedError

from runs.names import ASK_AGAIN

_ASKED_AGAIN: Final = 9
"""Times a question is asked again: the next one mostly waits for the news. Who asked has a patience of their own."""
_ASIDE: Final = frozenset({"query_workflow", "remove_from_cache"})
"""Jobs that change nothing in a run."""
_WRITTEN: Final = frozenset(
    {
        "modify_workflow_properties",
        "schedule_activity",
        "signal_external_workflow_execution",
        "start_child_workflow_execution",
        "start_timer",
        "upsert_workflow_search_attributes",
    }
)
"""Commands each of which is an event of the history, whatever becomes of it."""
_TOLD: Final = frozenset({"fire_timer", "signal_workflow"})
"""Jobs each of which is an event of the history."""
_OF_A_TASK: Final = 3
"""Events between two tasks beside commands and news: the one was answered, the other given out and begun."""


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
        self._owed = 0
        self._before: tuple[_Task | None, int] = None, 0

    def is_early(self, act: WorkflowActivation) -> bool:
        """Whether an activation brings what the history does not have so; where not, it counts as come."""
        if all(job.WhichOneof("variant") in _ASIDE for job in act.jobs):
            return False
        task = _Task(act.timestamp.ToNanoseconds(), act.history_size_bytes, act.history_length)
        last = self._last or task
        if (task.clock, task.size) == (last.clock, last.size):
            if task.length > last.length:
                return True
        else:
            added = task.length - last.length - _OF_A_TASK - _least_events(act.jobs)
            if not act.is_replaying and added < self._owed:
                return True
            self._before = self._last, self._owed
            self._owed = 0
        self._last = task
        return False

    def answered(self, act: WorkflowActivation, completion: WorkflowActivationCompletion) -> None:
        """Note what a run made of an activation: the history is longer by that before the next task begins.

        What is replayed stands there already, behind the task that is replayed next or is the last.
        """
        if act.is_replaying:
            return
        commands = completion.successful.commands
        if commands and all(_is_rejection(command) for command in commands):
            # A task for nothing but updates that were all rejected leaves no event: it counts as never given out.
            self._last, self._owed = self._before
            return
        self._owed += sum(command.WhichOneof("variant") in _WRITTEN for command in commands)


def _is_rejection(command: WorkflowCommand) -> bool:
    return command.WhichOneof("variant") == "update_response" and command.update_response.HasField("rejected")


def _least_events(jobs: Iterable[WorkflowActivationJob]) -> int:
    """How many events there are at least of what a task brings; that an activity began may be written long before."""
    return sum(job.WhichOneof("variant") in _TOLD for job in jobs) + sum(
        job.resolve_activity.result.HasField("completed") for job in jobs if job.HasField("resolve_activity")
    )


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
