"""Signs of life: sent for every activity that is watched, never for a short one, and never in place of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.delivery import progress
from activities.heartbeat import LARGE, KeptAlive, note_progress

WATCHED = timedelta(seconds=0.15)


class Doing(ActivityInboundInterceptor):
    """What comes after the interceptor: the activity."""

    def __init__(self, work: Callable[[], Awaitable[Any]]) -> None:
        self._work = work

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return await self._work()


class Watched:
    """An activity with a heartbeat time-out, and the signs of life it gave."""

    def __init__(self, silence: timedelta | None) -> None:
        self.signs: list[tuple[Any, ...]] = []
        self.environment = ActivityEnvironment()
        self.environment.info = replace(self.environment.info, heartbeat_timeout=silence)
        self.environment.on_heartbeat = lambda *details: self.signs.append(details)

    def run(self, work: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
        kept = KeptAlive().intercept_activity(Doing(work))
        given = ExecuteActivityInput(fn=work, args=(), executor=None, headers={})
        return self.environment.run(kept.execute_activity, given)


async def test_an_activity_that_says_nothing_of_itself_is_heard_of() -> None:
    watched = Watched(WATCHED)

    async def silent() -> str:
        await asyncio.sleep(0.4)
        return "done"

    assert await watched.run(silent) == "done"
    assert len(watched.signs) >= 3


async def test_an_activity_that_is_over_at_once_gives_no_sign_and_one_that_nobody_watches_neither() -> None:
    for silence, seconds in ((timedelta(seconds=4), 0.1), (None, 0.3)):
        watched = Watched(silence)

        async def works(seconds: float = seconds) -> None:
            await asyncio.sleep(seconds)

        await watched.run(works)
        assert watched.signs == []


async def test_a_sign_tells_how_far_the_work_is_and_progress_of_its_own_stands() -> None:
    watched = Watched(WATCHED)

    async def writes() -> None:
        note_progress(150)
        await asyncio.sleep(0.2)

    await watched.run(writes)
    assert set(watched.signs) == {(150,)}

    feeding = Watched(WATCHED)

    async def feeds() -> None:
        async with progress() as settled:
            settled.add("a report")
            await asyncio.sleep(0.2)

    await feeding.run(feeds)
    assert feeding.signs and all(sign == (["a report"],) for sign in feeding.signs)


@pytest.mark.parametrize(("silence", "ends"), [(WATCHED, "done"), (LARGE, "stopped")])
async def test_what_its_deal_gives_up_is_let_finish_unless_it_is_long(silence: timedelta, ends: str) -> None:
    """So the outcome of a write that has left is known; only a large document is not waited for."""
    watched = Watched(silence)
    began = asyncio.Event()

    async def writes() -> str:
        began.set()
        await asyncio.sleep(0.3)
        return "done"

    running = asyncio.ensure_future(watched.run(writes))
    await began.wait()
    watched.environment.cancel(cancellation_details=ActivityCancellationDetails(cancel_requested=True))
    try:
        came_to = await running
    except asyncio.CancelledError:
        came_to = "stopped"
    assert came_to == ends


@pytest.mark.parametrize("why", ["timed_out", "not_found", "worker_shutdown"])
async def test_a_try_that_counts_no_more_is_stopped(why: str) -> None:
    """Another try is under way elsewhere, or the worker ends."""
    watched = Watched(WATCHED)
    began, stopped = asyncio.Event(), asyncio.Event()

    async def writes() -> None:
        began.set()
        try:
            await asyncio.sleep(30)
        finally:
            stopped.set()

    running = asyncio.ensure_future(watched.run(writes))
    await began.wait()
    watched.environment.cancel(cancellation_details=ActivityCancellationDetails(**{why: True}))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stopped.is_set()
