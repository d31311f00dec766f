"""A submitted quote, assessed: what goes back to the rep, what a quote in another currency is worth, when it ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.assessing import CustomerFacts, FinanceFacts, assess, credit_amount, from_quote
from domain.assessment import Problem
from domain.calendar import end_of_day
from domain.exchange import Exchange, ExchangeRate, NoRate
from domain.money import Money
from domain.policy import Condition, MatrixRule
from domain.pricing import FinancePrice
from domain.quote import NumberedLine, QuoteSnapshot, numbered
from domain.scope import Scope
from domain.tax import SalesTax, TaxCode, finance_total
from policies import business_hours
from tests.unit.domain.makers import POLICY, PRICES, T0, facts, line, quote

D = Decimal
TODAY = date(2026, 11, 23)
HOURS = business_hours(POLICY, "usmf", TODAY)
TEN_PER_CENT = SalesTax(codes={item.casefold(): (TaxCode(code="STD", pct=D(10)),) for item in PRICES})
YEN = ExchangeRate(source="JPY", target="USD", rate=D("0.0066"), valid_from=date(2026, 11, 1))


def told(currency: str = "USD", *rates: ExchangeRate, **more: Any) -> FinanceFacts:
    """What Finance says of the sample company's customer and items."""
    listed = {item: price.model_copy(update={"currency": currency}) for item, price in PRICES.items()}
    known: dict[str, Any] = {
        "customer": CustomerFacts(account="US-001", currency=currency, payment_terms="Net 30", payer="US-001"),
        "exchange": Exchange(company="usmf", accounting_currency="USD", day=TODAY, rates=rates),
        "released": dict.fromkeys(listed, True),
        "prices": listed,
        "payment_days": {"net 30": 30, "net 60": 60},
        "credit": facts(),
        "tax": TEN_PER_CENT,
    }
    return FinanceFacts(**known | more)


def sound(**more: Any) -> QuoteSnapshot:
    return quote(line(quantity=10, off="50.00"), **more)


def codes(snapshot: QuoteSnapshot, finance: FinanceFacts | None, **more: Any) -> list[str]:
    return [problem.code for problem in assess(snapshot, finance, POLICY, calendar=HOURS, now=T0, **more).problems]


def test_a_sound_quote_is_priced_planned_and_looked_at_for_credit() -> None:
    found = assess(sound(), told(), POLICY, calendar=HOURS, now=T0)
    assert found.problems == ()
    assert (found.discount_pct, found.list_net, found.payment_terms) == (D(5), D("1000.00"), "Net 30")
    assert found.plan is not None and found.plan.steps == ()
    assert found.soft_credit is not None and found.soft_credit.this_order == D("1045.00")


def test_the_customers_own_number_is_kept_for_who_looks_for_it() -> None:
    assert from_quote(sound(customer_reference="PO-4711")).customer_reference == "PO-4711"


def test_the_account_is_finance_s_spelling_and_credit_that_of_who_is_billed() -> None:
    customer = CustomerFacts(account="US-001", currency="USD", payment_terms="Net 30", payer="US-900")
    found = assess(sound(customer_account="us-001"), told(customer=customer), POLICY, calendar=HOURS, now=T0)
    assert (found.customer_account, found.credit_account) == ("US-001", "US-900")


