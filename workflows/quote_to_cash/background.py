"""What goes on beside the stages: timers, the conversation with people, the answer of a request.

None of it may die unseen: what fails is noted here, and the deal parks with the reason, and starts it again when a
person says so. A deal has no other task beside its stages than those named in ``Part``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

from temporalio import workflow

Work = Callable[[], Coroutine[Any, Any, None]]


class Part(StrEnum):
    """All that goes on beside the stages of a deal, in the words a person reads where it stops."""

    DETAILS = "details in Temporal Web"
    AUDIT_TRAIL = "audit trail"
    NOTICES = "messages to people"
    PEOPLE = "conversation with people"
    ANSWER = "answer of the request for approval"
    EXPIRY = "expiry of the quote"
    CHANGE = "change of the order"
    LOOK = "daily look at Finance"


class Background:
    """The tasks of one run that go on beside its stages; they end with it."""

    def __init__(self) -> None:
        """Nothing goes on yet."""
        self._work: dict[Part, Work] = {}
        self._tasks: dict[Part, asyncio.Task[None]] = {}
        self._dead: dict[Part, None] = {}  # no set: what is begun again keeps its order in a replay
        self._unreported: dict[Part, str] = {}

    def start(self, part: Part, work: Work) -> None:
        """Let a part go on, in place of what it was before."""
        self.stop(part)
        self._work[part] = work
        self._begin(part)

    def stop(self, part: Part) -> None:
        """End a part; nothing is done where it does not go on."""
        self._dead.pop(part, None)
        self._unreported.pop(part, None)
        task = self._tasks.pop(part, None)
        if task is not None:
            task.cancel()

    def stop_all(self) -> None:
        """End everything."""
        for part in list(self._tasks):
            self.stop(part)

    def goes_on(self, part: Part) -> bool:
        """Whether it has neither ended nor failed."""
        task = self._tasks.get(part)
        return task is not None and not task.done()

    def revive(self, part: Part) -> None:
        """Start it again where it has failed; that it failed is reported all the same."""
        if part in self._dead:
            del self._dead[part]
            self._begin(part)

    def revive_all(self) -> None:
        """Start again whatever failed."""
        for part in list(self._dead):
            self.revive(part)

    # Failures

    @property
    def failure(self) -> str:
        """What failed and was not reported yet, in words; empty where nothing did."""
        return "; ".join(f"{part}: {text}" for part, text in self._unreported.items())

    def report(self) -> None:
        """Note that a person was told of what failed."""
        self._unreported.clear()

    def _begin(self, part: Part) -> None:
        task = asyncio.create_task(self._work[part](), name=part)
        task.add_done_callback(lambda done: self._ended(part, done))
        self._tasks[part] = task

    def _ended(self, part: Part, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if self._tasks.get(part) is task:
            workflow.logger.error("%s stopped", part, exc_info=error)
            self._dead[part] = None
            self._unreported[part] = f"{type(error).__name__}: {error}"[:1_000]
        else:
            workflow.logger.warning("%s failed while it was being stopped", part, exc_info=error)
