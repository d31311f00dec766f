"""The border of every run: what reaches a workflow was sealed by the product for exactly this place in it.

The codec opens payloads and says what each was sealed for; it does not know where they arrived. Here both meet. What
does not fit is turned into what a run can live with, and is counted and logged:

- a **start**: the run fails at once, visibly, before its code ran; nothing is retried forever;
- a **signal** is dropped; an **update** or **query** is refused, and its sender is told. A signal of a name that the
  run has no handler for is dropped as well: the SDK would keep it for as long as the run is in memory;
- the result or failure of an **activity** or **child**: the step has failed with `PayloadRefused`, and is parked.

It also counts payloads: every message of ours carries one argument, so that a handler is never called with none or two.
On the way out it marks what each payload is for. It stands outside the workflow sandbox, around every run. What comes
before its time is not let in (``workers.early``).

And it hands out signals in portions. What was sent to a run while no worker ran comes in one task, up to ten thousand
signals by Temporal's limit, and the SDK ends a task after two seconds and tries it again the same way, forever. So a
task brings a run at most ``A_PORTION`` of them; the gate keeps the rest, in their order, and starts a timer of its own
for each further portion. All else (steps, timers, updates, queries) is handed on at once. A portion comes with the
first task or with the gate's timer and with nothing else, so that a replay makes the same portions. While something is
kept, the run is not advised to go on as a new one, and can ask (``workflows.hearing.all_has_come``) before it ends.
Nor is it in a task that cancels it: signals come first, and the new run would know nothing of the cancellation.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Container, Iterable, MutableSequence, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import structlog
from opentelemetry import metrics
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import CommandType, ContinueAsNewInitiator, RetryState
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import (
    SerializationContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
    WorkflowSerializationContext,
)
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)
from temporalio.workflow import Info

from runs.codec import (
    ANSWER,
    BY_HAND,
    INPUT,
    RESULT,
    Addressed,
    PayloadRefused,
    child_of,
    continued_from,
    mark,
    open_by_hand,
    purpose_of,
    query_of,
    refused,
    signal_of,
    start_of,
    update_of,
    why_refused,
)
from runs.names import DROPPED, KEPT_BY_GATE
from workers.early import Tasks, ask_again

log = structlog.get_logger(__name__)

WRITTEN_AT_ONCE: Final = 20
"""Refusals of one run that are logged together; all are counted. To write each of a flood costs more than
to drop it."""

A_PORTION: Final = 250
"""Signals a run is given in one task: 0.05 s of processor time, of the two seconds on the clock that it may take."""
_PAUSE: Final = timedelta(milliseconds=1)
_FIRST_TIMER: Final = 2**31
"""Number of the gate's first timer of a run; the run numbers its own from one."""
_OF_ITS_OWN: Final = frozenset(
    {
        CommandType.COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK,
        CommandType.COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION,
        CommandType.COMMAND_TYPE_SCHEDULE_NEXUS_OPERATION,
    }
)
"""Commands whose payloads are sealed for somebody else than the run."""
_LAST_COMMANDS: Final = frozenset(
    {
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
        "continue_as_new_workflow_execution",
    }
)

_FAILURE_TYPE: Final = PayloadRefused.__name__
_STARTED_AGAIN: Final = (
    ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_RETRY,
    ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_CRON_SCHEDULE,
)


class GuardedRunner(WorkflowRunner):
    """Runs workflows as another runner does, each behind the gate."""

    def __init__(self, inner: WorkflowRunner) -> None:
        """Guard the runs of ``inner``."""
        self._inner = inner

    def prepare_workflow(self, defn: Any) -> None:
        """See base class."""
        self._inner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """See base class."""
        return Gate(self._inner.create_instance, det)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """See base class."""
        self._inner.set_worker_level_failure_exception_types(types)


