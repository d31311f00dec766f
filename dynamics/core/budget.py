"""How many requests a second this process may send to one system, urgent ones first.

A budget belongs to the system called, whoever calls it: Dataverse counts all requests of an application user, whichever
task queue they come from. So the client of a system holds it, in every process its share. The task queues' own limits
stay above it; they keep a flood of work from piling up in one worker.
Source: Microsoft Learn, "Service protection API limits" (Dataverse: 6,000 requests in 300 seconds).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from aiolimiter import AsyncLimiter

URGENT = 1
NORMAL = 3
"""Priorities as Temporal counts them: the smaller goes first."""

_priority: ContextVar[int] = ContextVar("q2c_request_priority", default=NORMAL)


@contextmanager
def prioritised(priority: int) -> Iterator[None]:
    """Mark every request made inside the block, in this task, with a priority."""
    token = _priority.set(priority)
    try:
        yield
    finally:
        _priority.reset(token)


class Budget:
    """A token bucket for one system in one process, whose waiters are served by priority, then in order."""

    def __init__(self, requests_per_second: float) -> None:
        """Nothing is spent yet; up to a second's worth may go at once.

        Args:
            requests_per_second: This process's share of what the system allows.
        """
        burst = max(1.0, requests_per_second)
        self._bucket = AsyncLimiter(burst, burst / requests_per_second)
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._serving: asyncio.Task[None] | None = None

    async def take(self) -> None:
        """Wait for the right to send one request, in the priority of the calling task."""
        if not self._waiting and self._bucket.has_capacity():
            await self._bucket.acquire()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (_priority.get(), next(self._order), turn))
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        await turn

    async def _serve(self) -> None:
        """Give each token, when it is there, to whoever is first in line at that moment."""
        while self._waiting:
            await self._bucket.acquire()
            while self._waiting:
                _, _, turn = heapq.heappop(self._waiting)
                if not turn.done():  # a caller that gave up takes no token
                    turn.set_result(None)
                    break
