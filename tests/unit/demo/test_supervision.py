"""A part that dies is started again, and people are told; one that keeps dying ends the stack with its log."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.processes import ChildProcess
from demo.supervision import RESTARTS, WINDOW_SECONDS, Part, StackFailed, Supervisor
from tests.deadlines import PATIENCE

LIVES = "import time; print('at work', flush=True); time.sleep(60)"
ENDS = "print('no disk left'); raise SystemExit(7)"


def part(tmp_path: Path, script: str, *, name: str = "part", **more: object) -> Part:
    child = ChildProcess(name, [sys.executable, "-c", script], dict(os.environ), tmp_path)

    async def start() -> None:
        await child.start(read_stdout=script is LIVES)
        if script is LIVES:
            await child.first_line()

    return Part(f"The {name}", child, start, **more)  # type: ignore[arg-type]


class Watched:
    """Parts under a supervisor, and what it said."""

    def __init__(self, *parts: Part) -> None:
        self.said: list[str] = []
        self.restarted: list[str] = []
        self.parts = {part.child.name: part for part in parts}
        self.supervisor = Supervisor(self.parts, self.said.append, self.restarted.append)

    async def __aenter__(self) -> Watched:
        for watched in self.parts.values():
            await watched.start()
        self.supervisor.watch()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.supervisor.stop()
        for watched in self.parts.values():
            await watched.child.stop(5)


async def until(so: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not so():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_a_killed_part_is_started_again_and_people_are_told(tmp_path: Path, number: signal.Signals) -> None:
    async with Watched(part(tmp_path, LIVES, lost="What it knew is gone.")) as watched:
        before = watched.parts["part"].child.pid
        os.kill(before, number)
        await until(lambda: watched.restarted)
        assert watched.parts["part"].child.running
        assert watched.parts["part"].child.pid != before
    assert watched.said == [
        f"The part was killed by {number.name} and is started again (1 of 3 times within a minute). "
        "What it knew is gone.",
        "The part is ready again.",
    ]


async def test_a_part_that_keeps_ending_ends_the_stack_with_the_end_of_its_log(tmp_path: Path) -> None:
    async with Watched(part(tmp_path, ENDS)) as watched:
        with pytest.raises(StackFailed) as failure:
            await asyncio.wait_for(watched.supervisor.failed, PATIENCE)
    restarts = [text for text in watched.said if "is started again" in text]
    assert len(restarts) == RESTARTS
    assert "The part ended with code 7 again, after 3 restarts within 60 s." in str(failure.value)
    assert str(tmp_path / "part.log") in str(failure.value)
    assert "no disk left" in str(failure.value)


async def test_what_depends_on_a_part_is_started_again_with_it(tmp_path: Path) -> None:
    first = part(tmp_path, LIVES, name="server", dependents=("client", "absent"))
    second = part(tmp_path, LIVES, name="client")
    async with Watched(first, second) as watched:
        os.kill(first.child.pid, signal.SIGKILL)
        await until(lambda: watched.restarted == ["server", "client"])
    assert "The client is started again with The server." in watched.said


def test_ends_longer_ago_than_a_minute_do_not_count(tmp_path: Path) -> None:
    dying = part(tmp_path, ENDS)
    for n in range(10):
        dying.take_end(1, now=n * (WINDOW_SECONDS / RESTARTS + 1))
    with pytest.raises(StackFailed):
        for _ in range(RESTARTS + 1):
            dying.take_end(1, now=1000)


def test_a_worker_may_be_killed_as_often_as_somebody_likes_but_not_fail_so_often(tmp_path: Path) -> None:
    worker = part(tmp_path, LIVES, may_be_killed=True)
    for _ in range(20):
        assert worker.take_end(-signal.SIGKILL, now=0) == "was killed by SIGKILL and is started again"
    for _ in range(RESTARTS):
        worker.take_end(-signal.SIGSEGV, now=0)
    with pytest.raises(StackFailed):
        worker.take_end(1, now=0)
