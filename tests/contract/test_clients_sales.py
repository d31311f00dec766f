"""Operations of the Dataverse client against the running sandbox: TLS, tokens, and the rules of Sales."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from dynamics.core.errors import Conflict, NotFound, Refused, Transient, UnknownOutcome
from dynamics.core.literals import key, query
from dynamics.core.odata import ODataClient
from dynamics.sales.deal_rows import DealOf
from dynamics.sales.mirror import Shipped
from dynamics.sales.options import (
    ApprovalChoice,
    CreditChoice,
    DealStage,
    FulfilmentChoice,
    InvoiceState,
    OrderState,
    OrderStatus,
    PaymentChoice,
    QuoteState,
    QuoteStatus,
)
from dynamics.sales.records import InvoiceLineToWrite, InvoiceToWrite, Quote, SalesOrder
from runs import names
from tests.contract.clients_world import Clients, clients_of
from tests.contract.dataverse_world import LiveSandbox

D = Decimal
P100: dict[str, Any] = {"item": "P100", "quantity": "10", "discount_pct": "5"}
P250: dict[str, Any] = {"item": "P250", "quantity": "2"}
OF_RITA: dict[str, Any] = {
    "company": "usmf",
    "customer": "US-001",
    "rep": "rita",
    "lines": [{"item": "P250", "quantity": "2"}],
}


@pytest.fixture
async def clients(live_sandbox: LiveSandbox) -> AsyncIterator[Clients]:
    async with clients_of(live_sandbox) as clients:
        yield clients


def deal_of(quote: Quote) -> DealOf:
    """The deal of a quote, at this moment."""
    return DealOf(names.deal_id("usmf", quote.number), datetime.now(UTC), f"https://approvals.example/{quote.number}")


async def recorded(clients: Clients, quote: Quote, number: str | None = None) -> SalesOrder:
    """The salesorder of an accepted quote, with its Finance number written back."""
    written = await clients.dataverse.mirror.write_order(
        quote.orders[0].id,
        number or f"SO-{uuid4().hex[:12].upper()}",
        deal=deal_of(quote),
        quote_id=quote.id,
        quote_number=quote.number,
        credit=CreditChoice.PASSED,
        opportunity_id=quote.opportunity.id if quote.opportunity else None,
        revenue=D("950.00"),
    )
    return written.order


def line_of(order: SalesOrder, position: int = 0) -> UUID:
    """The line of the quote that a line of the order was made from."""
    quote_line = order.lines[position].quote_line_id
    assert quote_line is not None
    return quote_line


def invoice(
    number: str, line: UUID, *, quantity: str, net: str, tax: str, open_amount: str | None = None
) -> InvoiceToWrite:
    total = D(net) + D(tax)
    return InvoiceToWrite(
        number=number,
        currency="USD",
        invoiced_on=date(2026, 11, 23),
        due_on=date(2026, 12, 23),
        net=D(net),
        tax=D(tax),
        total=total,
        open_amount=total if open_amount is None else D(open_amount),
        lines=(
            InvoiceLineToWrite(
                line_no=1, quote_line_id=line, quantity=D(quantity), price=D("100"), net=D(net), tax=D(0)
            ),
        ),
    )


async def test_the_application_is_known_and_reads_the_business_units(clients: Clients) -> None:
    assert await clients.dataverse.who_am_i()
    assert "USMF" in (await clients.dataverse.business_units()).values()


async def test_one_request_reads_a_quote_with_all_that_decides_on_it(clients: Clients) -> None:
    made = await clients.quote(P100, P250, opportunity=True, payment_terms="Net 60", expires_on="2027-01-31")
    before = len(await clients.requests())
    quote = await clients.dataverse.read_quote(made.id)
    assert len(await clients.requests()) == before + 1
    assert (quote.state, quote.approval) == (QuoteState.DRAFT, ApprovalChoice.REQUESTED)
    assert (quote.net, quote.tax, quote.total) == (D("1450.00"), D("145.00"), D("1595.00"))
    assert quote.expires_on == date(2027, 1, 31) and quote.payment_terms_code == 4
    assert quote.currency and quote.currency.iso == "USD"
    assert quote.price_list and quote.price_list.currency and quote.price_list.currency.iso == "USD"
    assert quote.customer and quote.customer.number == "US-001"
    assert quote.opportunity and quote.business_unit and quote.business_unit.name == "USMF"
    assert quote.owner and quote.owner.entra_id and quote.owner.upn == "rita@contoso.example"
    assert quote.modified_by and quote.modified_by.entra_id == quote.owner.entra_id
    first, second = sorted(quote.lines, key=lambda line: line.number or 0)
    assert first.product and (first.product.number, first.product.decimals) == ("P100", 0)
    assert (first.quantity, first.price, first.manual_discount) == (D(10), D("100.00"), D("50.00"))
    assert first.extended - first.tax == D("950.00")
    assert second.unit and second.unit.name == "ea" and second.product and second.product.number == "P250"
    assert quote.orders == ()


async def test_a_deleted_quote_is_not_found_and_never_created_by_a_write(clients: Clients) -> None:
    missing = uuid4()
    with pytest.raises(NotFound):
        await clients.dataverse.read_quote(missing)
    with pytest.raises(NotFound):
        await clients.dataverse.set_quote_approval(missing, ApprovalChoice.PENDING, reason="", deal_id="q2c/usmf/x")
    assert (await clients.changes.now("quote", [missing])).deleted == (missing,)


async def test_approval_is_written_only_on_the_version_that_was_read(clients: Clients) -> None:
    quote = await clients.quote(P100)
    write = clients.dataverse.set_quote_approval
    await write(quote.id, ApprovalChoice.PENDING, reason="mona asked", deal_id="q2c/usmf/1", etag=quote.etag)
    with pytest.raises(Conflict):
        await write(quote.id, ApprovalChoice.APPROVED, reason="", deal_id="q2c/usmf/1", etag=quote.etag)
    after = await clients.dataverse.read_quote(quote.id)
    assert (after.approval, after.approval_reason, after.deal_id) == (
        ApprovalChoice.PENDING,
        "mona asked",
        "q2c/usmf/1",
    )


async def test_an_active_quote_is_closed_as_expired_and_only_once(clients: Clients) -> None:
    quote = await clients.quote(P100)
    await clients.dataverse.set_quote_approval(quote.id, ApprovalChoice.APPROVED, reason="", deal_id="c")
    await clients.play("POST", f"/quotes/{quote.number}/activate")
    await clients.dataverse.close_quote(quote.id, QuoteStatus.CANCELED, "Expired on 2026-11-30")
    after = await clients.dataverse.read_quote(quote.id)
    assert (after.state, after.status) == (QuoteState.CLOSED, QuoteStatus.CANCELED)
    with pytest.raises(Refused):
        await clients.dataverse.close_quote(quote.id, QuoteStatus.CANCELED, "Expired on 2026-11-30")


async def test_an_active_quote_becomes_one_order_however_often_it_is_converted(clients: Clients) -> None:
    quote = await clients.quote(P100)
    await clients.dataverse.set_quote_approval(quote.id, ApprovalChoice.APPROVED, reason="", deal_id="c")
    await clients.play("POST", f"/quotes/{quote.number}/activate")
    order = await clients.dataverse.convert_quote(await clients.dataverse.read_quote(quote.id))
    again = await clients.dataverse.convert_quote(await clients.dataverse.read_quote(quote.id))
    after = await clients.dataverse.read_quote(quote.id)
    assert again.id == order.id and [o.id for o in after.orders] == [order.id]
    assert after.state is QuoteState.WON


async def test_the_order_is_written_back_and_the_opportunity_won_in_one_request(clients: Clients) -> None:
    quote = await clients.accepted(await clients.quote(P100, opportunity=True))
    before = len(await clients.requests())
    order = await recorded(clients, quote, "SO-WRITEBACK")
    assert len(await clients.requests()) == before + 1
    assert (order.state, order.status) == (OrderState.SUBMITTED, OrderStatus.IN_PROGRESS)
    assert order.finance_number == "SO-WRITEBACK"
    assert [line.number for line in order.lines] == [1]
    after = await clients.dataverse.read_quote(quote.id)
    assert after.opportunity and after.opportunity.state == 1
    deal = deal_of(quote)
    shown = await clients.deal_row(deal.deal_id)
    assert (shown["q2c_stage"], shown["q2c_fulfilmentstatus"], shown["q2c_creditstatus"]) == (
        DealStage.FULFILMENT,
        FulfilmentChoice.CONFIRMED,
        CreditChoice.PASSED,
    )
    assert (shown["_q2c_quoteid_value"], shown["_q2c_salesorderid_value"]) == (str(quote.id), str(order.id))
    assert (shown["q2c_waitingfor"], shown["q2c_link"]) == ("Shipment", deal.link) and shown["q2c_waitingsince"]
    # The same once more, as after a crash: the order is submitted and the opportunity closed by then.
    before = len(await clients.requests())
    assert (await recorded(clients, quote, "SO-WRITEBACK")).finance_number == "SO-WRITEBACK"
    assert len(await clients.requests()) == before + 1


async def test_two_companies_may_number_their_orders_alike(clients: Clients) -> None:
    quotes = [await clients.accepted(await clients.quote(P100)) for _ in range(2)]
    number = f"SO-{uuid4().hex[:8]}"
    for _ in range(2):
        orders = [await recorded(clients, quote, number) for quote in quotes]
        assert [order.finance_number for order in orders] == [number, f"{number}/USMF"]


async def test_an_order_submitted_by_hand_takes_its_number_all_the_same_and_a_cancelled_one_does_not(
    clients: Clients,
) -> None:
    quote, dead = [await clients.accepted(await clients.quote(P100)) for _ in range(2)]
    submitted = {"statecode": OrderState.SUBMITTED.value, "statuscode": OrderStatus.IN_PROGRESS.value}
    await clients.dataverse.odata.patch(key("salesorders", quote.orders[0].id), submitted)
    order = await recorded(clients, quote, "SO-BYHAND")
    assert (order.finance_number, order.state) == ("SO-BYHAND", OrderState.SUBMITTED)
    close = {
        "@odata.type": "Microsoft.Dynamics.CRM.orderclose",
        "subject": "Cancelled",
        "salesorderid@odata.bind": f"/salesorders({dead.orders[0].id})",
    }
    await clients.dataverse.odata.action("CancelSalesOrder", {"Status": 4, "OrderClose": close})
    with pytest.raises(Refused):
        await recorded(clients, dead, "SO-DEAD")


async def test_shipments_are_told_in_parts_and_may_be_repeated(clients: Clients) -> None:
    quote = await clients.accepted(await clients.quote(P100))
    order, deal = await recorded(clients, quote), deal_of(quote)
    write = clients.dataverse.mirror.write_shipment
    for complete, status, shown in (
        (False, OrderStatus.PARTIAL, FulfilmentChoice.PARTIAL),
        (True, OrderStatus.COMPLETE, FulfilmentChoice.SHIPPED),
    ):
        for _ in range(2):
            before = len(await clients.requests())
            await write(order.id, Shipped(["PS-1"], complete), deal=deal)
            assert len(await clients.requests()) == before + 1
        after = await clients.dataverse.mirror.read_order(order.id)
        assert (after.state, after.status) == (OrderState.FULFILLED, status)
        assert (await clients.deal_row(deal.deal_id))["q2c_fulfilmentstatus"] == shown


async def test_a_shipment_of_an_order_cancelled_in_sales_is_refused(clients: Clients) -> None:
    quote = await clients.accepted(await clients.quote(P100))
    order = await recorded(clients, quote)
    close = {
        "@odata.type": "Microsoft.Dynamics.CRM.orderclose",
        "subject": "Cancelled",
        "salesorderid@odata.bind": f"/salesorders({order.id})",
    }
    await clients.dataverse.odata.action("CancelSalesOrder", {"Status": 4, "OrderClose": close})
    with pytest.raises(Refused):
        await clients.dataverse.mirror.write_shipment(order.id, Shipped(["PS-1"], True), deal=deal_of(quote))


async def test_invoices_are_copied_once_with_finance_s_amounts(clients: Clients) -> None:
    quote = await clients.accepted(await clients.quote(P100))
    order, deal = await recorded(clients, quote), deal_of(quote)
    numbers = [f"CIV-{uuid4().hex[:8]}" for _ in range(2)]
    first = invoice(numbers[0], line_of(order), quantity="6", net="570.00", tax="57.00")
    second = invoice(numbers[1], line_of(order), quantity="4", net="380.00", tax="38.00")
    await clients.dataverse.mirror.write_invoices(order.id, [first], deal=deal, order_invoiced=False)
    for _ in range(2):
        await clients.dataverse.mirror.write_invoices(order.id, [first, second], deal=deal, order_invoiced=True)
    copies = await clients.dataverse.mirror.read_invoices(order.id, [*numbers, "CIV-NONE"])
    assert {n: (c.total, c.finance_number) for n, c in copies.items()} == {
        numbers[0]: (D("627.00"), numbers[0]),
        numbers[1]: (D("418.00"), numbers[1]),
    }
    assert await clients.shown_open(order.id) == {
        numbers[0]: (D("627.00"), PaymentChoice.OPEN),
        numbers[1]: (D("418.00"), PaymentChoice.OPEN),
    }
    after = await clients.dataverse.mirror.read_order(order.id)
    assert (after.state, after.status) == (OrderState.INVOICED, OrderStatus.INVOICED)
    shown = await clients.deal_row(deal.deal_id)
    assert (shown["q2c_stage"], shown["q2c_fulfilmentstatus"]) == (DealStage.PAYMENT, FulfilmentChoice.INVOICED)


BATCH = "/api/data/v9.2/$batch"


async def test_what_was_shipped_invoiced_and_paid_by_now_is_shown_with_one_request(clients: Clients) -> None:
    """Before: three requests; and the copy of an invoice that was paid before Sales had it stayed open for ever."""
    quote = await clients.accepted(await clients.quote(P100))
    order, deal = await recorded(clients, quote), deal_of(quote)
    number = f"CIV-{uuid4().hex[:8]}"
    posted = invoice(number, line_of(order), quantity="10", net="950.00", tax="95.00")
    paid = posted.model_copy(update={"open_amount": D(0)})
    write = clients.dataverse.mirror.write_invoices
    shipped = Shipped(["PS-1"], True)
    before = len(await clients.requests())
    await write(order.id, [paid], deal=deal, order_invoiced=True, order_paid=True, shipped=shipped)
    assert [entry["path"] for entry in (await clients.requests())[before:] if entry["method"] != "GET"] == [BATCH]
    for _ in range(2):
        copy = (await clients.dataverse.mirror.read_invoices(order.id, [number]))[number]
        assert (copy.total, copy.state) == (D("1045.00"), InvoiceState.PAID)
        assert await clients.shown_open(order.id) == {number: (D(0), PaymentChoice.PAID)}
        after = await clients.dataverse.mirror.read_order(order.id)
        assert (after.state, after.status) == (OrderState.INVOICED, OrderStatus.INVOICED)
        shown = await clients.deal_row(deal.deal_id)
        assert (shown["q2c_stage"], shown["q2c_fulfilmentstatus"]) == (DealStage.CLOSED, FulfilmentChoice.CLOSED)
        await write(order.id, [paid], deal=deal, order_invoiced=True, order_paid=True, shipped=shipped)  # again


async def test_two_companies_may_number_their_invoices_alike(clients: Clients) -> None:
    quotes = [await clients.accepted(await clients.quote(P100)) for _ in range(2)]
    orders = [await recorded(clients, quote) for quote in quotes]
    number = f"CIV-{uuid4().hex[:8]}"
    for order, quote in zip(orders, quotes, strict=True):
        same = invoice(number, line_of(order), quantity="10", net="950.00", tax="95.00")
        await clients.dataverse.mirror.write_invoices(order.id, [same], deal=deal_of(quote), order_invoiced=True)
    copies = [(await clients.dataverse.mirror.read_invoices(order.id, [number]))[number] for order in orders]
    assert [copy.finance_number for copy in copies] == [number, f"{number}/USMF"]


async def test_payments_close_an_invoice_and_a_reversal_opens_it_again(clients: Clients) -> None:
    quote = await clients.accepted(await clients.quote(P100))
    order, deal = await recorded(clients, quote), deal_of(quote)
    number = f"CIV-{uuid4().hex[:8]}"
    states = []
    posted = invoice(number, line_of(order), quantity="10", net="950.00", tax="95.00")
    await clients.dataverse.mirror.write_invoices(order.id, [posted], deal=deal, order_invoiced=True)
    for left, paid in (("645.00", False), ("1045.00", False), ("0.00", True), ("0.00", True), ("1045.00", False)):
        now = posted.model_copy(update={"open_amount": D(left)})
        await clients.dataverse.mirror.write_payments(order.id, [now], deal=deal, order_paid=paid)
        copy = (await clients.dataverse.mirror.read_invoices(order.id, [number]))[number]
        states.append((*(await clients.shown_open(order.id))[number], copy.state))
        if paid:
            shown = await clients.deal_row(deal.deal_id)
            assert (shown["q2c_stage"], shown["q2c_waitingfor"]) == (DealStage.CLOSED, None)
    assert states == [
        (D("645.00"), PaymentChoice.PARTIAL, InvoiceState.ACTIVE),
        (D("1045.00"), PaymentChoice.OPEN, InvoiceState.ACTIVE),
        (D("0.00"), PaymentChoice.PAID, InvoiceState.PAID),
        (D("0.00"), PaymentChoice.PAID, InvoiceState.PAID),
        (D("1045.00"), PaymentChoice.OPEN, InvoiceState.ACTIVE),
    ]


async def test_pages_are_followed_to_the_end(clients: Clients) -> None:
    whole = await clients.dataverse.odata.all_rows("accounts?$select=accountnumber")
    paged = await clients.dataverse.odata.all_rows("accounts?$select=accountnumber", prefer="odata.maxpagesize=2")
    assert len(paged) == len(whole) > 2
    with pytest.raises(ValueError, match="leaves"):
        await clients.dataverse.odata.page("https://elsewhere.example/api/data/v9.2/accounts")


async def test_lines_that_are_more_than_a_page_are_read_to_the_last_one(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: a quote of more than 5,000 lines, a page of Dataverse's, was cut there."""
    quote = await clients.accepted(await clients.quote(*[P250] * 8))
    monkeypatch.setattr("sandbox.dataverse.queries.MAX_PAGE", 3)
    before = len(await clients.requests())
    assert len((await clients.dataverse.read_quote(quote.id)).lines) == 8
    assert len(await clients.requests()) - before > 2, "in pages"
    assert len((await clients.dataverse.mirror.read_order(quote.orders[0].id)).lines) == 8
    assert len(await clients.dataverse.line_identities(quote.id)) == 8


