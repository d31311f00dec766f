"""What happens to a deal whose customer Finance does not know: what people say of it, and what came of it."""

from __future__ import annotations

from pydantic import Field

from domain.people import Person
from domain.record import Record


class CustomerApproved(Record):
    """A person wants a customer of Sales created in Finance, with these fields in place of those proposed."""

    changes: dict[str, str] = Field(default_factory=dict)
    by: Person
    role: str = ""
    reason: str = ""


class CustomerChosen(Record):
    """A person says which customer of Finance the account of Sales is."""

    account: str
    by: Person
    role: str = ""
    reason: str = ""


class CustomerIsNew(Record):
    """A person says that the customer of Sales is none of those Finance has."""

    by: Person
    role: str = ""
    reason: str = ""


class CustomerDenied(Record):
    """A person does not want the customer in Finance."""

    by: Person
    role: str = ""
    reason: str = ""


class CustomerCreated(Record):
    """Finance has the customer."""

    account: str
    found: bool = Field(description="It was there already: an earlier attempt, or another deal, had made it")


class CustomerMapped(Record):
    """The account in Sales carries its number of Finance."""

    account: str


class CustomerSeenMeanwhile(Record):
    """Finance or Sales has the customer by now, though not by us: the quote is looked at again before one is made."""

    reason: str


class CustomerNotSetUp(Record):
    """Finance or Sales did not take what a person decided about the customer: they are asked again."""

    reason: str


CustomerFact = (
    CustomerApproved
    | CustomerChosen
    | CustomerIsNew
    | CustomerDenied
    | CustomerCreated
    | CustomerMapped
    | CustomerSeenMeanwhile
    | CustomerNotSetUp
)
