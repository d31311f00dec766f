"""Companies, customers, items and prices: setting them up, and the rules that hang on them.

Customers are written through OData as well; the rest is set-up data that the sandbox's owner loads. The rules here are
the ones other parts ask about: what a customer's hold status blocks, and which price agreement applies.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.finance.amounts import DECIMALS, round_money
from sandbox.finance.books import Books, Company
from sandbox.finance.errors import InfologError, must_be_filled, not_found_in
from sandbox.finance.events import CUST_BLOCKED, CUST_CREDIT_LIMIT_CHANGED
from sandbox.finance.model import EMPTY_DATE, ENUMS, SALES_ORDERS, EntitySet, day_of
from sandbox.store import Row

BLOCKED_BY: Final[Mapping[str, frozenset[str]]] = {
    "No": frozenset(),
    "Invoice": frozenset({"invoice"}),
    "All": frozenset({"order", "confirm", "pick", "packingSlip", "invoice"}),
    "Payment": frozenset({"payment"}),
    "Requisition": frozenset(),
    "Never": frozenset(),
    "PurchOrder": frozenset(),
}
"""OnHoldStatus of a customer -> what it stops. (Microsoft Learn: "Customer holds": Invoice stops invoicing, All stops
every sales transaction; Never is never put on hold by the system.)"""

PAYMENT_TERMS: Final = (
    ("COD", "Cash on delivery", "COD", 0),
    ("Net 10", "Net 10 days", "Net", 10),
    ("Net 15", "Net 15 days", "Net", 15),
    ("Net 30", "Net 30 days", "Net", 30),
    ("Net 45", "Net 45 days", "Net", 45),
    ("Net 60", "Net 60 days", "Net", 60),
    ("Net 75", "Net 75 days", "Net", 75),
    ("Net 90", "Net 90 days", "Net", 90),
    ("EOM 30", "End of month and 30 days", "CurrentMth", 30),
)
"""Name, description, method and days of the terms every company starts with."""

UNITS: Final = (
    ("ea", "Each", "Quantity", 0),
    ("pcs", "Pieces", "Quantity", 0),
    ("box", "Box", "Quantity", 0),
    ("hr", "Hours", "Time", 2),
    ("kg", "Kilograms", "Mass", 3),
)
"""Symbol, description, class and decimals of the units of measure."""

CUSTOMER_SOURCE: Final = "CustTable (CustTable)"

_CURRENCY_NAMES: Final = {
    "USD": ("US Dollar", "$"),
    "EUR": ("Euro", "€"),
    "JPY": ("Japanese Yen", "¥"),
    "KWD": ("Kuwaiti Dinar", "KD"),
    "GBP": ("Pound Sterling", "£"),
}
_TIME_ZONES: Final = {
    "America/New_York": "GMTMINUS0500EASTERNTIME",
    "Europe/Berlin": "GMTPLUS0100_AMSTERDAM_BERLIN_BERN_ROME",
    "Asia/Tokyo": "GMTPLUS0900OSAKA_SAPPORO_TOKYO",
    "Asia/Kuwait": "GMTPLUS0300KUWAIT_RIYADH",
}


def blocks(customer: Row, action: str) -> bool:
    """Whether the customer's hold status stops an action (order, confirm, pick, packingSlip, invoice, payment)."""
    return action in BLOCKED_BY[customer.get("OnHoldStatus", "No")]


