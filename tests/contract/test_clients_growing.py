"""Orders made larger in Finance by the product, as the sandbox's takes it: looked at, raised once, confirmed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activities.change_signatures import ChangedOrder, ChangeOrder, LargerLooked, LookAtLarger, ShowOrdered
from activities.order_changes import FinanceOrderChanges
from activities.order_growth import LargerOrders
from activities.postings import Postings
from activities.snapshots import SalesQuotes
from domain.assessment import QuoteAssessment
from domain.growing import RaisedLine
from domain.line_change import LineChange
from domain.messages import ReviewRequest
from domain.people import Person
from tests.contract.clients_sold import Sold, customer, ordered
from tests.contract.clients_work import POLICY, OneDealsDesk, Work, p100, p250, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox

D = Decimal
MONA = Person(oid="5f0d4c0e-0000-4000-8000-000000000001", name="mona")


@pytest.fixture
async def work(live_sandbox: LiveSandbox) -> AsyncIterator[Work]:
    """A worker, in a company whose orders Finance numbers."""
    async with clients_of(live_sandbox, manual=False) as clients:
        yield worker(clients)


async def order_of(work: Work, *lines: dict[str, Any], limit: str = "100000") -> tuple[Sold, QuoteAssessment]:
    """An order of a customer of its own, and the assessment it was sold by."""
    found = await work.assess(*lines, customer=await customer(work.clients, credit_limit=limit))
    return await ordered(work, found), found


async def look(
    order: Sold, found: QuoteAssessment, *lines: tuple[int, str], fresh: bool = False, **more: Any
) -> LargerLooked:
    """What the product finds of an order with other quantities; a fresh worker remembers nothing."""
    work = order.work
    assert work.quote is not None
    finance = work.clients.finance
    quotes = SalesQuotes(work.clients.dataverse, POLICY)
    larger = LargerOrders(quotes, finance, POLICY, OneDealsDesk(POLICY), Postings(finance))
    ask = {
        "quote": work.quote,
        "approved_hash": order.approved_hash,
        "order_number": order.order_number,
        "customer_account": found.customer_account,
        "credit_account": found.credit_account,
        "lines": tuple(LineChange(line_no=number, quantity=D(quantity)) for number, quantity in lines),
        "asked_by": MONA,
        "asked_at": datetime.now(UTC),
        "expires_at": found.expires_at,
        "pinned": found.pinned,
        "credit": "d + 1",
    }
    return await work.run(larger.look_at_larger, LookAtLarger.model_validate(ask | more))


async def change(order: Sold, raised: tuple[RaisedLine, ...], *lines: tuple[int, str]) -> ChangedOrder:
    finance = order.work.clients.finance
    changes = FinanceOrderChanges(finance, Postings(finance), probe_again=0)
    wanted = tuple(LineChange(line_no=number, quantity=D(quantity)) for number, quantity in lines)
    ask = ChangeOrder(company="usmf", order_number=order.order_number, lines=wanted, raised=raised)
    return await order.work.run(changes.change_order, ask)


async def in_finance(order: Sold) -> list[tuple[str, ...]]:
    """Quantity, net amount, discount per unit and charges of each line in Finance."""
    read = await order.work.clients.finance.orders.read("usmf", order.order_number)
    assert read is not None
    return [
        tuple(f"{number.normalize():f}" for number in (row.quantity, row.amount, row.discount_per_unit, row.charges))
        for row in read.lines
    ]


async def test_s36_more_is_priced_at_the_net_price_credited_by_the_difference_and_raised_once(work: Work) -> None:
    order, found = await order_of(work, p100("10", discount_pct="5"), limit="1463")
    looked = await look(order, found, (1, "14"))
    assert (looked.refused, looked.decision and looked.decision.passed) == ("", True)
    assert looked.larger and (looked.larger.total, looked.larger.more) == (D(1463), D(418))
    assert looked.decision and (looked.decision.open_orders, looked.decision.this_order) == (D(1045), D(418))
    again = [await change(order, looked.raised, (1, "14")) for _ in range(2)]
    assert [done.raised for done in again] == [4, 0]
    assert {done.confirmation_number for done in again} == {f"{order.order_number}-2"}
    assert await in_finance(order) == [("14", "1330", "5", "0")]
    assert await look(order, found, (1, "14")) == LargerLooked(), "nothing becomes larger any more"
    refused = (await look(order, found, (1, "15"))).refused
    assert refused.startswith("LARGER_NO_CREDIT: 1,567.50 USD, 104.50 USD more:") and "over by 104.50" in refused
    shown = (await order.billing()).lines
    assert (int(shown.ordered), shown.to_ship) == (14, 1)
    assert shown.changes == ("line 1: 14 ordered in Finance, 10 in the quote (last changed there by Q2C)",)
    assert work.quote is not None
    for changes, text in ((shown.changes, shown.changes[0]), ((), None)):
        await work.run(work.sales.show_ordered, ShowOrdered(quote_id=work.quote.quote_id, changes=changes))
        assert (await work.clients.deal_row(work.deal_id))["q2c_orderedinfinance"] == text


async def test_what_is_shipped_invoiced_and_cancelled_stays_and_rounding_is_kept(work: Work) -> None:
    order, found = await order_of(work, p100("3", discount_amount="10"), p250("10"))
    assert (await in_finance(order))[0] == ("3", "290", "3.33", "-0.01")
    looked = await look(order, found, (1, "6"))
    await change(order, looked.raised, (1, "6"))
    assert (await in_finance(order))[0] == ("6", "580", "3.33", "-0.02")
    await order.ship((2, 6))
    await order.invoice()
    await change(order, (), (2, "8"))
    looked = await look(order, found, (2, "12"), (1, "5"))
    assert looked.larger and looked.larger.more == D("993.66")
    done = await change(order, looked.raised, (2, "12"), (1, "5"))
    assert (int(done.raised), int(done.cancelled), done.refused) == (4, 1, ())
    lines = [(int(x.ordered), int(x.cancelled), int(x.shipped)) for x in (await order.billing()).lines.shown]
    assert lines == [(6, 1, 0), (14, 2, 6)]


async def test_what_cannot_be_is_refused_before_anything_is_written(work: Work) -> None:
    order, found = await order_of(work, p100("10", discount_pct="12"), p250("4"))
    await order.ship((1, 6))
    below = await look(order, found, (1, "5"), (2, "9"))
    late = await look(order, found, (1, "11"), expires_at=datetime.now(UTC) - timedelta(days=1))
    part = await look(order, found, (1, "11.5"))
    unknown = await look(order, found, (9, "11"))
    asked = await look(order, found, (1, "14"))
    codes = [each.refused.partition(":")[0] for each in (below, late, part, unknown)]
    assert codes == ["BELOW_SHIPPED", "LARGER_ORDER", "BAD_QTY", "UNKNOWN_LINE"]
    assert asked.larger and [step.level for step in asked.larger.plan.asked] == [1] and asked.decision is None
    assert not any(MONA.is_same(who) for step in asked.larger.plan.steps for who in step.candidates)
    approved = await look(order, found, (1, "14"), approved=asked.larger.asked_for)
    assert approved.decision and approved.decision.passed
    plain = await change(order, (), (1, "14"))
    assert (int(plain.raised), [text.partition(":")[0] for text in plain.refused]) == (0, ["LARGER_ORDER"])
    assert [quantity for quantity, *_ in await in_finance(order)] == ["10", "4"]
    assert work.quote is not None
    review = ReviewRequest(
        **work.quote.model_dump(), snapshot_hash=asked.larger.content_hash, order_lines=asked.larger.lines
    )
    lines = await work.run(work.finance.review_lines, review)
    assert lines.snapshot_hash == asked.larger.content_hash
    assert [int(shown.quantity) for shown in lines.lines] == [14, 4]


async def test_an_answer_that_is_lost_and_a_line_changed_meanwhile_raise_it_once(work: Work) -> None:
    order, found = await order_of(work, p100("10"))
    looked = await look(order, found, (1, "14"))
    await work.clients.fault("finance", "POST", r"\$batch", drop="after", times=1)
    try:
        await change(order, looked.raised, (1, "14"))
    except Exception as error:  # noqa: BLE001 - whichever request lost its answer: a worker tries again
        assert "after" in str(error) or str(error)
    done = await change(order, looked.raised, (1, "14"))
    assert (await in_finance(order))[0][0] == "14"
    assert done.refused == ()
