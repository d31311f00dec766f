"""A flood of junk harms no run, whoever sends it: 2,000 of bench/junk.py's 10,000, with a fifth of the server's limits.

All runs are replayed afterwards from their histories, junk and all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from bench import junk
from runs import names
from tests.workflows.conftest import Stage, World, dev_server, queues_of_its_own
from tests.workflows.feed_world import FeedWorld
from tests.workflows.notices_world import somebody
from tests.workflows.replaying import replays

PIECES = 1_000

pytestmark = [
    pytest.mark.parametrize("sender", ["insider", "stranger"]),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
async def environment() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose limits are a fifth of Temporal's."""
    async with dev_server(**{name: str(limit) for name, limit in junk.share(PIECES).items()}) as server:
        yield server


async def test_a_deal(stage: Stage, sender: str) -> None:
    async with junk.deal(stage) as deal:
        assert (await junk.flood(stage.client, deal, sender, PIECES)).problems == []


async def test_an_approval(stage: Stage, sender: str) -> None:
    async with junk.approval(stage) as approval:
        assert (await junk.flood(stage.client, approval, sender, PIECES)).problems == []


async def test_messages_to_a_person(
    environment: WorkflowEnvironment, world: World, monkeypatch: pytest.MonkeyPatch, sender: str
) -> None:
    queues_of_its_own(monkeypatch)
    async with somebody(environment, world) as recipient, junk.messages(recipient) as messages:
        assert (await junk.flood(recipient.client, messages, sender, PIECES)).problems == []
    await replays(environment.client, (names.NOTICES,))


async def test_a_credit_ledger(feeds: FeedWorld, sender: str) -> None:
    async with junk.ledger(feeds) as ledger:
        assert (await junk.flood(feeds.client, ledger, sender, PIECES)).problems == []


async def test_a_feed(feeds: FeedWorld, sender: str) -> None:
    async with junk.feed(feeds) as feed:
        assert (await junk.flood(feeds.client, feed, sender, PIECES)).problems == []
