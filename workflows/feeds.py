"""Feeds: what changed in a system, told to the deals it concerns.

Webhooks and business events go straight to their deal. A feed is what makes sure that none is missed: once in a while
it sweeps one company's changes, all deals in one reading, so that the work grows with what changed and never with how
many deals wait. It also keeps the events whose deal was not known when they came, and tries them again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.signatures import FeedActivities, RouteSales, SweepFinance, SweepSales
    from domain.messages import FeedStart, FinanceEvent, SalesEvent
    from runs import names
    from workflows.steps import attempt, cause_of

SWEEPS_A_RUN = 200
"""Sweeps before a feed continues as new, so that its history stays small."""


class _Feed:
    """What both feeds share: the rhythm, and going on after a failure."""

    def __init__(self, start: FeedStart) -> None:
        self._company = start.company
        self._every = timedelta(seconds=start.every_seconds)
        self._sweeps = 0
        self._failed = ""

    async def _rest(self, urgent: bool) -> None:
        pause = min(self._every, timedelta(seconds=5)) if urgent else self._every
        await workflow.sleep(pause, summary="Until the next sweep")

    def _note(self, error: ActivityError) -> None:
        if is_cancelled_exception(error):
            raise error
        cause, message = cause_of(error)
        self._failed = f"{cause}: {message}"
        workflow.logger.warning("sweep failed", extra={"cause": cause, "reason": message})
        workflow.metric_meter().create_counter("q2c_sweeps_failed", "Sweeps that failed").add(1, {"cause": cause})
        self._describe("")

    def _describe(self, text: str) -> None:
        failed = f"\n\n**Last sweep failed**: {self._failed}" if self._failed else ""
        workflow.set_current_details(f"{text}{failed}")


@workflow.defn(name=names.SALES_FEED)
class SalesFeed(_Feed):
    """Changed quotes of one company, by Dataverse change tracking."""

    @workflow.init
    def __init__(self, start: FeedStart) -> None:
        """Make the state before the first event is taken."""
        super().__init__(start)
        cursor = start.cursor or {}
        self._delta_link: str | None = cursor.get("delta_link")
        self._events = [SalesEvent.model_validate(event) for event in cursor.get("events", [])]

    @workflow.run
    async def run(self, start: FeedStart) -> None:
        """Sweep for ever. Without a company there is nothing to sweep: only events to route, and then it ends."""
        while self._company or self._events:
            try:
                await self._sweep()
                self._failed = ""
            except ActivityError as error:
                self._note(error)
            self._sweeps += 1
            if self._sweeps >= SWEEPS_A_RUN:
                events = [event.model_dump(mode="json") for event in self._events]
                cursor = {"delta_link": self._delta_link, "events": events}
                workflow.continue_as_new(start.model_copy(update={"cursor": cursor}))
            if self._company or self._events:
                await self._rest(bool(self._events))

    async def _sweep(self) -> None:
        if self._events:
            events = tuple(self._events)
            await attempt(
                FeedActivities.route_sales,
                RouteSales(company=self._company, events=events),
                queue=names.DATAVERSE_QUEUE,
                summary=f"Find the deals of {len(events)} events",
            )
            self._events = self._events[len(events) :]
        if not self._company:
            return
        changes = await attempt(
            FeedActivities.sweep_sales,
            SweepSales(company=self._company, delta_link=self._delta_link),
            queue=names.DATAVERSE_QUEUE,
            summary="Read what changed in Sales",
        )
        self._delta_link = changes.delta_link
        self._describe(f"Last sweep {workflow.now():%Y-%m-%d %H:%M:%S} UTC, {changes.signalled} deals told")

    @workflow.signal(name=names.SALES_EVENT, description="An event whose deal was not known")
    def sales_event(self, event: SalesEvent) -> None:
        """Keep an event until its deal is found."""
        self._events.append(event)


@workflow.defn(name=names.FINANCE_FEED)
class FinanceFeed(_Feed):
    """Posted documents of one company, by their dates."""

    @workflow.init
    def __init__(self, start: FeedStart) -> None:
        """Make the state before the first event is taken."""
        super().__init__(start)
        cursor = start.cursor or {}
        since = cursor.get("since")
        self._since = datetime.fromisoformat(since) if since else workflow.now() - timedelta(days=1)
        self._known: tuple[str, ...] = tuple(cursor.get("known", ()))
        self._events = [FinanceEvent.model_validate(event) for event in cursor.get("events", [])]

    @workflow.run
    async def run(self, start: FeedStart) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self._sweep()
                self._failed = ""
            except ActivityError as error:
                self._note(error)
            self._sweeps += 1
            if self._sweeps >= SWEEPS_A_RUN:
                cursor = {
                    "since": self._since.isoformat(),
                    "known": list(self._known),
                    "events": [event.model_dump(mode="json") for event in self._events],
                }
                workflow.continue_as_new(start.model_copy(update={"cursor": cursor}))
            await self._rest(bool(self._events))

    async def _sweep(self) -> None:
        events = tuple(self._events)
        changes = await attempt(
            FeedActivities.sweep_finance,
            SweepFinance(company=self._company, since=self._since, known=self._known, unrouted=events),
            queue=names.FINANCE_QUEUE,
            summary="Read what was posted in Finance",
        )
        self._since, self._known = changes.since, changes.known
        self._events = [*changes.unrouted, *self._events[len(events) :]]
        self._describe(
            f"Last sweep {workflow.now():%Y-%m-%d %H:%M:%S} UTC, {changes.signalled} deals told, "
            f"{len(self._events)} events without a deal"
        )

    @workflow.signal(name=names.FINANCE_EVENT, description="An event whose deal was not known")
    def finance_event(self, event: FinanceEvent) -> None:
        """Keep an event until its deal is found."""
        self._events.append(event)