class Gate(WorkflowInstance):
    """One run, and what may pass to and from it."""

    def __init__(
        self, make: Callable[[WorkflowInstanceDetails], WorkflowInstance], details: WorkflowInstanceDetails
    ) -> None:
        """Guard one run.

        Args:
            make: makes the run.
            details: what it is made of.
        """
        self._info = details.info
        self._answers: Container[str | None] = details.defn.signals
        self._written = 0
        self._kept: deque[WorkflowActivationJob] = deque()
        self._timers = 0
        self._timer_runs = False
        self._tasks = Tasks()
        asked = {**details.extern_functions, KEPT_BY_GATE: lambda: len(self._kept)}
        self._context = WorkflowSerializationContext(self._info.namespace, self._info.workflow_id)
        self._contexts: dict[tuple[int, int], SerializationContext | None] = {}
        run = StorageDriverWorkflowInfo(
            namespace=self._info.namespace,
            id=self._info.workflow_id,
            run_id=self._info.run_id,
            type=self._info.workflow_type,
        )
        self._store = StorageDriverStoreContext(target=run)
        self._inner = make(replace(details, extern_functions=asked))

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Let pass what fits, hand it to the run, and mark what comes out."""
        if self._tasks.is_early(act):
            log.info("news came before their task", workflow_id=self._info.workflow_id)
            return ask_again()
        self._written = 0
        jobs = [job for job in act.jobs if self._admit(job, replaying=act.is_replaying)]
        changed = len(jobs) < len(act.jobs)
        if changed and not jobs and not self._kept and DROPPED in self._answers:
            jobs.append(_something_was_dropped())
        if self._portion(jobs) or changed:
            del act.jobs[:]
            act.jobs.extend(jobs)
        if self._kept or any(job.HasField("cancel_workflow") for job in jobs):
            act.continue_as_new_suggested = False
        completion = self._inner.activate(act)
        self._contexts.clear()  # those of the commands that were resolved; the rest is asked for again
        for command in completion.successful.commands:
            self._address(command)
        if self._kept and not completion.HasField("failed"):
            self._ask_for_more(completion)
        self._tasks.answered(act, completion)
        return completion

    def _portion(self, jobs: list[WorkflowActivationJob]) -> bool:
        """Keep the signals that are too many for this task, or bring the next that were kept; whether it did either."""
        left = 0 if self._kept else A_PORTION
        fired = any(map(_is_own_timer, jobs))
        if not fired and sum(map(_is_signal, jobs)) <= left:
            return False
        given: list[WorkflowActivationJob] = []
        for job in jobs:
            if _is_signal(job) and not left:
                self._kept.append(job)
            elif not _is_own_timer(job):
                left -= _is_signal(job)
                given.append(job)
        if fired:
            self._timer_runs = False
            given[:0] = [self._kept.popleft() for _ in range(min(A_PORTION, len(self._kept)))]
        jobs[:] = given
        return True

    def _ask_for_more(self, completion: WorkflowActivationCompletion) -> None:
        """Start the timer that brings the next portion."""
        if any(command.WhichOneof("variant") in _LAST_COMMANDS for command in completion.successful.commands):
            log.warning("a run ended before it heard all", number=len(self._kept), workflow_id=self._info.workflow_id)
        elif not self._timer_runs:
            self._timer_runs = True
            timer = completion.successful.commands.add()
            timer.start_timer.seq = _FIRST_TIMER + self._timers
            timer.start_timer.start_to_fire_timeout.FromTimedelta(_PAUSE)
            timer.user_metadata.summary.CopyFrom(_summary(f"{len(self._kept):,} more messages"))
            self._timers += 1

    # The SDK asks for a context three times for each payload that comes, and the run answers inside its sandbox: 0.13
    # ms each, four seconds for 10,000 signals. What is always the same is said here.

    def get_serialization_context(self, command_info: Any) -> SerializationContext | None:
        """See base class."""
        if command_info is None or command_info.command_type not in _OF_ITS_OWN:
            return self._context
        asked = command_info.command_type, command_info.command_seq
        known = self._contexts.get(asked)
        if known is None:
            known = self._contexts[asked] = self._inner.get_serialization_context(command_info)
        return known

    def get_external_store_context(self, command_info: Any) -> Any:
        """See base class. Nothing of ours is kept outside Temporal, so that the run itself is always the place."""
        return self._store

    def get_info(self) -> Info:
        """See base class."""
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        """See base class."""
        return self._inner.get_thread_id()

    # What comes in

    def _admit(self, job: WorkflowActivationJob, *, replaying: bool) -> bool:
        """Whether a job may reach the run; what it carries is replaced where it cannot be believed."""
        match job.WhichOneof("variant"):
            case "initialize_workflow":
                start = job.initialize_workflow
                why = _one(start.arguments, self._start_purpose(start))
                self._count("start", self._info.workflow_type, why, replaying, start.identity)
            case "signal_workflow":
                signal = job.signal_workflow
                why = _one(signal.input, signal_of(signal.signal_name)) or self._unanswered(signal.signal_name)
                self._count("signal", signal.signal_name, why, replaying, signal.identity)
                return not why
            case "do_update":
                why = _one(job.do_update.input, update_of(job.do_update.name))
                self._count("update", job.do_update.name, why, replaying, job.do_update.meta.identity)
            case "query_workflow":
                query = job.query_workflow
                why = _question(query.arguments, query_of(query.query_type))
                self._count("query", query.query_type, why, replaying, "")
            case "resolve_activity":
                why = _resolved(job.resolve_activity.result, _of_activity)
                self._count("activity", "", why, replaying, "")
            case "resolve_child_workflow_execution":
                why = _resolved(job.resolve_child_workflow_execution.result, _of_child)
                self._count("child", "", why, replaying, "")
        return True

    def _start_purpose(self, start: Any) -> str:
        if start.continued_from_execution_run_id and start.continued_initiator not in _STARTED_AGAIN:
            return continued_from(start.continued_from_execution_run_id)
        if start.HasField("parent_workflow_info"):
            return child_of(start.parent_workflow_info.run_id)
        return start_of(self._info.workflow_type)

    def _unanswered(self, signal: str) -> str:
        return "" if signal in self._answers or None in self._answers else "nothing here answers to this name"

    def _count(self, kind: str, name: str, why: str, replaying: bool, sender: str) -> None:
        if not why or replaying:
            return
        _refusals().add(1, {"kind": kind, "workflow_type": self._info.workflow_type})
        self._written += 1
        if self._written > WRITTEN_AT_ONCE:
            return
        log.warning(
            "a payload was refused",
            kind=kind,
            name=name[:200],
            why=why,
            sender=sender[:200],
            workflow_id=self._info.workflow_id,
            run_id=self._info.run_id,
        )

    # What goes out

    def _address(self, command: WorkflowCommand) -> None:
        """Mark what a command carries with what it is for."""
        kind = command.WhichOneof("variant")
        body: Any = getattr(command, kind or "", None)
        match kind:
            case "schedule_activity" | "schedule_local_activity":
                _mark_all(body.arguments, INPUT)
            case "start_child_workflow_execution":
                _mark_all(body.input, child_of(self._info.run_id))
                # The summary is the child's, and is read there.
                for text in ("summary", "details"):
                    if command.user_metadata.HasField(text):
                        mark(getattr(command.user_metadata, text), "", target=body.workflow_id)
            case "continue_as_new_workflow_execution":
                _mark_all(body.arguments, continued_from(self._info.run_id))
            case "signal_external_workflow_execution":
                _mark_all(body.args, signal_of(body.signal_name))
            case "complete_workflow_execution":
                mark(body.result, RESULT)
            case "respond_to_query" if body.HasField("succeeded"):
                mark(body.succeeded.response, ANSWER)
            case "update_response" if body.HasField("completed"):
                mark(body.completed, ANSWER)


def _something_was_dropped() -> WorkflowActivationJob:
    """What a run is told in place of signals that were all dropped: nothing, but it looks at its own length.

    The history grows with each of them. The SDK looks at what a run waits for only where something reached the run; one
    that never looked would never go on as a new run, and whoever has the namespace could end it by the server's limits.
    """
    job = WorkflowActivationJob()
    job.signal_workflow.signal_name = DROPPED
    return job


def _is_signal(job: WorkflowActivationJob) -> bool:
    return job.WhichOneof("variant") == "signal_workflow"


def _is_own_timer(job: WorkflowActivationJob) -> bool:
    return job.WhichOneof("variant") == "fire_timer" and job.fire_timer.seq >= _FIRST_TIMER


def _summary(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(text).encode())


def _mark_all(payloads: Iterable[Payload], purpose: str) -> None:
    for payload in payloads:
        mark(payload, purpose)


def _one(arguments: MutableSequence[Payload], purpose: str) -> str:
    """Make sure that the one argument was sealed for ``purpose``; why not, where it was not."""
    if len(arguments) != 1:
        why = f"it carries {len(arguments)} payloads in place of one"
    else:
        why = _why_not(arguments[0], purpose)
    if why:
        del arguments[:]
        arguments.append(refused(why))
    return why


def _question(arguments: MutableSequence[Payload], purpose: str) -> str:
    """Make sure that arguments of a query were sealed for it, or typed through the codec server."""
    why = ""
    for index, argument in enumerate(arguments):
        if argument.metadata.get("encoding") == BY_HAND.encode():
            arguments[index].CopyFrom(open_by_hand(argument))
        elif found := _why_not(argument, purpose):
            why = found
            arguments[index].CopyFrom(refused(found))
    return why


def _why_not(payload: Payload, purpose: str) -> str:
    found = purpose_of(payload)
    if found is None:
        return why_refused(payload)
    return "" if found == purpose else f"it was sealed for {found or 'something else'}, not for {purpose}"


def _is_result(payload: Payload) -> str:
    found = purpose_of(payload)
    if found is None:
        return why_refused(payload)
    return "" if found.rpartition("/")[2] == RESULT else f"it was sealed for {found or 'something else'}, not a result"


def _of_activity(cause: Failure) -> Failure:
    failure = Failure(message="Activity task failed", cause=cause)
    failure.activity_failure_info.retry_state = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
    return failure


def _of_child(cause: Failure) -> Failure:
    failure = Failure(message="Child Workflow execution failed", cause=cause)
    failure.child_workflow_execution_failure_info.retry_state = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
    return failure


def _resolved(resolution: Any, envelope: Callable[[Failure], Failure]) -> str:
    """Make sure that a step was answered by a worker of ours; what is not becomes the failure of the step.

    Args:
        resolution: how an activity or child ended, changed in place.
        envelope: wraps a failure as the server would.

    Returns:
        Why it is refused; empty where it is not.
    """
    outcome = resolution.WhichOneof("status")
    if outcome == "completed":
        has_result = resolution.completed.HasField("result")
        why = _is_result(resolution.completed.result) if has_result else "it carries no payload"
        if why:
            resolution.failed.failure.CopyFrom(envelope(_failure(f"The result of this step is refused: {why}.")))
        return why
    if outcome in ("failed", "cancelled"):
        failure = getattr(resolution, outcome).failure
        _drop_shortened(failure)
        why = _unproven(failure)
        if why:
            text = f"This step was said to have failed, and that is refused: {why}."
            # The envelope, which names activity or child, is the server's own; what a worker said is below it.
            inner = failure.cause if failure.HasField("cause") else failure
            inner.CopyFrom(_failure(text))
        return why
    return ""


def _drop_shortened(failure: Failure) -> None:
    """Drop what the server keeps of an earlier try below a time-out where it cut it: what was sealed of it is gone.

    A failure above its limit for what it keeps of a running activity loses its sealed words, and nobody needs the rest.
    """
    timed_out = False
    while failure.HasField("cause"):
        kind = failure.WhichOneof("failure_info")
        if timed_out and kind == "server_failure_info":
            failure.ClearField("cause")
            return
        timed_out = timed_out or kind == "timeout_failure_info"
        failure = failure.cause


def _unproven(failure: Failure) -> str:
    """Why the words of a failure are not those of a worker of ours; the server's own failures have none."""
    kind = failure.WhichOneof("failure_info")
    if failure.HasField("encoded_attributes"):
        if why := why_refused(failure.encoded_attributes):
            return why
    elif kind == "application_failure_info":
        return "it was not reported by a worker of ours"
    details = {
        "application_failure_info": failure.application_failure_info.details,
        "canceled_failure_info": failure.canceled_failure_info.details,
        "timeout_failure_info": failure.timeout_failure_info.last_heartbeat_details,
    }.get(kind or "")
    for payload in details.payloads if details is not None else ():
        if why := why_refused(payload):
            return why
    return _unproven(failure.cause) if failure.HasField("cause") else ""


def _failure(text: str) -> Failure:
    failure = Failure(message=text)
    failure.application_failure_info.type = _FAILURE_TYPE
    failure.application_failure_info.non_retryable = True
    return failure


def _refusals() -> metrics.Counter:
    return metrics.get_meter("q2c").create_counter(
        "q2c_payloads_refused", description="Payloads that were not sealed by the product for where they arrived"
    )


class MarksResults(Interceptor):
    """Marks what an activity returns as its result, so that no other payload of it passes for one."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See base class."""
        return _MarkingInbound(next)


class _MarkingInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return Addressed(RESULT, await super().execute_activity(input))
