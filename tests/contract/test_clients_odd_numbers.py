"""A quote number of any sign goes the whole way: read, assessed, ordered, shown in Sales, and found by its makers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dynamics.sales.makers import read_makers
from tests.contract.clients_sold import to_record
from tests.contract.clients_work import Work, p100, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox
from tests.contract.test_clients_activities import prepared

NUMBERS = (
    "AN/2026/15",
    "../..",
    "50% off? #1&x=1;y",
    "O'Brien ''GmbH''",
    " leading blank",
    "見積書-2026-第15号",
    "🚀" * 50,
    "x" * 100,
    "a,b)(c='d'",
    "$filter=1 or '",
    "*",
)


@pytest.fixture
async def work(live_sandbox: LiveSandbox) -> AsyncIterator[Work]:
    async with clients_of(live_sandbox) as clients:
        yield worker(clients)


@pytest.mark.parametrize("number", NUMBERS)
async def test_a_deal_of_any_number_is_ordered_once_and_shown(work: Work, number: str) -> None:
    create = await prepared(work, [p100()], number=number)
    assert work.quote is not None and work.quote.quote_number == number
    created = await work.run(work.finance.create_order, create)
    again = await work.run(work.finance.create_order, create, attempt=2)
    assert (again.found, again.order_number) == (True, created.order_number)
    recorded = await work.run(work.sales.record_order, to_record(work.quote, created))
    found = await work.clients.finance.orders.read("usmf", created.order_number)
    assert found is not None and found.header.requisition == create.order_number
    [shown] = await work.clients.dataverse.odata.all_rows(
        f"q2c_deals?$filter=_q2c_salesorderid_value eq {recorded.sales_order_id}"
    )
    assert shown["q2c_caseid"] == work.deal_id
    makers = await read_makers(work.clients.dataverse, number, submitted_by=None)
    assert makers.known and makers.users
