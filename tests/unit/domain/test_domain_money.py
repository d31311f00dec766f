from __future__ import annotations

import ast
from decimal import Decimal, FloatOperation
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

import domain
from domain.money import (
    DocumentTolerance,
    UnknownCurrency,
    arithmetic,
    decimals,
    format_money,
    is_money,
    minor_digits,
    minor_unit,
    plain,
    round_money,
    same_money,
    spread,
    told_apart,
)

D = Decimal
CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "KWD"])


@pytest.mark.parametrize(
    ("currency", "digits"), [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("BHD", 3), ("CLF", 4)]
)
def test_minor_units_come_from_the_currency_table(currency: str, digits: int) -> None:
    assert minor_digits(currency) == digits


def test_minor_units_are_those_of_the_standard_s_own_table_for_every_currency_in_use() -> None:
    """The table of the agency that keeps ISO 4217, which the sandbox uses and the product does not."""
    listed = {each.code: each.exponent for each in Currency if each.exponent is not None}
    assert {code: minor_digits(code) for code in listed} == listed
    assert len(listed) > 160 and set(listed.values()) == {0, 2, 3, 4}


@pytest.mark.parametrize("code", ["usd", "XYZ", "", "US"])
def test_a_code_that_is_no_currency_is_refused(code: str) -> None:
    with pytest.raises(UnknownCurrency, match="ISO 4217"):
        minor_digits(code)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("2.345", "USD", "2.35"),  # half-even would give 2.34
        ("0.125", "USD", "0.13"),  # half-even would give 0.12
        ("1234.565", "USD", "1234.57"),  # half-even would give 1,234.56
        ("-2.345", "USD", "-2.35"),  # away from zero, not up
        ("-0.001", "USD", "0.00"),  # never -0.00
        ("639.936", "USD", "639.94"),  # 8 x 99.99 less 20 %
        ("2.5", "JPY", "3"),
        ("1.0005", "KWD", "1.001"),
    ],
)
def test_ties_round_away_from_zero_at_the_minor_unit(amount: str, currency: str, rounded: str) -> None:
    assert str(round_money(D(amount), currency)) == rounded


def test_money_is_finite_and_no_finer_than_its_currency() -> None:
    assert is_money(D("10.50"), "USD")
    assert is_money(D("10.500"), "USD")
    assert not is_money(D("10.505"), "USD")
    assert not is_money(D("0.5"), "JPY")
    assert not is_money(D("NaN"), "USD")
    assert not is_money(D("Infinity"), "USD")


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1045", "USD", "1,045.00 USD"),
        ("1045.4", "JPY", "1,045 JPY"),
        ("-1234567.8915", "KWD", "-1,234,567.892 KWD"),
        ("1045", "", "1,045.00"),
        ("1.234", "", "1.234"),
        ("1.234", "XQQ", "1.234 XQQ"),
        ("0.1234567890123", "", "0.1234567890"),
    ],
)
def test_money_is_written_for_people(amount: str, currency: str, text: str) -> None:
    assert format_money(D(amount), currency) == text


@pytest.mark.parametrize(
    ("number", "text"), [("20.10", "20.1"), ("25.00", "25"), ("1E+3", "1000"), ("0.000", "0"), ("100", "100")]
)
def test_a_number_is_written_without_idle_zeros(number: str, text: str) -> None:
    assert plain(D(number)) == text


@pytest.mark.parametrize(
    ("lines", "units"), [(0, 1), (1, 1), (2, 2), (4, 2), (5, 3), (10, 4), (9_999, 100), (20_000, 100)]
)
def test_a_document_may_differ_by_the_root_of_its_lines(lines: int, units: int) -> None:
    assert DocumentTolerance().document_units(lines) == units


def test_tolerance_ends_exactly_at_its_limit() -> None:
    tolerance = DocumentTolerance()
    assert tolerance.same_line(D("10.00"), D("10.01"), "USD")
    assert not tolerance.same_line(D("10.00"), D("10.02"), "USD")
    assert tolerance.same_document(D("100.00"), D("100.03"), "USD", 9)
    assert not tolerance.same_document(D("100.00"), D("100.04"), "USD", 9)
    assert tolerance.same_line(D("1045"), D("1046"), "JPY")
    assert not same_money(D("1.000"), D("1.001"), "KWD", 0)


