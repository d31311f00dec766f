"""What lists are made of says at every moment what the deal's own view says."""

from __future__ import annotations

import asyncio
import time

from domain.messages import SalesEventKind
from domain.views import WaitingFor
from runs import attributes
from tests.workflows.acting import until, waits_for
from tests.workflows.conftest import Stage


async def shown(stage: Stage) -> str | None:
    described = await stage.case.describe()
    return described.typed_search_attributes.get(attributes.WAITING_FOR.key)


async def test_a_change_that_ends_no_wait_is_shown_too(stage: Stage) -> None:
    """Given an approved quote, when the rep sends it, then lists say that the customer is waited for."""
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await until(stage, waits_for(WaitingFor.CUSTOMER))
    deadline = time.monotonic() + 20
    while await shown(stage) != WaitingFor.CUSTOMER:
        assert time.monotonic() < deadline, await shown(stage)
        await asyncio.sleep(0.1)


async def test_an_amount_and_its_currency_are_written_with_one_command(stage: Stage) -> None:
    """Given a submitted quote, when it was assessed, then no list ever showed its total without the currency."""
    await stage.submit()
    deadline = time.monotonic() + 20
    while (await stage.case.describe()).typed_search_attributes.get(attributes.AMOUNT.key) is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    written = [
        set(event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields)
        async for event in stage.case.fetch_history_events()
        if event.HasField("upsert_workflow_search_attributes_event_attributes")
    ]
    together = {attributes.AMOUNT.name, attributes.CURRENCY.name}
    assert [together & names for names in written if together & names] == [together]
