"""An order that people made in Finance is taken for the deal's: compared, marked once, and read again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError

from activities import signatures as ask_for
from tests.contract.clients_sold import customer
from tests.contract.clients_work import Work, p100, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox


@pytest.fixture(params=["automatic", "manual"])
async def work(live_sandbox: LiveSandbox, request: pytest.FixtureRequest) -> AsyncIterator[Work]:
    async with clients_of(live_sandbox, manual=request.param == "manual") as clients:
        yield worker(clients)


async def by_hand(work: Work, account: str, quantity: int = 10, **more: Any) -> str:
    """An order as a person enters it; its number."""
    odata, number = work.clients.finance.odata, f"HAND-{uuid4().hex[:8].upper()}"
    numbered = {} if work.clients.finance.orders.numbers_automatically("usmf") else {"SalesOrderNumber": number}
    header = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": account, "CurrencyCode": "USD"} | numbered | more
    made = await odata.post(
        "SalesOrderHeadersV4?cross-company=true", header | {"ArePricesIncludingSalesTax": "No"}, representation=True
    )
    assert made.row
    sold = {
        "dataAreaId": "usmf",
        "SalesOrderNumber": made.row["SalesOrderNumber"],
        "ItemNumber": "P100",
        "OrderedSalesQuantity": quantity,
        "SalesUnitSymbol": "ea",
        "SalesPrice": Decimal(100),
        "CustomersLineNumber": 1,
    }
    await odata.post("SalesOrderLinesV3?cross-company=true", sold)
    return str(made.row["SalesOrderNumber"])


async def test_it_becomes_the_deals_and_what_differs_does_not(work: Work) -> None:
    account = await customer(work.clients)
    found = await work.assess(p100(), customer=account)
    assert work.quote is not None and found.problems == ()
    await work.run(work.sales.mark_quote, ask_for.MarkQuote(quote=work.quote, approval_status="approved", deal_id="c"))
    await work.accept()
    ask = ask_for.CreateOrder(
        quote=work.quote,
        approved_hash=found.snapshot_hash,
        order_number=f"Q2C-{uuid4().hex[:12].upper()}",
        customer_account=account,
        given=await by_hand(work, account),
    )
    fewer = await by_hand(work, account, 9)
    others = await by_hand(work, await customer(work.clients))
    taken = await by_hand(work, account, CustomerRequisitionNumber="Q2C-OTHER")
    for number, why in (
        ("NONE-1", "dataverse|finance"),
        (fewer, "quantity 9, wanted 10"),
        (others, "customer"),
        (taken, "the order belongs to Q2C-OTHER"),
    ):
        with pytest.raises(ApplicationError, match=why) as refused:
            await work.run(work.finance.create_order, ask.model_copy(update={"given": number}))
        assert refused.value.non_retryable and refused.value.type in ("Conflict", "NotFound")
    orders = work.clients.finance.orders
    untouched = [await orders.read("usmf", number) for number in (fewer, others)]
    assert [order.header.requisition for order in untouched if order] == ["", ""]

    created = await work.run(work.finance.create_order, ask)
    assert (created.order_number, created.net) == (ask.given, Decimal(1000))
    claimed = await orders.read("usmf", ask.given)
    assert claimed is not None and claimed.header.requisition == ask.order_number
    assert claimed.header.reference == work.quote.quote_number
    again = await work.run(work.finance.create_order, ask, attempt=2)
    assert again == created, "said again after a crash, it finds what was claimed"
