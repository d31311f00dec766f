"""Ids and search values: whatever a quote number holds, it comes back, and no list filter can mistake it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs import attributes, names, query

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
"""What Dataverse can hold: any sign but half a surrogate pair."""
ODD = st.text(st.sampled_from("~\\'\"/%_!.? \t\n\x00\x1c\x7fab"), max_size=100)
NUMBERS = TEXTS | ODD
UNFINDABLE = frozenset("'\"\\") | {chr(code) for code in (*range(32), 127)}


@given(NUMBERS)
def test_a_safe_form_stands_for_its_text_and_holds_nothing_a_filter_cannot_find(text: str) -> None:
    safe = names.safe(text)
    assert names.plain(safe) == text
    assert not UNFINDABLE & set(safe)
    assert len(safe) <= 2 * len(text)


@given(NUMBERS, NUMBERS)
def test_the_safe_form_of_a_beginning_is_the_beginning_of_the_safe_form(first: str, second: str) -> None:
    assert names.safe(first + second) == names.safe(first) + names.safe(second)


@given(st.text(string.ascii_letters + string.digits + "-/#?%. _ÄÖ日本", max_size=100))
def test_an_ordinary_number_is_its_own_safe_form(text: str) -> None:
    assert names.safe(text) == text


@given(NUMBERS, NUMBERS)
def test_the_id_of_a_deal_is_read_back(company: str, quote: str) -> None:
    assert names.parse_deal_id(names.deal_id(company, quote)) == (company, quote)


@given(NUMBERS, NUMBERS, st.integers(1, 999_999))
def test_the_id_of_a_request_is_read_back(company: str, quote: str, n: int) -> None:
    assert names.parse_approval_id(names.approval_id(company, quote, n)) == (company, quote, n)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_two_deals_never_share_an_id(company: str, quote: str, other: str, another: str) -> None:
    same = (company, quote) == (other, another)
    assert (names.deal_id(company, quote) == names.deal_id(other, another)) is same
    assert (names.ledger_id(company, quote) == names.ledger_id(other, another)) is same


def test_ordinary_ids_read_as_they_always_did() -> None:
    assert names.deal_id("usmf", "QUO-01000-X4Z") == "q2c/usmf/QUO-01000-X4Z"
    assert names.deal_id("usmf", "AN/2026/15") == "q2c/usmf/AN/2026/15"
    assert names.approval_id("usmf", "AN/2026/15", 2) == "approval/usmf/AN/2026/15/2"
    assert names.ledger_id("usmf", "US-001") == "credit/usmf/US-001"
    assert names.feed_id("sales", "usmf") == "feed/sales/usmf"


@pytest.mark.parametrize(
    "text",
    ["", "q2c", "q2c/usmf", "credit/usmf/Q-1", "approval/usmf/Q-1/1", "q2c/usmf/a~", "q2c/usmf/a~x", "q2c/us~0mf/Q"],
)
def test_what_is_not_the_id_of_a_deal_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        names.parse_deal_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "approval/usmf/Q-1",
        "approval/usmf/Q-1/x",
        "approval/usmf/Q-1/²",
        "approval/usmf/Q/-1",
        "approval//1",
        "q2c/u/Q/1",
    ],
)
def test_what_is_not_the_id_of_a_request_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        names.parse_approval_id(text)


@given(NUMBERS)
def test_a_value_in_a_filter_cannot_end_its_literal(text: str) -> None:
    for condition in (
        query.equals(attributes.QUOTE, text),
        query.begins_with(attributes.QUOTE, text),
        query.among(attributes.QUOTE, [text]),
    ):
        assert condition.count("'") == 2 and "\\" not in condition


def test_a_filter_for_none_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        query.among(attributes.COMPANY, [])
