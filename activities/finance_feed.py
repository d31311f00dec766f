"""The feed of Finance: what was posted in a company, and events whose deal was not known, passed on to the deals.

A fact has the same id whether an event or a sweep tells it, so that a deal that knows it already ignores it. Finance
dates documents by day: every sweep reads the last days again, and a digest tells which documents were passed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from temporalio import activity

from activities.delivery import counted, grouped, progress, side_by_side, temporal_failures, told
from activities.failures import for_deal
from activities.feed_signatures import FinanceFeedActivities, RoutedFinance, RouteFinance, SweepFinance, SweptFinance
from activities.late_reports import LateReports
from domain import event_ids
from domain.digest import MOST, Digest
from domain.event_ids import payment_number
from domain.feeds import (
    MOST_BYTES,
    MOST_UNROUTED,
    Became,
    DocumentKind,
    Unrouted,
    is_credit,
    key_of,
    may_be_ours,
    typed_order,
    unrouted_event,
)
from domain.messages import SWEEP, FinanceEvent, FinanceEventKind
from domain.order_key import is_order_key
from domain.policy import Policy
from domain.views import Stage
from dynamics.finance.client import Finance
from dynamics.finance.swept import Sweep
from runs.calls import answer
from runs.deals import Deals
from runs.lookup import Lookup, Standing, Status

LOOK_BACK = timedelta(days=1)
"""How far before the newest document of a kind a sweep begins: documents of a day come until it has ended everywhere.