def set_up_company(books: Books, company: Company, name: str) -> None:
    """Store a company's legal entity and the set-up rows every company starts with."""
    zone = _TIME_ZONES.get(company.timezone, "")
    row: Row = {"LegalEntityId": company.id, "Name": name or company.id.upper(), "LanguageId": "en-us"}
    if zone in ENUMS["Timezone"]:
        row["TimeZone"] = zone
    books.insert("LegalEntities", row)
    add_currency(books, company.currency)
    for symbol, description, unit_class, decimals in UNITS:
        if books.get("UnitsOfMeasure", symbol) is None:
            books.insert(
                "UnitsOfMeasure",
                {
                    "UnitSymbol": symbol,
                    "UnitDescription": description,
                    "UnitClass": unit_class,
                    "DecimalPrecision": decimals,
                },
            )
    for term, description, method, days in PAYMENT_TERMS:
        books.insert(
            "PaymentTerms",
            {
                "dataAreaId": company.id,
                "Name": term,
                "Description": description,
                "PaymentMethodType": method,
                "NumberOfDays": days,
            },
        )
    for group, description in (("10", "Wholesale customers"), ("30", "Retail customers")):
        books.insert(
            "CustomerGroups",
            {
                "dataAreaId": company.id,
                "CustomerGroupId": group,
                "Description": description,
                "PaymentTermId": "Net 30",
            },
        )


def add_currency(books: Books, code: str) -> None:
    """Store a currency with its rounding rule, unless it is there."""
    if books.get("Currencies", code) is not None:
        return
    name, symbol = _CURRENCY_NAMES.get(code, (code, code))
    rule = Decimal(1).scaleb(-DECIMALS.get(code, 2))
    books.insert(
        "Currencies",
        {
            "CurrencyCode": code,
            "Name": name,
            "Symbol": symbol,
            "GeneralRoundingRule": rule,
            "RoundingRulePrices": rule,
            "RoundingRuleSalesOrders": rule,
            "RoundingRulePurchaseOrders": rule,
        },
    )


def create_customer(books: Books, entity: EntitySet, company: Company, sent: Mapping[str, Any]) -> Row:
    """Insert a customer.

    Raises:
        InfologError: Group, currency, name or account is missing, or refers to nothing.
        sandbox.store.DuplicateKey: The account exists.
    """
    person = " ".join(part for part in (sent.get("PersonFirstName"), sent.get("PersonLastName")) if part)
    name = sent.get("OrganizationName") or person
    group = sent.get("CustomerGroupId", "")
    required = (
        (sent.get("CustomerAccount", ""), "Customer account"),
        (name, "Name"),
        (group, "Customer group"),
        (sent.get("SalesCurrencyCode", ""), "Currency"),
    )
    for value, field in required:
        if not value:
            raise must_be_filled(field, entity.entity, CUSTOMER_SOURCE)
    group_row = books.get("CustomerGroups", company.id, group)
    if group_row is None:
        raise not_found_in(group, "Customer group", "Customer groups", entity.entity, "CustomerGroupId")
    row: Row = {
        "PartyType": "Organization" if sent.get("OrganizationName") else "Person",
        "OrganizationName": name,
        "NameAlias": name[:20],
        "LanguageId": "en-us",
        "PaymentTerms": group_row.get("PaymentTermId", ""),
        "InvoiceAccount": "",
        "CreditLimit": Decimal(0),
        "OnHoldStatus": "No",
        "CredManCustUnlimitedCredit": "No",
        "CredManGroupId": "",
        **sent,
        "dataAreaId": company.id,
    }
    _check_customer(books, entity, company, row)
    row["PartyNumber"] = row.get("PartyNumber") or books.next_number(company, "party", "{:09d}")
    return books.insert("CustomersV3", row)


def update_customer(books: Books, entity: EntitySet, company: Company, row: Row, sent: Mapping[str, Any]) -> Row:
    """Change a customer; a new credit limit or hold status raises its business event.

    Raises:
        InfologError: A value refers to nothing.
    """
    changes = {column: value for column, value in sent.items() if row.get(column) != value}
    if not changes:
        return row
    _check_customer(books, entity, company, row | changes)
    account = row["CustomerAccount"]
    if "CreditLimit" in changes:
        fields = {
            "CustAccount": account,
            "OldLimit": row["CreditLimit"],
            "NewLimit": changes["CreditLimit"],
            "LegalEntity": company.id,
        }
        books.events.emit(CUST_CREDIT_LIMIT_CHANGED, company.id, fields)
    if "OnHoldStatus" in changes:
        fields = {"CustAccount": account, "OnHoldStatus": changes["OnHoldStatus"], "LegalEntity": company.id}
        books.events.emit(CUST_BLOCKED, company.id, fields)
    return books.update("CustomersV3", row, changes)


