from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from domain.assessment import Problem
from domain.quote import QuoteSnapshot
from domain.validation import MAX_PROBLEMS, normalise, validate_quote
from tests.unit.domain.makers import line, quote

TODAY = date(2026, 11, 23)
RELEASED = {"P100": True, "P250": True, "P099": False}


def problems(snapshot: QuoteSnapshot, **more: Any) -> tuple[Problem, ...]:
    given: dict[str, Any] = {"customer_currency": "USD", "customer_blocked": False, "released_items": RELEASED}
    return validate_quote(snapshot, today=TODAY, **given | more)


def found(snapshot: QuoteSnapshot, **more: Any) -> list[tuple[str, str]]:
    return [(problem.code, problem.field) for problem in problems(snapshot, **more)]


def test_s01_a_sound_quote_has_no_problems() -> None:
    assert problems(quote(line(quantity=10, off="50.00"), line(2, "P250", 3), header_discount_pct=5, freight=12)) == ()


# S41


def test_s41_a_quote_without_lines() -> None:
    assert found(quote()) == [("NO_LINES", "lines")]


@pytest.mark.parametrize("quantity", ["-3", "0", "NaN", "Infinity"])
def test_s41_a_quantity_is_above_zero(quantity: str) -> None:
    bad = line(quantity=1).model_copy(update={"quantity": Decimal(quantity)})
    assert found(quote(bad)) == [("BAD_QTY", "line 1: quantity")]


def test_s41_half_an_each_is_no_quantity_but_half_an_hour_is() -> None:
    assert found(quote(line(quantity="1.5"))) == [("BAD_QTY", "line 1: quantity")]
    assert found(quote(line(quantity="1.50", unit="hr", unit_decimals=2))) == []
    assert found(quote(line(quantity="1.505", unit="hr", unit_decimals=2))) == [("BAD_QTY", "line 1: quantity")]
    assert found(quote(line(quantity="10.000"))) == []
    assert found(quote(line(quantity="1E+1"))) == []


def test_s41_a_price_is_there_and_zero_only_with_a_reason() -> None:
    assert found(quote(line(price=None))) == [("NO_PRICE", "line 1: price")]
    assert found(quote(line(price=0))) == [("NO_PRICE", "line 1: price")]
    assert found(quote(line(price=0, free_goods_reason="  "))) == [("NO_PRICE", "line 1: price")]
    assert found(quote(line(price=0, free_goods_reason="Trade fair"))) == []
    assert found(quote(line(price=-1))) == [("NO_PRICE", "line 1: price")]


def test_s41_a_text_is_measured_as_dataverse_stores_it() -> None:
    assert found(quote(line(description="x" * 1_000))) == []
    assert found(quote(line(description="x" * 1_001))) == [("TEXT_TOO_LONG", "line 1: description")]
    assert found(quote(line(description="🚚" * 500))) == []
    assert found(quote(line(description="🚚" * 501))) == [("TEXT_TOO_LONG", "line 1: description")]
    assert found(quote(line(description="u\u0308" * 1_000))) == []  # ü in two characters becomes one
    assert found(quote(line(), name="x" * 60)) == []
    assert found(quote(line(), name="x" * 61)) == [("TEXT_TOO_LONG", "name")]


@pytest.mark.parametrize(("text", "named"), [("a\x00b", "U+0000"), ("\x1c", "U+001C"), ("x\ufffe", "U+FFFE")])
def test_a_text_that_no_document_can_hold_goes_back(text: str, named: str) -> None:
    for bad, field in ((quote(line(description=text)), "line 1: description"), (quote(line(), name=text), "name")):
        assert found(bad) == [("BAD_CHARACTERS", field)]
    told = problems(quote(line(description=text)))
    assert named in told[0].message
    assert found(quote(line(description="one\ttwo\r\nthree"))) == []


def test_s41_any_script_survives() -> None:
    text = "Ünïcödé 🚚 株式会社 \u200fעברית"
    assert normalise(normalise(text)) == normalise(text)
    assert normalise(text).encode() == text.encode()
    assert normalise("u\u0308") == "ü"
    assert found(quote(line(description=text))) == []


# The customer


@pytest.mark.parametrize("account", [None, ""])
def test_a_customer_without_an_account_number_is_not_mapped(account: str | None) -> None:
    assert found(quote(line(), customer_account=account)) == [("CUSTOMER_UNMAPPED", "customer")]


def test_a_customer_finance_does_not_know_is_not_mapped() -> None:
    (problem,) = problems(quote(line()), customer_currency=None)
    assert problem.code == "CUSTOMER_UNMAPPED"
    assert "US-001" in problem.message


def test_a_missing_customer_is_said_once_without_what_follows_from_it() -> None:
    bad = quote(line(), line(2, "P777", price=10), customer_account=None)
    assert found(bad, released_items=None, customer_currency=None, customer_blocked=True) == [
        ("CUSTOMER_UNMAPPED", "customer")
    ]


@pytest.mark.parametrize(("namesakes", "words"), [(1, "another account carries"), (2, "2 other accounts carry")])
def test_an_account_number_that_two_accounts_carry_is_nobodys(namesakes: int, words: str) -> None:
    (problem,) = problems(quote(line()), namesakes=namesakes, customer_currency="EUR")
    assert (problem.code, problem.field) == ("DUPLICATE_CUSTOMER", "customer")
    assert words in problem.message


