"""500 lines in five currencies, computed elsewhere: the rules and the sandbox's Finance come to the same amounts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from domain.money import DocumentTolerance, minor_digits, minor_unit, round_money
from domain.quote import QuoteLine, QuoteSnapshot
from domain.rounding import compared, line_net
from domain.tax import ordered_nets
from domain.validation import validate_quote
from dynamics.finance.prices import finance_terms
from sandbox.currencies import decimals
from sandbox.finance.amounts import line_amount
from tests.golden.generate import FILE, MINOR_DIGITS, written
from tests.unit.domain.makers import T0, person

D = Decimal
DOCUMENTS: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))


def number(text: object) -> Decimal:
    assert isinstance(text, str)
    return Decimal(text)


def in_finance(line: Mapping[str, Any], **columns: Decimal) -> dict[str, Decimal]:
    """The columns of a sales order line that its amount is computed of."""
    usual = {"LineDiscountAmount": D(0), "LineDiscountPercentage": D(0), "FixedPriceCharges": D(0)}
    row = {"OrderedSalesQuantity": number(line["quantity"]), "SalesPrice": number(line["price"])}
    return usual | row | {"SalesPriceQuantity": number(line["price_unit"])} | columns


def snapshot(document: Mapping[str, Any]) -> QuoteSnapshot:
    """The document as a quote of Sales: a price per unit, and every discount as money off the line."""
    currency = document["currency"]
    lines = []
    for at, each in enumerate(document["lines"], start=1):
        price = number(each["price"]) / number(each["price_unit"])
        quantity, net = number(each["quantity"]), number(each["net"])
        off = max(round_money(quantity * price, currency) - net, D(0))
        lines.append(
            QuoteLine(line_no=at, item=f"I{at}", unit_decimals=3, quantity=quantity, price=price, discount=off, net=net)
        )
    net = number(document["net"])
    return QuoteSnapshot(
        company="usmf",
        quote_id="q",
        quote_number="Q-1",
        revision=0,
        customer_account="US-001",
        currency=currency,
        price_list_currency=currency,
        header_discount_pct=number(document["header_pct"]),
        header_discount=number(document["header_amount"]),
        lines=tuple(lines),
        net=net,
        tax=D(0),
        total=net,
        owner=person("rita"),
    )


def test_the_file_is_what_its_generator_writes_and_holds_what_it_should() -> None:
    assert FILE.read_text(encoding="utf-8") == written()
    lines = [line for document in DOCUMENTS for line in document["lines"]]
    assert len(lines) == 500 and {document["currency"] for document in DOCUMENTS} == set(MINOR_DIGITS)
    assert sum(line["tie"] for line in lines) >= 50
    assert {line["price_unit"] for line in lines} == {"1", "10", "100", "1000"}
    assert {minor_digits(code) for code in MINOR_DIGITS} == {0, 2, 3, 4}
    assert all(minor_digits(code) == digits == decimals(code) for code, digits in MINOR_DIGITS.items())


@pytest.mark.parametrize("currency", MINOR_DIGITS)
def test_every_line_comes_to_the_same_by_the_rules_and_in_finance(currency: str) -> None:
    for document in (document for document in DOCUMENTS if document["currency"] == currency):
        for line in document["lines"]:
            off, pct = number(line["discount_amount"]), number(line["discount_pct"])
            ours = line_net(
                number(line["quantity"]),
                number(line["price"]),
                currency,
                price_unit=number(line["price_unit"]),
                discount_amount=off,
                discount_pct=pct,
            )
            theirs = line_amount(in_finance(line, LineDiscountPercentage=pct, FixedPriceCharges=-off), currency)
            assert (str(ours), str(theirs)) == (line["net"], line["net"]), line


@pytest.mark.parametrize("currency", MINOR_DIGITS)
def test_every_document_is_ordered_at_exactly_what_was_approved(currency: str) -> None:
    """Header discounts are spread, put to Finance as it takes them, and Finance's amounts are the approved ones."""
    for document in (document for document in DOCUMENTS if document["currency"] == currency):
        quote = snapshot(document)
        held = []
        for (line, net), expected in zip(ordered_nets(quote), document["lines"], strict=True):
            assert net == number(expected["ordered"]), expected
            price = line.price or D(0)
            terms = finance_terms(line.quantity, price, net, minor_unit(currency))
            row = in_finance(expected, SalesPrice=price, SalesPriceQuantity=D(1))
            row |= {"LineDiscountAmount": terms.discount_per_unit, "FixedPriceCharges": terms.charges}
            held.append((line.line_no, line_amount(row, currency)))
        approved = {line.line_no: net for line, net in ordered_nets(quote)}
        total = sum((amount for _, amount in held), D(0))
        found = compared(approved, quote.net, held, total, currency=currency, tolerance=DocumentTolerance())
        assert (found.problem, found.rounding) == ("", None), document
        problems = validate_quote(
            quote, today=T0.date(), customer_currency=currency, customer_blocked=False, released_items=None
        )
        assert [problem for problem in problems if problem.code in ("TOTALS_DIFFER", "BAD_AMOUNT")] == []
