"""Says every now and then that an activity lives, so that one whose worker died is tried again within seconds.

``KeptAlive`` does it for every activity that was given a heartbeat time-out, from the outside: none can forget it. One
that is over before the first sign is due sends none, and costs nothing. An activity that knows how far it is tells it
by ``note_progress``; one that sends heartbeats of its own says so by ``beats_itself``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.record import Record

SECONDS = 10.0
"""Between two signs of life at most."""
SIGNS = 3
"""Signs of life within a time-out: two may be late, or lost."""
MOST_OFTEN = timedelta(seconds=1)
"""How often the SDK may pass a sign on; it passes the first one on at once."""
LARGE = timedelta(seconds=30)
"""A time-out from here on is that of a large document: such an activity ends where its deal gives it up. Shorter ones
are let finish what they began, so that its outcome is known.
"""


class _Progress:
    """What the signs of life of one activity tell."""

    def __init__(self) -> None:
        self.done: int | Record = 0
        self.silent = False


_progress: ContextVar[_Progress | None] = ContextVar("q2c_progress", default=None)


def note_progress(done: int | Record) -> None:
    """So much is done, in what the activity counts; told at once, so that a person who looks sees it move.

    A record is what another try goes on from.
    """
    kept = _progress.get()
    if kept is not None:
        kept.done = done
    activity.heartbeat(done)


def beats_itself() -> None:
    """The activity sends heartbeats of its own from here on, whose details nothing else may take the place of."""
    kept = _progress.get()
    if kept is not None:
        kept.silent = True


@contextmanager
def _signs(progress: _Progress, seconds: float) -> Iterator[None]:
    async def keep() -> None:
        while True:
            await asyncio.sleep(seconds)
            if not progress.silent:
                activity.heartbeat(progress.done)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()


class KeptAlive(Interceptor):
    """Sends heartbeats for activities that were given a heartbeat time-out."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Wrap an activity."""
        return _Kept(next)


class _Kept(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        silence = activity.info().heartbeat_timeout
        if not silence:
            return await self.next.execute_activity(input)
        progress = _Progress()
        token = _progress.set(progress)
        try:
            with _signs(progress, min(SECONDS, silence.total_seconds() / SIGNS)):
                if silence >= LARGE:
                    return await self.next.execute_activity(input)
                return await _finished(asyncio.ensure_future(self.next.execute_activity(input)))
        finally:
            _progress.reset(token)


async def _finished(work: asyncio.Future[Any]) -> Any:
    """What an activity comes to, though its deal gives it up meanwhile.

    Where the worker ends, or the try counts no more, it is stopped.
    """
    while True:
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            why = activity.cancellation_details()
            given_up = why is not None and why.cancel_requested
            if work.done() or not given_up or activity.is_worker_shutdown():
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
                raise
