"""The feed of Sales tells each deal what it does not know, a page at a time, and hands the rest to a person."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment

from activities.feed_signatures import ReadSales
from activities.sales_feed import SalesFeedWork
from domain.feeds import Look
from dynamics.core.errors import Refused, System
from dynamics.sales.options import OrderState
from dynamics.sales.records import Changes, OpportunityChange, OrderChange, QuoteChange
from runs import names
from runs.after_end import AfterEndDesk
from runs.lookup import Lookup
from tests.deadlines import PATIENCE
from tests.workflows.feed_world import POLICY, UNIT, FeedWorld, eventually, told, unrouted, until, view

REQUESTED, APPROVED, NONE = 100000001, 100000003, 100000000
DRAFT: dict[str, Any] = {"state": 0, "status": 1}
ACTIVE: dict[str, Any] = {"state": 1, "status": 3}
WON: dict[str, Any] = {"state": 2, "status": 4}


def page(*quotes: QuoteChange, deleted: tuple[UUID, ...] = (), **more: Any) -> Changes:
    return Changes(quotes=quotes, deleted=deleted, **more)


async def seen_once(feeds: FeedWorld, every: int = 3600, table: str = "quote") -> Any:
    """A feed that has read its table once: from now on it is told of changes."""
    feed = await feeds.sales_feed(table, every)
    await eventually(lambda: _swept(feed))
    return feed


async def sweep(feeds: FeedWorld, environment: WorkflowEnvironment, feed: Any, changes: Changes) -> None:
    """Let Sales have changed so, and the feed sweep."""
    before = len(feeds.sales.links)
    feeds.sales.pages.append(changes)
    await environment.fast_forward(feed, timedelta(hours=1))
    await eventually(lambda: len(feeds.sales.links) > before)
    await eventually(lambda: _swept(feed))


async def _swept(feed: Any) -> bool:
    shown = await view(feed)
    return bool(shown.next_sweep_at and shown.next_sweep_at > datetime.now(UTC) + timedelta(minutes=30))


# Pages


async def test_a_submitted_quote_starts_its_deal(feeds: FeedWorld) -> None:
    quote = feeds.quote(**DRAFT, approval=REQUESTED)
    feeds.sales.pages = [page(quote)]
    await feeds.sales_feed()
    deal = feeds.client.get_workflow_handle(names.deal_id("usmf", quote.number))
    expected = f"dv/quote/{quote.id}/submitted/7"
    await eventually(lambda: feeds.deals.told)
    assert await told(deal) == [expected]


async def test_a_thousand_changed_quotes_get_through_twenty_at_a_time(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    """Before: one after another, 50 ms each, in one activity of 45 s: never past the first page."""
    feeds.deals.delay, feeds.deals.real = 0.05, False
    quotes = [feeds.quote(**DRAFT, approval=REQUESTED) for _ in range(1_000)]
    feeds.sales.pages = [page(*quotes[:500]), page(*quotes[500:])]
    feed = await feeds.sales_feed()

    await until(feed, delivered=1_000)

    assert len(feeds.deals.told) == len(set(feeds.deals.told)) == 1_000
    assert feeds.deals.most_at_once == 20
    assert feeds.sales.links == [None, "page-1"]


async def test_a_try_that_was_killed_is_resumed_where_its_last_sign_of_life_was(feeds: FeedWorld) -> None:
    """The page is read again, and none of those that were told before is told again."""
    feeds.deals.real = False
    feeds.sales.pages = [page(*(feeds.quote(**DRAFT, approval=REQUESTED) for _ in range(100)))]
    work = _work(feeds)
    beats: list[Any] = []
    first = ActivityEnvironment()
    first.on_heartbeat = lambda *details: beats.append(details)
    feeds.deals.fail_after = 60
    with pytest.raises(ApplicationError, match="Temporal"):
        await first.run(work.read_sales, ReadSales(table="quote", link=None, anew=True))
    assert 60 <= len(feeds.deals.told) < 100

    feeds.deals.fail_after = None
    second = ActivityEnvironment()
    second.info = type(second.info)(**{**_fields(second.info), "heartbeat_details": beats[-1]})
    await second.run(work.read_sales, ReadSales(table="quote", link=None, anew=True))

    assert len(feeds.deals.told) == len(set(feeds.deals.told)) == 100


async def test_the_link_moves_on_only_when_a_page_was_passed_on(
    feeds: FeedWorld, environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = await seen_once(feeds)
    real = feeds.deals.tell

    async def closed(event: Any) -> bool:
        raise Refused("nothing goes", system=System.DATAVERSE)

    monkeypatch.setattr(feeds.deals, "tell", closed)
    quote = feeds.quote(**DRAFT, approval=REQUESTED)
    feeds.sales.pages.append(page(quote))
    await environment.fast_forward(feed, timedelta(hours=1))
    await eventually(lambda: len(feeds.sales.links) >= 2)
    monkeypatch.setattr(feeds.deals, "tell", real)
    await eventually(lambda: feeds.deals.told)
    assert set(feeds.sales.links) == {None, "page-0"}


# The link


@pytest.mark.parametrize(
    "refusal",
    [
        Refused("0x80044352: the version stamp has expired", system=System.DATAVERSE, status=410),
        Refused("malformed delta token", system=System.DATAVERSE, status=400),
        ValueError("a link that leaves https://contoso.crm.dynamics.com"),
    ],
)
async def test_a_link_that_sales_does_not_take_begins_anew_and_says_what_cannot_be_seen(
    feeds: FeedWorld, environment: WorkflowEnvironment, refusal: Exception
) -> None:
    """Before: the sweep failed from then on, forever."""
    feed = await seen_once(feeds)
    quote = feeds.quote(**ACTIVE)
    deal = await feeds.deal(quote.number, quote_id=quote.id, stage="quote", waits="rep")
    stranger = feeds.quote(**WON, approval=NONE)
    feeds.sales.refuse = [refusal]
    feeds.sales.pages = [page(quote, stranger)]

    await environment.fast_forward(feed, timedelta(hours=1))

    assert await eventually(lambda: told(deal)) == [f"dv/quote/{quote.id}/activated"]
    (report,) = await unrouted(feed)
    assert report.what == "change_link_expired"
    assert "records deleted since" in report.reason and "cannot be seen" in report.reason
    assert feeds.sales.links[-2:] == ["page-0", None]


async def test_one_sweep_serves_all_companies(feeds: FeedWorld) -> None:
    """Before: each company's feed read the whole table."""
    quotes = [feeds.quote(**DRAFT, approval=REQUESTED) for _ in range(3)]
    feeds.sales.pages = [page(*quotes)]
    feed = await feeds.sales_feed()
    await until(feed, delivered=3)
    assert len(feeds.sales.links) == 1


