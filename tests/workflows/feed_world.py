"""A world for feeds and ledgers: a Finance and a Sales that say what a test has put there, and deals that take notes.

The activities, the list of runs and the workflows are the real ones; only what stands behind Dynamics is scripted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID, uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.worker import Worker

import policies
from activities.credit import CreditDesk
from activities.finance_feed import FinanceFeedWork
from activities.late_reports import LateReports
from activities.sales_feed import SalesFeedWork
from activities.signatures import Nothing
from activities.unclaimed import UnclaimedWork
from domain.after_end import FoundAfterEnd, LookAfterEnd
from domain.audit import AuditBatch, AuditReceipt
from domain.credit_facts import CreditFacts
from domain.feeds import FeedCursor, FeedStart, FeedView, Unrouted
from domain.messages import FinanceEvent, FinanceEventKind, SalesEvent
from domain.order_key import order_key
from dynamics.finance.client import Finance
from dynamics.finance.records import OrderMarks, PostedInvoice, Slip, Transaction
from dynamics.finance.swept import CancelledOrder, OpenInvoice, Sweep
from dynamics.sales.changes import SalesChanges
from dynamics.sales.records import Changes, OpportunityChange, OrderChange, QuoteChange
from runs import names
from runs.after_end import AfterEndDesk
from runs.calls import NoAnswer
from runs.deals import Deals
from runs.ledgers import Ledgers
from runs.lookup import Lookup
from tests.deadlines import PATIENCE
from tests.workflows.noting_deal import NotingDeal
from workers.worker import workflow_runner
from workflows.after_end import AfterEnd
from workflows.audit import AuditDelivery
from workflows.credit_ledger import CreditLedger
from workflows.feeds import FinanceFeed, SalesFeed

POLICY = policies.load()
UNIT = UUID(int=1)


def credit_facts(account: str, limit: str = "100000.00", **changes: Any) -> CreditFacts:
    """What Finance says of a customer of USMF, read just now; ``changes`` replace parts of it."""
    fields: dict[str, Any] = {
        "company": "usmf",
        "customer_account": account,
        "currency": "USD",
        "as_of": datetime.now(UTC),
        "credit_limit": Decimal(limit),
        "unlimited": False,
        "credit_management": True,
        "open_ar": Decimal(0),
    }
    return CreditFacts(**(fields | changes))


@dataclass
class ScriptedFinance:
    """What Finance posted, and how often it was asked."""

    automatic: bool = False
    slips: list[Slip] = field(default_factory=list)
    invoices: list[PostedInvoice] = field(default_factory=list)
    settled: list[Transaction] = field(default_factory=list)
    settled_orders: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)
    """What orders name as their reference."""
    cancelled: list[CancelledOrder] = field(default_factory=list)
    shared: dict[str, tuple[str, ...]] = field(default_factory=dict)
    opened: list[OpenInvoice] = field(default_factory=list)
    prepayments: list[Transaction] = field(default_factory=list)
    returns: dict[str, str] = field(default_factory=dict)
    """The orders that were sold, by the numbers of return orders in lower case."""
    unreadable: tuple[str, ...] = ()
    sweeps: list[dict[str, date]] = field(default_factory=list)
    asked_marks: int = 0

    @property
    def orders(self) -> ScriptedFinance:
        return self

    @property
    def documents(self) -> ScriptedFinance:
        return self

    async def sold_orders(self, company: str, returns: Sequence[str]) -> dict[str, str]:
        return {r.casefold(): self.returns[r.casefold()] for r in returns if r.casefold() in self.returns}

    async def orders_of(self, company: str, invoices: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return {invoice: self.shared[invoice] for invoice in invoices if invoice in self.shared}

    def numbers_automatically(self, company: str) -> bool:
        return self.automatic

    async def sweep(self, company: str, *, slips: date, invoices: date, settled: date, cancelled: date) -> Sweep:
        self.sweeps.append({"slips": slips, "invoices": invoices, "settled": settled, "cancelled": cancelled})
        return Sweep(
            slips=tuple(slip for slip in self.slips if slip.posted_on and slip.posted_on >= slips),
            invoices=tuple(i for i in self.invoices if i.invoiced_on.date() >= invoices),
            settled=tuple(t for t in self.settled if t.last_settled_on and t.last_settled_on >= settled),
            settled_orders=self.settled_orders,
            shared=self.shared,
            opened=tuple(self.opened),
            prepayments=tuple(self.prepayments),
            cancelled=tuple(order for order in self.cancelled if order.changed_on.date() >= cancelled),
            unreadable=self.unreadable,
        )

    async def order_marks(self, company: str, numbers: Sequence[str]) -> dict[str, OrderMarks]:
        self.asked_marks += 1
        return {
            number: OrderMarks(self.marks[number], self.references.get(number, ""))
            for number in numbers
            if number in self.marks
        }

    def invoice(self, order: str, on: date | None = None, number: str = "", reference: str = "") -> PostedInvoice:
        at = datetime.combine(on or datetime.now(UTC).date(), datetime.min.time(), UTC).replace(hour=12)
        posted = PostedInvoice(
            company="usmf",
            number=number or f"INV-{len(self.invoices)}",
            order_number=order,
            reference=reference,
            invoiced_on=at,
            total=Decimal(1),
        )
        self.invoices.append(posted)
        return posted


@dataclass
class ScriptedSales:
    """Pages of changes, and the records as they stand."""

    pages: list[Changes] = field(default_factory=list)
    quotes: dict[UUID, QuoteChange] = field(default_factory=dict)
    others: dict[UUID, OpportunityChange | OrderChange] = field(default_factory=dict)
    closings: dict[UUID, UUID] = field(default_factory=dict)
    links: list[str | None] = field(default_factory=list)
    refuse: list[Exception] = field(default_factory=list)

    async def page(self, table: str, link: str | None) -> Changes:
        self.links.append(link)
        if link is not None and self.refuse:
            raise self.refuse.pop(0)
        at = int(link.removeprefix("page-")) if link else 0
        if at >= len(self.pages):
            return Changes(deleted=(), delta_link=f"page-{at}")
        last = at + 1 == len(self.pages)
        return self.pages[at].model_copy(update={"delta_link" if last else "next_link": f"page-{at + 1}"})

    async def now(self, table: str, ids: Sequence[UUID]) -> Changes:
        records: dict[UUID, Any] = self.quotes if table == "quote" else self.others
        found = tuple(records[each] for each in ids if each in records)
        gone = tuple(each for each in ids if each not in records)
        fields = {"quote": "quotes", "opportunity": "opportunities", "salesorder": "orders"}
        return Changes(deleted=gone, **{fields[table]: found})

    async def quotes_of(self, ids: Sequence[UUID]) -> tuple[QuoteChange, ...]:
        return tuple(quote for quote in self.quotes.values() if quote.opportunity_id in ids)

    async def orders_of(self, ids: Sequence[UUID]) -> tuple[OrderChange, ...]:
        known = {order.id: order for page in self.pages for order in page.orders}
        known |= {each.id: each for each in self.others.values() if isinstance(each, OrderChange)}
        return tuple(order for order in known.values() if order.quote_id in ids)

    async def last_closings(self, ids: Sequence[UUID]) -> dict[UUID, UUID]:
        return {each: self.closings[each] for each in ids if each in self.closings}


class CountingDeals(Deals):
    """Tells deals as ever, and counts; telling may be made to take a while, to fail, or to reach nobody really."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self.told: list[str] = []
        self.delay = 0.0
        self.at_once = self.most_at_once = 0
        self.fail_after: int | None = None
        self.real = True

    async def tell(self, event: SalesEvent) -> bool:
        return await self._counted(event.event_id, super().tell(event))

    async def tell_finance(self, deal_id: str, event: FinanceEvent) -> bool:
        return await self._counted(event.event_id, super().tell_finance(deal_id, event))

    async def _counted(self, event_id: str, call: Coroutine[Any, Any, bool]) -> bool:
        if self.fail_after is not None and len(self.told) >= self.fail_after:
            call.close()
            raise NoAnswer
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay)
            if self.real:
                taken = await call
            else:
                call.close()
                taken = True
        finally:
            self.at_once -= 1
        if taken:
            self.told.append(event_id)
        return taken


