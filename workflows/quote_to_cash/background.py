"""What goes on beside the stages: timers, the conversation with people, the answer of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Background:
    """The tasks of one run that go on beside its stages; they end with it."""

    def __init__(self) -> None:
        """Nothing goes on yet."""
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Let something go on, in place of what had the name before."""
        self.stop(name)
        self._tasks[name] = asyncio.create_task(work, name=name)

    def stop(self, name: str) -> None:
        """End what has the name; nothing is done where nothing has."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    def stop_all(self) -> None:
        """End everything."""
        for name in list(self._tasks):
            self.stop(name)
