"""What a map says of one kind of record: its two sides, the pattern by which they agree, and each of its fields.

A map that contradicts itself is no map and is refused as it is read, with the field that is wrong. What only a look at
other maps or at the systems can tell is the linter's (`domain.entities.lint`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from domain.record import Record
from domain.values import Company, Number

MOST_FIELDS: Final = 400
MOST_VALUES: Final = 1_000
MOST_KEY_PARTS: Final = 10
STATE: Final = "statecode"
"""Column of Sales that says whether a row is active."""
MOST_MAPS: Final = 200
"""Maps of one installation."""


class Pattern(StrEnum):
    """How the two sides come to agree."""

    ORCHESTRATED = "orchestrated"
    SYNC = "sync"
    VIRTUAL = "virtual"
    BATCH = "batch"
    DUAL_WRITE = "dual_write"
    NONE = "none"


class Frequency(StrEnum):
    """When it happens."""

    EVENT = "event"
    ON_DEMAND = "on_demand"
    NEAR_REAL_TIME = "near_real_time"
    FIVE_MINUTES = "five_minutes"
    HOURLY = "hourly"
    NIGHTLY = "nightly"
    NEVER = "never"


class Direction(StrEnum):
    """Which side is written."""

    TO_SALES = "to_sales"
    TO_FINANCE = "to_finance"
    BOTH = "both"
    NONE = "none"


class Owner(StrEnum):
    """Whose value of a field counts where the sides differ."""

    FINANCE = "FINANCE"
    SALES = "SALES"
    NEWEST = "NEWEST"
    """Of the side that was changed last."""
    MANUAL = "MANUAL"
    """A person says: a difference is shown, and nothing is written by itself but the first value of a new record."""


class Scope(StrEnum):
    """How the records of several companies lie on the two sides."""

    PER_COMPANY = "per_company"
    """One record on each side for each company."""
    SHARED = "shared"
    """Neither side knows a company."""
    ONE_FOR_ALL = "one_for_all"
    """Finance has a record for each company, Sales one for all of them."""


FREQUENCIES: Final[Mapping[Pattern, tuple[Frequency, ...]]] = {
    Pattern.ORCHESTRATED: (Frequency.EVENT, Frequency.ON_DEMAND, Frequency.FIVE_MINUTES),
    Pattern.SYNC: (Frequency.NEAR_REAL_TIME, Frequency.FIVE_MINUTES, Frequency.HOURLY),
    Pattern.VIRTUAL: (Frequency.ON_DEMAND,),
    Pattern.BATCH: (Frequency.HOURLY, Frequency.NIGHTLY),
    Pattern.DUAL_WRITE: (Frequency.NEAR_REAL_TIME,),
    Pattern.NONE: (Frequency.NEVER,),
}
"""Frequencies each pattern can have."""

WRITES: Final[Mapping[Owner, frozenset[str]]] = {
    Owner.FINANCE: frozenset({"sales"}),
    Owner.SALES: frozenset({"finance"}),
    Owner.NEWEST: frozenset({"finance", "sales"}),
    Owner.MANUAL: frozenset(),
}
"""Sides that a field of each owner is written to."""

DIRECTIONS: Final[Mapping[Direction, frozenset[str]]] = {
    Direction.TO_SALES: frozenset({"sales"}),
    Direction.TO_FINANCE: frozenset({"finance"}),
    Direction.BOTH: frozenset({"finance", "sales"}),
    Direction.NONE: frozenset(),
}
"""Sides that each direction writes."""

_FINANCE_COLUMN = r"^[A-Za-z][A-Za-z0-9_]*$"
_SALES_COLUMN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$"


def _value(value: object) -> object:
    """A value of a value map as text: a choice's number and true or false are written as YAML writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


SideName = Literal["finance", "sales"]
EntityName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,39}$")]
FinanceColumn = Annotated[str, Field(pattern=_FINANCE_COLUMN, max_length=128)]
SalesColumn = Annotated[str, Field(pattern=_SALES_COLUMN, max_length=128)]
"""Logical name; `lookup.column` is a column of the row a lookup leads to."""
FieldName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Sentence = Annotated[str, Field(min_length=10, max_length=1_000)]
Value = Annotated[str, BeforeValidator(_value), Field(max_length=200)]
Filter = Annotated[str, Field(max_length=1_000)]
Normal = Literal["trim", "upper", "lower", "e164", "email", "url", "iso_country", "vat", "day"]
"""The form in which both sides' values are compared: `+12065550100`, ISO 3166 codes, numbers without their marks."""


