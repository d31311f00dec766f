"""What is collected from an account, over weeks: levels, disputes, promises, payment, bounce (scenario S33)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import policies
from activities.collecting import CollectionWork
from activities.collection_signatures import (
    CollectedInSales,
    CollectionActivities,
    HoldOrders,
    OpenItemsOf,
    ShowCollected,
)
from activities.signatures import FailureType, Nothing
from domain.approvals import BusinessHours
from domain.audit import AuditKind
from domain.collections import (
    CollectionsStart,
    CollectionsView,
    CustomerAddress,
    InvoicesShown,
    OpenItem,
    OpenItems,
    OrdersHeld,
    ShownInvoice,
)
from domain.messages import CustomerChanged, Outcome, SignedMessage
from domain.notices import Kind
from domain.people import Person
from runs import names
from runs.calls import NotFound
from runs.collections import AccountFilter, CollectionsDesk
from runs.ledgers import Ledgers
from tests.rights import POLICY
from tests.time_travel import move_clock
from tests.workflows.conftest import World, queues_of_its_own
from tests.workflows.replaying import replays
from tests.workflows.scripted_desks import ScriptedAudit, ScriptedNotices
from tests.workflows.test_credit_ledger import ask
from tests.workflows.trusting import ROLES, TrustingVerifier
from workers.worker import workflow_runner
from workflows.audit import AuditDelivery
from workflows.collections import Collections
from workflows.credit_ledger import CreditLedger

PATIENCE = 90.0
ZONE = ZoneInfo("America/New_York")
EVERY_DAY = BusinessHours(timezone="America/New_York", workdays=tuple(range(7)), opens="09:00", closes="17:00")
RULES = policies.dunning()
PLAN = RULES.plan("usmf", EVERY_DAY)
RITA, AMY, CLEO = (Person(oid=f"oid-{name}", name=name) for name in ("rita", "amy", "cleo"))
TOTAL = Decimal("1045.00")


class ScriptedFinance(CollectionActivities):
    """Finance's word on what is open, and the real way to the credit ledger."""

    def __init__(self, real: CollectionWork) -> None:
        self.items: tuple[OpenItem, ...] = ()
        self.read = 0
        self.away = False
        self._real = real

    @activity.defn(name="read_open_items")
    async def read_open_items(self, ask: OpenItemsOf) -> OpenItems:
        self.read += 1
        if self.away:
            raise ApplicationError("Finance is away", type=FailureType.REFUSED, non_retryable=True)
        customer = CustomerAddress(name="Contoso", lines=("1 Main St",))
        return OpenItems(as_of=datetime.now(UTC), customer=customer, items=self.items, plan=PLAN)

    @activity.defn(name="hold_orders")
    async def hold_orders(self, ask: HoldOrders) -> Nothing:
        return await self._real.hold_orders(ask)


