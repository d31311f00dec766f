"""A Temporal dev server whose clock can be moved, and a scripted world for the workflows to act on.

The world stands in for the activities, not for the systems: these tests are of time, order and failure, which the
sandbox cannot make happen on demand. What the activities really do is tested against the sandbox.
"""

from __future__ import annotations

import asyncio
import sysconfig
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Worker

from activities import signatures as s
from activities.heartbeat import KeptAlive
from activities.reaching_signatures import WaitForSystem
from domain.approvals import ApprovalPlan, BusinessHours, Reason, StepPlan
from domain.assessment import DealPolicy, OrderReadiness, QuoteAssessment, QuoteInSales
from domain.audit import AuditRecord
from domain.credit_facts import CreditDecision, CreditFacts, CreditReason
from domain.deal_start import DealStart
from domain.delegations import NOBODY_AWAY, Delegations
from domain.fulfilment import Billing, Invoice
from domain.messages import (
    FinanceEvent,
    FinanceEventKind,
    SalesEvent,
    SalesEventKind,
    SignedMessage,
)
from domain.notices import Notice
from domain.people import Person
from domain.price_look import PriceLook
from domain.tally import unaccounted
from runs import names
from runs.attributes import ATTRIBUTES
from runs.calls import tell
from tests.deadlines import PATIENCE, in_time
from tests.deals import totals
from tests.sealing import SEALING
from tests.workflows.feed_world import FeedWorld, feed_world
from tests.workflows.replaying import replays
from tests.workflows.scripted_changes import OrderInFinance, ScriptedChanges, ScriptedSalesChanges, billed_now
from tests.workflows.scripted_customers import ScriptedCustomers
from tests.workflows.scripted_desks import ScriptedAudit, ScriptedDelegations, ScriptedNotices
from tests.workflows.scripted_outages import ScriptedReach
from tests.workflows.scripted_recheck import ScriptedRechecks
from tests.workflows.scripted_refunds import ScriptedRefunds
from tests.workflows.scripted_sales import ScriptedSales
from tests.workflows.task_time import Metered
from tests.workflows.trusting import RITA, TrustingVerifier
from workers.worker import workflow_runner
from workflows.approval import Approval
from workflows.audit import AuditDelivery
from workflows.credit_ledger import CreditLedger
from workflows.quote_to_cash import QuoteToCash

CALENDAR = BusinessHours(timezone="America/New_York", workdays=tuple(range(7)), opens="00:00", closes="23:59")


def step(number: int, level: int, role: str, *candidates: Person, on_timeout: str = "escalate") -> StepPlan:
    return StepPlan(
        step=number,
        chain="sales",
        level=level,
        role=role,
        reasons=(Reason(rule=f"D{level}", text=f"22 % > {level}0 %"),),
        sla_business_hours=Decimal(8),
        on_timeout=on_timeout,
        candidates=candidates,
    )


