"""Feeds are woken, bounded and honest: what they take reaches its deal, or a person, and none of it piles up."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from feed_world import FeedWorld, eventually, feed_world, told, unrouted, view
from temporalio.testing import WorkflowEnvironment

from runs import names


@pytest.fixture
async def world(environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FeedWorld]:
    suffix = uuid.uuid4().hex[:8]
    for queue in ("DEAL_QUEUE", "DATAVERSE_QUEUE", "FINANCE_QUEUE"):
        monkeypatch.setattr(names, queue, f"{getattr(names, queue)}-{suffix}")
    async with feed_world(environment.client) as world:
        yield world


async def test_an_event_wakes_a_sleeping_feed(world: FeedWorld) -> None:
    feed = await world.finance_feed(every=86_400)
    deal = await world.deal(order=(order := world.order()))
    await eventually(lambda: len(world.finance.sweeps) == 1)
    event = world.event(order)

    await feed.signal(names.FINANCE_EVENT, event)

    assert await eventually(lambda: told(deal)) == [event.event_id]
    assert len(world.finance.sweeps) == 1


async def test_no_message_harms_a_feed(world: FeedWorld) -> None:
    feed = await world.finance_feed()
    for message in ([], [1], ["text"], [{"kind": "nonsense"}], [None], [world.event("X"), "more"], [b"bytes"]):
        await feed.signal(names.FINANCE_EVENT, args=message)
    await eventually(lambda: view(feed))
    await eventually(lambda: _received(feed, 7))
    print(await view(feed), await unrouted(feed))


async def _received(feed, n):
    v = await view(feed)
    return v.tally.get("received", 0) >= n
