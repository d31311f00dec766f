"""An assessment of both systems over the maps: what is there, how good its keys are, what reading it costs, and which
pattern fits.

The facts are counted elsewhere, read only. What is made of them stands here: rules of patterns are data, the first that
fits counts; what a run costs follows from how records are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from math import ceil
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.entities.comparing import COMPARABLE
from domain.entities.model import (
    WRITES,
    DataMap,
    EntityName,
    Frequency,
    MapRecord,
    Pattern,
    Sentence,
    SideName,
)
from domain.entities.shards import ALPHABET, MOST_COUNTS, PAGE_ROWS
from domain.record import Record

DAYS: Final = 7
"""Over which changes are counted."""
SALES_PAGE: Final = 5_000
"""Rows of a page of Sales."""
DIFFERING: Final = Decimal("0.02")
"""Share of records that is assumed to differ at first sight, and so to be read again."""
_AGAIN: Final[Mapping[SideName, int]] = {"finance": 5_000, "sales": 1_000}
"""Records that are read again in one request."""

Latency = Literal["seconds", "minutes", "hours", "never"]
LATENCY: Final[Mapping[Frequency, Latency]] = {
    Frequency.EVENT: "seconds",
    Frequency.ON_DEMAND: "seconds",
    Frequency.NEAR_REAL_TIME: "seconds",
    Frequency.FIVE_MINUTES: "minutes",
    Frequency.HOURLY: "hours",
    Frequency.NIGHTLY: "hours",
    Frequency.NEVER: "never",
}
Owners = Literal["one_side", "both_sides", "nobody"]


class When(MapRecord):
    """What an entity has to be like; what is left out does not matter."""

    entities: tuple[EntityName, ...] = Field((), max_length=100)
    latency: tuple[Latency, ...] = ()
    owners: Owners | None = None
    dual_write: bool | None = None
    records_up_to: int | None = Field(None, ge=0)
    records_above: int | None = Field(None, ge=0)
    changes_a_day_above: int | None = Field(None, ge=0)


class PatternRule(MapRecord):
    """A pattern, where it fits, and why."""

    pattern: Pattern
    when: When
    why: Sentence
    source: Annotated[str, Field(min_length=10, max_length=300)]


class PatternRules(MapRecord):
    """The rules of an installation."""

    version: str = Field(min_length=1, max_length=40)
    rules: tuple[PatternRule, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _last_always_fits(self) -> Self:
        if self.rules[-1].when != When():
            raise ValueError("the last rule counts where no other does: leave its when empty")
        return self


class Side(Record):
    """What a system has of an entity.

    Attributes:
        name: entity set or table.
        records: how many; None: it could not be counted.
        whole: they are counted over all companies, as the system tells them up to a day late.
        why: why something is not known; empty: nothing.
        looked_at: records whose fields were looked at; all of them, or the first so many.
        empty: by field, how many of these are empty.
        key_empty: how many of these have no key.
        key_doubled: how many of these share their key with another; None: the system lets none.
        changed: records that were changed in the last seven days; None: not known.
        most_changed: there are at least so many changes, and the system counts no further.
    """

    name: str
    records: int | None = None
    whole: bool = False
    why: str = ""
    looked_at: int = 0
    empty: dict[str, int] = Field({})
    key_empty: int | None = None
    key_doubled: int | None = None
    changed: int | None = None
    most_changed: bool = False


class Entity(Record):
    """An entity of the map in one company, or in all of them."""

    entity: str
    title: str
    company: str = Field("", description="Empty: the records belong to no company")
    pattern: Pattern
    latency: Latency
    owners: Owners
    fields: tuple[str, ...] = ()
    dual_write: tuple[str, ...] | None = Field(None, description="Maps of it that Dual-Write runs; None: not known")
    finance: Side | None = None
    sales: Side | None = None

    @property
    def records(self) -> int:
        """The larger side."""
        return max((side.records or 0 for side in (self.finance, self.sales) if side), default=0)

    @property
    def changes_a_day(self) -> int:
        """Of both sides together, as far as they are known."""
        return sum(side.changed or 0 for side in (self.finance, self.sales) if side) // DAYS


class Advice(Record):
    """The pattern that is recommended."""

    pattern: Pattern
    fits: bool = Field(description="The map has it already")
    why: str
    source: str


class Cost(Record):
    """What reading both sides once costs, and what a first sync may cost beyond it."""

    finance_requests: int
    sales_requests: int
    minutes: Decimal = Field(description="At the reader's budget of requests")
    most_writes: int = Field(0, description="One for each record at most; 0: nothing is written")
    write_minutes: Decimal = Decimal(0)

    @property
    def requests(self) -> int:
        """Of both systems."""
        return self.finance_requests + self.sales_requests


class Assessed(Record):
    """An entity with what is made of it."""

    facts: Entity
    advice: Advice
    cost: Cost | None = Field(None, description="None: its records are not compared")


class Assessment(Record):
    """An assessment as a report shows it."""

    at: datetime
    companies: tuple[str, ...]
    rules: str = Field(description="Version of the rules of patterns")
    entities: tuple[Assessed, ...]
    dual_write: tuple[str, ...] | None = Field(None, description="Maps that Dual-Write runs; None: may not be read")
    problems: tuple[str, ...] = ()


class Rates(Record):
    """Requests a second: the reader's for reading, the product's for writing."""

    read: dict[SideName, float]
    write: dict[SideName, float]


def owners_of(data: DataMap) -> Owners:
    """Whether the fields of a map are written to one side or to both."""
    sides = {side for field in data.fields.values() for side in WRITES[field.owner]}
    return "nobody" if not sides else "one_side" if len(sides) == 1 else "both_sides"


def advice(rules: PatternRules, facts: Entity) -> Advice:
    """The pattern of the first rule that fits."""
    rule = next(rule for rule in rules.rules if _fits(rule.when, facts))
    return Advice(pattern=rule.pattern, fits=rule.pattern is facts.pattern, why=rule.why, source=rule.source)


def _fits(when: When, facts: Entity) -> bool:
    return (
        (not when.entities or facts.entity in when.entities)
        and (not when.latency or facts.latency in when.latency)
        and when.owners in (None, facts.owners)
        and when.dual_write in (None, bool(facts.dual_write))
        and (when.records_up_to is None or facts.records <= when.records_up_to)
        and (when.records_above is None or facts.records > when.records_above)
        and (when.changes_a_day_above is None or facts.changes_a_day > when.changes_a_day_above)
    )


def cost(facts: Entity, rates: Rates) -> Cost | None:
    """What a comparison, or the first sync, of an entity costs; None where its records are not compared."""
    if facts.pattern not in COMPARABLE or facts.finance is None or facts.sales is None:
        return None
    counted = {"finance": facts.finance.records or 0, "sales": facts.sales.records or 0}
    again = int(DIFFERING * max(counted.values()))
    finance = _parts(counted["finance"]) + _pages(again, _AGAIN["finance"])
    sales = 2 + max(1, _pages(counted["sales"], SALES_PAGE)) + _pages(again, _AGAIN["sales"])
    seconds = max(finance / rates.read["finance"], sales / rates.read["sales"])
    writes = max(counted.values()) if facts.owners != "nobody" else 0
    slowest = min(rates.write.values())
    return Cost(
        finance_requests=finance,
        sales_requests=sales,
        minutes=_minutes(seconds),
        most_writes=writes,
        write_minutes=_minutes(writes / slowest),
    )


def _parts(records: int) -> int:
    """Requests for Finance's records: counts of parts, then the parts, which are a half full as a rule."""
    if records <= PAGE_ROWS:
        return 2
    counts = 2
    level = records
    while level > PAGE_ROWS:
        splits = max(1, records // max(level, 1))
        counts += _pages(splits * 2 * len(ALPHABET), MOST_COUNTS)
        level //= 10
    return counts + _pages(2 * records, PAGE_ROWS)


def _pages(records: int, size: int) -> int:
    return -(-records // size)


def _minutes(seconds: float) -> Decimal:
    """In tenths, and never less than one: a request takes its time."""
    return Decimal(max(1, ceil(seconds / 6))) / 10 if seconds else Decimal(0)