# What deals know


async def test_a_deal_is_not_told_what_it_knows(feeds: FeedWorld, environment: WorkflowEnvironment) -> None:
    sent, won, behind = feeds.quote(**ACTIVE), feeds.quote(**WON), feeds.quote(**WON)
    await feeds.deal(sent.number, quote_id=sent.id, stage="quote", waits="customer")
    await feeds.deal(won.number, quote_id=won.id, stage="fulfilment", waits="shipment")
    deal = await feeds.deal(behind.number, quote_id=behind.id, stage="quote", waits="customer")
    feed = await seen_once(feeds)

    await sweep(feeds, environment, feed, page(sent, won, behind))
    shown = await until(feed, known=2, delivered=1)

    assert await told(deal) == [f"dv/quote/{behind.id}/accepted"]
    assert len(feeds.deals.told) == 1 and shown.unrouted == 0


async def test_a_deal_of_an_older_revision_is_told(feeds: FeedWorld, environment: WorkflowEnvironment) -> None:
    """It shows the revision it knows; another one of the same quote is news to it."""
    newer = feeds.quote(**ACTIVE, revision=1)
    deal = await feeds.deal(newer.number, quote_id=uuid4(), stage="quote", waits="customer")
    feed = await seen_once(feeds)
    await sweep(feeds, environment, feed, page(newer))
    assert await eventually(lambda: told(deal)) == [f"dv/quote/{newer.id}/activated"]


