"""Deals are started in one way, found by their orders, and listed without what is not theirs."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from domain.deal_start import DealStart
from domain.messages import SalesEvent, SalesEventKind
from domain.views import Ending, WaitingFor
from runs import attributes, names, query
from runs.approvals import Approvals
from runs.calls import BadSearch, NotFound, Rejected
from runs.deals import Deals
from runs.feeds import Feeds
from runs.lookup import Lookup
from runs.search import DealFilter, Search, every_deal, open_deals, overdue_approvals
from tests.webworld import scenes
from tests.webworld.world import Stage, until


def submission(quote: str, **changes: object) -> SalesEvent:
    event = SalesEvent(
        event_id=f"dv/quote/{quote}/0/submitted/1",
        kind=SalesEventKind.SUBMITTED,
        company="usmf",
        quote_number=quote,
        quote_id=str(uuid.uuid4()),
        revision=1,
        occurred_at=datetime(2026, 11, 23, 14, tzinfo=UTC),
        source="sweep",
    )
    return event.model_copy(update=changes)


async def test_a_sweep_starts_a_deal_as_a_webhook_does(temporal: Client) -> None:
    quote = f"RUNS/{uuid.uuid4().hex[:6]}"
    deals = Deals(temporal)
    assert await deals.tell(submission(quote)) and await deals.tell(submission(quote))

    handle = temporal.get_workflow_handle(names.deal_id("usmf", quote))
    described = await handle.describe()
    assert await described.static_summary() == f"Quote {quote} of USMF: quote to cash"
    details = await described.static_details()
    assert details and f"quote **{quote}** (revision 1) was submitted" in details
    shown = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert (shown["Q2CStage"], shown["Q2CWaitingFor"]) == ("opportunity", "none")
    assert (shown["Q2CCompany"], shown["Q2CQuote"]) == ("usmf", quote)
    assert await handle.query("received") == [f"dv/quote/{quote}/0/submitted/1"] * 2


async def ended(stage: Stage, quote: str, ending: Ending) -> tuple[str, SalesEvent]:
    """A deal that has ended; the id of its run, and the submission that had begun it."""
    view = scenes.deal(quote).model_copy(update={"ending": ending, "revision": 1})
    handle = await stage.deal(view)
    await handle.signal("end", "now")
    await handle.result()
    earlier = view.updated_at - timedelta(days=1)
    return (await handle.describe()).run_id, submission(view.quote_number, occurred_at=earlier)


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending])
async def test_a_submission_delivered_again_does_not_hide_the_deal_it_led_to(
    temporal: Client, stage: Stage, ending: Ending
) -> None:
    run_id, event = await ended(stage, f"AGAIN-{uuid.uuid4().hex[:6]}", ending)
    assert not await Deals(temporal).tell(event)
    handle = temporal.get_workflow_handle(names.deal_id("usmf", event.quote_number))
    assert (await handle.describe()).run_id == run_id


@pytest.mark.parametrize(
    ("ending", "changed", "begins"),
    [
        (Ending.CLOSED, {"revision": 2}, True),
        (Ending.EXPIRED, {"revision": 2}, True),
        (Ending.STALE, {"occurred_at": datetime(2100, 1, 1, tzinfo=UTC)}, True),
        (Ending.CLOSED, {"occurred_at": datetime(2100, 1, 1, tzinfo=UTC)}, False),
        (Ending.STALE, {"revision": 0, "occurred_at": datetime(2100, 1, 1, tzinfo=UTC)}, False),
    ],
)
async def test_a_later_submission_begins_an_ended_deal_anew(
    temporal: Client, stage: Stage, ending: Ending, changed: dict[str, object], begins: bool
) -> None:
    run_id, event = await ended(stage, f"ANEW-{uuid.uuid4().hex[:6]}", ending)
    assert await Deals(temporal).tell(event.model_copy(update=changed)) is begins
    handle = temporal.get_workflow_handle(names.deal_id("usmf", event.quote_number))
    assert ((await handle.describe()).run_id != run_id) is begins


@pytest.mark.parametrize("late", [True, False])
async def test_a_deal_ended_from_outside_is_begun_anew_by_what_was_submitted_afterwards(
    temporal: Client, stage: Stage, late: bool
) -> None:
    handle = await stage.deal(scenes.deal(f"KILLED-{uuid.uuid4().hex[:6]}"))
    quote = names.parse_deal_id(handle.id)[1]
    await handle.terminate()
    at = datetime.now(UTC) + timedelta(days=1 if late else -1)
    assert await Deals(temporal).tell(submission(quote, occurred_at=at)) is late


async def test_an_event_of_a_deal_that_does_not_run_is_taken_by_nobody(temporal: Client) -> None:
    event = submission(f"RUNS-{uuid.uuid4().hex}", kind=SalesEventKind.ACCEPTED)
    assert not await Deals(temporal).tell(event)


async def test_a_quote_number_no_id_can_hold_is_rejected(temporal: Client) -> None:
    with pytest.raises(Rejected, match="Temporal does not take this"):
        await Deals(temporal).tell(submission("Q", quote_number="Q" * 5_000))
    with pytest.raises(NotFound, match="Deal Q+ not found"):
        await Deals(temporal).state("usmf", "Q" * 5_000)


async def test_a_deal_and_a_feed_share_the_queues_fairly_by_company(temporal: Client) -> None:
    """Before: the server was set to share activities out by fairness key, and no run had one."""
    await Deals(temporal).tell(submission("FAIR-1"))
    await Feeds(temporal, every_seconds=3600).ensure(["usmf"])
    for run in (names.deal_id("usmf", "FAIR-1"), names.feed_id("finance", "usmf")):
        started = await anext(temporal.get_workflow_handle(run).fetch_history_events())
        assert started.workflow_execution_started_event_attributes.priority.fairness_key == "usmf"


async def test_orders_are_found_among_deals_of_the_company_only_ended_ones_too(temporal: Client, stage: Stage) -> None:
    number = f"O'{uuid.uuid4().hex[:8]}\\"
    await stage.deal(scenes.shipping(f"ORD-{number}").model_copy(update={"order_number": number}))
    ended = await stage.deal(scenes.shipping(f"END-{number}").model_copy(update={"order_number": f"E{number}"}))
    await ended.signal("end", "the test is over")
    await ended.result()
    await temporal.start_workflow(
        names.QUOTE_TO_CASH,
        DealStart(company="usmf", quote_number="F", quote_id="0", revision=0),
        id=f"foreign {number}",
        task_queue="a queue no worker polls",
        search_attributes=attributes.typed({attributes.COMPANY: "usmf", attributes.ORDER: f"F{number}"}),
    )

    async def listed() -> bool:
        running = query.all_of(query.RUNNING, query.among(attributes.ORDER, [number, f"F{number}"]))
        other = query.all_of(query.equals(attributes.ORDER, f"E{number}"), query.with_status("Completed"))
        return [(await temporal.count_workflows(asked)).count for asked in (running, other)] == [2, 1]

    await until(listed)
    wanted = [number, f"E{number}", f"F{number}", "NONE"] + [f"N{n}" for n in range(100)]
    found = await Lookup(temporal).of_orders("usmf", wanted)
    assert {order: (deal.deal_id, deal.running) for order, deal in found.items()} == {
        number: (names.deal_id("usmf", f"ORD-{number}"), True),
        f"E{number}": (names.deal_id("usmf", f"END-{number}"), False),
    }
    assert await Lookup(temporal).of_orders("demf", wanted) == {}


async def test_every_deal_is_listed_once_and_nothing_else(temporal: Client, stage: Stage) -> None:
    await stage.deal(scenes.parked("EVERY-1"))
    await temporal.start_workflow(
        names.QUOTE_TO_CASH,
        DealStart(company="usmf", quote_number="F", quote_id="0", revision=0),
        id=f"not a deal {uuid.uuid4()}",
        task_queue="a queue no worker polls",
    )
    rows = [row async for row in every_deal(temporal)]
    assert [row.quote for row in rows].count("EVERY-1") == 1
    assert all(row.workflow_id == names.deal_id(row.company, row.quote) for row in rows)
    (row,) = [row for row in rows if row.quote == "EVERY-1"]
    assert (row.error, row.ended, row.waiting_for) == ("Refused", False, "operator")


async def test_what_is_open_parked_or_overdue_is_counted(temporal: Client, stage: Stage) -> None:
    async def count(text: str) -> int:
        return (await temporal.count_workflows(text)).count

    await stage.deal(scenes.parked("COUNT-1"))
    await stage.deal(scenes.deal("COUNT-2"))
    # Of these two: what other tests left in the namespace ends whenever it ends.
    of_these = f" AND {attributes.QUOTE.name} IN ('COUNT-1', 'COUNT-2')"

    async def counted() -> bool:
        open_ = await count(open_deals() + of_these), await count(open_deals(WaitingFor.OPERATOR) + of_these)
        return open_ == (2, 1)

    await until(counted)
    due = datetime(2026, 11, 24, 17, tzinfo=UTC)
    of_this = f" AND WorkflowId = '{names.approval_id('usmf', 'COUNT-3', 1)}'"
    await temporal.start_workflow(
        names.APPROVAL,
        scenes.request("COUNT-3"),
        id=names.approval_id("usmf", "COUNT-3", 1),
        task_queue="a queue no worker polls",
        search_attributes=attributes.typed({attributes.DEADLINE: due}),
    )

    async def listed() -> bool:
        return await count(overdue_approvals(due + timedelta(seconds=1)) + of_this) == 1

    await until(listed)
    assert await count(overdue_approvals(due) + of_this) == 0


async def test_a_cursor_that_is_not_ours_is_refused_before_the_server_sees_it(temporal: Client) -> None:
    search = Search(temporal, b"key")
    for cursor in ("x", "YWJj", "é", "A" * 4096):
        with pytest.raises(BadSearch, match="Invalid cursor") as raised:
            await search.deals(DealFilter(), limit=5, cursor=cursor)
        assert raised.value.field == "cursor"


async def test_a_request_that_is_no_request_is_not_found(temporal: Client) -> None:
    with pytest.raises(NotFound, match="Approval request 7 of quote NONE not found"):
        await Approvals(temporal).state("usmf", "NONE", 7)