def delete_customer(books: Books, entity: EntitySet, company: Company, row: Row) -> None:
    """Delete a customer without orders or transactions.

    Raises:
        InfologError: Something depends on it.
    """
    account = row["CustomerAccount"]
    used = books.find("CustTransactions", AccountNum=account, dataAreaId=company.id) or books.find(
        SALES_ORDERS, OrderingCustomerAccountNumber=account, dataAreaId=company.id
    )
    if used:
        raise InfologError(
            entity.entity, (f"Error: Customer {account} cannot be deleted while dependent transactions exist.",)
        )
    books.delete("CustomersV3", row)


def _check_customer(books: Books, entity: EntitySet, company: Company, row: Mapping[str, Any]) -> None:
    group = row["CustomerGroupId"]
    references = (
        ("SalesCurrencyCode", "Currency", "Currency", "Currencies", (row["SalesCurrencyCode"],)),
        ("PaymentTerms", "Terms of payment", "Terms of payment", "PaymentTerms", (company.id, row["PaymentTerms"])),
        ("CustomerGroupId", "Customer group", "Customer groups", "CustomerGroups", (company.id, group)),
    )
    for column, field, related, table, key in references:
        if row[column] and books.get(table, *key) is None:
            raise not_found_in(row[column], field, related, entity.entity, column)
    if row["CreditLimit"] < 0:
        raise InfologError(entity.entity, ("Warning: Credit limit must not be negative.",))


def sales_price(books: Books, company: Company, header: Row, item: Row, line: Mapping[str, Any]) -> Decimal:
    """The unit price of a line whose caller sent none, in the order's currency.

    Price agreements are searched for the customer, then for the customer's price group, then for all customers; the
    lowest price that fits currency, unit, quantity and date wins. Without one the item's base sales price is taken, at
    the exchange rate where the order is in another currency than the company.
    """
    today = books.today(company)
    fitting = [
        row
        for row in books.find("SalesPriceAgreements", ItemNumber=item["ItemNumber"], dataAreaId=company.id)
        if row["PriceCurrencyCode"] == line["CurrencyCode"]
        and row.get("QuantityUnitySymbol", "") in ("", line["SalesUnitSymbol"])
        and row.get("FromQuantity", Decimal(0)) <= line["OrderedSalesQuantity"]
        and (not row.get("ToQuantity") or line["OrderedSalesQuantity"] <= row["ToQuantity"])
        and _in_force(row.get("PriceApplicableFromDate"), row.get("PriceApplicableToDate"), today.isoformat())
    ]
    account, group = header["OrderingCustomerAccountNumber"], header.get("PriceCustomerGroupCode", "")
    for customer, price_group in ((account, ""), ("", group), ("", "")):
        prices: list[Decimal] = [
            row["Price"] / (row.get("SalesPriceQuantity") or 1) * line["SalesPriceQuantity"]
            for row in fitting
            if row.get("CustomerAccountNumber", "") == customer and row.get("PriceCustomerGroupCode", "") == price_group
        ]
        if prices:
            return min(prices)
    base: Decimal = item.get("SalesPrice", Decimal(0))
    currency = line["CurrencyCode"]
    if currency == company.currency:
        return base
    return round_money(base * books.rates[company.currency, currency], currency)


def _in_force(start: str | None, end: str | None, today: str) -> bool:
    begun = not start or start == EMPTY_DATE or day_of(start).isoformat() <= today
    ended = bool(end) and end != EMPTY_DATE and day_of(end or EMPTY_DATE).isoformat() < today
    return begun and not ended
