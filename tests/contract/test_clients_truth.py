"""What real data does to a deal: other payers, other numbers, other cases, lines nobody sold, items nobody sells."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError

from activities import signatures as ask_for
from dynamics.core.literals import key, query
from dynamics.sales.options import OrderStatus
from tests.contract.clients_sold import account_id, customer, ordered, sold
from tests.contract.clients_work import Work, p100, p250, reference, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox

D = Decimal
TODAY = datetime.now(UTC).date()


@pytest.fixture(params=["automatic", "manual"])
async def work(live_sandbox: LiveSandbox, request: pytest.FixtureRequest) -> AsyncIterator[Work]:
    """A worker, in a company whose orders Finance numbers, and in one whose orders we number."""
    async with clients_of(live_sandbox, manual=request.param == "manual") as clients:
        yield worker(clients)


# Who is billed


async def test_an_invoice_to_another_account_is_not_paid_because_the_customer_owes_nothing(work: Work) -> None:
    """Given a customer another account pays for, when its order is invoiced, then all of it is open until that pays."""
    payer = await customer(work.clients, credit_limit="5000", open_ar="100")
    buyer = await customer(work.clients)
    await work.clients.finance.odata.patch(
        query(key("CustomersV3", dataAreaId="usmf", CustomerAccount=buyer), cross_company="true"),
        {"InvoiceAccount": payer},
        if_match="*",
    )
    found = await work.assess(p100(), customer=buyer)
    assert (found.customer_account, found.credit_account) == (buyer, payer)
    assert (found.soft_credit.limit, found.soft_credit.open_ar) == (D(5_000), D(100))

    order = await ordered(work, found)
    await order.ship()
    number = await order.invoice()
    assert [(i.total, i.open_amount) for i in (await order.billing()).invoices] == [(D("1100.00"), D("1100.00"))]
    taken = await work.clients.finance.read_credit("usmf", buyer, today=TODAY, currency="USD")
    assert taken.payer is not None and taken.payer.account == payer
    assert sum(t.amount_company for t in taken.open_transactions) == D("1200.00")

    paid = {"company": "usmf", "customer": payer, "amount": "1100.00"}
    await work.clients.play("POST", "/payments", paid | {"settlements": [{"invoice": number, "amount": "1100.00"}]})
    assert [i.open_amount for i in (await order.billing()).invoices] == [D(0)]


# By which line


@pytest.mark.parametrize("numbers", [(10, 20, 30), (7, 3, 5)], ids=["in tens", "in another order"])
async def test_lines_keep_their_numbers_from_quote_to_invoice(work: Work, numbers: tuple[int, ...]) -> None:
    clients = work.clients
    quote = await clients.quote(p100("1"), p250("2"), p100("3"), customer="US-004")
    work.quote = reference(quote, "usmf")
    for line, number in zip(quote.lines, numbers, strict=True):
        await clients.dataverse.odata.patch(key("quotedetails", line.id), {"lineitemnumber": number}, if_match="*")
    found = await work.run(work.finance.assess_quote, ask_for.AssessQuote(quote=work.quote, deal_id="c"))
    order = await ordered(work, found)
    held = await clients.finance.orders.read("usmf", order.order_number)
    assert held is not None
    of_quantity = dict(zip((D(1), D(2), D(3)), numbers, strict=True))
    assert {line.line_number: line.quantity for line in held.lines} == {n: q for q, n in of_quantity.items()}
    await order.ship()
    await order.invoice()
    billing = await order.billing()
    shown = {line.line_no: (line.shipped, line.invoiced) for line in billing.lines.shown}
    assert shown == {number: (quantity, quantity) for quantity, number in of_quantity.items()}

    await order.show(billing)

    copy_of = await clients.dataverse.mirror.read_order(UUID(order.sales_order_id))
    assert copy_of.status == OrderStatus.INVOICED
    copied = await clients.dataverse.odata.all_rows(
        query(
            "invoicedetails",
            select="lineitemnumber,quantity",
            filter=f"invoiceid/_salesorderid_value eq {order.sales_order_id}",
        )
    )
    assert {line["lineitemnumber"]: line["quantity"] for line in copied} == {n: q for q, n in of_quantity.items()}


async def test_a_line_added_in_finance_by_hand_is_told_and_takes_no_quote_line_s_place(work: Work) -> None:
    order = await sold(work, p100("10"))
    added = {
        "dataAreaId": "usmf",
        "SalesOrderNumber": order.order_number,
        "ItemNumber": "P250",
        "OrderedSalesQuantity": 2,
        "SalesUnitSymbol": "ea",
        "SalesPrice": 250,
    }
    await work.clients.finance.odata.post("SalesOrderLinesV3?cross-company=true", added)
    await order.ship()
    await order.invoice()
    billing = await order.billing()
    assert [(line.line_no, line.shipped, line.invoiced) for line in billing.lines.shown] == [(1, D(10), D(10))]
    assert [(i.net, s.quantity) for i, s in zip(billing.invoices, billing.slips, strict=True)] == [(D(1500), D(12))]
    assert len(billing.lines.differences) == 2
    assert all(
        text.startswith("UNKNOWN_LINE: ") and "2 of P250" in text and "not in the quote" in text
        for text in billing.lines.differences
    )


async def test_what_somebody_cancels_in_finance_is_told_and_no_longer_waited_for(work: Work) -> None:
    """Given three lines, when one is deleted, one made smaller and one's remainder cancelled, then each is named."""
    order = await sold(work, p100("10"), p100("10"), p100("10"))
    held = await work.clients.finance.orders.read("usmf", order.order_number)
    assert held is not None
    lots = {
        line.line_number: key("SalesOrderLinesV3", dataAreaId="usmf", InventoryLotId=line.lot) for line in held.lines
    }
    await work.clients.finance.odata.patch(
        query(lots[2], cross_company="true"), {"OrderedSalesQuantity": 7}, if_match="*"
    )
    await order.ship((held.lines[1].sequence, 7), (held.lines[2].sequence, 4))
    path = f"/orders/usmf/{order.order_number}/cancel-remainder"
    await work.clients.play("POST", path, {"lines": [{"line": held.lines[2].sequence, "quantity": 6}]})
    before = await order.billing()
    assert (before.lines.to_ship, before.lines.ordered, before.lines.cancelled) == (1, D(27), D(6))
    await work.clients.play("POST", path, {"lines": [{"line": held.lines[0].sequence, "quantity": 10}]})

    billing = await order.billing()

    assert [text.partition(" (")[0] for text in billing.lines.changes] == [
        "line 1: 10 of 10 cancelled in Finance",
        "line 2: 7 ordered in Finance, 10 in the quote",
        "line 3: 6 of 10 cancelled in Finance",
    ]
    assert billing.lines.differences == ()
    assert (billing.lines.to_ship, billing.lines.shipped) == (0, D(11))
    await order.invoice()
    assert (await order.billing()).lines.to_invoice == 0


