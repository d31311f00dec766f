"""A deal whose system is away for hours: it says since when, costs no history meanwhile, and can be ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from temporalio.exceptions import ApplicationError

from domain.messages import SalesEventKind
from domain.views import WaitingFor
from runs import names
from tests.deadlines import PATIENCE
from tests.workflows.acting import outcome, until, waits_for
from tests.workflows.conftest import Stage, World
from tests.workflows.trusting import OTTO

REFUSED_UNSENT = ApplicationError("not sent while Finance does not answer", type="Transient", non_retryable=True)
UNKNOWN = ApplicationError("the connection broke", type="UnknownOutcome", non_retryable=True)
MOST_EVENTS = 20
"""That one step adds to the history of a deal which meets an outage in it, however long that is."""


async def eventually(condition: Callable[[], bool], what: str) -> None:
    for _ in range(int(PATIENCE / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never: {what}")


async def events(stage: Stage) -> int:
    return len((await stage.case.fetch_history()).events)


def tried(world: World, times: int) -> bool:
    return world.names().count("create_order") == times


async def past_the_rest(stage: Stage, world: World) -> None:
    """The thirty seconds are over in which the system is left alone; the deal asks when it answers."""
    await stage.env.fast_forward(stage.case, timedelta(seconds=31))
    await eventually(lambda: bool(world.waits), "the deal waits for the system")


async def accepted_while_finance_is_away(stage: Stage, world: World) -> None:
    world.fail["prepare_order"] = [REFUSED_UNSENT]
    world.away = "Finance"
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    await until(stage, waits_for(WaitingFor.FINANCE))


async def test_an_outage_is_one_wait_in_the_history_of_a_deal_however_long_it_is(stage: Stage, world: World) -> None:
    """Two hours are 120 tries of the wait. No try leaves an event, so it is enough to watch a few."""
    await accepted_while_finance_is_away(stage, world)
    before = await events(stage)
    await past_the_rest(stage, world)
    at_first = await events(stage)
    await eventually(lambda: len(world.waits) >= 5, "the wait is tried again and again")
    assert await events(stage) == at_first
    view = await until(stage, waits_for(WaitingFor.FINANCE))
    assert view.parked is None
    assert view.explanation.text.startswith("Waiting for Finance since ")
    assert world.names().count("prepare_order") == 1
    assert {(wait.deal_id, wait.accepted) for wait in world.waits} == {(stage.case.id, True)}

    world.away = ""
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    assert world.names().count("prepare_order") == 2
    assert world.names().count("create_order") == 1
    history = (await stage.case.fetch_history()).events
    rested = next(n for n, event in enumerate(history) if "wait_for_finance" in str(event))
    again = next(n for n, event in enumerate(history[rested:], rested) if "prepare_order" in str(event))
    assert again - before <= MOST_EVENTS, again - before


async def test_a_deal_that_waits_for_a_system_hears_people_and_can_be_aborted(stage: Stage, world: World) -> None:
    await accepted_while_finance_is_away(stage, world)
    await past_the_rest(stage, world)
    assert (await outcome(stage, await stage.say(OTTO, "abort", reason="the customer has gone elsewhere"))).accepted
    await asyncio.wait_for(stage.case.result(), PATIENCE)
    asked = len(world.waits)
    await asyncio.sleep(1)
    assert len(world.waits) <= asked + 1  # the wait has ended with the deal


async def test_a_wait_for_sales_is_one_of_its_own(stage: Stage, world: World) -> None:
    world.fail["mark_quote"] = [REFUSED_UNSENT]
    world.away = "Sales"
    await stage.submit()
    await until(stage, waits_for(WaitingFor.SALES))
    await past_the_rest(stage, world)
    assert names.parse_deal_id(world.waits[0].deal_id)[1] == world.quote and not world.waits[0].accepted
    world.away = ""
    await until(stage, waits_for(WaitingFor.REP))
    assert world.names().count("mark_quote") == 2


async def test_an_outcome_that_stays_unknown_is_looked_for_at_longer_and_longer_intervals(
    stage: Stage, world: World
) -> None:
    """Finance answers, and nobody can tell what became of the write: in half a minute, then two, ten, sixty."""
    world.fail["create_order"] = [UNKNOWN] * 5
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACCEPTED)
    pauses = (30, 120, 600, 3600, 3600)
    for tries, seconds in enumerate(pauses, 1):
        await eventually(partial(tried, world, tries), f"try {tries}")
        await until(stage, waits_for(WaitingFor.FINANCE))
        await stage.env.fast_forward(stage.case, timedelta(seconds=seconds - 2))
        assert world.names().count("create_order") == tries
        await stage.env.fast_forward(stage.case, timedelta(seconds=3))
    await until(stage, waits_for(WaitingFor.SHIPMENT))
    assert world.names().count("create_order") == 6
