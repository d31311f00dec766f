"""Moments at both ends of the calendar, which every system can write, jam no deal: valid, and never true."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.messages import FinanceEvent, FinanceEventKind, SalesEventKind
from domain.views import Ending, WaitingFor
from runs import names
from tests.workflows.acting import outcome, to_fulfilment, until, waits_for
from tests.workflows.conftest import Stage, World
from tests.workflows.trusting import RITA

MOMENTS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize("at", MOMENTS)
async def test_a_deal_is_told_of_everything_at_the_end_of_time(stage: Stage, at: datetime) -> None:
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    for kind in SalesEventKind:
        if kind not in (SalesEventKind.ACCEPTED, SalesEventKind.ACTIVATED):
            event = stage.event(kind).model_copy(update={"occurred_at": at, "event_id": f"{kind}", "revision": 7})
            await stage.case.signal(names.SALES_EVENT, event)
    for number, sort in enumerate(FinanceEventKind):
        posted = FinanceEvent(event_id=f"f-{number}", kind=sort, company="usmf", document="D", occurred_at=at)
        await stage.case.signal(names.FINANCE_EVENT, posted)
    await stage.sales(SalesEventKind.ACTIVATED)
    assert await outcome(stage, await stage.say(RITA, "cancel", reason="it hears"))
    view = await until(stage, lambda view: view.ending is not Ending.RUNNING)
    assert view.parked is None


async def test_a_quote_valid_for_ever_goes_on_and_expires_never(stage: Stage, world: World) -> None:
    world.expires_at = datetime(9999, 12, 31, 4, 59, 59, tzinfo=UTC)  # the last day that Dataverse takes, in New York
    await to_fulfilment(stage)
