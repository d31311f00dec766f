"""Customers who share a credit limit in Finance: read with all that each of them owes and has on order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from activities.credit_groups import shared_credit
from activities.finance_view import credit_facts
from domain.credit_groups import GroupCredit
from tests.contract.clients_work import POLICY
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox
from tests.contract.test_clients_exposure import confirmed
from tests.contract.test_clients_finance import TODAY

D = Decimal


@pytest.fixture
async def clients(live_sandbox: LiveSandbox) -> AsyncIterator[Clients]:
    async with clients_of(live_sandbox) as opened:
        await opened.play("POST", "/reset")
        yield opened
        await opened.play("POST", "/reset")


async def shared(clients: Clients, account: str) -> GroupCredit | None:
    read = await clients.finance.read_credit("usmf", account, today=TODAY, currency="USD", shared=True)
    credit = credit_facts(read, POLICY, today=TODAY)
    assert credit is not None
    return await shared_credit(clients.finance, read, credit, POLICY, TODAY)


async def test_a_group_is_read_with_what_all_its_customers_owe_and_have_on_order(clients: Clients) -> None:
    finance = clients.live.sandbox.finance
    finance.share_credit("HOLDING", D("5000.00"), "EUR", {"US-9600": "usmf", "US-9400": "usmf", "DE-001": "demf"})
    number = await confirmed(clients, "US-9400", "10")
    rate = finance.books.rate_or_refuse("USD", "EUR", finance.company("usmf"))

    group = await shared(clients, "US-9600")
    before = await clients.requests()
    alone = await shared(clients, "US-001")
    seen = [r for r in await clients.requests() if r not in before and r["system"] == "finance"]

    assert group is not None and group.rate == rate
    assert (group.facts.group, group.facts.currency, group.facts.credit_limit) == ("HOLDING", "EUR", D("5000.00"))
    assert {(m.company, m.account) for m in group.members} == {
        ("usmf", "US-9600"),
        ("usmf", "US-9400"),
        ("demf", "DE-001"),
    }
    [order] = [order for order in group.facts.open_orders if order.order_number == number]
    assert order.amount == D("1100.00") * rate
    owed = sum(
        (row["AmountMST"] for row in finance.books.find("CustTransOpens", AccountNum="DE-001", dataAreaId="demf")),
        D(0),
    )
    assert group.facts.open_ar >= owed
    assert alone is None
    assert len(seen) <= 2, "who shares no limit costs no request more"


async def test_a_branch_shares_the_limit_of_the_account_that_is_billed(clients: Clients) -> None:
    finance = clients.live.sandbox.finance
    finance.update("CustomersV3", ("usmf", "US-9600"), {"InvoiceAccount": "US-9400"})
    finance.share_credit("HOLDING", D("5000.00"), "USD", {"US-9400": "usmf"})
    group = await shared(clients, "US-9600")
    assert group is not None and [m.account for m in group.members] == ["US-9400"]


async def test_the_sandbox_and_the_product_agree_to_the_cent_on_a_groups_limit(clients: Clients) -> None:
    """What uses all of it, two taxes and two customers, Finance confirms, and we read as all of it."""
    finance = clients.live.sandbox.finance
    finance.share_credit("HOLDING", D("2200.00"), "USD", {"US-9600": "usmf", "US-9400": "usmf"})
    base = await shared(clients, "US-9600")
    assert base is not None
    used = base.facts.open_ar + sum((order.amount for order in base.facts.open_orders), D(0))
    finance.update("CustomerCreditGroups", ("HOLDING",), {"CreditMax": used + D("2225.00")})

    await confirmed(clients, "US-9400", "10")
    await confirmed(clients, "US-9600", "10")

    await clients.play("POST", "/jobs/totals")
    full = await shared(clients, "US-9600")
    assert full is not None
    now_used = full.facts.open_ar + sum((order.amount for order in full.facts.open_orders), D(0))
    assert now_used == full.facts.credit_limit
