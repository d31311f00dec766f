"""A customer whose prices in Finance include sales tax: what Sales quotes without tax is ordered without it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from temporalio.exceptions import ApplicationError

from activities import signatures as ask_for
from domain.causes import Cause
from domain.messages import ReviewRequest
from domain.money import round_money
from dynamics.core.literals import key, query
from tests.contract.clients_sold import customer, sold
from tests.contract.clients_work import Work, p100
from tests.contract.test_clients_exposure import facts_of, opened
from tests.contract.test_clients_truth import work

__all__ = ["work"]

D = Decimal


async def test_an_order_comes_to_the_quote_to_the_cent(work: Work) -> None:
    """Given ten at 95.00 before tax, when they are ordered and invoiced, then 1,045.00 are owed, not 950.00."""
    order = await sold(work, p100(price="95.00"), account=await customer(work.clients, prices_include_tax=True))
    await order.ship()
    await order.invoice()
    billing = await order.billing()
    (invoice,) = billing.invoices
    assert (invoice.net, invoice.tax, invoice.total) == (D("950.00"), D("95.00"), D("1045.00"))
    assert billing.lines.differences == ()


async def test_a_discount_is_measured_from_the_list_price_without_its_tax(work: Work) -> None:
    """Finance's 100.00 include 10 % tax: they are 90.91 before it, and 72.73 are 20 % below that."""
    buyer = await customer(work.clients, prices_include_tax=True)
    found = await work.assess(p100("1", price="72.73"), customer=buyer)
    assert round_money(found.list_net, "USD") == D("90.91")
    assert round(found.discount_pct, 2) == D("20.00")
    assert work.quote is not None
    asked = ReviewRequest(
        company="usmf",
        quote_number=work.quote.quote_number,
        quote_id=work.quote.quote_id,
        revision=0,
        snapshot_hash=found.snapshot_hash,
    )
    (reviewed,) = (await work.run(work.finance.review_lines, asked)).lines
    assert round_money(reviewed.list_price, "USD") == D("90.91"), "whoever decides sees what the rule compared"
    listed = await work.assess(p100("1", price="90.91"), customer=buyer)
    assert listed.problems == () and round(listed.discount_pct, 1) == 0


async def test_an_order_somebody_turned_to_prices_with_tax_is_not_taken_for_ours(work: Work) -> None:
    """The lines read the same then, and come to 86.36 less: neither a retry nor the billing may miss it."""
    order = await sold(work, p100(price="95.00"), account=await customer(work.clients))
    path = key("SalesOrderHeadersV4", dataAreaId="usmf", SalesOrderNumber=order.order_number)
    await work.clients.finance.odata.patch(
        query(path, cross_company="true"), {"ArePricesIncludingSalesTax": "Yes"}, if_match="*"
    )
    assert (await order.billing()).lines.differences == (
        "LINE_CHANGED: the order's prices include sales tax in Finance, the quote's do not",
    )
    held = await work.clients.finance.orders.read("usmf", order.order_number)
    assert held is not None and work.quote is not None
    again = ask_for.CreateOrder(
        quote=work.quote,
        approved_hash=order.approved_hash,
        order_number=held.header.requisition,
        customer_account=held.header.account,
        probe=True,
    )
    with pytest.raises(ApplicationError, match="its prices include sales tax") as refused:
        await work.run(work.finance.create_order, again)
    assert refused.value.type == Cause.CONFLICT


async def test_what_is_open_of_an_order_with_tax_in_its_prices_counts_without_more_tax(work: Work) -> None:
    """An order that was typed into Finance at 10 x 100.00, tax included, takes 1,000.00 of credit, not 1,100.00."""
    buyer = await customer(work.clients, prices_include_tax=True)
    finance = work.clients.live.sandbox.finance
    given = {"SalesOrderNumber": f"S-{buyer}"} if work.clients.manual else {}
    header = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": buyer, **given}
    number = str(finance.create("SalesOrderHeadersV4", header)["SalesOrderNumber"])
    line = {"dataAreaId": "usmf", "SalesOrderNumber": number, "ItemNumber": "P100", "OrderedSalesQuantity": D(10)}
    finance.create("SalesOrderLinesV3", line | {"SalesPrice": D(100)})
    await work.clients.finance.confirm_order("usmf", number)
    assert opened(await facts_of(work.clients, buyer)) == D("1000.00")
    await work.clients.play("POST", "/jobs/totals")
    assert opened(await facts_of(work.clients, buyer)) == D("1000.00")
