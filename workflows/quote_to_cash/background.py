"""What goes on beside the stages: timers, the conversation with people, the answer of a request.

None of it may die unseen: what fails is noted here, and the deal parks with the reason, and starts it again when a
person says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from temporalio import workflow

Work = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """The tasks of one run that go on beside its stages; they end with it."""

    def __init__(self) -> None:
        """Nothing goes on yet."""
        self._work: dict[str, Work] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, str] = {}
        self._reported: set[str] = set()

    def start(self, name: str, work: Work) -> None:
        """Let something go on, in place of what had the name before."""
        self.stop(name)
        self._work[name] = work
        task = asyncio.create_task(work(), name=name)
        task.add_done_callback(lambda done: self._ended(name, done))
        self._tasks[name] = task

    def stop(self, name: str) -> None:
        """End what has the name; nothing is done where nothing has."""
        self._failed.pop(name, None)
        self._reported.discard(name)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    def stop_all(self) -> None:
        """End everything."""
        for name in list(self._tasks):
            self.stop(name)

    def goes_on(self, name: str) -> bool:
        """Whether it has neither ended nor failed."""
        task = self._tasks.get(name)
        return task is not None and not task.done()

    def revive(self, name: str) -> None:
        """Start it again where it has failed."""
        if name in self._failed:
            self.start(name, self._work[name])

    # Failures

    @property
    def failure(self) -> str:
        """What failed and was not reported yet, in words; empty where nothing did."""
        return "; ".join(f"{name}: {text}" for name, text in self._failed.items() if name not in self._reported)

    def report(self) -> None:
        """Note that a person was told of what failed."""
        self._reported.update(self._failed)

    def revive_all(self) -> None:
        """Start again whatever failed."""
        for name in list(self._failed):
            self.revive(name)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is not task or task.cancelled():
            return
        error = task.exception()
        if error is not None:
            workflow.logger.error("%s stopped", name, exc_info=error)
            self._failed[name] = f"{type(error).__name__}: {error}"[:1_000]
