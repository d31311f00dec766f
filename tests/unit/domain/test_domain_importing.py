"""What becomes of quotes that were open before the product was there."""

from __future__ import annotations

from decimal import Decimal

import pytest

from domain import importing
from domain.assessing import QuotePreview
from domain.assessment import Problem
from domain.importing import OpenQuote, Taken
from domain.people import Person
from domain.phrases import phrase


def quote(**given: object) -> OpenQuote:
    usual = {"company": "usmf", "quote": "Q-1", "revision": 2, "state": "active", "approval": "none"}
    return OpenQuote.model_validate(usual | given)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"company": "", "business_unit": "Nowhere"}, Taken.NO_COMPANY),
        ({"state": "won", "order": "ORD-1"}, Taken.BY_HAND),
        ({"state": "draft"}, Taken.WITH_REP),
        ({"state": "draft", "approval": "other"}, Taken.KNOWN),
        ({"approval": "other"}, Taken.KNOWN),
        ({"approval": "requested"}, None),
        ({"state": "draft", "approval": "requested"}, None),
        ({}, None),
    ],
)
def test_sales_alone_decides_who_is_asked_about(given: dict[str, object], taken: Taken | None) -> None:
    found = importing.of_sales(quote(**given))
    assert (found.taken if found else None) is taken
    assert found is None or found.text


def preview(*problems: Problem) -> QuotePreview:
    header = {name: "" for name, field in QuotePreview.model_fields.items() if field.is_required()}
    amounts = {name: Decimal(9) for name in ("net", "tax", "total") if name in QuotePreview.model_fields}
    given = header | amounts | {"revision": 2, "state": "active", "owner": Person(oid="rita"), "problems": problems}
    return QuotePreview.model_validate(given)


def test_the_rules_return_it_or_let_it_begin() -> None:
    wrong = Problem.of("EXPIRED", "expires_on", phrase("The quote expired."))
    returned, begins = importing.of_rules(quote(), preview(wrong)), importing.of_rules(quote(), preview())
    assert (returned.taken, returned.text) == (Taken.RETURNED, "EXPIRED expires_on: The quote expired.")
    assert (begins.taken, begins.text, begins.net) == (Taken.BEGINS, "approval: nobody", Decimal(9))
    assert importing.known(begins).taken is Taken.KNOWN
    both = [returned, begins, begins]
    assert importing.counts(both) == {("usmf", Taken.RETURNED): 1, ("usmf", Taken.BEGINS): 2}
