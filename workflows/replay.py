"""Letters that a person has tried again together: taken up some at a time, written by their sync, and counted.

A dry run asks both systems what would become of each letter, and writes nothing. What became of each letter of another
run stands in the letter.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.sync_signatures import FinanceSyncActivities, LookAtReplay, SomeLetters
    from domain.entities.letters import LetterStatus
    from domain.entities.sync_run import ReplayStart, ReplayView
    from runs import names
    from workflows.steps import Argument, Patience, Result, attempt

PATIENCE = Patience(
    RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=2)),
    timedelta(minutes=10),
    silence=timedelta(seconds=20),
)
LOOK_EVERY = timedelta(seconds=2)
LONGEST_PAUSE = timedelta(minutes=5)
SHOWN = 500


@workflow.defn(name=names.REPLAY)
class Replay:
    """Tries letters again."""

    @workflow.init
    def __init__(self, start: ReplayStart) -> None:
        """Make the state before the first question."""
        self._start = start
        self._view = start.view or ReplayView(replay=start.replay, dry_run=start.dry_run)
        self._after = start.after
        self._queued = start.queued

    @workflow.run
    async def run(self, start: ReplayStart) -> ReplayView:
        """Take all letters up, and wait until none waits any more."""
        if not self._queued:
            await self._take_up()
        if not start.dry_run:
            await self._wait()
        self._set(ended=True)
        return self._view

    async def _take_up(self) -> None:
        activity = FinanceSyncActivities.try_letters if self._start.dry_run else FinanceSyncActivities.queue_letters
        while True:
            self._go_on_anew_if_long()
            some = await self._do(activity, SomeLetters(start=self._asked, after=self._after), "Take letters up")
            if not some.letters:
                break
            self._after = some.last
            room = SHOWN - len(self._view.items)
            self._set(
                tried=self._view.tried + some.letters,
                done=self._view.done + some.done,
                failed=self._view.failed + (some.letters - some.done if self._start.dry_run else 0),
                items=self._view.items | dict(list(some.items.items())[: max(room, 0)]),
            )
        self._queued = True

    async def _wait(self) -> None:
        pause = LOOK_EVERY
        while True:
            found = await self._do(
                FinanceSyncActivities.look_at_replay, LookAtReplay(replay=self._start.replay), "See what became of them"
            )
            left = found.letters.get(LetterStatus.QUEUED, 0)
            done = found.letters.get(LetterStatus.DONE, 0)
            self._set(waiting=left, done=done, failed=sum(found.letters.values()) - left - done)
            if not left:
                return
            self._go_on_anew_if_long()
            await workflow.sleep(pause, summary="Until the sync has looked at them")
            pause = min(pause * 1.5, LONGEST_PAUSE)

    @workflow.query(name=names.STATE, description="What became of the letters")
    def state(self) -> ReplayView:
        """What became of the letters."""
        return self._view

    @property
    def _asked(self) -> ReplayStart:
        """Which letters, without what is known of this run."""
        return self._start.model_copy(update={"view": None, "after": "", "queued": False})

    def _go_on_anew_if_long(self) -> None:
        if workflow.info().is_continue_as_new_suggested():
            update = {"view": self._view, "after": self._after, "queued": self._queued}
            workflow.continue_as_new(self._start.model_copy(update=update))

    def _set(self, **changes: Any) -> None:
        self._view = self._view.model_copy(update=changes)

    async def _do(
        self, activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]], argument: Argument, summary: str
    ) -> Result:
        return await attempt(activity, argument, queue=names.FINANCE_BULK_QUEUE, summary=summary, patience=PATIENCE)
