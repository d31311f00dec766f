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

from domain.assessment import Problem
from domain.money import DocumentTolerance, arithmetic, decimals, format_money, is_money, minor_digits, round_money
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
    text = f"There are {more} more problems; correct those listed and submit again to see them."
    return (*problems[: MAX_PROBLEMS - 1], Problem(code="MORE_PROBLEMS", field="lines", message=text))


def _owner_problems(snapshot: QuoteSnapshot) -> Iterator[Problem]:
    """Nobody decides their own quote: it must be known whose it is."""
    if not snapshot.owner.oid:
        yield Problem(
            code="UNKNOWN_OWNER",
            field="owner",
            message="The quote is owned by a team, or by a user without an account in Entra ID. Assign it to a person "
            "who signs in with their own account, and submit it again.",
        )


def _customer_problems(
    snapshot: QuoteSnapshot, customer_currency: str | None, customer_blocked: bool, namesakes: int
) -> Iterator[Problem]:
    """What is wrong with the customer; what would only follow from one is not said as well."""
    account, currency = snapshot.customer_account, snapshot.currency
    if not account:
        yield Problem(
            code="CUSTOMER_UNMAPPED",
            field="customer",
            message=f"Customer {snapshot.customer_name or 'of the quote'} has no account number in Sales. Create the "
            "customer in Finance and enter its account number on the account.",
        )
        return
    if namesakes:
        others = "another account carries" if namesakes == 1 else f"{namesakes} other accounts carry"
        yield Problem(
            code="DUPLICATE_CUSTOMER",
            field="customer",
            message=f"In Sales {others} the account number {account} as well. Merge the accounts, or "
            "correct the wrong number.",
        )
        return
    if customer_currency is None:
        yield Problem(
            code="CUSTOMER_UNMAPPED",
            field="customer",
            message=f"Finance company {snapshot.company} has no customer {account}. Create it there, or correct the "
            "account number on the account in Sales.",
        )
        return
    if customer_currency != currency:
        yield Problem(
            code="CURRENCY_MISMATCH",
            field="currency",
            message=f"The quote is in {currency}, customer {account} buys in {customer_currency}. Create the quote in "
            f"{customer_currency}.",
        )
    if customer_blocked:
        yield Problem(
            code="CUSTOMER_BLOCKED",
            field="customer",
            message=f"Customer {account} is on hold in Finance. Ask the credit manager to lift the hold, then submit "
            "again.",
        )


def _header_problems(snapshot: QuoteSnapshot, today: date) -> Iterator[Problem]:
    currency = snapshot.currency
    if snapshot.price_list_currency != currency:
        yield Problem(
            code="CURRENCY_MISMATCH",
            field="price_list",
            message=f"The quote is in {currency}, its price list in {snapshot.price_list_currency}. Choose a price "
            f"list in {currency}.",
        )
    for field, day in (("expires_on", snapshot.expires_on), ("effective_to", snapshot.effective_to)):
        if day is not None and day < today:
            yield Problem(
                code="EXPIRED",
                field=field,
                message=f"The quote expired on {day.isoformat()}. Set {_EXPIRY_FIELDS[field]} to today or later.",
            )
    if snapshot.unmapped_payment_terms:
        yield Problem(
            code="UNMAPPED_PAYMENT_TERM",
            field="payment_terms",
            message=f"The payment terms {snapshot.unmapped_payment_terms!r} have no counterpart in Finance. Choose "
            "others, or have them added to entity_map.yaml under payment_terms.",
        )
    yield from _text_problem("name", snapshot.name, MAX_NAME)
    yield from _text_problem("customer_reference", snapshot.customer_reference, MAX_REFERENCE)
    yield from _address_problems(snapshot.delivery)
    if not snapshot.lines:
        yield Problem(code="NO_LINES", field="lines", message="The quote has no lines. Add at least one product.")
    if len(snapshot.lines) > MAX_LINES:
        yield Problem(
            code="TOO_MANY_LINES",
            field="lines",
            message=f"The quote has {len(snapshot.lines):,} lines, at most {MAX_LINES:,} can be ordered at once. "
            "Split it into several quotes.",
        )


def _address_problems(address: DeliveryAddress | None) -> Iterator[Problem]:
    if address is None:
        return
    for part, limit in MAX_ADDRESS.items():
        yield from _text_problem(f"delivery: {part}", getattr(address, part), limit)
    if address.unmapped_country:
        yield Problem(
            code="UNMAPPED_COUNTRY",
            field="delivery: country",
            message=f"The country {address.unmapped_country!r} has no counterpart in Finance. Correct the ship-to "
            "country, or have it added to entity_map.yaml under countries.",
        )


_EXPIRY_FIELDS: Final = {"expires_on": "the due-by date", "effective_to": "Effective To"}
"""What the quote form calls the days on which a quote may end."""


def _line_problems(snapshot: QuoteSnapshot, released_items: Mapping[str, bool] | None) -> Iterator[Problem]:
    seen: set[int] = set()
    for line in snapshot.lines:
        if line.line_no in seen:
            yield Problem(
                code="DUPLICATE_LINE",
                field=f"line {line.line_no}",
                message=f"Two lines have the number {line.line_no}. Give every line a number of its own.",
            )
        seen.add(line.line_no)
        yield from _quantity_problem(line)
        yield from _price_problem(line)
        yield from _item_problem(line, snapshot.company, released_items)
        yield from _text_problem(f"line {line.line_no}: description", line.description, MAX_DESCRIPTION)