@pytest.mark.parametrize(
    ("only", "now", "asks"),
    [
        ({"companies": ("usmf",), "customer_groups": ("30",), "product_groups": ("audio",)}, T0, True),
        ({"companies": ("demf",)}, T0, False),
        ({"customer_groups": ("40",)}, T0, False),
        ({"product_groups": ("BIKES",)}, T0, False),
        # New York is five hours behind: its last day of the year ends at 05:00 UTC.
        ({"valid_from": date(2027, 1, 1)}, datetime(2027, 1, 1, 4, 59, tzinfo=UTC), False),
        ({"valid_from": date(2027, 1, 1)}, datetime(2027, 1, 1, 5, 0, tzinfo=UTC), True),
        ({"valid_until": date(2026, 12, 31)}, datetime(2027, 1, 1, 4, 59, tzinfo=UTC), True),
        ({"valid_until": date(2026, 12, 31)}, datetime(2027, 1, 1, 5, 0, tzinfo=UTC), False),
    ],
)
def test_a_rule_counts_for_its_companies_customers_products_and_days(
    only: dict[str, Any], now: datetime, asks: bool
) -> None:
    condition = Condition.model_validate({"value": "disc_pct", "op": ">", "than": 4})
    rule = MatrixRule(id="B", only=Scope(**only), when=(condition,), chain="sales", level=1, role="sales_manager")
    policy = POLICY.model_copy(update={"discount": POLICY.discount.model_copy(update={"rules": (rule,)})})
    customer = CustomerFacts(account="US-001", currency="USD", payment_terms="Net 30", payer="US-001", group="30")
    prices = {item: price.model_copy(update={"group": "AUDIO"}) for item, price in PRICES.items()}
    submitted = sound(expires_on=date(2027, 1, 31))
    finance = told(customer=customer, prices=prices, credit=facts(as_of=now))
    found = assess(submitted, finance, policy, calendar=HOURS, now=now)
    assert found.problems == ()
    assert found.plan is not None and found.plan.needed == asks


# What goes back


def test_without_an_account_number_only_that_is_said() -> None:
    assert codes(sound(customer_account=None), None) == ["CUSTOMER_UNMAPPED"]


def test_a_customer_finance_does_not_know_is_said_once() -> None:
    """Given no customer, when there are no prices either, then the rep is not told of prices, terms or items."""
    unknown = told(customer=None, prices={}, credit=None)
    assert codes(sound(), unknown) == ["CUSTOMER_UNMAPPED"]


@pytest.mark.parametrize(("others", "words"), [(1, "another account carries"), (3, "3 other accounts carry")])
def test_an_account_number_that_several_accounts_carry_is_nobody_s(others: int, words: str) -> None:
    found = assess(sound(), told(), POLICY, calendar=HOURS, now=T0, namesakes=others)
    assert [problem.code for problem in found.problems] == ["DUPLICATE_CUSTOMER"]
    assert words in found.problems[0].message


@pytest.mark.parametrize(
    ("chosen", "default", "expected"),
    [
        ("Net 60", "Net 30", []),
        ("", "Net 30", []),
        ("", "", []),
        ("Net 90", "Net 30", ["UNMAPPED_PAYMENT_TERM"]),
        ("", "N007", ["UNMAPPED_PAYMENT_TERM"]),
        ("NET 60", "net 30", []),
    ],
)
def test_payment_terms_finance_does_not_know_are_never_silently_the_default(
    chosen: str, default: str, expected: list[str]
) -> None:
    customer = CustomerFacts(account="US-001", currency="USD", payment_terms=default, payer="US-001")
    assert codes(sound(payment_terms=chosen), told(customer=customer)) == expected


def test_a_choice_of_sales_that_is_mapped_to_nothing_goes_back() -> None:
    assert codes(sound(unmapped_payment_terms="2% 10, Net 30"), told()) == ["UNMAPPED_PAYMENT_TERM"]


def test_a_price_without_a_rate_is_a_problem_and_not_a_price_of_nothing() -> None:
    problem = Problem(code="NO_EXCHANGE_RATE", field="currency", message="Finance has no exchange rate …")
    no_rate = told("JPY", prices={}, unpriced=problem)
    found = assess(sound(currency="JPY"), no_rate, POLICY, calendar=HOURS, now=T0)
    assert [(p.code, p.field) for p in found.problems] == [("NO_EXCHANGE_RATE", "currency")]
    assert found.plan is None


# Other currencies


