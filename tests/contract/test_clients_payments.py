"""A deal's money as Finance holds it: payments, discounts, differences, credit that is left, and what is paid back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from activities.refund_signatures import PreparedRefund, PrepareRefund
from activities.refunds import FinanceRefundActivities
from domain.fulfilment import Billing
from domain.order_key import refund_key
from domain.payments import Payment
from dynamics.finance.refunds import Refunds
from tests.contract.clients_sold import Sold, customer, sold
from tests.contract.clients_work import POLICY, Work, p100, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox

D = Decimal


@pytest.fixture
async def work(live_sandbox: LiveSandbox) -> AsyncIterator[Work]:
    """A worker, in a company whose orders Finance numbers."""
    async with clients_of(live_sandbox, manual=False) as clients:
        yield worker(clients)
        await post(clients.live, "usmf", {"SettlementMaximumPennyDifference": D(0)})


async def post(live: LiveSandbox, company: str, parameters: dict[str, Any]) -> None:
    live.sandbox.finance.set_parameters(company, "CustomerParameters", parameters)


async def billed(work: Work, account: str, *, discount: str = "") -> tuple[Sold, str]:
    """Ten P100 at 5 per cent, shipped and invoiced: 1,045.00."""
    order = await sold(work, p100("10", discount_pct="5"), account=account)
    if discount:
        finance = work.clients.live.sandbox.finance
        finance.update("SalesOrderHeadersV4", ("usmf", order.order_number), {"CashDiscountCode": discount})
    await order.ship()
    return order, await order.invoice()


async def pay(work: Work, account: str, amount: str, *settled: tuple[str, str]) -> str:
    parts = [{"invoice": invoice, "amount": part} for invoice, part in settled]
    body = {"company": "usmf", "customer": account, "amount": amount, "settlements": parts}
    return str((await work.clients.play("POST", "/payments", body))["PaymentId"])


def d(*amounts: int | str) -> tuple[Decimal, ...]:
    return tuple(D(amount) for amount in amounts)


def of(payment: Payment) -> tuple[Decimal, ...]:
    return payment.amount, payment.applied, payment.unapplied, payment.refunded


async def reads(order: Sold, expected: int, **how: Any) -> Billing:
    before = len(await order.work.clients.requests())
    billing = await order.billing(**how)
    assert len(await order.work.clients.requests()) - before == expected
    return billing


async def prepared(work: Work, source: Payment, amount: str, n: int = 1) -> PreparedRefund:
    desk = FinanceRefundActivities(Refunds(work.clients.finance), POLICY)
    ask = PrepareRefund(
        company="usmf",
        mark=refund_key("default", work.deal_id, n),
        of=source.number,
        is_note=False,
        record=source.record,
        amount=D(amount),
        currency="USD",
    )
    return await work.run(desk.prepare_refund, ask)


async def test_s31_what_was_paid_too_much_is_read_prepared_once_and_seen_paid_back(work: Work) -> None:
    account = await customer(work.clients)
    order, invoice = await billed(work, account)
    seen = await order.billing(invoice)
    first = await pay(work, account, "400.00", (invoice, "400.00"))
    seen = await reads(order, 1, before=seen, paid=first)
    assert ([of(p) for p in seen.payments], seen.invoices[0].open_amount) == ([d(400, 400, 0, 0)], D(645))
    second = await pay(work, account, "700.00", (invoice, "645.00"))
    seen = await reads(order, 1, before=seen, paid=second)
    assert {p.number: of(p) for p in seen.payments} == {first: d(400, 400, 0, 0), second: d(700, 645, 55, 0)}
    assert await order.billing() == seen, "what was not told of is found all the same"

    over = seen.payments[0]
    assert over.number == second, "what is unapplied comes first"
    one = await prepared(work, over, "55.00")
    assert one.journal and one == await prepared(work, over, "55.00"), "asked again, the line that is there is found"
    finance = work.clients.live.sandbox.finance
    [line] = finance.query("CustomerPaymentJournalLines", JournalBatchNumber=one.journal)
    assert (line["DebitAmount"], line["AccountDisplayValue"], line.get("Voucher", "")) == (D("55.00"), account, "")
    again = await prepared(work, over, "10.00", n=2)
    assert again.refused == f"0.00 USD of {second} are left to pay back", "nor can another deal pay it back"
    assert (await order.billing(before=seen)).payments[0].unapplied == 55, "a draft pays nothing"

    await work.clients.play(
        "POST", "/finance/usmf/postPaymentJournal", {"JournalBatchNumber": one.journal, "PaymentId": second}
    )
    event = finance.events.history[-1]
    assert [(s["SalesOrderId"], s["Amount"]) for s in event["Settlements"]] == [(order.order_number, 0)]
    seen = await order.billing(before=seen)
    assert {p.number: of(p) for p in seen.payments} == {first: d(400, 400, 0, 0), second: d(700, 645, 0, 55)}
    assert sum(p.amount for p in seen.payments) == 1045 + 0 + 55


@pytest.mark.parametrize(
    ("paid", "left", "difference"), [("1044.98", "0", "0.02"), ("1044.94", "0.06", "0"), ("1045.04", "0", "0")]
)
async def test_s32_what_is_off_by_the_tolerance_is_paid_and_posted_by_finance(
    work: Work, paid: str, left: str, difference: str
) -> None:
    await post(work.clients.live, "usmf", {"SettlementMaximumPennyDifference": D("0.05")})
    account = await customer(work.clients)
    order, invoice = await billed(work, account)
    await pay(work, account, paid, (invoice, min(paid, "1045.00")))
    seen = await order.billing()
    assert (seen.invoices[0].open_amount, seen.difference, seen.discount) == d(left, difference, 0)
    [payment] = seen.payments
    assert (payment.amount, payment.applied, payment.unapplied) == d(paid, min(paid, "1045.00"), 0)


async def test_s32_a_cash_discount_is_told_apart_and_taken_back_when_the_payment_bounces(work: Work) -> None:
    account = await customer(work.clients)
    order, invoice = await billed(work, account, discount="2%D10")
    payment = await pay(work, account, "1024.10", (invoice, "1024.10"))
    seen = await order.billing(invoice)
    assert (seen.invoices[0].open_amount, seen.discount, [of(p)[:2] for p in seen.payments]) == (
        D(0),
        D("20.90"),
        [d("1024.10", "1024.10")],
    )
    await work.clients.play("POST", f"/payments/usmf/{payment}/reverse", {"reason": "bounced"})
    seen = await order.billing(before=seen)
    assert (seen.invoices[0].open_amount, seen.discount) == d("1045.00", 0)
    assert [(p.reversed, of(p)) for p in seen.payments] == [(True, d("1024.10", 0, 0, 0))]


async def test_one_payment_over_several_deals_is_each_ones_own_part(work: Work) -> None:
    account = await customer(work.clients)
    one, first = await billed(work, account)
    two, second = await billed(work, account)
    await pay(work, account, "2000.00", (first, "1045.00"), (second, "905.00"))
    [part], [other] = (await one.billing()).payments, (await two.billing()).payments
    assert (part.number, of(part), part.elsewhere) == (other.number, d(2000, 1045, 50, 0), D(905))
    assert (of(other), other.elsewhere) == (d(2000, 905, 50, 0), D(1045))


async def test_a_payment_meant_for_an_invoice_and_applied_to_nothing_is_known(work: Work) -> None:
    """Told before its invoice was settled: the money is there, and the invoice is open."""
    account = await customer(work.clients)
    order, invoice = await billed(work, account)
    payment = await pay(work, account, "300.00")
    finance = work.clients.live.sandbox.finance
    [row] = finance.books.find("CustTransactions", PaymId=payment)
    finance.books.update("CustTransactions", row, {"Invoice": invoice})
    seen = await order.billing()
    assert ([of(p) for p in seen.payments], seen.invoices[0].open_amount) == ([d(300, 0, 300, 0)], D(1045))


async def test_an_invoice_in_instalments_is_open_until_the_last_of_them(work: Work) -> None:
    order, invoice = await billed(work, "US-9700")
    first = await pay(work, "US-9700", "400.00", (invoice, "400.00"))
    seen = await order.billing(invoice, paid=first)
    assert ([of(p) for p in seen.payments], seen.invoices[0].open_amount) == ([d(400, 400, 0, 0)], D(645))
    await pay(work, "US-9700", "645.00", (invoice, "645.00"))
    assert (await order.billing(before=seen)).invoices[0].open_amount == 0
