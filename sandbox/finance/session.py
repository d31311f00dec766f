"""The service every environment has: who the caller is there, and in which company and currency.

`POST /api/services/UserSessionService/AifUserSessionService/{operation}`.
Sources: Microsoft Learn, "Service endpoints overview"; recorded answers of GetUserSessionInfo.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from sandbox.finance.actions import APPLICATION_VERSION
from sandbox.finance.books import SERVICE_USER, Books

SESSION_GROUP: Final = "UserSessionService"
SESSION_SERVICE: Final = "AifUserSessionService"
CONTRACTS: Final[Mapping[str, str]] = {
    "GetUserSessionInfo": "AifUserSessionInfo",
    "GetApplicationVersion": "String",
}
"""Operation -> X++ type of what it returns."""

_EASTERN: Final = 13


def answer(books: Books, company: str, operation: str) -> Any:
    """What an operation returns, for the environment's default company."""
    if operation == "GetApplicationVersion":
        return APPLICATION_VERSION
    entry = books.companies.get(company)
    code = entry.currency if entry else ""
    currency = books.get("Currencies", code) or {}
    return {
        "$id": "1",
        "AOSLocaleName": "en-US",
        "AXLanguage": "en-us",
        "Company": company.upper(),
        "CompanyTimeZone": _EASTERN,
        "CurrencyInfo": {
            "$id": "2",
            "CurrencyCode": code,
            "Description": currency.get("Name", ""),
            "ExchangeRate": Decimal(100),
            "ExchangeRateSecondary": Decimal(0),
            "Prefix": currency.get("Symbol", ""),
            "Suffix": "",
        },
        "IsSysAdmin": False,
        "UserId": SERVICE_USER,
        "UserPreferredCalendar": 0,
        "UserPreferredTimeZone": _EASTERN,
    }
