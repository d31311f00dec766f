"""The set-up every company starts with: what an implementer would have entered before the first order.

Terms, cash discounts and schedules, units and their conversions, tax codes and groups, sites and warehouses, delivery
terms, payment methods, order origins, reason codes, exchange rate types, ledger and parameters. The names are those
of an ordinary demo company; nothing in the rules depends on them but `taxes`' own four.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final

from sandbox.currencies import minor_unit
from sandbox.finance.books import DEFAULT_RATE_TYPE, Books, Company
from sandbox.finance.model import EMPTY_DATE, ENUMS, day_stamp, entity_sets
from sandbox.finance.taxes import DOMESTIC_GROUP, FULL_ITEM_GROUP, NO_TAX_ITEM_GROUP, STANDARD_CODE
from sandbox.finance.views import category
from sandbox.store import Row

FOREVER: Final = "2154-12-31T12:00:00Z"
"""The end of a validity that has none, as Finance stores it."""

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
"""Name, description, method and days of the terms of payment."""

CASH_DISCOUNTS: Final = (("2%D10", "2 % within 10 days", 2, 10), ("1%D30", "1 % within 30 days", 1, 30))
"""Code, description, percentage and days. "2% 10, Net 30" is the code 2%D10 beside the term Net 30."""

PAYMENT_SCHEDULES: Final = (
    ("3 x monthly", "Three equal monthly instalments", "NumOfPayment", 3, ()),
    ("30-70", "30 % at once, 70 % a month later", "Specified", 2, ((0, 30), (1, 70))),
)
"""Name, description, method, instalments, and (months after the due date, percentage) of each where specified."""

UNITS: Final = (
    ("ea", "Each", "Quantity", 0),
    ("pcs", "Pieces", "Quantity", 0),
    ("box", "Box", "Quantity", 0),
    ("pair", "Pair", "Quantity", 0),
    ("hr", "Hours", "Time", 2),
    ("kg", "Kilograms", "Mass", 3),
    ("g", "Grams", "Mass", 0),
)
"""Symbol, description, class and decimals of the units of measure."""

CONVERSIONS: Final = (("kg", "g", 1000), ("pair", "pcs", 2))
"""From, to, and how many of the second one of the first is."""

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
_COUNTRIES: Final = {"America/New_York": "USA", "Europe/Berlin": "DEU", "Asia/Tokyo": "JPN", "Asia/Kuwait": "KWT"}


def set_up_company(books: Books, company: Company, name: str, tax_percentage: Decimal) -> None:
    """Store a company's legal entity, ledger, parameters and set-up rows."""
    _set_up_environment(books)
    _legal_entity(books, company, name)
    add_currency(books, company.currency)
    _terms(books, company)
    _taxes(books, company, tax_percentage)
    _logistics(books, company)
    _parameters(books, company)


def _set_up_environment(books: Books) -> None:
    if books.get("ExchangeRateTypes", DEFAULT_RATE_TYPE) is not None:
        return
    books.insert("ExchangeRateTypes", {"Name": DEFAULT_RATE_TYPE, "Description": "Default exchange rate type"})
    for symbol, description, unit_class, decimals in UNITS:
        row = {"UnitDescription": description, "UnitClass": unit_class, "DecimalPrecision": decimals}
        books.insert("UnitsOfMeasure", {"UnitSymbol": symbol, **row})
    for source, target, factor in CONVERSIONS:
        row = {"Factor": Decimal(factor), "Numerator": 1, "Denominator": 1, "Rounding": "Nearest"}
        books.insert("UnitOfMeasureConversions", {"FromUnitSymbol": source, "ToUnitSymbol": target, **row})
    for entity in entity_sets().values():
        row = {"EntityIsEnabled": "Yes", "TargetName": entity.entity, "IsShared": "No" if entity.company else "Yes"}
        kind = category(entity.name)
        books.insert(
            "DataManagementEntities",
            {"EntityName": entity.entity, "Category": kind, **row},
        )


