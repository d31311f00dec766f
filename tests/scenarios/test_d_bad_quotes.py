"""Quotes that cannot be taken, and texts that must survive: S41, driven from outside through the whole product."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

import pytest

from tests.stack import Refused, Stack, assert_sound, line

BAD = {
    "no lines": ([], "NO_LINES", "lines"),
    "a negative quantity": ([line("P100", -3)], "BAD_QTY", "line 1: quantity"),
    "a quantity of zero": ([line("P100", 0)], "BAD_QTY", "line 1: quantity"),
    "half a piece": ([line("P100", "1.5")], "BAD_QTY", "line 1: quantity"),
    "a price of zero without a reason": ([line("P100", 1, price="0")], "NO_PRICE", "line 1: price"),
}


@pytest.mark.parametrize(("lines", "code", "field"), BAD.values(), ids=BAD.keys())
def test_s41_a_bad_quote_goes_back_to_the_rep_with_the_field(
    stack: Stack, lines: list[Mapping[str, Any]], code: str, field: str
) -> None:
    try:
        deal = stack.deal(*lines)
        deal.rep("submit")
    except Refused as refused:
        pytest.fail(f"Sales lets a rep enter this, the product has to find it: {refused}")

    case = deal.waits_for("rep")

    assert case["quote_status"] == "invalid"
    assert (code, field) in [(problem["code"], problem["field"]) for problem in case["problems"]]
    sales = deal.in_sales("rejected")
    assert sales["state"] == "draft"
    assert field in sales["approval_reason"]
    assert_sound(deal, orders=0)


def test_s41_a_line_without_a_price_is_refused(stack: Stack) -> None:
    """A written-in line has no price list to take one from."""
    deal = stack.deal({"quantity": "1", "description": "Special cable, made to measure"})

    case = deal.submitted()

    assert "NO_PRICE" in [problem["code"] for problem in case["problems"]]
    assert_sound(deal, orders=0)


def test_s41_a_corrected_quote_is_taken(stack: Stack) -> None:
    deal = stack.deal(line("P100", -3))
    assert deal.submitted()["quote_status"] == "invalid"

    deal.rep("edit", lines=[line("P100", 3)])
    deal.rep("submit")

    case = deal.until(lambda case: case["quote_status"] == "approved", "approved")
    assert case["problems"] == []
    assert_sound(deal, orders=0)


def test_s41_text_of_every_script_reaches_finance_byte_for_byte(stack: Stack) -> None:
    text = "U\u0308ni\u0308co\u0308de\u0301 🚚 株式会社 \u200fעברית"
    deal = stack.deal(line("P100", 1, description=text))

    deal.accepted()

    (ordered,) = deal.order()["lines"]
    assert ordered["LineDescription"].encode() == unicodedata.normalize("NFC", text).encode()
    assert_sound(deal)


def test_s41_a_text_too_long_is_refused_with_the_name_of_its_field(stack: Stack) -> None:
    """Dataverse's own limit for the column is 2,000 characters: Sales is the first to refuse."""
    with pytest.raises(Refused, match="description"):
        stack.deal(line("P100", 1, description="x" * 4001))
