"""What a comparison of both systems is: which columns are held against each other, and the classes of difference.

It follows from a map alone, and from how Dataverse names what the map names; how the records are read and joined is
elsewhere. A record is known by the map's key without the company, which every comparison has one of.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from pydantic import Field

from domain.entities.identity import hash_of
from domain.entities.model import DataMap, FieldMap, Normal, Owner, Pattern, Scope, SideName, Value
from domain.record import Record

COMPARABLE: Final = frozenset({Pattern.SYNC, Pattern.BATCH, Pattern.DUAL_WRITE})
"""Patterns by which two stored records come to agree. The others keep one of them, or are steps of a deal."""
MOST_SAMPLED: Final = 1_000
RECORD_NUMBERS: Final = frozenset({"SourceKey", "SysRecId", "RecordId"})
"""Columns of Finance with the number of a record: no part of them can be read by how they begin."""


class DifferenceClass(StrEnum):
    """What is wrong with a record or a field."""

    MISSING = "MISSING"
    """One side has the record, the other has not."""
    DIFF = "DIFF"
    """Both have the record, and a field is not the same."""
    ROUNDING = "ROUNDING"
    """Numbers that are the same with the decimals both sides keep."""
    DUPLICATE = "DUPLICATE"
    """Several records of Sales have the same key."""
    UNMAPPED = "UNMAPPED"
    """A record of Sales without a key, or a value that the map does not list."""
    TIMING = "TIMING"
    """What was no difference any more when it was looked at again; counted, and never listed."""


LISTED: Final = tuple(kind for kind in DifferenceClass if kind is not DifferenceClass.TIMING)


class ComparedField(Record):
    """A field as it is held against the other side."""

    name: str
    finance: str
    sales: str = Field(description="Logical name; `lookup.column` is a column of the row a lookup leads to")
    owner: Owner
    values: dict[str, Value] | None = None
    refused: tuple[Value, ...] = ()
    tolerance: Decimal = Decimal(0)
    decimals: int | Literal["currency"] | None = None
    number: bool = False
    normal: Normal | None = None
    cut_at: int | None = Field(None, description="Characters Sales holds, where a longer text is cut")
    pii: bool = False

    @classmethod
    def of(cls, name: str, field: FieldMap, lengths: Mapping[str, int]) -> ComparedField:
        """A field of a map; ``lengths``: characters that columns of Sales hold."""
        assert field.sales is not None
        return cls(
            name=name,
            finance=field.finance,
            sales=field.sales,
            owner=field.owner,
            values=field.values,
            refused=field.refused,
            tolerance=field.tolerance or Decimal(0),
            decimals=field.decimals,
            number=field.tolerance is not None or field.decimals is not None,
            normal=field.normal,
            cut_at=lengths.get(field.sales) if field.longer == "cut" else None,
            pii=field.pii,
        )


class SalesTable(Record):
    """How Dataverse calls what a map names.

    Attributes:
        entity_set: name of the collection.
        id: column with the row's id.
        links: navigation property by lookup column.
        targets: tables by lookup column.
        lengths: characters by column of text.
    """

    entity_set: str
    id: str
    links: Mapping[str, str] = Field({})
    targets: Mapping[str, tuple[str, ...]] = Field({})
    lengths: Mapping[str, int] = Field({})


class Comparison(Record):
    """One comparison: what is read of either side, and how it is held against each other.

    Attributes:
        entity: of the map.
        company: legal entity, lower case.
        map_hash: of the map it follows.
        finance_set: entity set.
        finance_filter: OData; the company is in it.
        finance_key: columns, the company's left out.
        sales: how Dataverse calls it.
        sales_filter: OData; the company is in it.
        sales_key: columns in the order of Finance's.
        fields: what is compared.
    """

    entity: str
    company: str
    map_hash: str
    finance_set: str
    finance_filter: str
    finance_key: tuple[str, ...] = Field(min_length=1)
    sales: SalesTable
    sales_filter: str
    sales_key: tuple[str, ...] = Field(min_length=1)
    fields: tuple[ComparedField, ...]

    @property
    def finance_columns(self) -> tuple[str, ...]:
        """What is read of Finance."""
        return tuple(dict.fromkeys((*self.finance_key, *(field.finance for field in self.fields))))

    @property
    def sales_columns(self) -> tuple[str, ...]:
        """What is read of Sales, lookups by path."""
        return tuple(dict.fromkeys((*self.sales_key, *(field.sales for field in self.fields))))


class CannotCompare(Exception):
    """A map cannot be compared in this company; the text says why and what to do."""


def require_comparable(data: DataMap, company: str) -> None:
    """Refuse a map or a company for which there is nothing to compare.

    Raises:
        CannotCompare: as its text says.
    """
    if data.pattern not in COMPARABLE or data.finance is None or data.sales is None:
        raise CannotCompare(
            f"{data.entity} has the pattern {data.pattern}: there are no two stored records to compare. Comparable are "
            f"maps of the pattern {', '.join(sorted(COMPARABLE))}."
        )
    if numbers := RECORD_NUMBERS.intersection(data.finance.key):
        raise CannotCompare(
            f"{data.entity}: Finance finds its records by {', '.join(sorted(numbers))}, a number, which cannot be read "
            "in parts. `q2c history status` says what both sides have."
        )
    if data.company.scope is Scope.ONE_FOR_ALL and company != data.company.leads:
        raise CannotCompare(
            f"Sales shows the {data.entity} of {data.company.leads} for all companies: compare that company."
        )


def comparison(data: DataMap, company: str, table: SalesTable, sales_company: str) -> Comparison:
    """The comparison that a map asks for.

    Args:
        data: the map.
        company: legal entity, lower case.
        table: how Dataverse calls what the map names.
        sales_company: condition on rows of Sales that are the company's; empty: none.

    Raises:
        CannotCompare: as its text says.
    """
    require_comparable(data, company)
    assert data.finance is not None
    assert data.sales is not None
    of_company = data.company
    finance_company = "" if of_company.scope is Scope.SHARED else f"{of_company.finance} eq '{company}'"
    finance_key = tuple(column for column in data.finance.key if column != of_company.finance)
    sales_key = tuple(column for column in data.sales.key if column != of_company.sales)
    if not finance_key or len(finance_key) != len(sales_key):
        raise CannotCompare(
            f"{data.entity}: beside the company, Finance's key has {len(finance_key)} columns and that of Sales "
            f"{len(sales_key)}. Give both keys the same columns in the same order."
        )
    return Comparison(
        entity=data.entity,
        company=company,
        map_hash=hash_of(data),
        finance_set=data.finance.set,
        finance_filter=_all_of(finance_company, data.finance.filter),
        finance_key=finance_key,
        sales=table,
        sales_filter=_all_of(sales_company, data.sales.filter),
        sales_key=sales_key,
        fields=tuple(ComparedField.of(name, field, table.lengths) for name, field in data.fields.items()),
    )


def _all_of(*conditions: str) -> str:
    given = [condition for condition in conditions if condition]
    return " and ".join(f"({condition})" if " or " in condition else condition for condition in given)


class Difference(Record):
    """Something that is not the same on both sides, as it is kept and reported.

    Attributes:
        kind: its class.
        key: the record's key, or the id of a row of Sales that has none.
        field: of the map; empty: the record as a whole.
        lacking: MISSING: the side that does not have it.
        finance_value: as Finance has it.
        sales_value: as Sales has it.
        sales_ids: rows of Sales.
        owner: whose value counts; a record as a whole is for a person to decide.
        pii: its values are personal data.
    """

    kind: DifferenceClass
    key: str
    field: str = ""
    lacking: SideName | None = None
    finance_value: str = ""
    sales_value: str = ""
    sales_ids: str = ""
    owner: Owner = Owner.MANUAL
    pii: bool = False
