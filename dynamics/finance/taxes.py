"""Which sales tax Finance will put on the lines of an order that does not exist yet.

Tax set-up changes seldom, so what was read of it counts for a while; the rate is always that of the day asked for.
(Microsoft Learn: "Sales tax groups and item sales tax groups", "Sales tax codes"; columns: tenants' `$metadata`.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from cachetools import TTLCache
from pydantic import Field

from domain.tax import SalesTax, TaxCode
from dynamics.core.connection import Connection, Reading
from dynamics.core.rows import Exact, FinanceDay, ReadRow, YesNo
from dynamics.finance.queries import valued

KEPT_SECONDS: Final = 600.0
_KEPT: Final = 5_000
_OF_NET: Final = "PctPerNet"
_WHOLE: Final = "FullAmounts"


class _OfGroup(ReadRow):
    """TaxGroupDatas: a code of a sales tax group."""

    code: str = Field(alias="TaxCodeId")
    exempt: YesNo = Field(False, alias="ExemptTax")
    use_tax: YesNo = Field(False, alias="UseTax")
    reverse_charge: YesNo = Field(False, alias="ReverseCharge")

    @property
    def charged(self) -> bool:
        """Whether the customer is charged it."""
        return not (self.exempt or self.use_tax or self.reverse_charge)


class _OfItemGroup(ReadRow):
    """TaxItemGroups: a code of an item sales tax group."""

    group: str = Field(alias="TaxItemGroupCode")
    code: str = Field(alias="TaxCodeId")
    exempt: YesNo = Field(False, alias="ExemptTax")


class _Code(ReadRow):
    """TaxCodes: how a code is computed."""

    code: str = Field(alias="TaxCode")
    base: str = Field(_OF_NET, alias="TaxBase")
    method: str = Field(_WHOLE, alias="TaxCalculationMethod")


class _Value(ReadRow):
    """TaxCodeValuesV2: a code's rate in a period, for amounts between two limits."""

    code: str = Field(alias="TaxCodeId")
    pct: Exact = Field(Decimal(0), alias="Value")
    since: FinanceDay = Field(None, alias="FromDate")
    until: FinanceDay = Field(None, alias="ToDate")
    least: Exact = Field(Decimal(0), alias="MinimumLimit")
    most: Exact = Field(Decimal(0), alias="MaximumLimit")

    def holds(self, day: date) -> bool:
        """Whether the rate is that of a day."""
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


_Key = tuple[str, str, str, date]
_Found = tuple[tuple[TaxCode, ...], str]


class Taxes:
    """Reads the sales tax of items for a customer, and remembers it for a while."""

    def __init__(self, finance: Connection) -> None:
        """Read from a Finance; nothing is known yet."""
        self._finance = finance
        self._known: TTLCache[_Key, _Found] = TTLCache(_KEPT, KEPT_SECONDS)

    async def of(self, company: str, group: str, items: Mapping[str, str], day: date) -> SalesTax:
        """The tax codes of items. Two requests where something of it is not known yet, else none.

        Args:
            company: Legal entity, lower case.
            group: Sales tax group of the customer; empty: it is not taxed.
            items: Item sales tax group by item in lower case; an item without one is not taxed.
            day: Date of the rates, in the company's calendar.

        Raises:
            DynamicsError: Finance does not answer.
        """
        keys = {item: _key(company, group, of, day) for item, of in items.items() if group and of}
        known = {key: self._known.get(key) for key in keys.values()}  # what is forgotten meanwhile counts as well
        if missing := {key for key, what in known.items() if what is None}:
            read = await self._read(company, group, missing, day)
            self._known.update(read)
            known.update(read)
        found = {item: what for item, key in keys.items() if (what := known[key]) is not None}
        unknown = sorted({why for _, why in found.values() if why})
        return SalesTax(codes={item: codes for item, (codes, _) in found.items() if codes}, unknown="; ".join(unknown))

    async def _read(self, company: str, group: str, missing: Collection[_Key], day: date) -> dict[_Key, _Found]:
        read = await self._finance.read(
            collections={
                "group": valued("TaxGroupDatas", company, "TaxGroupId", [group]),
                "items": valued("TaxItemGroups", company, "TaxItemGroupCode", {key[2] for key in missing}),
            }
        )
        charged = {row.code for row in read.all(_OfGroup, "group") if row.charged}
        of_item: dict[str, set[str]] = {}
        for row in read.all(_OfItemGroup, "items"):
            if not row.exempt and row.code in charged:
                of_item.setdefault(row.group.casefold(), set()).add(row.code)
        rates = await self._rates(company, set().union(*of_item.values()), day)
        found: dict[_Key, _Found] = {}
        for key in missing:
            each = [rates[code] for code in sorted(of_item.get(key[2], ()))]
            codes = tuple(rate for rate in each if isinstance(rate, TaxCode))
            found[key] = codes, "; ".join(rate for rate in each if isinstance(rate, str))
        return found

    async def _rates(self, company: str, codes: Collection[str], day: date) -> dict[str, TaxCode | str]:
        """Each code's rate, or why it cannot be computed from a net amount."""
        if not codes:
            return {}
        read = await self._finance.read(
            collections={
                "codes": valued("TaxCodes", company, "TaxCode", codes),
                "values": valued("TaxCodeValuesV2", company, "TaxCodeId", codes),
            }
        )
        return {code: _rate(code, read, day) for code in codes}


def _rate(code: str, read: Reading, day: date) -> TaxCode | str:
    described = next((row for row in read.all(_Code, "codes") if row.code == code), None)
    if described is None or described.base != _OF_NET or described.method != _WHOLE:
        return f"tax code {code} is not simply a percentage of the net amount"
    values = _newest(row for row in read.all(_Value, "values") if row.code == code and row.holds(day))
    if any(value.least or value.most for value in values):
        return f"the rate of tax code {code} depends on the amount"
    return TaxCode(code=code, pct=values[0].pct if values else Decimal(0))


def _newest(values: Iterable[_Value]) -> list[_Value]:
    """The values of the period that began last."""
    rows = list(values)
    last = max((row.since or date.min for row in rows), default=None)
    return [row for row in rows if (row.since or date.min) == last]


def _key(company: str, group: str, item_group: str, day: date) -> _Key:
    return company, group.casefold(), item_group.casefold(), day
