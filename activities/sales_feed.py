"""The feed of Sales: what changed in quotes and opportunities, of all companies, told to the deals it concerns.

A record shows how it stands, not what happened to it: each change is turned into the event that would have brought it
there, with the id a webhook's event of the same fact has. Deals whose place in the list of runs shows that they know
are not told. What concerns a deal and reaches none is handed to a person.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from temporalio import activity

from activities.delivery import counted, grouped, progress, side_by_side, temporal_failures, told
from activities.failures import for_deal
from activities.feed_signatures import LookAtSales, LookedAt, ReadPage, ReadSales, SalesFeedActivities
from domain import event_ids
from domain.feeds import Became, Look, SalesTable, Unrouted
from domain.messages import SalesEvent, SalesEventKind
from domain.policy import Policy
from domain.views import Stage, WaitingFor
from dynamics.core.errors import Conflict, NotFound, Refused, System
from dynamics.sales.changes import SalesChanges
from dynamics.sales.options import QUOTE_CLOSED_AS, ApprovalChoice, OpportunityState, QuoteState
from dynamics.sales.records import Changes, OpportunityChange, OrderChange, QuoteChange
from runs import names
from runs.after_end import AfterEndDesk
from runs.calls import answer
from runs.deals import Deals
from runs.lookup import Lookup, Standing, Status

_BEFORE_ACCEPTANCE = ("", Stage.OPPORTUNITY, Stage.QUOTE)
MOST_ORDERS = 20
"""Orders made from one quote that a deal is told of, beside its own."""
_NEVER_ASKED = (None, ApprovalChoice.NONE)


@dataclass(slots=True)
class Case:
    """An event, the record it was read from, and what became of it."""

    event: SalesEvent
    quote: QuoteChange | None = None
    became: Became = Became.WAITING
    reason: str = ""
    help: str = ""

    def hand_out(self, reason: str, what_helps: str) -> None:
        """A person has to look."""
        self.became, self.reason, self.help = Became.UNROUTED, reason, what_helps


class SalesFeedWork(SalesFeedActivities):
    """The activities of the feeds of Sales."""

    def __init__(
        self,
        deals: Deals,
        lookup: Lookup,
        changes: SalesChanges,
        business_units: Callable[[], Awaitable[Mapping[UUID, str]]],
        policy: Policy,
        after_end: AfterEndDesk,
    ) -> None:
        """Read ``changes``, find deals by ``lookup``, tell ``deals``, and ``after_end`` of those that have ended.

        ``policy`` maps business units to companies.
        """
        self._deals = deals
        self._lookup = lookup
        self._changes = changes
        self._business_units = business_units
        self._policy = policy
        self._after_end = after_end
        self._units: Mapping[UUID, str] = {}

    @activity.defn(name="read_sales")
    async def read_sales(self, ask: ReadSales) -> ReadPage:
        """Read one page of changes and tell the deals.

        Where Sales does not take the link any more, nothing is told: the table has to be read anew, and what was
        deleted meanwhile cannot be seen.
        """
        async with progress() as settled:
            with for_deal():
                try:
                    page = await self._changes.page(ask.table, ask.link)
                except (Refused, NotFound, Conflict, ValueError) as error:
                    if ask.link is None:
                        raise
                    return ReadPage(expired=str(error)[:500])
                if page.next_link is None and page.delta_link is None:
                    raise Refused(
                        f"neither a next link nor a delta link: enable change tracking of the table {ask.table}",
                        system=System.DATAVERSE,
                        operation=f"changes of {ask.table}",
                    )
                cases = await self._cases(ask.table, page)
            cases = await self._deliver(cases, settled, anew=ask.anew)
        return ReadPage(
            next_link=page.next_link,
            delta_link=page.delta_link,
            unrouted=(*_unrouted(cases), *_unreadable(ask.table, page)),
            counts=dict(counted(case.became for case in cases)),
        )

    @activity.defn(name="look_at_sales")
    async def look_at_sales(self, ask: LookAtSales) -> LookedAt:
        """Read records as they stand, and tell the deals what that means. A record that is gone was deleted."""
        async with progress() as settled:
            with for_deal():
                found = await self._changes.now(ask.table, [look.record_id for look in ask.looks])
                cases = await self._cases(ask.table, found)
            cases = await self._deliver(cases, settled, anew=False)
        return LookedAt(
            unrouted=(*_unrouted(cases), *_unreadable(ask.table, found)),
            counts=dict(counted(case.became for case in cases)),
        )

    # --- from records to events ------------------------------------------------------------------------------------

    async def _cases(self, table: SalesTable, page: Changes) -> list[Case]:
        if table == "opportunity":
            return await self._opportunity_cases(page.opportunities)
        if table == "salesorder":
            return await self._order_cases(page.orders)
        await self._learn_units(page.quotes)
        cases = [self._case(quote, kind) for quote in page.quotes if (kind := _kind(quote)) is not None]
        return cases + await self._deleted(page.deleted)

    async def _opportunity_cases(self, changed: Sequence[OpportunityChange]) -> list[Case]:
        """Opportunities lost, and open ones that may have been reopened, as events of their latest quotes."""
        kinds = {each.id: _OPPORTUNITY_KINDS[each.state] for each in changed if each.state in _OPPORTUNITY_KINDS}
        quotes = await self._changes.quotes_of(list(kinds))
        await self._learn_units(quotes)
        latest: dict[tuple[UUID | None, str], QuoteChange] = {}
        for quote in sorted(quotes, key=lambda quote: quote.revision):
            latest[quote.opportunity_id, quote.number] = quote
        return [self._case(quote, kinds[of]) for (of, _), quote in latest.items() if of is not None]

    async def _order_cases(self, changed: Sequence[OrderChange]) -> list[Case]:
        """Orders of Sales that were cancelled or made once more, as events of the quotes they were made from.

        An order that is known to Finance and not cancelled is its deal's own, and how it changes is nobody's news.
        """
        telling = [each for each in changed if each.quote_id and (each.cancelled or not each.finance_number)]
        quote_ids = sorted({each.quote_id for each in telling if each.quote_id})
        of_quote: dict[UUID | None, list[OrderChange]] = {}
        for order in await self._changes.orders_of(quote_ids):
            of_quote.setdefault(order.quote_id, []).append(order)
        quotes = (await self._changes.now("quote", [each for each in quote_ids if each in of_quote])).quotes
        await self._learn_units(quotes)
        told = {each.id for each in telling if each.cancelled}
        return [case for quote in quotes for case in self._cases_of_orders(quote, of_quote[quote.id], told)]

    def _cases_of_orders(self, quote: QuoteChange, orders: Sequence[OrderChange], told: Collection[UUID]) -> list[Case]:
        """What the orders made from a quote mean to its deal; ``told``: those that were told to be cancelled."""
        own = min(orders, key=_precedence)
        if own.cancelled:
            return [self._case(quote, SalesEventKind.ORDER_CANCELLED)] if own.id in told else []
        others = [order for order in orders if order is not own]
        left = [order.number for order in others if not order.cancelled]
        if not left and not any(order.id in told for order in others):
            return []
        case = self._case(quote, SalesEventKind.ORDERS_MADE)
        version = max(order.version for order in orders)
        news = {"event_id": event_ids.orders_of_quote(quote.id, version), "orders": tuple(left[:MOST_ORDERS])}
        case.event = case.event.model_copy(update=news)
        return [case]

    async def _deleted(self, ids: Sequence[UUID]) -> list[Case]:
        """A deleted quote can be read by nobody any more: the deal whose current revision it was is known by its id."""
        with temporal_failures():
            deals = await self._lookup.of_quote_ids([str(each) for each in ids])
        return [
            Case(
                SalesEvent(
                    event_id=event_ids.quote_fact(quote_id, SalesEventKind.DELETED, 0),
                    kind=SalesEventKind.DELETED,
                    company=deal.company,
                    quote_number=deal.quote_number,
                    quote_id=quote_id,
                    revision=0,
                    occurred_at=datetime.now(UTC),
                    source="sweep",
                )
            )
            for quote_id, deal in deals.items()
        ]

    def _case(self, quote: QuoteChange, kind: SalesEventKind) -> Case:
        name = self._units.get(quote.business_unit_id, "") if quote.business_unit_id else ""
        company = self._policy.entity_map.company_of(name)
        case = Case(_event(quote, kind, company or ""), quote)
        if company is None and kind is SalesEventKind.SUBMITTED:
            case.hand_out(
                f"Its business unit {name or quote.business_unit_id} is mapped to no company, so its approval was "
                "never requested",
                "Add the business unit to entity_map.yaml, then have the quote submitted again",
            )
        elif company is None:
            case.became = Became.FOREIGN
        return case

    async def _learn_units(self, quotes: Sequence[QuoteChange]) -> None:
        if {quote.business_unit_id for quote in quotes if quote.business_unit_id} - set(self._units):
            self._units = await self._business_units()

    # --- from events to deals --------------------------------------------------------------------------------------

    async def _deliver(self, cases: Sequence[Case], settled: set[str], *, anew: bool) -> list[Case]:
        """Tell the deals that do not know; the cases that proved to be events, with what became of them.

        Args:
            cases: one for each record.
            settled: keys of events told by an earlier try of this activity; those told now are added.
            anew: the records are all there are, not those that changed: only running deals are told.
        """
        with temporal_failures():
            deals = await self._standings(cases)
        with for_deal():
            cases = await self._proved(cases, deals)
        for case in cases:
            deal = deals.get(_quote_of(case.event))
            if case.became is not Became.WAITING:
                continue
            if _key(case.event) in settled:
                case.became = Became.DELIVERED
            elif deal is not None and _knows(deal, case.event):
                case.became = Became.KNOWN
            elif anew and deal is None and case.event.kind is not SalesEventKind.SUBMITTED:
                case.became = Became.NOBODY

        async def tell(case: Case) -> None:
            case.became, reason = await told(answer(self._deals.tell(case.event)))
            if reason:
                case.hand_out(reason, "Look at the deal's run in Temporal Web")
            elif case.became is Became.NOBODY:
                await self._reached_nobody(case)
            if case.became is Became.DELIVERED:
                settled.add(_key(case.event))

        with temporal_failures():
            waiting = [case for case in cases if case.became is Became.WAITING]
            await side_by_side(grouped(waiting, key=lambda case: "/".join(_quote_of(case.event))), tell)
        return list(cases)

    async def _standings(self, cases: Sequence[Case]) -> dict[tuple[str, str], Standing]:
        """Running deals by company and quote number. A submission needs none: it starts its deal."""
        found: dict[tuple[str, str], Standing] = {}
        needed = [
            case.event
            for case in cases
            if case.became is Became.WAITING and case.event.kind is not SalesEventKind.SUBMITTED
        ]
        for events in grouped(needed, key=lambda event: event.company):
            company = events[0].company
            deals = await self._lookup.of_quotes(company, {event.quote_number for event in events})
            found |= {(company, number): deal for number, deal in deals.items()}
        return found

    async def _proved(self, cases: Sequence[Case], deals: Mapping[tuple[str, str], Standing]) -> list[Case]:
        """Leave out what looks like an event and is none: a draft nobody asked for, an opportunity always open.

        A request was taken back only where the deal waits for approval of this very revision, and the draft says
        afterwards that nothing is requested. An open opportunity was reopened only if it was closed before.
        """
        withdrawn: list[UUID] = []
        reopened: list[UUID] = []
        ended = await self._ended(cases, deals)
        for case in cases:
            deal, quote = deals.get(_quote_of(case.event)), case.quote
            if quote is None:
                continue
            if _quote_of(case.event) in ended and quote.opportunity_id:
                reopened.append(quote.opportunity_id)
            if deal is None:
                continue
            if case.event.kind is SalesEventKind.WITHDRAWN and _waits_for_approval(deal, case.event):
                withdrawn.append(quote.id)
            if case.event.kind is SalesEventKind.OPPORTUNITY_REOPENED and quote.opportunity_id:
                reopened.append(quote.opportunity_id)
        now = {quote.id: quote for quote in (await self._changes.now("quote", withdrawn)).quotes}
        closings = await self._changes.last_closings(reopened)
        proved: list[Case] = []
        for case in cases:
            quote = case.quote
            if case.event.kind is SalesEventKind.WITHDRAWN and case.became is Became.WAITING:
                quote = now.get(quote.id) if quote else None
                if quote is None or _kind(quote) is not SalesEventKind.WITHDRAWN:
                    continue
                case = Case(_event(quote, case.event.kind, case.event.company), quote)
            elif case.event.kind is SalesEventKind.OPPORTUNITY_REOPENED and case.became is Became.WAITING:
                closing = closings.get(quote.opportunity_id) if quote and quote.opportunity_id else None
                if closing is None:
                    continue
                case.event = case.event.model_copy(update={"event_id": f"{case.event.event_id}/{closing}"})
            proved.append(case)
        return proved

    async def _ended(
        self, cases: Sequence[Case], deals: Mapping[tuple[str, str], Standing]
    ) -> frozenset[tuple[str, str]]:
        """The quotes of opportunities that may have been reopened after their deal had ended."""
        found: set[tuple[str, str]] = set()
        open_again = [
            case.event
            for case in cases
            if case.became is Became.WAITING
            and case.event.kind is SalesEventKind.OPPORTUNITY_REOPENED
            and _quote_of(case.event) not in deals
        ]
        for events in grouped(open_again, key=lambda event: event.company):
            company = events[0].company
            with temporal_failures():
                there = await self._lookup.ended_of_quotes(company, {event.quote_number for event in events})
            found |= {(company, number) for number in there}
        return frozenset(found)

    async def _reached_nobody(self, case: Case) -> None:
        """No deal runs for a quote that was activated, won or made into one more order.

        That is right where its deal has ended since; else it is a person's business.

        Raises:
            NoAnswer: Temporal does not answer.
        """
        quote, event = case.quote, case.event
        if await self._after_end.report_of_sales(event):
            case.became = Became.AFTER_END
            return
        if event.kind is SalesEventKind.ORDERS_MADE and event.orders:
            if await self._lookup.last_run(names.deal_id(event.company, event.quote_number)) is not None:
                case.hand_out(
                    f"It was made into another order in Sales ({', '.join(event.orders)}), and its deal has ended",
                    "Cancel the order in Sales, or order it by hand",
                )
            return
        if quote is None or event.kind not in (SalesEventKind.ACTIVATED, SalesEventKind.ACCEPTED):
            return
        did = "won" if event.kind is SalesEventKind.ACCEPTED else "activated"
        if quote.approval in _NEVER_ASKED:
            case.hand_out(
                f"Revision {quote.revision} was {did} in Sales without having been submitted for approval: "
                "nothing is ordered",
                "Have the quote revised and submitted, or order it by hand",
            )
            return
        if event.kind is not SalesEventKind.ACCEPTED or quote.closed_on is None:
            return
        run = await self._lookup.last_run(names.deal_id(event.company, event.quote_number))
        if run is not None and run.closed_at is not None and quote.closed_on > run.closed_at:
            how = "had ended" if run.status is Status.COMPLETED else "was ended from outside"
            case.hand_out(
                f"Revision {quote.revision} was won in Sales after its deal {how}: nothing is ordered",
                "Have the quote revised and submitted, or order it by hand",
            )


_OPPORTUNITY_KINDS: Mapping[int, SalesEventKind] = {
    OpportunityState.LOST: SalesEventKind.OPPORTUNITY_LOST,
    OpportunityState.OPEN: SalesEventKind.OPPORTUNITY_REOPENED,
}


def _precedence(order: OrderChange) -> tuple[bool, bool, float, str]:
    """The order that is a deal's own comes first: known to Finance, else not cancelled, else the oldest."""
    made = order.created_on
    return not order.finance_number, order.cancelled, made.timestamp() if made else 0.0, str(order.id)


