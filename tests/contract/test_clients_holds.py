"""Finance's own credit hold, wherever it stops an order: seen by the billing and the sweep, released by the product."""

from __future__ import annotations

from datetime import timedelta

import pytest

from activities import signatures as ask_for
from tests.contract.clients_sold import Sold, sold
from tests.contract.clients_work import Work, p100
from tests.contract.test_clients_truth import TODAY, work

__all__ = ["work"]


async def held(work: Work, order: Sold) -> str:
    """The entry of the hold list, as the billing reads it; the sweep must find the same."""
    hold = (await order.billing()).hold
    since = TODAY - timedelta(days=1)
    swept = await work.clients.finance.sweep("usmf", slips=since, invoices=since, settled=since)
    found = {row.order_number: row.hold_id for row in swept.holds}
    assert found.get(order.order_number, "") == hold
    return hold


async def release(work: Work, order: Sold) -> None:
    """As a deal does: the order is confirmed already, and the try may be a repeated one."""
    ask = ask_for.ConfirmOrder(
        company="usmf", order_number=order.order_number, release_reason="carl: agreed", probe=True
    )
    assert (await work.run(work.finance.confirm_order, ask, attempt=2)).confirmation_number


async def test_a_hold_placed_by_hand_stops_the_packing_slip_until_it_is_released(work: Work) -> None:
    order = await sold(work, p100())
    assert await held(work, order) == ""
    work.clients.live.sandbox.finance.place_hold("usmf", order.order_number, "asked by the board")
    assert (await held(work, order)).startswith("CM-")
    with pytest.raises(AssertionError, match="placed on credit hold by a person"):
        await order.ship()
    await release(work, order)
    assert await held(work, order) == ""
    await order.ship()


async def test_a_hold_at_the_invoice_is_released_like_every_other(work: Work) -> None:
    """Given a customer whose limit is gone when the goods are out, then the invoice waits for the release."""
    credit = work.clients.live.sandbox.finance.company("usmf").credit
    before, credit.checkpoints = credit.checkpoints, frozenset({"invoice"})
    try:
        order = await sold(work, p100(), account="US-003")
        await order.ship()
        with pytest.raises(AssertionError, match="is on credit hold"):
            await order.invoice()
        assert (await held(work, order)).startswith("CM-")
        await release(work, order)
        await order.invoice()
        assert await held(work, order) == ""
    finally:
        credit.checkpoints = before
