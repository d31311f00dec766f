"""Orders changed in Finance by the product, as the sandbox's Finance takes it: read, reduced once, and refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError

from activities import signatures as ask_for
from activities.change_signatures import ChangedOrder, ChangeOrder, ShowCancelling
from activities.order_changes import FinanceOrderChanges
from activities.postings import Postings
from domain.line_change import LineChange
from dynamics.core.literals import query
from dynamics.finance.records import NewOrder
from tests.contract.clients_sold import Sold, sold
from tests.contract.clients_work import Work, p100, p250, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox

D = Decimal


@pytest.fixture
async def work(live_sandbox: LiveSandbox) -> AsyncIterator[Work]:
    """A worker, in a company whose orders Finance numbers."""
    async with clients_of(live_sandbox, manual=False) as clients:
        yield worker(clients)


async def change(work: Work, number: str, *lines: tuple[int, str], probe: bool = False) -> ChangedOrder:
    """What the product makes of an order; without lines, all that is not shipped is cancelled."""
    finance = work.clients.finance
    changes = FinanceOrderChanges(finance, Postings(finance), probe_again=0)
    wanted = tuple(LineChange(line_no=line, quantity=D(quantity)) for line, quantity in lines)
    return await work.run(
        changes.change_order, ChangeOrder(company="usmf", order_number=number, lines=wanted, probe=probe)
    )


async def posted(work: Work, number: str, action: str, body: dict[str, Any] | None = None) -> None:
    await work.clients.play("POST", f"/orders/usmf/{number}/{action}", body or {})


async def lines_of(order: Sold) -> list[tuple[int, ...]]:
    """Ordered, cancelled and shipped of each line."""
    shown = (await order.billing()).lines.shown
    return [(int(line.ordered), int(line.cancelled), int(line.shipped)) for line in shown]


async def test_lines_are_made_smaller_once_however_often_it_is_asked(work: Work) -> None:
    order = await sold(work, p100("10"), p250("3"))
    await order.ship((1, 6))
    for again in range(3):
        done = await change(work, order.order_number, (1, "8"), (2, "0"))
        assert (done.cancelled, done.refused) == (D(0) if again else D(5), ())
    assert await lines_of(order) == [(10, 2, 6), (3, 3, 0)]
    done = await change(work, order.order_number, (1, "5"), (2, "9"), (7, "1"))
    codes = [text.partition(":")[0] for text in done.refused]
    assert (done.cancelled, codes) == (D(0), ["BELOW_SHIPPED", "LARGER_ORDER", "UNKNOWN_LINE"])
    assert (await change(work, order.order_number)).cancelled == 2
    assert (await change(work, order.order_number)).cancelled == 0
    assert not (await order.billing()).cancelled


async def test_what_is_picked_is_cancelled_only_after_the_picking_is_reversed(work: Work) -> None:
    order = await sold(work, p100("10"))
    await posted(work, order.order_number, "pick", {"lines": [{"line": 1, "quantity": 4}]})
    with pytest.raises(ApplicationError, match="4 has been picked") as refusal:
        await change(work, order.order_number)
    assert refusal.value.type == "Refused"
    assert work.quote is not None
    await work.run(work.sales.show_cancelling, ShowCancelling(quote_id=work.quote.quote_id))
    rows = await work.clients.dataverse.odata.all_rows(
        query("q2c_deals", select="q2c_waitingfor", filter=f"q2c_caseid eq '{work.deal_id}'")
    )
    assert [row["q2c_waitingfor"] for row in rows] == ["Cancellation in Finance"]
    assert (await change(work, order.order_number, (1, "4"))).cancelled == 6
    await posted(work, order.order_number, "unpick")
    assert (await change(work, order.order_number)).cancelled == 4
    billing = await order.billing()
    assert (billing.cancelled, billing.status) == (True, "Canceled")


async def test_an_order_of_which_nobody_knows_whether_it_was_made_is_looked_for(work: Work) -> None:
    key = f"Q2C-{uuid4().hex[:12].upper()}"
    assert (await change(work, key, probe=True)).absent
    found = await work.assess(p100("10"), customer="US-004")
    await work.accept()
    assert work.quote is not None
    create = ask_for.CreateOrder(
        quote=work.quote, approved_hash=found.snapshot_hash, order_number=key, customer_account=found.customer_account
    )
    made = await work.run(work.finance.create_order, create)
    done = await change(work, key, probe=True)
    assert (done.order_number, done.absent, done.cancelled) == (made.order_number, False, D(10))
    assert (await change(work, key, probe=True)).cancelled == 0


async def test_the_beginning_of_an_order_without_lines_is_taken_away(work: Work) -> None:
    finance, key = work.clients.finance, f"Q2C-{uuid4().hex[:12].upper()}"
    await finance.orders.create(
        NewOrder(company="usmf", key=key, account="US-004", currency="USD", quote_number="Q", lines=())
    )
    assert await finance.orders.find("usmf", key) is not None
    assert (await change(work, key, probe=True)).absent
    assert await finance.orders.find("usmf", key) is None