def _kind(quote: QuoteChange) -> SalesEventKind | None:
    """The event that would have brought a quote where it stands; a draft's WITHDRAWN has still to be proved."""
    match quote.state:
        case QuoteState.DRAFT:
            if quote.approval == ApprovalChoice.REQUESTED:
                return SalesEventKind.SUBMITTED
            return SalesEventKind.WITHDRAWN if quote.approval in _NEVER_ASKED else None
        case QuoteState.ACTIVE:
            return SalesEventKind.ACTIVATED
        case QuoteState.WON:
            return SalesEventKind.ACCEPTED
        case QuoteState.CLOSED:
            # A tenant has status reasons of its own: every other way to close a quote calls the deal off.
            return QUOTE_CLOSED_AS.get(quote.status, SalesEventKind.CANCELLED)


def _event(quote: QuoteChange, kind: SalesEventKind, company: str) -> SalesEvent:
    return SalesEvent(
        event_id=_fact(quote, kind),
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


def _fact(quote: QuoteChange, kind: SalesEventKind) -> str:
    """The id a webhook gives the same fact; the last closing of a reopened opportunity is added where it is known."""
    if quote.opportunity_id is not None and kind is SalesEventKind.OPPORTUNITY_LOST:
        return event_ids.opportunity_lost(quote.opportunity_id)
    return event_ids.quote_fact(quote.id, kind, quote.version)


def _key(event: SalesEvent) -> str:
    """What tells an event from every other: a lost opportunity with two quotes is two events with one id."""
    return f"{event.event_id}|{event.company}/{event.quote_number}"


def _quote_of(event: SalesEvent) -> tuple[str, str]:
    return event.company, event.quote_number


def _waits_for_approval(deal: Standing, event: SalesEvent) -> bool:
    return deal.quote_id == event.quote_id and deal.waiting_for == WaitingFor.APPROVAL


def _knows(deal: Standing, event: SalesEvent) -> bool:
    """Whether a deal's place in the list shows that it has taken an event; only of its current revision."""
    if deal.quote_id != event.quote_id:
        return False
    accepted = deal.stage not in _BEFORE_ACCEPTANCE
    match event.kind:
        case SalesEventKind.ACTIVATED:
            return accepted or deal.waiting_for == WaitingFor.CUSTOMER
        case SalesEventKind.ACCEPTED:
            return accepted
        case _:
            return False


def _unrouted(cases: Sequence[Case]) -> list[Unrouted]:
    return [
        Unrouted(
            id=_key(case.event),
            at=datetime.now(UTC),
            company=case.event.company,
            what=case.event.kind,
            reference=case.event.quote_number or case.event.quote_id,
            reason=case.reason,
            help=case.help,
            again=_look("quote", case.event.quote_id),
        )
        for case in cases
        if case.reason
    ]


def _look(table: SalesTable, record_id: str) -> Look | None:
    """What is read again to see whether it still needs somebody; None where its id is none."""
    try:
        return Look(table=table, record_id=UUID(record_id))
    except ValueError:
        return None


def _unreadable(table: SalesTable, page: Changes) -> list[Unrouted]:
    return [
        Unrouted(
            id=f"dv/{table}/{record_id}/unreadable",
            at=datetime.now(UTC),
            what="unreadable",
            reference=record_id,
            reason=why[:500],
            help="Correct the columns named; the other records were read",
            again=_look(table, record_id),
        )
        for record_id, why in list(page.unreadable.items())[:20]
    ]
