"""What an order takes of its customer's credit, and what is taken already, to the cent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities import signatures as ask_for
from activities.finance_view import credit_facts
from domain.assessment import OrderReadiness
from domain.causes import Cause
from domain.credit_facts import CreditFacts
from domain.money import round_money
from domain.policy import RaisedTerms
from tests.contract.clients_work import POLICY, Work, p100, worker
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox
from tests.contract.test_clients_finance import TODAY

D = Decimal
ACCOUNT = "US-9600"
"""A customer who owes nothing."""


@pytest.fixture
async def clients(live_sandbox: LiveSandbox) -> AsyncIterator[Clients]:
    async with clients_of(live_sandbox) as opened:
        await opened.play("POST", "/reset")
        yield opened
        await opened.play("POST", "/reset")


async def prepared(work: Work, customer: str, *lines: dict[str, Any]) -> OrderReadiness:
    """An accepted quote of a customer, as it stands just before its order."""
    found = await work.assess(*lines, customer=customer)
    assert found.problems == () and work.quote is not None, found.problems
    await work.accept()
    ready: OrderReadiness = await work.run(work.finance.prepare_order, asked_of(work, found))
    return ready


def asked_of(work: Work, found: Any) -> ask_for.PrepareOrder:
    assert work.quote is not None
    return ask_for.PrepareOrder(
        quote=work.quote,
        approved_hash=found.snapshot_hash,
        price_hash=found.price_hash,
        order_number="Q2C-TEST-1",
        customer_account=found.customer_account,
        credit_account=found.credit_account,
        deal_id=work.deal_id,
    )


async def facts_of(clients: Clients, account: str) -> CreditFacts:
    read = await clients.finance.read_credit("usmf", account, today=TODAY, currency="USD")
    found = credit_facts(read, POLICY, today=TODAY)
    assert found is not None
    return found


async def confirmed(clients: Clients, account: str, quantity: str, discount_pct: str = "0") -> str:
    """A confirmed order of P100 (100.00 each, taxed with 10 %) in Finance; its number."""
    finance = clients.live.sandbox.finance
    body = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": account, "CurrencyCode": "USD"}
    number = str(finance.create("SalesOrderHeadersV4", body)["SalesOrderNumber"])
    line = {
        "dataAreaId": "usmf",
        "SalesOrderNumber": number,
        "ItemNumber": "P100",
        "OrderedSalesQuantity": D(quantity),
        "SalesPrice": D(100),
        "LineDiscountPercentage": D(discount_pct),
    }
    finance.create("SalesOrderLinesV3", line)
    await clients.finance.confirm_order("usmf", number)
    return number


@pytest.mark.parametrize(("limit", "passed"), [("1050", False), ("1100", True)])
async def test_credit_is_decided_on_the_gross_that_finance_will_ask(clients: Clients, limit: str, passed: bool) -> None:
    await clients.play("PUT", "/customers/usmf/US-9600", {"credit_limit": limit, "threshold_pct": "100"})
    ready = await prepared(worker(clients), ACCOUNT, p100("10", tax="0"))
    assert ready.total == D("1000.00"), "what Sales says, which knows no tax"
    assert ready.credit_amount == D("1100.00")
    assert ready.decision is not None and ready.decision.this_order == D("1100.00")
    over = [reason for reason in ready.decision.reasons if "limit" in reason.text]
    assert bool(over) is not passed


async def test_a_tax_that_sales_does_not_know_is_said_and_counted(clients: Clients) -> None:
    work = worker(clients)
    found = await work.assess(p100("10"), customer="US-9400")
    assert found.total == D("1100.00")
    assert "Finance will invoice 1,125.00 USD, not the 1,100.00 USD of the quote" in found.total_differs
    assert found.soft_credit is not None and found.soft_credit.this_order == D("1125.00")


async def test_the_tax_set_up_is_read_once_for_a_while(clients: Clients) -> None:
    async def cost(work: Work) -> int:
        before = len([r for r in await clients.requests() if r["system"] == "finance"])
        await work.assess(p100("10"))
        return len([r for r in await clients.requests() if r["system"] == "finance"]) - before

    work = worker(clients)
    assert await cost(work) == await cost(work) + 2


async def test_what_was_cancelled_of_an_order_takes_no_credit(clients: Clients) -> None:
    """20 at 95.00 with 10 % are 2,090.00; with 4 of them cancelled, 1,672.00."""
    before = await facts_of(clients, ACCOUNT)
    number = await confirmed(clients, ACCOUNT, "20", "5")
    whole = await facts_of(clients, ACCOUNT)
    await clients.play("POST", f"/orders/usmf/{number}/ship", {"lines": [{"line": 1, "quantity": "16"}]})
    await clients.play("POST", f"/orders/usmf/{number}/cancel-remainder", {})
    rest = await facts_of(clients, ACCOUNT)

    assert opened(whole) - opened(before) == D("2090.00")
    assert opened(rest) - opened(before) == D("1672.00")
    await clients.play("POST", "/jobs/totals")
    assert opened(await facts_of(clients, ACCOUNT)) - opened(before) == D("1672.00")


async def test_a_credit_note_lowers_what_is_owed(clients: Clients) -> None:
    """Invoices of 3,157.50 with a credit note of 209.00 that is still open are 2,948.50."""
    live = clients.live.sandbox.finance
    before = await facts_of(clients, ACCOUNT)
    number = await confirmed(clients, ACCOUNT, "20", "5")
    await clients.play("POST", f"/orders/usmf/{number}/ship", {})
    await clients.play("POST", f"/orders/usmf/{number}/invoice", {})
    [invoice] = [row["InvoiceNumber"] for row in live.query("SalesInvoiceHeadersV4", SalesOrderNumber=number)]
    live.seed_open_invoice("usmf", ACCOUNT, D("1067.50"), due_in_days=10)
    owed = await facts_of(clients, ACCOUNT)
    request = {"DataAreaId": "usmf", "SalesOrderId": number, "InvoiceId": invoice}
    line = {"Lines": [{"LineNumber": 1, "Quantity": 2}]}
    answer = live.post("creditNote", request | line)
    assert answer["Success"], answer
    less = await facts_of(clients, ACCOUNT)

    assert owed.open_ar - before.open_ar == D("3157.50")
    assert less.open_ar - before.open_ar == D("2948.50")


async def test_a_hold_of_finances_own_is_told_apart_and_a_release_confirms(
    clients: Clients,
) -> None:
    finance, work = clients.live.sandbox.finance, worker(clients)
    body = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": "US-003"}
    number = str(finance.create("SalesOrderHeadersV4", body)["SalesOrderNumber"])
    ask = ask_for.ConfirmOrder(company="usmf", order_number=number)

    async def refused() -> str:
        with pytest.raises(ApplicationError) as told:
            await work.run(work.finance.confirm_order, ask)
        return str(told.value.type)

    assert await refused() == Cause.REFUSED, "an order without lines"
    line = {"dataAreaId": "usmf", "SalesOrderNumber": number, "ItemNumber": "P100", "OrderedSalesQuantity": D(1)}
    finance.create("SalesOrderLinesV3", line)
    assert await refused() == Cause.CREDIT_HOLD
    released = ask.model_copy(update={"release_reason": "carl: agreed by phone"})
    assert (await work.run(work.finance.confirm_order, released)).confirmation_number


def opened(facts: CreditFacts) -> Decimal:
    return round_money(sum((order.amount for order in facts.open_orders), D(0)), "USD")


async def test_longer_terms_than_the_customers_own_hold_the_order_where_the_policy_says_so(clients: Clients) -> None:
    minds = POLICY.credit.model_copy(update={"raised_terms": tuple(RaisedTerms)})
    policy = POLICY.model_copy(update={"credit": minds})

    async def codes(terms: str) -> list[str]:
        work = worker(clients, policy)
        found = await work.assess(p100("10"), customer=ACCOUNT, payment_terms=terms)
        assert found.problems == () and work.quote is not None, found.problems
        await work.accept()
        ready: OrderReadiness = await work.run(work.finance.prepare_order, asked_of(work, found))
        assert ready.decision is not None
        return [reason.code for reason in ready.decision.reasons]

    assert await codes("Net 30") == ["WITHIN_LIMIT"]
    assert await codes("Net 60") == ["TERMS_RAISED"]


async def test_a_customer_whom_finance_excludes_from_credit_management_passes(clients: Clients) -> None:
    clients.live.sandbox.finance.update("CustomersV3", ("usmf", ACCOUNT), {"CredManExclude": "Yes"})
    await clients.play("PUT", "/customers/usmf/US-9600", {"credit_limit": "1.00"})
    ready = await prepared(worker(clients), ACCOUNT, p100("10"))
    assert ready.decision is not None
    assert (ready.decision.passed, [r.code for r in ready.decision.reasons]) == (True, ["EXCLUDED"])
