"""One try of an activity: its patience, its retries, and why it failed; what comes after a failure is its caller's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, Unpack

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, FailureError, TimeoutError
from temporalio.workflow import (
    ActivityCancellationType,
    ActivityConfig,
    ActivityHandle,
    ChildWorkflowHandle,
    ExternalWorkflowHandle,
)

from domain.causes import Cause
from domain.record import Record

Argument = TypeVar("Argument", bound=Record)
Result = TypeVar("Result", bound=Record)
T = TypeVar("T")
Tellable = ExternalWorkflowHandle[Any] | ChildWorkflowHandle[Any, Any]

ATTEMPTS = 6
RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=ATTEMPTS,
)
START_TO_CLOSE = timedelta(seconds=45)
LOOK_AGAIN = timedelta(seconds=30)
"""How long a system is left alone at least that did not answer six times in a row, or is known not to answer."""
PROBES = (LOOK_AGAIN, timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))
"""Pauses before each further look at what became of a write whose outcome stays unknown; the last one holds."""


@dataclass(frozen=True)
class Patience:
    """How often an activity is tried, and how long each try may take."""

    retry: RetryPolicy
    start_to_close: timedelta
    silence: timedelta | None = None
    """After which it is taken for dead; None: as its size says."""


USUAL = Patience(RETRY, START_TO_CLOSE)
ONCE = Patience(RetryPolicy(maximum_attempts=1), timedelta(seconds=10))
UNTIL_IT_ANSWERS = Patience(
    RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(seconds=60)), timedelta(minutes=2)
)
"""Tried without end; each try says itself when the next one is."""

FEW_LINES = 150
"""Up to here a document goes to and from a system in one step, within ``START_TO_CLOSE``."""
UNKNOWN_LINES = 10_000
"""How large a quote may be that was not read yet."""
PER_LINE = timedelta(seconds=0.5)
"""What each line of a larger document adds: steps of 150 lines, each as slow as a busy system answers."""
HEARTBEAT = timedelta(seconds=45)
"""A long activity that says nothing for so long is taken for dead and tried again; it continues where it was."""
SHORT_HEARTBEAT = timedelta(seconds=4)
"""The same for a short one: what a worker had in hand when it was killed is tried again within seconds. A write that is
tried again looks first whether the earlier try has done it.
"""

ONE_LOOK = timedelta(minutes=5)
ONE_LOOK_SILENT = timedelta(seconds=45)
"""How long one try of a look at many records may take, and how long it may be silent."""

URGENT = Priority(priority_key=1)
NORMAL = Priority(priority_key=3)

LONGEST_MESSAGE = 2_000


def cause_of(error: ActivityError) -> tuple[Cause, str]:
    """Why an activity failed, and its message, unwrapped from the activity's error and cut to 2,000 characters."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        known = Cause.of(cause.type)
        message = cause.message or str(cause)
        if known is Cause.UNEXPECTED and cause.type:
            message = f"{cause.type}: {message}"
        return known, message[:LONGEST_MESSAGE]
    if isinstance(cause, TimeoutError):
        return Cause.TIMEOUT, "no answer in time"
    if isinstance(cause, CancelledError):
        return Cause.TRANSIENT, "the try was interrupted"
    return Cause.UNEXPECTED, f"{type(cause).__name__}: {cause}"[:LONGEST_MESSAGE]


def evidence_of(error: ActivityError) -> tuple[str, str]:
    """What was asked of a system and what it answered, as ``activities.failures`` gives it along; empty where not."""
    cause = error.cause
    details = next(iter(cause.details), None) if isinstance(cause, ApplicationError) else None
    found = details if isinstance(details, dict) else {}
    request, answer = found.get("request"), found.get("answer")
    return str(request or "")[:LONGEST_MESSAGE], str(answer or "")[:LONGEST_MESSAGE]


