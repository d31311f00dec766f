"""What becomes of a part that dies: it is started again, and people hear of it; one that keeps dying ends the stack.

The bound is three restarts within a minute. A worker that something outside kills is not counted: that a worker may be
killed at any moment is what the product promises, and what one tries on this stack.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from demo.processes import ChildProcess

RESTARTS = 3
WINDOW_SECONDS = 60.0
PAUSE_SECONDS = 0.3
_FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})

Say = Callable[[str], None]


class StackFailed(Exception):
    """A part did not start or keeps ending; the text names it, why, and shows the end of its log."""


@dataclass
class Part:
    """One process of the stack and how it is brought up.

    Attributes:
        title: what people call it.
        child: its process.
        start: starts the process and returns when it can work; raises StackFailed where it ends before.
        may_be_killed: whether being killed from outside is part of its life.
        lost: what went with it when it died, as a sentence; empty: nothing.
        dependents: parts that have to be started again when this one was.
    """

    title: str
    child: ChildProcess
    start: Callable[[], Awaitable[None]]
    may_be_killed: bool = False
    lost: str = ""
    dependents: tuple[str, ...] = ()
    _restarts: deque[float] = field(default_factory=deque)
    _with: str = ""

    def restart_with(self, other: str) -> None:
        """Note that its next end is on purpose, because another part was started again."""
        self._with = other

    def take_end(self, code: int, now: float) -> str:
        """Note its end and say why it is started again.

        Args:
            code: exit code; negative: killed by that signal.
            now: monotonic seconds.

        Returns:
            The reason in words.

        Raises:
            StackFailed: it ended too often.
        """
        if self._with:
            reason, self._with = f"is started again with {self._with}", ""
            return reason
        if self.may_be_killed and -code in _FROM_OUTSIDE:
            return f"{ended(code)} and is started again"
        while self._restarts and now - self._restarts[0] > WINDOW_SECONDS:
            self._restarts.popleft()
        if len(self._restarts) == RESTARTS:
            raise StackFailed(
                f"{self.title} {ended(code)} again, after {RESTARTS} restarts within {WINDOW_SECONDS:.0f} s.\n"
                f"{end_of_log(self.child)}"
            )
        self._restarts.append(now)
        return f"{ended(code)} and is started again ({len(self._restarts)} of {RESTARTS} times within a minute)"


class Supervisor:
    """Watches the parts of one stack."""

    def __init__(self, parts: dict[str, Part], say: Say, restarted: Callable[[str], None]) -> None:
        """Nothing is watched yet.

        Args:
            parts: by name.
            say: tells people what happens, one sentence at a time.
            restarted: called with a part's name when it works again.
        """
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parts = parts
        self._say = say
        self._restarted = restarted
        self._watchers: list[asyncio.Task[None]] = []

    def watch(self) -> None:
        """Begin; every part runs."""
        self._watchers = [asyncio.create_task(self._watch(name), name=f"watch {name}") for name in self._parts]

    async def stop(self) -> None:
        """Stop watching, so that parts may end."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self.failed.cancel()

    async def _watch(self, name: str) -> None:
        part = self._parts[name]
        try:
            while True:
                reason = part.take_end(await part.child.wait(), time.monotonic())
                self._say(" ".join(sentence for sentence in (f"{part.title} {reason}.", part.lost) if sentence))
                await asyncio.sleep(PAUSE_SECONDS)
                try:
                    await part.start()
                except StackFailed:
                    if part.child.running:
                        raise
                    continue  # it ended before it could work: counted like any other end
                self._say(f"{part.title} is ready again.")
                self._restarted(name)
                await self._restart_dependents(part)
        except StackFailed as failure:
            if not self.failed.done():
                self.failed.set_exception(failure)

    async def _restart_dependents(self, part: Part) -> None:
        for name in part.dependents:
            dependent = self._parts.get(name)
            if dependent is not None and dependent.child.running:
                dependent.restart_with(part.title)
                dependent.child.terminate()


def ended(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name}"


def end_of_log(child: ChildProcess) -> str:
    """The last lines of a part's log, with where they stand."""
    return f"End of {child.log_file}:\n{child.log_tail()}"


def ended_early(child: ChildProcess, code: int) -> StackFailed:
    """What is said of a part that ended before it was ready."""
    return StackFailed(f"{child.name} {ended(code)} before it was ready. {end_of_log(child)}")
