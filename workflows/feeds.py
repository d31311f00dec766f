"""Feeds: what changed in a system, told to the deals it concerns.

Webhooks and business events go straight to their deal. A feed is what makes sure that none is missed: once in a while
it sweeps what changed, for all deals in one reading, so that the work grows with what changed and never with how many
deals wait. It also takes what nobody else could deliver: it is woken by it, tries each report by itself, ever less
often, and hands to a person what no deal takes. Every wait continues as new where the server suggests it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.feed_signatures import (
        FinanceFeedActivities,
        LookAtSales,
        ReadSales,
        RouteFinance,
        SalesFeedActivities,
        SweepFinance,
    )
    from activities.unclaimed_signatures import HandOver, UnclaimedActivities
    from domain.digest import Digest
    from domain.feeds import (
        SALES_TABLES,
        Became,
        FeedCursor,
        FeedStart,
        FeedView,
        Look,
        Reports,
        SalesTable,
        Unrouted,
        Waiting,
        key_of,
        may_be_ours,
        unrouted_event,
    )
    from domain.messages import FinanceEvent
    from runs import names
    from workflows.hearing import UNREADABLE, hear, is_long_enough
    from workflows.steps import RETRY, Argument, Result, cause_of, execute

AT_ONCE = 200
"""Reports one activity tries."""
LONGEST_PAGE = timedelta(minutes=10)
"""How long an activity may take to pass on a page; it says every few seconds that it lives."""
LONGEST_TRY = timedelta(minutes=15)
"""How long it is tried again by itself. A run cannot go on as a new one meanwhile, and must not take in messages
without end: after that the feed looks at its own length, and tries once more."""
HANDED_AT_ONCE = 50
"""Reports that one activity hands to the desk."""
LOOK_AGAIN = timedelta(seconds=30)
"""How long reports wait after a failure; it does not count as a try."""
SILENCE = timedelta(seconds=20)
"""How long after its last sign of life an activity is tried again, somewhere else."""


class _Feed:
    """What all feeds share: the rhythm, going on after a failure, and what they show."""

    def __init__(self, start: FeedStart) -> None:
        cursor = start.cursor or FeedCursor()
        self._start = start
        self._every = timedelta(seconds=start.every_seconds)
        self._reports = Reports(cursor)
        self._sweep_at = cursor.sweep_at or workflow.now()
        self._swept_at = cursor.swept_at
        self._failing: dict[str, str] = {}
        self._heard = False
        self._version = 0
        self._tried_last = False
        self._hand_at = workflow.now()

    async def run(self, start: FeedStart) -> None:
        """Rest, try what is due, sweep, forever."""
        self._described = asyncio.create_task(self._keep_described())
        while True:
            await self._rest()
            self._heard = True
            if self._reports.to_hand_over and self._hand_at <= workflow.now():
                await self._hand_over()
                continue
            due = self._reports.due(workflow.now(), AT_ONCE)
            sweep = workflow.now() >= self._sweep_at
            if due and not (sweep and self._tried_last):  # turn by turn: neither keeps the other waiting
                self._tried_last = True
                await self._attempt("reports", self._try(due), due)
            elif sweep:
                self._tried_last = False
                await self._attempt("sweep", self._sweep(), ())

    async def _rest(self) -> None:
        """Until a report or the next sweep is due. A run that is long enough ends here, and the next one goes on."""
        next_at = min(self._sweep_at, self._reports.next_at or self._sweep_at)
        next_at = min(next_at, self._hand_at) if self._reports.to_hand_over else next_at
        left = next_at - workflow.now()
        if left > timedelta(0) and not self._long_enough():
            try:
                await workflow.wait_condition(
                    lambda: self._due() or self._long_enough(),
                    timeout=left,
                    timeout_summary="Until the next sweep" if next_at == self._sweep_at else "Until the next try",
                )
            except TimeoutError:
                pass
        if self._long_enough():
            workflow.continue_as_new(self._start.model_copy(update={"cursor": self._cursor()}))

    async def _attempt(self, what: str, work: Coroutine[Any, Any, None], due: Sequence[Waiting]) -> None:
        """Try reports or sweep; after a failure it is tried again, after a rest."""
        try:
            await work
            self._failing.pop(what, None)
        except ActivityError as error:
            self._note(what, error)
            self._reports.postpone(due, workflow.now() + LOOK_AGAIN)
            if not due:
                self._sweep_at = workflow.now() + self._every

    async def _hand_over(self) -> None:
        """Hand to the desk what no deal takes; where that fails, it is tried again, and the feed goes on meanwhile."""
        reports = self._reports.to_hand_over[:HANDED_AT_ONCE]
        try:
            await self._ask(
                UnclaimedActivities.hand_to_desk,
                HandOver(reports=reports),
                summary=f"Hand {len(reports)} report{'s' if len(reports) != 1 else ''} that no deal takes to the desk",
            )
        except ActivityError as error:
            self._note("desk", error)
            self._hand_at = workflow.now() + LOOK_AGAIN
        else:
            self._failing.pop("desk", None)
            self._reports.handed_over(reports)

    def _swept(self, now: datetime) -> None:
        """The sweep is through: the next one follows after the pause."""
        self._swept_at, self._sweep_at = now, now + self._every
        at = workflow.metric_meter().create_gauge(
            "q2c_feed_swept_at", "When a feed was last swept to its end, seconds since the epoch"
        )
        at.set(int(now.timestamp()), {"system": self._start.system, "feed": self._start.of})

    def _due(self) -> bool:
        next_at = self._reports.next_at
        return next_at is not None and next_at <= workflow.now()

    def _long_enough(self) -> bool:
        """Whether the history should end; never before something happened, so that each run gets somewhere."""
        return is_long_enough(heard=self._heard)

    def _cursor(self) -> FeedCursor:
        return FeedCursor(
            waiting=self._reports.waiting,
            unrouted=self._reports.unrouted,
            to_hand_over=self._reports.to_hand_over,
            tally=self._reports.tally,
            sweep_at=self._sweep_at,
            swept_at=self._swept_at,
        )

    async def _try(self, due: Sequence[Waiting]) -> None:
        raise NotImplementedError

    async def _sweep(self) -> None:
        raise NotImplementedError

    async def _ask(
        self, activity: Callable[[Any, Argument], Coroutine[Any, Any, Result]], argument: Argument, *, summary: str
    ) -> Result:
        return await execute(
            activity,
            argument,
            task_queue=names.FINANCE_QUEUE if self._start.system == "finance" else names.DATAVERSE_QUEUE,
            start_to_close_timeout=LONGEST_PAGE,
            schedule_to_close_timeout=LONGEST_TRY,
            heartbeat_timeout=SILENCE,
            retry_policy=RETRY,
            summary=summary,
        )

    # --- counting and showing --------------------------------------------------------------------------------------

    @workflow.signal(name=names.DROPPED, description="Messages that nobody sealed for this run were dropped")
    def dropped(self, *message: Any) -> None:
        """Do nothing: what the run waits for is looked at, and with it how long the run is."""

    def _take(self, report: FinanceEvent | Look) -> None:
        before = self._reports.tally.get(Became.OVERFLOW, 0)
        became = self._reports.receive(report, workflow.now())
        left_out = self._reports.tally.get(Became.OVERFLOW, 0) - before
        counts: dict[str, int] = {became: 1}
        if left_out:
            counts[Became.OVERFLOW] = left_out
        self._measure(counts)

    def _not_taken(self, why: str) -> None:
        self._count({Became(why): 1})

    def _count(self, became: Mapping[str, int]) -> None:
        self._reports.count(became)
        self._measure(became)

    def _settle(self, entry: Waiting, became: Became) -> None:
        if self._reports.settle(entry, became):
            self._measure({became: 1})

    def _measure(self, became: Mapping[str, int]) -> None:
        self._version += 1
        counter = workflow.metric_meter().create_counter("q2c_feed_reports", "Reports to feeds, by what became of them")
        for name, number in became.items():
            counter.add(number, {"system": self._start.system, "feed": self._start.of, "became": str(name)})

    def _hand_out(self, reports: Sequence[Unrouted]) -> None:
        for report in reports:
            if self._reports.hand_out(report):
                workflow.logger.warning(
                    "a report reached no deal",
                    extra={"what": report.what, "reference": report.reference, "reason": report.reason},
                )

    def _note(self, what: str, error: ActivityError) -> None:
        cause, message = cause_of(error)
        self._failing[what] = f"{cause}: {message}"
        self._version += 1
        workflow.logger.warning("sweep failed", extra={"cause": cause, "reason": message})
        workflow.metric_meter().create_counter("q2c_sweeps_failed", "Sweeps that failed").add(1, {"cause": cause})

    def _title(self) -> str:
        raise NotImplementedError

    async def _keep_described(self) -> None:
        """Show the feed as it stands: once for all that a moment brought, however much that is."""
        while True:
            shown = self._version, self._sweep_at
            self._describe()

            def changed(shown: tuple[int, datetime] = shown) -> bool:
                return (self._version, self._sweep_at) != shown

            await workflow.wait_condition(changed)

    def _describe(self) -> None:
        tally = dict(self._reports.tally)
        received = tally.pop("received", 0)
        became = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in sorted(tally.items()))
        swept = f"{self._swept_at:%Y-%m-%d %H:%M:%S} UTC" if self._swept_at else "none yet"
        rows = [
            self._title(),
            "",
            "| | |",
            "|---|---|",
            f"| Last sweep | {swept} |",
            f"| Next sweep | {self._sweep_at:%Y-%m-%d %H:%M:%S} UTC |",
            f"| Received so far | {received:,}{f': {became}' if became else ''} |",
            f"| Waiting for their deal | {len(self._reports.waiting):,} |",
            f"| For a person to look at | {len(self._reports.unrouted):,} (query `{names.UNROUTED}`) |",
        ]
        rows.extend(f"\n**The last try failed** ({what}): {why}" for what, why in self._failing.items())
        rows.extend(
            f"\n- {report.at:%Y-%m-%d %H:%M} UTC **{report.reference or report.company}** {report.what}: "
            f"{report.reason}. {report.help}."
            for report in self._reports.unrouted[-10:]
        )
        workflow.set_current_details("\n".join(rows))

    def _view(self, **more: Any) -> FeedView:
        return FeedView(
            waiting=len(self._reports.waiting),
            unrouted=len(self._reports.unrouted),
            tally=self._reports.tally,
            next_sweep_at=self._sweep_at,
            failing="; ".join(f"{what}: {why}" for what, why in self._failing.items()),
            **more,
        )


@workflow.defn(name=names.SALES_FEED)
class SalesFeed(_Feed):
    """What changed in one table of Sales, of all companies, by Dataverse change tracking."""

    @workflow.init
    def __init__(self, start: FeedStart) -> None:
        """Make the state before the first report is taken."""
        super().__init__(start)
        cursor = start.cursor or FeedCursor()
        self._table: SalesTable = next((table for table in SALES_TABLES if table == start.of), SALES_TABLES[0])
        self._link = cursor.link
        self._anew = cursor.anew

    @workflow.run
    async def run(self, start: FeedStart) -> None:
        """Sweep forever, a page at a time."""
        await super().run(start)

    async def _try(self, due: Sequence[Waiting]) -> None:
        looks = tuple(entry.report for entry in due if isinstance(entry.report, Look))
        looked = await self._ask(
            SalesFeedActivities.look_at_sales,
            LookAtSales(table=self._table, looks=looks),
            summary=f"Look at {len(looks)} record{'s' if len(looks) != 1 else ''} ({self._table}) in Sales",
        )
        for entry in due:
            self._settle(entry, Became.LOOKED_AT)
        self._count(looked.counts)
        self._hand_out(looked.unrouted)

    async def _sweep(self) -> None:
        page = await self._ask(
            SalesFeedActivities.read_sales,
            ReadSales(table=self._table, link=self._link, anew=self._anew),
            summary=f"Read {'all records' if self._anew else 'what changed'} in Sales: {self._table}",
        )
        now = workflow.now()
        if page.expired:
            self._begin_anew(page.expired)
            return
        self._count(page.counts)
        self._hand_out(page.unrouted)
        self._link = page.next_link or page.delta_link
        if page.delta_link:
            self._anew = False
            self._swept(now)

    def _begin_anew(self, why: str) -> None:
        """Sales does not take the link: read all records. What was deleted since the last sweep shows in none."""
        now = workflow.now()
        since = f"since {self._swept_at:%Y-%m-%d %H:%M} UTC" if self._swept_at else "before"
        self._hand_out(
            [
                Unrouted(
                    id=f"dv/{self._table}/expired/{now.isoformat()}",
                    at=now,
                    what="change_link_expired",
                    reference=self._table,
                    reason=f"Sales no longer takes the link to its changes ({why}), so all records are read again; "
                    f"records deleted {since} cannot be seen",
                    help="Compare the open deals with their quotes in Sales",
                )
            ]
        )
        self._sweep_at = now + self._every if self._anew else now
        self._link, self._anew = None, True

    def _cursor(self) -> FeedCursor:
        return super()._cursor().model_copy(update={"link": self._link, "anew": self._anew})

    def _title(self) -> str:
        return f"**Feed of Sales: {self._table}**, all companies. Tells deals what changed and no webhook told them."

    @workflow.signal(name=names.LOOK_AT, description="Read a record whose webhook could not be understood or mapped")
    def look_at(self, *message: Any) -> None:
        """Keep a look until it is taken."""
        self._heard = True
        hear(message, Look, self._keep, self._not_taken)

    def _keep(self, look: Look) -> None:
        if look.table == self._table:
            self._take(look)
        else:
            self._not_taken(UNREADABLE)

    @workflow.query(name=names.STATE, description="How far it is, and what became of all reports")
    def state(self) -> FeedView:
        """The feed as it stands."""
        return self._view()

    @workflow.query(name=names.UNROUTED, description="What reached no deal: a person has to look")
    def unrouted(self) -> list[Unrouted]:
        """Reports handed to a person, oldest first; the latest 200."""
        return list(self._reports.unrouted)


@workflow.defn(name=names.FINANCE_FEED)
class FinanceFeed(_Feed):
    """What was posted in Finance in one company, by the documents' dates."""

    @workflow.init
    def __init__(self, start: FeedStart) -> None:
        """Make the state before the first report is taken."""
        super().__init__(start)
        cursor = start.cursor or FeedCursor()
        self._marks = cursor.marks
        self._told = Digest(cursor.told)
        self._key_numbered = cursor.key_numbered

    @workflow.run
    async def run(self, start: FeedStart) -> None:
        """Sweep forever."""
        await super().run(start)

    async def _try(self, due: Sequence[Waiting]) -> None:
        events = tuple(entry.report for entry in due if isinstance(entry.report, FinanceEvent))
        routed = await self._ask(
            FinanceFeedActivities.route_finance,
            RouteFinance(company=self._start.of, events=events),
            summary=f"Find the deals of {len(events)} event{'s' if len(events) != 1 else ''}",
        )
        self._hand_out(tuple(routed.unrouted.values()))
        for entry, event, became in zip(due, events, routed.became, strict=True):
            if became is Became.WAITING:
                if self._reports.again(entry, workflow.now()):
                    continue
                became = Became.UNROUTED
                self._hand_out([unrouted_event(event, workflow.now(), "No deal of this order is to be found")])
            self._settle(entry, became)
            if became is not Became.FOREIGN:  # a sweep would find it, and must not pass it on again
                self._told.add(key_of(event))

    async def _sweep(self) -> None:
        waiting = Digest()
        for entry in self._reports.waiting:
            waiting.add(key_of(entry.report))
        swept = await self._ask(
            FinanceFeedActivities.sweep_finance,
            SweepFinance(
                company=self._start.of,
                marks=self._marks,
                told=self._told.packed(),
                waiting=waiting.packed(),
                room=self._reports.room,
            ),
            summary="Read what was posted in Finance",
        )
        self._marks, self._told = swept.marks, Digest(swept.told)
        self._key_numbered = swept.key_numbered
        self._count(swept.counts)
        self._hand_out(swept.unrouted)
        for event in swept.unresolved:
            self._take(event)
        if not swept.more:
            self._swept(workflow.now())

    def _cursor(self) -> FeedCursor:
        more = {"marks": self._marks, "told": self._told.packed(), "key_numbered": self._key_numbered}
        return super()._cursor().model_copy(update=more)

    def _title(self) -> str:
        company = self._start.of.upper()
        return f"**Feed of Finance: {company}**. Tells deals what was posted and no business event told them."

    @workflow.signal(name=names.FINANCE_EVENT, description="An event of Finance whose deal is not known")
    def finance_event(self, *message: Any) -> None:
        """Keep an event until its deal is found; one of an order that is not ours is dropped at once."""
        self._heard = True
        hear(message, FinanceEvent, self._keep, self._not_taken)

    def _keep(self, event: FinanceEvent) -> None:
        if event.company != self._start.of:
            self._not_taken(UNREADABLE)
        elif not may_be_ours(event, self._key_numbered):
            self._count({Became.FOREIGN: 1})
        elif key_of(event) in self._told:
            self._count({Became.KNOWN: 1})
        else:
            self._take(event)

    @workflow.query(name=names.STATE, description="How far it is, and what became of all reports")
    def state(self) -> FeedView:
        """The feed as it stands."""
        return self._view(marks=self._marks)

    @workflow.query(name=names.UNROUTED, description="What reached no deal: a person has to look")
    def unrouted(self) -> list[Unrouted]:
        """Reports handed to a person, oldest first; the latest 200."""
        return list(self._reports.unrouted)
