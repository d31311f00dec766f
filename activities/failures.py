"""How a failure of Dynamics reaches a workflow: one translation, used by every activity that talks to it.

The class of the error was decided once, by the table of `dynamics.core.errors`; here it becomes the `type` of an
`ApplicationError`, with whether and when to try again. Attributes of the error travel as details; of what was asked and
answered only what a person may read (`dynamics.core.evidence`).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.signatures import FailureType
from dynamics.core.budget import NORMAL, prioritised
from dynamics.core.errors import (
    Conflict,
    DynamicsError,
    NotFound,
    Refused,
    Stale,
    Throttled,
    Transient,
    Unauthorized,
    UnknownOutcome,
    Unreachable,
)
from dynamics.core.telemetry import on_behalf_of
from runs import names

FAILURE_TYPES: tuple[tuple[type[DynamicsError], FailureType, bool], ...] = (
    (Throttled, FailureType.THROTTLED, True),
    # Trying on would only burn attempts: the deal shows the outage and waits for the system (activities.reaching).
    (Unreachable, FailureType.TRANSIENT, False),
    (Transient, FailureType.TRANSIENT, True),
    (Unauthorized, FailureType.UNAUTHORIZED, True),
    # May be tried again because every write is preceded by a look once its first attempt is not known to have failed.
    (UnknownOutcome, FailureType.UNKNOWN_OUTCOME, True),
    # Every attempt reads anew what it writes on.
    (Stale, FailureType.CONFLICT, True),
    (Conflict, FailureType.CONFLICT, False),
    (NotFound, FailureType.NOT_FOUND, False),
    (Refused, FailureType.REFUSED, False),
)
"""Class of the error, type of the failure, whether the activity may be tried again. First match holds."""

JITTER = 0.1
"""Share of a stated pause added at random, so that all who were throttled together do not come back together."""


def failure_of(error: DynamicsError) -> ApplicationError:
    """The failure an activity raises for an error of Dynamics."""
    kind, may_retry = next((name, retry) for cls, name, retry in FAILURE_TYPES if isinstance(error, cls))
    pause = None
    if isinstance(error, Throttled) and error.retry_after is not None:
        pause = timedelta(seconds=error.retry_after * (1 + random.uniform(0, JITTER)))  # noqa: S311  # spreads retries
    return ApplicationError(
        str(error),
        error.details(),
        type=kind,
        non_retryable=not may_retry,
        next_retry_delay=pause,
        # Being throttled is ordinary: it is counted, and pages nobody.
        category=ApplicationErrorCategory.BENIGN if pause else ApplicationErrorCategory.UNSPECIFIED,
    )


def refused(kind: FailureType, message: str, because: DynamicsError | None = None) -> ApplicationError:
    """A failure that no retry fixes: a person must act; ``because``: what a system answered."""
    details = (because.details(),) if because else ()
    return ApplicationError(message, *details, type=kind, non_retryable=True)


@contextmanager
def for_deal() -> Iterator[None]:
    """Make requests on behalf of the deal whose workflow asked, as urgent as it asked.

    Errors of Dynamics leave as failures of the activity.

    Raises:
        ApplicationError: in place of any `DynamicsError`.
    """
    info = activity.info()
    try:
        deal: AbstractContextManager[None] = on_behalf_of(*names.parse_deal_id(info.workflow_id or ""))
    except ValueError:  # a feed or a review: its requests belong to no single deal
        deal = nullcontext()
    with deal, prioritised((info.priority.priority_key if info.priority else None) or NORMAL):
        try:
            yield
        except DynamicsError as error:
            raise failure_of(error) from error