@dataclass
class FeedWorld:
    """The feeds of one test, what stands behind them, and words for what happens."""

    client: Client
    finance: ScriptedFinance
    sales: ScriptedSales
    deals: CountingDeals
    ledgers: Ledgers
    company: str
    start_work: Callable[[], Awaitable[None]]
    """From now on workers run."""
    stop_work: Callable[[], Awaitable[None]]
    """From now on none does; what is said meanwhile is stored."""

    # --- feeds -----------------------------------------------------------------------------------------------------

    async def finance_feed(self, every: int = 3600, cursor: FeedCursor | None = None) -> WorkflowHandle[Any, Any]:
        return await self._feed("finance", self.company, names.FINANCE_FEED, every, cursor)

    async def sales_feed(self, table: str = "quote", every: int = 3600) -> WorkflowHandle[Any, Any]:
        return await self._feed("sales", table, names.SALES_FEED, every)

    async def _feed(
        self, system: Any, of: str, workflow_type: str, every: int, cursor: FeedCursor | None = None
    ) -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(
            workflow_type,
            FeedStart(system=system, of=of, every_seconds=every, cursor=cursor),
            id=f"feed/{system}/{of}/{uuid4().hex[:8]}",
            task_queue=names.DEAL_QUEUE,
        )

    # --- deals -----------------------------------------------------------------------------------------------------

    async def deal(
        self,
        number: str = "",
        *,
        order: str = "",
        quote_id: UUID | None = None,
        stage: str = "",
        waits: str = "",
        customer: str = "",
        listed: bool = True,
    ) -> WorkflowHandle[Any, Any]:
        """A deal that shows itself in the list of runs; returns when it is to be seen there, unless not ``listed``."""
        number = number or f"Q-{uuid4().hex[:10]}"
        shown = {
            "Q2CCompany": self.company,
            "Q2CQuote": number,
            "Q2CQuoteId": str(quote_id or uuid4()),
            "Q2COrder": order,
            "Q2CStage": stage,
            "Q2CWaitingFor": waits,
            "Q2CCustomer": customer,
        }
        handle = await self.client.start_workflow(
            names.QUOTE_TO_CASH,
            number,
            id=names.deal_id(self.company, number),
            task_queue=names.DEAL_QUEUE,
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(SearchAttributeKey.for_keyword(key), value)
                    for key, value in shown.items()
                    if value
                ]
            ),
        )
        if listed:
            await self.listed(f"WorkflowId = '{handle.id}'")
        return handle

    async def listed(self, query: str) -> None:
        await eventually(lambda: self._count(query))

    async def _count(self, query: str) -> int:
        return (await self.client.count_workflows(query)).count

    def order(self) -> str:
        """A number with our mark."""
        return order_key("test", self.company, uuid4().hex, 0)

    def event(self, order: str, **changes: Any) -> FinanceEvent:
        fields: dict[str, Any] = {
            "event_id": f"finance/invoice/{uuid4().hex[:8]}",
            "kind": FinanceEventKind.INVOICE_POSTED,
            "company": self.company,
            "order_number": order,
            "document": "INV",
            "occurred_at": datetime.now(UTC),
        }
        return FinanceEvent(**(fields | changes))

    def quote(self, number: str = "", **changes: Any) -> QuoteChange:
        """A quote of the test's company, active unless said otherwise; Sales has it from now on."""
        fields: dict[str, Any] = {
            "id": uuid4(),
            "version": 7,
            "number": number or f"Q-{uuid4().hex[:10]}",
            "state": 1,
            "status": 3,
            "approval": 100000003,
            "business_unit_id": UNIT,
        }
        quote = QuoteChange(**(fields | changes))
        self.sales.quotes[quote.id] = quote
        return quote


