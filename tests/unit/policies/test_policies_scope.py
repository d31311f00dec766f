"""Rules for some companies, customers, products or days: compared where they meet, counted for what they are about."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain.approvals import LineFinding
from domain.discount import required_rules
from domain.policy import MatrixRule
from tests.unit.domain.makers import POLICY
from tests.unit.policies.test_policies_matrix import (
    DISC10,
    DISC20,
    MARGIN25,
    Written,
    demands,
    discount,
    part_of,
    quote_of,
    refused,
    rule,
)

D = Decimal


def only(**scope: Any) -> Written:
    return {"only": scope}


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        # Narrower where it applies, wherever that is.
        ([rule("A", 1, DISC10), rule("B", 1, DISC20, **only(companies=["usmf"]))], [("B", "unreachable")]),
        ([rule("A", 1, DISC10), rule("B", 1, DISC20, **only(product_groups=["BIKES"]))], [("B", "unreachable")]),
        ([rule("A", 1, DISC10), rule("B", 1, DISC20, **only(valid_from="2027-01-01"))], [("B", "unreachable")]),
        (
            [
                rule("A", 1, DISC10, **only(customer_groups=["30", "40"])),
                rule("B", 1, DISC20, **only(customer_groups=["30"])),
            ],
            [("B", "unreachable")],
        ),
        # It adds something in one place, or at one time.
        ([rule("A", 1, DISC20), rule("B", 1, DISC10, **only(companies=["usmf"]))], []),
        ([rule("A", 1, DISC10, **only(companies=["demf"])), rule("B", 1, DISC20, **only(companies=["usmf"]))], []),
        (
            [
                rule("A", 1, DISC20, **only(valid_until="2026-12-31")),
                rule("B", 1, DISC10, **only(valid_from="2027-01-01")),
            ],
            [],
        ),
        ([rule("A", 1, DISC20), rule("B", 1, DISC10, **only(product_groups=["BIKES"]))], []),
        ([rule("A", 1, MARGIN25), rule("B", 1, MARGIN25, **only(product_groups=["BIKES"]))], []),
    ],
)
def test_rules_are_compared_where_they_meet(rules: list[Written], found: list[tuple[str, str]]) -> None:
    assert refused(*rules) == found


@pytest.mark.parametrize(
    ("scope", "field"),
    [
        ({"companies": ["usmf", "usmf"]}, "companies"),
        ({"customer_groups": ["10", "10"]}, "customer_groups"),
        ({"product_groups": ["BIKES", "bikes"]}, "product_groups"),
        ({"valid_from": "2027-02-01", "valid_until": "2027-01-31"}, "valid_until"),
        ({"valid_from": "soon"}, "valid_from"),
    ],
)
def test_a_scope_that_nothing_can_be_in_is_refused(scope: Written, field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        discount(rule("A", 1, DISC10, **only(**scope)))


def test_a_rule_counts_for_what_it_is_about_alone() -> None:
    of_bikes = MatrixRule.model_validate(
        rule("B", 1, DISC10, **only(companies=["usmf"], product_groups=["BIKES"], valid_from="2027-01-01"))
    )
    bikes, tyres = (part_of(group, D(15), D(50), D(100), False) for group in ("bikes", "tyres"))

    def asks(*lines: LineFinding, company: str = "usmf", day: date = date(2027, 1, 1)) -> bool:
        return bool(demands(quote_of(D(0), D(50), 0, "USD", D(200), False, lines, company, "", day), [of_bikes]))

    assert asks(bikes, tyres)
    assert not asks(tyres)
    assert not asks(bikes, company="demf")
    assert not asks(bikes, day=date(2026, 12, 31))
    assert not asks(bikes.model_copy(update={"discount_pct": D(10)}), tyres)


def test_the_reason_names_the_products() -> None:
    of_bikes = MatrixRule.model_validate(rule("B", 1, DISC10, **only(product_groups=["BIKES"])))
    policy = POLICY.model_copy(update={"discount": POLICY.discount.model_copy(update={"rules": (of_bikes,)})})
    bikes = part_of("bikes", D(15), D(50), D(100), False)
    (match,) = required_rules(quote_of(D(60), D(50), 0, "USD", D(200), False, (bikes,)), policy)
    (reason,) = match.reasons
    assert reason.text == "15 % > 10 % (product group BIKES)"
    assert reason.sentence == "Discount 15 % is above the 10 % a rep may give alone (product group BIKES)"
