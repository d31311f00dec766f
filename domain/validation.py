"""Whether a submitted quote can be taken at all: the hard checks, before any price is looked at.

Each problem names the field and says what to do, because it is the rep who reads it, in Sales.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from domain import phrases
from domain.assessment import Problem
from domain.customer_problems import unmapped
from domain.money import DocumentTolerance, arithmetic, decimals, is_money, minor_digits, plain, round_money
from domain.phrases import counted, marked, money, phrase
from domain.quote import DeliveryAddress, QuoteLine, QuoteSnapshot
from domain.rounding import line_net

MAX_LINES: Final = 20_000
MAX_PROBLEMS: Final = 50
"""Problems listed one by one; a rep corrects a template, not two thousand lines."""
MAX_DESCRIPTION: Final = 1_000
MAX_NAME: Final = 60
MAX_REFERENCE: Final = 60
MAX_ADDRESS: Final[Mapping[str, int]] = {"name": 60, "street": 250, "city": 60, "postal_code": 10, "state": 10}
"""Longest texts Finance takes (LineDescription, SalesOrderName, CustomersOrderReference, DeliveryAddress…), in UTF-16
units as both systems count them; Sales takes longer ones."""


_NO_DOCUMENT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""Characters that XML 1.0 has no way to write: what Finance prints, exports and passes on is XML."""


def normalise(text: str) -> str:
    """A text in Unicode form NFC, so that the same characters are the same bytes in every system."""
    return unicodedata.normalize("NFC", text)


def validate_quote(
    snapshot: QuoteSnapshot,
    *,
    today: date,
    customer_currency: str | None,
    customer_blocked: bool,
    released_items: Mapping[str, bool] | None,
    namesakes: int = 0,
) -> tuple[Problem, ...]:
    """What is wrong with a quote (lifecycle 3.1), in the order a rep would correct it; empty when it can be taken.

    Args:
        snapshot: The quote as read from Sales.
        today: The day in the time zone of the company.
        customer_currency: Sales currency of the customer in Finance; None where Finance does not know the customer.
        customer_blocked: Whether Finance has the customer on hold in a way that stops orders.
        released_items: Item, as the quote writes it → released to the company and not stopped for sales; a missing item
            is not released. None: Finance was not asked, because nobody knows for whom.
        namesakes: Other active accounts of Sales that carry the customer's account number.

    Returns:
        At most ``MAX_PROBLEMS`` problems, the last one saying how many more there are.
    """
    problems = [
        *_owner_problems(snapshot),
        *_customer_problems(snapshot, customer_currency, customer_blocked, namesakes),
        *_header_problems(snapshot, today),
        *_line_problems(snapshot, released_items),
    ]
    if not problems:
        problems = list(_total_problems(snapshot))
    return bounded(problems)