async def view(feed: WorkflowHandle[Any, Any]) -> FeedView:
    found: FeedView = await feed.query(names.STATE, result_type=FeedView)
    return found


async def until(feed: WorkflowHandle[Any, Any], **tally: int) -> FeedView:
    """The feed as soon as so many reports became this."""

    async def so_far() -> FeedView | None:
        now = await view(feed)
        return now if all(now.tally.get(name, 0) >= number for name, number in tally.items()) else None

    shown: FeedView = await eventually(so_far)
    return shown


async def unrouted(feed: WorkflowHandle[Any, Any]) -> list[Unrouted]:
    return [Unrouted.model_validate(report) for report in await feed.query(names.UNROUTED)]


async def told(deal: WorkflowHandle[Any, Any]) -> list[str]:
    return cast(list[str], await deal.query("told"))


async def eventually(condition: Any, patience: float = PATIENCE) -> Any:
    """The first true answer of an (async) condition."""
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        answer = condition()
        answer = await answer if asyncio.iscoroutine(answer) else answer
        if answer:
            return answer
        assert asyncio.get_running_loop().time() < deadline, "it did not come to be"
        await asyncio.sleep(0.02)


@activity.defn(name="look_after_end")
async def look_after_end(look: LookAfterEnd) -> FoundAfterEnd:
    """Nothing stands open of any deal."""
    return FoundAfterEnd(running=True)


