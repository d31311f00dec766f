"""What no deal takes reaches the desk of its company, from both systems, and leaves it when a deal takes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.testing import WorkflowEnvironment

from domain.after_end import LateEntry, LateStatus, Matter
from domain.messages import FinanceEventKind
from dynamics.sales.records import Changes
from runs import names
from runs.after_end import AfterEndDesk
from tests.workflows.feed_world import FeedWorld, eventually, told, until


async def on_the_desk(feeds: FeedWorld, reference: str) -> LateEntry | None:
    view = await AfterEndDesk(feeds.client).read(feeds.company)
    return next((entry for entry in view.entries if entry.reference == reference), None)


async def until_on_the_desk(feeds: FeedWorld, reference: str) -> LateEntry:
    found: LateEntry = await eventually(lambda: on_the_desk(feeds, reference))
    return found


async def test_an_event_of_an_unknown_order_stands_on_the_desk_until_a_deal_takes_it(
    feeds: FeedWorld, environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.feeds.TRIES", 1)
    feed = await feeds.finance_feed(every=86_400)
    event = feeds.event(order := feeds.order())
    await feed.signal(names.FINANCE_EVENT, event)
    opened = await until_on_the_desk(feeds, order)
    assert (opened.matter, opened.role, opened.codes) == (Matter.UNCLAIMED, "ops", ("NO_DEAL",))
    assert "No deal of this order" in opened.text and opened.help and opened.again == ()

    desk: Any = feeds.client.get_workflow_handle(names.after_end_id(feeds.company))
    deal = await feeds.deal(order=order)

    async def settled() -> bool:
        await environment.fast_forward(desk, timedelta(hours=1))
        now = await on_the_desk(feeds, order)
        return now is not None and now.status is LateStatus.SETTLED

    await eventually(settled)
    assert await told(deal) == [event.event_id]


@pytest.mark.parametrize("automatic", [True, False])
async def test_an_order_typed_into_finance_for_a_quote_of_a_deal_is_one_exception(
    feeds: FeedWorld, automatic: bool
) -> None:
    """Before: the order was foreign, and nobody heard of it."""
    feeds.finance.automatic = automatic
    quote, order, other = f"Q-{uuid4().hex[:10]}", f"9{uuid4().int % 10**6:06d}", f"8{uuid4().int % 10**6:06d}"
    await feeds.deal(quote, order=(own := feeds.order()))
    feeds.finance.invoice(order, reference=quote)
    feeds.finance.invoice(other, reference="CUSTOMER-PO-5")
    feeds.finance.invoice(own, reference=quote)
    feeds.finance.marks, feeds.finance.references = {order: "", other: ""}, {order: quote}
    feed = await feeds.finance_feed()

    shown = await until(feed, unrouted=1, delivered=1)
    entry = await until_on_the_desk(feeds, order)

    assert entry.codes == ("ORDER_WITHOUT_DEAL",) and f"names quote {quote}" in entry.text
    assert await on_the_desk(feeds, other) is None and await on_the_desk(feeds, own) is None
    assert shown.tally["received"] == sum(n for name, n in shown.tally.items() if name != "received")
    if automatic:
        payment = feeds.event(order, kind=FinanceEventKind.PAYMENT_POSTED)
        await feed.signal(names.FINANCE_EVENT, payment)
        await until(feed, unrouted=2)

        async def both() -> bool:
            now = await on_the_desk(feeds, order)
            return now is not None and now.reports == 2

        await eventually(both)


async def test_a_quote_won_without_having_been_submitted_stands_on_the_desk_until_it_is_put_right(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    stranger = feeds.quote(state=2, status=4, approval=None)
    feeds.sales.pages = [Changes(deleted=(), delta_link="x")]
    feed = await feeds.sales_feed()
    await eventually(lambda: feeds.sales.links)
    feeds.sales.pages = [
        Changes(deleted=(), delta_link="x"),
        Changes(quotes=(stranger,), deleted=(), delta_link="y"),
    ]
    await environment.fast_forward(feed, timedelta(hours=1))
    entry = await until_on_the_desk(feeds, stranger.number)
    assert "won in Sales without having been submitted" in entry.text and "revised" in entry.help

    feeds.sales.quotes[stranger.id] = stranger.model_copy(update={"state": 3, "status": 7})
    desk: Any = feeds.client.get_workflow_handle(names.after_end_id(feeds.company))

    async def settled() -> bool:
        await environment.fast_forward(desk, timedelta(hours=1))
        now = await on_the_desk(feeds, stranger.number)
        return now is not None and now.status is LateStatus.SETTLED

    await eventually(settled)
