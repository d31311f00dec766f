"""However many signals come at once, a run is given a portion of them in each task: all of them, in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import CommandType
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import WorkflowSerializationContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails

from runs.codec import mark, signal_of
from runs.names import DROPPED, KEPT_BY_GATE
from workers import gate

PORTION = 4
REAL = gate.A_PORTION
TEMPORAL_KEEPS = 10_000
"""Signals that Temporal keeps for one run at most."""


@dataclass(frozen=True)
class Details:
    """What the gate reads of an instance's details."""

    info: Any = field(
        default_factory=lambda: SimpleNamespace(
            namespace="default", workflow_type="Deal", workflow_id="q2c/usmf/Q-1", run_id="r"
        )
    )
    defn: Any = field(default_factory=lambda: SimpleNamespace(signals={"tell": None, DROPPED: None}))
    extern_functions: Mapping[str, Callable[[], int]] = field(default_factory=dict)


class Run:
    """A run that notes what it is told, and when."""

    def __init__(self) -> None:
        self.tasks: list[list[str]] = []
        self.advised: list[bool] = []
        self.kept: Callable[[], int] = lambda: -1
        self.last_command = ""

    def made(self, details: WorkflowInstanceDetails) -> WorkflowInstance:
        self.kept = details.extern_functions[KEPT_BY_GATE]
        return cast(WorkflowInstance, self)

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        heard = []
        for job in act.jobs:
            kind = job.WhichOneof("variant") or ""
            heard.append(job.signal_workflow.identity or DROPPED if kind == "signal_workflow" else kind)
        self.tasks.append(heard)
        self.advised.append(act.continue_as_new_suggested)
        completion = WorkflowActivationCompletion()
        completion.successful.SetInParent()
        if self.last_command:
            getattr(completion.successful.commands.add(), self.last_command).SetInParent()
        return completion


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "A_PORTION", PORTION)


def guarded(run: Run) -> gate.Gate:
    return gate.Gate(run.made, cast(WorkflowInstanceDetails, Details()))


def signals(*names: str, sealed: bool = True) -> WorkflowActivation:
    act = WorkflowActivation(run_id="r", continue_as_new_suggested=True)
    for name in names:
        signal = act.jobs.add().signal_workflow
        signal.signal_name, signal.identity = "tell", name
        signal.input.append(Payload(data=b"1"))
        mark(signal.input[0], signal_of("tell" if sealed else "another"))
    return act


def timers(completion: WorkflowActivationCompletion) -> list[int]:
    return [
        command.start_timer.seq
        for command in completion.successful.commands
        if command.WhichOneof("variant") == "start_timer"
    ]


def fired(seq: int, then: WorkflowActivation | None = None) -> WorkflowActivation:
    act = then or WorkflowActivation(run_id="r", continue_as_new_suggested=True)
    act.jobs.add().fire_timer.seq = seq
    return act


def drain(guard: gate.Gate, completion: WorkflowActivationCompletion) -> None:
    """Fire the gate's timers until it starts none."""
    while started := timers(completion):
        assert len(started) == 1
        completion = guard.activate(fired(started[0]))


def test_few_signals_pass_at_once_and_start_no_timer() -> None:
    run = Run()
    completion = guarded(run).activate(signals("1", "2", "3", "4"))
    assert run.tasks == [["1", "2", "3", "4"]]
    assert timers(completion) == []
    assert run.advised == [True]


def test_many_come_in_portions_and_the_run_is_not_advised_to_go_on_as_a_new_one_before_the_last() -> None:
    run = Run()
    guard = guarded(run)
    completion = guard.activate(signals(*map(str, range(10))))
    assert run.kept() == 6
    drain(guard, completion)
    assert run.tasks == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]
    assert run.advised == [False, False, True]
    assert run.kept() == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 13), st.booleans()), max_size=8))
