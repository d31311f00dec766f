"""A new quote's customer is looked for as matching looks for doubles: the same forms, and nothing certain is missed."""

from __future__ import annotations

import duckdb
import pytest

from cleansing.model import CERTAIN
from cleansing.normal import normal
from domain.customers import AccountInSales, KnownCustomer
from domain.likeness import compared, tax_form
from policies.loading import load

POLICY = load().customers
WRITTEN = {
    "name": ("Contoso, Ltd.", "CONTOSO Limited"),
    "tax_number": ("us 12-345.678", "US12345678"),
    "address": ("1 Main St.", "1 main st"),
    "email": ("ap@contoso.example", "AP@contoso.example"),
    "mail_domain": ("ap@contoso.example", "sales@CONTOSO.example"),
}
"""How the same is written on either side."""


def side(rule: str, place: int) -> dict[str, str]:
    """What a customer has by a rule; nothing else is known of it."""
    has = {trace: WRITTEN[trace][place] for trace in CERTAIN[rule]}
    found = {"name": has.get("name", ("Fabrikam", "Northwind")[place]), "tax_number": has.get("tax_number", "")}
    found["email"] = has.get("email", has.get("mail_domain", ""))
    return found | ({"street": has["address"], "postal_code": ("98 101", "98101")[place]} if "address" in has else {})


@pytest.mark.parametrize("rule", CERTAIN)
def test_what_a_rule_of_matching_takes_for_one_is_a_candidate_for_a_quote(rule: str) -> None:
    account = AccountInSales(account_id="a1", **side(rule, 0))
    candidate = compared(account, KnownCustomer(account="US-1", **side(rule, 1)), POLICY, key="")
    assert candidate.score >= POLICY.likeness.threshold, candidate.reasons


@pytest.mark.parametrize("number", ["us 12-345.678", " DE 811 569 869 ", "", "B-12/3"])
def test_tax_numbers_have_one_form(number: str) -> None:
    (row,) = duckdb.execute(f"SELECT {normal('?', 'vat')}", [number]).fetchall()
    assert row[0] == tax_form(number)
