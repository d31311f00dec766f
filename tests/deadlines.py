"""A test that waits forever fails, and says where it waited; the run goes on.

An alarm raised in a process with an event loop is lost where a callback or a task of somebody else's happens to run: the
loop takes it for that one's error, and the test waits on. So a coroutine test is cancelled by the loop itself, and what
cannot be cancelled (a blocking call, a fixture) ends with its process: `timeout_method = "thread"` in pyproject.toml.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest

CLEARING_UP = 30.0
"""Seconds between the deadline of a coroutine test and the end of its process: its fixtures still run."""

Test = Callable[..., Coroutine[Any, Any, None]]


def bound(items: Iterable[pytest.Item], seconds: float) -> None:
    """Give each coroutine test a deadline of its own, in its loop.

    Args:
        items: What was collected.
        seconds: How long a test may take that carries no mark `timeout` of its own.
    """
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            mark = item.get_closest_marker("timeout")
            item.obj = _within((float(mark.args[0]) if mark else seconds) - CLEARING_UP, item.obj)


def _within(seconds: float, test: Test) -> Test:
    @functools.wraps(test)
    async def bounded(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(seconds):
            await test(*args, **kwargs)

    return bounded
