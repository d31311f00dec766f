"""Two hundred deals meet an outage of Finance of two hours, and others a storm of 429: what the sandbox sees of it.

The two hours are compressed: circuit, pauses and waits of deals all go by a clock that is `PACE` times as fast, so that
as many trials and waits fall into the outage as in two hours. Temporal tries nothing again sooner than after a second.
The storm of a quarter of an hour is ten seconds on the real clock, and its pauses a second instead of thirty.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import WorkflowEnvironment

from activities.failures import for_deal
from activities.reaching import Reaching
from activities.reaching_signatures import ReachActivities, WaitForSystem
from activities.signatures import Nothing
from domain.views import DealView, WaitingFor
from runs import names
from tests.contract.clients_world import Clients, clients_of
from tests.contract.conftest import running_sandbox
from tests.contract.dataverse_world import LiveSandbox
from tests.deadlines import PATIENCE
from tests.workflows import conftest
from tests.workflows.conftest import Stage, World, queues_of_its_own, workers
from workflows.quote_to_cash import steps
from workflows.steps import LOOK_AGAIN

DEALS = 200
PACE = 480
TWO_HOURS = 7_200 / PACE
REQUESTS_OF_A_DEAL = 10
"""Of an undisturbed one, at least (tests/e2e/test_cost.py bounds them by 16)."""
IN_THE_STORM = 60
"""Deals."""
STORM = 10.0
RATE = 20
"""Requests a second: the product's default for Finance."""
MOST_MORE = 0.3
"""Of the undisturbed run's requests."""


@dataclass
class WithFinance(World):
    """A world that asks the sandbox's Finance before it assesses a quote."""

    clients: Clients | None = None
    pace: int = 1

    async def ask(self, name: str, argument: object) -> None:
        if name == "assess_quote" and self.clients:
            with for_deal():
                await self.clients.finance.odata.page(self.clients.finance.trial)
        await super().ask(name, argument)


class Hurried(ReachActivities):
    """The product's waits, at the pace of the test."""

    def __init__(self, world: WithFinance) -> None:
        assert world.clients is not None
        self.pace = world.pace
        self.real = Reaching(world.clients.dataverse, world.clients.finance)

    @activity.defn(name="wait_for_sales")
    async def wait_for_sales(self, wait: WaitForSystem) -> Nothing:
        return await self.real.wait_for_sales(wait)

    @activity.defn(name="wait_for_finance")
    async def wait_for_finance(self, wait: WaitForSystem) -> Nothing:
        try:
            return await self.real.wait_for_finance(wait)
        except ApplicationError as later:
            assert later.next_retry_delay is not None and not later.non_retryable
            soon = later.next_retry_delay / self.pace
            benign = ApplicationErrorCategory.BENIGN
            raise ApplicationError("later", type=later.type, next_retry_delay=soon, category=benign) from later


@pytest.fixture
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as live:
        yield live


@pytest.fixture
def stages(environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> list[Stage]:
    """The deals, none of which has begun, on task queues of their own."""
    queues_of_its_own(monkeypatch)
    monkeypatch.setattr(conftest, "ScriptedReach", Hurried)
    suffix = uuid.uuid4().hex[:6]
    return [Stage(environment, World(quote=f"Q-{suffix}-{n}")) for n in range(DEALS)]


@asynccontextmanager
async def at_work(
    live: LiveSandbox, stages: list[Stage], *, pace: int = 1, rate: float = math.inf
) -> AsyncIterator[tuple[Clients, WithFinance]]:
    """Workers of the deals, whose clients of the sandbox have a clock and a budget."""
    async with clients_of(live, clock=lambda: time.monotonic() * pace, rate=rate) as clients:
        world = WithFinance(quote="", clients=clients, pace=pace)
        async with workers(stages[0].client, world):
            yield clients, world


async def asked_of_finance(clients: Clients) -> int:
    return sum(1 for entry in await clients.requests() if entry["system"] == "finance")


async def views(stages: list[Stage]) -> list[DealView]:
    asked = (stage.case.query(names.STATE, result_type=DealView) for stage in stages)
    return list(await asyncio.gather(*asked))


async def until_all_wait_for(stages: list[Stage], what: WaitingFor) -> list[DealView]:
    until = time.monotonic() + PATIENCE
    while True:
        seen = await views(stages)
        if all(view.explanation.waiting_for is what for view in seen):
            return seen
        assert time.monotonic() < until, f"not all wait for {what}"
        await asyncio.sleep(1)


@pytest.mark.timeout(400)
async def test_two_hundred_deals_meet_two_hours_without_finance_and_finance_is_asked_little_more(
    live: LiveSandbox,
    stages: list[Stage],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.setattr(steps, "LOOK_AGAIN", LOOK_AGAIN / PACE)
    async with at_work(live, stages, pace=PACE) as (clients, world):
        await clients.play("PUT", "/faults", [{"system": "finance", "effect": {"status": 503}}])
        before, began = await asked_of_finance(clients), time.monotonic()
        await asyncio.gather(*(stage.submit() for stage in stages))
        waiting = await until_all_wait_for(stages, WaitingFor.FINANCE)
        assert all(view.parked is None for view in waiting)
        await asyncio.sleep(max(0.0, began + TWO_HOURS - time.monotonic()))
        await clients.play("DELETE", "/faults")

        done = await until_all_wait_for(stages, WaitingFor.REP)
        assert all(view.parked is None and not view.exceptions for view in done)
        assert world.names().count("assess_quote") == DEALS  # each once
        more = await asked_of_finance(clients) - before - DEALS
        took = timedelta(seconds=(time.monotonic() - began) * PACE)
    record_property("requests beside those of an undisturbed run, and how long it took", (more, str(took)))
    assert 10 <= more <= MOST_MORE * DEALS * REQUESTS_OF_A_DEAL, (more, took)


@pytest.mark.timeout(400)
async def test_s23_a_storm_of_429_is_ridden_out_within_the_budget_and_no_deal_is_parked(
    live: LiveSandbox, stages: list[Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LOOK_AGAIN", timedelta(seconds=1))
    stages = stages[:IN_THE_STORM]
    throttles = {"system": "finance", "effect": {"status": 429, "retry_after": 1}, "probability": 0.5}
    async with at_work(live, stages, rate=RATE) as (clients, world):
        await clients.play("PUT", "/faults", [throttles | {"seconds": STORM}])
        before, began = await asked_of_finance(clients), time.monotonic()
        await asyncio.gather(*(stage.submit() for stage in stages))
        done = await until_all_wait_for(stages, WaitingFor.REP)
        took = time.monotonic() - began
        assert all(view.parked is None and not view.exceptions for view in done)
        assert world.names().count("assess_quote") == IN_THE_STORM
        assert IN_THE_STORM < await asked_of_finance(clients) - before <= RATE * took + RATE
