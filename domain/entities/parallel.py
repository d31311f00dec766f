"""Both systems beside each other: what a day counted, when it is clean, and what stands in the way of the end. Pure.

An entity is clean on a day on which all of its records were compared and no more differences stand than the policy
tolerates. A day that was not compared, or whose comparison failed, is not clean, and neither is one that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from domain.entities.comparing import DifferenceClass
from domain.entities.model import EntityName, Owner
from domain.phrases import Phrase, counted, day, phrase
from domain.policy import ClockTime
from domain.record import Record
from domain.rights import Action, RightsPolicy

MOST_ENTITIES: Final = 25
"""Entities that are compared; more are counted, and stand in the way of the end."""
MOST_DAYS: Final = 90
"""Days that a run keeps; a run that has not ended by then ends without the exit."""
LONGEST_WHY: Final = 200
MOST_BLOCKERS: Final = 20


class Critical(Record):
    """What must not stand at the end, however little of it."""

    classes: frozenset[DifferenceClass] = frozenset()
    fields: Mapping[EntityName, frozenset[str]] = Field(default_factory=dict, max_length=MOST_ENTITIES)

    def covers(self, entity: str, kind: str, field: str) -> bool:
        """Whether a difference of a class, in a field of an entity, is critical."""
        return kind in self.classes or field in self.fields.get(entity, ())


class ParallelPolicy(Record):
    """When both systems have run beside each other long enough (policies/parallel.yaml)."""

    version: str = Field(min_length=1, max_length=40)
    source: str = Field(min_length=1, max_length=400)
    at: ClockTime
    days: int = Field(ge=1, le=MOST_DAYS - 1)
    clean_days: int = Field(ge=1)
    tolerated: Mapping[DifferenceClass, int] = Field(default_factory=dict)
    critical: Critical = Critical()
    owners: Mapping[EntityName, str] = Field(default_factory=dict, max_length=200)
    otherwise: str = Field(min_length=1, max_length=40)
    not_compared: Mapping[EntityName, Annotated[str, Field(min_length=1, max_length=400)]] = Field(
        default_factory=dict, max_length=MOST_ENTITIES, description="Why, and what is done instead"
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.clean_days > self.days:
            raise ValueError("clean_days: at most as many as days")
        if any(most < 0 for most in self.tolerated.values()):
            raise ValueError("tolerated: must not be less than 0")
        return self

    def owner(self, entity: str) -> str:
        """The role that is told about an entity."""
        return self.owners.get(entity, self.otherwise)


class Standing(Record):
    """What stands of an entity after a comparison of all its records."""

    open: Mapping[DifferenceClass, int] = Field(default_factory=dict)
    critical: int = 0
    settled: int = Field(0, description="That people let stand")
    owners: Mapping[Owner, int] = Field(default_factory=dict, description="Open, by whose value counts")
    ages: tuple[int, ...] = Field((0, 0, 0, 0), description="Open: up to a day, a week, a month, older")
    oldest_days: int = 0


class EntityDay(Record):
    """An entity on one day."""

    entity: EntityName
    status: Literal["compared", "failed"]
    why: str = Field("", max_length=LONGEST_WHY, description="Why it failed")
    run_id: str = Field("", max_length=100)
    at: AwareDatetime | None = Field(None, description="When the comparison ended")
    finance: int = Field(0, description="Records there")
    sales: int = Field(0, description="Records there")
    new: int = 0
    gone: int = Field(0, description="Differences that were not found any more")
    timing: int = Field(0, description="What was no difference any more when it was read again")
    standing: Standing = Standing()

    @property
    def open(self) -> int:
        """Differences that stand."""
        return sum(self.standing.open.values())

    @property
    def still(self) -> int:
        """Of these, those that stood before."""
        return max(0, self.open - self.new)

    def above(self, rules: ParallelPolicy) -> dict[DifferenceClass, int]:
        """How many differences stand of each class of which more stand than are tolerated."""
        found = self.standing.open.items()
        return {kind: count for kind, count in found if count > rules.tolerated.get(kind, 0)}

    def is_clean(self, rules: ParallelPolicy) -> bool:
        """Whether all was compared, and no more stands than is tolerated."""
        return self.status == "compared" and not self.above(rules)


class ComparedDay(Record):
    """A day of a company."""

    day: date
    began_at: AwareDatetime
    entities: tuple[EntityDay, ...] = Field((), max_length=MOST_ENTITIES)
    left_out: int = Field(0, description="Entities that were too many")
    why: str = Field("", max_length=LONGEST_WHY, description="Why nothing was compared")

    def of(self, entity: str) -> EntityDay | None:
        """An entity on this day; None: it was not compared."""
        return next((found for found in self.entities if found.entity == entity), None)

    def is_clean(self, rules: ParallelPolicy) -> bool:
        """Whether every entity is."""
        return bool(self.entities) and not self.left_out and all(each.is_clean(rules) for each in self.entities)


def entities_of(days: Iterable[ComparedDay]) -> tuple[EntityName, ...]:
    """Every entity that was compared on any day, in order."""
    return tuple(sorted({found.entity for each in days for found in each.entities}))


def clean_in_a_row(days: tuple[ComparedDay, ...], entity: str, rules: ParallelPolicy) -> int:
    """Clean days of an entity, one after the other, up to the last day."""
    found, expected = 0, days[-1].day if days else date.min
    for each in reversed(days):
        seen = each.of(entity)
        if each.day != expected or seen is None or not seen.is_clean(rules):
            break
        found += 1
        expected -= timedelta(days=1)
    return found


def clean_row(days: tuple[ComparedDay, ...], rules: ParallelPolicy) -> int:
    """Days, one after the other, up to the last, on which every entity of the last day was clean."""
    last = days[-1] if days else None
    if last is None or last.left_out or not last.entities:
        return 0
    return min(clean_in_a_row(days, each.entity, rules) for each in last.entities)


def blockers(days: tuple[ComparedDay, ...], rules: ParallelPolicy, today: date) -> tuple[Phrase, ...]:
    """What stands in the way of the end, worst first; none: the criteria hold.

    Args:
        days: what was compared, oldest first.
        rules: the criteria.
        today: of the company.
    """
    return tuple(_blockers(days, rules, today))[:MOST_BLOCKERS]


def _blockers(days: tuple[ComparedDay, ...], rules: ParallelPolicy, today: date) -> Iterator[Phrase]:
    if not days:
        yield phrase("Nothing was compared yet.")
        return
    last = days[-1]
    if today - last.day > timedelta(days=1):
        yield phrase("Nothing was compared since {day}.", day=day(last.day))
    if last.why:
        yield phrase("On {day} nothing was compared: {why}", day=day(last.day), why=last.why)
    if last.left_out:
        yield counted(
            "{count} entity was too many to be compared.",
            "{count} entities were too many to be compared.",
            last.left_out,
        )
    for each in last.entities:
        if each.status == "failed":
            yield phrase("{entity} could not be compared: {why}", entity=each.entity, why=each.why)
        elif each.standing.critical:
            yield counted(
                "{entity}: {count} critical difference stands.",
                "{entity}: {count} critical differences stand.",
                each.standing.critical,
                entity=each.entity,
            )
    for each in last.entities:
        row = clean_in_a_row(days, each.entity, rules)
        if row < rules.clean_days:
            yield phrase(
                "{entity}: {row} clean days in a row, and it takes {needed}.",
                entity=each.entity,
                row=row,
                needed=rules.clean_days,
            )
    for entity in entities_of(days[-rules.clean_days :]):
        if last.entities and last.of(entity) is None:
            yield phrase("{entity} was compared before and is not any more.", entity=entity)
    done = sum(bool(each.entities) for each in days)
    if done < rules.days:
        yield phrase("{done} days were compared, and it takes {needed}.", done=done, needed=rules.days)


def with_day(days: tuple[ComparedDay, ...], new: ComparedDay) -> tuple[ComparedDay, ...]:
    """The days with one more, or one that is known again; the newest are kept."""
    kept = [each for each in days if each.day != new.day]
    return (*kept, new)[-MOST_DAYS:]


def misfits(policy: ParallelPolicy, rights: RightsPolicy) -> Iterator[tuple[str, str]]:
    """Where the file does not fit the table of rights: the field, and what to change."""
    able = {right.role for right in rights.rights if Action.READ_DATA in right.may}
    roles = {f"owners.{entity}": role for entity, role in policy.owners.items()} | {"otherwise": policy.otherwise}
    for field, role in roles.items():
        if role not in able:
            yield field, f"{role!r} may not read data; give it {Action.READ_DATA} in rights.yaml or name another role"


def is_over(began_at: datetime, now: datetime) -> bool:
    """Whether a run has gone on for as long as it may."""
    return now - began_at >= timedelta(days=MOST_DAYS)
