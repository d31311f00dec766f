"""The rules that maps alone answer, and what of the others can be told without asking a system."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from domain.entities.findings import Break, Known, Unknown
from domain.entities.model import DataMap, FieldMap, Frequency, Owner, Pattern, Scope, SideName

Found = Iterator[Break | Unknown]
_Column = tuple[SideName, str, str]
"""Side, table and column."""

CREDIT_FINANCE: Final = re.compile(
    r"^(CreditLimit|CreditLimitIsMandatory|CreditRating|CreditMax|OnHoldStatus|CredMan\w*)$"
)
"""Columns of Finance that say how much credit somebody has, or that they have none."""
CREDIT_SALES: Final = frozenset(
    {"creditlimit", "creditonhold", "msdyn_onholdstatus", "msdyn_creditlimitismandatory", "msdyn_creditrating"}
)
_SELDOM: Final = frozenset({Frequency.HOURLY, Frequency.NIGHTLY})
TRANSACTION_TABLES: Final = frozenset({"quote", "quotedetail", "salesorder", "salesorderdetail"})
TRANSACTION_SETS: Final = re.compile(r"^(CDS|D365)?Sales(Quotation|Order)(Headers?|Lines?)(V\d+)?$")
PRICES_FINANCE: Final = frozenset({"SalesPrice", "UnitSalesPrice", "Price", "SalesPriceQuantity", "UnitCost"})
PRICES_SALES: Final = frozenset({"price", "priceperunit", "standardcost", "currentcost"})
PRICE_TABLES: Final = frozenset({"pricelevel", "productpricelevel"})
PRICE_SETS: Final = re.compile(r"^(SalesPriceAgreements|OpenSalesPriceJournalLines(V\d+)?|OpenTradeAgreement\w*)$")
PERSONAL: Final = re.compile(
    r"e-?mail|phone|mobile|(^|_|\b)fax|firstname|lastname|fullname|birth|contactname|addressstreet|address\d_line"
    r"|(shipto|billto)_(line|name|contact)|nationalid|governmentid|deliveryaddressname",
    re.I,
)
"""Names of columns that hold what belongs to a person."""
_PERSONAL_FORMS: Final = frozenset({"e164", "email"})


def is_credit(field: FieldMap) -> bool:
    """Whether a field says how much credit somebody has."""
    return bool(CREDIT_FINANCE.match(field.finance)) or field.sales in CREDIT_SALES


def is_price(data: DataMap, field: FieldMap) -> bool:
    """Whether a field is a price, or part of a list of prices."""
    list_of_prices = bool(
        (data.sales and data.sales.table in PRICE_TABLES) or (data.finance and PRICE_SETS.match(data.finance.set))
    )
    return field.finance in PRICES_FINANCE or field.sales in PRICES_SALES or list_of_prices


def credit_never_batch(known: Known) -> Found:
    """Rule 1."""
    for data in known.maps:
        if data.pattern is not Pattern.BATCH and data.frequency not in _SELDOM:
            continue
        for name, field in data.fields.items():
            if is_credit(field):
                yield Break(
                    data.entity, name, f"{field.finance} is credit and is moved {data.frequency} by {data.pattern}"
                )


def transactions_never_sync(known: Known) -> Found:
    """Rule 2."""
    for data in known.maps:
        if data.pattern not in (Pattern.SYNC, Pattern.DUAL_WRITE):
            continue
        named = [data.sales.table] if data.sales and data.sales.table in TRANSACTION_TABLES else []
        named += [data.finance.set] if data.finance and TRANSACTION_SETS.match(data.finance.set) else []
        if named:
            yield Break(data.entity, "", f"{named[0]} is a quote or an order and has the pattern {data.pattern}")


def price_never_to_finance(known: Known) -> Found:
    """Rule 3; an orchestrated order takes the price that its approval covers."""
    for data in known.maps:
        if data.pattern is Pattern.ORCHESTRATED:
            continue
        for name, field in data.fields.items():
            if is_price(data, field) and field.writes("finance"):
                yield Break(data.entity, name, f"{field.finance} is a price, and {field.owner} writes it to Finance")


def virtual_never_writes(known: Known) -> Found:
    """Rule 4."""
    for data in known.maps:
        if data.pattern is not Pattern.VIRTUAL:
            continue
        if data.direction.value != "to_sales":
            yield Break(data.entity, "", f"its pattern is virtual, and its direction is {data.direction}")
            continue
        for name, field in data.fields.items():
            if field.owner is not Owner.FINANCE:
                yield Break(data.entity, name, f"its pattern is virtual, and {field.finance} is owned by {field.owner}")


def key_columns_once(data: DataMap) -> Found:
    """Of rule 5: no column stands twice in a key."""
    for side, key in (("finance", data.finance and data.finance.key), ("sales", data.sales and data.sales.key)):
        twice = sorted({column for column in key or () if (key or ()).count(column) > 1})
        if twice:
            yield Break(data.entity, f"{side}.key", f"{', '.join(twice)} stands in it twice")


def company_in_the_key(known: Known) -> Found:
    """Rule 6, as far as maps tell."""
    for data in known.maps:
        company = data.company
        if data.finance:
            in_key = company.finance in data.finance.key
            if company.scope is Scope.SHARED and in_key:
                problem = f"Finance keeps these records by {company.finance}, and the scope is shared"
                yield Break(data.entity, "company", problem)
            if company.scope is not Scope.SHARED and not in_key:
                yield Break(data.entity, "finance.key", f"{company.finance} is not in it")
        if data.sales and company.scope is Scope.PER_COMPANY:
            first = (company.sales or "").partition(".")[0]
            if not first:
                yield Break(data.entity, "company.sales", "no column of Sales tells the company")
            elif not any(part.partition(".")[0] == first for part in data.sales.key):
                yield Break(data.entity, "sales.key", f"{first}, which tells the company, is not in it")
        if data.sales and company.scope is Scope.ONE_FOR_ALL and company.leads is None:
            yield Break(data.entity, "company.leads", "no company is named whose record Sales shows")


def newest_needs_times(data: DataMap) -> Found:
    """Of rule 7: both sides name a column that says when a record was changed."""
    lacking = [
        name
        for name, side in (("Finance", data.finance), ("Sales", data.sales))
        if side is None or side.modified is None
    ]
    for name, field in data.fields.items():
        if field.owner is Owner.NEWEST and lacking:
            yield Break(data.entity, name, f"NEWEST, and no column with the time of change in {' and '.join(lacking)}")


def one_owner(known: Known) -> Found:
    """Rule 8: within a map and across maps of the same table."""
    written: dict[_Column, int] = defaultdict(int)
    owners: dict[_Column, set[Owner]] = defaultdict(set)
    places: dict[_Column, list[tuple[DataMap, str]]] = defaultdict(list)
    for data in known.maps:
        for name, field in data.fields.items():
            for where in _columns(data, field):
                owners[where].add(field.owner)
                places[where].append((data, name))
                written[where] += field.writes(where[0])
    for where, found in places.items():
        if len(found) < 2 or (len(owners[where]) < 2 and written[where] < 2):
            continue
        _, table, column = where
        data, name = found[-1]
        others = ", ".join(f"{other.entity}.{field}" for other, field in found[:-1])
        yield Break(data.entity, name, f"{table}.{column} is also {others}, with {_owned(owners[where])}")


def _columns(data: DataMap, field: FieldMap) -> Iterator[_Column]:
    """The columns of a field on both sides, where its map has both."""
    if data.finance and data.sales and field.sales:
        yield "finance", data.finance.set, field.finance
        yield "sales", data.sales.table, field.sales


def _owned(owners: set[Owner]) -> str:
    return f"the owners {', '.join(sorted(owners))}" if len(owners) > 1 else f"the owner {next(iter(owners))}"


def values_told(data: DataMap) -> Found:
    """Of rule 10: a value map that both sides read can be read from both sides."""
    for name, field in data.fields.items():
        if field.values is None or not field.writes("finance"):
            continue
        seen: dict[str, str] = {}
        for finance, sales in field.values.items():
            if sales in seen:
                problem = f"{sales} of Sales stands for {seen[sales]} and for {finance} of Finance"
                yield Break(data.entity, name, problem)
            seen[sales] = finance


def personal_data_tagged(known: Known) -> Found:
    """Rule 14."""
    for data in known.maps:
        for name, field in data.fields.items():
            if field.pii:
                continue
            named = [column for column in (field.finance, field.sales) if column and PERSONAL.search(column)]
            if named:
                yield Break(data.entity, name, f"{named[0]} holds personal data and is not tagged")
            elif field.normal in _PERSONAL_FORMS:
                yield Break(data.entity, name, f"its form {field.normal} is personal data and is not tagged")
