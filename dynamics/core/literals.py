"""How each system spells a key, a filter's literal and a query string.

Dataverse and Finance share OData v4's quoting; Finance adds enum literals with their type
(`Microsoft.Dynamics.DataEntities.NoYes'Yes'`) and treats `*` in a compared string, but not in a key, as a wildcard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias
from urllib.parse import quote
from uuid import UUID

FINANCE_NAMESPACE = "Microsoft.Dynamics.DataEntities"


@dataclass(frozen=True, slots=True)
class FinanceEnum:
    """A value of an enum of Finance, by its symbol (not its label): `FinanceEnum("SalesStatus", "Backorder")`."""

    type: str
    symbol: str

    def __str__(self) -> str:
        return f"{FINANCE_NAMESPACE}.{self.type}'{self.symbol}'"


Literal: TypeAlias = str | int | bool | Decimal | UUID | datetime | date | FinanceEnum | None


def literal(value: Literal) -> str:
    """The OData literal of a value, not yet percent-encoded.

    Raises:
        ValueError: for a datetime without time zone, whose instant would be a guess.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case datetime():
            if value.tzinfo is None:
                raise ValueError("a time in a filter needs its time zone")
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case int() | UUID() | FinanceEnum():
            return str(value)


def key(entity_set: str, /, *guid: UUID | str, **parts: Literal) -> str:
    """The path of one row: `key("quotes", uuid)` or `key("CustomersV3", dataAreaId="usmf", CustomerAccount="US-001")`.

    Parts keep their order: Finance wants `dataAreaId` first and all parts given. Percent-encoded.
    """
    inside = str(UUID(str(guid[0]))) if guid else ",".join(f"{name}={literal(v)}" for name, v in parts.items())
    return f"{entity_set}({encoded(inside)})"


def encoded(text: str) -> str:
    """Percent-encode for a path segment or a query value, keeping what OData reads as syntax."""
    return quote(text, safe="$,()'=@;:!*")


def query(path: str, **options: str | int | None) -> str:
    """`path` with OData options in the order given: `query("quotes", top=3)` gives `quotes?$top=3`.

    Option names gain their `$`, except `cross_company`, which is Finance's own `cross-company`. None is left out.
    """
    names = {"cross_company": "cross-company"}
    pairs = [
        f"{names.get(name, '$' + name)}={encoded(str(value))}" for name, value in options.items() if value is not None
    ]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


def any_of(column: str, values: Sequence[str] | Sequence[int]) -> str:
    """`(Column eq 'a' or Column eq 'b')`: Finance knows no `in`.

    In Finance a `*` in a value matches anything: the rows read are compared again by whoever asks.

    Raises:
        ValueError: when there is nothing to compare with.
    """
    if not values:
        raise ValueError(f"no value to compare {column} with")
    return "(" + " or ".join(f"{column} eq {literal(v)}" for v in values) + ")"