async def test_a_row_is_created_changed_upserted_and_deleted(makers_sandbox: LiveSandbox) -> None:
    async with clients_of(makers_sandbox) as clients:
        await change_a_row(clients.dataverse.odata)


async def change_a_row(odata: ODataClient) -> None:
    """Create, change, upsert and delete an account, each with what must be refused."""
    made = await odata.post("accounts", {"name": "Prospect", "creditlimit": D("1000.10")}, representation=True)
    assert made.created and made.row and made.row["creditlimit"] == D("1000.10")
    path = key("accounts", made.row["accountid"])
    changed = await odata.patch(path, {"name": "Prospect Ltd"}, if_match=made.row["@odata.etag"])
    assert not changed.created
    with pytest.raises(Conflict):
        await odata.patch(path, {"name": "x"}, if_match=made.row["@odata.etag"])
    with pytest.raises(Conflict):
        await odata.patch(path, {"name": "x"}, if_match=None, if_none_match="*")
    await odata.patch(key("accounts", uuid4()), {"name": "Upserted by the client"}, if_match=None)
    await odata.delete(path)
    with pytest.raises(NotFound):
        await odata.delete(path, if_match="*")


# --- when things go wrong -------------------------------------------------------------------------------------------


async def test_the_order_s_number_does_not_depend_on_the_opportunity(clients: Clients) -> None:
    """Given another quote on the opportunity, when the order is recorded, then Sales leaves the opportunity open."""
    quote = await clients.quote(P100, opportunity=True)
    await clients.play("POST", "/quotes", {"beside": quote.number, **OF_RITA})
    quote = await clients.accepted(quote)
    assert quote.opportunity is not None
    written = await clients.dataverse.mirror.write_order(
        quote.orders[0].id,
        "SO-ALONE",
        deal=deal_of(quote),
        quote_id=quote.id,
        quote_number=quote.number,
        credit=CreditChoice.PASSED,
        opportunity_id=quote.opportunity.id,
        revenue=D(1),
    )
    assert written.order.finance_number == "SO-ALONE"
    assert len(written.notes) == 1 and written.notes[0].startswith("the opportunity stays open: ")
    with pytest.raises(NotFound):
        await clients.dataverse.mirror.read_order(uuid4())