def test_a_document_has_no_negative_number_of_lines() -> None:
    with pytest.raises(ValueError, match="-1 lines"):
        DocumentTolerance().document_units(-1)


def test_ten_dollars_off_three_pieces_come_back_as_exactly_ten() -> None:
    assert spread(D("10.00"), [D(1)] * 3, "USD") == (D("3.34"), D("3.33"), D("3.33"))
    assert spread(D("10"), [D(1)] * 3, "JPY") == (D(4), D(3), D(3))


def test_who_lost_most_by_rounding_down_is_served_first() -> None:
    assert spread(D("0.02"), [D(1), D(3), D(3)], "USD") == (D("0.00"), D("0.01"), D("0.01"))
    assert spread(D("1.00"), [D(1), D(2), D(3)], "JPY") == (D(0), D(0), D(1))


def test_weights_of_nothing_share_evenly() -> None:
    assert spread(D("1.00"), [D(0), D(0)], "USD") == (D("0.50"), D("0.50"))


@pytest.mark.parametrize(
    ("total", "weights", "why"),
    [("1.00", [], "nothing to spread"), ("1.00", ["1", "-1"], "negative"), ("1.005", ["1"], "minor unit")],
)
def test_what_cannot_be_spread_is_refused(total: str, weights: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        spread(D(total), [D(weight) for weight in weights], "USD")


@given(
    units=st.integers(-(10**12), 10**12),
    weights=st.lists(st.decimals(0, 10**9, places=4), min_size=1, max_size=60),
    currency=CURRENCIES,
)
def test_parts_add_up_and_none_is_off_by_a_minor_unit(units: int, weights: list[Decimal], currency: str) -> None:
    unit = minor_unit(currency)
    total = units * unit
    parts = spread(total, weights, currency)
    assert sum(parts) == total
    assert all(is_money(part, currency) for part in parts)
    if any(weights):
        with arithmetic():
            for part, weight in zip(parts, weights, strict=True):
                assert abs(part - total * weight / sum(weights)) < unit * (1 + D("1e-9"))


@given(amount=st.decimals(-(10**15), 10**15, places=6), currency=CURRENCIES)
def test_rounding_moves_an_amount_by_half_a_unit_at_most_and_only_once(amount: Decimal, currency: str) -> None:
    rounded = round_money(amount, currency)
    assert abs(rounded - amount) <= minor_unit(currency) / 2
    assert round_money(rounded, currency) == rounded


def test_a_float_never_enters_the_arithmetic() -> None:
    with arithmetic(), pytest.raises(FloatOperation):
        D(1) + D(0.1)


def test_no_rule_knows_of_floats() -> None:
    """I19: neither a float literal nor the type itself in any rule, save to refuse it."""
    for file in sorted(Path(domain.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"{file.name}:{node.lineno}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "float", f"{file.name}:{node.lineno}"


def test_numbers_are_rounded_in_one_place_only() -> None:
    rounds = {"quantize", "normalize", "round", "to_integral_value"}
    found = {
        file.name
        for file in sorted(Path(domain.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in rounds
    }
    # Texts of a quote and names of customers are normalized too, in the sense of Unicode.
    assert found == {"money.py", "validation.py", "likeness.py"}


@pytest.mark.parametrize(
    ("number", "beside", "shown"),
    [("20.001", "20", "20.001"), ("22", "20", "22"), ("20", "20", "20"), ("23.0769", "25", "23.08")],
)
def test_a_number_is_written_so_that_it_does_not_look_equal_to_its_limit(number: str, beside: str, shown: str) -> None:
    assert told_apart(D(number), D(beside)) == shown


@pytest.mark.parametrize(("number", "count"), [("1.50", 1), ("100", 0), ("1E+3", 0), ("0.001", 3), ("NaN", 0)])
def test_decimals_are_those_a_number_really_has(number: str, count: int) -> None:
    assert decimals(D(number)) == count
