"""What a rep enters on a quote and Finance has a place for arrives there: docs/quote-to-order.md, field by field."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from activities import signatures as ask_for
from dynamics.core.literals import key, query
from tests.contract.clients_work import POLICY, Work, p100, reference, worker
from tests.contract.clients_world import clients_of
from tests.contract.dataverse_world import LiveSandbox

PAGE = Path(__file__).parents[2] / "docs" / "quote-to-order.md"
TABLE = set(re.findall(r"^\| `(\w+)` \|[^|]*\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE))
"""Column of the quote and column of the order, of every row."""
STREET = "DeliveryAddressStreet"

# Quote's column: value, order's column, value there. What is left out of a case is empty on the quote.
FIELDS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "Spring stock"}, "SalesOrderName", "Spring stock"),
    ({"paymenttermscode": 4}, "PaymentTermsName", "Net 60"),
    ({"paymenttermscode": 2}, "CashDiscountCode", "2%D10"),
    ({"requestdeliveryby": "2027-01-15T05:00:00Z"}, "RequestedReceiptDate", "2027-01-15T12:00:00Z"),
    ({"requestdeliveryby": "2027-01-16T04:59:00Z"}, "RequestedReceiptDate", "2027-01-15T12:00:00Z"),
    ({"q2c_customerreference": " PO-77/B "}, "CustomersOrderReference", "PO-77/B"),
    ({"shipto_name": "Quay warehouse"}, "DeliveryAddressName", "Quay warehouse"),
    ({"shipto_line1": "1 Quay"}, STREET, "1 Quay"),
    ({"shipto_line1": "1 Quay", "shipto_line2": "Gate 4"}, STREET, "1 Quay\nGate 4"),
    ({"shipto_line1": "1 Quay", "shipto_line3": "Hall B"}, STREET, "1 Quay\nHall B"),
    ({"shipto_line1": "1 Quay", "shipto_contactname": "Lia Lund"}, STREET, "1 Quay\nAttn: Lia Lund"),
    ({"shipto_city": "Duluth", "shipto_telephone": "+1 555 0100"}, STREET, "Attn: +1 555 0100"),
    ({"shipto_city": "Duluth"}, "DeliveryAddressCity", "Duluth"),
    ({"shipto_postalcode": "55802"}, "DeliveryAddressZipCode", "55802"),
    ({"shipto_stateorprovince": "MN"}, "DeliveryAddressStateId", "MN"),
    ({"shipto_country": "germany"}, "DeliveryAddressCountryRegionId", "DEU"),
    ({"shipto_country": "deu"}, "DeliveryAddressCountryRegionId", "DEU"),
]
ADDRESS = ["Name", "Street", "City", "ZipCode", "StateId"]


@pytest.fixture
async def work(live_sandbox: LiveSandbox) -> AsyncIterator[Work]:
    """A worker whose policy maps the payment terms with a cash discount."""
    terms = {"payment_terms": {**POLICY.entity_map.payment_terms, 2: "Net 30"}, "cash_discounts": {2: "2%D10"}}
    entity_map = POLICY.entity_map.model_copy(update=terms)
    async with clients_of(live_sandbox) as clients:
        yield worker(clients, POLICY.model_copy(update={"entity_map": entity_map}))


async def assessed(work: Work, customer: str = "US-004", **columns: Any) -> Any:
    """A submitted quote of a customer with these columns, assessed."""
    quote = await work.clients.quote(p100(), customer=customer, payment_terms=None)
    work.quote = reference(quote, "usmf")
    if columns:
        await work.clients.dataverse.odata.patch(key("quotes", quote.id), columns, if_match="*")
    return await work.run(work.finance.assess_quote, ask_for.AssessQuote(quote=work.quote, deal_id="c"))


async def ordered(work: Work, customer: str = "US-004", **columns: Any) -> dict[str, Any]:
    """The order that a quote with these columns became, as Finance holds it."""
    found = await assessed(work, customer, **columns)
    assert work.quote is not None and found.problems == ()
    mark = ask_for.MarkQuote(quote=work.quote, approval_status="approved", deal_id="c")
    await work.run(work.sales.mark_quote, mark)
    await work.accept()
    create = ask_for.CreateOrder(
        quote=work.quote,
        approved_hash=found.snapshot_hash,
        order_number=f"Q2C-{uuid4().hex[:12].upper()}",
        customer_account=found.customer_account,
    )
    created = await work.run(work.finance.create_order, create)
    path = key("SalesOrderHeadersV4", dataAreaId="usmf", SalesOrderNumber=created.order_number)
    return dict(await work.clients.finance.odata.get(query(path, cross_company="true")))


def test_the_page_lists_what_is_tested_and_what_is_tested_is_on_the_page() -> None:
    tested = {(column, place) for columns, place, _ in FIELDS for column in columns if column != "shipto_city"}
    tested |= {
        ("shipto_city", "DeliveryAddressCity"),
        ("customerid", "OrderingCustomerAccountNumber"),
        ("transactioncurrencyid", "CurrencyCode"),
    }
    assert tested == TABLE


@pytest.mark.parametrize(("columns", "place", "value"), FIELDS, ids=[f"{min(f[0])}-{f[2][:12]}" for f in FIELDS])
async def test_a_field_of_the_quote_arrives_on_the_order(
    work: Work, columns: dict[str, Any], place: str, value: str
) -> None:
    order = await ordered(work, **columns)
    assert order[place] == value
    assert (order["OrderingCustomerAccountNumber"], order["CurrencyCode"]) == ("US-004", "USD")


async def test_without_an_address_of_its_own_the_order_goes_to_the_customer_s(work: Work) -> None:
    order = await ordered(work, "US-001", shipto_contactname="Lia Lund")
    path = key("CustomersV3", dataAreaId="usmf", CustomerAccount="US-001")
    customer = await work.clients.finance.odata.get(query(path, cross_company="true"))
    assert (order["DeliveryAddressCity"], order["DeliveryAddressCountryRegionId"]) == (
        customer["AddressCity"],
        customer["AddressCountryRegionId"],
    )
    assert customer["AddressCity"] and order["IsDeliveryAddressOrderSpecific"] != "Yes"
    assert work.quote is not None and order["CustomersOrderReference"] == work.quote.quote_number


async def test_nothing_of_the_customer_s_address_is_mixed_into_the_order_s_own(work: Work) -> None:
    order = await ordered(work, "US-001", shipto_postalcode="55802")
    assert [order[f"DeliveryAddress{part}"] for part in ADDRESS] == ["", "", "", "55802", ""]
    assert order["IsDeliveryAddressOrderSpecific"] == "Yes" and order["DeliveryAddressCountryRegionId"] == "USA"


@pytest.mark.parametrize(
    ("columns", "code", "field"),
    [
        ({"shipto_country": "Atlantis"}, "UNMAPPED_COUNTRY", "delivery: country"),
        ({"shipto_name": "n" * 61}, "TEXT_TOO_LONG", "delivery: name"),
        ({"shipto_line1": "s" * 200, "shipto_line2": "s" * 50}, "TEXT_TOO_LONG", "delivery: street"),
        ({"shipto_city": "c" * 61}, "TEXT_TOO_LONG", "delivery: city"),
        ({"shipto_postalcode": "5" * 11}, "TEXT_TOO_LONG", "delivery: postal_code"),
        ({"shipto_stateorprovince": "Minnesota USA"}, "TEXT_TOO_LONG", "delivery: state"),
    ],
)
async def test_what_finance_would_not_take_goes_back_at_submission(
    work: Work, columns: dict[str, Any], code: str, field: str
) -> None:
    found = await assessed(work, **columns)
    assert [(problem.code, problem.field) for problem in found.problems] == [(code, field)]


async def test_what_was_approved_is_what_is_delivered_where_and_when(work: Work) -> None:
    """Given an approved quote, when address, date or purchase order change, then its content is another."""
    first = await assessed(work)
    hashes = {first.snapshot_hash}
    assert work.quote is not None
    for columns in (
        {"shipto_city": "Duluth"},
        {"requestdeliveryby": "2027-01-15T05:00:00Z"},
        {"q2c_customerreference": "PO-77/B"},
        {"paymenttermscode": 2},
    ):
        path = key("quotes", work.quote.quote_id)
        await work.clients.dataverse.odata.patch(path, columns, if_match="*")
        ask = ask_for.AssessQuote(quote=work.quote, deal_id="c")
        hashes.add((await work.run(work.finance.assess_quote, ask)).snapshot_hash)
    assert len(hashes) == 5
