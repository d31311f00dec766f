"""Which price agreement holds, how a net is put to Finance, how an invoice's copy adds up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exchange import Exchange, ExchangeRate, NoRate
from domain.money import Money
from dynamics.core.errors import Refused, System
from dynamics.finance.orders import compare, header_write, line_writes
from dynamics.finance.prices import finance_terms, floor_price, list_price
from dynamics.finance.records import (
    Customer,
    FinanceOrder,
    NewOrder,
    NewOrderLine,
    OrderHeader,
    OrderLine,
    PriceAgreement,
    ReleasedProduct,
    Transaction,
)
from dynamics.sales.invoice_copy import InvoiceCopies, copy_id, price_and_discount, spread_tax
from dynamics.sales.records import InvoiceLineToWrite, InvoiceToWrite, SalesOrder
from dynamics.sales.records import OrderLine as SalesOrderLine

D = Decimal
TODAY = date(2026, 11, 23)
P100 = ReleasedProduct(item="P100", sales_unit="ea", sales_price=D("95"), cost=D("60"))
US_001 = Customer(company="usmf", account="US-001", price_group="RETAIL", credit_limit=D(0))


EXCHANGE = Exchange(
    company="usmf",
    accounting_currency="USD",
    day=TODAY,
    rates=(ExchangeRate(source="USD", target="JPY", rate=D(150), valid_from=date(2026, 1, 1)),),
)


def agreement(price: str, **columns: Any) -> PriceAgreement:
    return PriceAgreement(**({"item": "P100", "currency": "USD", "unit": "ea", "price": D(price)} | columns))


def priced(*agreements: PriceAgreement, quantity: str = "10", currency: str = "USD", unit: str = "ea") -> Any:
    return list_price(
        P100,
        agreements,
        customer=US_001,
        currency=currency,
        exchange=EXCHANGE,
        unit=unit,
        quantity=D(quantity),
        on=TODAY,
    )


ALL = agreement("100")
GROUP = agreement("98", group="RETAIL")
OWN = agreement("97", account="US-001")


@pytest.mark.parametrize(
    ("agreements", "amount", "source"),
    [
        ([ALL, GROUP, OWN], "97", "customer"),
        ([ALL, GROUP], "98", "group"),
        ([ALL, agreement("1", group="OTHER"), agreement("2", account="US-002")], "100", "all"),
        ([], "95", "item"),
        ([ALL, agreement("90", from_quantity=D(10))], "90", "all"),
        ([ALL, agreement("90", from_quantity=D(11))], "100", "all"),
        ([ALL, agreement("90", to_quantity=D(10))], "100", "all"),
        ([ALL, agreement("80", valid_from=date(2026, 11, 24))], "100", "all"),
        ([ALL, agreement("80", valid_to=date(2026, 11, 22))], "100", "all"),
        ([ALL, agreement("80", valid_from=TODAY, valid_to=TODAY)], "80", "all"),
        (
            [ALL, agreement("80", currency="EUR"), agreement("70", unit="box"), agreement("60", item="P250")],
            "100",
            "all",
        ),
        ([ALL, agreement("80", site="1")], "100", "all"),
        ([agreement("1000", price_quantity=D(10))], "100", "all"),
        ([agreement("105", account="US-001", search_continues=True), ALL], "100", "all"),
        ([agreement("97", account="US-001", search_continues=True), ALL], "97", "customer"),
        ([agreement("105", account="US-001"), ALL], "105", "customer"),
    ],
)
def test_finance_finds_the_price_from_the_customer_to_all(
    agreements: list[PriceAgreement], amount: str, source: str
) -> None:
    price = priced(*agreements)
    assert (price.money, price.source) == (Money(amount=D(amount), currency="USD"), source)


def test_there_is_no_price_in_a_unit_finance_has_none_for() -> None:
    assert priced(ALL, unit="box") is None


def test_a_base_price_is_in_the_company_s_currency_and_converted_at_finance_s_rate() -> None:
    """Given a USD company and a quote in JPY, when only the base price of 95.00 holds, then it is 14,250 yen."""
    price = priced(currency="JPY")
    assert (price.money, price.source) == (Money(amount=D(14250), currency="JPY"), "item")
    with pytest.raises(NoRate, match="between USD and KWD"):
        priced(currency="KWD")


def test_an_item_and_a_customer_are_matched_without_regard_to_case() -> None:
    assert priced(agreement("97", item="p100", account="us-001", unit="EA")).source == "customer"


def test_the_floor_is_the_price_of_a_group_kept_for_it() -> None:
    floors = [ALL, agreement("70", group="FLOOR"), agreement("50", group="FLOOR", valid_to=date(2026, 1, 1))]
    assert floor(floors, "USD") == Money(amount=D("70"), currency="USD")
    assert floor([ALL], "USD") is None
    assert floor(floors, "JPY") == Money(amount=D("10500"), currency="JPY")
    assert floor([*floors, agreement("9000", group="floor", currency="JPY")], "JPY").amount == D("9000")


def floor(agreements: list[PriceAgreement], currency: str) -> Any:
    return floor_price(agreements, "P100", group="FLOOR", currency=currency, exchange=EXCHANGE, on=TODAY)


def test_ten_off_a_line_of_three_is_333_a_unit_and_minus_one_cent() -> None:
    terms = finance_terms(D(3), D("50"), D("140"), D("0.01"))
    assert (terms.discount_per_unit, terms.charges) == (D("3.33"), D("-0.01"))


@given(
    quantity=st.decimals("0.001", "100000", places=3),
    price=st.decimals("0", "100000", places=4),
    share=st.decimals("0", "1.2", places=6),
)
def test_what_is_put_to_finance_comes_to_the_net(quantity: Decimal, price: Decimal, share: Decimal) -> None:
    net = (quantity * price * share).quantize(D("0.01"))
    terms = finance_terms(quantity, price, net, D("0.01"))
    assert terms.discount_per_unit >= 0
    line_amount = quantity * (price - terms.discount_per_unit) + terms.charges
    assert line_amount.quantize(D("0.01"), rounding=ROUND_HALF_UP) == net


ORDER = NewOrder(
    company="usmf",
    key="Q2C-ABCDEFGHJKLM",
    account="US-001",
    currency="USD",
    quote_number="QUO-1",
    lines=(
        NewOrderLine(line_no=1, item="P100", unit="ea", quantity=D(10), price=D("95"), amount=D("950")),
        NewOrderLine(line_no=3, item="P250", unit="ea", quantity=D(1), price=D("250"), amount=D("250")),
    ),
)


def found(*lines: OrderLine, account: str = "US-001", requisition: str = ORDER.key) -> FinanceOrder:
    header = OrderHeader(
        company="usmf",
        number=ORDER.key,
        account=account,
        currency="USD",
        requisition=requisition,
        status="Backorder",
        processing="Active",
    )
    return FinanceOrder(header=header, lines=lines)


LINE_1 = OrderLine(
    lot="L1", line_number=1, item="P100", quantity=D("10.00"), unit="ea", price=D("95.0"), amount=D("950")
)
LINE_3 = OrderLine(lot="L3", line_number=3, item="P250", quantity=D(1), unit="ea", price=D("250"), amount=D("250"))


def test_an_order_made_whole_before_is_taken_for_ours() -> None:
    difference = compare(ORDER, found(LINE_1, LINE_3))
    assert difference.missing == () and difference.conflicts == ()


def test_an_order_begun_is_completed_by_its_missing_lines() -> None:
    difference = compare(ORDER, found(LINE_1))
    assert [line.line_no for line in difference.missing] == [3] and difference.conflicts == ()


@pytest.mark.parametrize(
    ("order", "conflict"),
    [
        (found(LINE_1, LINE_3, account="US-002"), "customer US-002, wanted US-001"),
        (found(LINE_1, LINE_3, requisition="Q2C-OTHER"), "belongs to Q2C-OTHER"),
        (found(LINE_1.model_copy(update={"quantity": D(9)}), LINE_3), "line 1: quantity 9, wanted 10"),
        (found(LINE_1, LINE_1, LINE_3), "line 1 is there 2 times"),
        (found(LINE_1, LINE_3, LINE_3.model_copy(update={"line_number": 4})), "line 4 (P250) is not in the quote"),
    ],
)
def test_another_order_under_our_key_is_reported_and_never_mended(order: FinanceOrder, conflict: str) -> None:
    assert any(conflict in text for text in compare(ORDER, order).conflicts)


def test_columns_finance_defaults_are_not_sent() -> None:
    body = header_write(ORDER, number=None).body
    assert "SalesOrderNumber" not in body and "PaymentTermsName" not in body
    assert None not in body.values() and "" not in body.values()
    bodies = [write.body for write in line_writes(ORDER, "N", ORDER.lines)]
    assert [body["CustomersLineNumber"] for body in bodies] == [1, 3]
    assert all("OrderLineReference" not in body for body in bodies)


def test_finance_may_spell_account_item_and_unit_in_its_own_case() -> None:
    spelled = (line.model_copy(update={"item": line.item.lower(), "unit": "EA"}) for line in (LINE_1, LINE_3))
    assert compare(ORDER, found(*spelled, account="us-001")).conflicts == ()


def invoice(*lines: tuple[str, str, str, str], tax: str, open_amount: str = "0") -> InvoiceToWrite:
    rows = tuple(
        InvoiceLineToWrite(
            line_no=n, quote_line_id=UUID(int=n), item="P100", quantity=D(q), price=D(p), net=D(net), tax=D(t)
        )
        for n, (q, p, net, t) in enumerate(lines, start=1)
    )
    net = sum((row.net for row in rows), D(0))
    return InvoiceToWrite(
        number="CIV-1",
        currency="USD",
        invoiced_on=TODAY,
        due_on=date(2026, 12, 23),
        net=net,
        tax=D(tax),
        total=net + D(tax),
        open_amount=D(open_amount),
        lines=rows,
    )


def test_tax_of_the_document_is_spread_over_its_lines() -> None:
    # 19 % of 100.00 is 19.00; the lines' own taxes come to 18.99.
    lines = [("1", "33.33", "33.33", "6.33"), ("1", "33.33", "33.33", "6.33"), ("1", "33.34", "33.34", "6.33")]
    assert spread_tax(invoice(*lines, tax="19.00")) == [D("6.33"), D("6.33"), D("6.34")]


@given(
    quantity=st.decimals("0.01", "10000", places=2),
    price=st.decimals("0", "10000", places=5),
    net=st.decimals("0", "10000000", places=2),
    decimals=st.integers(0, 10),
)
def test_dataverse_computes_the_net_finance_posted(
    quantity: Decimal, price: Decimal, net: Decimal, decimals: int
) -> None:
    """Dataverse rounds the base to the currency before it takes the discount off, whatever decimals a price has."""
    step = D(1).scaleb(-decimals)
    unit_price, discount = price_and_discount(quantity, price, net, price_unit=step, currency="USD")
    assert unit_price == unit_price.quantize(step)
    assert (quantity * unit_price).quantize(D("0.01"), ROUND_HALF_UP) - discount == net
    assert discount >= 0 and discount == discount.quantize(D("0.01"))


@pytest.mark.parametrize("decimals", [2, 4])
def test_four_and_five_at_2_8207_come_to_27_92(decimals: int) -> None:
    """Finance posts 11.28 and 14.10 and 2.54 of tax; the copy came to 27.9137 where the base was taken unrounded."""
    posted = invoice(("4", "2.8207", "11.28", "1.13"), ("5", "2.8207", "14.10", "1.41"), tax="2.54")
    bodies = InvoiceCopies(sales_order(), price_decimals=decimals).whole(posted)["invoice_details"]
    total = D(0)
    for body in bodies:
        base = (body["quantity"] * body["priceperunit"]).quantize(D("0.01"), ROUND_HALF_UP)
        total += base - body["manualdiscountamount"] + body["tax"]
    assert total == posted.total == D("27.92")


def sales_order(*lines: SalesOrderLine) -> SalesOrder:
    return SalesOrder(id=UUID(int=99), state=1, account_id=UUID(int=98), lines=lines)


def test_an_invoice_s_copy_is_bound_to_what_the_order_knows() -> None:
    """Given an order whose Sales line has another number, then its invoice line is found by the line of the quote."""
    known = SalesOrderLine(
        id=UUID(int=51), quote_line_id=UUID(int=1), product_id=UUID(int=52), unit_id=UUID(int=53), quantity=D(10)
    )
    copies = InvoiceCopies(sales_order(known), price_decimals=2)
    body = copies.whole(
        invoice(("6", "95", "570", "57"), ("1", "5", "5", "0.50"), tax="57.50", open_amount="632.50"),
    )
    assert body["customerid_account@odata.bind"] == f"/accounts({UUID(int=98)})"
    assert "opportunityid@odata.bind" not in body
    first, second = body["invoice_details"]
    assert first["SalesOrderDetailId@odata.bind"] == f"/salesorderdetails({known.id})"
    assert second["isproductoverridden"] is True and second["productdescription"] == "P100"


def test_an_invoice_s_lines_have_the_same_ids_however_often_and_in_whatever_order_they_are_made() -> None:
    posted = invoice(("6", "95", "570", "57"), ("1", "5", "5", "0.50"), tax="57.50")
    turned = posted.model_copy(update={"lines": posted.lines[::-1]})
    copies = InvoiceCopies(sales_order(), price_decimals=4)
    ids = [line_id for line_id, _ in copies.lines(posted)]
    assert ids == [line_id for line_id, _ in copies.lines(turned)] and len(set(ids)) == 2
    assert {body["invoiceid@odata.bind"] for _, body in copies.lines(posted)} == {
        f"/invoices({copy_id(UUID(int=99), 'CIV-1')})"
    }


def test_the_empty_date_of_finance_is_none() -> None:
    row = {"AccountNum": "US-001", "AmountCur": D("1045.00"), "Closed": "1900-01-01T12:00:00Z"}
    open_one = Transaction.model_validate(row | {"SettleAmountCur": D("400.00"), "DueDate": "2026-12-23T12:00:00Z"})
    closed = Transaction.model_validate(row | {"Closed": "2026-11-23T12:00:00Z"})
    assert (open_one.closed_on, open_one.due_on, open_one.open_amount) == (None, date(2026, 12, 23), D("645.00"))
    assert closed.open_amount == 0


def test_a_row_that_lacks_a_column_names_it() -> None:
    with pytest.raises(Refused, match="LineAmount"):
        OrderLine.read({"InventoryLotId": "L"}, system=System.FINANCE, operation="GET SalesOrderLinesV3")


def test_a_binary_float_is_refused_in_a_row() -> None:
    with pytest.raises(Refused, match="binary float"):
        Transaction.read({"AccountNum": "x", "AmountCur": 0.1}, system=System.FINANCE, operation="x")


def test_moments_are_utc() -> None:
    order = SalesOrder.model_validate(
        {"salesorderid": str(UUID(int=1)), "statecode": 0, "createdon": "2026-11-23T14:00:00Z"}
    )
    assert order.created_on == datetime(2026, 11, 23, 14, tzinfo=UTC)
