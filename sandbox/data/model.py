"""The shape of a data set: companies, items, customers, people, and quotes to be played.

A data set is described once, here, and then written into both systems (`sandbox.data.install`), so that accounts and
customers, products and items, people and users agree from the first moment. Amounts are `Decimal` in the currency
named beside them; dates are given as days from today, because a sandbox is started on any day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path

from sandbox.currencies import minor_unit
from sandbox.desk.plans import Plan
from sandbox.entra.directory import Person


def round_to_currency(amount: Decimal, currency: str) -> Decimal:
    """The amount at the currency's minor unit, half away from zero (Finance's "Ordinary" rounding)."""
    return amount.quantize(minor_unit(currency), ROUND_HALF_UP)


def spread(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Divide an amount over lines by their weights so that the parts add up exactly (largest remainder first).

    >>> spread(Decimal("10.00"), [Decimal("33.33"), Decimal("33.33"), Decimal("33.34")], "USD")
    [Decimal('3.33'), Decimal('3.33'), Decimal('3.34')]
    """
    unit = minor_unit(currency)
    whole = sum(weights, Decimal(0))
    if not whole:
        return [Decimal(0).quantize(unit)] * len(weights)
    exact = [total * weight / whole for weight in weights]
    parts = [amount.quantize(unit, ROUND_DOWN) for amount in exact]
    units = int((total - sum(parts, Decimal(0))) / unit)
    step = unit.copy_sign(Decimal(units))
    by_remainder = sorted(range(len(parts)), key=lambda i: (-abs(exact[i] - parts[i]), i))
    for position in by_remainder[: abs(units)]:
        parts[position] += step
    return parts


@dataclass(frozen=True)
class Company:
    """A legal entity: its id (lower case), currency, time zone (IANA) and tax rate in percent by document."""

    id: str
    name: str
    currency: str
    time_zone: str
    tax_pct: Decimal


@dataclass(frozen=True)
class Item:
    """A released product of one company: list price and cost a unit, in the company's currency; its product group.

    A stopped item can still be quoted in Sales: it is Finance that takes no order for it.
    """

    company: str
    number: str
    name: str
    list_price: Decimal
    unit_cost: Decimal
    unit: str = "ea"
    stopped: bool = False
    group: str = "AUDIO"


@dataclass(frozen=True)
class OpenInvoice:
    """An unpaid invoice from before: `due_in_days` is negative when overdue."""

    amount: Decimal
    due_in_days: int


@dataclass(frozen=True)
class Customer:
    """A customer of one company, the same in Sales and Finance.

    `threshold_pct` is the share of the limit that credit management allows to be used; `open_orders` are values
    including tax of confirmed orders from before. `sales_account` is the account number as Sales writes it where it is
    not Finance's own spelling. `currency` is what the customer buys in, where it is not the company's; the limit is in
    the company's currency all the same. `invoice_account` is who pays. `surtax` is a sales tax of Finance's own, in
    percent, on top of the company's rate. `prices_include_tax` is Finance's setting of that name. `credit_group` names
    a limit shared with others (`Dataset.credit_groups`). One that is not `in_finance` is an account of Sales without a
    number, known to the desk by `account`; one that is not `in_sales` is a customer of Finance alone.
    """

    company: str
    account: str
    name: str
    credit_limit: Decimal
    unlimited: bool = False
    threshold_pct: Decimal = Decimal(100)
    payment_terms: str = "Net 30"
    open_invoices: tuple[OpenInvoice, ...] = ()
    open_orders: tuple[Decimal, ...] = ()
    street: str = ""
    city: str = ""
    postal_code: str = ""
    country: str = ""
    contact: str = ""
    phone: str = ""
    sales_account: str = ""
    currency: str = ""
    invoice_account: str = ""
    cash_discount: str = ""
    payment_schedule: str = ""
    surtax: Decimal = Decimal(0)
    prices_include_tax: bool = False
    credit_group: str = ""
    on_hold: str = "No"
    state: str = ""
    email: str = ""
    tax_number: str = ""
    in_finance: bool = True
    in_sales: bool = True


@dataclass(frozen=True)
class SalesUser:
    """A user Sales knows and the tenant's directory does not: synchronised from elsewhere, or left behind.

    `unit` is the name of the business unit, which need not be a company's.
    """

    name: str
    display_name: str
    unit: str


@dataclass(frozen=True)
class SalesTeam:
    """A team in Sales that can own quotes: its name, its company's id, and its members' user names."""

    name: str
    company: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class CreditGroup:
    """A limit that several customers share."""

    name: str
    limit: Decimal
    currency: str


@dataclass(frozen=True)
class QuoteLine:
    """A line as the rep enters it. `price` None takes the list price; `discount` is money off the whole line."""

    item: str
    quantity: Decimal
    price: Decimal | None = None
    discount: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    description: str = ""


@dataclass(frozen=True)
class PlannedQuote:
    """A draft quote of the data set and how the people played by the autopilot treat it."""

    number: str
    company: str
    customer: str
    rep: str
    name: str
    lines: tuple[QuoteLine, ...]
    plan: Plan


@dataclass(frozen=True)
class Dataset:
    """Everything a fresh sandbox holds. `expected` says what must come out of it, for `GET /expected`.

    `population` is a folder of tables that are read when they are asked for (`sandbox.data.bulk`).
    """

    name: str
    companies: tuple[Company, ...]
    items: tuple[Item, ...]
    customers: tuple[Customer, ...]
    people: tuple[Person, ...]
    quotes: tuple[PlannedQuote, ...] = ()
    sales_users: tuple[SalesUser, ...] = ()
    teams: tuple[SalesTeam, ...] = ()
    expected: dict[str, object] = field(default_factory=dict)
    credit_groups: tuple[CreditGroup, ...] = ()
    population: Path | None = None

    def company(self, company: str) -> Company:
        """The company of this id; KeyError when there is none."""
        found = next((entry for entry in self.companies if entry.id == company), None)
        if found is None:
            raise KeyError(company)
        return found