async def test_an_invoice_is_shown_by_a_worker_that_never_read_it(work: Work) -> None:
    order = await sold(work, p100("2"), p250("3"))
    await order.ship()
    number = await order.invoice()
    billing = await order.billing()
    order.work = dataclasses.replace(worker(work.clients), quote=work.quote)
    await order.show(billing)
    copy = (await work.clients.dataverse.mirror.read_invoices(UUID(order.sales_order_id), [number]))[number]
    assert copy.total == billing.invoices[0].total

    other = billing.invoices[0].model_copy(update={"lines_hash": "0" * 64})
    with pytest.raises(ApplicationError, match="other lines than were read"):
        await order.show(billing.model_copy(update={"invoices": (other,)}))


# Whatever case


async def test_an_account_number_in_another_case_is_finance_s_own(work: Work) -> None:
    account = await customer(work.clients)
    row = await account_id(work.clients, account)
    work.clients.live.sandbox.dataverse.update("accounts", row, {"accountnumber": account.lower()})
    found = await work.assess(p100(), customer=account)
    assert (found.problems, found.customer_account) == ((), account)
    order = await ordered(work, found)
    held = await work.clients.finance.orders.read("usmf", order.order_number)
    assert held is not None and held.header.account == account


async def test_a_star_in_a_number_is_a_star_and_not_anything(work: Work) -> None:
    """Finance takes `*` in a compared text for anything: rows it brings along are nobody's answer."""
    priced = await work.clients.finance.read_pricing("usmf", "US-*", ["P*", "P100"], "USD", today=TODAY)
    assert priced.customer is None
    assert set(priced.products) == {"p100"} and {a.item for a in priced.agreements} == {"P100"}


# What the rep is told at submission