def _legal_entity(books: Books, company: Company, name: str) -> None:
    row: Row = {"LegalEntityId": company.id.upper(), "Name": name or company.id.upper(), "LanguageId": "en-us"}
    if country := _COUNTRIES.get(company.timezone):
        row["AddressCountryRegionId"] = country
    zone = _TIME_ZONES.get(company.timezone, "")
    if zone in ENUMS["Timezone"]:
        row["TimeZone"] = zone
    books.insert("LegalEntities", row)
    books.insert(
        "Ledgers",
        {
            "LegalEntityId": company.id.upper(),
            "Name": company.id.upper(),
            "Description": name or company.id.upper(),
            "AccountingCurrency": company.currency,
            "ReportingCurrency": company.currency,
            "ExchangeRateType": DEFAULT_RATE_TYPE,
            "ReportingCurrencyExchangeRateType": DEFAULT_RATE_TYPE,
            "ChartOfAccounts": "Shared",
            "FiscalCalendar": "Fiscal",
        },
    )


def _terms(books: Books, company: Company) -> None:
    here = {"dataAreaId": company.id}
    for term, description, method, days in PAYMENT_TERMS:
        row = {"Name": term, "Description": description, "PaymentMethodType": method, "NumberOfDays": days}
        books.insert("PaymentTerms", here | row)
    for code, description, percentage, days in CASH_DISCOUNTS:
        row = {"CashDiscountCode": code, "Description": description, "Percent": Decimal(percentage)}
        books.insert("CashDiscounts", here | row | {"DiscountMethod": "Net", "NumberOfDays": days})
    for name, description, method, count, parts in PAYMENT_SCHEDULES:
        row = {"Name": name, "Description": description, "AllocationMethod": method, "NumberOfPayments": count}
        books.insert("PaymentSchedules", here | row | {"PaymentFrequency": 1, "PaymentFrequencyUnits": "Month"})
        for position, (months, percentage) in enumerate(parts, start=1):
            share = {"PercentOrAmount": "Percent", "PercentOrAmountValue": Decimal(percentage)}
            key = {"PaymentScheduleName": name, "LineNumber": Decimal(position), "PeriodsAfterDueDate": months}
            books.insert("PaymentScheduleLines", here | key | share)
    for group, description in (("10", "Wholesale customers"), ("30", "Retail customers")):
        row = {"CustomerGroupId": group, "Description": description, "PaymentTermId": "Net 30"}
        books.insert("CustomerGroups", here | row | {"TaxGroupId": DOMESTIC_GROUP})
    for method, description in (("CHECK", "Check"), ("ELECTRONIC", "Electronic payment")):
        books.insert("CustomerPaymentMethods", here | {"Name": method, "Description": description})
    for reason, description in (("DEFECT", "Defective goods"), ("WRONG", "Wrong item"), ("PRICE", "Price corrected")):
        row = {"ReasonCodeId": reason, "ReasonCodeGroupId": "RETURN", "Description": description}
        books.insert("ReturnReasonCodeBiEntities", here | row)


def _taxes(books: Books, company: Company, percentage: Decimal) -> None:
    here = {"dataAreaId": company.id}
    add_tax_code(books, company, STANDARD_CODE, "Standard rate", percentage)
    books.insert("TaxGroups", here | {"TaxGroupCode": DOMESTIC_GROUP, "Description": "Domestic customers"})
    books.insert("TaxGroupDatas", here | {"TaxGroupId": DOMESTIC_GROUP, "TaxCodeId": STANDARD_CODE})
    for group, name in ((FULL_ITEM_GROUP, "Fully taxed items"), (NO_TAX_ITEM_GROUP, "Items that are not taxed")):
        books.insert("TaxItemGroupHeadings", here | {"TaxItemGroup": group, "Name": name})
    books.insert("TaxItemGroups", here | {"TaxItemGroupCode": FULL_ITEM_GROUP, "TaxCodeId": STANDARD_CODE})