def yen_prices() -> dict[str, FinancePrice]:
    return {
        "P100": FinancePrice(item="P100", currency="JPY", list_price=D(16_500), cost=D(9_091), unit="ea"),
    }


def test_a_quote_in_yen_of_a_dollar_company_is_discounted_by_what_it_is_below_the_converted_list_price() -> None:
    """Given 100 USD at 165 yen, when 8,250 yen are asked, then half the list price is off, and not none of it."""
    snapshot = quote(line(price=8_250, quantity=10, currency="JPY"), currency="JPY")
    found = assess(snapshot, told("JPY", YEN, prices=yen_prices()), POLICY, calendar=HOURS, now=T0)
    assert found.problems == ()
    assert (found.discount_pct, found.list_net) == (D(50), D(165_000))
    # Read as dollars the list price would be 100 yen and the cost 60: no discount, and a margin of 99.2 % and more.
    assert found.net == D(82_500) and found.margin_pct is not None and round(found.margin_pct, 2) == D("-10.19")
    assert found.soft_credit is not None and found.soft_credit.this_order == D("598.95"), "82,500 and tax, in dollars"
    assert found.plan is not None and found.plan.steps != ()


def test_credit_is_looked_at_in_the_company_s_currency() -> None:
    snapshot = quote(line(price=16_500, quantity=10, currency="JPY"), currency="JPY")
    found = assess(snapshot, told("JPY", YEN, prices=yen_prices()), POLICY, calendar=HOURS, now=T0)
    assert found.soft_credit is not None
    assert (found.total, found.soft_credit.this_order) == (D(181_500), D("1197.90"))
    assert found.exchange_rate == "1 JPY = 0.0066 USD (Finance, Default, from 2026-11-01)"
    total = finance_total(snapshot, TEN_PER_CENT, estimate_pct=D(0))
    with pytest.raises(NoRate):
        credit_amount(total, "JPY", told("JPY").exchange)
    assert credit_amount(total, "JPY", told("JPY", YEN).exchange) == Money(amount=D("1197.90"), currency="USD")


# What Finance will ask for it


def test_credit_is_decided_on_what_finance_asks_though_sales_knows_no_tax() -> None:
    snapshot = quote(line(price=100, quantity=10), tax_pct=0)
    assert (snapshot.net, snapshot.total) == (D(1_000), D(1_000))
    held = told(credit=facts(credit_limit=D(1_050), open_ar=D(0), open_orders={}))
    passed = told(credit=facts(credit_limit=D(1_100), open_ar=D(0), open_orders={}))
    decisions = [assess(snapshot, each, POLICY, calendar=HOURS, now=T0).soft_credit for each in (held, passed)]
    assert [(d.this_order, d.passed) for d in decisions if d] == [(D(1_100), False), (D(1_100), True)]


def test_a_total_that_finance_does_not_ask_for_is_said_before_anything_is_invoiced() -> None:
    found = assess(quote(line(price=100, quantity=10), tax_pct=0), told(), POLICY, calendar=HOURS, now=T0)
    assert found.problems == ()
    assert found.total_differs == (
        "Finance will invoice 1,100.00 USD, not the 1,000.00 USD of the quote: its tax is 100.00 USD, the quote's "
        "0.00 USD."
    )
    same = assess(quote(line(price=100, quantity=10)), told(), POLICY, calendar=HOURS, now=T0)
    assert same.total_differs == ""


def test_an_item_without_tax_and_a_customer_without_tax_are_not_taxed() -> None:
    untaxed = assess(quote(line(price=100, quantity=10)), told(tax=SalesTax()), POLICY, calendar=HOURS, now=T0)
    assert untaxed.total_differs.startswith("Finance will invoice 1,000.00 USD, not the 1,100.00 USD")