async def test_times_are_aware(clients: Clients) -> None:
    quote = await clients.accepted(await clients.quote(P100))
    assert quote.closed_on is not None and quote.closed_on.tzinfo is not None
    assert quote.closed_on <= datetime.now(UTC)


async def test_a_large_invoice_is_copied_in_steps_and_continues_where_it_was_cut_off(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    quote = await clients.accepted(await clients.quote(*[P250] * 8))
    order, deal = await recorded(clients, quote), deal_of(quote)
    monkeypatch.setattr("dynamics.sales.mirror.LINES_PER_CHANGE_SET", 3)
    lines = tuple(
        InvoiceLineToWrite(
            line_no=n + 1, quote_line_id=line_of(order, n), quantity=D(2), price=D(250), net=D("499.99"), tax=D(0)
        )
        for n in range(8)
    )
    net = D("499.99") * 8
    posted = invoice(f"CIV-{uuid4().hex[:8]}", line_of(order), quantity="1", net="0", tax="0").model_copy(
        update={"lines": lines, "net": net, "tax": D("400.00"), "total": net + 400, "open_amount": net + 400}
    )
    write = clients.dataverse.mirror.write_invoices
    monkeypatch.setattr("dynamics.core.odata.SECONDS_PER_OPERATION", 0)
    await clients.fault("dataverse", "POST", r"\$batch", drop="after", times=1)
    with pytest.raises((UnknownOutcome, Transient)):
        await write(order.id, [posted], deal=deal, order_invoiced=True)
    heard: list[int] = []
    for _ in range(2):
        await write(order.id, [posted], deal=deal, order_invoiced=True, progress=heard.append)
    copy = (await clients.dataverse.mirror.read_invoices(order.id, [posted.number]))[posted.number]
    assert copy.total == posted.total and heard[-1] == 8
    rows = await clients.dataverse.odata.all_rows(
        query("invoicedetails", select="invoicedetailid", filter=f"_invoiceid_value eq {copy.id}")
    )
    assert len(rows) == 8
    assert (await clients.dataverse.mirror.read_order(order.id)).status == OrderStatus.INVOICED


async def test_a_copy_that_comes_to_another_total_is_named(clients: Clients) -> None:
    """Given an invoice whose total is not the sum of its lines, when it is copied, then the difference is told."""
    quote = await clients.accepted(await clients.quote(P100))
    order, deal = await recorded(clients, quote), deal_of(quote)
    right = invoice(f"CIV-{uuid4().hex[:8]}", line_of(order), quantity="10", net="950.00", tax="95.00")
    wrong = right.model_copy(update={"total": D("1045.02")})
    for _ in range(2):
        with pytest.raises(
            Conflict, match=r"comes to 1045\.0+ USD, Finance posted 1045\.02: correct the copy by 0\.02"
        ):
            await clients.dataverse.mirror.write_invoices(order.id, [wrong], deal=deal, order_invoiced=True)


async def test_prices_have_the_organisation_s_decimals_which_are_asked_for_once(clients: Clients) -> None:
    before = len(await clients.requests())
    decimals = {await clients.dataverse.price_decimals() for _ in range(3)}
    assert len(await clients.requests()) == before + 1 and decimals <= set(range(11))


async def test_accounts_with_the_customer_s_number_are_counted_in_any_case(clients: Clients) -> None:
    account = f"DUP-{uuid4().hex[:6].upper()}"
    await clients.play("POST", "/customers", {"company": "usmf", "account": account, "name": account})
    quote = await clients.quote(P100, customer=account)
    assert quote.namesakes == 0
    for number in (account, account.lower(), f"{account}-OTHER"):
        clients.live.sandbox.dataverse.create("accounts", {"name": "Another", "accountnumber": number})
    before = len(await clients.requests())
    assert (await clients.dataverse.read_quote(quote.id)).namesakes == 2
    assert len(await clients.requests()) == before + 1
