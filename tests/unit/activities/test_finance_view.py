"""What Finance's rows mean to a deal: by which line, who is billed, in which currency."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import policies
from activities.billing_view import billing
from activities.finance_view import credit_facts, finance_facts
from domain.exchange import Exchange, ExchangeRate, NoRate
from domain.fulfilment import Billing, OrderedLine
from domain.tax import SalesTax
from dynamics.finance.records import (
    BillingRead,
    CreditRead,
    Customer,
    InvoiceLine,
    OpenOrder,
    OpenTransaction,
    OrderHeader,
    OrderLine,
    PostedInvoice,
    Pricing,
    ProcessingStatus,
    ReleasedProduct,
    SalesStatus,
    SlipLine,
    Transaction,
)
from tests.unit.domain.makers import line, quote

D = Decimal
POLICY = policies.load()
TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)
HEADER = OrderHeader(
    company="usmf",
    number="Q2C-1",
    account="US-001",
    currency="USD",
    status=SalesStatus.BACKORDER,
    processing=ProcessingStatus.CONFIRMED,
)


def order_line(number: int, lot: str, sequence: int) -> OrderLine:
    return OrderLine(lot=lot, sequence=sequence, line_number=number, item="P100", quantity=D(10), amount=D(950))


def slip(lot: str, quantity: str, name: str = "PS-1") -> SlipLine:
    return SlipLine(slip=name, order_number="Q2C-1", lot=lot, item="P100", shipped=D(quantity))


def posted(*sequences: int, number: str = "CIV-1", total: str = "1045.00", voucher: str = "V-1") -> PostedInvoice:
    return PostedInvoice(
        company="usmf",
        number=number,
        order_number="Q2C-1",
        invoiced_on=NOW,
        voucher=voucher,
        currency="USD",
        total=D(total),
        tax=D("95.00"),
        lines=tuple(
            InvoiceLine(sequence=sequence, item="P100", quantity=D(10), net=D(950), tax=D(95)) for sequence in sequences
        ),
    )


def transaction(**columns: Any) -> Transaction:
    fields: dict[str, Any] = {"account": "US-001", "invoice": "CIV-1", "voucher": "V-1", "amount": D("1045.00")}
    return Transaction(**fields | columns)


def read(*lines: OrderLine, **more: Any) -> Billing:
    rows: dict[str, Any] = {"slips": (), "invoices": (), "transactions": ()}
    return billing(BillingRead(header=HEADER, lines=lines, **rows | more))


def test_a_line_is_told_by_its_number_whatever_lot_and_sequence_it_has() -> None:
    """Given quote lines 10, 20 and 35, made in Finance in another order, then slip and invoice name those numbers."""
    lines = (order_line(20, "L-2", 7), order_line(35, "L-9", 2), order_line(10, "L-5", 4))
    found = read(*lines, slips=(slip("L-5", "6"), slip("L-9", "1")), invoices=(posted(7, 4),))
    assert [(line.line_no, line.shipped) for line in found.lines.shown] == [(10, D(6)), (20, D(0)), (35, D(1))]
    assert [line.line_no for line in found.lines.shown if line.invoiced] == [10, 20]
    assert [text.partition(":")[0] for text in found.lines.differences] == ["OVER_INVOICED", "OVER_INVOICED"]


def test_several_rows_of_a_slip_for_one_line_add_up() -> None:
    found = read(order_line(1, "L", 1), slips=(slip("L", "2.5"), slip("L", "1.5"), slip("L", "3", "PS-2")))
    assert [(s.slip, s.quantity) for s in found.slips] == [("PS-1", D("4.0")), ("PS-2", D(3))]
    assert found.lines.shown[0].shipped == D("7.0")


def test_a_line_nobody_sold_is_told_apart_in_words_and_taken_for_no_other() -> None:
    """Given a line added in Finance by hand (number 0), when it is shipped and invoiced, then a person is told."""
    lines = (order_line(1, "L-1", 1), order_line(0, "L-X", 2))
    found = read(*lines, slips=(slip("L-1", "10"), slip("L-X", "3")), invoices=(posted(1, 2),))
    assert found.lines.differences == (
        "UNKNOWN_LINE: packing slip PS-1: 3 of P100 on a line of order Q2C-1 that is not in the quote",
        "UNKNOWN_LINE: invoice CIV-1: 10 of P100 for 950 USD on a line of order Q2C-1 that is not in the quote",
    )
    assert [(line.line_no, line.shipped, line.invoiced) for line in found.lines.shown] == [(1, D(10), D(10))]


def test_a_line_added_in_finance_is_told_before_anything_is_posted_on_it() -> None:
    found = read(order_line(1, "L-1", 1), order_line(0, "L-X", 2))
    assert found.lines.differences == (
        "UNKNOWN_LINE: 10 of P100 ordered on a line of order Q2C-1 that is not in the quote",
    )
    assert (found.lines.count, found.lines.to_ship) == (1, 1)


@pytest.mark.parametrize("status", [SalesStatus.DELIVERED, SalesStatus.INVOICED, SalesStatus.CANCELED])
def test_a_line_finance_ships_no_more_of_is_cancelled_for_the_rest(status: SalesStatus) -> None:
    line = order_line(1, "L", 1).model_copy(update={"status": status})
    found = read(line, slips=(slip("L", "4"),))
    assert [(v.ordered, v.cancelled, v.shipped) for v in found.lines.shown] == [(D(10), D(6), D(4))]
    assert (found.lines.to_ship, found.lines.to_invoice) == (0, 1)
    assert found.lines.changes == ("line 1: 6 of 10 cancelled in Finance",)


def test_lines_gone_smaller_larger_and_of_another_item_are_told_against_the_quote() -> None:
    approved = tuple(OrderedLine(line_no=n, item="P100", quantity=D(10)) for n in range(1, 6))
    held = [order_line(n, f"L{n}", n) for n in range(2, 6)]
    held[0] = held[0].model_copy(update={"quantity": D(7)})
    held[1] = held[1].model_copy(update={"quantity": D(12)})
    held[2] = held[2].model_copy(update={"item": "P999"})
    rows = BillingRead(header=HEADER, lines=(*held, order_line(6, "L6", 6)), slips=(), invoices=(), transactions=())
    found = billing(rows, approved=approved)
    assert found.lines.changes == (
        "line 1: 10 of 10 cancelled in Finance",
        "line 2: 7 ordered in Finance, 10 in the quote",
        "line 3: 12 ordered in Finance, 10 in the quote",
    )
    assert found.lines.differences == (
        "LINE_CHANGED: line 4: item P999 in Finance, P100 in the quote",
        "UNKNOWN_LINE: 10 of P100 ordered in Finance on a line that is not in the quote",
    )
    assert (found.lines.ordered, found.lines.cancelled, found.lines.to_ship) == (D(49), D(10), 4)


# What is open


@pytest.mark.parametrize(
    ("transactions", "open_amount"),
    [
        ((), "1045.00"),
        ((transaction(),), "1045.00"),
        ((transaction(settled=D("45.00")),), "1000.00"),
        ((transaction(settled=D("1045.00"), closed_on=TODAY),), "0"),
        ((transaction(account="US-900", closed_on=TODAY),), "0"),
        ((transaction(invoice="civ-1", closed_on=TODAY),), "0"),
        ((transaction(invoice="CIV-2", closed_on=TODAY),), "1045.00"),
        ((transaction(amount=D("-1045.00"), voucher="P-1", closed_on=TODAY),), "1045.00"),
        ((transaction(voucher="V-7", closed_on=TODAY), transaction(voucher="V-8")), "1045.00"),
        ((transaction(voucher="V-7", closed_on=TODAY), transaction(settled=D(5))), "1040.00"),
    ],
    ids=[
        "not seen is not paid",
        "open",
        "paid in part",
        "closed",
        "closed, of whoever is billed",
        "in another case",
        "of another invoice",
        "the payment's own row",
        "two of that number and neither its voucher",
        "two of that number, one its voucher",
    ],
)
def test_an_invoice_is_paid_when_its_transaction_was_seen_and_is_closed(
    transactions: tuple[Transaction, ...], open_amount: str
) -> None:
    found = read(order_line(1, "L", 1), invoices=(posted(1),), transactions=transactions)
    assert found.invoices[0].open_amount == D(open_amount)


@given(
    st.lists(
        st.builds(
            transaction,
            invoice=st.sampled_from(["CIV-1", "CIV-2", "", "*"]),
            voucher=st.sampled_from(["V-1", "V-2", ""]),
            amount=st.sampled_from([D("1045.00"), D("-1045.00"), D(1)]),
            settled=st.sampled_from([D(0), D("45.00"), D("1045.00")]),
        ),
        max_size=6,
    )
)
def test_no_rows_that_are_open_make_an_invoice_paid_unless_all_of_it_is_settled(rows: list[Transaction]) -> None:
    found = read(order_line(1, "L", 1), invoices=(posted(1),), transactions=tuple(rows))
    own = [t for t in rows if t.invoice == "CIV-1" and t.amount > 0]
    if found.invoices[0].open_amount <= 0:
        assert any(t.settled >= t.amount for t in own)


# Credit


def customer(account: str = "US-001", **columns: Any) -> Customer:
    fields: dict[str, Any] = {"company": "usmf", "account": account, "currency": "USD", "credit_limit": D(100_000)}
    return Customer(**fields | columns)


def opened(amount: str, *, due: date = TODAY, account: str = "US-001") -> OpenTransaction:
    return OpenTransaction(account=account, amount=D(amount), amount_company=D(amount), due_on=due)


def order(total: str, currency: str = "USD", **columns: Any) -> OpenOrder:
    fields: dict[str, Any] = {
        "number": "SO-1",
        "account": "US-001",
        "processing": ProcessingStatus.CONFIRMED,
        "totals_calculated": True,
        "lines": (order_line(1, "L", 1),),
    }
    return OpenOrder(**HEADER.model_dump() | {"currency": currency, "total": D(total)} | fields | columns)


def credit(*rates: ExchangeRate, **more: Any) -> CreditRead:
    exchange = Exchange(company="usmf", accounting_currency="USD", day=TODAY, rates=rates)
    rows: dict[str, Any] = {
        "customer": customer(),
        "payer": customer(),
        "open_transactions": (),
        "open_orders": (),
    }
    return CreditRead(read_at=NOW, exchange=exchange, **rows | more)


def test_credit_is_that_of_the_account_that_is_billed() -> None:
    """Given a customer another account pays for, then limit, group and open amounts are the payer's."""
    payer = customer("US-900", credit_limit=D(5_000), group="30")
    found = credit_facts(
        credit(payer=payer, open_transactions=(opened("1100", account="US-900", due=date(2026, 11, 1)),)),
        POLICY,
        today=TODAY,
    )
    assert found is not None
    assert (found.customer_account, found.credit_limit, found.customer_group) == ("US-900", D(5_000), "30")
    assert (found.open_ar, found.overdue_amount, found.oldest_overdue_days) == (D(1_100), D(1_100), 22)


