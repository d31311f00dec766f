"""Whose approvals a change of a map takes, by what it does: a part of the table of rights."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from typing import Final

from pydantic import Field, model_validator

from domain.record import Record


class ChangeClass(StrEnum):
    """What a change of a map does to records."""

    WIDENING = "WIDENING"
    """More of them, or of their values, are moved."""
    NARROWING = "NARROWING"
    """Fewer."""
    OWNER = "OWNER"
    """Another side's value counts."""
    KEY = "KEY"
    """Another record or column is meant."""
    DIRECTION = "DIRECTION"
    """It is moved another way."""


class Approvers(Record):
    """The roles of the two persons who approve a change of a class."""

    data: tuple[str, ...] = Field(min_length=1, description="Who answers for what the records say")
    systems: tuple[str, ...] = Field(min_length=1, description="Who runs the integration")


class Approved(Record):
    """A person who approved, with the roles they held in every company then."""

    oid: str
    roles: tuple[str, ...] = ()


_EVERYBODY: Final = Approvers(data=("cfo",), systems=("ops", "admin"))


class MapChangeRules(Record):
    """Whose approvals a plan takes, and how old the records may be that it was counted over."""

    records_days: int = Field(7, ge=1, le=90)
    approvals: dict[ChangeClass, Approvers] = Field(dict.fromkeys(ChangeClass, _EVERYBODY), description="Every class")

    @model_validator(mode="after")
    def _can_be_kept(self) -> MapChangeRules:
        missing = [kind.value for kind in ChangeClass if kind not in self.approvals]
        if missing:
            raise ValueError(f"approvals: {missing[0]} is missing; say whose approval it takes")
        for seat, roles in self.seats(ChangeClass).items():
            if not roles:
                raise ValueError(f"approvals: no role stands under {seat} of every class; a plan may have all of them")
        return self

    @property
    def roles(self) -> frozenset[str]:
        """Every role that is named."""
        return frozenset(role for each in self.approvals.values() for role in (*each.data, *each.systems))

    def seats(self, classes: Iterable[ChangeClass]) -> Mapping[str, frozenset[str]]:
        """The roles for each of the two approvals of a plan: those that approve every class in it."""
        of = [self.approvals[kind] for kind in classes]
        return {
            seat: frozenset.intersection(*(frozenset(getattr(each, seat)) for each in of)) if of else frozenset()
            for seat in Approvers.model_fields
        }

    def are_filled(self, classes: Collection[ChangeClass], people: Collection[Approved]) -> bool:
        """Whether people can sit on seats of a plan, each on another one: one person on any, two on both."""
        seats = list(self.seats(classes).values())
        held = [[seat for seat, roles in enumerate(seats) if roles & set(person.roles)] for person in people]
        if not all(held) or len({person.oid for person in people}) < len(people):
            return False
        return len(people) == 1 or (len(people) == len(seats) and len({seat for some in held for seat in some}) > 1)
