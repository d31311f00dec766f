"""The real initial sync of an entity in a company: the plan that the gate allowed, carried out a page at a time.

A person has it begin, and the run itself looks whether it may. The first page is the canary: where one of its records
is refused or differs, nothing else is written until a person says so. People have it rest, go on and end between two
pages. A run that undoes another one is the same over what that one wrote, except that it reads all of it first and
writes nothing until a person says so. The history holds numbers of pages and what was counted, and of records with
trouble the first ones.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.initial_run_signatures import (
        InitialRunActivities,
        InitialUndoActivities,
        OfInitialRun,
        OfUndo,
        OpenedRun,
        SeedSome,
        WritePage,
    )
    from domain.causes import Cause
    from domain.entities.initial_run import InitialRunStart, InitialRunView
    from domain.entities.initial_said import InitialArgs, UndoArgs, said_to_initial
    from domain.messages import SignedMessage, VerifiedMessage
    from domain.refusals import Refusal
    from runs import names
    from workflows.spoken import SpokenTo
    from workflows.steps import Argument, Patience, Result, attempt, cause_of

PATIENCE = Patience(
    RetryPolicy(
        initial_interval=timedelta(seconds=1),
        backoff_coefficient=2,
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=10,
    ),
    timedelta(minutes=10),
    silence=timedelta(seconds=20),
)
REST_AFTER_FAILURE = timedelta(minutes=1)
"""Until a page is tried again whose system does not answer; somebody who says something is heard at once."""


@workflow.defn(name=names.INITIAL_RUN)
class RunInitialSync(SpokenTo):
    """Carries out one plan."""

    @workflow.init
    def __init__(self, start: InitialRunStart) -> None:
        """Make the state before the first message is handled."""
        super().__init__(
            start.company, outcomes=start.outcomes, heard=start.heard, unheard=start.unheard, tally=start.tally
        )
        self._start = start
        self._view = start.view or InitialRunView(entity=start.entity, company=start.company, undoes=start.undoes)
        self._seeded = -1 if start.undoes else start.seeded
        self._rest_until = workflow.now()

    @workflow.run
    async def run(self, start: InitialRunStart) -> InitialRunView:
        """Hear who has it begin, write page after page, and leave the sync what agreed."""
        while self._view.goes_on or self._unheard:
            self._describe()
            if self._long_enough():
                workflow.continue_as_new(self._next())
            if self._unheard:
                self._something = True
                await self._hear_some()
            elif self._view.status in ("looking", "writing") and self._rest_until <= workflow.now():
                self._something = True
                await self._go_on()
            else:
                await self._rest()
        self._describe()
        return self._view

    def _next(self) -> InitialRunStart:
        update = {"view": self._view, "seeded": self._seeded, **self._spoken()}
        return self._start.model_copy(update=update)

    async def _rest(self) -> None:
        left = self._rest_until - workflow.now() if self._view.status in ("looking", "writing") else None
        try:
            await workflow.wait_condition(
                lambda: bool(self._unheard) or self._long_enough(),
                timeout=left,
                timeout_summary="Until the page is tried again",
            )
        except TimeoutError:
            return

    # Writing

    async def _go_on(self) -> None:
        """The next page, or the next records that agreed, or the end."""
        try:
            if self._view.next_page < self._view.pages:
                await self._write()
            elif self._seeded >= 0:
                await self._seed()
            else:
                await self._end("done")
        except ActivityError as error:
            cause, text = cause_of(error)
            if cause in (Cause.REFUSED, Cause.UNEXPECTED):
                self._set(status="paused", why=text[:1_000])
            else:
                self._set(failing=f"{cause}: {text}"[:1_000])
                self._rest_until = workflow.now() + REST_AFTER_FAILURE

    async def _write(self) -> None:
        view, began = self._view, workflow.now()
        of = WritePage(**self._of.model_dump(), dry_run=view.dry_run, map_hash=view.map_hash, page=view.next_page)
        about = f"page {view.next_page + 1} of {view.pages}"
        if view.looks:
            page = await self._finance(InitialUndoActivities.look_at_undo, of, f"Read {about}")
        elif view.undoes:
            page = await self._finance(InitialUndoActivities.undo_initial_page, of, f"Undo {about}")
        else:
            page = await self._finance(InitialRunActivities.write_initial_page, of, f"Write {about}")
        self._view = view.plus(page, workflow.now() - began)
        self._measure()

    async def _seed(self) -> None:
        view = self._view
        seeded = await self._finance(
            InitialRunActivities.seed_agreed,
            SeedSome(**self._of.model_dump(), dry_run=view.dry_run, map_hash=view.map_hash, after=self._seeded),
            "Have the sync know what agreed",
        )
        self._seeded = seeded.after if seeded.more else -1
        self._set(known=view.known + seeded.known, failing="")

    async def _end(self, status: str, why: str = "") -> None:
        await self._finance(InitialRunActivities.leave_writing, self._of, "Let the sync write again")
        self._set(status=status, why=why, failing="", ended_at=workflow.now())

    @property
    def _of(self) -> OfInitialRun:
        return OfInitialRun(entity=self._start.entity, company=self._start.company, writer=workflow.info().workflow_id)

    async def _finance(
        self, activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]], argument: Argument, summary: str
    ) -> Result:
        return await attempt(activity, argument, queue=names.FINANCE_BULK_QUEUE, summary=summary, patience=PATIENCE)

    # People

    async def _hear_some(self) -> None:
        await super()._hear_some()
        if self._view.status == "waiting" and not self._unheard:
            self._set(status="refused", ended_at=workflow.now())  # nobody had it begin

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        args, code, text = said_to_initial(said, self._view)
        if args is not None:
            code, text = await self._do(args, said)
        if self._answer(said, code, text):
            record_id = names.initial_record_id(self._start.entity, self._company, *self._next_record())
            what, event = f"{self._start.entity}: {text}", said.name or "initial"
            await self._write_said(message, said, code, what, record_id=record_id, event=event, of="an initial sync")

    async def _do(self, args: InitialArgs, said: VerifiedMessage) -> tuple[Refusal | None, str]:
        try:
            match args.do:
                case "begin":
                    return await self._begin(args, said)
                case "pause":
                    self._set(status="paused", why=args.reason)
                case "go_on":
                    self._set(status="looking" if self._view.looks else "writing", why="")
                    self._rest_until = workflow.now()
                case "stop":
                    await self._end("stopped", args.reason)
        except ActivityError as error:
            return Refusal.LEDGER_UNAVAILABLE, cause_of(error)[1]
        return None, f"{self._start.entity} of {self._company.upper()}: {self._view.status}"

    async def _begin(self, args: InitialArgs, said: VerifiedMessage) -> tuple[Refusal | None, str]:
        opened = await self._open(args)
        if opened.code is not None:
            self._set(status="refused", why=opened.why[:1_000], ended_at=workflow.now())
            return opened.code, opened.why
        plan = opened.model_dump(
            include={"map_hash", "plan_hash", "dry_run", "records", "first", "pages", "left_alone"}
        )
        status = "looking" if self._view.looks else "writing"
        self._set(status=status, by=said.person.name, began_at=workflow.now(), **plan)
        if self._view.undoes:
            return None, f"{opened.records:,} records were written; all are read before one is undone"
        return None, f"{opened.records:,} records to write, {opened.left_alone:,} wait for people"

    async def _open(self, args: InitialArgs) -> OpenedRun:
        if isinstance(args, UndoArgs):
            undo = OfUndo(**self._of.model_dump(), dry_run=args.run)
            return await self._finance(InitialUndoActivities.open_initial_undo, undo, "Look what the run left")
        about = "Hold what the gate allowed against what is in force"
        return await self._finance(InitialRunActivities.open_initial_run, self._of, about)

    # Showing

    @workflow.query(name=names.STATE, description="How it stands")
    def state(self) -> InitialRunView:
        """How it stands."""
        return self._view

    def _set(self, **changes: Any) -> None:
        self._view = self._view.model_copy(update=changes)

    def _measure(self) -> None:
        gauge = workflow.metric_meter().create_gauge(
            "q2c_initial_records", "Records of an initial sync, by what became"
        )
        for written, number in self._view.counts.items():
            gauge.set(number, {"entity": self._start.entity, "company": self._company, "written": written.value})

    def _describe(self) -> None:
        view = self._view
        stands = f"{view.status}, {view.why}" if view.why else view.status
        what = "Undo of the initial sync" if view.undoes else "Initial sync"
        rows = [
            f"**{what} of {view.entity} of {view.company.upper()}**: {stands}",
            "",
            "| | |",
            "|---|---|",
            f"| Records | {view.handled:,} of {view.records:,} |",
            *(f"| {written.value} | {number:,} |" for written, number in sorted(view.counts.items())),
            f"| Left to people | {view.left_alone:,} |",
        ]
        if view.failing:
            rows.append(f"| Tried again | {view.failing} |")
        workflow.set_current_details("\n".join(rows))
