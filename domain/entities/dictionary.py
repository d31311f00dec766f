"""The data dictionary: what each field of both systems means, whose it is, whether it is personal, where it travels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from domain.entities.model import DataMap, Direction, FieldMap, Owner, Pattern
from domain.record import Record

Role = Literal["owner", "copy", "shown", "compared"]


class Place(Record):
    """Where a field is in a system."""

    system: Literal["Finance", "Sales"]
    place: str = Field(description="Set and column, or table and column")
    role: Role


class DictionaryField(Record):
    """A field."""

    name: str
    owner: str = Field(description="Whose value counts")
    personal: bool = Field(description="Personal data")
    required: bool
    how: str = Field(description="How values are compared and changed on the way")
    lineage: tuple[Place, ...] = Field(description="In the order in which a value travels")

    def source(self, system: str) -> str:
        """Where it is in a system; empty where it is not."""
        return next((each.place for each in self.lineage if each.system == system), "")


class DictionaryEntity(Record):
    """One kind of record."""

    entity: str
    title: str
    meaning: str = Field(description="Why it is treated as it is")
    pattern: str
    direction: str
    map_hash: str
    map_version: str
    fields: tuple[DictionaryField, ...]
    unconfirmed: tuple[str, ...]


class Dictionary(Record):
    """All entities."""

    hash: str = Field(description="Of all maps together")
    entities: tuple[DictionaryEntity, ...]


def lineage(data: DataMap, field: FieldMap) -> tuple[Place, ...]:
    """The places of a field, from where it is owned to where it is seen."""
    finance, sales = tuple(_finance(data, field)), tuple(_sales(data, field))
    from_sales = field.owner is Owner.SALES or (
        field.owner is not Owner.FINANCE and data.direction is Direction.TO_FINANCE
    )
    return (*sales, *finance) if from_sales else (*finance, *sales)


def _role(field: FieldMap, owner: Owner) -> Role:
    if field.owner is owner:
        return "owner"
    return "compared" if field.owner is Owner.MANUAL else "copy"


def _finance(data: DataMap, field: FieldMap) -> Iterator[Place]:
    if data.finance:
        yield Place(system="Finance", place=f"{data.finance.set}.{field.finance}", role=_role(field, Owner.FINANCE))


def _sales(data: DataMap, field: FieldMap) -> Iterator[Place]:
    if data.sales and field.sales:
        yield Place(system="Sales", place=f"{data.sales.table}.{field.sales}", role=_role(field, Owner.SALES))
    elif data.pattern is Pattern.VIRTUAL:
        yield Place(system="Sales", place="virtual table", role="shown")
