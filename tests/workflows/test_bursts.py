"""Thousands of messages for one run, sent while no worker ran: they come in one task, and are heard in portions.

As many as the server lets wait are tried by `bench.junk`. The detector of deadlocks is on. All runs are replayed afterwards from their histories.
"""

from __future__ import annotations

from bench import junk
from tests.workflows.conftest import Stage
from tests.workflows.feed_world import FeedWorld

MANY = 2_000
"""Eight portions of the gate."""


async def test_two_thousand_wait_for_a_deal(stage: Stage) -> None:
    async with junk.deal(stage) as deal:
        assert (await junk.flood(stage.client, deal, "insider", MANY, asleep=True)).problems == []


async def test_two_thousand_wait_for_an_approval(stage: Stage) -> None:
    async with junk.approval(stage) as approval:
        assert (await junk.flood(stage.client, approval, "insider", MANY, asleep=True)).problems == []


async def test_two_thousand_wait_for_a_credit_ledger(feeds: FeedWorld) -> None:
    async with junk.ledger(feeds) as ledger:
        assert (await junk.flood(feeds.client, ledger, "insider", MANY, asleep=True)).problems == []


async def test_two_thousand_that_nobody_sealed_wait_for_a_feed(feeds: FeedWorld) -> None:
    """An insider's would fill what a feed keeps, and the true event would come with the next sweep only."""
    async with junk.feed(feeds) as feed:
        assert (await junk.flood(feeds.client, feed, "stranger", MANY, asleep=True)).problems == []


async def test_two_thousand_that_nobody_sealed_wait_for_a_deal(stage: Stage) -> None:
    async with junk.deal(stage) as deal:
        assert (await junk.flood(stage.client, deal, "stranger", MANY, asleep=True)).problems == []
