"""Sweeps: what webhooks and business events may have missed, read once a company and told to the deals it concerns.

A fact has the same id whether an event or a sweep tells it, so that a deal that knows it already ignores it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from temporalio import activity
from temporalio.client import Client

from activities.failures import for_deal
from activities.signatures import FeedActivities, FinanceChanges, RouteSales, SalesChanges, SweepFinance, SweepSales
from domain import event_ids
from domain.messages import FinanceEvent, FinanceEventKind, SalesEvent, SalesEventKind
from domain.policy import Policy
from dynamics.finance.client import Finance
from dynamics.finance.records import Sweep
from dynamics.sales.client import Dataverse
from dynamics.sales.options import QUOTE_CLOSED_AS, ApprovalChoice, QuoteState
from dynamics.sales.records import QuoteChange
from runs.deals import Deals

LOOK_BACK = timedelta(days=1)
"""Finance dates documents by day: every sweep looks at yesterday again."""
KEPT_UNROUTED = timedelta(days=7)
"""How long an event of an order without a deal is kept; orders that were not made from quotes have none."""


class FeedWork(FeedActivities):
    """The sweeping activities of both feeds."""

    def __init__(self, client: Client, dataverse: Dataverse, finance: Finance, policy: Policy) -> None:
        """Read both systems, tell deals through ``client``; ``policy`` maps business units to companies."""
        self._dataverse = dataverse
        self._finance = finance
        self._deals = Deals(client)
        self._policy = policy
        self._units: dict[UUID, str] = {}

    @activity.defn(name="sweep_sales")
    async def sweep_sales(self, sweep: SweepSales) -> SalesChanges:
        """Read changed quotes by change tracking and tell the deals.

        The first sweep of a feed reads every quote there is, and tells only of those that ask for approval: what
        happened to a running deal before the feed began was told by its webhook, or is read at the deal's next step.
        """
        changed: list[QuoteChange] = []
        link, delta_link = sweep.delta_link, None
        with for_deal():
            while delta_link is None:
                page = await self._dataverse.changes(link)
                changed.extend(page.changed)
                link, delta_link = page.next_link, page.delta_link
                activity.heartbeat(len(changed))
                if link is None and delta_link is None:
                    raise ValueError("Sales answered neither a next link nor a delta link: is change tracking enabled?")
            events = await self._events(sweep.company, changed)
        if sweep.delta_link is None:
            events = [event for event in events if event.kind is SalesEventKind.SUBMITTED]
        return SalesChanges(delta_link=delta_link or "", signalled=await self._tell(events))

    @activity.defn(name="route_sales")
    async def route_sales(self, route: RouteSales) -> SalesChanges:
        """Read the quotes of events that could not be routed, and tell the deals."""
        changed: list[QuoteChange] = []
        lost: set[UUID] = set()
        with for_deal():
            by_quote = [UUID(event.quote_id) for event in route.events if event.quote_id]
            changed.extend(await self._dataverse.quote_changes(by_quote))
            for event in route.events:
                if event.kind is SalesEventKind.OPPORTUNITY_LOST:
                    quotes = await self._dataverse.quotes_of_opportunity(UUID(event.event_id.split("/")[2]))
                    lost.update(quote.id for quote in quotes)
                    changed.extend(quotes)
            events = await self._events(route.company, changed)
            for quote in changed:
                company = await self._company(quote)
                if quote.id in lost and company:
                    events.append(_event(quote, SalesEventKind.OPPORTUNITY_LOST, company))
        return SalesChanges(delta_link="", signalled=await self._tell(events))

    @activity.defn(name="sweep_finance")
    async def sweep_finance(self, sweep: SweepFinance) -> FinanceChanges:
        """Read packing slips, invoices and settlements posted since, and tell the deals."""
        zone = ZoneInfo(self._policy.calendar(sweep.company).timezone)
        began = datetime.now(UTC)
        with for_deal():
            found = await self._finance.sweep(sweep.company, sweep.since.astimezone(zone).date())
        events = {event.event_id: event for event in (*_posted(sweep.company, found), *sweep.unrouted)}
        known = set(sweep.known)
        new = [event for event in events.values() if event.event_id not in known]
        deals = await self._deals.of_orders(sweep.company, (event.order_number for event in new))
        told = 0
        for event in new:
            deal_id = deals.get(event.order_number)
            if deal_id is not None and await self._deals.tell_finance(deal_id, event):
                known.add(event.event_id)
                told += 1
        unrouted = tuple(
            event
            for event in sweep.unrouted
            if event.event_id not in known and began - event.occurred_at < KEPT_UNROUTED
        )
        return FinanceChanges(
            since=began - LOOK_BACK,
            known=tuple(sorted(known & set(events))),
            unrouted=unrouted,
            signalled=told,
        )

    async def _events(self, company: str, changed: Iterable[QuoteChange]) -> list[SalesEvent]:
        events: list[SalesEvent] = []
        for quote in changed:
            of = await self._company(quote)
            kind = _kind(quote)
            if kind is not None and of is not None and company in ("", of):
                events.append(_event(quote, kind, of))
        return events

    async def _company(self, quote: QuoteChange) -> str | None:
        unit = quote.business_unit_id
        if unit is None:
            return None
        if unit not in self._units:
            self._units = await self._dataverse.business_units()
        return self._policy.entity_map.company_of(self._units.get(unit, ""))

    async def _tell(self, events: Sequence[SalesEvent]) -> int:
        told = 0
        for event in events:
            told += await self._deals.tell(event)
        return told


def _kind(quote: QuoteChange) -> SalesEventKind | None:
    match quote.state:
        case QuoteState.DRAFT:
            return SalesEventKind.SUBMITTED if quote.approval is ApprovalChoice.REQUESTED else None
        case QuoteState.ACTIVE:
            return SalesEventKind.ACTIVATED
        case QuoteState.WON:
            return SalesEventKind.ACCEPTED
        case QuoteState.CLOSED:
            return QUOTE_CLOSED_AS.get(quote.status)


def _event(quote: QuoteChange, kind: SalesEventKind, company: str) -> SalesEvent:
    return SalesEvent(
        event_id=event_ids.quote_fact(quote.id, kind, quote.version),
        kind=kind,
        company=company,
        quote_number=quote.number,
        quote_id=str(quote.id),
        revision=quote.revision,
        version=quote.version,
        occurred_at=quote.modified_on or datetime.now(UTC),
        actor=str(quote.modified_by_id or ""),
        source="sweep",
    )


def _posted(company: str, found: Sweep) -> list[FinanceEvent]:
    now = datetime.now(UTC)
    events = [
        FinanceEvent(
            event_id=event_ids.finance_document(FinanceEventKind.SHIPMENT_POSTED, slip.slip),
            kind=FinanceEventKind.SHIPMENT_POSTED,
            company=company,
            customer_account=slip.account,
            order_number=slip.order_number,
            document=slip.slip,
            occurred_at=now,
            source="sweep",
        )
        for slip in found.slips
    ]
    events.extend(
        FinanceEvent(
            event_id=event_ids.finance_document(FinanceEventKind.INVOICE_POSTED, invoice.number),
            kind=FinanceEventKind.INVOICE_POSTED,
            company=company,
            order_number=invoice.order_number,
            document=invoice.number,
            occurred_at=now,
            source="sweep",
        )
        for invoice in found.invoices
        if invoice.order_number
    )
    events.extend(
        FinanceEvent(
            event_id=event_ids.finance_document(FinanceEventKind.PAYMENT_POSTED, found.payment_of(settled)),
            kind=FinanceEventKind.PAYMENT_POSTED,
            company=company,
            customer_account=settled.account,
            order_number=found.settled_orders[settled.invoice],
            document=found.payment_of(settled),
            occurred_at=now,
            source="sweep",
        )
        for settled in found.settled
        if settled.invoice in found.settled_orders
    )
    return events