@dataclass
class World:
    """What the activities answer; tests change it and read what was asked."""

    quote: str
    plan: tuple[StepPlan, ...] = ()
    reminders: tuple[int, ...] = ()
    expires_at: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(days=7))
    credit_passes: bool = True
    content: str = "hash-1"
    in_sales: QuoteInSales = field(default_factory=lambda: QuoteInSales(state="draft"))
    """The quote as Sales shows it where it is only looked at."""
    readiness: str = "won"
    """The quote as Sales shows it just before the order."""
    look: Callable[[s.PrepareOrder], PriceLook | None] = field(default=lambda ask: None)
    """What a second look at Finance's prices finds."""
    assessed: dict[str, Any] = field(default_factory=dict)
    """What the assessment says otherwise than usual."""
    fail: dict[str, list[ApplicationError]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    invoices: list[Invoice] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    """Activities that answer only when their event is set."""
    slips: dict[str, dict[int, int]] = field(default_factory=dict)
    """Quantities by line on each packing slip of the order: ten of line 1."""
    order: OrderInFinance = field(default_factory=OrderInFinance)
    billing: Billing | None = None
    """What Finance holds of the order, where it is not what slips and invoices say."""
    hold: str = ""
    """Entry of Finance's hold list that stops the order's postings, until it is released."""
    lines: int = 1
    credit_age: timedelta = timedelta(0)
    """How old the facts are on which credit is given."""
    too_old: list[str] = field(default_factory=list)
    """Why no order is made, for as many tries: the facts that credit was given on are too old."""
    delegations: Delegations | None = NOBODY_AWAY
    """Who stands in for whom in the company; None: it cannot be read."""
    customer_refused: list[str] = field(default_factory=list)
    told: tuple[str, ...] = ()
    """What anybody chose to be told."""
    notices: list[Notice] = field(default_factory=list)
    """What people were told."""
    nobody_told: int = 0
    """How often what people are told cannot be passed on."""
    audited: list[AuditRecord] = field(default_factory=list)
    audit_away: bool = False
    audit_answers_lost: int = 0
    """How many batches the store takes without its answer arriving: the worker was killed in between."""
    away: str = ""
    """The system that answers nobody: Sales or Finance."""
    waits: list[WaitForSystem] = field(default_factory=list)

    async def ask(self, name: str, argument: Any) -> None:
        self.asked.append((name, argument))
        if name in self.held:
            await self.held[name].wait()
        failures = self.fail.get(name)
        if failures:
            raise failures.pop(0)

    def names(self) -> list[str]:
        return [name for name, _ in self.asked]

    def told_of(self) -> list[str]:
        """What people were told, each notice once."""
        return list({notice.notice_id: str(notice.kind) for notice in self.notices}.values())

    def marks(self) -> list[str]:
        return [argument.approval_status for name, argument in self.asked if name == "mark_quote"]

    def invoice(self, number: str, quantity: int, open_amount: str) -> Invoice:
        net = Decimal(95) * quantity
        invoice = Invoice(
            invoice_number=number,
            invoiced_on=datetime(2026, 11, 24, tzinfo=UTC),
            due_on=datetime(2026, 12, 24, tzinfo=UTC),
            currency="USD",
            net=net,
            tax=net / 10,
            total=net * Decimal("1.1"),
            open_amount=Decimal(open_amount),
        )
        self.invoices = [i for i in self.invoices if i.invoice_number != number] + [invoice]
        return invoice

    def facts(self) -> CreditFacts:
        return CreditFacts(
            company="usmf",
            customer_account="US-001",
            currency="USD",
            as_of=datetime.now(UTC),
            credit_limit=Decimal(100_000),
            unlimited=False,
            credit_management=True,
            open_ar=Decimal(40_000),
        )

    def decision(self) -> CreditDecision:
        code = "WITHIN_LIMIT" if self.credit_passes else "OVER_LIMIT"
        return CreditDecision(
            passed=self.credit_passes,
            reasons=(CreditReason(code=code, text="over by 500.00" if not self.credit_passes else "within limit"),),
            exposure=Decimal(41_045),
            limit=Decimal(100_000),
            open_ar=Decimal(40_000),
            open_orders=Decimal(0),
            reservations=Decimal(0),
            this_order=Decimal(1_045),
            currency="USD",
            as_of=datetime.now(UTC) - self.credit_age,
            policy_version="1",
        )


class ScriptedFinance(s.FinanceActivities):
    def __init__(self, world: World) -> None:
        self.world = world

    @activity.defn(name="assess_quote")
    async def assess_quote(self, ask: s.AssessQuote) -> QuoteAssessment:
        await self.world.ask("assess_quote", ask)
        usual = QuoteAssessment(
            company="usmf",
            quote_number=ask.quote.quote_number,
            quote_id=ask.quote.quote_id,
            revision=ask.quote.revision,
            customer_account="US-001",
            currency="USD",
            owner=RITA,
            net=Decimal(950),
            tax=Decimal(95),
            total=Decimal(1_045),
            list_net=Decimal(1_000),
            discount_pct=Decimal(5),
            margin_pct=Decimal(36),
            line_count=self.world.lines,
            snapshot_hash=self.world.content,
            expires_at=self.world.expires_at,
            deal_policy=DealPolicy(told=self.world.told),
            plan=ApprovalPlan(
                policy_version="1", steps=self.world.plan, calendar=CALENDAR, reminders_pct=self.world.reminders
            ),
        )
        return usual.model_copy(update=self.world.assessed)

    @activity.defn(name="prepare_order")
    async def prepare_order(self, ask: s.PrepareOrder) -> OrderReadiness:
        await self.world.ask("prepare_order", ask)
        ready = OrderReadiness(
            snapshot_hash=self.world.content,
            state=self.world.readiness,
            total=Decimal(1_045),
            credit=self.world.facts(),
            credit_amount=Decimal(1_045),
            price_hash="p",
        )
        if ready.state != "won" or ask.approved_hash != self.world.content:
            return ready
        if (look := self.world.look(ask)) is not None:
            blocked = {"drift": look.lines, "blocked_lines": look.blocked_lines}
            ready = ready.model_copy(update={"look": look, "price_hash": look.price_hash} | blocked)
            if look.verdict.holds:
                return ready
        decision = self.world.decision()
        if not decision.passed and ask.release:
            reasons = (CreditReason(code="RELEASED", text=f"released by {ask.release.released_by.name}"),)
            decision = decision.model_copy(update={"passed": True, "reasons": reasons})
        return ready.model_copy(update={"decision": decision})

    @activity.defn(name="create_order")
    async def create_order(self, ask: s.CreateOrder) -> s.CreatedOrder:
        await self.world.ask("create_order", ask)
        too_old = self.world.too_old.pop(0) if self.world.too_old else ""
        return s.CreatedOrder(
            too_old=too_old, order_number=ask.order_number, found=ask.probe, lines=totals(10), net=Decimal(950)
        )

    @activity.defn(name="confirm_order")
    async def confirm_order(self, ask: s.ConfirmOrder) -> s.Confirmation:
        await self.world.ask("confirm_order", ask)
        if ask.release_reason:
            self.world.hold = ""
        return s.Confirmation(confirmation_number="C-1")

    @activity.defn(name="read_billing")
    async def read_billing(self, ask: s.BillingRef) -> Billing:
        await self.world.ask("read_billing", ask)
        return self.world.billing or billed_now(self.world)


class Stage:
    """One deal on a worker of its own, with words for what the systems and people do."""

    def __init__(self, env: WorkflowEnvironment, world: World) -> None:
        self.env, self.world = env, world
        self.client: Client = env.client
        self.case: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(names.deal_id("usmf", world.quote))
        self._working = AsyncExitStack()

    async def start_work(self, meter: Metered | None = None) -> None:
        """From now on a worker runs, its workflow tasks measured where there is a meter."""
        await self._working.enter_async_context(workers(self.client, self.world, meter))

    async def stop_work(self) -> None:
        """From now on none does; what is said meanwhile is stored."""
        await self._working.aclose()

    @property
    def approval(self) -> WorkflowHandle[Any, Any]:
        """The first request for approval."""
        return self.request(1)

    def request(self, n: int) -> WorkflowHandle[Any, Any]:
        """The n-th request for approval."""
        return self.client.get_workflow_handle(names.approval_id("usmf", self.world.quote, n))

    async def submit(self, revision: int = 0) -> None:
        event = self.event(SalesEventKind.SUBMITTED, revision=revision)
        await self.client.start_workflow(
            names.QUOTE_TO_CASH,
            DealStart(
                company="usmf", quote_number=self.world.quote, quote_id=event.quote_id, revision=revision, event=event
            ),
            id=self.case.id,
            task_queue=names.DEAL_QUEUE,
            start_signal=names.SALES_EVENT,
            start_signal_args=[event],
        )

    def event(
        self, kind: SalesEventKind, *, revision: int = 0, event_id: str | None = None, at: datetime | None = None
    ) -> SalesEvent:
        return SalesEvent(
            event_id=event_id or f"dv/{self.world.quote}/{revision}/{kind}",
            kind=kind,
            company="usmf",
            quote_number=self.world.quote,
            quote_id=f"q-{revision + 1}",
            revision=revision,
            occurred_at=at or datetime.now(UTC),
        )

    async def sales(self, kind: SalesEventKind, **how: Any) -> None:
        await self.case.signal(names.SALES_EVENT, self.event(kind, **how))

    async def finance(self, kind: FinanceEventKind, document: str, *lines: tuple[int, int]) -> None:
        if lines:
            self.world.slips[document] = dict(lines)
        event = FinanceEvent(
            event_id=f"finance/{kind}/{document}",
            kind=kind,
            company="usmf",
            document=document,
            occurred_at=datetime.now(UTC),
        )
        await self.case.signal(names.FINANCE_EVENT, event)

    async def say(self, person: Person, name: str, **args: str) -> str:
        message_id = str(uuid.uuid4())
        rest = ";".join(f"{key}={value}" for key, value in args.items())
        message = SignedMessage(message_id=message_id, token=f"{person.oid}|{name}|{rest}")
        await self.case.signal(names.COMMAND, message)
        return message_id

    async def decide(
        self, n: int, person: Person, decision: str, step: int, seen: str = "hash-1", signed_at: datetime | None = None
    ) -> str:
        message_id = str(uuid.uuid4())
        when = f";signed_at={signed_at.isoformat()}" if signed_at else ""
        token = f"{person.oid}|decide|decision={decision};step={step};seen_hash={seen};comment=ok{when}"
        message, until = SignedMessage(message_id=message_id, token=token), time.monotonic() + PATIENCE
        while not await tell(self.client, self.request(n).id, names.DECIDE, message):
            assert time.monotonic() < until, "no run of the request hears it"
            await asyncio.sleep(0.1)  # it goes on as a new run: nothing listens for a moment
        return message_id


@asynccontextmanager
async def dev_server(**dynamic_config: str) -> AsyncIterator[WorkflowEnvironment]:
    """A dev server whose clock can be moved run by run, with the product's search attributes."""
    config = {
        "frontend.WorkflowTimeSkippingEnabled": "true",
        # With the server's help a worker's last poll sometimes never ends, nor its shutdown (temporal#9545,
        # sdk-rust#1297): without it a worker ends its polls itself. The product's process leaves all the same.
        "frontend.enableCancelWorkerPollsOnShutdown": "false",
    } | dynamic_config
    extra: list[str] = []
    for key, value in config.items():
        extra += ["--dynamic-config-value", f"{key}={value}"]
    for attribute in ATTRIBUTES:
        extra += ["--search-attribute", f"{attribute.name}={attribute.kind}"]
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_extra_args=extra,
        plugins=[SEALING],
    ) as env:
        yield env


