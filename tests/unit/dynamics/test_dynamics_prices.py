"""Which price agreement holds, how a net is put to Finance, how an invoice's copy adds up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from dynamics.sales.invoice_copy import invoice_body, price_and_discount, spread_tax
from dynamics.sales.options import PaymentChoice
from dynamics.sales.records import InvoiceLineToWrite, InvoiceToWrite, SalesOrder

D = Decimal
TODAY = date(2026, 11, 23)
P100 = ReleasedProduct(item="P100", sales_unit="ea", sales_price=D("95"), cost=D("60"))
US_001 = Customer(company="usmf", account="US-001", price_group="RETAIL", credit_limit=D(0))


def agreement(price: str, **columns: Any) -> PriceAgreement:
    return PriceAgreement(**({"item": "P100", "currency": "USD", "unit": "ea", "price": D(price)} | columns))


def priced(*agreements: PriceAgreement, quantity: str = "10", currency: str = "USD", unit: str = "ea") -> Any:
    return list_price(
        P100,
        agreements,
        customer=US_001,
        currency=currency,
        company_currency="USD",
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
    assert (price.amount, price.source) == (D(amount), source)


def test_there_is_no_price_in_a_currency_or_unit_finance_has_none_for() -> None:
    assert priced(ALL, currency="EUR") is None
    assert priced(ALL, unit="box") is None


def test_the_floor_is_the_price_of_a_group_kept_for_it() -> None:
    floors = [ALL, agreement("70", group="FLOOR"), agreement("50", group="FLOOR", valid_to=date(2026, 1, 1))]
    assert floor_price(floors, "P100", group="FLOOR", currency="USD", on=TODAY) == D("70")
    assert floor_price([ALL], "P100", group="FLOOR", currency="USD", on=TODAY) is None


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
    lot="L1", reference="1", item="P100", quantity=D("10.00"), unit="ea", price=D("95.0"), amount=D("950")
)
LINE_3 = OrderLine(lot="L3", reference="3", item="P250", quantity=D(1), unit="ea", price=D("250"), amount=D("250"))


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
        (found(LINE_1, LINE_3, LINE_3.model_copy(update={"reference": "4"})), "line 4 (P250) is not in the quote"),
    ],
)
def test_another_order_under_our_key_is_reported_and_never_mended(order: FinanceOrder, conflict: str) -> None:
    assert any(conflict in text for text in compare(ORDER, order).conflicts)


def test_columns_finance_defaults_are_not_sent() -> None:
    body = header_write(ORDER, number=None).body
    assert "SalesOrderNumber" not in body and "PaymentTermsName" not in body
    assert None not in body.values() and "" not in body.values()
    assert [write.body["OrderLineReference"] for write in line_writes(ORDER, "N", ORDER.lines)] == ["1", "3"]


def invoice(*lines: tuple[str, str, str, str], tax: str, open_amount: str = "0") -> InvoiceToWrite:
    rows = tuple(
        InvoiceLineToWrite(line_no=n, quantity=D(q), price=D(p), net=D(net), tax=D(t))
        for n, (q, p, net, t) in enumerate(lines, start=1)
    )
    net = sum((row.net for row in rows), D(0))
    return InvoiceToWrite(
        number="CIV-1",
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
    price=st.decimals("0", "10000", places=2),
    net=st.decimals("0", "10000000", places=2),
)
def test_dataverse_computes_the_net_finance_posted(quantity: Decimal, price: Decimal, net: Decimal) -> None:
    unit_price, discount = price_and_discount(quantity, price, net)
    assert quantity * unit_price - discount == net
    assert discount >= 0


def test_an_invoice_s_copy_is_bound_to_what_the_order_knows() -> None:
    ids = {name: str(uuid4()) for name in ("order", "account", "line", "product", "unit")}
    order = SalesOrder.model_validate(
        {
            "salesorderid": ids["order"],
            "statecode": 1,
            "_customerid_value": ids["account"],
            "order_details": [
                {
                    "salesorderdetailid": ids["line"],
                    "lineitemnumber": 1,
                    "_productid_value": ids["product"],
                    "_uomid_value": ids["unit"],
                    "quantity": 10,
                }
            ],
        }
    )
    body = invoice_body(
        invoice(("6", "95", "570", "57"), ("1", "5", "5", "0.50"), tax="57.50", open_amount="632.50"),
        order,
        number="CIV-1",
    )
    assert body["customerid_account@odata.bind"] == f"/accounts({ids['account']})"
    assert "opportunityid@odata.bind" not in body
    assert body["q2c_paymentstatus"] == PaymentChoice.OPEN
    first, second = body["invoice_details"]
    assert first["SalesOrderDetailId@odata.bind"] == f"/salesorderdetails({ids['line']})"
    assert second["isproductoverridden"] is True and second["productdescription"] == "Invoice line 2"


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
