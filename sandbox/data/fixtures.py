"""The sample companies: four legal entities, three items, the people who decide, and customers of every credit kind.

The numbers are chosen so that rules meet their boundaries: US-001 has 45,000.00 left of 100,000.00, US-002 is checked
against 90 % of its limit, US-003 has no credit at all, US-004 has no limit, US-005 is within its limit but 62 days
overdue.

The customers from US-9100 on and the last two items are those a program gets wrong that only ever met easy ones: an
invoice account, a spelling of Sales' own, a foreign currency, a tax that Sales does not know, a shared limit, a cash
discount, instalments, a hold, prices that include tax; an item Finance takes no order for, and one whose number has
both cases.
"""

from __future__ import annotations

from decimal import Decimal

from sandbox.data.model import (
    Company,
    CreditGroup,
    Customer,
    Dataset,
    Item,
    OpenInvoice,
    SalesTeam,
    SalesUser,
    round_to_currency,
)
from sandbox.entra.directory import Person

COMPANIES = (
    Company("usmf", "Contoso Entertainment System USA", "USD", "America/New_York", Decimal(10)),
    Company("demf", "Contoso Entertainment System Germany", "EUR", "Europe/Berlin", Decimal(19)),
    Company("jpmf", "Contoso Entertainment System Japan", "JPY", "Asia/Tokyo", Decimal(10)),
    Company("kwmf", "Contoso Entertainment System Kuwait", "KWD", "Asia/Kuwait", Decimal(0)),
)

# Number, name, list price and cost in USD; other companies list the same item at a fixed rate of their own.
_CATALOGUE = (
    ("P100", "Studio headphones", Decimal("100.00"), Decimal("60.00")),
    ("P250", "Bookshelf speakers, pair", Decimal("250.00"), Decimal("150.00")),
    ("P099", "Turntable cartridge", Decimal("99.99"), Decimal("60.00")),
    ("P001", "Cable clip", Decimal("0.50"), Decimal("0.10")),
)
_RATES = {"USD": Decimal(1), "EUR": Decimal(1), "JPY": Decimal(150), "KWD": Decimal("0.307")}

_HARD_ITEMS = (
    Item("usmf", "P300", "Cassette deck", Decimal("300.00"), Decimal("180.00"), stopped=True),
    Item("usmf", "Mx-15m", "Mixing desk cable, 15 m", Decimal("15.00"), Decimal("9.00")),
)


def _listed(company: Company) -> list[Item]:
    rate = _RATES[company.currency]
    return [
        Item(
            company.id,
            number,
            name,
            round_to_currency(price * rate, company.currency),
            round_to_currency(cost * rate, company.currency),
        )
        for number, name, price, cost in _CATALOGUE
    ]


ITEMS = (*(item for company in COMPANIES for item in _listed(company)), *_HARD_ITEMS)


def _person(name: str, display_name: str, title: str, role: str, company: str = "usmf") -> Person:
    return Person(name, display_name, (f"{role}.{company}",), title, company)


PEOPLE = (
    _person("rita", "Rita Reyes", "Account executive", "sales_rep"),
    _person("ravi", "Ravi Rao", "Account executive", "sales_rep"),
    _person("mona", "Mona Meyer", "Sales manager", "sales_manager"),
    _person("dirk", "Dirk Dorn", "Sales director", "sales_director"),
    _person("dina", "Dina Diaz", "Sales director", "sales_director"),
    _person("drew", "Drew Doyle", "Sales director", "sales_director"),
    _person("cora", "Cora Chen", "Chief financial officer", "cfo"),
    _person("leo", "Leo Lind", "Legal counsel", "legal"),
    _person("carl", "Carl Castro", "Credit manager", "credit_manager"),
    _person("cleo", "Cleo Clark", "Credit clerk", "credit_clerk"),
    _person("otto", "Otto Olsen", "Sales operations", "ops"),
    _person("olga", "Olga Orlova", "Sales operations", "ops"),
    _person("ada", "Ada Abbott", "Administrator", "admin"),
    _person("adam", "Adam Adler", "Administrator", "admin"),
    _person("audra", "Audra Ahn", "Internal auditor", "auditor"),
    _person("amy", "Amy Ames", "Accounts receivable manager", "ar_manager"),
    _person("rolf", "Rolf Richter", "Account executive", "sales_rep", "demf"),
    # A director's authority that does not reach beyond one company.
    _person("dora", "Dora Dietz", "Sales director", "sales_director", "demf"),
    _person("reiko", "Reiko Ito", "Account executive", "sales_rep", "jpmf"),
    _person("rashid", "Rashid Al-Sabah", "Account executive", "sales_rep", "kwmf"),
)