def add_tax_code(books: Books, company: Company, code: str, name: str, percentage: Decimal) -> None:
    """Store a tax code with its rate, valid without end."""
    here = {"dataAreaId": company.id}
    books.insert("TaxCodes", here | {"TaxCode": code, "TaxName": name, "TaxCurrencyCodeId": company.currency})
    books.insert(
        "TaxCodeValuesV2",
        here
        | {
            "TaxCodeId": code,
            "FromDate": EMPTY_DATE,
            "ToDate": EMPTY_DATE,
            "MinimumLimit": Decimal(0),
            "MaximumLimit": Decimal(0),
            "Value": percentage,
        },
    )


def _logistics(books: Books, company: Company) -> None:
    here = {"dataAreaId": company.id}
    sites = (("1", "Site 1", ("11", "12")), ("2", "Site 2", ("21",)))
    for site, name, warehouses in sites:
        books.insert("OperationalSites", here | {"SiteId": site, "SiteName": name})
        for warehouse in warehouses:
            row = {"WarehouseId": warehouse, "WarehouseName": f"Warehouse {warehouse}", "OperationalSiteId": site}
            books.insert("Warehouses", here | row)
    for terms, description in (("FOB", "Free on board"), ("CIF", "Cost, insurance and freight"), ("EXW", "Ex works")):
        books.insert("DeliveryTerms", here | {"TermsCode": terms, "TermsDescription": description})
    books.insert("SalesOrderOriginCodes", here | {"OriginCode": "CRM", "OriginDescription": "Dynamics 365 Sales"})


def _parameters(books: Books, company: Company) -> None:
    customers: dict[str, Any] = {
        "SettlementMaximumPennyDifference": Decimal(0),
        "SettlementMaximumOverUnderPayment": Decimal(0),
        "CashDiscountIsCalculatedOnAmountInclSalesTax": "Yes",
        "CashDiscountIsCalculatedForPartialPayments": "No",
        "CashDiscountAdministration": "Unspecific",
        "AccountingCurrencyExchangeRateType": DEFAULT_RATE_TYPE,
        "ReasonRequirementForReturnOrders": "Yes",
        "ReasonRequirementForCreditNotes": "No",
    }
    books.insert("CustomerParameters", {"dataAreaId": company.id, **customers})
    books.insert(
        "CreditManagementParameters",
        {"dataAreaId": company.id, "CreditLimitExchRateTypeName": DEFAULT_RATE_TYPE, "AllowConfirmation": "No"},
    )


def add_currency(books: Books, code: str) -> None:
    """Store a currency with its rounding rule, unless it is there."""
    if books.get("Currencies", code) is not None:
        return
    name, symbol = _CURRENCY_NAMES.get(code, (code, code))
    rule = minor_unit(code)
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
            "RoundingMethodPrices": "Ordinary",
            "RoundingMethodSalesOrders": "Ordinary",
            "RoundingMethodPurchaseOrders": "Ordinary",
        },
    )


def add_exchange_rate(
    books: Books, source: str, target: str, rate: Decimal, *, rate_type: str = DEFAULT_RATE_TYPE, start: date | None
) -> None:
    """Store the rate of a currency pair from a day on (None: from always), in place of one of the same day.

    Finance takes the reciprocal for the opposite direction.
    """
    for code in (source, target):
        add_currency(books, code)
    if books.get("ExchangeRateTypes", rate_type) is None:
        books.insert("ExchangeRateTypes", {"Name": rate_type, "Description": rate_type})
    first = EMPTY_DATE if start is None else day_stamp(start)
    known = books.get("ExchangeRates", rate_type, source, target, first)
    if known is not None:
        books.update("ExchangeRates", known, {"Rate": rate})
        return
    books.insert(
        "ExchangeRates",
        {
            "RateTypeName": rate_type,
            "FromCurrency": source,
            "ToCurrency": target,
            "StartDate": first,
            "EndDate": FOREVER,
            "Rate": rate,
            "ConversionFactor": "One",
        },
    )
