"""What the linter says: a rule, what breaks it, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from domain.entities.facts import Facts
from domain.entities.model import DataMap


@dataclass(frozen=True, slots=True)
class Break:
    """Where a rule is broken.

    Attributes:
        entity: whose map it is.
        field: of the map; empty: the map as a whole.
        problem: what is wrong, in a sentence.
    """

    entity: str
    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """What a rule could not look at.

    Attributes:
        entity: whose map it is; empty: all of them.
        field: of the map; empty: the map as a whole.
        why: in a sentence.
    """

    entity: str
    field: str
    why: str


@dataclass(frozen=True, slots=True)
class Known:
    """All that rules look at: the maps, and what is known of the systems."""

    maps: tuple[DataMap, ...]
    facts: Facts

    def without(self, *systems: str) -> Iterator[Unknown]:
        """What cannot be looked at because systems were not asked."""
        for system in systems:
            if getattr(self.facts, system) is None:
                yield Unknown("", "", f"{_SYSTEMS[system]} was not asked or does not tell")


_SYSTEMS = {"finance": "Finance", "sales": "Dataverse", "dual_write": "Dual-Write"}

Check = Callable[[Known], Iterator[Break | Unknown]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of maps.

    Attributes:
        number: by which it is known.
        name: in a few words.
        sentence: what it demands.
        remedy: what to do where it is broken.
        live: it can only be answered in full by asking the systems.
        check: finds where it is broken.
    """

    number: int
    name: str
    sentence: str
    remedy: str
    live: bool
    check: Check


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken somewhere."""

    rule: int
    name: str
    entity: str
    field: str
    problem: str
    remedy: str


@dataclass(frozen=True, slots=True)
class NotChecked:
    """A rule that could not be answered somewhere."""

    rule: int
    name: str
    entity: str
    field: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """What all rules say of maps; a rule that stands in neither list holds."""

    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = field(default=())
