"""One fact, one id: whether a webhook, a business event or a sweep tells it (`domain.event_ids`)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from activities import finance_feed, sales_feed
from domain import event_ids
from domain.messages import FinanceEventKind, SalesEventKind
from dynamics.business_events import read_report
from dynamics.finance.records import PostedInvoice, Slip, Transaction
from dynamics.finance.swept import Sweep
from dynamics.sales.options import ApprovalChoice, QuoteState, QuoteStatus
from dynamics.sales.records import QuoteChange
from dynamics.webhooks import read_change
from tests.unit.dynamics.reports import (
    COMPANIES,
    INVOICE,
    PAYMENT,
    SLIP,
    UNIT_ID,
    business_event,
    choice,
    context,
    image,
    reference,
)

KNOWN = frozenset(COMPANIES.values())
NUMBERS = st.text("ABCDEFabcdef0123456789-/", min_size=1, max_size=20)
STATES = st.sampled_from(
    [
        (QuoteState.DRAFT, QuoteStatus.DRAFT, SalesEventKind.SUBMITTED),
        (QuoteState.ACTIVE, QuoteStatus.IN_PROGRESS, SalesEventKind.ACTIVATED),
        (QuoteState.ACTIVE, QuoteStatus.OPEN, SalesEventKind.ACTIVATED),
        (QuoteState.WON, QuoteStatus.WON, SalesEventKind.ACCEPTED),
        (QuoteState.CLOSED, QuoteStatus.LOST, SalesEventKind.LOST),
        (QuoteState.CLOSED, QuoteStatus.CANCELED, SalesEventKind.CANCELLED),
        (QuoteState.CLOSED, QuoteStatus.REVISED, SalesEventKind.REVISED),
    ]
)


@given(
    quote_id=st.uuids(),
    number=NUMBERS,
    revision=st.integers(0, 1000),
    version=st.integers(1, 2**62),
    stands=STATES,
    upper=st.booleans(),
)
def test_webhook_and_sweep_name_what_happened_to_a_quote_alike(
    quote_id: UUID,
    number: str,
    revision: int,
    version: int,
    stands: tuple[QuoteState, QuoteStatus, SalesEventKind],
    upper: bool,
) -> None:
    state, status, kind = stands
    written = {"q2c_approvalstatus": choice(100000001)} if state is QuoteState.DRAFT else {"statecode": choice(state)}
    shown = image(
        quotenumber=number,
        revisionnumber=revision,
        versionnumber=version,
        statecode=choice(state),
        statuscode=choice(status),
    )
    told_id = str(quote_id).upper() if upper else str(quote_id)
    told = read_change(context(target=written, shown=shown, PrimaryEntityId=told_id), COMPANIES).event
    swept = QuoteChange(
        id=quote_id,
        number=number,
        revision=revision,
        version=version,
        state=state,
        status=status,
        approval=ApprovalChoice.REQUESTED if state is QuoteState.DRAFT else ApprovalChoice.APPROVED,
        business_unit_id=UUID(UNIT_ID),
        modified_on=datetime(2026, 11, 23, tzinfo=UTC),
    )
    found = sales_feed._kind(swept)
    assert found is kind and told is not None
    assert sales_feed._event(swept, kind, "usmf").event_id == told.event_id


@given(quote_id=st.uuids(), status=st.sampled_from([5, 6, 7]))
def test_a_close_without_image_names_no_fact_so_that_the_sweep_s_id_is_the_only_one(
    quote_id: UUID, status: int
) -> None:
    activity = {"Attributes": [{"key": "quoteid", "value": reference("quote", str(quote_id))}]}
    body = context(
        "Close", parameters={"QuoteClose": activity, "Status": choice(status)}, PrimaryEntityId=str(quote_id)
    )
    change = read_change(body, COMPANIES)
    assert change.route == "feed" and change.event is not None
    facts = {event_ids.quote_fact(quote_id, kind, 0) for kind in SalesEventKind}
    assert change.event.event_id not in facts


@given(order=NUMBERS, slip=NUMBERS, spoken=st.sampled_from([str.upper, str.lower, str]))
def test_event_and_sweep_name_a_packing_slip_alike(order: str, slip: str, spoken: Any) -> None:
    event = business_event("Q2CPackingSlipPostedBusinessEvent", **SLIP | {"PackingSlipId": spoken(slip)})
    (told,) = read_report(event, KNOWN).orders
    ((swept, _),) = finance_feed._posted("usmf", sweep(slips=(Slip(slip=slip, order_number=order),)))
    assert swept.event_id == told.event_id


@given(order=NUMBERS, number=NUMBERS)
def test_event_and_sweep_name_an_invoice_alike(order: str, number: str) -> None:
    event = business_event("SalesInvoicePostedBusinessEvent", **INVOICE | {"InvoiceId": number})
    (told,) = read_report(event, KNOWN).orders
    ((swept, _),) = finance_feed._posted("usmf", sweep(invoices=(invoice(number, order),)))
    assert swept.event_id == told.event_id


@given(payment=NUMBERS, voucher=NUMBERS, number=NUMBERS, order=NUMBERS, named=st.booleans())
def test_event_and_sweep_name_a_payment_alike(payment: str, voucher: str, number: str, order: str, named: bool) -> None:
    """A journal without payment ids is named by its voucher, in the event as in the sweep."""
    told_by = event_ids.payment_number(payment if named else "", voucher)
    settlements = [{"InvoiceId": number, "SalesOrderId": order, "Amount": Decimal(5)}]
    event = business_event(
        "Q2CCustPaymentPostedBusinessEvent", **PAYMENT | {"PaymentId": told_by, "Settlements": settlements}
    )
    (told,) = read_report(event, KNOWN).orders
    settled = Transaction(account="US-001", invoice=number, amount=Decimal(5), last_settle_voucher=voucher)
    found = sweep(settled=(settled,), payment_ids={voucher: payment} if named else {}, settled_orders={number: order})
    ((swept, _),) = finance_feed._posted("usmf", found)
    assert (swept.event_id, swept.order_number) == (told.event_id, told.order_number)


@given(document=NUMBERS)
def test_different_facts_of_one_document_differ(document: str) -> None:
    ids = {event_ids.finance_document(kind, document) for kind in FinanceEventKind if "_" in kind and kind in POSTED}
    assert len(ids) == len(POSTED)


POSTED = (
    FinanceEventKind.SHIPMENT_POSTED,
    FinanceEventKind.INVOICE_POSTED,
    FinanceEventKind.PAYMENT_POSTED,
    FinanceEventKind.PAYMENT_REVERSED,
)


def sweep(**found: Any) -> Sweep:
    return Sweep(**({"slips": (), "invoices": (), "settled": (), "settled_orders": {}} | found))


def invoice(number: str, order: str) -> PostedInvoice:
    day = datetime(2026, 11, 23, 12, tzinfo=UTC)
    return PostedInvoice(number=number, order_number=order, invoiced_on=day, total=Decimal(5))