class ScriptedSales(CollectedInSales):
    """What Sales shows of each deal."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}
        self.writes: list[str] = []
        self.refuses: set[str] = set()

    @activity.defn(name="show_collected")
    async def show_collected(self, show: ShowCollected) -> Nothing:
        if show.deal_id in self.refuses:
            raise ApplicationError("refused", type=FailureType.REFUSED, non_retryable=True)
        self.shown[show.deal_id] = show.text
        self.writes.append(show.text)
        return Nothing()


class Collected:
    """One account on workers of its own, whose clock can be moved."""

    def __init__(self, environment: WorkflowEnvironment, world: World) -> None:
        self.client, self.world = environment.client, world
        self.account = f"C-{uuid.uuid4().hex[:8]}"
        self.desk, self.ledgers = CollectionsDesk(self.client), Ledgers(self.client)
        real = CollectionWork(None, self.ledgers, POLICY, RULES)  # type: ignore[arg-type]  # Finance is scripted
        self.finance = ScriptedFinance(real)
        self.sales = ScriptedSales()
        self.due = datetime.now(ZONE).date()
        self.run: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(names.collections_id("usmf", self.account))

    def workers(self) -> tuple[Worker, Worker, Worker]:
        deals = Worker(
            self.client,
            task_queue=names.DEAL_QUEUE,
            workflows=[Collections, CreditLedger, AuditDelivery],
            activities=[
                TrustingVerifier().verify_messages,
                ScriptedAudit(self.world).record_audit,
                ScriptedNotices(self.world).tell_people,
                self.finance.hold_orders,
            ],
            workflow_runner=workflow_runner(),
        )
        finance = Worker(self.client, task_queue=names.FINANCE_QUEUE, activities=[self.finance.read_open_items])
        sales = Worker(self.client, task_queue=names.DATAVERSE_QUEUE, activities=[self.sales.show_collected])
        return deals, finance, sales

    def open(self, amount: Decimal | str, number: str = "INV-1") -> None:
        """What Finance shows from now on; 0: nothing is open."""
        item = OpenItem(invoice=number, currency="USD", due_on=self.due, total=TOTAL, open_amount=Decimal(amount))
        self.finance.items = (item,) if Decimal(amount) else ()

    async def show(self, amount: Decimal | str = TOTAL, *, begin: bool = True) -> None:
        """A deal tells its invoice as it read it in Finance, which shows the same."""
        self.open(amount)
        shown = ShownInvoice(number="INV-1", due_on=self.due, currency="USD", total=TOTAL, open_amount=Decimal(amount))
        news = InvoicesShown(
            company="usmf",
            account=self.account,
            quote_number="Q-1",
            owner=RITA,
            customer_name="Contoso",
            invoices=(shown,),
            as_of=datetime.now(UTC),
        )
        start = CollectionsStart(company="usmf", account=self.account, plan=PLAN)
        await self.desk.show(start, news)

    async def pass_to(self, day: int, hour: int = 10) -> None:
        """Let its time pass to an hour of so many days after the due date, company time."""
        at = datetime.combine(self.due + timedelta(days=day), time(hour), ZONE)
        newest = [event async for event in self.run.fetch_history_events()][-1].event_time.ToDatetime(UTC)
        ahead = max(newest - datetime.now(UTC), timedelta(0))  # it was moved before, and is moved on from there
        await move_clock(self.client, self.run.id, at.astimezone(UTC) - ahead)

    async def until(self, ready: Callable[[CollectionsView], object], what: str) -> CollectionsView:
        view: CollectionsView | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    view = await self.desk.view("usmf", self.account)
                    if ready(view):
                        return view
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"not {what}: {view}") from None

    async def reaches(self, level: int) -> CollectionsView:
        return await self.until(lambda view: view.state.invoices[0].level == level, f"at level {level}")

    async def on(self, day: int) -> CollectionsView:
        """The account once its time has come to a day; where nothing is due then, only what is heard tells the time."""
        wanted = self.due + timedelta(days=day)
        async with asyncio.timeout(PATIENCE):
            while True:  # its clock moves once the audit records it handed over are stored
                await self.run.signal(names.DROPPED)
                view = await self.desk.view("usmf", self.account)
                if view.today >= wanted:
                    return view
                await asyncio.sleep(0.3)

    async def say(self, who: Person, name: str, **args: str) -> str:
        rest = ";".join(f"{key}={value}" for key, value in args.items())
        message = SignedMessage(message_id=str(uuid.uuid4()), token=f"{who.oid}|{name}|{rest}")
        outcome: Outcome | None = await self.desk.say("usmf", self.account, message)
        async with asyncio.timeout(PATIENCE):
            while outcome is None:
                outcome = await self.desk.outcome("usmf", self.account, message.message_id)
                await asyncio.sleep(0.1)
        return outcome.code

    async def reads_in_sales(self, text: str) -> None:
        """Until Sales shows this of the deal."""
        async with asyncio.timeout(PATIENCE):
            while self.sales.shown.get("q2c/usmf/Q-1", "") != text:
                await asyncio.sleep(0.1)

    async def orders(self) -> tuple[str, ...]:
        """Why the credit ledger refuses an order of the customer; none: it does not."""
        answer = await self.ledgers.reserve("usmf", self.account, ask(self.account, "q2c/usmf/Q-2", "10.00"))
        assert answer.decision is not None
        return () if answer.decision.passed else tuple(reason.code for reason in answer.decision.reasons)


@pytest.fixture
async def collected(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Collected]:
    queues_of_its_own(monkeypatch)
    monkeypatch.setitem(ROLES, AMY.oid, "ar_manager.usmf")
    monkeypatch.setitem(ROLES, CLEO.oid, "credit_clerk.usmf")
    place = Collected(environment, world)
    deals, finance, sales = place.workers()
    async with deals, finance, sales:
        yield place
    await replays(environment.client, (names.COLLECTIONS, names.CREDIT_LEDGER))
    await place.run.terminate()


async def test_s33_levels_a_dispute_a_promise_a_block_and_payment_stops_all(collected: Collected) -> None:
    def day(after: int) -> str:
        return str(collected.due + timedelta(days=after))

    with pytest.raises(NotFound):
        await collected.desk.view("usmf", collected.account)
    await collected.show()
    view = await collected.until(lambda view: view.state.invoices, "told")
    assert (view.next_look, collected.finance.read) == (
        datetime.combine(collected.due + timedelta(days=5), time(9), ZONE).astimezone(UTC),
        0,
    )
    await collected.pass_to(10)
    view = await collected.reaches(1)
    assert [(letter.level, str(letter.on)) for letter in view.state.letters] == [("reminder", day(5))]
    await collected.reads_in_sales(reminded := f"INV-1: reminder since {day(5)}")
    await collected.on(10)
    dispute = {"invoice": "INV-1", "amount": "200.00", "reason": "two are missing"}
    assert await collected.say(RITA, "promise_to_pay", invoice="INV-1") == "NO_AUTHORITY"
    assert await collected.say(CLEO, "dispute_open", **dispute) == ""
    await collected.reads_in_sales(disputed := f"{reminded}; 200.00 USD disputed since {day(10)}: two are missing")
    await collected.pass_to(20)
    view = await collected.on(20)
    assert view.state.invoices[0].level == 1, "no further level while disputed (I27)"
    resolve = {"invoice": "INV-1", "outcome": "uphold", "reason": "delivered"}
    assert await collected.say(CLEO, "dispute_resolve", **resolve) == "NO_AUTHORITY"
    assert await collected.say(AMY, "dispute_resolve", **resolve) == ""
    await collected.reads_in_sales(reminded)
    until = str(collected.due + timedelta(days=33))
    assert await collected.say(CLEO, "promise_to_pay", invoice="INV-1", amount="1045", until=until, reason="p") == ""
    await collected.reads_in_sales(promised := f"{reminded}; 1,045.00 USD promised by {day(33)}")
    await collected.pass_to(33)
    assert (await collected.on(33)).state.invoices[0].level == 1, "promised for this day"
    assert await collected.orders() == ()
    await collected.pass_to(34)
    view = await collected.reaches(2)
    assert (view.state.letters[-1].fee, view.state.letters[-1].to_pay) == (Decimal(25), Decimal("1070.00"))
    await collected.pass_to(49)
    view = await collected.until(lambda view: view.held, "holding orders")
    assert view.state.invoices[0].level == 3 and view.state.letters[-1].kind == "final"
    assert await collected.orders() == ("CUSTOMER_BLOCKED",)
    await collected.show("0")
    view = await collected.until(lambda view: not view.held, "letting orders through")
    assert await collected.orders() == () and view.next_look is None and view.state.overdue(view.today) == {}
    told = [entry.event for entry in view.state.history]
    assert told == [
        "level_reached", "dispute_open", "dispute_resolve", "promise_to_pay", "promise_broken", "level_reached",
        "level_reached", "orders_held", "paid", "orders_released",
    ]  # fmt: skip
    await collected.reads_in_sales("")
    assert collected.sales.writes == [
        *(reminded, disputed, reminded, promised),
        f"INV-1: notice since {day(34)}",
        f"INV-1: final since {day(49)}",
        "",
    ], "one write for each change"
    assert {n.kind for n in collected.world.notices} == {Kind.INVOICE_OVERDUE, Kind.ACCOUNT_WAITS}
    kinds = [record.kind for record in collected.world.audited]
    assert kinds.count(AuditKind.TRANSITION) == 3 and kinds.count(AuditKind.DECISION) == 3
    assert kinds.count(AuditKind.REFUSAL) == 2


async def test_what_sales_refuses_is_shown_later_and_keeps_nothing_waiting(collected: Collected) -> None:
    collected.sales.refuses.add("q2c/usmf/Q-1")
    await collected.show()
    await collected.pass_to(10)
    assert (await collected.reaches(1)).state.letters_written == 1
    await collected.on(10)
    assert await collected.say(CLEO, "dispute_open", invoice="INV-1", amount="200.00", reason="two are missing") == ""
    assert collected.sales.writes == []
    collected.sales.refuses.clear()
    await collected.pass_to(10, hour=12)
    dated = f"200.00 USD disputed since {collected.due + timedelta(days=10)}: two are missing"
    await collected.reads_in_sales(f"INV-1: reminder since {collected.due + timedelta(days=5)}; {dated}")


async def test_paid_before_it_is_due_costs_one_start_and_no_read_and_a_bounce_begins_where_it_was(
    collected: Collected,
) -> None:
    await collected.show()
    await collected.show("0")
    view = await collected.until(lambda view: view.state.invoices and not view.state.invoices[0].is_open, "paid")
    assert (view.next_look, collected.finance.read) == (None, 0)
    paid = CustomerChanged(event_id="p", reason="payment P posted", freed=Decimal(5))
    assert await collected.desk.changed("usmf", collected.account, paid)
    collected.open(TOTAL)
    bounced = CustomerChanged(event_id="r", reason="payment P reversed")
    assert await collected.desk.changed("usmf", collected.account, bounced)
    view = await collected.until(lambda view: view.state.invoices[0].is_open, "open again")
    assert collected.finance.read == 1 and view.state.invoices[0].restarted_on == view.today
    await collected.pass_to(6)
    await collected.reaches(1)
    wanted = AccountFilter(account=collected.account, level="reminder", overdue=True)
    async with asyncio.timeout(PATIENCE):
        while not (page := await collected.desk.accounts(wanted, limit=5)).items:
            await asyncio.sleep(0.1)
    assert [(row.overdue, row.currency) for row in page.items] == [(TOTAL, "USD")]
    assert not await collected.desk.changed("usmf", "nobody", bounced)


async def test_without_finance_nothing_rises_and_what_makes_no_sense_is_counted(collected: Collected) -> None:
    await collected.show()
    collected.finance.away = True
    await collected.pass_to(6)
    view = await collected.until(lambda view: view.failing, "failing")
    assert view.state.invoices[0].level == 0 and "Finance is away" in view.failing
    collected.finance.away = False
    await collected.pass_to(7)
    await collected.reaches(1)
    for junk in ("nonsense", {"company": "usmf"}, {"event_id": "e"}):
        await collected.run.signal(names.INVOICES_SHOWN, junk)
    foreign = InvoicesShown(company="demf", account="x", invoices=(), as_of=datetime.now(UTC))
    await collected.run.signal(names.INVOICES_SHOWN, foreign)
    await collected.run.signal("unheard of", "anything")
    await collected.run.signal(names.COMMAND, "nonsense")
    assert await collected.say(Person(oid="x"), "sing") == "UNKNOWN_COMMAND"
    unproved = await collected.desk.say("usmf", collected.account, SignedMessage(message_id="f", token="forged"))
    assert unproved is not None and unproved.code == "UNAUTHENTICATED"
    tally = await collected.run.query(names.TALLY)
    assert tally == {"unreadable": 4, "foreign": 1, "unknown": 1, "unproved": 1}
    ledger = collected.client.get_workflow_handle(names.ledger_id("usmf", collected.account))
    await collected.orders()
    await ledger.signal(names.ORDERS_HELD, "nonsense")
    await collected.ledgers.hold(
        "usmf", collected.account, OrdersHeld(event_id="h", reason="why", at=datetime.now(UTC))
    )
    assert await collected.orders() == ("CUSTOMER_BLOCKED",)


async def test_a_new_run_goes_on_where_the_one_before_stood(collected: Collected) -> None:
    await collected.show()
    await collected.pass_to(5)
    view = await collected.reaches(1)
    await collected.run.terminate()
    start = CollectionsStart(
        company="usmf", account=collected.account, plan=PLAN, state=view.state, tally={"unreadable": 2}
    )
    await collected.client.start_workflow(names.COLLECTIONS, start, id=collected.run.id, task_queue=names.DEAL_QUEUE)
    await collected.pass_to(15)
    again = await collected.reaches(2)
    assert [letter.n for letter in again.state.letters] == [1, 2]
    assert (await collected.run.query(names.TALLY))["unreadable"] == 2
