"""Feeds are woken, bounded and honest: what they take reaches its deal, or a person, and none of it piles up."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, cast

import pytest
from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment, WorkflowEnvironment
from temporalio.worker import Worker

from activities.feed_signatures import RouteFinance, SweepFinance
from activities.finance_feed import FinanceFeedWork
from activities.late_reports import LateReports
from domain.digest import Digest
from domain.feeds import MOST_WAITING, DocumentKind, FeedCursor, FeedStart
from domain.messages import FinanceEventKind
from dynamics.core.errors import Refused, System
from dynamics.finance.client import Finance
from dynamics.finance.records import Transaction
from dynamics.finance.swept import CancelledOrder, OpenInvoice
from runs import names
from runs.after_end import AfterEndDesk
from runs.lookup import Lookup
from tests.workflows.feed_world import POLICY, FeedWorld, eventually, told, unrouted, until, view
from tests.workflows.task_time import MOST_SECONDS, Metered
from workflows.feeds import FinanceFeed

# Woken


async def test_an_event_wakes_a_sleeping_feed(feeds: FeedWorld) -> None:
    feed = await feeds.finance_feed(every=86_400)
    deal = await feeds.deal(order=(order := feeds.order()))
    await eventually(lambda: len(feeds.finance.sweeps) == 1)
    event = feeds.event(order)

    await feed.signal(names.FINANCE_EVENT, event)

    assert await eventually(lambda: told(deal)) == [event.event_id]
    assert len(feeds.finance.sweeps) == 1


async def test_an_event_whose_deal_is_not_listed_yet_is_tried_again_and_does_not_hasten_the_sweep(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    feed = await feeds.finance_feed(every=300)
    await until(feed)
    event = feeds.event(order := feeds.order())
    await feed.signal(names.FINANCE_EVENT, event)
    await until(feed, received=1)
    assert (await view(feed)).waiting == 1
    deal = await feeds.deal(order=order)

    await environment.fast_forward(feed, timedelta(seconds=10))

    assert await eventually(lambda: told(deal)) == [event.event_id]
    assert (await view(feed)).waiting == 0 and len(feeds.finance.sweeps) == 1


async def test_an_event_of_an_unknown_deal_is_handed_to_a_person_after_some_tries(
    feeds: FeedWorld, environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: swept for every five seconds, for a week; then dropped in silence."""
    monkeypatch.setattr("domain.feeds.TRIES", 4)
    feed = await feeds.finance_feed(every=300)
    event = feeds.event(order := feeds.order())
    await feed.signal(names.FINANCE_EVENT, event)
    await until(feed, received=1)

    for _ in range(4):
        await environment.fast_forward(feed, timedelta(minutes=1))
        await asyncio.sleep(0.1)
    shown = await until(feed, unrouted=1)

    (report,) = await unrouted(feed)
    assert (report.reference, report.what) == (order, "invoice_posted")
    assert report.reason == "No deal of this order is to be found" and "follow it by hand" in report.help
    assert shown.waiting == 0


# Dropped at once


async def test_an_event_of_a_foreign_order_costs_nothing(feeds: FeedWorld, environment: WorkflowEnvironment) -> None:
    """Before: 1,440 sweeps in these two hours."""
    feed = await feeds.finance_feed(every=300)
    await eventually(lambda: len(feeds.finance.sweeps) == 1)
    await eventually(lambda: _rests(feed))
    await feed.signal(names.FINANCE_EVENT, feeds.event("SO-000123"))
    await until(feed, foreign=1)

    for _ in range(12):
        await environment.fast_forward(feed, timedelta(minutes=10))
        await asyncio.sleep(0.05)

    shown = await view(feed)
    begun = [event.activity_task_scheduled_event_attributes async for event in feed.fetch_history_events()]
    assert {each.activity_type.name for each in begun} - {""} == {"sweep_finance"}, "nobody looks for its deal"
    assert len(feeds.finance.sweeps) <= 26
    assert (shown.waiting, shown.unrouted, shown.tally) == (0, 0, {"received": 1, "foreign": 1})


async def test_where_finance_numbers_a_foreign_order_is_known_by_its_missing_mark(feeds: FeedWorld) -> None:
    feeds.finance.automatic = True
    feeds.finance.marks = {"000777": feeds.order(), "000778": "", "000779": "CUSTOMER-PO-5"}
    deal = await feeds.deal(order="000776")
    feed = await feeds.finance_feed()
    for order in ("000776", "000777", "000778", "000779", "000780", "ODD*ORDER"):
        await feed.signal(names.FINANCE_EVENT, feeds.event(order))

    shown = await until(feed, foreign=4, delivered=1)

    assert len(await told(deal)) == 1
    assert shown.waiting == 1, "ours by its mark, its deal not to be seen yet"


