"""A test that waits forever fails, and says where it waited; the run goes on.

pytest-timeout's alarm is not enough where there is an event loop: raised while a callback or a task of something else
runs, it is taken for that one's error, and the test waits on. And the alarm is off once a test has failed, while its
fixtures may still wait. So the loop itself cancels a coroutine test, and where even that is not enough, the process
ends.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import io
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PATIENCE = 90.0
"""Seconds that anything a test waits for may take to come to be, everywhere; on an idle machine it takes under one.

A wait that ends well costs nothing more for it, and what a loaded machine makes late is no failure. It is well below
what a whole test may take, so that the wait says what did not come, and not the clock of pytest.
"""
CLEARING_UP = 30.0
"""Seconds between the deadline of a coroutine test in its loop and the alarm of pytest-timeout."""
LAST_RESORT = 120.0
"""Seconds between that alarm and the end of the process: the fixtures of a session may end in between."""

Test = Callable[..., Coroutine[Any, Any, None]]


async def in_time(what: str, work: Coroutine[Any, Any, None]) -> None:
    """Wait for something that ends by itself; where it does not, fail with what every task still waits for."""
    task = asyncio.create_task(work)
    await asyncio.wait([task], timeout=PATIENCE)
    if not task.done():
        stacks = io.StringIO()
        for waiting in asyncio.all_tasks():
            waiting.print_stack(file=stacks)
        task.cancel()
        raise AssertionError(f"{what} does not end:\n{stacks.getvalue()}")
    await task


def seconds_of(item: pytest.Item, default: float) -> float:
    """How long a test may take: what its mark ``timeout`` says, else what holds for all."""
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else default


def bound(items: Iterable[pytest.Item], default: float) -> None:
    """Give each coroutine test a deadline of its own, in its loop.

    Args:
        items: What was collected.
        default: Seconds a test may take that carries no mark ``timeout`` of its own.
    """
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _within(seconds_of(item, default) - CLEARING_UP, item.obj)


@contextmanager
def ended(seconds: float) -> Iterator[None]:
    """End the process where what is inside takes longer; pytest-xdist names the test and goes on with another process.

    `faulthandler` could do this and show the stacks, but pytest calls it off when a test fails.
    """
    clock = threading.Timer(seconds + LAST_RESORT, os._exit, (1,))
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()


def _within(seconds: float, test: Test) -> Test:
    @functools.wraps(test)
    async def bounded(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(seconds):
            await test(*args, **kwargs)

    return bounded