async def test_a_draft_in_which_nothing_was_requested_is_no_event_unless_it_was(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    fresh, taken_back = feeds.quote(**DRAFT, approval=None), feeds.quote(**DRAFT, approval=NONE)
    again = feeds.quote(**DRAFT, approval=NONE)
    deal = await feeds.deal(taken_back.number, quote_id=taken_back.id, stage="quote", waits="approval")
    other = await feeds.deal(again.number, quote_id=again.id, stage="quote", waits="approval")
    feeds.sales.quotes[again.id] = again.model_copy(update={"approval": REQUESTED})  # meanwhile
    feed = await seen_once(feeds)

    await sweep(feeds, environment, feed, page(fresh, taken_back, again))

    assert await eventually(lambda: told(deal)) == [f"dv/quote/{taken_back.id}/withdrawn/7"]
    assert await told(other) == []
    assert (await view(feed)).tally == {"received": 1, "delivered": 1}


@pytest.mark.parametrize(
    ("closed", "kind"),
    [(5, "lost"), (6, "cancelled"), (7, "revised"), (100000042, "cancelled")],
)
async def test_a_closed_quote_ends_or_supersedes_its_deal_whatever_the_status_reason(
    feeds: FeedWorld, environment: WorkflowEnvironment, closed: int, kind: str
) -> None:
    """Before: a status reason of the tenant's own failed the sweep of everybody."""
    quote = feeds.quote(state=3, status=closed)
    deal = await feeds.deal(quote.number, quote_id=quote.id, stage="quote", waits="customer")
    feed = await seen_once(feeds)
    await sweep(feeds, environment, feed, page(quote))
    assert await eventually(lambda: told(deal)) == [f"dv/quote/{quote.id}/{kind}"]


# Deleted, lost, reopened


async def test_a_deleted_quote_reaches_the_deal_of_that_revision_and_no_other(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    current, older = uuid4(), uuid4()
    deal = await feeds.deal(quote_id=current, stage="quote", waits="approval")
    feed = await seen_once(feeds)
    await sweep(feeds, environment, feed, page(deleted=(older, current)))
    assert await eventually(lambda: told(deal)) == [f"dv/quote/{current}/deleted"]


async def test_a_lost_opportunity_reaches_its_deals_and_one_reopened_too(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    lost, reopened, always_open = uuid4(), uuid4(), uuid4()
    closing = feeds.sales.closings[reopened] = uuid4()
    quotes = {of: feeds.quote(**WON, opportunity_id=of) for of in (lost, reopened, always_open)}
    feeds.quote(quotes[lost].number, state=3, status=7, revision=0, opportunity_id=lost)
    deals = {of: await feeds.deal(quote.number, quote_id=quote.id, stage="fulfilment") for of, quote in quotes.items()}
    feed = await seen_once(feeds, table="opportunity")

    changed = tuple(OpportunityChange(id=of, state=state) for of, state in ((lost, 2), (reopened, 0), (always_open, 0)))
    await sweep(feeds, environment, feed, Changes(opportunities=changed, deleted=()))
    await until(feed, delivered=2)

    assert len(await told(deals[lost])) == 1
    assert (await told(deals[lost]))[0].endswith("/opportunity_lost")
    assert await told(deals[reopened]) == [f"dv/quote/{quotes[reopened].id}/opportunity_reopened/{closing}"]
    assert await told(deals[always_open]) == []


async def test_an_order_cancelled_in_sales_reaches_its_deal(feeds: FeedWorld, environment: WorkflowEnvironment) -> None:
    cancelled, going = feeds.quote(**WON), feeds.quote(**WON)
    deal = await feeds.deal(cancelled.number, quote_id=cancelled.id, stage="fulfilment", waits="shipment")
    feed = await seen_once(feeds, table="salesorder")
    orders = (
        OrderChange(id=uuid4(), state=OrderState.CANCELED, quote_id=cancelled.id),
        OrderChange(id=uuid4(), state=OrderState.SUBMITTED, quote_id=going.id),
        OrderChange(id=uuid4(), state=OrderState.CANCELED),
    )
    await sweep(feeds, environment, feed, Changes(orders=orders, deleted=()))
    assert await eventually(lambda: told(deal)) == [f"dv/quote/{cancelled.id}/order_cancelled"]
    assert (await view(feed)).tally == {"received": 1, "delivered": 1}


async def test_what_changes_in_sales_after_a_deals_end_goes_to_the_receiver(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    reopened, never = uuid4(), uuid4()
    feeds.sales.closings = {reopened: uuid4(), never: uuid4()}
    ended, unknown = feeds.quote(**WON, opportunity_id=reopened), feeds.quote(**WON, opportunity_id=never)
    deal = await feeds.deal(ended.number, quote_id=ended.id)
    await deal.signal("end", "paid")
    await feeds.listed(f"WorkflowId = '{deal.id}' AND ExecutionStatus = 'Completed'")

    feed = await seen_once(feeds, table="salesorder")
    orders = [OrderChange(id=uuid4(), state=OrderState.CANCELED, quote_id=of.id) for of in (ended, unknown)]
    await sweep(feeds, environment, feed, Changes(orders=tuple(orders), deleted=()))
    await until(feed, after_end=1, nobody=1)
    feeds.sales.pages.clear()
    feed = await seen_once(feeds, table="opportunity")
    changed = tuple(OpportunityChange(id=of, state=0) for of in (reopened, never))
    await sweep(feeds, environment, feed, Changes(opportunities=changed, deleted=()))
    await until(feed, after_end=1)

    assert (await view(feed)).tally == {"received": 1, "after_end": 1}, "an opportunity whose quotes were never deals"


async def test_a_second_order_made_from_a_quote_reaches_its_deal_and_so_does_its_cancellation(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    """Given an order that Finance has, when the rep converts the quote once more, then the deal is told; twice not."""
    quote = feeds.quote(**WON)
    deal = await feeds.deal(quote.number, quote_id=quote.id, stage="fulfilment", waits="shipment")
    ended = feeds.quote(**WON)
    await (await feeds.deal(ended.number, quote_id=ended.id, stage="payment")).terminate()
    feed = await seen_once(feeds, table="salesorder")

    def orders(state: int, version: int, of: QuoteChange = quote) -> tuple[OrderChange, ...]:
        own = OrderChange(id=of.id, number="ORD-1", state=OrderState.SUBMITTED, quote_id=of.id, finance_number="SO-1")
        again = OrderChange(id=UUID(int=of.id.int ^ 1), number="ORD-2", state=state, quote_id=of.id, version=version)
        feeds.sales.others = {own.id: own, again.id: again}
        return (again,)

    await sweep(feeds, environment, feed, Changes(orders=orders(OrderState.ACTIVE, 8), deleted=()))
    first = f"dv/quote/{quote.id}/orders_made/8"
    assert await eventually(lambda: told(deal)) == [first]
    await sweep(feeds, environment, feed, Changes(orders=orders(OrderState.CANCELED, 9), deleted=()))
    await until(feed, delivered=2)
    assert await told(deal) == [first, f"dv/quote/{quote.id}/orders_made/9"]
    await sweep(feeds, environment, feed, Changes(orders=orders(OrderState.ACTIVE, 5, ended), deleted=()))
    await until(feed, unrouted=1)
    (report,) = await unrouted(feed)
    assert (
        report.reference == ended.number and "another order in Sales (ORD-2), and its deal has ended" in report.reason
    )


# For a person


async def test_a_quote_activated_or_won_without_submission_is_shown_to_a_person(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    active, won = feeds.quote(**ACTIVE, approval=None), feeds.quote(**WON, approval=NONE)
    finished = feeds.quote(**WON, approval=APPROVED, closed_on=datetime.now(UTC) - timedelta(days=90))
    feed = await seen_once(feeds)

    await sweep(feeds, environment, feed, page(active, won, finished))
    await until(feed, unrouted=2, nobody=1)

    reasons = {report.reference: report.reason for report in await unrouted(feed)}
    assert reasons == {
        active.number: "Revision 0 was activated in Sales without having been submitted for approval: "
        "nothing is ordered",
        won.number: "Revision 0 was won in Sales without having been submitted for approval: nothing is ordered",
    }


async def test_a_quote_won_after_its_deal_had_ended_is_shown_to_a_person(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    late = feeds.quote(**WON, closed_on=datetime.now(UTC) + timedelta(minutes=1))
    known = feeds.quote(**WON, closed_on=datetime.now(UTC) - timedelta(minutes=1))
    for quote in (late, known):
        deal = await feeds.deal(quote.number, quote_id=quote.id, stage="quote", waits="customer")
        await deal.signal("end", "the test is over")
        await deal.result()
    await feeds.listed(f"WorkflowId = '{names.deal_id('usmf', known.number)}' AND ExecutionStatus = 'Completed'")
    feed = await seen_once(feeds)

    await sweep(feeds, environment, feed, page(late, known))
    await until(feed, unrouted=1, nobody=1)

    (report,) = await unrouted(feed)
    assert report.reference == late.number and "won in Sales after its deal had ended" in report.reason


async def test_a_request_of_a_business_unit_that_is_not_mapped_is_shown_and_says_what_to_do(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    """Before: dropped in silence, while the rep waited."""
    unmapped = feeds.quote(**DRAFT, approval=REQUESTED, business_unit_id=UUID(int=99))
    other = feeds.quote(**ACTIVE, business_unit_id=UUID(int=99))
    feed = await seen_once(feeds)
    await sweep(feeds, environment, feed, page(unmapped, other))
    shown = await until(feed, unrouted=1, foreign=1)
    (report,) = await unrouted(feed)
    assert report.reference == unmapped.number and "entity_map.yaml" in report.help
    assert shown.failing == ""


async def test_a_row_that_cannot_be_read_keeps_no_other_back(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    quote = feeds.quote(**DRAFT, approval=REQUESTED)
    feed = await seen_once(feeds)
    await sweep(feeds, environment, feed, page(quote, unreadable={"q-1": "quotenumber: Field required"}))
    await until(feed, delivered=1)
    (report,) = await unrouted(feed)
    assert (report.what, report.reference) == ("unreadable", "q-1")


# Looks


async def test_a_webhook_that_cannot_be_understood_is_looked_at_by_record_id(feeds: FeedWorld) -> None:
    won, gone = feeds.quote(**WON), uuid4()
    deal = await feeds.deal(won.number, quote_id=won.id, stage="quote", waits="customer")
    other = await feeds.deal(quote_id=gone, stage="quote", waits="approval")
    feed = await seen_once(feeds, every=86_400)
    for record in (won.id, gone, uuid4()):
        await feed.signal(names.LOOK_AT, Look(table="quote", record_id=str(record)))

    assert await eventually(lambda: told(deal)) == [f"dv/quote/{won.id}/accepted"]
    assert await eventually(lambda: told(other)) == [f"dv/quote/{gone}/deleted"]
    shown = await until(feed, looked_at=3)
    assert shown.tally == {"received": 5, "looked_at": 3, "delivered": 2}


async def test_a_quote_won_while_the_feed_reads_its_activation_is_told_as_well(
    feeds: FeedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: told of while it was looked at, it counted as known, and the deal heard at the next sweep."""
    active = feeds.quote(**ACTIVE)
    deal = await feeds.deal(active.number, quote_id=active.id, stage="quote", waits="approval")
    feed = await seen_once(feeds, every=86_400)
    look = Look(table="quote", record_id=active.id).model_dump(mode="json")
    read, reading, go_on = feeds.sales.now, asyncio.Event(), asyncio.Event()

    async def slowly(table: str, ids: Any) -> Changes:
        found = await read(table, ids)
        reading.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(feeds.sales, "now", slowly)
    await feed.signal(names.LOOK_AT, look)
    await asyncio.wait_for(reading.wait(), PATIENCE)
    feeds.sales.quotes[active.id] = active.model_copy(update={**WON, "version": active.version + 1})
    await feed.signal(names.LOOK_AT, look)
    go_on.set()

    shown = await until(feed, looked_at=1)
    heard = await told(deal)
    assert [fact.rsplit("/")[3] for fact in heard] == ["activated", "accepted"], (heard, shown)


async def test_no_message_harms_a_feed(feeds: FeedWorld) -> None:
    feed = await seen_once(feeds)
    strange: list[list[Any]] = [
        [],
        ["x"],
        [{"table": "contact", "record_id": "1"}],
        [{"table": "opportunity", "record_id": "1"}],
    ]
    for message in strange:
        await feed.signal(names.LOOK_AT, args=message)
    heard = [message for message in strange if len(message) == 1]  # the other one stops at the gate of the run
    await until(feed, unreadable=len(heard))


def _work(feeds: FeedWorld) -> SalesFeedWork:
    async def units() -> dict[UUID, str]:
        return {UNIT: "USMF"}

    desk = AfterEndDesk(feeds.client)
    return SalesFeedWork(feeds.deals, Lookup(feeds.client), feeds.sales, units, POLICY, desk)  # type: ignore[arg-type]


def _fields(info: Any) -> dict[str, Any]:
    return {name: getattr(info, name) for name in info.__dataclass_fields__}