CUSTOMERS = (
    Customer(
        "usmf",
        "US-001",
        "Contoso Retail San Diego",
        Decimal("100000.00"),
        open_invoices=(OpenInvoice(Decimal("25000.00"), 12), OpenInvoice(Decimal("15000.00"), 20)),
        open_orders=(Decimal("15000.00"),),
        street="456 Peach Road",
        city="San Diego",
        postal_code="92101",
        country="USA",
        contact="Lee Oh",
        phone="555-0101",
    ),
    Customer(
        "usmf",
        "US-002",
        "Contoso Retail Los Angeles",
        Decimal("10000.00"),
        threshold_pct=Decimal(90),
        open_invoices=(OpenInvoice(Decimal("5000.00"), 15),),
        street="123 Violet Road",
        city="Los Angeles",
        postal_code="90014",
        country="USA",
        contact="Ida Brandt",
        phone="555-0102",
    ),
    Customer("usmf", "US-003", "Forest Wholesales", Decimal("0.00"), city="Seattle", country="USA"),
    Customer(
        "usmf",
        "US-004",
        "Cave Wholesales",
        Decimal("0.00"),
        unlimited=True,
        open_invoices=(OpenInvoice(Decimal("900000.00"), 25),),
        city="Tacoma",
        country="USA",
    ),
    Customer(
        "usmf",
        "US-005",
        "Contoso Retail Seattle",
        Decimal("50000.00"),
        open_invoices=(OpenInvoice(Decimal("12000.00"), -62), OpenInvoice(Decimal("8000.00"), 10)),
        city="Seattle",
        country="USA",
    ),
    # One customer, written in lower case in Sales.
    Customer(
        "usmf",
        "US-9200",
        "Lakeside Audio",
        Decimal("50000.00"),
        city="Duluth",
        country="USA",
        sales_account="us-9200",
    ),
    Customer("usmf", "US-9100", "Harbor Stores, head office", Decimal("20000.00"), city="Portland", country="USA"),
    # Its own limit is a trap: what counts is the invoice account's.
    Customer(
        "usmf",
        "US-9101",
        "Harbor Stores, branch Salem",
        Decimal("900000.00"),
        invoice_account="US-9100",
        city="Salem",
        country="USA",
    ),
    Customer(
        "usmf",
        "US-9300",
        "Nippon Audio Imports",
        Decimal("50000.00"),
        currency="JPY",
        city="Honolulu",
        country="USA",
    ),
    Customer(
        "usmf",
        "US-9400",
        "Downtown Hi-Fi",
        Decimal("50000.00"),
        surtax=Decimal("2.5"),
        city="Chicago",
        country="USA",
    ),
    Customer("usmf", "US-9500", "Twin Sound East", Decimal(50000), credit_group="TWIN", city="Albany", country="USA"),
    Customer("usmf", "US-9501", "Twin Sound West", Decimal(50000), credit_group="TWIN", city="Eugene", country="USA"),
    Customer(
        "usmf",
        "US-9600",
        "Prompt Payers",
        Decimal("50000.00"),
        cash_discount="2%D10",
        city="Hartford",
        country="USA",
    ),
    Customer(
        "usmf",
        "US-9700",
        "Monthly Music Hall",
        Decimal("50000.00"),
        payment_schedule="3 x monthly",
        city="Nashville",
        country="USA",
    ),
    Customer("usmf", "US-9800", "Stopped Sounds", Decimal("50000.00"), on_hold="All", city="Reno", country="USA"),
    Customer(
        "usmf",
        "US-9900",
        "Everything Included",
        Decimal("50000.00"),
        prices_include_tax=True,
        city="Salem",
        country="USA",
    ),
    # Two accounts of Sales for one customer of Finance: the second was entered again, without a number.
    Customer(
        "usmf",
        "US-9950",
        "Contoso Ltd",
        Decimal("50000.00"),
        open_invoices=(OpenInvoice(Decimal("1200.00"), 10),),
        open_orders=(Decimal("800.00"),),
        street="12 Harbour Way",
        city="Boston",
        state="MA",
        postal_code="02110",
        country="USA",
        email="payables@contoso-ltd.example",
        tax_number="US-84-1234567",
    ),
    Customer(
        "usmf",
        "TWIN",
        "CONTOSO LIMITED",
        Decimal(0),
        street="12 Harbour Way",
        city="Boston",
        state="MA",
        postal_code="02110",
        country="USA",
        email="purchasing@contoso-ltd.example",
        tax_number="US841234567",
        in_finance=False,
    ),
    # An account that nobody ever brought to Finance.
    Customer(
        "usmf",
        "NEW",
        "Larkspur Audio Inc.",
        Decimal(0),
        street="7 Mill Lane",
        city="Albany",
        state="NY",
        postal_code="12207",
        country="USA",
        email="office@larkspur-audio.example",
        phone="555-0199",
        in_finance=False,
    ),
    Customer("demf", "DE-001", "Kaufhaus Spree", Decimal("100000.00"), city="Berlin", country="DEU"),
    Customer("jpmf", "JP-001", "株式会社さくら音響", Decimal("10000000"), city="東京", country="JPN"),
    Customer("kwmf", "KW-001", "Gulf Sound Trading", Decimal("30000.000"), city="Kuwait City", country="KWT"),
)

SALES_USERS = (
    # No Entra ID object behind her: nobody can sign in as nora, and no approver can be compared with her by id.
    SalesUser("nora", "Nora Nilsen", "USMF"),
    # His business unit is no company's: Finance has no legal entity for what he sells.
    SalesUser("umberto", "Umberto Urso", "OUTLET"),
)
TEAMS = (SalesTeam("USMF inside sales", "usmf", ("rita", "ravi")),)
CREDIT_GROUPS = (CreditGroup("TWIN", Decimal("5000.00"), "USD"),)


def sample() -> Dataset:
    """The sample data set: no quotes yet, they are made at the desk."""
    return Dataset(
        "fixtures",
        COMPANIES,
        ITEMS,
        CUSTOMERS,
        PEOPLE,
        sales_users=SALES_USERS,
        teams=TEAMS,
        credit_groups=CREDIT_GROUPS,
    )


def empty() -> Dataset:
    """Companies, items and people, but no customers: for tests that bring their own."""
    return Dataset("empty", COMPANIES, ITEMS, (), PEOPLE)
