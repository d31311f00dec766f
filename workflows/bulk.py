"""One command for many deals of a company: tried dry, signed by a person, told at a bounded rate, and looked after.

Each deal decides for itself, by the signature that names it. The run can be paused, resumed and ended by whoever may
give the command; what it did and what became of each deal can be read for as long as Temporal keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.bulk_signatures import BulkActivities, CheckDeals, Found, LookAtDeals, TellDeals
    from domain import bulk as rules
    from domain.audit import CODE
    from domain.bulk import Bulk, BulkItem, BulkItems, BulkStart, BulkView, UnsignedPart, UnsignedParts
    from domain.bulk_said import said_to_bulk
    from domain.messages import SignedMessage, VerifiedMessage
    from runs import names
    from workflows.hearing import all_has_come
    from workflows.spoken import SpokenTo
    from workflows.steps import LOOK_AGAIN, SHORT_HEARTBEAT, Argument, cause_of, execute

PAGE = 100
"""Deals of one page."""
STEP = timedelta(minutes=2)
"""How long one step with the deals of a part may take: five at a time, each asked for five seconds at most."""

SHORTEST = timedelta(milliseconds=100)
"""What a wait takes at least: a timer that is over before it began would make a run spin."""


@workflow.defn(name=names.BULK)
class BulkRun(SpokenTo):
    """One command for many deals."""

    @workflow.init
    def __init__(self, start: BulkStart) -> None:
        """Make the state before the first message is handled."""
        super().__init__(
            start.bulk.company, outcomes=start.outcomes, heard=start.heard, unheard=start.unheard, tally=start.tally
        )
        self._bulk: Bulk = start.bulk
        self._start = start

    @workflow.run
    async def run(self, start: BulkStart) -> BulkView:
        """Hear people and go on, one step after the other, until every deal is settled or somebody ends it.

        Returns:
            The run as it ended.
        """
        while self._unheard or not (self._bulk.has_ended and all_has_come()):
            self._describe()
            if self._unheard:
                await self._hear_some()
            elif self._bulk.has_ended:
                await workflow.wait_condition(all_has_come)
            else:
                await self._go_on()
            self._something = True
            if self._long_enough():
                workflow.continue_as_new(self._start.model_copy(update={"bulk": self._bulk, **self._spoken()}))
        self._describe()
        return BulkView.of(self._bulk)

    async def _take(self, message: SignedMessage, said: VerifiedMessage) -> None:
        verdict = said_to_bulk(self._bulk, message, said, workflow.now())
        self._bulk = verdict.after
        if self._bulk.asked_by is None:  # who asked for it first has no right to: there is nothing to go on with
            self._bulk = self._bulk.model_copy(update={"phase": rules.BulkPhase.REFUSED})
        writes = self._answer(said, verdict.code, verdict.text)
        if writes and (verdict.code is not None or said.args.get("do") != rules.RUN):
            # What was signed for deals is on record with each of them.
            me, event = workflow.info().workflow_id, f"bulk_{self._bulk.command}"
            record_id, what = names.bulk_record_id(me, message.message_id[:CODE]), f"{me}: {verdict.text}"
            of = "a command for many deals"
            await self._write_said(message, said, verdict.code, what, record_id=record_id, event=event, of=of)

    async def _go_on(self) -> None:
        """Take the next step, or wait until there is one; a step that fails for good is taken again after a rest."""
        try:
            await self._step_on()
        except ActivityError as error:
            workflow.logger.error("a step with deals failed: %s", ": ".join(cause_of(error)))
            await self._wait(LOOK_AGAIN)

    async def _step_on(self) -> None:
        now = workflow.now()
        self._bulk = rules.on_time(self._bulk, now)
        match rules.next_of(self._bulk, now):
            case rules.Check(items=items):
                found = await self._checked(items)
                self._bulk = rules.checked(self._bulk, found, workflow.now())
            case rules.Tell(part=n):
                found = await self._told(n)
                self._bulk = rules.told(self._bulk, n, found, workflow.now())
            case rules.LookAt(items=items):
                found = await self._looked_at(items)
                self._bulk = rules.looked_at(self._bulk, items, found, workflow.now())
            case rules.Wait(until=until):
                if not self._bulk.has_ended:
                    await self._wait(max(until - now, SHORTEST))

    async def _wait(self, time: timedelta) -> None:
        try:
            await workflow.wait_condition(
                lambda: bool(self._unheard) or self._long_enough(), timeout=time, timeout_summary="Go on by itself"
            )
        except TimeoutError:
            workflow.logger.debug("time is over")

    async def _checked(self, items: tuple[int, ...]) -> dict[int, BulkItem]:
        bulk = self._bulk
        assert bulk.asked_by is not None
        ask = CheckDeals(
            company=bulk.company,
            quotes=tuple(bulk.items[n].quote for n in items),
            command=bulk.command,
            error=bulk.query.error,
            person=bulk.asked_by,
            granted=bulk.granted,
        )
        found = await _step(BulkActivities.check_deals, ask, f"Ask {len(items)} deals whether they would take it")
        return dict(zip(items, found.items, strict=True))

    async def _told(self, n: int) -> dict[int, BulkItem]:
        part = self._bulk.parts[n]
        assert part.message is not None
        quotes = tuple(self._bulk.items[place].quote for place in part.items)
        tell = TellDeals(company=self._bulk.company, quotes=quotes, message=part.message)
        found = await _step(BulkActivities.tell_deals, tell, f"Tell {len(quotes)} deals: {self._bulk.command}")
        return dict(zip(part.items, found.items, strict=True))

    async def _looked_at(self, items: tuple[int, ...]) -> dict[int, BulkItem]:
        of = tuple(self._bulk.items[n] for n in items)
        look = LookAtDeals(company=self._bulk.company, items=of, command=self._bulk.command)
        found = await _step(BulkActivities.look_at_deals, look, f"Look at {len(of)} deals")
        return dict(zip(items, found.items, strict=True))

    def _describe(self) -> None:
        bulk, view = self._bulk, BulkView.of(self._bulk)
        lines = [
            f"**{bulk.command}** for {view.total} deals in {bulk.company.upper()}: {bulk.phase}",
            "",
            "| deals | |",
            "|---|---|",
            *(f"| {status} | {count} |" for status, count in view.counts.items()),
        ]
        workflow.set_current_details("\n".join(lines))

    # Queries

    @workflow.query(name=names.STATE, description="How far it is")
    def state(self) -> BulkView:
        """How far it is."""
        return BulkView.of(self._bulk)

    @workflow.query(name=names.ITEMS, description="A page of its deals: how many to leave out, and in which state")
    def items(self, asked: str) -> BulkItems:
        """Deals with what became of each; ``asked``: how many to leave out, a comma, and their status if any."""
        first, _, status = asked.partition(",")
        start = int(first) if first.isascii() and first.isdecimal() and len(first) < 7 else 0
        fitting = [item for item in self._bulk.items if not status or item.status == status]
        return BulkItems(items=tuple(fitting[start : start + PAGE]), more=len(fitting) > start + PAGE)

    @workflow.query(name=names.UNSIGNED, description="Parts that wait for a person's signature")
    def unsigned(self) -> UnsignedParts:
        """What a person is to sign."""
        bulk = self._bulk
        quotes = {n: tuple(bulk.items[place].quote for place in bulk.parts[n].items) for n in bulk.unsigned}
        return UnsignedParts(parts=tuple(UnsignedPart(n=n, quotes=found) for n, found in quotes.items()))


async def _step(
    activity: Callable[[Any, Argument], Coroutine[Any, Any, Found]], argument: Argument, summary: str
) -> Found:
    """One step with some deals; tried until it succeeds, because what they are told counts once."""
    return await execute(
        activity,
        argument,
        start_to_close_timeout=STEP,
        heartbeat_timeout=SHORT_HEARTBEAT,
        retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
        summary=summary,
    )