def _quantity_problem(line: QuoteLine) -> Iterator[Problem]:
    field, quantity = f"line {line.line_no}: quantity", line.quantity
    if not _possible(quantity):
        text = f"The quantity is {quantity}. Enter a quantity above 0; goods come back by a return order."
        yield Problem(code="BAD_QTY", field=field, message=text)
    elif decimals(quantity) > line.unit_decimals:
        most = f"at most {line.unit_decimals} decimals" if line.unit_decimals else "no decimals"
        text = f"The quantity {quantity:f} is not possible: unit {line.unit!r} takes {most}."
        yield Problem(code="BAD_QTY", field=field, message=text)


def _possible(quantity: Decimal) -> bool:
    return quantity.is_finite() and quantity > 0


def _price_problem(line: QuoteLine) -> Iterator[Problem]:
    field, price = f"line {line.line_no}: price", line.price
    if price is None or not price.is_finite():
        text = "There is no price. Choose a price list that holds the product, or enter a price."
        yield Problem(code="NO_PRICE", field=field, message=text)
    elif price < 0:
        yield Problem(code="NO_PRICE", field=field, message=f"The price is {price:f}. Enter one of 0 or more.")
    elif price == 0 and not line.free_goods_reason.strip():
        text = "The price is 0. Enter a price, or the reason why the goods are free."
        yield Problem(code="NO_PRICE", field=field, message=text)
    elif line.discount < 0 or (line.net < 0 and _possible(line.quantity)):
        text = "The discount must be between 0 and the amount of the line. Correct it."
        yield Problem(code="BAD_DISCOUNT", field=f"line {line.line_no}: discount", message=text)


def _item_problem(line: QuoteLine, company: str, released_items: Mapping[str, bool] | None) -> Iterator[Problem]:
    field = f"line {line.line_no}: product"
    if line.item is None:
        text = "A written-in product cannot be ordered from Finance. Choose a product of the catalogue."
    elif released_items is None or released_items.get(line.item):
        return
    elif line.item in released_items:
        text = f"Item {line.item} is stopped for sales in Finance company {company}. Choose another product."
    else:
        text = f"Item {line.item} is not released for sale in Finance company {company}. Have it released, or choose "
        text += "another product."
    yield Problem(code="ITEM_NOT_RELEASED", field=field, message=text)


def _text_problem(field: str, text: str, limit: int) -> Iterator[Problem]:
    if odd := sorted({f"U+{ord(sign):04X}" for sign in _NO_DOCUMENT.findall(text)}):
        message = f"The text holds {', '.join(odd[:5])}, which no document can hold. Type it again."
        yield Problem(code="BAD_CHARACTERS", field=field, message=message)
        return
    length = len(normalise(text).encode("utf-16-le")) // 2
    if length > limit:
        message = f"The text has {length:,} characters, limit {limit:,}. Shorten it."
        yield Problem(code="TEXT_TOO_LONG", field=field, message=message)


def _total_problems(snapshot: QuoteSnapshot) -> Iterator[Problem]:
    """Whether header and lines agree, and every amount is one of its currency."""
    if snapshot.net < 0 or snapshot.header_discount < 0:
        text = "The discount of the quote must be between 0 and the total of its lines. Correct it."
        yield Problem(code="BAD_DISCOUNT", field="discount", message=text)
        return
    currency = snapshot.currency
    for field, amount in (("net", snapshot.net), ("tax", snapshot.tax), ("total", snapshot.total)):
        if not is_money(amount, currency):
            text = f"{amount:f} {currency} has more than {minor_digits(currency)} decimals. Recalculate the quote."
            yield Problem(code="BAD_AMOUNT", field=field, message=text)
    with arithmetic():
        gross = sum((line.net for line in snapshot.lines), Decimal(0))
        of_lines = gross - gross * snapshot.header_discount_pct / 100 - snapshot.header_discount + snapshot.freight
    tolerance = DocumentTolerance()
    yield from _amount_problems(snapshot, tolerance)
    expectations = (
        ("net", snapshot.net, of_lines, "the lines, less the discount, plus freight"),
        ("total", snapshot.total, snapshot.net + snapshot.tax, "net plus tax"),
    )
    for field, actual, expected, what in expectations:
        if not tolerance.same_document(actual, round_money(expected, currency), currency, len(snapshot.lines)):
            text = f"{format_money(actual, currency)} is not {what}, {format_money(expected, currency)}. "
            yield Problem(code="TOTALS_DIFFER", field=field, message=text + "Recalculate the quote and submit again.")


def _amount_problems(snapshot: QuoteSnapshot, tolerance: DocumentTolerance) -> Iterator[Problem]:
    """Whether each line comes to its quantity times its price, less its discount."""
    currency = snapshot.currency
    for line in snapshot.lines:
        if line.price is None or not (line.price.is_finite() and line.quantity.is_finite()):
            continue
        expected = line_net(line.quantity, line.price, currency, discount_amount=line.discount)
        if not tolerance.same_line(line.net, expected, currency):
            text = f"{format_money(line.net, currency)} is not quantity times price, less the discount, "
            text += f"{format_money(expected, currency)}. Recalculate the quote and submit again."
            yield Problem(code="TOTALS_DIFFER", field=f"line {line.line_no}: amount", message=text)
