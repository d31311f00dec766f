"""Whether a value is written in a form: what libraries know of phone numbers, tax numbers, countries and currencies.

A million records have few values that a library has to look at: what a regular expression tells is asked of DuckDB, and
each value that is left is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

import phonenumbers
from babel import Locale
from babel.core import get_global
from stdnum import get_cc_module
from stdnum.eu import vat

from domain.entities.quality import Form
from domain.money import UnknownCurrency, minor_digits

E164: Final = r"^\+[1-9][0-9]{6,14}$"
EMAIL: Final = r"^[^@\s,;<>]{1,64}@[^@\s.,;<>]+(\.[^@\s.,;<>]+)+$"
TIDY: Final = r"^\s|\s$|\s\s|[\x00-\x1f\x7f]"
_ALPHA_2: Final = 2
_ALPHA_3: Final = 3

Judge = Callable[[str, str], str]
"""What is wrong with a value of a record in a country; empty: nothing, or nobody knows."""


@cache
def countries() -> Mapping[str, str]:
    """ISO 3166 alpha-2 code by code (two and three letters) and by English name, in capitals (CLDR)."""
    territories = {code: name for code, name in Locale("en").territories.items() if len(code) == _ALPHA_2}
    found = {code: code for code in territories if code.isalpha()}
    for alias, codes in get_global("territory_aliases").items():
        if len(alias) == _ALPHA_3 and alias.isalpha() and len(codes) == 1 and codes[0] in found:
            found[alias] = codes[0]
    return found | {name.upper(): code for code, name in territories.items() if code in found}


def alpha_2(country: str) -> str:
    """The ISO code of a country as either side writes it; empty where it is none."""
    return countries().get(country.strip().upper(), "")


def _country(value: str, _country: str) -> str:
    return "" if alpha_2(value) else "is no ISO 3166 code and no English name of a country"


def _currency(value: str, _country: str) -> str:
    try:
        minor_digits(value.strip())
    except UnknownCurrency:
        return "is no currency of ISO 4217"
    return ""


def _phone(value: str, country: str) -> str:
    try:
        number = phonenumbers.parse(value, alpha_2(country) or None)
    except phonenumbers.NumberParseException:
        return "is no phone number"
    if not phonenumbers.is_possible_number(number):
        return "has too few or too many digits"
    return "is a phone number, written otherwise"


def _tax_number(value: str, country: str) -> str:
    """Judged by its own prefix where that is of the European Union, otherwise by its country's rule for VAT."""
    code = alpha_2(country)
    prefix = value.strip()[:2].lower().replace("el", "gr")
    module = vat if prefix in vat.MEMBER_STATES else get_cc_module(code.lower(), "vat") if code else None
    if module is None or module.is_valid(value):
        return ""
    return f"is no tax number of {(prefix if module is vat else code).upper()}"


JUDGES: Final[Mapping[Form, Judge]] = {
    "country": _country,
    "currency": _currency,
    "e164": _phone,
    "tax_number": _tax_number,
}
