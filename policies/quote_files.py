"""Quotes as people write them into a file, to ask what the rules would say of them.

A quote here brings Finance's prices with it, so that it can be priced without a system: one JSON value for one quote, a
line of JSON each for many, or a CSV with a row for each line. Whatever is wrong is told with its line and field.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError, model_validator

from domain.money import arithmetic, round_money
from domain.people import Person
from domain.policy import Policy
from domain.pricing import FinancePrice
from domain.quote import QuoteLine, QuoteSnapshot
from domain.record import Record, problem_in_words
from domain.values import Company, Currency, Number, Percent
from domain.what_if import Proposal
from policies.given_files import GivenFileError, parse_json, read_json, read_text
from policies.plain_text import one_line

_MOST_TOLD: Final = 20
_UNIT: Final = "ea"
_TOO_MUCH: Final = Decimal(10) ** 15


class AskedLine(Record):
    """A line of a quote. Money in the quote's currency; at most one of `discount_pct`, `discount` and `net`."""

    item: str = Field(min_length=1, max_length=200, description="Item number, as people know it")
    product_group: str = Field("", max_length=100, description="ProductGroupId in Finance")
    quantity: Number = Field(gt=0, description="In the unit that is priced")
    list_price: Number = Field(ge=0, description="Finance's list price per unit")
    cost: Number = Field(ge=0, description="Finance's cost per unit")
    floor_price: Number | None = Field(None, ge=0, description="Finance's floor price per unit; left out: none")
    price: Number | None = Field(None, ge=0, description="Price per unit before discount; left out: the list price")
    discount_pct: Percent | None = Field(None, description="Discount in per cent of price; left out: none")
    discount: Number | None = Field(None, ge=0, description="The same as money off the whole line")
    net: Number | None = Field(None, ge=0, description="The same as what is left to pay for the line")

    @model_validator(mode="after")
    def _one_discount(self) -> AskedLine:
        given = [name for name in ("discount_pct", "discount", "net") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} say the same in two ways: keep one")
        if (
            self.quantity * max(self.unit_price, self.list_price, self.cost, self.floor_price or Decimal(0))
            >= _TOO_MUCH
        ):
            raise ValueError("quantity: the line comes to more than can be calculated with, 1,000,000,000,000,000")
        if self.discount is not None and self.discount > self.quantity * self.unit_price:
            raise ValueError("discount: is more than the line comes to")
        return self

    @property
    def unit_price(self) -> Decimal:
        """Per unit, before discount."""
        return self.list_price if self.price is None else self.price


class AskedQuote(Record):
    """A quote to ask the rules about."""

    quote: str = Field("", max_length=200, description="Its number, as people know it")
    company: Company = Field(description="Legal entity, lower case")
    customer: str = Field("", max_length=200, description="For people")
    customer_group: str = Field("", max_length=100, description="CustomerGroupId in Finance")
    on: date = Field(default_factory=date.today, description="Day on which it is asked; left out: today")
    requester: str = Field(
        "", max_length=200, description="Who asks and so never decides: key, sign-in name or oid of a person"
    )
    currency: Currency = Field(description="ISO 4217")
    payment_days: int = Field(ge=0, le=3650, description="Days of its payment terms")
    header_discount_pct: Percent = Field(Decimal(0), description="Discount on all lines together, in per cent")
    header_discount: Number = Field(Decimal(0), ge=0, description="The same as money")
    freight: Number = Field(Decimal(0), ge=0, description="Added to the net amount; never discounted")
    lines: tuple[AskedLine, ...] = Field(min_length=1, max_length=10_000)

    @model_validator(mode="after")
    def _comes_to_something(self) -> AskedQuote:
        if self.snapshot().net < self.freight:
            raise ValueError("header_discount: is more than the lines come to")
        return self

    def snapshot(self) -> QuoteSnapshot:
        """The quote as Sales would hold it, totals included; taxes are left out."""
        with arithmetic():
            lines = tuple(_line(number, line, self.currency) for number, line in enumerate(self.lines, start=1))
            gross = sum((line.net for line in lines), Decimal(0))
            goods = round_money(gross * (100 - self.header_discount_pct) / 100 - self.header_discount, self.currency)
            net = goods + self.freight
        return QuoteSnapshot(
            company=self.company,
            quote_id="",
            quote_number=self.quote,
            revision=0,
            customer_account=None,
            customer_name=self.customer,
            currency=self.currency,
            price_list_currency=self.currency,
            header_discount_pct=self.header_discount_pct,
            header_discount=self.header_discount,
            freight=self.freight,
            lines=lines,
            net=net,
            tax=Decimal(0),
            total=net,
            owner=Person(oid=self.requester),
        )

    def prices(self) -> dict[str, FinancePrice]:
        """Finance's prices of the lines; the same at any discount."""
        return {
            _key(number): FinancePrice(
                item=line.item,
                currency=self.currency,
                list_price=line.list_price,
                floor_price=line.floor_price,
                cost=line.cost,
                unit=_UNIT,
                group=line.product_group,
            )
            for number, line in enumerate(self.lines, start=1)
        }

    def proposal(self, policy: Policy) -> Proposal:
        """The quote to ask rules about; who asks is a person that ``policy`` names, or somebody it does not."""
        return Proposal(
            snapshot=self.snapshot(),
            prices=self.prices(),
            payment_days=self.payment_days,
            on=self.on,
            requester=self.asked_by(policy),
            customer_group=self.customer_group,
        )

    def asked_by(self, policy: Policy) -> Person:
        """Who asks: a person the policy names, or somebody it does not."""
        wanted = self.requester.casefold()
        for key, person in policy.authority.people.items():
            if wanted and wanted in (key.casefold(), person.upn.casefold(), person.oid.casefold()):
                return person
        return Person(oid=self.requester)