def test_a_line_that_finance_shows_twice_counts_once() -> None:
    line = order_line(1, "L", 1)
    once, twice = order("0", lines=(line,)), order("0", lines=(line, line))
    assert (twice.lines, twice.net, twice.net_left) == (once.lines, once.net, once.net_left)


@pytest.mark.parametrize(("own", "payers", "hold"), [("No", "All", "All"), ("Invoice", "All", "Invoice")])
def test_a_hold_of_either_is_a_hold(own: str, payers: str, hold: str) -> None:
    found = credit_facts(
        credit(customer=customer(on_hold=own), payer=customer("US-900", on_hold=payers)), POLICY, today=TODAY
    )
    assert found is not None and found.on_hold == hold


def test_without_customer_or_payer_there_are_no_facts() -> None:
    assert credit_facts(credit(customer=None, payer=None), POLICY, today=TODAY) is None
    assert credit_facts(credit(payer=None), POLICY, today=TODAY) is None


def test_an_order_in_another_currency_counts_at_finance_s_rate_or_not_at_all() -> None:
    """Given an open order of 165,000 JPY of which a tenth is invoiced, then it takes 148,500 yen in dollars."""
    yen = order("165000", "JPY", left={"L": D(9)})
    rate = ExchangeRate(source="JPY", target="USD", rate=D("0.0066"), valid_from=TODAY)
    found = credit_facts(credit(rate, open_orders=(yen,)), POLICY, today=TODAY)
    assert found is not None and found.currency == "USD"
    assert [(o.amount, o.estimated) for o in found.open_orders] == [(D("980.10"), False)]
    with pytest.raises(NoRate, match="between JPY and USD"):
        credit_facts(credit(open_orders=(yen,)), POLICY, today=TODAY)