def begin(
    activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
    argument: Argument,
    *,
    queue: str,
    summary: str,
    priority: Priority = NORMAL,
    lines: int = 0,
    patience: Patience = USUAL,
    wait_when_cancelled: bool = True,
) -> ActivityHandle[Result]:
    """Start one activity; awaiting it raises ActivityError where it failed for good.

    Args:
        activity: what is to be done.
        argument: with what.
        queue: task queue of the system it concerns.
        summary: what is attempted, in words.
        priority: its place in the queue.
        lines: of the document it concerns: a large one has more time, as long as it is heard of.
        patience: how often, and how long at least.
        wait_when_cancelled: whether a try that is under way is waited for when the activity is cancelled.
    """
    large = lines > FEW_LINES
    cancellation = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    return workflow.start_activity_method(
        activity,
        argument,
        task_queue=queue,
        start_to_close_timeout=patience.start_to_close + (lines * PER_LINE if large else timedelta(0)),
        heartbeat_timeout=patience.silence or (HEARTBEAT if large else SHORT_HEARTBEAT),
        retry_policy=patience.retry,
        summary=summary,
        priority=priority,
        cancellation_type=cancellation if wait_when_cancelled else ActivityCancellationType.TRY_CANCEL,
    )


async def attempt(
    activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
    argument: Argument,
    *,
    queue: str,
    summary: str,
    priority: Priority = NORMAL,
    lines: int = 0,
    patience: Patience = USUAL,
) -> Result:
    """Run one activity with the retries every step has; see ``begin``.

    Raises:
        ActivityError: it was refused, or did not succeed in six attempts.
    """
    return await or_cancelled(
        begin(activity, argument, queue=queue, summary=summary, priority=priority, lines=lines, patience=patience)
    )


async def execute(
    activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
    argument: Argument,
    **config: Unpack[ActivityConfig],
) -> Result:
    """Run one activity with times of its own; see ``begin`` and ``attempt`` for those that steps share.

    Raises:
        ActivityError: it failed for good.
    """
    return await or_cancelled(workflow.start_activity_method(activity, argument, **config))


async def tell(handle: Tellable, signal: str, note: Record) -> None:
    """Send another run a signal.

    Raises:
        FailureError: it does not run.
    """
    await or_cancelled(handle.signal(signal, note))


async def or_cancelled(operation: Awaitable[T]) -> T:
    """What an operation of Temporal comes to; where whoever waits for it was cancelled meanwhile, that counts instead.

    The SDK passes a cancellation on to the operation and takes it for heard. Of an activity that has begun and ends all
    the same, and of a signal that is taken back, a result or a failure would come, and the run would go on: it is told
    once only. Therefore workflows await activities and signals here, and nowhere else.

    Raises:
        asyncio.CancelledError: whoever waits was cancelled.
        FailureError: of the operation.
    """
    waiting = asyncio.current_task()
    if waiting is None:
        raise RuntimeError("an operation of Temporal is awaited in a task")
    before = waiting.cancelling()
    going = asyncio.ensure_future(operation)  # of a signal, the SDK would take the count of this task back
    try:
        result = await going
    except FailureError as error:
        if waiting.cancelling() > before:
            raise asyncio.CancelledError from error
        raise
    if waiting.cancelling() > before:
        raise asyncio.CancelledError
    return result


async def long_look(
    activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
    argument: Argument,
    *,
    longest: timedelta,
    summary: str,
    queue: str,
    once: timedelta = ONE_LOOK,
    silent: timedelta = ONE_LOOK_SILENT,
    retry: RetryPolicy = RETRY,
) -> tuple[Result | None, str]:
    """What a look at many records comes to, tried again for so long at most.

    Args:
        activity: that looks; it says again and again that it goes on.
        argument: its argument.
        longest: all tries together.
        summary: for Temporal Web.
        queue: task queue of the activity.
        once: one try.
        silent: longest silence of a try.
        retry: how soon and how often it is tried again.

    Returns:
        The answer; or None, and why it failed.
    """
    try:
        found: Result = await execute(
            activity,
            argument,
            task_queue=queue,
            start_to_close_timeout=once,
            schedule_to_close_timeout=longest,
            heartbeat_timeout=silent,
            retry_policy=retry,
            summary=summary,
        )
    except ActivityError as error:
        cause, message = cause_of(error)
        return None, f"{cause}: {message}"
    return found, ""
