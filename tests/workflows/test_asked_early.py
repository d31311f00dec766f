"""A query that meets a run out of memory while news for it come: the run lives what its history says, and nothing else.

Without ``workers.early`` one in ten of these runs could not be replayed afterwards: it was given the news with the
query, and the signal behind them with the task, while its history has both in one task. A task may fail, where the one
before was never answered: the run is then begun again from its history, and says so.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client, OutboundInterceptor, WorkflowHandle, WorkflowQueryFailedError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from runs.calls import NoAnswer, ask
from runs.names import ASK_AGAIN
from tests.deadlines import PATIENCE
from tests.sealing import SEALING
from tests.temporal_server import bare_server
from tests.workflows.early_probe import Early, Heard, Note, gates, quick, wait
from workers.early import AsksAgain, Tasks
from workers.worker import workflow_runner

RUNS, AT_ONCE = 40, 6


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    async with bare_server(SEALING) as env:
        yield env


def worker(client: Client, queue: str) -> AbstractAsyncContextManager[Worker]:
    return Worker(client, task_queue=queue, workflows=[Early], activities=[quick], workflow_runner=workflow_runner())


async def told_while_it_is_asked(client: Client, run: WorkflowHandle[Any, Any], turn: asyncio.Semaphore) -> None:
    """A result and a signal reach a run moments apart, and it is asked all the while, as a page that is open does.

    The next run has its turn as soon as this one has its news: one that the server leaves waiting holds up none. Who
    asks has the product's patience, as the server may leave a question without an answer for half a minute.
    """

    async def later(what: Callable[[], Awaitable[object]], seconds: float) -> None:
        await asyncio.sleep(seconds)
        await what()

    async def answered() -> None:
        gates[run.id].set()

    async def asked() -> Heard | None:
        with suppress(NoAnswer):  # it is changing, or so many ask that the server takes no more questions
            return await ask(client, run.id, "state", Heard, what="The run")
        return None

    async with turn:
        moment = random.random() * 0.03
        asking = asyncio.gather(asked(), *(later(asked, random.random() * 0.05) for _ in range(2)))
        await asyncio.gather(
            later(answered, moment),
            later(lambda: run.signal("tell", Note()), moment + random.random() * 0.012),
            asyncio.sleep(0.05),
        )
    await asking
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if (heard := await asked()) and heard.is_done:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never went on")


async def test_runs_that_are_asked_while_news_come_replay_and_no_task_of_theirs_failed(
    server: WorkflowEnvironment,
) -> None:
    client, queue = server.client, f"early-{uuid.uuid4().hex[:8]}"
    async with Worker(client, task_queue=f"{queue}-wait", activities=[wait], max_concurrent_activities=RUNS):
        async with worker(client, queue):
            runs = [
                await client.start_workflow(
                    "Early", Note(text=name), id=name, task_queue=queue, task_timeout=timedelta(seconds=2)
                )
                for name in (f"{queue}-{n}" for n in range(RUNS))
            ]
            for run in runs:
                assert not (await ask(client, run.id, "state", Heard, what="The run", patience=PATIENCE)).is_done
        async with worker(client, queue):  # it has none of them in memory
            turn = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(told_while_it_is_asked(client, run, turn) for run in runs))
    replayer = Replayer(
        workflows=[Early], namespace=client.namespace, plugins=[SEALING], workflow_runner=workflow_runner()
    )
    for run in runs:
        history = await run.fetch_history()
        failed = [e for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED]
        why = {e.workflow_task_failed_event_attributes.failure.message for e in failed}
        assert why <= {ASK_AGAIN}, "a task failed for another reason than that the one before was never answered"
        await replayer.replay_workflow(history)
        await run.terminate()


# How it is known


def activation(clock: int, size: int, length: int, *jobs: str) -> WorkflowActivation:
    act = WorkflowActivation(history_length=length, history_size_bytes=size)
    act.timestamp.FromNanoseconds(clock)
    for job in jobs:
        getattr(act.jobs.add(), job).SetInParent()
    return act


def come(*activations: WorkflowActivation) -> list[bool]:
    tasks = Tasks()
    return [tasks.is_early(act) for act in activations]


BEGUN = activation(1, 275, 3, "initialize_workflow")
ASKED = activation(1, 275, 8, "query_workflow")
EARLY = activation(1, 275, 8, "resolve_activity")
TASK = activation(2, 900, 10, "signal_workflow", "resolve_activity")


@pytest.mark.parametrize(
    ("activations", "early"),
    [
        ((TASK,), [False]),
        ((EARLY,), [True]),
        ((ASKED, EARLY, ASKED), [False, True, False]),
        ((activation(1, 275, 8, "signal_workflow"),), [True]),
        ((activation(1, 275, 8, "fire_timer"),), [True]),
        ((EARLY, EARLY, TASK), [True, True, False]),
        ((activation(1, 275, 3, "resolve_activity"),), [False]),
        ((TASK, activation(2, 900, 10, "resolve_activity"), ASKED), [False, False, False]),
        ((activation(1, 275, 9, "remove_from_cache"),), [False]),
        ((activation(2, 275, 8, "resolve_activity"),), [False]),
        ((activation(1, 276, 8, "resolve_activity"),), [False]),
    ],
    ids=[
        "a task of its own",
        "early",
        "asked before and after",
        "an early signal",
        "an early timer",
        "early twice",
        "more of the same task",
        "all in order",
        "forgotten",
        "a later task of the same size",
        "a longer history in the same moment",
    ],
)
def test_what_comes_early_is_known_by_its_clock(activations: tuple[WorkflowActivation, ...], early: list[bool]) -> None:
    assert come(BEGUN, *activations)[1:] == early


def completed(*commands: str) -> WorkflowActivationCompletion:
    completion = WorkflowActivationCompletion()
    for command in commands:
        getattr(completion.successful.commands.add(), command).SetInParent()
    return completion


@pytest.mark.parametrize(
    ("commands", "after", "early"),
    [
        (("schedule_activity",), activation(2, 900, 13, "signal_workflow"), True),
        (("schedule_activity",), activation(2, 900, 14, "signal_workflow"), False),
        (("schedule_activity", "start_timer"), activation(2, 900, 15, "fire_timer"), False),
        (("schedule_activity", "start_timer"), activation(2, 900, 14, "fire_timer"), True),
        (("schedule_activity",), activation(2, 900, 15, "signal_workflow", "signal_workflow"), False),
        (("schedule_activity",), activation(2, 900, 14, "signal_workflow", "signal_workflow"), True),
        (("respond_to_query",), activation(2, 900, 13, "signal_workflow"), False),
        ((), activation(2, 900, 13, "signal_workflow"), False),
    ],
    ids=[
        "never answered",
        "answered",
        "two commands, answered",
        "two commands, never answered",
        "two signals, answered",
        "two signals, never answered",
        "nothing to write",
        "nothing",
    ],
)
def test_a_task_that_was_never_answered_is_known_by_the_length_of_the_next(
    commands: tuple[str, ...], after: WorkflowActivation, early: bool
) -> None:
    tasks, begun = Tasks(), activation(1, 275, 9, "resolve_activity")
    assert not tasks.is_early(begun)
    tasks.answered(begun, completed(*commands))
    assert tasks.is_early(after) is early


def test_what_is_replayed_was_answered() -> None:
    tasks, begun = Tasks(), activation(1, 275, 9, "resolve_activity")
    begun.is_replaying = True
    assert not tasks.is_early(begun)
    tasks.answered(begun, completed("schedule_activity"))
    assert not tasks.is_early(activation(2, 900, 13, "signal_workflow"))


def test_a_task_for_nothing_but_a_rejected_update_left_no_event() -> None:
    """Given a run that owes a command, when an update is rejected, then the next task is as long as without it."""
    tasks, begun = Tasks(), activation(1, 275, 9, "resolve_activity")
    assert not tasks.is_early(begun)
    tasks.answered(begun, completed("schedule_activity"))
    asked, rejected = activation(2, 900, 13, "do_update"), completed("update_response")
    rejected.successful.commands[0].update_response.rejected.SetInParent()
    for _ in range(2):
        assert not tasks.is_early(asked)
        tasks.answered(asked, rejected)
    assert tasks.is_early(activation(3, 901, 13, "signal_workflow")), "the command is still owed"
    assert not tasks.is_early(activation(3, 901, 14, "signal_workflow"))


class Asked(OutboundInterceptor):
    """A server whose run cannot answer so many times."""

    def __init__(self, early: int) -> None:
        self.early, self.asked = early, 0

    async def query_workflow(self, input: Any) -> Heard:
        self.asked += 1
        if self.asked <= self.early:
            raise WorkflowQueryFailedError(ASK_AGAIN)
        return Heard(number=1, is_done=True)

    def get_workflow_handle(self, _: str) -> Asked:
        return self

    async def query(self, *_: Any, **__: Any) -> Heard:
        return await self.query_workflow(None)


async def test_who_asked_early_asks_again_and_not_for_ever() -> None:
    wanted: Any = None
    asked = Asked(3)
    assert (await AsksAgain().intercept_client(asked).query_workflow(wanted)).is_done
    assert asked.asked == 4
    asked = Asked(1_000)
    with pytest.raises(WorkflowQueryFailedError, match="Ask again"):
        await AsksAgain().intercept_client(asked).query_workflow(wanted)
    assert asked.asked == 10


async def test_a_run_that_changes_all_the_time_is_no_answer_yet() -> None:
    client: Any = Asked(1_000)
    with pytest.raises(NoAnswer, match="The run is changing. Try again in a moment."):
        await ask(client, "run", "state", Heard, what="The run")
