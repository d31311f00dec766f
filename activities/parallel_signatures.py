"""What the activities of a parallel run are called, take and answer; their implementations stand in ``parallel``."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from pydantic import AwareDatetime, Field

from activities.declaring import declares_activities
from domain.entities.model import EntityName
from domain.entities.parallel import EntityDay, ParallelPolicy
from domain.entities.parallel_run import DayPlan
from domain.record import Record


class OfCompany(Record):
    """A legal entity, lower case."""

    company: str


class CompareEntity(Record):
    """An entity that is to be compared whole."""

    company: str
    entity: EntityName
    day: date = Field(description="The company's")
    since: AwareDatetime = Field(description="A comparison that began then or later is of this day")
    rules: ParallelPolicy


@declares_activities
class ParallelActivities(Protocol):
    """What a parallel run asks (task queue q2c)."""

    async def plan_day(self, of: OfCompany) -> DayPlan:
        """Say which entities both systems hold of a company, and when a day is clean."""

    async def compare_entity(self, ask: CompareEntity) -> EntityDay:
        """Have an entity compared, or wait for a comparison that goes on; never begins one beside another."""
