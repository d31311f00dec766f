"""One rule for every call to Temporal: answer soon, or say clearly that there was no answer.

The SDK retries a service that is down for longer than a person or a webhook sender waits; here each call has five
seconds, and what is wrong with the service is told apart from what is wrong with the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from temporalio.service import RPCError, RPCStatusCode

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
_NO_ANSWER = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.ABORTED,
    }
)


class NoAnswer(Exception):
    """Temporal did not answer, so it is not known whether anything happened."""

    def __init__(self, detail: str = "Temporal does not answer. Try again in a moment.") -> None:
        super().__init__(detail)
        self.detail = detail


async def answer(call: Awaitable[T], patience: float | None = None) -> T:
    """Wait for a call to Temporal.

    Args:
        call: the call.
        patience: seconds; None: the five that every call has.

    Raises:
        NoAnswer: the service is down, overloaded or slow.
        RPCError: the service answered with something else, e.g. that there is no such run.
    """
    try:
        return await asyncio.wait_for(call, PATIENCE_SECONDS if patience is None else patience)
    except TimeoutError as error:
        raise NoAnswer from error
    except RPCError as error:
        if error.status in _NO_ANSWER:
            raise NoAnswer from error
        raise
