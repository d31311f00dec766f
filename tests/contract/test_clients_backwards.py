"""What people take back in Finance, as it is read and as Sales shows it: cancelled, returned, credited, corrected.

Each is done in the sandbox as its people do it there; the product reads it and writes it to Sales.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from activities import signatures as ask_for
from domain.fulfilment import Billing
from dynamics.core.literals import query
from dynamics.sales.invoice_copy import copy_id
from dynamics.sales.options import DealStage, FulfilmentChoice, OrderState, OrderStatus, PaymentChoice
from tests.contract.clients_sold import Sold, customer, sold
from tests.contract.clients_work import Work, p100, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox

D = Decimal


@pytest.fixture
async def work(live_sandbox: LiveSandbox) -> AsyncIterator[Work]:
    """A worker, in a company whose orders Finance numbers."""
    async with clients_of(live_sandbox, manual=False) as clients:
        yield worker(clients)


async def post(work: Work, operation: str, **members: Any) -> dict[str, Any]:
    """Somebody posts in Finance by hand."""
    answer: dict[str, Any] = await work.clients.play("POST", f"/finance/usmf/{operation}", members)
    return answer


async def cancel(order: Sold, *lines: tuple[int, int]) -> None:
    body = {"lines": [{"line": line, "quantity": quantity} for line, quantity in lines]} if lines else {}
    await order.work.clients.play("POST", f"/orders/usmf/{order.order_number}/cancel-remainder", body)


async def change(order: Sold, quantity: int) -> None:
    await order.work.clients.play("PUT", f"/orders/usmf/{order.order_number}/lines/1", {"quantity": quantity})


def quantities(billing: Billing) -> tuple[Decimal, ...]:
    """Ordered, cancelled, shipped, returned, invoiced, credited of the first line."""
    line = billing.lines.shown[0]
    return line.ordered, line.cancelled, line.shipped, line.returned, line.invoiced, line.credited


def numbers(*values: int) -> tuple[Decimal, ...]:
    return tuple(D(value) for value in values)


async def reads(order: Sold, expected: int, **known: Any) -> Billing:
    """A look at Finance that takes so many requests."""
    before = len(await order.work.clients.requests())
    billing = await order.billing(**known)
    assert len(await order.work.clients.requests()) - before == expected
    return billing


async def of_order(work: Work, order: Sold) -> Any:
    return await work.clients.dataverse.mirror.read_order(UUID(order.sales_order_id))


async def test_cancelled_lowered_and_raised_are_read_with_whoever_did_it(work: Work) -> None:
    order = await sold(work, p100("10", discount_pct="5"), account=await customer(work.clients))
    await change(order, 8)
    billing = await reads(order, 1)
    assert quantities(billing) == numbers(8, 0, 0, 0, 0, 0)
    assert billing.lines.changes == ("line 1: 8 ordered in Finance, 10 in the quote (last changed there by desk)",)
    await change(order, 12)
    await order.ship((1, 6))
    await cancel(order)
    billing = await order.billing()
    assert quantities(billing) == numbers(12, 6, 6, 0, 0, 0)
    assert billing.lines.changes == (
        "line 1: 12 ordered in Finance, 10 in the quote, 6 of 12 cancelled in Finance (last changed there by desk)",
    )
    assert (billing.lines.differences, billing.lines.to_ship, billing.cancelled) == ((), 0, False)


async def test_a_whole_order_cancelled_in_finance_is_cancelled_in_sales_once(work: Work) -> None:
    order = await sold(work, p100("10"), account=await customer(work.clients))
    await cancel(order)
    billing = await reads(order, 1)
    assert (billing.cancelled, billing.changed_by, billing.status) == (True, "desk", "Canceled")
    assert quantities(billing) == numbers(10, 10, 0, 0, 0, 0)
    told = ask_for.CancelSalesOrder(sales_order_id=order.sales_order_id, order_number=order.order_number)
    for _ in range(2):
        before = len(await work.clients.requests())
        await work.run(work.sales.cancel_sales_order, told)
        assert len(await work.clients.requests()) - before == 1
        shown = await of_order(work, order)
        assert (shown.state, shown.status) == (OrderState.CANCELED, OrderStatus.NO_MONEY)
    row = await work.clients.deal_row(work.deal_id)
    assert (row["q2c_stage"], row["q2c_waitingfor"]) == (DealStage.CLOSED, None)
    work.clients.live.sandbox.dataverse.delete("salesorders", order.sales_order_id)
    await work.run(work.sales.cancel_sales_order, told)


async def test_a_remainder_cancelled_is_closed_short_in_sales(work: Work) -> None:
    """S30: six of ten are shipped, the rest is cancelled; the order stays Partial, and its deal waits for the bill."""
    order = await sold(work, p100("10", discount_pct="5"), account=await customer(work.clients))
    await order.ship((1, 6))
    slips = tuple(slip.slip for slip in (await order.billing()).slips)
    shipment = ask_for.RecordShipment(sales_order_id=order.sales_order_id, complete=False, slips=slips)
    await work.run(work.sales.record_shipment, shipment)
    await cancel(order)
    assert quantities(await order.billing()) == numbers(10, 4, 6, 0, 0, 0)
    await work.run(work.sales.record_shipment, shipment.model_copy(update={"slips": (), "short": True}))
    row = await work.clients.deal_row(work.deal_id)
    assert (row["q2c_fulfilmentstatus"], row["q2c_waitingfor"]) == (FulfilmentChoice.PARTIAL, "Invoice")
    assert (await of_order(work, order)).status == OrderStatus.PARTIAL
    number = await order.invoice()
    billing = await order.billing()
    assert [(i.total, i.open_amount) for i in billing.invoices] == [(D("627.00"), D("627.00"))]
    await order.show(billing)
    copies = await work.clients.dataverse.mirror.read_invoices(UUID(order.sales_order_id), [number])
    assert copies[number].total == D("627.00")


async def test_an_invoice_over_what_was_raised_after_everything_was_paid_reaches_sales(work: Work) -> None:
    account = await customer(work.clients)
    order = await sold(work, p100("10"), account=account)
    await order.ship()
    first = await order.invoice()
    await order.show(await order.billing())
    settle = [{"invoice": first, "amount": "1100.00"}]
    payment = {"company": "usmf", "customer": account, "amount": "1100.00", "settlements": settle}
    await work.clients.play("POST", "/payments", payment)
    billing = await order.billing(first)
    paid = ask_for.RecordPayment(sales_order_id=order.sales_order_id, invoices=billing.invoices, order_paid=True)
    await work.run(work.sales.record_payment, paid)
    await change(order, 12)
    await order.ship()
    second = await order.invoice()
    billing = await order.billing(first, second)
    assert quantities(billing) == numbers(12, 0, 12, 0, 12, 0)
    later = billing.model_copy(update={"invoices": tuple(i for i in billing.invoices if i.invoice_number == second)})
    await order.show(later)
    copies = await work.clients.dataverse.mirror.read_invoices(UUID(order.sales_order_id), [first, second])
    assert {n: c.total for n, c in copies.items()} == {first: D("1100.00"), second: D("220.00")}


@pytest.mark.parametrize(("quantity", "amount"), [(None, "-1045.00"), (2, "-209.00")])
async def test_a_credit_note_is_read_beside_the_invoice_and_shown_under_its_own_number(
    work: Work, quantity: int | None, amount: str
) -> None:
    order = await sold(work, p100("10", discount_pct="5"), account=await customer(work.clients))
    await order.ship()
    number = await order.invoice()
    before = await order.billing()
    await order.show(before)
    lines = [{"LineNumber": 1, "Quantity": quantity}] if quantity else None
    note = await post(
        work,
        "creditNote",
        SalesOrderId=order.order_number,
        InvoiceId=number,
        ReasonCode="DEFECT",
        **({"Lines": lines} if lines else {}),
    )
    billing = await reads(order, 1, before=before, known=(note["InvoiceId"],))
    assert quantities(billing) == numbers(10, 0, 10, 0, 10, quantity or 10)
    assert (billing.lines.to_invoice, billing.lines.to_credit, billing.lines.differences) == (0, 0, ())
    left = D("1045.00") + D(amount)
    assert {i.invoice_number: (i.total, i.open_amount, i.is_credit) for i in billing.invoices} == {
        number: (D("1045.00"), left, False),
        note["InvoiceId"]: (D(amount), D(0), True),
    }
    await order.show(billing)
    paid = ask_for.RecordPayment(sales_order_id=order.sales_order_id, invoices=billing.invoices, order_paid=not left)
    await work.run(work.sales.record_payment, paid)
    names = [number, note["InvoiceId"]]
    copies = await work.clients.dataverse.mirror.read_invoices(UUID(order.sales_order_id), names)
    assert {n: c.total for n, c in copies.items()} == {number: D("1045.00"), note["InvoiceId"]: D(amount)}
    payment = {name: (await row_of(work, order, name))["q2c_paymentstatus"] for name in names}
    assert payment[note["InvoiceId"]] == PaymentChoice.PAID
    assert payment[number] == (PaymentChoice.PARTIAL if left else PaymentChoice.PAID)


async def row_of(work: Work, order: Sold, number: str) -> dict[str, Any]:
    """What Sales shows of an invoice's payment, in the product's own row."""
    copy = copy_id(UUID(order.sales_order_id), number)
    rows = await work.clients.dataverse.odata.all_rows(
        query("q2c_deals", select="q2c_openamount,q2c_paymentstatus", filter=f"_q2c_invoiceid_value eq {copy}")
    )
    (row,) = rows
    return dict(row)


async def test_a_return_is_read_by_what_was_sold_though_its_documents_have_numbers_and_lots_of_their_own(
    work: Work,
) -> None:
    """S34: two of ten come back and are credited, beside an order of the same customer whose goods come back too."""
    account = await customer(work.clients)
    order = await sold(work, p100("10", discount_pct="5"), account=account)
    await order.ship()
    number = await order.invoice()
    two = [{"LineNumber": 1, "Quantity": 2}]
    announced = await post(work, "returnOrder", InvoiceId=number, Lines=two, ReasonCode="DEFECT")
    assert quantities(await order.billing(number)) == numbers(10, 0, 10, 0, 10, 0)
    slip = (await post(work, "receiveReturn", ReturnOrderNumber=announced["ReturnOrderNumber"]))["PackingSlipId"]
    billing = await reads(order, 2, known=(number,))
    assert quantities(billing) == numbers(10, 0, 10, 2, 10, 0)
    assert (billing.lines.to_credit, billing.lines.differences) == (1, ())
    assert [(s.slip, s.quantity) for s in billing.slips][-1] == (slip, D(-2))
    note = (await post(work, "creditReturn", ReturnOrderNumber=announced["ReturnOrderNumber"]))["InvoiceId"]
    billing = await reads(order, 2, before=billing, known=(note,))
    assert quantities(billing) == numbers(10, 0, 10, 2, 10, 2)
    assert (billing.lines.to_credit, billing.lines.to_invoice) == (0, 0)
    assert {i.invoice_number: (i.total, i.open_amount, i.share) for i in billing.invoices} == {
        number: (D("1045.00"), D("836.00"), False),
        note: (D("-209.00"), D(0), False),
    }
    shipment = ask_for.RecordShipment(
        sales_order_id=order.sales_order_id, complete=True, slips=(slip,), returned=(slip,)
    )
    await work.run(work.sales.record_shipment, shipment)
    assert (await work.clients.deal_row(work.deal_id))["q2c_waitingfor"] == "Credit note: goods came back"
    await order.show(billing)
    copies = await work.clients.dataverse.mirror.read_invoices(UUID(order.sales_order_id), [note])
    assert copies[note].total == D("-209.00")

    day = datetime.now(UTC).date() - timedelta(days=1)
    found = await work.clients.finance.sweep("usmf", slips=day, invoices=day, settled=day)
    mine = {s.slip for s in found.slips if s.order_number == order.order_number}
    assert slip in mine and {i.number for i in found.invoices if i.order_number == order.order_number} == {number, note}
    assert found.settled_orders[note] == order.order_number
    sold_orders = await work.clients.finance.documents.sold_orders("usmf", [announced["ReturnOrderNumber"], "XY"])
    assert sold_orders == {announced["ReturnOrderNumber"].casefold(): order.order_number}


async def test_a_corrected_slip_and_an_invoice_taken_back_correct_what_was_done(work: Work) -> None:
    order = await sold(work, p100("10", discount_pct="5"), account=await customer(work.clients))
    await order.ship()
    slip = (await order.billing()).slips[0].slip
    number = await order.invoice()
    back = (await post(work, "cancelInvoice", InvoiceId=number, ReasonCode="DEFECT"))["InvoiceId"]
    billing = await order.billing(number, back)
    assert quantities(billing) == numbers(10, 0, 10, 0, 0, 0)
    assert {i.invoice_number: (i.correction, i.open_amount) for i in billing.invoices} == {
        number: (False, D(0)),
        back: (True, D(0)),
    }
    await post(work, "cancelPackingSlip", PackingSlipId=slip, Lines=[{"LineNumber": 1, "Quantity": 6}])
    billing = await order.billing(number, back)
    assert quantities(billing) == numbers(10, 0, 6, 0, 0, 0)
    assert (billing.lines.to_ship, [(s.slip, s.quantity) for s in billing.slips]) == (1, [(slip, D(6))])
    await order.ship()
    again = await order.invoice()
    billing = await order.billing(number, back, again)
    assert quantities(billing) == numbers(10, 0, 10, 0, 10, 0)
    assert billing.lines.differences == ()


async def test_an_invoice_over_two_orders_is_each_order_s_share_and_the_shares_come_to_it(work: Work) -> None:
    """Three times 33.33 and seven times 14.29 with 10 % tax, and a charge: no cent is lost or told twice."""
    account = await customer(work.clients)
    first = await sold(work, p100("3", discount_pct="66.67"), account=account)
    other = worker(work.clients)
    second = await sold(other, p100("7", discount_pct="85.71"), account=account)
    for order in (first, second):
        await order.ship()
    await post(work, "addCharge", SalesOrderId=second.order_number, ChargeCode="FREIGHT", Value="10.01")
    billed = await post(work, "invoice", SalesOrderIds=[first.order_number, second.order_number])
    number, whole = billed["InvoiceId"], D(str(billed["InvoiceAmount"]))
    readings = [await first.billing(number), await second.billing(number)]
    assert [quantities(reading) for reading in readings] == [numbers(3, 0, 3, 0, 3, 0), numbers(7, 0, 7, 0, 7, 0)]
    shares = [reading.invoices[0] for reading in readings]
    assert all(share.share and share.net + share.tax == share.total == share.open_amount for share in shares)
    assert sum(share.total for share in shares) == whole
    for order, reading in zip((first, second), readings, strict=True):
        await order.show(reading)
        copies = await work.clients.dataverse.mirror.read_invoices(UUID(order.sales_order_id), [number])
        assert copies[number].finance_number == f"{number}/{order.order_number}"
        assert copies[number].total == reading.invoices[0].total

    day = datetime.now(UTC).date() - timedelta(days=1)
    found = await work.clients.finance.sweep("usmf", slips=day, invoices=day, settled=day)
    assert set(found.shared[number]) == {first.order_number, second.order_number}

    part = {"company": "usmf", "customer": account, "amount": "100.01"}
    settle = [{"invoice": number, "amount": "100.01"}]
    await work.clients.play("POST", "/payments", part | {"settlements": settle})
    opens = [(await order.billing(number)).invoices[0].open_amount for order in (first, second)]
    assert sum(opens) == whole - D("100.01") and all(amount > 0 for amount in opens)
    rest = {"company": "usmf", "customer": account, "amount": str(sum(opens))}
    settle = [{"invoice": number, "amount": str(sum(opens))}]
    await work.clients.play("POST", "/payments", rest | {"settlements": settle})
    assert [(await order.billing(number)).invoices[0].open_amount for order in (first, second)] == [0, 0]


async def test_a_credit_without_an_order_lowers_what_is_open_where_it_is_settled(work: Work) -> None:
    """A free-text credit names no order: it is no document of the deal, but what it settles is not open any more."""
    account = await customer(work.clients)
    order = await sold(work, p100("10"), account=account)
    await order.ship()
    number = await order.invoice()
    line = {"Description": "Goodwill", "Quantity": 1, "UnitPrice": "-100.00"}
    credit = await post(work, "freeTextInvoice", CustAccount=account, CurrencyCode="USD", Lines=[line])
    assert [i.open_amount for i in (await order.billing(number)).invoices] == [D("1100.00")]
    amount = str(-D(str(credit["InvoiceAmount"])))
    settle = [{"InvoiceId": number, "Amount": amount}]
    await post(work, "settle", CreditNoteId=credit["InvoiceId"], Settlements=settle)
    assert [i.open_amount for i in (await order.billing(number)).invoices] == [D("1100.00") - D(amount)]


async def test_a_sweep_finds_what_was_cancelled(work: Work) -> None:
    order = await sold(work, p100("10"), account=await customer(work.clients))
    await cancel(order)
    day = datetime.now(UTC).date() - timedelta(days=1)
    found = await work.clients.finance.sweep("usmf", slips=day, invoices=day, settled=day, cancelled=day)
    assert order.order_number in {each.order_number for each in found.cancelled}
    later = datetime.now(UTC).date() + timedelta(days=2)
    assert (
        await work.clients.finance.sweep("usmf", slips=day, invoices=day, settled=day, cancelled=later)
    ).cancelled == ()
