"""One step of a deal: an activity with its patience, and what happens when patience runs out.

A system that does not answer is waited for: the deal says so and goes on by itself. A step that fails for good is
parked: it says why and what would help, and waits for a person to retry it, supply its result or abort the deal.
No step fails the workflow for a reason a person could mend.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from activities.signatures import FailureType
    from domain.record import Record

Argument = TypeVar("Argument", bound=Record)
Result = TypeVar("Result", bound=Record)

ATTEMPTS = 6
RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=ATTEMPTS,
)
START_TO_CLOSE = timedelta(seconds=45)
LOOK_AGAIN = timedelta(seconds=30)
"""How long a deal waits before it tries a system again that did not answer six times in a row."""

URGENT = Priority(priority_key=1)
NORMAL = Priority(priority_key=3)

WAIT_FOR = frozenset(
    {FailureType.TRANSIENT, FailureType.THROTTLED, FailureType.UNKNOWN_OUTCOME, "TimeoutError"},
)
"""Failures that pass by themselves: waited for, never parked."""

SUGGESTIONS: dict[str, str] = {
    FailureType.REFUSED: "Correct what the message names in Sales or Finance, then retry",
    FailureType.CONFLICT: "Look at the record in both systems, keep the right content, then retry",
    FailureType.NOT_FOUND: "Restore the record or correct its key, then retry",
    FailureType.UNAUTHORIZED: "Give the application user its role, or renew its secret, then retry",
    FailureType.CONTENT_CHANGED: "Restore the approved content or have the quote revised and approved again",
}


def cause_of(error: ActivityError) -> tuple[str, str]:
    """The class of a failure and its message, unwrapped from the activity's error and cut to 2,000 characters."""
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.type or "ApplicationError", (cause.message or str(cause))[:2_000]
    if isinstance(cause, TimeoutError):
        return "TimeoutError", "no answer in time"
    return type(cause).__name__, str(cause)[:2_000]


async def attempt(
    activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
    argument: Argument,
    *,
    queue: str,
    summary: str,
    priority: Priority = NORMAL,
) -> Result:
    """Run one activity with the retries every step has.

    Raises:
        ActivityError: it was refused, or did not succeed in six attempts.
    """
    return await workflow.execute_activity_method(
        activity,
        argument,
        task_queue=queue,
        start_to_close_timeout=START_TO_CLOSE,
        retry_policy=RETRY,
        summary=summary,
        priority=priority,
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