IMPOSSIBLE: Final[tuple[dict[str, Any], ...]] = (
    {"amount": "NaN"},
    {"amount": "1e400"},
    {"control_number": -1},
    {"control_number": 2**64},
    {"occurred_at": "2026-11-23T10:00:00"},
    {"order_number": "O" * 301},
)
"""What no event of Finance holds: numbers out of range, a moment without zone, an order no id can name."""


async def test_no_message_harms_a_feed(feeds: FeedWorld) -> None:
    feed = await feeds.finance_feed()
    event = feeds.event(feeds.order()).model_dump(mode="json")
    strange: list[list[Any]] = [
        [],
        [1],
        ["text"],
        [None],
        [b"bytes"],
        [{"kind": "nonsense"}],
        [feeds.event(feeds.order()), "and more"],
        [feeds.event(feeds.order(), company="demf")],
        *([event | odd] for odd in IMPOSSIBLE),
    ]
    for message in strange:
        await feed.signal(names.FINANCE_EVENT, args=message)

    heard = len([message for message in strange if len(message) == 1])  # the others stop at the gate of the run
    shown = await until(feed, unreadable=heard)

    assert shown.tally == {"received": heard, "unreadable": heard}


# Bounded


async def test_what_there_is_no_room_for_is_counted(feeds: FeedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.feeds.MOST_WAITING", 40)
    feed = await feeds.finance_feed()
    order = feeds.order()
    for n in range(50):
        await feed.signal(names.FINANCE_EVENT, feeds.event(order, event_id=f"finance/invoice/{n}"))

    shown = await until(feed, received=50)

    assert (shown.waiting, shown.tally["overflow"]) == (40, 10)


async def test_each_document_is_passed_on_once_however_often_it_is_read(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    """Before: 4,200 ids in every sweep's argument and result ended the feed with 52 MB of history."""
    feeds.deals.real = False
    await feeds.deal(order=(order := feeds.order()))
    for n in range(4_200):
        feeds.finance.invoice(order, number=f"INV-{n}")
    feeds.finance.invoice("SO-000123")
    feed = await feeds.finance_feed(every=300)
    await until(feed, delivered=4_200)

    for _ in range(3):
        await environment.fast_forward(feed, timedelta(minutes=5))
        await asyncio.sleep(0.3)
    feeds.finance.invoice(order, number="INV-NEW")
    await environment.fast_forward(feed, timedelta(minutes=5))
    shown = await until(feed, delivered=4_201)

    assert len(feeds.deals.told) == len(set(feeds.deals.told)) == 4_201
    assert feeds.deals.most_at_once <= 20
    assert shown.tally == {"received": 4_201, "delivered": 4_201}
    assert (await feed.describe()).raw_description.workflow_execution_info.history_size_bytes < 1_500_000


async def test_a_sweep_begins_a_day_before_the_newest_document_of_each_kind(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    today = datetime.now(UTC).date()
    feeds.finance.invoice("SO-1", on=today - timedelta(days=1))
    feeds.finance.invoice("SO-2", on=today + timedelta(days=30))  # dated ahead: must not hide what comes until then
    feeds.finance.settled.append(
        Transaction(account="C", invoice="INV-9", amount=1, last_settled_on=today - timedelta(days=2))
    )
    feed = await feeds.finance_feed(every=300)
    await eventually(lambda: _rests(feed))
    marks = (await view(feed)).marks

    assert today - marks[DocumentKind.INVOICE] <= timedelta(days=2)
    assert marks[DocumentKind.INVOICE] < today
    assert marks[DocumentKind.SLIP] == marks[DocumentKind.SETTLEMENT]
    assert set(feeds.finance.sweeps[0].values()) <= {today - timedelta(days=1), today - timedelta(days=2)}


async def test_a_week_of_documents_is_passed_on_a_day_after_the_other(
    feeds: FeedWorld, environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is remembered is two days' worth, however long the feed was away; no document is told twice for it."""
    monkeypatch.setattr("activities.finance_feed.PASSED_ON_AT_ONCE", 10)
    monkeypatch.setattr("activities.finance_feed.LOOKED_UP_AT_ONCE", 20)
    monkeypatch.setattr("domain.digest.MOST", 25)
    monkeypatch.setattr(Digest.__init__, "__defaults__", ("", 25))
    today = datetime.now(UTC).date()
    await feeds.deal(order=(order := feeds.order()))
    for n in range(70):
        feeds.finance.invoice(order, on=today - timedelta(days=7 - n // 10), number=f"INV-{n}")
    week_ago = FeedCursor(marks=dict.fromkeys(DocumentKind, today - timedelta(days=8)))
    feed = await feeds.finance_feed(every=300, cursor=week_ago)

    await until(feed, delivered=70)
    before = len(feeds.finance.sweeps)
    await environment.fast_forward(feed, timedelta(minutes=6))
    await eventually(lambda: len(feeds.finance.sweeps) > before)

    assert feeds.deals.told == [f"finance/invoice/INV-{n}" for n in range(70)]
    assert (await view(feed)).unrouted == 0


async def test_an_invoice_over_several_orders_makes_the_customers_deals_look(feeds: FeedWorld) -> None:
    account = f"C-{uuid.uuid4().hex[:8]}"
    shipped = await feeds.deal(order=feeds.order(), stage="invoice", customer=account)
    waits = await feeds.deal(stage="quote", customer=account)
    feed = await feeds.finance_feed()
    for customer in (account, "NOBODY"):
        await feed.signal(names.FINANCE_EVENT, feeds.event("", customer_account=customer))
    await until(feed, delivered=1, foreign=1)
    assert len(await told(shipped)) == 1 and await told(waits) == []


async def test_a_sweep_tells_what_was_cancelled_and_what_is_on_an_invoice_over_several_orders(feeds: FeedWorld) -> None:
    cancelled = await feeds.deal(order=(gone := feeds.order()))
    first, second = await feeds.deal(order=(one := feeds.order())), await feeds.deal(order=(two := feeds.order()))
    now = datetime.now(UTC)
    feeds.finance.cancelled += [CancelledOrder(order_number=o, changed_on=now) for o in (gone, "SO-9")]
    feeds.finance.invoice("", number="CIV-1")
    feeds.finance.shared["CIV-1"] = (one, two, "SO-8")
    await until(await feeds.finance_feed(), delivered=3)
    assert await told(cancelled) == [f"finance/order-cancelled/{gone}"]
    assert await told(first) == await told(second) == ["finance/invoice/CIV-1"]


async def test_a_credit_note_of_a_return_order_reaches_the_deal_whose_goods_came_back(feeds: FeedWorld) -> None:
    deal = await feeds.deal(order=(sold := feeds.order()))
    feeds.finance.returns["ro-1"] = sold
    feed = await feeds.finance_feed()
    for number, event_id in (("RO-1", "finance/invoice/CCN-1"), ("RO-2", "finance/invoice/CCN-2")):
        note = feeds.event(number, event_id=event_id, amount=Decimal(-209))
        await feed.signal(names.FINANCE_EVENT, note)
    await until(feed, delivered=1, foreign=1)
    assert await told(deal) == ["finance/invoice/CCN-1"]


async def test_one_payment_of_two_orders_reaches_both_deals(feeds: FeedWorld) -> None:
    """Before: two events with one id were one, and the second deal was never told."""
    first, second = await feeds.deal(order=(one := feeds.order())), await feeds.deal(order=(two := feeds.order()))
    feed = await feeds.finance_feed()
    for order in (one, two):
        payment = feeds.event(order, event_id="finance/payment/P-1", kind=FinanceEventKind.PAYMENT_POSTED)
        await feed.signal(names.FINANCE_EVENT, payment)
    await until(feed, delivered=2)
    assert await told(first) == await told(second) == ["finance/payment/P-1"]


async def test_a_payment_of_an_invoice_over_two_orders_reaches_both_deals_and_no_other(feeds: FeedWorld) -> None:
    account = f"C-{uuid.uuid4().hex[:8]}"
    numbers = [feeds.order() for _ in range(3)]
    first, second, third = [await feeds.deal(order=number, customer=account) for number in numbers]
    feeds.finance.shared["CIV-1"] = tuple(numbers[:2])
    feed = await feeds.finance_feed()
    for invoice in ("CIV-1", "FTI-1"):
        payment = feeds.event("", event_id="finance/payment/P-2", kind=FinanceEventKind.PAYMENT_POSTED, invoice=invoice)
        await feed.signal(names.FINANCE_EVENT, payment)
    await until(feed, delivered=1, foreign=1)
    assert await told(first) == await told(second) == ["finance/payment/P-2"] and await told(third) == []


# Whose deal is gone


async def test_events_of_ended_deals_go_to_their_receiver_and_those_a_person_must_see_are_shown(
    feeds: FeedWorld,
) -> None:
    closed, terminated = feeds.order(), feeds.order()
    done, killed = await feeds.deal(order=closed), await feeds.deal(order=terminated)
    await done.signal("end", "the test is over")
    await killed.terminate("by an operator")
    await feeds.listed(f"WorkflowId = '{done.id}' AND ExecutionStatus = 'Completed'")
    await feeds.listed(f"WorkflowId = '{killed.id}' AND ExecutionStatus = 'Terminated'")
    feed = await feeds.finance_feed()
    reversed_ = feeds.event(closed, kind=FinanceEventKind.PAYMENT_REVERSED)
    for event in (feeds.event(closed), reversed_, feeds.event(terminated)):
        await feed.signal(names.FINANCE_EVENT, event)

    await until(feed, after_end=2, unrouted=1)

    reasons = {report.reference: report.reason for report in await unrouted(feed)}
    assert reasons == {terminated: f"Its deal {killed.id} was ended from outside (terminated)"}


async def test_an_invoice_that_is_open_again_is_told_of_an_ended_deal_once_and_of_a_running_one_never(
    feeds: FeedWorld, environment: WorkflowEnvironment
) -> None:
    closed, running = feeds.order(), feeds.order()
    done, deal = await feeds.deal(order=closed), await feeds.deal(order=running)
    await done.signal("end", "the test is over")
    await feeds.listed(f"WorkflowId = '{done.id}' AND ExecutionStatus = 'Completed'")
    changed = datetime.now(UTC) - timedelta(hours=1)
    feeds.finance.opened = [OpenInvoice(invoice=number, changed_at=changed) for number in ("INV-1", "INV-2")]
    feeds.finance.settled_orders = {"INV-1": closed, "INV-2": running}
    feed = await feeds.finance_feed(every=300)
    await until(feed, after_end=1, known=1)

    await environment.fast_forward(feed, timedelta(minutes=11))
    assert (await view(feed)).tally == {"received": 2, "after_end": 1, "known": 1}
    feeds.finance.opened[0] = OpenInvoice(invoice="INV-1", changed_at=changed + timedelta(minutes=1))
    await environment.fast_forward(feed, timedelta(minutes=6))
    await until(feed, after_end=2)
    assert await told(deal) == []


async def test_a_prepayment_is_told_to_the_deal_whose_order_it_names(feeds: FeedWorld) -> None:
    deal = await feeds.deal(order=(order := feeds.order()))
    paid = Transaction(account="C", payment_id="PAY-1", reference=order, amount=-100)
    feeds.finance.prepayments = [paid, paid.model_copy(update={"payment_id": "PAY-2", "reference": "thank you"})]
    feed = await feeds.finance_feed()
    await until(feed, delivered=1)
    assert await told(deal) == ["finance/deposit/PAY-1"]


async def test_an_event_of_a_deal_that_has_ended_and_cleans_up_waits_until_its_run_is_over(feeds: FeedWorld) -> None:
    order = feeds.order()
    deal = await feeds.deal(order=order, stage="closed")
    feed = await feeds.finance_feed()
    await feed.signal(names.FINANCE_EVENT, feeds.event(order, kind=FinanceEventKind.PAYMENT_REVERSED))
    await until(feed, received=1)
    await eventually(lambda: _waits(feed))
    assert await told(deal) == []

    await deal.signal("end", "it is over")

    await until(feed, after_end=1)


async def _waits(feed: WorkflowHandle[Any, Any]) -> bool:
    return (await view(feed)).waiting == 1


# When Finance does not answer


async def test_a_finance_that_refuses_costs_no_event_and_is_shown(
    feeds: FeedWorld, environment: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: Any, **kwargs: Any) -> Any:
        raise Refused("Finance is closed", system=System.FINANCE)

    monkeypatch.setattr(feeds.finance, "order_marks", away)
    feeds.finance.automatic = True
    feed = await feeds.finance_feed()
    event = feeds.event(order := "000123")
    await feed.signal(names.FINANCE_EVENT, event)
    await eventually(lambda: _fails(feed))
    assert "Finance is closed" in (await view(feed)).failing
    deal = await feeds.deal(order=order)

    await environment.fast_forward(feed, timedelta(minutes=1))

    assert await eventually(lambda: told(deal)) == [event.event_id]
    assert (await view(feed)).failing == ""


async def test_a_row_that_cannot_be_read_keeps_no_other_back(feeds: FeedWorld) -> None:
    deal = await feeds.deal(order=(order := feeds.order()))
    feeds.finance.invoice(order)
    feeds.finance.unreadable = ("finance PostedInvoice UNREADABLE_ROW: columns not as expected: InvoiceDate: missing",)
    feed = await feeds.finance_feed()
    assert await eventually(lambda: told(deal))
    (report,) = await eventually(lambda: unrouted(feed))
    assert report.what == "unreadable" and "InvoiceDate" in report.reason


# What Temporal Web shows


async def test_the_current_details_say_what_the_feed_does_in_plain_words(feeds: FeedWorld) -> None:
    feed = await feeds.finance_feed()
    await feed.signal(names.FINANCE_EVENT, feeds.event("SO-000123"))
    await until(feed, foreign=1)
    await eventually(lambda: _rests(feed))
    metadata = await feed.query("__temporal_workflow_metadata")
    details = metadata.current_details
    assert details.startswith("**Feed of Finance: USMF**.")
    assert "| Received so far | 1: 1 foreign |" in details
    assert "| Next sweep |" in details and "query `unrouted`" in details


async def _rests(feed: WorkflowHandle[Any, Any]) -> bool:
    """Whether the first sweep has come to its end."""
    shown = await view(feed)
    return bool(shown.marks) or bool(shown.failing)


async def _fails(feed: WorkflowHandle[Any, Any]) -> bool:
    return bool((await view(feed)).failing)


@pytest.mark.parametrize("how", ["swept", "told of"])
async def test_a_try_that_was_killed_is_resumed_where_its_last_sign_of_life_was(feeds: FeedWorld, how: str) -> None:
    """What is read again is not told again."""
    feeds.deals.real = False
    await feeds.deal(order=(order := feeds.order()))
    posted = [feeds.finance.invoice(order, number=f"INV-{n}") for n in range(100)] if how == "swept" else []
    events = tuple(feeds.event(order) for _ in range(100 - len(posted)))
    desk = LateReports(feeds.deals, AfterEndDesk(feeds.client))
    work = FinanceFeedWork(feeds.deals, Lookup(feeds.client), cast(Finance, feeds.finance), POLICY, desk)

    async def tried(environment: ActivityEnvironment) -> None:
        if posted:
            asked = SweepFinance(company=feeds.company, marks={}, told="", waiting="", room=1_000)
            await environment.run(work.sweep_finance, asked)
        else:
            await environment.run(work.route_finance, RouteFinance(company=feeds.company, events=events))

    beats: list[Any] = []
    first, second = ActivityEnvironment(), ActivityEnvironment()
    first.on_heartbeat = lambda *details: beats.append(details)
    feeds.deals.fail_after = 60
    with pytest.raises(ApplicationError, match="Temporal"):
        await tried(first)
    assert len(feeds.deals.told) == 60

    feeds.deals.fail_after = None
    second.info = replace(second.info, heartbeat_details=beats[-1])
    await tried(second)

    assert len(feeds.deals.told) == len(set(feeds.deals.told)) == 100


async def test_three_thousand_events_while_no_worker_ran_are_taken_in_short_tasks(feeds: FeedWorld) -> None:
    queue = f"burst {uuid.uuid4()}"
    company = f"x{uuid.uuid4().hex[:6]}"
    burst = await feeds.client.start_workflow(
        names.FINANCE_FEED,
        FeedStart(system="finance", of=company, cursor=FeedCursor(key_numbered=True)),
        id=names.feed_id("finance", company),
        task_queue=queue,
    )
    orders = [feeds.order() if n % 2 else f"SO-{n:06}" for n in range(3_000)]
    events = [feeds.event(order, company=company) for order in orders]
    for begin in range(0, len(events), 100):
        await asyncio.gather(*(burst.signal(names.FINANCE_EVENT, each) for each in events[begin : begin + 100]))
    meter = Metered()
    async with Worker(feeds.client, task_queue=queue, workflows=[FinanceFeed], workflow_runner=meter, debug_mode=True):
        await until(burst, received=3_000)  # a portion in each task (workers/gate.py)
        shown = await view(burst)
    assert meter.longest < MOST_SECONDS
    await burst.terminate()
    assert shown.tally == {"received": 3_000, "foreign": 1_500, "overflow": 1_500 - shown.waiting}
    assert 0 < shown.waiting <= MOST_WAITING
    failed = [event async for event in burst.fetch_history_events() if event.HasField(FAILED)]
    assert failed == []


FAILED: Final = "workflow_task_failed_event_attributes"
