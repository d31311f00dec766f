"""Records that do not change any more, taken over into Sales every night, in one company, until somebody stops it.

A page is one activity, and the place behind it is this run's: killed anywhere, the page under way is read again and
nothing else. What Finance has changed is read from a while before the newest record seen; once a week everything is.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.history_signatures import CopyPage, HistoryActivities, OfHistory, PageCopied
    from domain.entities import history_run as rules
    from domain.entities.history_run import HistoryStart, HistoryView, Place, said_to_history
    from domain.entities.parallel_run import next_night
    from domain.messages import SignedMessage, VerifiedMessage
    from runs import names
    from workflows.spoken import SpokenTo
    from workflows.steps import RETRY, Argument, Patience, Result, attempt, cause_of

PATIENCE = Patience(RETRY, timedelta(minutes=10), silence=timedelta(seconds=20))
REST_AFTER_FAILURE = timedelta(minutes=5)


@workflow.defn(name=names.HISTORY)
class History(SpokenTo):
    """Takes over one company's records."""

    @workflow.init
    def __init__(self, start: HistoryStart) -> None:
        """Make the state before the first message is handled."""
        super().__init__(
            start.company, outcomes=start.outcomes, heard=start.heard, unheard=start.unheard, tally=start.tally
        )
        self._start = start
        self._view = start.view or HistoryView(kind=start.kind, company=start.company)
        self._timezone = start.timezone
        self._place = start.place
        self._since = start.since
        self._again_at: datetime | None = None

    @workflow.run
    async def run(self, start: HistoryStart) -> None:
        """Read, write and rest, for ever."""
        while True:
            self._describe()
            if self._long_enough():
                self._go_on_anew()
            if self._unheard:
                await self._hear_some()
            elif self._due_in() <= timedelta(0):
                await self._read_on()
            else:
                await self._rest()

    def _due_in(self) -> timedelta:
        """How long until there is something to read; for ever where it was stopped."""
        if not self._view.running:
            return timedelta.max
        at = self._again_at or (workflow.now() if self._view.reading else self._view.next_at or workflow.now())
        return at - workflow.now()

    async def _rest(self) -> None:
        left = self._due_in()
        try:
            await workflow.wait_condition(
                lambda: bool(self._unheard) or self._long_enough(),
                timeout=None if left == timedelta.max else left,
                timeout_summary="Until Finance is read",
            )
        except TimeoutError:
            return

    def _go_on_anew(self) -> None:
        kept = {"view": self._view, "timezone": self._timezone, "place": self._place, "since": self._since}
        workflow.continue_as_new(self._start.model_copy(update={**kept, **self._spoken()}))

    # A night

    async def _read_on(self) -> None:
        """Begin a reading, or read its next page; what fails is tried again after a rest."""
        self._something, self._again_at = True, None
        try:
            if not self._view.reading:
                await self._begin()
            page = await self._page()
            self._set(
                figures=self._view.figures.plus(page.figures),
                problem=page.problem or self._view.problem,
                failing="",
            )
            self._place = page.place
            if not page.more:
                await self._end()
        except ActivityError as error:
            cause, text = cause_of(error)
            self._set(failing=f"{cause}: {text}"[:1_000])
            self._again_at = workflow.now() + REST_AFTER_FAILURE

    async def _begin(self) -> None:
        opened = await self._do(HistoryActivities.open_history, self._of, "Read what is taken over")
        self._timezone = opened.timezone
        self._view = rules.begun(self._view, workflow.now(), opened.map_hash)
        self._place = Place() if self._view.whole else self._since

    async def _page(self) -> PageCopied:
        ask = CopyPage(kind=self._view.kind, company=self._company, place=self._place)
        summary = f"Take over what is behind {self._place.at or 'the beginning'}"
        return await self._do(HistoryActivities.copy_page, ask, summary)

    async def _end(self) -> None:
        counted = await self._do(HistoryActivities.count_history, self._of, "Count what Finance has")
        self._view = rules.ended(self._view, workflow.now(), counted.records)
        self._since = rules.overlapping(self._place)
        self._set(next_at=self._night())

    def _night(self) -> datetime:
        return next_night(workflow.now(), self._timezone, self._view.at)

    @property
    def _of(self) -> OfHistory:
        return OfHistory(kind=self._view.kind, company=self._company)

    async def _do(
        self, activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]], argument: Argument, summary: str
    ) -> Result:
        return await attempt(activity, argument, queue=names.FINANCE_BULK_QUEUE, summary=summary, patience=PATIENCE)

    # People

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        args, code, text = said_to_history(said)
        if args is not None:
            self._again_at = None
            if args.do == "stop":
                self._set(running=False)
            else:
                self._view = rules.started(self._view, workflow.now(), args)
            text = f"History of {self._company.upper()}: {'goes on' if self._view.running else 'rests'}"
        if self._answer(said, code, text):
            record_id = names.history_record_id(self._view.kind, self._company, *self._next_record())
            await self._write_said(
                message, said, code, text, record_id=record_id, event=said.name or "history", of="a history"
            )

    # Showing

    @workflow.query(name=names.STATE, description="How it stands")
    def state(self) -> HistoryView:
        """How it stands."""
        return self._view

    def _set(self, **changes: Any) -> None:
        self._view = self._view.model_copy(update=changes)

    def _describe(self) -> None:
        view, done = self._view, self._view.figures
        state = "stopped" if not view.running else view.failing or ("reads" if view.reading else "rests")
        rows = [
            f"**Past {view.kind}s of {view.company.upper()} in Sales**: {state}",
            "",
            "| | |",
            "|---|---|",
            f"| Last reading ended | {_at(view.ended_at)} |",
            f"| Of everything | {_at(view.whole_at)} |",
            f"| Next | {_at(view.next_at)} |",
            f"| Read, created, corrected | {done.read:,}, {done.created:,}, {done.corrected:,} |",
            f"| Finance has | {view.finance_records:,} |",
            *(f"| Left out: {cause} | {number:,} |" for cause, number in sorted(done.left_out.items())),
        ]
        workflow.set_current_details("\n".join(rows))


def _at(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "none yet"
