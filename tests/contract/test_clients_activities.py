"""Activities of Sales and Finance against the running sandbox, with the scenarios' numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError

from activities import signatures as ask_for
from domain.calendar import local_date
from domain.messages import ReviewRequest
from dynamics.sales.options import DealStage, FulfilmentChoice
from tests.contract.clients_sold import to_record
from tests.contract.clients_work import POLICY, Work, p100, p250, reference, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox

D = Decimal


@pytest.fixture(params=["automatic", "manual"])
async def work(live_sandbox: LiveSandbox, request: pytest.FixtureRequest) -> AsyncIterator[Work]:
    """A worker, in a company whose orders Finance numbers, and in one whose orders we number."""
    async with clients_of(live_sandbox, manual=request.param == "manual") as clients:
        yield worker(clients)


async def test_s01_a_small_discount_needs_nobody_and_shows_the_exposure(work: Work) -> None:
    found = await work.assess(p100(discount_pct="5"))
    assert found.problems == () and found.stale == ""
    assert (found.net, found.tax, found.total, found.list_net) == (D("950.00"), D("95.00"), D("1045.00"), D("1000.00"))
    assert found.plan.steps == () and found.owner.upn == "rita@contoso.example"
    assert found.payment_terms == "Net 30" and found.customer_account == "US-001"
    assert found.soft_credit.passed and found.soft_credit.this_order == D("1045.00")
    assert found.expires_at > datetime.now(UTC) + timedelta(days=1)


async def test_s02_a_director_is_asked_for_22_per_cent(work: Work) -> None:
    found = await work.assess(p250("100", discount_pct="22"))
    assert (found.net, found.list_net) == (D("19500.00"), D("25000.00"))
    assert [(step.level, step.role) for step in found.plan.steps] == [(1, "sales_manager"), (2, "sales_director")]
    assert [reason.text for reason in found.plan.steps[1].reasons] == ["22 % > 20 %", "margin 23.08 % < 25 %"]


async def test_s41_what_is_wrong_goes_back_to_the_rep(work: Work) -> None:
    empty = await work.assess()
    assert [problem.code for problem in empty.problems] == ["NO_LINES"]
    bad = await work.assess(p100("1.5"), p100("3", price="0"))
    assert {problem.code for problem in bad.problems} == {"BAD_QTY", "NO_PRICE"}


async def test_an_unicode_text_survives_in_its_normal_form(work: Work) -> None:
    text = "U\u0308ni\u0308co\u0308d\u00e9 \U0001f69a 株式会社 \u200fעברית"
    await work.assess(p100(description=text))
    assert work.quote is not None
    review = await work.run(
        work.finance.review_lines,
        ReviewRequest(**work.quote.model_dump(), snapshot_hash="not seen by this worker"),
    )
    assert [line.description for line in review.lines] == ["Ünïcödé \U0001f69a 株式会社 \u200fעברית"]
    assert (review.total_lines, review.lines[0].list_price, review.lines[0].cost) == (1, D("100"), D("60"))


async def test_who_decides_reads_the_reps_words_the_products_names_and_the_other_quotes(work: Work) -> None:
    await work.assess(p100(), opportunity=True, description="They buy the second hall as well.")
    assert work.quote is not None
    other = await work.clients.quote(p100(), beside=work.quote.quote_number, name="Cheaper, without rails")
    ask = ReviewRequest(**work.quote.model_dump(), snapshot_hash="not seen by this worker")
    note = {"objectid_quote@odata.bind": f"/quotes({work.quote.quote_id})", "subject": "The halls"}
    work.clients.live.sandbox.dataverse.create(
        "annotations", note | {"filename": "plan.pdf", "mimetype": "application/pdf", "documentbody": "UGxhbg=="}
    )
    work.clients.live.sandbox.dataverse.create("annotations", note | {"notetext": "A note without a file"})
    review = await work.run(work.finance.review_lines, ask)
    assert review.attachments is not None
    assert [(file.name, file.size, file.subject) for file in review.attachments] == [("plan.pdf", 4, "The halls")]
    assert review.attachments[0].added_by and review.attachments[0].added_on
    assert review.justification == "They buy the second hall as well."
    assert review.lines[0].product_name
    assert review.rivals is not None
    assert [(rival.quote_number, rival.name, rival.state) for rival in review.rivals] == [
        (other.number, "Cheaper, without rails", "draft")
    ]
    assert (await work.run(work.finance.review_lines, ask.model_copy(update={"offset": 1}))).rivals is None


async def test_a_request_taken_back_or_a_deleted_quote_is_stale(work: Work) -> None:
    await work.assess(p100())
    assert work.quote is not None
    ask = ask_for.AssessQuote(quote=work.quote, deal_id="c")
    await work.clients.dataverse.odata.patch(f"quotes({work.quote.quote_id})", {"q2c_approvalstatus": 100000000})
    assert "taken back" in (await work.run(work.finance.assess_quote, ask)).stale
    work.clients.live.sandbox.dataverse.delete("quotes", work.quote.quote_id)
    assert "deleted" in (await work.run(work.finance.assess_quote, ask)).stale


async def _from_shipment_to_payment(work: Work, created: ask_for.CreatedOrder, sales_order_id: str) -> None:
    number = created.order_number
    clients, finance, sales = work.clients, work.finance, work.sales
    assert work.quote is not None
    await clients.play("POST", f"/orders/usmf/{number}/ship", {})
    shipment = ask_for.RecordShipment(sales_order_id=sales_order_id, complete=True, slips=("PS",))
    await work.run(sales.record_shipment, shipment)
    told = (await clients.play("POST", f"/orders/usmf/{number}/invoice", {}))["InvoiceId"]
    ref = ask_for.BillingRef(
        company="usmf",
        order_number=number,
        quote=work.quote,
        approved_hash="",
        ordered=created.lines.digest,
        invoices=(told,),
    )
    billing = await work.run(finance.read_billing, ref)
    invoice = billing.invoices[0]
    assert (invoice.total, invoice.open_amount, billing.status) == (D("1045.00"), D("1045.00"), "Invoiced")
    assert [(line.line_no, line.shipped, line.invoiced) for line in billing.lines.shown] == [(1, D(10), D(10))]
    assert billing.lines.differences == () and [slip.quantity for slip in billing.slips] == [D(10)]
    record = ask_for.RecordInvoice(
        company="usmf",
        sales_order_id=sales_order_id,
        quote_id=work.quote.quote_id,
        order_number=number,
        invoices=billing.invoices,
        order_invoiced=True,
    )
    await work.run(sales.record_invoice, record)
    pay = {"company": "usmf", "customer": "US-004", "amount": "1045.00"}
    settle = [{"invoice": invoice.invoice_number, "amount": "1045.00"}]
    payment = (await clients.play("POST", "/payments", pay | {"settlements": settle}))["PaymentId"]
    known = {"invoices": (invoice.invoice_number,), "records": (invoice.record,), "payments_told": (payment,)}
    billing = await work.run(finance.read_billing, ref.model_copy(update=known))
    assert billing.invoices[0].open_amount == 0 and [p.number for p in billing.payments] == [payment]
    paid = ask_for.RecordPayment(sales_order_id=sales_order_id, invoices=billing.invoices, order_paid=True)
    await work.run(sales.record_payment, paid)


async def test_a_deal_costs_thirteen_requests_to_its_payment_and_two_more_where_finance_numbers(
    work: Work,
) -> None:
    clients, finance, sales = work.clients, work.finance, work.sales
    key = f"Q2C-{uuid4().hex[:12].upper()}"
    made = await clients.quote(p100(discount_pct="5"), opportunity=True, customer="US-004")
    quote = work.quote = reference(made, "usmf")
    await clients.dataverse.price_decimals()  # asked once an hour
    today = local_date(datetime.now(UTC), POLICY.calendar("usmf").timezone)
    await clients.finance.read_credit("usmf", "US-004", today=today, currency="USD", items=["P100"])  # tax: 10 minutes
    before = len(await clients.requests())
    found = await work.run(finance.assess_quote, ask_for.AssessQuote(quote=quote, deal_id="c"))
    mark = ask_for.MarkQuote(quote=quote, approval_status="approved", deal_id="c", credit_status="passed")
    await work.run(sales.mark_quote, mark)
    await work.accept()
    ready = await work.run(
        finance.prepare_order,
        ask_for.PrepareOrder(
            quote=quote,
            approved_hash=found.snapshot_hash,
            price_hash=found.price_hash,
            order_number=key,
            customer_account="US-004",
            credit_account="US-004",
            deal_id="q2c/usmf/QUO-1",
        ),
    )
    assert ready.decision is not None and ready.decision.passed
    assert ready.snapshot_hash == found.snapshot_hash and ready.differences == () and ready.drift == ()
    assert ready.state == "won" and ready.accepted_at is not None and not ready.existing_order
    assert ready.credit.unlimited and ready.price_hash == found.price_hash
    create = ask_for.CreateOrder(
        quote=quote, approved_hash=found.snapshot_hash, order_number=key, customer_account="US-004"
    )
    created = await work.run(finance.create_order, create)
    assert (created.found, created.net, created.rounding_difference) == (False, D(950), D(0))
    number = created.order_number
    assert (number == key) is clients.manual
    confirm = ask_for.ConfirmOrder(company="usmf", order_number=number)
    assert (await work.run(finance.confirm_order, confirm)).confirmation_number == f"{number}-1"
    recorded = await work.run(
        sales.record_order,
        ask_for.RecordOrder(
            quote=quote,
            sales_order_id=None,
            order_number=number,
            opportunity_id=found.opportunity_id,
            revenue=created.net,
            credit_status="passed",
        ),
    )
    await _from_shipment_to_payment(work, created, recorded.sales_order_id)
    assert len(await clients.requests()) - before == (13 if clients.manual else 15)
    order = (await clients.dataverse.read_quote(made.id)).orders[0]
    assert order.finance_number == number
    shown = await clients.deal_row(work.deal_id)
    assert (shown["q2c_fulfilmentstatus"], shown["q2c_stage"]) == (FulfilmentChoice.CLOSED, DealStage.CLOSED)
    assert shown["q2c_link"] == f"https://approvals.example/cases/usmf/{quote.quote_number}"


async def prepared(work: Work, lines: list[dict[str, Any]], **header: Any) -> ask_for.CreateOrder:
    """What asks for the order of an approved and accepted quote of US-004."""
    found = await work.assess(*lines, customer="US-004", **header)
    assert work.quote is not None
    mark = ask_for.MarkQuote(quote=work.quote, approval_status="approved", deal_id="c")
    await work.run(work.sales.mark_quote, mark)
    await work.accept()
    return ask_for.CreateOrder(
        quote=work.quote,
        approved_hash=found.snapshot_hash,
        order_number=f"Q2C-{uuid4().hex[:12].upper()}",
        customer_account="US-004",
    )


async def test_another_worker_orders_the_same_content(work: Work) -> None:
    create = await prepared(work, [p100("3", discount_amount="10.00"), p250("1")])
    created = await work.run(worker(work.clients).finance.create_order, create)
    assert [(line.line_no, line.ordered) for line in created.lines.shown] == [(1, D(3)), (2, D(1))]
    assert created.net == D("540.00")


async def test_s10_content_that_was_not_approved_is_never_ordered(work: Work) -> None:
    create = await prepared(work, [p100()])
    changed = create.model_copy(update={"approved_hash": "0" * 64})
    with pytest.raises(ApplicationError) as failure:
        await work.run(work.finance.create_order, changed)
    assert failure.value.type == "ContentChanged" and failure.value.non_retryable
    assert await work.clients.finance.orders.find("usmf", create.order_number) is None


async def test_s26_an_order_in_doubt_is_found_and_not_made_again(work: Work) -> None:
    create = await prepared(work, [p100()])
    await work.clients.fault("finance", "POST", r"/data/\$batch", drop="after")
    with pytest.raises(ApplicationError) as failure:
        await work.run(work.finance.create_order, create)
    assert failure.value.type == "UnknownOutcome" and not failure.value.non_retryable
    before = len(work.clients.live.sandbox.finance.db.tables["SalesOrders"])
    again = await work.run(work.finance.create_order, create, attempt=2)
    assert again.found and again.net == D("1000.00")
    assert len(work.clients.live.sandbox.finance.db.tables["SalesOrders"]) == before


async def test_s26_an_order_that_never_arrived_is_made_under_the_same_key(work: Work) -> None:
    create = await prepared(work, [p100()])
    await work.clients.fault("finance", "POST", r"/data/(\$batch|SalesOrderHeadersV4)", drop="before")
    with pytest.raises(ApplicationError):
        await work.run(work.finance.create_order, create)
    made = await work.run(work.finance.create_order, create, attempt=2)
    assert not made.found and (made.order_number == create.order_number) is work.clients.manual
    held = await work.clients.finance.orders.find("usmf", create.order_number)
    assert held is not None and held.header.number == made.order_number


async def test_no_order_is_begun_on_facts_older_than_the_policy_allows_and_one_begun_is_completed(work: Work) -> None:
    """Given an outage between credit and order: with 60 s allowed, facts of 61 s before begin nothing."""
    create = await prepared(work, [p100()])
    now = datetime.now(UTC)
    old = create.model_copy(update={"facts_as_of": now - timedelta(seconds=61)})
    for attempt in (1, 2):
        put_off = await work.run(work.finance.create_order, old, attempt=attempt)
        assert put_off.too_old == f"credit was given on facts of {old.facts_as_of:%Y-%m-%d %H:%M:%S} UTC"
    assert await work.clients.finance.orders.find("usmf", create.order_number) is None
    fresh = create.model_copy(update={"facts_as_of": now})
    made = await work.run(work.finance.create_order, fresh)
    assert not made.too_old and not made.found
    again = await work.run(work.finance.create_order, old, attempt=2)
    assert again.found and not again.too_old and again.order_number == made.order_number


async def test_a_confirmation_in_doubt_is_not_posted_again(work: Work) -> None:
    create = await prepared(work, [p100()])
    created = await work.run(work.finance.create_order, create)
    confirm = ask_for.ConfirmOrder(company="usmf", order_number=created.order_number)
    await work.clients.fault("finance", "POST", "confirm", drop="after")
    with pytest.raises(ApplicationError):
        await work.run(work.finance.confirm_order, confirm)
    before = [entry for entry in await work.clients.requests() if entry["path"].endswith("/confirm")]
    await work.run(work.finance.confirm_order, confirm, attempt=2)
    after = [entry for entry in await work.clients.requests() if entry["path"].endswith("/confirm")]
    assert len(after) == len(before)


async def test_an_order_is_confirmed_with_the_step_that_makes_it(work: Work) -> None:
    create = (await prepared(work, [p100()])).model_copy(update={"confirm": True})
    made = await work.run(work.finance.create_order, create)
    assert made.confirmation is not None and not made.confirmation.beyond
    assert made.confirmation.confirmation_number == f"{made.order_number}-1"
    again = await work.run(work.finance.create_order, create, attempt=2)
    assert again.found and again.confirmation is not None, "an earlier try made and confirmed it"


@pytest.mark.parametrize(
    "fault", [{"drop": "before"}, {"drop": "after"}, {"status": 503}, {"status": 400}], ids=lambda fault: str(fault)
)
async def test_an_order_whose_confirmation_fails_is_made_all_the_same_and_confirmed_by_a_step_of_its_own(
    work: Work, fault: dict[str, Any]
) -> None:
    create = (await prepared(work, [p100()])).model_copy(update={"confirm": True})
    await work.clients.fault("finance", "POST", "confirm", **fault)
    made = await work.run(work.finance.create_order, create)
    assert (made.confirmation, made.found) == (None, False)
    confirm = ask_for.ConfirmOrder(company="usmf", order_number=made.order_number, probe=True)
    said = await work.run(work.finance.confirm_order, confirm)
    assert (bool(said.confirmation_number), said.beyond) == (True, "")


async def test_an_order_that_was_cancelled_in_finance_before_it_was_confirmed_needs_no_confirmation(work: Work) -> None:
    create = await prepared(work, [p100()])
    created = await work.run(work.finance.create_order, create)
    await work.clients.play("POST", f"/orders/usmf/{created.order_number}/cancel-remainder", {})
    confirm = ask_for.ConfirmOrder(company="usmf", order_number=created.order_number)
    for attempt in (1, 2):
        said = await work.run(work.finance.confirm_order, confirm, attempt=attempt)
        assert (said.confirmation_number, said.beyond) == (created.order_number, "cancelled")


async def test_being_throttled_is_told_with_its_pause_and_pages_nobody(work: Work) -> None:
    await work.assess(p100())
    assert work.quote is not None
    await work.clients.fault("dataverse", "PATCH", "quotes", status=429, retry_after=30)
    mark = ask_for.MarkQuote(quote=work.quote, approval_status="pending", deal_id="c")
    with pytest.raises(ApplicationError) as failure:
        await work.run(work.sales.mark_quote, mark)
    assert failure.value.type == "Throttled" and failure.value.category.name == "BENIGN"
    assert failure.value.next_retry_delay is not None
    assert timedelta(seconds=30) <= failure.value.next_retry_delay <= timedelta(seconds=33)


async def test_a_quote_closed_twice_is_closed(work: Work) -> None:
    await work.assess(p100())
    assert work.quote is not None
    close = ask_for.CloseQuote(quote=work.quote, reason="expired", text="Expired on 2026-11-30")
    for _ in range(2):
        await work.run(work.sales.close_quote, close)


async def test_s16_without_credit_management_a_limit_of_zero_is_unlimited(work: Work) -> None:
    held = await work.assess(p100(), customer="US-003")
    assert not held.soft_credit.passed and held.soft_credit.reasons[0].code == "NO_CREDIT"
    credit = POLICY.credit.model_copy(update={"without_credit_management": ("usmf",)})
    without = worker(work.clients, POLICY.model_copy(update={"credit": credit}))
    passed = await without.assess(p100(), customer="US-003")
    assert passed.soft_credit.passed and passed.soft_credit.reasons[0].code == "UNLIMITED"


async def test_s17_an_overdue_customer_is_seen_as_such(work: Work) -> None:
    found = await work.assess(p100(discount_pct="5"), customer="US-005")
    assert not found.soft_credit.passed and [r.code for r in found.soft_credit.reasons] == ["OVERDUE"]
    assert found.soft_credit.exposure == D("21045.00")


async def test_a_header_discount_reaches_finance_to_the_cent(work: Work) -> None:
    create = await prepared(work, [p100("3"), p250("7", discount_amount="0.01")], header_discount_pct="3.33")
    snapshot_net = D("1981.73")  # (300.00 + 1,749.99) less 3.33 % = 1,981.7253
    created = await work.run(work.finance.create_order, create)
    assert (created.net, created.rounding_difference) == (snapshot_net, D(0))
    held = await work.clients.finance.orders.read("usmf", created.order_number)
    assert held is not None and sum(line.amount for line in held.lines) == snapshot_net


async def test_an_order_deleted_in_sales_is_named_by_what_is_written_on_it_next(work: Work) -> None:
    """Sales tells of a deleted order only its id: the deal parks at its next write, and a person is told why."""
    create = await prepared(work, [p100()])
    created = await work.run(work.finance.create_order, create)
    await work.run(work.finance.confirm_order, ask_for.ConfirmOrder(company="usmf", order_number=created.order_number))
    recorded = await work.run(work.sales.record_order, to_record(create.quote, created))
    work.clients.live.sandbox.dataverse.delete("salesorders", recorded.sales_order_id)
    shipment = ask_for.RecordShipment(sales_order_id=recorded.sales_order_id, complete=True, slips=("PS",))
    with pytest.raises(ApplicationError) as refusal:
        await work.run(work.sales.record_shipment, shipment)
    assert (refusal.value.type, refusal.value.non_retryable) == (ask_for.FailureType.NOT_FOUND, True)


async def test_an_order_deleted_in_sales_before_it_is_shown_is_made_anew_when_the_step_is_retried(work: Work) -> None:
    """Before: the worker kept the id of the order that was gone, and every further try was refused until it ended."""
    create = await prepared(work, [p100()])
    created = await work.run(work.finance.create_order, create)
    _, quote = await work.finance._quotes.read(create.quote.quote_id)  # as its worker did, just before the order
    assert quote.order is not None
    work.clients.live.sandbox.dataverse.delete("salesorders", str(quote.order.id))
    with pytest.raises(ApplicationError) as refusal:
        await work.run(work.sales.record_order, to_record(create.quote, created))
    assert refusal.value.type == ask_for.FailureType.NOT_FOUND
    recorded = await work.run(work.sales.record_order, to_record(create.quote, created))
    assert recorded.sales_order_id != str(quote.order.id)
    assert (await work.clients.dataverse.read_quote(quote.id)).orders[0].finance_number == created.order_number