def test_all_are_heard_once_and_in_order_whatever_comes_between(waves: list[tuple[int, bool]]) -> None:
    run = Run()
    guard = guarded(run)
    said: list[str] = []
    started: list[int] = []
    for number, and_timer in waves:
        fresh = [str(len(said) + n) for n in range(number)]
        said += fresh
        act = signals(*fresh)
        if and_timer and started:
            act = fired(started.pop(), act)
        act.jobs.add().resolve_activity.seq = 1
        started += timers(guard.activate(act))
        assert len(started) == (1 if run.kept() else 0)
        assert run.tasks[-1].count("resolve_activity") == 1
    if started:
        drain(guard, guard.activate(fired(started.pop())))
    heard = [[name for name in task if name != "resolve_activity"] for task in run.tasks]
    assert [name for task in heard for name in task] == said
    assert max(map(len, heard), default=0) <= PORTION


def test_all_that_temporal_keeps_for_a_run_comes_in_many_short_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run takes thousands a second; the SDK ends a task after two seconds, and tries it again the same way."""
    monkeypatch.setattr(gate, "A_PORTION", REAL)
    run = Run()
    guard = guarded(run)
    drain(guard, guard.activate(signals(*map(str, range(TEMPORAL_KEEPS)))))
    assert sum(map(len, run.tasks)) == TEMPORAL_KEEPS
    assert max(map(len, run.tasks)) <= TEMPORAL_KEEPS / 20


def test_what_is_not_a_signal_passes_while_signals_are_kept() -> None:
    run = Run()
    guard = guarded(run)
    [seq] = timers(guard.activate(signals(*"abcdef")))
    act = signals("g")
    act.jobs.add().do_update.name = "reserve"
    act.jobs.add().fire_timer.seq = 1
    assert timers(guard.activate(act)) == []
    assert run.tasks[-1] == ["do_update", "fire_timer"]
    guard.activate(fired(seq))
    assert run.tasks[-1] == ["e", "f", "g"]


def test_a_timer_of_the_gate_is_of_a_number_no_run_gives_and_of_none_twice() -> None:
    guard = guarded(Run())
    numbers = []
    completion = guard.activate(signals(*map(str, range(20))))
    while started := timers(completion):
        numbers += started
        completion = guard.activate(fired(started[0]))
    assert len(numbers) == len(set(numbers)) == 4
    assert min(numbers) >= 2**31 and max(numbers) < 2**32


def test_only_what_was_sealed_for_its_place_takes_room_in_a_portion() -> None:
    run = Run()
    guard = guarded(run)
    act = signals(*map(str, range(9)), sealed=False)
    act.jobs.extend(signals("true").jobs)
    assert timers(guard.activate(act)) == []
    assert run.tasks == [["true"]]
    assert timers(guard.activate(signals(*map(str, range(9)), sealed=False))) == []
    assert run.tasks[-1] == [DROPPED]
    guard.activate(signals("one", sealed=False))
    assert run.tasks[-1] == [DROPPED]


def test_a_run_that_has_ended_starts_no_timer() -> None:
    run = Run()
    run.last_command = "complete_workflow_execution"
    assert timers(guarded(run).activate(signals(*map(str, range(9))))) == []


class Asked:
    """What the SDK asks a context for."""

    def __init__(self, kind: int, number: int) -> None:
        self.command_type, self.command_seq = kind, number


def test_a_run_is_not_entered_for_what_is_always_the_same() -> None:
    """Its sandbox takes 0.13 ms to answer, three times for each signal; of a command it is asked once."""

    class Counting(Run):
        asked = 0

        def get_serialization_context(self, _info: Any) -> str:
            self.asked += 1
            return "of an activity"

    run = Counting()
    guard = guarded(run)
    for info in (None, Asked(CommandType.COMMAND_TYPE_START_TIMER, 1)):
        assert guard.get_serialization_context(info) == WorkflowSerializationContext("default", "q2c/usmf/Q-1")
        assert guard.get_external_store_context(info).target.id == "q2c/usmf/Q-1"
    assert run.asked == 0
    for _ in range(3):
        of_activity = Asked(CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK, 7)
        assert guard.get_serialization_context(of_activity) == "of an activity"  # type: ignore[comparison-overlap]
    assert run.asked == 1
