"""Both systems beside each other: every night each entity of a company is compared, until two people end it.

A run keeps what each day counted and what its criteria are; whether they hold is judged where people say that it ends
(``domain.entities.parallel``). It begins nothing beside another comparison, and hears people while one goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.notice_signatures import TellingActivities
    from activities.parallel_signatures import CompareEntity, OfCompany, ParallelActivities
    from domain.calendar import local_date
    from domain.entities.data_words import EXIT_PARALLEL
    from domain.entities.parallel import LONGEST_WHY, EntityDay, is_over
    from domain.entities.parallel_run import (
        ParallelStart,
        ParallelState,
        ParallelView,
        digests,
        next_night,
        said_to_parallel,
    )
    from domain.messages import SignedMessage, VerifiedMessage
    from domain.notices import Notices
    from runs import names
    from workflows.spoken import SpokenTo
    from workflows.steps import Argument, Result, long_look

LONGEST_COMPARISON = timedelta(hours=25)
"""A comparison ends by itself within a day."""
LONGEST_LOOK = timedelta(hours=2)
SILENT = timedelta(seconds=60)
FIRST_RULES = "03:00"
"""When the first day begins, before any rules were read."""
RETRY = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=5))
SHOWN = 20


@workflow.defn(name=names.PARALLEL)
class ParallelRun(SpokenTo):
    """Compares one company's records every night."""

    @workflow.init
    def __init__(self, start: ParallelStart) -> None:
        """Make the state before the first message is handled."""
        super().__init__(
            start.company, outcomes=start.outcomes, heard=start.heard, unheard=start.unheard, tally=start.tally
        )
        now = workflow.now()
        self._state = start.state or ParallelState(company=start.company, began_at=now)
        self._next_at = start.next_at or now
        self._going: asyncio.Task[EntityDay] | None = None

    @workflow.run
    async def run(self, start: ParallelStart) -> ParallelView:
        """Compare every night, hear who ends it, and end."""
        if self._state.rules is None:
            await self._read_rules()
        while self._state.status == "running" or self._unheard:
            self._describe()
            await self._rest()
            if self._unheard:
                await self._hear_some()
                self._something = True
            elif self._state.status == "running":
                await self._go_on()
            if self._long_enough() and self._state.status == "running":
                if self._going is not None:  # the next run asks for the same comparison, which goes on by itself
                    self._going.cancel()
                workflow.continue_as_new(self._next())
        if self._going is not None:
            self._going.cancel()
        self._describe()
        return self.state()

    def _next(self) -> ParallelStart:
        return ParallelStart(company=self._company, state=self._state, next_at=self._next_at, **self._spoken())

    async def _read_rules(self) -> None:
        """The criteria are known before the first night; where they cannot be read, the night tries again."""
        plan, _ = await self._asked(
            ParallelActivities.plan_day, OfCompany(company=self._company), LONGEST_LOOK, "Read what is compared"
        )
        if plan is not None:
            self._state = self._state.model_copy(update={"rules": plan.rules, "timezone": plan.timezone})
        self._next_at = self._night()

    def _night(self) -> datetime:
        rules = self._state.rules
        return next_night(workflow.now(), self._state.timezone, rules.at if rules else FIRST_RULES)

    async def _rest(self) -> None:
        """Until somebody says something, a comparison has ended, or a day begins."""
        if self._state.now is not None and self._going is None:
            return  # the next entity, or the end of the day
        left = self._next_at - workflow.now()
        if self._going is None and left <= timedelta(0):
            return
        try:
            await workflow.wait_condition(
                lambda: (
                    bool(self._unheard)
                    or self._state.status != "running"
                    or self._long_enough()
                    or (self._going is not None and self._going.done())
                ),
                timeout=left if self._going is None else None,
                timeout_summary="Until the next day is compared",
            )
        except TimeoutError:
            return

    async def _go_on(self) -> None:
        """What is next: count what was compared, begin an entity, end the day, or begin one."""
        if self._going is not None:
            if self._going.done():
                done, self._going = self._going, None
                self._take_day(await done)
            return
        if self._state.now is not None:
            self._something = True
            if self._state.waiting:
                self._going = asyncio.create_task(self._compare())
            else:
                await self._end_day()
        elif workflow.now() >= self._next_at:
            self._something = True
            await self._begin_day()

    # --- days ------------------------------------------------------------------------------------------------------

    async def _begin_day(self) -> None:
        began = workflow.now()
        day = local_date(workflow.now(), self._state.timezone)
        self._next_at = self._night()
        plan, why = await self._asked(
            ParallelActivities.plan_day, OfCompany(company=self._company), LONGEST_LOOK, "Read what is compared"
        )
        if plan is None:
            self._state = self._state.without(day, began, why)
            return
        self._state = self._state.beginning(day, began, plan)
        self._next_at = self._night()

    async def _compare(self) -> EntityDay:
        now, rules, entity = self._state.now, self._state.rules, self._state.waiting[0]
        assert now is not None
        assert rules is not None
        ask = CompareEntity(company=self._company, entity=entity, day=now.day, since=now.began_at, rules=rules)
        found, why = await self._asked(
            ParallelActivities.compare_entity, ask, LONGEST_COMPARISON, f"Compare {entity} in both systems"
        )
        return found or EntityDay(entity=entity, status="failed", why=why[:LONGEST_WHY], at=workflow.now())

    def _take_day(self, found: EntityDay) -> None:
        self._state = self._state.compared(found)
        attributes = {"company": self._company, "entity": found.entity}
        meter = workflow.metric_meter()
        meter.create_gauge("q2c_parallel_open", "Differences that stand, by company and entity").set(
            found.open, attributes
        )
        meter.create_gauge("q2c_parallel_critical", "Of these, critical ones").set(found.standing.critical, attributes)
        oldest = meter.create_gauge("q2c_parallel_oldest_days", "Days for which the oldest of these has stood")
        oldest.set(found.standing.oldest_days, attributes)

    async def _end_day(self) -> None:
        """Keep the day, and tell the people who answer for its entities."""
        self._state = self._state.ended_day(workflow.now())
        workflow.metric_meter().create_gauge(
            "q2c_parallel_clean_days", "Days in a row on which everything was clean, by company"
        ).set(self._state.clean_days, {"company": self._company})
        told = tuple(digests(self._state, workflow.now()))
        if told:
            await self._asked(TellingActivities.tell_people, Notices(notices=told), LONGEST_LOOK, "Tell who answers")
        if is_over(self._state.began_at, workflow.now()):
            self._state = self._state.model_copy(update={"status": "expired"})

    async def _asked(
        self,
        activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]],
        argument: Argument,
        longest: timedelta,
        summary: str,
    ) -> tuple[Result | None, str]:
        """What an activity answers; None and why, where it failed for longer than is waited for."""
        found, why = await long_look(
            activity,
            argument,
            longest=longest,
            summary=summary,
            queue=names.DEAL_QUEUE,
            once=longest,
            silent=SILENT,
        )
        if why:
            workflow.logger.warning("the parallel run cannot go on as planned: %s", why)
        return found, why

    # --- people ----------------------------------------------------------------------------------------------------

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        became = said_to_parallel(self._state, said, workflow.now())
        self._state = became.state
        if self._answer(said, became.code, became.text):
            state = self._state
            facts = {
                "days": str(len(state.days)),
                "clean_days": str(state.clean_days),
                "digest": state.digest,
                "status": state.status,
            }
            record_id, event = names.parallel_record_id(self._company, *self._next_record()), said.name or EXIT_PARALLEL
            of = "a parallel run"
            await self._write_said(
                message, said, became.code, became.text, record_id=record_id, event=event, of=of, facts=facts
            )

    # --- showing ---------------------------------------------------------------------------------------------------

    @workflow.query(name=names.STATE, description="What was counted on each day, and what stands in the way of the end")
    def state(self) -> ParallelView:
        """How it stands."""
        state = self._state
        return ParallelView(
            state=state,
            next_at=self._next_at if state.status == "running" else None,
            comparing=state.waiting[0] if state.waiting and state.now is not None else "",
            clean_days=state.clean_days,
            digest=state.digest,
        )

    def _describe(self) -> None:
        state = self._state
        lines = [
            f"**{self._company.upper()} in both systems**: {state.status}, {len(state.days)} days compared, "
            f"{state.clean_days} clean in a row"
        ]
        for last in state.days[-1:]:
            lines += [f"- {last.day} {e.entity}: {e.status}, {e.open} open" for e in last.entities[:SHOWN]]
        workflow.set_current_details("\n".join(lines))