def test_s33_a_blocked_customer_buys_nothing() -> None:
    assert found(quote(line()), customer_blocked=True) == [("CUSTOMER_BLOCKED", "customer")]


def test_quote_price_list_and_customer_share_a_currency() -> None:
    assert found(quote(line()), customer_currency="EUR") == [("CURRENCY_MISMATCH", "currency")]
    assert found(quote(line(), price_list_currency="EUR")) == [("CURRENCY_MISMATCH", "price_list")]


# Dates and items


def test_a_quote_is_good_on_the_day_it_expires() -> None:
    assert found(quote(line(), expires_on=TODAY)) == []
    assert found(quote(line(), expires_on=date(2026, 11, 22))) == [("EXPIRED", "expires_on")]
    assert found(quote(line(), expires_on=None)) == []


def test_a_quote_is_not_taken_after_the_end_of_its_validity() -> None:
    assert found(quote(line(), effective_to=TODAY)) == []
    assert found(quote(line(), effective_to=date(2026, 11, 22))) == [("EXPIRED", "effective_to")]


def test_payment_terms_nobody_mapped_are_never_replaced_by_the_customers() -> None:
    (problem,) = problems(quote(line(), unmapped_payment_terms="2% 10, Net 30"))
    assert (problem.code, problem.field) == ("UNMAPPED_PAYMENT_TERM", "payment_terms")
    assert "2% 10, Net 30" in problem.message and "entity_map.yaml" in problem.message


def test_an_item_stopped_for_sales_is_not_one_that_was_never_released() -> None:
    stopped, unknown = problems(quote(line(1, "P099"), line(2, "P777", price=10)))
    assert "stopped for sales" in stopped.message and "not released" in unknown.message


@pytest.mark.parametrize("item", ["P099", "P777", None])
def test_an_item_is_released_to_the_company(item: str | None) -> None:
    assert found(quote(line(item=item, price=10))) == [("ITEM_NOT_RELEASED", "line 1: product")]


def test_every_line_has_a_number_of_its_own() -> None:
    assert found(quote(line(1), line(1, "P250"))) == [("DUPLICATE_LINE", "line 1")]


def test_a_discount_lies_between_nothing_and_the_line() -> None:
    assert found(quote(line(off="-1.00"))) == [("BAD_DISCOUNT", "line 1: discount")]
    assert found(quote(line(off="100.01"))) == [("BAD_DISCOUNT", "line 1: discount")]
    assert found(quote(line(off="100.00"))) == []


@pytest.mark.parametrize("off", ["100.01", "-0.01"])
def test_a_header_discount_lies_between_nothing_and_the_lines(off: str) -> None:
    assert found(quote(line(), header_discount=off)) == [("BAD_DISCOUNT", "discount")]
    assert found(quote(line(), header_discount="100.00")) == []


# Totals (I19)


def test_header_and_lines_agree_within_the_tolerance_of_the_document() -> None:
    sound = quote(line(1), line(2), line(3))
    for difference, expected in (("0.02", []), ("0.03", [("TOTALS_DIFFER", "net")])):
        moved = {"net": sound.net + Decimal(difference), "total": sound.total + Decimal(difference)}
        assert found(sound.model_copy(update=moved)) == expected


def test_total_is_net_plus_tax() -> None:
    sound = quote(line())
    assert found(sound.model_copy(update={"total": sound.total + 1})) == [("TOTALS_DIFFER", "total")]


def test_amounts_are_whole_minor_units() -> None:
    bad = quote(line()).model_copy(update={"tax": Decimal("10.005"), "total": Decimal("110.005")})
    assert found(bad) == [("BAD_AMOUNT", "tax"), ("BAD_AMOUNT", "total")]


# Many problems


def test_all_that_is_wrong_is_said_at_once() -> None:
    bad = quote(line(1, quantity=-1), line(2, "P099"), customer_account=None, expires_on=date(2026, 1, 1))
    codes = [problem.code for problem in problems(bad)]
    assert codes == ["CUSTOMER_UNMAPPED", "EXPIRED", "BAD_QTY", "ITEM_NOT_RELEASED"]


def test_a_broken_template_does_not_fill_the_history() -> None:
    listed = problems(quote(*(line(no, "P099") for no in range(1, 501))))
    assert len(listed) == MAX_PROBLEMS
    assert listed[-1].code == "MORE_PROBLEMS"
    assert "451 more" in listed[-1].message


def test_a_quote_has_an_upper_size() -> None:
    enough, one_more = (quote(*(line(no) for no in range(1, count + 1))) for count in (20_000, 20_001))
    assert found(enough) == []
    assert found(one_more) == [("TOO_MANY_LINES", "lines")]


def test_every_problem_says_what_to_do() -> None:
    bad = quote(line(1, quantity="1.5"), line(2, "P099"), line(2, price=None), customer_account=None, name="x" * 61)
    for problem in problems(bad, customer_currency="EUR"):
        assert problem.message[0].isupper()
        assert problem.message.endswith(".")
        assert len(problem.message.split()) > 5