@activity.defn(name="record_audit")
async def record_audit(batch: AuditBatch) -> AuditReceipt:
    """The audit takes everything."""
    return AuditReceipt(through=batch.records[-1].n, stored=len(batch.records))


@activity.defn(name="tell_people")
async def tell_people(notices: Any) -> Nothing:
    """Everybody is told."""
    return Nothing()


@asynccontextmanager
async def feed_world(client: Client, **options: Any) -> AsyncIterator[FeedWorld]:
    """Workers with feeds, ledgers and noting deals on the queues of ``names``, and a world behind them."""
    finance, sales, deals = ScriptedFinance(), ScriptedSales(), CountingDeals(client)
    lookup, ledgers = Lookup(client), Ledgers(client)
    company = "usmf"

    async def units() -> dict[UUID, str]:
        return {UNIT: company.upper()}

    desk = AfterEndDesk(client)
    of_finance = FinanceFeedWork(deals, lookup, cast(Finance, finance), POLICY, LateReports(deals, desk))
    of_sales = SalesFeedWork(deals, lookup, cast(SalesChanges, sales), units, POLICY, desk)
    unclaimed = UnclaimedWork(desk, of_finance, of_sales, [company])
    credit = CreditDesk(ledgers, POLICY)
    queues: list[tuple[str, list[Any], list[Any]]] = [
        (
            names.DEAL_QUEUE,
            [SalesFeed, FinanceFeed, CreditLedger, NotingDeal, AfterEnd, AuditDelivery],
            [
                credit.wake_deals,
                credit.find_ended,
                record_audit,
                tell_people,
            ],
        ),
        (
            names.FINANCE_QUEUE,
            [],
            [
                of_finance.sweep_finance,
                of_finance.route_finance,
                look_after_end,
                unclaimed.hand_to_desk,
                unclaimed.offer_again,
            ],
        ),
        (names.DATAVERSE_QUEUE, [], [of_sales.read_sales, of_sales.look_at_sales, unclaimed.hand_to_desk]),
    ]
    working = AsyncExitStack()

    async def start() -> None:
        for queue, workflows, activities in queues:
            worker = Worker(
                client,
                task_queue=queue,
                workflows=workflows,
                activities=activities,
                workflow_runner=workflow_runner(),
                **options,
            )
            await working.enter_async_context(worker)

    await start()
    try:
        yield FeedWorld(client, finance, sales, deals, ledgers, company, start, working.aclose)
    finally:
        await working.aclose()
