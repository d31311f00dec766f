"""Rules of quality: what a record has to be before the systems may agree on it, as data.

A rule names an entity of the map, a side, and one check out of a closed list: nothing that a file says is run. How
checks are looked up among a million records is elsewhere (`cleansing.quality`); what a score is stands here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.entities.model import EntityName, FieldName, MapRecord, Sentence, SideName, Value
from domain.money import cut
from domain.record import Record
from domain.values import Number

MOST_RULES: Final = 500


class Dimension(StrEnum):
    """What about a record is not good."""

    COMPLETENESS = "completeness"
    VALIDITY = "validity"
    UNIQUENESS = "uniqueness"
    CONSISTENCY = "consistency"


class Severity(StrEnum):
    """How much it matters."""

    CRITICAL = "critical"
    """Nothing is activated while one record breaks it."""
    MAJOR = "major"
    MINOR = "minor"


WEIGHTS: Final[Mapping[Severity, int]] = {Severity.CRITICAL: 5, Severity.MAJOR: 3, Severity.MINOR: 1}
"""What a rule counts in the score."""

Form = Literal["e164", "email", "tax_number", "country", "currency", "tidy"]
"""`tidy`: no blanks at either end or doubled, no control characters."""
Fields = Annotated[tuple[FieldName, ...], Field(min_length=1, max_length=10)]


class Missing(MapRecord):
    """At least one of the fields is blank."""

    kind: Literal["missing"]
    fields: Fields


class NotOfForm(MapRecord):
    """A field that is not blank is not written in a form."""

    kind: Literal["form"]
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1, max_length=1)]
    form: Form


class NotTranslated(MapRecord):
    """A field that is not blank has a value that its value map does not list."""

    kind: Literal["translated"]
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1, max_length=1)]


class TooLong(MapRecord):
    """A text of Sales is longer than the map says Finance takes, in UTF-16 units."""

    kind: Literal["fits"]
    fields: Fields


class OutOfRange(MapRecord):
    """A number is no number, or below what it may be."""

    kind: Literal["number"]
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1, max_length=1)]
    least: Number | None = None
    above: Number | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.least is None) == (self.above is None):
            raise ValueError("a number has one limit: give least or above")
        return self


class Past(MapRecord):
    """A day is over."""

    kind: Literal["past"]
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1, max_length=1)]


class Repeated(MapRecord):
    """Another record of the company has the same values, compared in their normal form; blanks are compared to none."""

    kind: Literal["unique"]
    fields: Fields


class NoCompany(MapRecord):
    """The record's company is none of the installation's."""

    kind: Literal["company"]
    fields: tuple[FieldName, ...] = ()


class Unknown(MapRecord):
    """No record of the company in another relation has the value; a blank one is not looked for."""

    kind: Literal["known"]
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1, max_length=1)]
    entity: EntityName
    side: SideName
    field: FieldName


class OnHold(MapRecord):
    """A field has another value than those that let business go on, and another relation has records of it."""

    kind: Literal["on_hold"]
    fields: Annotated[tuple[FieldName, ...], Field(min_length=1, max_length=1)]
    free: tuple[Value, ...] = Field(min_length=1, max_length=20, description="Values under which business goes on")
    by: FieldName = Field(description="What the other relation names the record by")
    entity: EntityName
    side: SideName
    field: FieldName
    state: FieldName = Field(description="Column of the other relation that says whether a record is open")
    ended: tuple[Value, ...] = Field(min_length=1, max_length=20, description="Values of it that are not open")


Check = Annotated[
    Missing | NotOfForm | NotTranslated | TooLong | OutOfRange | Past | Repeated | NoCompany | Unknown | OnHold,
    Field(discriminator="kind"),
]


class QualityRule(MapRecord):
    """One rule."""

    number: int = Field(ge=1, le=9_999, description="By which it is known")
    name: str = Field(min_length=3, max_length=80)
    dimension: Dimension
    severity: Severity
    entity: EntityName
    sides: tuple[SideName, ...] = Field(min_length=1, max_length=2)
    check: Check
    owner: Annotated[str, Field(pattern=r"^[a-z][a-z_]{1,39}$")] = Field(description="Role that corrects the records")
    remedy: Sentence


class QualityRules(MapRecord):
    """The rules of an installation."""

    version: str = Field(min_length=1, max_length=40)
    rules: tuple[QualityRule, ...] = Field(min_length=1, max_length=MOST_RULES)

    @model_validator(mode="after")
    def _numbers_once(self) -> Self:
        numbers = [rule.number for rule in self.rules]
        if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
            raise ValueError(f"the number {twice[0]} is given twice; give each rule its own")
        return self

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of what the rules demand; names, owners and remedies explain and change no score."""
        asked = [
            rule.model_dump(mode="json", exclude={"name", "owner", "remedy", "dimension"})
            for rule in sorted(self.rules, key=lambda rule: rule.number)
        ]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class Outcome(Record):
    """What a rule came to on one side of an entity in one company.

    Attributes:
        rule: its number.
        records: looked at.
        failing: break it; each counts once, whatever is wrong with it.
    """

    rule: int
    severity: Severity
    entity: EntityName
    side: SideName
    company: str
    records: int
    failing: int


class Score(Record):
    """How good the records of an entity are in a company, from 0 to 100, rounded down: 100 is nothing wrong at all."""

    entity: EntityName
    company: str
    score: Decimal
    records: int = Field(description="On both sides together")
    critical: int = Field(description="Breaks of critical rules")
    failing: int = Field(description="Breaks of all rules")
    before: Decimal | None = Field(
        None, description="Score of the run before, under the same rules; None: there is none"
    )


def scores(outcomes: Iterable[Outcome]) -> tuple[Score, ...]:
    """The score of each entity and company.

    Every rule counts by its weight and by the share of records that break it: 100 × (1 − Σ weight × share ÷ Σ weight).
    A rule that was not checked counts on neither side.
    """
    grouped: dict[tuple[str, str], list[Outcome]] = {}
    for each in outcomes:
        grouped.setdefault((each.entity, each.company), []).append(each)
    return tuple(_score(entity, company, found) for (entity, company), found in sorted(grouped.items()))


def _score(entity: str, company: str, outcomes: list[Outcome]) -> Score:
    weight = lost = Decimal(0)
    for each in outcomes:
        if each.records:
            weight += WEIGHTS[each.severity]
            lost += WEIGHTS[each.severity] * Decimal(each.failing) / each.records
    share = lost / weight if weight else Decimal(0)
    of_side = {each.side: each.records for each in outcomes}
    return Score(
        entity=entity,
        company=company,
        score=cut(100 * (1 - share), 2),
        records=sum(of_side.values()),
        critical=sum(each.failing for each in outcomes if each.severity is Severity.CRITICAL),
        failing=sum(each.failing for each in outcomes),
    )