def test_each_code_is_rounded_once_over_the_whole_document() -> None:
    codes = (TaxCode(code="STD", pct=D(10)), TaxCode(code="CITY", pct=D("2.5")))
    snapshot = quote(line(1, price="0.33", quantity=1), line(2, price="0.33", quantity=1), tax_pct=0)
    total = finance_total(snapshot, SalesTax(codes={"p100": codes}), estimate_pct=D(0))
    assert (total.tax, total.amount) == (D("0.09"), D("0.75")), "0.066 -> 0.07 and 0.0165 -> 0.02"


def test_a_header_discount_and_freight_are_taxed_with_the_lines_they_are_spread_over() -> None:
    snapshot = quote(line(price=100, quantity=10), tax_pct=0, freight=50, header_discount=100)
    total = finance_total(snapshot, TEN_PER_CENT, estimate_pct=D(0))
    assert (snapshot.net, total.tax) == (D(950), D(95))


def test_a_tax_that_cannot_be_computed_is_estimated_and_never_below_the_quotes_own() -> None:
    unknown = SalesTax(unknown="tax code FUEL is not simply a percentage of the net amount")
    for tax_pct, expected in ((0, D(1_190)), (25, D(1_250))):
        total = finance_total(quote(line(price=100, quantity=10), tax_pct=tax_pct), unknown, estimate_pct=D(19))
        assert total.amount == expected and total.estimated == unknown.unknown
    found = assess(quote(line(price=100, quantity=10), tax_pct=0), told(tax=unknown), POLICY, calendar=HOURS, now=T0)
    assert "That is an estimate: tax code FUEL" in found.total_differs


# When it ends


@pytest.mark.parametrize(
    ("expires_on", "effective_to", "day"),
    [
        (date(2026, 11, 30), None, date(2026, 11, 30)),
        (date(2026, 11, 30), date(2026, 11, 25), date(2026, 11, 25)),
        (None, date(2026, 11, 25), date(2026, 11, 25)),
        (None, None, TODAY + timedelta(days=30)),
    ],
)
def test_a_quote_is_valid_to_the_end_of_the_first_day_it_may_end_on(
    expires_on: date | None, effective_to: date | None, day: date
) -> None:
    found = assess(sound(expires_on=expires_on, effective_to=effective_to), told(), POLICY, calendar=HOURS, now=T0)
    assert found.expires_at is not None
    assert found.expires_at == end_of_day(day, POLICY.calendar("usmf").timezone)


# Numbers of lines

LINE = st.tuples(st.none() | st.integers(-1, 12), st.none() | st.integers(0, 5))


@given(st.lists(LINE, max_size=12), st.randoms())
def test_every_line_has_a_number_of_its_own_however_the_lines_are_read(
    given_lines: list[tuple[int | None, int | None]], shuffled: Any
) -> None:
    lines = [NumberedLine(f"id-{n:02}", number, sequence) for n, (number, sequence) in enumerate(given_lines)]
    found = numbered(lines)
    assert len(set(found.values())) == len(lines) and all(number > 0 for number in found.values())
    again = list(lines)
    shuffled.shuffle(again)
    assert numbered(again) == found


def test_the_numbers_of_sales_stay_where_every_line_has_one() -> None:
    assert numbered([NumberedLine("a", 20, None), NumberedLine("b", 10, None)]) == {"a": 20, "b": 10}
    assert numbered([NumberedLine("a", 20, None), NumberedLine("b", 20, None)]) == {"a": 1, "b": 2}
    assert numbered([NumberedLine("b", None, 2), NumberedLine("a", None, 1), NumberedLine("c", 5, 9)]) == {
        "c": 1,
        "a": 2,
        "b": 3,
    }


def test_a_large_quote_that_finance_cannot_price_goes_back_with_the_first_lines_only() -> None:
    lines = [line(n) for n in range(1, 2_001)]
    problems = assess(quote(*lines), told(prices={}), POLICY, calendar=HOURS, now=T0).problems
    assert [problem.code for problem in problems] == ["NO_PRICE"] * 49 + ["MORE_PROBLEMS"]