def _key(number: int) -> str:
    """What a line is priced by: two lines of one item may have two prices in a file."""
    return str(number)


def _line(number: int, line: AskedLine, currency: str) -> QuoteLine:
    base = line.quantity * line.unit_price
    off = line.discount if line.discount is not None else base * (line.discount_pct or 0) / 100
    if line.net is not None:
        off = base - line.net
    return QuoteLine(
        line_no=number,
        item=_key(number),
        unit=_UNIT,
        quantity=line.quantity,
        price=line.unit_price,
        discount=off,
        net=round_money(base - off, currency),
    )


def read_quote(file: Path) -> AskedQuote:
    """The one quote of a JSON file.

    Raises:
        GivenFileError: it cannot be read, is no JSON, or a field is wrong.
    """
    quote, problems = _quote(read_json(file), str(file))
    if quote is None:
        raise GivenFileError("\n".join(problems))
    return quote


def read_quotes(file: Path) -> list[AskedQuote]:
    """The quotes of a file of JSON lines or, where its name ends in .csv, of a CSV.

    Raises:
        GivenFileError: it cannot be read, holds no quote, or a field is wrong.
    """
    text = read_text(file)
    found: list[AskedQuote] = []
    problems: list[str] = []
    try:
        for where, content in _rows(text, file):
            quote, wrong = _quote(content, where)
            problems += wrong
            found += [] if quote is None else [quote]
            if len(problems) >= _MOST_TOLD:
                problems.append("… and what follows was not looked at")
                break
    except GivenFileError as error:
        problems.append(str(error))
    if not found and not problems:
        problems.append(f"{file}: holds no quote")
    if problems:
        raise GivenFileError("\n".join(problems))
    return found


def _rows(text: str, file: Path) -> Iterator[tuple[str, Any]]:
    if file.suffix.casefold() == ".csv":
        yield from _csv(text, file)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{file}: line {number}"
            yield where, parse_json(line, where)


def _csv(text: str, file: Path) -> Iterator[tuple[str, Any]]:
    """Quotes of a CSV: the rows with the same `quote` and `company` are its lines, wherever they stand."""
    of_quote = [name for name in AskedQuote.model_fields if name != "lines"]
    known = {*of_quote, *AskedLine.model_fields}
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    quotes: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
    try:
        columns = reader.fieldnames or ()
        unknown, lacking = [name for name in columns if name not in known], {"quote", "company"} - {*columns}
        if unknown or lacking or len({*columns}) < len(columns):
            say = f"unknown column {unknown[0]!r}" if unknown else f"column missing: {', '.join(sorted(lacking))}"
            say = say if unknown or lacking else "a column is written twice"
            raise GivenFileError(one_line(f"{file}: {say}; the columns are {', '.join((*of_quote, *_line_columns()))}"))
        for row in reader:
            where = f"{file}: line {reader.line_num}"
            if None in row or None in row.values():
                raise GivenFileError(f"{where}: has {len(columns)} columns in the first line, and not as many here")
            said = {name: text for name, text in row.items() if text.strip()}
            header = {name: said.pop(name) for name in of_quote if name in said}
            first, quote = quotes.setdefault(
                (header.get("company", ""), header.get("quote", "")), (reader.line_num, header | {"lines": []})
            )
            other = next((name for name in of_quote if header.get(name) != quote.get(name)), None)
            if other is not None:
                raise GivenFileError(f"{where}: {other}: is not what line {first} says of the same quote")
            quote["lines"].append(said)
    except csv.Error as error:
        raise GivenFileError(f"{file}: line {reader.line_num + 1}: not valid CSV: {error}") from error
    for first, quote in quotes.values():
        yield f"{file}: line {first}", quote


def _line_columns() -> tuple[str, ...]:
    return tuple(AskedLine.model_fields)


def _quote(content: Any, where: str) -> tuple[AskedQuote | None, list[str]]:
    try:
        return AskedQuote.model_validate(content, extra="forbid"), []
    except ValidationError as error:
        said = [
            (".".join(str(part) for part in problem["loc"]), problem_in_words(problem)) for problem in error.errors()
        ]
        # What is said of a list because of what stands in it would only repeat it.
        said = [each for each in said if not any(field.startswith(f"{each[0]}.") for field, _ in said)]
        return None, [one_line(": ".join(part for part in (where, *parts) if part)) for parts in said[:_MOST_TOLD]]
