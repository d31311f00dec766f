"""How a deal or a request has people told: beside all it does, and without ever waiting for it or failing by it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError

from activities.notice_signatures import TellingActivities
from domain.notices import Notice, Notices
from runs import names
from workflows.steps import execute

MOST: Final = 50
"""Notices that wait to be passed on; of more the oldest are dropped, and counted."""
AT_ONCE: Final = 20
LONGEST_TRY: Final = timedelta(minutes=5)
AT_THE_END: Final = timedelta(seconds=30)
"""How long a deal or a request that has ended goes on for what nobody was told yet."""
REST: Final = timedelta(minutes=10)
LAST: Final = Priority(priority_key=5)


class Courier:
    """The notices of one run, on their way to the people they are for."""

    def __init__(self, key: str, pending: Iterable[Notice] = ()) -> None:
        """Begin with what the run before had not passed on.

        Args:
            key: what no other run has: makes the notices' ids.
            pending: notices of the run before.
        """
        self._key = key
        self._pending = list(pending)
        self._taken = 0

    @property
    def pending(self) -> tuple[Notice, ...]:
        """What was not passed on yet, for the next run."""
        return tuple(self._pending)

    def take(self, told: Collection[str] | None, notices: Callable[[], Iterable[Notice]]) -> None:
        """Take notices of the kinds that somebody chose.

        Args:
            told: the kinds that anybody is told; none: nothing is done; None: not known, and looked up later.
            notices: makes the notices. Whatever it raises is a defect of ours, in the log, and harms nothing else.
        """
        if told is not None and not told:
            return
        try:
            found = [notice for notice in notices() if told is None or notice.kind in told]
        except Exception:  # noqa: BLE001 - what people are told must not stop what they are told of
            workflow.logger.exception("nobody is told: the notices could not be made")
            return
        numbers = range(self._taken + 1, self._taken + len(found) + 1)
        self._taken += len(found)
        self.take_over(
            n.model_copy(update={"notice_id": f"{self._key}/{i}"}) for n, i in zip(found, numbers, strict=True)
        )

    def take_over(self, notices: Iterable[Notice]) -> None:
        """Take notices that another run made and did not pass on."""
        self._pending.extend(notices)
        if len(self._pending) > MOST:
            workflow.logger.warning("%d notices are dropped: too many wait", len(self._pending) - MOST)
            del self._pending[:-MOST]

    async def deliver(self) -> None:
        """Pass on what is taken. It goes on until it is cancelled."""
        while True:
            await workflow.wait_condition(lambda: bool(self._pending))
            if not await self._pass_on(LONGEST_TRY):
                await workflow.sleep(REST, summary="Try again to tell people")

    async def finish(self) -> None:
        """Pass on what is left, for a moment; what cannot be is in the log."""
        while self._pending and await self._pass_on(AT_THE_END):
            pass
        if self._pending:
            workflow.logger.warning("%d notices are dropped: they could not be passed on", len(self._pending))

    async def _pass_on(self, longest: timedelta) -> bool:
        some = self._pending[:AT_ONCE]
        try:
            await execute(
                TellingActivities.tell_people,
                Notices(notices=tuple(some)),
                task_queue=names.DEAL_QUEUE,
                start_to_close_timeout=timedelta(seconds=30),
                schedule_to_close_timeout=longest,
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
                summary="Tell people: " + ", ".join(dict.fromkeys(notice.kind.heading for notice in some))[:100],
                priority=LAST,
            )
        except ActivityError as error:
            workflow.logger.warning("people could not be told: %s", error.cause)
            return False
        sent = {notice.notice_id for notice in some}
        self._pending[:] = [notice for notice in self._pending if notice.notice_id not in sent]
        return True
