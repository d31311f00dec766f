"""Finance's prices move while a deal is on its way: pins survive it, people decide once, and what they said is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.signatures import PrepareOrder
from domain import drift
from domain.approvals import ApprovalPlan, StepStatus
from domain.causes import Cause
from domain.messages import SalesEventKind
from domain.price_look import PriceLook, Verdict
from domain.pricing import FinancePrice
from domain.views import Ending, WaitingFor
from tests.deadlines import PATIENCE
from tests.unit.domain.makers import POLICY, PRICES, T0, line, priced, quote, working_time
from tests.workflows.acting import asked_people, until, waits_for
from tests.workflows.conftest import CALENDAR, Stage, World, at_work, dev_server, queues_of_its_own, step
from tests.workflows.test_continue_as_new import LIMITS, noise, went_on
from tests.workflows.trusting import DIRK, MONA, OTTO

D = Decimal
AT_92 = quote(line(quantity=10, price="92.00"))
"""S37: listed at 100.00, quoted at 92.00, with a cost of 60.00."""


@pytest.fixture(scope="module")
async def narrow() -> AsyncIterator[WorkflowEnvironment]:
    async with dev_server(**LIMITS) as environment:
        yield environment


@pytest.fixture
async def stage(narrow: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    queues_of_its_own(monkeypatch)
    async with at_work(Stage(narrow, world)) as stage:
        yield stage


def list_at(list_price: str, cost: str = "60.00", **more: object) -> dict[str, FinancePrice]:
    changed = {"list_price": D(list_price), "cost": D(cost)} | more
    return {"P100": PRICES["P100"].model_copy(update=changed)}


class Finance:
    """Prices that move, looked at by the rules themselves with what the deal says it was approved at."""

    def __init__(self) -> None:
        self.now = list_at("100.00")
        self.asked: list[PrepareOrder] = []

    def look(self, ask: PrepareOrder) -> PriceLook:
        self.asked.append(ask)
        assert ask.pinned is not None
        approved = drift.Approved(pinned=ask.pinned, tiers=ask.tiers, expires_at=None)
        question = drift.Question(
            snapshot=AT_92, approved=approved, payment_days=30, customer_account="US-001", accepted_at=T0
        )
        found = drift.look(question, self.now, POLICY, calendar=working_time("usmf"))
        if found.anew is None:
            return found
        people = (step(1, 1, "sales_manager", MONA), step(2, 2, "sales_director", DIRK))
        plan = ApprovalPlan(policy_version="1", steps=people, calendar=CALENDAR)
        return found.model_copy(update={"anew": found.anew.model_copy(update={"plan": plan})})


@pytest.fixture
def finance(world: World) -> Finance:
    """Finance, with prices the quote was assessed at."""
    found = Finance()
    pinned = drift.pin(priced(AT_92), found.now)
    world.assessed = {"pinned": pinned, "price_hash": pinned.price_hash}
    world.look = found.look
    return found


async def with_customer(stage: Stage) -> None:
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await until(stage, waits_for(WaitingFor.CUSTOMER))


async def turn_of(stage: Stage, number: int) -> None:
    """A step of the first request as soon as it is asked."""
    deadline = time.monotonic() + PATIENCE
    while (await asked_people(stage)).steps[number - 1].status is not StepStatus.PENDING:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


async def test_s37_the_margin_is_asked_before_the_order_and_pins_survive_restart_and_new_runs(
    stage: Stage, world: World, finance: Finance
) -> None:
    await with_customer(stage)
    await noise(stage)
    await went_on(stage, stage.case, 1)
    await stage.stop_work()
    await stage.start_work()
    finance.now = list_at("104.00", "72.00")
    await stage.sales(SalesEventKind.ACCEPTED)

    view = await until(stage, waits_for(WaitingFor.APPROVAL))
    asked = await asked_people(stage)

    assert [change.text for change in asked.request.changes] == [
        "Margin 34.78 % → 21.74 % at today's cost",
        "Line 1 P100: cost 60.00 → 72.00",
        "Line 1 P100: list price 100.00 → 104.00, the quoted one holds",
    ]
    assert (view.order_number, view.credit_status, "create_order" in world.names()) == ("", "not_checked", False)
    assert view.explanation.text.endswith("Nothing is ordered until it is approved")
    assert view.price_drift is not None and view.price_drift.look.verdict is Verdict.ASK
    (pins,) = finance.asked[0].pinned.items or () if finance.asked[0].pinned else ()
    assert (pins.list_price, pins.cost, finance.asked[0].tiers) == (D(100), D(60), ())

    await stage.decide(1, MONA, "approve", 1)
    await turn_of(stage, 2)
    await stage.decide(1, DIRK, "approve", 2)
    ordered = await until(stage, waits_for(WaitingFor.SHIPMENT))

    assert world.names().count("create_order") == 1 and len(finance.asked) == 2
    assert ordered.price_drift is not None and ordered.price_drift.decision is not None
    assert (ordered.price_drift.decision.action, ordered.price_drift.decision.by.oid) == ("approved", DIRK.oid)
    assert [(tier.chain, tier.level) for tier in finance.asked[1].tiers] == [("sales", 1), ("sales", 2)]


async def test_who_refuses_the_margin_leaves_the_deal_to_a_person_who_calls_it_off(
    stage: Stage, world: World, finance: Finance
) -> None:
    await with_customer(stage)
    finance.now = list_at("100.00", "72.00")  # cost alone
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.APPROVAL))
    await asked_people(stage)
    await stage.decide(1, MONA, "reject", 1)

    held = await until(stage, lambda view: view.parked is not None)

    assert held.parked is not None and held.parked.cause == Cause.PRICE_DRIFT
    assert held.price_drift is not None and held.price_drift.decision is not None
    assert (held.price_drift.decision.action, held.price_drift.decision.by.oid) == ("rejected", MONA.oid)
    await stage.say(OTTO, "abort", reason="the customer was told")
    ended = await until(stage, lambda view: view.ending is not Ending.RUNNING)
    assert (ended.ending, ended.order_number, "create_order" in world.names()) == (Ending.ABORTED, "", False)


async def test_a_stopped_product_waits_for_a_person_and_a_lower_price_is_told_to_the_rep(
    stage: Stage, world: World, finance: Finance
) -> None:
    await with_customer(stage)
    finance.now = list_at("100.00", blocked=True)
    await stage.sales(SalesEventKind.ACCEPTED)
    held = await until(stage, lambda view: view.parked is not None)
    assert held.parked is not None and (held.parked.cause, held.parked.message) == ("PriceDrift", "Blocked: P100")

    finance.now = list_at("90.00")
    await stage.say(OTTO, "retry", reason="released again")
    ordered = await until(stage, waits_for(WaitingFor.SHIPMENT))

    assert [text.partition(":")[0] for text in ordered.exceptions] == ["PRICE_FELL"]
    assert ordered.price_drift is not None and ordered.price_drift.look.verdict is Verdict.FELL
    resumed = [record for record in world.audited if record.event == "StepResumed"]
    moved = [record.facts["verdict"] for record in world.audited if record.event == "PricesMoved"]
    assert [(record.actor.oid, record.why) for record in resumed] == [(OTTO.oid, "released again")]
    assert moved == ["blocked", "fell"]