def bounded(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """At most ``MAX_PROBLEMS`` problems, the last one saying how many more there are."""
    if len(problems) <= MAX_PROBLEMS:
        return tuple(problems)
    more = len(problems) - MAX_PROBLEMS + 1
    said = phrase("There are {more} more problems; correct those listed and submit again to see them.", more=more)
    return (*problems[: MAX_PROBLEMS - 1], Problem.of("MORE_PROBLEMS", "lines", said))


def _owner_problems(snapshot: QuoteSnapshot) -> Iterator[Problem]:
    """Nobody decides their own quote: it must be known whose it is."""
    if not snapshot.owner.oid:
        said = phrase(
            "The quote is owned by a team, or by a user without an account in Entra ID. Assign it to a person "
            "who signs in with their own account, and submit it again."
        )
        yield Problem.of("UNKNOWN_OWNER", "owner", said)


def _customer_problems(
    snapshot: QuoteSnapshot, customer_currency: str | None, customer_blocked: bool, namesakes: int
) -> Iterator[Problem]:
    """What is wrong with the customer; what would only follow from one is not said as well."""
    account, currency = snapshot.customer_account, snapshot.currency
    if not account:
        yield Problem.of("CUSTOMER_UNMAPPED", "customer", unmapped(snapshot.customer_name))
        return
    if namesakes:
        said = counted(
            "In Sales another account carries the account number {account} as well. Merge the accounts, or correct the "
            "wrong number.",
            "In Sales {count} other accounts carry the account number {account} as well. Merge the accounts, or "
            "correct the wrong number.",
            namesakes,
            account=account,
        )
        yield Problem.of("DUPLICATE_CUSTOMER", "customer", said)
        return
    if customer_currency is None:
        said = phrase(
            "Finance company {company} has no customer {account}. Create it there, or correct the account number on "
            "the account in Sales.",
            company=snapshot.company,
            account=account,
        )
        yield Problem.of("CUSTOMER_UNMAPPED", "customer", said)
        return
    if customer_currency != currency:
        said = phrase(
            "The quote is in {currency}, customer {account} buys in {usual}. Create the quote in {usual}.",
            currency=currency,
            account=account,
            usual=customer_currency,
        )
        yield Problem.of("CURRENCY_MISMATCH", "currency", said)
    if customer_blocked:
        said = phrase(
            "Customer {account} is on hold in Finance. Ask the credit manager to lift the hold, then submit again.",
            account=account,
        )
        yield Problem.of("CUSTOMER_BLOCKED", "customer", said)


def _header_problems(snapshot: QuoteSnapshot, today: date) -> Iterator[Problem]:
    currency = snapshot.currency
    if snapshot.price_list_currency != currency:
        said = phrase(
            "The quote is in {currency}, its price list in {of_list}. Choose a price list in {currency}.",
            currency=currency,
            of_list=snapshot.price_list_currency,
        )
        yield Problem.of("CURRENCY_MISMATCH", "price_list", said)
    for field, day in (("expires_on", snapshot.expires_on), ("effective_to", snapshot.effective_to)):
        if day is not None and day < today:
            yield Problem.of("EXPIRED", field, phrase(_EXPIRED[field], on=phrases.day(day)))
    if snapshot.unmapped_payment_terms:
        said = phrase(
            "The payment terms {terms} have no counterpart in Finance. Choose others, or have them added to "
            "entity_map.yaml under payment_terms.",
            terms=repr(snapshot.unmapped_payment_terms),
        )
        yield Problem.of("UNMAPPED_PAYMENT_TERM", "payment_terms", said)
    yield from _text_problem("name", snapshot.name, MAX_NAME)
    yield from _text_problem("customer_reference", snapshot.customer_reference, MAX_REFERENCE)
    yield from _address_problems(snapshot.delivery)
    if not snapshot.lines:
        yield Problem.of("NO_LINES", "lines", phrase("The quote has no lines. Add at least one product."))
    if len(snapshot.lines) > MAX_LINES:
        said = phrase(
            "The quote has {lines} lines, at most {most} can be ordered at once. Split it into several quotes.",
            lines=len(snapshot.lines),
            most=MAX_LINES,
        )
        yield Problem.of("TOO_MANY_LINES", "lines", said)


def _address_problems(address: DeliveryAddress | None) -> Iterator[Problem]:
    if address is None:
        return
    for part, limit in MAX_ADDRESS.items():
        yield from _text_problem(f"delivery: {part}", getattr(address, part), limit)
    if address.unmapped_country:
        said = phrase(
            "The country {country} has no counterpart in Finance. Correct the ship-to country, or have it added to "
            "entity_map.yaml under countries.",
            country=repr(address.unmapped_country),
        )
        yield Problem.of("UNMAPPED_COUNTRY", "delivery: country", said)


_EXPIRED: Final = {
    "expires_on": marked("The quote expired on {on}. Set the due-by date to today or later."),
    "effective_to": marked("The quote expired on {on}. Set Effective To to today or later."),
}
"""By the days on which a quote may end, with what the quote form calls them."""


def _line_problems(snapshot: QuoteSnapshot, released_items: Mapping[str, bool] | None) -> Iterator[Problem]:
    seen: set[int] = set()
    for line in snapshot.lines:
        if line.line_no in seen:
            said = phrase("Two lines have the number {line}. Give every line a number of its own.", line=line.line_no)
            yield Problem.of("DUPLICATE_LINE", f"line {line.line_no}", said)
        seen.add(line.line_no)
        yield from _quantity_problem(line)
        yield from _price_problem(line)
        yield from _item_problem(line, snapshot.company, released_items)
        yield from _text_problem(f"line {line.line_no}: description", line.description, MAX_DESCRIPTION)


def _quantity_problem(line: QuoteLine) -> Iterator[Problem]:
    field, quantity = f"line {line.line_no}: quantity", line.quantity
    if not _possible(quantity):
        said = phrase(
            "The quantity is {quantity}. Enter a quantity above 0; goods come back by a return order.",
            quantity=plain(quantity),
        )
        yield Problem.of("BAD_QTY", field, said)
    elif decimals(quantity) > line.unit_decimals:
        both = {"quantity": plain(quantity), "unit": repr(line.unit)}
        said = phrase("The quantity {quantity} is not possible: unit {unit} takes no decimals.", **both)
        if line.unit_decimals:
            said = phrase(
                "The quantity {quantity} is not possible: unit {unit} takes at most {most} decimals.",
                most=line.unit_decimals,
                **both,
            )
        yield Problem.of("BAD_QTY", field, said)


def _possible(quantity: Decimal) -> bool:
    return quantity.is_finite() and quantity > 0


def _price_problem(line: QuoteLine) -> Iterator[Problem]:
    field, price = f"line {line.line_no}: price", line.price
    if price is None or not price.is_finite():
        said = phrase("There is no price. Choose a price list that holds the product, or enter a price.")
        yield Problem.of("NO_PRICE", field, said)
    elif price < 0:
        said = phrase("The price is {price}. Enter one of 0 or more.", price=f"{price:f}")
        yield Problem.of("NO_PRICE", field, said)
    elif price == 0 and not line.free_goods_reason.strip():
        said = phrase("The price is 0. Enter a price, or the reason why the goods are free.")
        yield Problem.of("NO_PRICE", field, said)
    elif line.discount < 0 or (line.net < 0 and _possible(line.quantity)):
        said = phrase("The discount must be between 0 and the amount of the line. Correct it.")
        yield Problem.of("BAD_DISCOUNT", f"line {line.line_no}: discount", said)


def _item_problem(line: QuoteLine, company: str, released_items: Mapping[str, bool] | None) -> Iterator[Problem]:
    field = f"line {line.line_no}: product"
    if line.item is None:
        said = phrase("A written-in product cannot be ordered from Finance. Choose a product of the catalogue.")
    elif released_items is None or released_items.get(line.item):
        return
    elif line.item in released_items:
        said = phrase(
            "Item {item} is stopped for sales in Finance company {company}. Choose another product.",
            item=line.item,
            company=company,
        )
    else:
        said = phrase(
            "Item {item} is not released for sale in Finance company {company}. Have it released, or choose another "
            "product.",
            item=line.item,
            company=company,
        )
    yield Problem.of("ITEM_NOT_RELEASED", field, said)


def _text_problem(field: str, text: str, limit: int) -> Iterator[Problem]:
    if odd := sorted({f"U+{ord(sign):04X}" for sign in _NO_DOCUMENT.findall(text)}):
        said = phrase("The text holds {signs}, which no document can hold. Type it again.", signs=", ".join(odd[:5]))
        yield Problem.of("BAD_CHARACTERS", field, said)
        return
    length = len(normalise(text).encode("utf-16-le")) // 2
    if length > limit:
        said = phrase("The text has {length} characters, limit {limit}. Shorten it.", length=length, limit=limit)
        yield Problem.of("TEXT_TOO_LONG", field, said)


def _total_problems(snapshot: QuoteSnapshot) -> Iterator[Problem]:
    """Whether header and lines agree, and every amount is one of its currency."""
    if snapshot.net < 0 or snapshot.header_discount < 0:
        said = phrase("The discount of the quote must be between 0 and the total of its lines. Correct it.")
        yield Problem.of("BAD_DISCOUNT", "discount", said)
        return
    currency = snapshot.currency
    for field, amount in (("net", snapshot.net), ("tax", snapshot.tax), ("total", snapshot.total)):
        if not is_money(amount, currency):
            said = phrase(
                "{amount} has more than {digits} decimals. Recalculate the quote.",
                amount=f"{amount:f} {currency}",
                digits=minor_digits(currency),
            )
            yield Problem.of("BAD_AMOUNT", field, said)
    with arithmetic():
        gross = sum((line.net for line in snapshot.lines), Decimal(0))
        of_lines = gross - gross * snapshot.header_discount_pct / 100 - snapshot.header_discount + snapshot.freight
    tolerance = DocumentTolerance()
    yield from _amount_problems(snapshot, tolerance)
    expectations = (
        ("net", snapshot.net, of_lines, _NET_DIFFERS),
        ("total", snapshot.total, snapshot.net + snapshot.tax, _TOTAL_DIFFERS),
    )
    for field, actual, expected, words in expectations:
        if not tolerance.same_document(actual, round_money(expected, currency), currency, len(snapshot.lines)):
            both = {"amount": money(actual, currency), "expected": money(expected, currency)}
            yield Problem.of("TOTALS_DIFFER", field, phrase(words, **both))


_NET_DIFFERS: Final = marked(
    "{amount} is not the lines, less the discount, plus freight, {expected}. Recalculate the quote and submit again."
)
_TOTAL_DIFFERS: Final = marked("{amount} is not net plus tax, {expected}. Recalculate the quote and submit again.")
_LINE_DIFFERS: Final = marked(
    "{amount} is not quantity times price, less the discount, {expected}. Recalculate the quote and submit again."
)


def _amount_problems(snapshot: QuoteSnapshot, tolerance: DocumentTolerance) -> Iterator[Problem]:
    """Whether each line comes to its quantity times its price, less its discount."""
    currency = snapshot.currency
    for line in snapshot.lines:
        if line.price is None or not (line.price.is_finite() and line.quantity.is_finite()):
            continue
        expected = line_net(line.quantity, line.price, currency, discount_amount=line.discount)
        if not tolerance.same_line(line.net, expected, currency):
            both = {"amount": money(line.net, currency), "expected": money(expected, currency)}
            yield Problem.of("TOTALS_DIFFER", f"line {line.line_no}: amount", phrase(_LINE_DIFFERS, **both))
