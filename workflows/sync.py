"""Records of an entity kept in step, in one company, for ever: the only one that writes them.

Once in a while it reads what changed in both systems, a page at a time, has what changed looked at, and rests. Between
two readings of all of Finance it does not see what moves no time of change there. What could not be applied lies in
letters, of which people say what is to be; whoever says so is proved, heard once and written down. Every rest goes on
as a new run where the server suggests it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.sync_signatures import (
        ApplyChanges,
        ChangesRead,
        FinanceSyncActivities,
        OfSync,
        SalesSyncActivities,
        SettleLetter,
    )
    from domain.entities.merge import LetterCause
    from domain.entities.sync_run import ReplayStart, SyncStart, SyncView
    from domain.entities.sync_said import RunArgs, SettleArgs, Word, said_to_sync
    from domain.messages import SignedMessage, VerifiedMessage
    from domain.refusals import Refusal
    from runs import names
    from workflows.replay import Replay
    from workflows.spoken import SpokenTo
    from workflows.steps import RETRY, Argument, Patience, Result, attempt, cause_of, or_cancelled

PATIENCE = Patience(RETRY, timedelta(minutes=10), silence=timedelta(seconds=20))
OPEN_AGAIN = timedelta(minutes=5)
"""How long the map, and what Dual-Write runs, is taken to be as it was read."""
PARTS_A_ROUND = 4
"""Parts of Finance that are read between two looks at what changed."""
REST_AFTER_FAILURE = timedelta(seconds=30)


@workflow.defn(name=names.SYNC)
class Sync(SpokenTo):
    """Keeps one entity in step in one company."""

    @workflow.init
    def __init__(self, start: SyncStart) -> None:
        """Make the state before the first message is handled."""
        super().__init__(
            start.company, outcomes=start.outcomes, heard=start.heard, unheard=start.unheard, tally=start.tally
        )
        self._start = start
        self._view = start.view or SyncView(entity=start.entity, company=start.company)
        self._every = timedelta(seconds=start.every_seconds or 20)
        self._round_at = workflow.now()
        self._open_at = workflow.now()
        self._sweep_at = start.sweep_at or workflow.now()

    @workflow.run
    async def run(self, start: SyncStart) -> None:
        """Look, write and rest, for ever."""
        while True:
            self._describe()
            if self._long_enough():
                self._go_on_anew()
            if self._unheard:
                await self._hear_some()
            elif self._view.running and self._round_at <= workflow.now():
                await self._round()
            else:
                await self._rest()

    async def _rest(self) -> None:
        left = self._round_at - workflow.now() if self._view.running else None
        try:
            await workflow.wait_condition(
                lambda: bool(self._unheard) or self._long_enough(),
                timeout=left,
                timeout_summary="Until both systems are asked what changed",
            )
        except TimeoutError:
            return

    def _go_on_anew(self) -> None:
        update = {"view": self._view, "sweep_at": self._sweep_at, **self._spoken()}
        workflow.continue_as_new(self._start.model_copy(update=update))

    # A round

    async def _round(self) -> None:
        """Read what changed, and look at it; what fails is tried again after a rest."""
        self._something = True
        try:
            await self._open()
            await self._read(self._sales, SalesSyncActivities.read_sales_changes, "Read what changed in Sales")
            await self._read(self._finance, FinanceSyncActivities.read_finance_changes, "Read what changed in Finance")
            swept = await self._sweep()
            done = await self._apply()
        except ActivityError as error:
            cause, text = cause_of(error)
            self._set(failing=f"{cause}: {text}"[:1_000])
            self._round_at = workflow.now() + max(self._every, REST_AFTER_FAILURE)
            return
        self._set(failing="", round_at=workflow.now())
        self._round_at = workflow.now() + (self._every if swept and done else timedelta(0))

    async def _open(self) -> None:
        if self._open_at > workflow.now():
            return
        opened = await self._sales(SalesSyncActivities.open_sync, self._of, "Read what is kept in step")
        self._set(map_hash=opened.map_hash, resting=opened.resting)
        self._every = timedelta(seconds=self._start.every_seconds or opened.every_seconds)
        self._open_at = workflow.now() + OPEN_AGAIN

    async def _read(
        self, on: Callable[..., Coroutine[Any, Any, ChangesRead]], activity: Callable[..., Any], summary: str
    ) -> None:
        """Read pages of changes until there are no more; so many of them are one history's that it ends here."""
        while not workflow.info().is_continue_as_new_suggested():
            page = await on(activity, self._of, summary)
            if page.expired:
                workflow.logger.warning("the link to changes of Sales has expired: %s", page.expired)
            if not page.more:
                return

    async def _sweep(self) -> bool:
        """Read some parts of Finance, where it is time; whether none is left."""
        if self._sweep_at > workflow.now():
            return True
        for _ in range(PARTS_A_ROUND):
            part = await self._finance(
                FinanceSyncActivities.sweep_finance_records, self._of, "Read a part of Finance whole"
            )
            if not part.more:
                self._set(swept_at=workflow.now())
                self._sweep_at = workflow.now() + timedelta(seconds=self._start.sweep_seconds)
                return True
        return False

    async def _apply(self) -> bool:
        """Have what changed looked at; whether nothing is left."""
        while not (self._unheard or workflow.info().is_continue_as_new_suggested()):
            done = await self._finance(
                FinanceSyncActivities.apply_changes,
                ApplyChanges(entity=self._start.entity, company=self._start.company),
                "Look at what changed, and write it",
            )
            self._set(
                resting=done.resting,
                waiting=done.waiting,
                letters=done.letters,
                figures=self._view.figures.plus(done.figures),
                lag_seconds=self._view.lag_seconds | done.lag_seconds,
            )
            self._measure()
            if done.resting or not done.due:
                return True
        return False

    @property
    def _of(self) -> OfSync:
        return OfSync(entity=self._start.entity, company=self._start.company)

    async def _sales(
        self, activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]], argument: Argument, summary: str
    ) -> Result:
        return await attempt(activity, argument, queue=names.DATAVERSE_BULK_QUEUE, summary=summary, patience=PATIENCE)

    async def _finance(
        self, activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]], argument: Argument, summary: str
    ) -> Result:
        return await attempt(activity, argument, queue=names.FINANCE_BULK_QUEUE, summary=summary, patience=PATIENCE)

    # People

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        args, code, text = said_to_sync(said)
        if isinstance(args, RunArgs):
            text = await self._run_or_rest(args, said.message_id)
        elif isinstance(args, SettleArgs):
            code, text = await self._settle_letter(args, said)
        if self._answer(said, code, text):
            record_id = names.sync_record_id(self._start.entity, self._company, *self._next_record())
            await self._write_said(
                message, said, code, text, record_id=record_id, event=said.name or "sync", of="a sync"
            )

    async def _run_or_rest(self, args: RunArgs, message_id: str) -> str:
        if args.do == "replay":
            return await self._replay(args, message_id)
        self._set(running=args.do == "start")
        self._round_at = self._open_at = workflow.now()
        return f"{self._start.entity} of {self._company.upper()}: {'kept in step' if self._view.running else 'rests'}"

    async def _settle_letter(self, args: SettleArgs, said: VerifiedMessage) -> tuple[Refusal | None, str]:
        word = Word(args=args, oid=said.person.oid, name=said.person.name)
        ask = SettleLetter(entity=self._start.entity, company=self._company, word=word)
        try:
            taken = await self._finance(FinanceSyncActivities.settle_letter, ask, "Say what becomes of a letter")
        except ActivityError as error:
            return Refusal.LEDGER_UNAVAILABLE, cause_of(error)[1]
        self._round_at = workflow.now()
        return taken.code, taken.text

    async def _replay(self, args: RunArgs, message_id: str) -> str:
        """Have letters tried again by a run of their own, which has this one write them."""
        replay = names.replay_id(self._start.entity, self._company, message_id)
        start = ReplayStart(
            entity=self._start.entity,
            company=self._company,
            replay=replay,
            **args.model_dump(include={"letters", "of_reason", "of_cause", "of_key", "dry_run"}),
        )
        try:
            await or_cancelled(
                workflow.start_child_workflow(
                    Replay.run,
                    start,
                    id=replay,
                    task_queue=names.DEAL_QUEUE,
                    parent_close_policy=ParentClosePolicy.ABANDON,
                    static_summary=f"Letters of {self._start.entity} tried again",
                )
            )
        except WorkflowAlreadyStartedError:
            pass
        self._set(replays=self._view.replays + 1)
        return replay

    # Showing

    @workflow.query(name=names.STATE, description="How it stands")
    def state(self) -> SyncView:
        """How it stands."""
        return self._view

    def _set(self, **changes: Any) -> None:
        self._view = self._view.model_copy(update=changes)

    def _measure(self) -> None:
        meter = workflow.metric_meter()
        letters = meter.create_gauge("q2c_sync_letters", "Letters that stand, by cause")
        of = {"entity": self._start.entity, "company": self._company}
        for cause in LetterCause:
            letters.set(self._view.letters.get(cause, 0), {**of, "cause": cause.value})
        meter.create_gauge("q2c_sync_waiting", "Records that changed and were not looked at yet").set(
            self._view.waiting, of
        )

    def _describe(self) -> None:
        view = self._view
        state = "stopped" if not view.running else view.resting or view.failing or "in step"
        rows = [
            f"**{view.entity} of {view.company.upper()} in both systems**: {state}",
            "",
            "| | |",
            "|---|---|",
            f"| Last round | {_at(view.round_at)} |",
            f"| All of Finance read | {_at(view.swept_at)} |",
            f"| Waiting | {view.waiting:,} |",
            f"| Writes to Sales, to Finance | {view.figures.to_sales:,}, {view.figures.to_finance:,} |",
            *(f"| Letters: {cause} | {number:,} |" for cause, number in sorted(view.letters.items())),
        ]
        workflow.set_current_details("\n".join(rows))


def _at(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "none yet"
