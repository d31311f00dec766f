"""Search attributes are one list: nothing else in the product spells their names."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs import attributes
from runs.attributes import ATTRIBUTES

ROOT = Path(__file__).parents[3]
ROOMS = ("activities", "cli", "demo", "domain", "dynamics", "policies", "runs", "web", "workers", "workflows")
LITERAL = re.compile(r"Q2C(?:" + "|".join(attribute.name.removeprefix("Q2C") for attribute in ATTRIBUTES) + r")\b")


def test_the_list_is_the_one_operators_know() -> None:
    assert {attribute.name: attribute.kind for attribute in ATTRIBUTES} == {
        "Q2CStage": "Keyword",
        "Q2CWaitingFor": "Keyword",
        "Q2CCompany": "Keyword",
        "Q2CCustomer": "Keyword",
        "Q2CQuote": "Keyword",
        "Q2CQuoteId": "Keyword",
        "Q2COrder": "Keyword",
        "Q2CError": "Keyword",
        "Q2CApprovers": "KeywordList",
        "Q2CPeople": "KeywordList",
        "Q2CStageSince": "Datetime",
        "Q2CDeadline": "Datetime",
        "Q2CAmount": "Double",
        "Q2CCurrency": "Keyword",
    }
    assert all(attribute.holds for attribute in ATTRIBUTES)


@pytest.mark.parametrize("room", ROOMS)
def test_no_other_module_spells_a_name(room: str) -> None:
    spelled = {
        f"{path.relative_to(ROOT)}: {found}"
        for path in (ROOT / room).rglob("*.py")
        if path != ROOT / "runs" / "attributes.py"
        for found in LITERAL.findall(path.read_text())
    }
    assert spelled == set()


def test_the_documentation_shows_the_list_as_it_is() -> None:
    assert attributes.table() in (ROOT / "docs" / "operations.md").read_text()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_a_text_is_read_back(text: str) -> None:
    assert attributes.QUOTE.read(attributes.QUOTE.stored(text)) == text
    assert tuple(attributes.APPROVERS.read(attributes.APPROVERS.stored([text]))) == (text,)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**11), max_value=10**11, places=2))
def test_an_amount_is_read_back_to_the_cent(amount: Decimal) -> None:
    assert attributes.AMOUNT.read(attributes.AMOUNT.stored(amount)) == amount


def test_a_moment_loses_the_fraction_the_store_would_round() -> None:
    moment = datetime(2026, 11, 23, 14, 0, 0, 999_999, UTC)
    assert attributes.DEADLINE.stored(moment) == moment.replace(microsecond=0)


def test_a_self_hosted_temporal_has_room_for_them() -> None:
    """Its SQL stores hold ten attributes of type Keyword per namespace, and three of each other type."""
    kinds = Counter(attribute.kind for attribute in ATTRIBUTES)
    assert kinds.pop("Keyword") <= 10
    assert max(kinds.values()) <= 3


@pytest.mark.parametrize("stored", [float("inf"), float("nan"), 1e300, -1e300])
def test_an_amount_somebody_else_wrote_is_refused(stored: float) -> None:
    with pytest.raises(ValueError, match="no amount"):
        attributes.AMOUNT.read(stored)
