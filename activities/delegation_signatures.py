"""What the activities about delegations are called, take and answer: their implementations stand in ``delegations``."""

from __future__ import annotations

from pydantic import Field
from temporalio import activity

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


class DelegationActivities:
    """Who decides in whose place (task queue q2c)."""

    @activity.defn(name="read_delegations")
    async def read_delegations(self, ask: OfCompany) -> Delegations:
        """The delegations of a company as they stand; none where nobody ever delegated."""
        raise NotImplementedError

    @activity.defn(name="read_approvers")
    async def read_approvers(self, ask: OfCompany) -> Approvers:
        """Who may delegate and be delegated to, by the policy in force."""
        raise NotImplementedError

    @activity.defn(name="find_made_quote")
    async def find_made_quote(self, ask: Delegating) -> MadeQuote:
        """A quote that waits for who delegates, and was made by who would be asked in their place."""
        raise NotImplementedError