@pytest.fixture(scope="session")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    async with dev_server() as env:
        yield env


@pytest.fixture
async def world() -> World:
    return World(quote=f"Q-{uuid.uuid4().hex[:8]}")


@pytest.fixture
async def feeds(environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FeedWorld]:
    """Feeds, ledgers and noting deals on queues of their own."""
    queues_of_its_own(monkeypatch)
    async with feed_world(environment.client) as world:
        yield world
    await replays(environment.client, (names.SALES_FEED, names.FINANCE_FEED, names.CREDIT_LEDGER))


@pytest.fixture
async def stage(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    queues_of_its_own(monkeypatch)
    async with at_work(Stage(environment, world)) as stage:
        yield stage


@asynccontextmanager
async def at_work(stage: Stage) -> AsyncIterator[Stage]:
    """A stage whose workers run; afterwards every run of its deal and of its requests is replayed from its history."""
    await stage.start_work()
    yield stage
    await in_time("what was received", accounted_for(stage.case))
    await in_time("the worker", stage.stop_work())
    types = (names.QUOTE_TO_CASH, names.APPROVAL, names.CREDIT_LEDGER)
    await in_time("the replay", replays(stage.client, types))


async def accounted_for(case: WorkflowHandle[Any, Any]) -> None:
    """Whatever a test sent to its deal, the counters balance: each message is counted as what it became, once."""
    try:
        tally: dict[str, int] = await case.query(names.TALLY)
    except (RPCError, WorkflowQueryFailedError):
        return  # no deal was begun, or its run was reset or broken on purpose
    assert unaccounted(tally) == 0, tally


def queues_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a test task queues that no other test's workers poll, and the product the test's patience."""
    suffix = uuid.uuid4().hex[:8]
    for queue in ("DEAL_QUEUE", "DATAVERSE_QUEUE", "FINANCE_QUEUE", "NOTICE_QUEUE"):
        monkeypatch.setattr(names, queue, f"{getattr(names, queue)}-{suffix}")
    monkeypatch.setattr(names, "after_end_id", lambda company: f"late/{company}-{suffix}")  # it lives on one of them
    for waits in ("calls.PATIENCE_SECONDS", "outcomes.PATIENCE_SECONDS", "approvals._HAND_OVER_PATIENCE_SECONDS"):
        monkeypatch.setattr(f"runs.{waits}", PATIENCE)


Activities = list[Callable[..., Any]]


def scripted(world: World) -> dict[str, Activities]:
    """Activities by the task queue they are on, with a scripted world behind them."""
    finance, sales, customers = ScriptedFinance(world), ScriptedSales(world), ScriptedCustomers(world)
    changes, shows, reach = ScriptedChanges(world), ScriptedSalesChanges(world), ScriptedReach(world)
    quotes: Activities = [sales.mark_quote, sales.read_quote, sales.close_quote, customers.map_customer]
    documents: Activities = [sales.record_order, sales.record_shipment, sales.record_invoice, sales.record_payment]
    changed: Activities = [sales.cancel_sales_order, shows.show_cancelling, shows.show_ordered, reach.wait_for_sales]
    ordering: Activities = [finance.assess_quote, finance.prepare_order, finance.create_order, finance.confirm_order]
    billing: Activities = [finance.read_billing, ScriptedRefunds(world).prepare_refund, customers.create_customer]
    changing: Activities = [changes.change_order, changes.look_at_larger, reach.wait_for_finance]
    return {
        names.DEAL_QUEUE: [
            TrustingVerifier().verify_messages,
            ScriptedAudit(world).record_audit,
            ScriptedDelegations(world).read_delegations,
            ScriptedNotices(world).tell_people,
        ],
        names.FINANCE_QUEUE: [*ordering, *billing, *changing, *ScriptedRechecks(world).activities],
        names.DATAVERSE_QUEUE: [*quotes, *documents, *changed],
    }


SCRIPTED = (QuoteToCash, Approval, CreditLedger, AuditDelivery)
"""Processes that a scripted world carries."""


@asynccontextmanager
async def workers(client: Client, world: World, meter: Metered | None = None) -> AsyncIterator[None]:
    """The workers of a deal's three queues, with a scripted world behind them."""
    does = scripted(world)
    deals = Worker(
        client,
        task_queue=names.DEAL_QUEUE,
        workflows=SCRIPTED,
        activities=does[names.DEAL_QUEUE],
        workflow_runner=meter or workflow_runner(),
        interceptors=[KeptAlive()],
        debug_mode=meter is not None,
    )
    fin, dv = (
        Worker(client, task_queue=queue, activities=does[queue], interceptors=[KeptAlive()])
        for queue in (names.FINANCE_QUEUE, names.DATAVERSE_QUEUE)
    )
    async with deals, fin, dv:
        yield
