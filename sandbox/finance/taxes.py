"""Sales tax: which codes apply to a line, their rates, and the tax of a document.

A line is taxed with the codes that are in its sales tax group (from the customer) and in its item sales tax group
(from the item) at once. Each code's tax is computed on its base in the whole document and rounded once; spread over the
lines it adds up to that amount. A line without either group is not taxed. Where a document's prices include sales tax,
its amounts are what is to be paid, and the tax is taken out of them.
Source: Microsoft Learn, "Sales tax groups and item sales tax groups", "Sales tax calculation methods",
"Prices include sales tax".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from typing import Final

from sandbox.finance.amounts import WIDE, part_of, round_money
from sandbox.finance.books import Books, Company

STANDARD_CODE: Final = "STD"
DOMESTIC_GROUP: Final = "DOM"
FULL_ITEM_GROUP: Final = "FULL"
NO_TAX_ITEM_GROUP: Final = "NONE"


@dataclass(frozen=True, slots=True)
class Taxable:
    """A part of a document: its net amount, and the groups that decide its tax."""

    amount: Decimal
    group: str
    item_group: str


def rates(books: Books, company: Company, group: str, item_group: str, day: date) -> Mapping[str, Decimal]:
    """Tax code -> percentage for a combination of groups on a day."""
    key = (company.id, group.lower(), item_group.lower(), day)
    known = books.tax_rates.get(key)
    if known is None:
        known = books.tax_rates[key] = _look_up(books, company, group, item_group, day)
    return known


def _look_up(books: Books, company: Company, group: str, item_group: str, day: date) -> dict[str, Decimal]:
    if not group or not item_group:
        return {}
    of_group = {
        row["TaxCodeId"]
        for row in books.find("TaxGroupDatas", TaxGroupId=group, dataAreaId=company.id)
        if row.get("ExemptTax", "No") == "No"
    }
    of_item = {
        row["TaxCodeId"] for row in books.find("TaxItemGroups", TaxItemGroupCode=item_group, dataAreaId=company.id)
    }
    return {code: _value(books, company, code, day) for code in sorted(of_group & of_item)}


def _value(books: Books, company: Company, code: str, day: date) -> Decimal:
    stamp = day.isoformat()
    rows = [
        row
        for row in books.find("TaxCodeValuesV2", TaxCodeId=code, dataAreaId=company.id)
        if row["FromDate"][:10] <= stamp and (row["ToDate"][:4] == "1900" or stamp <= row["ToDate"][:10])
    ]
    latest = max(rows, key=lambda row: str(row["FromDate"]), default=None)
    return Decimal(0) if latest is None else latest["Value"]


def document_tax(
    books: Books,
    company: Company,
    parts: Sequence[Taxable],
    discount_percentage: Decimal,
    currency: str,
    day: date,
    *,
    included: bool = False,
) -> tuple[Decimal, tuple[Decimal, ...]]:
    """(tax of the document, tax of each part) in the document's currency.

    Args:
        books: Where the tax set-up is.
        company: The document's company.
        parts: Lines and charges, net of their own discounts.
        discount_percentage: Total discount, which lowers the tax base.
        currency: ISO code.
        day: Date of the rates.
        included: Whether the parts include the tax.
    """
    by_code: dict[str, list[int]] = {}
    percentage: dict[str, Decimal] = {}
    before_tax = []
    for position, part in enumerate(parts):
        applies = rates(books, company, part.group, part.item_group, day)
        for code, value in applies.items():
            by_code.setdefault(code, []).append(position)
            percentage[code] = value
        with localcontext(WIDE):
            inside = sum(applies.values(), Decimal(0)) if included else Decimal(0)
            before_tax.append(part.amount / (1 + inside / 100))
    spread = [Decimal(0)] * len(parts)
    whole = Decimal(0)
    for code, positions in by_code.items():
        with localcontext(WIDE):
            net = sum((before_tax[position] for position in positions), Decimal(0))
            reduction = net * discount_percentage / 100
            base = net - (reduction if included else round_money(reduction, currency))
            tax = round_money(base * percentage[code] / 100, currency)
        whole += tax
        done = Decimal(0)
        for position in positions:
            amount = before_tax[position]
            spread[position] += part_of(tax, net, done, amount, currency)
            done += amount
    return whole, tuple(spread)
