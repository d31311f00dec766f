"""What becomes of a record of Finance that a batch takes over into Sales, as the map says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from domain.entities.comparing import Comparison
from domain.entities.merge_forms import CannotTell, SyncedField, form_of, is_same, told
from domain.record import Record

NOON: Final = "T12:00:00Z"
"""At which a day is a moment: the same day in every time zone of the two systems."""


class Lookup(Record):
    """Rows of Sales that a lookup leads to, found by one of their columns.

    Attributes:
        entity_set: of the table.
        id: column with the row's id.
        column: by which they are found.
        condition: OData; the company is in it where the rows belong to one.
        bind: navigation property that is bound.
    """

    entity_set: str
    id: str
    column: str
    condition: str = ""
    bind: str


class CopyPlan(Comparison):
    """What a batch reads of Finance, and what it writes to Sales.

    Attributes:
        fields: of the map.
        modified: column of Finance with the time of change.
        currency: the field that tells the currency of amounts; empty: none does.
        kinds: kind of column of Sales, by column.
        lookups: by field.
    """

    fields: tuple[SyncedField, ...]
    modified: str
    currency: str = ""
    kinds: Mapping[str, str] = Field({})
    lookups: Mapping[str, Lookup] = Field({})

    @property
    def record(self) -> str:
        """Column of Finance with the number of a record."""
        return self.finance_key[0]


class Copied(Record):
    """What is to be done with a record.

    Attributes:
        lacking: the field that cannot be filled, so that nothing is written; empty: all can.
        plain: values of columns of Sales, as texts; only what differs.
        bound: rows that lookups lead to, by field; only what differs.
    """

    lacking: str = ""
    plain: dict[str, str] = Field({})
    bound: dict[str, str] = Field({})

    @property
    def is_same(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.lacking or self.plain or self.bound)


def copied(
    plan: CopyPlan, there: Mapping[str, str], here: Mapping[str, str] | None, rows: Mapping[str, Mapping[str, str]]
) -> Copied:
    """What is to be written so that a row of Sales is what Finance has.

    Args:
        plan: what the map says.
        there: values of Finance, by field.
        here: values of the row of Sales, by field; None: it has none.
        rows: by field of a lookup, the ids of the rows that values lead to.
    """
    currency = there.get(plan.currency, "")
    plain: dict[str, str] = {}
    bound: dict[str, str] = {}
    for field in plan.fields:
        value = there[field.name]
        differs = here is None or not is_same(field, value, here[field.name], currency)
        if field.name in plan.lookups:
            row = rows[field.name].get(value.strip().casefold(), "")
            if row and differs:
                bound[field.name] = row
            elif field.required and not row:
                return Copied(lacking=field.name)
            continue
        try:
            text = told(field, value, "sales", currency)
        except CannotTell:
            return Copied(lacking=field.name)
        if field.required and not text.strip():
            return Copied(lacking=field.name)
        if differs:
            day = form_of(text, "day") if field.normal == "day" else ""
            plain[field.sales] = (day + NOON if day else "") if field.normal == "day" else text
    return Copied(plain=plain, bound=bound)