One dated further back than that is found by its deal's own daily look at Finance.
"""
PASSED_ON_AT_ONCE = 1_000
"""Documents one activity passes on; where there are more, the feed sweeps again at once."""
ENDS_WITHIN = timedelta(minutes=30)
"""How long after a change of an open invoice its deal, which still runs, may end without having read it."""
LOOKED_UP_AT_ONCE = 2_000
"""Documents whose deals are looked up before the first of them are passed on."""
HANDED_BACK = 200
"""Documents one activity hands back to wait in the feed; the next sweep finds the others again."""
DEALS_OF_A_CUSTOMER = 200
"""Deals told of an invoice that names no order; each reads its own invoices."""
_AFTER_ORDER = (Stage.FULFILMENT, Stage.INVOICE, Stage.PAYMENT)


@dataclass(slots=True, eq=False)
class Case:
    """An event and what is known of it: its deal, or what became of it without one."""

    event: FinanceEvent
    day: date = date.max
    """Day of the document, where a sweep found it."""
    deal_id: str = ""
    ended: bool = False
    """Whether its deal has ended."""
    of_ended: bool = False
    """Whether it is news only where its deal has ended."""
    became: Became = Became.WAITING
    reason: str = ""
    typed_for: str = ""
    """The quote of a deal that the order names, which the deal did not make."""


class FinanceFeedWork(FinanceFeedActivities):
    """The activities of the feeds of Finance."""

    def __init__(self, deals: Deals, lookup: Lookup, finance: Finance, policy: Policy, late: LateReports) -> None:
        """Read ``finance``, find deals by ``lookup``, tell ``deals``, and ``late`` of those that have ended.

        ``policy`` knows calendars and numbering.
        """
        self._deals = deals
        self._lookup = lookup
        self._finance = finance
        self._policy = policy
        self._late = late

    @activity.defn(name="sweep_finance")
    async def sweep_finance(self, sweep: SweepFinance) -> SweptFinance:
        """Read what was posted, settled and cancelled since, and tell the deals what is new.

        The oldest documents come first, and the days they are read from move on with them: so a week's worth needs no
        more memory than a day's.
        """
        today = datetime.now(ZoneInfo(self._policy.calendar(sweep.company).timezone)).date()
        since = {kind: sweep.marks.get(kind, today - LOOK_BACK) for kind in DocumentKind}
        async with progress() as settled:
            with for_deal():
                found = await self._finance.sweep(
                    sweep.company,
                    slips=since[DocumentKind.SLIP],
                    invoices=since[DocumentKind.INVOICE],
                    settled=since[DocumentKind.SETTLEMENT],
                    cancelled=since[DocumentKind.CANCELLED_ORDER],
                )
                digest, waiting = Digest(sweep.told), Digest(sweep.waiting)
            references = {slip.order_number: slip.reference for slip in found.slips if slip.reference}
            references |= {invoice.order_number: invoice.reference for invoice in found.invoices if invoice.reference}
            typed = await self._typed(sweep.company, references)
            posted = [
                Case(event, day, typed_for=typed.get(event.order_number, ""))
                for event, day in _posted(sweep.company, found)
                if self._may_be_ours(event) or event.order_number in typed
            ]
            opened = _opened(sweep.company, found)
            posted += [Case(e, e.occurred_at.date(), of_ended=True) for e in opened if self._may_be_ours(e)]
            keys = {id(case): key_of(case.event) for case in posted}
            new = [c for c in posted if keys[id(c)] not in digest and keys[id(c)] not in waiting]
            new.sort(key=lambda case: case.day)
            tried = await self._pass_on(sweep.company, new, settled)
        # A deal that still runs may end at this moment: for a while its open invoices are looked at by each sweep.
        lately = datetime.now(UTC) - ENDS_WITHIN
        again = [c for c in tried if c.of_ended and c.became is Became.KNOWN and c.event.occurred_at > lately]
        done = [case for case in tried if case.became is not Became.WAITING and case not in again]
        waits = [case for case in tried if case.became is Became.WAITING]
        left = [*(case for case in waits if case.deal_id), *new[len(tried) :]]
        marks = _moved(since, found, min([today, *(case.day for case in left)]))
        digest.keep(keys[id(c)] for c in posted if c.day >= min(marks.values()))
        for case in done:
            digest.add(keys[id(case)])
        unseen = [case.event for case in waits if not case.deal_id]
        unresolved = _fitting(unseen, sweep.room)
        for_a_person = [*(_unrouted(case) for case in done if case.reason), *_unreadable(sweep.company, found)]
        if digest.full:
            for_a_person.append(_too_many(sweep.company))
        kept_out = [Became.OVERFLOW] * (len(unseen) - len(unresolved))
        return SweptFinance(
            marks=marks,
            told=digest.packed(),
            unresolved=unresolved,
            unrouted=tuple(for_a_person[-MOST_UNROUTED:]),
            counts=dict(counted([*(case.became for case in done), *kept_out])),
            more=bool(left and done) and not digest.full,
            key_numbered=self._key_numbered(sweep.company),
        )

    @activity.defn(name="route_finance")
    async def route_finance(self, route: RouteFinance) -> RoutedFinance:
        """Find the deals of events and tell them."""
        async with progress() as settled:
            cases = [Case(event) for event in route.events]
            several = await self._of_customers(route.company, cases) + await self._of_invoices(route.company, cases)
            await self._resolve(route.company, [case for case in cases if case.event.order_number])
            await self._deliver([case for case in (*cases, *several) if case.deal_id], settled)
        return RoutedFinance(
            became=tuple(case.became for case in cases),
            unrouted={place: _unrouted(case) for place, case in enumerate(cases) if case.reason},
        )

    def _key_numbered(self, company: str) -> bool:
        return not self._finance.orders.numbers_automatically(company)

    def _may_be_ours(self, event: FinanceEvent) -> bool:
        return may_be_ours(event, self._key_numbered(event.company))

    async def _typed(self, company: str, references: Mapping[str, str]) -> dict[str, str]:
        """Orders that cannot be a deal's own by their number, and name a deal's quote: somebody typed them.

        Where Finance numbers the orders, that is asked only of those that prove to be foreign (``_resolve``).

        Args:
            company: legal entity.
            references: what orders name as their reference, by order number.
        """
        if not self._key_numbered(company):
            return {}
        return await self._of_deals(
            company, {order: r for order, r in references.items() if order and not is_order_key(order)}
        )

    async def _of_deals(self, company: str, references: Mapping[str, str]) -> dict[str, str]:
        """Those of the orders that name the quote of a deal, each with its quote; the newest ones, of very many."""
        named = dict(list(references.items())[-LOOKED_UP_AT_ONCE:])
        with temporal_failures():
            running = await self._lookup.of_quotes(company, set(named.values()))
            ended = await self._lookup.ended_of_quotes(company, set(named.values()) - set(running))
        return {order: reference for order, reference in named.items() if reference in running or reference in ended}

    async def _pass_on(self, company: str, new: Sequence[Case], settled: set[str]) -> list[Case]:
        """Look up and tell, the oldest first, until enough were passed on; those that were tried."""
        tried: list[Case] = []
        for start in range(0, len(new), LOOKED_UP_AT_ONCE):
            some = new[start : start + LOOKED_UP_AT_ONCE]
            await self._resolve(company, some)
            tried += some
            deliverable = [case for case in some if case.deal_id]
            await self._deliver(deliverable[:PASSED_ON_AT_ONCE], settled)
            if deliverable:
                break
        return tried

    async def _resolve(self, company: str, cases: Sequence[Case]) -> None:
        """Find each event's deal: first in the list of runs, then, of orders not there, whether they are ours at all.

        A deal shows its order number before its order can be known to anyone; still the list is a moment behind.
        """
        numbers = {case.event.order_number for case in cases if self._may_be_ours(case.event)}
        with temporal_failures():
            deals = await self._lookup.of_orders(company, numbers)
        deals = {**deals, **await self._of_returns(company, [c for c in cases if c.event.order_number not in deals])}
        unseen = sorted(numbers - set(deals))
        ours = {number for number in unseen if is_order_key(number)}
        typed = {case.event.order_number: case.typed_for for case in cases if case.typed_for}
        if self._finance.orders.numbers_automatically(company) and set(unseen) - ours:
            with for_deal():
                marks = await self._finance.order_marks(company, sorted(set(unseen) - ours))
            ours |= {number for number, mark in marks.items() if is_order_key(mark.requisition)}
            foreign = {
                number: mark.reference for number, mark in marks.items() if number not in ours and mark.reference
            }
            typed |= await self._of_deals(company, foreign)
        for case in cases:
            number = case.event.order_number
            if (deal := deals.get(number)) is not None:
                _meet(case, deal)
            elif number in typed and not case.of_ended:
                case.became, case.typed_for, case.reason = Became.UNROUTED, typed[number], "Somebody typed its order"
            elif number not in ours:
                case.became = Became.FOREIGN

    async def _of_returns(self, company: str, cases: Sequence[Case]) -> dict[str, Standing]:
        """The deals whose goods came back, by the numbers of the return orders that credit notes name."""
        returns = {case.event.order_number for case in cases if is_credit(case.event)}
        if not returns:
            return {}
        with for_deal():
            sold = await self._finance.documents.sold_orders(company, sorted(returns))
        with temporal_failures():
            deals = await self._lookup.of_orders(company, set(sold.values()))
        orders = {number: sold.get(number.casefold(), "") for number in returns}
        return {number: deals[order] for number, order in orders.items() if order in deals}

    async def _of_customers(self, company: str, cases: Sequence[Case]) -> list[Case]:
        """An invoice over several orders names none: each deal of the customer that has its order looks at Finance."""
        several: list[Case] = []
        for case in (case for case in cases if not (case.event.order_number or case.event.invoice)):
            with temporal_failures():
                deals = await self._lookup.of_customer(company, case.event.customer_account)
            after = [deal for deal in deals if deal.stage in _AFTER_ORDER][:DEALS_OF_A_CUSTOMER]
            case.became = Became.DELIVERED if after else Became.FOREIGN
            several += [Case(case.event, deal_id=deal.deal_id) for deal in after]
        return several

    async def _of_invoices(self, company: str, cases: Sequence[Case]) -> list[Case]:
        """A payment of an invoice that names no order concerns the deals of all orders on it."""
        paid = [case for case in cases if case.event.invoice and not case.event.order_number]
        if not paid:
            return []
        with for_deal():
            orders = await self._finance.documents.orders_of(company, sorted({case.event.invoice for case in paid}))
        with temporal_failures():
            deals = await self._lookup.of_orders(company, {order for of in orders.values() for order in of})
        several: list[Case] = []
        for case in paid:
            own = [deals[order] for order in orders.get(case.event.invoice, ()) if order in deals]
            case.became = Became.DELIVERED if own else Became.FOREIGN
            several += [Case(case.event, deal_id=deal.deal_id) for deal in own if deal.running]
        return several

    async def _deliver(self, cases: Sequence[Case], settled: set[str]) -> None:
        async def deliver(case: Case) -> None:
            key = f"{key_of(case.event)}|{case.deal_id}"
            if key in settled:
                case.became = Became.AFTER_END if case.ended else Became.DELIVERED
                return
            if case.ended:
                case.became, case.reason = await self._late.tell(case.deal_id, case.event)
            else:
                case.became, case.reason = await told(answer(self._deals.tell_finance(case.deal_id, case.event)))
            if case.became in (Became.DELIVERED, Became.AFTER_END):
                settled.add(key)

        with temporal_failures():
            await side_by_side(grouped(cases, key=lambda case: case.deal_id), deliver)


def _meet(case: Case, deal: Standing) -> None:
    """What an event means for the deal its order belongs to: it is told, has ended (told apart), or is gone."""
    if deal.running and case.of_ended:
        case.became = Became.KNOWN  # its own event, or its daily look, tells it
    elif deal.running and deal.stage == Stage.CLOSED:
        pass  # it has ended and only cleans up: it takes nothing more, so this waits until its run is over
    elif deal.running:
        case.deal_id = deal.deal_id
    elif deal.status is not Status.COMPLETED:
        case.became = Became.UNROUTED
        case.reason = f"Its deal {deal.deal_id} was ended from outside ({deal.status.name.lower()})"
    else:
        case.deal_id, case.ended = deal.deal_id, True


def _unrouted(case: Case) -> Unrouted:
    if case.typed_for:
        return typed_order(case.event, datetime.now(UTC), case.typed_for)
    return unrouted_event(case.event, datetime.now(UTC), case.reason)


def _unreadable(company: str, found: Sweep) -> list[Unrouted]:
    return [
        Unrouted(
            id=f"finance/unreadable/{company}/{why}"[:300],
            at=datetime.now(UTC),
            company=company,
            what="unreadable",
            reference="",
            reason=why[:500],
            help="Give the application user the columns named, or have the entity restored; the other rows were read",
        )
        for why in found.unreadable[:20]
    ]


def _too_many(company: str) -> Unrouted:
    return Unrouted(
        id=f"finance/{company}/too-many",
        at=datetime.now(UTC),
        company=company,
        what="too_many_documents",
        reference="",
        reason=f"More than {MOST:,} documents of our orders in two days: deals are told of some of them again",
        help="Nothing is lost; raise Q2C_WORKER_SWEEP_SECONDS, so that they are told again less often",
    )


def _fitting(events: Sequence[FinanceEvent], room: int) -> tuple[FinanceEvent, ...]:
    """As many events as the feed, and a payload, can hold; the next sweep finds the others again."""
    fitting: list[FinanceEvent] = []
    size = 0
    for event in events[: min(room, HANDED_BACK)]:
        size += len(event.model_dump_json())
        if size > MOST_BYTES:
            break
        fitting.append(event)
    return tuple(fitting)


def _moved(since: dict[DocumentKind, date], found: Sweep, until: date) -> dict[DocumentKind, date]:
    """The day each kind is read from next time: a day before its newest document.

    Args:
        since: the days they were read from.
        found: what was read.
        until: today, or the day of the oldest document that is still to be passed on; what is dated later must not
            hide what comes until then.
    """
    newest: dict[DocumentKind, list[date | None]] = {
        DocumentKind.SLIP: [slip.posted_on for slip in found.slips],
        DocumentKind.INVOICE: [invoice.invoiced_on.date() for invoice in found.invoices],
        DocumentKind.SETTLEMENT: [settled.last_settled_on for settled in found.settled],
        DocumentKind.CANCELLED_ORDER: [order.changed_on.date() for order in found.cancelled],
    }
    return {
        kind: max([since[kind], *(min(day, until) - LOOK_BACK for day in newest[kind] if day is not None)])
        for kind in DocumentKind
    }


def _posted(company: str, found: Sweep) -> Iterator[tuple[FinanceEvent, date]]:
    """What a sweep found, as the events that would have told it, each with the day of its document."""
    now = datetime.now(UTC)
    today = now.date()

    def told(
        kind: FinanceEventKind, order: str, document: str, *, account: str = "", event_id: str = ""
    ) -> FinanceEvent:
        return FinanceEvent(
            event_id=event_id or event_ids.finance_document(kind, document),
            kind=kind,
            company=company,
            customer_account=account,
            order_number=order,
            document=document,
            occurred_at=now,
            source=SWEEP,
        )

    for slip in found.slips:
        if slip.order_number:
            event = told(FinanceEventKind.SHIPMENT_POSTED, slip.order_number, slip.slip, account=slip.account)
            yield event, slip.posted_on or today
    for invoice in found.invoices:
        for number in _orders(found, invoice.number, invoice.order_number):
            yield told(FinanceEventKind.INVOICE_POSTED, number, invoice.number), invoice.invoiced_on.date()
    for order in found.cancelled:
        number, event_id = order.order_number, event_ids.order_cancelled(order.order_number)
        what = "the order was cancelled"
        event = told(FinanceEventKind.ORDER_CHANGED, number, what, account=order.account, event_id=event_id)
        yield event, order.changed_on.date()
    for hold in found.holds:
        yield told(FinanceEventKind.CREDIT_HOLD, hold.order_number, hold.hold_id or hold.order_number), today
    for paid in found.prepayments:
        number = payment_number(paid.payment_id, paid.voucher)
        event_id = event_ids.deposit(number)  # its settlement with an invoice is told later, by its own id
        event = told(FinanceEventKind.PAYMENT_POSTED, paid.reference, number, account=paid.account, event_id=event_id)
        yield event, paid.posted_on or today
    for settled in found.settled:
        payment, account = found.payment_of(settled), settled.account
        event_id = event_ids.settlement(payment, settled.invoice)
        for number in _orders(found, settled.invoice, found.settled_orders.get(settled.invoice, "")):
            event = told(FinanceEventKind.PAYMENT_POSTED, number, payment, account=account, event_id=event_id)
            yield event, settled.last_settled_on or today


def _opened(company: str, found: Sweep) -> Iterator[FinanceEvent]:
    """Invoices that are open and were changed, as what it means where their deal had ended paid: a payment came back,
    or a settlement was undone. Each change is told once; what it is, is read by whoever is told.
    """
    for row in found.opened:
        changed = f"{row.invoice}@{row.changed_at:%Y%m%dT%H%M%SZ}"
        for number in _orders(found, row.invoice, found.settled_orders.get(row.invoice, "")):
            yield FinanceEvent(
                event_id=event_ids.finance_document(FinanceEventKind.PAYMENT_REVERSED, changed),
                kind=FinanceEventKind.PAYMENT_REVERSED,
                company=company,
                customer_account=row.account,
                order_number=number,
                document=row.invoice,
                occurred_at=row.changed_at,
                source=SWEEP,
            )


def _orders(found: Sweep, invoice: str, order: str) -> tuple[str, ...]:
    """The orders that an invoice concerns: its own, or those it is over."""
    return (order,) if order else found.shared.get(invoice, ())