async def test_two_accounts_with_one_number_are_nobody_s(work: Work) -> None:
    account = await customer(work.clients)
    work.clients.live.sandbox.dataverse.create("accounts", {"name": "Another", "accountnumber": account.lower()})
    found = await work.assess(p100(), customer=account)
    assert [problem.code for problem in found.problems] == ["DUPLICATE_CUSTOMER"]


async def test_a_customer_finance_does_not_know_is_said_once(work: Work) -> None:
    account = await customer(work.clients)
    row = await account_id(work.clients, account)
    work.clients.live.sandbox.dataverse.update("accounts", row, {"accountnumber": f"{account}-X"})
    found = await work.assess(p100(), customer=account)
    assert [problem.code for problem in found.problems] == ["CUSTOMER_UNMAPPED"]
    assert f"no customer {account}-X" in found.problems[0].message


async def test_an_item_stopped_for_sales_goes_back(work: Work) -> None:
    clients = work.clients
    await clients.play("PUT", "/items/usmf/P250", {"stopped": True})
    try:
        found = await work.assess(p100(), p250("1"))
    finally:
        await clients.play("PUT", "/items/usmf/P250", {"stopped": False})
    assert [(p.code, p.field) for p in found.problems] == [("ITEM_NOT_RELEASED", "line 2: product")]
    assert "stopped for sales" in found.problems[0].message


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"name": "n" * 61}, ("TEXT_TOO_LONG", "name")),
        ({"paymenttermscode": 2}, ("UNMAPPED_PAYMENT_TERM", "payment_terms")),
        ({"effectiveto": "2020-01-01"}, ("EXPIRED", "effective_to")),
    ],
)
async def test_what_finance_would_refuse_goes_back_at_submission(
    work: Work, columns: dict[str, Any], expected: tuple[str, str]
) -> None:
    quote = await work.clients.quote(p100())
    await work.clients.dataverse.odata.patch(key("quotes", quote.id), columns, if_match="*")
    ask = ask_for.AssessQuote(quote=reference(quote, "usmf"), deal_id="c")
    found = await work.run(work.finance.assess_quote, ask)
    assert [(problem.code, problem.field) for problem in found.problems] == [expected]


# In which currency


async def test_rates_are_finance_s_of_the_ledger_s_type_and_are_asked_for_only_where_needed(work: Work) -> None:
    finance, sandbox = work.clients.finance, work.clients.live.sandbox.finance
    sandbox.set_exchange_rate("JPY", "USD", D("0.0066"), start=TODAY)
    before = len(await work.clients.requests())
    home = await finance.read_credit("usmf", "US-001", today=TODAY, currency="USD")
    assert len(await work.clients.requests()) == before + 2, "US-001 has a confirmed order"
    assert (home.exchange.accounting_currency, home.exchange.rates) == ("USD", ())
    yen = await finance.read_credit("usmf", "US-001", today=TODAY, currency="JPY")
    assert len(await work.clients.requests()) == before + 5
    assert {(rate.source, rate.target): rate.rate for rate in yen.exchange.rates}["JPY", "USD"] == D("0.0066")


# Many lines


