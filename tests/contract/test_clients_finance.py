"""Operations of the Finance client against the running sandbox: batches, credit, orders made once, billing, sweeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from activities.billing_view import billing
from domain.order_key import is_order_key, order_key
from domain.tax import TaxCode
from dynamics.core.batch import ChangeSet, Read, Write
from dynamics.core.errors import Conflict, NotFound, Refused, Throttled, Transient, UnknownOutcome
from dynamics.finance.queries import ENTITY_SETS
from dynamics.finance.records import NewOrder, NewOrderLine, OrderMarks, ProcessingStatus, SalesStatus
from dynamics.finance.settlements import Known
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox

D = Decimal
TODAY = datetime.now(UTC).date()
LONG_AGO, FAR_OFF = date(2020, 1, 1), date(2099, 1, 1)


@pytest.fixture(params=["automatic", "manual"])
async def clients(live_sandbox: LiveSandbox, request: pytest.FixtureRequest) -> AsyncIterator[Clients]:
    """The clients, in a company whose orders Finance numbers, and in one whose orders we number."""
    async with clients_of(live_sandbox, manual=request.param == "manual") as clients:
        yield clients


BEFORE_IT_ARRIVED: dict[str, Any] = {
    "system": "finance",
    "method": "POST",
    "path": r"/data/(\$batch|SalesOrderHeadersV4)",
    "drop": "before",
}
"""The first write of an order is lost, whoever numbers it."""


def line(line_no: int, item: str = "P100", quantity: str = "10", **columns: Any) -> NewOrderLine:
    price = {"P100": D("100"), "P250": D("250")}[item]
    off = columns.get("discount_per_unit", D(0))
    amount = D(quantity) * (price - off) + columns.get("charges", D(0))
    return NewOrderLine(
        **(
            {"line_no": line_no, "item": item, "unit": "ea", "quantity": D(quantity), "price": price, "amount": amount}
            | columns
        )
    )


def order(*lines: NewOrderLine, **columns: Any) -> NewOrder:
    header = {"company": "usmf", "account": "US-004", "currency": "USD", "quote_number": "QUO-9"} | columns
    return NewOrder(key=f"Q2C-{uuid4().hex[:12].upper()}", lines=lines or (line(1),), **header)


async def confirmed(clients: Clients, wanted: NewOrder) -> str:
    made = await clients.finance.orders.create(wanted)
    await clients.finance.confirm_order(wanted.company, made.header.number)
    return made.header.number


async def count(clients: Clients) -> int:
    return len(await clients.requests())


async def test_the_entity_sets_we_use_are_published(clients: Clients) -> None:
    assert ENTITY_SETS <= await clients.finance.entity_sets()


async def test_one_batch_reads_customer_items_prices_and_terms(clients: Clients) -> None:
    before = await count(clients)
    pricing = await clients.finance.read_pricing("usmf", "US-001", ["P100", "P250", "P100", "NONE"], "USD", today=TODAY)
    assert await count(clients) == before + 1
    assert pricing.customer and (pricing.customer.currency, pricing.customer.payment_terms) == ("USD", "Net 30")
    assert pricing.customer.credit_limit == D("100000.00") and not pricing.customer.unlimited
    assert {p.item: p.unit_cost for p in pricing.products.values()} == {"P100": D(60), "P250": D(150)}
    assert {p.item: p.group for p in pricing.products.values()} == {"P100": "AUDIO", "P250": "AUDIO"}
    assert {a.item: a.unit_price for a in pricing.agreements} == {"P100": D(100), "P250": D(250)}
    assert pricing.payment_terms["net 60"].days == 60


async def test_a_customer_of_another_company_is_unknown(clients: Clients) -> None:
    assert (await clients.finance.read_pricing("demf", "US-001", ["P100"], "EUR", today=TODAY)).customer is None


async def test_one_batch_reads_all_that_the_credit_rule_needs(clients: Clients) -> None:
    """After the first time, for the tax set-up is remembered for a while."""
    ask = partial(
        clients.finance.read_credit, "usmf", "us-005", today=TODAY, order_key="Q2C-NEW", items=["p100"], currency="USD"
    )
    await ask()
    before = await count(clients)
    read = await ask()
    assert await count(clients) == before + 1
    assert read.tax.codes == {"p100": (TaxCode(code="STD", pct=D(10)),)}
    assert read.customer and read.customer.credit_limit == D("50000.00")
    assert sum(t.amount_company for t in read.open_transactions) == D("20000.00")
    assert read.own_order is None and read.pricing and read.pricing.product("P100")
    assert all(t.due_on for t in read.open_transactions)


async def test_an_open_order_is_worth_what_is_left_of_it(clients: Clients) -> None:
    wanted = order(line(1))
    number = await confirmed(clients, wanted)
    await clients.play("POST", f"/orders/usmf/{number}/ship", {"lines": [{"line": 1, "quantity": "6"}]})
    await clients.play("POST", f"/orders/usmf/{number}/invoice", {})
    read = await clients.finance.read_credit("usmf", "US-004", today=TODAY, currency="USD", order_key=wanted.key)
    found = next(o for o in read.open_orders if o.number == number)
    assert (found.net, found.net_left, found.totals_calculated) == (D("1000.00"), D("400.00"), False)
    assert read.own_order is not None and read.own_order.number == number
    await clients.play("POST", "/jobs/totals")
    read = await clients.finance.read_credit("usmf", "US-004", today=TODAY, currency="USD")
    found = next(o for o in read.open_orders if o.number == number)
    assert found.totals_calculated and (found.total, found.tax) == (D("1100.00"), D("100.00"))


async def test_an_order_is_made_whole_with_finance_s_amounts_in_one_request_where_we_number_it(
    clients: Clients,
) -> None:
    wanted = order(
        line(1, quantity="10", discount_per_unit=D("5")),
        line(4, item="P250", quantity="3", discount_per_unit=D("3.33"), charges=D("-0.01")),
        name="Ünïcödé 🚚 株式会社",
        payment_terms="Net 60",
    )
    before = await count(clients)
    made = await clients.finance.orders.create(wanted)
    # Where Finance numbers: the look whether it is there, the header, the lines.
    assert await count(clients) == before + (1 if clients.manual else 3)
    assert (made.found, made.header.requisition, made.header.payment_terms) == (False, wanted.key, "Net 60")
    assert (made.header.number == wanted.key) is clients.manual
    assert made.header.processing is ProcessingStatus.ACTIVE and not made.header.totals_calculated
    assert {made_line.line_number: made_line.amount for made_line in made.lines} == {1: D("950.00"), 4: D("740.00")}
    assert made.net == D("1690.00")


async def test_an_order_is_made_once_however_often_it_is_asked_for(clients: Clients) -> None:
    wanted = order(line(1), line(2, item="P250"))
    first = await clients.finance.orders.create(wanted)
    again = await clients.finance.orders.create(wanted)
    assert (first.found, again.found) == (False, True)
    assert [made_line.lot for made_line in again.lines] == [made_line.lot for made_line in first.lines]


async def test_an_order_whose_answer_was_lost_is_found_by_its_key(clients: Clients) -> None:
    wanted = order()
    await clients.fault("finance", "POST", r"/data/\$batch", drop="after")
    with pytest.raises(UnknownOutcome):
        await clients.finance.orders.create(wanted)
    found = await clients.finance.orders.find("usmf", wanted.key)
    assert found is not None and found.found and found.net == D("1000.00")


async def test_an_order_that_never_arrived_is_proved_absent(clients: Clients) -> None:
    wanted = order()
    await clients.fault(**BEFORE_IT_ARRIVED)
    with pytest.raises(UnknownOutcome):
        await clients.finance.orders.create(wanted)
    assert await clients.finance.orders.find("usmf", wanted.key) is None


async def test_an_order_begun_is_completed(clients: Clients) -> None:
    begun = order(line(1))
    await clients.finance.orders.create(begun)
    whole = begun.model_copy(update={"lines": (line(1), line(2, item="P250", quantity="1"))})
    made = await clients.finance.orders.create(whole)
    assert made.found and [made_line.line_number for made_line in made.lines] == [1, 2]
    found = await clients.finance.orders.find("usmf", begun.key)
    assert found is not None and found.net == D("1250.00")


async def test_another_order_under_our_key_is_a_conflict_and_stays_as_it_is(clients: Clients) -> None:
    wanted = order(line(1))
    await clients.finance.orders.create(wanted)
    with pytest.raises(Conflict, match="quantity 10, wanted 9") as conflict:
        await clients.finance.orders.create(wanted.model_copy(update={"lines": (line(1, quantity="9"),)}))
    assert conflict.value.code == "ORDER_DIFFERS"


async def test_a_change_set_refused_leaves_nothing_behind_but_the_header_finance_numbered(clients: Clients) -> None:
    wanted = order(line(1), line(2).model_copy(update={"item": "NO-SUCH-ITEM"}))
    with pytest.raises(Refused) as refusal:
        await clients.finance.orders.create(wanted)
    assert any("NO-SUCH-ITEM" in text for text in refusal.value.infolog)
    left = await clients.finance.orders.find("usmf", wanted.key)
    assert (left is None) if clients.manual else (left is not None and left.lines == ())


async def test_where_finance_numbers_the_order_is_found_by_its_requisition(clients: Clients) -> None:
    wanted = order(line(1), line(2, quantity="3"), company="demf", account="DE-001", currency="EUR")
    made = await clients.finance.orders.create(wanted)
    assert made.header.number != wanted.key and made.header.requisition == wanted.key
    again = await clients.finance.orders.create(wanted)
    found = await clients.finance.orders.find("demf", wanted.key)
    assert again.found and found is not None and again.header.number == found.header.number == made.header.number
    assert [made_line.line_number for made_line in found.lines] == [1, 2]


async def test_a_header_without_lines_is_completed_where_finance_numbers(clients: Clients) -> None:
    wanted = order(line(1), company="demf", account="DE-001", currency="EUR")
    # The second request is the header's; the third, with the lines, is lost before it arrives.
    await clients.fault("finance", "POST", r"/data/\$batch", drop="before")
    with pytest.raises(UnknownOutcome):
        await clients.finance.orders.create(wanted)
    begun = await clients.finance.orders.find("demf", wanted.key)
    assert begun is not None and begun.lines == ()
    whole = await clients.finance.orders.create(wanted)
    assert whole.header.number == begun.header.number and len(whole.lines) == 1


async def test_credit_management_refuses_a_confirmation_until_a_person_releases_it(clients: Clients) -> None:
    made = await clients.finance.orders.create(order(account="US-003"))

    async def held_and_released() -> tuple[str, str]:
        path = f"SalesTableBiEntities(dataAreaId='usmf',SalesId='{made.header.number}')?cross-company=true"
        row = await clients.finance.odata.get(path)
        return str(row["CredManInCreditControl"]), str(row["CredManReleasedFromCreditControl"])

    with pytest.raises(Refused, match="credit hold"):
        await clients.finance.confirm_order("usmf", made.header.number)
    assert await held_and_released() == ("Yes", "No")
    assert await clients.finance.confirm_order("usmf", made.header.number, release_reason="carl: agreed by phone")
    assert (await held_and_released())[1] == "Yes"


async def test_billing_shows_slips_invoices_and_what_is_open(clients: Clients) -> None:
    number = await confirmed(clients, order(line(1, discount_per_unit=D("5"))))
    await clients.play("POST", f"/orders/usmf/{number}/ship", {"lines": [{"line": 1, "quantity": "6"}]})
    await clients.play("POST", f"/orders/usmf/{number}/invoice", {})
    await clients.play("POST", f"/orders/usmf/{number}/ship", {})
    await clients.play("POST", f"/orders/usmf/{number}/invoice", {})
    before = await count(clients)
    billing = await clients.finance.read_billing("usmf", number)
    assert await count(clients) == before + 2  # the second one for what is open on invoices nobody told us of
    known = [invoice.number for invoice in billing.invoices]
    assert (await clients.finance.read_billing("usmf", number, Known(invoices=known))) == billing
    assert await count(clients) == before + 3
    assert billing.header.status is SalesStatus.INVOICED
    assert [slip.shipped for slip in billing.slips] == [D(6), D(4)]
    first, second = billing.invoices
    assert [(i.total, i.tax, billing.open_amount(i)) for i in (first, second)] == [
        (D("627.00"), D("57.00"), D("627.00")),
        (D("418.00"), D("38.00"), D("418.00")),
    ]
    assert [line.quantity for line in first.lines] == [D(6)]
    payment = {"company": "usmf", "customer": "US-004", "amount": "727.00"}
    settlements = [{"invoice": first.number, "amount": "627.00"}, {"invoice": second.number, "amount": "100.00"}]
    await clients.play("POST", "/payments", payment | {"settlements": settlements})
    billing = await clients.finance.read_billing("usmf", number)
    assert [billing.open_amount(i) for i in (first, second)] == [D("0"), D("318.00")]
    with pytest.raises(NotFound):
        await clients.finance.read_billing("usmf", "NO-SUCH-ORDER")


async def test_a_deposit_that_was_settled_before_its_invoice_was_read_is_shown_on_it(clients: Clients) -> None:
    """Given a deposit that is known, when Finance posts and settles an invoice with it, then one look tells both."""
    number = await confirmed(clients, order(line(1)))
    sent = {"CustAccount": "US-004", "Amount": "330.00", "IsPrepayment": "Yes", "SalesOrderId": number}
    paid = await clients.play("POST", "/finance/usmf/payment", sent)
    (known,) = (await clients.finance.read_billing("usmf", number, Known(deposits_of=number))).payments
    await clients.play("POST", f"/orders/usmf/{number}/ship", {})
    posted = await clients.play("POST", f"/orders/usmf/{number}/invoice", {})
    settled = {"PaymentId": paid["PaymentId"], "Settlements": [{"InvoiceId": posted["InvoiceId"], "Amount": "165.00"}]}
    await clients.play("POST", "/finance/usmf/settle", settled)

    first = await clients.finance.read_billing("usmf", number, Known(payments=[known.record], deposits_of=number))

    (invoice,), (payment,) = billing(first).invoices, billing(first).payments
    assert (invoice.from_deposit, payment.applied, payment.unapplied) == (D(165), D(165), D(165))


async def test_a_sweep_tells_what_was_posted_since_a_day(clients: Clients) -> None:
    number = await confirmed(clients, order(line(1)))
    await clients.play("POST", f"/orders/usmf/{number}/ship", {})
    posted = await clients.play("POST", f"/orders/usmf/{number}/invoice", {})
    invoice = posted["InvoiceId"]
    pay = {"company": "usmf", "customer": "US-004", "amount": "1100.00"}
    await clients.play("POST", "/payments", pay | {"settlements": [{"invoice": invoice, "amount": "1100.00"}]})
    swept = await clients.finance.sweep("usmf", slips=LONG_AGO, invoices=LONG_AGO, settled=LONG_AGO)
    assert number in {slip.order_number for slip in swept.slips}
    assert number in {i.order_number for i in swept.invoices}
    assert swept.settled_orders[invoice] == number
    only_slips = await clients.finance.sweep("usmf", slips=LONG_AGO, invoices=FAR_OFF, settled=FAR_OFF)
    assert only_slips.slips and not (only_slips.invoices or only_slips.settled or only_slips.unreadable)


async def test_the_mark_of_an_order_tells_a_deals_order_from_others(clients: Clients) -> None:
    """Where Finance numbers, our key is the customer requisition number."""
    header = {"dataAreaId": "demf", "OrderingCustomerAccountNumber": "DE-001"}
    stranger = await clients.finance.odata.post("SalesOrderHeadersV4", header, representation=True)
    assert stranger.row
    wanted = order(line(1), company="demf", account="DE-001", currency="EUR")
    wanted = wanted.model_copy(update={"key": order_key("test", "demf", str(uuid4()), 0)})
    ours = await clients.finance.orders.create(wanted)
    numbers = [stranger.row["SalesOrderNumber"], ours.header.number, "NO-SUCH-ORDER", "WITH*STAR"]
    marks = await clients.finance.order_marks("demf", numbers)
    assert marks == {
        numbers[0]: OrderMarks("", ""),
        numbers[1]: OrderMarks(ours.header.requisition, wanted.quote_number),
    }
    assert is_order_key(ours.header.requisition) and not is_order_key("")


# --- when things go wrong -------------------------------------------------------------------------------------------


async def test_reads_and_writes_of_a_batch_fail_each_for_itself(clients: Clients) -> None:
    header = {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": "NOBODY", "SalesOrderNumber": "Q2C-BATCH"}
    missing, refused, found = await clients.finance.odata.batch(
        [
            Read("SalesOrderHeadersV4(dataAreaId='usmf',SalesOrderNumber='NO-SUCH-ORDER')?cross-company=true"),
            ChangeSet((Write("POST", "SalesOrderHeadersV4", header),)),
            Read("PaymentTerms?cross-company=true&$filter=dataAreaId%20eq%20'usmf'"),
        ]
    )
    assert isinstance(missing.error, NotFound)
    assert isinstance(refused.error, Refused) and refused.error.status == 500
    assert found.error is None and found.rows()


async def test_a_gateway_s_page_is_in_doubt_for_a_write_and_transient_for_a_read(clients: Clients) -> None:
    await clients.fault("finance", "POST", "confirm", status=502)
    with pytest.raises(UnknownOutcome):
        await clients.finance.confirm_order("usmf", "Q2C-ANY")
    await clients.fault("finance", "GET", "/data", status=502)
    with pytest.raises(Transient):
        await clients.finance.entity_sets()


async def test_a_batch_of_reads_that_breaks_is_transient(clients: Clients) -> None:
    await clients.fault("finance", "POST", r"/data/\$batch", drop="before")
    with pytest.raises(Transient):
        await clients.finance.read_pricing("usmf", "US-001", ["P100"], "USD", today=TODAY)


async def test_finance_asks_for_patience(clients: Clients) -> None:
    await clients.fault("finance", "POST", r"/data/\$batch", status=429, retry_after=7)
    with pytest.raises(Throttled) as throttled:
        await clients.finance.read_pricing("usmf", "US-001", ["P100"], "USD", today=TODAY)
    assert throttled.value.retry_after == 7.0


async def test_an_order_of_more_lines_than_a_batch_takes_is_completed(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynamics.finance.ordering.LINES_PER_CHANGE_SET", 4)
    wanted = order(*(line(n) for n in range(1, 10)))
    made = await clients.finance.orders.create(wanted)
    found = await clients.finance.orders.find("usmf", wanted.key)
    assert found is not None and made.net == found.net == D("9000.00")
    assert [made_line.line_number for made_line in found.lines] == list(range(1, 10))
