"""What the activities about delegations are called, take and answer: their implementations stand in ``delegations``."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.delegations import Delegations
from domain.people import Person
from domain.record import Record


class OfCompany(Record):
    """Which legal entity is asked about, lower case."""

    company: str


class Approvers(Record):
    """Who is named in the policy for a role that decides approvals of a company, and that company's time zone."""

    people: tuple[Person, ...]
    timezone: str = Field(description="IANA name")


class Delegating(Record):
    """That somebody would be asked for what somebody else decides in a company."""

    company: str = Field(description="Legal entity, lower case")
    of: Person
    to: Person


class MadeQuote(Record):
    """A quote, by its number; empty: none."""

    quote_number: str = ""


@declares_activities
class DelegationActivities(Protocol):
    """Who decides in whose place, for who asks people (task queue q2c)."""

    async def read_delegations(self, ask: OfCompany) -> Delegations:
        """The delegations of a company as they stand; none where nobody ever delegated."""


@declares_activities
class DelegationChecks(Protocol):
    """What is asked before somebody delegates (task queue q2c)."""

    async def read_approvers(self, ask: OfCompany) -> Approvers:
        """Who may delegate and be delegated to, by the policy in force."""

    async def find_made_quote(self, ask: Delegating) -> MadeQuote:
        """A quote that waits for who delegates, and was made by who would be asked in their place."""
