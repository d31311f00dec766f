"""What lists are made of says at every moment what the deal's own view says."""

from __future__ import annotations

import asyncio
import time

from domain.messages import SalesEventKind
from domain.views import WaitingFor
from runs import attributes
from runs.search import rows_of
from tests.deadlines import PATIENCE
from tests.workflows.acting import until, waits_for
from tests.workflows.conftest import Stage


async def shown(stage: Stage) -> str | None:
    described = await stage.case.describe()
    return described.typed_search_attributes.get(attributes.WAITING_FOR.key)


async def until_shown(stage: Stage, waiting: WaitingFor) -> None:
    """A question may be answered by a task whose commands the server has not taken yet."""
    deadline = time.monotonic() + PATIENCE
    while await shown(stage) != waiting:
        assert time.monotonic() < deadline, await shown(stage)
        await asyncio.sleep(0.1)


async def test_a_change_that_ends_no_wait_is_shown_too(stage: Stage) -> None:
    """Given an approved quote, when the rep sends it, then lists say that the customer is waited for."""
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    await until(stage, waits_for(WaitingFor.CUSTOMER))
    await until_shown(stage, WaitingFor.CUSTOMER)


async def test_an_amount_and_its_currency_are_written_with_one_command(stage: Stage) -> None:
    """Given a submitted quote, when it was assessed, then no list ever showed its total without the currency."""
    await stage.submit()
    deadline = time.monotonic() + PATIENCE
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


async def test_lists_know_names_people_and_since_when_and_names_are_written_once(stage: Stage) -> None:
    """Given a submitted quote, when it was assessed and moved on, then its names were written with one command."""
    await stage.submit()
    await until(stage, waits_for(WaitingFor.REP))
    await stage.sales(SalesEventKind.ACTIVATED)
    view = await until(stage, waits_for(WaitingFor.CUSTOMER))
    await until_shown(stage, WaitingFor.CUSTOMER)
    (row,) = await rows_of([await stage.case.describe()])
    assert (row.name, row.customer_name, row.owner) == (view.name, view.customer_name, view.owner.name)
    described = await stage.case.describe()
    assert attributes.PEOPLE.of(described) == (view.owner.oid.lower(),)
    assert (since := attributes.SINCE.of(described)) is not None and since >= row.started_at.replace(microsecond=0)
    memos = [
        event
        async for event in stage.case.fetch_history_events()
        if event.HasField("workflow_properties_modified_event_attributes")
    ]
    assert len(memos) == 1, "what does not change is not written again"
    assert b"customer_name" not in memos[0].SerializeToString(), "names are sealed"
