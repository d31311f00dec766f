"""How much work Finance does: rows looked at, not seconds. Twice the lines or orders, twice the work at most."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.store import Clock, Table
from tests.contract.finance_world import World, open_world


class Count:
    """Rows that look-ups gave out to be tested."""

    rows = 0


@contextmanager
def _counting() -> Iterator[Count]:
    count, candidates = Count(), Table.candidates

    def counted(table: Table, *choices: Any) -> Sequence[dict[str, Any]]:
        rows = candidates(table, *choices)
        count.rows += len(rows)
        return rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Table, "candidates", counted)
        yield count


@pytest.fixture
def clock() -> Clock:
    return Clock(timedelta(days=-60))


@pytest.fixture
async def world(clock: Clock) -> AsyncIterator[World]:
    async with open_world(clock) as opened:
        yield opened


def _order(world: World, number: str, lines: int, account: str = "US-001") -> None:
    header = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": account}
    world.finance.create("SalesOrderHeadersV4", header | {"SalesOrderNumber": number})
    line = {"dataAreaId": "usmf", "SalesOrderNumber": number, "ItemNumber": "P100", "OrderedSalesQuantity": 1}
    for _ in range(lines):
        world.finance.create("SalesOrderLinesV3", line)


def _whole_way(world: World, number: str, lines: int, account: str = "US-001") -> None:
    _order(world, number, lines, account)
    for operation in ("confirm", "packingSlip", "invoice"):
        world.ok(operation, SalesOrderId=number)


async def test_an_order_of_twice_the_lines_costs_twice_the_work(world: World) -> None:
    looked_at = []
    world.finance.set_credit_limit("usmf", "US-001", Decimal(10**9))
    for lines in (100, 200, 400):
        with _counting() as count:
            _whole_way(world, f"SO-{lines}", lines)
        looked_at.append(count.rows)
    assert looked_at[1] < 2.2 * looked_at[0]
    assert looked_at[2] < 2.2 * looked_at[1]
    assert looked_at[2] < 400 * 60


async def test_an_order_costs_the_same_however_many_there_are(world: World) -> None:
    finance = world.finance
    looked_at = []
    for number in range(200):
        customer = {"dataAreaId": "usmf", "CustomerAccount": f"C-{number}", "OrganizationName": "x"}
        more = {"CustomerGroupId": "10", "SalesCurrencyCode": "USD", "CreditLimit": 10**6}
        finance.create("CustomersV3", customer | more)
        with _counting() as count:
            _whole_way(world, f"SO-{number}", 2, f"C-{number}")
        looked_at.append(count.rows)
    assert max(looked_at[100:]) <= max(looked_at[:10])


SINCE = [
    ("SalesInvoiceHeadersV4", "InvoiceDate"),
    ("CustTransactions", "TransDate"),
    ("CustTransactions", "LastSettleDate"),
    ("CustPackingSlipJourBiEntities", "DeliveryDate"),
]


@pytest.mark.parametrize(("entity_set", "column"), SINCE)
async def test_what_is_new_since_a_day_is_found_without_reading_all(
    world: World, clock: Clock, entity_set: str, column: str
) -> None:
    for number in range(40):
        clock.offset += timedelta(days=1)
        _whole_way(world, f"SO-{number}", 1)
        [invoice] = world.finance.query("SalesInvoiceHeadersV4", SalesOrderNumber=f"SO-{number}")
        settled = [{"InvoiceId": invoice["InvoiceNumber"], "Amount": invoice["TotalInvoiceAmount"]}]
        world.ok("payment", CustAccount="US-001", Amount=invoice["TotalInvoiceAmount"], Settlements=settled)
    books = world.finance.books
    since = books.today(books.company("usmf")).isoformat()
    with _counting() as count:
        rows = await world.rows(f"{entity_set}?$filter=dataAreaId eq 'usmf' and {column} ge {since}T00:00:00Z")
    assert 1 <= len(rows) <= count.rows <= 4
