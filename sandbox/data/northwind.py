"""Northwind's 830 orders as quotes to be sold again.

Rules of the load: one company in USD; an item lists at the product's UnitPrice of today and costs 60 % of it; every
customer may owe 10,000.00; the rep is the order's employee; Sales Manager decides level 1, Vice President level 2, a
CFO is added for level 3 and a credit manager for holds. A quote's line is priced as it was sold: its amount before tax
is quantity × price × (1 − discount), rounded half up to cents. Tax is 10 % of the document. What was shipped then ships
in full now; what has no ShippedDate never ships. Invoices are paid in full.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from sandbox.data.model import Company, Customer, Dataset, Item, PlannedQuote, QuoteLine, spread
from sandbox.desk.plans import REST, Plan
from sandbox.entra.directory import Person

COMPANY = Company("nwnd", "Northwind Traders", "USD", "America/New_York", Decimal(10))
CREDIT_LIMIT = Decimal("10000.00")
_CENT = Decimal("0.01")
_COST_SHARE = Decimal("0.60")
_TABLES = ("customers", "employees", "order_details", "orders", "products")
_DECIDES = {"Sales Manager": "sales_manager", "Vice President, Sales": "sales_director"}

_SHIPS = Plan(shipments=(REST,), payments=(REST,))
_NEVER_SHIPS = Plan(shipments=(), payments=(REST,))


class NorthwindError(Exception):
    """The folder does not hold Northwind's tables; the text says what is missing."""


def load(folder: Path) -> Dataset:
    """Read Northwind's tables.

    Args:
        folder: holds `orders.csv`, `order_details.csv`, `products.csv`, `customers.csv` and `employees.csv`, with
            Northwind's column names, in UTF-8.

    Returns:
        The data set with one planned quote `NW-{OrderID}` an order, and in `expected` the totals that must come out.

    Raises:
        NorthwindError: a table or a column is missing, or an order names what is not there.
    """
    tables = {name: _read(folder, name) for name in _TABLES}
    try:
        items = {row["ProductID"]: _item(row) for row in tables["products"]}
        reps = {row["EmployeeID"]: _person(row) for row in tables["employees"]}
        customers = tuple(_customer(row) for row in tables["customers"])
        lines: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in tables["order_details"]:
            lines[row["OrderID"]].append(row)
        quotes = tuple(_quote(row, lines[row["OrderID"]], reps, items) for row in tables["orders"])
    except KeyError as error:
        raise NorthwindError(f"{folder}: no column or row {error}") from error
    people = (
        *reps.values(),
        Person("cfo", "Chief Financial Officer", ("cfo.nwnd",), "Chief financial officer", COMPANY.id),
        Person("carl", "Carl Castro", ("credit_manager.nwnd",), "Credit manager", COMPANY.id),
        Person("otto", "Otto Olsen", ("ops.nwnd",), "Sales operations", COMPANY.id),
    )
    return Dataset(
        "northwind", (COMPANY,), tuple(items.values()), customers, people, quotes, expected=_expected(quotes)
    )


def line_amount(quantity: Decimal, price: Decimal, discount: Decimal) -> Decimal:
    """What a line was sold at before tax, in USD: rounded half up to cents.

    >>> line_amount(Decimal(10), Decimal("9.8"), Decimal("0.15"))
    Decimal('83.30')
    """
    return (quantity * price * (1 - discount)).quantize(_CENT, ROUND_HALF_UP)


def _read(folder: Path, name: str) -> list[dict[str, str]]:
    path = folder / f"{name}.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise NorthwindError(f"{path}: {error.strerror}") from error


def _item(row: dict[str, str]) -> Item:
    price = Decimal(row["UnitPrice"]).quantize(_CENT)
    cost = (price * _COST_SHARE).quantize(_CENT, ROUND_HALF_UP)
    return Item(COMPANY.id, f"NW-{int(row['ProductID']):03}", row["ProductName"], price, cost, group="FOOD")


def _person(row: dict[str, str]) -> Person:
    roles = ["sales_rep.nwnd"]
    if decides := _DECIDES.get(row["Title"]):
        roles.append(f"{decides}.nwnd")
    display_name = f"{row['FirstName']} {row['LastName']}"
    return Person(row["LastName"].lower(), display_name, tuple(roles), row["Title"], COMPANY.id)


def _customer(row: dict[str, str]) -> Customer:
    return Customer(
        COMPANY.id,
        row["CustomerID"],
        row["CompanyName"],
        CREDIT_LIMIT,
        street=row["Address"],
        city=row["City"],
        postal_code=row["PostalCode"],
        country=row["Country"],
        contact=row["ContactName"],
        phone=row["Phone"],
    )


def _quote(
    order: dict[str, str], rows: list[dict[str, str]], reps: dict[str, Person], items: dict[str, Item]
) -> PlannedQuote:
    sold = [(Decimal(row["Quantity"]), Decimal(row["UnitPrice"]), Decimal(row["Discount"])) for row in rows]
    amounts = [line_amount(*line) for line in sold]
    tax = spread(
        (sum(amounts, Decimal(0)) * COMPANY.tax_pct / 100).quantize(_CENT, ROUND_HALF_UP), amounts, COMPANY.currency
    )
    lines = tuple(
        QuoteLine(
            items[row["ProductID"]].number,
            quantity,
            price=price,
            discount=(quantity * price).quantize(_CENT, ROUND_HALF_UP) - amount,
            tax=line_tax,
        )
        for row, (quantity, price, _), amount, line_tax in zip(rows, sold, amounts, tax, strict=True)
    )
    return PlannedQuote(
        number=f"NW-{order['OrderID']}",
        company=COMPANY.id,
        customer=order["CustomerID"],
        rep=reps[order["EmployeeID"]].name,
        name=f"Northwind order {order['OrderID']}",
        lines=lines,
        plan=_SHIPS if order["ShippedDate"] else _NEVER_SHIPS,
    )


def _net(quote: PlannedQuote) -> Decimal:
    return sum((line.quantity * (line.price or 0) - line.discount for line in quote.lines), Decimal(0))


def _expected(quotes: tuple[PlannedQuote, ...]) -> dict[str, object]:
    """Totals that must come out, amounts in USD as text; by quote, the net amount and whether it ends paid."""
    closing = [quote for quote in quotes if quote.plan.shipments]
    return {
        "orders": len(quotes),
        "closed": len(closing),
        "waiting_in_fulfilment": len(quotes) - len(closing),
        "net": str(sum(map(_net, quotes), Decimal(0))),
        "tax": str(sum((line.tax for quote in quotes for line in quote.lines), Decimal(0))),
        "quotes": {quote.number: {"net": str(_net(quote)), "closes": bool(quote.plan.shipments)} for quote in quotes},
    }
