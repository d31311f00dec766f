"""What the activities about customers are called, take and answer: their implementations stand in ``customers``."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from activities.declaring import declares_activities
from domain.customers import Proposal
from domain.record import Record


class CreateCustomer(Record):
    """Create a customer in Finance, once."""

    company: str = Field(description="Legal entity, lower case")
    customer: Proposal
    dismissed: tuple[str, ...] = Field((), description="Customers of Finance that a person said it is not")
    probe: bool = Field(False, description="An earlier attempt may have succeeded")


class MapCustomer(Record):
    """Write the number of a customer of Finance on its account in Sales."""

    account_id: str = Field(description="Of the account in Sales (GUID)")
    account: str


class CustomerDone(Record):
    """What became of it."""

    account: str = ""
    found: bool = Field(False, description="It was done already")
    seen: str = Field("", description="Not empty: a system has the customer by now, in words; nothing was made")
    refused: str = Field("", description="Not empty: it cannot be done, and why; a person has to decide anew")


@declares_activities
class CustomerActivities(Protocol):
    """Customers that Finance does not know (task queues q2c-finance and q2c-dataverse)."""

    async def create_customer(self, ask: CreateCustomer) -> CustomerDone:
        """Create the customer in Finance, or find the one an earlier attempt made."""

    async def map_customer(self, ask: MapCustomer) -> CustomerDone:
        """Write the number on the account in Sales, if it has none and no other account carries it."""