def test_an_order_counts_once_it_is_confirmed_and_is_estimated_until_its_totals_are_there() -> None:
    draft = order("500", number="SO-2", processing=ProcessingStatus.ACTIVE)
    uncounted = order("0", totals_calculated=False)
    found = credit_facts(credit(open_orders=(draft, uncounted)), POLICY, today=TODAY)
    assert found is not None
    assert [(o.order_number, o.amount, o.estimated) for o in found.open_orders] == [("SO-1", D("1045.00"), True)]


def test_of_an_order_counts_what_is_neither_invoiced_nor_cancelled() -> None:
    """Finance's total may or may not hold what was cancelled: the order never counts for less than is left of it."""
    for total, tax, left, expected in (
        ("1045.00", "95.00", D(8), D("836.00")),
        ("836.00", "76.00", D(8), D("836.00")),
        ("1045.00", "95.00", D(0), D("0.00")),
        ("1045.00", "95.00", D(-1), D("0.00")),
        ("1145.00", "95.00", D(8), D("916.00")),
    ):
        found = credit_facts(credit(open_orders=(order(total, tax=D(tax), left={"L": left}),)), POLICY, today=TODAY)
        assert found is not None and found.open_orders[0].amount == expected, (total, left)


def test_a_tax_that_cannot_be_taken_out_of_a_price_is_a_problem_and_not_a_price() -> None:
    """Given prices that include a tax which depends on the amount, then the rep is told what to do at submission."""
    includes = customer(prices_include_tax=True)
    pricing = Pricing(
        customer=includes,
        exchange=Exchange(company="usmf", accounting_currency="USD", day=TODAY),
        products={"p100": ReleasedProduct(item="P100", sales_unit="ea", sales_price=D(100), cost=D(60))},
        stopped=frozenset(),
        agreements=(),
        payment_terms={},
        tax=SalesTax(unknown="the rate of tax code LUX depends on the amount"),
    )
    asked = quote(line(price=95))
    found = finance_facts(asked, credit(customer=includes, payer=includes, pricing=pricing), POLICY, today=TODAY)
    assert found.prices == {} and found.unpriced is not None
    assert (found.unpriced.code, found.unpriced.field) == ("PRICES_INCLUDE_TAX", "customer_account")
    assert "the rate of tax code LUX depends on the amount" in found.unpriced.message
    assert "Have 'Prices include sales tax' turned off" in found.unpriced.message