class MapRecord(Record):
    """A part of a map: what it does not know is a mistake, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BelongsTo(MapRecord):
    """To which other record of Finance a new one belongs, and how one that is there already is known again."""

    column: FinanceColumn = Field(description="Of the new record: what it belongs to")
    set: FinanceColumn = Field(description="Entity set of that")
    key: FinanceColumn = Field(description="Column by which that is found")
    gives: FinanceColumn = Field(description="Column of that, which the new record holds")
    sales: SalesColumn = Field(description="What it is found by, in Sales")
    mark: FinanceColumn = Field(description="Column that holds our mark of a record that we made")
    known_by: tuple[FinanceColumn, ...] = Field(
        min_length=1, max_length=MOST_KEY_PARTS, description="One that is there and has the same in these is no new one"
    )


class FinanceSide(MapRecord):
    """The records of Finance."""

    set: FinanceColumn = Field(description="Public name of the entity set")
    key: tuple[FinanceColumn, ...] = Field(min_length=1, max_length=MOST_KEY_PARTS)
    guard: str = Field("", max_length=1_000, description="What stops a second record, where no key does")
    filter: Filter = Field("", description="OData; empty: every record")
    modified: FinanceColumn | None = Field(None, description="Column that says when a record was changed last")
    creates: bool = Field(False, description="Records are created here")
    constants: dict[FinanceColumn, Value] = Field({}, max_length=100, description="Given to a record that is created")
    left_to_system: tuple[FinanceColumn, ...] = Field((), max_length=100, description="Required, and filled by Finance")
    belongs_to: BelongsTo | None = Field(None, description="A sync creates records, for rows of Sales without a key")


class SalesSide(MapRecord):
    """The rows of Sales."""

    table: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=128)] = Field(description="Logical name")
    key: tuple[SalesColumn, ...] = Field(min_length=1, max_length=MOST_KEY_PARTS)
    guard: str = Field("", max_length=1_000, description="What stops a second row, where no alternate key does")
    filter: Filter = Field("", description="OData; empty: every row")
    modified: SalesColumn | None = Field(None, description="Column that says when a row was changed last")
    creates: bool = Field(False, description="Rows are created here")
    constants: dict[SalesColumn, Value] = Field({}, max_length=100, description="Given to a row that is created")
    left_to_system: tuple[SalesColumn, ...] = Field((), max_length=100, description="Required, and filled by Dataverse")
    follows: dict[SalesColumn, SalesColumn] = Field(
        {}, max_length=100, description="Lookup of a row that is created → `lookup.column` that it has the row of"
    )
    if_finance_deletes: Literal["letter", "deactivate"] = Field("letter", description="What becomes of the row")
    if_sales_deletes: Literal["letter", "create", "deactivate"] = Field(
        "letter", description="What becomes of the row that is gone, or of its record"
    )


class CompanyScope(MapRecord):
    """How a record is known to belong to a company (legal entity)."""

    scope: Scope
    finance: FinanceColumn = Field("dataAreaId", description="Column of Finance that holds it")
    sales: SalesColumn | None = Field(None, description="Column of Sales that tells it")
    values: dict[Company, Value] | None = Field(
        None,
        min_length=1,
        max_length=MOST_VALUES,
        description="What it holds, by company; absent: the company's id",
    )
    leads: Company | None = Field(None, description="one_for_all: the company whose record Sales shows")

    def in_sales(self, company: str) -> str | None:
        """What the column of Sales holds of a company; None: the map does not say."""
        return company if self.values is None else self.values.get(company)


class FieldMap(MapRecord):
    """One field: a column on each side, whose value counts, and when two values are the same."""

    finance: FinanceColumn
    sales: SalesColumn | None = Field(None, description="Absent where Sales has no table of its own for the record")
    owner: Owner
    values: dict[str, Value] | None = Field(None, min_length=1, max_length=MOST_VALUES, description="Finance → Sales")
    refused: tuple[Value, ...] = Field((), max_length=100, description="Values of the owner that are not taken over")
    otherwise: Literal["refuse"] | None = Field(None, description="What becomes of a text the value map does not list")
    tolerance: Number | None = Field(None, ge=0, description="Numbers that differ by no more are the same")
    decimals: Annotated[int, Field(ge=0, le=10)] | Literal["currency"] | None = Field(
        None, description="Decimals both sides keep; currency: as many as the record's currency has"
    )
    longer: Literal["refuse", "cut"] | None = Field(None, description="What becomes of a text that does not fit")
    finance_length: int | None = Field(None, ge=1, le=100_000, description="Finance's metadata tells no lengths")
    normal: Normal | None = None
    pii: bool = Field(False, description="Personal data")
    required: bool = Field(False, description="A record without it is not taken over")
    note: str = Field("", max_length=1_000)

    def writes(self, side: SideName) -> bool:
        """Whether a difference is written to a side."""
        return side in WRITES[self.owner]


class DataMap(MapRecord):
    """One kind of record in both systems."""

    entity: EntityName
    title: str = Field(min_length=1, max_length=80, description="What people call these records")
    version: str = Field(min_length=1, max_length=40)
    pattern: Pattern
    reason: Sentence = Field(description="Why this pattern, in a sentence")
    frequency: Frequency
    direction: Direction
    company: CompanyScope
    finance: FinanceSide | None = None
    sales: SalesSide | None = None
    fields: dict[FieldName, FieldMap] = Field({}, max_length=MOST_FIELDS)
    unconfirmed: tuple[Sentence, ...] = Field((), max_length=20, description="What nobody has confirmed yet")

    def fills(self, field: FieldMap, side: SideName) -> bool:
        """Whether a field is ever written to a side: as its owner says, or as the first value of a new record.

        A new row of Sales takes every value over, since Sales has none of its own yet; a new record of Finance has no
        value that Finance owns.
        """
        if side == "sales":
            return field.writes(side) or (self.sales is not None and self.sales.creates)
        first = field.owner is Owner.MANUAL and self.finance is not None and self.finance.creates
        return field.writes(side) or first

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        problem = self._of_pattern() or self._of_sides() or self._of_fields()
        if problem:
            raise ValueError(problem)
        return self

    def _of_pattern(self) -> str | None:
        possible = FREQUENCIES[self.pattern]
        if self.frequency not in possible:
            return f"frequency: the pattern {self.pattern} is {' or '.join(possible)}, not {self.frequency}"
        if (self.pattern is Pattern.NONE) != (self.direction is Direction.NONE):
            return f"direction: {self.direction} does not go with the pattern {self.pattern}"
        if self.pattern is Pattern.NONE and self.fields:
            return "fields: the pattern none moves nothing; remove them or choose another pattern"
        if self.pattern is not Pattern.NONE and not self.fields:
            return f"fields: the pattern {self.pattern} needs at least one"
        return None

    def _of_sides(self) -> str | None:
        if self.finance is None and self.sales is None:
            return "finance: a map has at least one side; add finance or sales"
        if self.pattern in (Pattern.NONE, Pattern.VIRTUAL):
            return None if self.finance or self.pattern is Pattern.NONE else "finance: is missing; add it"
        for name, side in (("finance", self.finance), ("sales", self.sales)):
            if side is None:
                return f"{name}: is missing; add it"
        if self.sales is not None and self.sales.if_sales_deletes == "create" and not self.sales.creates:
            return "sales.if_sales_deletes: create needs creates: true"
        return self._of_new_records()

    def _of_new_records(self) -> str | None:
        states = [field for field in self.fields.values() if field.sales == STATE and field.owner is Owner.SALES]
        if self.sales is not None and self.sales.if_sales_deletes == "deactivate" and not states:
            return f"sales.if_sales_deletes: deactivate needs a field of {STATE} that Sales owns"
        new = self.finance.belongs_to if self.finance else None
        if new is None:
            return None
        if self.finance is not None and not self.finance.creates:
            return "finance.belongs_to: needs creates: true"
        unknown = set(new.known_by) - {field.finance for field in self.fields.values()}
        if unknown:
            return f"finance.belongs_to.known_by: no field has {', '.join(sorted(unknown))}"
        return None

    def _of_fields(self) -> str | None:
        for name, field in self.fields.items():
            if (field.sales is None) != (self.sales is None):
                return f"fields.{name}.sales: " + (
                    "is missing; add it" if self.sales else "the map has no sales side; remove it or add the side"
                )
            beyond = WRITES[field.owner] - DIRECTIONS[self.direction] if self.sales else frozenset()
            if beyond:
                return (
                    f"fields.{name}.owner: {field.owner} writes {' and '.join(sorted(beyond)).title()}, "
                    f"which the direction {self.direction} does not"
                )
            if field.refused and field.values is None:
                return f"fields.{name}.refused: there is no value map; add values or remove it"
            if field.otherwise and field.values is None:
                return f"fields.{name}.otherwise: there is no value map; add values or remove it"
        return None
