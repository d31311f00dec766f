"""Says every now and then that an activity lives, so that a long one is not taken for a dead one.

The server records a heartbeat only where the activity was given a heartbeat time-out; elsewhere it costs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

SECONDS = 10.0


class Beat:
    """What the next heartbeat tells of the work: how far it is."""

    def __init__(self) -> None:
        self.done = 0

    def note(self, done: int) -> None:
        """So much is done; told at once, so that a person who looks sees it move."""
        self.done = done
        activity.heartbeat(done)


@asynccontextmanager
async def beating() -> AsyncIterator[Beat]:
    """Send a heartbeat every ten seconds while the block runs, with the progress noted last."""
    beat = Beat()

    async def keep() -> None:
        while True:
            await asyncio.sleep(SECONDS)
            activity.heartbeat(beat.done)

    task = asyncio.create_task(keep())
    try:
        yield beat
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