async def test_a_large_order_is_made_in_steps_and_one_cut_off_is_continued(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given 320 lines, when the second step is lost, then the next attempt writes only what is missing."""
    found = await work.assess(*[p100("1")] * 320, customer="US-004")
    assert work.quote is not None and found.problems == () and found.line_count == 320
    await work.run(work.sales.mark_quote, ask_for.MarkQuote(quote=work.quote, approval_status="approved", deal_id="c"))
    await work.accept()
    create = ask_for.CreateOrder(
        quote=work.quote,
        approved_hash=found.snapshot_hash,
        order_number=f"Q2C-{uuid4().hex[:12].upper()}",
        customer_account="US-004",
    )
    await work.clients.finance.orders.find("usmf", "warm")
    lost: list[int] = []
    batch = work.clients.finance.odata.batch

    async def cut_off(items: Any, **more: Any) -> Any:
        lost.append(len(items))
        if len(lost) == 3:
            await work.clients.fault("finance", "POST", r"/data/\$batch", drop="before")
        return await batch(items, **more)

    monkeypatch.setattr(work.clients.finance.odata, "batch", cut_off)
    with pytest.raises(ApplicationError):
        await work.run(work.finance.create_order, create)
    half = await work.clients.finance.orders.find("usmf", create.order_number)
    assert half is not None and 0 < len(half.lines) < 320
    made = await work.run(work.finance.create_order, create, attempt=2)
    assert made.found and made.lines.count == 320 and made.net == D("32000.00")
    whole = await work.clients.finance.orders.find("usmf", create.order_number)
    assert whole is not None and sorted(line.line_number for line in whole.lines) == list(range(1, 321))


async def test_a_large_deal_goes_from_quote_to_invoice_and_told_again_changes_nothing(work: Work) -> None:
    """Given 500 lines, four steps of 150 in either system, then the copies are whole, and a repetition writes none."""
    found = await work.assess(*[p100("1", discount_pct="5")] * 500, customer="US-004")
    order = await ordered(work, found)
    await order.ship()
    number = await order.invoice()
    billing = await order.billing()
    assert [(i.net, i.total, billing.lines.count) for i in billing.invoices] == [(D("47500.00"), D("52250.00"), 500)]
    assert (billing.lines.to_invoice, len(billing.lines.shown)) == (0, 100)
    await order.show(billing)
    await order.show(billing)
    mirror = work.clients.dataverse.mirror
    copy = (await mirror.read_invoices(UUID(order.sales_order_id), [number]))[number]
    shown = await mirror.read_order(UUID(order.sales_order_id))
    assert copy.total == D("52250.00")
    assert shown.status == OrderStatus.INVOICED


async def test_a_quote_whose_request_we_wrote_over_ourselves_is_assessed_and_one_taken_back_is_not(work: Work) -> None:
    quote = await work.clients.quote(p100("10"))
    work.clients.live.sandbox.dataverse.update("quotes", str(quote.id), {"q2c_approvalstatus": 100000004})
    ask = ask_for.AssessQuote(quote=reference(quote, "usmf"), deal_id="c")
    assert (await work.run(work.finance.assess_quote, ask)).stale == "the request for approval was taken back"
    ours = ask.model_copy(update={"marked_over": "rejected"})
    assert (await work.run(work.finance.assess_quote, ours)).stale == ""


async def test_a_quote_made_into_two_orders_in_sales_is_followed_on_the_first_and_the_rep_is_told(work: Work) -> None:
    """Given that the rep converted the accepted quote once more, then nobody has to guess which order is meant."""
    found = await work.assess(p100(), customer="US-004")
    assert work.quote is not None
    await work.run(work.sales.mark_quote, ask_for.MarkQuote(quote=work.quote, approval_status="approved", deal_id="c"))
    await work.accept()
    won = await work.clients.dataverse.read_quote(UUID(work.quote.quote_id))
    first = await work.clients.dataverse.convert_quote(won)
    second = await work.clients.dataverse.convert_quote(won.model_copy(update={"orders": ()}))
    read = await work.clients.dataverse.read_quote(won.id)
    assert {order.id for order in read.orders} == {first.id, second.id}
    own, other = sorted((first, second), key=lambda order: (order.created_on, str(order.id)))  # to the second only
    assert read.order is not None and read.order.id == own.id
    ready = await work.run(
        work.finance.prepare_order,
        ask_for.PrepareOrder(
            quote=work.quote,
            approved_hash=found.snapshot_hash,
            price_hash=found.price_hash,
            order_number="Q2C-TWICE",
            customer_account="US-004",
            credit_account="US-004",
            deal_id="q2c/usmf/twice",
        ),
    )
    assert (ready.sales_order_id, ready.more_sales_orders) == (str(own.id), (other.number,))


async def test_a_quote_converted_once_more_after_its_order_is_in_finance_is_found_with_all_its_orders(
    work: Work,
) -> None:
    """Given an order of both systems, when the rep converts the quote again, then it is plain which is the deal's."""
    order = await sold(work, p100())
    assert work.quote is not None
    won = await work.clients.dataverse.read_quote(UUID(work.quote.quote_id))
    second = await work.clients.dataverse.convert_quote(won.model_copy(update={"orders": ()}))
    found = {each.id: each for each in await work.clients.changes.orders_of([won.id])}
    assert set(found) == {UUID(order.sales_order_id), second.id}
    assert found[UUID(order.sales_order_id)].finance_number == order.order_number
    assert (found[second.id].finance_number, found[second.id].number, found[second.id].cancelled) == (
        "",
        second.number,
        False,
    )
    (changed,) = (await work.clients.changes.now("salesorder", [second.id])).orders
    assert changed == found[second.id] and changed.version > 0
